//! Makes certificates: for themselves, or signed by a small authority of one's own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, Error, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SanType,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use time::{Duration, OffsetDateTime};

use super::super::client_endpoint::{HOST_NAME_MAX, LABEL_MAX};
use super::pem::{Problem, Purpose};

/// How far a certificate's beginning lies in the past, for clocks that are late, in seconds.
const EARLY: i64 = 600;

/// The longest common name (RFC 5280, appendix A.1, `ub-common-name`), in characters.
const COMMON_NAME_MAX: usize = 64;

/// A new certificate with its key, both in PEM.
pub struct Issued {
    /// The certificate.
    pub cert: String,
    /// The private key, in PKCS#8.
    pub key: String,
}

/// What kind of key is made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum KeyKind {
    /// ECDSA with the curve P-256.
    #[default]
    Ecdsa,
    /// RSA of 2048 bits.
    Rsa,
}

/// What a certificate is to say.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// Whose it is: host names (also `*.example.org`) and IP addresses of a server; any names of a
    /// client, of which those with an `@` are e-mail addresses. The first is the common name.
    pub names: &'a [String],
    /// Who shows it.
    pub purpose: Purpose,
    /// How many days it is valid.
    pub days: u32,
    /// The kind of its key.
    pub key: KeyKind,
    /// The time, in seconds by Unix's clock.
    pub now: i64,
}

/// Who signs certificates.
pub struct Authority(Issuer<'static, KeyPair>);

impl Wanted<'_> {
    /// A certificate that is signed by `by`, or by its own key.
    ///
    /// # Errors
    /// For a name that can't stand in a certificate, or without random numbers.
    pub fn issue(&self, by: Option<&Authority>) -> Result<Issued, Error> {
        let mut params = self.dated()?;
        let usage = match self.purpose {
            Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
            Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
        };
        params.extended_key_usages = vec![usage];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = by.is_some();
        params.subject_alt_names = self
            .names
            .iter()
            .filter_map(|name| alternative_name(name, self.purpose))
            .collect::<Result<_, _>>()?;
        let key = self.key_pair()?;
        let cert = match by {
            Some(Authority(issuer)) => params.signed_by(&key, issuer)?,
            None => params.self_signed(&key)?,
        };
        Ok(Issued { cert: cert.pem(), key: key.serialize_pem() })
    }

    /// A certificate that may sign others, but none that sign in turn.
    ///
    /// # Errors
    /// As [`Wanted::issue`].
    pub fn authority(&self) -> Result<Issued, Error> {
        let mut params = self.dated()?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = self.key_pair()?;
        let cert = params.self_signed(&key)?;
        Ok(Issued { cert: cert.pem(), key: key.serialize_pem() })
    }

    fn dated(&self) -> Result<CertificateParams, Error> {
        let mut params = CertificateParams::default();
        let now = OffsetDateTime::from_unix_timestamp(self.now).map_err(|_| Error::Time)?;
        params.not_before = now - Duration::seconds(EARLY);
        params.not_after = now.checked_add(Duration::days(self.days.into())).ok_or(Error::Time)?;
        params.distinguished_name = DistinguishedName::new();
        if let Some(name) = self.names.iter().find(|it| it.chars().count() <= COMMON_NAME_MAX) {
            params.distinguished_name.push(DnType::CommonName, name.as_str());
        }
        Ok(params)
    }

    fn key_pair(&self) -> Result<KeyPair, Error> {
        KeyPair::generate_for(match self.key {
            KeyKind::Ecdsa => &PKCS_ECDSA_P256_SHA256,
            KeyKind::Rsa => &PKCS_RSA_SHA256,
        })
    }
}

/// A client's name that is neither an address of e-mail nor of a host is in the common name alone.
fn alternative_name(name: &str, purpose: Purpose) -> Option<Result<SanType, Error>> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Some(Ok(SanType::IpAddress(address)));
    }
    match purpose {
        Purpose::Client if name.contains('@') => Some(name.try_into().map(SanType::Rfc822Name)),
        Purpose::Client if !is_host_name(name) => None,
        _ => Some(name.try_into().map(SanType::DnsName)),
    }
}

/// Whether a certificate can be for a host of this name (RFC 1123, section 2.1), or for all of one
/// label below it: `*.example.org`. A name in other letters is written as `xn--…`.
pub fn is_host_name(name: &str) -> bool {
    let name = name.strip_prefix("*.").unwrap_or(name);
    let label = |label: &str| {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=LABEL_MAX).contains(&label.len())
            && label.bytes().all(good)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= HOST_NAME_MAX && name.split('.').all(label)
}

impl Authority {
    /// Reads the certificate and the key of an authority.
    ///
    /// # Errors
    /// Where one of them can't be read, or they don't belong together.
    pub fn read(cert: &Path, key: &Path) -> Result<Self, Problem> {
        let text = |path: &Path| {
            fs::read_to_string(path)
                .map_err(|error| Problem::new(path, format!("can't be read: {error}")))
        };
        let der = CertificateDer::from_pem_slice(text(cert)?.as_bytes())
            .map_err(|error| Problem::new(cert, format!("has no certificate: {error}")))?;
        let pair = KeyPair::from_pem(&text(key)?)
            .map_err(|error| Problem::new(key, format!("has no private key: {error}")))?;
        let (_, read) = x509_parser::parse_x509_certificate(&der)
            .map_err(|error| Problem::new(cert, format!("can't be read: {error}")))?;
        if !read.is_ca() {
            return Err(Problem::new(cert, "is no authority: it may not sign others"));
        }
        if *read.public_key().subject_public_key.data != *pair.public_key_raw() {
            let problem = format!("the private key is not that of {}", cert.display());
            return Err(Problem::new(key, problem));
        }
        Issuer::from_ca_cert_der(&der, pair)
            .map(Self)
            .map_err(|error| Problem::new(cert, format!("can't sign: {error}")))
    }
}

/// Writes a whole file, readable for its owner alone if it is `secret`. Without `replace` a file
/// that is there already is left alone, and the error says `AlreadyExists`. Nobody ever sees half.
pub(crate) fn write(path: &Path, text: &str, secret: bool, replace: bool) -> io::Result<()> {
    let mode = if secret { 0o600 } else { 0o644 };
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let aside = PathBuf::from(aside);
    // Left by one that was interrupted.
    let _ = fs::remove_file(&aside);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&aside)
        .and_then(|mut file: File| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| match replace {
            true => fs::rename(&aside, path),
            false => fs::hard_link(&aside, path),
        });
    let _ = fs::remove_file(&aside);
    written
}
