//! What an observer can learn of a reactor: for tests that check its promises.

use std::borrow::Cow;

use super::{Answer, Reactor};
use crate::net::{Address, Net};
use crate::pool::Pool;

/// Something that happened. Connections and lives are named by the reactor's numbers, deferreds
/// by their own.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "events and effects are the contract's, which says what they are")]
pub enum Seen {
    /// By the plugin, or because too much was queued.
    Aborted {
        conn: u64,
    },
    Asked {
        life: u64,
        id: u64,
    },
    Built {
        conn: u64,
        life: u64,
        peer: Address,
    },
    Cancelled {
        life: u64,
        id: u64,
    },
    ConnectionLost {
        conn: u64,
        code: &'static str,
    },
    /// A datagram didn't get to the peer.
    ConnectionRefused {
        socket: u64,
        peer: Address,
    },
    /// Each with who has sent it.
    DatagramsReceived {
        socket: u64,
        datagrams: Vec<(Address, Vec<u8>)>,
    },
    /// Each with whom it is for; the network may have lost them.
    DatagramsSent {
        socket: u64,
        datagrams: Vec<(Address, Vec<u8>)>,
    },
    DataReceived {
        conn: u64,
        data: Vec<u8>,
    },
    /// A connection that a life asked for is made; its protocol is built next.
    Dialled {
        life: u64,
        id: u64,
        conn: u64,
    },
    /// What was asked for counts as one of the life's outgoing connections from now on, until it
    /// comes to nothing, or the connection is lost.
    Dials {
        life: u64,
        id: u64,
    },
    /// With the code of the failure, where it was one.
    Fired {
        life: u64,
        id: u64,
        failure: Option<Cow<'static, str>>,
    },
    Forgotten {
        life: u64,
        id: u64,
    },
    Held {
        conn: u64,
        id: u64,
    },
    /// Nothing that the life waited for is reported from now on.
    LifeEnded {
        life: u64,
    },
    /// For a life, until `StoppedListening` or the life's end.
    Listening {
        life: u64,
        id: u64,
        listener: u64,
        address: Address,
    },
    Lost {
        conn: u64,
    },
    LostWrite {
        conn: u64,
    },
    Paused {
        conn: u64,
    },
    ReadConnectionLost {
        conn: u64,
    },
    /// The plugin made no protocol for it.
    Refused {
        conn: u64,
    },
    Released {
        conn: u64,
    },
    Resumed {
        conn: u64,
    },
    /// Its handshake is over.
    Secured {
        conn: u64,
    },
    /// A part of a file of `size` bytes.
    SentFile {
        conn: u64,
        size: u64,
        offset: u64,
        length: u64,
    },
    /// A protocol was asked for.
    SocketBuilt {
        socket: u64,
        life: u64,
    },
    SocketClosed {
        socket: u64,
        code: &'static str,
    },
    StoppedListening {
        listener: u64,
    },
    /// The life ended by a fault; nothing of the event that failed happened.
    Trapped {
        life: u64,
    },
    WriteDrained {
        conn: u64,
    },
    Wrote {
        conn: u64,
        data: Vec<u8>,
    },
}

/// How much of everything a reactor holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Things that wait until other services have had their turn.
    pub aside: usize,
    /// Sockets that may become connections to be.
    pub attempts: usize,
    /// Connections, with those that wait for the peer's end.
    pub connections: usize,
    /// Deferreds that have not been reported.
    pub deferreds: usize,
    /// Connections to be.
    pub dials: usize,
    /// Handshakes that are under way.
    pub handshakes: usize,
    /// Connections that wait for a deferred.
    pub held: usize,
    /// Jobs that run or wait.
    pub jobs: usize,
    /// Instances.
    pub lives: usize,
    /// Open listeners.
    pub listeners: usize,
    /// Connections that instances have dialled, or are dialling, as `limits.outgoing` counts them.
    pub outgoing: usize,
    /// Things to go on with in the next turn.
    pub queued: usize,
    /// Datagrams that the system did not take.
    pub datagrams_dropped: u64,
    /// Services, with those that others have taken the place of.
    pub services: usize,
    /// Sockets for datagrams.
    pub sockets: usize,
    /// Pieces of work that the pool has.
    pub tickets: usize,
    /// Timers that somebody still wants, or that have not been swept out.
    pub timers: usize,
    /// Faults since the reactor was made.
    pub traps: u64,
    /// Connections that were closed at once, since the reactor was made: by what the service says of
    /// its peers.
    pub turned_away: u64,
}

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// Counts everything: O(n).
    pub fn counts(&self) -> Counts {
        let lives = || self.lives.ids().filter_map(|id| self.lives.get(id));
        let conns = self.conns.ids().filter_map(|id| self.conns.get(id));
        Counts {
            aside: self.aside,
            attempts: self.dials.attempts(),
            connections: self.conns.len(),
            deferreds: lives().map(|life| life.deferreds.len()).sum(),
            dials: self.dials.len(),
            handshakes: self.services.iter().map(|(_, service)| service.handshakes).sum(),
            held: conns.filter(|conn| conn.held.is_some()).count(),
            jobs: self.services.iter().map(|(_, service)| service.jobs).sum(),
            lives: self.lives.len(),
            listeners: self.listeners.len(),
            outgoing: lives().map(|life| life.outgoing).sum(),
            queued: self.again.len()
                + self.accept_again.len()
                + self.fired.len()
                + self.touched.len()
                + self.sockets.queued(),
            datagrams_dropped: self.sockets.dropped,
            services: self.services.len(),
            sockets: self.sockets.all.len(),
            tickets: self.tickets.len(),
            timers: self.timers.len(),
            traps: self.traps,
            turned_away: self.turned_away,
        }
    }
}
