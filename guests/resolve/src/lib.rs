//! The addresses of hosts as numbers: the example with which the description of Twisted begins.
//!
//! A peer sends the name of a host, a line. A deferred gives its address, a quad; a callback makes
//! a number of it; and whoever holds the deferred gets the number, and sends it back as a line.
//!
//! This crate is the protocol, which knows no host; `component.rs` joins it to one.
#![forbid(unsafe_code)]

mod component;
pub mod conversation;

use std::net::{IpAddr, Ipv4Addr};

/// The first quad among a host's addresses.
pub fn quad(addresses: &[IpAddr]) -> Option<Ipv4Addr> {
    addresses.iter().find_map(|address| match address {
        IpAddr::V4(quad) => Some(*quad),
        IpAddr::V6(_) => None,
    })
}

/// A quad as the number that it is: `127.0.0.1` as 2130706433.
pub fn number(quad: Ipv4Addr) -> u32 {
    u32::from(quad)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::{number, quad};

    #[test]
    fn a_quad_is_a_number() {
        assert_eq!(number(Ipv4Addr::new(0, 0, 0, 0)), 0);
        assert_eq!(number(Ipv4Addr::LOCALHOST), 2_130_706_433);
        assert_eq!(number(Ipv4Addr::BROADCAST), u32::MAX);
    }

    #[test]
    fn the_first_quad_counts() {
        let addresses = ["::1", "192.0.2.1", "192.0.2.2"].map(|ip| ip.parse::<IpAddr>().unwrap());
        assert_eq!(quad(&addresses), Some(Ipv4Addr::new(192, 0, 2, 1)));
        assert_eq!(quad(&addresses[..1]), None);
        assert_eq!(quad(&[]), None);
    }
}
