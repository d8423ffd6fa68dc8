//! `sql`: statements for the service's database.

use wasmtime::Result;
use wasmtime::component::Resource;

use super::super::bindings::torsade::plugin::{sql, types};
use super::super::outbox::{Effect, Guest, OutcomeHandle};
use super::Asked;
use crate::capability::Outcome;
use crate::capability::sql::{Execution, Statement, Value};

impl sql::Host for Guest {
    fn query(&mut self, statement: sql::Statement) -> Result<Asked> {
        self.owns(size(&statement))?;
        let statement = Box::new(taken(statement));
        self.ask(|id| Effect::Query { id, statement })
    }

    fn queried(
        &mut self,
        of: Resource<OutcomeHandle>,
    ) -> Result<std::result::Result<sql::Rows, types::Failure>> {
        Ok(match self.take_outcome(&of)? {
            Outcome::Rows(rows) => Ok(sql::Rows {
                columns: rows.columns,
                rows: rows
                    .rows
                    .into_iter()
                    .map(|row| row.into_iter().map(given).collect())
                    .collect(),
            }),
            other => Err(self.not_wanted(other, "a query")?),
        })
    }

    fn execute(&mut self, statement: sql::Statement) -> Result<Asked> {
        self.owns(size(&statement))?;
        let statement = Box::new(taken(statement));
        self.ask(|id| Effect::Execute { id, statement })
    }

    fn executed(
        &mut self,
        of: Resource<OutcomeHandle>,
    ) -> Result<std::result::Result<sql::Execution, types::Failure>> {
        Ok(match self.take_outcome(&of)? {
            Outcome::Executed(done) => Ok(execution(&done)),
            other => Err(self.not_wanted(other, "an execution")?),
        })
    }

    fn batch(&mut self, statements: Vec<sql::Statement>) -> Result<Asked> {
        self.owns(statements.iter().map(size).sum())?;
        let statements = statements.into_iter().map(taken).collect();
        self.ask(|id| Effect::Batch { id, statements })
    }

    fn batched(
        &mut self,
        of: Resource<OutcomeHandle>,
    ) -> Result<std::result::Result<Vec<sql::Execution>, types::Failure>> {
        Ok(match self.take_outcome(&of)? {
            Outcome::Batched(done) => Ok(done.iter().map(execution).collect()),
            other => Err(self.not_wanted(other, "a batch")?),
        })
    }
}

/// What a statement takes of the host's memory, in bytes.
fn size(statement: &sql::Statement) -> usize {
    let values = statement.parameters.iter().map(|value| match value {
        sql::Value::Blob(bytes) => bytes.len(),
        sql::Value::Text(text) => text.len(),
        sql::Value::Integer(_) | sql::Value::Null | sql::Value::Real(_) => 0,
    });
    let places = statement.parameters.len().saturating_mul(size_of::<Value>());
    let itself = size_of::<Statement>().saturating_add(statement.text.len());
    values.fold(itself, usize::saturating_add).saturating_add(places)
}

fn taken(statement: sql::Statement) -> Statement {
    let value = |value| match value {
        sql::Value::Blob(bytes) => Value::Blob(bytes),
        sql::Value::Integer(number) => Value::Integer(number),
        sql::Value::Null => Value::Null,
        sql::Value::Real(number) => Value::Real(number),
        sql::Value::Text(text) => Value::Text(text),
    };
    let parameters = statement.parameters.into_iter().map(value).collect();
    Statement { text: statement.text, parameters }
}

fn given(value: Value) -> sql::Value {
    match value {
        Value::Blob(bytes) => sql::Value::Blob(bytes),
        Value::Integer(number) => sql::Value::Integer(number),
        Value::Null => sql::Value::Null,
        Value::Real(number) => sql::Value::Real(number),
        Value::Text(text) => sql::Value::Text(text),
    }
}

fn execution(done: &Execution) -> sql::Execution {
    sql::Execution { changes: done.changes, last_insert_rowid: done.last_insert_rowid }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::super::limits::Limits;
    use super::super::super::outbox::{Guest, LogLevel, Outbox};
    use super::sql::{self, Host};

    #[test]
    fn statements_without_text_take_room_in_the_outbox() {
        let limits = Limits {
            memory: 1 << 20,
            table_elements: 100,
            deadline: Duration::from_secs(1),
            start_deadline: Duration::from_secs(1),
            deferreds: 100,
            handles: 100,
            outbox: 1 << 20,
            write: 1 << 20,
            compile_time: Duration::from_secs(1),
            effects: 100,
        };
        let mut guest = Guest::new(Arc::new(limits));
        guest.outbox = Some(Box::new(Outbox::new([0; 32], LogLevel::Error)));
        let statement = sql::Statement { text: String::new(), parameters: Vec::new() };
        let many = vec![statement; 15_000];
        assert!(guest.batch(many.clone()).is_ok());
        assert!(guest.batch(many).is_err());
        assert_eq!(guest.usage.reached, Some("outbox"));
    }
}
