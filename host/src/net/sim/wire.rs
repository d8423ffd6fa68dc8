//! One connection of the simulated network: two ends, and a pipe for each direction.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::mem;
use std::net::IpAddr;
use std::time::Instant;

use super::Behind;
use super::seed::Seed;
use crate::net::{Address, Ready};

pub(super) struct Wire {
    /// The number of the listener that it leads to; `None` where the near end began it, or where
    /// it leads nowhere.
    pub(super) listener: Option<usize>,
    /// The near end's address.
    pub(super) local: Address,
    /// Where the near end asked to be connected to, and what stands there.
    pub(super) dialled: Option<(Address, Behind)>,
    /// The address that the far end comes from, where a test gave it one.
    pub(super) from: Option<IpAddr>,
    pub(super) near: Near,
    pub(super) far: Far,
    pub(super) to_near: Pipe,
    pub(super) to_far: Pipe,
}

impl Wire {
    pub(super) fn new(listener: Option<usize>, local: Address) -> Self {
        Self {
            listener,
            local,
            dialled: None,
            from: None,
            near: Near::default(),
            far: Far { reading: true, ..Far::default() },
            to_near: Pipe::default(),
            to_far: Pipe::default(),
        }
    }

    /// What epoll would say of the near end now; `None` where it would say nothing.
    pub(super) fn ready(&self, window: usize) -> Option<Ready> {
        let token = self.near.token.filter(|_| !self.near.closed)?;
        let Near { connecting, reset, .. } = self.near;
        if connecting {
            return None;
        }
        let ready = Ready {
            token,
            readable: reset || self.to_near.ended || !self.to_near.arrived.is_empty(),
            writable: reset || self.to_far.fin_sent || self.to_far.room(window) > 0,
            read_closed: reset || self.to_near.ended,
            failed: reset,
        };
        (ready.readable || ready.writable).then_some(ready)
    }

    /// The far end takes what has arrived, if it is reading. True where a blocked near end has
    /// room now.
    pub(super) fn drain(&mut self, window: usize) -> bool {
        if self.far.reading && !self.far.closed {
            self.far.got.extend(self.to_far.arrived.drain(..));
        }
        let unblocked = self.near.blocked && self.to_far.room(window) > 0;
        self.near.blocked &= !unblocked;
        unblocked
    }
}

/// The reactor's end.
#[derive(Default)]
pub(super) struct Near {
    pub(super) token: Option<u64>,
    /// It was accepted, or began the connection.
    pub(super) accepted: bool,
    /// It began the connection, and the far end has not answered.
    pub(super) connecting: bool,
    pub(super) closed: bool,
    /// An edge of it waits in the network's queue.
    pub(super) edge: bool,
    /// A write found no room; an edge is owed when there is some.
    pub(super) blocked: bool,
    /// The peer's reset has arrived; nothing more will.
    pub(super) reset: bool,
    /// What the reset left to be taken.
    pub(super) error: Option<ErrorKind>,
}

/// The test's end.
#[derive(Default)]
pub(super) struct Far {
    /// What the near end's window has no room for yet.
    pub(super) unsent: VecDeque<u8>,
    /// A FIN follows what is unsent.
    pub(super) ending: bool,
    pub(super) closed: bool,
    pub(super) reading: bool,
    pub(super) got: Vec<u8>,
    pub(super) saw_reset: bool,
}

/// What crosses the network.
pub(super) enum Packet {
    Data(Vec<u8>),
    Fin,
    Reset,
    Syn,
    /// The far end takes the connection.
    SynAck,
    /// There is no way to the far end.
    Unreachable,
}

/// One direction: what is under way in order of arrival, and what has arrived and wasn't read.
#[derive(Default)]
pub(super) struct Pipe {
    pub(super) arrived: VecDeque<u8>,
    /// The FIN has arrived.
    pub(super) ended: bool,
    pub(super) fin_sent: bool,
    /// Bytes that ever entered.
    pub(super) entered: u64,
    flight: VecDeque<(Instant, Packet)>,
    flying: usize,
}

impl Pipe {
    /// How many bytes the sender may send.
    pub(super) fn room(&self, window: usize) -> usize {
        window.saturating_sub(self.flying + self.arrived.len())
    }

    /// Sends `packet`, which arrives at `at` but not before the one ahead of it. Says when.
    pub(super) fn launch(&mut self, at: Instant, packet: Packet) -> Instant {
        let at = self.flight.back().map_or(at, |(last, _)| at.max(*last));
        match &packet {
            Packet::Data(data) => {
                assert!(!self.fin_sent, "no data after a FIN");
                self.flying += data.len();
                self.entered += data.len() as u64;
            }
            Packet::Fin => assert!(!mem::replace(&mut self.fin_sent, true), "one FIN is sent"),
            Packet::Reset | Packet::Syn | Packet::SynAck | Packet::Unreachable => {}
        }
        self.flight.push_back((at, packet));
        at
    }

    /// Takes the next packet that has arrived by `now`.
    pub(super) fn land(&mut self, now: Instant) -> Option<Packet> {
        let (_, packet) = self.flight.pop_front_if(|(at, _)| *at <= now)?;
        if let Packet::Data(data) = &packet {
            self.flying -= data.len();
        }
        Some(packet)
    }

    /// Loses a part of what is under way, from some packet on.
    pub(super) fn lose_tail(&mut self, seed: &mut Seed) {
        let kept = seed.below(self.flight.len() + 1);
        for (_, packet) in self.flight.drain(kept..) {
            if let Packet::Data(data) = packet {
                self.flying -= data.len();
            }
        }
    }

    /// A reset has arrived: what wasn't read may be lost, as some kernels do it.
    pub(super) fn lose_unread(&mut self, seed: &mut Seed) {
        if seed.chance(128) {
            self.arrived.clear();
        }
    }
}
