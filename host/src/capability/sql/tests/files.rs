//! Databases in files: what is kept, and who works beside whom.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;

use super::super::{Database, Source, Sql, SqlLimits};
use super::{Client, code, plain};
use crate::pool::Stop;

#[test]
fn a_file_is_only_this_users() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/service/a.db");
    let client = Client::file(&path);
    client.execute("CREATE TABLE t (a)").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("state")), 0o700);
    assert_eq!(mode(&folder.path().join("state/service")), 0o700);
    for name in ["a.db", "a.db-wal", "a.db-shm"] {
        assert_eq!(mode(&path.with_file_name(name)), 0o600, "{name}");
    }
}

#[test]
fn what_is_no_database_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    fs::write(&path, "not a database, but longer than the header of one".repeat(100)).unwrap();
    for path in [path.clone(), folder.path().to_owned(), path.join("b.db")] {
        let opened = Database::open(&Source::File(path), &SqlLimits::default());
        assert_eq!(code(&opened), "io");
    }
}

#[test]
fn what_was_acknowledged_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    Client::file(&path).execute("CREATE TABLE t (a)").unwrap();
    for number in 0..3 {
        let client = Client::file(&path);
        client.execute("INSERT INTO t VALUES (1)").unwrap();
        assert_eq!(client.number("SELECT count(*) FROM t"), number + 1);
    }
}

/// The files as a process that was killed leaves them. What it had mapped is of no use to others.
fn killed(path: &Path, folder: &Path) -> PathBuf {
    let copy = folder.join("copy.db");
    fs::copy(path, &copy).unwrap();
    fs::copy(path.with_file_name("a.db-wal"), folder.join("copy.db-wal")).unwrap();
    copy
}

#[test]
fn what_was_acknowledged_survives_a_kill_in_the_midst_of_a_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let client = Client::file(&path);
    client.execute("CREATE TABLE t (a)").unwrap();
    for number in 1..50 {
        client.execute("INSERT INTO t VALUES (randomblob(3000))").unwrap();
        // A transaction so large that part of it is in the log already.
        let writing = client.database.to_write(&client.stopped).unwrap();
        writing.begin().unwrap();
        if number % 10 == 0 {
            writing.execute(&plain("PRAGMA user_version = 7")).unwrap();
            let fill =
                "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 1000)
                INSERT INTO t SELECT randomblob(3000) FROM n";
            writing.execute(&plain(fill)).unwrap();
        }
        let copy = killed(&path, folder.path());
        if number % 2 == 0 {
            let log = folder.path().join("copy.db-wal");
            OpenOptions::new().append(true).open(log).unwrap().write_all(&[7; 1000]).unwrap();
        }
        drop(writing);
        let found = Client::file(&copy);
        assert_eq!(found.number("SELECT count(*) FROM t"), number);
        assert_eq!(found.number("SELECT * FROM pragma_user_version"), 0);
        found.execute("INSERT INTO t VALUES (1)").unwrap();
    }
}

#[test]
fn readers_go_on_beside_a_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let client = Client::file(&path);
    client.execute("CREATE TABLE t (a)").unwrap();
    let writing = client.database.to_write(&client.stopped).unwrap();
    writing.begin().unwrap();
    writing.execute(&plain("INSERT INTO t VALUES (1)")).unwrap();
    assert_eq!(client.number("SELECT count(*) FROM t"), 0);
    writing.commit().unwrap();
    assert_eq!(client.number("SELECT count(*) FROM t"), 1);
    // And a reader doesn't hold a writer up.
    let reading = client.database.to_read(&client.stopped).unwrap();
    client.execute("INSERT INTO t VALUES (2)").unwrap();
    drop(reading);
    assert_eq!(client.number("SELECT count(*) FROM t"), 2);
}

#[test]
fn writers_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let file = Client::file(&folder.path().join("a.db"));
    // Another host with the same file.
    let other = Client::file(&folder.path().join("a.db"));
    file.execute("CREATE TABLE t (a)").unwrap();
    file.execute("INSERT INTO t VALUES (0)").unwrap();
    thread::scope(|scope| {
        for database in [&file, &file, &other].map(|client| client.database.clone()) {
            scope.spawn(move || {
                let (_stop, stopped) = Stop::new();
                for _ in 0..10 {
                    database.execute(&plain("UPDATE t SET a = a + 1"), &stopped).unwrap();
                }
            });
        }
    });
    assert_eq!(other.number("SELECT a FROM t"), 30);
}
