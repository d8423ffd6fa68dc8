//! From a string to an endpoint, a kind at a time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::PathBuf;

use super::super::inherited::Inherited;
use super::super::pieces::{Pieces, Syntax, number};
use super::{BACKLOG_DEFAULT, BACKLOG_MAX, Carries, Endpoint, Identity, Socket, UnixName};

/// What [`Endpoint`]'s `FromStr` understands, for messages.
const SUPPORTED: &str = "tcp:PORT, tcp6:PORT, tls:PORT, unix:PATH, udp:PORT, udp6:PORT, \
                         unix-datagram:PATH, systemd:name=NAME, fd:N and stdio:, and haproxy: \
                         before those for streams";

const TCP: Syntax = Syntax { positional: &["port"], addresses: &["interface"] };
const FD: Syntax = Syntax { positional: &["fd"], addresses: &[] };
const KEYS: Syntax = Syntax { positional: &[], addresses: &[] };
const UNIX: Syntax = Syntax { positional: &["address"], addresses: &[] };

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

/// Reads an endpoint string.
pub(super) fn parse(endpoint: &str) -> Result<Endpoint, String> {
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

pub(in crate::transport) fn address(
    interface: &str,
    port: u16,
    only_v6: bool,
) -> Result<SocketAddr, String> {
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
