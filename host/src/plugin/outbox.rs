//! What a sandbox can see and leave behind: its handles, the facts, and the effects of its event.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use wasmtime::component::Resource;

use super::bindings::torsade::plugin::datagrams::Part;
use super::component::ServiceFacts;
use super::instance::Allowed;
use super::limits::{Limits, Usage};
use super::slots::Slots;
use crate::capability::credentials::Question;
use crate::capability::datagrams::{Membership, SocketOption};
use crate::capability::files::OpenFile;
use crate::capability::operation::Operation;
use crate::capability::resolver::Family;
use crate::capability::sql::Statement;
use crate::capability::tls_session::Session;
use crate::capability::{Address, Outcome};
use crate::figures::Event;
use crate::grants::Clear;

/// Something that a plugin asked for. The reactor does it after the event.
///
/// Connections are named by the reactor's number, deferreds by their own. Ranges are of
/// [`Outbox::bytes`].
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is an item of the contract, which says what it does")]
pub enum Effect {
    Abort {
        conn: u64,
    },
    After {
        id: u64,
        nanoseconds: u64,
    },
    Batch {
        id: u64,
        statements: Vec<Statement>,
    },
    /// The result is to be a failure, now.
    Cancel {
        id: u64,
    },
    Connect {
        id: u64,
        endpoint: Range<usize>,
    },
    Execute {
        id: u64,
        statement: Box<Statement>,
    },
    /// Nobody can ask for the result any more.
    Forget {
        id: u64,
    },
    GiveUp {
        conn: u64,
    },
    Join {
        id: u64,
        socket: u64,
        membership: Box<Membership>,
    },
    KeepAlive {
        conn: u64,
        on: bool,
    },
    KeyValue {
        id: u64,
        operation: Box<Operation>,
    },
    Leave {
        socket: u64,
        membership: Box<Membership>,
    },
    List {
        id: u64,
        path: Range<usize>,
    },
    Listen {
        id: u64,
        endpoint: Range<usize>,
    },
    LogIn {
        id: u64,
        conn: u64,
        question: Box<Question>,
    },
    Lookup {
        id: u64,
        name: Range<usize>,
        family: Family,
    },
    Lose {
        conn: u64,
    },
    LoseSocket {
        socket: u64,
    },
    LoseWrite {
        conn: u64,
    },
    NoDelay {
        conn: u64,
        on: bool,
    },
    Open {
        id: u64,
        path: Range<usize>,
    },
    Pause {
        conn: u64,
    },
    Query {
        id: u64,
        statement: Box<Statement>,
    },
    Reschedule {
        id: u64,
        nanoseconds: u64,
    },
    Resume {
        conn: u64,
    },
    Run {
        id: u64,
        name: Range<usize>,
        input: Range<usize>,
    },
    /// `parts` are of [`Outbox::parts`].
    SendDatagrams {
        socket: u64,
        data: Range<usize>,
        parts: Range<usize>,
    },
    SendFile {
        conn: u64,
        file: Arc<OpenFile>,
        offset: u64,
        length: u64,
    },
    SetSocket {
        socket: u64,
        option: SocketOption,
    },
    StartTls {
        id: u64,
        conn: u64,
        side: Side,
        alpn: Vec<String>,
    },
    StopListening {
        listener: u64,
    },
    Write {
        conn: u64,
        data: Range<usize>,
    },
}

/// What a worker lends to the sandbox that runs: facts to read, and room for what it asks for.
///
/// One for each worker, reused for every event, so that a steady flow allocates nothing and an
/// idle sandbox holds no buffer.
pub struct Outbox {
    /// What was asked for, in order.
    pub effects: Vec<Effect>,
    /// The bytes that effects speak of.
    pub bytes: Vec<u8>,
    /// Datagrams that effects speak of: where each of them ends, and whom it is for.
    pub parts: Vec<Part>,
    /// Bytes that effects own.
    pub(super) owned: usize,
    /// Lines for the log. They outlive a trap, since they tell what led to it.
    pub log: Vec<LogLine>,
    /// Lines beyond those that one event may write: `log.write` of the contract.
    pub log_lost: u64,
    /// Limits that refused something in this event, by their keys, and how often each did. They
    /// outlive a trap, too.
    pub refused: Vec<(&'static str, u64)>,
    /// The least important level that is written.
    pub log_level: LogLevel,
    /// The monotonic clock, in nanoseconds.
    pub monotonic: u64,
    /// The time of day, since 1970-01-01T00:00:00Z.
    pub wall: Duration,
    /// The clock that events are timed by; `None` where nobody asks how long they take.
    pub stopwatch: Option<fn() -> Instant>,
    /// What events have taken since this was last asked.
    pub took: Duration,
    /// The event that ran last.
    pub event: Event,
    pub(crate) random: StdRng,
    /// The number of the next deferred: unique in the worker.
    next_deferred: u64,
}

/// Which side of a handshake a plugin wants to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Side {
    /// The one that begins, with the server's name.
    Client(String),
    /// The one that shows a certificate.
    Server,
}

/// A line that a plugin wrote.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// At most 8 KiB.
    pub message: String,
}

/// How much a line matters, most first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[expect(missing_docs, reason = "as everywhere")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Outbox {
    /// An empty one, whose random numbers follow from `seed`.
    pub fn new(seed: [u8; 32], log_level: LogLevel) -> Self {
        Self {
            effects: Vec::new(),
            bytes: Vec::new(),
            parts: Vec::new(),
            owned: 0,
            log: Vec::new(),
            log_lost: 0,
            refused: Vec::new(),
            log_level,
            monotonic: 0,
            wall: Duration::ZERO,
            stopwatch: None,
            took: Duration::ZERO,
            event: Event::Start,
            random: StdRng::from_seed(seed),
            next_deferred: 1,
        }
    }

    /// An empty one with the same facts, for an instance that runs beside this worker's.
    pub(crate) fn branch(&mut self) -> Self {
        let mut seed = [0; 32];
        self.random.fill_bytes(&mut seed);
        let Self { log_level, monotonic, wall, .. } = *self;
        Self { monotonic, wall, ..Self::new(seed, log_level) }
    }

    /// Forgets what the last event left, and gives room back that only a flood needed.
    pub(crate) fn clear(&mut self) {
        self.effects.clear();
        self.parts.clear();
        self.owned = 0;
        self.bytes.clear();
        if self.bytes.capacity() > KEPT_BYTES {
            self.bytes = Vec::new();
        }
        if self.parts.capacity() > KEPT_PARTS {
            self.parts = Vec::new();
        }
    }

    /// Forgets all of it, the log too.
    pub fn forget(&mut self) {
        self.clear();
        self.log.clear();
        self.log_lost = 0;
        self.refused.clear();
    }

    /// The limit with this key refuses something.
    pub(super) fn refuse(&mut self, key: &'static str) {
        match self.refused.iter_mut().find(|(refused, _)| *refused == key) {
            Some((_, times)) => *times += 1,
            None => self.refused.push((key, 1)),
        }
    }

    /// Whether nothing was asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.effects.is_empty()
    }
}

/// What a store holds: all that an import may touch.
pub(crate) struct Guest {
    /// Lent by the worker while an event runs.
    pub(super) outbox: Option<Box<Outbox>>,
    pub(super) transports: Slots<TransportHandle>,
    pub(super) deferreds: Slots<PendingHandle>,
    pub(super) outcomes: Slots<OutcomeHandle>,
    pub(super) files: Slots<FileHandle>,
    pub(super) listeners: Slots<ListenerHandle>,
    pub(super) sessions: Slots<SessionHandle>,
    pub(super) certificates: Slots<CertificateHandle>,
    pub(super) sockets: Slots<SocketHandle>,
    /// It runs a job, which can ask nothing.
    pub(super) is_job: bool,
    /// What it is told that the host serves.
    pub(super) services: Arc<[ServiceFacts]>,
    /// Where passwords may be said to it, if it may know who somebody is.
    pub(super) credentials: Option<Clear>,
    /// The least important level that is written, where it isn't the outbox' own.
    pub(super) log_level: Option<LogLevel>,
    /// Bytes that its outcomes hold.
    kept: usize,
    /// Deferreds that have neither fired nor been forgotten.
    pub(super) in_flight: usize,
    pub(super) usage: Usage,
    pub(super) limits: Arc<Limits>,
    /// What the event that runs may use of the thread's CPU time.
    pub(super) allowed: Allowed,
    /// The thread's CPU time when its first tick was noticed.
    pub(super) noticed: Option<Duration>,
}

/// Behind a `transport`: what the plugin may know of a connection.
#[expect(unreachable_pub, reason = "bindgen re-exports it")]
pub struct TransportHandle {
    pub(super) conn: u64,
    pub(super) open: bool,
    pub(super) local: Address,
    pub(super) peer: Address,
    pub(super) room: u64,
    /// It is encrypted, or will be behind what was written.
    pub(super) encrypted: bool,
    /// What its handshake came to.
    pub(super) session: Option<Arc<Session>>,
}

/// Behind a `tls-session`.
#[expect(unreachable_pub, reason = "bindgen re-exports it")]
pub struct SessionHandle(pub(super) Arc<Session>);

/// Behind a `certificate`: one of those of a session, by its place.
#[expect(unreachable_pub, reason = "bindgen re-exports it")]
pub struct CertificateHandle(pub(super) Arc<Session>, pub(super) usize);

/// Behind a `deferred`: its number.
#[expect(unreachable_pub, reason = "bindgen re-exports it")]
pub struct PendingHandle(pub(super) u64);

/// Behind an `outcome`.
#[expect(unreachable_pub, reason = "bindgen re-exports it")]
pub struct OutcomeHandle(pub(super) Outcome);

/// Behind a `file`.
#[expect(unreachable_pub, reason = "bindgen re-exports it")]
pub struct FileHandle(pub(super) Arc<OpenFile>);

/// Behind a `listener`.
#[expect(unreachable_pub, reason = "bindgen re-exports it")]
pub struct ListenerHandle {
    pub(super) listener: u64,
    pub(super) address: Address,
}

/// Behind a `socket` for datagrams.
#[expect(unreachable_pub, reason = "bindgen re-exports it")]
pub struct SocketHandle {
    pub(super) socket: u64,
    pub(super) open: bool,
    pub(super) local: Address,
    pub(super) peer: Option<Address>,
}

impl Guest {
    pub(super) fn new(limits: Arc<Limits>) -> Self {
        Self {
            outbox: None,
            transports: Slots::default(),
            deferreds: Slots::default(),
            outcomes: Slots::default(),
            files: Slots::default(),
            listeners: Slots::default(),
            sessions: Slots::default(),
            certificates: Slots::default(),
            sockets: Slots::default(),
            is_job: false,
            services: Arc::default(),
            credentials: None,
            log_level: None,
            kept: 0,
            in_flight: 0,
            usage: Usage::new(&limits),
            allowed: Allowed { time: limits.deadline, key: "deadline" },
            limits,
            noticed: None,
        }
    }

    /// What the worker lent for this event.
    pub(super) fn lent(&mut self) -> &mut Outbox {
        self.outbox.as_mut().expect("imports are called in an event, and an event lends an outbox")
    }

    /// The least important level that is written.
    pub(super) fn log_level(&mut self) -> LogLevel {
        self.log_level.unwrap_or_else(|| self.lent().log_level)
    }

    /// Records an effect, or traps at the limit.
    pub(super) fn record(&mut self, effect: Effect) -> wasmtime::Result<()> {
        let most = self.limits.effects;
        let lent = self.lent();
        if lent.effects.len() >= most {
            self.usage.reached = Some("effects");
            wasmtime::bail!("an event asked for more than {most} effects");
        }
        lent.effects.push(effect);
        Ok(())
    }

    /// Whether `more` bytes fit into the outbox; a trap where not.
    pub(super) fn fits(&mut self, more: usize) -> wasmtime::Result<()> {
        let most = self.limits.outbox;
        let lent = self.lent();
        if lent.bytes.len().saturating_add(lent.owned).saturating_add(more) > most {
            self.usage.reached = Some("outbox");
            wasmtime::bail!("an event left more than {most} bytes in its outbox");
        }
        Ok(())
    }

    /// Whether one `write` may pass so many bytes, and they fit into the outbox; a trap where not.
    pub(super) fn may_write(&mut self, length: usize) -> wasmtime::Result<()> {
        let most = self.limits.write;
        if length > most {
            self.usage.reached = Some("write");
            wasmtime::bail!("one write passed {length} bytes, and {most} are the most");
        }
        self.fits(length)
    }

    /// Counts `more` bytes that an effect will own; a trap where they don't fit into the outbox.
    pub(super) fn owns(&mut self, more: usize) -> wasmtime::Result<()> {
        self.fits(more)?;
        self.lent().owned += more;
        Ok(())
    }

    /// Keeps an outcome for the plugin to take. What it holds counts as the plugin's memory.
    pub(super) fn keep_outcome(
        &mut self,
        outcome: Outcome,
    ) -> wasmtime::Result<Resource<OutcomeHandle>> {
        self.may_hold_another()?;
        self.kept = self.kept.saturating_add(outcome.size());
        if self.kept > self.limits.memory {
            self.usage.reached = Some("memory");
            wasmtime::bail!("the plugin keeps outcomes of {} bytes", self.kept);
        }
        Ok(self.outcomes.push(OutcomeHandle(outcome)))
    }

    pub(super) fn take_outcome(
        &mut self,
        handle: &Resource<OutcomeHandle>,
    ) -> wasmtime::Result<Outcome> {
        let OutcomeHandle(outcome) = self.outcomes.take(handle)?;
        self.kept = self.kept.saturating_sub(outcome.size());
        Ok(outcome)
    }

    /// Traps where the instance holds as many handles as it may.
    pub(super) fn may_hold_another(&mut self) -> wasmtime::Result<()> {
        let held = self.transports.len()
            + self.deferreds.len()
            + self.outcomes.len()
            + self.files.len()
            + self.listeners.len()
            + self.sessions.len()
            + self.certificates.len()
            + self.sockets.len();
        if held >= self.limits.handles {
            self.usage.reached = Some("handles");
            wasmtime::bail!("the plugin holds {held} handles");
        }
        Ok(())
    }

    /// The number of a new deferred, or `None` where as many as allowed are in flight.
    pub(super) fn next_deferred(&mut self) -> Option<u64> {
        if self.in_flight >= self.limits.deferreds {
            return None;
        }
        self.in_flight += 1;
        let lent = self.lent();
        let id = lent.next_deferred;
        lent.next_deferred += 1;
        Some(id)
    }
}

/// Lines that one event may write.
pub(super) const LOG_LINES: usize = 64;

/// The longest line, in bytes.
pub(super) const LOG_LINE_BYTES: usize = 8 * 1024;

/// A buffer larger than this is given back after the event.
const KEPT_BYTES: usize = 1 << 20;

/// The same for datagrams.
const KEPT_PARTS: usize = 4096;
