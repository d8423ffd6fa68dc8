//! What a database answers, refuses and survives.

mod files;
mod limits;
mod refused;

use std::path::Path;
use std::time::Duration;

use super::{Database, Execution, Rows, Source, Sql, SqlLimits, Statement, Value};
use crate::capability::Failure;
use crate::pool::{Stop, Stopped};

/// A service's side: asks, and waits.
struct Client {
    database: Database,
    stopped: Stopped,
    _stop: Stop,
}

impl Client {
    fn of(database: Database) -> Self {
        let (stop, stopped) = Stop::new();
        Self { database, stopped, _stop: stop }
    }

    fn memory(limits: SqlLimits) -> Self {
        Self::of(Database::open(&Source::Memory, &limits).unwrap())
    }

    fn file(path: &Path) -> Self {
        let source = Source::File(path.to_owned());
        Self::of(Database::open(&source, &patient()).unwrap())
    }

    fn query(&self, text: &str) -> Result<Rows, Failure> {
        self.database.query(&plain(text), &self.stopped)
    }

    fn execute(&self, text: &str) -> Result<Execution, Failure> {
        self.database.execute(&plain(text), &self.stopped)
    }

    fn batch(&self, texts: &[&str]) -> Result<Vec<Execution>, Failure> {
        let statements: Vec<_> = texts.iter().map(|text| plain(text)).collect();
        self.database.batch(&statements, &self.stopped)
    }

    /// The one number that a query comes to.
    fn number(&self, text: &str) -> i64 {
        match self.query(text).unwrap().rows[0][0] {
            Value::Integer(number) => number,
            ref other => panic!("{other:?} is no number"),
        }
    }
}

/// Limits that no machine is too slow for.
fn patient() -> SqlLimits {
    SqlLimits { query_time: Duration::from_secs(600), ..SqlLimits::default() }
}

fn plain(text: &str) -> Statement {
    Statement { text: text.to_owned(), parameters: Vec::new() }
}

fn code<T>(result: &Result<T, Failure>) -> &str {
    result.as_ref().err().map_or("none", |failure| &*failure.code)
}

/// Both kinds of database, with an empty table `t`.
fn both() -> (tempfile::TempDir, [Client; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let file = Client::file(&folder.path().join("a.db"));
    let clients = [file, Client::memory(patient())];
    for client in &clients {
        client.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b UNIQUE)").unwrap();
    }
    (folder, clients)
}

#[test]
fn each_value_comes_back_as_it_was() {
    let (_folder, clients) = both();
    let values = [
        Value::Null,
        Value::Integer(i64::MIN),
        Value::Integer(i64::MAX),
        Value::Real(-0.5),
        Value::Real(f64::INFINITY),
        Value::Text(String::new()),
        Value::Text("a\0ü".to_owned()),
        Value::Blob(Vec::new()),
        Value::Blob(vec![0, 255]),
    ];
    for client in clients {
        let text = "SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?9 AS last".to_owned();
        let statement = Statement { text, parameters: values.to_vec() };
        let rows = client.database.query(&statement, &client.stopped).unwrap();
        assert_eq!(rows.rows, [values.to_vec()]);
        assert_eq!(rows.columns[8], "last");
        let text = "INSERT INTO t VALUES (7, ?)".to_owned();
        for value in &values {
            let statement = Statement { text: text.clone(), parameters: vec![value.clone()] };
            let done = client.database.execute(&statement, &client.stopped).unwrap();
            assert_eq!(done, Execution { changes: 1, last_insert_rowid: 7 });
            let rows = client.query("SELECT b FROM t").unwrap().rows;
            assert_eq!(rows, [[value.clone()]]);
            client.execute("DELETE FROM t").unwrap();
        }
        let text = "SELECT ?".to_owned();
        let nan = Statement { text, parameters: vec![Value::Real(f64::NAN)] };
        let rows = client.database.query(&nan, &client.stopped).unwrap().rows;
        assert_eq!(rows, [[Value::Null]]);
        let rows = client.query("SELECT CAST(x'61FF' AS TEXT)").unwrap().rows;
        assert_eq!(rows, [[Value::Blob(vec![0x61, 0xFF])]]);
    }
}

#[test]
fn functions_that_were_replaced_do_what_sqlites_do() {
    let (_folder, clients) = both();
    let sqlite = rusqlite::Connection::open_in_memory().unwrap();
    let arguments =
        ["NULL", "''", "'a'", "'xaxabxü'", "'üx'", "'\u{fc}\u{1F600}ax'", "'x'", "'1'", "x'78'"];
    let more = ["x'61C3'", "x'BC'", "x''", "12", "-1"];
    for (first, second) in arguments.iter().flat_map(|a| arguments.map(|b| (a, b))) {
        for call in
            ["instr(A, B)", "replace(A, B, 'ü')", "trim(A, B)", "ltrim(A, B)", "rtrim(A, B)"]
        {
            compare(&clients, &sqlite, &call.replace('A', first).replace('B', second));
        }
    }
    for (first, second) in more.iter().flat_map(|a| more.map(|b| (a, b))) {
        compare(&clients, &sqlite, &format!("instr({first}, {second})"));
    }
    for call in ["replace(12, 1, 3)", "trim(101, 1)", "replace('aaa', 'aa', 'b')"] {
        compare(&clients, &sqlite, call);
    }
    for refused in ["trim(1.5, 1)", "replace(x'FF', 'a', 'b')", "unhex('61 61', ' ')"] {
        assert_eq!(code(&clients[0].query(&format!("SELECT {refused}"))), "sql");
    }
    let long = "replace(hex(zeroblob(500000)), '0', hex(zeroblob(500000)))";
    assert_eq!(code(&clients[0].query(&format!("SELECT {long}"))), "limit");
    clients[0].execute("CREATE INDEX trimmed ON t (trim(b, 'x'), instr(b, 'x'))").unwrap();
}

fn compare(clients: &[Client; 2], sqlite: &rusqlite::Connection, call: &str) {
    let text = format!("SELECT quote({call}), typeof({call})");
    let row = |row: &rusqlite::Row<'_>| Ok([row.get(0)?, row.get(1)?].map(Value::Text));
    let wanted = sqlite.query_row(&text, [], row).unwrap();
    for client in clients {
        assert_eq!(client.query(&text).unwrap().rows, std::slice::from_ref(&wanted), "{call}");
    }
}

#[test]
fn an_execution_counts_its_own_changes() {
    let (_folder, clients) = both();
    for client in clients {
        let changes = |text: &str| client.execute(text).unwrap().changes;
        assert_eq!(changes("INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)"), 3);
        assert_eq!(changes("CREATE TABLE u (x)"), 0);
        assert_eq!(changes("UPDATE t SET b = b + 10 WHERE a > 1 RETURNING b"), 2);
        assert_eq!(changes("UPDATE t SET b = 0 WHERE a = 9"), 0);
        assert_eq!(changes("SELECT * FROM t"), 0);
        assert_eq!(changes("ALTER TABLE u RENAME TO v"), 0);
        assert_eq!(changes("DELETE FROM t"), 3);
    }
}

#[test]
fn what_is_ordinary_is_allowed() {
    let (_folder, clients) = both();
    let statements = [
        "CREATE TABLE child (x REFERENCES t (a) DEFERRABLE INITIALLY DEFERRED, y DEFAULT CURRENT_TIMESTAMP)",
        "CREATE INDEX child_x ON child (x, lower(y)) WHERE x IS NOT NULL",
        "CREATE VIEW both AS SELECT * FROM t JOIN child ON a = x",
        "CREATE TRIGGER more AFTER INSERT ON t BEGIN INSERT INTO child (x) VALUES (new.a); END;",
        "INSERT INTO t (b) VALUES ('one') ON CONFLICT (b) DO UPDATE SET b = excluded.b RETURNING a",
        "ALTER TABLE child ADD COLUMN z TEXT",
        "ALTER TABLE child RENAME COLUMN z TO zz",
        "ALTER TABLE child DROP COLUMN zz",
        "ALTER TABLE child RENAME TO children",
        "ANALYZE",
        "REINDEX",
        "PRAGMA user_version = 3",
        "DROP TRIGGER more",
        "DROP VIEW both",
        "DROP INDEX child_x",
        "CREATE TABLE made AS SELECT * FROM t",
        "DROP TABLE made",
    ];
    let queries = [
        "SELECT 1; -- and a comment",
        "/* before */ SELECT 1 ;;; ",
        "SELECT key, value FROM json_each('{\"a\": [1, 2]}')",
        "SELECT json_extract('{\"a\": 1}', '$.a'), '[1]' -> 0, '[1]' ->> 0",
        "SELECT a, row_number() OVER (ORDER BY a), sum(a) FILTER (WHERE a > 0) OVER () FROM t",
        "SELECT upper(b) FROM t WHERE b LIKE 'o%' AND b GLOB 'o*'",
        "SELECT strftime('%Y', 'now'), date(), random(), hex(randomblob(3))",
        "SELECT name FROM sqlite_schema ORDER BY name",
        "SELECT name FROM pragma_table_info('t')",
        "PRAGMA table_info(t)",
        "PRAGMA user_version",
        "EXPLAIN QUERY PLAN SELECT * FROM t",
        "VALUES (1), (2)",
    ];
    for client in clients {
        for statement in statements {
            client.execute(statement).unwrap_or_else(|e| panic!("{statement}: {e}"));
        }
        for query in queries {
            client.query(query).unwrap_or_else(|e| panic!("{query}: {e}"));
        }
        assert_eq!(client.number("SELECT * FROM pragma_user_version"), 3);
        let sampled = client.query("SELECT tbl FROM sqlite_stat1 WHERE tbl LIKE 'torsade%'");
        assert_eq!(sampled.unwrap().rows.len(), 0);
    }
}
