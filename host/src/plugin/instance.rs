//! A running sandbox: one store, one instance, one fault domain.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::component::{Resource, ResourceAny};
use wasmtime::{AsContextMut, Store, StoreContextMut, Trap, UpdateDeadline, WasmBacktrace};

use super::bindings::exports::torsade::plugin::{
    datagram_protocols, half_close, handshake, plugin, protocols, stopping,
};
use super::bindings::torsade::plugin::types;
use super::component::Plugin;
use super::engine::{Compiler, Metering};
use super::limits::Limits;
use super::outbox::{Guest, Outbox, PendingHandle, TransportHandle};
use super::words::plain;
use crate::capability::tls_session::Session;
use crate::capability::{Address, Outcome};
use crate::figures::Event;

mod datagrams;

pub use datagrams::{DatagramProtocol, SocketFacts};

/// One life of a plugin. Every call is an event; what the plugin asked for in it lies in the
/// outbox that was lent for it. After a [`Fault`] no further call may be made.
pub struct Instance {
    store: Store<Guest>,
    exports: Exports,
    metering: Metering,
    start_deadline: Duration,
}

struct Exports {
    plugin: plugin::Guest,
    protocols: Option<protocols::Guest>,
    datagrams: Option<datagram_protocols::Guest>,
    half_close: Option<half_close::Guest>,
    handshake: Option<handshake::Guest>,
    stopping: Option<stopping::Guest>,
}

/// The plugin's end of a connection, and the host's name for the handle it was given.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    guest: ResourceAny,
    handle: u32,
    conn: u64,
}

/// What a plugin may know of a new connection.
#[derive(Clone, Debug)]
pub struct ConnFacts {
    /// The reactor's number for it.
    pub conn: u64,
    /// This side's address.
    pub local: Address,
    /// The peer's address.
    pub peer: Address,
    /// Bytes that may be queued before the peer counts as slow.
    pub room: u64,
    /// What its handshake came to, if it is encrypted.
    pub tls: Option<Arc<Session>>,
}

/// How a connection came to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// On an endpoint of the service: its place in `listen`.
    Accepted(u32),
    /// On a listener that the plugin made: its deferred.
    Arrived(u64),
    /// The plugin asked for it: its deferred.
    Dialled(u64),
}

/// Why an instance is dead: a trap, a deadline, a limit.
#[derive(Debug)]
pub struct Fault {
    /// What happened, in one line; it names the limit that was reached, if one was.
    pub message: String,
    /// Where in the plugin, a function a line.
    pub backtrace: String,
    /// The key of the limit that was reached, if one was.
    pub limit: Option<&'static str>,
    /// That key, or what kind of trap it was: `unreachable`, `memory-access`, `stack-overflow`,
    /// `arithmetic`, `indirect-call`, `other`; `contract` where a call broke the contract.
    pub kind: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// What an event comes to: the deferred that it returned, if any.
type Handled = Result<Option<u64>, Fault>;

impl Instance {
    /// Makes a sandbox. What the component's own start function does counts as `start`'s work.
    pub fn new(
        plugin: &Plugin,
        limits: &Arc<Limits>,
        lent: &mut Option<Box<Outbox>>,
    ) -> Result<Self, Fault> {
        let mut store = new_store(&plugin.compiler, limits);
        store.set_hostcall_fuel(limits.outbox);
        let metering = plugin.compiler.metering;
        if let Metering::Time(cpu_time) = metering {
            store.epoch_deadline_callback(move |guest| past_deadline(guest, cpu_time));
        }
        store.data_mut().outbox = lent.take();
        store.data_mut().services = Arc::clone(&plugin.services);
        store.data_mut().credentials = plugin.credentials;
        store.data_mut().log_level = plugin.log_level;
        arm(&mut store, metering, start_allowed(limits.start_deadline));
        let watch = Stopwatch::start(store.data().outbox.as_deref());
        let exports = Exports::load(plugin, &mut store);
        *lent = store.data_mut().outbox.take();
        watch.stop(&store, metering, lent);
        let exports = exports.map_err(|e| {
            let reached = store.data_mut().usage.reached.take();
            fault(&store, reached, &e)
        })?;
        Ok(Self { store, exports, metering, start_deadline: limits.start_deadline })
    }

    /// `plugin.start`: before anything else. The inner error is the plugin's refusal.
    pub fn start(
        &mut self,
        config: &str,
        lent: &mut Option<Box<Outbox>>,
    ) -> Result<Result<Option<u64>, String>, Fault> {
        let allowed = start_allowed(self.start_deadline);
        self.enter_for(Event::Start, allowed, lent, |exports, store| {
            Ok(match exports.plugin.call_start(&mut *store, config)? {
                Ok(deferred) => Ok(give(store, deferred)?),
                Err(refusal) => Err(plain(refusal, REFUSAL_BYTES)),
            })
        })
    }

    /// `protocols.build-protocol`.
    pub fn build_protocol(
        &mut self,
        facts: ConnFacts,
        origin: Origin,
        lent: &mut Option<Box<Outbox>>,
    ) -> Result<Option<Protocol>, Fault> {
        let ConnFacts { conn, local, peer, room, tls } = facts;
        self.enter(Event::BuildProtocol, lent, |exports, store| {
            store.data_mut().may_hold_another()?;
            let encrypted = tls.is_some();
            let handle =
                TransportHandle { conn, open: true, local, peer, room, encrypted, session: tls };
            let transport = store.data_mut().transports.push(handle);
            let handle = transport.rep();
            let protocols = streams(exports)?;
            let guest = protocols.call_build_protocol(store, transport, origin.into())?;
            Ok(guest.map(|guest| Protocol { guest, handle, conn }))
        })
    }

    /// `protocol.data-received`. `room` is what may be queued on the connection.
    pub fn data_received(
        &mut self,
        protocol: Protocol,
        data: &[u8],
        lent: &mut Option<Box<Outbox>>,
    ) -> Handled {
        self.enter(Event::DataReceived, lent, |exports, store| {
            let deferred = streams(exports)?.protocol().call_data_received(
                &mut *store,
                protocol.guest,
                data,
            )?;
            give(store, deferred)
        })
    }

    /// `protocol.write-drained`.
    pub fn write_drained(
        &mut self,
        protocol: Protocol,
        lent: &mut Option<Box<Outbox>>,
    ) -> Result<(), Fault> {
        self.enter(Event::WriteDrained, lent, |exports, store| {
            streams(exports)?.protocol().call_write_drained(store, protocol.guest)
        })
    }

    /// `half-close.read-connection-lost`. Only where the plugin exports it.
    pub fn read_connection_lost(
        &mut self,
        protocol: Protocol,
        lent: &mut Option<Box<Outbox>>,
    ) -> Result<(), Fault> {
        self.enter(Event::ReadConnectionLost, lent, |exports, store| match &exports.half_close {
            Some(half_close) => half_close.call_read_connection_lost(store, protocol.guest),
            None => Ok(()),
        })
    }

    /// `handshake.handshake-completed`. Only where the plugin exports it.
    pub fn handshake_completed(
        &mut self,
        protocol: Protocol,
        lent: &mut Option<Box<Outbox>>,
    ) -> Result<(), Fault> {
        self.enter(Event::HandshakeCompleted, lent, |exports, store| match &exports.handshake {
            Some(handshake) => handshake.call_handshake_completed(store, protocol.guest),
            None => Ok(()),
        })
    }

    /// `protocol.connection-lost`; then drops the protocol: its destructor is guest code too.
    pub fn connection_lost(
        &mut self,
        protocol: Protocol,
        code: &str,
        message: &str,
        lent: &mut Option<Box<Outbox>>,
    ) -> Result<(), Fault> {
        self.set_closing(protocol);
        let reason = types::Reason { code: code.to_owned(), message: message.to_owned() };
        self.enter(Event::ConnectionLost, lent, |exports, store| {
            let protocols = streams(exports)?.protocol();
            protocols.call_connection_lost(&mut *store, protocol.guest, &reason)?;
            protocol.guest.resource_drop(store)
        })
    }

    /// `plugin.fired`.
    pub fn fired(&mut self, id: u64, outcome: Outcome, lent: &mut Option<Box<Outbox>>) -> Handled {
        self.forget_deferred();
        self.enter(Event::Fired, lent, |exports, store| {
            let outcome = store.data_mut().keep_outcome(outcome)?;
            let deferred = exports.plugin.call_fired(&mut *store, id, outcome)?;
            give(store, deferred)
        })
    }

    /// `stopping.stopping`. Only where the plugin exports it.
    pub fn stopping(&mut self, lent: &mut Option<Box<Outbox>>) -> Result<(), Fault> {
        self.enter(Event::Stopping, lent, |exports, store| match &exports.stopping {
            Some(stopping) => stopping.call_stopping(store),
            None => Ok(()),
        })
    }

    /// Bytes of its linear memories.
    pub fn memory(&self) -> usize {
        self.store.data().usage.memory()
    }

    /// A deferred was forgotten before it fired: another may be made in its place.
    pub fn forget_deferred(&mut self) {
        let guest = self.store.data_mut();
        guest.in_flight = guest.in_flight.saturating_sub(1);
    }

    /// How many bytes may be queued on the protocol's connection.
    pub fn set_room(&mut self, protocol: Protocol, room: u64) {
        if let Some(handle) = self.handle(protocol) {
            handle.room = room;
        }
    }

    /// The handshake of the protocol's connection is over.
    pub fn set_session(&mut self, protocol: Protocol, session: Arc<Session>) {
        if let Some(handle) = self.handle(protocol) {
            handle.session = Some(session);
        }
    }

    /// The host closes the protocol's connection: the plugin can't any more.
    pub fn set_closing(&mut self, protocol: Protocol) {
        if let Some(handle) = self.handle(protocol) {
            handle.open = false;
        }
    }

    /// What stands behind the protocol's `transport`, unless the plugin dropped it.
    fn handle(&mut self, protocol: Protocol) -> Option<&mut TransportHandle> {
        let handle = self.store.data_mut().transports.at(protocol.handle)?;
        (handle.conn == protocol.conn).then_some(handle)
    }

    fn enter<R>(
        &mut self,
        event: Event,
        lent: &mut Option<Box<Outbox>>,
        call: impl FnOnce(&Exports, &mut Store<Guest>) -> wasmtime::Result<R>,
    ) -> Result<R, Fault> {
        let allowed = Allowed { time: self.store.data().limits.deadline, key: "deadline" };
        self.enter_for(event, allowed, lent, call)
    }

    /// The one way into the guest. What it asked for lies in `lent` afterwards; where it failed,
    /// nothing does.
    fn enter_for<R>(
        &mut self,
        event: Event,
        allowed: Allowed,
        lent: &mut Option<Box<Outbox>>,
        call: impl FnOnce(&Exports, &mut Store<Guest>) -> wasmtime::Result<R>,
    ) -> Result<R, Fault> {
        debug_assert!(lent.as_ref().is_some_and(|lent| lent.is_empty()), "effects are applied");
        if let Some(lent) = lent {
            lent.event = event;
        }
        mem::swap(&mut self.store.data_mut().outbox, lent);
        arm(&mut self.store, self.metering, allowed);
        let watch = Stopwatch::start(self.store.data().outbox.as_deref());
        let result = call(&self.exports, &mut self.store);
        mem::swap(&mut self.store.data_mut().outbox, lent);
        watch.stop(&self.store, self.metering, lent);
        let reached = self.store.data_mut().usage.reached.take();
        if let (Some(lent), Some(key), true) = (lent.as_mut(), reached, result.is_ok()) {
            lent.refuse(key);
        }
        result.map_err(|error| {
            if let Some(lent) = lent {
                lent.clear();
            }
            fault(&self.store, reached, &error)
        })
    }
}

/// Times an event, where somebody asks.
struct Stopwatch(Option<(fn() -> Instant, Instant)>);

impl Stopwatch {
    fn start(lent: Option<&Outbox>) -> Self {
        Self(lent.and_then(|lent| lent.stopwatch).map(|now| (now, now())))
    }

    /// An instruction of a simulation takes a nanosecond.
    fn stop(self, store: &Store<Guest>, metering: Metering, lent: &mut Option<Box<Outbox>>) {
        let Some(lent) = lent else { return };
        lent.took += match (metering, self.0) {
            (Metering::Fuel(all), _) => {
                Duration::from_nanos(all.saturating_sub(store.get_fuel().unwrap_or(all)))
            }
            (Metering::Time(_), Some((now, began))) => now().saturating_duration_since(began),
            (Metering::Time(_), None) => Duration::ZERO,
        };
    }
}

impl Exports {
    fn load(plugin: &Plugin, store: &mut Store<Guest>) -> wasmtime::Result<Self> {
        let instance = plugin.pre.instantiate(&mut *store)?;
        let indices = &plugin.exports;
        let (protocols, datagrams) = (indices.protocols.as_ref(), indices.datagrams.as_ref());
        let half_close = indices.half_close.as_ref();
        let handshake = indices.handshake.as_ref();
        let stopping = indices.stopping.as_ref();
        Ok(Self {
            plugin: indices.plugin.load(&mut *store, &instance)?,
            protocols: protocols.map(|i| i.load(&mut *store, &instance)).transpose()?,
            datagrams: datagrams.map(|i| i.load(&mut *store, &instance)).transpose()?,
            half_close: half_close.map(|i| i.load(&mut *store, &instance)).transpose()?,
            handshake: handshake.map(|i| i.load(&mut *store, &instance)).transpose()?,
            stopping: stopping.map(|i| i.load(&mut *store, &instance)).transpose()?,
        })
    }
}

/// The plugin's protocols for streams. Without them it is given none: see [`Plugin::serves_streams`].
fn streams(exports: &Exports) -> wasmtime::Result<&protocols::Guest> {
    exports.protocols.as_ref().ok_or_else(|| wasmtime::format_err!("it exports no protocols"))
}

impl From<Origin> for types::Origin {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Accepted(endpoint) => Self::Accepted(endpoint),
            Origin::Arrived(listener) => Self::Arrived(listener),
            Origin::Dialled(deferred) => Self::Dialled(deferred),
        }
    }
}

/// A store that holds no more than the limits say.
pub(super) fn new_store(compiler: &Compiler, limits: &Arc<Limits>) -> Store<Guest> {
    let mut store = Store::new(&compiler.engine, Guest::new(Arc::clone(limits)));
    store.limiter(|guest| &mut guest.usage);
    store.set_max_component_handles(limits.handles.saturating_add(OWN_HANDLES));
    store
}

/// Takes the handle that an event returned, and names the deferred.
fn give(
    store: &mut Store<Guest>,
    deferred: Option<Resource<PendingHandle>>,
) -> wasmtime::Result<Option<u64>> {
    match deferred {
        Some(handle) => Ok(Some(store.data_mut().deferreds.take(&handle)?.0)),
        None => Ok(None),
    }
}

/// What an event may use of the thread's CPU time, and the key of the limit that says so.
#[derive(Clone, Copy)]
pub(super) struct Allowed {
    pub(super) time: Duration,
    pub(super) key: &'static str,
}

fn start_allowed(time: Duration) -> Allowed {
    Allowed { time, key: "start-deadline" }
}

/// Begins to measure an event.
pub(super) fn arm(store: &mut Store<Guest>, metering: Metering, allowed: Allowed) {
    match metering {
        Metering::Time(_) => {
            let guest = store.data_mut();
            guest.allowed = allowed;
            guest.noticed = None;
            store.set_epoch_deadline(1);
        }
        Metering::Fuel(fuel) => {
            store.set_fuel(fuel).expect("the engine that Fuel made consumes fuel");
        }
    }
}

/// Called at each tick that an event sees. The thread's CPU time counts from the first, so that a
/// thread that others preempt is not blamed, and an event that sees no tick pays nothing.
pub(super) fn past_deadline(
    mut store: StoreContextMut<'_, Guest>,
    cpu_time: fn() -> Duration,
) -> wasmtime::Result<UpdateDeadline> {
    let mut context = store.as_context_mut();
    let guest = context.data_mut();
    let now = cpu_time();
    let since = *guest.noticed.get_or_insert(now);
    let Allowed { time, key } = guest.allowed;
    if now.saturating_sub(since) < time {
        return Ok(UpdateDeadline::Continue(1));
    }
    guest.usage.reached = Some(key);
    wasmtime::bail!("an event took more than {time:?} of CPU time")
}

/// Why the instance is dead, where the limit with this key was reached in its last event.
pub(super) fn fault(
    store: &Store<Guest>,
    reached: Option<&'static str>,
    error: &wasmtime::Error,
) -> Fault {
    let backtrace = error.downcast_ref::<WasmBacktrace>().map(symbols).unwrap_or_default();
    let trap = error.downcast_ref::<Trap>();
    let what = match trap {
        Some(Trap::OutOfFuel) => "an event took more instructions than it may".to_owned(),
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    // The errors' types are wasmtime's own, and their words don't tell the operator what to raise.
    let named = ENGINES_WORDS.iter().find(|(words, _)| what.contains(words)).map(|(_, key)| *key);
    let limit = match reached.or(named) {
        Some("memory") if store.data().is_job => Some("job-memory"),
        limit => limit,
    };
    let message = match limit {
        Some(key) => format!("{what} (limits.{key} was reached)"),
        None => what,
    };
    Fault { message, backtrace, limit, kind: limit.unwrap_or(trap.map_or("contract", kind_of)) }
}

fn kind_of(trap: &Trap) -> &'static str {
    match trap {
        Trap::BadConversionToInteger | Trap::IntegerDivisionByZero | Trap::IntegerOverflow => {
            "arithmetic"
        }
        Trap::BadSignature | Trap::IndirectCallToNull | Trap::TableOutOfBounds => "indirect-call",
        Trap::HeapMisaligned | Trap::MemoryOutOfBounds => "memory-access",
        Trap::StackOverflow => "stack-overflow",
        Trap::UnreachableCodeReached => "unreachable",
        _ => "other",
    }
}

/// A function a line, without wasmtime's heading. The plugin has named them: no name begins a line.
fn symbols(backtrace: &WasmBacktrace) -> String {
    let text = backtrace.to_string();
    let lines = text.lines().skip(1).take(BACKTRACE_LINES);
    let lines = lines.map(|line| format!("  {}", plain(line.to_owned(), BACKTRACE_LINE_BYTES)));
    lines.collect::<Vec<_>>().join("\n")
}

/// What the engine says where it keeps a limit itself, and the limit's key.
const ENGINES_WORDS: [(&str, &str); 2] =
    [("fuel allocated for hostcalls", "outbox"), ("store handle limit exceeded", "handles")];

/// The longest refusal of a configuration, in bytes.
const REFUSAL_BYTES: usize = 1024;

/// The most lines of a backtrace. wasmtime tells of 20 functions.
const BACKTRACE_LINES: usize = 60;

/// The longest line of a backtrace, in bytes.
const BACKTRACE_LINE_BYTES: usize = 512;

/// Handles of a store beyond the service's limit, which counts what the host gives: of the plugin's
/// own objects, and of what is lent for the length of a call.
const OWN_HANDLES: usize = 1_000;
