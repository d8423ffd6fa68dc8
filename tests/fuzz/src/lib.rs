//! What the targets share: a stream cut into pieces, and numbers that follow from it.
//!
//! A target's input is the stream itself, with nothing else in it, so that a file of the corpus can
//! be read and written by hand. Where it is cut follows from its bytes.

/// A stream in several cuts: byte by byte, in pieces of up to 5 and of up to 100 bytes.
pub fn cuts(stream: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut numbers = Numbers::of(stream);
    let mut cut = |most: usize| {
        let (mut rest, mut pieces) = (stream, Vec::new());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(1 + numbers.below(most)));
            pieces.push(piece);
            rest = after;
        }
        pieces
    };
    vec![cut(1), cut(5), cut(100)]
}

/// Numbers that look random and follow from an input (FNV-1a, splitmix64).
pub struct Numbers(u64);

impl Numbers {
    /// Of this input.
    pub fn of(input: &[u8]) -> Self {
        let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self(input.iter().fold(0xcbf2_9ce4_8422_2325, mix))
    }

    /// In `0..end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.number() % end as u64) as usize
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Steps that an input says, a byte or two each; none once it is used up.
pub struct Script<'a>(pub &'a [u8]);

impl<'a> Script<'a> {
    /// The next byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The next bytes: so many, or as many as there are.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        bytes
    }
}
