//! How many connections a service has, over all workers, and how fast they may come and talk: the
//! limits that hold for it as a whole.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::throttle::{Bucket, PeerBuckets, Rates};

/// Counts a service's connections, and its failed logins. It is asked when one is accepted or closed,
/// and when somebody logs in, never for a byte; bytes are counted by the buckets that it hands out.
pub struct Census {
    connections: Arc<AtomicUsize>,
    most: usize,
    most_per_peer: Option<usize>,
    rates: Rates,
    /// Another counted by other rates before.
    renews: bool,
    /// When it was first asked: what its buckets count time from.
    first_asked: Arc<OnceLock<Instant>>,
    pub(crate) connects: Option<Bucket>,
    pub(crate) log_lines: Option<Bucket>,
    logins: Option<Bucket>,
    pub(crate) reads: Option<Arc<Bucket>>,
    pub(crate) writes: Option<Arc<Bucket>>,
    peers: Arc<[Mutex<Shard>; SHARDS]>,
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
    /// Its failed logins, once it has tried one.
    logins: Option<Bucket>,
}

/// Why nobody may log in now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Throttled {
    /// The key of `limits` that is reached.
    pub(crate) key: &'static str,
    /// How long until it is not.
    pub(crate) wait: Duration,
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
            connections: Arc::default(),
            most,
            most_per_peer,
            rates: Rates::default(),
            renews: false,
            first_asked: Arc::default(),
            connects: None,
            log_lines: None,
            logins: None,
            reads: None,
            writes: None,
            peers: Arc::default(),
            hasher: RandomState::new(),
        }
    }

    /// The same with rates.
    pub fn with_rates(self, rates: Rates) -> Self {
        Self {
            rates,
            connects: rates.connects.map(Bucket::of_second),
            log_lines: rates.log_lines.map(Bucket::of_second),
            logins: rates.logins.map(Bucket::of_minute),
            reads: rates.reads.map(|rate| Arc::new(Bucket::of_bytes(rate))),
            writes: rates.writes.map(|rate| Arc::new(Bucket::of_bytes(rate))),
            ..self
        }
    }

    /// The same for a service that takes the place of another, whose connections and peers are
    /// counted as its own. Until [`Census::begin`] the other doesn't notice.
    pub(crate) fn succeeding(self, other: &Self) -> Self {
        Self {
            renews: self.rates != other.rates,
            connections: Arc::clone(&other.connections),
            first_asked: Arc::clone(&other.first_asked),
            peers: Arc::clone(&other.peers),
            hasher: other.hasher.clone(),
            ..self
        }
    }

    /// It counts from now on: peers who were counted by other rates have full buckets.
    pub(crate) fn begin(&self) {
        if !self.renews {
            return;
        }
        for shard in &*self.peers {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for peer in shard.peers.values_mut() {
                (peer.buckets, peer.logins) = (self.rates.buckets(), None);
            }
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
        let found = shard.known(peer, &self.rates);
        let connects = found.buckets.as_ref().and_then(|buckets| buckets.connects.as_ref());
        let met = if self.most_per_peer.is_some_and(|most| found.connections >= most) {
            Err(Full::ConnectionsPerPeer)
        } else if connects.is_some_and(|connects| !connects.take_one(now)) {
            Err(Full::ConnectRatePerPeer)
        } else {
            let was_gone = found.connections == 0;
            found.connections += 1;
            let buckets = found.buckets.clone();
            shard.gone -= usize::from(was_gone);
            Ok(buckets)
        };
        shard.sweep(now);
        met
    }

    /// Whether a peer may log in now. What it says to prove who it is counts as a failure from now
    /// on, until [`Census::logged_in`]: so no more is tried at once than may fail.
    pub(crate) fn may_log_in(
        &self,
        peer: Option<IpAddr>,
        is_proof: bool,
        now: Instant,
    ) -> Result<(), Throttled> {
        let now = self.time(now);
        let takes = |bucket: &Bucket, key| {
            let may = if is_proof { bucket.take_one(now) } else { bucket.available(now) > 0 };
            may.then_some(()).ok_or_else(|| Throttled { key, wait: bucket.wait(now, 1) })
        };
        if let Some(rate) = self.rates.logins_per_peer {
            let peer = network(peer);
            let mut shard = self.shard(peer);
            let logins = &mut shard.known(peer, &self.rates).logins;
            let of_peer = takes(logins.get_or_insert_with(|| Bucket::of_minute(rate)), PER_PEER);
            shard.sweep(now);
            of_peer?;
        }
        let of_all = self.logins.as_ref().map_or(Ok(()), |logins| takes(logins, "logins"));
        if of_all.is_err() && is_proof {
            self.put_back(peer);
        }
        of_all
    }

    /// What a peer has said to prove who it is was right, or was not looked at.
    pub(crate) fn logged_in(&self, peer: Option<IpAddr>) {
        self.put_back(peer);
        if let Some(logins) = &self.logins {
            logins.put_back_one();
        }
    }

    fn put_back(&self, peer: Option<IpAddr>) {
        let peer = network(peer);
        let shard = self.shard(peer);
        if let Some(logins) = shard.peers.get(&peer).and_then(|peer| peer.logins.as_ref()) {
            logins.put_back_one();
        }
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
                if !found.owes(now) {
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

impl Peer {
    /// Whether something is missing from its buckets.
    fn owes(&self, now: Duration) -> bool {
        self.buckets.as_ref().is_some_and(|all| !all.are_full(now))
            || self.logins.as_ref().is_some_and(|logins| !logins.is_full(now))
    }
}

impl Shard {
    /// A peer, who may be new.
    fn known(&mut self, peer: IpAddr, rates: &Rates) -> &mut Peer {
        self.peers.entry(peer).or_insert_with(|| {
            self.gone += 1;
            Peer { connections: 0, buckets: rates.buckets(), logins: None }
        })
    }

    /// Forgets peers without connections whose buckets are full, once their number has doubled; and
    /// all without connections where there are too many of them.
    fn sweep(&mut self, now: Duration) {
        if self.gone <= self.gone_to_sweep {
            return;
        }
        self.peers.retain(|_, peer| peer.connections > 0 || peer.owes(now));
        self.gone = self.peers.values().filter(|peer| peer.connections == 0).count();
        if self.gone > GONE_PEERS / 2 {
            self.peers.retain(|_, peer| peer.connections > 0);
            self.gone = 0;
        }
        self.gone_to_sweep = (2 * self.gone).clamp(GONE_TO_SWEEP, GONE_PEERS);
    }
}

/// As whom a peer's failed logins are counted: who has one address of IPv6 has its network of 64 bits
/// (RFC 6177). What has no address is all one.
fn network(peer: Option<IpAddr>) -> IpAddr {
    match peer.map(|peer| peer.to_canonical()) {
        Some(IpAddr::V6(v6)) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        Some(v4) => v4,
        None => Ipv4Addr::UNSPECIFIED.into(),
    }
}

const PER_PEER: &str = "logins-per-peer";

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

    use super::{Census, Full, GONE_PEERS, Rates, SHARDS, Throttled};

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
    fn who_succeeds_another_counts_its_connections_by_limits_of_its_own() {
        let (old, now) = (Census::new(3, Some(2)), Instant::now());
        assert!(old.enter() && old.meet(peer(1), now).is_ok());
        assert!(old.enter() && old.meet(peer(2), now).is_ok());
        let new = Census::new(2, Some(1)).succeeding(&old);
        assert!(new.is_full() && !new.enter());
        assert_eq!(new.meet(peer(1), now).unwrap_err(), Full::ConnectionsPerPeer);
        old.leave(Some(peer(1)), now);
        assert!(new.enter() && new.meet(peer(1), now).is_ok());
        for peer in [peer(1), peer(2)] {
            new.leave(Some(peer), now);
        }
        assert_eq!((new.known(), old.known(), old.is_full()), (0, 0, false));
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

    fn key(tried: Result<(), Throttled>) -> Option<&'static str> {
        tried.err().map(|throttled| throttled.key)
    }

    #[test]
    fn only_what_fails_is_counted_and_by_network() {
        let rates = Rates { logins: Some(5), logins_per_peer: Some(2), ..Rates::default() };
        let (census, now) = (Census::new(9, None).with_rates(rates), Instant::now());
        let try_now = |peer: &str| key(census.may_log_in(peer.parse().ok(), true, now));
        for _ in 0..20 {
            assert_eq!(try_now("192.0.2.1"), None);
            census.logged_in(Some([192, 0, 2, 1].into()));
        }
        assert_eq!((try_now("2001:db8::1"), try_now("2001:db8::2:0:0:2")), (None, None));
        assert_eq!(try_now("2001:db8::3"), Some("logins-per-peer"));
        assert_eq!((try_now("2001:db8:0:1::1"), try_now("::ffff:192.0.2.1")), (None, None));
        // A peer that all others keep out has lost nothing.
        assert_eq!((try_now("192.0.2.2"), try_now("192.0.2.3")), (None, Some("logins")));
        assert_eq!(key(census.may_log_in(Some([192, 0, 2, 9].into()), false, now)), Some("logins"));
        let later = now + Duration::from_secs(60);
        for _ in 0..2 {
            assert_eq!(key(census.may_log_in(Some([192, 0, 2, 3].into()), true, later)), None);
        }
        let again = census.may_log_in(Some([192, 0, 2, 3].into()), true, later).unwrap_err();
        assert_eq!((again.key, again.wait), ("logins-per-peer", Duration::from_secs(30)));
    }

    #[test]
    fn who_has_no_address_is_counted_as_one() {
        let rates = Rates { logins_per_peer: Some(1), ..Rates::default() };
        let (census, now) = (Census::new(9, None).with_rates(rates), Instant::now());
        assert_eq!(key(census.may_log_in(None, false, now)), None);
        assert_eq!(key(census.may_log_in(None, true, now)), None);
        assert_eq!(key(census.may_log_in(None, true, now)), Some("logins-per-peer"));
    }

    #[test]
    fn who_has_failed_to_log_in_is_forgotten_in_time_and_not_before() {
        let rates =
            Rates { logins_per_peer: Some(1), connects_per_peer: Some(9), ..Rates::default() };
        let (census, now) = (Census::new(100, None).with_rates(rates), Instant::now());
        assert!(census.enter() && census.meet(peer(1), now).is_ok());
        assert_eq!(key(census.may_log_in(Some(peer(1)), true, now)), None);
        census.leave(Some(peer(1)), now + Duration::from_secs(5));
        assert_eq!(key(census.may_log_in(Some(peer(1)), true, now)), Some("logins-per-peer"));
        // Its connections are counted as before.
        let buckets = census.meet(peer(1), now).unwrap();
        assert!(census.enter() && buckets.is_some_and(|all| all.connects.is_some()));
        census.leave(Some(peer(1)), now + Duration::from_secs(61));
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
