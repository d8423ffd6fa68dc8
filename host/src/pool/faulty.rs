//! Any pool, with one piece of work that it refuses: for the tests that let each be refused once.

use std::sync::Arc;

use super::{Lane, Pool, Work};

/// Counts the pieces of work, and refuses one of them as a pool does that is full.
pub struct FaultyPool<P> {
    pool: P,
    calls: u64,
    fail_at: Option<u64>,
}

impl<P> FaultyPool<P> {
    /// Wraps `pool`; nothing is refused yet.
    pub fn new(pool: P) -> Self {
        Self { pool, calls: 0, fail_at: None }
    }

    /// Refuses the `n`-th piece of work, counted from 1 at the start.
    pub fn fail_at(&mut self, n: u64) {
        self.fail_at = Some(n);
    }

    /// How many pieces of work were submitted.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// The pool behind.
    pub fn pool(&mut self) -> &mut P {
        &mut self.pool
    }
}

impl<T, P: Pool<T>> Pool<T> for FaultyPool<P> {
    fn submit(
        &mut self,
        lane: Lane,
        service: &Arc<str>,
        ticket: u64,
        work: Work<T>,
    ) -> Result<(), Work<T>> {
        self.calls += 1;
        if self.fail_at == Some(self.calls) {
            return Err(work);
        }
        self.pool.submit(lane, service, ticket, work)
    }

    fn take_done(&mut self, done: &mut Vec<(u64, T)>) {
        self.pool.take_done(done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::SimPool;

    #[test]
    fn the_nth_work_is_refused_and_comes_back() {
        let mut pool = FaultyPool::new(SimPool::new(1, || {}));
        let service = "a".into();
        pool.fail_at(2);
        assert!(pool.submit(Lane::Files, &service, 10, Box::new(|| 'a')).is_ok());
        let refused = pool.submit(Lane::Files, &service, 11, Box::new(|| 'b'));
        assert_eq!(refused.expect_err("the second is refused")(), 'b');
        assert!(pool.submit(Lane::Files, &service, 12, Box::new(|| 'c')).is_ok());
        assert_eq!((pool.calls(), pool.pool().pending()), (3, 2));
    }
}
