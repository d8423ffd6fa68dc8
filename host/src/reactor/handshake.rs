//! Handshakes of TLS: on connections that are encrypted from the first byte, and in mid-stream.

use std::sync::Arc;

use super::conn::ConnId;
use super::life::{Behind, Life, Waiter};
use super::seen::Seen;
use super::service::ServiceSettings;
use super::{Answer, Due, Reactor};
use crate::arena::Id;
use crate::capability::tls_session::{Certificate, Session};
use crate::capability::{Failure, Outcome};
use crate::net::Net;
use crate::plugin::{Origin, Protocol, Side};
use crate::pool::Pool;
use crate::transport::stream::{End, Read};
use crate::transport::tls::{self, Agreed, ServerConfig, Tls};

/// Who waits for the end of a handshake.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Securing {
    /// Nobody but the connection: a peer made it.
    Accepted,
    /// The deferred of `tls.start`.
    Asked(Waiter),
    /// The deferred of `connect`.
    Dialled(Waiter),
}

impl ServiceSettings {
    /// What connections that come so begin TLS with.
    pub(super) fn tls_of(&self, origin: Origin) -> Option<Arc<ServerConfig>> {
        let Origin::Accepted(endpoint) = origin else { return None };
        self.tls.endpoints.get(endpoint as usize).cloned().flatten()
    }
}

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// Whether the service may begin no further handshake on this worker.
    pub(super) fn handshakes_are_full(&self, service: usize) -> bool {
        let service = &self.services[service];
        service.handshakes >= service.settings.handshakes
    }

    /// Begins TLS on a connection, at once or behind what is queued.
    pub(super) fn begin_handshake(&mut self, id: ConnId<N::Stream>, tls: Tls, whose: Securing) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.stream.start_tls(tls);
        conn.securing = Some(whose);
        let service = &mut self.services[conn.service];
        service.handshakes += 1;
        let at = self.net.now() + service.settings.handshake;
        self.add_timer(at, Due::Handshake(id.to_u64()));
        self.touch(id);
        // No edge may come for what is there already.
        self.queue_again(id);
    }

    /// Reads what a peer sends in a handshake, and says whether there may be more.
    pub(super) fn on_handshake_readable(&mut self, id: ConnId<N::Stream>) -> bool {
        let Some(conn) = self.conns.get_mut(id) else { return false };
        let read = conn.stream.read(&mut self.net, &mut self.buffers, usize::MAX);
        self.touch(id);
        match read {
            Read::Secured => {
                self.on_secured(id);
                true
            }
            Read::Records => true,
            // Before its end a handshake brings no data.
            Read::Data(_) | Read::End | Read::Nothing => false,
        }
    }

    /// The handshake of a connection is over.
    fn on_secured(&mut self, id: ConnId<N::Stream>) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Some(whose) = conn.securing.take() else { return };
        self.services[conn.service].handshakes -= 1;
        self.see(|| Seen::Secured { conn: id.to_u64() });
        match whose {
            Securing::Accepted => self.on_ready_to_build(id),
            Securing::Dialled(waiter) => {
                set_behind(self.lives.get_mut(waiter.0), waiter.1, Behind::Answer);
                self.build(id);
                self.tell_dialled(id, waiter);
            }
            Securing::Asked(waiter) => self.on_start_done(id, waiter),
        }
    }

    /// The handshake that a plugin began in mid-stream is over.
    fn on_start_done(&mut self, id: ConnId<N::Stream>, waiter: Waiter) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let agreed = conn.stream.agreed().map(|agreed| Arc::new(session(agreed)));
        set_behind(self.lives.get_mut(waiter.0), waiter.1, Behind::Answer);
        if let (Some(life_id), Some(protocol)) = (conn.life, conn.protocol)
            && let Some(life) = self.lives.get_mut(life_id)
            && let Some(agreed) = agreed
        {
            life.instance.set_session(protocol, agreed);
            self.fire(waiter, Outcome::Secured);
            self.tell_secured(id, life_id, protocol);
        } else {
            // `build-protocol` began TLS and refused: what it wrote is sent, and nobody reads.
            let failure = Failure::new("closed", "the plugin refused the connection");
            self.fire(waiter, Outcome::Failed(failure));
        }
    }

    /// Tells a protocol that its handshake is over, if it wants to know.
    pub(super) fn tell_secured(
        &mut self,
        id: ConnId<N::Stream>,
        life_id: Id<Life>,
        protocol: Protocol,
    ) {
        let Some(life) = self.lives.get_mut(life_id) else { return };
        if self.services[life.service].settings.plugin.hears_of_handshakes() {
            let told = life.instance.handshake_completed(protocol, &mut self.outbox);
            self.after(life_id, Some(id.to_u64()), told);
        }
    }

    /// A connection has ended: so has its handshake, if one was under way.
    pub(super) fn end_handshake(
        &mut self,
        id: ConnId<N::Stream>,
        code: &'static str,
        message: &str,
    ) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Some(whose) = conn.securing.take() else { return };
        self.services[conn.service].handshakes -= 1;
        let name = &*self.services[conn.service].settings.name;
        tracing::debug!(service = name, peer = %conn.peer, "the handshake failed: {message}");
        let peer = conn.peer.to_string();
        match whose {
            Securing::Accepted => {}
            Securing::Asked(waiter) | Securing::Dialled(waiter) => {
                let code = match code {
                    "tls" | "timed-out" => code,
                    _ => "closed",
                };
                let failure = Failure::new(code, format!("{peer}: {message}"));
                self.fire(waiter, Outcome::Failed(failure));
            }
        }
    }

    /// A connection had time to become ready.
    pub(super) fn on_handshake_due(&mut self, id: ConnId<N::Stream>) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        // A connection has one handshake at the most: an encrypted one can't begin another.
        if conn.securing.is_some() {
            let service = conn.service;
            conn.stream.end(End::Unready);
            self.reached(service, "handshake");
            self.touch(id);
        }
    }

    /// A plugin begins TLS in mid-stream.
    pub(super) fn start_tls(
        &mut self,
        life_id: Id<Life>,
        id: u64,
        number: u64,
        side: &Side,
        alpn: &[String],
    ) {
        if !self.asked(life_id, id, Behind::Handshake(number)) {
            return;
        }
        // What was begun in clear is not to end encrypted.
        self.give_up_login(life_id, number);
        let conn_id = Id::from_u64(number);
        let Some(conn) = self.conns.get_mut(conn_id).filter(|conn| conn.life == Some(life_id))
        else {
            let failure = Failure::new("closed", "the transport is closed");
            return self.fire((life_id, id), Outcome::Failed(failure));
        };
        let settings = &self.services[conn.service].settings.tls;
        let begun = match side {
            Side::Server => tls::server_side(settings.server.as_ref(), alpn),
            Side::Client(name) => tls::client_side(settings.client.as_ref(), name, alpn),
        };
        let service = conn.service;
        let full = self.handshakes_are_full(service);
        if full {
            self.reached(service, "handshakes");
        }
        let Some(conn) = self.conns.get_mut(conn_id) else { return };
        let refused = match begun {
            _ if conn.stream.is_tls() => "it is encrypted already".to_owned(),
            _ if !conn.stream.is_open() => "it is closing".to_owned(),
            _ if full => "limits.handshakes are under way".to_owned(),
            Ok(tls) => {
                let waiter = (life_id, id);
                return self.begin_handshake(conn_id, tls, Securing::Asked(waiter));
            }
            Err(why) => why,
        };
        // What the plugin has written behind it is meant to be encrypted: it must not go out.
        let failure = Failure::new("tls", format!("TLS can't begin: {refused}"));
        conn.stream.end(End::Tls(failure.message.clone()));
        self.fire((life_id, id), Outcome::Failed(failure));
        self.touch(conn_id);
    }
}

fn set_behind(life: Option<&mut Life>, id: u64, behind: Behind) {
    if let Some(place) = life.and_then(|life| life.deferreds.behind(id)) {
        *place = behind;
    }
}

/// What a handshake came to, as the contract has it.
pub(super) fn session(agreed: Agreed) -> Session {
    let Agreed { version, cipher, alpn, server_name, resumed, certificates } = agreed;
    let certificates = certificates.iter().map(|der| Certificate::parse(der)).collect();
    Session { version, cipher, alpn, server_name, resumed, certificates }
}
