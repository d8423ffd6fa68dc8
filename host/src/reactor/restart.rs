//! When a plugin is started again that has failed: at once, then after waits that grow, and in the
//! end no more, while the services beside it go on.
//!
//! What counts is failures in a row: of instances that all connections share, as soon as they die
//! young; of those that each connection has its own of, only that they can't be started, as any
//! other failure is that of one connection.

use std::time::{Duration, Instant};

use super::listen::Listener;
use super::service::{Service, Standing};
use super::{Answer, Due, Reactor};
use crate::arena::Id;
use crate::net::Net;
use crate::plugin::Origin;
use crate::pool::Pool;

/// When a plugin is started again.
#[derive(Clone, Copy, Debug)]
pub struct Restarts {
    /// After so many failures in a row it isn't any more: the service is parked.
    pub most: usize,
    /// The longest wait before it is.
    pub longest: Duration,
}

/// A service's failures in a row, on one worker.
#[derive(Default)]
pub(super) struct Failures {
    count: usize,
    /// No instance is started before.
    until: Option<Instant>,
    /// None is started any more.
    pub(super) parked: bool,
}

impl Failures {
    /// An instance has shown that it can live.
    pub(super) fn forget(&mut self) {
        (self.count, self.until) = (0, None);
    }

    /// Counts a failure, and says how long to wait; `None` where it was one too many.
    fn another(&mut self, restarts: &Restarts, now: Instant) -> Option<Duration> {
        self.count += 1;
        self.parked = self.count > restarts.most;
        // The first is an accident.
        let doubled = u32::try_from(self.count).ok()?.checked_sub(2).map(|n| 1_u32 << n.min(20));
        let wait = doubled.map_or(Duration::ZERO, |times| FIRST_WAIT.saturating_mul(times));
        let wait = wait.min(restarts.longest);
        self.until = Some(now + wait);
        (!self.parked).then_some(wait)
    }
}

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// How long no instance of the service may be started; `None` where one may be now.
    pub(super) fn rests(&self, service: usize) -> Option<Duration> {
        let Failures { until, parked, .. } = self.services[service].failures;
        if parked {
            return Some(PARKED);
        }
        until.map(|until| until.saturating_duration_since(self.told)).filter(|wait| !wait.is_zero())
    }

    /// An instance of the service has failed: one that its connections share, which had lived so
    /// long, or one that could not be started.
    pub(super) fn count_failure(&mut self, number: usize, lived: Duration) {
        let service = &mut self.services[number];
        if lived >= HEALTHY {
            service.failures.forget();
        }
        let Restarts { most, .. } = service.settings.restarts;
        let name = &*service.settings.name;
        match service.failures.another(&service.settings.restarts, self.told) {
            Some(wait) => {
                if !wait.is_zero() {
                    tracing::warn!(service = name, "the plugin is started again in {wait:?}");
                }
                if !service.settings.per_connection {
                    self.add_timer(self.told + wait, Due::Restart(number));
                }
            }
            None => {
                tracing::error!(
                    service = name,
                    "the service is parked, as its plugin has failed more than {most} times in a \
                     row (limits.restarts); mend the plugin, and have the host reload (SIGHUP)"
                );
                self.reached(number, "restarts");
                self.park(number);
            }
        }
    }

    /// A shared instance may be started again, unless a connection has done so.
    pub(super) fn on_restart_due(&mut self, service: usize) {
        let Service { shared, standing, .. } = &self.services[service];
        let is_open = *standing == Standing::Open && !self.stopping;
        if shared.is_some() || !is_open {
            return;
        }
        match self.turn_of(service) {
            Some(wait) => self.add_timer(self.told + wait, Due::Restart(service)),
            None => drop(self.work_for(service, |reactor| reactor.shared_life(service))),
        }
    }

    /// Nobody serves the service any more on this worker: who comes is refused by the kernel.
    fn park(&mut self, service: usize) {
        let is_its = |listener: &Listener<N::Listener>| {
            listener.service == service && matches!(listener.origin, Origin::Accepted(_))
        };
        let listeners: Vec<Id<_>> = self.listeners.ids().collect();
        for id in listeners {
            if self.listeners.get(id).is_some_and(is_its) {
                self.close_listener(id);
            }
        }
        self.park_sockets(service);
    }
}

/// How long the second failure in a row has the next instance wait; each further one twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// When one may ask again for an instance of a parked service, to hear the same.
const PARKED: Duration = Duration::from_secs(3600);

/// A shared instance that has lived for so long has not failed in a row.
const HEALTHY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_longest_and_end_with_the_last_restart() {
        let restarts = Restarts { most: 6, longest: Duration::from_millis(700) };
        let (mut failures, now) = (Failures::default(), Instant::now());
        let mut wait = || failures.another(&restarts, now).map(|wait| wait.as_millis());
        let waits: Vec<_> = (0..7).map(|_| wait()).collect();
        assert_eq!(waits, [Some(0), Some(100), Some(200), Some(400), Some(700), Some(700), None]);
        assert!(failures.parked);
    }
}
