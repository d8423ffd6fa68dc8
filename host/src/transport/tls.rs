//! TLS under a connection, by rustls. Knows no wasm.

pub mod names;
mod settings;

pub use settings::TlsSettings;
