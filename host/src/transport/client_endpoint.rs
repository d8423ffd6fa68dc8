//! Where to connect to, in one line: Twisted's client endpoint strings, parsed. Opens nothing and
//! looks no name up.

use std::fmt;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use super::endpoint::{EndpointError, Scope, UNSUPPORTED, UnixName};
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
                         tls:HOST:PORT[:name=NAME][:alpn=A,B][:timeout=SECONDS][:bindAddress=IP] \
                         and unix:PATH[:timeout=SECONDS]";

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
///
/// Each takes `timeout=SECONDS`, more than 0 and at most [`TIMEOUT_MAX`] ([`TIMEOUT_DEFAULT`]).
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
}

/// What a client begins TLS with.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct ClientTls {
    /// The name that the server's certificate must be for; `None` for the host.
    pub server_name: Option<String>,
    /// The protocols to offer (ALPN), the best first; at most [`ALPN_MAX`].
    pub alpn: Vec<String>,
}

/// The most protocols that one side of TLS may offer.
pub const ALPN_MAX: usize = 16;

/// The longest name of a protocol in bytes (RFC 7301, section 3.1).
pub const ALPN_NAME_MAX: usize = 255;

/// Whom a `tcp:` endpoint connects to.
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
            Self::Tcp { timeout, .. } | Self::Unix { timeout, .. } => *timeout,
        }
    }

    /// The same endpoint, with a relative path of a Unix socket taken to be below `folder`.
    ///
    /// # Errors
    /// Where the path becomes longer than a Unix socket's can be.
    pub fn below(self, folder: &Path) -> Result<Self, EndpointError> {
        let Self::Unix { name, timeout } = self else {
            return Ok(self);
        };
        match name.below(folder) {
            Ok(name) => Ok(Self::Unix { name, timeout }),
            Err((name, problem)) => {
                Err(EndpointError::new(&Self::Unix { name, timeout }.to_string(), problem))
            }
        }
    }

    fn tls(mut pieces: Pieces) -> Result<Self, String> {
        let name = pieces.take("name")?.map(|name| {
            tls::server_name(&name)
                .map(|_| name.to_ascii_lowercase())
                .ok_or_else(|| format!("name {name:?} is neither a host name nor an IP address"))
        });
        let alpn = pieces.take("alpn")?.map(|names| alpn(&names)).transpose()?;
        let wanted = ClientTls { server_name: name.transpose()?, alpn: alpn.unwrap_or_default() };
        let known = "name=NAME, alpn=A,B, timeout=SECONDS and bindAddress=IP";
        Self::tcp(pieces, Some(wanted), known)
    }

    fn tcp(mut pieces: Pieces, tls: Option<ClientTls>, known: &str) -> Result<Self, String> {
        let host = pieces.take("host")?.ok_or("it has no host; write tcp:example.com:80")?;
        let port = pieces.take("port")?.ok_or("it has no port; write tcp:example.com:80")?;
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
        Ok(Self::Tcp { target, bind_address, timeout, tls })
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
            Self::Unix { name, .. } => write!(out, "unix:{name}")?,
        }
        if self.timeout() != TIMEOUT_DEFAULT {
            write!(out, ":timeout={}", Seconds(self.timeout()))?;
        }
        match self {
            Self::Tcp { bind_address: Some(IpAddr::V4(v4)), .. } => {
                write!(out, ":bindAddress={v4}")
            }
            Self::Tcp { bind_address: Some(IpAddr::V6(v6)), .. } => {
                write!(out, ":bindAddress=[{v6}]")
            }
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
        "tcp" => {
            ClientEndpoint::tcp(Pieces::of(rest, TCP)?, None, "timeout=SECONDS and bindAddress=IP")
        }
        "tls" | "ssl" => ClientEndpoint::tls(Pieces::of(rest, TCP)?),
        "unix" => ClientEndpoint::unix(Pieces::of(rest, UNIX)?),
        "" => Err(format!("it names no kind; there are {SUPPORTED}")),
        "tcp6" => Err("tcp6: is for listening; write tcp:HOST:PORT, also for IPv6".to_owned()),
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
