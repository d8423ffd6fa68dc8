//! Lives: the instances of plugins, from their start to their last connection or their fault.

use std::sync::Arc;

use super::conn::Place;
use super::seen::Seen;
use super::{Reactor, Ticket};
use crate::arena::Id;
use crate::capability::files::{Answer, Asked, OpenFile};
use crate::capability::{Failure, Outcome};
use crate::deferred::{Deferreds, Pending};
use crate::net::Net;
use crate::plugin::{Fault, Instance, LogLevel, LogLine};
use crate::pool::{Pool, Work};

/// One instance, and what belongs to it.
pub(super) struct Life {
    pub(super) service: usize,
    pub(super) instance: Instance,
    pub(super) deferreds: Deferreds<Hold, Behind>,
    /// Its connections, by number.
    pub(super) conns: Vec<u64>,
    /// It has not started yet: its connections wait for this deferred.
    pub(super) starting: Option<u64>,
    /// Whether it lives beyond its last connection.
    shared: bool,
}

/// Who waits for a result: a deferred of a life.
pub(super) type Waiter = (Id<Life>, u64);

/// What stands behind a deferred.
#[derive(Debug)]
pub(super) enum Behind {
    /// Something that nothing has to stop.
    Answer,
    /// A timer, and how often it was moved: only its last place counts.
    Timer(u32),
}

/// What a deferred holds back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hold {
    /// The data of a connection.
    Conn(u64),
    /// The life's connections.
    Start,
}

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// The life that a new connection of the service belongs to; `None` where it can't be made.
    pub(super) fn life_for_conn(&mut self, service: usize) -> Option<Id<Life>> {
        if self.services[service].settings.per_connection {
            self.start_life(service)
        } else {
            self.shared_life(service)
        }
    }

    /// The service's shared life, which is started where there is none.
    pub(super) fn shared_life(&mut self, service: usize) -> Option<Id<Life>> {
        if self.services[service].shared.is_none() {
            self.services[service].shared = self.start_life(service);
        }
        self.services[service].shared
    }

    fn start_life(&mut self, service: usize) -> Option<Id<Life>> {
        let settings = &self.services[service].settings;
        let (limits, config) = (Arc::clone(&settings.limits), Arc::clone(&settings.config));
        let shared = !settings.per_connection;
        let instance = match Instance::new(&settings.plugin, &limits, &mut self.outbox) {
            Ok(instance) => instance,
            Err(fault) => {
                self.log_fault(service, "", &fault);
                return None;
            }
        };
        let life = Life {
            service,
            instance,
            deferreds: Deferreds::default(),
            conns: Vec::new(),
            starting: None,
            shared,
        };
        let id = self.lives.insert(life);
        let life = self.lives.get_mut(id).expect("just inserted");
        let started = life.instance.start(&config, &mut self.outbox);
        match self.after(id, None, started)? {
            Ok(deferred) => self.hold(id, deferred, Hold::Start),
            Err(refusal) => {
                let name = &*self.services[service].settings.name;
                tracing::error!(service = name, "the plugin refused its configuration: {refusal}");
                self.lives.remove(id);
                return None;
            }
        }
        Some(id)
    }

    /// Finishes an event of a life: its log, its effects, or its end. Every event goes through
    /// here before anything else happens. `None` where it ended the life.
    pub(super) fn after<T>(
        &mut self,
        id: Id<Life>,
        conn: Option<u64>,
        result: Result<T, Fault>,
    ) -> Option<T> {
        self.write_log(id, conn);
        match result {
            Ok(value) => {
                self.apply(id);
                Some(value)
            }
            Err(fault) => {
                self.crash(id, conn, &fault);
                None
            }
        }
    }

    /// Keeps `held` back until `deferred` has fired; lets it go where there is none.
    pub(super) fn hold(&mut self, life_id: Id<Life>, deferred: Option<u64>, held: Hold) {
        let Some(life) = self.lives.get_mut(life_id) else { return };
        let deferred = deferred.filter(|id| life.deferreds.hold(*id, held));
        match held {
            Hold::Conn(conn) => self.hold_conn(conn, deferred),
            Hold::Start => {
                life.starting = deferred;
                if deferred.is_none() {
                    for conn in life.conns.clone() {
                        self.build(Id::from_u64(conn));
                    }
                }
            }
        }
    }

    /// A result is there: it is reported in this turn.
    pub(super) fn fire(&mut self, waiter: Waiter, outcome: Outcome) {
        self.fired.push_back((waiter, outcome));
    }

    /// Reports a result, unless nobody waits for it any more.
    pub(super) fn on_fired(&mut self, (life_id, id): Waiter, outcome: Outcome) {
        let Some(life) = self.lives.get_mut(life_id) else { return };
        let Some(Pending { held, cancelled, .. }) = life.deferreds.take(id) else { return };
        let outcome = if cancelled { Outcome::Failed(Failure::cancelled()) } else { outcome };
        let failure = match &outcome {
            Outcome::Failed(failure) => Some(failure.code),
            Outcome::Elapsed | Outcome::Entries(_) | Outcome::File(_) => None,
        };
        let fired = life.instance.fired(id, outcome, &mut self.outbox);
        self.see(|| Seen::Fired { life: life_id.to_u64(), id, failure });
        let conn = match held {
            Some(Hold::Conn(conn)) => Some(conn),
            Some(Hold::Start) | None => None,
        };
        if let Some(next) = self.after(life_id, conn, fired)
            && let Some(held) = held
        {
            self.hold(life_id, next, held);
        }
        self.end_if_unused(life_id);
    }

    /// Opens a path for a life: from what is known, or by the pool.
    pub(super) fn open(&mut self, waiter: Waiter, service: usize, path: &str) {
        let now = self.net.now();
        let Some(files) = &mut self.services[service].files else {
            return self.fire(waiter, not_granted());
        };
        match files.open(waiter, path, now) {
            Asked::Known(outcome) => self.fire(waiter, outcome),
            Asked::Todo(work) => self.submit(Ticket::Open { service, path: path.into() }, work),
            Asked::Waiting => {}
        }
    }

    /// Lists a path for a life.
    pub(super) fn list(&mut self, waiter: Waiter, service: usize, path: &str) {
        match &self.services[service].files {
            Some(files) => {
                let work = files.list(path);
                self.submit(Ticket::List(waiter), work);
            }
            None => self.fire(waiter, not_granted()),
        }
    }

    fn submit(&mut self, ticket: Ticket, work: Work<Answer>) {
        let number = self.next_ticket;
        self.next_ticket += 1;
        match self.pool.submit(number, work) {
            Ok(()) => drop(self.tickets.insert(number, ticket)),
            Err(_) => {
                let failure = Failure::new("limit", "too much work is waiting for the pool");
                self.fail(ticket, failure);
            }
        }
    }

    /// Takes what the pool has done for a ticket.
    pub(super) fn on_answer(&mut self, ticket: u64, answer: Answer) {
        let Some(ticket) = self.tickets.remove(&ticket) else { return };
        let lost = || Failure::new("io", "the work was lost");
        match (ticket, answer) {
            (Ticket::List(waiter), Answer::Listed(Ok(entries))) => {
                self.fire(waiter, Outcome::Entries(entries));
            }
            (Ticket::Open { service, path }, Answer::Opened(Ok(file))) => {
                self.opened(service, &path, Ok(file));
            }
            (ticket, Answer::Listed(Err(failure)) | Answer::Opened(Err(failure))) => {
                self.fail(ticket, failure);
            }
            (ticket, _) => self.fail(ticket, lost()),
        }
    }

    /// The pool has no answer for a ticket.
    fn fail(&mut self, ticket: Ticket, failure: Failure) {
        match ticket {
            Ticket::List(waiter) => self.fire(waiter, Outcome::Failed(failure)),
            Ticket::Open { service, path } => self.opened(service, &path, Err(failure)),
        }
    }

    fn opened(&mut self, service: usize, path: &str, result: Result<Arc<OpenFile>, Failure>) {
        let now = self.net.now();
        if let Some(files) = &mut self.services[service].files {
            files.opened(path, result, now, &mut self.outcomes);
            self.fired.extend(self.outcomes.drain(..));
        }
    }

    /// Tells a life that the host stops, if it wants to know.
    pub(super) fn tell_stopping(&mut self, id: Id<Life>) {
        let Some(life) = self.lives.get_mut(id) else { return };
        if self.services[life.service].settings.plugin.hears_of_stopping() {
            let stopped = life.instance.stopping(&mut self.outbox);
            self.after(id, None, stopped);
        }
    }

    /// A connection of the life is gone, or will not come to be.
    pub(super) fn leave_life(&mut self, id: Id<Life>, place: Place) {
        let Some(life) = self.lives.get_mut(id) else { return };
        life.conns.swap_remove(place);
        if let Some(moved) = life.conns.get(place)
            && let Some(conn) = self.conns.get_mut(Id::from_u64(*moved))
        {
            conn.place = place;
        }
        self.end_if_unused(id);
    }

    /// Ends a life that nothing can reach any more: with its last connection.
    pub(super) fn end_if_unused(&mut self, id: Id<Life>) {
        if self.lives.get(id).is_some_and(|life| !life.shared && life.conns.is_empty()) {
            self.lives.remove(id);
        }
    }

    /// Ends a life by its fault: what earlier events queued is still sent, then its connections
    /// are closed. The service goes on with a new life.
    fn crash(&mut self, id: Id<Life>, conn: Option<u64>, fault: &Fault) {
        self.traps += 1;
        self.see(|| Seen::Trapped { life: id.to_u64() });
        let Some(life) = self.lives.remove(id) else { return };
        let peer = conn.and_then(|conn| self.peer(conn)).unwrap_or_default();
        self.log_fault(life.service, &peer, fault);
        let service = &mut self.services[life.service];
        if service.shared == Some(id) {
            service.shared = None;
        }
        for conn in &life.conns {
            self.orphan(Id::from_u64(*conn));
        }
    }

    fn log_fault(&self, service: usize, peer: &str, fault: &Fault) {
        let settings = &self.services[service].settings;
        let (name, plugin, backtrace) = (&*settings.name, &*settings.plugin_name, &fault.backtrace);
        tracing::error!(service = name, plugin, peer, "the plugin failed: {fault}\n{backtrace}");
    }

    /// Writes what the plugin said in its event, whatever became of that.
    fn write_log(&mut self, id: Id<Life>, conn: Option<u64>) {
        let lent = self.outbox.as_mut().expect("the event is over");
        if lent.log.is_empty() {
            return;
        }
        let (mut lines, lost) = (std::mem::take(&mut lent.log), std::mem::take(&mut lent.log_lost));
        if let Some(life) = self.lives.get(id) {
            let name = &*self.services[life.service].settings.name;
            let peer = conn.and_then(|conn| self.peer(conn)).unwrap_or_default();
            for line in &lines {
                write_line(name, &peer, line);
            }
            if lost > 0 {
                tracing::warn!(service = name, peer, "{lost} more lines of one event are left out");
            }
        }
        lines.clear();
        self.outbox.as_mut().expect("no event ran").log = lines;
    }
}

fn write_line(service: &str, peer: &str, line: &LogLine) {
    let message = &line.message;
    match line.level {
        LogLevel::Error => tracing::error!(target: "plugin", service, peer, "{message}"),
        LogLevel::Warn => tracing::warn!(target: "plugin", service, peer, "{message}"),
        LogLevel::Info => tracing::info!(target: "plugin", service, peer, "{message}"),
        LogLevel::Debug => tracing::debug!(target: "plugin", service, peer, "{message}"),
        LogLevel::Trace => tracing::trace!(target: "plugin", service, peer, "{message}"),
    }
}

fn not_granted() -> Outcome {
    Outcome::Failed(Failure::new("denied", "the service grants no files"))
}
