//! TLS under a connection, by rustls. Knows no wasm.

mod settings;

pub use settings::TlsSettings;
