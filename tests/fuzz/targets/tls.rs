//! The TLS front end, behind a proxy's header or not: a client's records as they are, changed, cut or
//! made up. What an honest client says is echoed, and nothing is left of any.
//!
//! Keys and random numbers differ from run to run, so what depends on them isn't found twice by the
//! same input; the order of things is.

#![no_main]

#[path = "../../simulation/mod.rs"]
#[expect(dead_code, reason = "the tests of the simulation are there, too")]
mod simulation;

use std::io::{Read, Write};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::{Result, anyhow};
use libfuzzer_sys::fuzz_target;
use rustls::client::Resumption as Resumes;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use simulation::choices::Choices;
use simulation::site::{self, Kind, Settings};
use torsade::net::Net;
use torsade::net::sim::{Conditions, Far, SimNet};
use torsade::plugin::LogLevel;
use torsade::pool::SimPool;
use torsade::reactor::{Answer, Counts, Reactor, ServiceSettings};
use torsade::transport::tls::certificates::{CertificateFiles, Sources};
use torsade::transport::tls::pem::{Pair, Purpose};
use torsade::transport::tls::resumption::Resumption;
use torsade::transport::tls::settings::{self, MinVersion, ServerSide};
use torsade::transport::tls::{ServerConfig, TlsSettings};
use torsade_tests::certificates::Authority;

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::written(input);
    let (version, proxied) = (choices.below(2), choices.below(4) == 3);
    let mut world = World::new(choices.below(256) as u64, version, proxied);
    for _ in 0..STEPS {
        world.step(&mut choices);
        if choices.are_over() {
            break;
        }
    }
    world.finish();
});

struct World {
    reactor: Reactor<SimNet, SimPool<Answer>>,
    far: Far,
    client: ClientConnection,
    /// What the client said, and what it heard.
    said: Vec<u8>,
    heard: Vec<u8>,
    /// It has said that it says no more.
    has_ended: bool,
    /// Nobody has meddled, and nobody has gone.
    is_honest: bool,
}

impl World {
    fn new(seed: u64, version: usize, proxied: bool) -> Self {
        let conditions = Conditions { window: 1024 << (seed % 7), ..Conditions::default() };
        let mut net = SimNet::with(seed, conditions);
        let listener = net.listener();
        let index = listener.index();
        let waker = net.waker();
        let pool = SimPool::new(seed, move || waker.wake());
        let mut reactor = Reactor::new(net, pool, [7; 32], LogLevel::Error);
        let endpoint = if proxied { "haproxy:tls:1" } else { "tls:1" };
        let tls = TlsSettings {
            endpoints: vec![Some(Arc::clone(&SIDES.server))],
            ..TlsSettings::default()
        };
        let service = reactor.serve(ServiceSettings {
            endpoints: Arc::new([endpoint.parse().expect("it is an endpoint")]),
            tls,
            ..site::service(Kind::Echo, true, &Settings::CALM)
        });
        reactor.listen(listener, service, 0, false).expect("nothing fails");
        let far = reactor.net().connect(index);
        if proxied {
            reactor.net().send(far, b"PROXY TCP4 203.0.113.1 198.51.100.1 5 7\r\n");
        }
        let name = ServerName::try_from("site.test").expect("it is a name");
        let client = Arc::clone(&SIDES.clients[version]);
        let client = ClientConnection::new(client, name).expect("it has a name");
        let (said, heard) = (Vec::new(), Vec::new());
        Self { reactor, far, client, said, heard, has_ended: false, is_honest: true }
    }

    fn step(&mut self, choices: &mut Choices) {
        let what = choices.below(16);
        match what {
            0..=3 => self.hand_over(|_| {}),
            // What comes behind the end is ignored (RFC 8446, section 6.1).
            4..=6 if self.has_ended => {}
            4..=6 => {
                let length = 1 + choices.size(2000);
                let data = choices.bytes(length, b"what it says\n");
                if self.client.writer().write_all(&data).is_ok() {
                    self.said.extend(data);
                }
            }
            7..=9 => self.hand_over(|records| {
                if !records.is_empty() {
                    let place = choices.below(records.len());
                    records[place] ^= choices.below(256) as u8;
                }
            }),
            10 => self.hand_over(|records| records.truncate(choices.below(records.len() + 1))),
            11 | 12 => {
                let length = choices.below(64);
                let record: Vec<u8> = (0..length).map(|_| choices.below(256) as u8).collect();
                self.is_honest = false;
                self.send(&record);
            }
            // In a handshake it would go out in clear, which nobody can take for an end.
            13 if self.client.is_handshaking() => {}
            13 => {
                self.client.send_close_notify();
                self.has_ended = true;
            }
            14 => {
                let time = [1, 100, 70_000][choices.below(3)];
                // Whoever takes so long is given up.
                self.is_honest &= time < 1000;
                self.turn(Some(Duration::from_millis(time)));
            }
            _ => {
                self.is_honest = false;
                match choices.below(3) {
                    0 => self.reactor.net().shut_down(self.far),
                    1 => self.reactor.net().hang_up(self.far),
                    _ => self.reactor.net().reset(self.far),
                }
            }
        }
        self.turn(Some(Duration::from_millis(choices.below(3) as u64)));
        self.hear();
    }

    /// Sends the client's records, with what `change` makes of them.
    fn hand_over(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut records = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut records).expect("there is room");
        }
        let before = records.clone();
        change(&mut records);
        self.is_honest &= records == before;
        self.send(&records);
    }

    fn send(&mut self, bytes: &[u8]) {
        self.reactor.net().send(self.far, bytes);
    }

    /// The client takes what has arrived.
    fn hear(&mut self) {
        let arrived = self.reactor.net().received(self.far);
        let mut rest = &arrived[..];
        while !rest.is_empty() {
            let taken = self.client.read_tls(&mut rest);
            let read = self.client.process_new_packets();
            if !matches!((&taken, &read), (Ok(1..), Ok(_))) {
                assert!(!self.is_honest, "the host breaks TLS: {taken:?}, {read:?}");
                break;
            }
            // It ends where nothing is left for now.
            let _ = self.client.reader().read_to_end(&mut self.heard);
        }
        assert!(self.said.starts_with(&self.heard), "it hears what it has not said");
    }

    fn turn(&mut self, most: Option<Duration>) {
        self.reactor.turn(most).expect("the network has no faults");
    }

    /// The client says all it has to say, and goes.
    fn finish(mut self) {
        for _ in 0..TURNS {
            let heard = self.heard.len();
            self.hand_over(|_| {});
            self.turn(Some(Duration::from_millis(50)));
            self.hear();
            let waits = self.client.wants_write() || self.heard.len() < self.said.len();
            if !waits || !self.is_honest && heard == self.heard.len() {
                break;
            }
        }
        assert!(!self.is_honest || self.heard == self.said, "an honest client gets its echo");
        self.reactor.net().hang_up(self.far);
        self.reactor.stop();
        for _ in 0..TURNS {
            self.turn(None);
            self.reactor.net().received(self.far);
            let counts = self.reactor.counts();
            if self.reactor.net().idle() && counts.connections + counts.timers == 0 {
                break;
            }
        }
        let counts = self.reactor.counts();
        let Counts { services, turned_away, .. } = counts;
        let left = Counts { services, turned_away, ..Counts::default() };
        assert_eq!(counts, left, "something is left");
        assert_eq!(self.reactor.net().open_streams(), 0, "a socket is left open");
    }
}

/// What both sides encrypt with: made once.
struct Sides {
    server: Arc<ServerConfig>,
    /// Of TLS 1.2 and of TLS 1.3. They remember no session.
    clients: [Arc<ClientConfig>; 2],
}

impl Sides {
    fn new() -> Result<Self> {
        let authority = Authority::new("Authority")?;
        let folder = tempfile::tempdir()?;
        authority.sign(&["site.test"])?.write(folder.path(), "site")?;
        let [cert, key] = ["site.pem", "site-key.pem"].map(|name| folder.path().join(name));
        let sources = Sources { cert: Some(Pair { cert, key }), folder: None };
        let files = CertificateFiles::load("it", sources, Purpose::Server, settings::now());
        let files = files.map_err(|problem| anyhow!("{problem}"))?;
        let server = settings::server(ServerSide {
            certificates: files.certificates(),
            clients: None,
            sessions: Resumption::new()?,
            alpn: Vec::new(),
            min_version: MinVersion::Tls12,
        })?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes())?)?;
        let clients = [&TLS12, &TLS13].map(|version| {
            let builder = ClientConfig::builder_with_protocol_versions(&[version]);
            let mut client = builder.with_root_certificates(roots.clone()).with_no_client_auth();
            client.resumption = Resumes::disabled();
            Arc::new(client)
        });
        Ok(Self { server, clients })
    }
}

static SIDES: LazyLock<Sides> = LazyLock::new(|| Sides::new().expect("certificates can be made"));

/// More is not done in a run.
const STEPS: usize = 60;

/// More turns than any run takes.
const TURNS: usize = 5_000;
