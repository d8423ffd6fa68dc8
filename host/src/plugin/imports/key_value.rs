//! `key-value`: bytes by their keys, in the service's database.

use std::time::Duration;

use wasmtime::Result;
use wasmtime::component::Resource;

use super::super::bindings::torsade::plugin::{key_value, types};
use super::super::outbox::{Effect, Guest, OutcomeHandle};
use super::{Asked, Done};
use crate::capability::Outcome;
use crate::capability::operation::Operation;

impl key_value::Host for Guest {
    fn get(&mut self, key: Vec<u8>) -> Result<Asked> {
        self.ask_store(Operation::Get { key })
    }

    fn got(
        &mut self,
        of: Resource<OutcomeHandle>,
    ) -> Result<std::result::Result<Option<Vec<u8>>, types::Failure>> {
        Ok(match self.take_outcome(&of)? {
            Outcome::Got(value) => Ok(value),
            other => Err(self.not_wanted(other, "a value")?),
        })
    }

    fn set(&mut self, key: Vec<u8>, value: Vec<u8>, lifetime: Option<u64>) -> Result<Asked> {
        let lifetime = lifetime.map(Duration::from_nanos);
        self.ask_store(Operation::Set { key, value, lifetime })
    }

    fn delete(&mut self, key: Vec<u8>) -> Result<Asked> {
        self.ask_store(Operation::Delete { key })
    }

    fn done(&mut self, of: Resource<OutcomeHandle>) -> Result<Done> {
        Ok(match self.take_outcome(&of)? {
            Outcome::Done => Ok(()),
            other => Err(self.not_wanted(other, "a change of a key")?),
        })
    }

    fn compare_and_set(
        &mut self,
        key: Vec<u8>,
        expected: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        lifetime: Option<u64>,
    ) -> Result<Asked> {
        let lifetime = lifetime.map(Duration::from_nanos);
        self.ask_store(Operation::CompareAndSet { key, expected, value, lifetime })
    }

    fn compared(
        &mut self,
        of: Resource<OutcomeHandle>,
    ) -> Result<std::result::Result<bool, types::Failure>> {
        Ok(match self.take_outcome(&of)? {
            Outcome::Compared(set) => Ok(set),
            other => Err(self.not_wanted(other, "a comparison")?),
        })
    }

    fn scan(&mut self, start: Vec<u8>, end: Option<Vec<u8>>, most: u32) -> Result<Asked> {
        self.ask_store(Operation::Scan { start, end, most })
    }

    fn scanned(
        &mut self,
        of: Resource<OutcomeHandle>,
    ) -> Result<std::result::Result<Vec<key_value::Entry>, types::Failure>> {
        Ok(match self.take_outcome(&of)? {
            Outcome::Scanned(entries) => Ok(entries
                .into_iter()
                .map(|entry| key_value::Entry { key: entry.key, value: entry.value })
                .collect()),
            other => Err(self.not_wanted(other, "a scan")?),
        })
    }
}

impl Guest {
    fn ask_store(&mut self, operation: Operation) -> Result<Asked> {
        self.owns(operation.size())?;
        let operation = Box::new(operation);
        self.ask(|id| Effect::KeyValue { id, operation })
    }
}
