//! What is reached of a service's limits: counted, and told to the log once a minute for each.

use super::{Answer, Reactor};
use crate::net::Net;
use crate::pool::Pool;

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// The limit with this key was reached.
    pub(super) fn reached(&mut self, service: usize, key: &'static str) {
        self.reached_times(service, key, 1);
    }

    /// The same, so often at once.
    pub(super) fn reached_times(&mut self, service: usize, key: &'static str, times: u64) {
        let service = &mut self.services[service];
        service.settings.tally.count(key, times);
        let quiet = service.reached.entry(key).or_default();
        if let Some(count) = quiet.happened(times, self.told) {
            let name = &*service.settings.name;
            let times = if count == 1 { String::new() } else { format!(", {count} times") };
            tracing::warn!(service = name, "limits.{key} is reached{times}");
        }
    }
}
