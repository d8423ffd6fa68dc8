//! What sockets receive: datagrams, and that some didn't get there.

use std::io::{self, ErrorKind};
use std::mem;

use super::peer::told_of;
use super::{End, SocketId, number};
use crate::arena::Id;
use crate::figures::Count;
use crate::net::datagram::Refusal;
use crate::net::{Net, Ready};
use crate::plugin::{self, DatagramProtocol};
use crate::pool::Pool;
use crate::reactor::life::Life;
use crate::reactor::seen::Seen;
use crate::reactor::share::Aside;
use crate::reactor::{Answer, Reactor};

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// Takes an edge of a socket.
    pub(in crate::reactor) fn on_socket_edge(&mut self, id: SocketId<N::Datagrams>, edge: Ready) {
        if edge.failed {
            self.on_refusals(id);
        }
        self.on_datagrams(id);
    }

    /// Delivers what has come, but no more than a turn's share.
    fn on_datagrams(&mut self, id: SocketId<N::Datagrams>) {
        for _ in 0..BATCHES_A_TURN {
            let Some(service) = self.sockets.all.get(id).map(|socket| socket.service) else {
                return;
            };
            if self.has_to_wait(service) {
                return self.receive_aside(id, service);
            }
            if !self.work_for(service, |reactor| reactor.receive_batch(id)) {
                return;
            }
        }
        self.receive_again(id);
    }

    /// Delivers a batch of what has come, and says whether there may be more.
    fn receive_batch(&mut self, id: SocketId<N::Datagrams>) -> bool {
        let Some(socket) = self.sockets.all.get_mut(id) else { return false };
        let (life, protocol) = match (socket.life, socket.protocol) {
            _ if socket.ended.is_some() => return false,
            (Some(life), Some(protocol)) => (life, protocol),
            (None, _) => {
                self.socket_due(id);
                return false;
            }
            // It reads once it is built.
            (Some(_), None) => return false,
        };
        self.sockets.received.clear();
        let more = match self.net.receive(&mut socket.io, &mut self.sockets.received) {
            Ok(more) => more,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return false,
            Err(e) => {
                self.end_socket(id, End::Lost(e));
                return false;
            }
        };
        if self.sockets.received.parts.is_empty() {
            self.on_refusals(id);
        }
        self.keep_out(id);
        self.deliver_datagrams(id, life, protocol);
        more
    }

    /// Throws away what nobody is there for, a batch at least: a socket that is full drops what
    /// comes without an edge, so that nobody would hear of it ever again.
    pub(super) fn discard(&mut self, id: SocketId<N::Datagrams>) {
        let Some(socket) = self.sockets.all.get_mut(id) else { return };
        self.sockets.received.clear();
        // An error shows again in what comes next.
        let _ = self.net.receive(&mut socket.io, &mut self.sockets.received);
    }

    /// Drops what was received from peers that may not come: see
    /// [`Policies`](crate::reactor::Policies). Whom the plugin has connected to, it wants to hear.
    fn keep_out(&mut self, id: SocketId<N::Datagrams>) {
        let Some(socket) = self.sockets.all.get_mut(id) else { return };
        let service = &mut self.services[socket.service];
        let peers = &service.settings.policies.peers;
        if socket.peer.is_some() || peers.allow_all() {
            return;
        }
        let (mut count, mut last) = (0, None);
        self.sockets.received.retain(|peer| {
            let may_come = peers.allow(peer);
            if !may_come {
                count += 1;
                last = Some(peer.clone());
            }
            may_come
        });
        if let Some(peer) = last
            && let Some(count) = service.kept_out.happened(count, self.told)
        {
            let name = &*service.settings.name;
            tracing::warn!(
                service = name,
                "a datagram of {peer} is dropped: `allow` and `deny` keep it out; {count} were \
                 dropped so"
            );
        }
    }

    /// Delivers what was received, in events that a small plugin has room for.
    fn deliver_datagrams(
        &mut self,
        id: SocketId<N::Datagrams>,
        life_id: Id<Life>,
        protocol: DatagramProtocol,
    ) {
        let Some(socket) = self.sockets.all.get_mut(id) else { return };
        let received = mem::take(&mut self.sockets.received);
        let mut told = mem::take(&mut self.sockets.told);
        told.clear();
        let figures = &mut self.accounts[self.services[socket.service].account].figures;
        figures[Count::DatagramsReceived] += received.parts.len() as u64;
        figures[Count::BytesReceived] += received.data.len() as u64;
        let mut last = socket.peer.as_ref();
        for part in &received.parts {
            // They often come in bursts.
            if last != Some(&part.peer) {
                socket.correspondents.heard(&part.peer);
                last = Some(&part.peer);
            }
            told.push(plugin::Part { peer: told_of(&part.peer), length: part.length as u32 });
        }
        if let Some(seen) = &mut self.seen {
            let datagrams = received.iter().map(|(from, data)| (from.clone(), data.to_vec()));
            let datagrams = datagrams.collect();
            seen.push(Seen::DatagramsReceived { socket: number(id), datagrams });
        }
        let (mut data, mut parts) = (&received.data[..], &told[..]);
        while !parts.is_empty() {
            let (count, length) = event_of(parts);
            let ((now, later), (those, others)) = (data.split_at(length), parts.split_at(count));
            (data, parts) = (later, others);
            let ended = self.sockets.all.get_mut(id).is_none_or(|socket| socket.ended.is_some());
            let life = self.lives.get_mut(life_id).filter(|_| !ended);
            let Some(life) = life else { break };
            let handled = life.instance.datagrams_received(protocol, now, those, &mut self.outbox);
            if self.after(life_id, None, handled).is_none() {
                break;
            }
        }
        (self.sockets.received, self.sockets.told) = (received, told);
    }

    /// Tells the plugin what the system was told of datagrams that didn't get there.
    fn on_refusals(&mut self, id: SocketId<N::Datagrams>) {
        let Some(socket) = self.sockets.all.get_mut(id) else { return };
        let mut refusals = mem::take(&mut self.sockets.refusals);
        self.net.refusals(&mut socket.io, &mut refusals);
        for Refusal { peer, error } in refusals.drain(..) {
            let Some(socket) = self.sockets.all.get_mut(id) else { break };
            let (Some(life_id), Some(protocol), None) =
                (socket.life, socket.protocol, &socket.ended)
            else {
                break;
            };
            // Who never heard of a peer needs not hear that it is gone.
            let known = match &socket.peer {
                Some(one) => *one == peer,
                None => true,
            };
            let Some(code) = code(&error).filter(|_| known) else { continue };
            let Some(life) = self.lives.get_mut(life_id) else { break };
            let message = format!("{peer}: {error}");
            let told = told_of(&peer);
            let refused =
                life.instance.connection_refused(protocol, &told, code, message, &mut self.outbox);
            self.see(|| Seen::ConnectionRefused { socket: number(id), peer });
            self.after(life_id, None, refused);
        }
        refusals.clear();
        self.sockets.refusals = refusals;
    }

    /// What has come is delivered once the service's turn has come. A socket that is to go on
    /// anyway needs no second place.
    fn receive_aside(&mut self, id: SocketId<N::Datagrams>, service: usize) {
        if let Some(socket) = self.sockets.all.get_mut(id)
            && !mem::replace(&mut socket.is_again, true)
        {
            self.line_up(service, Aside::Receive(number(id)));
        }
    }

    /// Goes on with a socket.
    pub(in crate::reactor) fn receive_on(&mut self, id: SocketId<N::Datagrams>) {
        if let Some(socket) = self.sockets.all.get_mut(id) {
            socket.is_again = false;
            self.on_datagrams(id);
        }
    }

    /// Goes on with what the last turn left.
    pub(in crate::reactor) fn go_on_receiving(&mut self) {
        for _ in 0..self.sockets.again.len() {
            let Some(id) = self.sockets.again.pop_front() else { return };
            self.receive_on(id);
        }
    }

    /// The socket has more to do: in the next turn.
    pub(super) fn receive_again(&mut self, id: SocketId<N::Datagrams>) {
        if let Some(socket) = self.sockets.all.get_mut(id)
            && !mem::replace(&mut socket.is_again, true)
        {
            self.sockets.again.push_back(id);
        }
    }
}

/// How many datagrams are brought by one event, and their bytes: at least one.
fn event_of(parts: &[plugin::Part]) -> (usize, usize) {
    let mut length = 0;
    for (count, part) in parts.iter().enumerate() {
        let next = length + part.length as usize;
        if count > 0 && next > EVENT_BYTES {
            return (count, length);
        }
        length = next;
    }
    (parts.len(), length)
}

/// The contract's code for why a datagram didn't get there; `None` for what doesn't say so.
fn code(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::ConnectionRefused => Some("refused"),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            Some("unreachable")
        }
        _ => None,
    }
}

/// How many batches one socket may hand over before others get their turn.
const BATCHES_A_TURN: usize = 16;

/// How many bytes one event may bring, where it brings more than one datagram.
const EVENT_BYTES: usize = 256 * 1024;
