//! Every key of `torsade.toml`, with what is said of it: once, in a row from which the reference,
//! the schema for editors and the answers of `torsade check --explain` are made. The limits have
//! rows of their own, which are read as they stand ([`Limits`]).

use std::sync::LazyLock;
use std::time::Duration;

use crate::grants::Clear;
use crate::transport::client_endpoint::{ALPN_MAX, ALPN_NAME_MAX};
use crate::transport::endpoint::ENDPOINT_MAX;

use super::form::{Form, Text};
use super::grants::{STORES, clear_words};
use super::observed::{LEVELS, LOG_FORMATS};
use super::service::{INSTANCES, WHEN_FULL};
use super::tls::{CLIENTS, MIN_VERSIONS, NAMES_MAX};
use super::{
    ENDPOINTS_MAX, GRACE_DEFAULT, GRACE_MAX, GRANTED_MAX, LOG_DEFAULT, Limits, LogFormat,
    STATE_DEFAULT, TRUSTED_PROXIES_DEFAULT, WORKERS_MAX, WhenFull, units,
};

/// What stands in a path for the name of any service.
pub(super) const NAME: &str = "NAME";

/// A key, and what is said of it.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// From the root: `service.NAME.limits.memory`.
    pub(super) path: String,
    /// What it means, in sentences.
    pub(super) words: String,
    /// What it may be.
    pub(super) form: Form,
    /// What holds without it.
    pub(super) without: Without,
    /// A value, in TOML.
    pub(super) example: String,
}

/// What holds without a key.
#[derive(Clone, Debug)]
pub(super) enum Without {
    /// The same as with this value, in TOML.
    Is(String),
    /// What can't be written, in words.
    Means(&'static str),
    /// Nothing: it has to be there.
    Wrong,
}

impl Key {
    /// Its last part.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }

    /// The path of the table that it is in; empty for the file itself.
    pub(super) fn table(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(table, _)| table)
    }
}

/// A string in TOML, of characters that need no escape.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// The lines of a doc comment as one.
pub(super) fn words(lines: &[&str]) -> String {
    let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    lines.join(" ")
}

/// A key for each row: words, path, what it may be, what holds without it, an example.
macro_rules! keys {
    ($( $(#[doc = $words:literal])+ $path:literal $form:expr, $without:expr, $example:literal; )+) => {
        vec![$( Key {
            path: $path.to_owned(),
            words: words(&[$( $words ),+]),
            form: $form,
            without: $without,
            example: $example.to_owned(),
        } ),+]
    };
}

/// All keys, each table before what is in it.
pub(super) static ALL: LazyLock<Vec<Key>> =
    LazyLock::new(|| [file(), service(), Limits::keys(), grants(), tls()].concat());

const NONE: Without = Without::Means("none");
const PEM: Text = Text::of("path of a PEM file", "paths");
const FOLDER: Text = Text::of("path of a folder", "paths");
const NETWORKS: Text = Text::of("network", "networks");
const ENDPOINTS: Text = Text {
    one: "endpoint",
    many: "endpoints",
    bytes: (1, ENDPOINT_MAX),
    pattern: "^(haproxy:)?((tcp6?|tls|ssl|udp6?|unix|unix-datagram|systemd|fd):|stdio:?$)",
};
const TARGETS: Text = Text {
    one: "target",
    many: "targets",
    bytes: (1, ENDPOINT_MAX),
    pattern: "^(tcp|udp|unix|unix-datagram):",
};
const RANGES: Text = Text {
    one: "range",
    many: "ranges",
    bytes: (1, ENDPOINT_MAX),
    pattern: "^(tcp6?|udp6?|unix|unix-datagram):",
};
const PROTOCOLS: Text =
    Text { one: "protocol", many: "protocols", bytes: (1, ALPN_NAME_MAX), pattern: "" };

fn names<T>(words: &[(&'static str, T)]) -> Form {
    Form::Choice(words.iter().map(|(name, _)| *name).collect())
}

/// The word, of a list of words, that stands for what holds without the key.
fn default<T: Default + PartialEq>(words: &[(&'static str, T)]) -> Without {
    let found = words.iter().find(|(_, value)| *value == T::default());
    found.map_or(NONE, |(name, _)| Without::Is(quoted(name)))
}

fn file() -> Vec<Key> {
    keys! {
        /// Threads that serve, each with its own reactor, connections and instances.
        "workers" Form::Count(1..=WORKERS_MAX), Without::Means("one for each core"), "4";
        /// How long open connections may go on after a stop was asked for.
        "grace" Form::Time(Duration::ZERO..=GRACE_MAX),
            Without::Is(quoted(&units::show_time(GRACE_DEFAULT))), "\"30s\"";
        /// Which lines the log has, in `tracing`'s syntax: a level, or levels by part. `--log`,
        /// `TORSADE_LOG`, `-v` and `-q` go before it.
        "log" Form::Text(Text { bytes: (0, usize::MAX), ..Text::of("filter", "filters") }),
            Without::Is(quoted(LOG_DEFAULT)), "\"info,plugin=debug\"";
        /// What a line of the log looks like: text, in colours on a terminal, or an object of JSON.
        "log-format" names(&LOG_FORMATS), default::<LogFormat>(&LOG_FORMATS), "\"json\"";
        /// The socket by which `torsade status`, `top`, `stop` and `reload` ask the host, for this
        /// user alone; `"none"` for none.
        "admin" Form::Text(Text::of("path of a socket, or `\"none\"`", "paths")),
            Without::Means("a socket of the file's own, in `torsade` below `$XDG_RUNTIME_DIR` or `/run`"),
            "\"/run/torsade/admin.sock\"";
        /// Where Prometheus asks.
        "metrics" Form::Table, NONE, "{ listen = \"127.0.0.1:9090\" }";
        /// The address with its port, or an endpoint of TCP or of a Unix socket. Who can connect to it
        /// can read it.
        "metrics.listen" Form::Text(Text::of("address with a port, or endpoint", "endpoints")),
            Without::Wrong, "\"127.0.0.1:9090\"";
        /// The folder in which services keep what outlives them: the database of one is
        /// `SERVICE.sqlite`. It is made, closed to all other users, when a service needs it.
        "state" Form::Text(FOLDER), Without::Is(quoted(STATE_DEFAULT)), "\"/var/lib/torsade\"";
        /// Who the host becomes once everything is bound. It is started as root, or as this user.
        "user" Form::Text(Text::of("name of a user", "users")), NONE, "\"www-data\"";
        /// The group of that user.
        "group" Form::Text(Text::of("name of a group", "groups")),
            Without::Means("the user's primary group"), "\"www-data\"";
        /// What is served: at least one and at most 256 services, by their names. A name is 1 to 64
        /// of letters, digits, `-` and `_`.
        "service" Form::Table, Without::Wrong, "{ site = { plugin = \"guests/http\" } }";
        /// A service: a plugin joined to endpoints, grants and limits.
        "service.NAME" Form::Table, Without::Wrong,
            "{ plugin = \"guests/http\", listen = [\"tcp:8080\"] }";
    }
}

fn service() -> Vec<Key> {
    let proxies: Vec<String> =
        TRUSTED_PROXIES_DEFAULT.iter().map(|network| quoted(&network.to_string())).collect();
    keys! {
        /// What runs: a guest's folder, which is built, or a component's file.
        "service.NAME.plugin" Form::Text(Text::of("path", "paths")), Without::Wrong,
            "\"guests/http\"";
        /// Where it listens. A service that listens nowhere has one instance, on one worker, from
        /// the host's start to its end.
        "service.NAME.listen" Form::List(ENDPOINTS, 0..=ENDPOINTS_MAX), NONE,
            "[\"haproxy:tcp:8080\", \"unix:/run/site.sock:mode=660\"]";
        /// From where `haproxy:` endpoints take connections: networks, or addresses. Others are
        /// closed, and logged at most once a minute; who may open a Unix socket is trusted.
        "service.NAME.trusted-proxies" Form::List(NETWORKS, 0..=GRANTED_MAX),
            Without::Is(format!("[{}]", proxies.join(", "))), "[\"10.0.0.0/8\"]";
        /// Who may come, as networks, addresses, or `"unix"` for those who come by a Unix socket.
        /// All others are closed at once, and their datagrams dropped. An IPv4 address that is
        /// mapped into IPv6 counts as IPv4.
        "service.NAME.allow" Form::List(NETWORKS, 1..=GRANTED_MAX), Without::Means("all"),
            "[\"10.0.0.0/8\", \"fd00::/8\", \"192.0.2.1\", \"unix\"]";
        /// Who may not come; goes before `allow`.
        "service.NAME.deny" Form::List(NETWORKS, 0..=GRANTED_MAX), NONE, "[\"192.0.2.66\"]";
        /// Whether each connection has a sandbox of its own, so that a fault costs one connection,
        /// or all connections of a worker share one. Datagrams need the latter, which is the
        /// default where all endpoints are for them, and where the plugin's manifest says that its
        /// connections share state.
        "service.NAME.instances" names(&INSTANCES),
            Without::Means("`\"per-connection\"`, or as the plugin needs it"), "\"per-worker\"";
        /// On how many workers it runs.
        "service.NAME.workers" Form::Count(1..=WORKERS_MAX),
            Without::Means("all of the host's; 1 where the plugin's connections share state"), "1";
        /// What becomes of a new connection while the service has as many as `connections`, or
        /// `instances`, allow: it waits in the backlog until one has ended, or it is closed at once.
        "service.NAME.when-full" names(&WHEN_FULL), default::<WhenFull>(&WHEN_FULL), "\"refuse\"";
        /// The level of the log's lines about it, and of its plugin's own.
        "service.NAME.log" names(&LEVELS), Without::Means("by the host's `log`"), "\"debug\"";
        /// The plugin's own configuration, which it gets as JSON.
        "service.NAME.config" Form::Free, Without::Is("{}".to_owned()), "{ listing = true }";
        /// What it may use.
        "service.NAME.limits" Form::Table, NONE, "{ memory = \"8MiB\", connections = 20000 }";
    }
}

fn grants() -> Vec<Key> {
    keys! {
        /// What its plugin may reach; without it nothing but time, randomness, timers, the log and
        /// its own connections.
        "service.NAME.grants" Form::Table, NONE, "{ files = { read = \"public\" } }";
        /// Files that it may read.
        "service.NAME.grants.files" Form::Table, NONE, "{ read = \"public\" }";
        /// The folder below which they are. No path leads out of it, neither by `..` nor by a
        /// symbolic link.
        "service.NAME.grants.files.read" Form::Text(FOLDER), Without::Wrong, "\"public\"";
        /// It may look up the addresses of any name.
        "service.NAME.grants.resolver" Form::Flag, Without::Is("false".to_owned()), "true";
        /// Where it may connect to, and send datagrams to.
        "service.NAME.grants.connect" Form::List(TARGETS, 0..=GRANTED_MAX), NONE,
            "[\"tcp:10.0.0.0/8:5432\", \"tcp:*.example.org:443\"]";
        /// Where it may listen at run time.
        "service.NAME.grants.listen" Form::List(RANGES, 0..=GRANTED_MAX), NONE,
            "[\"tcp:40000-40100:interface=127.0.0.1\"]";
        /// The groups of IP multicast, and networks of them, that it may join.
        "service.NAME.grants.multicast" Form::List(Text::of("group", "groups"), 0..=GRANTED_MAX),
            NONE, "[\"224.0.0.251\", \"ff02::/16\"]";
        /// It may have its own code run in sandboxes on other threads.
        "service.NAME.grants.jobs" Form::Flag, Without::Is("false".to_owned()), "true";
        /// It may know the names and endpoints of all services of this configuration.
        "service.NAME.grants.services" Form::Flag, Without::Is("false".to_owned()), "true";
        /// It may use a database of its own (SQLite), which is kept below `state`, or lasts as long
        /// as the host runs.
        "service.NAME.grants.sql" names(&STORES), NONE, "\"file\"";
        /// The same for one table of keys and values. With `sql` it is in the same database, so both
        /// have to say the same.
        "service.NAME.grants.key-value" names(&STORES), NONE, "\"file\"";
        /// It may know which user a peer is: a file of users, which `torsade passwd` makes, or a
        /// table with more.
        "service.NAME.grants.credentials"
            Form::TextOrTable(Text::of("path of a file of users", "paths")), NONE, "\"users\"";
        /// The file of users.
        "service.NAME.grants.credentials.users"
            Form::Text(Text::of("path of a file of users", "paths")), Without::Wrong, "\"users\"";
        /// Where a peer may say a password: `"encrypted"`, on TLS, Unix sockets and standard input
        /// and output; `"loopback"`, also in clear from this host; `"always"`.
        "service.NAME.grants.credentials.plain" names(&clear_words()),
            default::<Clear>(&clear_words()), "\"loopback\"";
        /// Names of users: where there is no file, `torsade up` makes it with a password for each,
        /// and says these once, on standard error.
        "service.NAME.grants.credentials.create"
            Form::List(Text::of("name of a user", "names"), 0..=GRANTED_MAX),
            Without::Is("[]".to_owned()), "[\"alice\", \"bob\"]";
        /// What would be refused is let through and logged. **The service is not protected by its
        /// grants then.**
        "service.NAME.grants.dry-run" Form::Flag, Without::Is("false".to_owned()), "true";
    }
}

fn tls() -> Vec<Key> {
    keys! {
        /// What it encrypts with: `tls:` endpoints, and connections on which a plugin begins
        /// STARTTLS.
        "service.NAME.tls" Form::Table, NONE, "{ cert = \"site.pem\", key = \"site.key\" }";
        /// The certificate that is shown where no name fits, and below it those that lead to one
        /// that clients trust.
        "service.NAME.tls.cert" Form::Text(PEM), NONE, "\"site.pem\"";
        /// Its private key.
        "service.NAME.tls.key" Form::Text(PEM), Without::Means("what `cert` has"), "\"site.key\"";
        /// A folder of certificates, at most 1000, shown by the name that a client asks for (SNI):
        /// `NAME.pem` with the key in it, or `NAME.pem`, `NAME.crt` or `NAME.cert` beside
        /// `NAME.key`, or `NAME/fullchain.pem` with `NAME/privkey.pem`, as certbot keeps them.
        /// Without `cert` the first is shown where no name fits.
        "service.NAME.tls.folder" Form::Text(FOLDER), NONE, "\"certificates\"";
        /// Names of a certificate that the host makes, for development, keeps as
        /// `SERVICE.self-signed.pem` below `state`, and makes anew when it has expired. Nobody
        /// trusts it who was not told to: `curl --cacert state/SERVICE.self-signed.pem`.
        "service.NAME.tls.self-signed"
            Form::List(Text::of("name or address", "names and addresses"), 1..=NAMES_MAX), NONE,
            "[\"localhost\", \"127.0.0.1\"]";
        /// Whether clients are asked for a certificate. One that is shown is checked either way.
        "service.NAME.tls.clients" names(&CLIENTS), default::<Option<bool>>(&CLIENTS),
            "\"required\"";
        /// Those who sign clients' certificates.
        "service.NAME.tls.client-ca" Form::Text(PEM), NONE, "\"ca.pem\"";
        /// The protocols that are offered, the best first; a client that offers only others fails
        /// the handshake.
        "service.NAME.tls.alpn" Form::List(PROTOCOLS, 0..=ALPN_MAX), NONE,
            "[\"h2\", \"http/1.1\"]";
        /// The oldest version.
        "service.NAME.tls.min-version" names(&MIN_VERSIONS), default(&MIN_VERSIONS), "\"1.3\"";
        /// Those who sign the certificates of servers to which the plugin connects. These are always
        /// checked, and their names too.
        "service.NAME.tls.trust" Form::Text(PEM), Without::Means("whom the system trusts"),
            "\"ca.pem\"";
        /// The certificate that is shown to such a server if it asks for one.
        "service.NAME.tls.client-cert" Form::Text(PEM), NONE, "\"client.pem\"";
        /// Its private key.
        "service.NAME.tls.client-key" Form::Text(PEM), Without::Means("what `client-cert` has"),
            "\"client.key\"";
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
