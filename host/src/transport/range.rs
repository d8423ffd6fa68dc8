//! Where a plugin may listen: the ranges that its service grants, in endpoint syntax. Opens nothing.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::str::FromStr;

use super::endpoint::{Carries, Endpoint, EndpointError, Scope, Socket, UnixName, address};
use super::pieces::{Pieces, Syntax, number};

const TCP: Syntax = Syntax { positional: &["port"], addresses: &["interface"] };
const UNIX: Syntax = Syntax { positional: &["address"], addresses: &[] };

/// Endpoints that a plugin may listen on.
///
/// | string | allows |
/// |---|---|
/// | `tcp:40000-40100` | these ports, on any IPv4 interface or on all of them |
/// | `tcp:40000-40100:interface=127.0.0.1` | these ports, on one interface |
/// | `tcp6:50000-50010` | these ports, on any IPv6 interface or on all of them |
/// | `tcp:2121`, `tcp:*` | one port, and every port |
/// | `unix:/run/ftp/x.sock`, `unix:@ftp` | one Unix socket |
/// | `udp:40000-40100`, `udp6:*` | the same for UDP; a socket for both families needs both |
/// | `unix-datagram:/run/log.sock` | one Unix socket for datagrams |
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ListenRange {
    /// `tcp:`, `tcp6:`, `udp:` or `udp6:`.
    Ip {
        /// TCP's are streams.
        carries: Carries,
        /// With port 0; the unspecified address stands for every interface of its family.
        interface: SocketAddr,
        /// At least one.
        ports: Ports,
    },
    /// `unix:` or `unix-datagram:`.
    Unix(Carries, UnixSocket),
}

/// Ports from the first to the last, neither of which is 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ports {
    first: u16,
    last: u16,
}

/// A Unix socket that is granted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnixSocket {
    /// As the grant has it, and as the plugin may name it.
    named: UnixName,
    /// What is opened: a relative path is taken to be below the folder of the configuration.
    opened: UnixName,
}

/// The endpoints to try, in order, where a plugin asks for one. None if it isn't granted.
///
/// Where it asks for port 0 these are the granted ports, at most [`CANDIDATES_MAX`] of them.
#[derive(Debug)]
pub struct Candidates {
    endpoint: Endpoint,
    /// Empty for a Unix socket.
    ports: Vec<Ports>,
    /// Counts through all of `ports`, and begins anew behind the last.
    next: usize,
    left: usize,
}

/// The most ports that are tried for one wish to listen on any: each costs system calls.
pub const CANDIDATES_MAX: usize = 1000;

impl ListenRange {
    /// The same range, with a relative path of a Unix socket taken to be below `folder`. The plugin
    /// names it as before.
    ///
    /// # Errors
    /// Where the path becomes longer than a Unix socket's can be.
    pub fn below(self, folder: &Path) -> Result<Self, EndpointError> {
        match self {
            Self::Ip { .. } => Ok(self),
            Self::Unix(carries, socket) => {
                socket.below(folder).map(|socket| Self::Unix(carries, socket))
            }
        }
    }

    /// What to try for a plugin that wants to listen on `endpoint` and is granted `ranges`. `seed`
    /// picks the first port that is tried.
    pub fn candidates(ranges: &[Self], mut endpoint: Endpoint, seed: u64) -> Candidates {
        let mut ports = Vec::new();
        let mut left = 0;
        let carries = endpoint.carries();
        let dual = matches!(endpoint.socket, Socket::Udp { dual: true, .. });
        match &mut endpoint.socket {
            Socket::Tcp { address, .. } | Socket::Udp { address, .. } => {
                let granted = ranges.iter().filter_map(|range| range.ports(carries, address));
                ports.extend(granted.filter(|ports| !dual || ports.in_both_families(ranges)));
                left = ports.iter().map(|ports| ports.count()).sum();
            }
            Socket::Unix { name, .. } | Socket::UnixDatagram { name, .. } => {
                if let Some(opened) = ranges.iter().find_map(|range| range.unix(carries, name)) {
                    *name = opened.clone();
                    left = 1;
                }
            }
            // What the host was started with is the configuration's to give.
            Socket::Inherited(_) | Socket::Stdio => {}
        }
        let next = usize::try_from(seed % left.max(1) as u64).unwrap_or(0);
        Candidates { endpoint, ports, next, left: left.min(CANDIDATES_MAX) }
    }

    /// The ports that one may listen on who asks for `address`.
    fn ports(&self, wanted: Carries, address: &SocketAddr) -> Option<Ports> {
        let Self::Ip { carries, interface, ports } = self else { return None };
        let everywhere = interface.ip().is_unspecified()
            && interface.is_ipv4() == address.ip().to_canonical().is_ipv4();
        let there = *interface == without_port(*address);
        match address.port() {
            _ if *carries != wanted || !everywhere && !there => None,
            0 => Some(*ports),
            port => ports.contains(port).then_some(Ports { first: port, last: port }),
        }
    }

    fn unix(&self, wanted: Carries, name: &UnixName) -> Option<&UnixName> {
        match self {
            Self::Unix(carries, socket) if *carries == wanted => socket.opened_as(name),
            _ => None,
        }
    }
}

impl Candidates {
    /// Whether there is nothing to try: the endpoint isn't granted.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl Iterator for Candidates {
    type Item = Endpoint;

    fn next(&mut self) -> Option<Endpoint> {
        self.left = self.left.checked_sub(1)?;
        let mut endpoint = self.endpoint.clone();
        if let Socket::Tcp { address, .. } | Socket::Udp { address, .. } = &mut endpoint.socket {
            let mut place = self.next;
            let ports = self.ports.iter().find(|ports| match place.checked_sub(ports.count()) {
                Some(rest) => {
                    place = rest;
                    false
                }
                None => true,
            })?;
            address.set_port(ports.first + u16::try_from(place).unwrap_or(0));
            let all: usize = self.ports.iter().map(|ports| ports.count()).sum();
            self.next = (self.next + 1) % all;
        }
        Some(endpoint)
    }
}

impl Ports {
    /// `*`, a port, or `FIRST-LAST`.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let port = |text| number(text, 1, u32::from(u16::MAX)).and_then(|n| u16::try_from(n).ok());
        let (first, last) = match text {
            "*" => ("1", "65535"),
            _ => text.split_once('-').unwrap_or((text, text)),
        };
        match (port(first), port(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self { first, last }),
            _ => Err(format!(
                "{text:?} is neither a port from 1 to 65535, nor a range such as 8000-8100, nor *"
            )),
        }
    }

    /// Whether it is one of them.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// Whether one may listen for datagrams on all of them by IPv4, too.
    fn in_both_families(self, ranges: &[ListenRange]) -> bool {
        ranges.iter().any(|range| {
            let anywhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
            let granted = range.ports(Carries::Datagrams, &anywhere);
            granted.is_some_and(|all| all.contains(self.first) && all.contains(self.last))
        })
    }

    fn count(self) -> usize {
        usize::from(self.last - self.first) + 1
    }
}

impl UnixSocket {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let named = UnixName::parse(text)?;
        Ok(Self { opened: named.clone(), named })
    }

    pub(super) fn below(self, folder: &Path) -> Result<Self, EndpointError> {
        match self.named.clone().below(folder) {
            Ok(opened) => Ok(Self { opened, named: self.named }),
            Err((name, problem)) => Err(EndpointError::new(&format!("unix:{name}"), problem)),
        }
    }

    /// What is to be opened for a plugin that asks for `name`, if it is this socket.
    pub(super) fn opened_as(&self, name: &UnixName) -> Option<&UnixName> {
        (self.named == *name || self.opened == *name).then_some(&self.opened)
    }
}

impl FromStr for ListenRange {
    type Err = EndpointError;

    fn from_str(range: &str) -> Result<Self, EndpointError> {
        parse(range).map_err(|problem| EndpointError::new(range, problem))
    }
}

fn parse(range: &str) -> Result<ListenRange, String> {
    let (kind, rest) = range.split_once(':').unwrap_or((range, ""));
    match kind {
        "tcp" => ip(Carries::Streams, Pieces::of(rest, TCP)?, Ipv4Addr::UNSPECIFIED.into()),
        "tcp6" => ip(Carries::Streams, Pieces::of(rest, TCP)?, Ipv6Addr::UNSPECIFIED.into()),
        "udp" => ip(Carries::Datagrams, Pieces::of(rest, TCP)?, Ipv4Addr::UNSPECIFIED.into()),
        "udp6" => ip(Carries::Datagrams, Pieces::of(rest, TCP)?, Ipv6Addr::UNSPECIFIED.into()),
        "unix" | "unix-datagram" => {
            let carries = if kind == "unix" { Carries::Streams } else { Carries::Datagrams };
            let mut pieces = Pieces::of(rest, UNIX)?;
            let path = pieces.take("address")?.unwrap_or_default();
            pieces.finish("a path alone")?;
            UnixSocket::read(&path).map(|socket| ListenRange::Unix(carries, socket))
        }
        _ => Err(format!(
            "{kind:?} is no kind of range; there are tcp:FIRST-LAST[:interface=IP], \
             tcp6:FIRST-LAST[:interface=IP], udp: and udp6: as these, unix:PATH and \
             unix-datagram:PATH"
        )),
    }
}

fn ip(carries: Carries, mut pieces: Pieces, wildcard: IpAddr) -> Result<ListenRange, String> {
    let ports = pieces.take("port")?.ok_or("it has no ports; write tcp:40000-40100")?;
    let ports = Ports::read(&ports)?;
    let interface = match pieces.take("interface")? {
        Some(interface) => address(&interface, 0, wildcard.is_ipv6())?,
        None => SocketAddr::new(wildcard, 0),
    };
    pieces.finish("interface=IP")?;
    Ok(ListenRange::Ip { carries, interface, ports })
}

fn without_port(mut address: SocketAddr) -> SocketAddr {
    address.set_port(0);
    address
}

/// The shortest string that means the same range, as the plugin has to name it.
impl fmt::Display for ListenRange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip { carries, interface, ports } => {
                write!(out, "{}:{ports}", carries.over_ip())?;
                match interface {
                    SocketAddr::V4(v4) if v4.ip().is_unspecified() => Ok(()),
                    SocketAddr::V4(v4) => write!(out, ":interface={}", v4.ip()),
                    SocketAddr::V6(v6) => write!(out, ":interface=[{}{}]", v6.ip(), Scope(v6)),
                }
            }
            Self::Unix(carries, socket) => write!(out, "{}:{socket}", carries.over_unix()),
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (1, u16::MAX) => out.write_str("*"),
            (first, last) if first == last => write!(out, "{first}"),
            (first, last) => write!(out, "{first}-{last}"),
        }
    }
}

impl fmt::Display for UnixSocket {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.named.fmt(out)
    }
}

#[cfg(test)]
#[path = "range_tests.rs"]
mod tests;
