//! A service's database: one connection that writes, and some that read beside it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};

use super::super::Failure;
use super::session::{self, Session};
use super::slots::{Slots, Watch};
use super::{BATCH_LIMIT, Execution, Rows, Running, Sql, SqlLimits, Statement};
use crate::pool::Stopped;

/// Where a database is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// In this file. It is made, with its folder, where it is missing; only this user can read it.
    File(PathBuf),
    /// In memory, as long as a [`Database`] of it is there.
    Memory,
}

/// An open database. Clones are the same one.
#[derive(Clone)]
pub struct Database {
    connections: Arc<Connections>,
    limits: SqlLimits,
}

struct Connections {
    writer: Slots<Session>,
    /// A database in memory has one connection, which does both.
    readers: Option<Slots<Session>>,
}

impl Database {
    /// Opens a database, or makes it. It blocks, and its failures don't tell the path.
    ///
    /// What was acknowledged before is there, however its last process ended. A file is open twice
    /// without harm, also to other programs: each then waits for the other's writes.
    pub fn open(source: &Source, limits: &SqlLimits) -> Result<Self, Failure> {
        let failed = |e| session::failure(&e);
        let size = limits.database_size;
        let (writer, readers) = match source {
            Source::File(path) => {
                let path = absolute(path).map_err(|e| refused(&e))?;
                make(&path).map_err(|e| refused(&e))?;
                let writer = open_to_write(&path, size).map_err(failed)?;
                let readers: Result<_, _> = (0..READERS).map(|_| open_to_read(&path)).collect();
                sync(&path).map_err(|e| refused(&e))?;
                (writer, Some(Slots::new(readers.map_err(failed)?)))
            }
            Source::Memory => {
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let connection = Connection::open_in_memory_with_flags(flags).map_err(failed)?;
                (Session::writing(connection, size).map_err(failed)?, None)
            }
        };
        let writer = Slots::new(vec![writer]);
        Ok(Self { connections: Arc::new(Connections { writer, readers }), limits: *limits })
    }

    /// The same database with other limits, but for `database-size`, which it keeps.
    pub(crate) fn within(self, limits: SqlLimits) -> Self {
        Self { limits, ..self }
    }

    /// Whether queries run beside what writes: not in memory, where one connection does both.
    pub(crate) fn reads_beside_writes(&self) -> bool {
        self.connections.readers.is_some()
    }

    /// Takes a connection that reads.
    pub(in super::super) fn to_read(&self, stopped: &Stopped) -> Result<Running<'_>, Failure> {
        let watch = Watch::new(stopped, self.limits.query_time);
        let slots = self.connections.readers.as_ref().unwrap_or(&self.connections.writer);
        Running::new(slots.take(&watch)?, watch)
    }

    /// Takes the connection that writes.
    pub(in super::super) fn to_write(&self, stopped: &Stopped) -> Result<Running<'_>, Failure> {
        let watch = Watch::new(stopped, self.limits.query_time);
        Running::new(self.connections.writer.take(&watch)?, watch)
    }
}

impl Sql for Database {
    fn query(&self, statement: &Statement, stopped: &Stopped) -> Result<Rows, Failure> {
        self.to_read(stopped)?.query(statement, &self.limits)
    }

    fn execute(&self, statement: &Statement, stopped: &Stopped) -> Result<Execution, Failure> {
        self.to_write(stopped)?.execute(statement)
    }

    fn batch(
        &self,
        statements: &[Statement],
        stopped: &Stopped,
    ) -> Result<Vec<Execution>, Failure> {
        if statements.len() > BATCH_LIMIT {
            let message = format!("a batch has at most {BATCH_LIMIT} statements");
            return Err(Failure::new("limit", message));
        }
        let running = self.to_write(stopped)?;
        running.begin()?;
        let mut executions = Vec::with_capacity(statements.len());
        for (number, statement) in (1..).zip(statements) {
            let execution = running.execute(statement).map_err(|failure| {
                let message = format!("statement {number} of the batch: {}", failure.message);
                Failure { message, ..failure }
            })?;
            executions.push(execution);
        }
        running.commit().map_err(|failure| {
            let message = format!("at the batch's end: {}", failure.message);
            Failure { message, ..failure }
        })?;
        Ok(executions)
    }
}

/// Makes the folder and an empty file, for this user alone, where they are missing.
fn make(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // A file that is there isn't opened: closing it would end SQLite's locks on it.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Makes sure that the file's name, and its folder's, survive a loss of power.
fn sync(path: &Path) -> io::Result<()> {
    for folder in path.ancestors().skip(1).take(2) {
        match File::open(folder) {
            Ok(folder) => folder.sync_all()?,
            // Who may not read a folder did not make this one in it.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The version of SQLite.
pub fn version() -> &'static str {
    rusqlite::version()
}

fn open_to_write(path: &Path, size: u64) -> rusqlite::Result<Session> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    Session::writing(connection, size)
}

fn open_to_read(path: &Path) -> rusqlite::Result<Session> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Session::reading(Connection::open_with_flags(path, flags)?)
}

/// The system's refusal in the contract's words.
fn refused(error: &io::Error) -> Failure {
    Failure::new("io", error.to_string())
}

/// How many queries of a database in a file run side by side: as many as the pool lets
/// one service have threads.
const READERS: usize = 4;
