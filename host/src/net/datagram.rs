//! Datagrams: what sockets that carry them are made of, and the batches that they move.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::Address;

/// The most datagrams that one call receives, or sends.
pub const DATAGRAMS_A_BATCH: usize = 64;

/// The longest datagram in bytes: what UDP over IPv4 can carry (RFC 768; RFC 791, section 3.1).
/// One of a Unix socket that is longer is cut off there.
pub const DATAGRAM_MAX: usize = 65_507;

/// Datagrams, one behind the other.
#[derive(Debug, Default)]
pub struct Batch {
    /// Their bytes.
    pub data: Vec<u8>,
    /// How long each is, and who has sent it, or is to get it.
    pub parts: Vec<Part>,
}

/// One datagram of a [`Batch`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Part {
    /// Who has sent it, or is to get it: [`Address::Udp`] or [`Address::Unix`].
    pub peer: Address,
    /// Its bytes, which lie behind those of the part before it.
    pub length: usize,
}

impl Part {
    /// The peer of a datagram that nobody is to get: a socket passes it over.
    pub fn nobody() -> Address {
        Address::Unix("".into())
    }
}

impl Batch {
    /// Takes all out; what they needed is used again.
    pub fn clear(&mut self) {
        self.data.clear();
        self.parts.clear();
    }

    /// Puts a datagram behind the others.
    pub fn push(&mut self, peer: Address, data: &[u8]) {
        self.data.extend_from_slice(data);
        self.parts.push(Part { peer, length: data.len() });
    }

    /// Drops those whose peers are not wanted.
    pub fn retain(&mut self, mut is_wanted: impl FnMut(&Address) -> bool) {
        let Self { data, parts } = self;
        let (mut from, mut to) = (0, 0);
        parts.retain(|Part { peer, length }| {
            let place = from..from + length;
            from = place.end;
            let wanted = is_wanted(peer);
            if wanted {
                data.copy_within(place, to);
                to += length;
            }
            wanted
        });
        data.truncate(to);
    }

    /// Each with its bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&Address, &[u8])> {
        let mut rest = &self.data[..];
        self.parts.iter().map(move |part| {
            let (one, behind) = rest.split_at(part.length);
            rest = behind;
            (&part.peer, one)
        })
    }
}

/// A socket for datagrams that is to be bound.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// UDP's.
    Udp {
        /// The interface and the port; port 0 lets the system pick one.
        at: SocketAddr,
        /// IPv4 comes to the socket of IPv6, too.
        dual: bool,
        /// Others may have the address, too, if all say so (`SO_REUSEADDR`).
        reuse: bool,
        /// Datagrams may go to a whole network (`SO_BROADCAST`).
        broadcast: bool,
    },
    /// A Unix socket's.
    Unix {
        /// Its path, or `@NAME`.
        name: Box<str>,
        /// The permission bits of its file.
        mode: Option<u32>,
    },
}

/// What was sent to a peer didn't get there, as the system was told (ICMP).
#[derive(Debug)]
pub struct Refusal {
    /// To whom it was sent.
    pub peer: Address,
    /// Why it didn't get there.
    pub error: io::Error,
}

/// A property of a socket for datagrams.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DatagramOption {
    /// Datagrams may go to a whole network (`SO_BROADCAST`); IPv4's alone.
    Broadcast(bool),
    /// Routers that a datagram to a group passes at most, and this machine.
    MulticastTtl(u8),
    /// What is sent to a group comes to this machine's own members.
    MulticastLoopback(bool),
    /// The interface, by its name, that datagrams to groups leave by; the system picks one where
    /// there is none.
    MulticastInterface(Option<Box<str>>),
}

impl DatagramOption {
    /// The same property as a new socket at `place` has it.
    #[must_use]
    pub fn initial(&self, place: Option<&Place>) -> Self {
        match self {
            Self::Broadcast(_) => {
                Self::Broadcast(matches!(place, Some(Place::Udp { broadcast: true, .. })))
            }
            Self::MulticastTtl(_) => Self::MulticastTtl(1),
            Self::MulticastLoopback(_) => Self::MulticastLoopback(true),
            Self::MulticastInterface(_) => Self::MulticastInterface(None),
        }
    }
}

/// Which datagrams of a group a socket wants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Membership {
    /// The group.
    pub group: IpAddr,
    /// The interface, by its name; the system picks one where there is none.
    pub interface: Option<Box<str>>,
    /// The only sender that is wanted (RFC 4607).
    pub source: Option<IpAddr>,
}
