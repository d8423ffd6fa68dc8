//! Where to listen, in one line: Twisted's endpoint strings, parsed. Opens nothing.

mod parse;
mod shown;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::inherited::Inherited;
use super::pieces;
use crate::net::Address;
use crate::net::datagram::Place;

pub use super::pieces::ENDPOINT_MAX;
pub use super::unix_name::{UNIX_NAME_MAX, UnixName};
pub(super) use parse::address;
pub(super) use shown::Scope;

/// How many connections the system keeps waiting for `accept` where an endpoint doesn't say. The
/// system may cap it further (`net.core.somaxconn`).
pub const BACKLOG_DEFAULT: u32 = 1024;

/// The most that an endpoint may ask for as its backlog: what a C `int` can hold.
pub const BACKLOG_MAX: u32 = i32::MAX as u32;

/// A place to listen, as an *endpoint string* names it.
///
/// The syntax is Twisted's: pieces are separated by `:`, the first is the kind, and a piece may be
/// `key=value`. A backslash takes the special meaning from the character behind it: `\:`, `\=`,
/// `\\`.
///
/// | string | means |
/// |---|---|
/// | `tcp:8080` | TCP, on all IPv4 interfaces |
/// | `tcp:8080:interface=127.0.0.1` | TCP, on one interface |
/// | `tcp:8080:interface=[::1]`, `tcp:8080:interface=\:\:1` | the same over IPv6 |
/// | `tcp6:8080` | TCP, on all IPv6 interfaces |
/// | `tcp:0` | TCP, on a port that the system picks |
/// | `tls:8443` | TLS over TCP, with the certificates of the service |
/// | `tls:8443:cert=cert.pem:key=key.pem` | TLS, with a certificate of its own |
/// | `ssl:8443:certKey=cert.pem:privateKey=key.pem` | the same, as Twisted writes it |
/// | `unix:/run/site.sock:mode=660` | a Unix socket, with the mode of its file in octal |
/// | `unix:@site` | a Unix socket with an abstract name (Linux) |
/// | `systemd:index=0` | the first socket that systemd has opened for the host |
/// | `systemd:name=web:tls=yes` | one by its name, with TLS; `cert` and `key` as `tls:` has them |
/// | `fd:3` | a socket that listens already, by the number of its descriptor |
/// | `stdio:` | standard input and output, as one connection |
/// | `haproxy:tcp:8080`, `haproxy:unix:PATH` … | the same, behind a proxy that says who the client is |
/// | `udp:5353:interface=127.0.0.1` | UDP, on one interface |
/// | `udp:5353:reuse=yes` | UDP, on a port that other programs have, too, as mDNS needs it |
/// | `udp:9:broadcast=yes` | UDP, also to whole networks |
/// | `udp6:5353` | UDP, on all IPv6 interfaces |
/// | `udp6:5353:dual=yes` | UDP, on all interfaces of IPv6 and IPv4 |
/// | `unix-datagram:/run/log.sock:mode=660` | a Unix socket for datagrams |
///
/// Those for streams that are bound take `backlog=N` ([`BACKLOG_DEFAULT`]). `lockfile=0` and `lockfile=1` of `unix:` are
/// understood for Twisted's sake and change nothing: the host tells a stale socket from a live one
/// by connecting to it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Endpoint {
    /// The socket that it is.
    pub socket: Socket,
    /// What its TLS begins with, where each connection is encrypted from its first byte on.
    pub tls: Option<Identity>,
    /// Whether each connection begins with a header of the PROXY protocol, before TLS.
    pub proxied: bool,
}

/// The certificate that an endpoint shows, by its files. Without them it shows those of the service.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Identity {
    /// A PEM file with the certificate, and those that lead to one that peers trust.
    pub cert: Option<PathBuf>,
    /// A PEM file with its private key; without it that is in `cert`, too.
    pub key: Option<PathBuf>,
}

/// A socket to listen on.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Socket {
    /// `tcp:`, `tcp6:` or `tls:`.
    Tcp {
        /// The interface and the port; port 0 lets the system pick one.
        address: SocketAddr,
        /// How many connections may wait for `accept`.
        backlog: u32,
    },
    /// `systemd:` or `fd:`, a socket that somebody else has opened.
    Inherited(Inherited),
    /// `stdio:`, one connection that is there from the start.
    Stdio,
    /// `unix:`, a stream socket.
    Unix {
        /// Its path or its abstract name.
        name: UnixName,
        /// The permission bits of its file, at most 0o777; `None` leaves what the umask makes.
        mode: Option<u32>,
        /// How many connections may wait for `accept`.
        backlog: u32,
    },
    /// `udp:` or `udp6:`.
    Udp {
        /// The interface and the port; port 0 lets the system pick one.
        address: SocketAddr,
        /// What comes by IPv4 comes to this socket of IPv6, too.
        dual: bool,
        /// Other programs may have the port, too, if they say so (`SO_REUSEADDR`).
        reuse: bool,
        /// Datagrams may go to whole networks (`SO_BROADCAST`).
        broadcast: bool,
    },
    /// `unix-datagram:`.
    UnixDatagram {
        /// Its path or its abstract name.
        name: UnixName,
        /// The permission bits of its file, at most 0o777; `None` leaves what the umask makes.
        mode: Option<u32>,
    },
}

/// What goes through a socket.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Carries {
    /// Bytes, in connections.
    Streams,
    /// Datagrams.
    Datagrams,
}

impl Carries {
    /// The kind of an endpoint that carries it between hosts.
    pub(super) fn over_ip(self) -> &'static str {
        match self {
            Self::Streams => "tcp",
            Self::Datagrams => "udp",
        }
    }

    /// The kind of an endpoint that carries it within this machine.
    pub(super) fn over_unix(self) -> &'static str {
        match self {
            Self::Streams => "unix",
            Self::Datagrams => "unix-datagram",
        }
    }
}

/// What is wrong with an endpoint string.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndpointError {
    endpoint: String,
    problem: String,
}

impl Endpoint {
    /// How many connections may wait for `accept`; `None` where that isn't the endpoint's to say.
    pub fn backlog(&self) -> Option<u32> {
        match self.socket {
            Socket::Tcp { backlog, .. } | Socket::Unix { backlog, .. } => Some(backlog),
            Socket::Inherited(_)
            | Socket::Stdio
            | Socket::Udp { .. }
            | Socket::UnixDatagram { .. } => None,
        }
    }

    /// The same endpoint, with a relative path of a Unix socket taken to be below `folder`.
    ///
    /// # Errors
    /// Where the path becomes longer than [`UNIX_NAME_MAX`].
    pub fn below(mut self, folder: &Path) -> Result<Self, EndpointError> {
        if let Some(Identity { cert, key }) = &mut self.tls {
            for path in [cert, key].into_iter().flatten() {
                *path = folder.join(&path);
            }
        }
        let (Socket::Unix { name, .. } | Socket::UnixDatagram { name, .. }) = &mut self.socket
        else {
            return Ok(self);
        };
        let problem = match name.clone().below(folder) {
            Ok(below) => {
                *name = below;
                None
            }
            Err((below, problem)) => {
                *name = below;
                Some(problem)
            }
        };
        match problem {
            None => Ok(self),
            Some(problem) => Err(EndpointError::new(&self.to_string(), problem)),
        }
    }

    /// What goes through its socket.
    pub fn carries(&self) -> Carries {
        match self.socket {
            Socket::Inherited(_) | Socket::Stdio | Socket::Tcp { .. } | Socket::Unix { .. } => {
                Carries::Streams
            }
            Socket::Udp { .. } | Socket::UnixDatagram { .. } => Carries::Datagrams,
        }
    }

    /// Where datagrams are to be had, as [`Net::bind`](crate::net::Net::bind) takes it; `None`
    /// where it is for streams, and for a path that isn't UTF-8.
    pub fn place(&self) -> Option<Place> {
        match (&self.socket, self.address()?) {
            (Socket::Udp { dual, reuse, broadcast, .. }, Address::Udp(at)) => {
                Some(Place::Udp { at, dual: *dual, reuse: *reuse, broadcast: *broadcast })
            }
            (Socket::UnixDatagram { mode, .. }, Address::Unix(name)) => {
                Some(Place::Unix { name, mode: *mode })
            }
            _ => None,
        }
    }

    /// What to listen on, as [`Net::listen`](crate::net::Net::listen) takes it; `None` for a path
    /// that isn't UTF-8, and for what is open already.
    pub fn address(&self) -> Option<Address> {
        match &self.socket {
            Socket::Tcp { address, .. } => Some(Address::Tcp(*address)),
            Socket::Udp { address, .. } => Some(Address::Udp(*address)),
            Socket::Unix { name, .. } | Socket::UnixDatagram { name, .. } => name.address(),
            Socket::Inherited(_) | Socket::Stdio => None,
        }
    }

    /// Whether two listeners can't have both endpoints at once, as far as the strings tell.
    pub fn collides_with(&self, other: &Self) -> bool {
        match (&self.socket, &other.socket) {
            (Socket::Tcp { address: one, .. }, Socket::Tcp { address: two, .. }) => {
                collide(one, two)
            }
            (
                Socket::Udp { address: one, dual, reuse, .. },
                Socket::Udp { address: two, dual: other_dual, reuse: both_reuse, .. },
            ) => {
                // A socket for both families takes the ports of IPv4's.
                let any_family = (*dual || *other_dual) && one.port() == two.port();
                !(*reuse && *both_reuse) && (collide(one, two) || any_family && one.port() != 0)
            }
            (
                Socket::Unix { name: one, .. } | Socket::UnixDatagram { name: one, .. },
                Socket::Unix { name: two, .. } | Socket::UnixDatagram { name: two, .. },
            ) => {
                // Two kinds of sockets have names of their own, but paths are files.
                one == two
                    && (self.carries() == other.carries() || matches!(one, UnixName::Path(_)))
            }
            (Socket::Inherited(one), Socket::Inherited(two)) => one.is(two),
            (Socket::Stdio, Socket::Stdio) => true,
            _ => false,
        }
    }
}

fn collide(one: &SocketAddr, two: &SocketAddr) -> bool {
    let same_family = one.is_ipv4() == two.is_ipv4();
    let wildcard = one.ip().is_unspecified() || two.ip().is_unspecified();
    one.port() != 0 && one.port() == two.port() && (one.ip() == two.ip() || same_family && wildcard)
}

impl From<Socket> for Endpoint {
    fn from(socket: Socket) -> Self {
        Self { socket, tls: None, proxied: false }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(endpoint: &str) -> Result<Self, EndpointError> {
        pieces::read(endpoint, parse::parse)
    }
}

impl EndpointError {
    pub(super) fn new(endpoint: &str, problem: String) -> Self {
        Self { endpoint: endpoint.to_owned(), problem }
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}: {}", self.endpoint, self.problem)
    }
}

impl std::error::Error for EndpointError {}

#[cfg(test)]
#[path = "endpoint_tests.rs"]
mod tests;
