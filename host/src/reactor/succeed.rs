//! Services that take the place of others while the reactor runs, and services that end.
//!
//! One that is succeeded keeps its number, its settings and its instances for the connections that
//! it has. Its endpoints are the successor's at once: a listener is never closed and bound anew, so
//! what waits in its backlog meets the successor.

use std::mem;
use std::time::Duration;

use super::datagram::{self, End, SocketId};
use super::life::{Lasts, Life};
use super::listen::Listener;
use super::service::{Service, Standing};
use super::{ACCEPTS_AT_STOP, Answer, Due, Reactor};
use crate::arena::Id;
use crate::net::Net;
use crate::plugin::Origin;
use crate::pool::Pool;

/// An endpoint that goes from one service to another; each a service's number and the place in its
/// `listen`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Move {
    /// Whose it was.
    pub from: (usize, u32),
    /// Whose it is.
    pub to: (usize, u32),
}

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// Has services give their endpoints on, and leaves them to end. Each that is `leaving` accepts
    /// nothing from now on. Those with a grace stop, with what they have succeeded: their plugins
    /// hear of it, and their connections are closed when it is over. The others were succeeded:
    /// their connections go on as they would have, and a shared instance hears that it stops only
    /// when its last connection is gone; what it listens on by itself is closed, as its successor
    /// may want that.
    ///
    /// Successors are begun after this ([`Reactor::begin_service`]). Returns the moves of which
    /// nothing was there: of a service that was parked, or of a connection that came once.
    pub fn succeed(&mut self, moves: &[Move], leaving: &[(usize, Option<Duration>)]) -> Vec<Move> {
        self.tell_time();
        for (service, grace) in leaving {
            self.services[*service].standing = Standing::Succeeded;
            self.services.leaving += 1;
            if grace.is_none() {
                self.leave_shared(*service);
            }
        }
        let missing = moves.iter().filter(|it| !self.give_on(**it)).copied().collect();
        for (service, grace) in leaving {
            self.close_endpoints(*service, grace.is_some());
            if let Some(grace) = grace {
                self.stop_all_of(*service, *grace);
            }
        }
        self.settle();
        missing
    }

    /// No other worker sends connections to the service any more: once its own are over nothing is
    /// left of it.
    pub fn forget_service(&mut self, service: usize) {
        self.services[service].forgotten = true;
    }

    /// Ends what is left of services that have left, once it is over.
    pub(super) fn forget_services(&mut self) {
        if self.services.leaving == 0 {
            return;
        }
        for number in 0..self.services.end() {
            if self.is_over(number) {
                self.services.remove(number);
                self.timers.retain(|due| {
                    !matches!(due, Due::Grace(of) | Due::Line(of, _) | Due::Restart(of)
                        if *of == number)
                });
            }
        }
    }

    /// Whether nothing has the service's number any more.
    fn is_over(&self, number: usize) -> bool {
        let Some(service) = self.services.get(number) else { return false };
        let is_its = |id| self.sockets.all.get(id).is_some_and(|socket| socket.service == number);
        service.forgotten
            && service.standing != Standing::Open
            && (service.conns, service.lives, service.share.waiting()) == (0, 0, 0)
            && !self.tickets.values().any(|ticket| ticket.service == number)
            && !self.sockets.all.ids().any(is_its)
    }

    /// A shared instance is on its own from now on: it gives up what its successor may want.
    fn leave_shared(&mut self, service: usize) {
        let Some(id) = self.services[service].shared else { return };
        let Some(life) = self.lives.get_mut(id) else { return };
        life.lasts = Lasts::Succeeded;
        if life.conns.is_empty() {
            return self.end_if_unused(id);
        }
        let (listeners, sockets) = (mem::take(&mut life.listeners), life.sockets.clone());
        for listener in listeners {
            self.close_listener(Id::from_u64(listener));
        }
        for socket in sockets.into_iter().map(datagram::socket_of) {
            let found = self.sockets.all.get(socket);
            if found.is_some_and(|found| matches!(found.origin, Origin::Arrived(_))) {
                self.end_socket(socket, End::Stopped);
            }
        }
    }

    /// Gives an endpoint on, if it is there.
    fn give_on(&mut self, Move { from, to }: Move) -> bool {
        let was = (from.0, Origin::Accepted(from.1));
        let (service, origin) = (to.0, Origin::Accepted(to.1));
        let tls = self.services[service].settings.tls_of(origin);
        let is_it = |of: &Listener<N::Listener>| (of.service, of.origin) == was;
        let listener = self.listeners.ids().find(|id| self.listeners.get(*id).is_some_and(is_it));
        if let Some(id) = listener
            && let Some(listener) = self.listeners.get_mut(id)
        {
            (listener.service, listener.origin, listener.tls) = (service, origin, tls);
            // No edge will come for what is there already.
            self.accept_again.push_back(id);
            return true;
        }
        let socket = self.sockets.all.ids().find(|id| {
            let socket = self.sockets.all.get(*id).filter(|socket| socket.ended.is_none());
            socket.is_some_and(|socket| (socket.service, socket.origin) == was)
        });
        match socket {
            Some(id) => self.give_on_socket(id, service, to.1),
            None => return false,
        }
        true
    }

    /// Accepts what has come to a service, and nothing after that. With `all`, also at what its
    /// instances listen on.
    fn close_endpoints(&mut self, service: usize, all: bool) {
        let closes = |listener: &Listener<N::Listener>| {
            listener.service == service && (all || matches!(listener.origin, Origin::Accepted(_)))
        };
        for id in self.listeners.ids().collect::<Vec<_>>() {
            if self.listeners.get(id).is_some_and(closes) {
                for _ in 0..ACCEPTS_AT_STOP {
                    if !self.accept(id) {
                        break;
                    }
                }
                self.close_listener(id);
            }
        }
        for id in self.sockets.all.ids().collect::<Vec<SocketId<N::Datagrams>>>() {
            let socket = self.sockets.all.get(id).filter(|socket| socket.service == service);
            if socket.is_some_and(|socket| matches!(socket.origin, Origin::Accepted(_))) {
                self.end_socket(id, End::Stopped);
            }
        }
    }

    /// Stops a service, with those that it has taken the place of.
    fn stop_all_of(&mut self, service: usize, grace: Duration) {
        let name = self.services[service].settings.name.clone();
        let has_left =
            |it: &Service| it.standing == Standing::Succeeded && it.settings.name == name;
        let all = self.services.iter().filter(|(_, it)| has_left(it)).map(|(number, _)| number);
        for number in all.collect::<Vec<_>>() {
            self.stop_service(number, grace);
        }
    }

    /// Tells the instances of a service that it stops, and has a timer end what goes on too long.
    fn stop_service(&mut self, service: usize, grace: Duration) {
        // What came before is delivered before they hear of it.
        self.settle();
        self.services[service].standing = Standing::Stopping;
        let is_its = |life: &Life| life.service == service;
        for id in self.lives.ids().collect::<Vec<_>>() {
            if !self.lives.get(id).is_some_and(is_its) {
                continue;
            }
            self.tell_stopping(id);
            let Some(life) = self.lives.get_mut(id) else { continue };
            if life.lasts != Lasts::Alone {
                life.lasts = Lasts::Told;
                self.end_if_unused(id);
            }
        }
        self.add_timer(self.told + grace, Due::Grace(service));
    }

    /// The grace of a service that stops is over.
    pub(super) fn on_grace_due(&mut self, service: usize) {
        self.end_conns(Some(service));
    }

    /// Ends every connection, or those of a service.
    pub(super) fn end_conns(&mut self, of: Option<usize>) {
        for id in self.conns.ids().collect::<Vec<_>>() {
            let Some(service) = self.conns.get(id).map(|conn| conn.service) else { continue };
            if of.is_some_and(|of| of != service) {
                continue;
            }
            if self.has_parted(service) {
                self.drop_conn(id);
            } else {
                self.stop_conn(id);
            }
            self.settle();
        }
    }
}
