//! The loads: this program on the other core, one thread each, bounded in time by itself.

pub(crate) mod connect;
pub(crate) mod datagrams;
mod dial;
pub(crate) mod echo;
pub(crate) mod handshakes;
pub(crate) mod http;
pub(crate) mod idle;
mod report;
pub(crate) mod slow;
pub(crate) mod tls;

pub(crate) use dial::dial;
pub(crate) use report::Report;

/// What a load prints when its warm-up is over and measuring begins.
pub(crate) const GO: &str = "go";
/// What a load prints at its end that has nothing to report.
pub(crate) const DONE: &str = "done";
