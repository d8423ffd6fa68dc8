//! A client that speaks TLS, for the loads that wrk is not.

use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A connection that is encrypted.
pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// What trusts the certificate in a PEM file.
pub fn trusting(authority: &Path) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    let cert = CertificateDer::from_pem_file(authority);
    roots.add(cert.with_context(|| format!("{} can't be read", authority.display()))?)?;
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::new(config))
}

/// Begins TLS on a connection to 127.0.0.1; the handshake comes with the first bytes.
pub fn begin(config: &Arc<ClientConfig>, stream: TcpStream) -> Result<TlsStream> {
    let side = ClientConnection::new(Arc::clone(config), ServerName::try_from("127.0.0.1")?)?;
    Ok(StreamOwned::new(side, stream))
}
