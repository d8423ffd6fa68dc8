//! From a configuration to what workers serve: engines, plugins, databases.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};

use super::cache::make_cache_folder;
use super::goal::Goal;
use super::{log_level, log_level_of, seed};
use crate::capability::files::Root;
use crate::capability::resolver;
use crate::capability::sql::{Database, Source, SqlLimits};
use crate::census::Census;
use crate::config::{Config, PluginSource, Service, WhenFull};
use crate::grants::{Grant, Import, Store};
use crate::plugin::{
    Engines, EnginesConfig, Instance, Limits, Outbox, Plugin, ServiceFacts, Ticker,
};
use crate::reactor::{Policies, Restarts, ServiceSettings};
use crate::throttle::Rates;
use crate::transport::endpoint::Carries;
use crate::transport::tls::TlsSettings;
use crate::walls::Carried;

/// Loads every plugin, without running it. Adds what each imports to `imports`, in the order of the
/// services: of all, though one can't be served. `slots` says that sandboxes that come and go may lie
/// in pooled ones.
pub(super) fn load<P: AsRef<[u8]>>(
    config: &Config,
    plugins: &[P],
    engines: &Engines,
    slots: bool,
    imports: &mut Vec<Vec<Import>>,
) -> Result<Vec<ServiceSettings>> {
    let written: Arc<[ServiceFacts]> = config.services.iter().map(as_written).collect();
    let load = |(service, bytes): (&Service, &P)| {
        let (mut of_service, bytes) = (Vec::new(), bytes.as_ref());
        let loaded = load_service(service, &written, bytes, engines, slots, &mut of_service)
            .with_context(|| format!("service.{}", service.name));
        warn_of_dry_run(service, &of_service);
        imports.push(of_service);
        loaded
    };
    let all: Vec<_> = config.services.iter().zip(plugins).map(load).collect();
    all.into_iter().collect()
}

/// Says where grants protect nothing, and what they would refuse at once.
fn warn_of_dry_run(service: &Service, imports: &[Import]) {
    let name = &*service.name;
    if service.grants.dry_run {
        tracing::warn!(
            service = name,
            "grants.dry-run is on: the service is not protected by its grants; what they would \
             refuse is let through, and logged"
        );
        if let Some(missing) = service.grants.missing(imports) {
            tracing::warn!(
                service = name,
                "grants.dry-run: the plugin would be refused: {missing}"
            );
        }
    }
}

/// A service before its endpoints are bound.
fn as_written(service: &Service) -> ServiceFacts {
    let endpoints = service.listen.iter().map(ToString::to_string).collect();
    ServiceFacts { name: service.name.clone(), endpoints }
}

fn load_service(
    service: &Service,
    written: &Arc<[ServiceFacts]>,
    bytes: &[u8],
    engines: &Engines,
    slots: bool,
    imports: &mut Vec<Import>,
) -> Result<ServiceSettings> {
    let (PluginSource::File(path) | PluginSource::Folder(path)) = &service.plugin;
    let per_connection = service.is_per_connection();
    let limits = Arc::new(limits(&service.limits));
    let job_limits = Arc::new(Limits {
        memory: service.limits.job_memory,
        deadline: service.limits.job_deadline,
        ..(*limits).clone()
    });
    let mut plugin =
        Plugin::load(engines, bytes, &service.grants, &limits, per_connection && slots, imports)
            .with_context(|| format!("can't serve the plugin {}", path.display()))?;
    check_exports(service, &plugin)
        .with_context(|| format!("can't serve the plugin {}", path.display()))?;
    if service.grants.allows(Grant::Services) {
        plugin.set_services(Arc::clone(written));
    }
    if let Some(level) = service.log {
        plugin.set_log_level(log_level_of(level));
    }
    let config = service.config.to_string();
    let Service { limits: wanted, name, .. } = service;
    let census = census(service);
    Ok(ServiceSettings {
        name: name.as_str().into(),
        plugin,
        plugin_name: path.display().to_string().into(),
        config: config.into(),
        per_connection,
        limits,
        endpoints: service.listen.clone().into(),
        trusted_proxies: service.trusted_proxies.clone().into(),
        full: if most_connections(service) < wanted.connections {
            "instances"
        } else {
            "connections"
        },
        census: Arc::new(census),
        refuses: service.when_full == WhenFull::Refuse,
        tally: Arc::default(),
        restarts: Restarts { most: wanted.restarts, longest: wanted.restart_delay },
        fault_drain: wanted.fault_drain,
        cpu: wanted.cpu.as_percent(),
        policies: Policies {
            peers: service.peers.clone(),
            idle: wanted.idle,
            lifetime: wanted.lifetime,
        },
        unsent: wanted.unsent,
        unsent_high: wanted.unsent_high,
        unsent_low: wanted.unsent_low,
        drain: wanted.drain,
        linger: wanted.linger,
        handshake: wanted.handshake,
        handshakes: wanted.handshakes,
        grants: Arc::new(service.grants.clone()),
        files: None,
        cached_files: wanted.cached_files,
        look_up: resolver::system(),
        cached_names: wanted.cached_names,
        outgoing: wanted.outgoing,
        listeners: wanted.listeners,
        correspondents: wanted.correspondents,
        groups: wanted.groups,
        job_limits,
        jobs: wanted.jobs,
        database: None,
        checker: None,
        tls: TlsSettings::default(),
    })
}

fn most_connections(service: &Service) -> usize {
    let wanted = &service.limits;
    match service.is_per_connection() {
        true => wanted.connections.min(wanted.instances),
        false => wanted.connections,
    }
}

/// A census in which nobody is counted yet.
pub(super) fn census(service: &Service) -> Census {
    let wanted = &service.limits;
    Census::new(most_connections(service), wanted.connections_per_peer).with_rates(rates(wanted))
}

/// Refuses a service whose endpoints its plugin has no protocols for.
fn check_exports(service: &Service, plugin: &Plugin) -> Result<()> {
    for endpoint in &service.listen {
        let missing = match endpoint.carries() {
            Carries::Streams if !plugin.serves_streams() => "protocols",
            Carries::Datagrams if !plugin.serves_datagrams() => "datagram-protocols",
            _ => continue,
        };
        bail!("the plugin exports no {missing}, which {endpoint} needs");
    }
    Ok(())
}

/// Opens the folders that services are granted, and lets an instance of each plugin look at its
/// configuration: as the user that the host serves as.
pub(super) fn try_out<'a>(
    config: &Config,
    settings: impl Iterator<Item = &'a mut ServiceSettings>,
) -> Result<()> {
    let mut outbox = Some(Box::new(Outbox::new(seed()?, log_level())));
    for (service, settings) in config.services.iter().zip(settings) {
        try_out_one(service, settings, &mut outbox)
            .with_context(|| format!("service.{}", service.name))?;
    }
    Ok(())
}

fn try_out_one(
    service: &Service,
    settings: &mut ServiceSettings,
    outbox: &mut Option<Box<Outbox>>,
) -> Result<()> {
    open_folder(service, settings)?;
    try_start(&settings.plugin, &settings.limits, &settings.config, outbox)
        .with_context(|| format!("the plugin {} does not start", settings.plugin_name))
}

/// Opens the folder that a service is granted.
pub(super) fn open_folder(service: &Service, settings: &mut ServiceSettings) -> Result<()> {
    if let Some(folder) = &service.grants.files {
        settings.files = Some(Root::open(folder).with_context(|| {
            format!("grants.files: can't read the folder {}", folder.display())
        })?);
    }
    Ok(())
}

/// Opens the databases that services are granted, but those that are open.
pub(super) fn open_databases<'a>(
    config: &Config,
    settings: impl Iterator<Item = &'a mut ServiceSettings>,
) -> Result<()> {
    for (service, settings) in config.services.iter().zip(settings) {
        let Some((source, limits)) = database(config, service) else { continue };
        if settings.database.is_some() {
            continue;
        }
        let database = Database::open(&source, &limits).map_err(|failure| {
            let path = config.database(service);
            let name = config.user.as_ref().map(|user| format!(" as the user {}", user.name));
            let (service, name) = (&service.name, name.unwrap_or_default());
            anyhow!("service.{service}: can't open {}{name}: {failure}", path.display())
        })?;
        settings.database = Some(database);
    }
    Ok(())
}

/// Where the database is that a service is granted, and what it may take of it.
pub(super) fn database(config: &Config, service: &Service) -> Option<(Source, SqlLimits)> {
    let source = match service.grants.database()? {
        Store::File => Source::File(config.database(service)),
        Store::Memory => Source::Memory,
    };
    let wanted = &service.limits;
    let limits = SqlLimits {
        rows: wanted.rows,
        row_bytes: wanted.row_bytes,
        query_time: wanted.query_time,
        database_size: wanted.database_size as u64,
    };
    Some((source, limits))
}

/// Starts an instance and forgets what it asked for: to hear what it says to its configuration.
fn try_start(
    plugin: &Plugin,
    limits: &Arc<Limits>,
    config: &str,
    outbox: &mut Option<Box<Outbox>>,
) -> Result<()> {
    let mut instance = Instance::new(plugin, limits, outbox)?;
    let started = instance.start(config, outbox);
    if let Some(outbox) = outbox {
        outbox.forget();
    }
    match started? {
        Ok(_) => Ok(()),
        Err(refusal) => bail!("it refused its `config`: {refusal}"),
    }
}

/// The engines for what the walls carry of a configuration's sandboxes.
pub(super) fn engines(goal: &Goal, carried: &Carried) -> Result<Engines> {
    make_engines(&goal.engines(carried))
}

/// Engines that keep what they compile, if there is where.
pub(super) fn make_engines(wanted: &EnginesConfig) -> Result<Engines> {
    let cache = match make_cache_folder() {
        Ok(folder) => Some(folder),
        Err(e) => {
            tracing::warn!("compiled plugins are not kept: {e:#}");
            None
        }
    };
    let pooled = wanted.pooled_instances;
    Engines::new(wanted, cache.as_deref())
        .map_err(|e| anyhow!("can't make room for {pooled} sandboxes: {e:#}"))
}

pub(super) fn ticker(engines: &Engines) -> Result<Ticker> {
    let ticker = engines.ticker();
    if ticker.runs() { Ok(ticker) } else { bail!("can't start the thread that measures time") }
}

fn limits(wanted: &crate::config::Limits) -> Limits {
    Limits {
        memory: wanted.memory,
        table_elements: wanted.table_elements,
        deadline: wanted.deadline,
        start_deadline: wanted.start_deadline,
        deferreds: wanted.deferreds,
        handles: wanted.handles,
        outbox: wanted.outbox,
        write: wanted.write,
        compile_time: wanted.compile_time,
        effects: wanted.effects,
    }
}

fn rates(wanted: &crate::config::Limits) -> Rates {
    let rate = |units: Option<usize>| units.map(|units| units as u64);
    Rates {
        connects: rate(wanted.connect_rate),
        connects_per_peer: rate(wanted.connect_rate_per_peer),
        logins: Some(wanted.logins as u64),
        logins_per_peer: Some(wanted.logins_per_peer as u64),
        log_lines: Some(wanted.log_rate as u64),
        reads: rate(wanted.read_rate),
        reads_per_peer: rate(wanted.read_rate_per_peer),
        writes: rate(wanted.write_rate),
        writes_per_peer: rate(wanted.write_rate_per_peer),
    }
}
