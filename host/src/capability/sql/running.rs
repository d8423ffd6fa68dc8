//! A connection while one piece of work runs on it, which can be stopped and ends in order.

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Batch, Connection, Error, Row, ToSql};

use super::super::Failure;
use super::guard::Author;
use super::session::{self, LOCKED, OPERATIONS, Session};
use super::slots::{Taken, Watch};
use super::{
    Execution, PARAMETERS_LIMIT, Rows, STATEMENT_LIMIT, SqlLimits, Statement, VALUE_BYTES,
    VALUE_LIMIT, Value,
};

/// Has a connection to itself. Dropping it ends an open transaction without a trace.
pub(in super::super) struct Running<'a> {
    session: Taken<'a, Session>,
    watch: Watch,
}

impl<'a> Running<'a> {
    /// Takes the connection for work that ends when `watch` is over.
    pub(super) fn new(mut session: Taken<'a, Session>, watch: Watch) -> Result<Self, Failure> {
        let connection = &mut session.connection;
        let of_work = watch.clone();
        let in_progress = move || of_work.over().is_some();
        connection
            .progress_handler(OPERATIONS, Some(in_progress))
            .map_err(|e| session::failure(&e))?;
        let of_work = watch.clone();
        let locked = move |_: i32| {
            std::thread::sleep(LOCKED);
            of_work.over().is_none()
        };
        connection.busy_handler(Some(locked)).map_err(|e| session::failure(&e))?;
        Ok(Self { session, watch })
    }

    /// Runs a plugin's statement that only reads.
    pub(super) fn query(&self, statement: &Statement, limits: &SqlLimits) -> Result<Rows, Failure> {
        let mut prepared = self.prepare(statement)?;
        if !prepared.readonly() {
            let message = "the statement changes the database: execute takes it";
            return Err(Failure::new("invalid", message));
        }
        let columns = columns(&prepared)?;
        let mut found = Vec::new();
        let mut bytes = 0;
        let mut rows = prepared.raw_query();
        while let Some(row) = rows.next().map_err(|e| self.failure(&e))? {
            if found.len() == limits.rows {
                let most = limits.rows;
                return Err(Failure::limit(
                    "rows",
                    format_args!("there are more than {most} rows"),
                ));
            }
            found.push(values(row, columns.len(), &mut bytes, limits.row_bytes)?);
        }
        Ok(Rows { columns, rows: found })
    }

    /// Runs a plugin's statement that may change something.
    pub(super) fn execute(&self, statement: &Statement) -> Result<Execution, Failure> {
        let connection = &self.session.connection;
        let mut prepared = self.prepare(statement)?;
        let before = connection.total_changes();
        let mut rows = prepared.raw_query();
        while rows.next().map_err(|e| self.failure(&e))?.is_some() {}
        // What didn't count its rows leaves the number of an earlier statement.
        let counted = connection.total_changes() != before;
        Ok(Execution {
            changes: if counted { connection.changes() } else { 0 },
            last_insert_rowid: connection.last_insert_rowid(),
        })
    }

    /// Begins a transaction that writes.
    pub(in super::super) fn begin(&self) -> Result<(), Failure> {
        self.session.control("BEGIN IMMEDIATE").map_err(|e| self.failure(&e))
    }

    /// Ends the transaction; what it did stays.
    pub(in super::super) fn commit(mut self) -> Result<(), Failure> {
        if let Some(failure) = self.watch.over() {
            return Err(failure);
        }
        // From here on it either fails or is done: nobody stops it half-way.
        self.unwatch();
        self.session.control("COMMIT").map_err(|e| self.failure(&e))
    }

    /// The connection, for statements of the host's own. None of a plugin's may follow.
    pub(in super::super) fn host(&self) -> &Connection {
        self.session.guard.set_author(Author::Host);
        &self.session.connection
    }

    /// What SQLite said, in the contract's words.
    pub(in super::super) fn failure(&self, error: &Error) -> Failure {
        if let Error::SqliteFailure(error, _) = error
            && INTERRUPTED.contains(&error.code)
            && let Some(failure) = self.watch.over()
        {
            return failure;
        }
        // SQLite has several codes and words for a refusal, and none says what was refused.
        match self.session.guard.refused() {
            Some(refused) => Failure::new("denied", refused),
            None => session::failure(error),
        }
    }

    /// Prepares a plugin's statement and binds its values.
    fn prepare(&self, statement: &Statement) -> Result<rusqlite::Statement<'_>, Failure> {
        let Statement { text, parameters } = statement;
        if text.len() > STATEMENT_LIMIT {
            let message = format!("a statement has at most {STATEMENT_LIMIT} bytes");
            return Err(Failure::new("limit", message));
        }
        let invalid = |message: &str| Err(Failure::new("invalid", message));
        if text.contains('\0') {
            return invalid("a statement has no zero bytes");
        }
        self.session.guard.set_author(Author::Plugin);
        // Not `Connection::prepare`: it goes down the stack for each statement that follows.
        let mut statements = Batch::new(&self.session.connection, text);
        let Some(mut prepared) = statements.next().map_err(|e| self.failure(&e))? else {
            return invalid("there is no statement in the text");
        };
        if !matches!(statements.next(), Ok(None)) {
            return invalid("something follows the statement: a text holds one, a batch many");
        }
        let wanted = prepared.parameter_count();
        if parameters.len() != wanted {
            let given = parameters.len();
            return invalid(&format!("it has {wanted} parameters, and {given} were given"));
        }
        debug_assert!(wanted <= PARAMETERS_LIMIT, "SQLite has been told of the limit");
        for (number, value) in (1..).zip(parameters) {
            prepared.raw_bind_parameter(number, value).map_err(|e| self.failure(&e))?;
        }
        Ok(prepared)
    }

    fn unwatch(&mut self) {
        if let Err(error) = self.session.connection.progress_handler(0, None::<fn() -> bool>) {
            tracing::error!(%error, "a finished query of SQL is still watched");
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.unwatch();
        if !self.session.connection.is_autocommit()
            && let Err(error) = self.session.control("ROLLBACK")
        {
            tracing::error!(%error, "a transaction can't be rolled back");
        }
        self.session.guard.set_author(Author::Plugin);
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Blob(bytes) => ValueRef::Blob(bytes),
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Null => ValueRef::Null,
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

/// The columns' names, each of which may be as long as a statement.
fn columns(prepared: &rusqlite::Statement<'_>) -> Result<Vec<String>, Failure> {
    let bytes: usize = prepared.column_names().map(str::len).sum();
    if bytes > VALUE_LIMIT {
        let message = format!("the columns' names have more than {VALUE_LIMIT} bytes");
        return Err(Failure::new("limit", message));
    }
    Ok(prepared.column_names().map(str::to_owned).collect())
}

/// A row's values. `bytes` is what all rows have come to, and may become `most`.
fn values(
    row: &Row<'_>,
    columns: usize,
    bytes: &mut usize,
    most: usize,
) -> Result<Vec<Value>, Failure> {
    let mut values = Vec::with_capacity(columns);
    for column in 0..columns {
        let value = row.get_ref(column).map_err(|e| session::failure(&e))?;
        let length = match value {
            ValueRef::Blob(bytes) | ValueRef::Text(bytes) => bytes.len(),
            ValueRef::Integer(_) | ValueRef::Null | ValueRef::Real(_) => 0,
        };
        *bytes += VALUE_BYTES + length;
        if *bytes > most {
            let what = format_args!("the rows have more than {most} bytes");
            return Err(Failure::limit("row-bytes", what));
        }
        values.push(match value {
            ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
            ValueRef::Integer(number) => Value::Integer(number),
            ValueRef::Null => Value::Null,
            ValueRef::Real(number) => Value::Real(number),
            // SQLite lets any bytes be text. Those that aren't are handed on as what they are.
            ValueRef::Text(bytes) => match str::from_utf8(bytes) {
                Ok(text) => Value::Text(text.to_owned()),
                Err(_) => Value::Blob(bytes.to_vec()),
            },
        });
    }
    Ok(values)
}

/// What SQLite says when the watch has ended a statement, or the wait for another program.
const INTERRUPTED: [rusqlite::ffi::ErrorCode; 3] = [
    rusqlite::ffi::ErrorCode::DatabaseBusy,
    rusqlite::ffi::ErrorCode::DatabaseLocked,
    rusqlite::ffi::ErrorCode::OperationInterrupted,
];
