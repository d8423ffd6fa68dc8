//! The event loop, and the owner of all that it drives: the only part that knows both transports
//! and plugins.
//!
//! [`Reactor::turn`] waits, then hands each thing that has come up to its plugin as an event,
//! and applies what the plugin asked for. Applying calls no plugin; what must come back to one
//! comes as an event of its own, when the turn settles.

mod account;
mod apply;
mod build;
mod conn;
mod correspondents;
mod datagram;
mod dial;
mod granted;
mod handshake;
mod life;
mod listen;
mod login;
mod multicast;
mod policies;
mod proxied;
mod quiet;
mod reached;
mod restart;
mod room;
mod seen;
mod service;
mod share;
mod succeed;
mod throttle;
mod work;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant, SystemTime};

use crate::arena::{Arena, Id};
use crate::capability::Outcome;
use crate::net::{Net, Ready};
use crate::plugin::{LogLevel, Outbox};
use crate::pool::Pool;
use crate::timers::Timers;
use crate::transport::queue::Spares;
use crate::transport::stream::Buffers;
use crate::walls::Room;
use conn::{Conn, ConnId};
use datagram::Sockets;
use dial::Dials;
use life::{Behind, Life, Waiter};
use listen::{LISTENER, Listener};
use policies::Why;
use service::{Services, Standing};
use share::Aside;
use throttle::Way;
use work::Ticket;

pub use account::{Account, Told};
pub use policies::Policies;
pub use restart::Restarts;
pub use seen::{Counts, Seen};
pub use service::{Accepted, ServiceSettings};
pub use succeed::Move;
pub use work::Answer;

/// Owns a network, connections, and the instances of plugins that serve them.
pub struct Reactor<N: Net, P: Pool<Answer>> {
    net: N,
    pool: P,
    room: Room,
    services: Services,
    /// What is counted of them, by name.
    accounts: Vec<Account>,
    listeners: Arena<Listener<N::Listener>>,
    conns: Arena<Conn<N::Stream>>,
    lives: Arena<Life>,
    dials: Dials<N::Stream>,
    sockets: Sockets<N::Datagrams>,
    timers: Timers<Due>,
    /// How many timers there may be before those that nobody wants any more are swept out.
    timers_to_sweep: usize,
    /// What the pool works on.
    tickets: HashMap<u64, Ticket>,
    next_ticket: u64,
    ready: Vec<Ready>,
    done: Vec<(u64, Answer)>,
    outcomes: Vec<(Waiter, Outcome)>,
    /// Results to report, in the order they came.
    fired: VecDeque<(Waiter, Outcome)>,
    /// Connections with more to do than their share of the last turn, or that may read again.
    again: VecDeque<ConnId<N::Stream>>,
    /// Listeners with more to accept.
    accept_again: VecDeque<Id<Listener<N::Listener>>>,
    /// Connections whose transport changed since it was last flushed.
    touched: VecDeque<ConnId<N::Stream>>,
    /// Connections for other workers.
    dealt: Vec<Accepted<N::Stream>>,
    /// Lent to the instance that runs.
    outbox: Option<Box<Outbox>>,
    buffers: Buffers,
    spares: Spares,
    started: Instant,
    /// The time that plugins see during this turn.
    told: Instant,
    /// How many things are set aside, of all services.
    aside: usize,
    /// What the service has had that had least when the turn began.
    least: Duration,
    /// How many turns there were.
    turns: u64,
    /// What services have been charged with in this turn.
    spent: Duration,
    /// What events have taken since it was made.
    worked: Duration,
    /// How long it has waited since it was made.
    waited: Duration,
    stopping: bool,
    /// All is ended: nobody waits for a turn any more.
    abandoned: bool,
    /// The plugins were told that the host stops; whatever starts now is told, too.
    told_stopping: bool,
    seen: Option<Vec<Seen>>,
    traps: u64,
    turned_away: u64,
}

/// What a timer is for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Due {
    /// A listener that could not accept may try again.
    Accept(u64),
    /// A connection to be may go on, or has waited long enough.
    Dial(Id<Life>, u64),
    /// A connection should have sent more than this by now.
    Drain(u64, u64),
    /// A deferred of a life fires, unless its timer was moved since.
    Fire(Id<Life>, u64, u32),
    /// The connections of a service that has stopped had their time.
    Grace(usize),
    /// A connection should be ready for its protocol by now.
    Handshake(u64),
    /// A proxy should have said by now whose the connection is.
    Header(u64),
    /// Some who stand in a service's line may go on.
    Line(usize, Way),
    /// A connection has waited long enough for the peer's end.
    Linger(u64),
    /// A connection whose plugin has failed should have sent what was queued.
    Orphan(u64),
    /// Something that a connection's policy waits for.
    Policy(u64, Why),
    /// A service's instance, which has failed, may be started again.
    Restart(usize),
}

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// A reactor that serves nothing yet. `seed` is where its plugins' random numbers come from.
    pub fn new(net: N, pool: P, seed: [u8; 32], log_level: LogLevel) -> Self {
        Self {
            started: net.now(),
            told: net.now(),
            net,
            pool,
            room: Room::endless(),
            services: Services::default(),
            accounts: Vec::new(),
            listeners: Arena::default(),
            conns: Arena::default(),
            lives: Arena::default(),
            dials: Dials::default(),
            sockets: Sockets::default(),
            timers: Timers::default(),
            timers_to_sweep: TIMERS_TO_SWEEP,
            tickets: HashMap::new(),
            next_ticket: 0,
            ready: Vec::new(),
            done: Vec::new(),
            outcomes: Vec::new(),
            fired: VecDeque::new(),
            again: VecDeque::new(),
            accept_again: VecDeque::new(),
            touched: VecDeque::new(),
            dealt: Vec::new(),
            outbox: Some(Box::new(Outbox::new(seed, log_level))),
            buffers: Buffers::new(READ_BYTES),
            spares: Spares::default(),
            aside: 0,
            least: Duration::ZERO,
            turns: 0,
            spent: Duration::ZERO,
            worked: Duration::ZERO,
            waited: Duration::ZERO,
            stopping: false,
            abandoned: false,
            told_stopping: false,
            seen: None,
            traps: 0,
            turned_away: 0,
        }
    }

    /// One turn: waits at most `most`, without end for `None`, then handles all that has come up.
    ///
    /// An error is the network's own, and leaves the reactor as it was.
    pub fn turn(&mut self, most: Option<Duration>) -> io::Result<()> {
        let until = self.next_deadline().map(|at| at.saturating_duration_since(self.net.now()));
        let timeout = match (until, most) {
            (Some(until), Some(most)) => Some(until.min(most)),
            (until, most) => until.or(most),
        };
        let before = self.net.now();
        self.net.poll(timeout, &mut self.ready)?;
        self.turns += 1;
        self.tell_time();
        self.waited += self.told.saturating_duration_since(before);
        self.look_at_shares();
        self.go_on();
        self.on_ready();
        self.on_done();
        self.on_due();
        self.go_on_aside();
        self.settle();
        self.forget_services();
        Ok(())
    }

    /// When [`Reactor::turn`] has something to do though no edge comes: maybe now.
    pub fn next_deadline(&self) -> Option<Instant> {
        let idle = self.again.is_empty()
            && self.accept_again.is_empty()
            && self.fired.is_empty()
            && self.touched.is_empty()
            && self.sockets.are_idle();
        if !idle {
            return Some(self.net.now());
        }
        let (due, aside) = (self.timers.next(), self.aside_until());
        due.map_or(aside, |due| Some(aside.map_or(due, |aside| aside.min(due))))
    }

    /// Stops accepting once the backlogs are empty, and tells the plugins that want to know.
    pub fn stop(&mut self) {
        if !self.stopping {
            self.stop_accepting();
            self.tell_all_stopping();
        }
    }

    /// The first half of [`Reactor::stop`]: stops accepting once the backlogs are empty.
    pub fn stop_accepting(&mut self) {
        self.stopping = true;
        self.tell_time();
        for id in self.listeners.ids().collect::<Vec<_>>() {
            for _ in 0..ACCEPTS_AT_STOP {
                if !self.accept(id) {
                    break;
                }
            }
            self.close_listener(id);
        }
        self.accept_again.clear();
        self.settle();
    }

    /// The second half of [`Reactor::stop`]: tells the plugins that want to know. To be called
    /// once.
    pub fn tell_all_stopping(&mut self) {
        self.tell_time();
        self.told_stopping = true;
        for id in self.lives.ids().collect::<Vec<_>>() {
            let service = self.lives.get(id).map(|life| self.services[life.service].standing);
            if service.is_some_and(|standing| standing < Standing::Stopping) {
                self.tell_stopping(id);
            }
        }
        self.settle();
    }

    /// Ends every connection, because the grace is over, and closes every socket for datagrams.
    pub fn abandon(&mut self) {
        self.tell_time();
        self.turns += 1;
        self.abandoned = true;
        self.lent().stopwatch = N::clock();
        self.forget_aside();
        self.stop_sockets();
        self.end_conns(None);
        // A plugin may ask for a new socket whenever one is closed.
        let mut rounds = 0;
        while !self.touched.is_empty() || !self.sockets.are_settled() && rounds < ROUNDS_A_TURN {
            rounds += 1;
            self.settle();
        }
    }

    /// How many connections there are, with those that are only waiting for the peer's end.
    pub fn connections(&self) -> usize {
        self.conns.len()
    }

    /// Whether connections may still come that it accepts itself.
    pub fn is_listening(&self) -> bool {
        self.listeners.ids().next().is_some()
    }

    /// The network that it drives.
    pub fn net(&mut self) -> &mut N {
        &mut self.net
    }

    /// What events have taken since it was made: in a simulation an instruction a nanosecond, and
    /// elsewhere only as far as shares are measured.
    pub fn worked(&self) -> Duration {
        self.worked
    }

    /// Those who do its blocking work.
    pub fn pool(&mut self) -> &mut P {
        &mut self.pool
    }

    /// Writes down what happens from now on, for [`Reactor::take_seen`].
    pub fn observe(&mut self) {
        self.seen.get_or_insert_default();
    }

    /// What has happened since the last call.
    pub fn take_seen(&mut self) -> Vec<Seen> {
        self.seen.as_mut().map(mem::take).unwrap_or_default()
    }

    fn see(&mut self, seen: impl FnOnce() -> Seen) {
        if let Some(list) = &mut self.seen {
            list.push(seen());
        }
    }

    /// What is lent to the instance that runs.
    fn lent(&mut self) -> &mut Outbox {
        self.outbox.as_mut().expect("no event runs, and each gives it back")
    }

    /// Sets the facts that plugins see during this turn.
    fn tell_time(&mut self) {
        self.told = self.net.now();
        self.spent = Duration::ZERO;
        let monotonic = self.told.saturating_duration_since(self.started);
        let wall = self.net.wall().duration_since(SystemTime::UNIX_EPOCH);
        let lent = self.lent();
        lent.monotonic = u64::try_from(monotonic.as_nanos()).unwrap_or(u64::MAX);
        lent.wall = wall.unwrap_or_default();
    }

    /// Goes on with what the last turn left.
    fn go_on(&mut self) {
        for _ in 0..self.accept_again.len() {
            let Some(id) = self.accept_again.pop_front() else { break };
            self.on_acceptable(id);
        }
        for _ in 0..self.again.len() {
            let Some(id) = self.again.pop_front() else { break };
            if let Some(conn) = self.conns.get_mut(id) {
                conn.is_again = false;
                self.touch(id);
                self.on_readable(id);
            }
        }
        self.go_on_receiving();
    }

    fn on_ready(&mut self) {
        let mut ready = mem::take(&mut self.ready);
        for edge in ready.drain(..) {
            if edge.token & LISTENER == 0 {
                self.on_edge(Id::from_u64(edge.token), edge);
            } else if datagram::is_socket(edge.token) {
                self.on_socket_edge(datagram::socket_of(edge.token), edge);
            } else {
                self.on_acceptable(Id::from_u64(edge.token & !LISTENER));
            }
        }
        self.ready = ready;
    }

    /// Takes what the pool has done.
    fn on_done(&mut self) {
        let mut done = mem::take(&mut self.done);
        self.pool.take_done(&mut done);
        for (ticket, answer) in done.drain(..) {
            self.on_answer(ticket, answer);
        }
        self.done = done;
    }

    fn on_due(&mut self) {
        // By the clock that plugins see: to none may its timer seem to fire early. What falls due by
        // what this causes waits for the next turn, and so does the rest of a crowd.
        for _ in 0..self.timers.len().min(DUE_A_TURN) {
            match self.timers.due(self.told) {
                None => return,
                Some(Due::Accept(listener)) => self.on_accept_due(Id::from_u64(listener)),
                Some(Due::Dial(life, id)) => self.on_dial_due((life, id)),
                Some(Due::Drain(conn, sent)) => self.on_drain_due(Id::from_u64(conn), sent),
                Some(Due::Fire(life, id, moved)) if is_set(&self.lives, life, id, moved) => {
                    self.elapsed((life, id), moved);
                }
                Some(Due::Fire(..)) => {}
                Some(Due::Grace(service)) => self.on_grace_due(service),
                Some(Due::Handshake(conn)) => self.on_handshake_due(Id::from_u64(conn)),
                Some(Due::Header(conn)) => self.on_header_due(Id::from_u64(conn)),
                Some(Due::Line(service, way)) => self.on_line_due(service, way),
                Some(Due::Linger(conn)) => self.close(Id::from_u64(conn)),
                Some(Due::Orphan(conn)) => self.on_orphan_due(Id::from_u64(conn)),
                Some(Due::Policy(conn, why)) => self.on_policy_due(conn, why),
                Some(Due::Restart(service)) => self.on_restart_due(service),
            }
        }
    }

    /// Reports results and flushes transports, and what follows from that, until nothing does or
    /// the turn's share is used up: a plugin that asks again at each answer, or writes again at
    /// each `write-drained`, must not keep others waiting.
    fn settle(&mut self) {
        let mut reports = FIRED_A_TURN;
        for _ in 0..ROUNDS_A_TURN {
            self.settle_sockets();
            let share = self.fired.len().min(reports);
            reports -= share;
            for _ in 0..share {
                let Some((waiter, outcome)) = self.fired.pop_front() else { break };
                let service = self.lives.get(waiter.0).map(|life| life.service);
                match service {
                    Some(service) if self.has_to_wait(service) => {
                        self.line_up(service, Aside::Fired(waiter, outcome));
                    }
                    Some(service) => {
                        self.work_for(service, |reactor| reactor.on_fired(waiter, outcome));
                    }
                    None => self.on_fired(waiter, outcome),
                }
            }
            for _ in 0..self.touched.len() {
                let Some(id) = self.touched.pop_front() else { break };
                let Some(service) = self.conns.get(id).map(Conn::service) else { continue };
                self.work_for(service, |reactor| reactor.flush(id));
            }
            if self.fired.is_empty() && self.touched.is_empty() && self.sockets.are_settled() {
                return;
            }
        }
    }

    fn add_timer(&mut self, at: Instant, due: Due) {
        self.timers.add(at, due);
        if self.timers.len() > self.timers_to_sweep {
            let Self { timers, lives, listeners, conns, dials, .. } = self;
            timers.retain(|due| match due {
                Due::Accept(listener) => listeners.get(Id::from_u64(*listener)).is_some(),
                Due::Dial(life, id) => dials.contains(&(*life, *id)),
                Due::Drain(conn, _)
                | Due::Linger(conn)
                | Due::Orphan(conn)
                | Due::Policy(conn, _) => conns.get(Id::from_u64(*conn)).is_some(),
                Due::Handshake(conn) => {
                    conns.get(Id::from_u64(*conn)).is_some_and(|conn| conn.securing.is_some())
                }
                Due::Header(conn) => {
                    conns.get(Id::from_u64(*conn)).is_some_and(|conn| conn.header.is_some())
                }
                Due::Fire(life, id, moved) => is_set(lives, *life, *id, *moved),
                Due::Grace(_) | Due::Line(..) | Due::Restart(_) => true,
            });
            self.timers_to_sweep = TIMERS_TO_SWEEP.max(2 * self.timers.len());
        }
    }
}

/// The descriptor that is readable when a turn has something to do: for a loop that waits by
/// itself, and calls [`Reactor::turn`] with a zero duration then and at
/// [`Reactor::next_deadline`].
impl<N: Net + AsRawFd, P: Pool<Answer>> AsRawFd for Reactor<N, P> {
    fn as_raw_fd(&self) -> RawFd {
        self.net.as_raw_fd()
    }
}

/// Whether a deferred's timer is still to fire as it was set when it had been `moved` so often.
fn is_set(lives: &Arena<Life>, life: Id<Life>, id: u64, moved: u32) -> bool {
    let behind = lives.get(life).and_then(|life| life.deferreds.behind_ref(id));
    matches!(behind, Some(Behind::Timer(times)) if *times == moved)
}

/// How much is read at once: the size of the one buffer, and of the largest chunk that
/// `data-received` brings. A little more than the 64 KiB that programs like to write at once: a read
/// that leaves room in the buffer needs no other to tell that nothing is left.
const READ_BYTES: usize = 68 * 1024;

/// How many connections of a backlog are still served when the reactor stops: as many as a
/// backlog holds that nobody raised.
const ACCEPTS_AT_STOP: usize = 4096;

/// How many timers fall due in one turn. What is left waits for the next, which comes at once.
const DUE_A_TURN: usize = 1024;

/// How many results are reported in one turn, as of a crowd of deferreds that was cancelled at once.
/// What is left waits for the next, which comes at once.
const FIRED_A_TURN: usize = 1024;

/// How often a turn goes from results to transports and back. What is left waits for the next.
const ROUNDS_A_TURN: usize = 16;

/// Below so many timers it is not worth looking for those that nobody wants any more.
const TIMERS_TO_SWEEP: usize = 1024;
