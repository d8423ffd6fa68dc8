//! Services on the local network: a responder and a browser of mDNS (RFC 6762) and DNS-SD
//! (RFC 6763).
//!
//! [`Discovery`] is both as a value: it knows no socket, no clock and no chance but what it is
//! given. `component.rs` joins it to the host.
#![forbid(unsafe_code)]

mod browser;
mod cache;
mod chance;
mod claim;
mod component;
mod config;
mod discovery;
mod lines;
mod message;
mod names;
mod responder;

pub use browser::{Event, Found};
pub use config::{Announce, Bound, Settings, Setup};
pub use discovery::{Discovery, To};
pub use lines::answer;
pub use names::ServiceType;

#[cfg(test)]
mod tests;
