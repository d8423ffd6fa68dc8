//! What others have told, as long as it holds (RFC 6762, section 10).

use std::collections::BTreeMap;
use std::slice::Iter;
use std::time::Duration;

use simple_dns::ResourceRecord;
use simple_dns::rdata::RData;

use crate::message::{Record, raw_data, type_of};
use crate::names::key;

/// So many records are kept at most; further ones are not taken in.
const RECORDS_MAX: usize = 1024;

/// So many records of one name and type are kept at most.
const RECORDS_OF_ONE_MAX: usize = 256;

/// So much of memory one record takes at most, in bytes, as [`size_of`] counts it. The text of a
/// service is to be no longer than 1300 bytes (RFC 6763, section 6.2).
const RECORD_SIZE_MAX: usize = 8 * 1024;

/// So much all take together.
const SIZE_MAX: usize = 1024 * 1024;

/// What each string of a text takes beside its bytes.
const STRING_SIZE: usize = 32;

/// Nothing is kept longer, in seconds, whatever its TTL says: a day.
const TTL_MAX: u32 = 86_400;

/// How long a record is kept that was taken back, or replaced (RFC 6762, sections 10.1 and 10.2).
const LAST_SECOND: Duration = Duration::from_secs(1);

/// A name and a type.
pub(crate) type Key = (Vec<u8>, u16);

/// A record, and how long it holds.
#[derive(Debug)]
pub(crate) struct Cached {
    pub(crate) record: Record,
    received: Duration,
    expires: Duration,
    size: usize,
}

/// The records.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    records: BTreeMap<Key, Vec<Cached>>,
    count: usize,
    size: usize,
}

impl Cache {
    /// Takes in a record, or takes one back. Says whether it is there now and was not before.
    pub(crate) fn take(&mut self, now: Duration, record: &ResourceRecord<'_>) -> bool {
        let key = (key(&record.name), type_of(record));
        let known = self.records.entry(key).or_default();
        if record.cache_flush {
            // What was told in the last second belongs to it.
            for other in known.iter_mut().filter(|other| other.received + LAST_SECOND < now) {
                if other.record.rdata != record.rdata {
                    other.expires = other.expires.min(now + LAST_SECOND);
                }
            }
        }
        let lifetime = match record.ttl {
            0 => LAST_SECOND,
            ttl => Duration::from_secs(ttl.min(TTL_MAX).into()),
        };
        let expires = now + lifetime;
        if let Some(old) = known.iter_mut().find(|old| old.record.rdata == record.rdata) {
            old.expires = if record.ttl == 0 { old.expires.min(expires) } else { expires };
            old.received = now;
            old.record.ttl = record.ttl.max(1);
            return false;
        }
        let size = size_of(record);
        let is_full = self.count >= RECORDS_MAX
            || known.len() >= RECORDS_OF_ONE_MAX
            || size > RECORD_SIZE_MAX
            || self.size + size > SIZE_MAX;
        if record.ttl == 0 || is_full {
            self.records.retain(|_, known| !known.is_empty());
            return false;
        }
        known.push(Cached { record: record.clone().into_owned(), received: now, expires, size });
        self.count += 1;
        self.size += size;
        true
    }

    /// The records of a name and type.
    pub(crate) fn find(&self, key: &Key) -> Iter<'_, Cached> {
        self.records.get(key).map(Vec::as_slice).unwrap_or_default().iter()
    }

    /// Drops what no longer holds.
    pub(crate) fn expire(&mut self, now: Duration) {
        let (count, size) = (&mut self.count, &mut self.size);
        self.records.retain(|_, known| {
            known.retain(|cached| {
                let holds = cached.expires > now;
                if !holds {
                    *count -= 1;
                    *size -= cached.size;
                }
                holds
            });
            !known.is_empty()
        });
    }

    /// Drops what nobody is interested in any more.
    pub(crate) fn retain(&mut self, is_wanted: impl Fn(&Key) -> bool) {
        let (count, size) = (&mut self.count, &mut self.size);
        self.records.retain(|key, known| {
            let is_wanted = is_wanted(key);
            if !is_wanted {
                *count -= known.len();
                *size -= known.iter().map(|cached| cached.size).sum::<usize>();
            }
            is_wanted
        });
    }

    /// When the first of them no longer holds.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.records.values().flatten().map(|cached| cached.expires).min()
    }

    /// When records of a name and type are to be asked for again, after a moment: at 80, 85, 90 and
    /// 95 hundredths of their time (RFC 6762, section 5.2).
    pub(crate) fn refresh_after(&self, key: &Key, moment: Duration) -> Option<Duration> {
        let points = self.find(key).flat_map(|cached| {
            let lifetime = cached.expires.saturating_sub(cached.received);
            [80, 85, 90, 95].map(|part| cached.received + lifetime * part / 100)
        });
        points.filter(|point| *point > moment).min()
    }
}

/// What a record takes of memory, roughly.
fn size_of(record: &ResourceRecord<'_>) -> usize {
    let data = raw_data(record);
    let mut strings = 0;
    if matches!(record.rdata, RData::TXT(_)) {
        let mut rest = &data[..];
        while let [length, behind @ ..] = rest {
            strings += 1;
            rest = behind.get(usize::from(*length)..).unwrap_or_default();
        }
    }
    key(&record.name).len() + data.len() + strings * STRING_SIZE
}

impl Cached {
    /// The record as one who asks says that it is known: with the time that is left; none where
    /// less than half of it is (RFC 6762, section 7.1).
    pub(crate) fn as_known(&self, now: Duration) -> Option<Record> {
        let left = self.expires.saturating_sub(now);
        let is_fresh = left * 2 > self.expires.saturating_sub(self.received);
        let ttl = u32::try_from(left.as_secs()).unwrap_or(TTL_MAX);
        let record = ResourceRecord { ttl, cache_flush: false, ..self.record.clone() };
        is_fresh.then_some(record)
    }
}
