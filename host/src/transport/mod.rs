//! What carries bytes: endpoints, listeners, streams. No wasm, no protocol.

pub mod client_endpoint;
pub mod connector;
pub mod endpoint;
pub mod inherited;
pub(crate) mod listener;
pub mod peers;
mod pieces;
pub mod proxy;
pub(crate) mod queue;
pub mod range;
pub(crate) mod stream;
pub mod target;
pub mod tls;
mod unix_name;
