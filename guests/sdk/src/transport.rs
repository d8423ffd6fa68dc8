//! Transports: connections as seen from this side.

use std::rc::Rc;

use crate::bindings::torsade::plugin::transports;
use crate::connection::Connection;
use crate::deferred::Owner;
use crate::types::{Address, Failure};

/// A stream of bytes to one peer, whose protocol is a `P`.
///
/// What a method asks for is done in the order asked, after the event handler that asked has
/// returned; if the handler panics, nothing of it is done. After `connection_lost` every
/// method does nothing, or fails [`CLOSED`](crate::code::CLOSED).
///
/// A clone names the same connection. A protocol may own its transport, and callbacks too:
/// when the connection is lost the protocol is dropped, and nothing is left over.
pub struct Transport<P> {
    shared: Rc<Shared<P>>,
}

/// What a transport, the callbacks of its connection and the host's handle of the protocol share.
pub(crate) struct Shared<P> {
    pub(crate) handle: transports::Transport,
    pub(crate) connection: Connection<P>,
}

impl<P> Owner for Shared<P> {
    fn returned(&self, id: u64) {
        self.connection.returned(id);
    }

    fn fired(&self, id: u64) {
        self.connection.fired(id);
    }
}

impl<P> Transport<P> {
    /// The transport of a connection whose protocol is yet to be built.
    pub(crate) fn new(handle: transports::Transport) -> Self {
        Transport { shared: Rc::new(Shared { handle, connection: Connection::new() }) }
    }

    /// The transport of a connection that is there already.
    pub(crate) fn of(shared: &Rc<Shared<P>>) -> Self {
        Transport { shared: Rc::clone(shared) }
    }

    pub(crate) fn shared(&self) -> &Rc<Shared<P>> {
        &self.shared
    }

    pub(crate) fn handle(&self) -> &transports::Transport {
        &self.shared.handle
    }

    /// Runs something on the connection's protocol: how a plugin that keeps clones of its
    /// transports tells a protocol what no event of its own does. None where the connection is
    /// lost, its protocol not built yet, or in the middle of an event.
    pub fn with_protocol<R>(&self, run: impl FnOnce(&mut P) -> R) -> Option<R> {
        self.shared.connection.enter(run)
    }

    /// Queues bytes behind all that was queued before. While the transport is closing, or after
    /// `lose_write_connection`, they are dropped, as nobody can receive them.
    ///
    /// Each call is a call of the host: gather small pieces first. Writing more than
    /// [`room`](Self::room) is no mistake, but a connection that has more than the service's
    /// `unsent` limit queued is aborted.
    pub fn write(&self, data: &[u8]) {
        self.handle().write(data);
    }

    /// Closes the connection once all that is queued is sent. No more data is delivered.
    pub fn lose_connection(&self) {
        self.handle().lose_connection();
    }

    /// Closes the connection now: what is queued is dropped, and a TCP peer sees a reset.
    pub fn abort_connection(&self) {
        self.handle().abort_connection();
    }

    /// Ends this side's half of the stream once all that is queued is sent; the peer sees the end
    /// of the stream and can still send.
    ///
    /// # Errors
    /// [`CLOSED`](crate::code::CLOSED) where the connection is closing or closed.
    pub fn lose_write_connection(&self) -> Result<(), Failure> {
        self.handle().lose_write_connection()
    }

    /// Stops delivering data, until [`resume_producing`](Self::resume_producing). The peer is
    /// slowed down by the transport's own flow control.
    pub fn pause_producing(&self) {
        self.handle().pause_producing();
    }

    /// Delivers data again, after [`pause_producing`](Self::pause_producing).
    pub fn resume_producing(&self) {
        self.handle().resume_producing();
    }

    /// How many bytes may be queued before the peer counts as slow. It shrinks with each write.
    /// Once it is 0, stop producing until `write_drained` is called.
    pub fn room(&self) -> u64 {
        self.handle().room()
    }

    /// This side's address.
    pub fn local_address(&self) -> Address {
        self.handle().local_address()
    }

    /// The peer's address.
    pub fn peer_address(&self) -> Address {
        self.handle().peer_address()
    }

    /// Sends each write at once, or waits to fill segments (`TCP_NODELAY`). On at the start.
    ///
    /// # Errors
    /// [`UNSUPPORTED`](crate::code::UNSUPPORTED) on a transport that is not TCP.
    pub fn set_no_delay(&self, on: bool) -> Result<(), Failure> {
        self.handle().set_no_delay(on)
    }

    /// Probes an idle peer (`SO_KEEPALIVE`). Off at the start.
    ///
    /// # Errors
    /// [`UNSUPPORTED`](crate::code::UNSUPPORTED) on a transport that is not TCP.
    pub fn set_keep_alive(&self, on: bool) -> Result<(), Failure> {
        self.handle().set_keep_alive(on)
    }
}

impl<P> Clone for Transport<P> {
    fn clone(&self) -> Self {
        Transport { shared: Rc::clone(&self.shared) }
    }
}
