//! Sockets for datagrams, as seen from this side.

use std::cell::RefCell;
use std::rc::Rc;

use super::Peer;
use super::batch::{Batch, Gathered};
use super::multicast::{self, Membership};
use crate::datagram_bindings::torsade::plugin::datagrams::Socket;
use crate::deferred::Deferred;
use crate::turn;
use crate::types::{Address, Failure};

/// A socket for datagrams, whose protocol is a `P`.
///
/// What a method asks for is done in the order asked, after the event handler that asked has
/// returned; if the handler panics, nothing of it is done. After `closed` every method does
/// nothing, or fails [`CLOSED`](crate::code::CLOSED).
///
/// A clone names the same socket. A protocol may own its transport, and callbacks too: when the
/// socket is closed the protocol is dropped, and nothing is left over.
pub struct DatagramTransport<P> {
    shared: Rc<Shared<P>>,
}

/// What a transport and the host's handle of the protocol share.
pub(super) struct Shared<P> {
    socket: Socket,
    /// None before the protocol is built, and after the socket is closed.
    protocol: RefCell<Option<P>>,
    gathered: RefCell<Gathered>,
}

impl<P> Shared<P> {
    pub(super) fn new(socket: Socket) -> Self {
        let gathered = RefCell::new(Gathered::new());
        Shared { socket, protocol: RefCell::new(None), gathered }
    }

    /// Moves the protocol in.
    pub(super) fn open(&self, protocol: P) {
        *self.protocol.borrow_mut() = Some(protocol);
    }

    /// Runs an event of the protocol, or nothing where there is none, or it is in an event.
    pub(super) fn enter<R>(&self, event: impl FnOnce(&mut P) -> R) -> Option<R> {
        self.protocol.try_borrow_mut().ok()?.as_mut().map(event)
    }

    /// Takes the protocol out.
    pub(super) fn close(&self) -> Option<P> {
        self.protocol.try_borrow_mut().ok()?.take()
    }

    fn send(&self, batch: Batch<'_>) {
        self.socket.send(batch.data(), batch.parts());
    }

    fn flush(&self) {
        self.gathered.borrow_mut().flush(|batch| self.send(batch));
    }
}

impl<P: 'static> DatagramTransport<P> {
    pub(super) fn of(shared: &Rc<Shared<P>>) -> Self {
        DatagramTransport { shared: Rc::clone(shared) }
    }

    /// Reaches the protocol from outside of its own events, as from a timer. None where the socket
    /// is closed, its protocol isn't built yet, or it is in the middle of an event.
    pub fn with_protocol<R>(&self, run: impl FnOnce(&mut P) -> R) -> Option<R> {
        self.shared.enter(run)
    }

    /// Sends a datagram. Those that one event sends are gathered, and go to the host together.
    ///
    /// Nothing tells whether it arrives. It goes to who has sent one to this socket lately, to the
    /// one peer of a connected socket, or to where the service's `connect` grants; one to anybody
    /// else is dropped, and the host's log says so.
    pub fn write(&self, datagram: &[u8], to: &Peer) {
        let mut gathered = self.shared.gathered.borrow_mut();
        let is_first = gathered.is_empty();
        if gathered.is_full(datagram.len()) {
            gathered.flush(|batch| self.shared.send(batch));
        }
        gathered.push(to, datagram);
        drop(gathered);
        if is_first {
            let shared = Rc::clone(&self.shared);
            turn::soon(move || shared.flush());
        }
    }

    /// Sends a batch at once, each datagram to the peer that stands beside it: one that arrived
    /// goes back to where it came from. The way to write is as that of [`write`](Self::write).
    pub fn send(&self, batch: Batch<'_>) {
        self.shared.flush();
        if !batch.is_empty() {
            self.shared.send(batch);
        }
    }

    /// Closes the socket: `closed` is called, and no more datagrams come.
    pub fn lose_socket(&self) {
        self.shared.flush();
        self.shared.socket.lose_socket();
    }

    /// This side's address: of kind `udp` or `unix`.
    pub fn local_address(&self) -> Address {
        self.shared.socket.local_address()
    }

    /// The one peer of a connected socket.
    pub fn peer_address(&self) -> Option<Address> {
        self.shared.socket.peer_address()
    }

    /// Has datagrams go to a whole network (`SO_BROADCAST`), or not. Off at the start.
    ///
    /// # Errors
    /// [`UNSUPPORTED`](crate::code::UNSUPPORTED) where the socket isn't IPv4's.
    pub fn set_broadcast(&self, on: bool) -> Result<(), Failure> {
        self.shared.socket.set_broadcast(on)
    }

    /// How many routers a datagram to a group passes at most. 1 at the start: it stays in its
    /// network.
    ///
    /// # Errors
    /// [`UNSUPPORTED`](crate::code::UNSUPPORTED) on a Unix socket.
    pub fn set_multicast_ttl(&self, hops: u8) -> Result<(), Failure> {
        self.shared.socket.set_multicast_ttl(hops)
    }

    /// Whether what is sent to a group comes to this machine's own members, too. On at the start.
    ///
    /// # Errors
    /// [`UNSUPPORTED`](crate::code::UNSUPPORTED) on a Unix socket.
    pub fn set_multicast_loopback(&self, on: bool) -> Result<(), Failure> {
        self.shared.socket.set_multicast_loopback(on)
    }

    /// The interface that datagrams to groups leave by. The system picks one at the start.
    ///
    /// # Errors
    /// [`UNSUPPORTED`](crate::code::UNSUPPORTED) on a Unix socket,
    /// [`INVALID`](crate::code::INVALID) for what can't be a name.
    pub fn set_multicast_interface(&self, name: &str) -> Result<(), Failure> {
        self.shared.socket.set_multicast_interface(name)
    }

    /// Joins a group: what is sent to it, and to the socket's port, is received from then on. A
    /// plugin that calls it needs the grant `multicast`, which names groups.
    ///
    /// The deferred fails with [`DENIED`](crate::code::DENIED), [`INVALID`](crate::code::INVALID)
    /// for what is no group or no interface, [`IN_USE`](crate::code::IN_USE) for what is joined
    /// already, [`LIMIT`](crate::code::LIMIT) or [`IO`](crate::code::IO).
    ///
    /// ```no_run
    /// use torsade_guest::datagrams::{DatagramTransport, Membership};
    /// use torsade_guest::{Deferred, warn};
    ///
    /// fn join<P: 'static>(transport: &DatagramTransport<P>) {
    ///     let joined = Deferred::from(transport.join(&Membership::of("224.0.0.251").on("eth0")));
    ///     joined.catch(|failure| Ok(warn!("{failure}"))).detach();
    /// }
    /// ```
    ///
    /// # Errors
    /// [`LIMIT`](crate::code::LIMIT) where the service's `deferreds` are all in flight, or
    /// [`UNSUPPORTED`](crate::code::UNSUPPORTED) on a Unix socket.
    #[track_caller]
    pub fn join(&self, membership: &Membership) -> Result<Deferred<()>, Failure> {
        multicast::join(&self.shared.socket, membership)
    }

    /// Leaves a group that was joined so; for any other it does nothing.
    pub fn leave(&self, membership: &Membership) {
        multicast::leave(&self.shared.socket, membership);
    }
}

impl<P> Clone for DatagramTransport<P> {
    fn clone(&self) -> Self {
        DatagramTransport { shared: Rc::clone(&self.shared) }
    }
}

/// Whether both name the same socket.
impl<P> PartialEq for DatagramTransport<P> {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<P> Eq for DatagramTransport<P> {}
