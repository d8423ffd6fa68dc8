//! The servers: configured, started, and asked once whether they serve what they should.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::child::Server;
use crate::load::{dial, http};
use crate::roles::SERVE_EPOLL;
use crate::rows::{Guest, Instances, Kind, SMALL};
use crate::workplace::Workplace;
use crate::{blocking, timers};

/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(10);
/// How long torsade may take until it answers, if it builds and compiles its plugin first.
const FIRST_START: Duration = Duration::from_secs(600);
/// The service's limit of connections and instances, far above the idle rows' 10,500.
const CONNECTIONS: usize = 20_000;
/// nginx's limit of connections: it allocates them all at the start.
const NGINX_CONNECTIONS: usize = 15_000;

/// A server that has answered once. Dropping it ends it.
pub(crate) struct Peer {
    /// Its process.
    pub(crate) server: Server,
    /// Its port on 127.0.0.1.
    pub(crate) port: u16,
}

impl Peer {
    /// Starts a server with fresh processes on the server's core.
    pub(crate) fn start(kind: Kind, place: &Workplace) -> Result<Self> {
        let port = free_port()?;
        let server = match kind {
            Kind::Epoll => start_epoll(place, port)?,
            Kind::Nginx => start_nginx(place, port)?,
            Kind::Torsade(guest, instances) => start_torsade(place, port, guest, instances)?,
        };
        let mut peer = Self { server, port };
        let patience = if matches!(kind, Kind::Torsade(..)) { FIRST_START } else { START };
        match kind {
            Kind::Epoll | Kind::Torsade(Guest::Echo, _) => {
                peer.server.wait_until(patience, || ask_echo(port))?;
            }
            Kind::Nginx | Kind::Torsade(Guest::Blocking | Guest::Http, _) => {
                peer.server.wait_until(patience, || ask_http(port))?;
            }
            Kind::Torsade(Guest::Timing, _) => {
                peer.server.wait_until(patience, || timers::Talk::begin(port))?;
            }
        }
        Ok(peer)
    }
}

/// A port that nobody listens on at this moment.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn ask_echo(port: u16) -> Result<()> {
    let mut stream = dial(port, 0)?;
    let sent = b"is anybody there?";
    stream.write_all(sent)?;
    let mut got = [0; 17];
    stream.read_exact(&mut got)?;
    ensure!(&got == sent, "the echo is wrong");
    Ok(())
}

fn ask_http(port: u16) -> Result<()> {
    let answer = http::ask(&mut dial(port, 0)?, &SMALL.path())?;
    ensure!(answer.body == SMALL.content(), "{} has another content", SMALL.path());
    Ok(())
}

fn start_epoll(place: &Workplace, port: u16) -> Result<Server> {
    let own = std::env::current_exe()?;
    let words = [SERVE_EPOLL.to_owned(), port.to_string()];
    Server::start(place.server_core, &place.path().join("epoll.log"), &own, &words)
}

fn start_nginx(place: &Workplace, port: u16) -> Result<Server> {
    let folder = place.path().join("nginx");
    fs::create_dir_all(&folder)?;
    let file = folder.join("nginx.conf");
    fs::write(&file, nginx_conf(&folder, &place.public(), port))?;
    let words = [Path::new("-e"), Path::new("stderr"), Path::new("-c"), &file];
    Server::start(place.server_core, &place.path().join("nginx.log"), &place.nginx, &words)
}

fn nginx_conf(folder: &Path, public: &Path, port: u16) -> String {
    // Only root may choose, and then the files must stay readable.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let (folder, public) = (folder.display(), public.display());
    format!(
        "daemon off; {user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections {NGINX_CONNECTIONS}; }}
http {{
    types {{ text/plain txt; }}
    client_body_temp_path {folder}/body;
    fastcgi_temp_path {folder}/fastcgi;
    proxy_temp_path {folder}/proxy;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    access_log off;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=1000;
    open_file_cache_valid 1s;
    keepalive_requests 1000000000;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {public};
    }}
}}
"
    )
}

fn start_torsade(
    place: &Workplace,
    port: u16,
    guest: Guest,
    instances: Instances,
) -> Result<Server> {
    let folder = place.path().join("torsade");
    fs::create_dir_all(&folder)?;
    let mut toml = torsade_toml(&place.public(), port, guest, instances);
    let mut words = vec![place.torsade.clone(), "up".into(), folder.clone()];
    if guest == Guest::Blocking {
        toml += &blocking::service(place);
        if let Ok(before) = blocking::hide_name_servers(place) {
            words.splice(..0, before);
        }
    }
    fs::write(folder.join("torsade.toml"), toml)?;
    let log = place.path().join("torsade.log");
    Server::start(place.server_core, &log, &words[0], &words[1..])
}

fn torsade_toml(public: &Path, port: u16, guest: Guest, instances: Instances) -> String {
    // The service that is measured; what goes on beside it is another one.
    let plugin = if guest == Guest::Blocking { Guest::Http } else { guest }.folder();
    let instances = match instances {
        Instances::PerConnection => "per-connection",
        Instances::PerWorker => "per-worker",
    };
    let grants = match guest {
        Guest::Echo => String::new(),
        Guest::Blocking | Guest::Http => {
            format!("grants = {{ files = {{ read = {public:?} }} }}\n")
        }
        Guest::Timing => format!("grants = {{ connect = [{:?}] }}\n", timers::TARGETS),
    };
    let limits = match guest {
        Guest::Timing => timers::LIMITS.to_owned(),
        _ => format!("connections = {CONNECTIONS}, instances = {CONNECTIONS}"),
    };
    format!(
        "workers = 1

[service.bench]
plugin = {plugin:?}
listen = [\"tcp:{port}:interface=127.0.0.1\"]
instances = \"{instances}\"
limits = {{ {limits} }}
{grants}"
    )
}

impl Guest {
    /// Its folder in the repository.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Blocking => "tests/guests/blocking",
            Self::Echo => "guests/echo",
            Self::Http => "guests/http",
            Self::Timing => "tests/guests/timing",
        }
    }

    /// The same from wherever this program runs.
    pub(crate) fn folder(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(self.name())
    }
}
