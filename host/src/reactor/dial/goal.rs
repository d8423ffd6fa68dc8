//! Where a connection that a plugin asks for leads, and in which words it fails.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use crate::capability::Failure;
use crate::net::Address;
use crate::transport::client_endpoint::{ClientEndpoint, Target};
use crate::transport::connector::{ConnectFailure, ConnectFailureKind};
use crate::transport::target::Target as Granted;

/// Where an endpoint leads, as far as the service grants it.
pub(super) enum Goal {
    /// To an address.
    There(SocketAddr),
    /// To a host, which has to be looked up.
    Host { name: String, covered: bool },
    /// To a Unix socket.
    Socket(Address),
}

/// `None` where the grants don't cover the endpoint.
pub(super) fn goal(endpoint: &ClientEndpoint, granted: &[Granted]) -> Option<Goal> {
    let carries = endpoint.carries();
    match endpoint {
        ClientEndpoint::Tcp { target: Target::Address(to), .. }
        | ClientEndpoint::Udp { target: Target::Address(to), .. } => {
            let allows = |target: &Granted| target.allows_address(carries, to.ip(), to.port());
            granted.iter().any(allows).then_some(Goal::There(*to))
        }
        ClientEndpoint::Tcp { target: Target::Name { host, port }, .. }
        | ClientEndpoint::Udp { target: Target::Name { host, port }, .. } => {
            let covered = granted.iter().any(|target| target.allows_name(carries, host, *port));
            let may_lead = granted.iter().any(|target| target.allows_addresses_at(carries, *port));
            (covered || may_lead).then(|| Goal::Host { name: host.clone(), covered })
        }
        ClientEndpoint::Unix { name, .. } | ClientEndpoint::UnixDatagram { name } => {
            let opened = granted.iter().find_map(|target| target.unix(carries, name))?;
            opened.address().map(Goal::Socket)
        }
    }
}

/// The failure of all attempts.
pub(super) fn not_connected(endpoint: &ClientEndpoint, failure: &ConnectFailure) -> Failure {
    Failure::new(code(failure.kind), format!("{endpoint}: {}", failure.message))
}

/// The failure of the one attempt at a Unix socket.
pub(super) fn refused(endpoint: &ClientEndpoint, error: &io::Error) -> Failure {
    let code = match error.kind() {
        ErrorKind::NotFound => "not-found",
        _ => code(ConnectFailureKind::of(error)),
    };
    Failure::new(code, format!("{endpoint}: {error}"))
}

fn code(kind: ConnectFailureKind) -> &'static str {
    match kind {
        ConnectFailureKind::Refused => "refused",
        ConnectFailureKind::TimedOut => "timed-out",
        ConnectFailureKind::Other => "io",
        ConnectFailureKind::Unreachable => "unreachable",
    }
}
