//! `datagrams` and `multicast`: facts of a socket, wishes for it, and the groups that it joins.

use std::net::IpAddr;

use wasmtime::component::Resource;
use wasmtime::{Result, bail};

use super::super::bindings::torsade::plugin::{datagrams, multicast, types};
use super::super::outbox::{Effect, Guest, OutcomeHandle, SocketHandle};
use super::{Asked, Done, address, failure};
use crate::capability::datagrams::{Membership, SocketOption};
use crate::capability::{Address, Outcome};

impl datagrams::Host for Guest {}

impl datagrams::HostSocket for Guest {
    /// Shadowed by [`super::hot`], which copies the bytes once less.
    fn send(
        &mut self,
        this: Resource<SocketHandle>,
        data: Vec<u8>,
        parts: Vec<datagrams::Part>,
    ) -> Result<()> {
        let socket = self.sockets.get(&this)?.socket;
        self.fits(data.len())?;
        let lent = self.lent();
        let starts = (lent.bytes.len(), lent.parts.len());
        lent.bytes.extend_from_slice(&data);
        lent.parts.extend(parts);
        self.sent(socket, starts)
    }

    fn lose_socket(&mut self, this: Resource<SocketHandle>) -> Result<()> {
        let handle = self.sockets.get_mut(&this)?;
        handle.open = false;
        let socket = handle.socket;
        self.record(Effect::LoseSocket { socket })
    }

    fn local_address(&mut self, this: Resource<SocketHandle>) -> Result<types::Address> {
        Ok(address(&self.sockets.get(&this)?.local))
    }

    fn peer_address(&mut self, this: Resource<SocketHandle>) -> Result<Option<types::Address>> {
        Ok(self.sockets.get(&this)?.peer.as_ref().map(address))
    }

    fn set_broadcast(&mut self, this: Resource<SocketHandle>, on: bool) -> Result<Done> {
        match self.sockets.get(&this)?.local {
            Address::Udp(IpAddr::V4(_), _) => self.set_socket(&this, SocketOption::Broadcast(on)),
            _ => Ok(Err(failure("unsupported", "the socket is not IPv4's"))),
        }
    }

    fn set_multicast_ttl(&mut self, this: Resource<SocketHandle>, hops: u8) -> Result<Done> {
        self.set_socket(&this, SocketOption::MulticastTtl(hops))
    }

    fn set_multicast_loopback(&mut self, this: Resource<SocketHandle>, on: bool) -> Result<Done> {
        self.set_socket(&this, SocketOption::MulticastLoopback(on))
    }

    fn set_multicast_interface(
        &mut self,
        this: Resource<SocketHandle>,
        name: String,
    ) -> Result<Done> {
        if !is_interface(&name) {
            let message = format!("{name:?} can't be the name of an interface, such as eth0");
            return Ok(Err(failure("invalid", message)));
        }
        self.set_socket(&this, SocketOption::MulticastInterface(name.into()))
    }

    fn drop(&mut self, this: Resource<SocketHandle>) -> Result<()> {
        self.sockets.take(&this)?;
        Ok(())
    }
}

impl multicast::Host for Guest {
    fn join(
        &mut self,
        of: Resource<SocketHandle>,
        membership: multicast::Membership,
    ) -> Result<Asked> {
        let handle = self.sockets.get(&of)?;
        let socket = handle.socket;
        if matches!(handle.local, Address::Unix(_)) {
            return Ok(Err(not_ip()));
        }
        let membership = self.membership(membership)?;
        self.ask(|id| Effect::Join { id, socket, membership })
    }

    fn joined(&mut self, of: Resource<OutcomeHandle>) -> Result<Done> {
        Ok(match self.take_outcome(&of)? {
            Outcome::Joined { .. } => Ok(()),
            other => Err(self.not_wanted(other, "a join")?),
        })
    }

    fn leave(
        &mut self,
        of: Resource<SocketHandle>,
        membership: multicast::Membership,
    ) -> Result<()> {
        let socket = self.sockets.get(&of)?.socket;
        let membership = self.membership(membership)?;
        self.record(Effect::Leave { socket, membership })
    }
}

impl Guest {
    /// Records that the outbox' bytes and parts from `starts` on are for a socket.
    pub(in crate::plugin) fn sent(
        &mut self,
        socket: u64,
        (data, parts): (usize, usize),
    ) -> Result<()> {
        let most = self.limits.effects;
        let lent = self.lent();
        let ends = (lent.bytes.len(), lent.parts.len());
        let mut names = 0;
        let mut length: usize = 0;
        for part in &lent.parts[parts..] {
            length = length.saturating_add(part.length as usize);
            if let datagrams::Peer::Unix(name) = &part.peer {
                names += name.len();
            }
        }
        if ends.1 > most {
            self.usage.reached = Some("effects");
            bail!("an event sent more than {most} datagrams");
        }
        if length != ends.0 - data {
            bail!("the parts of a send have {length} bytes, and its data {}", ends.0 - data);
        }
        self.owns((ends.1 - parts) * size_of::<datagrams::Part>() + names)?;
        // What is sent in a row is one effect, and one system call.
        match self.lent().effects.last_mut() {
            Some(Effect::SendDatagrams { socket: last, data: all, parts: whose })
                if *last == socket && all.end == data && whose.end == parts =>
            {
                (all.end, whose.end) = ends;
                Ok(())
            }
            _ => self.record(Effect::SendDatagrams {
                socket,
                data: data..ends.0,
                parts: parts..ends.1,
            }),
        }
    }

    fn set_socket(&mut self, this: &Resource<SocketHandle>, option: SocketOption) -> Result<Done> {
        let handle = self.sockets.get(this)?;
        if matches!(handle.local, Address::Unix(_)) {
            return Ok(Err(not_ip()));
        }
        if !handle.open {
            return Ok(Err(failure("closed", "the socket is closed, or closing")));
        }
        let socket = handle.socket;
        if let SocketOption::MulticastInterface(name) = &option {
            self.owns(name.len())?;
        }
        self.record(Effect::SetSocket { socket, option })?;
        Ok(Ok(()))
    }

    /// A membership, which counts as what the plugin leaves in the outbox.
    fn membership(&mut self, wanted: multicast::Membership) -> Result<Box<Membership>> {
        let multicast::Membership { group, interface, source } = wanted;
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.owns(group.len() + length(&interface) + length(&source))?;
        Ok(Box::new(Membership { group, interface, source }))
    }
}

fn not_ip() -> types::Failure {
    failure("unsupported", "the socket is not UDP")
}

/// Whether an interface may have such a name (`dev_valid_name` of Linux).
fn is_interface(name: &str) -> bool {
    let good = |byte: u8| !matches!(byte, b'/' | b':' | 0) && !byte.is_ascii_whitespace();
    (1..=INTERFACE_MAX).contains(&name.len())
        && !matches!(name, "." | "..")
        && name.bytes().all(good)
}

/// The longest name of an interface in bytes: `IFNAMSIZ` less the byte that ends it.
const INTERFACE_MAX: usize = 15;
