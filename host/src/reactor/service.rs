//! A service as one worker sees it: its plugin, its limits, its listeners.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::{Index, IndexMut};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::granted::DryRuns;
use super::life::{Life, Waiter};
use super::policies::Policies;
use super::quiet::{Few, Quiet};
use super::restart::{Failures, Restarts};
use super::share::Share;
use super::throttle::Line;
use super::work::Naming;
use super::{Answer, Reactor};
use crate::arena::Id;
use crate::capability::Failure;
use crate::capability::credentials::Checker;
use crate::capability::files::{Files, Root};
use crate::capability::resolver::{LookUp, Resolver};
use crate::capability::sql::Database;
use crate::census::Census;
use crate::grants::Grants;
use crate::net::{Address, Net};
use crate::plugin::{Limits, Plugin};
use crate::pool::Pool;
use crate::tally::Tally;
use crate::transport::endpoint::{Carries, Endpoint};
use crate::transport::tls::TlsSettings;
use crate::walls::Claim;

/// What a worker needs to know of a service.
#[derive(Clone)]
pub struct ServiceSettings {
    /// Its name, for the log.
    pub name: Arc<str>,
    /// Its plugin.
    pub plugin: Plugin,
    /// The plugin's file or folder, for the log.
    pub plugin_name: Arc<str>,
    /// The plugin's configuration, as JSON.
    pub config: Arc<str>,
    /// Whether each connection has its own instance.
    pub per_connection: bool,
    /// What an instance may use.
    pub limits: Arc<Limits>,
    /// Where it listens, in the order of its configuration.
    pub endpoints: Arc<[Endpoint]>,
    /// From where the header of the PROXY protocol is believed.
    pub trusted_proxies: Arc<[IpNet]>,
    /// How many connections it has and may have, over all workers.
    pub census: Arc<Census>,
    /// The key of the limit that the census is full by.
    pub full: &'static str,
    /// Whether new connections are closed at once then, and don't wait in the backlog.
    pub refuses: bool,
    /// How often its limits were reached, over all workers.
    pub tally: Arc<Tally>,
    /// When its plugin is started again that has failed.
    pub restarts: Restarts,
    /// How long what a plugin had queued that has failed may take to be sent.
    pub fault_drain: Duration,
    /// The part of the worker's time that it may take while others wait, in percent.
    pub cpu: u32,
    /// Who may come, and how long they may stay.
    pub policies: Policies,
    /// Bytes that may wait to be sent on a connection before it is aborted.
    pub unsent: usize,
    /// Bytes that may wait before `room` is 0.
    pub unsent_high: usize,
    /// Bytes that may wait when `write-drained` is called.
    pub unsent_low: usize,
    /// How long a closing connection may send nothing.
    pub drain: Duration,
    /// How long a closed connection waits for the peer's end.
    pub linger: Duration,
    /// How long a connection may take to be ready for its protocol.
    pub handshake: Duration,
    /// How many handshakes may be under way at once, on this worker.
    pub handshakes: usize,
    /// What its plugin may reach.
    pub grants: Arc<Grants>,
    /// The folder that `files` grants.
    pub files: Option<Root>,
    /// How many of its files a worker keeps open.
    pub cached_files: usize,
    /// What looks names up.
    pub look_up: LookUp,
    /// How many names a worker remembers.
    pub cached_names: usize,
    /// Connections that an instance may have dialled or be dialling.
    pub outgoing: usize,
    /// Listeners that an instance may have.
    pub listeners: usize,
    /// Senders that a socket for datagrams may answer without a grant.
    pub correspondents: usize,
    /// Groups that one socket for datagrams may have joined.
    pub groups: usize,
    /// What a job may use.
    pub job_limits: Arc<Limits>,
    /// Jobs that may run or wait at once, on this worker.
    pub jobs: usize,
    /// What `sql` and `key-value` grant.
    pub database: Option<Database>,
    /// What `credentials` grants.
    pub checker: Option<Checker>,
    /// What its connections encrypt with.
    pub tls: TlsSettings,
}

impl ServiceSettings {
    /// Whether what an endpoint carries can be served: why not, as a plugin hears it.
    pub(super) fn serves(&self, carries: Carries) -> Result<(), Failure> {
        let unsupported = |message| Err(Failure::new("unsupported", message));
        match carries {
            Carries::Streams if !self.plugin.serves_streams() => {
                unsupported("the plugin exports no protocols")
            }
            Carries::Datagrams if !self.plugin.serves_datagrams() => {
                unsupported("the plugin exports no datagram-protocols")
            }
            Carries::Datagrams if self.per_connection => {
                unsupported("datagrams need a service with instances = \"per-worker\"")
            }
            _ => Ok(()),
        }
    }
}

/// A connection that was accepted for another worker.
pub struct Accepted<S> {
    /// The socket.
    pub stream: S,
    /// The peer's address.
    pub peer: Address,
    /// The number of the service.
    pub service: usize,
    /// The place of the endpoint in the service's `listen`.
    pub endpoint: u32,
    /// The room that it has taken.
    pub claim: Claim,
}

pub(super) struct Service {
    pub(super) settings: ServiceSettings,
    /// What it is to peers.
    pub(super) standing: Standing,
    /// No other worker sends it connections any more.
    pub(super) forgotten: bool,
    /// Connections, with those that are only waiting for the peer's end.
    pub(super) conns: usize,
    /// Instances.
    pub(super) lives: usize,
    /// The place of what is counted of it.
    pub(super) account: usize,
    /// The instance that all its connections share, unless each has its own.
    pub(super) shared: Option<Id<Life>>,
    pub(super) files: Option<Files<Waiter>>,
    pub(super) names: Resolver<Naming>,
    /// Handshakes that are under way, or follow the header of a proxy that is waited for.
    pub(super) handshakes: usize,
    /// Jobs that run or wait.
    pub(super) jobs: usize,
    /// Bytes of the questions that the pool works on.
    pub(super) asked_bytes: usize,
    /// Connections that were turned away.
    pub(super) turned_away: Quiet,
    /// Limits that were reached, by their keys.
    pub(super) reached: BTreeMap<&'static str, Quiet>,
    /// Its plugin's failures in a row.
    pub(super) failures: Failures,
    /// What it takes of the worker's time, and what waits for others.
    pub(super) share: Share,
    /// Headers of proxies that were refused.
    pub(super) refused_headers: Few,
    /// Datagrams of peers that may not come.
    pub(super) kept_out: Quiet,
    /// Datagrams to peers that nothing is granted to be sent to.
    pub(super) denied: Quiet,
    /// What `dry-run` says of each grant.
    pub(super) dry_runs: DryRuns,
    /// Properties of sockets that can't be set.
    pub(super) unset: Quiet,
    /// Who waits to read, and who to send.
    pub(super) lines: [Line; 2],
}

/// What a service is to peers: from top to bottom, for good.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Standing {
    /// They may come.
    Open,
    /// Others have its endpoints; who came before stays. Other workers may still send it some.
    Succeeded,
    /// The same, but it ends, and its plugin knows that.
    Stopping,
}

/// The services by their numbers. A number that has become free is given out again.
#[derive(Default)]
pub(super) struct Services {
    slots: Vec<Option<Service>>,
    count: usize,
    /// How many of them are not open any more.
    pub(super) leaving: usize,
}

impl Services {
    fn add(&mut self, service: Service) -> usize {
        self.count += 1;
        let free = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if free == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[free] = Some(service);
        free
    }

    /// Nothing has this number any more.
    pub(super) fn remove(&mut self, number: usize) {
        self.slots[number] = None;
        (self.count, self.leaving) = (self.count - 1, self.leaving - 1);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// All numbers are below this one.
    pub(super) fn end(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn get(&self, number: usize) -> Option<&Service> {
        self.slots.get(number)?.as_ref()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Service)> {
        self.slots.iter().enumerate().filter_map(|(number, it)| Some((number, it.as_ref()?)))
    }
}

impl Index<usize> for Services {
    type Output = Service;

    fn index(&self, number: usize) -> &Service {
        self.slots[number].as_ref().expect(NAMED)
    }
}

impl IndexMut<usize> for Services {
    fn index_mut(&mut self, number: usize) -> &mut Service {
        self.slots[number].as_mut().expect(NAMED)
    }
}

const NAMED: &str = "a service stays as long as anything has its number";

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// Adds a service, and returns its number. With a shared instance, that is started now.
    pub fn serve(&mut self, settings: ServiceSettings) -> usize {
        let service = self.add_service(settings);
        self.begin_service(service);
        service
    }

    /// The first half of [`Reactor::serve`]: what it listens on can be given to it now.
    pub fn add_service(&mut self, settings: ServiceSettings) -> usize {
        let files = settings.files.clone().map(|root| Files::new(root, settings.cached_files));
        let names = Resolver::new(settings.look_up.clone(), settings.cached_names);
        let account = self.account_for(&settings);
        let service = Service {
            settings,
            account,
            standing: Standing::Open,
            forgotten: false,
            conns: 0,
            lives: 0,
            shared: None,
            files,
            names,
            handshakes: 0,
            jobs: 0,
            asked_bytes: 0,
            turned_away: Quiet::default(),
            reached: BTreeMap::new(),
            failures: Failures::default(),
            share: Share::default(),
            refused_headers: Few::default(),
            kept_out: Quiet::default(),
            denied: Quiet::default(),
            dry_runs: DryRuns::default(),
            unset: Quiet::default(),
            lines: Default::default(),
        };
        let number = self.services.add(service);
        if self.services.len() > 1 {
            self.lent().stopwatch = N::clock();
        }
        number
    }

    /// The second half: its shared instance is started, where it has one.
    pub fn begin_service(&mut self, service: usize) {
        if !self.services[service].settings.per_connection {
            self.tell_time();
            // Where it fails the log says so, and the next connection tries again.
            self.shared_life(service);
            self.settle();
        }
    }

    /// Takes a connection that another worker accepted.
    pub fn adopt(&mut self, accepted: Accepted<N::Stream>) {
        self.tell_time();
        self.connect(accepted);
        self.settle();
    }

    /// The connections that were accepted for other workers since the last call.
    pub fn take_dealt(&mut self) -> Vec<Accepted<N::Stream>> {
        std::mem::take(&mut self.dealt)
    }
}

/// The address that limits for each peer count by. One that is mapped into IPv6 is the IPv4 one.
pub(super) fn peer_ip(peer: &Address) -> Option<IpAddr> {
    match peer {
        Address::Tcp(address) | Address::Udp(address) => Some(address.ip().to_canonical()),
        Address::Stdio | Address::Unix(_) => None,
    }
}
