//! Connections and listeners that a plugin asks for, by Twisted's endpoint strings.

use crate::bindings::torsade::plugin::{client_endpoints, server_endpoints};
use crate::deferred::Deferred;
use crate::types::{Address, Failure};

/// Connects to an endpoint: `tcp:HOST:PORT`, with `timeout=SECONDS` (30) and `bindAddress=IP`, or
/// `unix:PATH`. A plugin that calls it needs the grant `connect`, which names targets.
///
/// On success [`Plugin::build_protocol`](crate::Plugin::build_protocol) is called with
/// [`Origin::Dialled`](crate::Origin::Dialled) and the number of this deferred
/// ([`Deferred::number`]), and then the deferred fires. Cancelling or dropping it gives up what is
/// under way.
///
/// The deferred fails with [`INVALID`](crate::code::INVALID), [`DENIED`](crate::code::DENIED),
/// [`NOT_FOUND`](crate::code::NOT_FOUND), [`REFUSED`](crate::code::REFUSED),
/// [`TIMED_OUT`](crate::code::TIMED_OUT), [`UNREACHABLE`](crate::code::UNREACHABLE),
/// [`LIMIT`](crate::code::LIMIT) or [`IO`](crate::code::IO).
///
/// # Errors
/// [`LIMIT`](crate::code::LIMIT) where the service's `deferreds` are all in flight.
pub fn connect(endpoint: &str) -> Result<Deferred<()>, Failure> {
    Ok(Deferred::new(client_endpoints::connect(endpoint)?, client_endpoints::connected))
}

/// Listens on an endpoint at run time, as FTP's passive mode does: `tcp:PORT:interface=IP`,
/// `unix:PATH`; for port 0 the host picks one of the granted ports. A plugin that calls it needs
/// the grant `listen`, which names ranges.
///
/// For each connection [`Plugin::build_protocol`](crate::Plugin::build_protocol) is called with
/// [`Origin::Arrived`](crate::Origin::Arrived) and the number of this deferred.
///
/// The deferred fails with [`INVALID`](crate::code::INVALID), [`DENIED`](crate::code::DENIED),
/// [`IN_USE`](crate::code::IN_USE), [`LIMIT`](crate::code::LIMIT) or [`IO`](crate::code::IO).
///
/// # Errors
/// [`LIMIT`](crate::code::LIMIT) where the service's `deferreds` are all in flight.
pub fn listen(endpoint: &str) -> Result<Deferred<Listener>, Failure> {
    Ok(Deferred::new(server_endpoints::listen(endpoint)?, |outcome| {
        server_endpoints::listening(outcome).map(Listener)
    }))
}

/// A bound endpoint. Dropping it stops listening; connections that were accepted go on.
#[derive(Debug)]
pub struct Listener(server_endpoints::Listener);

impl Listener {
    /// Where it listens, with the port that was bound.
    pub fn address(&self) -> Address {
        self.0.address()
    }
}
