//! The servers: configured, started, and asked once whether they serve what they should.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use rustls::ClientConfig;
use torsade_tests::{http, tls};

use crate::child::Server;
use crate::load::{channel, dial};
use crate::roles::{SERVE_DATAGRAMS, SERVE_EPOLL};
use crate::rows::{Guest, Instances, Kind, SMALL};
use crate::workplace::Workplace;
use crate::{blocking, irc, timers, traps};

/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(10);
/// How long torsade may take until it answers, if it builds and compiles its plugin first.
const FIRST_START: Duration = Duration::from_secs(600);
/// The servers' limit of connections and instances, far above the idle rows' 10,500.
const CONNECTIONS: usize = 20_000;
/// nginx's limit of connections: it allocates them all at the start.
const NGINX_CONNECTIONS: usize = 15_000;
/// HAProxy's limit of connections, for which it wants descriptors at the start.
const HAPROXY_CONNECTIONS: usize = 1000;

/// A server that has answered once. Dropping it ends it.
pub(crate) struct Peer {
    /// Its process.
    pub(crate) server: Server,
    /// What it forwards to, if it does.
    _behind: Option<Server>,
    /// Its port on 127.0.0.1.
    pub(crate) port: u16,
}

impl Peer {
    /// Starts a server with fresh processes on the server's core.
    pub(crate) fn start(kind: Kind, place: &Workplace) -> Result<Self> {
        Self::start_with(kind, "", place)
    }

    /// Starts torsade with the service of the HTTP rows, and others beside it.
    pub(crate) fn start_beside(others: &str, place: &Workplace) -> Result<Self> {
        Self::start_with(Kind::Torsade(Guest::Http, Instances::PerWorker), others, place)
    }

    fn start_with(kind: Kind, others: &str, place: &Workplace) -> Result<Self> {
        let port = free_port()?;
        let mut behind = None;
        let server = match kind {
            Kind::Datagrams => start_own(SERVE_DATAGRAMS, place.server_core, place, port)?,
            Kind::Epoll => start_epoll(place.server_core, place, port)?,
            Kind::Haproxy(hops) => {
                let chain = start_chain(place, port, hops, &mut behind)?;
                start_haproxy(place, &chain)?
            }
            Kind::Ngircd => irc::start_ngircd(place, port)?,
            Kind::Nginx => start_nginx(place, port, false)?,
            Kind::NginxTls => start_nginx(place, port, true)?,
            Kind::Torsade(guest, instances) => {
                let chain = match guest {
                    Guest::Blocking
                    | Guest::Datagrams
                    | Guest::Echo
                    | Guest::Http
                    | Guest::Https
                    | Guest::Irc
                    | Guest::Tenth
                    | Guest::Timing => vec![port],
                    Guest::Portforward(hops) => start_chain(place, port, hops, &mut behind)?,
                };
                start_torsade(place, &chain, guest, instances, others)?
            }
        };
        let mut peer = Self { server, _behind: behind, port };
        let patience = if matches!(kind, Kind::Torsade(..)) { FIRST_START } else { START };
        match kind {
            Kind::Nginx | Kind::Torsade(Guest::Blocking | Guest::Http, _) => {
                peer.server.wait_until(patience, || ask_http(port))?;
            }
            Kind::NginxTls | Kind::Torsade(Guest::Https, _) => {
                let trusting = tls::trusting(&place.authority())?;
                peer.server.wait_until(patience, || ask_https(port, &trusting))?;
            }
            Kind::Torsade(Guest::Timing, _) => {
                peer.server.wait_until(patience, || timers::Talk::begin(port))?;
            }
            Kind::Ngircd | Kind::Torsade(Guest::Irc, _) => {
                peer.server.wait_until(patience, || channel::register(port, 0, "ready"))?;
            }
            Kind::Datagrams | Kind::Torsade(Guest::Datagrams, _) => {
                peer.server.wait_until(patience, || ask_datagrams(port))?;
            }
            Kind::Epoll | Kind::Haproxy(_) | Kind::Torsade(..) => {
                peer.server.wait_until(patience, || ask_echo(port))?;
            }
        }
        Ok(peer)
    }
}

/// The ports from `port` through so many hops to an echo, which is started.
fn start_chain(
    place: &Workplace,
    port: u16,
    hops: usize,
    behind: &mut Option<Server>,
) -> Result<Vec<u16>> {
    let mut chain = vec![port];
    for _ in 0..hops {
        chain.push(free_port()?);
    }
    let echo = chain[hops];
    let mut server = start_epoll(place.load_core, place, echo)?;
    server.wait_until(START, || ask_echo(echo))?;
    *behind = Some(server);
    Ok(chain)
}

/// A port that nobody listens on at this moment.
pub(crate) fn free_port() -> Result<u16> {
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

fn ask_datagrams(port: u16) -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect((Ipv4Addr::LOCALHOST, port))?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.send(b"is anybody there?")?;
    let mut got = [0; 100];
    let length = socket.recv(&mut got)?;
    ensure!(&got[..length] == b"is anybody there?", "the echo is wrong");
    Ok(())
}

fn ask_http(port: u16) -> Result<()> {
    let answer = http::ask(&mut dial(port, 0)?, &SMALL.path())?;
    ensure!(answer.body == SMALL.content(), "{} has another content", SMALL.path());
    Ok(())
}

fn ask_https(port: u16, trusting: &Arc<ClientConfig>) -> Result<()> {
    let answer = http::ask(&mut tls::begin(trusting, dial(port, 0)?)?, &SMALL.path())?;
    ensure!(answer.body == SMALL.content(), "{} has another content", SMALL.path());
    Ok(())
}

fn start_epoll(core: usize, place: &Workplace, port: u16) -> Result<Server> {
    start_own(SERVE_EPOLL, core, place, port)
}

/// This program, in the role of a server.
fn start_own(role: &str, core: usize, place: &Workplace, port: u16) -> Result<Server> {
    let own = std::env::current_exe()?;
    let words = [role.to_owned(), port.to_string()];
    Server::start(core, &place.path().join("epoll.log"), &own, &words)
}

fn start_haproxy(place: &Workplace, chain: &[u16]) -> Result<Server> {
    let file = place.path().join("haproxy.cfg");
    fs::write(&file, haproxy_cfg(chain))?;
    let words = [Path::new("-db"), Path::new("-f"), &file];
    Server::start(place.server_core, &place.path().join("haproxy.log"), &place.haproxy, &words)
}

fn haproxy_cfg(chain: &[u16]) -> String {
    let mut text = format!(
        "global
    nbthread 1
    maxconn {HAPROXY_CONNECTIONS}
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
"
    );
    for hop in chain.windows(2) {
        let (port, to) = (hop[0], hop[1]);
        text += &format!("listen hop{port}\n    bind 127.0.0.1:{port} backlog 4096\n");
        text += &format!("    server next 127.0.0.1:{to}\n");
    }
    text
}

fn start_nginx(place: &Workplace, port: u16, encrypted: bool) -> Result<Server> {
    let folder = place.path().join("nginx");
    fs::create_dir_all(&folder)?;
    let file = folder.join("nginx.conf");
    fs::write(&file, nginx_conf(&folder, place, port, encrypted))?;
    let words = [Path::new("-e"), Path::new("stderr"), Path::new("-c"), &file];
    Server::start(place.server_core, &place.path().join("nginx.log"), &place.nginx, &words)
}

fn nginx_conf(folder: &Path, place: &Workplace, port: u16, encrypted: bool) -> String {
    // Only root may choose, and then the files must stay readable.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let public = place.public();
    let (folder, public) = (folder.display(), public.display());
    let [cert, key] = place.certificate();
    let (ssl, tls) = match encrypted {
        false => ("", String::new()),
        true => {
            let (cert, key) = (cert.display(), key.display());
            let protocols = "ssl_protocols TLSv1.2 TLSv1.3;";
            (" ssl", format!("ssl_certificate {cert}; ssl_certificate_key {key}; {protocols}"))
        }
    };
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
        listen 127.0.0.1:{port}{ssl} backlog=4096;
        {tls}
        root {public};
    }}
}}
"
    )
}

fn start_torsade(
    place: &Workplace,
    chain: &[u16],
    guest: Guest,
    instances: Instances,
    others: &str,
) -> Result<Server> {
    let folder = place.path().join("torsade");
    fs::create_dir_all(&folder)?;
    let mut toml = torsade_toml(place, chain, guest, instances) + others;
    let mut words = vec![place.torsade.clone(), "up".into(), folder.clone()];
    if guest == Guest::Blocking {
        toml += &blocking::service(place);
        if let Ok(before) = blocking::hide_name_servers(place) {
            words.splice(..0, before);
        }
    }
    if guest == Guest::Irc {
        irc::write_users(&folder)?;
    }
    fs::write(folder.join("torsade.toml"), toml)?;
    let log = place.path().join("torsade.log");
    Server::start(place.server_core, &log, &words[0], &words[1..])
}

/// A service for each port of the chain, but for the last where that is somebody else's.
fn torsade_toml(place: &Workplace, chain: &[u16], guest: Guest, instances: Instances) -> String {
    let public = place.public();
    let mut text = "workers = 1\n".to_owned();
    let most = format!("connections = {CONNECTIONS}, instances = {CONNECTIONS}");
    let site = format!("grants = {{ files = {{ read = {public:?} }} }}\n");
    match guest {
        // The service that is measured; what goes on beside it is another one.
        Guest::Blocking => text += &service(chain[0], Guest::Http, instances, &most, &site),
        Guest::Datagrams | Guest::Echo => text += &service(chain[0], guest, instances, &most, ""),
        Guest::Http => text += &service(chain[0], guest, instances, &most, &site),
        Guest::Https => {
            let [cert, key] = place.certificate();
            let more = format!("{site}tls = {{ cert = {cert:?}, key = {key:?} }}\n");
            text += &service(chain[0], guest, instances, &most, &more);
        }
        Guest::Irc => {
            let most = format!("{most}, {}", irc::LIMITS);
            text += &service(chain[0], guest, instances, &most, irc::SERVICE);
        }
        Guest::Portforward(_) => {
            for hop in chain.windows(2) {
                let to = format!("tcp:127.0.0.1:{}", hop[1]);
                let more =
                    format!("grants = {{ connect = [{to:?}] }}\nconfig = {{ to = {to:?} }}\n");
                text += &service(hop[0], guest, instances, &most, &more);
            }
        }
        Guest::Tenth => text += &service(chain[0], guest, instances, traps::LIMITS, ""),
        Guest::Timing => {
            let more = format!("grants = {{ connect = [{:?}] }}\n", timers::TARGETS);
            text += &service(chain[0], guest, instances, timers::LIMITS, &more);
        }
    }
    text
}

fn service(port: u16, guest: Guest, instances: Instances, limits: &str, more: &str) -> String {
    let plugin = guest.folder();
    let kind = match guest {
        Guest::Datagrams => "udp",
        Guest::Https => "tls",
        _ => "tcp",
    };
    let instances = match instances {
        Instances::PerConnection => "per-connection",
        Instances::PerWorker => "per-worker",
    };
    format!(
        "
[service.bench-{port}]
plugin = {plugin:?}
listen = [\"{kind}:{port}:interface=127.0.0.1\"]
instances = \"{instances}\"
limits = {{ {limits} }}
{more}"
    )
}

impl Guest {
    /// Its folder in the repository.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Blocking => "tests/guests/blocking",
            Self::Datagrams | Self::Echo => "guests/echo",
            Self::Http | Self::Https => "guests/http",
            Self::Irc => "guests/irc",
            Self::Portforward(_) => "guests/portforward",
            Self::Tenth => "tests/guests/tenth",
            Self::Timing => "tests/guests/timing",
        }
    }

    /// The same from wherever this program runs.
    pub(crate) fn folder(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(self.name())
    }
}
