//! Sockets for datagrams: from the socket to its protocol, and what goes through them.

mod peer;
mod protocol;
mod receive;
mod send;

use std::collections::VecDeque;
use std::io;
use std::mem;

use super::correspondents::Correspondents;
use super::life::{Life, Waiter};
use super::listen::LISTENER;
use super::share::Aside;
use super::{Answer, Reactor};
use crate::arena::{Arena, Id};
use crate::net::datagram::{Batch, DatagramOption, Membership, Part, Refusal};
use crate::net::{Address, Net};
use crate::plugin::{self, DatagramProtocol, Origin};
use crate::pool::Pool;
use crate::walls::Claim;

/// A socket for datagrams. That of an endpoint outlives the life that serves it.
pub(super) struct Socket<S> {
    pub(super) io: S,
    pub(super) service: usize,
    pub(super) origin: Origin,
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
    /// What its life has set, each property once.
    pub(super) options: Vec<DatagramOption>,
    is_due: bool,
    is_again: bool,
    /// The room that it has taken, where a plugin asked for it.
    #[expect(dead_code, reason = "dropping it is what matters")]
    claim: Option<Claim>,
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
        let id = self.add_socket(socket, service, Origin::Accepted(endpoint), None, None)?;
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
        claim: Option<Claim>,
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
            options: Vec::new(),
            is_due: false,
            is_again: false,
            claim,
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
        claim: Claim,
    ) -> io::Result<()> {
        let origin = match peer {
            Some(_) => Origin::Dialled(deferred),
            None => Origin::Arrived(deferred),
        };
        let id = self.add_socket(io, service, origin, peer, Some(claim))?;
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
            let Some(socket) = self.sockets.all.get(id) else { continue };
            let service = socket.service;
            if !self.sets_aside(service, || Aside::DueSocket(number(id))) {
                self.work_for(service, |reactor| reactor.on_socket_due(id));
            }
        }
    }

    /// Builds a socket's protocol, or closes it.
    pub(super) fn on_socket_due(&mut self, id: SocketId<N::Datagrams>) {
        let Some(socket) = self.sockets.all.get_mut(id) else { return };
        socket.is_due = false;
        if socket.ended.is_some() {
            self.finish_socket(id);
        } else if socket.protocol.is_none() {
            self.build_socket(id);
        }
    }

    /// The service is parked: nobody receives what comes to its endpoints.
    pub(super) fn park_sockets(&mut self, service: usize) {
        for id in self.sockets.all.ids().collect::<Vec<_>>() {
            let its = self.sockets.all.get(id).is_some_and(|socket| socket.service == service);
            if its {
                self.end_socket(id, End::Done);
            }
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

/// Tells a socket's number from a listener's: the top bit of what is an index there. No worker has
/// so many listeners.
pub(super) const DATAGRAMS: u64 = 1 << 31;
