//! The beginning of a connection: from a socket to its protocol.

use std::net::IpAddr;
use std::sync::Arc;

use super::conn::{Conn, ConnId, address};
use super::handshake::{Securing, session};
use super::life::Life;
use super::seen::Seen;
use super::service::Accepted;
use super::share::Aside;
use super::{Answer, Reactor};
use crate::arena::Id;
use crate::net::{Address, Net};
use crate::plugin::{ConnFacts, Origin};
use crate::pool::Pool;
use crate::transport::stream::{End, Stream};
use crate::transport::tls::{ServerConfig, Tls};
use crate::walls::Claim;

/// A connection that a peer made, before it is served.
pub(super) struct Arrival<S> {
    pub(super) socket: S,
    pub(super) peer: Address,
    /// The room that it has taken.
    pub(super) claim: Claim,
}

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// Begins to serve a connection.
    pub(super) fn connect(&mut self, accepted: Accepted<N::Stream>) {
        let Accepted { stream, peer, service, endpoint, claim } = accepted;
        let origin = Origin::Accepted(endpoint);
        let tls = self.services[service].settings.tls_of(origin);
        let arrival = Arrival { socket: stream, peer, claim };
        self.work_for(service, |reactor| reactor.take_in(arrival, service, origin, None, tls));
    }

    /// Begins to serve a connection that a peer made: for the life whose listener it came to, or for
    /// the one that the service has for it. Where it is encrypted, that is asked for once the
    /// handshake is over.
    pub(super) fn take_in(
        &mut self,
        arrival: Arrival<N::Stream>,
        service: usize,
        origin: Origin,
        life: Option<Id<Life>>,
        tls: Option<Arc<ServerConfig>>,
    ) {
        let Arrival { mut socket, peer, claim } = arrival;
        let settings = &self.services[service].settings;
        let proxied = settings.is_proxied(origin);
        if proxied && !settings.trusts(&peer) {
            self.turn_away(service, &peer, "trusted-proxies");
            return self.net.close(socket);
        }
        if !settings.census.enter() {
            let full = settings.full;
            self.reached(service, full);
            self.figures(service).refuse(full);
            return self.net.close(socket);
        }
        // Whose connection it is a proxy has yet to say.
        let admitted = if proxied { None } else { self.admit(service, &peer) };
        if admitted.is_none() && !proxied {
            self.services[service].settings.census.leave(None, self.told);
            return self.net.close(socket);
        }
        let met = admitted.as_ref().and_then(|admitted| admitted.met);
        let id = self.conns.reserve();
        if let Err(e) = self.net.watch(&mut socket, id.to_u64()) {
            let name = &*self.services[service].settings.name;
            tracing::error!(service = name, %peer, "can't watch a connection: {e}");
            return self.refuse(id, socket, met, service);
        }
        self.open_conn(id, socket, peer, service, origin, claim);
        if let Some(admitted) = admitted {
            self.enforce(id, admitted);
        }
        if let Some(life) = life {
            self.join(id, life);
        }
        if proxied { self.await_header(id) } else { self.begin_with(id, tls) }
    }

    /// Goes on with a connection of an endpoint whose two ends are known.
    pub(super) fn begin(&mut self, id: ConnId<N::Stream>) {
        let Some(conn) = self.conns.get(id) else { return };
        let tls = self.services[conn.service].settings.tls_of(conn.origin);
        self.begin_with(id, tls);
    }

    fn begin_with(&mut self, id: ConnId<N::Stream>, tls: Option<Arc<ServerConfig>>) {
        match tls.map(Tls::server) {
            None => self.on_ready_to_build(id),
            Some(Ok(tls)) => self.begin_handshake(id, tls, Securing::Accepted),
            Some(Err(e)) => {
                if let Some(conn) = self.conns.get(id) {
                    let name = &*self.services[conn.service].settings.name;
                    tracing::error!(service = name, peer = %conn.peer, "can't begin TLS: {e}");
                }
                self.give_up_conn(id, "TLS could not begin");
            }
        }
    }

    /// Makes a connection of a socket.
    pub(super) fn open_conn(
        &mut self,
        id: ConnId<N::Stream>,
        socket: N::Stream,
        peer: Address,
        service: usize,
        origin: Origin,
        claim: Claim,
    ) {
        let conn = Conn {
            stream: Stream::new(socket),
            life: None,
            place: 0,
            protocol: None,
            held: None,
            paused: false,
            room: self.services[service].settings.unsent_high,
            sent: 0,
            owes_drained: false,
            is_again: false,
            is_touched: false,
            drain_watched: false,
            is_cold: false,
            securing: None,
            lingering: None,
            service,
            origin,
            counted: !matches!(origin, Origin::Dialled(_)),
            met: None,
            policy: None,
            unbuilt: true,
            peer,
            login: None,
            header: None,
            local: None,
            claim,
        };
        self.services[service].conns += 1;
        self.conns.fill(id, conn);
        self.count_opened(service, origin);
    }

    /// From now on a connection is one of the life's.
    pub(super) fn join(&mut self, id: ConnId<N::Stream>, life_id: Id<Life>) {
        if let Some(life) = self.lives.get_mut(life_id)
            && let Some(conn) = self.conns.get_mut(id)
        {
            conn.life = Some(life_id);
            conn.place = life.conns.len();
            life.conns.push(id.to_u64());
        }
    }

    /// A connection that a peer made may be built, and belong to a life, if it doesn't yet.
    pub(super) fn on_ready_to_build(&mut self, id: ConnId<N::Stream>) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let (origin, service) = (conn.origin, conn.service);
        if conn.life.is_none() && conn.stream.is_open() {
            if self.sets_aside(service, || Aside::Ready(id.to_u64())) {
                return;
            }
            let life = match origin {
                Origin::Accepted(_) => self.life_for_conn(service),
                // The instance that it was for is gone.
                Origin::Arrived(_) | Origin::Dialled(_) => None,
            };
            match life {
                Some(life) => self.join(id, life),
                None => return self.give_up_conn(id, "there is no instance for it"),
            }
        }
        let life = self.conns.get(id).and_then(|conn| conn.life);
        if life.and_then(|life| self.lives.get(life)).is_some_and(|life| life.starting.is_none()) {
            self.build(id);
        }
    }

    pub(super) fn give_up_conn(&mut self, id: ConnId<N::Stream>, why: &'static str) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.stream.end(End::Aborted(why));
            self.touch(id);
        }
    }

    fn refuse(
        &mut self,
        id: ConnId<N::Stream>,
        stream: N::Stream,
        met: Option<IpAddr>,
        service: usize,
    ) {
        self.conns.release(id);
        self.services[service].settings.census.leave(met, self.told);
        self.net.reset(stream);
    }

    /// Asks the plugin for the protocol of a connection, once.
    pub(super) fn build(&mut self, id: ConnId<N::Stream>) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let waits = conn.header.is_some() || conn.securing.is_some();
        if waits || !conn.unbuilt {
            return;
        }
        let service = conn.service;
        let Some(life_id) = conn.life else { return };
        // Who has dialled is told at once what came of it.
        let is_dialled = matches!(conn.origin, Origin::Dialled(_));
        if !is_dialled && self.sets_aside(service, || Aside::Build(id.to_u64())) {
            return;
        }
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.unbuilt = false;
        let Some(life) = self.lives.get_mut(life_id) else { return };
        let told = conn.local.take().map(|local| Ok(*local));
        let local = match told.unwrap_or_else(|| self.net.local_address(conn.stream.io())) {
            Ok(local) => local,
            Err(e) => {
                conn.stream.end(End::Lost(e));
                return self.touch(id);
            }
        };
        let facts = ConnFacts {
            conn: id.to_u64(),
            local: address(&local),
            peer: address(&conn.peer),
            room: self.services[conn.service].settings.unsent_high as u64,
            tls: conn.stream.agreed().map(|agreed| Arc::new(session(agreed))),
        };
        let secured = facts.tls.is_some();
        let (origin, peer) = (conn.origin, conn.peer.clone());
        let built = life.instance.build_protocol(facts, origin, &mut self.outbox);
        self.see(|| Seen::Built { conn: id.to_u64(), life: life_id.to_u64(), peer });
        let Some(protocol) = self.after(life_id, Some(id.to_u64()), built) else { return };
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.protocol = protocol;
        let may_read = conn.stream.may_read();
        match protocol {
            None => {
                conn.stream.lose();
                self.see(|| Seen::Refused { conn: id.to_u64() });
            }
            Some(protocol) if secured => self.tell_secured(id, life_id, protocol),
            Some(_) => {}
        }
        if may_read {
            self.queue_again(id);
        }
        self.touch(id);
    }
}
