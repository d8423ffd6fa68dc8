//! From what is served to what a new configuration wants served: all of it is made and checked beside
//! what runs, and only then does anything change.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};

use super::control::Changes;
use super::heed;
use super::load::{database, load, open_databases, try_out};
use super::plan::{Places, Plan, Running};
use super::room::{raised_walls, share_files};
use super::users::open_users;
use super::{Goal, MadeUsers, cores, tell_services, tls};
use crate::capability::credentials::Memory;
use crate::capability::sql::Source;
use crate::config::{Config, Service};
use crate::grants::Grant;
use crate::net::os::Inherited;
use crate::plugin::Engines;
use crate::reactor::ServiceSettings;
use crate::transport::tls::watch::Watch;
use crate::worker::Number;

/// What a server serves.
#[derive(Clone)]
pub(super) struct State {
    /// How often it has changed.
    pub(super) version: u64,
    /// The configuration of what is served.
    pub(super) config: Config,
    /// The services, in its order.
    pub(super) running: Vec<Running>,
    pub(super) engines: Engines,
    /// What the engines were made for.
    pub(super) goal: Goal,
    /// Whether the walls carry less than that.
    pub(super) is_walled: bool,
    /// What hashes of passwords are computed in.
    pub(super) memory: Arc<Memory>,
    /// How many workers there are.
    pub(super) workers: usize,
    /// The first of those that the next service gets.
    pub(super) first: usize,
    /// The next service's number.
    pub(super) next: Number,
}

/// A state that can be served at once.
pub(super) struct Staged {
    pub(super) changes: Changes,
    /// What it will be, with the version that it comes from.
    pub(super) state: State,
    /// The services that are new, or changed.
    pub(super) plans: Vec<Plan>,
    /// Those that go: with their grace, unless others take their place.
    pub(super) leaving: Vec<(Number, Option<Duration>)>,
    /// What is to be looked after of those that come.
    pub(super) watches: Vec<(Number, Watch)>,
}

/// The services of a new configuration.
struct Sorted {
    /// Those that are served as they are to be.
    kept: Vec<Running>,
    /// The others.
    fresh: Config,
    /// Their plugins' bytes.
    plugins: Vec<Arc<[u8]>>,
}

impl State {
    /// Makes all that a configuration wants and that isn't there. Adds to `made` the users that it
    /// has made, also where it then fails.
    ///
    /// # Errors
    /// Names the service and what would be right.
    pub(super) fn stage(
        mut self,
        config: &Config,
        plugins: Vec<Vec<u8>>,
        made: &mut Vec<MadeUsers>,
    ) -> Result<Staged> {
        let config = heed(config, &plugins)?;
        check_host(&self.config, &config)?;
        let Sorted { kept, fresh, plugins } = self.sort(&config, plugins);
        let (settings, watches) = self.settings(&config, &fresh, &plugins, made)?;
        let stays = |it: &&Running| kept.iter().any(|kept| kept.number == it.number);
        let left: Vec<_> = self.running.iter().filter(|it| !stays(it)).collect();
        let mut inherited = Inherited::default();
        let mut places = Places::of(self.workers, &mut inherited);
        (places.first, places.next, places.leaving) = (self.first, self.next, left.clone());
        let each = fresh.services.iter().zip(settings).zip(plugins);
        let mut plans = each
            .map(|((service, settings), plugin)| places.plan(service, settings, plugin))
            .collect::<Result<Vec<_>>>()?;
        (self.first, self.next) = (places.first, places.next);
        let changes = self.changes(&config, &plans);
        let goes = |name: &String| changes.removed.contains(name).then_some(config.grace);
        let leaving = left.iter().map(|it| (it.number, goes(&it.service.name))).collect();
        let shown = in_order(&config, &plans, &kept).iter().map(Running::shown).collect::<Vec<_>>();
        tell_services(&mut plans, shown);
        let watches = plans.iter().map(|plan| plan.running.number).zip(watches).collect();
        let running = in_order(&config, &plans, &kept);
        Ok(Staged { changes, state: Self { config, running, ..self }, plans, leaving, watches })
    }

    /// What stays as it is, and what has to be made.
    fn sort(&self, config: &Config, plugins: Vec<Vec<u8>>) -> Sorted {
        let facts_differ = self.facts_differ(config);
        let mut fresh = config.clone();
        fresh.services.clear();
        let mut sorted = Sorted { kept: Vec::new(), fresh, plugins: Vec::new() };
        for (service, plugin) in config.services.iter().zip(plugins) {
            let tells = facts_differ && service.grants.allows(Grant::Services);
            let same = self.running(&service.name).filter(|running| {
                !tells && *running.plugin == *plugin && are_same(&running.service, service)
            });
            if let Some(running) = same {
                sorted.kept.push(running.clone());
            } else {
                sorted.fresh.services.push(service.clone());
                sorted.plugins.push(plugin.into());
            }
        }
        sorted
    }

    fn changes(&self, config: &Config, plans: &[Plan]) -> Changes {
        let name = |running: &Running| running.service.name.clone();
        let planned = plans.iter().map(|plan| name(&plan.running));
        let (swapped, added) = planned.partition(|name| self.running(name).is_some());
        let is_wanted = |name: &String| config.services.iter().any(|other| other.name == *name);
        let removed = self.running.iter().map(name).filter(|name| !is_wanted(name)).collect();
        Changes { added, removed, swapped }
    }

    fn running(&self, name: &str) -> Option<&Running> {
        self.running.iter().find(|running| running.service.name == name)
    }

    /// Whether plugins that may know what is served would be told something else.
    fn facts_differ(&self, config: &Config) -> bool {
        let facts = |service: &Service| (service.name.clone(), service.listen.clone());
        let before = self.running.iter().map(|running| facts(&running.service));
        !before.eq(config.services.iter().map(facts))
    }

    /// Loads and tries out the services that are not served as they are to be. What only one of a
    /// service's lives may have, or what counts for all of them, is handed on.
    fn settings(
        &self,
        config: &Config,
        fresh: &Config,
        plugins: &[Arc<[u8]>],
        made: &mut Vec<MadeUsers>,
    ) -> Result<(Vec<ServiceSettings>, Vec<Watch>)> {
        let walls = raised_walls();
        let goal = Goal::of(config, &walls);
        // Services that are removed have their slots until their grace is over.
        let mut with_removed = config.clone();
        let is_wanted = |it: &&Service| config.services.iter().any(|other| other.name == it.name);
        let removed = self.running.iter().map(|it| &it.service).filter(|it| !is_wanted(it));
        with_removed.services.extend(removed.cloned());
        let slots = Goal::of(&with_removed, &walls).fits(&self.goal, self.is_walled);
        if !slots && !fresh.services.is_empty() {
            tracing::warn!(
                "the pool of sandboxes is as large as at the start of the host: what has changed \
                 gets memory on demand until it is started again"
            );
        }
        let mut settings = load(fresh, plugins, &self.engines, slots, &mut Vec::new())?;
        share_files(&goal, &walls, settings.iter_mut());
        for (service, settings) in fresh.services.iter().zip(&mut settings) {
            if let Some(before) = self.running(&service.name) {
                self.hand_on(before, fresh, service, settings);
            }
        }
        let watches = tls::encrypt(fresh, &mut settings, true)?;
        try_out(fresh, settings.iter_mut())?;
        open_users(fresh, settings.iter_mut(), &self.memory, Some(made))?;
        open_databases(fresh, settings.iter_mut())?;
        Ok((settings, watches))
    }

    /// Hands on what a service has to the one that takes its place: who is counted, and a database
    /// in memory, or in a file that is open already.
    fn hand_on(
        &self,
        before: &Running,
        config: &Config,
        service: &Service,
        settings: &mut ServiceSettings,
    ) {
        let Running { settings: old, service: was, .. } = before;
        settings.tally = Arc::clone(&old.tally);
        let census = std::mem::replace(&mut settings.census, Arc::clone(&old.census));
        if let Some(census) = Arc::into_inner(census) {
            settings.census = Arc::new(census.succeeding(&old.census));
        }
        let (had, wants) = (database(&self.config, was), database(config, service));
        if let (Some((at, had)), Some((wanted, limits))) = (had, wants)
            && at == wanted
            && (had == limits || at == Source::Memory)
        {
            settings.database = old.database.clone().map(|database| database.within(limits));
        }
    }
}

/// All services that will be served, as the configuration has them.
fn in_order(config: &Config, plans: &[Plan], kept: &[Running]) -> Vec<Running> {
    let all = plans.iter().map(|plan| &plan.running).chain(kept);
    let named = |service: &Service| {
        all.clone().find(|running| running.service.name == service.name).cloned()
    };
    config.services.iter().filter_map(named).collect()
}

/// Whether two services are the same but for where they stand in the file.
fn are_same(running: &Service, service: &Service) -> bool {
    let limit_lines = running.limit_lines.clone();
    *running == Service { limit_lines, ..service.clone() }
}

/// Refuses what only a new start of the host can change.
fn check_host(before: &Config, after: &Config) -> Result<()> {
    let workers = |config: &Config| config.workers.unwrap_or_else(cores);
    let key = if workers(before) != workers(after) {
        "workers"
    } else if before.user != after.user {
        "user, group"
    } else if before.state != after.state {
        "state"
    } else if before.log != after.log {
        "log"
    } else if before.log_format != after.log_format {
        "log-format"
    } else if before.admin != after.admin {
        "admin"
    } else if before.metrics != after.metrics {
        "metrics"
    } else {
        return Ok(());
    };
    bail!("{key}: can't change while the host serves; restart it, or leave it as it was")
}
