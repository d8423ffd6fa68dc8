//! Asks its database what its peer says: a line a command, of fields between tabs, each answered by
//! a line. [`Store::ask`] lists the commands, [`fields`] says how values are written, [`lines`] how
//! answers are. All lines of a chunk are asked at once, and answered as the answers come.
#![forbid(unsafe_code)]

mod fields;
mod lines;

use std::time::Duration;

use fields::{bytes, lifetime, statement, statements};
use torsade_guest::sql::{self, Statement};
use torsade_guest::{
    Deferred, Failure, NoConfig, Origin, Plugin, Protocol, Transport, Waiting, code, key_value,
    timers,
};

struct Server;

impl Plugin for Server {
    type Config = NoConfig;
    type Protocol = Store;

    fn start(_config: NoConfig) -> Result<Self, String> {
        Ok(Server)
    }

    fn build_protocol(&mut self, transport: Transport<Store>, _: Origin) -> Option<Store> {
        Some(Store { transport, rest: Vec::new(), asked: Vec::new() })
    }
}

struct Store {
    transport: Transport<Store>,
    /// A line that has not ended.
    rest: Vec<u8>,
    /// What was asked.
    asked: Vec<Waiting>,
}

impl Protocol for Store {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        self.rest.extend_from_slice(data);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]).into_owned();
            let fields: Vec<&str> = line.split('\t').collect();
            let waiting = match self.ask(&fields) {
                Ok(answer) => answer.call_on(&self.transport, Self::answered),
                Err(failure) => Deferred::fail(failure).call_on(&self.transport, Self::answered),
            };
            self.asked.push(waiting);
        }
        None
    }
}

impl Store {
    /// Asks what a line says, for the line that answers it.
    fn ask(&self, line: &[&str]) -> Result<Deferred<String>, Failure> {
        let answer = match line {
            ["query", words @ ..] => sql::query(&statement(words)?)?.map(lines::rows),
            ["execute", words @ ..] => sql::execute(&statement(words)?)?.map(lines::execution),
            ["batch", words @ ..] => sql::batch(&statements(words)?)?.map(lines::executions),
            ["batch of", count, words @ ..] => {
                sql::batch(&vec![statement(words)?; fields::count(count)?])?.map(lines::executions)
            }
            ["cancel", words @ ..] => cancelled(sql::query(&statement(words)?)?.map(lines::rows))?,
            ["cancel execute", words @ ..] => {
                cancelled(sql::execute(&statement(words)?)?.map(lines::execution))?
            }
            ["drop", words @ ..] => {
                drop(sql::query(&statement(words)?)?);
                Deferred::succeed("dropped".into())
            }
            ["flood", count] => flood(fields::count(count)?),
            ["get", key] => key_value::get(&bytes(key)?)?.map(lines::value),
            ["set", key, value, rest @ ..] => {
                key_value::set(&bytes(key)?, &bytes(value)?, lifetime(rest)?)?.map(lines::done)
            }
            ["delete", key] => key_value::delete(&bytes(key)?)?.map(lines::done),
            ["compare and set", key, expected, value, rest @ ..] => {
                let (expected, value) = (fields::optional(expected)?, fields::optional(value)?);
                let (expected, value) = (expected.as_deref(), value.as_deref());
                key_value::compare_and_set(&bytes(key)?, expected, value, lifetime(rest)?)?
                    .map(|was_set| was_set.to_string())
            }
            ["scan", start, end, most] => {
                let end = fields::optional(end)?;
                let most = u32::try_from(fields::count(most)?).unwrap_or(u32::MAX);
                key_value::scan(&bytes(start)?, end.as_deref(), most)?.map(lines::entries)
            }
            _ => return Err(Failure::new(code::UNSUPPORTED, "there is no such command")),
        };
        Ok(answer)
    }

    fn answered(&mut self, answer: Result<String, Failure>) -> Option<Waiting> {
        let line = answer.unwrap_or_else(|Failure { code, message }| format!("{code}\t{message}"));
        self.transport.write(format!("{line}\n").as_bytes());
        None
    }
}

/// The same, cancelled after a moment.
fn cancelled(mut answer: Deferred<String>) -> Result<Deferred<String>, Failure> {
    let canceller = answer.canceller();
    timers::after(Duration::from_millis(50))?.map(move |()| canceller.cancel()).detach();
    Ok(answer)
}

/// Asks so many questions at once; tells how many were answered, and how many could not be asked.
fn flood(count: usize) -> Deferred<String> {
    let ask = |_| sql::query(&Statement::new("SELECT 1"));
    let (asked, refused): (Vec<_>, Vec<_>) = (0..count).map(ask).partition(Result::is_ok);
    let is_limit = |failure: &Failure| failure.code == code::LIMIT;
    let limits = refused.iter().filter(|asked| asked.as_ref().err().is_some_and(is_limit)).count();
    let asked: Vec<_> = asked.into_iter().flatten().collect();
    let answered = Deferred::gather(asked);
    answered.map(move |rows| format!("{}\t{limits}", rows.len()))
}

torsade_guest::export!(Server);

#[cfg(test)]
mod tests {
    use torsade_guest::sql::Value;

    use super::{fields, lines};

    #[test]
    fn values_are_read_as_they_are_written() {
        for word in ["null", "integer -5", "real 1.5", "text a b", "blob 00ff"] {
            let value = fields::value(word).unwrap();
            assert_eq!(lines::shown(&value), word);
        }
        assert_eq!(fields::value("text*3"), Ok(Value::Text("aaa".into())));
        assert_eq!(fields::value("blob*2"), Ok(Value::Blob(vec![b'a'; 2])));
        assert!(fields::value("integer x").is_err());
    }
}
