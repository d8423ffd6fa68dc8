//! One service: a plugin joined to endpoints, limits and grants.

use std::borrow::Cow;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde_json::{Map, Value};
use toml::Spanned;
use tracing::level_filters::LevelFilter;

use crate::grants::Grants;
use crate::transport::endpoint::{Carries, Endpoint};
use crate::transport::peers::Peers;

use super::error::{Mistake, Mistakes};
use super::field::Field;
use super::observed::LEVELS;
use super::tls::{self, Tls};
use super::{ENDPOINTS_MAX, GRANTED_MAX, LimitLines, Limits, WORKERS_MAX, grants, json, peers};

/// The networks from which a header of the PROXY protocol is believed, where `trusted-proxies` is not
/// given: this host's own.
pub const TRUSTED_PROXIES_DEFAULT: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
];

/// What `instances` may be.
pub(super) const INSTANCES: [(&str, Instances); 2] =
    [("per-connection", Instances::PerConnection), ("per-worker", Instances::PerWorker)];

/// What `when-full` may be.
pub(super) const WHEN_FULL: [(&str, WhenFull); 2] =
    [("wait", WhenFull::Wait), ("refuse", WhenFull::Refuse)];

/// The longest name of a service, in bytes.
pub(super) const NAME_MAX: usize = 64;

/// A `[service.NAME]` table; [`explain`](super::explain) says what each key of it means.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Letters, digits, `-` and `_`.
    pub name: String,
    /// What runs.
    pub plugin: PluginSource,
    /// Where it listens. No two endpoints of a configuration collide.
    pub listen: Vec<Endpoint>,
    /// The networks from which a header of the PROXY protocol is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Who may come.
    pub peers: Peers,
    /// How many sandboxes there are; `None` for what its plugin can live with.
    pub instances: Option<Instances>,
    /// On how many workers it runs; `None` for as many as its plugin can live with.
    pub workers: Option<usize>,
    /// What becomes of a new connection while there are as many as there may be.
    pub when_full: WhenFull,
    /// The level of the log's lines about it, and of its plugin's own; `None` for what the host's
    /// `log` says.
    pub log: Option<LevelFilter>,
    /// What it may use.
    pub limits: Limits,
    /// Where in the file its limits stand.
    pub limit_lines: LimitLines,
    /// What it may reach.
    pub grants: Grants,
    /// What it encrypts with.
    pub tls: Tls,
    /// The plugin's configuration: always an object.
    pub config: Value,
}

/// Where a plugin comes from; both are joined to the folder of the configuration, and exist.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PluginSource {
    /// A component's file.
    File(PathBuf),
    /// A guest's folder, to be built.
    Folder(PathBuf),
}

/// What shares a sandbox.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Instances {
    /// Each connection has its own instance: a trap costs one connection.
    PerConnection,
    /// All connections of a worker share an instance.
    PerWorker,
}

/// What becomes of a new connection while a service has as many as it may.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum WhenFull {
    /// It is closed at once.
    Refuse,
    /// It waits in the backlog until another one has ended.
    #[default]
    Wait,
}

impl Service {
    /// Whether each connection has a sandbox of its own. Without a connection to wait for there is
    /// one, from start to stop.
    pub fn is_per_connection(&self) -> bool {
        self.instances != Some(Instances::PerWorker) && !self.listen.is_empty()
    }

    /// Reads the table of a service, and tells where in the file each of its endpoints stands.
    /// `None` once a mistake is written down that leaves nothing to go on with.
    pub(super) fn read(
        name: &Spanned<Cow<'_, str>>,
        field: &Field<'_>,
        folder: &Path,
        mistakes: &mut Mistakes,
    ) -> Option<(Self, Vec<Range<usize>>)> {
        check_name(name, mistakes)?;
        let mut section = mistakes.keep(field.table())?;
        let plugin = section
            .required("plugin", "plugin = \"FOLDER or FILE.wasm\"", mistakes)
            .and_then(|field| mistakes.keep(plugin(&field, folder)));
        let (listen, places) = section
            .field("listen")
            .map(|field| listen(&field, folder, mistakes))
            .unwrap_or_default();
        let trusted_proxies = match section.field("trusted-proxies") {
            Some(field) => trusted_proxies(&field, &listen, mistakes),
            None => TRUSTED_PROXIES_DEFAULT.into(),
        };
        let peers = peers::read(&mut section, mistakes);
        let given = section.field("instances");
        let instances = given.as_ref().and_then(|field| mistakes.keep(field.one_of(&INSTANCES)));
        let instances = for_datagrams(&listen, instances, given.as_ref(), field, mistakes);
        let workers = section.optional_count("workers", 1..=WORKERS_MAX, mistakes);
        let when_full = section.field("when-full");
        let when_full = when_full.and_then(|field| mistakes.keep(field.one_of(&WHEN_FULL)));
        let log = section.field("log");
        let log = log.and_then(|field| mistakes.keep(field.one_of(&LEVELS)));
        let limits = section.field("limits").map(|field| Limits::read(&field, mistakes));
        let (limits, limit_lines) = limits.unwrap_or_default();
        let grants = section.field("grants").map(|field| grants::read(&field, folder, mistakes));
        let tls = section.field("tls");
        let shows = tls.as_ref().is_some_and(tls::names_a_certificate);
        let tls = tls.map(|field| Tls::read(&field, folder, mistakes)).unwrap_or_default();
        tls::check_endpoints(name.get_ref(), shows, &listen, &places, mistakes);
        let config = section.field("config").and_then(|field| mistakes.keep(config(&field)));
        section.finish(mistakes);
        let service = Self {
            name: name.get_ref().to_string(),
            plugin: plugin?,
            listen,
            trusted_proxies,
            peers,
            instances,
            workers,
            when_full: when_full.unwrap_or_default(),
            log,
            limits,
            limit_lines,
            grants: grants.unwrap_or_default(),
            tls,
            config: config.unwrap_or_else(|| Value::Object(Map::new())),
        };
        Some((service, places))
    }
}

fn check_name(name: &Spanned<Cow<'_, str>>, mistakes: &mut Mistakes) -> Option<()> {
    let text: &str = name.get_ref();
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(good) {
        return Some(());
    }
    let problem = format!(
        "{text:?} is no name for a service; it takes 1 to {NAME_MAX} of a-z, A-Z, 0-9, - and _"
    );
    mistakes.add("service", name.span(), problem);
    None
}

fn plugin(field: &Field<'_>, folder: &Path) -> Result<PluginSource, Mistake> {
    let path = path(field, folder, "the path of a guest's folder or of a component")?;
    let shown = path.display();
    let metadata = fs::metadata(&path).map_err(|error| field.mistake(unreadable(&path, &error)))?;
    if metadata.is_file() {
        fs::File::open(&path).map_err(|error| field.mistake(unreadable(&path, &error)))?;
        return Ok(PluginSource::File(path));
    }
    match (metadata.is_dir(), path.join("Cargo.toml").is_file()) {
        (true, true) => Ok(PluginSource::Folder(path)),
        (true, false) => Err(field.mistake(format!(
            "the folder {shown} has no Cargo.toml; name a guest's folder, or a component's file"
        ))),
        (false, _) => Err(field.mistake(format!("{shown} is neither a file nor a folder"))),
    }
}

/// What shares a sandbox: where it isn't said, what the endpoints can have. Datagrams have no
/// connections, so that theirs is `per-worker`.
fn for_datagrams(
    listen: &[Endpoint],
    said: Option<Instances>,
    instances: Option<&Field<'_>>,
    service: &Field<'_>,
    mistakes: &mut Mistakes,
) -> Option<Instances> {
    let is_for_datagrams = |endpoint: &&Endpoint| endpoint.carries() == Carries::Datagrams;
    let Some(one) = listen.iter().find(is_for_datagrams) else { return said };
    match said {
        Some(Instances::PerWorker) => {}
        None if instances.is_none()
            && listen.iter().all(|endpoint| is_for_datagrams(&endpoint)) => {}
        None if instances.is_some() => {}
        _ => {
            let problem = format!(
                "{one} is for datagrams, which have no connections; write instances = \"per-worker\""
            );
            mistakes.push(instances.unwrap_or(service).mistake(problem));
        }
    }
    Some(Instances::PerWorker)
}

/// The endpoints that are right, and the place of each in the file.
fn listen(
    field: &Field<'_>,
    folder: &Path,
    mistakes: &mut Mistakes,
) -> (Vec<Endpoint>, Vec<Range<usize>>) {
    const WANTED: &str = "a list of endpoints, such as [\"tcp:8080\"]";
    let items = mistakes.keep(field.list(WANTED)).unwrap_or_default();
    if items.len() > ENDPOINTS_MAX {
        mistakes.push(field.mistake(format!("has more than {ENDPOINTS_MAX} endpoints")));
        return Default::default();
    }
    let endpoint = |item: &Field<'_>| {
        let endpoint: Result<Endpoint, _> =
            item.string("an endpoint, such as \"tcp:8080\"")?.parse();
        endpoint
            .and_then(|endpoint| endpoint.below(folder))
            .map_err(|error| item.mistake(error.to_string()))
    };
    let read = |item: Field<'_>| Some((mistakes.keep(endpoint(&item))?, item.span()));
    items.into_iter().filter_map(read).unzip()
}

/// The networks that are right, each as `10.0.0.0/8` or as an address.
fn trusted_proxies(field: &Field<'_>, listen: &[Endpoint], mistakes: &mut Mistakes) -> Vec<IpNet> {
    const WANTED: &str = "a list of networks, such as [\"10.0.0.0/8\", \"::1\"]";
    let items = mistakes.keep(field.list(WANTED)).unwrap_or_default();
    if items.len() > GRANTED_MAX {
        mistakes.push(field.mistake(format!("has more than {GRANTED_MAX} networks")));
        return Vec::new();
    }
    if !listen.iter().any(|endpoint| endpoint.proxied) {
        mistakes.push(field.mistake("no endpoint begins with haproxy:, so no proxy is asked"));
    }
    items.iter().filter_map(|item| mistakes.keep(network(item))).collect()
}

fn network(item: &Field<'_>) -> Result<IpNet, Mistake> {
    let text = item.string("a network, such as \"10.0.0.0/8\", or an address")?;
    let ip = text.parse::<IpAddr>().map(IpNet::from);
    let network: IpNet = ip.or_else(|_| text.parse()).map_err(|_| {
        item.mistake(format!("{text:?} is neither a network, such as 10.0.0.0/8, nor an address"))
    })?;
    if network.trunc() != network {
        let problem = format!("{text} is not the first of its network, {}", network.trunc());
        return Err(item.mistake(problem));
    }
    Ok(network)
}

fn config(field: &Field<'_>) -> Result<Value, Mistake> {
    field.table()?;
    json::from_toml(field.value(), field.path())
}

pub(super) fn path(field: &Field<'_>, folder: &Path, wanted: &str) -> Result<PathBuf, Mistake> {
    match field.string(wanted)? {
        "" => Err(field.mistake(format!("is empty; it must be {wanted}"))),
        path => Ok(folder.join(path)),
    }
}

pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> String {
    format!("{} can't be read: {error}", path.display())
}
