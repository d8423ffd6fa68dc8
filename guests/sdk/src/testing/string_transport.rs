//! A transport whose far end is a test.

use std::cell::{Ref, RefCell, RefMut};
use std::collections::VecDeque;
use std::mem;

use crate::types::{Address, Failure, Reason, code};

/// One connection on a [`Bench`](super::Bench): Twisted's `StringTransport`. What the protocol
/// writes is in it, and it knows what else the protocol has asked for.
#[derive(Debug)]
pub struct StringTransport {
    peer: Address,
    state: RefCell<State>,
}

/// What has become of it, and what waits.
#[derive(Debug)]
pub(super) struct State {
    /// What the peer has read, and the test has not taken.
    value: Vec<u8>,
    /// What the peer has not read.
    unsent: Vec<u8>,
    pub(super) is_reading: bool,
    /// Its room was used up since the protocol heard of it last.
    was_full: bool,
    pub(super) is_paused: bool,
    pub(super) is_closing: bool,
    pub(super) is_aborted: bool,
    has_lost_write: bool,
    /// Pieces that were not delivered.
    pub(super) input: VecDeque<Vec<u8>>,
    /// The peer has ended its half.
    pub(super) has_ended: bool,
    /// The protocol has heard of that.
    pub(super) knows_of_end: bool,
    pub(super) reason: Option<Reason>,
}

impl StringTransport {
    pub(super) fn new(peer: Address) -> Self {
        let state = State {
            value: Vec::new(),
            unsent: Vec::new(),
            is_reading: true,
            was_full: false,
            is_paused: false,
            is_closing: false,
            is_aborted: false,
            has_lost_write: false,
            input: VecDeque::new(),
            has_ended: false,
            knows_of_end: false,
            reason: None,
        };
        Self { peer, state: RefCell::new(state) }
    }

    /// Takes what the protocol has written and the peer has read.
    pub fn take(&self) -> Vec<u8> {
        mem::take(&mut self.state_mut().value)
    }

    /// The same, as text in which what is no UTF-8 is replaced.
    pub fn take_text(&self) -> String {
        String::from_utf8_lossy(&self.take()).into_owned()
    }

    /// How many bytes the protocol has written that the peer has not read.
    pub fn unsent(&self) -> usize {
        self.state().unsent.len()
    }

    /// Whether the protocol takes no data at the moment: it has paused the peer, or waits for
    /// something.
    pub fn is_paused(&self) -> bool {
        self.state().is_paused
    }

    /// Whether the protocol has ended its half of the stream.
    pub fn has_lost_write(&self) -> bool {
        self.state().has_lost_write
    }

    /// Why the connection has ended, as its protocol was told; none while it lasts.
    pub fn reason(&self) -> Option<Reason> {
        self.state().reason.clone()
    }

    /// Whether the connection has ended.
    pub fn is_lost(&self) -> bool {
        self.state().reason.is_some()
    }

    pub(super) fn state(&self) -> Ref<'_, State> {
        self.state.borrow()
    }

    pub(super) fn state_mut(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }

    /// Sends what the peer reads. Says whether the protocol has to hear that it has room again.
    pub(super) fn flush(&self) -> bool {
        let state = &mut *self.state_mut();
        if !state.is_reading {
            return false;
        }
        state.value.append(&mut state.unsent);
        mem::take(&mut state.was_full) && !state.is_closing
    }

    /// Whether it has come to its end, in order.
    pub(super) fn is_done(&self) -> bool {
        let state = self.state();
        let both_ended = state.has_lost_write && state.knows_of_end;
        (state.is_closing || both_ended) && state.unsent.is_empty()
    }

    pub(crate) fn write(&self, data: &[u8]) {
        let state = &mut *self.state_mut();
        if state.can_write() {
            state.unsent.extend(data);
            state.was_full |= state.unsent.len() >= ROOM;
        }
    }

    pub(crate) fn lose_connection(&self) {
        self.state_mut().is_closing = true;
    }

    pub(crate) fn abort_connection(&self) {
        let state = &mut *self.state_mut();
        state.is_aborted = state.reason.is_none();
        state.unsent.clear();
    }

    pub(crate) fn lose_write_connection(&self) -> Result<(), Failure> {
        let state = &mut *self.state_mut();
        if state.is_closing || state.is_aborted || state.reason.is_some() {
            return Err(Failure::new(code::CLOSED, "the connection is closed, or closing"));
        }
        state.has_lost_write = true;
        Ok(())
    }

    pub(crate) fn pause_producing(&self) {
        self.state_mut().is_paused = true;
    }

    pub(crate) fn resume_producing(&self) {
        self.state_mut().is_paused = false;
    }

    pub(crate) fn room(&self) -> u64 {
        ROOM.saturating_sub(self.state().unsent.len()) as u64
    }

    pub(crate) fn local_address(&self) -> Address {
        Address { kind: self.peer.kind.clone(), host: "10.0.0.1".to_owned(), port: 1 }
    }

    pub(crate) fn peer_address(&self) -> Address {
        self.peer.clone()
    }

    pub(crate) fn set_no_delay(&self, _on: bool) -> Result<(), Failure> {
        Ok(())
    }

    pub(crate) fn set_keep_alive(&self, _on: bool) -> Result<(), Failure> {
        Ok(())
    }
}

impl State {
    fn can_write(&self) -> bool {
        !self.is_closing && !self.is_aborted && !self.has_lost_write && self.reason.is_none()
    }
}

/// How many bytes a peer may leave unread before it counts as slow.
const ROOM: usize = 64 * 1024;
