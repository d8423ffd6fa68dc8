//! The protocols of sockets: built by the plugin, told of the end, and lost with their life.

use super::{End, SocketId, number, socket_of};
use crate::arena::Id;
use crate::capability::{Failure, Outcome};
use crate::net::Net;
use crate::plugin::{DatagramProtocol, Origin, SocketFacts};
use crate::pool::Pool;
use crate::reactor::conn::address;
use crate::reactor::correspondents::Correspondents;
use crate::reactor::life::Life;
use crate::reactor::seen::Seen;
use crate::reactor::{Answer, Reactor};

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// Asks the plugin for the protocol of a socket.
    pub(super) fn build_socket(&mut self, id: SocketId<N::Datagrams>) {
        let Some(socket) = self.sockets.all.get_mut(id) else { return };
        let (service, origin) = (socket.service, socket.origin);
        if socket.life.is_none() {
            let Some(life) = self.shared_life(service) else { return self.discard(id) };
            self.give_socket(id, life);
        }
        let Some(socket) = self.sockets.all.get_mut(id) else { return };
        let Some(life_id) = socket.life else { return };
        let Some(life) = self.lives.get_mut(life_id) else { return };
        if life.starting.is_some() && matches!(origin, Origin::Accepted(_)) {
            // It is built once the life has started.
            return;
        }
        let facts = SocketFacts {
            socket: number(id),
            local: address(&socket.local),
            peer: socket.peer.as_ref().map(address),
        };
        let local = socket.local.clone();
        let built = life.instance.build_datagram_protocol(facts, origin, &mut self.outbox);
        self.see(|| Seen::SocketBuilt { socket: number(id), life: life_id.to_u64() });
        let Some(protocol) = self.after(life_id, None, built) else { return self.discard(id) };
        let Some(socket) = self.sockets.all.get_mut(id) else { return };
        socket.protocol = protocol;
        match (protocol, origin) {
            (None, Origin::Accepted(_)) => {
                let name = &*self.services[service].settings.name;
                tracing::warn!(service = name, "the plugin refused {local}, which is closed");
            }
            (None, Origin::Arrived(waiter) | Origin::Dialled(waiter)) => {
                let message = "the plugin refused the socket in `build-datagram-protocol`";
                let refused = Outcome::Failed(Failure::new("refused", message));
                self.fire((life_id, waiter), refused);
            }
            (Some(_), Origin::Accepted(_)) => {}
            (Some(_), Origin::Dialled(waiter)) => {
                self.fire((life_id, waiter), Outcome::Connected { conn: number(id) });
            }
            (Some(_), Origin::Arrived(waiter)) => {
                let address = address(&local);
                let listening = Outcome::Listening { listener: number(id), address };
                self.fire((life_id, waiter), listening);
            }
        }
        if protocol.is_none() {
            self.end_socket(id, End::Refused);
        } else {
            // No edge will come for what is there already.
            self.receive_again(id);
        }
    }

    /// Closes a socket, of which its protocol hears.
    pub(super) fn finish_socket(&mut self, id: SocketId<N::Datagrams>) {
        let Some(socket) = self.sockets.all.get_mut(id) else { return };
        let Some(end) = socket.ended.take() else { return };
        // Nobody can act on it any more, not even in its last event.
        let Some(socket) = self.sockets.all.remove(id) else { return };
        self.net.close_datagrams(socket.io);
        let (code, message) = reason(&end);
        if let End::Lost(e) = &end {
            let name = &*self.services[socket.service].settings.name;
            tracing::error!(service = name, "{} is closed: {e}", socket.local);
        }
        let Some(life_id) = socket.life else { return };
        self.leave_sockets(life_id, id, socket.origin);
        self.tell_closed(id, life_id, socket.protocol, code, &message);
    }

    fn tell_closed(
        &mut self,
        id: SocketId<N::Datagrams>,
        life_id: Id<Life>,
        protocol: Option<DatagramProtocol>,
        code: &'static str,
        message: &str,
    ) {
        if let (Some(protocol), Some(life)) = (protocol, self.lives.get_mut(life_id)) {
            let closed = life.instance.closed(protocol, code, message, &mut self.outbox);
            self.see(|| Seen::SocketClosed { socket: number(id), code });
            self.after(life_id, None, closed);
        }
    }

    /// An endpoint's socket is another service's from now on: to the protocol that it had it is
    /// closed.
    pub(in crate::reactor) fn give_on_socket(
        &mut self,
        id: SocketId<N::Datagrams>,
        service: usize,
        endpoint: u32,
    ) {
        let most = self.services[service].settings.correspondents;
        let Some(socket) = self.sockets.all.get_mut(id) else { return };
        let (life, protocol) = (socket.life.take(), socket.protocol.take());
        socket.correspondents = Correspondents::new(most);
        (socket.service, socket.origin) = (service, Origin::Accepted(endpoint));
        self.undo_options(id);
        if let Some(life) = life {
            self.leave_sockets(life, id, Origin::Accepted(endpoint));
            let (code, message) = reason(&End::Stopped);
            self.tell_closed(id, life, protocol, code, &message);
        }
        self.socket_due(id);
    }

    fn leave_sockets(&mut self, life: Id<Life>, id: SocketId<N::Datagrams>, origin: Origin) {
        let Some(life) = self.lives.get_mut(life) else { return };
        life.sockets.retain(|other| *other != number(id));
        match origin {
            Origin::Dialled(_) => life.outgoing -= 1,
            Origin::Arrived(_) => life.bound -= 1,
            Origin::Accepted(_) => {}
        }
    }

    /// The plugin is gone. What it asked for is closed; an endpoint's socket waits for the next
    /// datagram, and for an instance that knows nothing of what was.
    pub(in crate::reactor) fn orphan_socket(&mut self, id: u64) {
        let id = socket_of(id);
        let Some(socket) = self.sockets.all.get_mut(id) else { return };
        if matches!(socket.origin, Origin::Accepted(_)) && socket.ended.is_none() {
            (socket.life, socket.protocol) = (None, None);
            socket.correspondents.clear();
            self.undo_options(id);
        } else if let Some(socket) = self.sockets.all.remove(id) {
            self.net.close_datagrams(socket.io);
        }
    }
}

/// The contract's code for an end, and words for a person.
fn reason(end: &End) -> (&'static str, String) {
    match end {
        End::Done | End::Refused => ("done", "the socket was closed in order".to_owned()),
        End::Lost(e) => ("lost", format!("the socket was lost: {e}")),
        End::Stopped => ("stopped", "the host, or the service, stopped".to_owned()),
    }
}
