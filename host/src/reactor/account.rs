//! What is counted of each service, for those who ask from outside.
//!
//! A worker adds to plain numbers that nobody else sees. Only who asks has them copied, between two
//! turns, so that the path of a byte has no lock, no atomic, and no line of memory that another
//! core writes to.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::life::Life;
use super::service::ServiceSettings;
use super::{Answer, Reactor};
use crate::arena::Id;
use crate::figures::{Count, Figures};
use crate::net::Net;
use crate::plugin::Origin;
use crate::pool::Pool;
use crate::tally::Tally;
use crate::transport::endpoint::Endpoint;

/// What a worker knows of a service, under the service's name: what serves it now, and what was
/// counted since it was first served here.
#[derive(Clone)]
pub struct Account {
    /// The service's name.
    pub name: Arc<str>,
    /// The plugin's file or folder.
    pub plugin: Arc<str>,
    /// Where it listens.
    pub endpoints: Arc<[Endpoint]>,
    /// The CPU time that one event may take.
    pub deadline: Duration,
    /// How often its limits were reached, over all workers.
    pub tally: Arc<Tally>,
    /// When it was first served.
    pub since: SystemTime,
    /// What this worker has counted.
    pub figures: Figures,
}

/// What a reactor has counted.
#[derive(Clone)]
pub struct Told {
    /// How many turns there were.
    pub turns: u64,
    /// How long it was at work, and did not wait.
    pub busy: Duration,
    /// The services that it serves, or whose connections have not ended.
    pub services: Vec<Account>,
}

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// What was counted so far. From the first call on events are timed, which costs each of them
    /// two looks at the clock.
    pub fn tell(&mut self) -> Told {
        self.lent().stopwatch = N::clock();
        let is_served = |place| self.services.iter().any(|(_, service)| service.account == place);
        let accounts = self.accounts.iter().enumerate();
        let served = accounts.filter(|(place, _)| is_served(*place)).map(|(_, account)| account);
        let lived = self.net.now().saturating_duration_since(self.started);
        Told {
            turns: self.turns,
            busy: lived.saturating_sub(self.waited),
            services: served.cloned().collect(),
        }
    }

    /// The place of a service's account. One whose name was served before goes on with its numbers.
    pub(super) fn account_for(&mut self, settings: &ServiceSettings) -> usize {
        let known = self.accounts.iter().position(|account| account.name == settings.name);
        let before = known.map(|place| &mut self.accounts[place]);
        let (since, figures) = match before {
            Some(account) => (account.since, mem::take(&mut account.figures)),
            None => (self.net.wall(), Figures::default()),
        };
        let account = Account {
            name: Arc::clone(&settings.name),
            plugin: Arc::clone(&settings.plugin_name),
            endpoints: Arc::clone(&settings.endpoints),
            deadline: settings.limits.deadline,
            tally: Arc::clone(&settings.tally),
            since,
            figures,
        };
        match known {
            Some(place) => self.accounts[place] = account,
            None => self.accounts.push(account),
        }
        known.unwrap_or(self.accounts.len() - 1)
    }

    /// What is counted of a service.
    pub(super) fn figures(&mut self, service: usize) -> &mut Figures {
        &mut self.accounts[self.services[service].account].figures
    }

    /// A connection of the service has begun.
    pub(super) fn count_opened(&mut self, service: usize, origin: Origin) {
        let (made, open) = kinds(origin);
        let figures = self.figures(service);
        figures[made] += 1;
        figures[open] += 1;
    }

    /// One has ended, and had sent so much since that was last counted.
    pub(super) fn count_closed(&mut self, service: usize, origin: Origin, sent: u64) {
        let figures = self.figures(service);
        figures[kinds(origin).1] -= 1;
        figures[Count::BytesSent] += sent;
    }

    /// An event of a life is over.
    pub(super) fn count_event(&mut self, id: Id<Life>) {
        let event = self.lent().event;
        let Some(life) = self.lives.get_mut(id) else { return };
        let memory = life.instance.memory() as u64;
        let (service, before) = (life.service, mem::replace(&mut life.memory, memory));
        let figures = self.figures(service);
        figures.count_event(event);
        figures[Count::Memory] += memory;
        figures[Count::Memory] -= before;
    }

    /// A life has ended.
    pub(super) fn count_ended(&mut self, life: &Life) {
        let figures = self.figures(life.service);
        figures[Count::Memory] -= life.memory;
        figures[Count::Sandboxes] -= 1;
    }
}

/// As what a connection counts, in all and while it is open.
fn kinds(origin: Origin) -> (Count, Count) {
    match origin {
        Origin::Accepted(_) | Origin::Arrived(_) => (Count::Accepted, Count::Open),
        Origin::Dialled(_) => (Count::Dialled, Count::DialledOpen),
    }
}
