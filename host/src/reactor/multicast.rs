//! What a plugin wants set on a socket for datagrams, and the groups that it joins.

use std::io::ErrorKind;
use std::mem::{discriminant, take};
use std::net::IpAddr;

use super::datagram::{SocketId, of_life};
use super::life::{Behind, Life};
use super::{Answer, Reactor};
use crate::arena::Id;
use crate::capability::datagrams::{Membership as Wanted, SocketOption};
use crate::capability::{Failure, Outcome};
use crate::net::Net;
use crate::net::datagram::{DatagramOption, Membership};
use crate::plugin::Origin;
use crate::pool::Pool;
use crate::transport::endpoint::Endpoint;

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// Sets a property of a socket.
    pub(super) fn set_socket(&mut self, life: Id<Life>, id: u64, option: SocketOption) {
        let Some(socket) = of_life(&mut self.sockets.all, life, id) else { return };
        let option = match option {
            SocketOption::Broadcast(on) => DatagramOption::Broadcast(on),
            SocketOption::MulticastInterface(name) => {
                DatagramOption::MulticastInterface(Some(name))
            }
            SocketOption::MulticastLoopback(on) => DatagramOption::MulticastLoopback(on),
            SocketOption::MulticastTtl(hops) => DatagramOption::MulticastTtl(hops),
        };
        let is_same = |other: &DatagramOption| discriminant(other) == discriminant(&option);
        if !socket.options.iter().any(is_same) {
            socket.options.push(option.clone());
        }
        if let Err(e) = self.net.set_datagrams(&mut socket.io, &option) {
            let service = &mut self.services[socket.service];
            if let Some(count) = service.unset.happened(1, self.told) {
                let name = &*service.settings.name;
                tracing::warn!(
                    service = name,
                    "can't set {option:?} of a socket: {e}; it has failed {count} times"
                );
            }
        }
    }

    /// Undoes what a life has set of a socket that outlives it, and joined by it: the next gets it as
    /// a new one.
    pub(super) fn undo_options(&mut self, id: SocketId<N::Datagrams>) {
        let Some(socket) = self.sockets.all.get_mut(id) else { return };
        let settings = &self.services[socket.service].settings;
        let name = &*settings.name;
        let place = match socket.origin {
            Origin::Accepted(endpoint) => {
                settings.endpoints.get(endpoint as usize).and_then(Endpoint::place)
            }
            Origin::Arrived(_) | Origin::Dialled(_) => None,
        };
        for option in take(&mut socket.options) {
            let option = option.initial(place.as_ref());
            if let Err(e) = self.net.set_datagrams(&mut socket.io, &option) {
                tracing::debug!(service = name, "can't set {option:?} of a socket: {e}");
            }
        }
        for group in take(&mut socket.groups) {
            if let Err(e) = self.net.leave(&mut socket.io, &group) {
                tracing::debug!(service = name, "can't leave the group {}: {e}", group.group);
            }
        }
    }

    /// Joins a group for a life, and answers in this turn.
    pub(super) fn join_group(
        &mut self,
        life_id: Id<Life>,
        id: u64,
        socket: u64,
        wanted: Box<Wanted>,
    ) {
        if self.asked(life_id, id, Behind::Answer) {
            let outcome = match self.join_for(life_id, socket, &wanted) {
                Ok(()) => Outcome::Joined { socket, membership: wanted },
                Err(failure) => Outcome::Failed(failure),
            };
            self.fire((life_id, id), outcome);
        }
    }

    fn join_for(&mut self, life: Id<Life>, id: u64, wanted: &Wanted) -> Result<(), Failure> {
        let Some(socket) = of_life(&mut self.sockets.all, life, id) else {
            return Err(Failure::new("closed", "the socket is closed, or closing"));
        };
        let membership = membership(wanted)?;
        let group = membership.group;
        let service = &mut self.services[socket.service];
        service.granted(service.settings.grants.join(group), self.told)?;
        let settings = &service.settings;
        if socket.groups.contains(&membership) {
            return Err(Failure::new("in-use", format!("{group} is joined already")));
        }
        if socket.groups.len() >= settings.groups {
            let most = settings.groups;
            return Err(Failure::limit("groups", format_args!("{most} are joined")));
        }
        self.net.join(&mut socket.io, &membership).map_err(|e| {
            let code = match e.kind() {
                ErrorKind::AddrInUse => "in-use",
                ErrorKind::InvalidInput => "invalid",
                ErrorKind::Unsupported => "unsupported",
                _ => "io",
            };
            Failure::new(code, format!("{group}: {e}"))
        })?;
        socket.groups.push(membership);
        Ok(())
    }

    /// Leaves a group that was joined so.
    pub(super) fn leave_group(&mut self, life: Id<Life>, id: u64, wanted: &Wanted) {
        let Some(socket) = of_life(&mut self.sockets.all, life, id) else { return };
        let Ok(membership) = membership(wanted) else { return };
        let Some(place) = socket.groups.iter().position(|joined| *joined == membership) else {
            return;
        };
        socket.groups.swap_remove(place);
        if let Err(e) = self.net.leave(&mut socket.io, &membership) {
            let name = &*self.services[socket.service].settings.name;
            tracing::warn!(service = name, "can't leave the group {}: {e}", membership.group);
        }
    }
}

/// Reads a plugin's words.
fn membership(wanted: &Wanted) -> Result<Membership, Failure> {
    let ip = |what: &str, text: &str| {
        text.parse::<IpAddr>().map_err(|_| {
            let message = format!("{what} {text:?} is not an IP address, such as 224.0.0.251");
            Failure::new("invalid", message)
        })
    };
    let group = ip("group", &wanted.group)?;
    let source = wanted.source.as_deref().map(|source| ip("source", source)).transpose()?;
    if !group.is_multicast() || source.is_some_and(|source| source.is_ipv4() != group.is_ipv4()) {
        let message = format!("{group} is no group, or its source is of another family");
        return Err(Failure::new("invalid", message));
    }
    Ok(Membership { group, interface: wanted.interface.as_deref().map(Into::into), source })
}
