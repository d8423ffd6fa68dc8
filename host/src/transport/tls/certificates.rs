//! The certificates that a service shows, picked by the name that a client asks for, and read anew
//! when their files change.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, crypto::aws_lc_rs};

use super::folder::{self, Stamp};
use super::pem::{Identity, Pair, Problem, Purpose, day};

/// How long what could not be used waits before it is tried again without having changed, in
/// seconds: a certificate that is valid only from then on, say.
const RETRY: i64 = 60;

/// Where certificates are.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// One, which is shown where no name fits.
    pub cert: Option<Pair>,
    /// Any number; without `cert` the first is shown where no name fits.
    pub folder: Option<PathBuf>,
}

/// Certificates by their names, which handshakes take from. What is in it changes as a whole.
#[derive(Debug, Default)]
pub struct Certificates {
    shown: RwLock<Arc<Shown>>,
}

/// One state of [`Certificates`].
#[derive(Debug, Default)]
struct Shown {
    /// By whole names, and by what follows `*.`; of each the strongest key first.
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    wildcard: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// The first, with those for the same names.
    default: Vec<Arc<CertifiedKey>>,
}

/// Files of certificates, and what was made of them.
#[derive(Debug)]
pub struct CertificateFiles {
    /// Whose they are, for the log.
    whose: String,
    sources: Sources,
    purpose: Purpose,
    /// In the order of `sources`: the one of `cert` first.
    known: BTreeMap<(Rank, Pair), Known>,
    /// The folder could not be listed, or has nothing any more.
    folder_problem: Option<Problem>,
    shown: Arc<Certificates>,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Rank {
    Cert,
    Folder,
}

type Stamps = [Option<Stamp>; 2];

/// A pair of files.
#[derive(Debug, Default)]
struct Known {
    /// How the files looked when they were read.
    read: Stamps,
    /// How they look now; read once they have looked so twice, so that half a file is not.
    seen: Stamps,
    /// What is shown of them: the last that was right.
    identity: Option<Identity>,
    /// Why what they have now is not shown, and when that was found.
    problem: Option<(Problem, i64)>,
    /// They were gone when they were last looked for.
    gone: bool,
    told_expired: bool,
}

impl Certificates {
    fn current(&self) -> Arc<Shown> {
        Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, shown: Shown) {
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shown);
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current().pick(hello.server_name(), hello.signature_schemes())
    }
}

impl ResolvesClientCert for Certificates {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.current().pick(None, schemes)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl Shown {
    fn new<'a>(identities: impl Iterator<Item = &'a Identity>) -> Self {
        let mut shown = Self::default();
        let mut first: Option<&Identity> = None;
        for identity in identities {
            for name in &identity.names {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(rest) => (&mut shown.wildcard, rest),
                    None => (&mut shown.exact, name.as_str()),
                };
                map.entry(name.to_owned()).or_default().push(Arc::clone(&identity.certified));
            }
            if first.is_none_or(|first| first.names == identity.names) {
                shown.default.push(Arc::clone(&identity.certified));
                first.get_or_insert(identity);
            }
        }
        let lists = shown.exact.values_mut().chain(shown.wildcard.values_mut());
        for list in lists.chain([&mut shown.default]) {
            list.sort_by_key(|certified| rank(certified));
        }
        shown
    }

    /// The certificate for a name (RFC 6066, section 3; RFC 6125, section 6.4.3: a wildcard is one
    /// label), with a key that can sign as the client wants it.
    fn pick(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let name = name.map(|name| name.trim_end_matches('.').to_ascii_lowercase());
        let exact = name.as_ref().and_then(|name| self.exact.get(name));
        let parent = name.as_ref().and_then(|name| name.split_once('.')).map(|(_, parent)| parent);
        let wildcard = parent.and_then(|parent| self.wildcard.get(parent));
        let can_sign = |it: &&Arc<CertifiedKey>| it.key.choose_scheme(schemes).is_some();
        let fitting = [exact, wildcard].into_iter().flatten().flatten();
        fitting.chain(&self.default).find(can_sign).map(Arc::clone)
    }
}

/// Which of several certificates for one name is shown to a client that takes all: signing with
/// ECDSA is many times as fast as with RSA, and more clients know it than Ed25519.
fn rank(certified: &CertifiedKey) -> usize {
    match certified.key.algorithm() {
        SignatureAlgorithm::ECDSA => 0,
        SignatureAlgorithm::ED25519 => 1,
        _ => 2,
    }
}

impl CertificateFiles {
    /// Reads all of them. `now` is in seconds by Unix's clock.
    ///
    /// # Errors
    /// For the first file that peers could not take, or where there is none.
    pub fn load(
        whose: &str,
        sources: Sources,
        purpose: Purpose,
        now: i64,
    ) -> Result<Self, Problem> {
        let (shown, known) = (Arc::default(), BTreeMap::new());
        let whose = whose.to_owned();
        let mut files = Self { whose, sources, purpose, known, folder_problem: None, shown };
        for at in files.listed()? {
            let read = stamps(&at.1);
            let identity = Some(files.read(&at.1, now)?);
            let known = Known { read, seen: read, identity, ..Known::default() };
            files.known.insert(at, known);
        }
        if let (true, Some(folder)) = (files.known.is_empty(), &files.sources.folder) {
            return Err(Problem::new(folder, EMPTY_FOLDER));
        }
        files.show();
        Ok(files)
    }

    /// What handshakes take from.
    pub fn certificates(&self) -> Arc<Certificates> {
        Arc::clone(&self.shown)
    }

    /// Reads what has changed. What is wrong is logged, once, and what was right before is shown
    /// further on.
    pub fn look(&mut self, now: i64) {
        let listed = match self.listed() {
            Ok(listed) if listed.is_empty() && !self.known.is_empty() => Err(Problem::new(
                self.sources.folder.as_deref().unwrap_or(Path::new("")),
                EMPTY_FOLDER,
            )),
            listed => listed,
        };
        let mut changes = Vec::new();
        match listed {
            Ok(listed) => {
                self.folder_problem = None;
                changes = self.forget_all_but(&listed);
                changes.extend(listed.iter().filter_map(|at| self.look_at(at, now)));
            }
            Err(problem) if self.folder_problem.as_ref() != Some(&problem) => {
                tracing::error!("{}: {problem}; its certificates stay as they were", self.whose);
                self.folder_problem = Some(problem);
            }
            Err(_) => {}
        }
        if !changes.is_empty() {
            self.show();
        }
        // Not before: who reads it may count on it.
        for change in changes {
            tracing::info!("{}: {change}", self.whose);
        }
        self.tell_expired(now);
    }

    fn listed(&self) -> Result<Vec<(Rank, Pair)>, Problem> {
        let folder = self.sources.folder.as_deref().map(folder::pairs).transpose()?;
        let own = self.sources.cert.iter().cloned().map(|pair| (Rank::Cert, pair));
        Ok(own.chain(folder.into_iter().flatten().map(|pair| (Rank::Folder, pair))).collect())
    }

    /// Drops what was not there twice, and says so of each.
    fn forget_all_but(&mut self, listed: &[(Rank, Pair)]) -> Vec<String> {
        let mut gone = Vec::new();
        self.known.retain(|at, known| {
            let was_gone = std::mem::replace(&mut known.gone, !listed.contains(at));
            let stays = !(known.gone && was_gone);
            if !stays {
                let cert = at.1.cert.display();
                gone.push(format!("{cert} is gone; its certificate is shown no more"));
            }
            stays
        });
        gone
    }

    /// What has changed, where there is something else to show.
    fn look_at(&mut self, at: &(Rank, Pair), now: i64) -> Option<String> {
        let looks = stamps(&at.1);
        let known = self.known.entry(at.clone()).or_default();
        let settled = std::mem::replace(&mut known.seen, looks) == looks;
        let retry = known.problem.as_ref().is_some_and(|(_, found)| found + RETRY <= now);
        if !settled || (known.read == looks && !retry) {
            return None;
        }
        known.read = looks;
        let read = self.read(&at.1, now);
        let known = self.known.get_mut(at)?;
        let (whose, cert) = (&self.whose, at.1.cert.display());
        match read {
            Ok(identity) => {
                let until = day(identity.not_after);
                known.identity = Some(identity);
                known.problem = None;
                known.told_expired = false;
                Some(format!("{cert} was read anew; it is valid until {until}"))
            }
            Err(problem) => {
                if known.problem.as_ref().is_none_or(|(before, _)| *before != problem) {
                    let stays = match known.identity {
                        Some(_) => "the certificate that was read before is shown further on",
                        None => "it is not shown",
                    };
                    tracing::error!("{whose}: {problem}; {stays}");
                }
                known.problem = Some((problem, now));
                None
            }
        }
    }

    fn tell_expired(&mut self, now: i64) {
        for (at, known) in &mut self.known {
            let Some(identity) = &known.identity else { continue };
            if identity.not_after < now && !known.told_expired {
                known.told_expired = true;
                let (whose, cert, day) =
                    (&self.whose, at.1.cert.display(), day(identity.not_after));
                tracing::error!("{whose}: {cert}: the certificate expired on {day}; renew it");
            }
        }
    }

    fn read(&self, pair: &Pair, now: i64) -> Result<Identity, Problem> {
        let identity = Identity::read(pair, self.purpose, now, &aws_lc_rs::default_provider())?;
        let mode = fs::metadata(&pair.key).map_or(0, |found| found.permissions().mode());
        if mode & 0o004 != 0 {
            let (whose, key) = (&self.whose, pair.key.display());
            tracing::warn!("{whose}: {key}: every user can read this private key; chmod o-r {key}");
        }
        Ok(identity)
    }

    fn show(&self) {
        let identities = self.known.values().filter_map(|known| known.identity.as_ref());
        self.shown.replace(Shown::new(identities));
    }
}

const EMPTY_FOLDER: &str = "has no certificate; it takes NAME.pem with the key in it, NAME.crt \
                            with NAME.key, or NAME/fullchain.pem with NAME/privkey.pem";

fn stamps(pair: &Pair) -> Stamps {
    [Stamp::of(&pair.cert), Stamp::of(&pair.key)]
}
