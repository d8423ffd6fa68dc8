//! Certificates as plugins see them.

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::string::BmpString;
use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, SanType};

use super::Certificate;

fn signed(params: &CertificateParams) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

fn named(parts: &[(DnType, &str)]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (kind, value) in parts {
        params.distinguished_name.push(kind.clone(), *value);
    }
    params
}

#[test]
fn a_certificate_is_read_whole() {
    let mut params = named(&[(DnType::OrganizationName, "Example"), (DnType::CommonName, "alice")]);
    params.serial_number = Some(vec![0x80, 0x0a, 0xff].into());
    params.not_before = rcgen::date_time_ymd(1999, 12, 31);
    params.not_after = rcgen::date_time_ymd(2051, 1, 1);
    params.subject_alt_names = vec![
        SanType::DnsName("*.example.org".try_into().unwrap()),
        SanType::IpAddress([192, 0, 2, 1].into()),
        SanType::IpAddress("2001:db8::1".parse().unwrap()),
        SanType::URI("spiffe://example.org/a".try_into().unwrap()),
        SanType::Rfc822Name("alice@example.org".try_into().unwrap()),
    ];
    let der = signed(&params);
    let read = Certificate::parse(&der);
    assert_eq!(read.subject, "CN=alice,O=Example");
    assert_eq!(read.issuer, "CN=alice,O=Example");
    assert_eq!(read.serial, "800AFF");
    assert_eq!(
        read.names,
        [
            "dns:*.example.org",
            "ip:192.0.2.1",
            "ip:2001:db8::1",
            "uri:spiffe://example.org/a",
            "email:alice@example.org"
        ]
    );
    // `date -ud 1999-12-31 +%s` and `date -ud 2051-01-01 +%s`.
    assert_eq!((read.not_before, read.not_after), (946_598_400, 2_556_144_000));
    assert_eq!(read.fingerprint, digest(&SHA256, &der).as_ref());
    assert_eq!(read.der, der);
}

#[test]
fn what_has_a_meaning_in_a_name_is_escaped() {
    // The examples of RFC 4514, section 4, and what section 2.4 says of the ends.
    for (value, shown) in [
        ("James \"Jim\" Smith, III", r#"CN=James \"Jim\" Smith\, III"#),
        ("Before\rAfter", r"CN=Before\0DAfter"),
        ("Lučić", "CN=Lučić"),
        ("#a", r"CN=\#a"),
        (" a b ", r"CN=\ a b\ "),
        (" ", r"CN=\ "),
        ("a\0b", r"CN=a\00b"),
        (r"a+b<c>d;e\f=g", r"CN=a\+b\<c\>d\;e\\f=g"),
    ] {
        let read = Certificate::parse(&signed(&named(&[(DnType::CommonName, value)])));
        assert_eq!(read.subject, shown, "{value:?}");
    }
}

#[test]
fn what_has_no_name_is_shown_by_numbers() {
    let params = named(&[(DnType::CustomDnType(vec![1, 3, 6, 1, 4, 1, 1466, 0]), "Hi")]);
    let read = Certificate::parse(&signed(&params));
    // A UTF8String (0x0C) of two bytes.
    assert_eq!(read.subject, "1.3.6.1.4.1.1466.0=#0C024869");
}

#[test]
fn names_in_utf_16_are_text() {
    let mut params = named(&[]);
    let value = DnValue::BmpString(BmpString::try_from("Žižek").unwrap());
    params.distinguished_name.push(DnType::CommonName, value);
    assert_eq!(Certificate::parse(&signed(&params)).subject, "CN=Žižek");
}

#[test]
fn bytes_that_are_no_certificate_tell_nothing() {
    let der = signed(&CertificateParams::new(["a.example".to_owned()]).unwrap());
    let behind = [&der[..], b"x"].concat();
    for bytes in [&b""[..], b"\x30\x82", &behind] {
        let read = Certificate::parse(bytes);
        let shown = (read.der.as_slice(), read.subject.as_str(), read.serial.as_str());
        assert_eq!(shown, (bytes, "", ""));
        assert_eq!(read.fingerprint, digest(&SHA256, bytes).as_ref());
    }
}

#[test]
fn no_damage_is_worse_than_an_empty_field() {
    let params = CertificateParams::new(["a.example".to_owned(), "192.0.2.1".to_owned()]).unwrap();
    let der = signed(&params);
    let whole = Certificate::parse(&der);
    for cut in 0..der.len() {
        assert_eq!(Certificate::parse(&der[..cut]).names, [""; 0], "{cut}");
    }
    for at in 0..der.len() {
        for bit in 0..8 {
            let mut damaged = der.clone();
            damaged[at] ^= 1 << bit;
            assert_ne!(Certificate::parse(&damaged).fingerprint, whole.fingerprint);
        }
    }
}
