//! What carries bytes: endpoints, listeners, streams. No wasm, no protocol.

pub mod client_endpoint;
pub mod connector;
pub mod endpoint;
pub(crate) mod listener;
mod pieces;
pub(crate) mod queue;
pub(crate) mod stream;
mod unix_name;
