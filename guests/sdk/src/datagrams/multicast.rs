//! Groups of IP multicast.

use crate::datagram_bindings::torsade::plugin::datagrams::Socket;
use crate::datagram_bindings::torsade::plugin::multicast as host;
use crate::deferred::Deferred;
use crate::types::Failure;

pub use crate::datagram_bindings::torsade::plugin::multicast::Membership;

/// Which datagrams of a group are wanted: all, on the interface that the system picks, where
/// nothing else is said.
impl Membership {
    /// Those of a group: an IP address without brackets, of the socket's family.
    pub fn of(group: impl Into<String>) -> Self {
        Membership { group: group.into(), interface: None, source: None }
    }

    /// On an interface, by its name.
    #[must_use]
    pub fn on(self, interface: impl Into<String>) -> Self {
        Membership { interface: Some(interface.into()), ..self }
    }

    /// From one source alone (RFC 4607).
    #[must_use]
    pub fn from_source(self, source: impl Into<String>) -> Self {
        Membership { source: Some(source.into()), ..self }
    }
}

#[track_caller]
pub(super) fn join(socket: &Socket, membership: &Membership) -> Result<Deferred<()>, Failure> {
    Ok(Deferred::new(host::join(socket, membership)?, host::joined))
}

pub(super) fn leave(socket: &Socket, membership: &Membership) {
    host::leave(socket, membership);
}
