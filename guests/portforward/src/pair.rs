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
