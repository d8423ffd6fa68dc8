//! `client-endpoints` and `server-endpoints`: connections and listeners that a plugin asks for.

use wasmtime::Result;
use wasmtime::component::Resource;

use super::super::bindings::torsade::plugin::{client_endpoints, server_endpoints, types};
use super::super::outbox::{Effect, Guest, ListenerHandle, OutcomeHandle};
use super::{Asked, Done, address};
use crate::capability::Outcome;

impl client_endpoints::Host for Guest {
    fn connect(&mut self, endpoint: String) -> Result<Asked> {
        self.ask_about(endpoint.as_bytes(), |id, endpoint| Effect::Connect { id, endpoint })
    }

    fn connected(&mut self, of: Resource<OutcomeHandle>) -> Result<Done> {
        Ok(match self.take_outcome(&of)? {
            Outcome::Connected { .. } => Ok(()),
            other => Err(self.not_wanted(other, "a connection")?),
        })
    }
}

impl server_endpoints::Host for Guest {
    fn listen(&mut self, endpoint: String) -> Result<Asked> {
        self.ask_about(endpoint.as_bytes(), |id, endpoint| Effect::Listen { id, endpoint })
    }

    fn listening(
        &mut self,
        of: Resource<OutcomeHandle>,
    ) -> Result<std::result::Result<Resource<ListenerHandle>, types::Failure>> {
        match self.take_outcome(&of)? {
            Outcome::Listening { listener, address } => {
                self.may_hold_another()?;
                Ok(Ok(self.listeners.push(ListenerHandle { listener, address })))
            }
            other => Ok(Err(self.not_wanted(other, "a listener")?)),
        }
    }
}

impl server_endpoints::HostListener for Guest {
    fn address(&mut self, this: Resource<ListenerHandle>) -> Result<types::Address> {
        Ok(address(&self.listeners.get(&this)?.address))
    }

    fn drop(&mut self, this: Resource<ListenerHandle>) -> Result<()> {
        let ListenerHandle { listener, .. } = self.listeners.take(&this)?;
        self.record(Effect::StopListening { listener })
    }
}
