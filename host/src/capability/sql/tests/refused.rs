//! What a plugin's statements can't do.

use super::{both, code};

#[test]
fn what_reaches_further_is_refused() {
    let refused = [
        ("ATTACH '/tmp/torsade-test.db' AS other", "denied"),
        ("DETACH main", "denied"),
        ("VACUUM", "denied"),
        ("VACUUM INTO '/tmp/torsade-test.db'", "denied"),
        ("BEGIN", "denied"),
        ("BEGIN IMMEDIATE", "denied"),
        ("COMMIT", "denied"),
        ("END", "denied"),
        ("ROLLBACK", "denied"),
        ("SAVEPOINT a", "denied"),
        ("RELEASE a", "denied"),
        ("ROLLBACK TO a", "denied"),
        ("SELECT load_extension('/tmp/a.so')", "denied"),
        ("SELECT fts3_tokenizer('simple')", "denied"),
        ("SELECT sqlite_log(1, 'a')", "denied"),
        ("SELECT writefile('/tmp/a', 'a')", "sql"),
        ("SELECT readfile('/etc/passwd')", "sql"),
        ("SELECT sqlite_rename_table(1, 2, 3, 4, 5, 6, 7)", "sql"),
        ("SELECT * FROM dbstat", "denied"),
        ("SELECT * FROM fts3tokenize('simple')", "denied"),
        ("CREATE VIRTUAL TABLE v USING fts5(a)", "denied"),
        ("CREATE VIRTUAL TABLE v USING rtree(a, b, c)", "denied"),
        ("CREATE TEMP TABLE v (a)", "denied"),
        ("CREATE TEMP VIEW v AS SELECT 1", "denied"),
        ("PRAGMA journal_mode = OFF", "denied"),
        ("PRAGMA synchronous = OFF", "denied"),
        ("PRAGMA writable_schema = ON", "denied"),
        ("PRAGMA trusted_schema = ON", "denied"),
        ("PRAGMA foreign_keys = OFF", "denied"),
        ("PRAGMA max_page_count = 99999999", "denied"),
        ("PRAGMA hard_heap_limit = 1", "denied"),
        ("PRAGMA temp_store_directory = '/tmp'", "denied"),
        ("PRAGMA wal_checkpoint", "denied"),
        ("PRAGMA database_list", "denied"),
        ("SELECT * FROM pragma_database_list", "denied"),
        ("PRAGMA mmap_size = 1000000", "denied"),
        ("PRAGMA busy_timeout = 1000000", "denied"),
        ("UPDATE sqlite_schema SET sql = ''", "sql"),
        ("DELETE FROM sqlite_schema", "sql"),
        ("SELECT * FROM torsade_key_value", "denied"),
        ("SELECT count(*) FROM torsade_key_value", "denied"),
        ("SELECT 1 FROM \"TORSADE_Key_Value\"", "denied"),
        ("SELECT * FROM main.torsade_key_value AS mine", "denied"),
        ("SELECT (SELECT max(key) FROM torsade_key_value)", "denied"),
        ("WITH mine AS (SELECT * FROM torsade_key_value) SELECT * FROM mine", "denied"),
        ("INSERT INTO torsade_key_value VALUES (x'61', x'61', NULL)", "denied"),
        ("UPDATE torsade_key_value SET value = x''", "denied"),
        ("DELETE FROM torsade_key_value", "denied"),
        ("DROP TABLE torsade_key_value", "denied"),
        ("DROP INDEX torsade_key_value_expires", "denied"),
        ("CREATE INDEX mine ON torsade_key_value (value)", "denied"),
        ("ALTER TABLE torsade_key_value RENAME TO mine", "denied"),
        ("ALTER TABLE torsade_key_value ADD COLUMN mine", "denied"),
        ("ALTER TABLE t RENAME TO torsade_key_value", "sql"),
        ("CREATE TABLE torsade_key_value (key)", "denied"),
        ("CREATE TABLE mine AS SELECT * FROM torsade_key_value", "denied"),
        ("CREATE TRIGGER mine AFTER INSERT ON torsade_key_value BEGIN SELECT 1; END", "denied"),
        ("SELECT * FROM through_a_view", "denied"),
        ("INSERT INTO through_a_trigger VALUES (1)", "denied"),
        ("INSERT INTO through_a_key VALUES (x'61')", "denied"),
        ("", "invalid"),
        (" -- nothing", "invalid"),
        (";", "invalid"),
        ("SELECT 1; SELECT 2", "invalid"),
        ("SELECT 1; what", "invalid"),
        ("INSERT INTO t VALUES (1, 1); COMMIT", "invalid"),
        ("SELECT 1\0; DROP TABLE t", "invalid"),
        ("SELECT ?", "invalid"),
        ("SELECT what", "sql"),
        ("SELEC 1", "sql"),
        ("SELECT \"text\"", "sql"),
        ("SELECT zeroblob(100000000)", "limit"),
        ("SELECT '1' LIKE hex(zeroblob(1000))", "sql"),
    ];
    let (_folder, clients) = both();
    let mut wrong = Vec::new();
    for client in &clients {
        for made in [
            "CREATE VIEW through_a_view AS SELECT * FROM torsade_key_value",
            "CREATE TABLE through_a_trigger (a)",
            "CREATE TRIGGER tr AFTER INSERT ON through_a_trigger
                BEGIN DELETE FROM torsade_key_value; END",
            "CREATE TABLE through_a_key (a REFERENCES torsade_key_value (key) ON DELETE CASCADE)",
        ] {
            client.execute(made).unwrap_or_else(|e| panic!("{made}: {e}"));
        }
        for (text, wanted) in refused {
            let alone = client.execute(text);
            let read = client.query(text);
            let within = client.batch(&["INSERT INTO t VALUES (1, 1)", text]);
            if code(&alone) != wanted || read.is_ok() || within.is_ok() {
                wrong.push(format!("{text}: {alone:?}, {read:?}, {within:?}"));
            }
            assert_eq!(client.number("SELECT count(*) FROM t"), 0, "{text}");
        }
        assert_eq!(client.number("SELECT * FROM pragma_foreign_keys"), 1);
        // Nothing that was refused has left anything behind.
        client.execute("INSERT INTO t VALUES (1, 1)").unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
