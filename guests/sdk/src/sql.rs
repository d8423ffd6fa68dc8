//! A database of the service's own (SQLite). A plugin that uses this module needs the grant `sql`.
//!
//! ```no_run
//! use torsade_guest::sql::{self, Statement};
//!
//! # fn f() -> Result<(), torsade_guest::Failure> {
//! let posts = sql::query(&Statement::new("SELECT text FROM posts WHERE id < ?").with(7))?;
//! # drop(posts); Ok(()) }
//! ```
//!
//! A transaction is a [`batch`]:
//!
//! ```no_run
//! use torsade_guest::sql::{self, Statement, Value};
//! use torsade_guest::{Failure, code};
//!
//! /// Moves a sum from one account to another, and says how much is left.
//! async fn pay(from: &str, to: &str, sum: i64) -> Result<i64, Failure> {
//!     let add = |name: &str, sum: i64| {
//!         Statement::new("UPDATE accounts SET sum = sum + ? WHERE name = ?").with(sum).with(name)
//!     };
//!     sql::batch(&[add(from, -sum), add(to, sum)])?.await?;
//!     let left = Statement::new("SELECT sum FROM accounts WHERE name = ?").with(from);
//!     let rows = sql::query(&left)?.await?.rows;
//!     match rows.first().map(Vec::as_slice) {
//!         Some([Value::Integer(left)]) => Ok(*left),
//!         _ => Err(Failure::new(code::NOT_FOUND, format!("{from:?} has no account"))),
//!     }
//! }
//! ```

use crate::bindings::torsade::plugin::sql as host;
use crate::deferred::Deferred;
use crate::testing::Question;
use crate::types::Failure;

pub use crate::bindings::torsade::plugin::sql::{Execution, Rows, Statement, Value};

/// Runs a statement that only reads, beside a writer and other readers. Cancelling or dropping the
/// deferred interrupts the query.
///
/// The deferred fails with [`SQL`](crate::code::SQL), [`INVALID`](crate::code::INVALID),
/// [`DENIED`](crate::code::DENIED), [`LIMIT`](crate::code::LIMIT),
/// [`TIMED_OUT`](crate::code::TIMED_OUT) or [`IO`](crate::code::IO).
///
/// # Errors
/// [`LIMIT`](crate::code::LIMIT) where the service's `deferreds` are all in flight.
pub fn query(statement: &Statement) -> Result<Deferred<Rows>, Failure> {
    let question = || Question::Query(statement.clone());
    Deferred::ask(question, || host::query(statement), host::queried)
}

/// Runs a statement that changes something. It is on the disk when the deferred fires. Cancelling
/// or dropping the deferred interrupts it, and then nothing of it is done, unless it was done
/// already.
///
/// The deferred fails as that of [`query`], and with [`CONFLICT`](crate::code::CONFLICT) where a
/// constraint is violated.
///
/// # Errors
/// [`LIMIT`](crate::code::LIMIT) where the service's `deferreds` are all in flight.
pub fn execute(statement: &Statement) -> Result<Deferred<Execution>, Failure> {
    let question = || Question::Execute(statement.clone());
    Deferred::ask(question, || host::execute(statement), host::executed)
}

/// Runs at most 1,000 statements as one transaction: all of them, or none.
///
/// The deferred fails as that of [`execute`]; the message tells which statement failed.
///
/// # Errors
/// [`LIMIT`](crate::code::LIMIT) where the service's `deferreds` are all in flight.
pub fn batch(statements: &[Statement]) -> Result<Deferred<Vec<Execution>>, Failure> {
    let question = || Question::Batch(statements.to_vec());
    Deferred::ask(question, || host::batch(statements), host::batched)
}

impl Statement {
    /// A statement without parameters.
    pub fn new(text: impl Into<String>) -> Self {
        Statement { text: text.into(), parameters: Vec::new() }
    }

    /// The same with one more parameter.
    #[must_use]
    pub fn with(mut self, value: impl Into<Value>) -> Self {
        self.parameters.push(value.into());
        self
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Integer(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Real(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Value::Blob(bytes)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::{Statement, Value};

    #[test]
    fn parameters_come_in_order() {
        let statement = Statement::new("?, ?, ?").with(1).with("two").with(None::<f64>);
        let expected = [Value::Integer(1), Value::Text("two".into()), Value::Null];
        assert_eq!(statement.parameters, expected);
    }
}
