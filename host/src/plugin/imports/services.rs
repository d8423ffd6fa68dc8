//! What the host serves, as a plugin may know it.

use wasmtime::Result;

use crate::plugin::bindings::torsade::plugin::services::{self, Service};
use crate::plugin::outbox::Guest;

impl services::Host for Guest {
    fn services(&mut self) -> Result<Vec<Service>> {
        let all = self.services.iter();
        let service = |name: &String, endpoints: &Vec<String>| Service {
            name: name.clone(),
            endpoints: endpoints.clone(),
        };
        Ok(all.map(|served| service(&served.name, &served.endpoints)).collect())
    }
}
