//! The room that the system leaves: before a wall of it is hit, what would take more waits, or is
//! refused, and the log says which wall it is.

use super::{Answer, Reactor};
use crate::capability::Failure;
use crate::net::Net;
use crate::plugin::Origin;
use crate::pool::Pool;
use crate::walls::{Claim, Full, Room, Sandbox};

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// Has it take no more than this, which it shares with other reactors of the process. Without
    /// it there are no walls.
    pub fn share(&mut self, room: Room) {
        self.room = room;
    }

    /// The room for a connection that waits in a backlog. `None` where there is none, or none for
    /// the sandbox that it will want.
    pub(super) fn room_for_conn(&self, service: usize, origin: Origin) -> Option<Claim> {
        let settings = &self.services[service].settings;
        let wants = settings.per_connection && matches!(origin, Origin::Accepted(_));
        let sandbox = match wants {
            true => self.room.has_sandbox(self.sandbox(service), self.told),
            false => Ok(()),
        };
        match sandbox.and_then(|()| self.room.take_descriptor(self.told)) {
            Ok(claim) => Some(claim),
            Err(full) => {
                self.tell_full(service, full, "new connections wait");
                None
            }
        }
    }

    /// The room for a sandbox.
    pub(super) fn room_for_life(&self, service: usize) -> Option<Claim> {
        match self.room.take_sandbox(self.sandbox(service), self.told) {
            Ok(claim) => Some(claim),
            Err(full) => {
                self.tell_full(service, full, "no sandbox is made");
                None
            }
        }
    }

    /// The room for a socket that a plugin asks for.
    pub(super) fn room_for_socket(&self) -> Result<Claim, Failure> {
        let full = |full| Failure::new("limit", self.room.explain(full));
        self.room.take_descriptor(self.told).map_err(full)
    }

    /// Tells the log of a wall, once in a while.
    pub(super) fn tell_full(&self, service: usize, full: Full, what: &str) {
        if let Some(words) = self.room.tell(full, self.told) {
            let name = &*self.services[service].settings.name;
            tracing::warn!(service = name, "{what}: {words}");
        }
    }

    fn sandbox(&self, service: usize) -> Sandbox {
        match self.services[service].settings.plugin.is_pooled() {
            true => Sandbox::Pooled,
            false => Sandbox::OnDemand,
        }
    }
}
