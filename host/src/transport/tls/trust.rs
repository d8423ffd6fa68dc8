//! Whom a service trusts: the signers of clients' certificates, read anew when their file changes,
//! and the roots that servers' certificates lead to.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use super::folder::Stamp;
use super::pem::{self, Problem};
use super::resumption::Resumption;

/// Checks clients' certificates by what a file has at the time.
#[derive(Debug)]
pub struct ClientTrust {
    verifier: RwLock<Arc<dyn ClientCertVerifier>>,
}

/// The file of a [`ClientTrust`].
#[derive(Debug)]
pub struct ClientTrustFile {
    /// Whose it is, for the log.
    whose: String,
    path: PathBuf,
    required: bool,
    read: Option<Stamp>,
    seen: Option<Stamp>,
    trust: Arc<ClientTrust>,
}

impl ClientTrust {
    fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.verifier.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientTrustFile {
    /// Reads the certificates of those who sign clients' certificates. Without `required` a client
    /// may show none.
    ///
    /// # Errors
    /// Where the file has nothing that could be trusted.
    pub fn load(whose: &str, path: &Path, required: bool) -> Result<Self, Problem> {
        let read = Stamp::of(path);
        let verifier = RwLock::new(verifier(path, required)?);
        let trust = Arc::new(ClientTrust { verifier });
        let whose = whose.to_owned();
        Ok(Self { whose, path: path.to_owned(), required, read, seen: read, trust })
    }

    /// What handshakes ask.
    pub fn trust(&self) -> Arc<ClientTrust> {
        Arc::clone(&self.trust)
    }

    /// Reads the file if it has changed; sessions of before are then not resumed, since that would
    /// let clients in without a check. What is wrong is logged, once, and the old is used on.
    pub fn look(&mut self, sessions: &Resumption) {
        let looks = Stamp::of(&self.path);
        let settled = std::mem::replace(&mut self.seen, looks) == looks;
        if !settled || self.read == looks {
            return;
        }
        self.read = looks;
        let whose = &self.whose;
        match verifier(&self.path, self.required) {
            Ok(verifier) => {
                *self.trust.verifier.write().unwrap_or_else(PoisonError::into_inner) = verifier;
                sessions.renew();
                tracing::info!("{whose}: {} was read anew", self.path.display());
            }
            Err(problem) => tracing::error!("{whose}: {problem}; what was read before is used on"),
        }
    }
}

fn verifier(path: &Path, required: bool) -> Result<Arc<dyn ClientCertVerifier>, Problem> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let roots = Arc::new(pem::roots(path)?);
    let builder = WebPkiClientVerifier::builder_with_provider(roots, provider);
    let builder = if required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| Problem::new(path, format!("can't be used: {error}")))
}

impl ClientCertVerifier for ClientTrust {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        self.verifier().client_auth_mandatory()
    }

    /// None: they could not change with the file. A client that is told none shows what it has
    /// (RFC 8446, section 4.2.4).
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verifier().verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier().verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier().verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier().supported_verify_schemes()
    }
}

/// The roots that a file has.
///
/// # Errors
/// Where it has none that could be trusted.
pub fn roots(path: &Path) -> Result<Arc<RootCertStore>, Problem> {
    pem::roots(path).map(Arc::new)
}

/// The roots that this system trusts. What can't be read of them is logged; without any, no server
/// is trusted.
pub fn system_roots() -> Arc<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!("the system's certificates: {error}");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!(
            "this system has no certificates to trust, so no TLS connection can be made; install \
             the package ca-certificates, or give trust = \"FILE\" in a service's tls table"
        );
    }
    Arc::new(roots)
}
