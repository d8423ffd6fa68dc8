//! What to do when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Calls that fall due, earliest first and, at one instant, in the order made.
///
/// A call that is no longer wanted stays until it falls due, and its owner then finds it void;
/// [`Timers::retain`] sweeps them out, so that calls made and dropped cost no memory.
pub(crate) struct Timers<T> {
    calls: BinaryHeap<Reverse<(Instant, u64, T)>>,
    made: u64,
}

impl<T: Ord> Timers<T> {
    pub(crate) fn add(&mut self, at: Instant, call: T) {
        self.made += 1;
        self.calls.push(Reverse((at, self.made, call)));
    }

    /// When the earliest call falls due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.calls.peek().map(|Reverse((at, ..))| *at)
    }

    /// Takes the earliest call, if it is due.
    pub(crate) fn due(&mut self, now: Instant) -> Option<T> {
        if self.next()? > now {
            return None;
        }
        self.calls.pop().map(|Reverse((.., call))| call)
    }

    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    /// Drops the calls that `wanted` does not want any more: O(n).
    pub(crate) fn retain(&mut self, mut wanted: impl FnMut(&T) -> bool) {
        self.calls.retain(|Reverse((.., call))| wanted(call));
    }
}

impl<T: Ord> Default for Timers<T> {
    fn default() -> Self {
        Self { calls: BinaryHeap::new(), made: 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Timers;

    #[test]
    fn calls_come_in_the_order_due_and_then_in_the_order_made() {
        let (mut timers, start) = (Timers::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        for (ms, call) in [(20, 'c'), (10, 'a'), (10, 'b'), (30, 'd')] {
            timers.add(at(ms), call);
        }
        assert_eq!(timers.due(at(9)), None);
        assert_eq!(timers.next(), Some(at(10)));
        let due: Vec<_> = std::iter::from_fn(|| timers.due(at(20))).collect();
        assert_eq!(due, ['a', 'b', 'c']);
        timers.retain(|call| *call != 'd');
        assert_eq!((timers.len(), timers.next()), (0, None));
    }
}
