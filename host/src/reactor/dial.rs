//! Connections that plugins ask for: from the endpoint to the protocol.

mod failures;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::conn::ConnId;
use super::handshake::Securing;
use super::life::{Behind, Waiter};
use super::seen::Seen;
use super::work::Naming;
use super::{Answer, Due, Reactor};
use crate::arena::Id;
use crate::capability::resolver::{Family, Resolved};
use crate::capability::{Failure, Outcome};
use crate::grants::Goal;
use crate::net::{Address, Net, Ready};
use crate::plugin::Origin;
use crate::pool::Pool;
use crate::transport::client_endpoint::{ClientEndpoint, Target};
use crate::transport::connector::{ADDRESSES_MAX, Connector, Next};
use crate::transport::endpoint::Carries;
use crate::transport::stream::End;
use crate::transport::tls::{self, Tls};
use crate::walls::Claim;
use failures::{not_connected, refused};

/// The connections to be, and the attempts that they make.
pub(super) struct Dials<S> {
    by_waiter: HashMap<Waiter, Dial>,
    /// By the number of the connection that each may become.
    attempts: HashMap<u64, Attempt<S>>,
}

/// A connection to be.
struct Dial {
    service: usize,
    endpoint: ClientEndpoint,
    until: Instant,
    way: Way,
    attempts: Vec<u64>,
}

/// How far along it is.
enum Way {
    /// Its host is being looked up, or the one socket that it names is tried.
    Naming,
    /// Its addresses are tried.
    Trying(Connector),
}

/// A socket that may become the connection.
struct Attempt<S> {
    socket: S,
    to: Address,
    waiter: Waiter,
    /// The room that it has taken.
    claim: Claim,
}

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// Begins to connect for a life.
    pub(super) fn dial(&mut self, waiter: Waiter, service: usize, endpoint: &str) {
        if let Err(failure) = self.begin_dial(waiter, service, endpoint) {
            self.fire(waiter, Outcome::Failed(failure));
        }
    }

    fn begin_dial(&mut self, waiter: Waiter, service: usize, text: &str) -> Result<(), Failure> {
        let endpoint: ClientEndpoint =
            text.parse().map_err(|e| Failure::new("invalid", format!("{e}")))?;
        let Some(life) = self.lives.get_mut(waiter.0) else { return Ok(()) };
        let settings = &self.services[service].settings;
        settings.serves(endpoint.carries())?;
        if life.outgoing >= settings.outgoing {
            let most = settings.outgoing;
            return Err(Failure::limit("outgoing", format_args!("{most} connections are open")));
        }
        let goal = settings.grants.connect(&endpoint);
        let goal = self.services[service].granted(goal, self.told)?;
        // Before anything begins; each socket takes its own.
        self.room_for_socket()?;
        let Some(life) = self.lives.get_mut(waiter.0) else { return Ok(()) };
        let until = self.net.now() + endpoint.timeout();
        life.outgoing += 1;
        if let Some(behind) = life.deferreds.behind(waiter.1) {
            *behind = Behind::Dial;
        }
        let carries = endpoint.carries();
        let dial = Dial { service, endpoint, until, way: Way::Naming, attempts: Vec::new() };
        self.dials.by_waiter.insert(waiter, dial);
        self.see(|| Seen::Dials { life: waiter.0.to_u64(), id: waiter.1 });
        self.add_timer(until, Due::Dial(waiter.0, waiter.1));
        match goal {
            Goal::Host(name) => {
                self.look_up(Naming::Dial(waiter), service, &name, Family::Any);
            }
            Goal::Socket(address) => match carries {
                Carries::Streams => self.try_address(waiter, address),
                Carries::Datagrams => self.pair(waiter, vec![address]),
            },
            Goal::There(address) => self.dial_addresses(waiter, Ok(Arc::new([address]))),
        }
        Ok(())
    }

    /// The addresses of a connection to be were found, or not.
    pub(super) fn dial_addresses(&mut self, waiter: Waiter, resolved: Resolved) {
        let now = self.net.now();
        let Some(dial) = self.dials.by_waiter.get_mut(&waiter) else { return };
        let granted = resolved.and_then(|addresses| {
            let service = &mut self.services[dial.service];
            let verdict = service.settings.grants.addresses(&dial.endpoint, &addresses);
            service.granted(verdict, self.told)
        });
        let granted = match granted {
            Ok(granted) => granted,
            Err(failure) => return self.fail_dial(waiter, failure),
        };
        if dial.endpoint.carries() == Carries::Datagrams {
            let peers = granted.into_iter().map(Address::Udp).collect();
            return self.pair(waiter, peers);
        }
        let timeout = dial.until.saturating_duration_since(now);
        dial.way = Way::Trying(Connector::new(granted, now, timeout));
        self.go_on_dialling(waiter);
    }

    /// A connection to be is to have its next attempt, or has had all of its time.
    pub(super) fn on_dial_due(&mut self, waiter: Waiter) {
        let Some(service) = self.dials.by_waiter.get(&waiter).map(|dial| dial.service) else {
            return;
        };
        self.work_for(service, |reactor| reactor.go_on_dialling(waiter));
    }

    fn go_on_dialling(&mut self, waiter: Waiter) {
        loop {
            let now = self.net.now();
            let Some(dial) = self.dials.by_waiter.get_mut(&waiter) else { return };
            let next = match &mut dial.way {
                Way::Trying(connector) => connector.next(now),
                Way::Naming if now < dial.until => return,
                Way::Naming => {
                    let message = format!("{}: no answer in time", dial.endpoint);
                    return self.fail_dial(waiter, Failure::new("timed-out", message));
                }
            };
            match next {
                Next::Attempt(address) => self.try_address(waiter, Address::Tcp(address)),
                Next::Wait(until) => {
                    return self.add_timer(until, Due::Dial(waiter.0, waiter.1));
                }
                Next::Failed(failure) => {
                    let failure = not_connected(&dial.endpoint, &failure);
                    return self.fail_dial(waiter, failure);
                }
            }
        }
    }

    /// Makes a socket for datagrams with the first of some peers that the system knows a way to:
    /// nobody answers, so there is nothing to wait for.
    fn pair(&mut self, waiter: Waiter, peers: Vec<Address>) {
        let Some(dial) = self.dials.by_waiter.get_mut(&waiter) else { return };
        let (service, from) = match dial.endpoint {
            ClientEndpoint::Udp { bind_address, .. } => (dial.service, bind_address),
            _ => (dial.service, None),
        };
        let mut failed = None;
        for peer in peers.into_iter().take(ADDRESSES_MAX) {
            let claim = match self.room_for_socket() {
                Ok(claim) => claim,
                Err(failure) => return self.fail_dial(waiter, failure),
            };
            let paired = self.net.pair_with(&peer, from);
            match paired.and_then(|io| self.add_socket_for(waiter, io, service, Some(peer), claim))
            {
                Ok(()) => {
                    self.dials.by_waiter.remove(&waiter);
                    let life = self.lives.get_mut(waiter.0);
                    if let Some(behind) = life.and_then(|life| life.deferreds.behind(waiter.1)) {
                        *behind = Behind::Answer;
                    }
                    return;
                }
                Err(e) => failed = failed.or(Some(e)),
            }
        }
        let Some(dial) = self.dials.by_waiter.get(&waiter) else { return };
        let failure = match failed {
            Some(error) => refused(&dial.endpoint, &error),
            None => Failure::new("unreachable", format!("{}: it has no address", dial.endpoint)),
        };
        self.fail_dial(waiter, failure);
    }

    /// Begins an attempt.
    fn try_address(&mut self, waiter: Waiter, to: Address) {
        let room = self.room_for_socket();
        let Some(dial) = self.dials.by_waiter.get_mut(&waiter) else { return };
        let claim = match room {
            Ok(claim) => claim,
            Err(failure) if dial.attempts.is_empty() => return self.fail_dial(waiter, failure),
            // Another attempt may still become the connection.
            Err(failure) => {
                return self.attempt_failed(waiter, &to, io::Error::other(failure.message));
            }
        };
        let from = match dial.endpoint {
            ClientEndpoint::Tcp { bind_address, .. } => bind_address,
            _ => None,
        };
        let id: ConnId<N::Stream> = self.conns.reserve();
        let begun = self.net.connect(&to, from).and_then(|mut socket| {
            match self.net.watch(&mut socket, id.to_u64()) {
                Ok(()) => Ok(socket),
                Err(e) => {
                    self.net.close(socket);
                    Err(e)
                }
            }
        });
        match begun {
            Ok(socket) => {
                dial.attempts.push(id.to_u64());
                self.dials.attempts.insert(id.to_u64(), Attempt { socket, to, waiter, claim });
            }
            Err(error) => {
                self.conns.release(id);
                self.attempt_failed(waiter, &to, error);
            }
        }
    }

    /// Takes an edge of an attempt.
    pub(super) fn on_attempt(&mut self, id: ConnId<N::Stream>, edge: Ready) {
        let Some(attempt) = self.dials.attempts.get(&id.to_u64()) else { return };
        match self.dials.by_waiter.get(&attempt.waiter).map(|dial| dial.service) {
            Some(service) => {
                self.work_for(service, |reactor| reactor.go_on_with_attempt(id, edge));
            }
            None => drop(self.end_attempt(id)),
        }
    }

    fn go_on_with_attempt(&mut self, id: ConnId<N::Stream>, edge: Ready) {
        let Some(attempt) = self.dials.attempts.get_mut(&id.to_u64()) else { return };
        match self.net.connected(&mut attempt.socket) {
            Ok(false) => {}
            Ok(true) => self.dialled(id, edge),
            Err(error) => {
                let Some((waiter, to)) = self.end_attempt(id) else { return };
                if let Some(dial) = self.dials.by_waiter.get_mut(&waiter) {
                    dial.attempts.retain(|attempt| *attempt != id.to_u64());
                }
                self.attempt_failed(waiter, &to, error);
                self.go_on_dialling(waiter);
            }
        }
    }

    fn attempt_failed(&mut self, waiter: Waiter, to: &Address, error: io::Error) {
        let Some(dial) = self.dials.by_waiter.get_mut(&waiter) else { return };
        match (&mut dial.way, to) {
            (Way::Trying(connector), Address::Tcp(address)) => {
                connector.failed(*address, self.net.now(), error);
            }
            _ => {
                let failure = refused(&dial.endpoint, &error);
                self.fail_dial(waiter, failure);
            }
        }
    }

    /// An attempt was the first to succeed: it becomes the connection. The edge that told may be the
    /// only one that tells of what the peer has sent already.
    fn dialled(&mut self, id: ConnId<N::Stream>, edge: Ready) {
        let Some(Attempt { socket, to, waiter, claim }) = self.dials.attempts.remove(&id.to_u64())
        else {
            return;
        };
        let Some(mut dial) = self.dials.by_waiter.remove(&waiter) else {
            self.conns.release(id);
            return self.net.close(socket);
        };
        dial.attempts.retain(|attempt| *attempt != id.to_u64());
        self.end_attempts(&dial);
        if let Some(life) = self.lives.get_mut(waiter.0)
            && let Some(behind) = life.deferreds.behind(waiter.1)
        {
            *behind = Behind::Answer;
        }
        let (life, conn) = (waiter.0.to_u64(), id.to_u64());
        self.see(|| Seen::Dialled { life, id: waiter.1, conn });
        self.open_conn(id, socket, to, dial.service, Origin::Dialled(waiter.1), claim);
        self.join(id, waiter.0);
        if let Some(conn) = self.conns.get_mut(id) {
            conn.stream.on_ready(&mut self.net, edge);
        }
        match self.client_side(&dial.endpoint, dial.service) {
            None => {
                self.build(id);
                self.tell_dialled(id, waiter);
            }
            Some(Ok(tls)) => {
                if let Some(life) = self.lives.get_mut(waiter.0)
                    && let Some(behind) = life.deferreds.behind(waiter.1)
                {
                    *behind = Behind::Handshake(id.to_u64());
                }
                self.begin_handshake(id, tls, Securing::Dialled(waiter));
                self.add_timer(dial.until, Due::Handshake(id.to_u64()));
            }
            Some(Err(why)) => {
                let failure = Failure::new("tls", format!("{}: {why}", dial.endpoint));
                self.fire(waiter, Outcome::Failed(failure));
                if let Some(conn) = self.conns.get_mut(id) {
                    conn.stream.end(End::Aborted("TLS could not begin"));
                }
                self.touch(id);
            }
        }
    }

    /// The client's side of an endpoint that is encrypted.
    fn client_side(
        &self,
        endpoint: &ClientEndpoint,
        service: usize,
    ) -> Option<Result<Tls, String>> {
        let ClientEndpoint::Tcp { tls: Some(wanted), target, .. } = endpoint else { return None };
        let settings = &self.services[service].settings.tls;
        let host = match target {
            Target::Address(address) => address.ip().to_string(),
            Target::Name { host, .. } => host.clone(),
        };
        let name = wanted.server_name.as_ref().unwrap_or(&host);
        Some(tls::client_side(settings.client.as_ref(), name, &wanted.alpn))
    }

    /// Tells a life what came of a connection that it asked for.
    pub(super) fn tell_dialled(&mut self, id: ConnId<N::Stream>, waiter: Waiter) {
        let outcome = match self.conns.get_mut(id) {
            Some(conn) if conn.protocol.is_some() => Outcome::Connected { conn: id.to_u64() },
            Some(conn) if matches!(conn.stream.ended(), Some(End::Lost(_))) => {
                let message = format!("{}: it was lost as soon as it was made", conn.peer());
                Outcome::Failed(Failure::new("io", message))
            }
            _ => {
                let message = "the plugin refused the connection in `build-protocol`";
                Outcome::Failed(Failure::new("refused", message))
            }
        };
        self.fire(waiter, outcome);
    }

    /// A connection to be will not come to be.
    fn fail_dial(&mut self, waiter: Waiter, failure: Failure) {
        if self.end_dial(waiter) {
            self.fire(waiter, Outcome::Failed(failure));
        }
    }

    /// Nobody wants a connection to be any more.
    pub(super) fn end_dial(&mut self, waiter: Waiter) -> bool {
        let Some(dial) = self.dials.by_waiter.remove(&waiter) else { return false };
        self.end_attempts(&dial);
        if let Some(life) = self.lives.get_mut(waiter.0) {
            life.outgoing -= 1;
        }
        true
    }

    fn end_attempts(&mut self, dial: &Dial) {
        for attempt in &dial.attempts {
            self.end_attempt(Id::from_u64(*attempt));
        }
    }

    fn end_attempt(&mut self, id: ConnId<N::Stream>) -> Option<(Waiter, Address)> {
        let Attempt { socket, to, waiter, claim: _claim } =
            self.dials.attempts.remove(&id.to_u64())?;
        self.conns.release(id);
        self.net.close(socket);
        Some((waiter, to))
    }
}

impl<S> Dials<S> {
    pub(super) fn contains(&self, waiter: &Waiter) -> bool {
        self.by_waiter.contains_key(waiter)
    }

    /// How many sockets may become one.
    pub(super) fn attempts(&self) -> usize {
        self.attempts.len()
    }

    /// How many connections to be there are.
    pub(super) fn len(&self) -> usize {
        self.by_waiter.len()
    }
}

impl<S> Default for Dials<S> {
    fn default() -> Self {
        Self { by_waiter: HashMap::new(), attempts: HashMap::new() }
    }
}
