//! The server: its tables, and its events.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::fmt::Arguments;
use std::hash::BuildHasher;
use std::ops::Range;
use std::rc::Rc;

use crate::action::{Action, Answer};
use crate::arena::Arena;
use crate::casemap::{Names, Seeded};
use crate::channel::Channel;
use crate::client::{Client, Clients, Peer};
use crate::config::Config;
use crate::monitor::Watch;
use crate::output::{Output, Tags};
use crate::question::Questions;
use crate::whowas::Gone;

/// What time it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Now {
    /// Nanoseconds since some moment; it never goes back.
    pub monotonic: u64,
    /// Milliseconds since 1970.
    pub unix: u64,
}

/// An IRC server: all that its clients share. The same events make the same actions.
pub struct Server {
    pub(crate) config: Config,
    pub(crate) now: Now,
    /// When it began, in milliseconds since 1970.
    pub(crate) started: u64,
    /// What the ids of all its messages begin with: no other server has it, nor this one next time.
    pub(crate) id: String,
    pub(crate) clients: Clients,
    /// Clients by nickname; of those that are not registered yet, too.
    pub(crate) nicks: Names<Client>,
    pub(crate) channels: Arena<Channel>,
    /// Numbers of channels by name.
    pub(crate) channel_names: Names<u64>,
    pub(crate) watches: Names<Watch>,
    /// Who has gone, the last first.
    pub(crate) whowas: VecDeque<Gone>,
    /// When clients have to be looked at.
    pub(crate) dues: BTreeSet<(u64, Client)>,
    pub(crate) counts: Counts,
    pub(crate) questions: Questions,
    /// Clients whose replies are sent in parts, and who take more.
    pub(crate) listings: VecDeque<Client>,
    /// Clients whose lines wait for actions to be taken.
    pub(crate) queued: VecDeque<Client>,
    /// Sets of mechanisms that clients have.
    pub(crate) mechanisms: Vec<Rc<[String]>>,
    /// Messages that were sent, for their ids.
    pub(crate) messages: u64,
    /// The last walk over clients: see `neighbours`.
    pub(crate) walk: u64,
    pub(crate) is_stopping: bool,
    /// How often each command was given.
    pub(crate) usage: Vec<u64>,
    /// What events write to. In a cell, so that a line can be made of what the tables have.
    pub(crate) out: RefCell<Output>,
    /// What is being taken.
    taken: Output,
}

/// What `LUSERS` counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) connected: usize,
    pub(crate) registered: usize,
    pub(crate) registered_most: usize,
    pub(crate) invisible: usize,
    pub(crate) operators: usize,
    pub(crate) channels: usize,
}

impl Server {
    /// A server without clients. `seed` should be what nobody can guess.
    pub fn new(config: Config, seed: u64, now: Now) -> Server {
        let seeded = Seeded(seed);
        Server {
            now,
            started: now.unix,
            id: format!("{:x}", seeded.hash_one((now.unix, "messages"))),
            clients: Clients::new(),
            nicks: Names::with_hasher(seeded),
            channels: Arena::new(),
            channel_names: Names::with_hasher(seeded),
            watches: Names::with_hasher(seeded),
            whowas: VecDeque::new(),
            dues: BTreeSet::new(),
            counts: Counts::default(),
            questions: Questions::new(),
            listings: VecDeque::new(),
            queued: VecDeque::new(),
            mechanisms: Vec::new(),
            messages: 0,
            walk: 0,
            is_stopping: false,
            usage: vec![0; crate::command::COMMANDS.len()],
            out: RefCell::new(Output::new(&config.name, config.sendq)),
            taken: Output::new(&config.name, config.sendq),
            config,
        }
    }

    /// Somebody has connected.
    pub fn connected(&mut self, peer: Peer, now: Now) -> Client {
        self.set_time(now);
        let client = self.welcome(peer);
        if self.is_stopping {
            self.leave(client, "Server is stopping", Parting::Close);
        }
        self.settle();
        client
    }

    /// Bytes came from a client. How they are cut means nothing.
    pub fn received(&mut self, of: Client, data: &[u8], now: Now) {
        self.set_time(now);
        self.input(of, data);
        self.settle();
    }

    /// A client's connection has ended.
    pub fn lost(&mut self, of: Client, reason: &str, now: Now) {
        self.set_time(now);
        self.leave(of, reason, Parting::Lost);
        self.settle();
    }

    /// A client's transport takes no more: what is sent from now on counts against `sendq`, and
    /// long replies wait until it has [`drained`](Self::drained).
    pub fn full(&mut self, of: Client) {
        if let Some(session) = self.clients.get(of)
            && session.queued.get().is_none()
        {
            session.queued.set(Some(0));
        }
    }

    /// A client's transport takes bytes again.
    pub fn drained(&mut self, of: Client, now: Now) {
        self.set_time(now);
        if let Some(session) = self.clients.get(of) {
            session.queued.set(None);
            self.go_on(of);
        }
        self.settle();
    }

    /// A client's connection is encrypted now (STARTTLS); `peer` is what is known of it since.
    pub fn secured(&mut self, of: Client, peer: Peer, now: Now) {
        self.set_time(now);
        self.encrypted(of, peer);
        self.settle();
    }

    /// A question has its answer.
    pub fn answered(&mut self, question: u64, answer: Answer, now: Now) {
        self.set_time(now);
        self.answer(question, answer);
        self.settle();
    }

    /// When [`due`](Self::due) has to be called, by the monotonic clock.
    pub fn deadline(&self) -> Option<u64> {
        self.dues.first().map(|&(due, _)| due)
    }

    /// Does what has become due.
    pub fn due(&mut self, now: Now) {
        self.set_time(now);
        self.look_at_due();
        self.settle();
    }

    /// The host is stopping: everybody has to go.
    pub fn stopping(&mut self, now: Now) {
        self.set_time(now);
        self.is_stopping = true;
        let all: Vec<Client> = self.clients.iter().map(|(client, _)| client).collect();
        for client in all {
            self.leave(client, "Server is stopping", Parting::Stop);
        }
        self.settle();
    }

    /// How many actions wait to be taken.
    pub(crate) fn waiting(&self) -> usize {
        self.taken.len() + self.out.borrow().len()
    }

    /// The next thing to be done; none where all is. Take them all after every event. Where that is
    /// too much for one event, go on in the next: while many wait, no client's line is handled.
    pub fn next_action(&mut self) -> Option<Action> {
        loop {
            if let Some(action) = self.taken.next() {
                return Some(action);
            }
            if self.out.get_mut().is_empty() {
                self.list_on();
                self.take_queued();
                self.settle();
            }
            self.taken.take_over(self.out.get_mut());
            if self.taken.is_empty() {
                return None;
            }
        }
    }

    /// The bytes that an [`Action::Send`] names, until the next action is taken.
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.taken.bytes(range)
    }

    fn set_time(&mut self, now: Now) {
        self.now = now;
        self.out.get_mut().set_time(now.unix);
    }

    /// Drops those who don't take what they are sent, which may make others so.
    fn settle(&mut self) {
        while let Some(client) = self.out.get_mut().overflowing.pop() {
            self.leave(client, "Max SendQ exceeded", Parting::Abort);
        }
    }

    /// Sends a line to a client.
    pub(crate) fn send(&self, to: Client, tags: &Tags<'_>, body: Arguments<'_>) {
        if let Some(session) = self.clients.get(to) {
            self.out.borrow_mut().send((to, session), tags, body);
        }
    }

    /// Sends a numeric to a client.
    pub(crate) fn reply(&self, to: Client, numeric: &str, rest: Arguments<'_>) {
        if let Some(session) = self.clients.get(to) {
            let (name, nick) = (&self.config.name, session.addressed());
            let body = format_args!(":{name} {numeric} {nick} {rest}");
            self.out.borrow_mut().send((to, session), &Tags::default(), body);
        }
    }

    /// Sends a line to many clients.
    pub(crate) fn relay(
        &self,
        recipients: impl Iterator<Item = Client>,
        tags: &Tags<'_>,
        body: Arguments<'_>,
    ) {
        self.out.borrow_mut().relay(&self.clients, recipients, tags, body);
    }

    /// Sends a standard reply (IRCv3's standard-replies).
    pub(crate) fn fail(&self, to: Client, what: Arguments<'_>) {
        self.line(to, format_args!("FAIL {what}"));
    }

    pub(crate) fn act(&self, action: Action) {
        self.out.borrow_mut().act(action);
    }

    /// Tells the operator something.
    pub(crate) fn log(&self, line: String) {
        self.act(Action::Log(line));
    }

    /// Seconds since 1970.
    pub(crate) fn seconds(&self) -> u64 {
        self.now.unix / 1_000
    }
}

/// How a client goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Parting {
    /// Now: it takes nothing.
    Abort,
    /// Once it has been told.
    Close,
    /// It has gone already.
    Lost,
    /// As `Close`, and everybody goes: nobody is told of the others.
    Stop,
}

/// Nanoseconds of a second.
pub(crate) const SECOND: u64 = 1_000_000_000;
