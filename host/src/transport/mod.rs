//! What carries bytes: endpoints, listeners, streams. No wasm, no protocol.

pub mod endpoint;
pub(crate) mod listener;
pub(crate) mod queue;
pub(crate) mod stream;
