//! `torsade.toml` read into typed services: every mistake is found here, before anything is bound.

mod error;
mod field;
mod form;
mod grants;
mod json;
mod keys;
mod limits;
mod observed;
mod peers;
mod places;
mod reference;
mod schema;
mod service;
mod tls;
mod units;
mod user;

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use toml::de::{DeTable, DeValue};
use tracing_subscriber::EnvFilter;

use crate::transport::endpoint::{Endpoint, Socket};

pub use error::ConfigError;
use error::Mistakes;
use field::{Field, Lines, Section};
pub use limits::{Limit, LimitLines, Limits, Source};
pub use observed::{Admin, LogFormat};
pub use places::WrongConfig;
pub use reference::{explain, reference};
pub use schema::schema;
pub use service::{Instances, PluginSource, Service, TRUSTED_PROXIES_DEFAULT, WhenFull};
pub use tls::{Clients, Tls};
pub use units::Share;
pub(crate) use units::show_size;
pub use user::User;

/// The name of the file where a folder is given.
pub const FILE_NAME: &str = "torsade.toml";

/// The largest file that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The most services that one file may have.
pub const SERVICES_MAX: usize = 256;

/// The most endpoints that one service may listen on.
pub const ENDPOINTS_MAX: usize = 64;

/// The most targets, and the most ranges, that one service may grant; and the most networks that it
/// may allow, deny, and trust.
pub const GRANTED_MAX: usize = 256;

/// The most workers, each a thread, that a host or a service may ask for.
pub const WORKERS_MAX: usize = 256;

/// How long connections may go on after a stop was asked for, where `grace` is not given.
pub const GRACE_DEFAULT: Duration = Duration::from_secs(10);

/// The filter of the log, where `log` is not given.
pub const LOG_DEFAULT: &str = "info";

/// The folder of the services' databases, beside the configuration, where `state` is not given.
pub const STATE_DEFAULT: &str = "state";

/// The longest `grace`.
pub const GRACE_MAX: Duration = Duration::from_secs(3600);

/// The stack for reading a file, in bytes. The TOML parser lets 80 tables nest with 80 dotted keys
/// each, and dropping what it made recurses as deep.
const READER_STACK: usize = 16 * 1024 * 1024;

/// A whole `torsade.toml`; [`explain`] says what each key of it means.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file, as it was named.
    pub file: PathBuf,
    /// `workers`; `None` for one on each core.
    pub workers: Option<usize>,
    /// `grace`.
    pub grace: Duration,
    /// `log`, a filter that was found to be well formed.
    pub log: Option<String>,
    /// `log-format`.
    pub log_format: LogFormat,
    /// `admin`.
    pub admin: Admin,
    /// `metrics.listen`: TCP, or a Unix socket.
    pub metrics: Option<Endpoint>,
    /// `state`, joined to the folder of the file. It may not exist yet.
    pub state: PathBuf,
    /// `user` and `group`; `None` to stay who it is.
    pub user: Option<User>,
    /// The services in the order of the file; at least one.
    pub services: Vec<Service>,
    /// What the file says: for the places of what is found wrong later.
    text: Arc<str>,
}

/// Reads and checks the configuration in a file, or in [`FILE_NAME`] of a folder.
///
/// Paths in it are relative to the folder of the file, and are joined to it in the result.
///
/// # Errors
/// Where the file can't be read, and for all mistakes in it, each with its line.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let file = file_of(path);
    let bytes = read(&file).map_err(|problem| ConfigError::whole_file(&file, problem))?;
    parse(&file, &bytes)
}

/// Where the admin socket of the host may be that serves the configuration in a file, or in
/// [`FILE_NAME`] of a folder: see [`Admin::places`]. All else in the file may be wrong by now.
///
/// # Errors
/// Where the file can't be read, or is not TOML; and for a mistake in the key `admin`.
pub fn admin_places(path: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let file = file_of(path);
    let bytes = read(&file).map_err(|problem| ConfigError::whole_file(&file, problem))?;
    parse_on_deep_stack(&file, || {
        let text = String::from_utf8_lossy(&bytes);
        let mut mistakes = Mistakes::default();
        let root = DeTable::parse(&text).map_err(|error| not_toml(&file, &text, &error))?;
        let lines = Lines::of(&text);
        let mut section = Section::root(root.get_ref(), &lines);
        let folder = file.parent().unwrap_or(Path::new(""));
        let admin = observed::admin(&mut section, folder, &mut mistakes).unwrap_or_default();
        match mistakes.is_empty() {
            true => Ok(admin.places(&file)),
            false => Err(ConfigError::new(&file, &text, mistakes)),
        }
    })
}

fn file_of(path: &Path) -> PathBuf {
    match (path.is_dir(), path == Path::new(".")) {
        (true, true) => PathBuf::from(FILE_NAME),
        (true, false) => path.join(FILE_NAME),
        (false, _) => path.to_owned(),
    }
}

/// Checks the configuration in `bytes`, which are the content of `file`; see [`load`].
///
/// # Errors
/// For all mistakes in it, each with its line.
pub fn parse(file: &Path, bytes: &[u8]) -> Result<Config, ConfigError> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or(&[]));
            let mut mistakes = Mistakes::default();
            mistakes.add("", valid.len()..valid.len(), "the file is not UTF-8 from here on");
            return Err(ConfigError::new(file, &valid, mistakes));
        }
    };
    parse_on_deep_stack(file, || parse_text(file, text))
}

/// Reads a file where its nesting can't overflow the stack.
fn parse_on_deep_stack<T: Send>(
    file: &Path,
    read: impl FnOnce() -> Result<T, ConfigError> + Send,
) -> Result<T, ConfigError> {
    on_deep_stack(read).unwrap_or_else(|error| {
        Err(ConfigError::whole_file(file, format!("can't be parsed: no thread for it: {error}")))
    })
}

/// Does something that recurses as deep as a file may be nested.
fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let reader = thread::Builder::new().stack_size(READER_STACK);
    thread::scope(|scope| {
        let reader = reader.spawn_scoped(scope, work)?;
        Ok(reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

fn parse_text(file: &Path, text: &str) -> Result<Config, ConfigError> {
    let mut mistakes = Mistakes::default();
    let config = match DeTable::parse(text) {
        Ok(root) => Config::read((file, text), root.get_ref(), &mut mistakes),
        Err(error) => return Err(not_toml(file, text, &error)),
    };
    match mistakes.is_empty() {
        true => Ok(config),
        false => Err(ConfigError::new(file, text, mistakes)),
    }
}

fn not_toml(file: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let mut mistakes = Mistakes::default();
    let at = error.span().unwrap_or(0..0);
    mistakes.add("", at, format!("not TOML: {}", error.message()));
    ConfigError::new(file, text, mistakes)
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("can't be read: {error}; name a {FILE_NAME}, or its folder"))?;
    match bytes.len() as u64 > FILE_BYTES_MAX {
        true => Err("is larger than 1MiB, the most that a configuration may be".to_owned()),
        false => Ok(bytes),
    }
}

impl Config {
    fn read((file, text): (&Path, &str), root: &DeTable<'_>, mistakes: &mut Mistakes) -> Self {
        let folder = file.parent().unwrap_or(Path::new(""));
        let lines = Lines::of(text);
        let mut section = Section::root(root, &lines);
        let workers = section.optional_count("workers", 1..=WORKERS_MAX, mistakes);
        let grace = section.time("grace", Duration::ZERO..=GRACE_MAX, GRACE_DEFAULT, mistakes);
        let log = section.field("log").and_then(|field| mistakes.keep(filter(&field)));
        let format = section.field("log-format");
        let format = format.and_then(|field| mistakes.keep(field.one_of(&observed::LOG_FORMATS)));
        let admin = observed::admin(&mut section, folder, mistakes).unwrap_or_default();
        let metrics = section.field("metrics");
        let metrics = metrics.and_then(|field| observed::metrics(&field, folder, mistakes));
        let state = section.field("state").and_then(|field| mistakes.keep(state(&field, folder)));
        let user = user::read(&mut section, mistakes);
        let tables = section.field("service").and_then(|field| mistakes.keep(field.table()));
        section.finish(mistakes);
        let mut services = Vec::new();
        let mut taken = Vec::new();
        for (name, field) in tables.iter().flat_map(Section::entries).take(SERVICES_MAX) {
            let Some((service, places)) = Service::read(name, &field, folder, mistakes) else {
                continue;
            };
            check_workers(workers, &service, &field, mistakes);
            check_collisions(&service, places, &mut taken, mistakes);
            services.push(service);
        }
        match &tables {
            Some(tables) if tables.entries().len() > SERVICES_MAX => {
                let problem = format!("more than {SERVICES_MAX} services");
                mistakes.add("service", tables.span(), problem);
            }
            _ if services.is_empty() && mistakes.is_empty() => mistakes.add("", 0..0, NO_SERVICE),
            _ => {}
        }
        let state = state.unwrap_or_else(|| folder.join(STATE_DEFAULT));
        Self {
            file: file.to_owned(),
            workers,
            grace,
            log,
            log_format: format.unwrap_or_default(),
            admin,
            metrics,
            state,
            user,
            services,
            text: text.into(),
        }
    }

    /// Whether some service is to have standard input and output.
    pub fn has_stdio(&self) -> bool {
        let mut endpoints = self.services.iter().flat_map(|service| &service.listen);
        endpoints.any(|endpoint| endpoint.socket == Socket::Stdio)
    }

    /// Whether there is nothing to serve but standard input and output.
    pub fn is_only_stdio(&self) -> bool {
        let is_only = |service: &Service| {
            let mut endpoints = service.listen.iter();
            !service.listen.is_empty() && endpoints.all(|of| of.socket == Socket::Stdio)
        };
        self.services.iter().all(is_only)
    }

    /// Where a service keeps its database, if it has one on disk: `SERVICE.sqlite` below `state`.
    pub fn database(&self, service: &Service) -> PathBuf {
        self.state.join(format!("{}.sqlite", service.name))
    }
}

const NO_SERVICE: &str = "it has no service; write [service.NAME], and below it plugin = \"…\" \
                          and listen = [\"tcp:8080\"]";

fn filter(field: &Field<'_>) -> Result<String, error::Mistake> {
    let text = field.string("a filter such as \"info\" or \"info,torsade=debug\"")?;
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(field.mistake(format!("{text:?} is not a filter for logs: {error}"))),
    }
}

/// A folder, or a path where there is nothing yet.
fn state(field: &Field<'_>, folder: &Path) -> Result<PathBuf, error::Mistake> {
    let path = service::path(field, folder, "the path of a folder")?;
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => Ok(path),
        Ok(_) => Err(field.mistake(format!("{} is not a folder", path.display()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(path),
        Err(error) => Err(field.mistake(service::unreadable(&path, &error))),
    }
}

fn check_workers(host: Option<usize>, of: &Service, field: &Field<'_>, mistakes: &mut Mistakes) {
    if let (Some(host), Some(workers)) = (host, of.workers)
        && workers > host
    {
        let problem = format!("{workers} are more than the host's workers, {host}");
        mistakes.push(field.below("workers").unwrap_or(field.clone()).mistake(problem));
    }
}

/// Adds a service's endpoints to the taken ones, each with the service's name.
fn check_collisions(
    service: &Service,
    places: Vec<Range<usize>>,
    taken: &mut Vec<(Endpoint, String)>,
    mistakes: &mut Mistakes,
) {
    for (endpoint, place) in service.listen.iter().zip(places) {
        let holder = taken.iter().find(|(other, _)| other.collides_with(endpoint));
        if let Some((other, holder)) = holder {
            let problem = format!("{endpoint}: service {holder} listens on {other} already");
            mistakes.add(&format!("service.{}.listen", service.name), place, problem);
        }
        taken.push((endpoint.clone(), service.name.clone()));
    }
}

/// The words for what a value is.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::Array(_) => "a list",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Float(_) => "a float",
        DeValue::Integer(_) => "an integer",
        DeValue::String(_) => "a string",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests;
