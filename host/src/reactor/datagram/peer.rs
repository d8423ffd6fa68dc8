//! Peers of datagrams: as the contract has them, and as the network does.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::net::Address;
use crate::plugin::{self, Peer};

/// An address, as the contract has peers.
pub(super) fn told_of(address: &Address) -> Peer {
    match address {
        Address::Tcp(SocketAddr::V4(v4)) | Address::Udp(SocketAddr::V4(v4)) => {
            Peer::Ipv4((u32::from_le_bytes(v4.ip().octets()), v4.port()))
        }
        Address::Tcp(SocketAddr::V6(v6)) | Address::Udp(SocketAddr::V6(v6)) => {
            let bits = v6.ip().to_bits();
            let (high, low) = ((bits >> 64) as u64, bits as u64);
            Peer::Ipv6(plugin::Ipv6Peer { high, low, port: v6.port(), scope: v6.scope_id() })
        }
        Address::Unix(name) => Peer::Unix(name.to_string()),
        Address::Stdio => Peer::Unix(String::new()),
    }
}

/// A peer of the contract's, as an address.
pub(super) fn address_of(peer: &Peer) -> Address {
    match peer {
        Peer::Ipv4((ip, port)) => {
            Address::Udp(SocketAddrV4::new(ip.to_le_bytes().into(), *port).into())
        }
        Peer::Ipv6(v6) => {
            let ip = Ipv6Addr::from_bits(u128::from(v6.high) << 64 | u128::from(v6.low));
            Address::Udp(SocketAddrV6::new(ip, v6.port, 0, v6.scope).into())
        }
        Peer::Unix(name) => Address::Unix(name.as_str().into()),
    }
}
