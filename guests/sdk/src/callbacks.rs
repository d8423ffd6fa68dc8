//! The callbacks of deferreds that have not fired, by the deferreds' numbers.
//!
//! The host chooses the numbers and never repeats one, so the table needs no hash that an
//! attacker can't predict: it takes the cheapest that spreads consecutive numbers.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The table. `C` is what is to be called.
pub(crate) struct Callbacks<C> {
    by_id: HashMap<u64, C, BuildHasherDefault<Spread>>,
}

impl<C> Callbacks<C> {
    /// An empty table, which has allocated nothing.
    pub(crate) const fn new() -> Self {
        Callbacks { by_id: HashMap::with_hasher(BuildHasherDefault::new()) }
    }

    /// Adds the callback of a deferred.
    pub(crate) fn insert(&mut self, id: u64, callback: C) {
        let before = self.by_id.insert(id, callback);
        debug_assert!(before.is_none(), "the host repeated deferred {id}");
    }

    /// The callback of a deferred, where it has one.
    pub(crate) fn find(&mut self, id: u64) -> Option<&mut C> {
        self.by_id.get_mut(&id)
    }

    /// Takes out the callback of a deferred, where it has one.
    pub(crate) fn take(&mut self, id: u64) -> Option<C> {
        self.by_id.remove(&id)
    }
}

/// Fibonacci hashing: one multiplication, whose high half is mixed into the low one because
/// the table looks at both ends of the hash.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let product = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = product ^ (product >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::Hasher;

    use super::{Callbacks, Spread};

    #[test]
    fn a_callback_is_taken_once() {
        let mut table = Callbacks::new();
        table.insert(1, "one");
        table.insert(2, "two");
        assert_eq!(table.find(1), Some(&mut "one"));
        assert_eq!(table.take(1), Some("one"));
        assert_eq!(table.find(1), None);
        assert_eq!(table.take(1), None);
        assert_eq!(table.take(3), None);
        assert_eq!(table.take(2), Some("two"));
    }

    #[test]
    fn many_come_and_go() {
        let mut table = Callbacks::new();
        for id in 0..10_000 {
            table.insert(id, id);
            if id >= 100 {
                assert_eq!(table.take(id - 100), Some(id - 100));
            }
        }
        assert_eq!(table.by_id.len(), 100);
        assert!(table.by_id.capacity() < 1000);
    }

    #[test]
    fn consecutive_numbers_spread_over_both_ends_of_the_hash() {
        let hash = |id| {
            let mut spread = Spread::default();
            spread.write_u64(id);
            spread.finish()
        };
        let low: HashSet<u64> = (0..256).map(|id| hash(id) & 0xFF).collect();
        let high: HashSet<u64> = (0..256).map(|id| hash(id) >> 57).collect();
        assert!(low.len() > 128, "{}", low.len());
        assert!(high.len() > 64, "{}", high.len());
    }
}
