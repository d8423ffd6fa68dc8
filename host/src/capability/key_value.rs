//! Bytes by their keys: a table in the service's database, which its SQL can't reach.
//!
//! It blocks, and so runs on the pool. It reads no clock: whoever asks says what time it is.

use std::time::Duration;

use rusqlite::{Connection, Error, OptionalExtension, params};

use super::Failure;
use super::sql::{Database, Running};
use crate::pool::Stopped;

/// The keys and values of a database.
///
/// Each call blocks until it is done, is atomic, and ends soon once `stopped` says so
/// (`cancelled`) or after the database's `query_time` (`timed-out`). `now` is the time since
/// 1970-01-01T00:00:00Z. A failure's code is one that `wit/key-value.wit` names.
#[derive(Clone)]
pub struct KeyValue(Database);

/// A key with its value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// 1 to [`KEY_LIMIT`] bytes.
    pub key: Vec<u8>,
    /// At most [`VALUE_LIMIT`] bytes.
    pub value: Vec<u8>,
}

/// What a compare-and-set compares and sets.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The value that the key has to have; none where it has to have none.
    pub expected: Option<&'a [u8]>,
    /// The value that it gets; none removes the key.
    pub value: Option<&'a [u8]>,
    /// How long the key has the value; without it forever.
    pub lifetime: Option<Duration>,
}

impl KeyValue {
    /// The keys of `database`.
    pub fn new(database: Database) -> Self {
        Self(database)
    }

    /// Reads the value of a key.
    pub fn get(
        &self,
        key: &[u8],
        now: Duration,
        stopped: &Stopped,
    ) -> Result<Option<Vec<u8>>, Failure> {
        check_key(key)?;
        let running = self.0.to_read(stopped)?;
        value(running.host(), key, nanoseconds(now)).map_err(|e| running.failure(&e))
    }

    /// Sets the value of a key, for `lifetime` where there is one.
    pub fn set(
        &self,
        key: &[u8],
        value: &[u8],
        lifetime: Option<Duration>,
        now: Duration,
        stopped: &Stopped,
    ) -> Result<(), Failure> {
        check_key(key)?;
        check_value(value)?;
        let running = self.writing(now, stopped)?;
        write(running.host(), key, Some(value), expiry(now, lifetime))
            .map_err(|e| running.failure(&e))?;
        running.commit()
    }

    /// Removes a key, if it is there.
    pub fn delete(&self, key: &[u8], now: Duration, stopped: &Stopped) -> Result<(), Failure> {
        check_key(key)?;
        let running = self.writing(now, stopped)?;
        write(running.host(), key, None, None).map_err(|e| running.failure(&e))?;
        running.commit()
    }

    /// Makes the change if the key has the expected value, and says whether it had.
    pub fn compare_and_set(
        &self,
        key: &[u8],
        change: &Change<'_>,
        now: Duration,
        stopped: &Stopped,
    ) -> Result<bool, Failure> {
        check_key(key)?;
        change.expected.map_or(Ok(()), check_value)?;
        change.value.map_or(Ok(()), check_value)?;
        let running = self.writing(now, stopped)?;
        let found = value(running.host(), key, nanoseconds(now));
        let found = found.map_err(|e| running.failure(&e))?;
        if found.as_deref() != change.expected {
            return Ok(false);
        }
        write(running.host(), key, change.value, expiry(now, change.lifetime))
            .map_err(|e| running.failure(&e))?;
        running.commit()?;
        Ok(true)
    }

    /// Reads entries in the order of their keys, from `start` on and below `end`.
    ///
    /// They are at most `most` and [`SCAN_ENTRIES`], and at most [`SCAN_BYTES`] of keys and values;
    /// where there is one at all, there is at least one.
    pub fn scan(
        &self,
        start: &[u8],
        end: Option<&[u8]>,
        most: usize,
        now: Duration,
        stopped: &Stopped,
    ) -> Result<Vec<Entry>, Failure> {
        for bound in [Some(start), end].into_iter().flatten() {
            // A key with a zero byte after it is a bound, too.
            if bound.len() > KEY_LIMIT + 1 {
                let message = format!("a bound has at most {} bytes", KEY_LIMIT + 1);
                return Err(Failure::new("limit", message));
            }
        }
        let running = self.0.to_read(stopped)?;
        entries(running.host(), start, end, most.min(SCAN_ENTRIES), nanoseconds(now))
            .map_err(|e| running.failure(&e))
    }

    /// Begins a transaction, and removes in it some of what has expired.
    fn writing(&self, now: Duration, stopped: &Stopped) -> Result<Running<'_>, Failure> {
        let running = self.0.to_write(stopped)?;
        running.begin()?;
        sweep(running.host(), nanoseconds(now)).map_err(|e| running.failure(&e))?;
        Ok(running)
    }
}

fn check_key(key: &[u8]) -> Result<(), Failure> {
    if key.is_empty() {
        return Err(Failure::new("invalid", format!("a key has 1 to {KEY_LIMIT} bytes")));
    }
    if key.len() > KEY_LIMIT {
        let message = format!("a key has at most {KEY_LIMIT} bytes, and this one {}", key.len());
        return Err(Failure::new("limit", message));
    }
    Ok(())
}

fn check_value(value: &[u8]) -> Result<(), Failure> {
    if value.len() > VALUE_LIMIT {
        let length = value.len();
        let message = format!("a value has at most {VALUE_LIMIT} bytes, and this one {length}");
        return Err(Failure::new("limit", message));
    }
    Ok(())
}

/// The time as the table has it. Its end, in the year 2262, is the end of all lifetimes.
fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

fn expiry(now: Duration, lifetime: Option<Duration>) -> Option<i64> {
    lifetime.map(|lifetime| nanoseconds(now.saturating_add(lifetime)))
}

fn value(connection: &Connection, key: &[u8], now: i64) -> Result<Option<Vec<u8>>, Error> {
    let mut select = connection.prepare_cached(
        "SELECT value FROM torsade_key_value
            WHERE key = ?1 AND (expires IS NULL OR expires > ?2)",
    )?;
    select.query_row(params![key, now], |row| row.get(0)).optional()
}

/// Sets or removes the value of a key.
fn write(
    connection: &Connection,
    key: &[u8],
    value: Option<&[u8]>,
    expires: Option<i64>,
) -> Result<(), Error> {
    match value {
        Some(value) => connection
            .prepare_cached("INSERT OR REPLACE INTO torsade_key_value VALUES (?1, ?2, ?3)")?
            .execute(params![key, value, expires])?,
        None => connection
            .prepare_cached("DELETE FROM torsade_key_value WHERE key = ?1")?
            .execute(params![key])?,
    };
    Ok(())
}

fn sweep(connection: &Connection, now: i64) -> Result<(), Error> {
    let mut delete = connection.prepare_cached(
        "DELETE FROM torsade_key_value WHERE key IN (
            SELECT key FROM torsade_key_value WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
    )?;
    delete.execute(params![now, SWEPT])?;
    Ok(())
}

fn entries(
    connection: &Connection,
    start: &[u8],
    end: Option<&[u8]>,
    most: usize,
    now: i64,
) -> Result<Vec<Entry>, Error> {
    // Two statements, so that each bound is one of the search and not a filter behind it.
    let mut select = connection.prepare_cached(match end {
        Some(_) => {
            "SELECT key, value FROM torsade_key_value
                WHERE key >= ?1 AND (expires IS NULL OR expires > ?2) AND key < ?3 ORDER BY key"
        }
        None => {
            "SELECT key, value FROM torsade_key_value
                WHERE key >= ?1 AND (expires IS NULL OR expires > ?2) ORDER BY key"
        }
    })?;
    let mut rows = match end {
        Some(end) => select.query(params![start, now, end])?,
        None => select.query(params![start, now])?,
    };
    let (mut entries, mut bytes) = (Vec::new(), 0);
    while entries.len() < most
        && let Some(row) = rows.next()?
    {
        let entry = Entry { key: row.get(0)?, value: row.get(1)? };
        bytes += entry.key.len() + entry.value.len();
        if bytes > SCAN_BYTES {
            break;
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// The longest key, in bytes: `key-value.entry` of the contract.
pub const KEY_LIMIT: usize = 512;

/// The longest value, in bytes: `key-value.entry` of the contract.
pub const VALUE_LIMIT: usize = 1 << 20;

/// The most entries of a scan: `key-value.scan` of the contract.
pub const SCAN_ENTRIES: usize = 1_000;

/// The most bytes of a scan's keys and values: `key-value.scan` of the contract.
pub const SCAN_BYTES: usize = 4 << 20;

/// How many entries that have expired each write removes, so that none takes long.
const SWEPT: i64 = 16;

#[cfg(test)]
mod tests;
