//! Chance from a seed, for delays that keep responders from speaking all at once. Not for keys.

use std::time::Duration;

/// SplitMix64, of Steele, Lea and Flood.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The chance of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Chance(seed)
    }

    /// A duration of so many milliseconds, both ends included.
    pub(crate) fn between(&mut self, least_ms: u64, most_ms: u64) -> Duration {
        let span = (most_ms - least_ms) * 1000 + 1;
        Duration::from_micros(least_ms * 1000 + self.next() % span)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
