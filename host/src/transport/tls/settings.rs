//! What the connections of a service encrypt with: made from the configuration before it is served.

use std::sync::Arc;

use rustls::{ClientConfig, ServerConfig};

/// What the connections of a service encrypt with.
#[derive(Clone, Debug, Default)]
pub struct TlsSettings {
    /// Of each endpoint, by its place in `listen`; `None` where it is plain.
    pub endpoints: Vec<Option<Arc<ServerConfig>>>,
    /// Of a server's side of STARTTLS: the service's own certificates; `None` where it has none.
    pub server: Option<Arc<ServerConfig>>,
    /// Of a client's side; `None` where the service may connect nowhere.
    pub client: Option<Arc<ClientConfig>>,
}
