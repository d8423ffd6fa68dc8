//! `jobs`: work that takes long, in an instance of its own.

use wasmtime::Result;
use wasmtime::component::Resource;

use super::super::bindings::torsade::plugin::{jobs, types};
use super::super::outbox::{Effect, Guest, OutcomeHandle};
use super::Asked;
use crate::capability::Outcome;

impl jobs::Host for Guest {
    fn run(&mut self, name: String, input: Vec<u8>) -> Result<Asked> {
        let (name, input) = (self.put(name.as_bytes())?, self.put(&input)?);
        self.ask(|id| Effect::Run { id, name, input })
    }

    fn output(
        &mut self,
        of: Resource<OutcomeHandle>,
    ) -> Result<std::result::Result<Vec<u8>, types::Failure>> {
        Ok(match self.take_outcome(&of)? {
            Outcome::Output(output) => Ok(output),
            other => Err(self.not_wanted(other, "a job")?),
        })
    }
}
