//! A host in a simulated network that hinders nothing: for what depends on time alone.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use torsade::net::Net;
use torsade::net::sim::{Conditions, Far, SimNet};
use torsade::plugin::LogLevel;
use torsade::pool::SimPool;
use torsade::reactor::{Answer, Reactor, Seen, ServiceSettings};

use super::site::{self, Kind, Settings};

/// A host in a network that hinders nothing.
pub(crate) struct Host {
    pub(crate) reactor: Reactor<SimNet, SimPool<Answer>>,
    /// The network's number for the listener of each service.
    listeners: Vec<usize>,
    seen: Vec<Seen>,
}

impl Host {
    /// One with one service.
    pub(crate) fn new(kind: Kind, change: impl FnOnce(&mut ServiceSettings)) -> Result<Self> {
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
        let pool = SimPool::new(0, move || waker.wake());
        let mut reactor = Reactor::new(net, pool, [0; 32], LogLevel::Error);
        reactor.observe();
        let mut host = Self { reactor, listeners: Vec::new(), seen: Vec::new() };
        host.serve(kind, &Settings::CALM, change)?;
        Ok(host)
    }

    /// Serves another service, all of whose connections share an instance.
    pub(crate) fn serve(
        &mut self,
        kind: Kind,
        settings: &Settings,
        change: impl FnOnce(&mut ServiceSettings),
    ) -> Result<usize> {
        let mut settings = site::service(kind, false, settings);
        // A peer speaks for itself, without a proxy before it.
        settings.endpoints = Arc::new(["tcp:1".parse()?]);
        change(&mut settings);
        let service = self.reactor.serve(settings);
        let socket = self.reactor.net().listener();
        self.listeners.push(socket.index());
        self.reactor.listen(socket, service, 0, false)?;
        Ok(service)
    }

    /// A new peer from an address of its own.
    pub(crate) fn peer(&mut self) -> Far {
        self.peer_of(0)
    }

    /// The same for another service than the first.
    pub(crate) fn peer_of(&mut self, service: usize) -> Far {
        let listener = self.listeners[service];
        self.reactor.net().connect(listener)
    }

    pub(crate) fn peer_from(&mut self, ip: &str) -> Result<Far> {
        let (far, ip): (_, IpAddr) = (self.peer(), ip.parse()?);
        self.reactor.net().come_from(far, ip);
        Ok(far)
    }

    pub(crate) fn send(&mut self, far: Far, data: &[u8]) {
        self.reactor.net().send(far, data);
    }

    pub(crate) fn received(&mut self, far: Far) -> usize {
        self.reactor.net().received(far).len()
    }

    /// What has come to a peer since the last call, in lines.
    pub(crate) fn lines(&mut self, far: Far) -> Vec<String> {
        let received = self.reactor.net().received(far);
        String::from_utf8_lossy(&received).lines().map(str::to_owned).collect()
    }

    pub(crate) fn is_gone(&mut self, far: Far) -> bool {
        self.reactor.net().far_saw_end(far) || self.reactor.net().far_saw_reset(far)
    }

    /// Turns until so much time has passed.
    pub(crate) fn pass(&mut self, time: Duration) -> Result<()> {
        let until = self.reactor.net().now() + time;
        for _ in 0..TURNS {
            let left = until.saturating_duration_since(self.reactor.net().now());
            if left.is_zero() {
                return Ok(());
            }
            self.reactor.turn(Some(left))?;
            self.seen.extend(self.reactor.take_seen());
        }
        bail!("{TURNS} turns take less than {time:?}: {:?}", self.reactor.counts())
    }

    /// With which codes connections were lost so far.
    pub(crate) fn ends(&self) -> Vec<&'static str> {
        let end = |seen: &Seen| match seen {
            Seen::ConnectionLost { code, .. } => Some(*code),
            _ => None,
        };
        self.seen.iter().filter_map(end).collect()
    }

    pub(crate) fn built(&self) -> usize {
        self.seen.iter().filter(|seen| matches!(seen, Seen::Built { .. })).count()
    }

    /// With which codes results were reported that are failures.
    pub(crate) fn failures(&self) -> Vec<&str> {
        let failure = |seen| match seen {
            &Seen::Fired { failure: Some(ref code), .. } => Some(&**code),
            _ => None,
        };
        self.seen.iter().filter_map(failure).collect()
    }

    /// How many instances have failed.
    pub(crate) fn failed(&self) -> usize {
        self.seen.iter().filter(|seen| matches!(seen, Seen::Trapped { .. })).count()
    }
}

/// More turns than any of these tests takes.
const TURNS: usize = 200_000;
