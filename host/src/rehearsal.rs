//! A host in a simulated network that hinders nothing, with a clock that a test moves: for
//! conversations with a plugin as it is served, and for what depends on time alone.
//!
//! It reads no file, and opens no socket.

mod talking;

use std::io;
use std::net::{AddrParseError, IpAddr};
use std::time::Duration;

use crate::net::sim::{Conditions, Far, SimNet};
use crate::net::{Address, Net};
use crate::plugin::LogLevel;
use crate::pool::{FaultyPool, SimPool};
use crate::reactor::{Answer, Reactor, Seen, ServiceSettings};

/// A host whose peers are in a test's hands.
pub struct Stage {
    /// What serves.
    pub reactor: Reactor<SimNet, FaultyPool<SimPool<Answer>>>,
    /// The network's number for the listener of each service.
    listeners: Vec<usize>,
    seen: Vec<Seen>,
    /// The far ends of a conversation, by the numbers of its peers.
    peers: Vec<Option<Far>>,
    /// Peers of a conversation that listen, and where.
    backends: Vec<(usize, Address)>,
    /// Connections that were made to them, and nobody has asked for.
    reached: Vec<(Far, Address)>,
    /// What the plugin took for each thing that a peer did, in instructions.
    fuel: Vec<u64>,
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

impl Stage {
    /// One that serves nothing yet.
    pub fn new() -> Self {
        let conditions = Conditions {
            cut: 0,
            spurious: 0,
            delay: Duration::ZERO,
            window: 64 * 1024,
            refusals: 0,
            doubled: 0,
            lost: 0,
        };
        let net = SimNet::with(0, conditions);
        let waker = net.waker();
        let pool = FaultyPool::new(SimPool::new(0, move || waker.wake()));
        let mut reactor = Reactor::new(net, pool, [0; 32], LogLevel::Error);
        reactor.observe();
        Self {
            reactor,
            listeners: Vec::new(),
            seen: Vec::new(),
            peers: Vec::new(),
            backends: Vec::new(),
            reached: Vec::new(),
            fuel: Vec::new(),
        }
    }

    /// Serves one more service, and gives its number.
    ///
    /// # Errors
    /// The network's.
    pub fn serve(&mut self, settings: ServiceSettings) -> io::Result<usize> {
        let service = self.reactor.serve(settings);
        let listener = self.listen(service, 0)?;
        self.listeners.push(listener);
        Ok(service)
    }

    /// Listens for a service, on the endpoint with this place, and gives the network's number for
    /// the listener.
    ///
    /// # Errors
    /// The network's.
    pub fn listen(&mut self, service: usize, endpoint: u32) -> io::Result<usize> {
        let socket = self.reactor.net().listener();
        let index = socket.index();
        self.reactor.listen(socket, service, endpoint, false)?;
        Ok(index)
    }

    /// A new peer of the first service, from an address of its own.
    pub fn peer(&mut self) -> Far {
        self.peer_of(0)
    }

    /// A new peer of a service.
    pub fn peer_of(&mut self, service: usize) -> Far {
        let listener = self.listeners[service];
        self.reactor.net().connect(listener)
    }

    /// A new peer of the first service, from this address.
    ///
    /// # Errors
    /// Where it is none.
    pub fn peer_from(&mut self, ip: &str) -> Result<Far, AddrParseError> {
        let (far, ip): (_, IpAddr) = (self.peer(), ip.parse()?);
        self.reactor.net().come_from(far, ip);
        Ok(far)
    }

    /// A peer sends something.
    pub fn send(&mut self, far: Far, data: &[u8]) {
        self.reactor.net().send(far, data);
    }

    /// How many bytes have come to a peer since something was last taken.
    pub fn received(&mut self, far: Far) -> usize {
        self.reactor.net().received(far).len()
    }

    /// What has come to a peer since something was last taken, in lines.
    pub fn lines(&mut self, far: Far) -> Vec<String> {
        let received = self.reactor.net().received(far);
        String::from_utf8_lossy(&received).lines().map(str::to_owned).collect()
    }

    /// Whether the host has ended its half of a peer's connection, or reset it.
    pub fn is_gone(&mut self, far: Far) -> bool {
        self.reactor.net().far_saw_end(far) || self.reactor.net().far_saw_reset(far)
    }

    /// Turns until so much time has passed.
    ///
    /// # Errors
    /// The network's; or that the plugin has something to do without end.
    pub fn pass(&mut self, time: Duration) -> io::Result<()> {
        let until = self.reactor.net().now() + time;
        for _ in 0..TURNS {
            let left = until.saturating_duration_since(self.reactor.net().now());
            if left.is_zero() {
                return Ok(());
            }
            self.reactor.turn(Some(left))?;
            self.seen.extend(self.reactor.take_seen());
        }
        let counts = self.reactor.counts();
        Err(io::Error::other(format!("{TURNS} turns take less than {time:?}: {counts:?}")))
    }

    /// With which codes connections were lost so far.
    pub fn ends(&self) -> Vec<&'static str> {
        let end = |seen: &Seen| match seen {
            Seen::ConnectionLost { code, .. } => Some(*code),
            _ => None,
        };
        self.seen.iter().filter_map(end).collect()
    }

    /// How many protocols were built.
    pub fn built(&self) -> usize {
        self.seen.iter().filter(|seen| matches!(seen, Seen::Built { .. })).count()
    }

    /// With which codes results were reported that are failures.
    pub fn failures(&self) -> Vec<&str> {
        let failure = |seen| match seen {
            &Seen::Fired { failure: Some(ref code), .. } => Some(&**code),
            _ => None,
        };
        self.seen.iter().filter_map(failure).collect()
    }

    /// How many instances have failed.
    pub fn failed(&self) -> usize {
        self.seen.iter().filter(|seen| matches!(seen, Seen::Trapped { .. })).count()
    }

    /// What the plugin took for each thing that a peer of a conversation did, in instructions: where
    /// its engine counts them.
    pub fn fuel(&self) -> &[u64] {
        &self.fuel
    }
}

/// More turns than a test takes.
const TURNS: usize = 200_000;
