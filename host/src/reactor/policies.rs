//! Policies, as Twisted has them: which peers may come, how long they may stay and be silent. They
//! hold for connections that peers made, whatever is spoken there. How fast they may talk is
//! [`super::throttle`]'s.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::conn::ConnId;
use super::service::peer_ip;
use super::throttle::{Share, Way};
use super::{Answer, Due, Reactor};
use crate::arena::Id;
use crate::census::Full;
use crate::net::{Address, Net};
use crate::pool::Pool;
use crate::throttle::PeerBuckets;
use crate::transport::peers::Peers;
use crate::transport::stream::End;

/// What a service demands of its peers, beside what its census counts. The default is nothing.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    /// Who may come.
    pub peers: Peers,
    /// How long no byte may go either way.
    pub idle: Option<Duration>,
    /// How long a connection may last.
    pub lifetime: Option<Duration>,
}

/// What holds for one connection. One that nothing holds for has none.
pub(super) struct Policy {
    /// When a byte went either way.
    pub(super) last: Instant,
    /// What it shares with other connections of its peer.
    pub(super) of_peer: Option<Arc<PeerBuckets>>,
    pub(super) reads: Share,
    pub(super) writes: Share,
}

/// A peer that may come.
pub(super) struct Admitted {
    /// As whom the census counts it.
    pub(super) met: Option<IpAddr>,
    pub(super) policy: Option<Box<Policy>>,
}

/// What a connection's policy has a timer for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Why {
    /// Its peer may have been silent for too long.
    Idle,
    /// Its time is over.
    Lifetime,
    /// It may read again.
    Read,
    /// It may send again.
    Write,
}

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// Lets a peer come, or not: the one place where a peer's address counts. To be asked once for
    /// each connection, as soon as its peer's own address is known; the census has been entered.
    /// `None` where it has to go.
    pub(super) fn admit(&mut self, service: usize, peer: &Address) -> Option<Admitted> {
        let settings = &self.services[service].settings;
        let (policies, census) = (&settings.policies, &settings.census);
        if !policies.peers.allow(peer) {
            self.turn_away(service, peer, "peers");
            return None;
        }
        let met = peer_ip(peer);
        let of_peer = match met.map(|ip| census.meet(ip, self.told)) {
            Some(Err(Full::ConnectionsPerPeer)) => {
                self.turn_away(service, peer, "connections-per-peer");
                self.reached(service, "connections-per-peer");
                return None;
            }
            Some(Err(Full::ConnectRatePerPeer)) => {
                self.turn_away(service, peer, "connect-rate-per-peer");
                self.reached(service, "connect-rate-per-peer");
                return None;
            }
            Some(Ok(of_peer)) => of_peer,
            None => None,
        };
        let (reads, writes) = (Share::of(&census.reads), Share::of(&census.writes));
        let policy = Policy { last: self.told, of_peer, reads, writes };
        let timed = policies.idle.is_some() || policies.lifetime.is_some();
        let holds = timed || policy.is_throttled(Way::Read) || policy.is_throttled(Way::Write);
        Some(Admitted { met, policy: holds.then(|| Box::new(policy)) })
    }

    /// Counts a connection that is closed at once, and says so: at most one line a minute, however
    /// many come. The reason is a key of the service, or of its limits.
    pub(super) fn turn_away(&mut self, service: usize, peer: &Address, reason: &'static str) {
        self.figures(service).refuse(reason);
        let limit;
        let why = match reason {
            "peers" => "`allow` and `deny` keep it out",
            "trusted-proxies" => "trusted-proxies doesn't have the peer",
            key => {
                limit = format!("limits.{key} is reached");
                &*limit
            }
        };
        let service = &mut self.services[service];
        self.turned_away += 1;
        let settings = &service.settings;
        let name = &*settings.name;
        tracing::debug!(service = name, %peer, "a connection is turned away: {why}");
        if let Some(count) = service.turned_away.happened(1, self.told) {
            tracing::warn!(service = name, %peer, "{count} turned away, this connection as {why}");
        }
        // It has not come, as far as others are kept waiting by how many come.
        if let Some(connects) = &settings.census.connects {
            connects.put_back_one();
        }
    }

    /// From now on what the peer was admitted with holds for the connection.
    pub(super) fn enforce(&mut self, id: ConnId<N::Stream>, admitted: Admitted) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Policies { idle, lifetime, .. } = self.services[conn.service].settings.policies;
        (conn.met, conn.policy) = (admitted.met, admitted.policy);
        if conn.policy.as_ref().is_some_and(|policy| policy.is_throttled(Way::Write)) {
            conn.stream.allow(0);
        }
        for (time, why) in [(idle, Why::Idle), (lifetime, Why::Lifetime)] {
            if let Some(time) = time {
                self.add_timer(self.told + time, Due::Policy(id.to_u64(), why));
            }
        }
    }

    /// A timer of a connection's policy has elapsed.
    pub(super) fn on_policy_due(&mut self, number: u64, why: Why) {
        let id = Id::from_u64(number);
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Some(policy) = conn.policy.as_deref_mut() else { return };
        match why {
            Why::Idle => {
                let idle = self.services[conn.service].settings.policies.idle.unwrap_or_default();
                // Who waits for a rate, as it was told to, is not silent by its own will.
                let waits = policy.reads.waits || policy.writes.waits;
                let last = if waits { self.told } else { policy.last };
                if last + idle <= self.told {
                    let service = conn.service;
                    conn.stream.end(End::Expired("limits.idle: no byte went either way"));
                    self.reached(service, "idle");
                    self.touch(id);
                } else {
                    self.add_timer(last + idle, Due::Policy(number, why));
                }
            }
            Why::Lifetime => {
                let service = conn.service;
                conn.stream.end(End::Expired("limits.lifetime: the connection's time is over"));
                self.reached(service, "lifetime");
                self.touch(id);
            }
            Why::Read => {
                policy.reads.go_on();
                self.on_readable(id);
            }
            Why::Write => {
                policy.writes.go_on();
                self.touch(id);
            }
        }
    }
}
