//! Where to listen, in one line: Twisted's endpoint strings, parsed. Opens nothing.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::inherited::Inherited;
use super::pieces::{self, Pieces, Syntax, number};
use crate::net::Address;
use crate::net::datagram::Place;

pub use super::pieces::ENDPOINT_MAX;
pub use super::unix_name::{UNIX_NAME_MAX, UnixName};

/// How many connections the system keeps waiting for `accept` where an endpoint doesn't say. The
/// system may cap it further (`net.core.somaxconn`).
pub const BACKLOG_DEFAULT: u32 = 1024;

/// The most that an endpoint may ask for as its backlog: what a C `int` can hold.
pub const BACKLOG_MAX: u32 = i32::MAX as u32;

/// What [`Endpoint`]'s `FromStr` understands, for messages.
const SUPPORTED: &str = "tcp:PORT[:interface=IP][:backlog=N], tcp6:PORT[:interface=IP][:backlog=N], \
                         tls:PORT[:cert=FILE][:key=FILE][:interface=IP][:backlog=N], \
                         unix:PATH[:mode=660][:backlog=N], udp:PORT[:interface=IP][:reuse=yes], \
                         udp6:PORT[:dual=yes], unix-datagram:PATH[:mode=660], systemd:index=N or \
                         systemd:name=NAME, fd:N and stdio:, and haproxy: before those for streams";

const TCP: Syntax = Syntax { positional: &["port"], addresses: &["interface"] };
const FD: Syntax = Syntax { positional: &["fd"], addresses: &[] };
const KEYS: Syntax = Syntax { positional: &[], addresses: &[] };
const UNIX: Syntax = Syntax { positional: &["address"], addresses: &[] };

/// Kinds that Twisted has, or other places, and this version does not serve here.
pub(super) const UNSUPPORTED: [&str; 4] = ["haproxy", "stdio", "systemd", "fd"];

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

impl Socket {
    fn tcp(pieces: &mut Pieces, wildcard: IpAddr) -> Result<Self, String> {
        let address = place(pieces, wildcard, "tcp:8080")?;
        let backlog = backlog(pieces)?;
        Ok(Self::Tcp { address, backlog })
    }

    fn udp(mut pieces: Pieces, wildcard: IpAddr) -> Result<Self, String> {
        let address = place(&mut pieces, wildcard, "udp:5353")?;
        let reuse = flag(&mut pieces, "reuse")?;
        let broadcast = flag(&mut pieces, "broadcast")?;
        let dual = flag(&mut pieces, "dual")?;
        if dual && !(wildcard.is_ipv6() && address.ip().is_unspecified()) {
            return Err("dual=yes is for all interfaces; write udp6:5353:dual=yes".to_owned());
        }
        if broadcast && address.is_ipv6() {
            return Err("broadcast=yes is for IPv4; IPv6 has groups instead".to_owned());
        }
        let known = match wildcard {
            IpAddr::V4(_) => "interface=IP, reuse=yes and broadcast=yes",
            IpAddr::V6(_) => "interface=IP, reuse=yes and dual=yes",
        };
        pieces.finish(known)?;
        Ok(Self::Udp { address, dual, reuse, broadcast })
    }

    fn unix_datagram(mut pieces: Pieces) -> Result<Self, String> {
        let (name, mode) = named(&mut pieces, "unix-datagram:/run/log.sock")?;
        pieces.finish("mode=660")?;
        Ok(Self::UnixDatagram { name, mode })
    }

    fn unix(mut pieces: Pieces) -> Result<Self, String> {
        let (name, mode) = named(&mut pieces, "unix:/run/site.sock")?;
        pieces.lockfile()?;
        let backlog = backlog(&mut pieces)?;
        pieces.finish("mode=660, backlog=N and lockfile=0")?;
        Ok(Self::Unix { name, mode, backlog })
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(endpoint: &str) -> Result<Self, EndpointError> {
        pieces::read(endpoint, parse)
    }
}

/// The shortest string that means the same endpoint.
impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.proxied {
            out.write_str("haproxy:")?;
        }
        let backlog = match &self.socket {
            Socket::Tcp { address, backlog } => {
                let kind = if self.tls.is_some() { "tls" } else { "tcp" };
                write!(out, "{kind}:{}", address.port())?;
                write_interface(out, address)?;
                backlog
            }
            Socket::Inherited(inherited) => {
                write!(out, "{inherited}")?;
                if self.tls.as_ref().is_some_and(|tls| tls.cert.is_none()) {
                    out.write_str(":tls=yes")?;
                }
                &BACKLOG_DEFAULT
            }
            Socket::Stdio => return out.write_str("stdio:"),
            Socket::Udp { address, dual: true, reuse, .. } => {
                write!(out, "udp6:{}{}:dual=yes", address.port(), Flag("reuse", *reuse))?;
                return Ok(());
            }
            Socket::Udp { address, reuse, broadcast, .. } => {
                write!(out, "udp:{}", address.port())?;
                write_interface(out, address)?;
                return write!(out, "{}{}", Flag("reuse", *reuse), Flag("broadcast", *broadcast));
            }
            Socket::UnixDatagram { name, mode } => {
                write!(out, "unix-datagram:{name}")?;
                return mode.map_or(Ok(()), |mode| write!(out, ":mode={mode:o}"));
            }
            Socket::Unix { name, mode, backlog } => {
                write!(out, "unix:{name}")?;
                if let Some(mode) = mode {
                    write!(out, ":mode={mode:o}")?;
                }
                backlog
            }
        };
        if *backlog != BACKLOG_DEFAULT {
            write!(out, ":backlog={backlog}")?;
        }
        let Some(Identity { cert, key }) = &self.tls else { return Ok(()) };
        for (name, path) in [("cert", cert), ("key", key)] {
            if let Some(path) = path {
                write!(out, ":{name}={}", pieces::Escaped(&path.to_string_lossy()))?;
            }
        }
        Ok(())
    }
}

fn write_interface(out: &mut fmt::Formatter<'_>, address: &SocketAddr) -> fmt::Result {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => Ok(()),
        SocketAddr::V4(v4) => write!(out, ":interface={}", v4.ip()),
        SocketAddr::V6(v6) => write!(out, ":interface=[{}{}]", v6.ip(), Scope(v6)),
    }
}

/// `:key=yes`, where it is on.
struct Flag(&'static str, bool);

impl fmt::Display for Flag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(key, true) => write!(out, ":{key}=yes"),
            Self(_, false) => Ok(()),
        }
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

/// `%N` behind an IPv6 address that has a scope.
pub(super) struct Scope<'a>(pub(super) &'a SocketAddrV6);

impl fmt::Display for Scope<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.scope_id() {
            0 => Ok(()),
            scope => write!(out, "%{scope}"),
        }
    }
}

fn parse(endpoint: &str) -> Result<Endpoint, String> {
    let (kind, rest) = endpoint.split_once(':').unwrap_or((endpoint, ""));
    match kind {
        "tcp" => tcp(Pieces::of(rest, TCP)?, Ipv4Addr::UNSPECIFIED.into()),
        "tcp6" => tcp(Pieces::of(rest, TCP)?, Ipv6Addr::UNSPECIFIED.into()),
        "tls" => tls(Pieces::of(rest, TCP)?, ["cert", "key"]),
        "ssl" => tls(Pieces::of(rest, TCP)?, ["certKey", "privateKey"]),
        "udp" => {
            Socket::udp(Pieces::of(rest, TCP)?, Ipv4Addr::UNSPECIFIED.into()).map(Endpoint::from)
        }
        "udp6" => {
            Socket::udp(Pieces::of(rest, TCP)?, Ipv6Addr::UNSPECIFIED.into()).map(Endpoint::from)
        }
        "unix" => Socket::unix(Pieces::of(rest, UNIX)?).map(Endpoint::from),
        "systemd" => inherited(Pieces::of(rest, KEYS)?, Inherited::systemd),
        "fd" => inherited(Pieces::of(rest, FD)?, Inherited::descriptor),
        "stdio" if rest.is_empty() => Ok(Socket::Stdio.into()),
        "stdio" => Err(format!("stdio: takes nothing, and has {rest:?} behind it")),
        "haproxy" => haproxy(rest),
        "unix-datagram" => Socket::unix_datagram(Pieces::of(rest, UNIX)?).map(Endpoint::from),
        "" => Err(format!("it names no kind; there are {SUPPORTED}")),
        _ if UNSUPPORTED.contains(&kind) => {
            Err(format!("{kind}: is not supported by this version; there are {SUPPORTED}"))
        }
        _ if number(kind, 0, u32::from(u16::MAX)).is_some() => {
            Err(format!("it names no kind; write tcp:{kind}"))
        }
        _ => Err(format!("{kind:?} is no kind of endpoint; there are {SUPPORTED}")),
    }
}

fn tcp(mut pieces: Pieces, wildcard: IpAddr) -> Result<Endpoint, String> {
    let socket = Socket::tcp(&mut pieces, wildcard)?;
    pieces.finish("interface=IP and backlog=N")?;
    Ok(Endpoint::from(socket))
}

/// `names` are the keys of the certificate's file and its private key's: Twisted has others.
fn tls(mut pieces: Pieces, names: [&str; 2]) -> Result<Endpoint, String> {
    let socket = Socket::tcp(&mut pieces, Ipv4Addr::UNSPECIFIED.into())?;
    let tls = Some(identity(&mut pieces, names)?);
    let [cert, key] = names;
    pieces.finish(&format!("{cert}=FILE, {key}=FILE, interface=IP and backlog=N"))?;
    Ok(Endpoint { tls, ..Endpoint::from(socket) })
}

fn identity(pieces: &mut Pieces, [cert, key]: [&str; 2]) -> Result<Identity, String> {
    let mut path = |name| match pieces.take(name)? {
        Some(path) if path.is_empty() => Err(format!("{name} is empty; it takes a PEM file")),
        path => Ok(path.map(PathBuf::from)),
    };
    let identity = Identity { cert: path(cert)?, key: path(key)? };
    if identity.key.is_some() && identity.cert.is_none() {
        return Err(format!("{key} is given without {cert}, whose key it is"));
    }
    Ok(identity)
}

fn inherited(
    mut pieces: Pieces,
    which: impl FnOnce(&mut Pieces) -> Result<Inherited, String>,
) -> Result<Endpoint, String> {
    let socket = Socket::Inherited(which(&mut pieces)?);
    let identity = identity(&mut pieces, ["cert", "key"])?;
    let tls = match pieces.take("tls")?.as_deref() {
        None if identity.cert.is_none() => None,
        None | Some("yes") => Some(identity),
        Some("no") if identity.cert.is_none() => None,
        Some("no") => return Err("it has a certificate, and tls=no".to_owned()),
        Some(tls) => return Err(format!("tls {tls:?} is neither yes nor no")),
    };
    pieces.finish("tls=yes, cert=FILE and key=FILE")?;
    Ok(Endpoint { tls, ..Endpoint::from(socket) })
}

fn haproxy(rest: &str) -> Result<Endpoint, String> {
    if rest.is_empty() {
        return Err("it has nothing behind it; write haproxy:tcp:8080".to_owned());
    }
    match parse(rest)? {
        Endpoint { proxied: true, .. } => Err("it says haproxy: twice".to_owned()),
        endpoint if endpoint.carries() == Carries::Datagrams => {
            Err("no header of the PROXY protocol is before datagrams".to_owned())
        }
        Endpoint { socket: Socket::Stdio, .. } => {
            Err("no proxy is before standard input; write stdio:".to_owned())
        }
        endpoint => Ok(Endpoint { proxied: true, ..endpoint }),
    }
}

/// An interface and a port.
fn place(pieces: &mut Pieces, wildcard: IpAddr, example: &str) -> Result<SocketAddr, String> {
    let port = pieces.take("port")?.ok_or_else(|| format!("it has no port; write {example}"))?;
    let port = number(&port, 0, u32::from(u16::MAX))
        .and_then(|port| u16::try_from(port).ok())
        .ok_or_else(|| format!("port {port:?} is not a number from 0 to 65535"))?;
    match pieces.take("interface")? {
        Some(interface) => address(&interface, port, wildcard.is_ipv6()),
        None => Ok(SocketAddr::new(wildcard, port)),
    }
}

/// A Unix socket's name, and its file's mode.
fn named(pieces: &mut Pieces, example: &str) -> Result<(UnixName, Option<u32>), String> {
    let address =
        pieces.take("address")?.ok_or_else(|| format!("it has no path; write {example}"))?;
    let name = UnixName::parse(&address)?;
    let mode = pieces.take("mode")?.map(|mode| unix_mode(&mode)).transpose()?;
    if mode.is_some() && matches!(name, UnixName::Abstract(_)) {
        return Err("an abstract name has no file, so it takes no mode".to_owned());
    }
    Ok((name, mode))
}

/// Something that is off where it isn't said.
fn flag(pieces: &mut Pieces, key: &str) -> Result<bool, String> {
    match pieces.take(key)?.as_deref() {
        None | Some("no") => Ok(false),
        Some("yes") => Ok(true),
        Some(value) => Err(format!("{key} {value:?} is neither yes nor no")),
    }
}

fn backlog(pieces: &mut Pieces) -> Result<u32, String> {
    let Some(backlog) = pieces.take("backlog")? else {
        return Ok(BACKLOG_DEFAULT);
    };
    number(&backlog, 1, BACKLOG_MAX)
        .ok_or_else(|| format!("backlog {backlog:?} is not a number from 1 to {BACKLOG_MAX}"))
}

pub(super) fn address(interface: &str, port: u16, only_v6: bool) -> Result<SocketAddr, String> {
    let bare = interface.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let v4 = interface.parse::<Ipv4Addr>().ok().filter(|_| !only_v6);
    // By way of a socket address, since only those take a scope (fe80::1%2).
    let v6 = format!("[{}]:{port}", bare.unwrap_or(interface)).parse::<SocketAddrV6>().ok();
    let example = if only_v6 { "::1" } else { "127.0.0.1 or [::1]" };
    let family = if only_v6 { "IPv6" } else { "IP" };
    v4.map(|v4| SocketAddr::new(v4.into(), port)).or(v6.map(SocketAddr::V6)).ok_or_else(|| {
        format!("interface {interface:?} is not an {family} address, such as {example}")
    })
}

fn unix_mode(mode: &str) -> Result<u32, String> {
    let octal = (1..=4).contains(&mode.len()) && mode.bytes().all(|b| (b'0'..=b'7').contains(&b));
    u32::from_str_radix(mode, 8)
        .ok()
        .filter(|&bits| octal && bits <= 0o777)
        .ok_or_else(|| format!("mode {mode:?} is not an octal number from 0 to 777, such as 660"))
}

#[cfg(test)]
#[path = "endpoint_tests.rs"]
mod tests;
