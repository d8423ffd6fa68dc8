//! The keys `admin`, `log-format`, `metrics` and a service's `log`: how others see the host.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tracing::level_filters::LevelFilter;

use crate::transport::endpoint::{BACKLOG_DEFAULT, Endpoint, Socket};

use super::error::{Mistake, Mistakes};
use super::field::{Field, Section};
use super::service::path;

/// `admin`: where the socket is through which `torsade status`, `top`, `stop` and `reload` ask.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Admin {
    /// At this path.
    At(PathBuf),
    /// In a folder of the system's for such sockets, by the configuration's name.
    #[default]
    Default,
    /// Nowhere: it is `"none"`.
    Off,
}

/// `log-format`: what a line of the log looks like.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogFormat {
    /// An object of JSON.
    Json,
    /// For people; in colours on a terminal.
    #[default]
    Text,
}

/// What `log-format` may be.
pub(super) const LOG_FORMATS: [(&str, LogFormat); 2] =
    [("text", LogFormat::Text), ("json", LogFormat::Json)];

/// What a service's `log` may be.
pub(super) const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

impl Admin {
    /// Where the socket may be: a host makes it at the first place, and who asks tries all.
    ///
    /// By default that is `torsade/NAME.sock` in `$XDG_RUNTIME_DIR`, and in `/run`. The name follows
    /// from the path of the configuration's file, so that several hosts have each their own.
    pub fn places(&self, file: &Path) -> Vec<PathBuf> {
        match self {
            Self::At(path) => vec![path.clone()],
            Self::Default => {
                let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
                let mut hasher = DefaultHasher::new();
                file.hash(&mut hasher);
                let name = format!("torsade/{:016x}.sock", hasher.finish());
                let own = env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty());
                let folders = own.map(PathBuf::from).into_iter().chain([PathBuf::from("/run")]);
                folders.map(|folder| folder.join(&name)).collect()
            }
            Self::Off => Vec::new(),
        }
    }
}

pub(super) fn admin(
    section: &mut Section<'_>,
    folder: &Path,
    mistakes: &mut Mistakes,
) -> Option<Admin> {
    let field = section.field("admin")?;
    let at = mistakes.keep(path(&field, folder, "the path of a socket, or \"none\""))?;
    Some(if at == folder.join("none") { Admin::Off } else { Admin::At(at) })
}

/// The table `metrics`, which has the key `listen`.
pub(super) fn metrics(
    field: &Field<'_>,
    folder: &Path,
    mistakes: &mut Mistakes,
) -> Option<Endpoint> {
    let mut section = mistakes.keep(field.table())?;
    let listen = section.required("listen", "listen = \"127.0.0.1:9090\"", mistakes);
    let endpoint = listen.and_then(|field| mistakes.keep(listens(&field, folder)));
    section.finish(mistakes);
    endpoint
}

fn listens(field: &Field<'_>, folder: &Path) -> Result<Endpoint, Mistake> {
    const WANTED: &str = "an address with a port, such as \"127.0.0.1:9090\", or \"unix:PATH\"";
    let text = field.string(WANTED)?;
    if let Ok(address) = text.parse::<SocketAddr>() {
        let socket = Socket::Tcp { address, backlog: BACKLOG_DEFAULT };
        return Ok(Endpoint { socket, tls: None, proxied: false });
    }
    let endpoint: Result<Endpoint, _> = text.parse();
    let endpoint = endpoint.and_then(|endpoint| endpoint.below(folder));
    endpoint
        .ok()
        .filter(|of| matches!(of.socket, Socket::Tcp { .. } | Socket::Unix { .. }))
        .filter(|of| of.tls.is_none() && !of.proxied)
        .ok_or_else(|| field.mistake(format!("must be {WANTED}, not {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::super::{Config, parse};
    use super::*;

    const SERVICE: &str = "[service.a]\nplugin = 'Cargo.toml'\n";

    fn read(lines: &str) -> Result<Config, String> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("torsade.toml");
        parse(&file, format!("{lines}\n{SERVICE}").as_bytes()).map_err(|e| e.to_string())
    }

    #[test]
    fn what_others_see_is_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let config = read("").unwrap();
        assert_eq!((config.admin, config.metrics), (Admin::Default, None));
        assert_eq!((config.log_format, config.services[0].log), (LogFormat::Text, None));
        let config =
            read("admin = 'a.sock'\nlog-format = 'json'\nmetrics = { listen = '[::1]:9' }")
                .unwrap();
        assert_eq!(config.admin.places(&config.file), [folder.join("a.sock")]);
        assert_eq!(config.log_format, LogFormat::Json);
        let address = "[::1]:9".parse().unwrap();
        let socket = Socket::Tcp { address, backlog: BACKLOG_DEFAULT };
        assert_eq!(config.metrics.map(|endpoint| endpoint.socket), Some(socket));
        let config = read("admin = 'none'\nmetrics = { listen = 'unix:m.sock' }").unwrap();
        assert!(config.admin.places(&config.file).is_empty());
        let path = format!("unix:{}", folder.join("m.sock").display());
        assert_eq!(config.metrics.map(|endpoint| endpoint.to_string()), Some(path));
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        for (lines, why) in [
            ("admin = ''", "it must be the path of a socket, or \"none\""),
            ("log-format = 'xml'", "must be \"text\" or \"json\", not \"xml\""),
            ("metrics = {}", "listen is missing; write listen = \"127.0.0.1:9090\""),
            ("metrics = { listen = 'tls:1' }", "must be an address with a port, such as"),
            ("metrics = { listen = 'udp:1' }", "must be an address with a port, such as"),
            ("metrics = { listen = '9090' }", "must be an address with a port, such as"),
            ("metrics = { port = 1 }", "unknown key \"port\""),
        ] {
            let error = read(lines).unwrap_err();
            assert!(error.contains(why), "{lines}: {error}");
        }
        let error =
            parse(Path::new("torsade.toml"), b"[service.a]\nplugin = 'Cargo.toml'\nlog = 'loud'\n");
        let error = error.unwrap_err().to_string();
        assert!(error.contains("or \"trace\", not \"loud\""), "{error}");
    }

    #[test]
    fn each_configuration_has_a_socket_of_its_own() {
        let place = |file: &str| Admin::Default.places(Path::new(file)).pop().unwrap();
        assert_eq!(place("/nowhere/a.toml"), place("/nowhere/a.toml"));
        assert_ne!(place("/nowhere/a.toml"), place("/nowhere/b.toml"));
        assert!(place("/nowhere/a.toml").starts_with("/run/torsade"));
    }
}
