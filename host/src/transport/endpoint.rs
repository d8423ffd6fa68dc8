//! Where to listen, in one line: Twisted's endpoint strings, parsed. Opens nothing.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// How many connections the system keeps waiting for `accept` where an endpoint doesn't say. The
/// system may cap it further (`net.core.somaxconn`).
pub const BACKLOG_DEFAULT: u32 = 1024;

/// The most that an endpoint may ask for as its backlog: what a C `int` can hold.
pub const BACKLOG_MAX: u32 = i32::MAX as u32;

/// The longest path, and the longest abstract name, of a Unix socket in bytes: `sun_path` less a
/// byte that ends the path, or begins the name.
pub const UNIX_NAME_MAX: usize = 107;

/// What [`Endpoint`]'s `FromStr` understands, for messages.
const SUPPORTED: &str = "tcp:PORT[:interface=IP][:backlog=N], tcp6:PORT[:interface=IP][:backlog=N] \
                         and unix:PATH[:mode=660][:backlog=N]";

/// Kinds that Twisted has, and this version does not serve.
const UNSUPPORTED: [&str; 8] = ["haproxy", "ssl", "stdio", "systemd", "tls", "udp", "udp6", "fd"];

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
/// | `unix:/run/site.sock:mode=660` | a Unix socket, with the mode of its file in octal |
/// | `unix:@site` | a Unix socket with an abstract name (Linux) |
///
/// Each takes `backlog=N` ([`BACKLOG_DEFAULT`]). `lockfile=0` and `lockfile=1` of `unix:` are
/// understood for Twisted's sake and change nothing: the host tells a stale socket from a live one
/// by connecting to it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Endpoint {
    /// `tcp:` or `tcp6:`.
    Tcp {
        /// The interface and the port; port 0 lets the system pick one.
        address: SocketAddr,
        /// How many connections may wait for `accept`.
        backlog: u32,
    },
    /// `unix:`, a stream socket.
    Unix {
        /// Its path or its abstract name.
        name: UnixName,
        /// The permission bits of its file, at most 0o777; `None` leaves what the umask makes.
        mode: Option<u32>,
        /// How many connections may wait for `accept`.
        backlog: u32,
    },
}

/// The name of a Unix socket.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum UnixName {
    /// A name outside the file system, without its leading `@` (Linux).
    Abstract(String),
    /// A file.
    Path(PathBuf),
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
    pub fn below(self, folder: &Path) -> Result<Self, EndpointError> {
        let Self::Unix { name: UnixName::Path(path), mode, backlog } = self else {
            return Ok(self);
        };
        let joined = folder.join(&path);
        let length = joined.as_os_str().len();
        let below = Self::Unix { name: UnixName::Path(joined), mode, backlog };
        if length > UNIX_NAME_MAX {
            return Err(EndpointError { endpoint: below.to_string(), problem: too_long(length) });
        }
        Ok(below)
    }

    /// Whether two listeners can't have both endpoints at once, as far as the strings tell.
    pub fn collides_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp { address: one, .. }, Self::Tcp { address: two, .. }) => {
                let same_family = one.is_ipv4() == two.is_ipv4();
                let wildcard = one.ip().is_unspecified() || two.ip().is_unspecified();
                one.port() != 0
                    && one.port() == two.port()
                    && (one.ip() == two.ip() || same_family && wildcard)
            }
            (Self::Unix { name: one, .. }, Self::Unix { name: two, .. }) => one == two,
            _ => false,
        }
    }

    fn tcp(mut pieces: Pieces, wildcard: IpAddr) -> Result<Self, String> {
        let port = pieces.take("port")?.ok_or("it has no port; write tcp:8080")?;
        let port = number(&port, 0, u32::from(u16::MAX))
            .and_then(|port| u16::try_from(port).ok())
            .ok_or_else(|| format!("port {port:?} is not a number from 0 to 65535"))?;
        let address = match pieces.take("interface")? {
            Some(interface) => address(&interface, port, wildcard.is_ipv6())?,
            None => SocketAddr::new(wildcard, port),
        };
        let backlog = pieces.backlog()?;
        pieces.finish("interface=IP and backlog=N")?;
        Ok(Self::Tcp { address, backlog })
    }

    fn unix(mut pieces: Pieces) -> Result<Self, String> {
        let address = pieces.take("address")?.ok_or("it has no path; write unix:/run/site.sock")?;
        let name = unix_name(&address)?;
        let mode = pieces.take("mode")?.map(|mode| unix_mode(&mode)).transpose()?;
        if mode.is_some() && matches!(name, UnixName::Abstract(_)) {
            return Err("an abstract name has no file, so it takes no mode".to_owned());
        }
        if let Some(lockfile) = pieces.take("lockfile")?
            && lockfile != "0"
            && lockfile != "1"
        {
            return Err(format!("lockfile {lockfile:?} is neither 0 nor 1"));
        }
        let backlog = pieces.backlog()?;
        pieces.finish("mode=660, backlog=N and lockfile=0")?;
        Ok(Self::Unix { name, mode, backlog })
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(endpoint: &str) -> Result<Self, EndpointError> {
        parse(endpoint).map_err(|problem| EndpointError { endpoint: endpoint.to_owned(), problem })
    }
}

/// The shortest string that means the same endpoint.
impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let backlog = match self {
            Self::Tcp { address, backlog } => {
                write!(out, "tcp:{}", address.port())?;
                match address {
                    SocketAddr::V4(v4) if v4.ip().is_unspecified() => {}
                    SocketAddr::V4(v4) => write!(out, ":interface={}", v4.ip())?,
                    SocketAddr::V6(v6) => write!(out, ":interface=[{}{}]", v6.ip(), Scope(v6))?,
                }
                backlog
            }
            Self::Unix { name, mode, backlog } => {
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
        Ok(())
    }
}

/// As an endpoint string has it: special characters escaped, an abstract name with its `@`.
impl fmt::Display for UnixName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Abstract(name) => format!("@{name}"),
            // A path that begins with `@` would read as an abstract name.
            Self::Path(path) if path.as_os_str().as_encoded_bytes().starts_with(b"@") => {
                format!("./{}", path.display())
            }
            Self::Path(path) => path.display().to_string(),
        };
        for character in text.chars() {
            if matches!(character, ':' | '=' | '\\') {
                out.write_str("\\")?;
            }
            write!(out, "{character}")?;
        }
        Ok(())
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}: {}", self.endpoint, self.problem)
    }
}

impl std::error::Error for EndpointError {}

/// `%N` behind an IPv6 address that has a scope.
struct Scope<'a>(&'a SocketAddrV6);

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
        "tcp" => Endpoint::tcp(Pieces::of(rest, "port")?, Ipv4Addr::UNSPECIFIED.into()),
        "tcp6" => Endpoint::tcp(Pieces::of(rest, "port")?, Ipv6Addr::UNSPECIFIED.into()),
        "unix" => Endpoint::unix(Pieces::of(rest, "address")?),
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

/// The arguments of an endpoint string, unescaped. The first may stand without its key.
struct Pieces(Vec<(String, String)>);

impl Pieces {
    fn of(text: &str, positional: &str) -> Result<Self, String> {
        let mut pieces: Vec<(String, String)> = Vec::new();
        for (place, (key, value)) in split(text)?.into_iter().enumerate() {
            match (place, key) {
                (_, Some(key)) => pieces.push((key, value)),
                (0, None) if value.is_empty() => {}
                (0, None) => pieces.push((positional.to_owned(), value)),
                _ if pieces.last().is_some_and(|(key, _)| key == "interface") => {
                    return Err("an IPv6 address goes in brackets, as interface=[::1]".to_owned());
                }
                _ if value.is_empty() => return Err("a piece of it is empty".to_owned()),
                _ => return Err(format!("{value:?} is not of the form key=value")),
            }
        }
        Ok(Self(pieces))
    }

    fn take(&mut self, key: &str) -> Result<Option<String>, String> {
        let Some(place) = self.0.iter().position(|(name, _)| name == key) else {
            return Ok(None);
        };
        let (_, value) = self.0.remove(place);
        if self.0.iter().any(|(name, _)| name == key) {
            return Err(format!("{key} is given twice"));
        }
        Ok(Some(value))
    }

    fn backlog(&mut self) -> Result<u32, String> {
        let Some(backlog) = self.take("backlog")? else {
            return Ok(BACKLOG_DEFAULT);
        };
        number(&backlog, 1, BACKLOG_MAX)
            .ok_or_else(|| format!("backlog {backlog:?} is not a number from 1 to {BACKLOG_MAX}"))
    }

    fn finish(self, known: &str) -> Result<(), String> {
        match self.0.first() {
            Some((key, _)) => Err(format!("{key:?} is not known here; it takes {known}")),
            None => Ok(()),
        }
    }
}

/// Cuts the text at each `:` and each piece at its first `=`, and takes the escapes away.
fn split(text: &str) -> Result<Vec<(Option<String>, String)>, String> {
    let mut pieces = Vec::new();
    let (mut key, mut word) = (None, String::new());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.push(characters.next().ok_or("it ends in a backslash")?),
            ':' => pieces.push((key.take(), std::mem::take(&mut word))),
            '=' if key.is_none() => key = Some(std::mem::take(&mut word)),
            // Friendlier than Twisted: an IPv6 address in brackets needs no escapes.
            '[' if word.is_empty() && key.as_deref() == Some("interface") => {
                let inside = characters.as_str();
                let (address, rest) =
                    inside.split_once(']').ok_or("the bracket [ of interface is not closed")?;
                word = format!("[{address}]");
                characters = rest.chars();
            }
            _ => word.push(character),
        }
    }
    pieces.push((key, word));
    Ok(pieces)
}

fn number(text: &str, min: u32, max: u32) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits)?;
    (min..=max).contains(&number).then_some(number)
}

fn address(interface: &str, port: u16, only_v6: bool) -> Result<SocketAddr, String> {
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

fn unix_name(address: &str) -> Result<UnixName, String> {
    if address.contains('\0') {
        return Err("the path has a NUL byte in it".to_owned());
    }
    let (name, text) = match address.strip_prefix('@') {
        Some("") => return Err("the abstract name is empty; write unix:@site".to_owned()),
        Some(_) if !cfg!(target_os = "linux") => {
            return Err("abstract names (@) are Linux's; this system needs a path".to_owned());
        }
        Some(name) => (UnixName::Abstract(name.to_owned()), name),
        None => (UnixName::Path(PathBuf::from(address)), address),
    };
    match text.len() {
        0 => Err("it has no path; write unix:/run/site.sock".to_owned()),
        length if length > UNIX_NAME_MAX => Err(too_long(length)),
        _ => Ok(name),
    }
}

fn too_long(length: usize) -> String {
    format!("its path is {length} bytes long; the system takes at most {UNIX_NAME_MAX}")
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
