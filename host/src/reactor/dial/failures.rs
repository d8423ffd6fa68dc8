//! In which words a connection that a plugin asks for fails.

use std::io::{self, ErrorKind};

use crate::capability::Failure;
use crate::transport::client_endpoint::ClientEndpoint;
use crate::transport::connector::{ConnectFailure, ConnectFailureKind};

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
