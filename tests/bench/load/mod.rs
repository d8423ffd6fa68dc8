//! The loads: this program on the other core, one thread each, bounded in time by itself.

pub(crate) mod channel;
pub(crate) mod connect;
pub(crate) mod datagrams;
pub(crate) mod echo;
pub(crate) mod handshakes;
pub(crate) mod idle;
pub(crate) mod members;
mod report;
pub(crate) mod slow;
pub(crate) mod tenth;

pub(crate) use report::Report;

use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use anyhow::Result;

/// What a load prints when its warm-up is over and measuring begins.
pub(crate) const GO: &str = "go";
/// What a load prints at its end that has nothing to report.
pub(crate) const DONE: &str = "done";

/// The `nth` connection to a port of 127.0.0.1, from one of many addresses.
pub(crate) fn dial(port: u16, nth: usize) -> Result<TcpStream> {
    torsade_tests::dial::dial(address(port), nth)
}

/// A port of 127.0.0.1.
pub(crate) fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
