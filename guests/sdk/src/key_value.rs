//! Bytes by their keys, in the service's own database. A plugin that uses this module needs the
//! grant `key-value`.
//!
//! Keys are 1 to 512 bytes, values at most 1 MiB. Each operation is atomic, and on the disk when
//! its deferred fires. Every deferred can fail with [`LIMIT`](crate::code::LIMIT), also for what is
//! too long, [`INVALID`](crate::code::INVALID) for an empty key,
//! [`TIMED_OUT`](crate::code::TIMED_OUT) or [`IO`](crate::code::IO); every function fails at once
//! with `LIMIT` where the service's `deferreds` are all in flight.
//!
//! ```no_run
//! use torsade_guest::{Failure, key_value};
//!
//! /// Counts a visit, also where other instances count at the same time.
//! async fn count() -> Result<u64, Failure> {
//!     loop {
//!         let found = key_value::get(b"visits")?.await?;
//!         let visits = found.as_deref().and_then(|bytes| bytes.try_into().ok());
//!         let visits = visits.map_or(0, u64::from_be_bytes) + 1;
//!         let value = visits.to_be_bytes();
//!         let set = key_value::compare_and_set(b"visits", found.as_deref(), Some(&value), None)?;
//!         if set.await? {
//!             return Ok(visits);
//!         }
//!     }
//! }
//! ```

use std::time::Duration;

use crate::bindings::torsade::plugin::key_value as host;
use crate::deferred::Deferred;
use crate::testing::Question;
use crate::types::Failure;

pub use crate::bindings::torsade::plugin::key_value::Entry;

/// Reads the value of a key: none where it has none, or it has expired.
///
/// # Errors
/// See the module.
pub fn get(key: &[u8]) -> Result<Deferred<Option<Vec<u8>>>, Failure> {
    Deferred::ask(|| Question::Get(key.to_vec()), || host::get(key), host::got)
}

/// Sets the value of a key, for a lifetime where one is given.
///
/// # Errors
/// See the module.
pub fn set(key: &[u8], value: &[u8], lifetime: Option<Duration>) -> Result<Deferred<()>, Failure> {
    let question = || Question::Set { key: key.to_vec(), value: value.to_vec(), lifetime };
    Deferred::ask(question, || host::set(key, value, nanoseconds(lifetime)), host::done)
}

/// Removes a key. One that has no value is no failure.
///
/// # Errors
/// See the module.
pub fn delete(key: &[u8]) -> Result<Deferred<()>, Failure> {
    Deferred::ask(|| Question::Delete(key.to_vec()), || host::delete(key), host::done)
}

/// Sets the value of a key, or removes it with `None`, if its value is `expected`: whether it was.
///
/// # Errors
/// See the module.
pub fn compare_and_set(
    key: &[u8],
    expected: Option<&[u8]>,
    value: Option<&[u8]>,
    lifetime: Option<Duration>,
) -> Result<Deferred<bool>, Failure> {
    let question = || Question::CompareAndSet {
        key: key.to_vec(),
        expected: expected.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
        lifetime,
    };
    let asked = || host::compare_and_set(key, expected, value, nanoseconds(lifetime));
    Deferred::ask(question, asked, host::compared)
}

/// Reads at most `most` entries, and 1,000, from the key `start` on and below `end`, in the order
/// of their keys' bytes. They are at most 4 MiB together, so that only a scan without entries has
/// come to the end.
///
/// ```no_run
/// use torsade_guest::{Failure, key_value};
///
/// /// The keys that begin with `user:`.
/// async fn users() -> Result<Vec<Vec<u8>>, Failure> {
///     let (mut start, mut keys) = (b"user:".to_vec(), Vec::new());
///     loop {
///         let entries = key_value::scan(&start, Some(b"user;"), 100)?.await?;
///         let Some(last) = entries.last() else { return Ok(keys) };
///         start = [&last.key[..], b"\0"].concat();
///         keys.extend(entries.into_iter().map(|entry| entry.key));
///     }
/// }
/// ```
///
/// # Errors
/// See the module.
pub fn scan(start: &[u8], end: Option<&[u8]>, most: u32) -> Result<Deferred<Vec<Entry>>, Failure> {
    let question = || Question::Scan { start: start.to_vec(), end: end.map(<[u8]>::to_vec), most };
    Deferred::ask(question, || host::scan(start, end, most), host::scanned)
}

/// More than 584 years are 584 years.
fn nanoseconds(lifetime: Option<Duration>) -> Option<u64> {
    lifetime.map(|lifetime| u64::try_from(lifetime.as_nanos()).unwrap_or(u64::MAX))
}
