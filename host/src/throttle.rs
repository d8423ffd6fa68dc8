//! How much of something may happen in a time: token buckets, which any thread may ask. They read
//! no clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a service may do in a second, or in a minute where that is said; `None` for as much as it
/// can. Bytes are those that plugins receive and that the network took.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rates {
    /// New connections, over all workers.
    pub connects: Option<u64>,
    /// New connections from one address.
    pub connects_per_peer: Option<u64>,
    /// Failed logins in a minute.
    pub logins: Option<u64>,
    /// Failed logins in a minute from one address.
    pub logins_per_peer: Option<u64>,
    /// Lines that its plugin has in the log.
    pub log_lines: Option<u64>,
    /// Bytes that are read from all peers together.
    pub reads: Option<u64>,
    /// Bytes that are read from one address.
    pub reads_per_peer: Option<u64>,
    /// Bytes that are sent to all peers together.
    pub writes: Option<u64>,
    /// Bytes that are sent to one address.
    pub writes_per_peer: Option<u64>,
}

impl Rates {
    /// Whether any of them counts by address.
    pub(crate) fn count_peers(&self) -> bool {
        let per_peer = [self.connects_per_peer, self.reads_per_peer, self.writes_per_peer];
        per_peer.iter().any(Option::is_some)
    }

    /// The full buckets of an address, where any of them counts by address.
    pub(crate) fn buckets(&self) -> Option<Arc<PeerBuckets>> {
        self.count_peers().then(|| PeerBuckets::new(self).into())
    }
}

/// A token bucket: it fills at a steady rate up to its burst, and whoever does something takes out
/// of it.
///
/// It is GCRA ("virtual scheduling", ITU-T I.371, annex A): all of its state is the moment at which
/// it will be full, one number that any thread can move without a lock. So what several threads take
/// is counted exactly. Who takes more than there is leaves a debt, for which all wait. `now` is the
/// time since a moment that all who use it agree upon.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// When it is full, in [`TICKS_A_SECOND`].
    full_at: AtomicU64,
    /// Units that come in a period.
    rate: u64,
    /// The period, in seconds.
    period: u64,
    /// Units that it holds.
    burst: u64,
}

impl Bucket {
    /// A full one. Neither number may be 0; a 0 counts as 1.
    pub(crate) fn new(rate: u64, burst: u64) -> Self {
        Self { full_at: AtomicU64::new(0), rate: rate.max(1), period: 1, burst: burst.max(1) }
    }

    /// One for bytes: it holds what comes in a tenth of a second.
    pub(crate) fn of_bytes(rate: u64) -> Self {
        Self::new(rate, rate / 10)
    }

    /// One for what is counted, such as connections: it holds what comes in a second.
    pub(crate) fn of_second(rate: u64) -> Self {
        Self::new(rate, rate)
    }

    /// The same for what comes in a minute.
    pub(crate) fn of_minute(rate: u64) -> Self {
        Self { period: 60, ..Self::of_second(rate) }
    }

    /// How many units there are.
    pub(crate) fn available(&self, now: Duration) -> u64 {
        let missing = self.full_at.load(Ordering::Relaxed).saturating_sub(ticks(now));
        let room = self.cost(self.burst).saturating_sub(missing);
        let period = u128::from(self.period) * u128::from(TICKS_A_SECOND);
        let units = u128::from(room) * u128::from(self.rate) / period;
        u64::try_from(units).unwrap_or(u64::MAX).min(self.burst)
    }

    /// The least that is worth waiting for: half of what it holds. Who would go on with each unit
    /// that drips in would do so in crumbs.
    pub(crate) fn sip(&self) -> u64 {
        (self.burst / 2).max(1)
    }

    /// How long until there are so many units; zero where there are.
    pub(crate) fn wait(&self, now: Duration, units: u64) -> Duration {
        let full_at = self.full_at.load(Ordering::Relaxed);
        let there_at = full_at.saturating_add(self.cost(units.min(self.burst)));
        let wait = there_at.saturating_sub(ticks(now).saturating_add(self.cost(self.burst)));
        Duration::from_nanos(wait.div_ceil(TICKS_A_NANOSECOND))
    }

    /// Takes so many units out, whether they are there or not.
    pub(crate) fn charge(&self, now: Duration, units: u64) {
        let (now, cost, order) = (ticks(now), self.cost(units), Ordering::Relaxed);
        let charged = |full_at: u64| Some(full_at.max(now).saturating_add(cost));
        // It always has an answer.
        let _ = self.full_at.fetch_update(order, order, charged);
    }

    /// Takes one unit out, where it is there.
    pub(crate) fn take_one(&self, now: Duration) -> bool {
        let (now, cost, order) = (ticks(now), self.cost(1), Ordering::Relaxed);
        // Each unit was rounded up by less than a tick.
        let most = now.saturating_add(self.cost(self.burst)).saturating_add(self.burst);
        let taken = |full_at: u64| {
            let full_at = full_at.max(now).saturating_add(cost);
            (full_at <= most).then_some(full_at)
        };
        self.full_at.fetch_update(order, order, taken).is_ok()
    }

    /// Puts one unit back that was taken for nothing.
    pub(crate) fn put_back_one(&self) {
        let (cost, order) = (self.cost(1), Ordering::Relaxed);
        let _ = self.full_at.fetch_update(order, order, |at| Some(at.saturating_sub(cost)));
    }

    /// Whether nothing is missing from it: another one in its place would be the same.
    pub(crate) fn is_full(&self, now: Duration) -> bool {
        self.full_at.load(Ordering::Relaxed) <= ticks(now)
    }

    /// In which time so many units come, rounded up.
    fn cost(&self, units: u64) -> u64 {
        let ticks = u128::from(units) * u128::from(self.period) * u128::from(TICKS_A_SECOND);
        u64::try_from(ticks.div_ceil(u128::from(self.rate))).unwrap_or(u64::MAX)
    }
}

/// The buckets of one peer, for all of its connections on all workers.
#[derive(Debug)]
pub(crate) struct PeerBuckets {
    pub(crate) connects: Option<Bucket>,
    pub(crate) reads: Option<Bucket>,
    pub(crate) writes: Option<Bucket>,
}

impl PeerBuckets {
    pub(crate) fn new(rates: &Rates) -> Self {
        Self {
            connects: rates.connects_per_peer.map(Bucket::of_second),
            reads: rates.reads_per_peer.map(Bucket::of_bytes),
            writes: rates.writes_per_peer.map(Bucket::of_bytes),
        }
    }

    /// Whether nothing is missing from any.
    pub(crate) fn are_full(&self, now: Duration) -> bool {
        let all = [&self.connects, &self.reads, &self.writes];
        all.into_iter().flatten().all(|bucket| bucket.is_full(now))
    }
}

fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).saturating_mul(TICKS_A_NANOSECOND)
}

/// Parts of a nanosecond that are told apart, since at high rates a byte takes less than one. The
/// clock then runs for 36 years.
const TICKS_A_NANOSECOND: u64 = 16;

const TICKS_A_SECOND: u64 = 1_000_000_000 * TICKS_A_NANOSECOND;

#[cfg(test)]
#[path = "throttle_tests.rs"]
mod tests;
