//! Certificates, keys and roots from PEM files (RFC 7468), with what is wrong with them.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// The largest PEM file that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What is wrong with a file: which, why, and what would be right.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    path: PathBuf,
    problem: String,
}

/// A certificate with its key, ready to be shown.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// With the certificates that lead to one that peers trust.
    pub(crate) certified: Arc<CertifiedKey>,
    /// The host names that it is for, in lower case: `example.org`, `*.example.org`.
    pub(crate) names: Vec<String>,
    /// When it ends to be valid, by Unix's clock.
    pub(crate) not_after: i64,
}

/// Where a certificate and its key are. They may be in one file.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Pair {
    /// The certificate, and those that lead to one that peers trust.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What a certificate is shown for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// By a client that is asked for one.
    Client,
    /// By a server.
    Server,
}

impl Problem {
    pub(crate) fn new(path: &Path, problem: impl Into<String>) -> Self {
        Self { path: path.to_owned(), problem: problem.into() }
    }

    fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let why = match error.kind() {
            ErrorKind::NotFound => "there is no such file".to_owned(),
            ErrorKind::PermissionDenied => "this user is not allowed to read it".to_owned(),
            _ => format!("can't be read: {error}"),
        };
        Self::new(path, why)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.path.display(), self.problem)
    }
}

impl std::error::Error for Problem {}

impl Identity {
    /// Reads a certificate and its key, and makes sure that peers could take them at the moment
    /// `now`, in seconds by Unix's clock.
    pub(crate) fn read(
        pair: &Pair,
        purpose: Purpose,
        now: i64,
        provider: &CryptoProvider,
    ) -> Result<Self, Problem> {
        let text = read(&pair.cert)?;
        let chain = certificates(&pair.cert, &text)?;
        let key = if pair.key == pair.cert { text } else { read(&pair.key)? };
        let key = private_key(&pair.key, &key)?;
        let (names, not_after) = {
            let own = chain.first().ok_or_else(|| no_certificate(&pair.cert))?;
            check(&pair.cert, own, purpose, now)?
        };
        let key = provider
            .key_provider
            .load_private_key(key)
            .map_err(|_| Problem::new(&pair.key, UNSUPPORTED_KEY))?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => return Err(mismatch(pair, &certified)),
            Err(error) => {
                let problem = format!("its first certificate can't be used: {error}; {VERSION_3}");
                return Err(Problem::new(&pair.cert, problem));
            }
        }
        Ok(Self { certified: Arc::new(certified), names, not_after })
    }
}

const UNSUPPORTED_KEY: &str = "its private key can't be used; it takes one for ECDSA (P-256, \
                               P-384 or P-521), Ed25519, or RSA of 2048 to 8192 bits";

const VERSION_3: &str = "it takes one of X.509's version 3";

/// The certificates that a file trusts.
pub(crate) fn roots(path: &Path) -> Result<RootCertStore, Problem> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, &read(path)?)? {
        roots.add(certificate).map_err(|error| {
            Problem::new(path, format!("it has a certificate that can't be trusted: {error}"))
        })?;
    }
    Ok(roots)
}

/// The first certificate of a file, in DER.
pub(crate) fn first_certificate(path: &Path) -> Result<CertificateDer<'static>, Problem> {
    let found = certificates(path, &read(path)?)?.into_iter().next();
    found.ok_or_else(|| no_certificate(path))
}

/// Seconds by Unix's clock as a day, for messages.
pub(crate) fn day(seconds: i64) -> String {
    time::OffsetDateTime::from_unix_timestamp(seconds)
        .map_or_else(|_| seconds.to_string(), |moment| moment.date().to_string())
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text))
        .map_err(|error| Problem::unreadable(path, &error))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Problem::new(path, "is larger than 4MiB, the most that a PEM file may be"));
    }
    Ok(text)
}

fn certificates(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let found = found.map_err(|error| Problem::new(path, format!("is damaged: {error}")))?;
    if found.is_empty() { Err(no_certificate(path)) } else { Ok(found) }
}

fn no_certificate(path: &Path) -> Problem {
    Problem::new(path, "has no certificate; in PEM one begins with -----BEGIN CERTIFICATE-----")
}

fn private_key(path: &Path, text: &[u8]) -> Result<PrivateKeyDer<'static>, Problem> {
    use rustls::pki_types::pem::Error;
    PrivateKeyDer::from_pem_slice(text).map_err(|error| {
        let has = |words: &str| memchr::memmem::find(text, words.as_bytes()).is_some();
        let shown = path.display();
        let problem = match error {
            Error::NoItemsFound if has("BEGIN ENCRYPTED PRIVATE KEY") => format!(
                "its private key is encrypted; `openssl pkey -in {shown}` writes it in clear"
            ),
            Error::NoItemsFound if has("PRIVATE KEY-----") => UNSUPPORTED_KEY.to_owned(),
            Error::NoItemsFound => {
                "has no private key; in PEM one begins with -----BEGIN PRIVATE KEY-----".to_owned()
            }
            _ if has("Proc-Type: 4,ENCRYPTED") => format!(
                "its private key is encrypted; `openssl pkey -in {shown}` writes it in clear"
            ),
            _ => format!("is damaged: {error}"),
        };
        Problem::new(path, problem)
    })
}

/// The names of a certificate, and when it ends.
fn check(
    path: &Path,
    der: &CertificateDer<'_>,
    purpose: Purpose,
    now: i64,
) -> Result<(Vec<String>, i64), Problem> {
    let problem = |problem: String| Problem::new(path, problem);
    let (_, read) = X509Certificate::from_der(der)
        .map_err(|error| problem(format!("its first certificate can't be read: {error}")))?;
    let validity = read.validity();
    let (begin, end) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    if end < now {
        return Err(problem(format!("the certificate expired on {}; renew it", day(end))));
    }
    if begin > now {
        return Err(problem(format!(
            "the certificate is not valid before {}; this machine's clock says {}",
            day(begin),
            day(now)
        )));
    }
    let usage = read.extended_key_usage().ok().flatten().map(|extension| extension.value);
    let (fits, whose) = match purpose {
        Purpose::Client => (usage.is_none_or(|usage| usage.any || usage.client_auth), "clients"),
        Purpose::Server => (usage.is_none_or(|usage| usage.any || usage.server_auth), "servers"),
    };
    if !fits {
        return Err(problem(format!("the certificate is not for {whose} (extended key usage)")));
    }
    Ok((names(&read), end))
}

/// A certificate's host names: those of the common name only where it has no alternative names
/// (RFC 6125, section 6.4.4).
fn names(read: &X509Certificate<'_>) -> Vec<String> {
    if let Ok(Some(alternative)) = read.subject_alternative_name() {
        let names = alternative.value.general_names.iter();
        let hosts = names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        return hosts.collect();
    }
    let common = read.subject().iter_common_name();
    common.filter_map(|name| name.as_str().ok()).map(str::to_ascii_lowercase).collect()
}

/// Says whose key it is, if it is that of another certificate in the file.
fn mismatch(pair: &Pair, certified: &CertifiedKey) -> Problem {
    let belongs_to = |at: &usize| {
        let other = certified.cert.get(*at..).unwrap_or_default().to_vec();
        CertifiedKey::new(other, Arc::clone(&certified.key)).keys_match().is_ok()
    };
    let cert = pair.cert.display();
    let problem = match (1..certified.cert.len()).find(belongs_to) {
        Some(at) => format!(
            "the private key belongs to certificate {} of {cert}; it has to be the first there",
            at + 1
        ),
        None => format!("the private key is not that of the certificate in {cert}"),
    };
    Problem::new(&pair.key, problem)
}
