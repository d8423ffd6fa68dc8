//! Sockets that listen, bound before a reactor runs or by one.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mio::net as tcp;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, sockopt};

use super::socket::{tcp_socket, unix_name, unix_socket};
use super::stdio::Stdio;
use crate::net::Address;

/// A bound socket that accepts connections.
pub struct OsListener {
    pub(super) socket: ListenerSocket,
    /// What to remove when it closes.
    path: Option<PathBuf>,
    /// Whether the kernel deals connections out to it and others.
    shared: bool,
}

pub(super) enum ListenerSocket {
    /// It brings one connection, and no other.
    Stdio(Option<Stdio>),
    Tcp(tcp::TcpListener),
    Unix(tcp::UnixListener),
}

impl OsListener {
    /// Listens where nobody else does: see [`Net::listen`](crate::net::Net::listen).
    pub(super) fn alone(at: &Address, backlog: u32, mode: Option<u32>) -> io::Result<Self> {
        match at {
            Address::Stdio => Err(ErrorKind::InvalidInput.into()),
            Address::Tcp(address) => Self::tcp(*address, backlog, false),
            Address::Udp(_) => Err(ErrorKind::Unsupported.into()),
            Address::Unix(name) => match name.strip_prefix('@') {
                _ if matches!(&**name, "" | "@") => Err(ErrorKind::InvalidInput.into()),
                Some(name) => Self::abstract_unix(name.as_bytes(), backlog),
                None => Self::unix(Path::new(&**name), mode, backlog),
            },
        }
    }

    /// Whether a TCP address is free, and which port the system picks where 0 is asked for. A
    /// socket that shares its address can't tell: it would steal the other's connections.
    pub fn probe(address: SocketAddr) -> io::Result<SocketAddr> {
        let socket = listening_socket(address)?;
        rustix::net::bind(&socket, &address)?;
        let bound = rustix::net::getsockname(&socket)?;
        Ok(SocketAddr::try_from(bound)?)
    }

    /// Listens on a TCP address. With `share`, any number of sockets of this process may
    /// listen there, and the kernel deals connections out (`SO_REUSEPORT`).
    pub fn tcp(address: SocketAddr, backlog: u32, share: bool) -> io::Result<Self> {
        let socket = listening_socket(address)?;
        if share {
            sockopt::set_socket_reuseport(&socket, true)?;
        }
        // Connections inherit it, which saves a system call for each.
        sockopt::set_tcp_nodelay(&socket, true)?;
        rustix::net::bind(&socket, &address)?;
        let socket = ListenerSocket::Tcp(tcp::TcpListener::from_std(socket.into()));
        Self { socket, path: None, shared: share }.listen(backlog)
    }

    /// Listens on a path, with the permissions `mode`. A socket that a dead process left there is
    /// removed; one that somebody listens on, or a file that is no socket, is `AddrInUse`.
    pub fn unix(path: &Path, mode: Option<u32>, backlog: u32) -> io::Result<Self> {
        remove_stale(path, SocketType::STREAM)?;
        let socket = unix_socket(SocketType::STREAM)?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
        // From here on the file is its own, and is removed with it.
        let bound = Self::unix_from(socket, Some(path.to_owned()));
        if let Some(mode) = mode {
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        bound.listen(backlog)
    }

    /// Listens on a name in Linux' abstract namespace.
    pub fn abstract_unix(name: &[u8], backlog: u32) -> io::Result<Self> {
        let socket = unix_socket(SocketType::STREAM)?;
        rustix::net::bind(&socket, &SocketAddrUnix::new_abstract_name(name)?)?;
        Self::unix_from(socket, None).listen(backlog)
    }

    /// A socket that somebody else has opened, and listens already. What it is the kernel says; the
    /// file of a Unix socket is not removed when it closes.
    ///
    /// # Errors
    /// Where it is not a stream that listens, over TCP or on a Unix socket.
    pub fn adopt(socket: OwnedFd) -> io::Result<Self> {
        let problem = |problem| Err(io::Error::other(problem));
        match sockopt::socket_type(&socket)? {
            SocketType::STREAM => {}
            SocketType::DGRAM => {
                return problem("it is a datagram socket; this version listens on streams alone");
            }
            _ => return problem("it is no socket that carries streams"),
        }
        if !sockopt::socket_acceptconn(&socket)? {
            return problem(
                "it is a connection and doesn't listen; write stdio: for a program that is started \
                 for each connection",
            );
        }
        let flags = rustix::fs::fcntl_getfl(&socket)?;
        rustix::fs::fcntl_setfl(&socket, flags | OFlags::NONBLOCK)?;
        match sockopt::socket_domain(&socket)? {
            AddressFamily::INET | AddressFamily::INET6 => {
                sockopt::set_tcp_nodelay(&socket, true)?;
                let socket = ListenerSocket::Tcp(tcp::TcpListener::from_std(socket.into()));
                Ok(Self { socket, path: None, shared: false })
            }
            AddressFamily::UNIX => Ok(Self::unix_from(socket, None)),
            _ => problem("it is neither TCP nor a Unix socket"),
        }
    }

    /// What brings standard input and output as its one connection.
    pub(crate) fn stdio(stdio: Stdio) -> Self {
        Self { socket: ListenerSocket::Stdio(Some(stdio)), path: None, shared: false }
    }

    /// Whether it brings one connection, and no other.
    pub fn is_single(&self) -> bool {
        matches!(self.socket, ListenerSocket::Stdio(_))
    }

    fn unix_from(socket: OwnedFd, path: Option<PathBuf>) -> Self {
        let socket = ListenerSocket::Unix(tcp::UnixListener::from_std(socket.into()));
        Self { socket, path, shared: false }
    }

    fn listen(self, backlog: u32) -> io::Result<Self> {
        match &self.socket {
            ListenerSocket::Stdio(_) => {}
            ListenerSocket::Tcp(socket) => rustix::net::listen(socket, backlog_arg(backlog))?,
            ListenerSocket::Unix(socket) => rustix::net::listen(socket, backlog_arg(backlog))?,
        }
        Ok(self)
    }

    /// Whether other sockets of this process listen there too.
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// Where it listens: with the port that the system picked, where 0 was asked for.
    pub fn address(&self) -> io::Result<Address> {
        Ok(match &self.socket {
            ListenerSocket::Stdio(_) => Address::Stdio,
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

/// Removes the socket at `path` if nobody listens on it.
pub(super) fn remove_stale(path: &Path, kind: SocketType) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(ErrorKind::AddrInUse, "a file that is no socket is there"));
        }
        Ok(_) => {}
    }
    // Without waiting: one whose backlog is full is alive, too.
    match rustix::net::connect(unix_socket(kind)?, &SocketAddrUnix::new(path)?) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path),
        Err(Errno::NOENT) => Ok(()),
        // Of another type, it is somebody's all the same.
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => Err(ErrorKind::AddrInUse.into()),
        Err(e) => Err(e.into()),
    }
}

fn listening_socket(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = tcp_socket(address)?;
    // What is left of connections of a listener that is gone must not keep its address.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    Ok(socket)
}

fn backlog_arg(backlog: u32) -> i32 {
    i32::try_from(backlog).unwrap_or(i32::MAX)
}
