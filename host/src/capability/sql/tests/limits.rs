//! What a query may take, and what it leaves when it took more.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::super::slots::{Slots, Watch};
use super::super::{
    BATCH_LIMIT, Database, Execution, PARAMETERS_LIMIT, STATEMENT_LIMIT, Source, Sql, SqlLimits,
    Statement, VALUE_BYTES, Value,
};
use super::{Client, both, code, patient, plain};
use crate::pool::Stop;

/// Counts without an end.
const FOREVER: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
    SELECT count(*) FROM n";

/// The same, and has changed something before.
const FOREVER_WRITING: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
    INSERT INTO t (b) SELECT i FROM n WHERE i < 10";

#[test]
fn a_query_ends_when_nobody_waits_for_it() {
    let (_folder, clients) = both();
    for client in clients {
        for write in [false, true] {
            let (stop, stopped) = Stop::new();
            let database = client.database.clone();
            let (begun, began) = channel();
            let query = thread::spawn(move || {
                begun.send(()).unwrap();
                match write {
                    false => database.query(&plain(FOREVER), &stopped).map(|_| ()),
                    true => database.execute(&plain(FOREVER_WRITING), &stopped).map(|_| ()),
                }
            });
            began.recv().unwrap();
            drop(stop);
            let failure = query.join().unwrap().unwrap_err();
            assert_eq!(failure, crate::capability::Failure::cancelled());
        }
        assert_eq!(client.number("SELECT count(*) FROM t"), 0);
        client.execute("INSERT INTO t VALUES (1, 1)").unwrap();
    }
}

#[test]
fn a_query_ends_after_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let client = Client::file(&path);
    client.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b)").unwrap();
    let limits = SqlLimits { query_time: Duration::from_millis(20), ..SqlLimits::default() };
    let hasty = Client::of(Database::open(&Source::File(path), &limits).unwrap());
    let failure = hasty.query(FOREVER).unwrap_err();
    assert_eq!(failure.code, "timed-out");
    assert_eq!(failure.message, "limits.query-time: it took longer than 20ms");
    assert_eq!(code(&hasty.execute(FOREVER_WRITING)), "timed-out");
    assert_eq!(code(&hasty.batch(&["INSERT INTO t VALUES (99, 1)", FOREVER_WRITING])), "timed-out");
    // Nothing is locked, or left behind.
    client.execute("INSERT INTO t VALUES (1, 1)").unwrap();
    assert_eq!(client.number("SELECT count(*) FROM t"), 1);
    // The wait for another program counts, too.
    let held = client.database.to_write(&client.stopped).unwrap();
    held.begin().unwrap();
    assert_eq!(code(&hasty.execute("DELETE FROM t")), "timed-out");
    drop(held);
}

#[test]
fn who_waits_for_the_writer_waits_for_a_time() {
    let (_folder, clients) = both();
    for client in clients {
        let held = client.database.to_write(&client.stopped).unwrap();
        let (stop, stopped) = Stop::new();
        let database = client.database.clone();
        let insert = plain("INSERT INTO t VALUES (1, 1)");
        let waiting = thread::spawn(move || database.execute(&insert, &stopped));
        drop(stop);
        assert_eq!(code(&waiting.join().unwrap()), "cancelled");
        drop(held);
        client.execute("INSERT INTO t VALUES (1, 1)").unwrap();
    }
    let slots = Slots::new(vec![()]);
    let (_stop, stopped) = Stop::new();
    let watch = |time| Watch::new(&stopped, time);
    let taken = slots.take(&watch(Duration::MAX)).unwrap();
    assert_eq!(code(&slots.take(&watch(Duration::from_millis(20))).map(|_| ())), "timed-out");
    drop(taken);
    assert_eq!(code(&slots.take(&watch(Duration::MAX)).map(|_| ())), "none");
}

/// A star is short, and each of them brings the name again.
#[test]
fn names_of_columns_have_a_limit() {
    let client = Client::memory(patient());
    client.execute(&format!("CREATE TABLE t ({})", "a".repeat(200_000))).unwrap();
    assert_eq!(client.query("SELECT t.*, t.*, t.*, t.*, t.* FROM t").unwrap().columns.len(), 5);
    let failure = client.query("SELECT t.*, t.*, t.*, t.*, t.*, t.* FROM t").unwrap_err();
    assert_eq!((&*failure.code, &failure.message[..18]), ("limit", "the columns' names"));
}

#[test]
fn rows_have_limits() {
    let limits = SqlLimits { rows: 3, row_bytes: 4 * VALUE_BYTES + 4, ..patient() };
    let client = Client::memory(limits);
    assert_eq!(client.query("VALUES (1), (2), (3)").unwrap().rows.len(), 3);
    let failure = client.query("VALUES (1), (2), (3), (4)").unwrap_err();
    assert_eq!((&*failure.code, &failure.message[..11]), ("limit", "limits.rows"));
    client.query("SELECT 1, NULL, 'ab', x'0000'").unwrap();
    let failure = client.query("SELECT 1, NULL, 'ab', x'000000'").unwrap_err();
    assert_eq!((&*failure.code, &failure.message[..16]), ("limit", "limits.row-bytes"));
    assert_eq!(code(&client.query("SELECT 1, 2, 3, 4, 5")), "limit");
    // Rows that are thrown away aren't counted.
    client.execute("CREATE TABLE t (a)").unwrap();
    let done = client.execute("INSERT INTO t VALUES (1), (2), (3), (4) RETURNING a").unwrap();
    assert_eq!(done.changes, 4);
}

#[test]
fn the_database_has_a_size() {
    let client = Client::memory(SqlLimits { database_size: 64 * 1024, ..patient() });
    client.execute("CREATE TABLE t (a)").unwrap();
    client.execute("INSERT INTO t VALUES (zeroblob(20000))").unwrap();
    let failure = client.execute("INSERT INTO t VALUES (zeroblob(60000))").unwrap_err();
    assert_eq!((&*failure.code, &failure.message[..20]), ("limit", "limits.database-size"));
    assert_eq!(client.number("SELECT count(*) FROM t"), 1);
    client.execute("INSERT INTO t VALUES (zeroblob(20000))").unwrap();
}

#[test]
fn statements_have_limits() {
    let (_folder, clients) = both();
    let query = |client: &Client, text: &str| code(&client.query(text)).to_owned();
    for client in clients {
        let long = |length: usize| format!("SELECT 1 --{}", "-".repeat(length - 11));
        assert_eq!(query(&client, &long(STATEMENT_LIMIT)), "none");
        assert_eq!(query(&client, &long(STATEMENT_LIMIT + 1)), "limit");
        // Each of the statements that follow would be a frame on the stack, if it were prepared.
        assert_eq!(query(&client, &"SELECT 1;".repeat(STATEMENT_LIMIT / 9)), "invalid");
        assert_eq!(query(&client, &";".repeat(STATEMENT_LIMIT)), "invalid");
        let deep = |depth: usize| format!("SELECT {}1{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(query(&client, &deep(STATEMENT_LIMIT / 2 - 10)), "sql");
        assert_eq!(query(&client, &format!("SELECT 1{}", "+1".repeat(1_000))), "sql");
        assert_eq!(query(&client, &format!("SELECT 1{}", " UNION SELECT 1".repeat(100))), "sql");
        assert_eq!(query(&client, &format!("SELECT ?{}", PARAMETERS_LIMIT + 1)), "sql");
        let wrong = Statement { text: "SELECT ?, ?3".to_owned(), parameters: vec![Value::Null] };
        let failure = client.database.query(&wrong, &client.stopped).unwrap_err();
        assert_eq!(failure.code, "invalid");
        assert_eq!(failure.message, "it has 3 parameters, and 1 were given");
    }
}

#[test]
fn a_batch_is_done_as_a_whole_or_not_at_all() {
    let (_folder, clients) = both();
    for client in clients {
        client
            .execute("CREATE TABLE child (x REFERENCES t (a) DEFERRABLE INITIALLY DEFERRED)")
            .unwrap();
        let count =
            || client.number("SELECT (SELECT count(*) FROM t) + (SELECT count(*) FROM child)");
        let one = "INSERT INTO t VALUES (1, 1)";
        for (second, wanted, place) in [
            (one, "conflict", "statement 2 of the batch: UNIQUE"),
            (
                "INSERT OR ROLLBACK INTO t VALUES (1, 1)",
                "conflict",
                "statement 2 of the batch: UNIQUE",
            ),
            ("INSERT INTO child VALUES (5)", "conflict", "at the batch's end: FOREIGN KEY"),
            ("INSERT INTO t VALUES (1", "sql", "statement 2 of the batch: incomplete"),
            ("COMMIT", "denied", "statement 2 of the batch: BEGIN"),
            ("SELECT ?", "invalid", "statement 2 of the batch: it has 1"),
        ] {
            let failure = client.batch(&[one, second, "DELETE FROM t"]).unwrap_err();
            assert_eq!(failure.code, wanted, "{second}: {failure}");
            assert!(failure.message.starts_with(place), "{second}: {failure}");
            assert_eq!(count(), 0, "{second}");
        }
        let done = client.batch(&["INSERT INTO child VALUES (1)", one, "UPDATE t SET b = 2"]);
        let changed = |last| Execution { changes: 1, last_insert_rowid: last };
        assert_eq!(done.unwrap(), [changed(1), changed(1), changed(1)]);
        assert_eq!(count(), 2);
        assert_eq!(client.batch(&[]).unwrap(), []);
        assert_eq!(client.batch(&["SELECT 1"; BATCH_LIMIT]).unwrap().len(), BATCH_LIMIT);
        assert_eq!(code(&client.batch(&["SELECT 1"; BATCH_LIMIT + 1])), "limit");
    }
}

#[test]
fn one_call_of_a_function_takes_little_time() {
    // Each of these would take minutes to hours in SQLite's own functions.
    let client = Client::memory(patient());
    let a = "replace(hex(zeroblob(500000)), '0', 'a')";
    let b = "replace(hex(zeroblob(500000)), '0', 'b')";
    assert_eq!(client.number(&format!("SELECT instr({a}, substr({a}, 1, 500000) || 'b')")), 0);
    assert_eq!(client.number(&format!("SELECT length(trim({a}, {b} || 'a'))")), 0);
    let call = format!("SELECT length(replace({a}, substr({a}, 1, 500000) || 'b', ''))");
    assert_eq!(client.number(&call), 1_000_000);
    assert_eq!(code(&client.query("SELECT json_patch('{}', '{}')")), "denied");
}
