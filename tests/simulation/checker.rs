//! The promises of the reactor, held against what happened.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result, bail, ensure};
use torsade::net::Address;
use torsade::net::sim::SimNet;
use torsade::reactor::{Counts, Seen};

use super::outgoing::Outgoing;
use super::peer::Peer;
use super::site::{Kind, file};

/// What is known of all connections and deferreds, from what a reactor was seen to do.
#[derive(Default)]
pub(crate) struct Checker {
    conns: HashMap<u64, Conn>,
    deferreds: HashMap<u64, Deferred>,
    trapped: HashSet<u64>,
    ended: HashSet<u64>,
    outgoing: Outgoing,
}

/// A connection for which a plugin was asked.
#[derive(Default)]
pub(crate) struct Conn {
    peer: usize,
    life: u64,
    /// What the peer is to get.
    pub(crate) promised: Vec<u8>,
    /// How many of the peer's bytes the plugin got.
    pub(crate) delivered: usize,
    paused: bool,
    held: bool,
    /// Nothing that is written from now on is sent.
    write_ended: bool,
    /// The plugin closed it, or refused it.
    pub(crate) closing: bool,
    refused: bool,
    aborted: bool,
    read_ended: bool,
    /// The plugin heard that it is lost, for this reason.
    pub(crate) lost: Option<&'static str>,
}

struct Deferred {
    life: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Cancelled,
    Fired,
    Forgotten,
    Pending,
}

impl Checker {
    /// Takes the next thing that happened.
    pub(crate) fn see(&mut self, seen: &Seen, peers: &mut [Peer]) -> Result<()> {
        match seen {
            Seen::Built { .. } => self.built(seen, peers),
            Seen::DataReceived { conn, data } => self.data_received(*conn, data, peers),
            Seen::ReadConnectionLost { conn } => self.read_connection_lost(*conn, peers),
            Seen::WriteDrained { conn } => self.event(*conn).map(drop),
            Seen::ConnectionLost { conn, code } => {
                let conn = self.alive(*conn)?;
                ensure!(!conn.refused, "a connection without a protocol is lost");
                conn.lost = Some(code);
                Ok(())
            }
            Seen::LifeEnded { life } => {
                ensure!(self.ended.insert(*life), "a life ends twice");
                self.outgoing.life_ended(*life);
                Ok(())
            }
            Seen::Dialled { life, id, conn } => {
                let state = self.deferreds.get(id).map(|deferred| deferred.state);
                ensure!(state == Some(State::Pending), "{id} is {state:?}, and a connection");
                self.outgoing.dialled(*life, *id, *conn)
            }
            Seen::Dials { life, id } => self.outgoing.dials(*life, *id),
            Seen::Listening { life, listener, address, .. } => {
                self.outgoing.listening(*life, *listener, address);
                Ok(())
            }
            Seen::StoppedListening { listener } => {
                self.outgoing.stopped_listening(*listener);
                Ok(())
            }
            Seen::Trapped { life } => {
                ensure!(self.trapped.insert(*life), "a life ends twice");
                Ok(())
            }
            Seen::Asked { .. }
            | Seen::Cancelled { .. }
            | Seen::Fired { .. }
            | Seen::Forgotten { .. } => {
                self.deferred(seen)?;
                let is_built = |conn| self.conns.get(&conn).is_some_and(|conn| !conn.refused);
                self.outgoing.answered(seen, is_built)
            }
            effect => self.effect(effect, peers),
        }
    }

    /// The connection of a peer, if a plugin was asked for one.
    pub(crate) fn conn_of(&self, peer: &Peer) -> Option<&Conn> {
        self.conns.get(&peer.conn?)
    }

    /// How many bytes plugins got.
    pub(crate) fn delivered(&self) -> u64 {
        self.conns.values().map(|conn| conn.delivered as u64).sum()
    }

    /// How many lives ended by a fault.
    pub(crate) fn trapped(&self) -> u64 {
        self.trapped.len() as u64
    }

    /// Where plugins listen.
    pub(crate) fn listening(&self) -> Vec<Address> {
        self.outgoing.listening_at()
    }

    /// Holds the limits of what lives have, once a turn is over: no life has dialled more than
    /// `most` connections, and what nobody wants is closed.
    pub(crate) fn within_limits(&self, counts: &Counts, most: usize) -> Result<()> {
        let open = |conn| {
            let conn = self.conns.get(&conn);
            conn.is_some_and(|conn| self.is_alive(conn) && !conn.aborted)
        };
        self.outgoing.within(counts, most, open)
    }

    /// What was asked for was reported or forgotten, or its life is over.
    pub(crate) fn all_are_answered(&self) -> Result<()> {
        for (id, deferred) in &self.deferreds {
            let done = matches!(deferred.state, State::Fired | State::Forgotten);
            let over = self.ended.contains(&deferred.life);
            ensure!(done || over, "deferred {id} is {:?}, and was never reported", deferred.state);
        }
        Ok(())
    }

    /// Whether a plugin can still hear of the connection.
    pub(crate) fn is_alive(&self, conn: &Conn) -> bool {
        conn.lost.is_none() && !conn.refused && !self.trapped.contains(&conn.life)
    }

    /// Judges what became of a connection, once all is over. `abandoned` says that the host closed
    /// what was open then.
    pub(crate) fn verdict(&self, peer: &Peer, net: &SimNet, abandoned: bool) -> Result<()> {
        let Some(conn) = self.conn_of(peer) else {
            ensure!(peer.got.is_empty(), "it got {} bytes of nobody", peer.got.len());
            let refused = peer.has_reset || net.far_saw_end(peer.far);
            let excused = peer.is_rude || peer.is_dialled || abandoned;
            ensure!(refused || excused, "it was neither served nor refused");
            return peer.may_be_refused();
        };
        let orphan = conn.refused || self.trapped.contains(&conn.life);
        match conn.lost {
            Some("done") => ensure!(conn.closing, "it is done, and nobody closed it"),
            Some("aborted") => {
                ensure!(conn.aborted, "it is aborted, and nobody aborted it");
                let is_good = matches!(peer.kind, Kind::Echo | Kind::Http);
                ensure!(!is_good, "a good plugin's connection was aborted");
                ensure!(peer.is_rude || peer.has_reset, "the peer saw no reset");
                return Ok(());
            }
            Some("lost") => return ensure_or(peer.is_rude, "it was lost, and the peer was there"),
            Some("timed-out") => return ensure_or(peer.is_stuck, "the peer was not that slow"),
            Some("stopped") => return ensure_or(abandoned, "it was stopped by nobody"),
            Some(code) => bail!("it was lost for an unknown reason: {code}"),
            None => ensure!(orphan, "its plugin never heard that it is lost"),
        }
        if peer.is_rude || peer.is_stuck || abandoned || conn.aborted {
            return Ok(());
        }
        let (got, promised) = (peer.got.len(), conn.promised.len());
        ensure!(got == promised, "the peer got {got} of {promised} bytes");
        ensure!(net.far_saw_end(peer.far), "the peer saw no end");
        if orphan { Ok(()) } else { peer.check_answers(true) }
    }

    fn built(&mut self, seen: &Seen, peers: &mut [Peer]) -> Result<()> {
        let Seen::Built { conn, life, peer: address } = seen else { return Ok(()) };
        let found = peers.iter().position(|peer| peer.address == *address);
        let peer = found.context("a connection is built for an unknown peer")?;
        ensure!(peers[peer].conn.replace(*conn).is_none(), "a connection is built twice");
        ensure!(!self.ended.contains(life), "a connection is built in a dead life");
        let is_dialled = self.outgoing.is_dialled(*conn);
        ensure!(peers[peer].is_dialled == is_dialled, "who has dialled whom?");
        let built = Conn { peer, life: *life, ..Conn::default() };
        ensure!(self.conns.insert(*conn, built).is_none(), "the number of a connection is reused");
        Ok(())
    }

    fn data_received(&mut self, conn: u64, data: &[u8], peers: &[Peer]) -> Result<()> {
        let conn = self.reading(conn)?;
        ensure!(!conn.read_ended, "data after the end");
        ensure!(!data.is_empty(), "no data");
        let end = conn.delivered + data.len();
        let sent = peers[conn.peer].sent.get(conn.delivered..end);
        ensure!(sent == Some(data), "data that the peer did not send at {}", conn.delivered);
        conn.delivered = end;
        Ok(())
    }

    fn read_connection_lost(&mut self, conn: u64, peers: &[Peer]) -> Result<()> {
        let conn = self.reading(conn)?;
        let peer = &peers[conn.peer];
        ensure!(!std::mem::replace(&mut conn.read_ended, true), "a second end");
        ensure!(peer.has_ended || peer.is_rude, "an end that the peer did not make");
        let all = conn.delivered == peer.sent.len();
        ensure!(all || peer.is_rude, "the end came before the data");
        Ok(())
    }

    /// A connection that hears of data now.
    fn reading(&mut self, conn: u64) -> Result<&mut Conn> {
        let conn = self.event(conn)?;
        ensure!(!conn.paused, "the connection is paused");
        ensure!(!conn.held, "the connection is held");
        Ok(conn)
    }

    /// A connection that hears of anything but its end now.
    fn event(&mut self, conn: u64) -> Result<&mut Conn> {
        let conn = self.alive(conn)?;
        ensure!(!conn.closing, "the connection is closing");
        Ok(conn)
    }

    fn alive(&mut self, conn: u64) -> Result<&mut Conn> {
        let conn = self.conns.get_mut(&conn).context("an event of an unknown connection")?;
        ensure!(conn.lost.is_none(), "an event after connection-lost");
        ensure!(!self.trapped.contains(&conn.life), "an event of a dead life");
        Ok(conn)
    }

    fn effect(&mut self, seen: &Seen, peers: &[Peer]) -> Result<()> {
        let conn = match seen {
            Seen::Aborted { conn }
            | Seen::Held { conn, .. }
            | Seen::Lost { conn }
            | Seen::LostWrite { conn }
            | Seen::Paused { conn }
            | Seen::Refused { conn }
            | Seen::Released { conn }
            | Seen::Resumed { conn }
            | Seen::SentFile { conn, .. }
            | Seen::Wrote { conn, .. } => conn,
            other => bail!("the simulation does not know {other:?}"),
        };
        let conn = self.conns.get_mut(conn).context("an effect on an unknown connection")?;
        if conn.lost.is_some() {
            // The plugin may ask, and nothing comes of it.
            return Ok(());
        }
        let sends = !conn.write_ended && !conn.closing;
        match seen {
            Seen::Aborted { .. } => (conn.aborted, conn.closing) = (true, true),
            Seen::Held { .. } => conn.held = true,
            Seen::Lost { .. } => conn.closing = true,
            Seen::LostWrite { .. } => conn.write_ended = true,
            Seen::Paused { .. } => conn.paused = true,
            Seen::Refused { .. } => (conn.refused, conn.closing) = (true, true),
            Seen::Released { .. } => conn.held = false,
            Seen::Resumed { .. } => conn.paused = false,
            Seen::SentFile { size, offset, length, .. } if sends => {
                let range = *offset as usize..(*offset + *length) as usize;
                conn.promised.extend(&file(*size as usize)[range]);
            }
            Seen::Wrote { data, .. } if sends => {
                let tells = matches!(peers[conn.peer].kind, Kind::Asker | Kind::Unruly);
                let told = tells && data.contains(&b'!');
                ensure!(!told, "the plugin saw what must not come to pass");
                conn.promised.extend(data);
            }
            _ => {}
        }
        Ok(())
    }

    fn deferred(&mut self, seen: &Seen) -> Result<()> {
        let (Seen::Asked { life, id }
        | Seen::Cancelled { life, id }
        | Seen::Fired { life, id, .. }
        | Seen::Forgotten { life, id }) = seen
        else {
            return Ok(());
        };
        ensure!(!self.ended.contains(life), "a deferred of a dead life");
        if matches!(seen, Seen::Asked { .. }) {
            let deferred = Deferred { life: *life, state: State::Pending };
            ensure!(self.deferreds.insert(*id, deferred).is_none(), "deferred {id} is reused");
            return Ok(());
        }
        let deferred = self.deferreds.get_mut(id).context("nobody asked for this deferred")?;
        ensure!(deferred.life == *life, "deferred {id} belongs to another life");
        let before = deferred.state;
        let waits = matches!(before, State::Cancelled | State::Pending);
        ensure!(waits, "deferred {id} is {before:?} and then {seen:?}");
        deferred.state = match seen {
            Seen::Cancelled { .. } => State::Cancelled,
            Seen::Forgotten { .. } => State::Forgotten,
            Seen::Fired { failure, .. } => {
                let cancelled = failure.as_deref() == Some("cancelled");
                ensure!(cancelled == (before == State::Cancelled), "{id} was {before:?}: {seen:?}");
                State::Fired
            }
            _ => before,
        };
        Ok(())
    }
}

fn ensure_or(well: bool, complaint: &'static str) -> Result<()> {
    ensure!(well, complaint);
    Ok(())
}
