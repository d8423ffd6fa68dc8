//! A reactor on a thread, with what it says to its peers.

use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use crate::net::os::{OsNet, OsStream};
use crate::net::{Net, Waker};
use crate::plugin::LogLevel;
use crate::pool::ThreadsHandle;
use crate::reactor::{Accepted, Answer, Reactor, ServiceSettings};
use crate::transport::listener::BoundSocket;
use crate::walls::Room;

/// Serves on its own thread, until it is told to stop.
pub(crate) struct Worker {
    reactor: Reactor<OsNet, ThreadsHandle<Answer>>,
    inbox: Receiver<Message>,
    /// Of all workers, by number.
    workers: Vec<Mailbox>,
    services: Vec<Served>,
    /// When connections that are still open will be closed.
    until: Option<Instant>,
    /// How many workers, this one too, may still deal connections to it.
    dealing: usize,
    /// The plugins know that the host stops.
    told_plugins: bool,
    /// The host has nothing else to serve than this worker's one connection, and stops with it; what
    /// it leaves behind may go on for so long.
    stops_with_connection: Option<Duration>,
}

/// A service that the worker serves.
struct Served {
    /// Its place in the configuration.
    number: usize,
    /// The workers that serve it, and which of them gets the next connection that is dealt.
    workers: Vec<usize>,
    next: usize,
}

/// What a worker can be told.
pub(crate) enum Message {
    /// Serve a connection of the service with this place in the configuration.
    Accepted(usize, Accepted<OsStream>),
    /// The sender has stopped accepting, and deals no more connections.
    DealtLast,
    /// Stop accepting, and close what is open after this time.
    Stop(Duration),
}

/// The way to a worker.
#[derive(Clone)]
pub(crate) struct Mailbox {
    pub(crate) inbox: Sender<Message>,
    pub(crate) waker: Waker,
}

impl Mailbox {
    /// Tells the worker; a worker that is gone needs no telling.
    pub(crate) fn send(&self, message: Message) {
        if self.inbox.send(message).is_ok() {
            self.waker.wake();
        }
    }
}

impl Worker {
    pub(crate) fn new(
        net: OsNet,
        pool: ThreadsHandle<Answer>,
        inbox: Receiver<Message>,
        seed: [u8; 32],
        log_level: LogLevel,
    ) -> Self {
        let reactor = Reactor::new(net, pool, seed, log_level);
        Self {
            reactor,
            inbox,
            workers: Vec::new(),
            services: Vec::new(),
            until: None,
            dealing: 0,
            told_plugins: false,
            stops_with_connection: None,
        }
    }

    /// Has it take no more than this, with the other workers.
    pub(crate) fn share(&mut self, room: Room) {
        self.reactor.share(room);
    }

    /// Serves the service with this place in the configuration, together with `workers`.
    pub(crate) fn serve(
        &mut self,
        number: usize,
        settings: ServiceSettings,
        sockets: Vec<(u32, BoundSocket)>,
        workers: Vec<usize>,
    ) -> std::io::Result<()> {
        let service = self.reactor.serve(settings);
        for (endpoint, socket) in sockets {
            match socket {
                // The kernel deals out what comes by TCP; the rest comes to one worker alone.
                BoundSocket::Listener(socket) => {
                    let deals = workers.len() > 1 && !socket.is_shared() && !socket.is_single();
                    self.reactor.listen(socket, service, endpoint, deals)?;
                }
                BoundSocket::Datagrams(socket) => {
                    self.reactor.serve_datagrams(socket, service, endpoint)?;
                }
            }
        }
        self.services.push(Served { number, workers, next: 0 });
        Ok(())
    }

    /// Has the host stop once this worker has no connection any more, and none can come.
    pub(crate) fn stop_with_connection(&mut self, grace: Duration) {
        self.stops_with_connection = Some(grace);
    }

    /// Runs until it was told to stop and has.
    pub(crate) fn run(mut self, workers: Vec<Mailbox>) -> std::io::Result<()> {
        self.dealing = workers.len();
        self.workers = workers;
        let mut more = false;
        loop {
            let left = self.until.map(|at| at.saturating_duration_since(Instant::now()));
            self.reactor.turn(if more { Some(Duration::ZERO) } else { left })?;
            self.deal();
            if let Some(grace) = self.stops_with_connection
                && !self.reactor.is_listening()
                && self.reactor.connections() == 0
            {
                self.stops_with_connection = None;
                for worker in &self.workers {
                    worker.send(Message::Stop(grace));
                }
            }
            more = self.read_inbox();
            if self.until.is_some() && self.dealing == 0 && !self.told_plugins {
                // What came before the stop is delivered before the plugins hear of it.
                self.reactor.turn(Some(Duration::ZERO))?;
                self.reactor.tell_all_stopping();
                self.told_plugins = true;
            }
            if let Some(until) = self.until {
                let over = Instant::now() >= until;
                if over || self.dealing == 0 && self.reactor.connections() == 0 {
                    self.reactor.abandon();
                    return Ok(());
                }
            }
        }
    }

    /// Takes a turn's share of messages, and says whether there may be more.
    fn read_inbox(&mut self) -> bool {
        for _ in 0..MESSAGES_A_TURN {
            let Ok(message) = self.inbox.try_recv() else { return false };
            self.on_message(message);
        }
        true
    }

    fn on_message(&mut self, message: Message) {
        match message {
            Message::Accepted(number, mut accepted) => {
                match self.services.iter().position(|service| service.number == number) {
                    Some(service) => {
                        accepted.service = service;
                        self.reactor.adopt(accepted);
                    }
                    None => self.reactor.net().close(accepted.stream),
                }
            }
            Message::DealtLast => self.dealing -= 1,
            Message::Stop(grace) => {
                let (until, before) = (Instant::now() + grace, self.until);
                self.until = Some(before.map_or(until, |before| before.min(until)));
                if before.is_none() {
                    self.reactor.stop_accepting();
                    self.deal();
                    for worker in &self.workers {
                        worker.send(Message::DealtLast);
                    }
                }
            }
        }
    }

    /// Hands out the connections that this worker accepted for all that serve the service.
    fn deal(&mut self) {
        for accepted in self.reactor.take_dealt() {
            let service = &mut self.services[accepted.service];
            let worker = service.workers[service.next % service.workers.len()];
            service.next = service.next.wrapping_add(1);
            self.workers[worker].send(Message::Accepted(service.number, accepted));
        }
    }
}

/// How many messages a worker takes before its sockets get their turn.
const MESSAGES_A_TURN: usize = 256;
