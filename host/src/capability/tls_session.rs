//! What a TLS handshake came to, as the contract's `tls` shows it to plugins. Knows no TLS.

use std::fmt::Write;
use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use x509_parser::asn1_rs::{Any, Tag, ToDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// What both sides of a connection have agreed on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite by its name in IANA's registry.
    pub cipher: &'static str,
    /// The protocol agreed on by ALPN (RFC 7301), if one was.
    pub alpn: Option<String>,
    /// The server's name that the client sent (RFC 6066, section 3), if it did; in lower case.
    pub server_name: Option<String>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// The peer's certificates, its own first.
    pub certificates: Vec<Certificate>,
}

/// A certificate (X.509, RFC 5280), read for plugins. What can't be read of it is empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Certificate {
    /// The whole, in DER.
    pub der: Vec<u8>,
    /// The SHA-256 of the whole.
    pub fingerprint: [u8; 32],
    /// Whose it is: a distinguished name as RFC 4514 writes it.
    pub subject: String,
    /// Who signed it, in the same form.
    pub issuer: String,
    /// Its alternative names (RFC 5280, section 4.2.1.6): `dns:…`, `ip:…`, `uri:…`, `email:…`.
    pub names: Vec<String>,
    /// The serial number in upper-case hexadecimal, two digits for each byte.
    pub serial: String,
    /// When it begins to be valid, in seconds since 1970-01-01T00:00:00Z.
    pub not_before: i64,
    /// When it ends to be valid, in the same unit.
    pub not_after: i64,
}

impl Certificate {
    /// Reads a certificate from any bytes. Where they are none, only `der` and `fingerprint` tell
    /// something.
    pub fn parse(der: &[u8]) -> Self {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, der).as_ref());
        let unread = Self { der: der.to_vec(), fingerprint, ..Self::default() };
        // A certificate with bytes behind it is not what was signed.
        let Ok(([], read)) = X509Certificate::from_der(der) else { return unread };
        Self {
            subject: distinguished_name(read.subject()),
            issuer: distinguished_name(read.issuer()),
            names: names(&read),
            serial: serial(read.raw_serial()),
            not_before: read.validity().not_before.timestamp(),
            not_after: read.validity().not_after.timestamp(),
            ..unread
        }
    }
}

/// A distinguished name as RFC 4514, section 2 writes it: the last part first.
fn distinguished_name(name: &X509Name<'_>) -> String {
    let parts: Vec<String> =
        name.iter().map(|part| part.iter().map(attribute).collect::<Vec<_>>().join("+")).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join(",")
}

/// One attribute: by its name where RFC 4514, section 3 has one, else by numbers and, as the kind
/// of its value isn't known, in hexadecimal.
fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let name = KEYWORDS.iter().find(|(numbers, _)| *numbers == oid).map(|(_, name)| *name);
    match (name, text(attribute.attr_value())) {
        (Some(name), Some(text)) => format!("{name}={}", escaped(&text)),
        (name, _) => {
            let der = attribute.attr_value().to_der_vec().unwrap_or_default();
            format!("{}=#{}", name.unwrap_or(&oid), hexadecimal(&der))
        }
    }
}

/// The attributes that RFC 4514, section 3 has names for.
const KEYWORDS: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// A value that is text, in Unicode.
fn text(value: &Any<'_>) -> Option<String> {
    match value.tag() {
        Tag::Ia5String | Tag::NumericString | Tag::PrintableString | Tag::Utf8String => {
            std::str::from_utf8(value.data).ok().map(str::to_owned)
        }
        Tag::BmpString => {
            let (units, rest) = value.data.as_chunks::<2>();
            let units: Vec<u16> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
            String::from_utf16(&units).ok().filter(|_| rest.is_empty())
        }
        Tag::UniversalString => {
            let (units, rest) = value.data.as_chunks::<4>();
            let chars = units.iter().map(|unit| char::from_u32(u32::from_be_bytes(*unit)));
            chars.collect::<Option<String>>().filter(|_| rest.is_empty())
        }
        _ => None,
    }
}

/// What has a meaning in the string form, with its meaning taken (RFC 4514, section 2.4). Control
/// characters are written by their numbers, which it allows, so that none gets into a log.
fn escaped(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut escaped = String::with_capacity(text.len());
    for (at, character) in text.chars().enumerate() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => escaped.extend(['\\', character]),
            '#' | ' ' if at == 0 => escaped.extend(['\\', character]),
            ' ' if at == last => escaped.extend(['\\', character]),
            _ if character.is_control() => {
                for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                    // Writing to a string does not fail.
                    let _ = write!(escaped, "\\{byte:02X}");
                }
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(format!("dns:{name}")),
            GeneralName::IPAddress(bytes) => ip(bytes).map(|address| format!("ip:{address}")),
            GeneralName::RFC822Name(address) => Some(format!("email:{address}")),
            GeneralName::URI(uri) => Some(format!("uri:{uri}")),
            _ => None,
        })
        .collect()
}

/// An address as a certificate has it: 4 or 16 bytes.
pub(crate) fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// Without the zeros in front that keep an integer of DER from being negative.
fn serial(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    match bytes.get(zeros..).unwrap_or_default() {
        [] => "00".to_owned(),
        significant => hexadecimal(significant),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02X}");
        text
    })
}

#[cfg(test)]
#[path = "tls_session_tests.rs"]
mod tests;
