//! How many connections a service has, over all workers, and how fast they may come and talk: the
//! limits that hold for it as a whole.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::throttle::{Bucket, PeerBuckets, Rates};

/// Counts a service's connections. It is asked when one is accepted or closed, never for a byte;
/// bytes are counted by the buckets that it hands out.
pub struct Census {
    connections: AtomicUsize,
    most: usize,
    most_per_peer: Option<usize>,
    rates: Rates,
    /// When it was first asked: what its buckets count time from.
    first_asked: OnceLock<Instant>,
    pub(crate) connects: Option<Bucket>,
    pub(crate) log_lines: Option<Bucket>,
    pub(crate) reads: Option<Arc<Bucket>>,
    pub(crate) writes: Option<Arc<Bucket>>,
    peers: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
}

#[derive(Default)]
struct Shard {
    peers: HashMap<IpAddr, Peer>,
    /// How many of them have no connection.
    gone: usize,
    /// How many of those there may be before they are looked through.
    gone_to_sweep: usize,
}

struct Peer {
    connections: usize,
    buckets: Option<Arc<PeerBuckets>>,
}

/// Why a peer may not come: the key of `limits` that is reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Full {
    ConnectRatePerPeer,
    ConnectionsPerPeer,
}

impl Census {
    /// For a service with at most `most` connections, and `most_per_peer` from one address.
    pub fn new(most: usize, most_per_peer: Option<usize>) -> Self {
        Self {
            connections: AtomicUsize::new(0),
            most,
            most_per_peer,
            rates: Rates::default(),
            first_asked: OnceLock::new(),
            connects: None,
            log_lines: None,
            reads: None,
            writes: None,
            peers: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        }
    }

    /// The same with rates.
    pub fn with_rates(self, rates: Rates) -> Self {
        Self {
            rates,
            connects: rates.connects.map(Bucket::of_second),
            log_lines: rates.log_lines.map(Bucket::of_second),
            reads: rates.reads.map(|rate| Arc::new(Bucket::of_bytes(rate))),
            writes: rates.writes.map(|rate| Arc::new(Bucket::of_bytes(rate))),
            ..self
        }
    }

    /// What `now` is to its buckets.
    pub(crate) fn time(&self, now: Instant) -> Duration {
        now.saturating_duration_since(*self.first_asked.get_or_init(|| now))
    }

    /// Whether the service has as many connections as it may.
    pub(crate) fn is_full(&self) -> bool {
        self.connections.load(Ordering::Relaxed) >= self.most
    }

    /// Counts a connection, unless the service has as many as it may. Whose it is is said by
    /// [`Census::meet`].
    pub(crate) fn enter(&self) -> bool {
        // Workers race for the last places, so asking before is not enough.
        let below = |count| (count < self.most).then_some(count + 1);
        let order = Ordering::Relaxed;
        self.connections.fetch_update(order, order, below).is_ok()
    }

    /// Counts a connection as a peer's, unless the peer has as many as it may, or comes too often;
    /// and hands out the peer's buckets, where some count by address.
    pub(crate) fn meet(
        &self,
        peer: IpAddr,
        now: Instant,
    ) -> Result<Option<Arc<PeerBuckets>>, Full> {
        if !self.counts_peers() {
            return Ok(None);
        }
        let now = self.time(now);
        let mut shard = self.shard(peer);
        let shard = &mut *shard;
        let found = shard.peers.entry(peer).or_insert_with(|| {
            shard.gone += 1;
            let counted = self.rates.count_peers();
            Peer { connections: 0, buckets: counted.then(|| PeerBuckets::new(&self.rates).into()) }
        });
        let connects = found.buckets.as_ref().and_then(|buckets| buckets.connects.as_ref());
        let met = if self.most_per_peer.is_some_and(|most| found.connections >= most) {
            Err(Full::ConnectionsPerPeer)
        } else if connects.is_some_and(|connects| !connects.take_one(now)) {
            Err(Full::ConnectRatePerPeer)
        } else {
            shard.gone -= usize::from(found.connections == 0);
            found.connections += 1;
            Ok(found.buckets.clone())
        };
        shard.sweep(now);
        met
    }

    /// A connection that was counted is gone; with the peer that it was met as.
    pub(crate) fn leave(&self, peer: Option<IpAddr>, now: Instant) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
        if let Some(peer) = peer.filter(|_| self.counts_peers()) {
            let now = self.time(now);
            let mut shard = self.shard(peer);
            if let Some(found) = shard.peers.get_mut(&peer) {
                found.connections -= 1;
                if found.connections > 0 {
                    return;
                }
                if found.buckets.as_ref().is_none_or(|buckets| buckets.are_full(now)) {
                    shard.peers.remove(&peer);
                } else {
                    shard.gone += 1;
                    shard.sweep(now);
                }
            }
        }
    }

    fn counts_peers(&self) -> bool {
        self.most_per_peer.is_some() || self.rates.count_peers()
    }

    fn shard(&self, peer: IpAddr) -> MutexGuard<'_, Shard> {
        let shard = &self.peers[self.hasher.hash_one(peer) as usize % SHARDS];
        // No code that holds it can panic half-way through a change.
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn known(&self) -> usize {
        self.peers.iter().map(|shard| shard.lock().unwrap().peers.len()).sum()
    }
}

impl Shard {
    /// Forgets peers without connections whose buckets are full, once their number has doubled; and
    /// all without connections where there are too many of them.
    fn sweep(&mut self, now: Duration) {
        if self.gone <= self.gone_to_sweep {
            return;
        }
        let owes = |peer: &Peer| peer.buckets.as_ref().is_some_and(|all| !all.are_full(now));
        self.peers.retain(|_, peer| peer.connections > 0 || owes(peer));
        self.gone = self.peers.values().filter(|peer| peer.connections == 0).count();
        if self.gone > GONE_PEERS / 2 {
            self.peers.retain(|_, peer| peer.connections > 0);
            self.gone = 0;
        }
        self.gone_to_sweep = (2 * self.gone).clamp(GONE_TO_SWEEP, GONE_PEERS);
    }
}

/// Into how many parts the peers are dealt, so that workers seldom wait for each other.
const SHARDS: usize = 16;

/// Below so many peers without connections it is not worth looking through a part.
const GONE_TO_SWEEP: usize = 64;

/// How many peers without connections one part remembers for what is missing from their buckets. If
/// there are more they are forgotten, which gives each of them at most its burst once more: who can
/// come from so many addresses need not come back from one.
const GONE_PEERS: usize = 4096;

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::{Duration, Instant};

    use super::{Census, Full, GONE_PEERS, Rates, SHARDS};

    fn peer(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    #[test]
    fn a_peer_gets_no_more_than_its_share_and_gets_it_back() {
        let (census, now) = (Census::new(3, Some(1)), Instant::now());
        let enter = |number| census.enter() && census.meet(peer(number), now).is_ok();
        assert!(enter(1));
        assert_eq!(census.meet(peer(1), now).unwrap_err(), Full::ConnectionsPerPeer);
        assert!(enter(2) && !census.is_full());
        census.leave(Some(peer(1)), now);
        assert!(enter(1) && census.enter());
        assert!(census.is_full() && !census.enter());
        for left in [Some(peer(1)), Some(peer(2)), None] {
            census.leave(left, now);
        }
        assert_eq!((census.known(), census.is_full()), (0, false));
    }

    #[test]
    fn a_peer_that_comes_back_finds_its_buckets_as_they_were() {
        let rates = Rates { connects_per_peer: Some(2), ..Rates::default() };
        let (census, now) = (Census::new(100, None).with_rates(rates), Instant::now());
        for _ in 0..2 {
            assert!(census.enter() && census.meet(peer(1), now).is_ok());
            census.leave(Some(peer(1)), now);
        }
        assert_eq!(census.meet(peer(1), now).unwrap_err(), Full::ConnectRatePerPeer);
        assert!(census.meet(peer(2), now).is_ok());
        let later = now + Duration::from_millis(501);
        assert!(census.meet(peer(1), later).is_ok());
        // What is full again is forgotten with the last connection.
        let full = now + Duration::from_secs(5);
        census.leave(Some(peer(1)), full);
        census.leave(Some(peer(2)), full);
        assert_eq!(census.known(), 0);
    }

    #[test]
    fn peers_without_connections_are_forgotten_in_time() {
        let rates = Rates { connects_per_peer: Some(1), ..Rates::default() };
        let (census, start) = (Census::new(1_000_000, None).with_rates(rates), Instant::now());
        for number in 0..300_000 {
            assert!(census.enter() && census.meet(peer(number), start).is_ok());
            census.leave(Some(peer(number)), start);
        }
        assert!(census.known() <= SHARDS * GONE_PEERS, "{} are known", census.known());
        let later = start + Duration::from_secs(2);
        for number in 0..2000 {
            assert!(census.enter() && census.meet(peer(number), later).is_ok());
            census.leave(Some(peer(number)), later);
        }
        let known = census.known();
        assert!(known <= 2000 + SHARDS * GONE_PEERS / 2, "{known} are known");
    }
}
