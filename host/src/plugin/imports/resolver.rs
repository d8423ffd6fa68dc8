//! `resolver`: names of hosts.

use std::net::SocketAddr;

use wasmtime::Result;
use wasmtime::component::Resource;

use super::super::bindings::torsade::plugin::{resolver, types};
use super::super::outbox::{Effect, Guest, OutcomeHandle};
use super::Asked;
use crate::capability::Outcome;
use crate::capability::resolver::Family;

impl resolver::Host for Guest {
    fn lookup(&mut self, name: String, family: resolver::Family) -> Result<Asked> {
        let family = match family {
            resolver::Family::Any => Family::Any,
            resolver::Family::Ipv4 => Family::Ipv4,
            resolver::Family::Ipv6 => Family::Ipv6,
        };
        self.ask_about(name.as_bytes(), |id, name| Effect::Lookup { id, name, family })
    }

    fn addresses(
        &mut self,
        of: Resource<OutcomeHandle>,
    ) -> Result<std::result::Result<Vec<String>, types::Failure>> {
        Ok(match self.take_outcome(&of)? {
            Outcome::Addresses(addresses) => Ok(addresses.iter().map(host).collect()),
            other => Err(self.not_wanted(other, "a lookup")?),
        })
    }
}

/// The address without its port, and for IPv6 with its scope, if it has one.
fn host(address: &SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
        _ => address.ip().to_string(),
    }
}
