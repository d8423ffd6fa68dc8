//! Where a plugin may connect to: the targets that its service grants. Looks no name up.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use std::str::FromStr;

use super::client_endpoint::{HOST_NAME_MAX, LABEL_MAX};
use super::endpoint::{Carries, EndpointError, UnixName};
use super::pieces::{Syntax, number, split};
use super::range::{Ports, UnixSocket};

/// Peers that a plugin may connect to.
///
/// | string | allows |
/// |---|---|
/// | `tcp:10.0.0.0/8:5432` | a port of a network's addresses, whatever name led there |
/// | `tcp:[fd00::/8]:*` | every port of an IPv6 network |
/// | `tcp:192.0.2.1:25-26` | some ports of an address |
/// | `tcp:db.example.org:5432` | a port of a name, whatever its addresses are |
/// | `tcp:*.example.org:443` | a port of all names below one |
/// | `tcp:*:25` | a port of every address |
/// | `unix:/run/db.sock`, `unix:@db` | one Unix socket |
/// | `udp:10.0.0.0/8:53` and all the others | the same for datagrams |
/// | `unix-datagram:/run/log.sock` | one Unix socket for datagrams |
///
/// A name is only ever compared with names, and a network with addresses. An IPv4 address that is
/// mapped into IPv6 counts as IPv4.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// `tcp:` or `udp:`.
    Ip {
        /// TCP's are streams.
        carries: Carries,
        /// Which hosts.
        hosts: Hosts,
        /// Which of their ports.
        ports: Ports,
    },
    /// `unix:` or `unix-datagram:`.
    Unix(Carries, UnixSocket),
}

/// Hosts of a target. Names are in lower case, without a dot at their end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Hosts {
    /// Every address.
    Any,
    /// The names below this one, at any depth.
    Below(String),
    /// One name.
    Name(String),
    /// The addresses whose first `bits` are this one's; the others of it are 0.
    Network {
        /// Never an IPv4 address that is mapped into IPv6.
        address: IpAddr,
        /// At most as many as the address has.
        bits: u8,
    },
}

impl Target {
    /// The same target, with a relative path of a Unix socket taken to be below `folder`. The
    /// plugin names it as before.
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

    /// Whether it allows a host by the name that the plugin gave it: then at all its addresses.
    pub fn allows_name(&self, what: Carries, host: &str, port: u16) -> bool {
        let Self::Ip { carries, hosts, ports } = self else { return false };
        *carries == what && ports.contains(port) && hosts.have_name(host)
    }

    /// Whether it allows an address, which the plugin gave or a name led to.
    pub fn allows_address(&self, what: Carries, ip: IpAddr, port: u16) -> bool {
        let Self::Ip { carries, hosts, ports } = self else { return false };
        *carries == what && ports.contains(port) && hosts.have_address(ip)
    }

    /// Whether it allows any address at all at this port. Where no target does, nor allows the
    /// name, there is no reason to look the name up: that alone would tell a stranger something.
    pub fn allows_addresses_at(&self, what: Carries, port: u16) -> bool {
        let by_address = |hosts: &Hosts| matches!(hosts, Hosts::Any | Hosts::Network { .. });
        let Self::Ip { carries, hosts, ports } = self else { return false };
        *carries == what && by_address(hosts) && ports.contains(port)
    }

    /// The Unix socket to connect to, if it allows the one that the plugin names.
    pub fn unix(&self, what: Carries, name: &UnixName) -> Option<&UnixName> {
        match self {
            Self::Unix(carries, socket) if *carries == what => socket.opened_as(name),
            _ => None,
        }
    }
}

impl Hosts {
    fn have_name(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        match self {
            Self::Below(parent) => host
                .strip_suffix(&**parent)
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            Self::Name(name) => host == *name,
            Self::Any | Self::Network { .. } => false,
        }
    }

    fn have_address(&self, ip: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Network { address, bits } => masked(ip.to_canonical(), *bits) == Some(*address),
            Self::Below(_) | Self::Name(_) => false,
        }
    }

    /// Reads what is no address in brackets.
    fn read(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(network) = network(text)? {
            return Ok(network);
        }
        match text.strip_prefix("*.") {
            Some(parent) => name(parent).map(Self::Below),
            None => name(text).map(Self::Name),
        }
    }
}

impl FromStr for Target {
    type Err = EndpointError;

    fn from_str(target: &str) -> Result<Self, EndpointError> {
        parse(target).map_err(|problem| EndpointError::new(target, problem))
    }
}

fn parse(target: &str) -> Result<Target, String> {
    let (kind, rest) = target.split_once(':').unwrap_or((target, ""));
    match kind {
        "tcp" => ip(Carries::Streams, rest),
        "udp" => ip(Carries::Datagrams, rest),
        "unix" => unix(Carries::Streams, rest),
        "unix-datagram" => unix(Carries::Datagrams, rest),
        _ => Err(format!(
            "{kind:?} is no kind of target; there are tcp:HOST:PORTS, unix:PATH, udp:HOST:PORTS \
             and unix-datagram:PATH"
        )),
    }
}

fn unix(carries: Carries, text: &str) -> Result<Target, String> {
    match &*plain(text)? {
        [path] => UnixSocket::read(path).map(|socket| Target::Unix(carries, socket)),
        _ => Err("it is unix:PATH; in the path : is written \\:".to_owned()),
    }
}

fn ip(carries: Carries, text: &str) -> Result<Target, String> {
    const FORM: &str = "it is tcp:HOST:PORTS, such as tcp:10.0.0.0/8:5432 or tcp:*.example.org:*";
    let (hosts, ports) = match text.strip_prefix('[') {
        Some(inside) => {
            let (address, rest) = inside.split_once(']').ok_or("the bracket [ is not closed")?;
            let hosts = network(address)?
                .filter(|_| address.contains(':'))
                .ok_or_else(|| format!("[{address}] is no IPv6 address and no network of them"))?;
            (hosts, rest.strip_prefix(':').ok_or(FORM)?.to_owned())
        }
        None => match &*plain(text)? {
            [host, ports] => (Hosts::read(host)?, ports.clone()),
            pieces if pieces.len() > 2 => {
                return Err("an IPv6 address goes in brackets, as tcp:[::1]:80".to_owned());
            }
            _ => return Err(FORM.to_owned()),
        },
    };
    Ok(Target::Ip { carries, hosts, ports: Ports::read(&ports)? })
}

/// The pieces between colons, none of which is `key=value`.
fn plain(text: &str) -> Result<Vec<String>, String> {
    let pieces = split(text, Syntax { positional: &[], addresses: &[] })?.into_iter();
    let plain = pieces.map(|(key, value)| match key {
        Some(key) => Err(format!("{key:?} is not known here; a target takes no key=value")),
        None => Ok(value),
    });
    plain.collect()
}

/// An address, or `ADDRESS/BITS`; `None` for anything that looks like neither.
fn network(text: &str) -> Result<Option<Hosts>, String> {
    let (ip, bits) = match text.split_once('/') {
        Some((ip, bits)) => (ip, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr = match (ip.parse(), bits) {
        (Ok(address), _) => address,
        (Err(_), Some(_)) => return Err(format!("{text:?} is no network, such as 10.0.0.0/8")),
        (Err(_), None) => return Ok(None),
    };
    let most: u8 = if address.is_ipv4() { 32 } else { 128 };
    let read = |bits| number(bits, 0, most.into()).and_then(|bits| u8::try_from(bits).ok());
    let bits = match bits.map(read) {
        None => most,
        Some(Some(bits)) => bits,
        Some(None) => return Err(format!("{text:?}: a network has 0 to {most} bits behind its /")),
    };
    let first = masked(address, bits).unwrap_or(address);
    if first != address {
        return Err(format!("{text:?} is not the first address of its network, {first}/{bits}"));
    }
    Ok(Some(match address {
        IpAddr::V6(v6) if bits >= MAPPED_BITS && v6.to_ipv4_mapped().is_some() => {
            Hosts::Network { address: address.to_canonical(), bits: bits - MAPPED_BITS }
        }
        _ => Hosts::Network { address, bits },
    }))
}

/// The address with all but its first `bits` set to 0; `None` where it has fewer.
fn masked(ip: IpAddr, bits: u8) -> Option<IpAddr> {
    let bits = u32::from(bits);
    Some(match ip {
        IpAddr::V4(v4) => {
            let rest = u32::BITS.checked_sub(bits)?;
            let mask = u32::MAX.checked_shl(rest).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let rest = u128::BITS.checked_sub(bits)?;
            let mask = u128::MAX.checked_shl(rest).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    })
}

/// A name as it is compared. One whose last label is a number is an address to some resolvers
/// (`127.1`), so it is none here.
fn name(text: &str) -> Result<String, String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let good = |c: char| !c.is_whitespace() && !c.is_control() && !":/*[]%=\\".contains(c);
    let labels = || name.split('.');
    let number = |label: &str| label.starts_with("0x") || label.bytes().all(|b| b.is_ascii_digit());
    let well_formed = name.len() <= HOST_NAME_MAX
        && labels().all(|label| (1..=LABEL_MAX).contains(&label.len()) && label.chars().all(good))
        && !labels().next_back().is_some_and(number);
    match well_formed {
        true => Ok(name),
        false => {
            Err(format!("{text:?} is no IP address, no network of them and no name of a host"))
        }
    }
}

/// How many bits stand before an IPv4 address that is mapped into IPv6 (RFC 4291, section 2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// The shortest string that means the same target, as the plugin has to name it.
impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip { carries, hosts, ports } => {
                write!(out, "{}:{hosts}:{ports}", carries.over_ip())
            }
            Self::Unix(carries, socket) => write!(out, "{}:{socket}", carries.over_unix()),
        }
    }
}

impl fmt::Display for Hosts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => out.write_str("*"),
            Self::Below(parent) => write!(out, "*.{parent}"),
            Self::Name(name) => out.write_str(name),
            Self::Network { address: IpAddr::V4(v4), bits: 32 } => write!(out, "{v4}"),
            Self::Network { address: IpAddr::V4(v4), bits } => write!(out, "{v4}/{bits}"),
            Self::Network { address: IpAddr::V6(v6), bits: 128 } => write!(out, "[{v6}]"),
            Self::Network { address: IpAddr::V6(v6), bits } => write!(out, "[{v6}/{bits}]"),
        }
    }
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
