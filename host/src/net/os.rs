//! The network of this machine: mio, and the system calls that mio doesn't wrap, by rustix.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use std::{fs, os::unix::net as unix};

use mio::event::Source;
use mio::{Events, Interest, Poll, Token, net as tcp};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, sockopt};
use rustix::process::{Resource, Rlimit};

use super::{Address, Net, Ready, Waker};

/// The kernel's network and clocks.
pub struct OsNet {
    poll: Poll,
    events: Events,
    waker: Arc<mio::Waker>,
}

/// A bound socket that accepts connections.
pub struct OsListener {
    socket: ListenerSocket,
    /// What to remove when it closes.
    path: Option<PathBuf>,
    /// Whether the kernel deals connections out to it and others.
    shared: bool,
}

enum ListenerSocket {
    Tcp(tcp::TcpListener),
    Unix(tcp::UnixListener),
}

/// A connected socket.
pub enum OsStream {
    /// Of TCP.
    Tcp(tcp::TcpStream),
    /// Of a Unix socket.
    Unix(tcp::UnixStream),
}

impl OsNet {
    /// A network with nothing registered yet.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(mio::Waker::new(poll.registry(), WAKER)?);
        Ok(Self { poll, events: Events::with_capacity(EVENTS_A_POLL), waker })
    }
}

impl Net for OsNet {
    type Listener = OsListener;
    type Stream = OsStream;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
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

    fn watch_listener(&mut self, listener: &mut OsListener, token: u64) -> io::Result<()> {
        let (registry, token) = (self.poll.registry(), Token(token as usize));
        match &mut listener.socket {
            ListenerSocket::Tcp(socket) => socket.register(registry, token, Interest::READABLE),
            ListenerSocket::Unix(socket) => socket.register(registry, token, Interest::READABLE),
        }
    }

    fn accept(&mut self, listener: &mut OsListener) -> io::Result<(OsStream, Address)> {
        match &listener.socket {
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

    fn watch(&mut self, stream: &mut OsStream, token: u64) -> io::Result<()> {
        let (registry, token) = (self.poll.registry(), Token(token as usize));
        let both = Interest::READABLE | Interest::WRITABLE;
        match stream {
            OsStream::Tcp(stream) => stream.register(registry, token, both),
            OsStream::Unix(stream) => stream.register(registry, token, both),
        }
    }

    fn local_address(&self, stream: &OsStream) -> io::Result<Address> {
        Ok(match stream {
            OsStream::Tcp(stream) => Address::Tcp(unmapped(stream.local_addr()?)),
            OsStream::Unix(stream) => Address::Unix(unix_name(&stream.local_addr()?)),
        })
    }

    fn read(&mut self, stream: &mut OsStream, into: &mut [u8]) -> io::Result<usize> {
        match stream {
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
        Ok(rustix::fs::sendfile(stream, file, Some(&mut offset), length)?)
    }

    fn shutdown_write(&mut self, stream: &mut OsStream) -> io::Result<()> {
        Ok(rustix::net::shutdown(stream, rustix::net::Shutdown::Write)?)
    }

    fn take_error(&mut self, stream: &mut OsStream) -> io::Result<Option<io::Error>> {
        Ok(sockopt::socket_error(stream)?.err().map(io::Error::from))
    }

    fn set_no_delay(&mut self, stream: &mut OsStream, on: bool) -> io::Result<()> {
        Ok(sockopt::set_tcp_nodelay(stream.tcp()?, on)?)
    }

    fn set_keep_alive(&mut self, stream: &mut OsStream, on: bool) -> io::Result<()> {
        Ok(sockopt::set_socket_keepalive(stream.tcp()?, on)?)
    }

    // Closing a descriptor takes it out of the epoll set, so there is nothing to deregister.
    fn close(&mut self, stream: OsStream) {
        drop(stream);
    }

    fn reset(&mut self, stream: OsStream) {
        // Where it fails the peer sees an end instead of a reset: no reason to keep the socket.
        let _ = sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
    }
}

/// The descriptor that is readable when [`Net::poll`] has something to report: for loops that
/// wait by themselves.
impl AsRawFd for OsNet {
    fn as_raw_fd(&self) -> RawFd {
        self.poll.as_raw_fd()
    }
}

impl OsListener {
    /// Whether a TCP address is free, and which port the system picks where 0 is asked for. A
    /// socket that shares its address can't tell: it would steal the other's connections.
    pub fn probe(address: SocketAddr) -> io::Result<SocketAddr> {
        let socket = tcp_socket(address)?;
        rustix::net::bind(&socket, &address)?;
        let bound = rustix::net::getsockname(&socket)?;
        Ok(SocketAddr::try_from(bound)?)
    }

    /// Listens on a TCP address. With `share`, any number of sockets of this process may
    /// listen there, and the kernel deals connections out (`SO_REUSEPORT`).
    pub fn tcp(address: SocketAddr, backlog: u32, share: bool) -> io::Result<Self> {
        let socket = tcp_socket(address)?;
        if share {
            sockopt::set_socket_reuseport(&socket, true)?;
        }
        // Connections inherit it, which saves a system call for each.
        sockopt::set_tcp_nodelay(&socket, true)?;
        rustix::net::bind(&socket, &address)?;
        rustix::net::listen(&socket, backlog_arg(backlog))?;
        let socket = tcp::TcpListener::from_std(socket.into());
        Ok(Self { socket: ListenerSocket::Tcp(socket), path: None, shared: share })
    }

    /// Listens on a path, with the permissions `mode`. A socket that a dead process left there is
    /// removed; one that somebody listens on, or a file that is no socket, is `AddrInUse`.
    pub fn unix(path: &Path, mode: Option<u32>, backlog: u32) -> io::Result<Self> {
        remove_stale(path)?;
        let socket = unix_socket()?;
        rustix::net::bind(&socket, &rustix::net::SocketAddrUnix::new(path)?)?;
        if let Some(mode) = mode {
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        Self::unix_from(socket, backlog, Some(path.to_owned()))
    }

    /// Listens on a name in Linux' abstract namespace.
    pub fn abstract_unix(name: &[u8], backlog: u32) -> io::Result<Self> {
        let socket = unix_socket()?;
        rustix::net::bind(&socket, &rustix::net::SocketAddrUnix::new_abstract_name(name)?)?;
        Self::unix_from(socket, backlog, None)
    }

    fn unix_from(socket: OwnedFd, backlog: u32, path: Option<PathBuf>) -> io::Result<Self> {
        rustix::net::listen(&socket, backlog_arg(backlog))?;
        let socket = tcp::UnixListener::from_std(socket.into());
        Ok(Self { socket: ListenerSocket::Unix(socket), path, shared: false })
    }

    /// Whether other sockets of this process listen there too.
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// Where it listens: with the port that the system picked, where 0 was asked for.
    pub fn address(&self) -> io::Result<Address> {
        Ok(match &self.socket {
            ListenerSocket::Tcp(socket) => Address::Tcp(socket.local_addr()?),
            ListenerSocket::Unix(socket) => Address::Unix(unix_name(&socket.local_addr()?)),
        })
    }
}

/// However it ends, also where another endpoint can't be bound, it leaves no socket behind.
impl Drop for OsListener {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Somebody else may have removed it, or put another there: then there's nothing to do.
            let _ = fs::remove_file(path);
        }
    }
}

impl OsStream {
    fn tcp(&self) -> io::Result<&tcp::TcpStream> {
        match self {
            Self::Tcp(stream) => Ok(stream),
            Self::Unix(_) => Err(ErrorKind::Unsupported.into()),
        }
    }
}

impl AsFd for OsStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

/// The CPU time that the calling thread has used.
pub fn thread_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// Makes the calling thread give way to others: for threads that do blocking work.
pub fn be_nice() {
    // Linux gives each thread its own niceness. Where it fails, the work is done all the same.
    let _ = rustix::process::nice(POOL_NICENESS);
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

fn tcp_socket(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        // What an endpoint says is what it gets: IPv4 has its own.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    Ok(socket)
}

fn unix_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

/// Removes the socket at `path` if nobody listens on it.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(ErrorKind::AddrInUse, "a file that is no socket is there"));
        }
        Ok(_) => {}
    }
    match unix::UnixStream::connect(path) {
        Err(e) if e.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
        Ok(_) => Err(ErrorKind::AddrInUse.into()),
    }
}

/// An IPv4 peer of an IPv6 socket, as the IPv4 address that it is.
fn unmapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(v6) => SocketAddr::new(v6.to_canonical(), address.port()),
        IpAddr::V4(_) => address,
    }
}

fn unix_name(address: &unix::SocketAddr) -> Box<str> {
    let name = match (address.as_pathname(), address.as_abstract_name()) {
        (Some(path), _) => path.to_string_lossy().into_owned(),
        (_, Some(name)) => format!("@{}", String::from_utf8_lossy(name)),
        _ => String::new(),
    };
    name.into()
}

fn backlog_arg(backlog: u32) -> i32 {
    i32::try_from(backlog).unwrap_or(i32::MAX)
}

/// No listener and no stream is ever named so: see [`crate::arena::Id::to_u64`].
const WAKER: Token = Token(usize::MAX);

/// How many events one system call may bring.
const EVENTS_A_POLL: usize = 1024;

/// What threads of the pool add to their niceness.
const POOL_NICENESS: i32 = 5;
