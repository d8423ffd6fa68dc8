//! Randomness, fit for keys.

use std::hash::{BuildHasher, DefaultHasher, Hasher};

use crate::bindings::torsade::plugin::random as host;
use crate::testing;

/// The host gives at most this many bytes a call.
const CALL_BYTES_MAX: usize = 4096;

/// `length` random bytes.
pub fn bytes(length: usize) -> Vec<u8> {
    let mut all = Vec::with_capacity(length);
    while all.len() < length {
        let part = CALL_BYTES_MAX.min(length - all.len());
        match testing::random() {
            None => all.extend_from_slice(&host::bytes(part as u32)),
            Some(next) => all.extend(next().to_le_bytes().into_iter().take(part)),
        }
    }
    all
}

/// A random number.
pub fn number() -> u64 {
    testing::random().map_or_else(host::number, |next| next())
}

/// A seeded hasher for a `HashMap` whose keys a peer chooses.
///
/// The standard library's own has no source of randomness in a plugin and uses the same seed
/// everywhere, so a peer could choose keys that collide.
///
/// ```no_run
/// use std::collections::HashMap;
///
/// use torsade_guest::random::Seeded;
///
/// let mut nicknames = HashMap::with_hasher(Seeded::new());
/// nicknames.insert("glyph", 1);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Seeded([u64; 2]);

impl Seeded {
    /// Takes a new seed from the host. Make one for each instance, and copy it.
    pub fn new() -> Self {
        Seeded([number(), number()])
    }
}

impl Default for Seeded {
    fn default() -> Self {
        Seeded::new()
    }
}

impl BuildHasher for Seeded {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0[0]);
        hasher.write_u64(self.0[1]);
        hasher
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::hash::BuildHasher;

    use super::Seeded;

    #[test]
    fn the_seed_changes_the_hash() {
        assert_eq!(Seeded([1, 2]).hash_one("key"), Seeded([1, 2]).hash_one("key"));
        assert_ne!(Seeded([1, 2]).hash_one("key"), Seeded([1, 3]).hash_one("key"));
        let mut map = HashMap::with_hasher(Seeded([1, 2]));
        map.insert("key", 1);
        assert_eq!(map["key"], 1);
    }
}
