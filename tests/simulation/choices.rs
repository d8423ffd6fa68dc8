//! Choices that follow from a seed, or that somebody has written down.

/// A row of choices.
pub(crate) enum Choices {
    /// Numbers that look random (splitmix64).
    Drawn(u64),
    /// Each is as many bytes as it needs, the least significant first; those that are missing are 0.
    Written(std::vec::IntoIter<u8>),
}

impl Choices {
    /// Two seeds give two different rows of choices.
    pub(crate) fn new(seed: u64) -> Self {
        Self::Drawn(seed ^ 0x5eed)
    }

    /// The choices that these bytes are.
    pub(crate) fn written(bytes: &[u8]) -> Self {
        Self::Written(Vec::from(bytes).into_iter())
    }

    /// Whether all that was written is used up.
    pub(crate) fn are_over(&self) -> bool {
        matches!(self, Self::Written(bytes) if bytes.len() == 0)
    }

    /// In `0..end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let number = match self {
            Self::Drawn(state) => next(state),
            Self::Written(bytes) => {
                let needed = (usize::BITS - (end - 1).leading_zeros()).div_ceil(8);
                let mut byte = |place: u32| u64::from(bytes.next().unwrap_or(0)) << (8 * place);
                (0..needed).map(&mut byte).sum()
            }
        };
        (number % end as u64) as usize
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
}

fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
