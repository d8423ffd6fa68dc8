//! How often each limit of a service was reached, over all workers.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Counts what was reached. It is told only then, never for a byte.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<&'static str, u64>>);

impl Tally {
    /// The limit with this key was reached so often now.
    pub(crate) fn count(&self, key: &'static str, times: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key).or_default();
        *count = count.saturating_add(times);
    }

    /// The keys of all limits that were reached, and how often each was.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(key, count)| (*key, *count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn what_is_reached_again_is_added_up() {
        let tally = Tally::default();
        for (key, times) in [("unsent", 1), ("deadline", 2), ("unsent", u64::MAX)] {
            tally.count(key, times);
        }
        assert_eq!(tally.counts(), [("deadline", 2), ("unsent", u64::MAX)]);
    }
}
