//! How fast connections may talk: before they read or send, buckets are asked, and where those are
//! empty the connection waits. A connection without rates pays nothing for it.
//!
//! Who waits for the bucket of all stands in the service's line, which has one timer however long it
//! is. Who waits for the bucket of its peer has a timer of its own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::conn::ConnId;
use super::policies::{Policy, Why};
use super::{Answer, Due, Reactor};
use crate::arena::Id;
use crate::census::Census;
use crate::figures::Count;
use crate::net::Net;
use crate::pool::Pool;
use crate::throttle::Bucket;
use crate::transport::queue::Flushed;

/// One direction of a connection.
pub(super) struct Share {
    /// The bucket of all connections of the service.
    of_all: Option<Arc<Bucket>>,
    /// It stands in line, or a timer will say when it may go on.
    pub(super) waits: bool,
    /// It stood in line, and its turn has come.
    has_turn: bool,
    /// Something went since it waited last.
    served: bool,
}

/// The connections of a service that wait, on this worker, for one bucket. Each is there once, but for
/// those that are gone.
#[derive(Default)]
pub(super) struct Line {
    waiting: VecDeque<u64>,
    /// A timer will let the first go on.
    timed: bool,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Way {
    Read,
    Write,
}

/// What a connection has to wait for.
#[derive(Clone, Copy)]
enum Wait {
    /// For its place in the service's line.
    InLine,
    /// For its peer's bucket.
    Alone(Duration),
}

impl Share {
    pub(super) fn of(all: &Option<Arc<Bucket>>) -> Self {
        Self { of_all: all.clone(), waits: false, has_turn: false, served: false }
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

    fn of_all(&self, way: Way) -> Option<&Bucket> {
        match way {
            Way::Read => self.reads.of_all.as_deref(),
            Way::Write => self.writes.of_all.as_deref(),
        }
    }

    fn of_peer(&self, way: Way) -> Option<&Bucket> {
        let peer = self.of_peer.as_deref()?;
        match way {
            Way::Read => peer.reads.as_ref(),
            Way::Write => peer.writes.as_ref(),
        }
    }

    pub(super) fn is_throttled(&self, way: Way) -> bool {
        self.of_all(way).is_some() || self.of_peer(way).is_some()
    }

    /// How many bytes may go, or what to wait for until that is worth it.
    fn may_go(&mut self, way: Way, now: Duration, line: &Line) -> Result<usize, Wait> {
        let (mut most, has_turn) = (u64::MAX, self.share(way).has_turn);
        if let Some(bucket) = self.of_peer(way) {
            most = bucket.available(now);
            if most < bucket.sip() {
                return Err(Wait::Alone(bucket.wait(now, bucket.sip())));
            }
        }
        if let Some(bucket) = self.of_all(way) {
            let there = bucket.available(now);
            let others = !line.waiting.is_empty() && !has_turn;
            if others || there < bucket.sip() {
                return Err(Wait::InLine);
            }
            most = most.min(there);
        }
        Ok(usize::try_from(most).unwrap_or(usize::MAX))
    }

    fn has_gone(&mut self, way: Way, bytes: u64, now: Duration) {
        let buckets = [self.of_all(way), self.of_peer(way)];
        buckets.into_iter().flatten().for_each(|bucket| bucket.charge(now, bytes));
        let share = self.share(way);
        (share.served, share.has_turn) = (true, false);
    }
}

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// How many bytes a connection may read at once; `None` where it has to wait, and a timer will
    /// have it read.
    pub(super) fn may_read(&mut self, id: ConnId<N::Stream>) -> Option<usize> {
        let all = self.buffers.plain.len();
        let conn = self.conns.get_mut(id)?;
        let Some(policy) = conn.policy.as_deref_mut() else { return Some(all) };
        if policy.reads.waits {
            return None;
        }
        // Where nothing is there to read, there is nothing to wait for.
        if !conn.stream.may_read() && conn.lingering.is_none() {
            return Some(all);
        }
        let service = &self.services[conn.service];
        let now = service.settings.census.time(self.told);
        match policy.may_go(Way::Read, now, &service.lines[Way::Read as usize]) {
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
            let flushed = conn.stream.flush(&mut self.net, &mut self.spares);
            let (service, sent) = (conn.service, conn.newly_sent());
            self.figures(service)[Count::BytesSent] += sent;
            return flushed;
        };
        let service = &self.services[conn.service];
        let (now, line) =
            (service.settings.census.time(self.told), &service.lines[Way::Write as usize]);
        let (throttled, waits) = (policy.is_throttled(Way::Write), policy.writes.waits);
        if throttled {
            let most = if waits { Ok(0) } else { policy.may_go(Way::Write, now, line) };
            conn.stream.allow(most.unwrap_or(0));
        }
        let flushed = conn.stream.flush(&mut self.net, &mut self.spares);
        let sent = conn.stream.sent() - conn.sent;
        if sent > 0 {
            conn.sent += sent;
            policy.last = self.told;
            policy.has_gone(Way::Write, sent, now);
        }
        if throttled {
            // Until the buckets are asked again.
            conn.stream.allow(0);
        }
        let again =
            (flushed == Flushed::Spent && !waits).then(|| policy.may_go(Way::Write, now, line));
        let service = conn.service;
        self.figures(service)[Count::BytesSent] += sent;
        match again {
            Some(Ok(_)) => return Flushed::Again,
            Some(Err(wait)) => self.wait(id, Way::Write, wait),
            None => {}
        }
        flushed
    }

    /// Has a connection wait for its buckets.
    fn wait(&mut self, id: ConnId<N::Stream>, way: Way, wait: Wait) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Some(policy) = conn.policy.as_deref_mut() else { return };
        let share = policy.share(way);
        share.waits = true;
        match wait {
            Wait::InLine => {
                let (service, conns) = (conn.service, &self.conns);
                let line = &mut self.services[service].lines[way as usize].waiting;
                line.push_back(id.to_u64());
                if line.len() > LINE_TO_SWEEP.max(2 * conns.len()) {
                    line.retain(|number| conns.get(Id::from_u64(*number)).is_some());
                }
                self.time_line(service, way);
            }
            Wait::Alone(wait) => {
                // All who wait for a bucket wait for the same moment. Who was served goes behind the
                // others, so that each has its turn.
                let behind = if share.served { BEHIND } else { Duration::ZERO };
                let why = match way {
                    Way::Read => Why::Read,
                    Way::Write => Why::Write,
                };
                self.add_timer(self.told + wait + behind, Due::Policy(id.to_u64(), why));
            }
        }
    }

    /// Sets the timer for the first of a service's line.
    fn time_line(&mut self, number: usize, way: Way) {
        let service = &mut self.services[number];
        let (line, census) = (&mut service.lines[way as usize], &service.settings.census);
        if let Some(bucket) = bucket_of(census, way)
            && !line.waiting.is_empty()
            && !std::mem::replace(&mut line.timed, true)
        {
            let wait = bucket.wait(census.time(self.told), bucket.sip());
            self.add_timer(self.told + wait, Due::Line(number, way));
        }
    }

    /// Lets the first of a service's line go on, and as many as there is enough for.
    pub(super) fn on_line_due(&mut self, number: usize, way: Way) {
        self.services[number].lines[way as usize].timed = false;
        for _ in 0..self.services[number].lines[way as usize].waiting.len() {
            let service = &mut self.services[number];
            let census = &service.settings.census;
            let Some(bucket) = bucket_of(census, way) else { return };
            if bucket.available(census.time(self.told)) < bucket.sip() {
                break;
            }
            let first = service.lines[way as usize].waiting.pop_front();
            let Some(id) = first.map(Id::from_u64) else { break };
            let conn = self.conns.get_mut(id);
            let Some(policy) = conn.and_then(|conn| conn.policy.as_deref_mut()) else { continue };
            let share = policy.share(way);
            share.go_on();
            share.has_turn = true;
            match way {
                Way::Read => self.on_readable(id),
                Way::Write => self.flush(id),
            }
        }
        self.time_line(number, way);
    }
}

fn bucket_of(census: &Census, way: Way) -> Option<&Bucket> {
    match way {
        Way::Read => census.reads.as_deref(),
        Way::Write => census.writes.as_deref(),
    }
}

/// A line isn't looked through for connections that are gone before it is so long, and twice as long
/// as there are connections.
const LINE_TO_SWEEP: usize = 64;

/// How much later who was served may go on than who was not.
const BEHIND: Duration = Duration::from_micros(1);
