//! A network of memory and a clock of arithmetic, driven by a seed.
//!
//! The near ends are the reactor's, as [`Net`](super::Net) has it; the far ends are the test's. It
//! does what TCP may do to a program: it cuts and delays what is sent, blocks writers, reports
//! edges in any order and some for nothing, and loses the last bytes where a reset overtakes them.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, HostUnreachable};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use self::seed::Seed;
use self::wire::{Packet, Wire};
use super::{Address, Ready};

pub use self::datagram::SimDatagrams;
pub use self::dial::Behind;

mod datagram;
mod dial;
mod far;
mod listen;
mod near;
mod seed;
mod wire;

/// A simulated kernel, the network behind it, and the peers at its other side.
pub struct SimNet {
    start: Instant,
    now: Instant,
    seed: Seed,
    conditions: Conditions,
    wires: Vec<Wire>,
    listeners: Vec<Backlog>,
    /// Who stands behind the addresses that the near side may connect to.
    hosts: HashMap<Address, Behind>,
    /// Connections that the near side began, as they reached their far ends.
    dialled: VecDeque<(Far, Address)>,
    /// When something arrives, and on which wire.
    schedule: BTreeSet<(Instant, usize)>,
    /// What has an edge to report.
    edges: Vec<Source>,
    post: datagram::Post,
    woken: Arc<AtomicBool>,
    trace: u64,
}

/// What a simulated network does to its users. Chances are in 256.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// Chance that a read or a write is cut short.
    pub cut: u8,
    /// The longest time that anything is under way.
    pub delay: Duration,
    /// Chance that a datagram comes twice.
    pub doubled: u8,
    /// Chance that a datagram is lost.
    pub lost: u8,
    /// Chance that a poll reports an edge for nothing, or returns early with none.
    pub spurious: u8,
    /// Chance that an accept fails: the connection is gone (`ECONNABORTED`) or stays in the backlog
    /// without another edge (`EMFILE`, `ENFILE`).
    pub refusals: u8,
    /// How many bytes a reader's kernel takes before it reads them.
    pub window: usize,
}

impl Default for Conditions {
    /// Everything but refusals.
    fn default() -> Self {
        Self {
            cut: 96,
            delay: Duration::from_millis(20),
            doubled: 8,
            lost: 8,
            spurious: 16,
            refusals: 0,
            window: 64 * 1024,
        }
    }
}

/// The test's end of a connection. Its default is the first.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Far(usize);

/// The reactor's end of a connection.
#[derive(Debug)]
pub struct SimStream(usize);

/// Where far ends connect to.
#[derive(Debug)]
pub struct SimListener(usize);

impl SimListener {
    /// By which [`SimNet::connect`] names it: listeners are counted from 0.
    pub fn index(&self) -> usize {
        self.0
    }
}

struct Backlog {
    address: Address,
    token: Option<u64>,
    edge: bool,
    closed: bool,
    waiting: VecDeque<usize>,
}

#[derive(Clone, Copy)]
enum Source {
    Datagrams(usize),
    Listener(usize),
    Wire(usize),
}

/// Which way a packet goes.
#[derive(Clone, Copy)]
enum To {
    Far,
    Near,
}

impl SimNet {
    /// A network without listeners, in the default conditions.
    pub fn new(seed: u64) -> Self {
        Self::with(seed, Conditions::default())
    }

    /// A network without listeners.
    pub fn with(seed: u64, conditions: Conditions) -> Self {
        let start = Instant::now();
        Self {
            start,
            now: start,
            seed: Seed::new(seed),
            conditions,
            wires: Vec::new(),
            listeners: Vec::new(),
            hosts: HashMap::new(),
            dialled: VecDeque::new(),
            schedule: BTreeSet::new(),
            edges: Vec::new(),
            post: datagram::Post::default(),
            woken: Arc::default(),
            trace: 0xcbf2_9ce4_8422_2325,
        }
    }

    /// The conditions, to be changed from now on.
    pub fn conditions(&mut self) -> &mut Conditions {
        &mut self.conditions
    }

    /// How many near ends were accepted, or began a connection, and are not closed yet.
    pub fn open_streams(&self) -> usize {
        self.wires.iter().filter(|wire| wire.near.accepted && !wire.near.closed).count()
    }

    /// How many listeners are not closed yet.
    pub fn open_listeners(&self) -> usize {
        self.listeners.iter().filter(|listener| !listener.closed).count()
    }

    /// Nothing is under way, and no edge waits to be reported. What far ends have unsent comes only
    /// if somebody reads.
    pub fn idle(&self) -> bool {
        self.schedule.is_empty()
            && self.no_letters()
            && self.edges.is_empty()
            && !self.woken.load(Ordering::Relaxed)
    }

    /// How much time has passed in the simulation.
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// A hash of all that was asked of this network and what it answered, times included.
    pub fn trace(&self) -> u64 {
        self.trace
    }

    fn reset_by_near(&mut self, wire: usize) {
        let Wire { near, to_near, to_far, .. } = &mut self.wires[wire];
        near.closed = true;
        to_near.arrived.clear();
        to_far.lose_tail(&mut self.seed);
        self.launch(wire, To::Far, Packet::Reset);
    }

    fn launch(&mut self, wire: usize, to: To, packet: Packet) {
        self.launch_within(self.conditions.delay, wire, to, packet);
    }

    fn launch_within(&mut self, longest: Duration, wire: usize, to: To, packet: Packet) {
        let at = self.now + self.seed.up_to(longest);
        let pipe = match to {
            To::Far => &mut self.wires[wire].to_far,
            To::Near => &mut self.wires[wire].to_near,
        };
        self.schedule.insert((pipe.launch(at, packet), wire));
    }

    /// Queues an edge, once.
    fn edge(&mut self, source: Source) {
        let queued = match source {
            Source::Datagrams(socket) => &mut self.post.sockets[socket].edge,
            Source::Listener(listener) => &mut self.listeners[listener].edge,
            Source::Wire(wire) => &mut self.wires[wire].near.edge,
        };
        if !mem::replace(queued, true) {
            self.edges.push(source);
        }
    }

    /// Lets all arrive that is due.
    fn arrive(&mut self) {
        self.deliver_letters();
        while let Some(&(at, wire)) = self.schedule.first()
            && at <= self.now
        {
            self.schedule.pop_first();
            while let Some(packet) = self.wires[wire].to_near.land(self.now) {
                self.land_near(wire, packet);
            }
            while let Some(packet) = self.wires[wire].to_far.land(self.now) {
                self.land_far(wire, packet);
            }
        }
    }

    fn land_near(&mut self, wire: usize, packet: Packet) {
        let Wire { near, to_near, .. } = &mut self.wires[wire];
        match packet {
            Packet::Syn => return self.land_syn(wire),
            // Nobody will ever read it, and TCP says so.
            Packet::Data(_) if near.closed => return self.reset_by_near(wire),
            _ if near.closed || near.reset => return,
            Packet::Data(data) => to_near.arrived.extend(data),
            Packet::Fin => to_near.ended = true,
            Packet::SynAck => near.connecting = false,
            Packet::Reset | Packet::Unreachable => {
                near.error = Some(match packet {
                    Packet::Unreachable => HostUnreachable,
                    _ if near.connecting => ConnectionRefused,
                    _ if to_near.ended => BrokenPipe,
                    _ => ConnectionReset,
                });
                near.reset = true;
                near.connecting = false;
                to_near.lose_unread(&mut self.seed);
            }
        }
        self.edge(Source::Wire(wire));
    }

    fn land_syn(&mut self, wire: usize) {
        let listener = self.wires[wire].listener;
        let Some(listener) = listener.filter(|listener| !self.listeners[*listener].closed) else {
            return self.reset_by_near(wire);
        };
        self.listeners[listener].waiting.push_back(wire);
        self.edge(Source::Listener(listener));
    }

    /// What is ready, in any order; some of it may be left for the next time.
    fn report(&mut self, ready: &mut Vec<Ready>) {
        for end in (1..self.edges.len()).rev() {
            let other = self.seed.below(end + 1);
            self.edges.swap(end, other);
        }
        let kept = if self.seed.chance(64) { self.seed.below(self.edges.len()) } else { 0 };
        for source in self.edges.split_off(kept) {
            ready.extend(match source {
                Source::Datagrams(socket) => self.ready_datagrams(socket),
                Source::Listener(index) => {
                    let listener = &mut self.listeners[index];
                    listener.edge = false;
                    let token = listener.token.filter(|_| !listener.waiting.is_empty());
                    token.map(|token| Ready { token, readable: true, ..Ready::default() })
                }
                Source::Wire(wire) => {
                    self.wires[wire].near.edge = false;
                    self.wires[wire].ready(self.conditions.window)
                }
            });
        }
        if self.seed.chance(self.conditions.spurious) {
            ready.extend(self.spurious());
        }
    }

    /// An edge for nothing. It may name a stream that is closed already.
    fn spurious(&mut self) -> Option<Ready> {
        let wire = self.seed.below(self.wires.len());
        let token = self.wires.get(wire)?.near.token?;
        Some(Ready { token, readable: true, writable: true, ..Ready::default() })
    }
}

/// How much of `most` is done at once.
fn amount(seed: &mut Seed, cut: u8, most: usize) -> usize {
    if seed.chance(cut) { seed.pick(most) } else { most }
}

#[cfg(test)]
mod dial_tests;
#[cfg(test)]
pub(crate) mod tests;
