//! Who has sent to a socket lately, so that it may answer.

use std::collections::HashSet;
use std::mem;
use std::net::{IpAddr, SocketAddr};

use crate::net::Address;

/// The last senders of a socket, in two generations: a sender that is heard again moves into the
/// younger, and once that is full the older is forgotten. So the last `most` are always known, and
/// never more than twice as many.
pub(super) struct Correspondents {
    young: HashSet<Key>,
    old: HashSet<Key>,
    most: usize,
}

/// A sender, in numbers where it has some: these are looked up for each datagram.
#[derive(Eq, Hash, PartialEq)]
enum Key {
    /// The address as IPv6, and scope and port.
    Ip(u128, u64),
    Unix(Box<str>),
}

impl Correspondents {
    pub(super) fn new(most: usize) -> Self {
        Self { young: HashSet::new(), old: HashSet::new(), most }
    }

    /// Somebody has sent something.
    pub(super) fn heard(&mut self, from: &Address) {
        let key = Key::of(from);
        if self.young.contains(&key) {
            return;
        }
        if self.young.len() >= self.most {
            mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(key);
    }

    /// Whether it was one of the last.
    pub(super) fn know(&self, peer: &Address) -> bool {
        let key = Key::of(peer);
        self.young.contains(&key) || self.old.contains(&key)
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

impl Key {
    fn of(address: &Address) -> Self {
        match address {
            Address::Tcp(address) | Address::Udp(address) => {
                let ip = match address.ip() {
                    IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                    IpAddr::V6(v6) => v6,
                };
                let scope = match address {
                    SocketAddr::V4(_) => 0,
                    SocketAddr::V6(v6) => v6.scope_id(),
                };
                Self::Ip(ip.to_bits(), u64::from(scope) << 16 | u64::from(address.port()))
            }
            Address::Stdio => Self::Unix("".into()),
            Address::Unix(name) => Self::Unix(name.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(port: u16) -> Address {
        Address::Udp(([192, 0, 2, 1], port).into())
    }

    #[test]
    fn the_last_senders_are_known_and_at_most_twice_as_many() {
        let mut senders = Correspondents::new(4);
        for port in 1..=100 {
            senders.heard(&peer(port));
            for last in port.saturating_sub(3).max(1)..=port {
                assert!(senders.know(&peer(last)), "{last} of {port}");
            }
            let known = (1..=100).filter(|port| senders.know(&peer(*port))).count();
            assert!(known <= 8, "{known} are known");
        }
    }

    #[test]
    fn who_goes_on_sending_stays_known() {
        let mut senders = Correspondents::new(4);
        for port in 1..=100 {
            senders.heard(&peer(1000));
            senders.heard(&peer(port));
            assert!(senders.know(&peer(1000)));
        }
        assert!(!senders.know(&peer(50)));
        senders.clear();
        assert!(!senders.know(&peer(1000)));
    }

    #[test]
    fn a_scope_and_a_family_tell_senders_apart() {
        let mut senders = Correspondents::new(4);
        let at = |text: &str| Address::Udp(text.parse().unwrap());
        senders.heard(&at("[fe80::1%2]:53"));
        senders.heard(&Address::Unix("/run/a".into()));
        assert!(senders.know(&at("[fe80::1%2]:53")));
        assert!(!senders.know(&at("[fe80::1%3]:53")) && !senders.know(&at("[fe80::1]:53")));
        assert!(senders.know(&Address::Unix("/run/a".into())));
        assert!(!senders.know(&Address::Unix("/run/b".into())));
    }
}
