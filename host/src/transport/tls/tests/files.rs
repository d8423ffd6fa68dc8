//! Which certificate is shown to whom, and what is said of those that can't be shown.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rustls::{ClientConfig, SignatureScheme};

use super::{DAY, Place, served, shake, wanted};
use crate::transport::tls::certificates::{CertificateFiles, Sources};
use crate::transport::tls::issue::{KeyKind, Wanted};
use crate::transport::tls::pem::{Pair, Purpose};
use crate::transport::tls::settings::{self, now};

impl Place {
    /// What is said of a certificate that is read now.
    fn problem(&self, cert: &str, key: &str) -> String {
        let cert = Some(Pair { cert: self.at(cert), key: self.at(key) });
        self.problem_of(Sources { cert, folder: None })
    }

    fn problem_of(&self, sources: Sources) -> String {
        let loaded = CertificateFiles::load("test", sources, Purpose::Server, now());
        let problem = loaded.err().unwrap().to_string();
        problem.replace(&format!("{}/", self.folder.path().display()), "")
    }

    fn folder(&self) -> Sources {
        Sources { cert: None, folder: Some(self.at("certs")) }
    }
}

#[test]
fn the_name_that_a_client_asks_for_picks_the_certificate() {
    let place = Place::new();
    place.certificate("certs/1", &["*.b.test", "b.test"]);
    place.certificate("certs/2", &["www.b.test"]);
    place.certificate("certs/3", &["C.test", "d.test"]);
    let default = place.certificate("default", &["a.test", "x.y.b.test", "127.0.0.1", "b.e.test"]);
    let sources = Sources { cert: Some(default), ..place.folder() };
    let server = settings::server(served(sources)).unwrap();
    let shown = |name: &str| shake(&place.client(), &server, name).unwrap().shown().remove(0);
    assert_eq!(shown("a.test"), "dns:a.test");
    assert_eq!(shown("b.test"), "dns:*.b.test");
    assert_eq!(shown("any.b.test"), "dns:*.b.test");
    assert_eq!(shown("www.b.test"), "dns:www.b.test");
    assert_eq!(shown("WWW.B.test"), "dns:www.b.test");
    assert_eq!(shown("c.test"), "dns:C.test");
    assert_eq!(shown("d.test"), "dns:C.test");
    // A wildcard is one label; an address is no name; and the default is for all others.
    for name in ["x.y.b.test", "127.0.0.1", "b.e.test"] {
        assert_eq!(shown(name), "dns:a.test", "{name}");
    }
}

#[test]
fn without_a_default_the_first_of_the_folder_is_it() {
    let place = Place::new();
    place.certificate("certs/b", &["b.test"]);
    place.certificate("certs/a", &["a.test", "z.test"]);
    let server = settings::server(served(place.folder())).unwrap();
    // Without a name; the client checks it only afterwards.
    let mut client = (*place.client()).clone();
    client.enable_sni = false;
    let ends = shake(&Arc::new(client), &server, "z.test").unwrap();
    assert_eq!(ends.shown(), ["dns:a.test", "dns:z.test"]);
}

#[test]
fn a_folder_may_be_kept_in_any_of_the_usual_ways() {
    let place = Place::new();
    let separate = |cert: &str, key: &str, name: &str| {
        let names = [name.to_owned()];
        let issued = place.issue(&wanted(&names));
        for (path, text) in [(cert, issued.cert), (key, issued.key)] {
            let path = place.at(&format!("certs/{path}"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    };
    separate("a.crt", "a.key", "a.test");
    separate("b.cert", "b.key", "b.test");
    separate("c.pem", "c.key", "c.test");
    separate("d.test/fullchain.pem", "d.test/privkey.pem", "d.test");
    place.certificate("certs/e", &["e.test"]);
    fs::write(place.at("certs/README"), "as certbot has it").unwrap();
    fs::write(place.at("certs/.hidden.pem"), "").unwrap();
    fs::create_dir(place.at("certs/empty")).unwrap();
    let server = settings::server(served(place.folder())).unwrap();
    for name in ["a.test", "b.test", "c.test", "d.test", "e.test"] {
        let ends = shake(&place.client(), &server, name).unwrap();
        assert_eq!(ends.shown(), [format!("dns:{name}")]);
    }
}

#[test]
fn the_clients_abilities_pick_among_certificates_for_one_name() {
    let place = Place::new();
    let names = ["a.test".to_owned()];
    let rsa = place.issue(&Wanted { key: KeyKind::Rsa, ..wanted(&names) });
    place.keep("certs/1", &rsa);
    place.certificate("certs/2", &["a.test"]);
    let server = settings::server(served(place.folder())).unwrap();
    let signed_by = |only: Option<SignatureScheme>| {
        let whole = place.client();
        let mut provider = (**whole.crypto_provider()).clone();
        if let Some(only) = only {
            let known = provider.signature_verification_algorithms.mapping;
            let mapping = known.iter().filter(|(scheme, _)| *scheme == only).copied();
            let mapping: Vec<_> = mapping.collect();
            // It has to be static, and this test is short.
            provider.signature_verification_algorithms.mapping = mapping.leak();
        }
        let client = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(place.client_side().roots)
            .with_no_client_auth();
        let ends = shake(&Arc::new(client), &server, "a.test").unwrap();
        ends.client.peer_certificates().unwrap()[0].len()
    };
    let (ecdsa_len, rsa_len) = (signed_by(None), signed_by(Some(SignatureScheme::RSA_PSS_SHA256)));
    assert!(ecdsa_len < rsa_len, "{ecdsa_len} {rsa_len}");
    assert_eq!(signed_by(Some(SignatureScheme::ECDSA_NISTP256_SHA256)), ecdsa_len);
}

#[test]
fn the_common_name_counts_only_without_alternative_names() {
    let place = Place::new();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "Old.test");
    let key = rcgen::KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap();
    fs::write(place.at("old.pem"), cert.pem() + &key.serialize_pem()).unwrap();
    let names = |file: &str| {
        let pair = Pair { cert: place.at(file), key: place.at(file) };
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let read = crate::transport::tls::pem::Identity::read;
        read(&pair, Purpose::Server, now(), &provider).unwrap().names
    };
    assert_eq!(names("old.pem"), ["old.test"]);
    place.certificate("new", &["a.test", "b.test"]);
    assert_eq!(names("new.pem"), ["a.test", "b.test"]);
    place.certificate("ip", &["127.0.0.1"]);
    assert_eq!(names("ip.pem"), [""; 0]);
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_what_would_be_right() {
    let place = Place::new();
    let names = ["a.test".to_owned()];
    let good = place.issue(&wanted(&names));
    let other = place.issue(&wanted(&names));
    let write = |name: &str, text: &str| fs::write(place.at(name), text).unwrap();
    write("good.pem", &good.cert);
    write("good.key", &good.key);
    write("other.key", &other.key);
    write("wrong-order.pem", &(other.cert.clone() + &good.cert));
    write("empty.pem", "");
    write("binary.pem", "\0\u{1}\u{2}");
    write("cut.pem", &good.cert[..good.cert.len() / 2]);
    write("text.pem", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
    write("no.pem", "-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n");
    write(
        "encrypted.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    write("dsa.key", "-----BEGIN DSA PRIVATE KEY-----\nMAAA\n-----END DSA PRIVATE KEY-----\n");
    write("odd.key", "-----BEGIN PRIVATE KEY-----\nMAAA\n-----END PRIVATE KEY-----\n");
    let expired = place.issue(&Wanted { now: now() - 31 * DAY, ..wanted(&names) });
    write("expired.pem", &(expired.cert + &expired.key));
    let early = place.issue(&Wanted { now: now() + 2 * DAY, ..wanted(&names) });
    write("early.pem", &(early.cert + &early.key));
    place.client_certificate("alice");

    for (cert, key, want) in [
        ("nowhere.pem", "good.key", "nowhere.pem: there is no such file"),
        ("good.pem", "nowhere.key", "nowhere.key: there is no such file"),
        (
            "empty.pem",
            "good.key",
            "empty.pem: has no certificate; in PEM one begins with -----BEGIN CERTIFICATE-----",
        ),
        ("binary.pem", "good.key", "binary.pem: has no certificate;"),
        ("cut.pem", "good.key", "cut.pem: is damaged: "),
        ("text.pem", "good.key", "text.pem: is damaged: "),
        ("no.pem", "good.key", "no.pem: its first certificate can't be read: "),
        (
            "good.pem",
            "good.pem",
            "good.pem: has no private key; in PEM one begins with -----BEGIN PRIVATE KEY-----",
        ),
        (
            "good.pem",
            "encrypted.key",
            "encrypted.key: its private key is encrypted; `openssl pkey -in ",
        ),
        ("good.pem", "dsa.key", "dsa.key: its private key can't be used; it takes one for ECDSA "),
        ("good.pem", "odd.key", "odd.key: its private key can't be used; it takes one for ECDSA "),
        (
            "good.pem",
            "other.key",
            "other.key: the private key is not that of the certificate in good.pem",
        ),
        (
            "wrong-order.pem",
            "good.key",
            "good.key: the private key belongs to certificate 2 of wrong-order.pem; it has to be the first there",
        ),
        ("expired.pem", "expired.pem", "expired.pem: the certificate expired on 20"),
        ("early.pem", "early.pem", "early.pem: the certificate is not valid before 20"),
        (
            "alice.pem",
            "alice.pem",
            "alice.pem: the certificate is not for servers (extended key usage)",
        ),
    ] {
        let problem = place.problem(cert, key);
        assert!(problem.starts_with(want), "{problem}\n{want}");
        assert_eq!(problem.lines().count(), 1, "{problem}");
    }
}

#[test]
fn what_is_wrong_with_a_folder_is_said_too() {
    let place = Place::new();
    assert!(place.problem_of(place.folder()).starts_with("certs: can't be listed: "));
    fs::create_dir(place.at("certs")).unwrap();
    let problem = place.problem_of(place.folder());
    assert!(problem.starts_with("certs: has no certificate; it takes NAME.pem"), "{problem}");
    fs::write(place.at("certs/a.crt"), "").unwrap();
    let problem = place.problem_of(place.folder());
    assert_eq!(problem, "certs/a.crt: its private key is missing; it takes certs/a.key");
}

#[test]
fn a_key_that_is_not_this_users_is_told_of() {
    let place = Place::new();
    let pair = place.certificate("a", &["a.test"]);
    fs::set_permissions(&pair.key, fs::Permissions::from_mode(0o0)).unwrap();
    if fs::read(&pair.key).is_ok() {
        // Nothing is unreadable for root.
        return;
    }
    assert_eq!(place.problem("a.pem", "a.pem"), "a.pem: this user is not allowed to read it");
}
