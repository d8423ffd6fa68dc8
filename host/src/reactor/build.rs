//! The beginning of a connection: from a socket to its protocol.

use std::sync::Arc;

use super::conn::{Conn, ConnId, address};
use super::handshake::{Securing, session};
use super::life::Life;
use super::seen::Seen;
use super::service::{Accepted, peer_ip};
use super::{Answer, Reactor};
use crate::arena::Id;
use crate::net::{Address, Net};
use crate::plugin::{ConnFacts, Origin};
use crate::pool::Pool;
use crate::transport::stream::{End, Stream};
use crate::transport::tls::{ServerConfig, Tls};

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// Begins to serve a connection.
    pub(super) fn connect(&mut self, accepted: Accepted<N::Stream>) {
        let Accepted { stream, peer, service, endpoint } = accepted;
        let tls = &self.services[service].settings.tls;
        let tls = tls.endpoints.get(endpoint as usize).cloned().flatten();
        self.take_in(stream, peer, service, Origin::Accepted(endpoint), None, tls);
    }

    /// Begins to serve a connection that a peer made: for the life whose listener it came to, or for
    /// the one that the service has for it. Where it is encrypted, that is asked for once the
    /// handshake is over.
    pub(super) fn take_in(
        &mut self,
        mut socket: N::Stream,
        peer: Address,
        service: usize,
        origin: Origin,
        life: Option<Id<Life>>,
        tls: Option<Arc<ServerConfig>>,
    ) {
        let settings = &self.services[service].settings;
        if !settings.census.enter(peer_ip(&peer)) {
            let (name, full) = (&*settings.name, settings.census.is_full());
            let key = if full { "connections" } else { "connections-per-peer" };
            tracing::warn!(service = name, %peer, "limits.{key} is reached");
            return self.net.close(socket);
        }
        let id = self.conns.reserve();
        if let Err(e) = self.net.watch(&mut socket, id.to_u64()) {
            let name = &*settings.name;
            tracing::error!(service = name, %peer, "can't watch a connection: {e}");
            return self.refuse(id, socket, &peer, service);
        }
        let tls = match tls.map(Tls::server).transpose() {
            Ok(tls) => tls,
            Err(e) => {
                let name = &*settings.name;
                tracing::error!(service = name, %peer, "can't begin TLS: {e}");
                return self.refuse(id, socket, &peer, service);
            }
        };
        let life = match tls {
            Some(_) => life,
            None => life.or_else(|| self.life_for_conn(service)),
        };
        if life.is_none() && tls.is_none() {
            return self.refuse(id, socket, &peer, service);
        }
        self.open_conn(id, socket, peer, service, origin);
        if let Some(life) = life {
            self.join(id, life);
        }
        match tls {
            Some(tls) => self.begin_handshake(id, tls, Securing::Accepted),
            None => self.build_if_started(id),
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
    ) {
        let conn = Conn {
            stream: Stream::new(socket),
            life: None,
            place: 0,
            protocol: None,
            held: None,
            paused: false,
            room: self.services[service].settings.unsent_high,
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
            unbuilt: true,
            peer,
        };
        self.conns.fill(id, conn);
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

    /// Builds the protocol of a connection, unless its life has to start first.
    pub(super) fn build_if_started(&mut self, id: ConnId<N::Stream>) {
        let life = self.conns.get(id).and_then(|conn| conn.life);
        if life.and_then(|life| self.lives.get(life)).is_some_and(|life| life.starting.is_none()) {
            self.build(id);
        }
    }

    fn refuse(&mut self, id: ConnId<N::Stream>, stream: N::Stream, peer: &Address, service: usize) {
        self.conns.release(id);
        self.services[service].settings.census.leave(peer_ip(peer));
        self.net.reset(stream);
    }

    /// Asks the plugin for the protocol of a connection, once.
    pub(super) fn build(&mut self, id: ConnId<N::Stream>) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.securing.is_some() || !std::mem::take(&mut conn.unbuilt) {
            return;
        }
        let Some(life_id) = conn.life else { return };
        let Some(life) = self.lives.get_mut(life_id) else { return };
        let local = match self.net.local_address(conn.stream.io()) {
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
