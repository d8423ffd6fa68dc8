//! How fast connections may talk: before they read or send, buckets are asked, and where those are
//! empty the connection waits for a timer. A connection without rates pays nothing for it.

use std::sync::Arc;
use std::time::Duration;

use super::conn::ConnId;
use super::policies::{Policy, Why};
use super::{Answer, Due, Reactor};
use crate::net::Net;
use crate::pool::Pool;
use crate::throttle::Bucket;
use crate::transport::queue::Flushed;

/// One direction of a connection.
pub(super) struct Share {
    /// The bucket of all connections of the service.
    of_all: Option<Arc<Bucket>>,
    /// A timer will say when it may go on.
    pub(super) waits: bool,
    /// Something went since it waited last.
    served: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    Read,
    Write,
}

impl Share {
    pub(super) fn of(all: &Option<Arc<Bucket>>) -> Self {
        Self { of_all: all.clone(), waits: false, served: false }
    }

    /// It has waited long enough.
    pub(super) fn go_on(&mut self) {
        (self.waits, self.served) = (false, false);
    }
}

impl Policy {
    fn share(&mut self, way: Way) -> &mut Share {
        match way {
            Way::Read => &mut self.reads,
            Way::Write => &mut self.writes,
        }
    }

    fn buckets(&self, way: Way) -> impl Iterator<Item = &Bucket> {
        let peer = self.of_peer.as_deref();
        let (of_all, of_peer) = match way {
            Way::Read => (&self.reads.of_all, peer.and_then(|peer| peer.reads.as_ref())),
            Way::Write => (&self.writes.of_all, peer.and_then(|peer| peer.writes.as_ref())),
        };
        of_all.as_deref().into_iter().chain(of_peer)
    }

    pub(super) fn is_throttled(&self, way: Way) -> bool {
        self.buckets(way).next().is_some()
    }

    /// How many bytes may go, or how long to wait until that is worth it.
    fn may_go(&self, way: Way, now: Duration) -> Result<usize, Duration> {
        let (mut most, mut wait) = (usize::MAX, Duration::ZERO);
        for bucket in self.buckets(way) {
            let there = bucket.available(now);
            if there < bucket.sip() {
                wait = wait.max(bucket.wait(now, bucket.sip()));
            }
            most = most.min(usize::try_from(there).unwrap_or(usize::MAX));
        }
        if wait.is_zero() { Ok(most) } else { Err(wait) }
    }

    fn has_gone(&mut self, way: Way, bytes: u64, now: Duration) {
        self.buckets(way).for_each(|bucket| bucket.charge(now, bytes));
        self.share(way).served = true;
    }
}

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// How many bytes a connection may read at once; `None` where it has to wait, and a timer will
    /// have it read.
    pub(super) fn may_read(&mut self, id: ConnId<N::Stream>) -> Option<usize> {
        let all = self.buffers.plain.len();
        let conn = self.conns.get_mut(id)?;
        let Some(policy) = conn.policy.as_deref() else { return Some(all) };
        if policy.reads.waits {
            return None;
        }
        // Where nothing is there to read, there is nothing to wait for.
        if !conn.stream.may_read() && conn.lingering.is_none() {
            return Some(all);
        }
        let now = self.services[conn.service].settings.census.time(self.told);
        match policy.may_go(Way::Read, now) {
            Ok(most) => Some(most.min(all)),
            Err(wait) => {
                self.wait(id, Way::Read, wait);
                None
            }
        }
    }

    /// A connection has read so much.
    pub(super) fn has_read(&mut self, id: ConnId<N::Stream>, bytes: usize) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if let Some(policy) = conn.policy.as_deref_mut() {
            let now = self.services[conn.service].settings.census.time(self.told);
            policy.last = self.told;
            policy.has_gone(Way::Read, bytes as u64, now);
        }
    }

    /// Sends what the peer takes of a connection, and what the rates let go.
    pub(super) fn send(&mut self, id: ConnId<N::Stream>) -> Flushed {
        let Some(conn) = self.conns.get_mut(id) else { return Flushed::Empty };
        let Some(policy) = conn.policy.as_deref_mut() else {
            return conn.stream.flush(&mut self.net, &mut self.spares);
        };
        let now = self.services[conn.service].settings.census.time(self.told);
        let (throttled, waits) = (policy.is_throttled(Way::Write), policy.writes.waits);
        if throttled {
            let most = if waits { Ok(0) } else { policy.may_go(Way::Write, now) };
            conn.stream.allow(most.unwrap_or(0));
        }
        let flushed = conn.stream.flush(&mut self.net, &mut self.spares);
        let sent = conn.stream.sent().saturating_sub(policy.sent);
        if sent > 0 {
            policy.last = self.told;
            policy.sent += sent;
            policy.has_gone(Way::Write, sent, now);
        }
        if throttled {
            // Until the buckets are asked again.
            conn.stream.allow(0);
        }
        if flushed == Flushed::Spent && !waits {
            match policy.may_go(Way::Write, now) {
                Ok(_) => return Flushed::Again,
                Err(wait) => self.wait(id, Way::Write, wait),
            }
        }
        flushed
    }

    /// Has a connection wait for its buckets.
    fn wait(&mut self, id: ConnId<N::Stream>, way: Way, wait: Duration) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Some(policy) = conn.policy.as_deref_mut() else { return };
        let share = policy.share(way);
        share.waits = true;
        // All who wait for a bucket wait for the same moment. Who was served goes behind the others,
        // so that each has its turn.
        let behind = if share.served { BEHIND } else { Duration::ZERO };
        let why = match way {
            Way::Read => Why::Read,
            Way::Write => Why::Write,
        };
        self.add_timer(self.told + wait + behind, Due::Policy(id.to_u64(), why));
    }
}

/// How much later who was served may go on than who was not.
const BEHIND: Duration = Duration::from_micros(1);
