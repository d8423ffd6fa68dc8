//! Connections that the near side of the simulated network begins.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::listen::near_host;
use super::wire::{Packet, Wire};
use super::{Far, SimNet, SimStream, To};
use crate::net::Address;

/// What stands behind an address that the near side connects to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Behind {
    /// Somebody who takes the connection: a far end, in the test's hands.
    Open,
    /// A host that answers with a reset.
    #[default]
    Refuses,
    /// A far end that takes the connection, and resets it.
    Resets,
    /// Nobody: what is sent there is lost.
    Silent,
    /// A far end that takes at most so much longer to answer than the network's delay.
    Slow(Duration),
    /// No way leads there. The near side hears of it at once, or later.
    Unreachable,
}

impl SimNet {
    /// From now on, `behind` stands behind `address`. Where nothing was said, connections are
    /// refused, listeners of the near side itself included; a Unix socket isn't found.
    pub fn stand(&mut self, address: Address, behind: Behind) {
        self.hosts.insert(address, behind);
    }

    /// The next connection that the near side has begun and that has reached its far end, and the
    /// address that was asked for; one that was given up already may be among them.
    pub fn dialled(&mut self) -> Option<(Far, Address)> {
        self.dialled.pop_front()
    }

    /// How many near ends wait for an answer to their connect.
    pub fn connecting(&self) -> usize {
        self.wires.iter().filter(|wire| wire.near.connecting && !wire.near.closed).count()
    }

    pub(super) fn dial(&mut self, to: &Address, from: Option<IpAddr>) -> io::Result<SimStream> {
        let local = self.dial_from(to, from)?;
        let behind = self.hosts.get(to).copied();
        match (to, behind) {
            (Address::Unix(_), None | Some(Behind::Unreachable)) => {
                return Err(ErrorKind::NotFound.into());
            }
            (Address::Unix(_), Some(Behind::Refuses)) => {
                return Err(ErrorKind::ConnectionRefused.into());
            }
            (Address::Tcp(_), Some(Behind::Unreachable)) if self.seed.chance(128) => {
                return Err(ErrorKind::NetworkUnreachable.into());
            }
            _ => {}
        }
        let mut wire = Wire::new(None, local);
        wire.near.accepted = true;
        wire.near.connecting = matches!(to, Address::Tcp(_));
        wire.dialled = Some((to.clone(), behind.unwrap_or_default()));
        self.wires.push(wire);
        let wire = self.wires.len() - 1;
        self.note(b'd', wire as u64, to.to_string().as_bytes());
        self.launch(wire, To::Far, Packet::Syn);
        Ok(SimStream(wire))
    }

    /// What the far side does with a connection that has reached it.
    pub(super) fn answer(&mut self, wire: usize) {
        let Some((to, behind)) = self.wires[wire].dialled.clone() else {
            unreachable!("only what was dialled reaches the far side so");
        };
        let longest = match behind {
            Behind::Silent => return,
            Behind::Refuses => return self.launch(wire, To::Near, Packet::Reset),
            Behind::Unreachable => return self.launch(wire, To::Near, Packet::Unreachable),
            Behind::Slow(longest) => self.conditions.delay + longest,
            Behind::Open | Behind::Resets => self.conditions.delay,
        };
        self.dialled.push_back((Far(wire), to));
        self.launch_within(longest, wire, To::Near, Packet::SynAck);
        if behind == Behind::Resets {
            // Not by the far end's own call, which may overtake and lose the answer.
            self.wires[wire].far.closed = true;
            self.launch(wire, To::Near, Packet::Reset);
        }
    }

    /// The address that the near end of a new connection has.
    fn dial_from(&self, to: &Address, from: Option<IpAddr>) -> io::Result<Address> {
        match (to, from) {
            (Address::Tcp(to), from) if from.is_none_or(|it| it.is_ipv4() == to.is_ipv4()) => {
                let port = FIRST_PORT + (self.wires.len() % PORTS) as u16;
                let host = from.unwrap_or(near_host(to.is_ipv4()));
                Ok(Address::Tcp(SocketAddr::new(host, port)))
            }
            (Address::Unix(name), None) if !name.is_empty() => Ok(Address::Unix("".into())),
            _ => Err(ErrorKind::InvalidInput.into()),
        }
    }
}

/// The port that the first connection comes from.
const FIRST_PORT: u16 = 61_000;

/// After so many connections, ports are used again.
const PORTS: usize = 4_000;
