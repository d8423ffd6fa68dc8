//! What the simulated services serve: plugins, each compiled once, and a folder of files.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result};
use torsade::capability::files::Root;
use torsade::capability::sql::{Database, Source, Sql, SqlLimits, Statement};
use torsade::census::Census;
use torsade::grants::{Clear, Grants, Store, Users};
use torsade::plugin::{Engines, EnginesConfig, Limits, Metering, Plugin};
use torsade::pool::Stop;
use torsade::reactor::{Policies, Restarts, ServiceSettings};
use torsade::throttle::Rates;
use torsade::transport::tls::TlsSettings;
use torsade_tests::guests;

use super::asking;
use super::choices::Choices;
use super::datagrams;

/// A plugin that the simulation serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Asker,
    Datagrams,
    Echo,
    Http,
    Irc,
    Login,
    /// It is none of the repository's: fuzzing makes it.
    #[allow(dead_code, reason = "the tests serve none")]
    Stranger,
    Unruly,
}

/// The simulated services: what each runs, and whether each connection has its own instance.
/// Listeners have their order too.
pub(crate) const SERVICES: [(Kind, bool); 8] = [
    (Kind::Echo, false),
    (Kind::Echo, true),
    (Kind::Http, false),
    (Kind::Http, true),
    (Kind::Unruly, false),
    (Kind::Unruly, true),
    (Kind::Asker, false),
    (Kind::Asker, true),
];

/// What differs between simulations, beside the network.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Connections that a service may have.
    pub(crate) connections: usize,
    /// Files that a service keeps open.
    pub(crate) cached_files: usize,
    /// Milliseconds until the unruly plugin takes connections.
    pub(crate) warm_up: u64,
    /// One in so many connections is refused by the unruly plugin; 0 for none.
    pub(crate) refuses: u64,
    /// One in so many instances of the unruly plugin traps at its start; 0 for none.
    pub(crate) stumbles: u64,
    /// Connections that an instance may dial, listeners that it may have, and jobs of a service.
    pub(crate) most: usize,
    /// Deferreds that an instance may have in flight.
    pub(crate) deferreds: usize,
    /// Bytes in a second that a service reads, and sends, and four fifths of that for each peer; 0
    /// for as many as it can.
    pub(crate) rate: u64,
}

impl Settings {
    /// Everything is served.
    pub(crate) const CALM: Self = Self {
        connections: 100,
        cached_files: 100,
        warm_up: 0,
        refuses: 0,
        stumbles: 0,
        most: 100,
        deferreds: 64,
        rate: 0,
    };
}

/// A file of the folder, small enough to be sent from memory.
pub(crate) fn small() -> &'static [u8] {
    file(700)
}

/// A file of the folder that is sent by the kernel.
pub(crate) fn large() -> &'static [u8] {
    file(50_000)
}

/// The folder's own page.
pub(crate) fn index() -> &'static [u8] {
    file(3000)
}

/// The file of the folder that has this size: no two have the same.
pub(crate) fn file(size: usize) -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = BYTES.get_or_init(|| Choices::new(1).bytes(100_000, b"0123456789abcdef\n"));
    &bytes[size..2 * size]
}

/// The settings of a service.
pub(crate) fn service(kind: Kind, per_connection: bool, settings: &Settings) -> ServiceSettings {
    let Settings { warm_up, refuses, stumbles, .. } = settings;
    let plugins = plugins();
    let (plugin, config) = match kind {
        Kind::Asker => (&plugins.asker, "{}".to_owned()),
        Kind::Datagrams => (&plugins.datagrams, "{}".to_owned()),
        Kind::Echo => (&plugins.echo, "{}".to_owned()),
        Kind::Irc => (&plugins.irc, "{}".to_owned()),
        Kind::Login => (&plugins.login, "{}".to_owned()),
        Kind::Http => (&plugins.http, r#"{"listing":true}"#.to_owned()),
        Kind::Unruly => {
            let config =
                format!(r#"{{"warm-up":{warm_up},"refuses":{refuses},"stumbles":{stumbles}}}"#);
            (&plugins.unruly, config)
        }
        Kind::Stranger => unreachable!("nobody knows its plugin"),
    };
    ServiceSettings {
        name: format!("{kind:?}").into(),
        plugin: plugin.clone(),
        plugin_name: "test".into(),
        config: config.into(),
        per_connection,
        limits: Arc::new(Limits {
            deferreds: settings.deferreds,
            effects: settings.deferreds.max(1000),
            ..limits()
        }),
        endpoints: match kind {
            Kind::Echo => Arc::new(["haproxy:tcp:1".parse().expect("it is an endpoint")]),
            _ => Arc::new([]),
        },
        trusted_proxies: Arc::new(["10.0.0.0/8".parse().expect("it is a network")]),
        census: Arc::new(Census::new(settings.connections, None).with_rates(rates(settings.rate))),
        full: "connections",
        refuses: false,
        tally: Arc::default(),
        restarts: Restarts { most: usize::MAX, longest: Duration::from_secs(5) },
        // For all that can be queued, over the slowest network: some 16 KB a second.
        fault_drain: Duration::from_secs(600),
        cpu: 50,
        policies: Policies::default(),
        unsent: 256 * KIB,
        unsent_high: 16 * KIB,
        unsent_low: 4 * KIB,
        drain: Duration::from_secs(60),
        linger: Duration::from_secs(20),
        handshake: Duration::from_secs(60),
        handshakes: 1_000,
        grants: Arc::clone(&plugins.grants),
        files: Some(plugins.root.clone()),
        cached_files: settings.cached_files,
        look_up: Arc::new(asking::look_up),
        cached_names: 100,
        outgoing: settings.most,
        listeners: settings.most,
        correspondents: 100,
        groups: 2,
        job_limits: Arc::new(limits()),
        jobs: settings.most,
        database: matches!(kind, Kind::Asker | Kind::Irc).then(database),
        checker: None,
        tls: TlsSettings::default(),
    }
}

fn rates(rate: u64) -> Rates {
    let (all, each) = match rate {
        0 => (None, None),
        rate => (Some(rate), Some(rate * 4 / 5)),
    };
    Rates {
        reads: all,
        reads_per_peer: each,
        writes: all,
        writes_per_peer: each,
        ..Rates::default()
    }
}

/// A database with a table.
fn database() -> Database {
    let limits = SqlLimits { rows: 50, ..SqlLimits::default() };
    let database = Database::open(&Source::Memory, &limits).expect("memory is there");
    let (_stop, stopped) = Stop::new();
    let text = "CREATE TABLE t(n UNIQUE)".to_owned();
    let made = database.execute(&Statement { text, parameters: Vec::new() }, &stopped);
    made.expect("the database is empty");
    database
}

struct Plugins {
    asker: Plugin,
    datagrams: Plugin,
    echo: Plugin,
    http: Plugin,
    irc: Plugin,
    login: Plugin,
    unruly: Plugin,
    root: Root,
    grants: Arc<Grants>,
}

fn plugins() -> &'static Plugins {
    static PLUGINS: OnceLock<Plugins> = OnceLock::new();
    PLUGINS.get_or_init(|| load().expect("the plugins of the simulation can be made"))
}

fn load() -> Result<Plugins> {
    let own = env::current_exe()?;
    let folder = own.parent().context("the program has no folder")?.join("simulation");
    let engines = engines(400, 5_000_000, Some(&folder.join("compiled")))?;
    let site = site(&folder)?;
    let plugin = |guest: &str| {
        let file = guests::component(guest)?;
        plugin(&engines, &fs::read(&file)?).context(file.display().to_string())
    };
    Ok(Plugins {
        asker: plugin("tests/guests/asker")?,
        datagrams: plugin("tests/guests/datagrams")?,
        echo: plugin("guests/echo")?,
        http: plugin("guests/http")?,
        irc: plugin("guests/irc")?,
        login: plugin("tests/guests/login")?,
        unruly: plugin("tests/guests/unruly")?,
        root: Root::open(&site)?,
        grants: Arc::new(everything(site)),
    })
}

/// Engines for so many instances at once, in which an event is so many instructions at most.
pub(crate) fn engines(instances: u32, fuel: u64, cache: Option<&Path>) -> Result<Engines> {
    let wanted = EnginesConfig {
        scarce_address_space: false,
        pooled_instances: instances,
        table_elements: 20_000,
        metering: Metering::Fuel(fuel),
    };
    Engines::new(&wanted, cache).map_err(anyhow::Error::msg)
}

/// A plugin that may do whatever a plugin can be granted.
pub(crate) fn plugin(engines: &Engines, bytes: &[u8]) -> Result<Plugin> {
    Ok(Plugin::load(engines, bytes, &everything(PathBuf::new()), &limits(), true, &mut Vec::new())?)
}

/// All that a plugin can be granted, with the files of a folder.
fn everything(folder: PathBuf) -> Grants {
    Grants {
        files: Some(folder),
        resolver: true,
        connect: asking::granted(),
        listen: asking::ranges(),
        multicast: datagrams::groups(),
        jobs: true,
        services: true,
        sql: Some(Store::Memory),
        key_value: Some(Store::Memory),
        credentials: Some(Users { file: PathBuf::new(), plain: Clear::Always, create: Vec::new() }),
        ..Grants::default()
    }
}

/// Makes the folder. Files that are there stay what they are: their inodes are in ETags, whose
/// length would else differ from run to run, and a seed must give the same run each time.
fn site(folder: &Path) -> Result<PathBuf> {
    let site = folder.join("site");
    fs::create_dir_all(site.join("folder"))?;
    let files = [
        ("site/small.txt", small()),
        ("site/large.bin", large()),
        ("site/index.html", index()),
        ("site/folder/one.txt", file(30)),
        ("escape", b"nobody may read this"),
    ];
    for (name, content) in files {
        let file = folder.join(name);
        if fs::read(&file).ok().as_deref() != Some(content) {
            fs::write(file, content)?;
        }
    }
    Ok(site)
}

pub(crate) fn limits() -> Limits {
    Limits {
        memory: 4 * 1024 * KIB,
        table_elements: 20_000,
        deadline: Duration::from_secs(1),
        start_deadline: Duration::from_secs(1),
        deferreds: 64,
        handles: 10_000,
        outbox: 1024 * KIB,
        write: 1024 * KIB,
        compile_time: Duration::from_secs(600),
        effects: 1000,
    }
}

const KIB: usize = 1024;
