//! The header of the PROXY protocol, as a value: bytes in, addresses out.
//!
//! Both versions of HAProxy's proxy-protocol.txt: a line of text (section 2.1) and the binary form
//! (section 2.2). It reads no socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::pieces::number;
use crate::net::Address;

/// The longest header of version 1 in bytes, with its CR LF (section 2.1).
pub const V1_MAX: usize = 107;

/// How many bytes may stand behind the fixed part of a header of version 2: addresses take at most
/// 216, the rest are vectors, such as the client's certificate, that are skipped.
pub const V2_PAYLOAD_MAX: usize = 4096;

/// The longest header in bytes.
pub const HEADER_MAX: usize = V2_FIXED + V2_PAYLOAD_MAX;

/// A header that is complete.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// How many bytes it has: what stands behind them is the connection's.
    pub length: usize,
    /// Where the connection comes from and went to, as the proxy saw it; `None` where the proxy
    /// speaks for itself (`LOCAL`) or doesn't know (`UNKNOWN`, `AF_UNSPEC`), so that the addresses
    /// of the socket count.
    pub route: Option<Route>,
}

/// The two ends of the connection that a proxy took.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route {
    /// The client's.
    pub source: Address,
    /// The one that the client connected to.
    pub destination: Address,
}

/// Reads the header that `bytes` begin with; `None` while it is cut short.
///
/// # Errors
/// What is wrong with it, as soon as that shows: no more bytes would mend it.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, String> {
    let begins = |signature: &[u8]| {
        let length = signature.len().min(bytes.len());
        bytes[..length] == signature[..length]
    };
    if begins(V2_SIGNATURE) {
        parse_v2(bytes)
    } else if begins(V1_SIGNATURE) {
        parse_v1(bytes)
    } else {
        Err("it does not begin with a PROXY header".to_owned())
    }
}

fn parse_v1(bytes: &[u8]) -> Result<Option<Header>, String> {
    let most = &bytes[..bytes.len().min(V1_MAX)];
    let Some(end) = most.iter().position(|byte| *byte == b'\n') else {
        return match bytes.len() < V1_MAX {
            true => Ok(None),
            false => Err(format!("its PROXY line has more than {V1_MAX} bytes")),
        };
    };
    let line = most[..end].strip_suffix(b"\r").ok_or("its PROXY line has no CR before its LF")?;
    let line = std::str::from_utf8(line).map_err(|_| "its PROXY line is not ASCII")?;
    Ok(Some(Header { length: end + 1, route: route_of_line(line)? }))
}

fn route_of_line(line: &str) -> Result<Option<Route>, String> {
    let mut words = line.split(' ').skip(1);
    let is_v4 = match words.next() {
        Some("TCP4") => true,
        Some("TCP6") => false,
        // What follows is to be ignored.
        Some("UNKNOWN") => return Ok(None),
        other => return Err(format!("its PROXY line is of {:?}", other.unwrap_or_default())),
    };
    let mut ip = || {
        let word = words.next().unwrap_or_default();
        let ip = match is_v4 {
            true => word.parse().ok().map(IpAddr::V4),
            false => word.parse().ok().map(IpAddr::V6),
        };
        ip.ok_or_else(|| format!("its PROXY line has {word:?} for an address"))
    };
    let (source, destination) = (ip()?, ip()?);
    let mut port = || {
        let word = words.next().unwrap_or_default();
        Some(word)
            .filter(|word| *word == "0" || !word.starts_with('0'))
            .and_then(|word| number(word, 0, u32::from(u16::MAX)))
            .and_then(|port| u16::try_from(port).ok())
            .ok_or_else(|| format!("its PROXY line has {word:?} for a port"))
    };
    let (source, destination) = (tcp(source, port()?), tcp(destination, port()?));
    match words.next() {
        Some(_) => Err("its PROXY line has more than two addresses and ports".to_owned()),
        None => Ok(Some(Route { source, destination })),
    }
}

fn parse_v2(bytes: &[u8]) -> Result<Option<Header>, String> {
    let Some(&[command, family, high, low]) = bytes.get(V2_SIGNATURE.len()..V2_FIXED) else {
        return Ok(None);
    };
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ if command >> 4 != 2 => {
            return Err(format!("its PROXY header is of version {}", command >> 4));
        }
        _ => return Err(format!("its PROXY header has the command {}", command & 0xf)),
    };
    let payload = usize::from(u16::from_be_bytes([high, low]));
    if payload > V2_PAYLOAD_MAX {
        return Err(format!(
            "its PROXY header has {payload} bytes behind its fixed part; {V2_PAYLOAD_MAX} are the most"
        ));
    }
    let length = V2_FIXED + payload;
    // Of LOCAL all else is to be ignored, the family too.
    let wanted = match family {
        _ if is_local => 0,
        0x00 => 0,
        0x11 => 2 * (4 + 2),
        0x21 => 2 * (16 + 2),
        0x31 => 2 * UNIX_PATH,
        _ => return Err(format!("its PROXY header has the family and transport {family:#04x}")),
    };
    if payload < wanted {
        return Err(format!(
            "its PROXY header has {payload} bytes where its addresses take {wanted}"
        ));
    }
    let Some(payload) = bytes.get(V2_FIXED..length) else { return Ok(None) };
    Ok(Some(Header { length, route: route_of(&payload[..wanted]) }))
}

/// The addresses, which tell by their length of which family they are.
fn route_of(addresses: &[u8]) -> Option<Route> {
    let (source, destination) = match addresses.len() {
        0 => return None,
        12 => {
            let (sources, ports) = addresses.split_at(8);
            let ip = |place: usize| array(sources, 4 * place).map(Ipv4Addr::from);
            (tcp(ip(0)?.into(), port(ports, 0)?), tcp(ip(1)?.into(), port(ports, 1)?))
        }
        36 => {
            let (sources, ports) = addresses.split_at(32);
            let ip = |place: usize| array(sources, 16 * place).map(Ipv6Addr::from);
            (tcp(ip(0)?.into(), port(ports, 0)?), tcp(ip(1)?.into(), port(ports, 1)?))
        }
        _ => {
            let (source, destination) = addresses.split_at(UNIX_PATH);
            (unix(source), unix(destination))
        }
    };
    Some(Route { source, destination })
}

fn array<const N: usize>(bytes: &[u8], from: usize) -> Option<[u8; N]> {
    bytes.get(from..from + N)?.try_into().ok()
}

fn port(ports: &[u8], place: usize) -> Option<u16> {
    array(ports, 2 * place).map(u16::from_be_bytes)
}

/// An IPv4 address that is mapped into IPv6 is the IPv4 address that it is, as for sockets.
fn tcp(ip: IpAddr, port: u16) -> Address {
    Address::Tcp(SocketAddr::new(ip.to_canonical(), port))
}

/// A `sun_path`, which ends with a NUL where it is shorter. One that begins with a NUL is an abstract
/// name (Linux). What isn't printable ASCII is escaped: it comes from far away, and is logged.
fn unix(path: &[u8]) -> Address {
    let until_nul = |bytes: &[u8]| bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let name = match path.split_first() {
        Some((0, name)) => {
            let name = &name[..until_nul(name)];
            if name.is_empty() { String::new() } else { format!("@{}", name.escape_ascii()) }
        }
        _ => path[..until_nul(path)].escape_ascii().to_string(),
    };
    Address::Unix(name.into())
}

/// How version 1 begins.
const V1_SIGNATURE: &[u8] = b"PROXY ";

/// How version 2 begins.
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The bytes of version 2 that each header has: the signature, version and command, family and
/// transport, the length of the rest.
const V2_FIXED: usize = 16;

/// The bytes of `sun_path`.
const UNIX_PATH: usize = 108;

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
