//! What a service encrypts with: its certificates, whom it trusts, what it speaks.

use std::fs;
use std::net::IpAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::transport::client_endpoint::{ALPN_MAX, ALPN_NAME_MAX};
use crate::transport::endpoint::{Endpoint, Identity};
use crate::transport::tls::issue::is_host_name;
use crate::transport::tls::pem::Pair;
use crate::transport::tls::settings::MinVersion;

use super::error::{Mistake, Mistakes};
use super::field::{Field, Section};
use super::service::{path, unreadable};

/// The most names that a certificate which signs itself may have.
pub(super) const NAMES_MAX: usize = 64;

/// What `clients` may be: whether they have to show a certificate, if they are asked for one.
pub(super) const CLIENTS: [(&str, Option<bool>); 3] =
    [("none", None), ("optional", Some(false)), ("required", Some(true))];

/// What `min-version` may be.
pub(super) const MIN_VERSIONS: [(&str, MinVersion); 2] =
    [("1.2", MinVersion::Tls12), ("1.3", MinVersion::Tls13)];

/// A service's `tls` table; [`explain`](super::explain) says what each key of it means.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tls {
    /// `cert` and `key`.
    pub cert: Option<Pair>,
    /// `folder`.
    pub folder: Option<PathBuf>,
    /// `self-signed`; empty without the key.
    pub self_signed: Vec<String>,
    /// `clients` and `client-ca`; `None` asks clients for no certificate.
    pub clients: Option<Clients>,
    /// `alpn`; empty for no ALPN.
    pub alpn: Vec<String>,
    /// `min-version`.
    pub min_version: MinVersion,
    /// `trust`; `None` for whom the system trusts.
    pub trust: Option<PathBuf>,
    /// `client-cert` and `client-key`.
    pub client_cert: Option<Pair>,
}

/// Which clients' certificates are asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Clients {
    /// `client-ca`: a PEM file of those who sign them.
    pub ca: PathBuf,
    /// Whether a client without one is turned away.
    pub required: bool,
}

impl Tls {
    /// Whether it has a certificate for a server's side.
    pub fn has_certificate(&self) -> bool {
        self.cert.is_some() || self.folder.is_some() || !self.self_signed.is_empty()
    }

    /// Reads the table; relative paths are taken to be below `folder`.
    pub(super) fn read(field: &Field<'_>, folder: &Path, mistakes: &mut Mistakes) -> Self {
        let Some(mut section) = mistakes.keep(field.table()) else { return Self::default() };
        let tls = Self {
            cert: pair(&mut section, ["cert", "key"], field, folder, mistakes),
            folder: section
                .field("folder")
                .and_then(|field| mistakes.keep(existing(&field, folder, Kind::Folder))),
            self_signed: section
                .field("self-signed")
                .map(|field| self_signed(&field, mistakes))
                .unwrap_or_default(),
            clients: clients(&mut section, field, folder, mistakes),
            alpn: section.field("alpn").map(|field| alpn(&field, mistakes)).unwrap_or_default(),
            min_version: section
                .field("min-version")
                .and_then(|field| mistakes.keep(field.one_of(&MIN_VERSIONS)))
                .unwrap_or_default(),
            trust: section
                .field("trust")
                .and_then(|field| mistakes.keep(existing(&field, folder, Kind::File))),
            client_cert: pair(&mut section, ["client-cert", "client-key"], field, folder, mistakes),
        };
        section.finish(mistakes);
        if let (Some(field), true) =
            (field.below("self-signed"), tls.cert.is_some() || tls.folder.is_some())
        {
            mistakes.push(field.mistake("is for a service without cert and folder"));
        }
        tls
    }
}

/// Whether a `tls` table has a certificate for a server's side, be it a right one or not.
pub(super) fn names_a_certificate(field: &Field<'_>) -> bool {
    ["cert", "folder", "self-signed"].into_iter().any(|key| field.below(key).is_some())
}

/// Writes down which endpoints have no certificate to show, and which name a file that isn't there.
/// `shows` says whether the service's table has a certificate.
pub(super) fn check_endpoints(
    service: &str,
    shows: bool,
    listen: &[Endpoint],
    places: &[Range<usize>],
    mistakes: &mut Mistakes,
) {
    let key = format!("service.{service}.listen");
    for (endpoint, place) in listen.iter().zip(places) {
        let Some(Identity { cert, key: private }) = &endpoint.tls else { continue };
        if cert.is_none() && !shows {
            let problem = format!(
                "{endpoint}: the service has no certificate to show; write {endpoint}:cert=FILE, \
                 or [service.{service}.tls] and below it cert = \"FILE\", or for development \
                 self-signed = [\"localhost\"]"
            );
            mistakes.add(&key, place.clone(), problem);
        }
        for path in [cert, private].into_iter().flatten() {
            if let Err(error) = fs::File::open(path) {
                mistakes.add(&key, place.clone(), unreadable(path, &error));
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    File,
    Folder,
}

/// A file or a folder that this user can read.
fn existing(field: &Field<'_>, folder: &Path, kind: Kind) -> Result<PathBuf, Mistake> {
    let (wanted, what) = match kind {
        Kind::File => ("the path of a PEM file", "a file"),
        Kind::Folder => ("the path of a folder", "a folder"),
    };
    let path = path(field, folder, wanted)?;
    let cannot = |error| field.mistake(unreadable(&path, &error));
    let found = fs::metadata(&path).map_err(cannot)?;
    let fits = match kind {
        Kind::File => found.is_file() && fs::File::open(&path).map_err(cannot).map(|_| true)?,
        Kind::Folder => found.is_dir() && fs::read_dir(&path).map_err(cannot).map(|_| true)?,
    };
    match fits {
        true => Ok(path),
        false => Err(field.mistake(format!("{} is not {what}", path.display()))),
    }
}

/// A certificate and its key; without the second key of the table both are in one file.
fn pair(
    section: &mut Section<'_>,
    [cert, key]: [&'static str; 2],
    field: &Field<'_>,
    folder: &Path,
    mistakes: &mut Mistakes,
) -> Option<Pair> {
    let mut file =
        |name| section.field(name).map(|field| mistakes.keep(existing(&field, folder, Kind::File)));
    match (file(cert), file(key)) {
        (Some(cert), None) => cert.map(|cert| Pair { key: cert.clone(), cert }),
        (Some(cert), Some(key)) => Some(Pair { cert: cert?, key: key? }),
        (None, Some(_)) => {
            let field = field.below(key).unwrap_or(field.clone());
            mistakes.push(field.mistake(format!("is given without {cert}, whose key it is")));
            None
        }
        (None, None) => None,
    }
}

fn clients(
    section: &mut Section<'_>,
    field: &Field<'_>,
    folder: &Path,
    mistakes: &mut Mistakes,
) -> Option<Clients> {
    let wanted = section.field("clients").and_then(|field| mistakes.keep(field.one_of(&CLIENTS)));
    let ca =
        section.field("client-ca").map(|field| mistakes.keep(existing(&field, folder, Kind::File)));
    match (wanted.flatten(), ca) {
        (Some(required), Some(ca)) => Some(Clients { ca: ca?, required }),
        (Some(_), None) => {
            let field = field.below("clients").unwrap_or(field.clone());
            mistakes.push(field.mistake(
                "needs client-ca = \"FILE\", the certificates of those who sign clients'",
            ));
            None
        }
        (None, Some(_)) if field.below("clients").is_none() => {
            let field = field.below("client-ca").unwrap_or(field.clone());
            mistakes.push(field.mistake("needs clients = \"required\" or \"optional\""));
            None
        }
        (None, _) => None,
    }
}

fn alpn(field: &Field<'_>, mistakes: &mut Mistakes) -> Vec<String> {
    const WANTED: &str = "a list of protocols, such as [\"h2\", \"http/1.1\"]";
    let protocol = |field: &Field<'_>| match field.string("a protocol, such as \"h2\"")? {
        name if (1..=ALPN_NAME_MAX).contains(&name.len()) => Ok(name.to_owned()),
        _ => Err(field.mistake(format!("must be 1 to {ALPN_NAME_MAX} bytes long"))),
    };
    strings(field, WANTED, ALPN_MAX, protocol, mistakes)
}

fn self_signed(field: &Field<'_>, mistakes: &mut Mistakes) -> Vec<String> {
    const WANTED: &str = "a list of names, such as [\"localhost\", \"127.0.0.1\"]";
    let name = |field: &Field<'_>| match field.string("a name, such as \"localhost\"")? {
        name if is_host_name(name) || name.parse::<IpAddr>().is_ok() => Ok(name.to_owned()),
        name => Err(field.mistake(format!("{name:?} is neither a host name nor an IP address"))),
    };
    let before = mistakes.is_empty();
    let names = strings(field, WANTED, NAMES_MAX, name, mistakes);
    if names.is_empty() && before && mistakes.is_empty() {
        mistakes.push(field.mistake(format!("is empty; it must be {WANTED}")));
    }
    names
}

fn strings(
    field: &Field<'_>,
    wanted: &str,
    most: usize,
    read: impl Fn(&Field<'_>) -> Result<String, Mistake>,
    mistakes: &mut Mistakes,
) -> Vec<String> {
    let items = mistakes.keep(field.list(wanted)).unwrap_or_default();
    if items.len() > most {
        mistakes.push(field.mistake(format!("has more than {most} entries")));
        return Vec::new();
    }
    items.iter().filter_map(|item| mistakes.keep(read(item))).collect()
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
