//! Connections: a stream joined to a protocol, from the handshake to the last byte.

use std::mem;
use std::net::IpAddr;

use crate::arena::Id;
use crate::capability;
use crate::figures::Count;
use crate::net::{Address, Net, Ready};
use crate::plugin::{Origin, Protocol};
use crate::pool::Pool;
use crate::transport::queue::Flushed;
use crate::transport::stream::{End, Read, Stream};
use crate::walls::Claim;

use super::handshake::Securing;
use super::life::{Hold, Life};
use super::login::Login;
use super::policies::Policy;
use super::seen::Seen;
use super::share::Aside;
use super::{Answer, Due, Reactor};

/// A connection. Its stream outlives its protocol: a plugin's fault must not destroy what was
/// queued, nor a close what was sent.
pub(super) struct Conn<S> {
    pub(super) stream: Stream<S>,
    /// `None` once the protocol is gone.
    pub(super) life: Option<Id<Life>>,
    /// Where it stands in the life's list.
    pub(super) place: Place,
    /// `None` before it is built, and once it is gone.
    pub(super) protocol: Option<Protocol>,
    /// The deferred that no data is delivered before.
    pub(super) held: Option<u64>,
    pub(super) paused: bool,
    /// What `room` tells the plugin: it shrinks with each write, sent or not, until it is told
    /// anew.
    pub(super) room: usize,
    /// How many bytes of what was sent are counted.
    pub(super) sent: u64,
    /// `room` was 0: the protocol is owed a `write-drained`.
    pub(super) owes_drained: bool,
    pub(super) is_again: bool,
    pub(super) is_touched: bool,
    /// A timer watches whether the peer takes what is queued.
    pub(super) drain_watched: bool,
    /// The pool reads what it is to send next.
    pub(super) is_cold: bool,
    /// Who waits for the end of its handshake, while one is under way.
    pub(super) securing: Option<Securing>,
    /// It is over for this side; so many bytes of the peer's may still be thrown away.
    pub(super) lingering: Option<usize>,
    pub(super) service: usize,
    pub(super) origin: Origin,
    /// It counts against the service's connections.
    pub(super) counted: bool,
    /// As whom it counts, where it counts as one of a peer's.
    pub(super) met: Option<IpAddr>,
    pub(super) policy: Option<Box<Policy>>,
    /// Its protocol is to be built once the life has started.
    pub(super) unbuilt: bool,
    pub(super) peer: Address,
    /// The exchange by which its peer proves who it is.
    pub(super) login: Option<Box<Login>>,
    /// What came of the header that a proxy begins with, while the protocol waits for it.
    pub(super) header: Option<Vec<u8>>,
    /// This side's address, where the proxy has said it.
    pub(super) local: Option<Box<Address>>,
    /// The room that it has taken.
    #[expect(dead_code, reason = "dropping it is what matters")]
    pub(super) claim: Claim,
}

impl<S> Conn<S> {
    /// How many bytes were sent since this was last asked.
    pub(super) fn newly_sent(&mut self) -> u64 {
        let sent = self.stream.sent();
        sent - mem::replace(&mut self.sent, sent)
    }

    pub(super) fn service(&self) -> usize {
        self.service
    }

    pub(super) fn peer(&self) -> &Address {
        &self.peer
    }
}

/// The name of a connection.
pub(super) type ConnId<S> = Id<Conn<S>>;

/// A place in a life's list of connections.
pub(super) type Place = usize;

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// Takes an edge of a connection.
    pub(super) fn on_edge(&mut self, id: ConnId<N::Stream>, edge: Ready) {
        let Some(conn) = self.conns.get_mut(id) else { return self.on_attempt(id, edge) };
        conn.stream.on_ready(&mut self.net, edge);
        if edge.writable && conn.stream.is_sending() || conn.stream.ended().is_some() {
            self.touch(id);
        }
        self.on_readable(id);
    }

    /// Delivers what there is to read, but no more than a turn's share.
    pub(super) fn on_readable(&mut self, id: ConnId<N::Stream>) {
        for _ in 0..CHUNKS_A_TURN {
            let Some(service) = self.conns.get(id).map(Conn::service) else { return };
            if !self.try_for(service, |reactor| reactor.read_chunk(id, service)) {
                return;
            }
        }
        self.queue_again(id);
    }

    /// Delivers a chunk of what there is to read, and says whether there may be more.
    fn read_chunk(&mut self, id: ConnId<N::Stream>, service: usize) -> bool {
        let waits = self.has_to_wait(service);
        let Some(conn) = self.conns.get_mut(id) else { return false };
        if conn.header.is_some() {
            self.read_header(id);
            return false;
        }
        let protocol = match (conn.life, conn.protocol) {
            _ if conn.lingering.is_some() || conn.stream.is_handshaking() => None,
            _ if conn.held.is_some() || conn.paused || !conn.stream.is_open() => return false,
            (Some(life), Some(protocol)) => Some((life, protocol)),
            (None, _) | (_, None) => return false,
        };
        if waits {
            self.read_aside(id, service);
            return false;
        }
        let Some((life_id, protocol)) = protocol else {
            return match conn.lingering {
                Some(_) => self.linger(id),
                None => self.on_handshake_readable(id),
            };
        };
        if conn.stream.unsent() >= self.services[service].settings.unsent_high {
            self.flush(id);
        }
        let Some(most) = self.may_read(id) else { return false };
        let Some(conn) = self.conns.get_mut(id) else { return false };
        let read = conn.stream.read(&mut self.net, &mut self.buffers, most);
        if conn.stream.has_records() {
            self.touch(id);
        }
        let Some(conn) = self.conns.get_mut(id) else { return false };
        match read {
            Read::Data(n) => {
                self.figures(service)[Count::BytesReceived] += n as u64;
                self.has_read(id, n);
                self.deliver(id, life_id, protocol, n);
                true
            }
            Read::End => {
                self.on_read_end(id, life_id, protocol);
                false
            }
            Read::Records => true,
            // A handshake is read above.
            Read::Nothing | Read::Secured => {
                if conn.stream.ended().is_some() {
                    self.touch(id);
                }
                false
            }
        }
    }

    /// What there is to read is delivered once its service's turn has come. A connection that is to
    /// go on anyway needs no second place.
    fn read_aside(&mut self, id: ConnId<N::Stream>, service: usize) {
        if let Some(conn) = self.conns.get_mut(id)
            && !mem::replace(&mut conn.is_again, true)
        {
            self.line_up(service, Aside::Read(id.to_u64()));
        }
    }

    /// The same for what a protocol is to hear.
    fn flush_aside(&mut self, id: ConnId<N::Stream>) -> bool {
        let Some(conn) = self.conns.get_mut(id) else { return false };
        let (service, hears) = (conn.service, conn.protocol.is_some());
        if !hears || !self.has_to_wait(service) {
            return false;
        }
        if let Some(conn) = self.conns.get_mut(id)
            && !mem::replace(&mut conn.is_touched, true)
        {
            self.line_up(service, Aside::Flush(id.to_u64()));
        }
        true
    }

    /// Delivers the first `n` bytes of the buffer.
    fn deliver(&mut self, id: ConnId<N::Stream>, life_id: Id<Life>, protocol: Protocol, n: usize) {
        let Some(life) = self.lives.get_mut(life_id) else { return };
        let data = &self.buffers.plain[..n];
        if let Some(seen) = &mut self.seen {
            seen.push(Seen::DataReceived { conn: id.to_u64(), data: data.to_vec() });
        }
        let handled = life.instance.data_received(protocol, data, &mut self.outbox);
        if let Some(deferred @ Some(_)) = self.after(life_id, Some(id.to_u64()), handled) {
            self.hold(life_id, deferred, Hold::Conn(id.to_u64()));
        }
    }

    /// The peer has ended its half, and all before that is delivered.
    fn on_read_end(&mut self, id: ConnId<N::Stream>, life_id: Id<Life>, protocol: Protocol) {
        let Some(life) = self.lives.get_mut(life_id) else { return };
        if self.services[life.service].settings.plugin.half_closes() {
            let told = life.instance.read_connection_lost(protocol, &mut self.outbox);
            self.see(|| Seen::ReadConnectionLost { conn: id.to_u64() });
            self.after(life_id, Some(id.to_u64()), told);
        } else if let Some(conn) = self.conns.get_mut(id) {
            life.instance.set_closing(protocol);
            conn.stream.lose();
        }
        self.touch(id);
    }

    /// Sends what the peer takes, and does what follows from that.
    pub(super) fn flush(&mut self, id: ConnId<N::Stream>) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.is_touched = false;
        if conn.lingering.is_some() {
            return;
        }
        let flushed = self.send(id);
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.stream.ended().is_some() {
            if self.flush_aside(id) {
                return;
            }
            return self.finish(id);
        }
        let (service, sent) = (conn.service, conn.stream.sent());
        let watch = flushed == Flushed::Blocked && !conn.drain_watched;
        conn.drain_watched |= watch;
        match flushed {
            Flushed::Again => self.queue_again(id),
            Flushed::Blocked if watch => {
                let at = self.net.now() + self.services[service].settings.drain;
                self.add_timer(at, Due::Drain(id.to_u64(), sent));
            }
            Flushed::Cold => self.read_cold(id),
            Flushed::Blocked | Flushed::Empty | Flushed::Spent | Flushed::Waits => {}
        }
        self.tell_room(id);
    }

    /// Tells the plugin how much may be queued, and that it may go on where it had to wait.
    fn tell_room(&mut self, id: ConnId<N::Stream>) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let (Some(life_id), Some(protocol)) = (conn.life, conn.protocol) else { return };
        let Some(life) = self.lives.get_mut(life_id) else { return };
        let settings = &self.services[conn.service].settings;
        let unsent = conn.stream.unsent();
        conn.room = settings.unsent_high.saturating_sub(unsent);
        life.instance.set_room(protocol, conn.room as u64);
        if conn.owes_drained && unsent <= settings.unsent_low && conn.stream.is_open() {
            if self.flush_aside(id) {
                return;
            }
            let Some(conn) = self.conns.get_mut(id) else { return };
            let Some(life) = self.lives.get_mut(life_id) else { return };
            conn.owes_drained = false;
            let drained = life.instance.write_drained(protocol, &mut self.outbox);
            self.see(|| Seen::WriteDrained { conn: id.to_u64() });
            self.after(life_id, Some(id.to_u64()), drained);
        }
    }

    /// A peer had time to take something of what was queued.
    pub(super) fn on_drain_due(&mut self, id: ConnId<N::Stream>, before: u64) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let sent = conn.stream.sent();
        // What waits for its rate is not the peer's fault.
        if !conn.stream.is_sending() || conn.policy.as_ref().is_some_and(|p| p.writes.waits) {
            conn.drain_watched = false;
        } else if sent == before {
            let service = conn.service;
            conn.stream.end(End::TimedOut);
            self.reached(service, "drain");
            self.touch(id);
        } else {
            let at = self.net.now() + self.services[conn.service].settings.drain;
            self.add_timer(at, Due::Drain(id.to_u64(), sent));
        }
    }

    /// The stream has ended: the protocol hears of it, and the socket is closed when that can't
    /// destroy what was sent.
    fn finish(&mut self, id: ConnId<N::Stream>) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Some(end) = conn.stream.ended() else { return };
        let (code, message) = reason(end);
        // What tells the peer that it broke TLS must arrive, too.
        let in_order = matches!(end, End::Done | End::Tls(_));
        conn.held = None;
        self.end_header(id);
        self.end_handshake(id, code, &message);
        let Some(conn) = self.conns.get_mut(id) else { return };
        if let (Some(life_id), Some(protocol)) = (conn.life, conn.protocol.take())
            && let Some(life) = self.lives.get_mut(life_id)
        {
            let told = life.instance.connection_lost(protocol, code, &message, &mut self.outbox);
            self.see(|| Seen::ConnectionLost { conn: id.to_u64(), code });
            self.after(life_id, Some(id.to_u64()), told);
        }
        let Some(conn) = self.conns.get_mut(id) else { return };
        let (life, place, origin) = (conn.life.take(), conn.place, conn.origin);
        if let Some(life) = life.and_then(|life| self.lives.get_mut(life))
            && life.goes_on_without_one()
            && matches!(origin, Origin::Accepted(_))
            && mem::take(&mut conn.counted)
        {
            life.counted.push(conn.met);
        }
        if in_order && conn.stream.must_linger(&mut self.net) {
            conn.lingering = Some(LINGER_BYTES);
            let at = self.net.now() + self.services[conn.service].settings.linger;
            self.add_timer(at, Due::Linger(id.to_u64()));
            if self.linger(id) {
                self.queue_again(id);
            }
        } else {
            self.close(id);
        }
        if let Some(life) = life {
            self.leave_life(life, place, origin);
        }
    }

    /// Throws a chunk of what the peer still sends away, and says whether there may be more before
    /// its end.
    fn linger(&mut self, id: ConnId<N::Stream>) -> bool {
        let Some(most) = self.may_read(id) else { return false };
        let Some(conn) = self.conns.get_mut(id) else { return false };
        let left = conn.lingering.unwrap_or(0);
        match conn.stream.discard(&mut self.net, &mut self.buffers.plain[..most]) {
            Some(0) => false,
            Some(n) if n < left => {
                conn.lingering = Some(left - n);
                self.has_read(id, n);
                true
            }
            Some(_) | None => {
                self.close(id);
                false
            }
        }
    }

    /// Closes the socket.
    pub(super) fn close(&mut self, id: ConnId<N::Stream>) {
        let Some(mut conn) = self.conns.remove(id) else { return };
        self.count_closed(conn.service, conn.origin, conn.newly_sent());
        let service = &mut self.services[conn.service];
        service.conns -= 1;
        if conn.counted {
            service.settings.census.leave(conn.met, self.told);
        }
        let reset = match conn.stream.ended() {
            Some(End::Aborted(_) | End::TimedOut | End::Unready) => true,
            // The peer must not take what it got for all there was.
            Some(End::Expired(_)) => conn.stream.is_sending(),
            _ => false,
        };
        let io = conn.stream.into_io(&mut self.spares);
        if reset { self.net.reset(io) } else { self.net.close(io) }
    }

    /// The host, or the service, stops: a connection's time is over.
    pub(super) fn stop_conn(&mut self, id: ConnId<N::Stream>) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.lingering.is_some() {
            return self.close(id);
        }
        conn.stream.end(End::Stopped);
        self.touch(id);
    }

    /// The plugin is gone: what is queued is sent, then the connection is closed.
    pub(super) fn orphan(&mut self, id: ConnId<N::Stream>) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        (conn.life, conn.protocol, conn.held) = (None, None, None);
        // It may stand in its service's line, which nothing of it has to wait for any more.
        conn.is_touched = false;
        conn.stream.lose();
        let at = self.told + self.services[conn.service].settings.fault_drain;
        self.add_timer(at, Due::Orphan(id.to_u64()));
        self.touch(id);
    }

    /// A connection whose plugin has failed had time to send what was queued.
    pub(super) fn on_orphan_due(&mut self, id: ConnId<N::Stream>) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.lingering.is_none() && conn.stream.ended().is_none() {
            let service = conn.service;
            conn.stream.end(End::Aborted("limits.fault-drain: the plugin failed"));
            self.reached(service, "fault-drain");
            self.touch(id);
        }
    }

    /// The same, with no time for its plugin any more: it is closed, and nobody hears it.
    pub(super) fn drop_conn(&mut self, id: ConnId<N::Stream>) {
        let life = self.conns.get(id).and_then(|conn| conn.life);
        if let Some(life) = life {
            self.end_life(life);
        }
        if let Some(conn) = self.conns.get_mut(id) {
            (conn.life, conn.protocol) = (None, None);
        }
        self.stop_conn(id);
    }

    /// Holds a connection's data back until `deferred` has fired, or lets it go.
    pub(super) fn hold_conn(&mut self, conn: u64, deferred: Option<u64>) {
        let id = Id::from_u64(conn);
        let Some(found) = self.conns.get_mut(id) else { return };
        found.held = deferred;
        let may_read = found.stream.may_read();
        self.see(|| match deferred {
            Some(id) => Seen::Held { conn, id },
            None => Seen::Released { conn },
        });
        // No edge will come for what is there already.
        if deferred.is_none() && may_read {
            self.queue_again(id);
        }
    }

    /// The connection's transport changed: it is flushed at the end of the turn.
    pub(super) fn touch(&mut self, id: ConnId<N::Stream>) {
        if let Some(conn) = self.conns.get_mut(id)
            && !mem::replace(&mut conn.is_touched, true)
        {
            self.touched.push_back(id);
        }
    }

    /// The connection has more to do: in the next turn.
    pub(super) fn queue_again(&mut self, id: ConnId<N::Stream>) {
        if let Some(conn) = self.conns.get_mut(id)
            && !mem::replace(&mut conn.is_again, true)
        {
            self.again.push_back(id);
        }
    }

    /// The peer of a connection, for the log.
    pub(super) fn peer(&self, conn: u64) -> Option<String> {
        Some(self.conns.get(Id::from_u64(conn))?.peer.to_string())
    }
}

pub(super) fn address(address: &Address) -> capability::Address {
    match address {
        Address::Stdio => capability::Address::Stdio,
        Address::Tcp(address) => capability::Address::Tcp(address.ip(), address.port()),
        Address::Udp(address) => capability::Address::Udp(address.ip(), address.port()),
        Address::Unix(name) => capability::Address::Unix(name.clone()),
    }
}

/// The contract's code for an end, and words for a person.
fn reason(end: &End) -> (&'static str, String) {
    match end {
        End::Aborted(why) => ("aborted", (*why).to_owned()),
        End::Done => ("done", "the connection was closed in order".to_owned()),
        End::Expired(why) => ("timed-out", (*why).to_owned()),
        End::Lost(e) => ("lost", format!("the connection was lost: {e}")),
        End::Stopped => ("stopped", "the host, or the service, stopped".to_owned()),
        End::TimedOut => ("timed-out", "the peer took nothing for too long".to_owned()),
        End::Tls(why) => ("tls", why.clone()),
        End::Truncated => {
            ("truncated", "the peer left without ending TLS: what it sent may be cut".to_owned())
        }
        End::Unready => {
            ("timed-out", "limits.handshake: the connection was not ready in time".to_owned())
        }
    }
}

/// How many chunks one connection may hand over before others get their turn.
const CHUNKS_A_TURN: usize = 16;

/// How much of what a peer sends after the end is thrown away before it is cut off, in bytes.
const LINGER_BYTES: usize = 16 << 20;
