//! Numbers that look random and follow from a seed (splitmix64).

use std::time::Duration;

pub(super) struct Seed(u64);

impl Seed {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// In `0..end`; 0 where `end` is 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % (end as u64).max(1)) as usize
    }

    /// In `1..=most`, and often near 1; 0 where `most` is 0.
    pub(super) fn pick(&mut self, most: usize) -> usize {
        let most = if self.below(2) == 0 { most } else { most.min(SMALL) };
        (1 + self.below(most)).min(most)
    }

    /// True in `of_256` cases of 256.
    pub(super) fn chance(&mut self, of_256: u8) -> bool {
        self.below(256) < usize::from(of_256)
    }

    /// At most `most`.
    pub(super) fn up_to(&mut self, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.next() % nanos.saturating_add(1).max(1))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// What [`Seed::pick`] takes for a small number: cuts inside of a line are worth more than others.
const SMALL: usize = 8;
