//! Listeners: those of the configuration, and those that plugins ask for.

use std::io::{self, ErrorKind};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::build::Arrival;
use super::conn::address;
use super::datagram::is_socket;
use super::life::{Lasts, Life, Waiter};
use super::seen::Seen;
use super::service::{Accepted, Standing};
use super::{Answer, Due, Reactor};
use crate::arena::Id;
use crate::capability::{Failure, Outcome};
use crate::net::Net;
use crate::plugin::Origin;
use crate::pool::Pool;
use crate::transport::endpoint::{Carries, Endpoint, Identity, Socket};
use crate::transport::tls::ServerConfig;
use crate::walls::{Claim, Full, Kind};

/// A socket that accepts for a service.
pub(super) struct Listener<L> {
    socket: L,
    pub(super) service: usize,
    pub(super) origin: Origin,
    /// The life that asked for it; connections are that life's.
    life: Option<Id<Life>>,
    /// Connections are handed out to the workers in turn.
    deals: bool,
    /// Each connection begins with a handshake.
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// A timer will have it accept again.
    waits: bool,
    /// The room that it has taken, where a plugin asked for it.
    #[expect(dead_code, reason = "dropping it is what matters")]
    claim: Option<Claim>,
}

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// Accepts connections on `socket` for a service, as its `endpoint`-th. Where it `deals`,
    /// connections are not served here but put where [`Reactor::take_dealt`] finds them.
    pub fn listen(
        &mut self,
        socket: N::Listener,
        service: usize,
        endpoint: u32,
        deals: bool,
    ) -> io::Result<()> {
        let origin = Origin::Accepted(endpoint);
        let tls = self.services[service].settings.tls_of(origin);
        let (life, claim) = (None, None);
        let listener = Listener { socket, service, origin, life, deals, tls, waits: false, claim };
        self.add_listener(listener).map(drop)
    }

    fn add_listener(
        &mut self,
        mut listener: Listener<N::Listener>,
    ) -> io::Result<Id<Listener<N::Listener>>> {
        let id = self.listeners.reserve();
        if let Err(e) = self.net.watch_listener(&mut listener.socket, listener_token(id)) {
            self.listeners.release(id);
            self.net.close_listener(listener.socket);
            return Err(e);
        }
        self.listeners.fill(id, listener);
        Ok(id)
    }

    /// Listens for a life on an endpoint that the plugin names.
    pub(super) fn listen_for(&mut self, waiter: Waiter, service: usize, endpoint: &str) {
        match self.bind_for(waiter, service, endpoint) {
            Ok(Some(outcome)) => self.fire(waiter, outcome),
            // Once the socket has its protocol.
            Ok(None) => {}
            Err(failure) => self.fire(waiter, Outcome::Failed(failure)),
        }
    }

    fn bind_for(
        &mut self,
        (life_id, id): Waiter,
        service: usize,
        text: &str,
    ) -> Result<Option<Outcome>, Failure> {
        let endpoint: Endpoint =
            text.parse().map_err(|e| Failure::new("invalid", format!("{e}")))?;
        let life = self.lives.get(life_id).expect("it has just asked");
        if self.stopping || matches!(life.lasts, Lasts::Succeeded | Lasts::Told) {
            return Err(Failure::new("io", "the service is stopping: no new connection will come"));
        }
        let settings = &self.services[service].settings;
        settings.serves(endpoint.carries())?;
        if life.listeners.len() + life.bound >= settings.listeners {
            let most = settings.listeners;
            return Err(Failure::limit("listeners", format_args!("{most} are open")));
        }
        let tls = match &endpoint.tls {
            None => None,
            Some(identity) if *identity != Identity::default() => {
                let message = format!(
                    "{endpoint}: a plugin names no files; tls:PORT shows the \
                                       certificates of its service"
                );
                return Err(Failure::new("invalid", message));
            }
            Some(_) => match &settings.tls.server {
                Some(server) => Some(Arc::clone(server)),
                None => {
                    let message = format!("{endpoint}: the service has no certificate");
                    return Err(Failure::new("unsupported", message));
                }
            },
        };
        let claim = self.room_for_socket()?;
        let seed = self.next_ticket;
        let failed = |e: io::Error| Failure::new("io", format!("{endpoint}: {e}"));
        if endpoint.carries() == Carries::Datagrams {
            let socket = self.bind_one_of(service, &endpoint, seed, |net, endpoint| {
                Some(net.bind(&endpoint.place()?))
            })?;
            self.add_socket_for((life_id, id), socket, service, None, claim).map_err(failed)?;
            if let Some(life) = self.lives.get_mut(life_id) {
                life.bound += 1;
            }
            return Ok(None);
        }
        let socket = self.bind_one_of(service, &endpoint, seed, |net, endpoint| {
            let (backlog, mode) = match endpoint.socket {
                Socket::Tcp { backlog, .. } => (backlog, None),
                Socket::Unix { backlog, mode, .. } => (backlog, mode),
                Socket::Inherited(_)
                | Socket::Stdio
                | Socket::Udp { .. }
                | Socket::UnixDatagram { .. } => return None,
            };
            Some(net.listen(&endpoint.address()?, backlog, mode))
        })?;
        let at = match self.net.listener_address(&socket) {
            Ok(at) => at,
            Err(e) => {
                self.net.close_listener(socket);
                return Err(failed(e));
            }
        };
        let (origin, life) = (Origin::Arrived(id), Some(life_id));
        let (deals, waits, claim) = (false, false, Some(claim));
        let listener = Listener { socket, service, origin, life, deals, tls, waits, claim };
        let listener = self.add_listener(listener).map_err(failed)?.to_u64();
        if let Some(life) = self.lives.get_mut(life_id) {
            life.listeners.push(listener);
        }
        self.see(|| Seen::Listening { life: life_id.to_u64(), id, listener, address: at.clone() });
        Ok(Some(Outcome::Listening { listener, address: address(&at) }))
    }

    /// Binds the endpoint, or where its port is 0 one of those that the service grants.
    fn bind_one_of<T>(
        &mut self,
        service: usize,
        endpoint: &Endpoint,
        seed: u64,
        bind: impl Fn(&mut N, &Endpoint) -> Option<io::Result<T>>,
    ) -> Result<T, Failure> {
        let granted = self.services[service].settings.grants.listen(endpoint, seed);
        for candidate in self.granted(service, granted)? {
            let Some(bound) = bind(&mut self.net, &candidate) else { continue };
            match bound {
                Err(e) if e.kind() == ErrorKind::AddrInUse => {}
                Err(e) => return Err(Failure::new("io", format!("{candidate}: {e}"))),
                Ok(socket) => return Ok(socket),
            }
        }
        Err(Failure::new("in-use", format!("{endpoint}: no granted port is free")))
    }

    /// A plugin gave a listener of its own up.
    pub(super) fn stop_listening(&mut self, life_id: Id<Life>, listener: u64) {
        if is_socket(listener) {
            return self.lose_socket(life_id, listener);
        }
        let Some(life) = self.lives.get_mut(life_id) else { return };
        if let Some(place) = life.listeners.iter().position(|other| *other == listener) {
            life.listeners.swap_remove(place);
            self.close_listener(Id::from_u64(listener));
        }
    }

    pub(super) fn close_listener(&mut self, id: Id<Listener<N::Listener>>) {
        if let Some(listener) = self.listeners.remove(id) {
            self.see(|| Seen::StoppedListening { listener: id.to_u64() });
            self.net.close_listener(listener.socket);
        }
    }

    /// Accepts a turn's share.
    pub(super) fn on_acceptable(&mut self, id: Id<Listener<N::Listener>>) {
        for _ in 0..ACCEPTS_A_TURN {
            if !self.accept(id) {
                return;
            }
        }
        self.accept_again.push_back(id);
    }

    /// Accepts one connection. `false` where there is none, or none can be taken now.
    pub(super) fn accept(&mut self, id: Id<Listener<N::Listener>>) -> bool {
        let Some(service) = self.listeners.get(id).map(|listener| listener.service) else {
            return false;
        };
        self.try_for(service, |reactor| reactor.accept_one(id))
    }

    fn accept_one(&mut self, id: Id<Listener<N::Listener>>) -> bool {
        let Some(listener) = self.listeners.get_mut(id) else { return false };
        let (service, origin, life) = (listener.service, listener.origin, listener.life);
        if listener.tls.is_some() && self.handshakes_are_full(service) {
            self.reached(service, "handshakes");
            self.accept_later(id, ACCEPT_RETRY);
            return false;
        }
        let settings = &self.services[service].settings;
        if settings.census.is_full() {
            let (full, refuses) = (settings.full, settings.refuses);
            self.reached(service, full);
            if refuses {
                return self.refuse_one(id, service, full);
            }
            self.accept_later(id, ACCEPT_RETRY);
            return false;
        }
        // At the stop all that has come is accepted.
        if !self.stopping && self.services[service].standing == Standing::Open {
            let settings = &self.services[service].settings;
            let connects = settings.census.connects.as_ref();
            let wait = connects.map(|connects| connects.wait(settings.census.time(self.told), 1));
            if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
                self.reached(service, "connect-rate");
                self.accept_later(id, wait);
                return false;
            }
            if let Some(wait) = self.rests(service).or_else(|| self.turn_of(service)) {
                self.accept_later(id, wait);
                return false;
            }
        }
        let Some(claim) = self.room_for_conn(service, origin) else {
            self.accept_later(id, ACCEPT_RETRY);
            return false;
        };
        let Some(listener) = self.listeners.get_mut(id) else { return false };
        let settings = &self.services[service].settings;
        match self.net.accept(&mut listener.socket) {
            Ok((stream, peer)) => {
                if let Some(connects) = &settings.census.connects {
                    connects.charge(settings.census.time(self.told), 1);
                }
                match origin {
                    Origin::Accepted(endpoint) if listener.deals => {
                        self.dealt.push(Accepted { stream, peer, service, endpoint, claim });
                    }
                    _ => {
                        let tls = listener.tls.clone();
                        let arrival = Arrival { socket: stream, peer, claim };
                        self.take_in(arrival, service, origin, life, tls);
                    }
                }
                true
            }
            Err(e) => self.on_accept_failed(id, service, &e),
        }
    }

    /// Closes a connection that is one too many. `false` where there is none.
    fn refuse_one(
        &mut self,
        id: Id<Listener<N::Listener>>,
        service: usize,
        full: &'static str,
    ) -> bool {
        let Some(listener) = self.listeners.get_mut(id) else { return false };
        match self.net.accept(&mut listener.socket) {
            Ok((stream, peer)) => {
                // Which puts back what it has taken of the rate.
                let census = &self.services[service].settings.census;
                if let Some(connects) = &census.connects {
                    connects.charge(census.time(self.told), 1);
                }
                self.turn_away(service, &peer, full);
                self.net.close(stream);
                true
            }
            Err(e) => self.on_accept_failed(id, service, &e),
        }
    }

    /// Whether the next connection may be accepted at once after this error.
    fn on_accept_failed(
        &mut self,
        id: Id<Listener<N::Listener>>,
        service: usize,
        error: &io::Error,
    ) -> bool {
        match error.kind() {
            ErrorKind::WouldBlock => return false,
            ErrorKind::UnexpectedEof => {
                self.close_listener(id);
                return false;
            }
            _ if is_peers_fault(error) => return true,
            _ => {}
        }
        match Kind::of(error) {
            Some(wall) => self.tell_full(service, Full(wall), "new connections wait"),
            None => {
                let name = &*self.services[service].settings.name;
                tracing::error!(service = name, "can't accept, trying again: {error}");
            }
        }
        self.accept_later(id, ACCEPT_RETRY);
        false
    }

    /// The connection waits in the backlog, until the next turn for no time; as it is there
    /// already, no edge will come for it.
    fn accept_later(&mut self, id: Id<Listener<N::Listener>>, wait: Duration) {
        let Some(listener) = self.listeners.get_mut(id) else { return };
        if wait.is_zero() {
            return self.accept_again.push_back(id);
        }
        // Each edge comes here, and one timer is enough for all.
        if !mem::replace(&mut listener.waits, true) {
            let at = self.net.now() + wait;
            self.add_timer(at, Due::Accept(id.to_u64()));
        }
    }

    /// The time has come for a listener that could not accept.
    pub(super) fn on_accept_due(&mut self, id: Id<Listener<N::Listener>>) {
        if let Some(listener) = self.listeners.get_mut(id) {
            listener.waits = false;
            self.on_acceptable(id);
        }
    }
}

fn listener_token<L>(id: Id<Listener<L>>) -> u64 {
    id.to_u64() | LISTENER
}

/// Tells a listener's token from a connection's: see [`Id::to_u64`].
pub(super) const LISTENER: u64 = 1 << 63;

/// Whether only this connection failed, and the next may be taken at once.
fn is_peers_fault(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    )
}

/// How many connections one listener may accept before others get their turn.
const ACCEPTS_A_TURN: usize = 100;

/// How long a listener that can't accept waits before it tries again.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
