//! A reactor on a thread, with what it says to its peers.

use std::io;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use crate::net::os::{OsNet, OsStream};
use crate::net::{Net, Waker};
use crate::plugin::LogLevel;
use crate::pool::ThreadsHandle;
use crate::reactor::{Accepted, Answer, Move, Reactor, ServiceSettings, Told};
use crate::transport::listener::BoundSocket;
use crate::walls::Room;

/// Serves on its own thread, until it is told to stop.
pub(crate) struct Worker {
    reactor: Reactor<OsNet, ThreadsHandle<Answer>>,
    inbox: Receiver<Message>,
    /// Of all workers, by number.
    workers: Vec<Mailbox>,
    services: Vec<Served>,
    /// Connections of services that it will hear of in a moment, as other workers have: each has the
    /// room that it takes.
    early: Vec<(Number, Accepted<OsStream>)>,
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

/// The number that all workers know a service by. One that takes another's place has its own.
pub(crate) type Number = u64;

/// A service that the worker serves, or has served and may still be dealt connections of.
struct Served {
    number: Number,
    /// What the worker's reactor knows it by.
    service: usize,
    /// The workers that serve it, and which of them gets the next connection that is dealt.
    workers: Vec<usize>,
    next: usize,
}

/// What a worker can be told.
pub(crate) enum Message {
    /// Serve a connection of a service.
    Accepted(Number, Accepted<OsStream>),
    /// Serve other services.
    Change(Change),
    /// The sender has stopped accepting, and deals no more connections.
    DealtLast,
    /// Nobody deals connections of these services any more.
    Forget(Vec<Number>),
    /// Accept on a socket, as an endpoint of a service.
    Listen(Number, u32, BoundSocket),
    /// Say what was counted so far, beside this number.
    Tell(usize, Sender<(usize, Told)>),
    /// Stop accepting, and close what is open after this time.
    Stop(Duration),
}

/// What is to be served from now on, as far as it is new to the worker.
pub(crate) struct Change {
    /// Which worker it is.
    pub(crate) worker: usize,
    /// Which services come.
    pub(crate) added: Vec<Added>,
    /// Which go: those that stop, with their grace, and those that others take the place of.
    pub(crate) leaving: Vec<(Number, Option<Duration>)>,
    /// Where there is nothing else to serve than standard input and output: the grace.
    pub(crate) stops_with_connection: Option<Duration>,
    /// Is told once that is so: with the worker, a service and an endpoint where that should have
    /// been given on, and was closed before.
    pub(crate) done: Sender<Vec<(usize, Number, u32)>>,
}

/// A service that comes to a worker.
pub(crate) struct Added {
    pub(crate) number: Number,
    pub(crate) settings: ServiceSettings,
    /// Each with the place of its endpoint.
    pub(crate) sockets: Vec<(u32, BoundSocket)>,
    /// Endpoints of others that become its own: whose, which, and which of its own.
    pub(crate) moves: Vec<(Number, u32, u32)>,
    /// The workers that serve it.
    pub(crate) workers: Vec<usize>,
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
            early: Vec::new(),
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

    /// Serves a service, before the worker runs.
    pub(crate) fn serve(&mut self, added: Added) -> io::Result<()> {
        let service = self.reactor.serve(added.settings);
        self.know(added.number, service, added.workers);
        for (endpoint, socket) in added.sockets {
            self.listen(service, endpoint, socket)?;
        }
        Ok(())
    }

    fn know(&mut self, number: Number, service: usize, workers: Vec<usize>) {
        self.services.push(Served { number, service, workers, next: 0 });
    }

    /// What the reactor knows a service by.
    fn known(&self, number: Number) -> Option<usize> {
        Some(self.services.iter().find(|served| served.number == number)?.service)
    }

    fn listen(&mut self, service: usize, endpoint: u32, socket: BoundSocket) -> io::Result<()> {
        match socket {
            // The kernel deals out what comes by TCP; the rest comes to one worker alone.
            BoundSocket::Listener(socket) => {
                let served = self.services.iter().find(|served| served.service == service);
                let alone = served.is_none_or(|served| served.workers.len() == 1);
                let deals = !alone && !socket.is_shared() && !socket.is_single();
                self.reactor.listen(socket, service, endpoint, deals)
            }
            BoundSocket::Datagrams(socket) => {
                self.reactor.serve_datagrams(socket, service, endpoint)
            }
        }
    }

    /// The same where that can't be undone: the log has what fails.
    fn listen_now(&mut self, service: usize, endpoint: u32, socket: BoundSocket) {
        if let Err(e) = self.listen(service, endpoint, socket) {
            tracing::error!("a worker can't listen on an endpoint: {e}");
        }
    }

    /// Serves other services from now on: between two turns, so that nobody sees half of it.
    fn change(&mut self, change: Change) {
        let Change { worker, added, leaving, stops_with_connection, done } = change;
        if self.until.is_some() {
            // The host stops: `done` and the sockets are dropped.
            return;
        }
        let (mut moves, mut sockets) = (Vec::new(), Vec::new());
        for added in added {
            let service = self.reactor.add_service(added.settings);
            self.know(added.number, service, added.workers);
            moves.extend(added.moves.iter().filter_map(|(of, from, to)| {
                Some(Move { from: (self.known(*of)?, *from), to: (service, *to) })
            }));
            sockets.push((service, added.sockets));
        }
        let leaving: Vec<_> =
            leaving.iter().filter_map(|(of, grace)| Some((self.known(*of)?, *grace))).collect();
        let missing = self.reactor.succeed(&moves, &leaving);
        self.deal();
        for (service, sockets) in sockets {
            self.reactor.begin_service(service);
            for (endpoint, socket) in sockets {
                self.listen_now(service, endpoint, socket);
            }
        }
        self.stops_with_connection = stops_with_connection;
        for (number, accepted) in std::mem::take(&mut self.early) {
            self.adopt(number, accepted);
        }
        let numbered =
            missing.into_iter().filter_map(|Move { to: (service, endpoint), .. }| {
                let served = self.services.iter().find(|served| served.service == service)?;
                Some((worker, served.number, endpoint))
            });
        // Who has asked for it may be gone.
        let _ = done.send(numbered.collect());
    }

    /// Has the host stop once this worker has no connection any more, and none can come.
    pub(crate) fn stop_with_connection(&mut self, grace: Duration) {
        self.stops_with_connection = Some(grace);
    }

    /// Runs until it was told to stop and has.
    pub(crate) fn run(mut self, workers: Vec<Mailbox>) -> io::Result<()> {
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
            Message::Accepted(number, accepted) => self.adopt(number, accepted),
            Message::Change(change) => self.change(change),
            Message::DealtLast => self.dealing -= 1,
            Message::Forget(numbers) => self.forget(&numbers),
            Message::Listen(number, endpoint, socket) => {
                if let Some(service) = self.known(number).filter(|_| self.until.is_none()) {
                    self.listen_now(service, endpoint, socket);
                }
            }
            // Who asked may have given up.
            Message::Tell(number, to) => drop(to.send((number, self.reactor.tell()))),
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

    /// Serves a connection that another worker has accepted.
    fn adopt(&mut self, number: Number, accepted: Accepted<OsStream>) {
        match self.known(number) {
            Some(service) => self.reactor.adopt(Accepted { service, ..accepted }),
            None if self.until.is_none() => self.early.push((number, accepted)),
            None => self.reactor.net().close(accepted.stream),
        }
    }

    /// Nobody sends these services connections any more.
    fn forget(&mut self, numbers: &[Number]) {
        let reactor = &mut self.reactor;
        self.services.retain(|served| {
            let stays = !numbers.contains(&served.number);
            if !stays {
                reactor.forget_service(served.service);
            }
            stays
        });
    }

    /// Hands out the connections that this worker accepted for all that serve the service.
    fn deal(&mut self) {
        for accepted in self.reactor.take_dealt() {
            let mut services = self.services.iter_mut();
            let Some(served) = services.find(|served| served.service == accepted.service) else {
                self.reactor.net().close(accepted.stream);
                continue;
            };
            let worker = served.workers[served.next % served.workers.len()];
            served.next = served.next.wrapping_add(1);
            self.workers[worker].send(Message::Accepted(served.number, accepted));
        }
    }
}

/// How many messages a worker takes before its sockets get their turn.
const MESSAGES_A_TURN: usize = 256;
