//! The services of a configuration on their workers.

mod cache;
mod goal;
mod load;
mod privileges;
mod room;
mod tls;
mod users;

use std::io;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rand::TryRng;
use rand::rngs::SysRng;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing::level_filters::LevelFilter;

use crate::config::{Config, Service, User};
use crate::grants::{Grant, Line, Store};
use crate::net::Net;
use crate::net::os::{self, OsNet};
use crate::plugin::{LogLevel, ServiceFacts, Ticker};
use crate::pool::{Crew, Lane, Threads};
use crate::reactor::{Answer, ServiceSettings};
use crate::tally::Tally;
use crate::transport::endpoint::{Endpoint, Socket, UnixName};
use crate::transport::listener::{self, BoundSocket};
use crate::transport::tls::watch::Watching;
use crate::walls::Room;
use crate::worker::{Mailbox, Message, Worker};
use load::{engines, load, open_databases, ticker, try_out};
use privileges::{become_user, give, make_folder, may_become};
use room::{carried, raised_walls, room, share_files};
use users::open_users;

pub use cache::{cache_folder, check_private};
pub use goal::Goal;
pub use privileges::forbid_new_privileges;
pub use users::MadeUsers;

pub use crate::net::os::Inherited;

type WorkerThread = JoinHandle<io::Result<()>>;

/// Services that are being served.
pub struct Server {
    endpoints: Vec<(String, Vec<String>)>,
    workers: Vec<WorkerThread>,
    mailboxes: Vec<Mailbox>,
    grace: Duration,
    signals: Signals,
    /// Reads what is renewed while the workers run.
    certificates: Watching,
    /// Ticks while the workers run.
    ticker: Ticker,
    /// Works while the workers run.
    pool: Threads<Answer>,
    /// Of each service, by its name: how often its limits were reached.
    tallies: Vec<(Arc<str>, Arc<Tally>)>,
}

/// Finds all that is wrong with a configuration and its plugins, whose bytes stand in the order of
/// the services, without binding anything. Adds to `lines` what each service's plugin asks for and
/// what it gets, as far as its plugin could be read.
///
/// # Errors
/// Names the service and what would be right.
pub fn check(config: &Config, plugins: &[Vec<u8>], lines: &mut Vec<Vec<Line>>) -> Result<()> {
    let walls = raised_walls();
    let goal = Goal::of(config, &walls);
    let engines = engines(&goal, &carried(&goal, &walls))?;
    let ticker = ticker(&engines)?;
    let mut imports = Vec::new();
    let settings = load(config, plugins, &engines, &mut imports);
    let each = config.services.iter().zip(&imports);
    lines.extend(each.map(|(service, imports)| service.grants.lines(imports)));
    let mut settings = settings?;
    tls::encrypt(config, &mut settings, false)?;
    try_out(config, settings.iter_mut())?;
    open_users(config, settings.iter_mut(), None)?;
    drop(ticker);
    Ok(())
}

impl Server {
    /// Checks everything, binds every endpoint, or finds it among what is `inherited`, and starts to
    /// serve: as the configuration's `user`, if it names one. All of the process's threads become
    /// that user, before any plugin runs; and the calling thread, with those that it makes from now
    /// on, gains no privileges any more. Adds to `made` the users that it has made, also where it
    /// then fails: nobody can tell their passwords later.
    ///
    /// # Errors
    /// Names the service and what would be right; then nothing is served.
    pub fn start(
        config: &Config,
        plugins: &[Vec<u8>],
        mut inherited: Inherited,
        made: &mut Vec<MadeUsers>,
    ) -> Result<Self> {
        forbid_new_privileges()?;
        config.user.as_ref().map_or(Ok(()), may_become)?;
        let walls = raised_walls();
        let goal = Goal::of(config, &walls);
        let carried = carried(&goal, &walls);
        let engines = engines(&goal, &carried)?;
        let ticker = ticker(&engines)?;
        let mut settings = load(config, plugins, &engines, &mut Vec::new())?;
        let files = share_files(&goal, &walls, settings.iter_mut());
        config.user.as_ref().map_or(Ok(()), |user| make_state(config, user))?;
        let certificates = tls::encrypt(config, &mut settings, true)?;
        if config.user.is_none() {
            try_out(config, settings.iter_mut())?;
            open_users(config, settings.iter_mut(), Some(made))?;
            open_databases(config, settings.iter_mut())?;
        }

        let workers = config.workers.unwrap_or_else(cores);
        let mut plans = plan(config, settings, workers, &mut inherited)?;
        for unused in inherited.unused() {
            tracing::warn!("systemd handed over {unused}, which no endpoint names: it is closed");
        }
        drop(inherited);
        if let Some(user) = &config.user {
            hand_over(user, &plans)?;
            become_user(user)?;
            try_out(config, plans.iter_mut().map(|plan| &mut plan.settings))?;
            open_users(config, plans.iter_mut().map(|plan| &mut plan.settings), Some(made))?;
            open_databases(config, plans.iter_mut().map(|plan| &mut plan.settings))?;
        }
        let signals = Signals::new([SIGINT, SIGTERM]).context("can't listen for signals")?;
        let pool = Threads::new(|lane| crew(config, lane), os::be_nice, || Answer::Lost)
            .context("can't start the threads for blocking work")?;
        let certificates =
            certificates.start().context("can't start the thread that looks after certificates")?;
        let endpoints: Vec<_> = plans.iter().map(Plan::endpoints).collect();
        tell_services(config, &mut plans, &endpoints);
        let tally = |plan: &Plan| (plan.settings.name.clone(), plan.settings.tally.clone());
        let tallies = plans.iter().map(tally).collect();
        let room = room(&goal, carried, files);
        let (workers, mailboxes) = start_workers(config, plans, &pool, &room, workers)?;
        let grace = config.grace;
        Ok(Self {
            endpoints,
            workers,
            mailboxes,
            grace,
            signals,
            certificates,
            ticker,
            pool,
            tallies,
        })
    }

    /// Each service with its endpoints, as they were bound.
    pub fn endpoints(&self) -> Vec<(String, Vec<String>)> {
        self.endpoints.clone()
    }

    /// Serves until SIGTERM or SIGINT, and then until the connections are done or the grace is
    /// over. A second signal ends the grace.
    ///
    /// # Errors
    /// Where a worker failed.
    pub fn run(mut self) -> Result<()> {
        let handle = self.signals.handle();
        let workers = std::mem::take(&mut self.workers);
        let ended = thread::spawn(move || {
            let results: Vec<_> = workers.into_iter().map(JoinHandle::join).collect();
            handle.close();
            results
        });
        let mut grace = self.grace;
        for _signal in self.signals.forever() {
            tracing::info!("stopping: open connections may go on for {grace:?}");
            for mailbox in &self.mailboxes {
                mailbox.send(Message::Stop(grace));
            }
            grace = Duration::ZERO;
        }
        let results = ended.join().map_err(|_| anyhow!("the workers' ends were not seen"))?;
        // In this order: jobs end at a tick.
        drop(self.certificates);
        drop(self.pool);
        drop(self.ticker);
        for (service, tally) in &self.tallies {
            tell_reached(service, &tally.counts());
        }
        for result in results {
            result
                .map_err(|_| anyhow!("a worker panicked"))?
                .context("a worker's network failed")?;
        }
        Ok(())
    }
}

/// A service, ready to be dealt out to its workers.
struct Plan {
    settings: ServiceSettings,
    /// The sockets of each endpoint, in the order of `workers` or only for the first.
    sockets: Vec<Vec<BoundSocket>>,
    endpoints: Vec<Endpoint>,
    workers: Vec<usize>,
}

impl Plan {
    fn endpoints(&self) -> (String, Vec<String>) {
        let endpoints = self.endpoints.iter().map(ToString::to_string).collect();
        (self.settings.name.to_string(), endpoints)
    }

    /// The sockets of the worker that is the `place`-th of those that serve it.
    fn sockets_of(&mut self, place: usize) -> Vec<(u32, BoundSocket)> {
        let last = self.workers.len() - 1 - place;
        let numbered = self.sockets.iter_mut().zip(0..);
        numbered
            .filter_map(|(sockets, endpoint)| {
                // Taken from the back, so that a lone socket is the first worker's.
                (sockets.len() > last).then(|| sockets.pop()).flatten().map(|s| (endpoint, s))
            })
            .collect()
    }
}

/// Binds every endpoint, and says which workers serve which service.
fn plan(
    config: &Config,
    settings: Vec<ServiceSettings>,
    workers: usize,
    inherited: &mut Inherited,
) -> Result<Vec<Plan>> {
    let mut first = 0;
    let mut plans = Vec::new();
    for (service, settings) in config.services.iter().zip(settings) {
        // For one connection, or for none that is accepted, one worker is enough.
        let alone = service.listen.iter().all(|endpoint| endpoint.socket == Socket::Stdio);
        let wanted = if alone { Some(1) } else { service.workers };
        let count = wanted.unwrap_or(workers).min(workers);
        let serving: Vec<usize> = (0..count).map(|n| (first + n) % workers).collect();
        first = (first + count) % workers;
        let mut plan =
            Plan { settings, sockets: Vec::new(), endpoints: Vec::new(), workers: serving };
        for endpoint in &service.listen {
            let bound = listener::bind(endpoint, count, inherited)
                .map_err(|e| anyhow!("service.{}: {}", service.name, not_bound(endpoint, &e)))?;
            plan.sockets.push(bound.sockets);
            plan.endpoints.push(bound.endpoint);
        }
        plan.settings.endpoints = plan.endpoints.clone().into();
        plans.push(plan);
    }
    Ok(plans)
}

/// Makes the folder that services keep something in, for the user who will.
fn make_state(config: &Config, user: &User) -> Result<()> {
    let keeps = |service: &Service| {
        let users = service.grants.credentials.as_ref();
        service.grants.database() == Some(Store::File)
            || !service.tls.self_signed.is_empty()
            || users.is_some_and(|users| !users.create.is_empty())
    };
    let state = &config.state;
    match config.services.iter().any(keeps) {
        true => make_folder(state, user)
            .with_context(|| format!("can't make {} for {}", state.display(), user.name)),
        false => Ok(()),
    }
}

/// Gives the user what it needs and only root can make: the files of Unix sockets.
fn hand_over(user: &User, plans: &[Plan]) -> Result<()> {
    for endpoint in plans.iter().flat_map(|plan| &plan.endpoints) {
        if let Socket::Unix { name: UnixName::Path(path), .. }
        | Socket::UnixDatagram { name: UnixName::Path(path), .. } = &endpoint.socket
        {
            give(path, user)
                .with_context(|| format!("can't give {} to {}", path.display(), user.name))?;
        }
    }
    Ok(())
}

/// Tells the plugins that may know it what was bound.
fn tell_services(config: &Config, plans: &mut [Plan], bound: &[(String, Vec<String>)]) {
    let served = |(name, endpoints): &(String, Vec<String>)| ServiceFacts {
        name: name.clone(),
        endpoints: endpoints.clone(),
    };
    let services: Arc<[ServiceFacts]> = bound.iter().map(served).collect();
    for (service, plan) in config.services.iter().zip(plans) {
        if service.grants.allows(Grant::Services) {
            plan.settings.plugin.set_services(Arc::clone(&services));
        }
    }
}

/// Says which limits a service has reached since the start.
fn tell_reached(service: &str, counts: &[(&str, u64)]) {
    if !counts.is_empty() {
        let counts: Vec<_> = counts.iter().map(|(key, n)| format!("limits.{key} {n}")).collect();
        tracing::info!(service, "limits that were reached, and how often: {}", counts.join(", "));
    }
}

fn not_bound(endpoint: &Endpoint, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => match &endpoint.socket {
            Socket::Tcp { address, .. } | Socket::Udp { address, .. } => {
                format!("port {} is in use by another program", address.port())
            }
            Socket::Inherited(_)
            | Socket::Stdio
            | Socket::Unix { .. }
            | Socket::UnixDatagram { .. } => format!("it is in use: {error}"),
        },
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        io::ErrorKind::PermissionDenied => "this user is not allowed to".to_owned(),
        io::ErrorKind::NotFound => "its folder does not exist".to_owned(),
        _ => error.to_string(),
    };
    format!("can't listen on {endpoint}: {why}")
}

fn start_workers(
    config: &Config,
    mut plans: Vec<Plan>,
    pool: &Threads<Answer>,
    room: &Room,
    count: usize,
) -> Result<(Vec<WorkerThread>, Vec<Mailbox>)> {
    let (mut workers, mut mailboxes) = (Vec::new(), Vec::new());
    for number in 0..count {
        let net = OsNet::new().context("can't make a reactor")?;
        let (inbox, messages) = mpsc::channel();
        mailboxes.push(Mailbox { inbox, waker: net.waker() });
        let waker = net.waker();
        let pool = pool.handle(move || waker.wake());
        let mut worker = Worker::new(net, pool, messages, seed()?, log_level());
        worker.share(room.clone());
        for (service, plan) in plans.iter_mut().enumerate() {
            if let Some(place) = plan.workers.iter().position(|worker| *worker == number) {
                let sockets = plan.sockets_of(place);
                if config.is_only_stdio() {
                    worker.stop_with_connection(config.grace);
                }
                let (settings, serving) = (plan.settings.clone(), plan.workers.clone());
                worker
                    .serve(service, settings, sockets, serving)
                    .with_context(|| format!("service.{}: can't listen", plan.settings.name))?;
            }
        }
        workers.push(worker);
    }
    let threads = workers.into_iter().enumerate().map(|(number, worker)| {
        let mailboxes = mailboxes.clone();
        let name = format!("torsade-{number}");
        let thread = thread::Builder::new().name(name);
        let run = move || {
            let mut alarm = Alarm { mailboxes: mailboxes.clone(), off: false };
            let result = worker.run(mailboxes);
            alarm.off = result.is_ok();
            result
        };
        thread.spawn(run).context("can't start a worker's thread")
    });
    Ok((threads.collect::<Result<_>>()?, mailboxes))
}

/// Stops all workers when one of them fails: half a server that nobody notices helps nobody.
struct Alarm {
    mailboxes: Vec<Mailbox>,
    off: bool,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if !self.off {
            for mailbox in &self.mailboxes {
                mailbox.send(Message::Stop(Duration::ZERO));
            }
        }
    }
}

fn seed() -> Result<[u8; 32]> {
    let mut seed = [0; 32];
    SysRng.try_fill_bytes(&mut seed).context("the system has no random numbers")?;
    Ok(seed)
}

fn log_level() -> LogLevel {
    match LevelFilter::current() {
        LevelFilter::OFF | LevelFilter::ERROR => LogLevel::Error,
        LevelFilter::WARN => LogLevel::Warn,
        LevelFilter::INFO => LogLevel::Info,
        LevelFilter::DEBUG => LogLevel::Debug,
        _ => LogLevel::Trace,
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Threads for blocking work. Jobs compute, the others wait more than they compute, and for names
/// the longest. A database is written by one at a time. Hashes take so much memory that there are
/// few at once, however many services have users.
fn crew(config: &Config, lane: Lane) -> Crew {
    let uses = |service: &&Service| match lane {
        Lane::Files => service.grants.allows(Grant::Files),
        Lane::Jobs => service.grants.allows(Grant::Jobs),
        Lane::Logins => service.grants.allows(Grant::Credentials),
        Lane::Names => {
            service.grants.allows(Grant::Resolver) || service.grants.allows(Grant::Connect)
        }
        Lane::Reads | Lane::Writes => service.grants.database().is_some(),
    };
    let services = config.services.iter().filter(uses).count();
    let shared = match lane {
        _ if services == 0 => 0,
        Lane::Files | Lane::Reads => 3,
        Lane::Jobs => cores() - 1,
        Lane::Logins => {
            let services = services.min(LOGINS_AT_ONCE);
            let shared = (cores() - 1).min(LOGINS_AT_ONCE - services);
            return Crew { services, shared };
        }
        Lane::Names => 7,
        Lane::Writes => 0,
    };
    Crew { services, shared }
}

/// How many hashes are computed at once, over all services: each takes 19 MiB, and at most 64, which
/// are kept for the next.
const LOGINS_AT_ONCE: usize = 8;
