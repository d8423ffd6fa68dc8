//! A pool without threads: work is done at once, and its result reported when the seed says so.

use std::sync::Arc;

use super::{Lane, Pool, UNDER_WAY_LIMIT, Work};

/// Does work in `submit`, and reports the result at a later call, in an order of its own.
pub struct SimPool<T> {
    seed: u64,
    results: Vec<Waiting<T>>,
    wake: Box<dyn Fn() + Send>,
}

/// A result that was not taken yet.
struct Waiting<T> {
    /// So many calls.
    calls: u64,
    lane: Lane,
    service: Arc<str>,
    ticket: u64,
    result: T,
}

impl<T> SimPool<T> {
    /// A pool with nothing to do. `wake` is called for as long as there is something to take, so
    /// that a reactor asks again without waiting for time to pass.
    pub fn new(seed: u64, wake: impl Fn() + Send + 'static) -> Self {
        Self { seed, results: Vec::new(), wake: Box::new(wake) }
    }

    /// How many results were not taken yet.
    pub fn pending(&self) -> usize {
        self.results.len()
    }

    /// A number below `end`, from the seed (splitmix64).
    fn below(&mut self, end: u64) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

impl<T> Pool<T> for SimPool<T> {
    fn submit(
        &mut self,
        lane: Lane,
        service: &Arc<str>,
        ticket: u64,
        work: Work<T>,
    ) -> Result<(), Work<T>> {
        let alike = |waiting: &&Waiting<T>| waiting.lane == lane && waiting.service == *service;
        if self.results.iter().filter(alike).count() == UNDER_WAY_LIMIT {
            return Err(work);
        }
        let calls = self.below(LONGEST_WAIT + 1);
        let service = Arc::clone(service);
        self.results.push(Waiting { calls, lane, service, ticket, result: work() });
        (self.wake)();
        Ok(())
    }

    fn take_done(&mut self, done: &mut Vec<(u64, T)>) {
        let mut at = 0;
        while let Some(waiting) = self.results.get_mut(at) {
            if waiting.calls == 0 {
                // What comes last takes its place: so results change their order.
                let Waiting { ticket, result, .. } = self.results.swap_remove(at);
                done.push((ticket, result));
            } else {
                waiting.calls -= 1;
                at += 1;
            }
        }
        if !self.results.is_empty() {
            (self.wake)();
        }
    }
}

/// How many calls of `take_done` a result waits at most.
const LONGEST_WAIT: u64 = 8;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn order(seed: u64) -> Vec<(u64, u64)> {
        let mut pool = SimPool::new(seed, || {});
        for ticket in 0..20 {
            let work = Box::new(move || ticket * ticket);
            assert!(pool.submit(Lane::Files, &"a".into(), ticket, work).is_ok());
        }
        let mut done = Vec::new();
        for _ in 0..=LONGEST_WAIT {
            pool.take_done(&mut done);
        }
        assert_eq!(pool.pending(), 0);
        done
    }

    #[test]
    fn every_result_comes_once_in_an_order_of_the_seed() {
        let (mut one, two) = (order(1), order(2));
        assert_ne!(one, two);
        assert_eq!(one, order(1));
        one.sort_unstable();
        assert_eq!(one, (0..20).map(|ticket| (ticket, ticket * ticket)).collect::<Vec<_>>());
    }

    #[test]
    fn wakes_for_as_long_as_there_is_something_to_take() {
        let wakes = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&wakes);
        let mut pool = SimPool::new(3, move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        assert!(pool.submit(Lane::Files, &"a".into(), 1, Box::new(|| ())).is_ok());
        let mut done = Vec::new();
        let mut calls = 0;
        while pool.pending() > 0 {
            pool.take_done(&mut done);
            calls += 1;
        }
        assert_eq!(wakes.load(Ordering::Relaxed), calls);
    }

    #[test]
    fn what_is_beyond_the_limit_of_a_service_is_given_back() {
        let mut pool = SimPool::new(3, || {});
        let (one, other) = ("one".into(), "other".into());
        for ticket in 0..UNDER_WAY_LIMIT as u64 {
            assert!(pool.submit(Lane::Files, &one, ticket, Box::new(|| 1)).is_ok());
        }
        let refused = pool.submit(Lane::Files, &one, 0, Box::new(|| 2));
        assert_eq!(refused.err().map(|work| work()), Some(2));
        assert!(pool.submit(Lane::Names, &one, 0, Box::new(|| 3)).is_ok());
        assert!(pool.submit(Lane::Files, &other, 0, Box::new(|| 3)).is_ok());
    }
}
