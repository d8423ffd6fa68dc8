//! Sockets for datagrams: from the socket to its protocol, and what goes through them.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::mem;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use super::conn::address;
use super::correspondents::Correspondents;
use super::life::{Life, Waiter};
use super::listen::LISTENER;
use super::seen::Seen;
use super::{Answer, Reactor};
use crate::arena::{Arena, Id};
use crate::capability::{Failure, Outcome};
use crate::net::datagram::{Batch, Membership, Part, Refusal};
use crate::net::{Address, Net, Ready};
use crate::plugin::{self, DatagramProtocol, Origin, Peer, SocketFacts};
use crate::pool::Pool;

/// A socket for datagrams. That of an endpoint outlives the life that serves it.
pub(super) struct Socket<S> {
    pub(super) io: S,
    pub(super) service: usize,
    origin: Origin,
    local: Address,
    /// The one peer of a connected socket.
    pub(super) peer: Option<Address>,
    /// `None` where the plugin has failed, until the next datagram comes.
    pub(super) life: Option<Id<Life>>,
    /// `None` before it is built, and once it is gone.
    protocol: Option<DatagramProtocol>,
    pub(super) ended: Option<End>,
    pub(super) correspondents: Correspondents,
    pub(super) groups: Vec<Membership>,
    is_due: bool,
    is_again: bool,
}

/// Why a socket is closed.
pub(super) enum End {
    /// This side closed it.
    Done,
    /// The system can't go on with it.
    Lost(io::Error),
    /// The plugin made no protocol for it.
    Refused,
    /// The host stops.
    Stopped,
}

/// The name of a socket.
pub(super) type SocketId<S> = Id<Socket<S>>;

/// What a worker's sockets for datagrams are, and what they use together.
pub(super) struct Sockets<S> {
    pub(super) all: Arena<Socket<S>>,
    /// Those that wait for their protocol, or for their end.
    due: VecDeque<SocketId<S>>,
    /// Those with more to receive than their share of the last turn.
    again: VecDeque<SocketId<S>>,
    received: Batch,
    /// What was received, as the plugin gets it.
    told: Vec<plugin::Part>,
    /// Whom the datagrams go to that a plugin sends.
    going: Vec<Part>,
    refusals: Vec<Refusal>,
    /// Datagrams that the system did not take.
    pub(super) dropped: u64,
}

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// Serves a socket for datagrams as the `endpoint`-th of a service, whose plugin has protocols
    /// for them, and one instance for all.
    pub fn serve_datagrams(
        &mut self,
        socket: N::Datagrams,
        service: usize,
        endpoint: u32,
    ) -> io::Result<()> {
        self.tell_time();
        let id = self.add_socket(socket, service, Origin::Accepted(endpoint), None)?;
        self.socket_due(id);
        self.settle();
        Ok(())
    }

    pub(super) fn add_socket(
        &mut self,
        mut io: N::Datagrams,
        service: usize,
        origin: Origin,
        peer: Option<Address>,
    ) -> io::Result<SocketId<N::Datagrams>> {
        let id = self.sockets.all.reserve();
        let watched = self.net.watch_datagrams(&mut io, number(id));
        let local = match watched.and_then(|()| self.net.datagrams_address(&io)) {
            Ok(local) => local,
            Err(e) => {
                self.sockets.all.release(id);
                self.net.close_datagrams(io);
                return Err(e);
            }
        };
        let correspondents = self.services[service].settings.correspondents;
        let socket = Socket {
            io,
            service,
            origin,
            local,
            peer,
            life: None,
            protocol: None,
            ended: None,
            correspondents: Correspondents::new(correspondents),
            groups: Vec::new(),
            is_due: false,
            is_again: false,
        };
        self.sockets.all.fill(id, socket);
        Ok(id)
    }

    /// Makes a socket that a life asked for, and whose protocol is built when the turn settles.
    pub(super) fn add_socket_for(
        &mut self,
        (life, deferred): Waiter,
        io: N::Datagrams,
        service: usize,
        peer: Option<Address>,
    ) -> io::Result<()> {
        let origin = match peer {
            Some(_) => Origin::Dialled(deferred),
            None => Origin::Arrived(deferred),
        };
        let id = self.add_socket(io, service, origin, peer)?;
        self.give_socket(id, life);
        self.socket_due(id);
        Ok(())
    }

    fn give_socket(&mut self, id: SocketId<N::Datagrams>, life_id: Id<Life>) {
        if let (Some(socket), Some(life)) =
            (self.sockets.all.get_mut(id), self.lives.get_mut(life_id))
        {
            socket.life = Some(life_id);
            life.sockets.push(number(id));
        }
    }

    /// Takes an edge of a socket.
    pub(super) fn on_socket_edge(&mut self, id: SocketId<N::Datagrams>, edge: Ready) {
        if edge.failed {
            self.on_refusals(id);
        }
        self.on_datagrams(id);
    }

    /// Delivers what has come, but no more than a turn's share.
    fn on_datagrams(&mut self, id: SocketId<N::Datagrams>) {
        for _ in 0..BATCHES_A_TURN {
            let Some(socket) = self.sockets.all.get_mut(id) else { return };
            let (life, protocol) = match (socket.life, socket.protocol) {
                _ if socket.ended.is_some() => return,
                (Some(life), Some(protocol)) => (life, protocol),
                (None, _) => return self.socket_due(id),
                // It reads once it is built.
                (Some(_), None) => return,
            };
            self.sockets.received.clear();
            let more = match self.net.receive(&mut socket.io, &mut self.sockets.received) {
                Ok(more) => more,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) => return self.end_socket(id, End::Lost(e)),
            };
            if self.sockets.received.parts.is_empty() {
                self.on_refusals(id);
            }
            self.deliver_datagrams(id, life, protocol);
            if !more {
                return;
            }
        }
        self.receive_again(id);
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

    /// Sends what a plugin wants sent, as far as it may and the system takes it.
    pub(super) fn send_datagrams(
        &mut self,
        life: Id<Life>,
        id: u64,
        data: &[u8],
        parts: &[plugin::Part],
    ) {
        let Some(socket) = of_life(&mut self.sockets.all, life, id) else { return };
        let settings = &self.services[socket.service].settings;
        let going = &mut self.sockets.going;
        let mut denied = None;
        for part in parts {
            let mut peer = address_of(&part.peer);
            // They often go in bursts.
            let allowed = match (&socket.peer, going.last()) {
                (Some(one), _) => *one == peer,
                (None, Some(last)) if last.peer == peer => peer != Part::nobody(),
                (None, _) => socket.correspondents.know(&peer) || settings.may_send_to(&peer),
            };
            if !allowed {
                denied = Some(mem::replace(&mut peer, Part::nobody()));
            }
            going.push(Part { peer, length: part.length as usize });
        }
        if let Some(peer) = denied {
            let name = &*settings.name;
            tracing::warn!(
                service = name,
                "a datagram to {peer} is dropped: grants.connect does not cover it, and it is none of the last correspondents"
            );
        }
        let to_somebody = going.iter().filter(|part| part.peer != Part::nobody()).count();
        let taken = self.net.send(&mut socket.io, data, going);
        self.sockets.dropped += to_somebody.saturating_sub(taken) as u64;
        if let Some(seen) = &mut self.seen {
            let mut rest = data;
            let datagrams = going.iter().map(|part| {
                let (one, behind) = rest.split_at(part.length);
                rest = behind;
                (part.peer.clone(), one.to_vec())
            });
            let datagrams = datagrams.filter(|(to, _)| *to != Part::nobody()).collect();
            seen.push(Seen::DatagramsSent { socket: id, datagrams });
        }
        going.clear();
    }

    /// Has a plugin's socket closed when the turn settles.
    pub(super) fn lose_socket(&mut self, life: Id<Life>, id: u64) {
        if of_life(&mut self.sockets.all, life, id).is_some() {
            self.end_socket(socket_of(id), End::Done);
        }
    }

    pub(super) fn end_socket(&mut self, id: SocketId<N::Datagrams>, end: End) {
        if let Some(socket) = self.sockets.all.get_mut(id)
            && socket.ended.is_none()
        {
            socket.ended = Some(end);
            self.socket_due(id);
        }
    }

    /// Does what is due for sockets: builds their protocols, or closes them.
    pub(super) fn settle_sockets(&mut self) {
        for _ in 0..self.sockets.due.len() {
            let Some(id) = self.sockets.due.pop_front() else { return };
            let Some(socket) = self.sockets.all.get_mut(id) else { continue };
            socket.is_due = false;
            if socket.ended.is_some() {
                self.finish_socket(id);
            } else if socket.protocol.is_none() {
                self.build_socket(id);
            }
        }
    }

    /// Goes on with what the last turn left.
    pub(super) fn go_on_receiving(&mut self) {
        for _ in 0..self.sockets.again.len() {
            let Some(id) = self.sockets.again.pop_front() else { return };
            if let Some(socket) = self.sockets.all.get_mut(id) {
                socket.is_again = false;
                self.on_datagrams(id);
            }
        }
    }

    /// Asks the plugin for the protocol of a socket.
    fn build_socket(&mut self, id: SocketId<N::Datagrams>) {
        let Some(socket) = self.sockets.all.get_mut(id) else { return };
        let (service, origin) = (socket.service, socket.origin);
        if socket.life.is_none() {
            let Some(life) = self.shared_life(service) else { return };
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
        let Some(protocol) = self.after(life_id, None, built) else { return };
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
    fn finish_socket(&mut self, id: SocketId<N::Datagrams>) {
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
        if let (Some(protocol), Some(life)) = (socket.protocol, self.lives.get_mut(life_id)) {
            let closed = life.instance.closed(protocol, code, &message, &mut self.outbox);
            self.see(|| Seen::SocketClosed { socket: number(id), code });
            self.after(life_id, None, closed);
        }
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
    pub(super) fn orphan_socket(&mut self, id: u64) {
        let id = socket_of(id);
        let Some(socket) = self.sockets.all.get_mut(id) else { return };
        if matches!(socket.origin, Origin::Accepted(_)) && socket.ended.is_none() {
            (socket.life, socket.protocol) = (None, None);
            socket.correspondents.clear();
            for group in mem::take(&mut socket.groups) {
                if let Err(e) = self.net.leave(&mut socket.io, &group) {
                    tracing::debug!("can't leave the group {}: {e}", group.group);
                }
            }
        } else if let Some(socket) = self.sockets.all.remove(id) {
            self.net.close_datagrams(socket.io);
        }
    }

    /// The host stops: every socket is closed.
    pub(super) fn stop_sockets(&mut self) {
        for id in self.sockets.all.ids().collect::<Vec<_>>() {
            self.end_socket(id, End::Stopped);
        }
    }

    /// Something is due for a socket when the turn settles.
    pub(super) fn socket_due(&mut self, id: SocketId<N::Datagrams>) {
        if let Some(socket) = self.sockets.all.get_mut(id)
            && !mem::replace(&mut socket.is_due, true)
        {
            self.sockets.due.push_back(id);
        }
    }

    /// The socket has more to do: in the next turn.
    fn receive_again(&mut self, id: SocketId<N::Datagrams>) {
        if let Some(socket) = self.sockets.all.get_mut(id)
            && !mem::replace(&mut socket.is_again, true)
        {
            self.sockets.again.push_back(id);
        }
    }
}

impl<S> Sockets<S> {
    /// Whether nothing is due now.
    pub(super) fn are_idle(&self) -> bool {
        self.due.is_empty() && self.again.is_empty()
    }

    /// Whether nothing is due when the turn settles.
    pub(super) fn are_settled(&self) -> bool {
        self.due.is_empty()
    }

    /// How many things there are to go on with.
    pub(super) fn queued(&self) -> usize {
        self.due.len() + self.again.len()
    }
}

impl<S> Default for Sockets<S> {
    fn default() -> Self {
        Self {
            all: Arena::default(),
            due: VecDeque::new(),
            again: VecDeque::new(),
            received: Batch::default(),
            told: Vec::new(),
            going: Vec::new(),
            refusals: Vec::new(),
            dropped: 0,
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

/// A socket that is the life's own, and not closing: a plugin acts on no other.
pub(super) fn of_life<S>(
    sockets: &mut Arena<Socket<S>>,
    life: Id<Life>,
    id: u64,
) -> Option<&mut Socket<S>> {
    let socket = sockets.get_mut(socket_of(id))?;
    (socket.life == Some(life) && socket.ended.is_none()).then_some(socket)
}

/// The number by which plugins and the network know a socket: none is a connection's, nor a
/// listener's.
pub(super) fn number<S>(id: SocketId<S>) -> u64 {
    id.to_u64() | LISTENER | DATAGRAMS
}

/// Whether a number is a socket's: see [`number`].
pub(super) fn is_socket(number: u64) -> bool {
    number & (LISTENER | DATAGRAMS) == LISTENER | DATAGRAMS
}

/// The socket that a number names.
pub(super) fn socket_of<S>(number: u64) -> SocketId<S> {
    Id::from_u64(number & !(LISTENER | DATAGRAMS))
}

/// An address, as the contract has peers.
fn told_of(address: &Address) -> Peer {
    match address {
        Address::Tcp(SocketAddr::V4(v4)) | Address::Udp(SocketAddr::V4(v4)) => {
            Peer::Ipv4((u32::from_le_bytes(v4.ip().octets()), v4.port()))
        }
        Address::Tcp(SocketAddr::V6(v6)) | Address::Udp(SocketAddr::V6(v6)) => {
            let bits = v6.ip().to_bits();
            let (high, low) = ((bits >> 64) as u64, bits as u64);
            Peer::Ipv6(plugin::Ipv6Peer { high, low, port: v6.port(), scope: v6.scope_id() })
        }
        Address::Unix(name) => Peer::Unix(name.to_string()),
        Address::Stdio => Peer::Unix(String::new()),
    }
}

/// A peer of the contract's, as an address.
fn address_of(peer: &Peer) -> Address {
    match peer {
        Peer::Ipv4((ip, port)) => {
            Address::Udp(SocketAddrV4::new(ip.to_le_bytes().into(), *port).into())
        }
        Peer::Ipv6(v6) => {
            let ip = Ipv6Addr::from_bits(u128::from(v6.high) << 64 | u128::from(v6.low));
            Address::Udp(SocketAddrV6::new(ip, v6.port, 0, v6.scope).into())
        }
        Peer::Unix(name) => Address::Unix(name.as_str().into()),
    }
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

/// The contract's code for an end, and words for a person.
fn reason(end: &End) -> (&'static str, String) {
    match end {
        End::Done | End::Refused => ("done", "the socket was closed in order".to_owned()),
        End::Lost(e) => ("lost", format!("the socket was lost: {e}")),
        End::Stopped => ("stopped", "the host stopped".to_owned()),
    }
}

/// Tells a socket's number from a listener's: the top bit of what is an index there. No worker has
/// so many listeners.
pub(super) const DATAGRAMS: u64 = 1 << 31;

/// How many batches one socket may hand over before others get their turn.
const BATCHES_A_TURN: usize = 16;

/// How many bytes one event may bring, where it brings more than one datagram.
const EVENT_BYTES: usize = 256 * 1024;
