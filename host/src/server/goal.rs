//! What the limits of a configuration's services add up to, and what that takes of the system.

use super::cores;
use crate::config::{Config, Limits, Service};
use crate::net::os;
use crate::plugin::{EnginesConfig, Footprint, Metering};
use crate::transport::endpoint::{BACKLOG_DEFAULT, Endpoint};
use crate::walls::{Carried, Demand, Height, Kind, Wall, Walls};

/// What services may come to use, all together.
#[derive(Clone, Debug)]
pub struct Goal {
    /// Connections, those counted twice whose plugin dials another for each.
    pub connections: usize,
    /// Files that workers keep open.
    pub files: u64,
    /// Descriptors of workers, listeners and databases.
    pub others: u64,
    /// Sandboxes in pooled slots.
    pub pooled: Demand,
    /// Sandboxes with memory on demand.
    pub on_demand: Demand,
    /// Memory of all connections and sandboxes while they do nothing, in bytes.
    pub idle_memory: u64,
    /// Memory of all sandboxes once each has all that it may have, in bytes.
    pub most_memory: u64,
    /// The largest `backlog` of its endpoints.
    pub backlog: u32,
    /// The configuration says itself how many sandboxes, connections or files there may be.
    pub is_said: bool,
    engines: EnginesConfig,
}

/// What one service asks for.
struct Asked<'a> {
    limits: &'a Limits,
    per_connection: bool,
    workers: usize,
    listens: usize,
    dials: bool,
    files: bool,
    database: bool,
}

impl Goal {
    /// That of a configuration.
    pub fn of(config: &Config, walls: &Walls) -> Self {
        let all = config.workers.unwrap_or_else(cores);
        let elements = config.services.iter().map(|s| s.limits.table_elements).max().unwrap_or(0);
        let asked = |service: &Service, goal: &mut Self| {
            goal.add(&Asked {
                limits: &service.limits,
                per_connection: service.is_per_connection(),
                workers: service.workers.unwrap_or(all).min(all),
                listens: service.listen.len(),
                dials: !service.grants.connect.is_empty(),
                files: service.grants.files.is_some(),
                database: service.grants.database().is_some(),
            });
        };
        let mut goal = Self::nothing(walls, all, elements);
        for service in &config.services {
            asked(service, &mut goal);
            let says = |key| service.limit_lines.contains_key(key);
            goal.is_said |= ["instances", "connections", "cached-files"].into_iter().any(says);
            let backlogs = service.listen.iter().filter_map(Endpoint::backlog);
            goal.backlog = backlogs.fold(goal.backlog, u32::max);
        }
        goal
    }

    /// That of one service with the default limits, and a sandbox for each connection.
    pub fn of_defaults(walls: &Walls) -> Self {
        let (limits, workers) = (Limits::default(), cores());
        let mut goal = Self::nothing(walls, workers, limits.table_elements);
        goal.add(&Asked {
            limits: &limits,
            per_connection: true,
            workers,
            listens: 1,
            dials: false,
            files: true,
            database: false,
        });
        goal.backlog = BACKLOG_DEFAULT;
        goal
    }

    fn nothing(walls: &Walls, workers: usize, table_elements: usize) -> Self {
        let engines = EnginesConfig {
            pooled_instances: 0,
            table_elements,
            metering: Metering::Time(os::thread_cpu_time),
            scarce_address_space: matches!(walls.address_space.height, Height::At(_)),
        };
        Self {
            connections: 0,
            is_said: false,
            files: 0,
            others: workers as u64 * DESCRIPTORS_A_WORKER,
            pooled: Demand::default(),
            on_demand: Demand::default(),
            idle_memory: 0,
            most_memory: 0,
            backlog: 0,
            engines,
        }
    }

    fn add(&mut self, asked: &Asked<'_>) {
        let Asked { limits, workers, .. } = *asked;
        let accepted = if asked.listens == 0 { 0 } else { limits.connections };
        let accepted = if asked.per_connection { accepted.min(limits.instances) } else { accepted };
        let sandboxes = if asked.per_connection { accepted } else { workers };
        let demand = if asked.per_connection && EnginesConfig::is_for_slots(limits.memory) {
            &mut self.pooled
        } else {
            &mut self.on_demand
        };
        *demand = demand.and(one(&self.engines, asked).times(sandboxes));
        let connections = if asked.dials { accepted.saturating_mul(2) } else { accepted };
        self.connections = self.connections.saturating_add(connections);
        let workers = workers as u64;
        let cached = if asked.files { limits.cached_files as u64 } else { 0 };
        self.files = self.files.saturating_add(cached.saturating_mul(workers));
        self.others += asked.listens as u64 * workers;
        self.others += if asked.database { DESCRIPTORS_A_DATABASE } else { 0 };
        let idle = |count: usize, each: u64| each.saturating_mul(count as u64);
        let memory =
            idle(connections, IDLE_CONNECTION).saturating_add(idle(sandboxes, IDLE_SANDBOX));
        self.idle_memory = self.idle_memory.saturating_add(memory);
        self.most_memory = self.most_memory.saturating_add(idle(sandboxes, limits.memory as u64));
    }

    /// Whether its sandboxes may lie in the slots of engines that were made for another goal: there
    /// are enough, or `is_walled`: there are as many as the walls carry, and who finds none waits.
    pub(super) fn fits(&self, made: &Self, is_walled: bool) -> bool {
        (is_walled || self.pooled.count <= made.pooled.count)
            && self.engines.table_elements <= made.engines.table_elements
    }

    /// All sandboxes.
    pub fn sandboxes(&self) -> Demand {
        self.pooled.and(self.on_demand)
    }

    /// The engines that serve what is carried of it.
    pub fn engines(&self, carried: &Carried) -> EnginesConfig {
        // One more for looking at each service's configuration.
        let pooled = carried.pooled.saturating_add(1);
        let pooled_instances = u32::try_from(pooled).unwrap_or(u32::MAX);
        EnginesConfig { pooled_instances, ..self.engines.clone() }
    }

    /// What it takes of a wall; `None` where the wall is none for it.
    pub fn takes(&self, kind: Kind) -> Option<u64> {
        match kind {
            Kind::AddressSpace | Kind::Data | Kind::Mappings => self.sandboxes().of(kind),
            Kind::Cgroup | Kind::Machine => Some(self.idle_memory),
            Kind::Descriptors => Some(self.beside().saturating_add(self.connections as u64)),
            Kind::SystemDescriptors => None,
        }
    }

    /// How many connections and sandboxes a wall lets this goal's services have: of a kind that it
    /// doesn't concern, `None`.
    pub fn carried_by(&self, wall: &Wall) -> (Option<u64>, Option<u64>) {
        let Some(free) = wall.free() else { return (None, None) };
        match wall.kind {
            Kind::AddressSpace | Kind::Data | Kind::Mappings => {
                let all = self.sandboxes();
                let each = |taken: u64| taken.div_ceil((all.count as u64).max(1)).max(1);
                (None, all.of(wall.kind).map(|taken| free / each(taken)))
            }
            // Each alone: what one takes the other can't have.
            Kind::Cgroup | Kind::Machine => {
                (Some(free / IDLE_CONNECTION), Some(free / IDLE_SANDBOX))
            }
            Kind::Descriptors | Kind::SystemDescriptors => {
                (Some(free.saturating_sub(self.beside())), None)
            }
        }
    }

    fn beside(&self) -> u64 {
        self.files.saturating_add(self.others)
    }
}

/// What one sandbox of a service takes.
fn one(engines: &EnginesConfig, asked: &Asked<'_>) -> Demand {
    let memory = asked.limits.memory;
    let pooled = asked.per_connection && EnginesConfig::is_for_slots(memory);
    let each = if pooled { engines.slot() } else { engines.on_demand(memory) };
    let Footprint { mappings, address_space, data } = each;
    Demand { count: 1, mappings, address_space, data }
}

/// What a worker waits with, and what wakes it; and as much again for the process.
const DESCRIPTORS_A_WORKER: u64 = 8;

/// Five connections, each with the file, its log and the log's index.
const DESCRIPTORS_A_DATABASE: u64 = 15;

/// Memory of a connection that does nothing, in clear, in bytes.
const IDLE_CONNECTION: u64 = 1 << 10;

/// Memory of a sandbox that waits for the next request after it has served some, in bytes: 20 KiB
/// were measured of the plugin `echo`, 120 of `http`.
const IDLE_SANDBOX: u64 = 128 << 10;
