//! What is found under which key, and when.

use std::path::Path;
use std::thread;
use std::time::Duration;

use super::{Change, Entry, KEY_LIMIT, KeyValue, SCAN_BYTES, SCAN_ENTRIES, SWEPT, VALUE_LIMIT};
use crate::capability::Failure;
use crate::capability::sql::{Database, Source, Sql, SqlLimits, Statement, Value};
use crate::pool::{Stop, Stopped};

const NOW: Duration = Duration::from_secs(1_800_000_000);
const SECOND: Duration = Duration::from_secs(1);

/// A service's side: asks, and waits.
struct Client {
    keys: KeyValue,
    stopped: Stopped,
    _stop: Stop,
}

impl Client {
    fn of(source: &Source) -> Self {
        let (stop, stopped) = Stop::new();
        let limits = SqlLimits { query_time: Duration::from_secs(600), ..SqlLimits::default() };
        let keys = KeyValue::new(Database::open(source, &limits).unwrap());
        Self { keys, stopped, _stop: stop }
    }

    fn file(path: &Path) -> Self {
        Self::of(&Source::File(path.to_owned()))
    }

    fn get(&self, key: &[u8], now: Duration) -> Option<Vec<u8>> {
        self.keys.get(key, now, &self.stopped).unwrap()
    }

    fn set(&self, key: &[u8], value: &[u8], lifetime: Option<Duration>) -> Result<(), Failure> {
        self.keys.set(key, value, lifetime, NOW, &self.stopped)
    }

    fn change(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        value: Option<&[u8]>,
        now: Duration,
    ) -> Result<bool, Failure> {
        let change = Change { expected, value, lifetime: None };
        self.keys.compare_and_set(key, &change, now, &self.stopped)
    }

    fn scan(&self, start: &[u8], end: Option<&[u8]>, most: usize) -> Vec<Vec<u8>> {
        let entries = self.keys.scan(start, end, most, NOW, &self.stopped).unwrap();
        entries.into_iter().map(|entry| entry.key).collect()
    }

    /// Rows of the table, whether they have expired or not.
    fn stored(&self) -> i64 {
        let running = self.keys.0.to_read(&self.stopped).unwrap();
        let count = "SELECT count(*) FROM torsade_key_value";
        running.host().query_row(count, [], |row| row.get(0)).unwrap()
    }
}

fn both() -> (tempfile::TempDir, [Client; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let file = Client::file(&folder.path().join("a.db"));
    (folder, [file, Client::of(&Source::Memory)])
}

fn code<T>(result: &Result<T, Failure>) -> &str {
    result.as_ref().err().map_or("none", |failure| &*failure.code)
}

#[test]
fn a_key_has_the_value_that_was_set_last() {
    let (_folder, clients) = both();
    for client in clients {
        assert_eq!(client.get(b"a", NOW), None);
        for value in [&b"1"[..], b"", &[0, 255], &vec![7; VALUE_LIMIT]] {
            client.set(b"a", value, None).unwrap();
            assert_eq!(client.get(b"a", NOW).as_deref(), Some(value));
        }
        assert_eq!(client.get(b"A", NOW), None);
        assert_eq!(client.get(b"a\0", NOW), None);
        client.keys.delete(b"a", NOW, &client.stopped).unwrap();
        assert_eq!(client.get(b"a", NOW), None);
        client.keys.delete(b"a", NOW, &client.stopped).unwrap();
    }
}

#[test]
fn keys_and_values_have_limits() {
    let (_folder, clients) = both();
    for client in clients {
        let longest = [9; KEY_LIMIT];
        client.set(&longest, &vec![0; VALUE_LIMIT], None).unwrap();
        assert_eq!(client.get(&longest, NOW).unwrap().len(), VALUE_LIMIT);
        assert_eq!(code(&client.set(&[9; KEY_LIMIT + 1], b"", None)), "limit");
        assert_eq!(code(&client.set(b"a", &vec![0; VALUE_LIMIT + 1], None)), "limit");
        let long = vec![0; VALUE_LIMIT + 1];
        assert_eq!(code(&client.change(b"a", Some(&long), None, NOW)), "limit");
        assert_eq!(code(&client.change(b"a", None, Some(&long), NOW)), "limit");
        assert_eq!(code(&client.set(b"", b"", None)), "invalid");
        assert_eq!(code(&client.keys.get(b"", NOW, &client.stopped)), "invalid");
        assert_eq!(code(&client.keys.delete(b"", NOW, &client.stopped)), "invalid");
        // What a scan goes on from is one byte longer than a key.
        let from = [9; KEY_LIMIT + 1];
        assert_eq!(client.scan(&from, Some(&from), 1), <[Vec<u8>; 0]>::default());
        let scanned = client.keys.scan(&[9; KEY_LIMIT + 2], None, 1, NOW, &client.stopped);
        assert_eq!(code(&scanned), "limit");
    }
}

#[test]
fn a_value_is_gone_when_its_lifetime_ends() {
    let (_folder, clients) = both();
    for client in clients {
        let (just_before, end) = (NOW + SECOND - Duration::from_nanos(1), NOW + SECOND);
        client.set(b"a", b"1", Some(SECOND)).unwrap();
        client.set(b"b", b"1", None).unwrap();
        assert_eq!(client.get(b"a", just_before), Some(b"1".to_vec()));
        assert_eq!(client.get(b"a", end), None);
        let scanned = client.keys.scan(b"", None, 9, end, &client.stopped).unwrap();
        assert_eq!(scanned, [Entry { key: b"b".to_vec(), value: b"1".to_vec() }]);
        assert!(!client.change(b"a", Some(b"1"), None, end).unwrap());
        assert!(client.change(b"a", None, Some(b"2"), end).unwrap());
        assert_eq!(client.get(b"a", NOW + 1_000 * SECOND), Some(b"2".to_vec()));
        // Setting it again without a lifetime ends the earlier one, and a lifetime may be endless.
        client.set(b"a", b"1", Some(SECOND)).unwrap();
        client.set(b"a", b"2", None).unwrap();
        client.set(b"c", b"3", Some(Duration::MAX)).unwrap();
        assert_eq!(client.get(b"a", end), Some(b"2".to_vec()));
        assert_eq!(client.get(b"c", NOW + Duration::from_secs(6_000_000_000)), Some(b"3".to_vec()));
        client.set(b"d", b"4", Some(Duration::ZERO)).unwrap();
        assert_eq!(client.get(b"d", NOW), None);
    }
}

#[test]
fn what_has_expired_is_removed_in_small_steps() {
    let (_folder, clients) = both();
    for client in clients {
        for number in 0..SWEPT + 5 {
            client.set(&number.to_be_bytes(), b"", Some(SECOND)).unwrap();
        }
        client.set(b"kept", b"", Some(3 * SECOND)).unwrap();
        let all = SWEPT + 6;
        assert_eq!(client.stored(), all);
        let delete = || client.keys.delete(b"none", NOW + SECOND, &client.stopped).unwrap();
        delete();
        assert_eq!(client.stored(), all - SWEPT);
        delete();
        assert_eq!(client.stored(), 1);
        delete();
        assert_eq!(client.stored(), 1);
    }
}

#[test]
fn a_scan_goes_through_keys_in_order() {
    let (_folder, clients) = both();
    for client in clients {
        let keys: [&[u8]; 6] = [b"\0", b"a", b"a\0", b"ab", b"b", b"\xFF"];
        for key in keys.iter().rev() {
            client.set(key, b"v", None).unwrap();
        }
        assert_eq!(client.scan(b"", None, 100), keys);
        assert_eq!(client.scan(b"a", Some(b"b"), 100), [&b"a"[..], b"a\0", b"ab"]);
        assert_eq!(client.scan(b"a\0", Some(b"ab"), 100), [b"a\0"]);
        assert_eq!(client.scan(b"ac", None, 1), [b"b"]);
        let none: [&[u8]; 0] = [];
        assert_eq!(client.scan(b"", None, 0), none);
        assert_eq!(client.scan(b"b", Some(b"a"), 100), none);
        assert_eq!(client.scan(b"", Some(b""), 100), none);
        // From the last key with a zero byte appended.
        let (mut all, mut from) = (Vec::new(), Vec::new());
        while let [key] = client.scan(&from, None, 1).as_slice() {
            from = [key, &b"\0"[..]].concat();
            all.push(key.clone());
        }
        assert_eq!(all, keys);
    }
}

#[test]
fn a_scan_has_limits() {
    let (_folder, clients) = both();
    for client in clients {
        for number in 0..6_u8 {
            client.set(&[number], &vec![0; VALUE_LIMIT], None).unwrap();
        }
        let fit = SCAN_BYTES / (VALUE_LIMIT + 1);
        assert_eq!(client.scan(b"", None, 100).len(), fit);
        assert_eq!(client.scan(&[fit as u8], None, 100).len(), 6 - fit);
    }
    let client = Client::of(&Source::Memory);
    for number in 0..SCAN_ENTRIES + 1 {
        client.set(&number.to_be_bytes(), b"", None).unwrap();
    }
    assert_eq!(client.scan(b"", None, usize::MAX).len(), SCAN_ENTRIES);
}

#[test]
fn only_one_of_those_who_expect_the_same_value_sets_it() {
    let (folder, [file, memory]) = both();
    // Another host with the same file.
    let other = Client::file(&folder.path().join("a.db"));
    for clients in [[&file, &file, &other], [&memory; 3]] {
        thread::scope(|scope| {
            for keys in clients.map(|client| client.keys.clone()) {
                scope.spawn(move || {
                    let (_stop, stopped) = Stop::new();
                    for _ in 0..10 {
                        add_one(&keys, &stopped);
                    }
                });
            }
        });
        let [client, ..] = clients;
        assert_eq!(client.get(b"count", NOW), Some(vec![30]));
        assert!(client.change(b"count", Some(&[30]), None, NOW).unwrap());
        assert_eq!(client.get(b"count", NOW), None);
        assert!(!client.change(b"count", Some(&[30]), Some(b"x"), NOW).unwrap());
        assert!(client.change(b"count", None, None, NOW).unwrap());
    }
}

fn add_one(keys: &KeyValue, stopped: &Stopped) {
    loop {
        let found = keys.get(b"count", NOW, stopped).unwrap();
        let next = [found.as_ref().map_or(1, |count| count[0] + 1)];
        let change = Change { expected: found.as_deref(), value: Some(&next), lifetime: None };
        if keys.compare_and_set(b"count", &change, NOW, stopped).unwrap() {
            return;
        }
    }
}

#[test]
fn keys_and_tables_share_a_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let client = Client::file(&path);
    let database = client.keys.0.clone();
    let run = |text: &str| {
        let statement = Statement { text: text.to_owned(), parameters: Vec::new() };
        database.execute(&statement, &client.stopped)
    };
    run("CREATE TABLE t (a)").unwrap();
    assert_eq!(run("INSERT INTO t VALUES (1)").unwrap().last_insert_rowid, 1);
    client.set(b"a", b"1", None).unwrap();
    client.set(b"b", b"1", None).unwrap();
    let update = run("UPDATE t SET a = 2").unwrap();
    assert_eq!((update.changes, update.last_insert_rowid), (1, 1));
    // The very words of this module, which it has prepared before, are refused to others.
    let words = Statement {
        text: "DELETE FROM torsade_key_value WHERE key = ?1".to_owned(),
        parameters: vec![Value::Blob(b"a".to_vec())],
    };
    client.keys.delete(b"none", NOW, &client.stopped).unwrap();
    assert_eq!(code(&database.execute(&words, &client.stopped)), "denied");
    // A table of the plugin's can change under the prepared statements.
    run("CREATE TABLE u (a)").unwrap();
    client.keys.delete(b"b", NOW, &client.stopped).unwrap();
    let again = Client::file(&path);
    assert_eq!(again.get(b"a", NOW), Some(b"1".to_vec()));
    assert_eq!(again.get(b"b", NOW), None);
}

#[test]
fn nothing_is_done_when_nobody_waits() {
    let (_folder, clients) = both();
    for client in clients {
        let (stop, stopped) = Stop::new();
        drop(stop);
        assert_eq!(code(&client.keys.set(b"a", b"1", None, NOW, &stopped)), "cancelled");
        assert_eq!(code(&client.keys.get(b"a", NOW, &stopped)), "cancelled");
        assert_eq!(client.get(b"a", NOW), None);
    }
}
