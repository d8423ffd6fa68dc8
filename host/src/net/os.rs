//! The network of this machine: mio, and the system calls that mio doesn't wrap, by rustix.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mio::event::Source;
use mio::{Events, Interest, Poll, Token};
use rustix::net::{SendFlags, sockopt};
use rustix::process::{Resource, Rlimit};

use self::datagram::{DatagramSocket, Scratch};
use self::listener::ListenerSocket;
use self::socket::{unix_name, unmapped};
use super::datagram::{Batch, DatagramOption, Membership, Part, Place, Refusal};
use super::{Address, Net, Ready, Waker};

pub use self::datagram::OsDatagrams;
pub use self::inherited::Inherited;
pub use self::listener::OsListener;
pub use self::stream::OsStream;

mod datagram;
mod inherited;
mod listener;
mod membership;
mod multicast;
mod socket;
mod stdio;
mod stream;

/// The kernel's network and clocks.
pub struct OsNet {
    poll: Poll,
    events: Events,
    waker: Arc<mio::Waker>,
    /// Edges of what can't be waited for, to be reported by the next poll.
    due: Vec<Ready>,
    scratch: Scratch,
}

impl OsNet {
    /// A network with nothing registered yet.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(mio::Waker::new(poll.registry(), WAKER)?);
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_A_POLL),
            waker,
            due: Vec::new(),
            scratch: Scratch::default(),
        })
    }
}

impl Net for OsNet {
    type Listener = OsListener;
    type Stream = OsStream;
    type Datagrams = OsDatagrams;

    fn clock() -> Option<fn() -> Instant> {
        Some(Instant::now)
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let timeout = if self.due.is_empty() { timeout } else { Some(Duration::ZERO) };
        ready.append(&mut self.due);
        match self.poll.poll(&mut self.events, timeout) {
            Err(e) if e.kind() == ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        let events = self.events.iter().filter(|event| event.token() != WAKER);
        ready.extend(events.map(|event| Ready {
            token: event.token().0 as u64,
            readable: event.is_readable(),
            writable: event.is_writable(),
            read_closed: event.is_read_closed(),
            failed: event.is_error(),
        }));
        Ok(())
    }

    fn waker(&self) -> Waker {
        let waker = Arc::clone(&self.waker);
        Waker::new(move || {
            // It fails only where the counter is full, and then the poll ends anyway.
            let _ = waker.wake();
        })
    }

    fn listen(&mut self, at: &Address, backlog: u32, mode: Option<u32>) -> io::Result<OsListener> {
        OsListener::alone(at, backlog, mode)
    }

    fn listener_address(&self, listener: &OsListener) -> io::Result<Address> {
        listener.address()
    }

    fn watch_listener(&mut self, listener: &mut OsListener, token: u64) -> io::Result<()> {
        let (registry, token) = (self.poll.registry(), Token(token as usize));
        match &mut listener.socket {
            ListenerSocket::Stdio(_) => {
                let token = token.0 as u64;
                self.due.push(Ready { token, readable: true, ..Ready::default() });
                Ok(())
            }
            ListenerSocket::Tcp(socket) => socket.register(registry, token, Interest::READABLE),
            ListenerSocket::Unix(socket) => socket.register(registry, token, Interest::READABLE),
        }
    }

    fn accept(&mut self, listener: &mut OsListener) -> io::Result<(OsStream, Address)> {
        match &mut listener.socket {
            ListenerSocket::Stdio(stdio) => {
                let stdio = stdio.take().ok_or(ErrorKind::UnexpectedEof)?;
                let peer = stdio.peer_address();
                Ok((OsStream::Stdio(stdio), peer))
            }
            ListenerSocket::Tcp(socket) => {
                let (stream, peer) = socket.accept()?;
                Ok((OsStream::Tcp(stream), Address::Tcp(unmapped(peer))))
            }
            ListenerSocket::Unix(socket) => {
                let (stream, peer) = socket.accept()?;
                Ok((OsStream::Unix(stream), Address::Unix(unix_name(&peer))))
            }
        }
    }

    // Dropping it does all that is to be done.
    fn close_listener(&mut self, listener: OsListener) {
        drop(listener);
    }

    fn connect(&mut self, to: &Address, from: Option<IpAddr>) -> io::Result<OsStream> {
        OsStream::connect(to, from)
    }

    fn connected(&mut self, stream: &mut OsStream) -> io::Result<bool> {
        match self.take_error(stream)? {
            Some(e) => Err(e),
            None => stream.is_connected(),
        }
    }

    fn watch(&mut self, stream: &mut OsStream, token: u64) -> io::Result<()> {
        let (registry, token) = (self.poll.registry(), Token(token as usize));
        let both = Interest::READABLE | Interest::WRITABLE;
        match stream {
            OsStream::Stdio(stdio) => {
                stdio.register(registry, token)?;
                // No edge comes for a file, and of a terminal a read brings no more than a line:
                // that it is short doesn't tell that nothing is left.
                let token = token.0 as u64;
                let all =
                    Ready { readable: true, writable: true, read_closed: true, ..Ready::default() };
                self.due.push(Ready { token, ..all });
                Ok(())
            }
            OsStream::Tcp(stream) => stream.register(registry, token, both),
            OsStream::Unix(stream) => stream.register(registry, token, both),
        }
    }

    fn local_address(&self, stream: &OsStream) -> io::Result<Address> {
        Ok(match stream {
            OsStream::Stdio(stdio) => stdio.local_address(),
            OsStream::Tcp(stream) => Address::Tcp(unmapped(stream.local_addr()?)),
            OsStream::Unix(stream) => Address::Unix(unix_name(&stream.local_addr()?)),
        })
    }

    fn read(&mut self, stream: &mut OsStream, into: &mut [u8]) -> io::Result<usize> {
        match stream {
            OsStream::Stdio(stdio) => stdio.read(into),
            OsStream::Tcp(stream) => stream.read(into),
            OsStream::Unix(stream) => stream.read(into),
        }
    }

    fn write(
        &mut self,
        stream: &mut OsStream,
        data: &[IoSlice<'_>],
        more: bool,
    ) -> io::Result<usize> {
        if let OsStream::Stdio(stdio) = stream {
            return stdio.write(data);
        }
        let flags = if more { SendFlags::MORE } else { SendFlags::empty() } | SendFlags::NOSIGNAL;
        let sent = match data {
            [one] => rustix::net::send(stream, one, flags),
            _ => rustix::net::sendmsg(stream, data, &mut Default::default(), flags),
        };
        Ok(sent?)
    }

    fn send_file(
        &mut self,
        stream: &mut OsStream,
        file: &File,
        mut offset: u64,
        length: usize,
    ) -> io::Result<usize> {
        if let OsStream::Stdio(stdio) = stream {
            return stdio.send_file(file, offset, length);
        }
        Ok(rustix::fs::sendfile(stream, file, Some(&mut offset), length)?)
    }

    fn read_file(&mut self, file: &File, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut parts = [IoSliceMut::new(into)];
        match rustix::io::preadv2(file, &mut parts, offset, rustix::io::ReadWriteFlags::NOWAIT) {
            Ok(n) => Ok(n),
            // Not every file system can tell. Then it waits, as `sendfile` does.
            Err(rustix::io::Errno::OPNOTSUPP) => file.read_at(into, offset),
            Err(e) => Err(e.into()),
        }
    }

    fn shutdown_write(&mut self, stream: &mut OsStream) -> io::Result<()> {
        if let OsStream::Stdio(stdio) = stream {
            return stdio.shutdown_write();
        }
        Ok(rustix::net::shutdown(stream, rustix::net::Shutdown::Write)?)
    }

    fn take_error(&mut self, stream: &mut OsStream) -> io::Result<Option<io::Error>> {
        if let OsStream::Stdio(stdio) = stream
            && stdio.socket().is_err()
        {
            // A pipe's write tells that its reader is gone.
            return Ok(None);
        }
        Ok(sockopt::socket_error(stream)?.err().map(io::Error::from))
    }

    fn set_no_delay(&mut self, stream: &mut OsStream, on: bool) -> io::Result<()> {
        Ok(sockopt::set_tcp_nodelay(stream.tcp()?, on)?)
    }

    fn set_keep_alive(&mut self, stream: &mut OsStream, on: bool) -> io::Result<()> {
        Ok(sockopt::set_socket_keepalive(stream.tcp()?, on)?)
    }

    fn close_may_reset(&self, stream: &OsStream) -> bool {
        match stream {
            OsStream::Stdio(stdio) => stdio.socket().is_ok(),
            OsStream::Tcp(_) | OsStream::Unix(_) => true,
        }
    }

    // Closing a descriptor takes it out of the epoll set, so there is nothing to deregister.
    fn close(&mut self, stream: OsStream) {
        drop(stream);
    }

    fn reset(&mut self, stream: OsStream) {
        // Where it fails the peer sees an end instead of a reset: no reason to keep the socket.
        let _ = sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
    }

    fn bind(&mut self, place: &Place) -> io::Result<OsDatagrams> {
        OsDatagrams::bind(place, false)
    }

    fn pair_with(&mut self, peer: &Address, from: Option<IpAddr>) -> io::Result<OsDatagrams> {
        OsDatagrams::pair_with(peer, from)
    }

    fn watch_datagrams(&mut self, socket: &mut OsDatagrams, token: u64) -> io::Result<()> {
        let (registry, token) = (self.poll.registry(), Token(token as usize));
        match &mut socket.socket {
            DatagramSocket::Udp { socket, .. } => {
                socket.register(registry, token, Interest::READABLE)
            }
            DatagramSocket::Unix(socket) => socket.register(registry, token, Interest::READABLE),
        }
    }

    fn datagrams_address(&self, socket: &OsDatagrams) -> io::Result<Address> {
        socket.address()
    }

    fn receive(&mut self, socket: &mut OsDatagrams, batch: &mut Batch) -> io::Result<bool> {
        socket.receive(&mut self.scratch, batch)
    }

    fn send(&mut self, socket: &mut OsDatagrams, data: &[u8], parts: &[Part]) -> usize {
        socket.send(&mut self.scratch, data, parts)
    }

    fn refusals(&mut self, socket: &mut OsDatagrams, refusals: &mut Vec<Refusal>) {
        socket.refusals(refusals);
    }

    fn set_datagrams(
        &mut self,
        socket: &mut OsDatagrams,
        option: &DatagramOption,
    ) -> io::Result<()> {
        socket.set(option)
    }

    fn join(&mut self, socket: &mut OsDatagrams, of: &Membership) -> io::Result<()> {
        socket.join(of)
    }

    fn leave(&mut self, socket: &mut OsDatagrams, of: &Membership) -> io::Result<()> {
        socket.leave(of)
    }

    // As a stream's; the name that it left is removed with it.
    fn close_datagrams(&mut self, socket: OsDatagrams) {
        drop(socket);
    }
}

/// The descriptor that is readable when [`Net::poll`] has something to report: for loops that
/// wait by themselves.
impl AsRawFd for OsNet {
    fn as_raw_fd(&self) -> RawFd {
        self.poll.as_raw_fd()
    }
}

/// The CPU time that the calling thread has used.
pub fn thread_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// Adds to the niceness of the calling thread, so that it gives way to others: for threads that do
/// blocking work.
pub fn be_nice(more: i32) {
    // Linux gives each thread its own niceness. Where it fails, the work is done all the same.
    let _ = rustix::process::nice(more);
}

/// Allows as many open descriptors as the system lets this process have, and says how many.
pub fn raise_descriptor_limit() -> Option<u64> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match rustix::process::setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// No listener and no stream is ever named so: see [`crate::arena::Id::to_u64`].
const WAKER: Token = Token(usize::MAX);

/// How many events one system call may bring.
const EVENTS_A_POLL: usize = 1024;

#[cfg(test)]
mod tests;
