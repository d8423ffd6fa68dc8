//! What a plugin can ask of its keys, as a value that waits for the pool.

use std::time::Duration;

use super::key_value::{Change, KeyValue};
use super::{Failure, Outcome};
use crate::pool::Stopped;

/// A question of the contract's `key-value`, which says what each does.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is an item of the contract")]
pub enum Operation {
    CompareAndSet {
        key: Vec<u8>,
        expected: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        lifetime: Option<Duration>,
    },
    Delete {
        key: Vec<u8>,
    },
    Get {
        key: Vec<u8>,
    },
    Scan {
        start: Vec<u8>,
        end: Option<Vec<u8>>,
        most: u32,
    },
    Set {
        key: Vec<u8>,
        value: Vec<u8>,
        lifetime: Option<Duration>,
    },
}

impl Operation {
    /// What it holds of the host's memory, in bytes.
    pub(crate) fn size(&self) -> usize {
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        match self {
            Self::CompareAndSet { key, expected, value, .. } => {
                key.len() + length(expected) + length(value)
            }
            Self::Delete { key } | Self::Get { key } => key.len(),
            Self::Scan { start, end, .. } => start.len() + length(end),
            Self::Set { key, value, .. } => key.len() + value.len(),
        }
    }

    /// Whether it changes nothing.
    pub(crate) fn reads(&self) -> bool {
        matches!(self, Self::Get { .. } | Self::Scan { .. })
    }

    /// Does it, and waits until it is done. `now` is the time since 1970-01-01T00:00:00Z.
    pub(crate) fn run(
        &self,
        on: &KeyValue,
        now: Duration,
        stopped: &Stopped,
    ) -> Result<Outcome, Failure> {
        match self {
            Self::CompareAndSet { key, expected, value, lifetime } => {
                let change = Change {
                    expected: expected.as_deref(),
                    value: value.as_deref(),
                    lifetime: *lifetime,
                };
                on.compare_and_set(key, &change, now, stopped).map(Outcome::Compared)
            }
            Self::Delete { key } => on.delete(key, now, stopped).map(|()| Outcome::Done),
            Self::Get { key } => on.get(key, now, stopped).map(Outcome::Got),
            Self::Scan { start, end, most } => {
                let most = usize::try_from(*most).unwrap_or(usize::MAX);
                on.scan(start, end.as_deref(), most, now, stopped).map(Outcome::Scanned)
            }
            Self::Set { key, value, lifetime } => {
                on.set(key, value, *lifetime, now, stopped).map(|()| Outcome::Done)
            }
        }
    }
}
