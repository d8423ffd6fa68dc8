//! Which peers may come to a service: its lists of addresses.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};

use crate::net::Address;

/// The keys `allow` and `deny` of a service. Who is denied may not come; where a list allows some,
/// nobody else may. Its default is that all may.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Peers {
    /// `None` allows all.
    pub allow: Option<Arc<[Who]>>,
    /// Goes before `allow`.
    pub deny: Arc<[Who]>,
}

/// Some peers: `"10.0.0.0/8"`, `"fd00::/8"`, `"192.0.2.1"`, or `"unix"`.
///
/// An IPv4 address that is mapped into IPv6 (RFC 4291, section 2.5.5.2) counts as IPv4, in the list
/// and in what a peer comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Who {
    /// Those who come from a network.
    Network(IpNet),
    /// Those who come by a Unix socket.
    Unix,
}

impl Peers {
    /// Whether there is nothing to look at.
    pub fn allow_all(&self) -> bool {
        self.allow.is_none() && self.deny.is_empty()
    }

    /// Whether a peer with this address may come.
    pub fn allow(&self, peer: &Address) -> bool {
        let is_named = |list: &[Who]| list.iter().any(|who| who.is(peer));
        !is_named(&self.deny) && self.allow.as_deref().is_none_or(is_named)
    }
}

impl Who {
    fn is(&self, peer: &Address) -> bool {
        match (self, peer) {
            (Self::Network(network), Address::Tcp(address) | Address::Udp(address)) => {
                network.contains(&address.ip().to_canonical())
            }
            (Self::Unix, Address::Unix(_)) => true,
            _ => false,
        }
    }
}

impl FromStr for Who {
    type Err = String;

    /// Says what is wrong and what would be right.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "unix" {
            return Ok(Self::Unix);
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Network(ip.to_canonical().into()));
        }
        let network: IpNet = text.parse().map_err(|_| {
            format!("{text:?} is no network; write \"10.0.0.0/8\", \"192.0.2.1\" or \"unix\"")
        })?;
        let network = canonical(network);
        match network.trunc() {
            first if first == network => Ok(Self::Network(network)),
            first => Err(format!("{text:?} is an address in a network; write \"{first}\"")),
        }
    }
}

fn canonical(network: IpNet) -> IpNet {
    let v4 = match network {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => v6.addr().to_ipv4_mapped(),
        _ => None,
    };
    let v4 = v4.and_then(|v4| Ipv4Net::new(v4, network.prefix_len() - 96).ok());
    v4.map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(allow: Option<&[&str]>, deny: &[&str]) -> Peers {
        let read = |list: &[&str]| list.iter().map(|who| who.parse().unwrap()).collect();
        Peers { allow: allow.map(read), deny: read(deny) }
    }

    fn come(peers: &Peers, address: &str) -> bool {
        let Ok(ip) = address.parse::<IpAddr>() else {
            return peers.allow(&Address::Unix(address.into()));
        };
        let may = peers.allow(&Address::Tcp((ip, 1).into()));
        assert_eq!(peers.allow(&Address::Udp((ip, 1).into())), may, "{address}");
        may
    }

    #[test]
    fn without_lists_all_may_come() {
        for address in ["192.0.2.1", "::1", "/run/a.sock", ""] {
            assert!(come(&Peers::default(), address), "{address}");
        }
    }

    #[test]
    fn deny_goes_before_allow() {
        let some = peers(Some(&["10.0.0.0/8", "fd00::/8", "unix"]), &["10.1.0.0/16", "10.2.0.1"]);
        for (address, may) in [
            ("10.0.0.1", true),
            ("10.1.2.3", false),
            ("10.2.0.1", false),
            ("10.2.0.2", true),
            ("11.0.0.1", false),
            ("fd00::1", true),
            ("fe80::1", false),
            ("::ffff:10.0.0.1", true),
            ("::ffff:10.1.0.1", false),
            ("/run/a.sock", true),
            ("", true),
        ] {
            assert_eq!(come(&some, address), may, "{address}");
        }
        let others = peers(None, &["unix", "0.0.0.0/0"]);
        for (address, may) in [("::1", true), ("1.2.3.4", false), ("@a", false)] {
            assert_eq!(come(&others, address), may, "{address}");
        }
        assert!(!come(&peers(Some(&["0.0.0.0/0", "::/0"]), &[]), "@a"));
    }

    #[test]
    fn mapped_addresses_count_as_ipv4_in_a_list() {
        assert_eq!("::ffff:10.0.0.0/104".parse::<Who>(), "10.0.0.0/8".parse());
        assert_eq!("::ffff:10.0.0.1".parse::<Who>(), "10.0.0.1/32".parse());
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        for (text, want) in [
            ("", "\"\" is no network; write \"10.0.0.0/8\", \"192.0.2.1\" or \"unix\""),
            ("example.org", "is no network"),
            ("10.0.0.0/33", "is no network"),
            ("tcp:10.0.0.0/8", "is no network"),
            ("10.0.0.1/8", "is an address in a network; write \"10.0.0.0/8\""),
            ("fd00::1/8", "write \"fd00::/8\""),
        ] {
            let problem = text.parse::<Who>().unwrap_err();
            assert!(problem.contains(want), "{text}: {problem}");
        }
    }
}
