//! Where to connect to, in one line: Twisted's client endpoint strings, parsed. Opens nothing and
//! looks no name up.

use std::fmt;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use super::endpoint::{Carries, EndpointError, Scope, UnixName};
use super::pieces::{self, Escaped, Pieces, Syntax, number};
use super::tls;

/// How long a connection may take to be made where an endpoint doesn't say: Twisted's 30 seconds.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// The longest timeout that an endpoint may ask for: an hour.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// The longest host name in bytes, without the dot at its end (RFC 1035, section 2.3.4: 255 bytes
/// on the wire).
pub const HOST_NAME_MAX: usize = 253;

/// The longest label of a host name in bytes (RFC 1035, section 2.3.4).
pub(super) const LABEL_MAX: usize = 63;

/// What [`ClientEndpoint`]'s `FromStr` understands, for messages.
const SUPPORTED: &str = "tcp:HOST:PORT[:timeout=SECONDS][:bindAddress=IP], \
                         tls:HOST:PORT[:name=NAME][:alpn=A,B][:timeout=SECONDS][:bindAddress=IP], \
                         unix:PATH[:timeout=SECONDS], udp:HOST:PORT[:timeout=SECONDS]\
                         [:bindAddress=IP] and unix-datagram:PATH";

const TCP: Syntax = Syntax { positional: &["host", "port"], addresses: &["host", "bindAddress"] };
const UNIX: Syntax = Syntax { positional: &["path"], addresses: &[] };

/// A place to connect to, as a *client endpoint string* names it.
///
/// The syntax is that of [`Endpoint`](super::endpoint::Endpoint): pieces, keys, and backslashes.
///
/// | string | means |
/// |---|---|
/// | `tcp:example.com:80` | TCP, to a host by its name |
/// | `tcp:host=example.com:port=80` | the same |
/// | `tcp:192.0.2.1:80:timeout=2.5` | TCP, to an address, and at most two and a half seconds |
/// | `tcp:[2001:db8::1]:80`, `tcp:2001\:db8\:\:1:80` | TCP, over IPv6 |
/// | `tcp:example.com:80:bindAddress=10.0.0.5` | TCP, from one of this host's addresses |
/// | `tls:example.com:443` | TLS over TCP: the server must show a certificate for the host |
/// | `tls:192.0.2.1:443:name=example.com` | the same, for another name |
/// | `tls:example.com:443:alpn=h2,http/1.1` | offers protocols (ALPN, RFC 7301), the best first |
/// | `unix:/run/site.sock` | a Unix socket |
/// | `unix:@site` | a Unix socket with an abstract name (Linux) |
/// | `udp:example.com:53` | UDP, to and from one host alone |
/// | `unix-datagram:/run/log.sock` | a Unix socket for datagrams |
///
/// Each but `unix-datagram:` takes `timeout=SECONDS`, more than 0 and at most [`TIMEOUT_MAX`] ([`TIMEOUT_DEFAULT`]).
/// `lockfile=0` and `lockfile=1` of `unix:` are understood for Twisted's sake and change nothing.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum ClientEndpoint {
    /// `tcp:` or `tls:`.
    Tcp {
        /// Whom to connect to.
        target: Target,
        /// This host's address to connect from; `None` lets the system pick one.
        bind_address: Option<IpAddr>,
        /// How long it may take, a lookup of the name included, and a handshake.
        timeout: Duration,
        /// What TLS begins with, where the connection is encrypted.
        tls: Option<ClientTls>,
    },
    /// `unix:`, a stream socket.
    Unix {
        /// Its path or its abstract name.
        name: UnixName,
        /// How long it may take.
        timeout: Duration,
    },
    /// `udp:`.
    Udp {
        /// Whom datagrams go to, and come from.
        target: Target,
        /// This host's address to send from; `None` lets the system pick one.
        bind_address: Option<IpAddr>,
        /// How long the lookup of the name may take.
        timeout: Duration,
    },
    /// `unix-datagram:`.
    UnixDatagram {
        /// Its path or its abstract name.
        name: UnixName,
    },
}

/// What a client begins TLS with.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct ClientTls {
    /// The name that the server's certificate must be for; `None` for the host.
    pub server_name: Option<String>,
    /// The protocols to offer (ALPN), the best first; at most [`ALPN_MAX`].
    pub alpn: Vec<String>,
}

/// Kinds that Twisted has, or that can be listened on, and nobody connects to.
const UNSUPPORTED: [&str; 4] = ["haproxy", "stdio", "systemd", "fd"];

/// The most protocols that one side of TLS may offer.
pub const ALPN_MAX: usize = 16;

/// The longest name of a protocol in bytes (RFC 7301, section 3.1).
pub const ALPN_NAME_MAX: usize = 255;

/// Whom a `tcp:` or `udp:` endpoint connects to.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Target {
    /// A host by its address.
    Address(SocketAddr),
    /// A host by its name, which has to be looked up.
    Name {
        /// In ASCII and lower case, at most [`HOST_NAME_MAX`] bytes; a dot at its end says that
        /// it is complete.
        host: String,
        /// From 1.
        port: u16,
    },
}

impl ClientEndpoint {
    /// How long a connection may take to be made.
    pub fn timeout(&self) -> Duration {
        match self {
            Self::Tcp { timeout, .. } | Self::Udp { timeout, .. } | Self::Unix { timeout, .. } => {
                *timeout
            }
            // It is done at once.
            Self::UnixDatagram { .. } => TIMEOUT_DEFAULT,
        }
    }

    /// What goes through its socket.
    pub fn carries(&self) -> Carries {
        match self {
            Self::Tcp { .. } | Self::Unix { .. } => Carries::Streams,
            Self::Udp { .. } | Self::UnixDatagram { .. } => Carries::Datagrams,
        }
    }

    /// The same endpoint, with a relative path of a Unix socket taken to be below `folder`.
    ///
    /// # Errors
    /// Where the path becomes longer than a Unix socket's can be.
    pub fn below(self, folder: &Path) -> Result<Self, EndpointError> {
        let with = |name| match self {
            Self::Unix { timeout, .. } => Self::Unix { name, timeout },
            _ => Self::UnixDatagram { name },
        };
        let (Self::Unix { name, .. } | Self::UnixDatagram { name }) = &self else {
            return Ok(self);
        };
        match name.clone().below(folder) {
            Ok(name) => Ok(with(name)),
            Err((name, problem)) => Err(EndpointError::new(&with(name).to_string(), problem)),
        }
    }

    fn tcp(pieces: Pieces) -> Result<Self, String> {
        let known = "timeout=SECONDS and bindAddress=IP";
        let (target, bind_address, timeout) = ip(pieces, "tcp:example.com:80", known)?;
        Ok(Self::Tcp { target, bind_address, timeout, tls: None })
    }

    fn tls(mut pieces: Pieces) -> Result<Self, String> {
        let server_name = match pieces.take("name")? {
            Some(name) if tls::server_name(&name).is_none() => {
                return Err(format!("name {name:?} is neither a host name nor an IP address"));
            }
            name => name.map(|name| name.to_ascii_lowercase()),
        };
        let alpn = pieces.take("alpn")?.map(|names| alpn(&names)).transpose()?.unwrap_or_default();
        let known = "name=NAME, alpn=A,B, timeout=SECONDS and bindAddress=IP";
        let (target, bind_address, timeout) = ip(pieces, "tls:example.com:443", known)?;
        Ok(Self::Tcp { target, bind_address, timeout, tls: Some(ClientTls { server_name, alpn }) })
    }

    fn udp(pieces: Pieces) -> Result<Self, String> {
        let (target, bind_address, timeout) =
            ip(pieces, "udp:example.com:53", "timeout=SECONDS and bindAddress=IP")?;
        Ok(Self::Udp { target, bind_address, timeout })
    }

    fn unix_datagram(mut pieces: Pieces) -> Result<Self, String> {
        let path =
            pieces.take("path")?.ok_or("it has no path; write unix-datagram:/run/log.sock")?;
        let name = UnixName::parse(&path)?;
        pieces.finish("a path alone")?;
        Ok(Self::UnixDatagram { name })
    }

    fn unix(mut pieces: Pieces) -> Result<Self, String> {
        let path = pieces.take("path")?.ok_or("it has no path; write unix:/run/site.sock")?;
        let name = UnixName::parse(&path)?;
        let timeout = timeout(&mut pieces)?;
        pieces.lockfile()?;
        pieces.finish("timeout=SECONDS and lockfile=0")?;
        Ok(Self::Unix { name, timeout })
    }
}

impl FromStr for ClientEndpoint {
    type Err = EndpointError;

    fn from_str(endpoint: &str) -> Result<Self, EndpointError> {
        pieces::read(endpoint, parse)
    }
}

/// The shortest string that means the same endpoint.
impl fmt::Display for ClientEndpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { target, tls: None, .. } => write!(out, "tcp:{target}")?,
            Self::Tcp { target, tls: Some(tls), .. } => {
                write!(out, "tls:{target}")?;
                if let Some(name) = &tls.server_name {
                    write!(out, ":name={}", Escaped(name))?;
                }
                if !tls.alpn.is_empty() {
                    write!(out, ":alpn={}", Escaped(&tls.alpn.join(",")))?;
                }
            }
            Self::Udp { target, .. } => write!(out, "udp:{target}")?,
            Self::UnixDatagram { name } => write!(out, "unix-datagram:{name}")?,
            Self::Unix { name, .. } => write!(out, "unix:{name}")?,
        }
        if self.timeout() != TIMEOUT_DEFAULT {
            write!(out, ":timeout={}", Seconds(self.timeout()))?;
        }
        match self {
            Self::Tcp { bind_address: Some(from), .. }
            | Self::Udp { bind_address: Some(from), .. } => match from {
                IpAddr::V4(v4) => write!(out, ":bindAddress={v4}"),
                IpAddr::V6(v6) => write!(out, ":bindAddress=[{v6}]"),
            },
            _ => Ok(()),
        }
    }
}

/// `HOST:PORT`, an IPv6 address in brackets.
impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(SocketAddr::V4(v4)) => write!(out, "{v4}"),
            Self::Address(SocketAddr::V6(v6)) => {
                write!(out, "[{}{}]:{}", v6.ip(), Scope(v6), v6.port())
            }
            Self::Name { host, port } => write!(out, "{host}:{port}"),
        }
    }
}

/// Seconds with as many decimals as it takes.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0.as_secs())?;
        match self.0.subsec_nanos() {
            0 => Ok(()),
            nanos => write!(out, ".{}", format!("{nanos:09}").trim_end_matches('0')),
        }
    }
}

fn parse(endpoint: &str) -> Result<ClientEndpoint, String> {
    let (kind, rest) = endpoint.split_once(':').unwrap_or((endpoint, ""));
    match kind {
        "tcp" => ClientEndpoint::tcp(Pieces::of(rest, TCP)?),
        "tls" | "ssl" => ClientEndpoint::tls(Pieces::of(rest, TCP)?),
        "udp" => ClientEndpoint::udp(Pieces::of(rest, TCP)?),
        "unix" => ClientEndpoint::unix(Pieces::of(rest, UNIX)?),
        "unix-datagram" => ClientEndpoint::unix_datagram(Pieces::of(rest, UNIX)?),
        "" => Err(format!("it names no kind; there are {SUPPORTED}")),
        "tcp6" => Err("tcp6: is for listening; write tcp:HOST:PORT, also for IPv6".to_owned()),
        "udp6" => Err("udp6: is for listening; write udp:HOST:PORT, also for IPv6".to_owned()),
        _ if UNSUPPORTED.contains(&kind) => {
            Err(format!("{kind}: is not supported by this version; there are {SUPPORTED}"))
        }
        _ if kind.contains('.') => Err(format!("it names no kind; write tcp:{endpoint}")),
        _ => Err(format!("{kind:?} is no kind of endpoint; there are {SUPPORTED}")),
    }
}

/// Names of protocols, separated by commas.
fn alpn(names: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = names.split(',').map(str::to_owned).collect();
    if names.len() > ALPN_MAX {
        return Err(format!("alpn has {} names; {ALPN_MAX} are the most", names.len()));
    }
    match names.iter().find(|name| !(1..=ALPN_NAME_MAX).contains(&name.len())) {
        Some(name) => Err(format!("alpn: {name:?} is not a name of 1 to {ALPN_NAME_MAX} bytes")),
        None => Ok(names),
    }
}

/// The pieces of a host's endpoint: whom, from where, and how long. `known` are all that may be left.
fn ip(
    mut pieces: Pieces,
    example: &str,
    known: &str,
) -> Result<(Target, Option<IpAddr>, Duration), String> {
    let host = pieces.take("host")?.ok_or_else(|| format!("it has no host; write {example}"))?;
    let port = pieces.take("port")?.ok_or_else(|| format!("it has no port; write {example}"))?;
    let port = number(&port, 1, u32::from(u16::MAX))
        .and_then(|port| u16::try_from(port).ok())
        .ok_or_else(|| format!("port {port:?} is not a number from 1 to 65535"))?;
    let target = target(&host, port)?;
    let bind_address = pieces.take("bindAddress")?.map(|ip| ip_address(&ip)).transpose()?;
    if let (Target::Address(to), Some(from)) = (&target, bind_address)
        && to.is_ipv4() != from.is_ipv4()
    {
        return Err(format!("no way leads from bindAddress {from} to {}", to.ip()));
    }
    let timeout = timeout(&mut pieces)?;
    pieces.finish(known)?;
    Ok((target, bind_address, timeout))
}

fn target(host: &str, port: u16) -> Result<Target, String> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    // By way of a socket address, since only those take a scope (fe80::1%2).
    let v6 = format!("[{}]:{port}", bare.unwrap_or(host)).parse::<SocketAddrV6>();
    match (v6, host.parse::<std::net::Ipv4Addr>()) {
        (Ok(v6), _) => Ok(Target::Address(v6.into())),
        (_, Ok(v4)) => Ok(Target::Address((v4, port).into())),
        _ if host.contains([':', '[', ']']) => {
            Err(format!("host {host:?} is not an IPv6 address, such as [::1]"))
        }
        _ => Ok(Target::Name { host: host_name(host)?, port }),
    }
}

/// Checks a host name, so that what reaches the resolver is one, and nothing that some resolvers
/// take for an address besides (`127.1`, `0x7f000001`).
fn host_name(host: &str) -> Result<String, String> {
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.len() > HOST_NAME_MAX {
        return Err(format!(
            "its host is {} bytes long; a name has at most {HOST_NAME_MAX}",
            name.len()
        ));
    }
    if !name.is_ascii() {
        return Err(format!("host {host:?} is not ASCII; write it in Punycode (xn--…)"));
    }
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let labels = || name.split('.');
    if !labels().all(|label| (1..=LABEL_MAX).contains(&label.len()) && label.bytes().all(good)) {
        return Err(format!("host {host:?} is neither a name, such as example.com, nor an IP"));
    }
    let last = labels().next_back().unwrap_or_default().to_ascii_lowercase();
    let hexadecimal =
        last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    if hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("host {host:?} is not an IPv4 address, such as 192.0.2.1"));
    }
    Ok(host.to_ascii_lowercase())
}

fn ip_address(text: &str) -> Result<IpAddr, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let ip = match bare {
        Some(v6) => v6.parse().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    };
    ip.ok_or_else(|| {
        format!("bindAddress {text:?} is not an IP address, such as 127.0.0.1 or [::1]")
    })
}

fn timeout(pieces: &mut Pieces) -> Result<Duration, String> {
    let Some(text) = pieces.take("timeout")? else {
        return Ok(TIMEOUT_DEFAULT);
    };
    seconds(&text).filter(|time| !time.is_zero() && *time <= TIMEOUT_MAX).ok_or_else(|| {
        let most = TIMEOUT_MAX.as_secs();
        format!("timeout {text:?} is not a number of seconds above 0 and up to {most}")
    })
}

/// Decimal digits, and up to nine more behind a point.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let whole = number(whole, 0, u32::MAX)?;
    let part = Some(part).filter(|part| part.len() <= 9)?;
    let nanos = number(&format!("{part:0<9}"), 0, 999_999_999).filter(|_| !part.is_empty())?;
    Some(Duration::new(whole.into(), nanos))
}

#[cfg(test)]
#[path = "client_endpoint_tests.rs"]
mod tests;
