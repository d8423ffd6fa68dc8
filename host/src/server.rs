//! The services of a configuration on their workers.

mod asked;
mod cache;
mod control;
mod crew;
mod doors;
mod goal;
mod load;
mod manifests;
mod plan;
mod privileges;
mod rehearsed;
mod reload;
mod room;
mod run;
mod tls;
mod users;

use std::io;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use rand::TryRng;
use rand::rngs::SysRng;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use tracing::level_filters::LevelFilter;
use tracing::{Level, enabled};

use crate::config::{Config, Service, User};
use crate::grants::{Grant, Line, Store};
use crate::net::Net;
use crate::net::os::OsNet;
use crate::observe::Observing;
use crate::plugin::{LogLevel, ServiceFacts, Ticker};
use crate::pool::Threads;
use crate::reactor::{Answer, ServiceSettings};
use crate::tally::Tally;
use crate::transport::endpoint::{Socket, UnixName};
use crate::transport::tls::watch::Watching;
use crate::walls::Room;
use crate::worker::{Mailbox, Message, Worker};
use asked::Asked;
use control::{Order, Orders, Source};
use crew::{crew, give_way};
use load::{engines, load, open_databases, ticker, try_out};
use plan::{Places, Plan, Running};
use privileges::{become_user, give, make_folder, may_become};
use reload::State;
use room::{carried, raised_walls, room, share_files};
use users::open_users;

pub use cache::{cache_folder, check_private};
pub use control::{Changes, Control, Reload};
pub use goal::Goal;
pub use manifests::heed;
pub use privileges::forbid_new_privileges;
pub use rehearsed::Rehearsed;
pub use users::MadeUsers;

pub use crate::net::os::Inherited;

type WorkerThread = JoinHandle<io::Result<()>>;

/// Services that are being served.
pub struct Server {
    state: State,
    workers: Vec<WorkerThread>,
    mailboxes: Vec<Mailbox>,
    signals: Handle,
    /// How it is told what to do while it runs.
    control: Control,
    orders: Orders,
    /// Answers who asks what it does, if anybody may.
    observing: Option<Observing>,
    /// Reads what is renewed while the workers run.
    certificates: Watching,
    /// Ticks while the workers run.
    ticker: Ticker,
    /// Works while the workers run.
    pool: Threads<Answer>,
    /// Of each service that was ever served, by its name: how often its limits were reached.
    tallies: Vec<(Arc<str>, Arc<Tally>)>,
}

/// Finds all that is wrong with a configuration and its plugins, whose bytes stand in the order of
/// the services, without binding anything. Adds to `lines` what each service's plugin asks for and
/// what it gets, as far as its plugin could be read.
///
/// # Errors
/// Names the service and what would be right.
pub fn check(config: &Config, plugins: &[Vec<u8>], lines: &mut Vec<Vec<Line>>) -> Result<()> {
    let config = &heed(config, plugins)?;
    let walls = raised_walls();
    let goal = Goal::of(config, &walls);
    let engines = engines(&goal, &carried(&goal, &walls))?;
    let ticker = ticker(&engines)?;
    let mut imports = Vec::new();
    let settings = load(config, plugins, &engines, true, &mut imports);
    let each = config.services.iter().zip(&imports);
    lines.extend(each.map(|(service, imports)| service.grants.lines(imports)));
    let mut settings = settings?;
    tls::encrypt(config, &mut settings, false)?;
    try_out(config, settings.iter_mut())?;
    open_users(config, settings.iter_mut(), &Arc::default(), None)?;
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
        let config = &heed(config, plugins)?;
        let walls = raised_walls();
        let goal = Goal::of(config, &walls);
        let carried = carried(&goal, &walls);
        let engines = engines(&goal, &carried)?;
        let ticker = ticker(&engines)?;
        let mut settings = load(config, plugins, &engines, true, &mut Vec::new())?;
        let files = share_files(&goal, &walls, settings.iter_mut());
        config.user.as_ref().map_or(Ok(()), |user| make_state(config, user))?;
        let watches = tls::encrypt(config, &mut settings, true)?;
        let memory = Arc::default();
        if config.user.is_none() {
            try_out(config, settings.iter_mut())?;
            open_users(config, settings.iter_mut(), &memory, Some(made))?;
            open_databases(config, settings.iter_mut())?;
        }

        let workers = config.workers.unwrap_or_else(cores);
        let mut places = Places::of(workers, &mut inherited);
        let each = config.services.iter().zip(settings).zip(plugins);
        let plans: Result<Vec<_>> = each
            .map(|((service, settings), plugin)| {
                places.plan(service, settings, plugin.as_slice().into())
            })
            .collect();
        let (mut plans, first, next) = (plans?, places.first, places.next);
        for unused in inherited.unused() {
            tracing::warn!("systemd handed over {unused}, which no endpoint names: it is closed");
        }
        drop(inherited);
        let doors = doors::bind(config)?;
        if let Some(user) = &config.user {
            hand_over(user, &plans)?;
            become_user(user)?;
            try_out(config, settings_of(&mut plans))?;
            open_users(config, settings_of(&mut plans), &memory, Some(made))?;
            open_databases(config, settings_of(&mut plans))?;
        }
        let pool = Threads::new(|lane| crew(config, lane), give_way, || Answer::Lost)
            .context("can't start the threads for blocking work")?;
        let mut certificates = Watching::default();
        for (plan, watch) in plans.iter().zip(watches) {
            certificates.look_after(plan.running.number, watch).context(NO_WATCH)?;
        }
        let all: Vec<_> = plans.iter().map(|plan| plan.running.shown()).collect();
        tell_services(&mut plans, all);
        let running: Vec<_> = plans.iter().map(|plan| plan.running.clone()).collect();
        let is_walled = carried.held_by.is_some();
        let room = room(&goal, carried, files);
        let (threads, mailboxes) = start_workers(config, plans, &pool, &room, workers)?;
        let (control, orders) = Control::new();
        let signals = follow_signals(&control)?;
        let observing = match doors.is_empty() {
            true => None,
            false => {
                let host = Asked::new(control.clone(), mailboxes.clone(), pool.gauge());
                Some(
                    Observing::start(doors, host)
                        .context("can't start the thread that is asked")?,
                )
            }
        };
        let mut server = Self {
            tallies: Vec::new(),
            state: State {
                version: 0,
                config: config.clone(),
                running,
                engines,
                goal,
                is_walled,
                memory,
                workers,
                first,
                next,
            },
            workers: threads,
            mailboxes,
            signals,
            control,
            orders,
            observing,
            certificates,
            ticker,
            pool,
        };
        server.keep_tallies();
        Ok(server)
    }

    /// Each service with its endpoints, as they were bound.
    pub fn endpoints(&self) -> Vec<(String, Vec<String>)> {
        self.state.running.iter().map(Running::shown).collect()
    }

    /// Says how the configuration is read anew: without this it can't be while it serves.
    pub fn reload_from(&self, source: impl Reload + 'static) {
        self.control.read_from(Source::new(source));
    }

    /// What tells it what to do while it runs.
    pub fn control(&self) -> Control {
        self.control.clone()
    }
}

/// Has signals come as orders, by a thread of its own.
fn follow_signals(control: &Control) -> Result<Handle> {
    let mut signals =
        Signals::new([SIGHUP, SIGINT, SIGTERM]).context("can't listen for signals")?;
    let (control, handle) = (control.clone(), signals.handle());
    let follow = move || signals.forever().for_each(|signal| control.order(Order::Signal(signal)));
    let thread = thread::Builder::new().name("torsade-signals".to_owned());
    thread.spawn(follow).context("can't start the thread for signals")?;
    Ok(handle)
}

fn settings_of(plans: &mut [Plan]) -> impl Iterator<Item = &mut ServiceSettings> {
    plans.iter_mut().map(|plan| &mut plan.running.settings)
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
    for endpoint in plans.iter().flat_map(|plan| &plan.running.endpoints) {
        if let Socket::Unix { name: UnixName::Path(path), .. }
        | Socket::UnixDatagram { name: UnixName::Path(path), .. } = &endpoint.socket
        {
            give(path, user)
                .with_context(|| format!("can't give {} to {}", path.display(), user.name))?;
        }
    }
    Ok(())
}

/// Tells the plugins of services that are about to be served what `all` listen on, if they may know
/// it.
fn tell_services(plans: &mut [Plan], all: impl IntoIterator<Item = (String, Vec<String>)>) {
    let fact = |(name, endpoints)| ServiceFacts { name, endpoints };
    let services: Arc<[ServiceFacts]> = all.into_iter().map(fact).collect();
    for Plan { running, .. } in plans {
        if running.service.grants.allows(Grant::Services) {
            running.settings.plugin.set_services(Arc::clone(&services));
        }
    }
}

const NO_WATCH: &str = "can't start the thread that looks after certificates";

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
        for plan in &mut plans {
            let Some(added) = plan.for_worker(number) else { continue };
            if config.is_only_stdio() {
                worker.stop_with_connection(config.grace);
            }
            worker
                .serve(added)
                .with_context(|| format!("service.{}: can't listen", plan.running.service.name))?;
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
    // Services with levels of their own may have others.
    if enabled!(target: "plugin", Level::TRACE) {
        LogLevel::Trace
    } else if enabled!(target: "plugin", Level::DEBUG) {
        LogLevel::Debug
    } else if enabled!(target: "plugin", Level::INFO) {
        LogLevel::Info
    } else if enabled!(target: "plugin", Level::WARN) {
        LogLevel::Warn
    } else {
        LogLevel::Error
    }
}

/// The same for a service that has a level of its own.
fn log_level_of(level: LevelFilter) -> LogLevel {
    match level {
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
