//! Bytes by their keys, in the service's own database. A plugin that uses this module needs the
//! grant `key-value`.
//!
//! Keys are 1 to 512 bytes, values at most 1 MiB. Each operation is atomic, and on the disk when
//! its deferred fires. Every deferred can fail with [`LIMIT`](crate::code::LIMIT),
//! [`TIMED_OUT`](crate::code::TIMED_OUT) or [`IO`](crate::code::IO); every function fails at once
//! with `LIMIT` where the service's `deferreds` are all in flight.

use std::time::Duration;

use crate::bindings::torsade::plugin::key_value as host;
use crate::deferred::Deferred;
use crate::types::Failure;

pub use crate::bindings::torsade::plugin::key_value::Entry;

/// Reads the value of a key: none where it has none, or it has expired.
///
/// # Errors
/// See the module.
pub fn get(key: &[u8]) -> Result<Deferred<Option<Vec<u8>>>, Failure> {
    Ok(Deferred::new(host::get(key)?, host::got))
}

/// Sets the value of a key, for a lifetime where one is given.
///
/// # Errors
/// See the module.
pub fn set(key: &[u8], value: &[u8], lifetime: Option<Duration>) -> Result<Deferred<()>, Failure> {
    Ok(Deferred::new(host::set(key, value, nanoseconds(lifetime))?, host::done))
}

/// Removes a key. One that has no value is no failure.
///
/// # Errors
/// See the module.
pub fn delete(key: &[u8]) -> Result<Deferred<()>, Failure> {
    Ok(Deferred::new(host::delete(key)?, host::done))
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
    let lifetime = nanoseconds(lifetime);
    Ok(Deferred::new(host::compare_and_set(key, expected, value, lifetime)?, host::compared))
}

/// Reads at most `most` entries, and 1,000, from the key `start` on and below `end`, in the order
/// of their keys' bytes.
///
/// # Errors
/// See the module.
pub fn scan(start: &[u8], end: Option<&[u8]>, most: u32) -> Result<Deferred<Vec<Entry>>, Failure> {
    Ok(Deferred::new(host::scan(start, end, most)?, host::scanned))
}

/// More than 584 years are 584 years.
fn nanoseconds(lifetime: Option<Duration>) -> Option<u64> {
    lifetime.map(|lifetime| u64::try_from(lifetime.as_nanos()).unwrap_or(u64::MAX))
}
