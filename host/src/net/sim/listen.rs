//! Where the near side of the simulated network listens.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Backlog, SimListener, SimNet};
use crate::net::Address;

impl SimNet {
    /// A new listener, at a port of its own from 8000 on.
    pub fn listener(&mut self) -> SimListener {
        let port = FIRST_PORT + self.listeners.len() as u16;
        self.add_listener(Address::Tcp((NEAR_V4, port).into()))
    }

    /// Listens at an address, unless somebody does.
    pub(super) fn bind(&mut self, at: &Address) -> io::Result<SimListener> {
        match at {
            Address::Unix(name) if name.is_empty() => Err(ErrorKind::InvalidInput.into()),
            Address::Tcp(address) if address.port() == 0 => {
                let picked = PICKED_PORTS
                    .map(|port| Address::Tcp(SocketAddr::new(address.ip(), port)))
                    .find(|picked| !self.is_taken(picked));
                picked.map(|at| self.add_listener(at)).ok_or(ErrorKind::AddrInUse.into())
            }
            _ if self.is_taken(at) => Err(ErrorKind::AddrInUse.into()),
            _ => Ok(self.add_listener(at.clone())),
        }
    }

    /// The listener that a connection to `address` reaches.
    pub(super) fn listener_at(&self, address: &Address) -> Option<usize> {
        self.listeners.iter().position(|it| !it.closed && collide(&it.address, address, false))
    }

    /// The near end's address of a connection to a listener at `address`.
    pub(super) fn local_of(&self, address: &Address) -> Address {
        match address {
            Address::Tcp(tcp) if tcp.ip().is_unspecified() => {
                Address::Tcp(SocketAddr::new(near_host(tcp.is_ipv4()), tcp.port()))
            }
            _ => address.clone(),
        }
    }

    fn add_listener(&mut self, address: Address) -> SimListener {
        let waiting = VecDeque::new();
        self.listeners.push(Backlog { address, token: None, edge: false, closed: false, waiting });
        SimListener(self.listeners.len() - 1)
    }

    fn is_taken(&self, address: &Address) -> bool {
        self.listeners.iter().any(|it| !it.closed && collide(&it.address, address, true))
    }
}

/// The near side's own address.
pub(super) fn near_host(v4: bool) -> IpAddr {
    if v4 { NEAR_V4.into() } else { NEAR_V6.into() }
}

/// Whether `listening` takes what `other` names. An address without a host stands for all hosts of
/// its family; `other`'s only where `both` says so.
fn collide(listening: &Address, other: &Address, both: bool) -> bool {
    match (listening, other) {
        (Address::Tcp(one), Address::Tcp(two)) => {
            let any = one.ip().is_unspecified() || both && two.ip().is_unspecified();
            let same = one.ip() == two.ip() || any && one.is_ipv4() == two.is_ipv4();
            same && one.port() == two.port()
        }
        (one, two) => one == two,
    }
}

const NEAR_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const NEAR_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);

/// The port of the first listener that a test makes.
const FIRST_PORT: u16 = 8000;

/// Ports that the system picks from, in this order.
const PICKED_PORTS: std::ops::Range<u16> = 32_768..61_000;
