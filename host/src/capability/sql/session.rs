//! A connection to SQLite, closed to what a plugin's statements must not reach.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::ffi::ErrorCode;
use rusqlite::hooks::AuthContext;
use rusqlite::limits::Limit;
use rusqlite::{Connection, Error};

use super::super::Failure;
use super::guard::{Author, Guard};
use super::{HEAP_LIMIT, PARAMETERS_LIMIT, STATEMENT_LIMIT, VALUE_LIMIT, functions};

/// A connection with its rules. A statement that it prepares is taken for a plugin's, unless the
/// guard was told otherwise.
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) guard: Arc<Guard>,
}

impl Session {
    /// Makes the connection one that reads and writes the database, of at most `size` bytes.
    pub(super) fn writing(connection: Connection, size: u64) -> Result<Self, Error> {
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "journal_size_limit", LOG_KEPT)?;
        let page: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        // SQLite's own largest number of pages; and none would mean no limit.
        let pages = size.div_ceil(page.unsigned_abs().max(512)).clamp(1, 0xFFFF_FFFE) as i64;
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        connection.execute_batch(KEY_VALUE_SCHEMA)?;
        Self::reading(connection)
    }

    /// Closes the connection to what isn't a plugin's business.
    pub(super) fn reading(mut connection: Connection) -> Result<Self, Error> {
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        // Files that nothing limits would hold what large queries sort; the heap has a limit.
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection
            .pragma_update_and_check(None, "hard_heap_limit", HEAP_LIMIT as i64, |_| Ok(()))?;
        for (option, value) in OPTIONS {
            connection.set_db_config(option, value)?;
        }
        for (limit, value) in LIMITS {
            connection.set_limit(limit, value)?;
        }
        functions::replace_slow(&connection)?;
        let guard = Arc::new(Guard::new());
        let asked = Arc::clone(&guard);
        connection.authorizer(Some(move |action: AuthContext<'_>| asked.asked(&action)))?;
        Ok(Self { connection, guard })
    }

    /// Runs a statement of the host's own that has no parameters.
    pub(super) fn control(&self, text: &str) -> Result<(), Error> {
        self.guard.set_author(Author::Host);
        let result = self.connection.execute_batch(text);
        self.guard.set_author(Author::Plugin);
        result
    }
}

/// What SQLite said, in the contract's words.
pub(super) fn failure(error: &Error) -> Failure {
    let (code, message) = match error {
        Error::SqliteFailure(error, message) => {
            (error.code, message.clone().unwrap_or_else(|| error.to_string()))
        }
        Error::SqlInputError { error, msg, offset, .. } => {
            (error.code, format!("{msg} (at byte {offset})"))
        }
        other => (ErrorCode::Unknown, other.to_string()),
    };
    match code {
        ErrorCode::AuthorizationForStatementDenied => Failure::new("denied", message),
        ErrorCode::ConstraintViolation => Failure::new("conflict", message),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            Failure::new("timed-out", format!("another program uses the file: {message}"))
        }
        ErrorCode::DiskFull => Failure::limit("database-size", message),
        ErrorCode::OutOfMemory => {
            let limit = HEAP_LIMIT >> 20;
            let message = format!("all databases together may take {limit} MiB of memory");
            Failure::new("limit", message)
        }
        ErrorCode::TooBig => {
            let message = format!("{message}: a value or a row has at most {VALUE_LIMIT} bytes");
            Failure::new("limit", message)
        }
        ErrorCode::CannotOpen
        | ErrorCode::DatabaseCorrupt
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::NoLargeFileSupport
        | ErrorCode::NotADatabase
        | ErrorCode::PermissionDenied
        | ErrorCode::ReadOnly
        | ErrorCode::SystemIoFailure => Failure::new("io", message),
        _ => Failure::new("sql", message),
    }
}

/// The table of the key-value interface, which statements of SQL can't reach. It is there from the
/// beginning, so that no table can be renamed to it.
pub(in super::super) const KEY_VALUE_TABLE: &str = "torsade_key_value";

/// Expiry is in nanoseconds since 1970-01-01T00:00:00Z.
const KEY_VALUE_SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS torsade_key_value (
        key BLOB NOT NULL PRIMARY KEY,
        value BLOB NOT NULL,
        expires INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS torsade_key_value_expires
        ON torsade_key_value (expires) WHERE expires IS NOT NULL;";

/// How much of the log's file stays, once its content is in the database, in bytes.
const LOG_KEPT: u32 = 16 << 20;

/// How many operations of SQLite's machine pass between two looks at the clock.
pub(super) const OPERATIONS: i32 = 100;

/// How long one who finds the file locked by another program waits before he tries again.
pub(super) const LOCKED: Duration = Duration::from_millis(2);

const OPTIONS: [(DbConfig, bool); 10] = [
    (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
    (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
    (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
    (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false),
    (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false),
    (DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
    (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true),
    (DbConfig::SQLITE_DBCONFIG_RESET_DATABASE, false),
    (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
    (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
];

/// What bounds the work of preparing one statement, and each step of it.
const LIMITS: [(Limit, i32); 14] = [
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_COLUMN, 500),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 100),
    (Limit::SQLITE_LIMIT_LENGTH, VALUE_LIMIT as i32),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 256),
    (Limit::SQLITE_LIMIT_SCHEMA, 1_000),
    (Limit::SQLITE_LIMIT_SQL_LENGTH, STATEMENT_LIMIT as i32),
    (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 10),
    (Limit::SQLITE_LIMIT_TRIGGER_STEPS, 100),
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, PARAMETERS_LIMIT as i32),
    (Limit::SQLITE_LIMIT_VDBE_OP, 25_000),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];
