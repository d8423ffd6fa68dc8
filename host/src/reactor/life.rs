//! Lives: the instances of plugins, from their start to their last connection or their fault.

use std::mem;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Reactor;
use super::conn::Place;
use super::datagram;
use super::seen::Seen;
use super::service::{ServiceSettings, Standing};
use super::work::Answer;
use crate::arena::Id;
use crate::capability::{Failure, Outcome};
use crate::deferred::{Deferreds, Pending};
use crate::figures::Count;
use crate::net::Net;
use crate::plugin::{Fault, Instance, LogLevel, LogLine, Origin};
use crate::pool::{Pool, Stop};
use crate::walls::Claim;

/// One instance, and what belongs to it.
pub(super) struct Life {
    pub(super) service: usize,
    pub(super) instance: Instance,
    pub(super) deferreds: Deferreds<Hold, Behind>,
    /// Its connections, by number.
    pub(super) conns: Vec<u64>,
    /// It has not started yet: its connections wait for this deferred.
    pub(super) starting: Option<u64>,
    /// Its listeners, by number.
    pub(super) listeners: Vec<u64>,
    /// Its sockets for datagrams, by number.
    pub(super) sockets: Vec<u64>,
    /// How many of them it listens on.
    pub(super) bound: usize,
    /// How many connections it has dialled, or is dialling.
    pub(super) outgoing: usize,
    /// The peer of the connection that it was made for, once that is gone and it lives on: it still
    /// counts against the service's. What came to its own listeners counts while it is open.
    pub(super) counted: Vec<Option<IpAddr>>,
    pub(super) lasts: Lasts,
    /// Bytes of its memories, as they are counted.
    pub(super) memory: u64,
    /// When it was made.
    born: Instant,
    /// The room that its sandbox has taken, which goes before it.
    #[expect(dead_code, reason = "dropping it is what matters")]
    claim: Claim,
}

/// When a life ends, if nothing else ends it before. A shared one goes from top to bottom.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lasts {
    /// With the last of the connections that it was made for: it is not shared.
    Alone,
    /// With the reactor.
    Always,
    /// With its last connection: no other will come. It is told then.
    Succeeded,
    /// The same, and it was told.
    Told,
}

impl Life {
    /// Whether it was made for a connection, and lives beyond the end of one.
    pub(super) fn goes_on_without_one(&self) -> bool {
        self.lasts == Lasts::Alone && self.conns.len() > 1
    }
}

/// Who waits for a result: a deferred of a life.
pub(super) type Waiter = (Id<Life>, u64);

/// What stands behind a deferred.
#[derive(Debug)]
pub(super) enum Behind {
    /// Something that nothing has to stop.
    Answer,
    /// A connection to be.
    Dial,
    /// The handshake of a connection that the life has dialled, or where it began TLS.
    Handshake(u64),
    /// A timer that has elapsed, and how often it was moved; until it is reported it may be moved
    /// again.
    Elapsed(u32),
    /// A timer, and how often it was moved: only its last place counts.
    Timer(u32),
    /// Work that stops when nobody waits for it any more.
    Work(#[expect(dead_code, reason = "dropping it is what matters")] Stop),
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

    /// Starts an instance, unless it has to wait: see [`super::restart`].
    fn start_life(&mut self, service: usize) -> Option<Id<Life>> {
        if self.rests(service).is_some() {
            return None;
        }
        let claim = self.room_for_life(service)?;
        let started = self.try_start_life(service, claim);
        if started.is_none() {
            self.count_failure(service, Duration::ZERO);
        }
        started
    }

    fn try_start_life(&mut self, service: usize, claim: Claim) -> Option<Id<Life>> {
        let settings = &self.services[service].settings;
        let (limits, config) = (Arc::clone(&settings.limits), Arc::clone(&settings.config));
        let lasts = match (settings.per_connection, self.services[service].standing) {
            (true, _) => Lasts::Alone,
            (false, Standing::Open) => Lasts::Always,
            // For a connection that was ready only now.
            (false, Standing::Succeeded) => Lasts::Succeeded,
            (false, Standing::Stopping) => Lasts::Told,
        };
        let instance = match Instance::new(&settings.plugin, &limits, &mut self.outbox) {
            Ok(instance) => instance,
            Err(fault) => {
                self.charge(service, true);
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
            listeners: Vec::new(),
            sockets: Vec::new(),
            bound: 0,
            outgoing: 0,
            counted: Vec::new(),
            memory: 0,
            lasts,
            born: self.told,
            claim,
        };
        self.services[service].lives += 1;
        let id = self.lives.insert(life);
        let figures = self.figures(service);
        figures[Count::Sandboxes] += 1;
        figures[Count::SandboxesMade] += 1;
        let life = self.lives.get_mut(id).expect("just inserted");
        let started = life.instance.start(&config, &mut self.outbox);
        match self.after(id, None, started)? {
            Ok(deferred) => self.hold(id, deferred, Hold::Start),
            Err(refusal) => {
                if self.may_log(service) {
                    let name = &*self.services[service].settings.name;
                    tracing::error!(
                        service = name,
                        "the plugin refused its configuration: {refusal}"
                    );
                }
                self.end_life(id);
                return None;
            }
        }
        if self.told_stopping || self.services[service].standing == Standing::Stopping {
            // For a connection that had come before, and is ready only now.
            self.tell_stopping(id);
        }
        self.lives.get(id).is_some().then_some(id)
    }

    /// Ends a life, and all that only it wanted but its connections, which it had.
    pub(super) fn end_life(&mut self, id: Id<Life>) -> Option<Life> {
        let mut life = self.lives.remove(id)?;
        self.count_ended(&life);
        let service = &mut self.services[life.service];
        service.lives -= 1;
        service.shared = service.shared.filter(|shared| *shared != id);
        self.see(|| Seen::LifeEnded { life: id.to_u64() });
        for (deferred, behind) in mem::take(&mut life.deferreds).into_all_behind() {
            if matches!(behind, Behind::Dial) {
                self.end_dial((id, deferred));
            }
        }
        for listener in mem::take(&mut life.listeners) {
            self.close_listener(Id::from_u64(listener));
        }
        for socket in mem::take(&mut life.sockets) {
            self.orphan_socket(socket);
        }
        for peer in mem::take(&mut life.counted) {
            self.services[life.service].settings.census.leave(peer, self.told);
        }
        Some(life)
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
        self.count_event(id);
        if let Some(life) = self.lives.get(id) {
            self.charge(life.service, result.is_err());
        }
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
                    if life.lasts == Lasts::Alone {
                        self.services[life.service].failures.forget();
                    }
                    let (conns, sockets) = (life.conns.clone(), life.sockets.clone());
                    for conn in conns {
                        self.build(Id::from_u64(conn));
                    }
                    for socket in sockets {
                        self.socket_due(datagram::socket_of(socket));
                    }
                }
            }
        }
    }

    /// A result is there: it is reported in this turn.
    pub(super) fn fire(&mut self, waiter: Waiter, outcome: Outcome) {
        self.fired.push_back((waiter, outcome));
    }

    /// A timer has elapsed, after it was moved so often.
    pub(super) fn elapsed(&mut self, (life_id, id): Waiter, moved: u32) {
        let life = self.lives.get_mut(life_id);
        if let Some(behind) = life.and_then(|life| life.deferreds.behind(id)) {
            *behind = Behind::Elapsed(moved);
            self.fire((life_id, id), Outcome::Elapsed);
        }
    }

    /// Reports a result, unless nobody waits for it any more.
    pub(super) fn on_fired(&mut self, (life_id, id): Waiter, outcome: Outcome) {
        let life = self.lives.get_mut(life_id);
        let behind = life.and_then(|life| life.deferreds.behind(id));
        if matches!((&outcome, behind), (Outcome::Elapsed, Some(Behind::Timer(_)))) {
            // An event of this turn has moved it.
            return;
        }
        let pending = self.lives.get_mut(life_id).and_then(|life| life.deferreds.take(id));
        let wanted = pending.as_ref().is_some_and(|pending| !pending.cancelled);
        if !wanted {
            self.undo(life_id, &outcome);
        }
        let Some(Pending { held, .. }) = pending else { return };
        let outcome = if wanted { outcome } else { Outcome::Failed(Failure::cancelled()) };
        let (failure, limit) = match &outcome {
            Outcome::Failed(failure) => (Some(failure.code.clone()), failure.limit),
            _ => (None, None),
        };
        if let (Some(key), Some(life)) = (limit, self.lives.get(life_id)) {
            self.reached(life.service, key);
        }
        let Some(life) = self.lives.get_mut(life_id) else { return };
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

    /// Nobody wants what a deferred came to.
    fn undo(&mut self, life: Id<Life>, outcome: &Outcome) {
        match outcome {
            Outcome::Connected { conn } if datagram::is_socket(*conn) => {
                self.lose_socket(life, *conn);
            }
            Outcome::Connected { conn } => self.abort(life, *conn),
            Outcome::Joined { socket, membership } => self.leave_group(life, *socket, membership),
            Outcome::Listening { listener, .. } => self.stop_listening(life, *listener),
            _ => {}
        }
    }

    /// Tells a life that the host, or its service, stops, if it wants to know.
    pub(super) fn tell_stopping(&mut self, id: Id<Life>) {
        let Some(life) = self.lives.get_mut(id) else { return };
        if self.services[life.service].settings.plugin.hears_of_stopping() {
            let stopped = life.instance.stopping(&mut self.outbox);
            self.after(id, None, stopped);
        }
    }

    /// A connection of the life is gone, or will not come to be.
    pub(super) fn leave_life(&mut self, id: Id<Life>, place: Place, origin: Origin) {
        let Some(life) = self.lives.get_mut(id) else { return };
        if matches!(origin, Origin::Dialled(_)) {
            life.outgoing -= 1;
        }
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
        let Some(life) = self.lives.get_mut(id).filter(|life| life.conns.is_empty()) else {
            return;
        };
        match life.lasts {
            Lasts::Always => return,
            Lasts::Succeeded => {
                life.lasts = Lasts::Told;
                if !self.told_stopping {
                    self.tell_stopping(id);
                }
            }
            Lasts::Alone | Lasts::Told => {}
        }
        self.end_life(id);
    }

    /// Ends a life by its fault: what earlier events queued is still sent, then its connections
    /// are closed. The service goes on with a new life.
    fn crash(&mut self, id: Id<Life>, conn: Option<u64>, fault: &Fault) {
        self.traps += 1;
        self.see(|| Seen::Trapped { life: id.to_u64() });
        let service = self.lives.get(id).map(|life| life.service);
        let is_shared = service.is_some_and(|number| self.services[number].shared == Some(id));
        let Some(life) = self.end_life(id) else { return };
        let peer = conn.and_then(|conn| self.peer(conn)).unwrap_or_default();
        self.log_fault(life.service, &peer, fault);
        for conn in &life.conns {
            self.orphan(Id::from_u64(*conn));
        }
        if is_shared || life.starting.is_some() {
            let lived = self.told.saturating_duration_since(life.born);
            self.count_failure(life.service, lived);
        }
    }

    fn log_fault(&mut self, service: usize, peer: &str, fault: &Fault) {
        self.figures(service).trap(fault.kind);
        if let Some(key) = fault.limit {
            self.reached(service, key);
        }
        if self.may_log(service) {
            let settings = &self.services[service].settings;
            let (name, plugin, backtrace) =
                (&*settings.name, &*settings.plugin_name, &fault.backtrace);
            tracing::error!(
                service = name,
                plugin,
                peer,
                "the plugin failed: {fault}\n{backtrace}"
            );
        }
    }

    /// Whether the log may have another line of a service's plugin; what it may not have is counted.
    fn may_log(&mut self, service: usize) -> bool {
        let census = &self.services[service].settings.census;
        let now = census.time(self.told);
        let may = census.log_lines.as_ref().is_none_or(|lines| lines.take_one(now));
        if !may {
            self.reached(service, "log-rate");
        }
        may
    }

    /// Writes what the plugin said in its event, whatever became of that.
    fn write_log(&mut self, id: Id<Life>, conn: Option<u64>) {
        let lent = self.outbox.as_mut().expect("the event is over");
        if lent.log.is_empty() && lent.refused.is_empty() {
            return;
        }
        let (mut lines, lost) = (mem::take(&mut lent.log), mem::take(&mut lent.log_lost));
        let mut refused = mem::take(&mut lent.refused);
        if let Some(service) = self.lives.get(id).map(|life| life.service) {
            self.write_lines(service, conn, &lines);
            if lost > 0 && self.may_log(service) {
                let name = &*self.services[service].settings.name;
                let peer = conn.and_then(|conn| self.peer(conn));
                tracing::warn!(service = name, peer, "{lost} more lines of one event are left out");
            }
            for (key, times) in &refused {
                self.reached_times(service, key, *times);
            }
        }
        lines.clear();
        refused.clear();
        let lent = self.lent();
        (lent.log, lent.refused) = (lines, refused);
    }
}

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// Writes lines of a service's plugin, with the connection that they are about, if it is one's.
    ///
    /// What they carry would be a span of each connection. That takes memory for as long as the
    /// connection lives, and two calls into the log for each event, whether it logs or not; looking
    /// it up for a line that is written costs nothing else.
    pub(super) fn write_lines(&mut self, service: usize, conn: Option<u64>, lines: &[LogLine]) {
        if lines.is_empty() {
            return;
        }
        let peer = conn.and_then(|conn| self.peer(conn));
        for line in lines {
            if self.may_log(service) {
                write_line(&self.services[service].settings, conn, peer.as_deref(), line);
            }
        }
    }
}

fn write_line(
    settings: &ServiceSettings,
    connection: Option<u64>,
    peer: Option<&str>,
    line: &LogLine,
) {
    macro_rules! at {
        ($level:ident) => {{
            let (service, plugin) = (&*settings.name, &*settings.plugin_name);
            let message = &line.message;
            tracing::$level!(target: "plugin", service, plugin, connection, peer, "{message}");
        }};
    }
    match line.level {
        LogLevel::Error => at!(error),
        LogLevel::Warn => at!(warn),
        LogLevel::Info => at!(info),
        LogLevel::Debug => at!(debug),
        LogLevel::Trace => at!(trace),
    }
}
