//! Statements of SQL.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;

use super::super::trial;
use super::Store;

pub(in super::super) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("store::values_come_back_as_they_went", values_come_back),
        trial("store::a_batch_is_done_or_not", a_batch_is_done_or_not),
        trial("store::what_a_query_may_bring_is_bounded", what_a_query_may_bring),
        trial("store::a_query_has_its_time", a_query_has_its_time),
        trial("store::a_cancelled_statement_frees_its_thread", a_cancelled_statement),
        trial("store::a_statement_of_a_lost_connection_frees_its_thread", a_lost_connection),
        trial("store::questions_beyond_the_limit_fail_at_once", questions_beyond_the_limit),
        trial("store::a_database_that_is_full_says_so", a_full_database),
        trial("store::statements_survive_a_restart_in_a_file", survive_in_a_file),
        trial("store::statements_are_gone_from_memory", gone_from_memory),
    ];
    for place in ["file", ":memory:"] {
        let name = format!("store::statements_in_vain_are_failures::{place}");
        trials.push(trial(&name, move || statements_in_vain(place)));
    }
    trials
}

/// Statement, code, and a word of the message.
const IN_VAIN: &[(&str, &str, &str)] = &[
    ("query\tSELEC 1", "sql", "SELEC"),
    ("query\tSELECT 'a", "sql", "'a"),
    ("query\tSELECT * FROM missing", "sql", "no such table"),
    ("query\tSELECT missing FROM t", "sql", "no such column"),
    ("query\tSELECT missing(1)", "sql", "no such function"),
    ("query\tSELECT \"a\"", "sql", "no such column"),
    ("execute\tCREATE TABLE t (a)", "sql", "already exists"),
    ("query\tSELECT abs(-9223372036854775808)", "sql", "overflow"),
    ("query\t", "invalid", ""),
    ("execute\t-- nothing", "invalid", ""),
    ("query\tSELECT 1; SELECT 2", "invalid", ""),
    ("execute\tDELETE FROM t; DELETE FROM t", "invalid", ""),
    ("query\tSELECT ?", "invalid", "parameter"),
    ("query\tSELECT ?\tinteger 1\tinteger 2", "invalid", "parameter"),
    ("query\tSELECT 1\tnull", "invalid", "parameter"),
    ("query\tDELETE FROM t", "invalid", "execute"),
    ("query\tINSERT INTO t (a) VALUES ('x') RETURNING id", "invalid", "execute"),
    ("execute\tINSERT INTO t (a) VALUES (?)\tblob 00", "conflict", "t.a"),
    ("execute\tINSERT INTO t (a, n) VALUES ('b', ?)\ttext x", "conflict", "t.n"),
    ("execute\tINSERT INTO t (id, a) VALUES (?, 'b')\treal 1.5", "sql", "datatype mismatch"),
    ("execute\tINSERT INTO t (a) VALUES ('a')", "conflict", "t.a"),
    ("execute\tINSERT INTO t (a) VALUES (?)\tnull", "conflict", "t.a"),
    ("execute\tINSERT INTO t (a, n) VALUES ('b', 0)", "conflict", "n > 0"),
    ("execute\tINSERT INTO u VALUES (99)", "conflict", "FOREIGN KEY"),
    ("execute\tINSERT INTO t (a) VALUES (?)\ttext*1200000", "limit", "bytes"),
    ("execute\tINSERT INTO t (a) VALUES (?)\tblob*1200000", "limit", "bytes"),
    ("query\tSELECT zeroblob(1000000000)", "limit", ""),
    ("query\tSELECT*300000", "limit", ""),
    ("batch of\t1001\tSELECT 1", "limit", "1000"),
    ("execute\tATTACH 'x.sqlite' AS x", "denied", "ATTACH"),
    ("execute\tVACUUM INTO 'x.sqlite'", "denied", ""),
    ("execute\tBEGIN", "denied", "batch"),
    ("execute\tCOMMIT", "denied", "batch"),
    ("batch\tSAVEPOINT a\t;\tSELECT 1", "denied", "batch"),
    ("execute\tPRAGMA journal_mode = DELETE", "denied", "journal_mode"),
    ("execute\tPRAGMA writable_schema = ON", "denied", "writable_schema"),
    ("query\tPRAGMA database_list", "denied", "database_list"),
    ("query\tSELECT load_extension('x')", "denied", "load_extension"),
    ("execute\tCREATE TEMP TABLE x (a)", "denied", "temporary"),
    ("execute\tCREATE VIRTUAL TABLE x USING fts5(a)", "denied", "virtual"),
    ("query\tSELECT * FROM torsade_key_value", "denied", "torsade_key_value"),
    ("execute\tDROP TABLE torsade_key_value", "denied", "torsade_key_value"),
    ("query\tSELECT * FROM dbstat", "denied", "dbstat"),
];

fn statements_in_vain(place: &str) -> Result<()> {
    let store = Store::new(place, "")?;
    let mut client = store.client()?;
    schema(&mut client)?;
    client.expect("execute\tINSERT INTO t (a, n) VALUES ('a', 1)", "executed\t1\t1")?;
    for (line, code, word) in IN_VAIN {
        client.fails(line, code, word)?;
    }
    // Nothing of them is done.
    let all = "query\tSELECT id, a, n FROM t";
    client.expect(all, "rows\tid\ta\tn | integer 1\ttext a\tinteger 1")?;
    store.ends_well()
}

fn schema(client: &mut super::Client) -> Result<()> {
    let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL UNIQUE, \
                 n INTEGER CHECK (n > 0)) STRICT";
    let other = "CREATE TABLE u (t INTEGER REFERENCES t (id))";
    client.expect(&format!("batch\t{table}\t;\t{other}"), "executed\t0\t0 | executed\t0\t0")
}

fn values_come_back() -> Result<()> {
    let store = Store::new("file", "")?;
    let mut client = store.client()?;
    let values = "null\tinteger -9223372036854775808\treal 0.1\ttext \u{e4} \u{1f388}\tblob 00ff";
    client.expect("execute\tCREATE TABLE v (a, b, c, d, e)", "executed\t0\t0")?;
    let insert = format!("execute\tINSERT INTO v VALUES (?, ?, ?, ?, ?)\t{values}");
    client.expect(&insert, "executed\t1\t1")?;
    let all = format!("rows\ta\tb\tc\td\te | {values}");
    client.expect("query\tSELECT * FROM v", &all)?;
    client.expect("query\tSELECT a FROM v WHERE d = ?\ttext none", "rows\ta")?;
    client.expect("query\tSELECT length(?) AS n\ttext*1048576", "rows\tn | integer 1048576")?;
    client.expect("query\tSELECT ? AS n\treal NaN", "rows\tn | null")?;
    client.expect("execute\tUPDATE v SET a = 1", "executed\t1\t1")?;
    store.ends_well()
}

fn a_batch_is_done_or_not() -> Result<()> {
    let store = Store::new("file", "")?;
    let mut client = store.client()?;
    schema(&mut client)?;
    let insert = "INSERT INTO t (a) VALUES (?)";
    let both = |a: &str, b: &str| format!("batch\t{insert}\ttext {a}\t;\t{insert}\ttext {b}");
    client.expect(&both("a", "b"), "executed\t1\t1 | executed\t1\t2")?;
    client.fails(&both("c", "a"), "conflict", "statement 2 of the batch")?;
    client.fails(&format!("batch\t{insert}\ttext d\t;\tSELEC"), "sql", "statement 2")?;
    client.expect("query\tSELECT count(*) AS n FROM t", "rows\tn | integer 2")?;
    // A row that is there for the moment is none at the end.
    let later = "PRAGMA defer_foreign_keys = ON\t;\tINSERT INTO u VALUES (3)";
    client.fails(&format!("batch\t{later}"), "conflict", "at the batch's end")?;
    client.expect("query\tSELECT count(*) AS n FROM u", "rows\tn | integer 0")?;
    let many = "batch of\t1000\tINSERT INTO u VALUES (1)";
    client.expect(many, "executed 1000")?;
    client.expect("query\tSELECT count(*) AS n FROM u", "rows\tn | integer 1000")?;
    store.ends_well()
}

fn what_a_query_may_bring() -> Result<()> {
    let store = Store::new("file", "rows = 5, row-bytes = \"1KiB\"")?;
    let mut client = store.client()?;
    let count = |to| {
        format!(
            "query\tWITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {to}) \
             SELECT n FROM c"
        )
    };
    let five: String = (1..=5).map(|n| format!(" | integer {n}")).collect();
    client.expect(&count("5"), &format!("rows\tn{five}"))?;
    client.fails(&count("6"), "limit", "limits.rows")?;
    client.fails(&count("n + 1"), "limit", "limits.rows")?;
    client.fails("query\tSELECT ?\ttext*1009", "limit", "limits.row-bytes")?;
    client.fails("query\tSELECT zeroblob(600), zeroblob(600)", "limit", "limits.row-bytes")?;
    store.ends_well()
}

/// A statement that has no end.
const ENDLESS: &str = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) \
                       SELECT count(*) FROM c";

/// The same, which writes all the while.
const ENDLESS_INSERT: &str = "INSERT INTO u WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL \
                              SELECT n + 1 FROM c) SELECT n FROM c";

fn a_query_has_its_time() -> Result<()> {
    let store = Store::new("file", "query-time = \"200ms\"")?;
    let mut client = store.client()?;
    client.fails(&format!("query\t{ENDLESS}"), "timed-out", "limits.query-time")?;
    client.expect("execute\tCREATE TABLE u (n)", "executed\t0\t0")?;
    client.fails(&format!("execute\t{ENDLESS_INSERT}"), "timed-out", "limits.query-time")?;
    let both = format!("batch\tINSERT INTO u VALUES (1)\t;\t{ENDLESS_INSERT}");
    client.fails(&both, "timed-out", "statement 2")?;
    client.expect("query\tSELECT count(*) AS n FROM u", "rows\tn | integer 0")?;
    store.ends_well()
}

fn a_cancelled_statement() -> Result<()> {
    let store = Store::new("file", "query-time = \"1h\"")?;
    let mut client = store.client()?;
    client.expect("execute\tCREATE TABLE u (n)", "executed\t0\t0")?;
    // More than there are threads, so some are cancelled before they begin.
    for endless in [format!("cancel\t{ENDLESS}"), format!("cancel execute\t{ENDLESS_INSERT}")] {
        for _ in 0..8 {
            client.send(&endless)?;
        }
        for _ in 0..8 {
            let answer = client.line()?;
            ensure!(answer.starts_with("cancelled\t"), "{answer}");
        }
        client.expect("query\tSELECT count(*) AS n FROM u", "rows\tn | integer 0")?;
        client.expect("execute\tINSERT INTO u VALUES (1)", "executed\t1\t1")?;
        client.expect("execute\tDELETE FROM u", "executed\t1\t1")?;
    }
    for _ in 0..8 {
        client.expect(&format!("drop\t{ENDLESS}"), "dropped")?;
    }
    client.expect("query\tSELECT 1 AS a", "rows\ta | integer 1")?;
    idles(&store)?;
    store.ends_well()
}

fn a_lost_connection() -> Result<()> {
    let store = Store::new("file", "query-time = \"1h\"")?;
    for _ in 0..3 {
        let mut client = store.client()?;
        for _ in 0..8 {
            client.send(&format!("query\t{ENDLESS}"))?;
        }
        client.expect("drop\tSELECT 1", "dropped")?;
    }
    store.client()?.expect("query\tSELECT 1 AS a", "rows\ta | integer 1")?;
    idles(&store)?;
    store.ends_well()
}

/// Waits until nothing computes any more.
fn idles(store: &Store) -> Result<()> {
    let used = || -> Result<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", store.host.id()))?;
        // Behind the name, which may have spaces: the 12th and 13th are user and system ticks.
        let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        Ok(fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum())
    };
    let until = Instant::now() + torsade_tests::host::PATIENCE;
    loop {
        let before = used()?;
        thread::sleep(Duration::from_millis(200));
        if used()? - before <= 2 {
            return Ok(());
        }
        ensure!(Instant::now() < until, "something goes on computing");
    }
}

fn questions_beyond_the_limit() -> Result<()> {
    let store = Store::new("file", "deferreds = 20")?;
    let mut client = store.client()?;
    client.expect("flood\t20", "20\t0")?;
    client.expect("flood\t1000", "20\t980")?;
    client.expect("flood\t20", "20\t0")?;
    store.ends_well()
}

fn a_full_database() -> Result<()> {
    for place in ["file", ":memory:"] {
        let store = Store::new(place, "database-size = \"256KiB\"")?;
        let mut client = store.client()?;
        client.expect("execute\tCREATE TABLE v (a)", "executed\t0\t0")?;
        client.fails("execute\tINSERT INTO v VALUES (?)\tblob*300000", "limit", "database-size")?;
        client.fails("set\ttext k\tblob*300000", "limit", "database-size")?;
        client.expect("query\tSELECT count(*) AS n FROM v", "rows\tn | integer 0")?;
        client.expect("execute\tINSERT INTO v VALUES (1)", "executed\t1\t1")?;
        store.ends_well()?;
    }
    Ok(())
}

fn survive_in_a_file() -> Result<()> {
    let store = Store::new("file", "")?;
    let mut client = store.client()?;
    client.expect("execute\tCREATE TABLE v (a)", "executed\t0\t0")?;
    client.expect("execute\tINSERT INTO v VALUES ('kept')", "executed\t1\t1")?;
    let store = store.again()?;
    store.client()?.expect("query\tSELECT a FROM v", "rows\ta | text kept")?;
    store.ends_well()
}

fn gone_from_memory() -> Result<()> {
    let store = Store::new(":memory:", "")?;
    let mut client = store.client()?;
    client.expect("execute\tCREATE TABLE v (a)", "executed\t0\t0")?;
    // All instances have the same one, on whatever worker they are.
    for _ in 0..8 {
        store.client()?.expect("query\tSELECT a FROM v", "rows\ta")?;
    }
    let store = store.again()?;
    store.client()?.fails("query\tSELECT a FROM v", "sql", "no such table")?;
    ensure!(!store.folder.path().join("state").exists(), "there is a state folder");
    store.ends_well()
}
