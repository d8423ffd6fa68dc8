//! A forwarded pair: each side gets what the other sent, whole and in order, however it is cut and
//! however slow the sides are.

#![no_main]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use torsade_fuzz::Script;
use torsade_portforward::pair::{Pair, Peer, Side};

fuzz_target!(|bytes: &[u8]| {
    let whole = run(bytes, usize::MAX);
    for most in [1, 3] {
        assert_eq!(run(bytes, most), whole, "in pieces of {most}");
    }
});

/// Runs what an input says, a byte for each step, with what arrives in pieces of at most so many
/// bytes. What each side got, if none was lost.
fn run(bytes: &[u8], most: usize) -> Option<[Vec<u8>; 2]> {
    let ends = [End::default(), End::default()];
    let mut world = World { pair: Pair::new(ends[0].clone()), ends, is_joined: false, most };
    let mut script = Script(bytes);
    while let Some(step) = script.byte() {
        let of = usize::from(step >> 3 & 1);
        match step & 7 {
            0..=3 => world.ends[of].sends(script.bytes(usize::from(step >> 4))),
            4 => world.drain(of),
            5 => world.ends[of].0.borrow_mut().has_ended = true,
            6 => world.join(),
            _ if step >> 4 < 15 => {}
            _ => {
                world.ends[of].abort_connection();
                world.pair.lost(SIDES[of], false);
                world.check();
                return None;
            }
        }
        world.deliver();
    }
    world.join();
    loop {
        world.drain(0);
        world.drain(1);
        if !world.deliver() {
            break;
        }
    }
    world.check();
    Some(world.ends.map(|end| end.0.take().got))
}

struct World {
    pair: Pair<End>,
    ends: [End; 2],
    is_joined: bool,
    most: usize,
}

impl World {
    fn join(&mut self) {
        if !std::mem::replace(&mut self.is_joined, true) {
            self.pair.joined(self.ends[1].clone());
        }
    }

    /// Delivers what may be delivered; false where nothing may.
    fn deliver(&mut self) -> bool {
        let mut delivers = false;
        for of in [0, 1] {
            while let Some(piece) = self.ends[of].next(self.most, self.is_joined) {
                delivers = true;
                match &piece[..] {
                    [] => self.pair.ended(SIDES[of]),
                    piece => self.pair.received(SIDES[of], piece),
                }
            }
        }
        delivers
    }

    /// A side takes all that is queued for it.
    fn drain(&mut self, of: usize) {
        let queued = std::mem::take(&mut self.ends[of].0.borrow_mut().queued);
        if queued >= WINDOW {
            self.pair.drained(SIDES[of]);
        }
    }

    /// Each side got what the other one sent, and what of it waits is what it may wait for.
    fn check(&self) {
        let [one, two] = [&self.ends[0], &self.ends[1]].map(|end| end.0.borrow());
        for (from, to) in [(&one, &two), (&two, &one)] {
            assert!(from.sent.starts_with(&to.got), "it got what nobody sent");
            if !one.is_aborted && !two.is_aborted {
                assert_eq!(to.got, from.sent, "something is missing");
                assert_eq!(from.is_closed, one.has_ended && two.has_ended, "is it over?");
                assert!(from.is_closed || to.has_lost_write == from.has_ended, "an end is missing");
            }
        }
    }
}

/// A side, whose peer takes [`WINDOW`] bytes before it counts as slow.
#[derive(Clone, Default)]
struct End(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    sent: Vec<u8>,
    waiting: VecDeque<u8>,
    has_ended: bool,
    end_is_told: bool,
    is_paused: bool,
    got: Vec<u8>,
    queued: usize,
    has_lost_write: bool,
    is_closed: bool,
    is_aborted: bool,
}

impl End {
    fn sends(&self, data: &[u8]) {
        let mut state = self.0.borrow_mut();
        if !state.has_ended {
            state.sent.extend(data);
            state.waiting.extend(data);
        }
    }

    /// What is delivered next, if something is; nothing in it is the end.
    fn next(&self, most: usize, is_joined: bool) -> Option<Vec<u8>> {
        let mut state = self.0.borrow_mut();
        if state.is_paused || state.is_closed || state.is_aborted || !is_joined {
            return None;
        }
        let length = state.waiting.len().min(most);
        let is_end = length == 0 && state.has_ended && !state.end_is_told;
        state.end_is_told |= is_end;
        (length > 0 || is_end).then(|| state.waiting.drain(..length).collect())
    }
}

impl Peer for End {
    fn write(&self, data: &[u8]) {
        let mut state = self.0.borrow_mut();
        assert!(!state.has_lost_write && !state.is_closed, "it writes behind the end");
        state.got.extend(data);
        state.queued += data.len();
    }

    fn room(&self) -> u64 {
        WINDOW.saturating_sub(self.0.borrow().queued) as u64
    }

    fn pause_producing(&self) {
        self.0.borrow_mut().is_paused = true;
    }

    fn resume_producing(&self) {
        self.0.borrow_mut().is_paused = false;
    }

    fn lose_write_connection(&self) {
        self.0.borrow_mut().has_lost_write = true;
    }

    fn lose_connection(&self) {
        self.0.borrow_mut().is_closed = true;
    }

    fn abort_connection(&self) {
        self.0.borrow_mut().is_aborted = true;
    }
}

const SIDES: [Side; 2] = [Side::Accepted, Side::Dialled];

const WINDOW: usize = 8;
