//! Sockets that carry bytes, and how they come to be connected.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use mio::net as tcp;
use rustix::io::Errno;
use rustix::net::{SocketType, sockopt};

use super::socket::{tcp_socket, unix_address, unix_socket};
use super::stdio::Stdio;
use crate::net::Address;

/// A connected socket, or what stands for one.
pub enum OsStream {
    /// Standard input and output.
    Stdio(Stdio),
    /// Of TCP.
    Tcp(tcp::TcpStream),
    /// Of a Unix socket.
    Unix(tcp::UnixStream),
}

impl OsStream {
    /// Begins a connection: see [`Net::connect`](crate::net::Net::connect).
    pub(super) fn connect(to: &Address, from: Option<IpAddr>) -> io::Result<Self> {
        match to {
            Address::Tcp(address) => connect_tcp(*address, from),
            Address::Stdio => Err(ErrorKind::InvalidInput.into()),
            Address::Udp(_) => Err(ErrorKind::Unsupported.into()),
            Address::Unix(_) if from.is_some() => Err(ErrorKind::InvalidInput.into()),
            Address::Unix(name) => connect_unix(name),
        }
    }

    /// Whether the peer has answered, where the socket has no error to tell.
    pub(super) fn is_connected(&self) -> io::Result<bool> {
        let Self::Tcp(stream) = self else {
            // A Unix socket's connection is made before `connect` returns.
            return Ok(true);
        };
        match stream.peer_addr() {
            // Two sides that call each other are a connection to TCP (RFC 9293, section 3.5), and
            // one side that calls itself is, too: a free port of this host was picked as source.
            Ok(peer) if stream.local_addr()? == peer => Err(ErrorKind::ConnectionRefused.into()),
            Ok(_) => Ok(true),
            Err(e) if e.kind() == ErrorKind::NotConnected => Ok(false),
            Err(e) => Err(e),
        }
    }

    pub(super) fn tcp(&self) -> io::Result<BorrowedFd<'_>> {
        match self {
            Self::Stdio(stdio) => stdio.socket(),
            Self::Tcp(stream) => Ok(stream.as_fd()),
            Self::Unix(_) => Err(ErrorKind::Unsupported.into()),
        }
    }
}

impl AsFd for OsStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stdio(stdio) => stdio.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

fn connect_tcp(to: SocketAddr, from: Option<IpAddr>) -> io::Result<OsStream> {
    let socket = tcp_socket(to)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    match from {
        Some(from) if from.is_ipv4() != to.is_ipv4() => return Err(ErrorKind::InvalidInput.into()),
        Some(from) => rustix::net::bind(&socket, &SocketAddr::new(from, 0))?,
        None => {}
    }
    match rustix::net::connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(e) => return Err(e.into()),
    }
    Ok(OsStream::Tcp(tcp::TcpStream::from_std(socket.into())))
}

fn connect_unix(name: &str) -> io::Result<OsStream> {
    let socket = unix_socket(SocketType::STREAM)?;
    match rustix::net::connect(&socket, &unix_address(name)?) {
        Ok(()) => Ok(OsStream::Unix(tcp::UnixStream::from_std(socket.into()))),
        // The backlog is full. The kernel tells nobody when there is room in it, so this is final.
        Err(Errno::AGAIN) => {
            Err(io::Error::new(ErrorKind::ConnectionRefused, "its backlog is full"))
        }
        Err(e) => Err(e.into()),
    }
}
