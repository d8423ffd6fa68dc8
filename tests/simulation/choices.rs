//! Numbers that look random and follow from a seed.

/// A generator of choices (splitmix64).
pub(crate) struct Choices(u64);

impl Choices {
    /// Two seeds give two different rows of choices.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed ^ 0x5eed)
    }

    /// In `0..end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True in `of_100` cases of 100.
    pub(crate) fn chance(&mut self, of_100: usize) -> bool {
        self.below(100) < of_100
    }

    /// One of them.
    pub(crate) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// A number below `end`, and small ones more often than large ones.
    pub(crate) fn size(&mut self, end: usize) -> usize {
        let end = if self.chance(80) { end.min(200) } else { end };
        self.below(end)
    }

    /// So many bytes, each one of `alphabet`.
    pub(crate) fn bytes(&mut self, length: usize, alphabet: &[u8]) -> Vec<u8> {
        (0..length).map(|_| self.of(alphabet)).collect()
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
