//! Transports: connections as seen from this side.

use std::rc::Rc;

use crate::bindings::torsade::plugin::deferreds;
use crate::connection::Connection;
use crate::deferred::{Chain, Deferred, Held, Owner, Waiting};
use crate::handle::Handle;
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
    pub(crate) handle: Handle,
    pub(crate) connection: Connection<P>,
}

impl<P: 'static> Owner for Shared<P> {
    fn returned(&self, id: u64, held: Held) {
        self.connection.returned(id, held);
    }

    fn fired(&self, id: u64) -> Held {
        self.connection.fired(id)
    }

    /// The host can't hold the connection for something that it knows nothing of, so it is told
    /// to stop reading meanwhile, which promises the same.
    fn keep(self: Rc<Self>, chain: Chain, held: Held) -> Option<deferreds::Deferred> {
        if self.connection.is_lost() {
            return None;
        }
        let number = self.connection.chain_number();
        let itself = Rc::downgrade(&self);
        chain.at_the_end(move || {
            if let Some(shared) = itself.upgrade()
                && shared.connection.done(number)
            {
                shared.handle.resume_producing();
            }
        });
        if self.connection.keep(number, chain, held) {
            self.handle.pause_producing();
        }
        None
    }
}

impl<P> Transport<P> {
    /// The transport of a connection whose protocol is yet to be built.
    pub(crate) fn new(handle: Handle) -> Self {
        Transport { shared: Rc::new(Shared { handle, connection: Connection::new() }) }
    }

    /// The transport of a connection that is there already.
    pub(crate) fn of(shared: &Rc<Shared<P>>) -> Self {
        Transport { shared: Rc::clone(shared) }
    }

    pub(crate) fn shared(&self) -> &Rc<Shared<P>> {
        &self.shared
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.shared.handle
    }

    /// Runs something on the connection's protocol: how a plugin that keeps clones of its
    /// transports tells a protocol what no event of its own does. None where the connection is
    /// lost, its protocol not built yet, or in the middle of an event.
    pub fn with_protocol<R>(&self, run: impl FnOnce(&mut P) -> R) -> Option<R> {
        self.shared.connection.enter(run)
    }

    /// Lets an `async fn` handle an event: what it returns is returned from the handler, and holds
    /// the connection until the future is done.
    ///
    /// The future begins to run when the handler has returned, so it can reach the protocol by
    /// [`with_protocol`](Self::with_protocol) from its first line to its last; what it needs of the
    /// data it has to own. A failure that it returns is logged. When the connection is lost the
    /// future is dropped where it stands, and what it awaits is cancelled.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torsade_guest::{Failure, Protocol, Transport, Waiting, timers};
    ///
    /// struct Slow {
    ///     transport: Transport<Slow>,
    ///     chunks: usize,
    /// }
    ///
    /// impl Protocol for Slow {
    ///     fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
    ///         let data = data.to_vec();
    ///         Some(self.transport.run(|transport| Slow::answer(transport, data)))
    ///     }
    /// }
    ///
    /// impl Slow {
    ///     async fn answer(transport: Transport<Slow>, data: Vec<u8>) -> Result<(), Failure> {
    ///         for byte in data {
    ///             timers::after(Duration::from_millis(100))?.await?;
    ///             transport.write(&[byte]);
    ///         }
    ///         transport.with_protocol(|slow| slow.chunks += 1);
    ///         Ok(())
    ///     }
    /// }
    /// ```
    #[track_caller]
    pub fn run<F>(&self, handler: impl FnOnce(Transport<P>) -> F) -> Waiting
    where
        F: Future<Output = Result<(), Failure>> + 'static,
    {
        Deferred::from_future_soon(handler(self.clone())).into()
    }

    /// Queues bytes behind all that was queued before. While the transport is closing, or after
    /// `lose_write_connection`, they are dropped, as nobody can receive them.
    ///
    /// Each call is a call of the host: gather small pieces first. Writing more than
    /// [`room`](Self::room) is no mistake, but a connection that has more than the service's
    /// `unsent` limit queued is aborted. More at once than the service's `write` limit traps.
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

    /// A deferred that fires when the connection is lost, after its protocol's `connection_lost`; at
    /// once where it is lost already, or its protocol not built yet.
    ///
    /// ```no_run
    /// # use torsade_guest::{Protocol, Transport};
    /// # fn keep<P: Protocol>(transport: Transport<P>) {
    /// let lost = transport.when_lost();
    /// lost.map(|()| torsade_guest::info!("the upstream is gone")).detach();
    /// # }
    /// ```
    #[track_caller]
    pub fn when_lost(&self) -> Deferred<()>
    where
        P: 'static,
    {
        let shared = Rc::downgrade(&self.shared);
        self.shared.connection.when_lost(move |number| {
            if let Some(shared) = shared.upgrade() {
                shared.connection.done(number);
            }
        })
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
        if self.shared.connection.set_paused(true) {
            self.handle().pause_producing();
        }
    }

    /// Delivers data again, after [`pause_producing`](Self::pause_producing).
    pub fn resume_producing(&self) {
        if self.shared.connection.set_paused(false) {
            self.handle().resume_producing();
        }
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
