//! When two names are the same, and the tables whose keys are names.
//!
//! The server says `CASEMAPPING=ascii`: `A` to `Z` equal `a` to `z`, and nothing else does. RFC 1459's
//! own mapping also takes `{|}^` for `[\]~` because of a Scandinavian keyboard of 1988, which no
//! client's user expects, and one that knew all of Unicode would change with its versions.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, DefaultHasher, Hasher};

/// A name in lower case, by which it is found. Made by [`fold`] alone.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Folded(Box<str>);

/// A nickname, a channel or an account as a key.
pub(crate) fn fold(name: &str) -> Folded {
    Folded(name.to_ascii_lowercase().into())
}

/// Whether two names are the same.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

impl Folded {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Folded {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A table whose keys clients choose.
pub(crate) type Names<T> = HashMap<Folded, T, Seeded>;

/// A hasher with a seed, so that nobody can choose names that collide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seeded(pub(crate) u64);

impl BuildHasher for Seeded {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

#[cfg(test)]
mod tests {
    use super::{fold, same};

    #[test]
    fn letters_of_ascii_alone_have_a_case() {
        assert!(same("Alice[]", "aLICE[]") && fold("Alice") == fold("ALICE"));
        assert!(!same("a{}", "a[]") && !same("ä", "Ä") && fold("~x") != fold("^x"));
    }
}
