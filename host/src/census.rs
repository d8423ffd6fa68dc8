//! How many connections a service has, over all workers: the limits that hold for it as a whole.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts a service's connections. It is asked when one is accepted or closed, never for a byte.
pub struct Census {
    connections: AtomicUsize,
    most: usize,
    most_per_peer: Option<usize>,
    peers: [Mutex<HashMap<IpAddr, usize>>; SHARDS],
    hasher: RandomState,
}

impl Census {
    /// For a service with at most `most` connections, and `most_per_peer` from one address.
    pub fn new(most: usize, most_per_peer: Option<usize>) -> Self {
        Self {
            connections: AtomicUsize::new(0),
            most,
            most_per_peer,
            peers: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        }
    }

    /// Whether the service has as many connections as it may.
    pub(crate) fn is_full(&self) -> bool {
        self.connections.load(Ordering::Relaxed) >= self.most
    }

    /// Counts a connection, unless the service or the peer has as many as it may.
    pub(crate) fn enter(&self, peer: Option<IpAddr>) -> bool {
        // Workers race for the last places, so asking before is not enough.
        let below = |count| (count < self.most).then_some(count + 1);
        let (order, counted) = (Ordering::Relaxed, &self.connections);
        if counted.fetch_update(order, order, below).is_err() {
            return false;
        }
        let admitted = self.admit(peer);
        if !admitted {
            self.connections.fetch_sub(1, Ordering::Relaxed);
        }
        admitted
    }

    /// Counts a connection that has [entered](Self::enter) without a peer for the peer that it turned
    /// out to have, unless that has as many as it may.
    pub(crate) fn admit(&self, peer: Option<IpAddr>) -> bool {
        if let (Some(most), Some(peer)) = (self.most_per_peer, peer) {
            let mut shard = self.shard(peer);
            let count = shard.entry(peer).or_default();
            if *count >= most {
                return false;
            }
            *count += 1;
        }
        true
    }

    /// A connection that was counted is gone.
    pub(crate) fn leave(&self, peer: Option<IpAddr>) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
        if let (Some(_), Some(peer)) = (self.most_per_peer, peer) {
            let mut shard = self.shard(peer);
            if let Some(count) = shard.get_mut(&peer) {
                *count -= 1;
                if *count == 0 {
                    shard.remove(&peer);
                }
            }
        }
    }

    fn shard(&self, peer: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        let shard = &self.peers[self.hasher.hash_one(peer) as usize % SHARDS];
        // No code that holds it can panic half-way through a change.
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Into how many parts the peers are dealt, so that workers seldom wait for each other.
const SHARDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::Census;

    #[test]
    fn a_peer_gets_no_more_than_its_share_and_gets_it_back() {
        let census = Census::new(3, Some(1));
        let (one, two) = ("10.0.0.1".parse().ok(), "10.0.0.2".parse().ok());
        assert!(census.enter(one) && !census.enter(one) && census.enter(two));
        assert!(!census.is_full());
        census.leave(one);
        assert!(census.enter(one) && census.enter(None));
        assert!(census.is_full() && !census.enter(None));
        census.leave(None);
        assert!(census.enter(None) && !census.admit(one), "who is told later counts as well");
    }
}
