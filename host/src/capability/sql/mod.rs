//! SQL: what a statement is and comes to, and the questions that a database answers.
//!
//! It blocks, and so runs on the pool. It knows no plugin and no reactor.

mod database;
mod functions;
mod guard;
mod running;
mod session;
mod slots;

use std::time::Duration;

use super::Failure;
use crate::pool::Stopped;

pub use database::{Database, Source, version};
pub(super) use running::Running;
pub(super) use session::KEY_VALUE_TABLE;

/// A database that takes statements of SQL.
///
/// Each call blocks until it is done, and ends soon once `stopped` says so (`cancelled`) or after
/// [`SqlLimits::query_time`] (`timed-out`). Whatever fails has changed nothing, and leaves no
/// transaction open. A failure's code is one that `wit/sql.wit` names.
pub trait Sql: Send + Sync {
    /// Runs a statement that only reads, beside a writer and other readers.
    fn query(&self, statement: &Statement, stopped: &Stopped) -> Result<Rows, Failure>;

    /// Runs one statement, as a transaction of its own. Rows of it are thrown away.
    fn execute(&self, statement: &Statement, stopped: &Stopped) -> Result<Execution, Failure>;

    /// Runs at most [`BATCH_LIMIT`] statements as one transaction.
    fn batch(&self, statements: &[Statement], stopped: &Stopped)
    -> Result<Vec<Execution>, Failure>;
}

/// One statement, and the values of its parameters in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statement {
    /// A single statement of SQL.
    pub text: String,
    /// As many as the statement has parameters.
    pub parameters: Vec<Value>,
}

/// A value of a parameter or a column: SQLite's storage classes.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Value {
    Blob(Vec<u8>),
    Integer(i64),
    Null,
    /// NaN is stored as NULL.
    Real(f64),
    Text(String),
}

impl Statement {
    /// Roughly what it holds of the host's memory, in bytes.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + self.text.len() + self.parameters.iter().map(Value::size).sum::<usize>()
    }
}

impl Value {
    /// Roughly what it holds of the host's memory, in bytes.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Blob(bytes) => bytes.len(),
                Self::Text(text) => text.len(),
                Self::Integer(_) | Self::Null | Self::Real(_) => 0,
            }
    }
}

/// What a query came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// The columns' names.
    pub columns: Vec<String>,
    /// Each with as many values as there are columns. Text that isn't UTF-8 is a blob.
    pub rows: Vec<Vec<Value>>,
}

/// What a statement that changes something came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Execution {
    /// Rows that the statement itself inserted, changed or deleted; triggers' aren't counted.
    pub changes: u64,
    /// The rowid of the last row that was inserted by this statement, or before by another.
    pub last_insert_rowid: i64,
}

/// What a service may take of its database. A failure names the key, the field's name in
/// kebab-case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SqlLimits {
    /// Rows that a query may come to.
    pub rows: usize,
    /// Bytes of a query's rows: of texts and blobs, and [`VALUE_BYTES`] more for each value.
    pub row_bytes: usize,
    /// How long a statement, a batch or an operation on a key may take, the wait for the writer
    /// and for other programs that use the file included.
    pub query_time: Duration,
    /// Bytes of the database's file, rounded up to whole pages, without its log. In memory they
    /// count towards [`HEAP_LIMIT`] too.
    pub database_size: u64,
}

impl Default for SqlLimits {
    fn default() -> Self {
        Self {
            rows: 10_000,
            row_bytes: 4 << 20,
            query_time: Duration::from_secs(10),
            database_size: 1 << 30,
        }
    }
}

/// What a value counts besides the bytes of a text or a blob.
pub const VALUE_BYTES: usize = 16;

/// The most statements of a batch: `sql.batch` of the contract.
pub const BATCH_LIMIT: usize = 1_000;

/// The longest statement, in bytes. Values that are long or many belong into parameters.
pub const STATEMENT_LIMIT: usize = 256 * 1024;

/// The most parameters of a statement.
pub const PARAMETERS_LIMIT: usize = 32_766;

/// The longest text, blob or row, in bytes: 1 MiB and room for a key beside it.
pub const VALUE_LIMIT: usize = (1 << 20) + (64 << 10);

/// What all databases of the process may take together, in bytes: their caches, what queries sort
/// and collect, and databases in memory. A hostile query fails before the host does.
pub const HEAP_LIMIT: u64 = 1 << 30;

#[cfg(test)]
mod tests;
