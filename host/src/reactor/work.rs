//! Questions that the pool answers: files, names, databases, jobs.

use std::io;
use std::os::unix::fs::FileExt;

use super::Reactor;
use super::conn::ConnId;
use super::granted::denied;
use super::life::{Behind, Waiter};
use super::login::Applicant;
use crate::arena::Id;
use crate::capability::credentials::Exchange;
use crate::capability::files::{self, Files, Opened};
use crate::capability::key_value::KeyValue;
use crate::capability::operation::Operation;
use crate::capability::resolver::{self, Family, Found, Resolved};
use crate::capability::sql::{Database, Statement};
use crate::capability::{Failure, Outcome};
use crate::grants::Wish;
use crate::net::Net;
use crate::plugin::LogLine;
use crate::pool::{Lane, Pool, Stop, Stopped, Work};
use crate::transport::stream::End;

/// What the pool brings back.
#[derive(Debug)]
pub enum Answer {
    /// A name was looked up.
    Found(Found),
    /// A job has ended, and wrote this.
    Job(Result<Vec<u8>, Failure>, Vec<LogLine>),
    /// A step of an exchange was taken, or a name and a password were checked: how it goes on, and
    /// what came of it.
    Login(Option<Exchange>, Outcome),
    /// The work was lost: it panicked, or the pool was stopped.
    Lost,
    /// A path was opened.
    Opened(Opened),
    /// What one deferred came to.
    Outcome(Outcome),
    /// A part of a file was read.
    Part(io::Result<Vec<u8>>),
}

/// What the pool works on.
pub(super) struct Ticket {
    pub(super) service: usize,
    /// What the question holds of the host's memory.
    pub(super) bytes: usize,
    pub(super) whose: Whose,
}

/// Who waits for what the pool works on.
pub(super) enum Whose {
    /// The deferred of a job.
    Job(Waiter),
    /// Somebody who wants to be known.
    Login(Waiter, Applicant),
    /// All that wait for a name.
    Name(Box<str>),
    /// One deferred.
    One(Waiter),
    /// A connection that can't send a part of a file before it was read.
    Part(u64),
    /// All that wait for a path.
    Path(Box<str>),
}

/// Who waits for a name.
#[derive(Clone, Copy)]
pub(super) enum Naming {
    /// A connection to be.
    Dial(Waiter),
    /// A plugin.
    Lookup(Waiter),
}

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// Opens a path for a life: from what is known, or by the pool.
    pub(super) fn open(&mut self, waiter: Waiter, service: usize, path: &str) {
        let now = self.net.now();
        let files = match self.files(service, Wish::Open(path)) {
            Ok(files) => files,
            Err(failure) => return self.fire(waiter, Outcome::Failed(failure)),
        };
        match files.open(waiter, path, now) {
            files::Asked::Known(outcome) => self.fire(waiter, outcome),
            files::Asked::Todo(work) => {
                let ticket = Ticket { service, bytes: path.len(), whose: Whose::Path(path.into()) };
                self.submit(Lane::Files, ticket, Box::new(move || Answer::Opened(work())));
            }
            files::Asked::Waiting => {}
        }
    }

    /// Has the pool read the part of a file that a connection is to send next: it is encrypted
    /// here, and must not wait for a disk.
    pub(super) fn read_cold(&mut self, id: ConnId<N::Stream>) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Some((file, offset, length)) = conn.stream.cold() else { return };
        if std::mem::replace(&mut conn.is_cold, true) {
            return;
        }
        let ticket =
            Ticket { service: conn.service, bytes: length, whose: Whose::Part(id.to_u64()) };
        let work = move || {
            let mut part = vec![0; length];
            let read = file.read_at(&mut part, offset);
            Answer::Part(read.map(|n| {
                part.truncate(n);
                part
            }))
        };
        self.submit(Lane::Files, ticket, Box::new(work));
    }

    /// The pool has read what a connection is to send next.
    fn supply(&mut self, id: ConnId<N::Stream>, read: io::Result<Vec<u8>>) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.is_cold = false;
        match read {
            Ok(part) if part.is_empty() => {
                conn.stream
                    .end(End::Aborted("a file became shorter than was promised to the peer"));
            }
            Ok(part) => conn.stream.supply(&part),
            Err(e) => conn.stream.end(End::Lost(e)),
        }
        self.touch(id);
    }

    /// Lists a path for a life.
    pub(super) fn list(&mut self, waiter: Waiter, service: usize, path: &str) {
        let list = match self.files(service, Wish::List(path)) {
            Ok(files) => files.list(path),
            Err(failure) => return self.fire(waiter, Outcome::Failed(failure)),
        };
        let ticket = Ticket { service, bytes: path.len(), whose: Whose::One(waiter) };
        let work = move || Answer::Outcome(list().map_or_else(Outcome::Failed, Outcome::Entries));
        self.submit(Lane::Files, ticket, Box::new(work));
    }

    /// The files of a service, as far as they are granted.
    fn files(&mut self, service: usize, wish: Wish<'_>) -> Result<&mut Files<Waiter>, Failure> {
        let service = &mut self.services[service];
        service.granted(service.settings.grants.ask(wish), self.told)?;
        service.files.as_mut().ok_or_else(|| denied(&wish))
    }

    /// Looks up a name for a plugin.
    pub(super) fn look_up_for(
        &mut self,
        waiter: Waiter,
        service: usize,
        name: &str,
        family: Family,
    ) {
        let verdict = self.services[service].settings.grants.ask(Wish::LookUp(name));
        match self.granted(service, verdict) {
            Ok(()) => self.look_up(Naming::Lookup(waiter), service, name, family),
            Err(failure) => self.fire(waiter, Outcome::Failed(failure)),
        }
    }

    /// Looks up a name for a plugin or for a connection to be.
    pub(super) fn look_up(&mut self, naming: Naming, service: usize, name: &str, family: Family) {
        let now = self.net.now();
        match self.services[service].names.lookup(naming, name, family, now) {
            resolver::Asked::Known(resolved) => self.resolved(naming, resolved),
            resolver::Asked::Todo(work) => {
                let ticket = Ticket { service, bytes: name.len(), whose: Whose::Name(name.into()) };
                self.submit(Lane::Names, ticket, Box::new(move || Answer::Found(work())));
            }
            resolver::Asked::Waiting => {}
        }
    }

    fn resolved(&mut self, naming: Naming, resolved: Resolved) {
        match naming {
            Naming::Dial(waiter) => self.dial_addresses(waiter, resolved),
            Naming::Lookup(waiter) => {
                let outcome = resolved.map_or_else(Outcome::Failed, Outcome::Addresses);
                self.fire(waiter, outcome);
            }
        }
    }

    /// Runs statements of a life. `run` does it, on a thread of the lane.
    pub(super) fn ask_sql(
        &mut self,
        waiter: Waiter,
        statements: Vec<Statement>,
        lane: Lane,
        run: fn(&Database, &[Statement], &Stopped) -> Result<Outcome, Failure>,
    ) {
        let bytes = statements.iter().map(Statement::size).sum();
        self.ask_database(waiter, Wish::Sql, bytes, lane, move |database, stopped| {
            run(database, &statements, stopped)
        });
    }

    /// Does something with the keys of a life's service.
    pub(super) fn ask_keys(&mut self, waiter: Waiter, operation: Box<Operation>) {
        let now = self.lent().wall;
        let lane = if operation.reads() { Lane::Reads } else { Lane::Writes };
        let bytes = operation.size();
        self.ask_database(waiter, Wish::KeyValue, bytes, lane, move |database, stopped| {
            operation.run(&KeyValue::new(database.clone()), now, stopped)
        });
    }

    fn ask_database(
        &mut self,
        (life_id, id): Waiter,
        wish: Wish<'_>,
        bytes: usize,
        lane: Lane,
        work: impl FnOnce(&Database, &Stopped) -> Result<Outcome, Failure> + Send + 'static,
    ) {
        let Some(life) = self.lives.get(life_id) else { return };
        let service = life.service;
        let (stop, stopped) = Stop::new();
        if !self.asked(life_id, id, Behind::Work(stop)) {
            return;
        }
        let database = match self.services[service].database(wish, self.told) {
            Ok(database) => database,
            Err(failure) => return self.fire((life_id, id), Outcome::Failed(failure)),
        };
        // In memory one connection does both: what reads would wait beside what writes.
        let lane = if database.reads_beside_writes() { lane } else { Lane::Writes };
        let work =
            move || Answer::Outcome(work(&database, &stopped).unwrap_or_else(Outcome::Failed));
        let ticket = Ticket { service, bytes, whose: Whose::One((life_id, id)) };
        self.submit(lane, ticket, Box::new(work));
    }

    /// Runs a job of a life's plugin.
    pub(super) fn run_job(&mut self, (life_id, id): Waiter, name: &[u8], input: &[u8]) {
        let Some(life) = self.lives.get(life_id) else { return };
        let service = life.service;
        let (stop, stopped) = Stop::new();
        if !self.asked(life_id, id, Behind::Work(stop)) {
            return;
        }
        let name = str::from_utf8(name).expect("a wasm string was checked to be UTF-8").to_owned();
        let verdict = self.services[service].settings.grants.ask(Wish::Job(&name));
        if let Err(failure) = self.granted(service, verdict) {
            return self.fire((life_id, id), Outcome::Failed(failure));
        }
        let settings = &self.services[service].settings;
        if self.services[service].jobs >= settings.jobs {
            let failure = Failure::limit("jobs", format_args!("{} run or wait", settings.jobs));
            return self.fire((life_id, id), Outcome::Failed(failure));
        }
        let (limits, config) = (settings.job_limits.clone(), settings.config.clone());
        let bytes = name.len() + input.len();
        let outbox = Box::new(self.lent().branch());
        let settings = &self.services[service].settings;
        let job = settings.plugin.job(limits, outbox, config, name, input.to_owned());
        let Some(job) = job else {
            let failure = Failure::new("unsupported", "the plugin exports no `job`");
            return self.fire((life_id, id), Outcome::Failed(failure));
        };
        self.services[service].jobs += 1;
        let ticket = Ticket { service, bytes, whose: Whose::Job((life_id, id)) };
        let work = move || {
            let (result, log) = job.run(stopped);
            Answer::Job(result, log)
        };
        self.submit(Lane::Jobs, ticket, Box::new(work));
    }

    pub(super) fn submit(&mut self, lane: Lane, ticket: Ticket, work: Work<Answer>) {
        let service = &mut self.services[ticket.service];
        let number = self.next_ticket;
        self.next_ticket += 1;
        service.asked_bytes += ticket.bytes;
        let submitted = match service.asked_bytes > ASKED_BYTES {
            true => Err(work),
            false => self.pool.submit(lane, &service.settings.name, number, work),
        };
        match submitted {
            Ok(()) => drop(self.tickets.insert(number, ticket)),
            Err(_) => {
                let failure = Failure::new("limit", "too much work is waiting for the pool");
                self.end_ticket(ticket, Answer::Outcome(Outcome::Failed(failure)));
            }
        }
    }

    /// Takes what the pool has done for a ticket.
    pub(super) fn on_answer(&mut self, ticket: u64, answer: Answer) {
        if let Some(ticket) = self.tickets.remove(&ticket) {
            self.work_for(ticket.service, |reactor| reactor.end_ticket(ticket, answer));
        }
    }

    /// A ticket has its answer; one that is not its own is the failure of the pool.
    fn end_ticket(&mut self, ticket: Ticket, answer: Answer) {
        let Ticket { service, bytes, whose } = ticket;
        self.services[service].asked_bytes -= bytes;
        let failure = match answer {
            Answer::Outcome(Outcome::Failed(ref failure)) => failure.clone(),
            _ => Failure::new("io", "the work was lost"),
        };
        match (whose, answer) {
            (Whose::One(waiter), Answer::Outcome(outcome)) => self.fire(waiter, outcome),
            (Whose::One(waiter), _) => self.fire(waiter, Outcome::Failed(failure)),
            (Whose::Part(conn), Answer::Part(read)) => self.supply(Id::from_u64(conn), read),
            (Whose::Part(conn), _) => {
                self.supply(Id::from_u64(conn), Err(io::Error::other(failure.message)));
            }
            (Whose::Path(path), Answer::Opened(opened)) => self.opened(service, &path, opened),
            (Whose::Path(path), _) => self.opened(service, &path, Err(failure)),
            (Whose::Name(name), Answer::Found(found)) => self.found(service, &name, Ok(found)),
            (Whose::Name(name), _) => self.found(service, &name, Err(failure)),
            (Whose::Login(waiter, applicant), Answer::Login(next, outcome)) => {
                self.on_login(waiter, service, &applicant, next, outcome);
            }
            (Whose::Login(waiter, applicant), _) => {
                self.on_login(waiter, service, &applicant, None, Outcome::Failed(failure));
            }
            (Whose::Job(waiter), answer) => {
                self.services[service].jobs -= 1;
                let (result, log) = match answer {
                    Answer::Job(result, log) => (result, log),
                    _ => (Err(failure), Vec::new()),
                };
                self.write_lines(service, None, &log);
                self.fire(waiter, result.map_or_else(Outcome::Failed, Outcome::Output));
            }
        }
    }

    fn opened(&mut self, service: usize, path: &str, result: Opened) {
        let now = self.net.now();
        if let Some(files) = &mut self.services[service].files {
            files.opened(path, result, now, &mut self.outcomes);
            self.fired.extend(self.outcomes.drain(..));
        }
    }

    fn found(&mut self, service: usize, name: &str, found: Result<Found, Failure>) {
        let (now, mut resolved) = (self.net.now(), Vec::new());
        self.services[service].names.found(name, found, now, &mut resolved);
        for (naming, resolved) in resolved {
            self.resolved(naming, resolved);
        }
    }
}

/// What the questions of one service that the pool works on may hold of a worker's memory, in
/// bytes.
const ASKED_BYTES: usize = 64 << 20;
