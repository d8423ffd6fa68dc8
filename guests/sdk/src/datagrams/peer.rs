//! Who sent a datagram, or is to get one.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

pub use crate::datagram_bindings::torsade::plugin::datagrams::{Ipv6Peer, Peer};

impl Peer {
    /// The address of a peer that has one; none for a Unix socket.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Peer::Ipv4((ip, port)) => {
                Some(SocketAddrV4::new(Ipv4Addr::from(ip.to_le_bytes()), *port).into())
            }
            Peer::Ipv6(Ipv6Peer { high, low, port, scope }) => {
                let ip = Ipv6Addr::from_bits(u128::from(*high) << 64 | u128::from(*low));
                Some(SocketAddrV6::new(ip, *port, 0, *scope).into())
            }
            Peer::Unix(_) => None,
        }
    }

    /// The IP address of a peer that has one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.socket_addr().map(|at| at.ip())
    }

    /// The port of a peer; 0 for a Unix socket.
    pub fn port(&self) -> u16 {
        match self {
            Peer::Ipv4((_, port)) | Peer::Ipv6(Ipv6Peer { port, .. }) => *port,
            Peer::Unix(_) => 0,
        }
    }
}

/// An address' flow label (RFC 2460) is left out.
impl From<SocketAddr> for Peer {
    fn from(at: SocketAddr) -> Self {
        match at {
            SocketAddr::V4(at) => Peer::Ipv4((u32::from_le_bytes(at.ip().octets()), at.port())),
            SocketAddr::V6(at) => {
                let bits = at.ip().to_bits();
                Peer::Ipv6(Ipv6Peer {
                    high: (bits >> 64) as u64,
                    low: bits as u64,
                    port: at.port(),
                    scope: at.scope_id(),
                })
            }
        }
    }
}

impl Display for Peer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.socket_addr(), self) {
            (Some(at), _) => at.fmt(f),
            (None, Peer::Unix(path)) if !path.is_empty() => f.write_str(path),
            (None, _) => f.write_str("a socket without a name"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::Peer;

    #[test]
    fn an_address_becomes_a_peer_and_comes_back() {
        for text in ["192.0.2.7:53", "[2001:db8::1]:5353", "[fe80::1%3]:5353", "0.0.0.0:0"] {
            let at: SocketAddr = text.parse().unwrap();
            let peer = Peer::from(at);
            assert_eq!(peer.socket_addr(), Some(at));
            assert_eq!((peer.ip(), peer.port()), (Some(at.ip()), at.port()));
            assert_eq!(peer.to_string(), text);
        }
    }

    #[test]
    fn the_numbers_are_those_of_the_contract() {
        let v4 = Peer::from("1.2.3.4:5".parse::<SocketAddr>().unwrap());
        assert_eq!(v4, Peer::Ipv4((0x0403_0201, 5)));
        let v6 = Peer::from("[102:304:506:708::9]:1".parse::<SocketAddr>().unwrap());
        let Peer::Ipv6(v6) = v6 else { panic!("{v6}") };
        assert_eq!((v6.high, v6.low), (0x0102_0304_0506_0708, 9));
    }

    #[test]
    fn a_unix_socket_has_a_path_or_no_name() {
        let named = Peer::Unix("/run/log".into());
        assert_eq!((named.socket_addr(), named.port()), (None, 0));
        assert_eq!(named.to_string(), "/run/log");
        assert_eq!(Peer::Unix(String::new()).to_string(), "a socket without a name");
    }
}
