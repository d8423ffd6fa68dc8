//! The kernel as a value: the one seam between the reactor and the world.
//!
//! It knows sockets, bytes and time, and no protocol.

use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use datagram::{Batch, DatagramOption, Membership, Part, Place, Refusal};

pub mod datagram;
pub mod faulty;
pub mod os;
pub mod sim;

/// What the reactor needs of a network and of time.
///
/// Streams and listeners are values that the reactor stores and lends back, so an
/// implementation needs no shared state. Nothing here blocks but [`Net::poll`]: what can't be
/// done at once fails [`io::ErrorKind::WouldBlock`], and an edge is reported once it can.
pub trait Net {
    /// Accepts connections.
    type Listener: Send;
    /// Carries bytes.
    type Stream: Send;
    /// Carries datagrams.
    type Datagrams: Send;

    /// The monotonic clock.
    fn now(&self) -> Instant;

    /// The monotonic clock for who has no network at hand; `None` where only [`Net::now`] tells.
    fn clock() -> Option<fn() -> Instant>;

    /// The time of day.
    fn wall(&self) -> SystemTime;

    /// Waits until something is ready, [`Waker::wake`] is called or `timeout` has passed, and
    /// appends what is ready to `ready`. `None` waits without end.
    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()>;

    /// A handle that ends a [`Net::poll`] from another thread.
    fn waker(&self) -> Waker;

    /// Listens at `at`, where nobody else may listen; port 0 lets the system pick one. `backlog`
    /// connections may wait for [`Net::accept`]. `mode` is for the file of a Unix socket, and
    /// ignored elsewhere; `None` leaves what the umask makes.
    ///
    /// # Errors
    /// `AddrInUse` where somebody listens, or where a file that is no socket is. A socket that a
    /// dead process left is removed.
    fn listen(
        &mut self,
        at: &Address,
        backlog: u32,
        mode: Option<u32>,
    ) -> io::Result<Self::Listener>;

    /// Where it listens: with the port that the system picked, where 0 was asked for.
    fn listener_address(&self, listener: &Self::Listener) -> io::Result<Address>;

    /// From now on, edges of `listener` are reported as `token`.
    fn watch_listener(&mut self, listener: &mut Self::Listener, token: u64) -> io::Result<()>;

    /// The next connection and its peer's address, or `WouldBlock`.
    ///
    /// # Errors
    /// `UnexpectedEof` where no other connection will ever come.
    fn accept(&mut self, listener: &mut Self::Listener) -> io::Result<(Self::Stream, Address)>;

    /// Stops listening, and removes the name that the listener left in the file system.
    fn close_listener(&mut self, listener: Self::Listener);

    /// Begins a connection to `to`, and returns at once; TCP's begins at the address `from`, if
    /// there is one. Once the stream is watched, a writable or a failed edge says that
    /// [`Net::connected`] may know more. As accepted ones, it has `TCP_NODELAY` set.
    ///
    /// # Errors
    /// `InvalidInput` where `from` is of another family than `to`. What the kernel can tell at
    /// once may be told here or by [`Net::connected`]; for Unix sockets that is all there is to
    /// tell. A full backlog of a Unix socket is `ConnectionRefused`.
    fn connect(&mut self, to: &Address, from: Option<IpAddr>) -> io::Result<Self::Stream>;

    /// Whether the peer of a stream that [`Net::connect`] began has taken it: `false` where it is
    /// not decided yet.
    ///
    /// # Errors
    /// What the connection failed with. It is told once.
    fn connected(&mut self, stream: &mut Self::Stream) -> io::Result<bool>;

    /// From now on, edges of `stream` are reported as `token`. What is ready at this moment is
    /// reported too.
    fn watch(&mut self, stream: &mut Self::Stream, token: u64) -> io::Result<()>;

    /// This side's address.
    fn local_address(&self, stream: &Self::Stream) -> io::Result<Address>;

    /// Reads what there is, at most `into.len()` bytes; 0 is the end of the stream.
    fn read(&mut self, stream: &mut Self::Stream, into: &mut [u8]) -> io::Result<usize>;

    /// Sends a part of `data`, and says how much. `more` tells the kernel that bytes will follow
    /// at once, so that it can wait to fill a segment.
    fn write(
        &mut self,
        stream: &mut Self::Stream,
        data: &[IoSlice<'_>],
        more: bool,
    ) -> io::Result<usize>;

    /// Sends at most `length` bytes of `file` from `offset`, and says how many; 0 means that the
    /// file ends there.
    fn send_file(
        &mut self,
        stream: &mut Self::Stream,
        file: &File,
        offset: u64,
        length: usize,
    ) -> io::Result<usize>;

    /// Reads a part of `file` from `offset`, and says how much; 0 means that the file ends there.
    ///
    /// # Errors
    /// `WouldBlock` where it would have to wait for a disk. No edge tells that it is there: the
    /// pool can read it.
    fn read_file(&mut self, file: &File, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Ends this side's half of the stream.
    fn shutdown_write(&mut self, stream: &mut Self::Stream) -> io::Result<()>;

    /// Takes the error that a `failed` edge announced, if there is one.
    fn take_error(&mut self, stream: &mut Self::Stream) -> io::Result<Option<io::Error>>;

    /// Sends each write at once (`TCP_NODELAY`); `Unsupported` where the stream is not TCP.
    fn set_no_delay(&mut self, stream: &mut Self::Stream, on: bool) -> io::Result<()>;

    /// Probes an idle peer (`SO_KEEPALIVE`); `Unsupported` where the stream is not TCP.
    fn set_keep_alive(&mut self, stream: &mut Self::Stream, on: bool) -> io::Result<()>;

    /// Whether closing the stream while there is input that nobody has read may destroy what was
    /// sent last, as a reset does.
    fn close_may_reset(&self, _stream: &Self::Stream) -> bool {
        true
    }

    /// Closes in order.
    fn close(&mut self, stream: Self::Stream);

    /// Closes now; a TCP peer sees a reset.
    fn reset(&mut self, stream: Self::Stream);

    /// A socket for datagrams at `place`, where nobody else may be unless it says so.
    ///
    /// # Errors
    /// As those of [`Net::listen`].
    fn bind(&mut self, place: &Place) -> io::Result<Self::Datagrams>;

    /// A socket for datagrams to and from one peer; UDP's begins at the address `from`, if there is
    /// one. A Unix socket gets a name of the system's, so that its peer can answer.
    fn pair_with(&mut self, peer: &Address, from: Option<IpAddr>) -> io::Result<Self::Datagrams>;

    /// From now on, edges of `socket` are reported as `token`. What is ready at this moment is
    /// reported too.
    fn watch_datagrams(&mut self, socket: &mut Self::Datagrams, token: u64) -> io::Result<()>;

    /// This side's address, with the port that the system picked.
    fn datagrams_address(&self, socket: &Self::Datagrams) -> io::Result<Address>;

    /// Receives at most [`DATAGRAMS_A_BATCH`](datagram::DATAGRAMS_A_BATCH) datagrams into the empty
    /// `batch`. `false` where no more wait.
    ///
    /// # Errors
    /// `WouldBlock` where there is none. What has to do with one peer alone, [`Net::refusals`]
    /// tells.
    fn receive(&mut self, socket: &mut Self::Datagrams, batch: &mut Batch) -> io::Result<bool>;

    /// Sends the datagrams that `data` holds, one behind the other, each to its peer, and says how
    /// many the system has taken. The others are lost: the system has no room for them, or a socket
    /// of its family can't have such a peer.
    fn send(&mut self, socket: &mut Self::Datagrams, data: &[u8], parts: &[Part]) -> usize;

    /// Puts what the system was told of datagrams that didn't get there into `refusals`, at most a
    /// batch.
    fn refusals(&mut self, socket: &mut Self::Datagrams, refusals: &mut Vec<Refusal>);

    /// Sets a property; `Unsupported` where this kind of socket has none such.
    fn set_datagrams(
        &mut self,
        socket: &mut Self::Datagrams,
        option: &DatagramOption,
    ) -> io::Result<()>;

    /// Joins a group.
    ///
    /// # Errors
    /// `InvalidInput` for what is no group, no interface, or of another family; `AddrInUse` where
    /// the socket has joined it; `Unsupported`.
    fn join(&mut self, socket: &mut Self::Datagrams, of: &Membership) -> io::Result<()>;

    /// Leaves a group.
    fn leave(&mut self, socket: &mut Self::Datagrams, of: &Membership) -> io::Result<()>;

    /// Closes, and removes the name that the socket left in the file system.
    fn close_datagrams(&mut self, socket: Self::Datagrams);
}

/// An edge: what may now be tried on the thing that `token` names. It may be spurious.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Ready {
    /// As given to [`Net::watch`] or [`Net::watch_listener`].
    pub token: u64,
    /// There may be something to read or to accept.
    pub readable: bool,
    /// There may be room to write.
    pub writable: bool,
    /// The peer has ended its half: after what is there to read comes the end.
    pub read_closed: bool,
    /// There may be an error to take.
    pub failed: bool,
}

/// One end of a stream.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Address {
    /// Of standard input and output, where they are no socket.
    Stdio,
    /// Of TCP.
    Tcp(SocketAddr),
    /// Of UDP.
    Udp(SocketAddr),
    /// Of a Unix socket: its path, `@NAME` where it is abstract, empty where it has none.
    Unix(Box<str>),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdio => f.write_str("stdio"),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Udp(address) => write!(f, "udp:{address}"),
            Self::Unix(name) => write!(f, "unix:{name}"),
        }
    }
}

/// Ends a [`Net::poll`] from any thread.
#[derive(Clone)]
pub struct Waker(Arc<dyn Fn() + Send + Sync>);

impl Waker {
    /// A waker that calls `wake`.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(wake))
    }

    /// Ends the poll that is under way, or else the next one.
    pub fn wake(&self) {
        (self.0)();
    }
}
