//! What the connections of a service encrypt with: made from the configuration before it is served.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::UnixTime;
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, Error, RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::certificates::Certificates;
use super::resumption::Resumption;
use super::trust::ClientTrust;

/// How many servers a service remembers sessions with, to resume them.
pub const SERVERS_MAX: usize = 256;

/// What the connections of a service encrypt with.
#[derive(Clone, Debug, Default)]
pub struct TlsSettings {
    /// Of each endpoint, by its place in `listen`; `None` where it is plain.
    pub endpoints: Vec<Option<Arc<ServerConfig>>>,
    /// Of a server's side of STARTTLS: the service's own certificates; `None` where it has none.
    pub server: Option<Arc<ServerConfig>>,
    /// Of a client's side; `None` where the service may connect nowhere
    /// and doesn't say whom to trust.
    pub client: Option<Arc<ClientConfig>>,
}

/// The oldest version of TLS that is spoken. None is older than these.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum MinVersion {
    /// TLS 1.2 (RFC 5246).
    #[default]
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

impl MinVersion {
    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        match self {
            Self::Tls12 => &BOTH,
            Self::Tls13 => &BOTH[..1],
        }
    }
}

/// What a server's side is made of.
#[derive(Clone, Debug)]
pub struct ServerSide {
    /// What it shows.
    pub certificates: Arc<Certificates>,
    /// Who signs clients' certificates; `None` asks clients for none.
    pub clients: Option<Arc<ClientTrust>>,
    /// Sessions, which only configurations with the same `clients` may share.
    pub sessions: Arc<Resumption>,
    /// The protocols for ALPN, the best first; empty for no ALPN.
    pub alpn: Vec<String>,
    /// The oldest version.
    pub min_version: MinVersion,
}

/// What a client's side is made of.
#[derive(Clone, Debug)]
pub struct ClientSide {
    /// What it shows where it's asked to.
    pub certificates: Option<Arc<Certificates>>,
    /// Who signs servers' certificates.
    pub roots: Arc<RootCertStore>,
    /// The oldest version.
    pub min_version: MinVersion,
}

/// A server's configuration: rustls' suites and groups, no data before the handshake is over.
///
/// # Errors
/// Never with the provider that this is built with.
pub fn server(side: ServerSide) -> Result<Arc<ServerConfig>, Error> {
    let verifier = match side.clients {
        Some(clients) => clients,
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(side.min_version.versions())?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(side.certificates);
    config.session_storage = Arc::clone(&side.sessions) as _;
    config.ticketer = side.sessions;
    config.alpn_protocols = side.alpn.into_iter().map(String::into_bytes).collect();
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// A client's configuration. Servers' certificates and their names are always checked.
///
/// # Errors
/// Never with the provider that this is built with.
pub fn client(side: ClientSide) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(side.min_version.versions())?
        .with_root_certificates(side.roots);
    let mut config = match side.certificates {
        Some(certificates) => builder.with_client_cert_resolver(certificates),
        None => builder.with_no_client_auth(),
    };
    config.resumption = rustls::client::Resumption::in_memory_sessions(SERVERS_MAX);
    config.enable_early_data = false;
    Ok(Arc::new(config))
}

/// The time by which certificates are judged: seconds by Unix's clock.
pub fn now() -> i64 {
    i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX)
}
