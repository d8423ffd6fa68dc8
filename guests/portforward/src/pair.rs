//! A connection that was accepted, and the one that was dialled for it.
//!
//! Nothing is kept here: bytes that arrive on one side are written to the other at once, and a
//! side that has no room stops the other one. The accepted side waits until there is another.

/// Which of the two connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// The one that a peer opened.
    Accepted,
    /// The one that was opened for it.
    Dialled,
}

impl Side {
    /// The one opposite.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Side::Accepted => Side::Dialled,
            Side::Dialled => Side::Accepted,
        }
    }
}

/// What a pair does with a connection: a part of the host's transport, whose words these are.
pub trait Peer {
    /// Queues bytes.
    fn write(&self, data: &[u8]);
    /// How many bytes may be queued before the peer counts as slow.
    fn room(&self) -> u64;
    /// Takes no more from the peer.
    fn pause_producing(&self);
    /// Takes data from the peer again.
    fn resume_producing(&self);
    /// Ends this side's half of the stream behind what is queued.
    fn lose_write_connection(&self);
    /// Closes the connection behind what is queued.
    fn lose_connection(&self);
    /// Closes the connection now.
    fn abort_connection(&self);
}

/// Two connections, each of which gets what the other one sends.
///
/// Its states: `waiting` (only one side is there) → `joined` → `over`. While it is joined each
/// half of the stream ends by itself; it is over in order once both have, or at once when a side
/// is lost otherwise.
#[derive(Debug)]
pub struct Pair<P> {
    accepted: End<P>,
    /// None while it is being dialled.
    dialled: Option<End<P>>,
    is_over: bool,
}

/// One of the two.
#[derive(Debug)]
struct End<P> {
    peer: P,
    /// At least so much room the peer has. Asking costs a call of the host, and only writes make
    /// the room smaller, so it is asked again when this is used up.
    room: u64,
    /// The peer has ended its half of the stream.
    has_ended: bool,
    /// The other side is paused until this one has room again.
    is_full: bool,
}

impl<P: Peer> Pair<P> {
    /// A pair that waits for its other side; the peer of this one is paused until then.
    pub fn new(accepted: P) -> Self {
        accepted.pause_producing();
        Pair { accepted: End::new(accepted), dialled: None, is_over: false }
    }

    /// The other side is there.
    pub fn joined(&mut self, dialled: P) {
        if self.is_over {
            return dialled.abort_connection();
        }
        if self.accepted.has_ended {
            dialled.lose_write_connection();
        }
        self.dialled = Some(End::new(dialled));
        self.accepted.peer.resume_producing();
    }

    /// There will be no other side.
    pub fn refused(&mut self) {
        self.is_over = true;
        self.accepted.peer.abort_connection();
    }

    /// Bytes arrived on a side.
    pub fn received(&mut self, from: Side, data: &[u8]) {
        let Some([from, to]) = self.both(from) else { return };
        to.peer.write(data);
        to.room = to.room.saturating_sub(data.len() as u64);
        if to.room == 0 {
            to.room = to.peer.room();
            if to.room == 0 && !to.is_full {
                to.is_full = true;
                from.peer.pause_producing();
            }
        }
    }

    /// The peer of a side takes bytes again.
    pub fn drained(&mut self, side: Side) {
        let Some([side, other]) = self.both(side) else { return };
        if std::mem::take(&mut side.is_full) {
            other.peer.resume_producing();
        }
    }

    /// The peer of a side has ended its half of the stream: so does this side of the other
    /// connection. When both have, all is said.
    pub fn ended(&mut self, side: Side) {
        let Some([side, other]) = self.both(side) else {
            self.accepted.has_ended = true;
            return;
        };
        side.has_ended = true;
        if other.has_ended {
            side.peer.lose_connection();
            other.peer.lose_connection();
        } else {
            other.peer.lose_write_connection();
        }
    }

    /// A side is closed: in order, which it is only after both have ended, or because it was lost,
    /// cut off or aborted; then the other one is aborted too.
    pub fn lost(&mut self, side: Side, in_order: bool) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let Some([_, other]) = self.both(side) else { return };
        if in_order {
            other.peer.lose_connection();
        } else {
            other.peer.abort_connection();
        }
    }

    /// This side and the other one, where both are there.
    fn both(&mut self, side: Side) -> Option<[&mut End<P>; 2]> {
        let (accepted, dialled) = (&mut self.accepted, self.dialled.as_mut()?);
        Some(match side {
            Side::Accepted => [accepted, dialled],
            Side::Dialled => [dialled, accepted],
        })
    }
}

impl<P> End<P> {
    fn new(peer: P) -> Self {
        End { peer, room: 0, has_ended: false, is_full: false }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::mem;
    use std::rc::Rc;

    use super::{Pair, Peer, Side};

    /// A side whose calls are written down, as `a.write(text)`.
    struct Fake {
        name: char,
        room: Rc<Cell<u64>>,
        calls: Rc<RefCell<Vec<String>>>,
    }

    impl Fake {
        fn called(&self, what: &str) {
            self.calls.borrow_mut().push(format!("{}.{what}", self.name));
        }
    }

    impl Peer for Fake {
        fn write(&self, data: &[u8]) {
            self.called(&format!("write({})", data.escape_ascii()));
            self.room.set(self.room.get().saturating_sub(data.len() as u64));
        }

        fn room(&self) -> u64 {
            self.called("room");
            self.room.get()
        }

        fn pause_producing(&self) {
            self.called("pause");
        }

        fn resume_producing(&self) {
            self.called("resume");
        }

        fn lose_write_connection(&self) {
            self.called("lose-write");
        }

        fn lose_connection(&self) {
            self.called("lose");
        }

        fn abort_connection(&self) {
            self.called("abort");
        }
    }

    /// A pair of fakes, `a` and `d`, with room for 10 bytes each.
    struct Test {
        pair: Pair<Fake>,
        room: Rc<Cell<u64>>,
        calls: Rc<RefCell<Vec<String>>>,
    }

    impl Test {
        fn waiting() -> Self {
            let (room, calls) = (Rc::new(Cell::new(10)), Rc::default());
            let accepted = Fake { name: 'a', room: Rc::clone(&room), calls: Rc::clone(&calls) };
            Test { pair: Pair::new(accepted), room, calls }
        }

        fn join(&mut self) {
            let (room, calls) = (Rc::clone(&self.room), Rc::clone(&self.calls));
            self.pair.joined(Fake { name: 'd', room, calls });
        }

        fn joined() -> Self {
            let mut test = Self::waiting();
            test.join();
            test.calls.borrow_mut().clear();
            test
        }

        /// What was called since the last time.
        fn calls(&self) -> String {
            mem::take(&mut *self.calls.borrow_mut()).join(" ")
        }
    }

    #[test]
    fn the_accepted_side_waits_for_the_other() {
        let mut test = Test::waiting();
        assert_eq!(test.calls(), "a.pause");
        test.join();
        assert_eq!(test.calls(), "a.resume");
    }

    #[test]
    fn a_pair_that_is_refused_is_aborted() {
        let mut test = Test::waiting();
        test.pair.refused();
        test.pair.lost(Side::Accepted, false);
        assert_eq!(test.calls(), "a.pause a.abort");
    }

    #[test]
    fn nobody_is_joined_to_one_who_has_gone() {
        let mut test = Test::waiting();
        test.pair.lost(Side::Accepted, false);
        test.join();
        assert_eq!(test.calls(), "a.pause d.abort");
    }

    #[test]
    fn bytes_go_to_the_other_side_once() {
        let mut test = Test::joined();
        test.room.set(1000);
        test.pair.received(Side::Accepted, b"there");
        assert_eq!(test.calls(), "d.write(there) d.room");
        test.pair.received(Side::Accepted, b"and again");
        test.pair.received(Side::Dialled, b"and back");
        assert_eq!(test.calls(), "d.write(and again) a.write(and back) a.room");
    }

    #[test]
    fn a_slow_side_pauses_the_other_once_and_resumes_it_once() {
        for (slow, from, to) in [(Side::Dialled, 'a', 'd'), (Side::Accepted, 'd', 'a')] {
            let mut test = Test::joined();
            test.pair.received(slow.other(), b"0123456789");
            test.pair.received(slow.other(), b"under way");
            let calls = format!(
                "{to}.write(0123456789) {to}.room {from}.pause {to}.write(under way) {to}.room"
            );
            assert_eq!(test.calls(), calls);
            test.pair.drained(slow.other());
            assert_eq!(test.calls(), "", "the other side was not waited for");
            test.pair.drained(slow);
            test.pair.drained(slow);
            assert_eq!(test.calls(), format!("{from}.resume"));
        }
    }

    #[test]
    fn each_half_ends_by_itself() {
        for (first, ends, last) in
            [(Side::Accepted, "d.lose-write", 'd'), (Side::Dialled, "a.lose-write", 'a')]
        {
            let mut test = Test::joined();
            test.room.set(1000);
            test.pair.ended(first);
            assert_eq!(test.calls(), ends);
            test.pair.received(first.other(), b"the rest");
            assert!(test.calls().contains("write(the rest)"));
            test.pair.ended(first.other());
            let other = if last == 'd' { 'a' } else { 'd' };
            assert_eq!(test.calls(), format!("{last}.lose {other}.lose"));
            test.pair.lost(first, true);
            assert_eq!(test.calls(), format!("{last}.lose"), "which it is doing already");
            test.pair.lost(first.other(), true);
            assert_eq!(test.calls(), "");
        }
    }

    #[test]
    fn an_end_that_came_early_is_carried_over() {
        let mut test = Test::waiting();
        test.pair.ended(Side::Accepted);
        test.join();
        assert_eq!(test.calls(), "a.pause d.lose-write a.resume");
        test.pair.ended(Side::Dialled);
        assert_eq!(test.calls(), "d.lose a.lose");
    }

    #[test]
    fn a_side_that_is_lost_aborts_the_other() {
        for (side, calls) in [(Side::Accepted, "d.abort"), (Side::Dialled, "a.abort")] {
            let mut test = Test::joined();
            test.pair.lost(side, false);
            test.pair.lost(side.other(), false);
            assert_eq!(test.calls(), calls);
        }
    }
}
