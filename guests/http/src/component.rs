//! Joins the server of files to the host.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use torsade_guest::files::{Entry, File};
use torsade_guest::{Origin, Plugin, Protocol, Transport, Waiting, clock, code, files, timers};

use crate::config::Config;
use crate::conversation::{Conversation, Peer, Question, Unsent};
use crate::file::{Kind, Metadata};
use crate::listing;
use crate::session::Failure;
use crate::site::Site;

/// An instance: one site, and all connections to it.
struct Server {
    shared: Rc<RefCell<Shared>>,
}

struct Shared {
    site: Site<File>,
    /// When the second of the day will be another, by the monotonic clock.
    next_second: u64,
    second: i64,
    /// The open connections, each in a place of its own, so that all can be told of the end.
    connections: Vec<Option<Rc<RefCell<Connection>>>>,
    /// The places that are free.
    free: Vec<usize>,
}

impl Plugin for Server {
    type Config = Config;
    type Protocol = Serving;

    fn start(config: Config) -> Result<Self, String> {
        let site = Site::new(config)?;
        let (connections, free) = (Vec::new(), Vec::new());
        let shared = Shared { site, next_second: 0, second: 0, connections, free };
        Ok(Self { shared: Rc::new(RefCell::new(shared)) })
    }

    fn build_protocol(&mut self, transport: Transport<Serving>, _: Origin) -> Option<Serving> {
        let mut shared = self.shared.borrow_mut();
        let now = shared.look_at_clock();
        let conversation = Conversation::new(&shared.site);
        let mut connection =
            Connection { transport, conversation, timer: None, due: 0, question: None };
        connection.watch(now);
        let connection = Rc::new(RefCell::new(connection));
        let place = shared.add(Rc::clone(&connection));
        Some(Serving { connection, place, shared: Rc::clone(&self.shared) })
    }

    fn stopping(&mut self) {
        let shared = &mut *self.shared.borrow_mut();
        shared.site.stop();
        for connection in shared.connections.iter().flatten() {
            let Connection { transport, conversation, .. } = &mut *connection.borrow_mut();
            conversation.stopping(transport);
        }
    }
}

impl Shared {
    /// Tells the site what time it is, and returns it in nanoseconds.
    fn look_at_clock(&mut self) -> u64 {
        let now = u64::try_from(clock::monotonic().as_nanos()).unwrap_or(u64::MAX);
        if now >= self.next_second {
            let date = clock::now();
            self.second = date.seconds;
            self.next_second = now + u64::from(1_000_000_000 - date.nanoseconds.min(999_999_999));
        }
        self.site.set_time(now, self.second);
        now
    }

    fn add(&mut self, connection: Rc<RefCell<Connection>>) -> usize {
        match self.free.pop() {
            Some(place) => {
                self.connections[place] = Some(connection);
                place
            }
            None => {
                self.connections.push(Some(connection));
                self.connections.len() - 1
            }
        }
    }
}

/// One connection's protocol.
struct Serving {
    connection: Rc<RefCell<Connection>>,
    shared: Rc<RefCell<Shared>>,
    /// The connection's place among all.
    place: usize,
}

struct Connection {
    transport: Transport<Serving>,
    conversation: Conversation,
    /// Fires when the conversation's deadline may have passed. It is not moved when the
    /// deadline moves to a later time, so that most requests need no timer.
    timer: Option<Waiting>,
    /// When the timer fires, in nanoseconds.
    due: u64,
    /// What the host is being asked while the connection is paused. Else the question itself
    /// holds the connection.
    question: Option<Waiting>,
}

impl Protocol for Serving {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        self.event(|conversation, site, peer| conversation.received(site, peer, data))
    }

    fn write_drained(&mut self) {
        let waiting = self.event(Conversation::drained);
        if waiting.is_some() {
            self.connection.borrow_mut().question = waiting;
        }
    }

    fn read_connection_lost(&mut self, _: &Transport<Self>) {
        let Connection { transport, conversation, .. } = &mut *self.connection.borrow_mut();
        conversation.ended(transport);
    }
}

impl Serving {
    fn opened(&mut self, answer: Result<File, torsade_guest::Failure>) -> Option<Waiting> {
        let answer = answer.map_err(|failure| reason(&failure)).map(|file| {
            let metadata = file.metadata();
            (file, known(metadata))
        });
        self.event(|conversation, site, peer| conversation.opened(site, peer, answer))
    }

    fn listed(&mut self, answer: Result<Vec<Entry>, torsade_guest::Failure>) -> Option<Waiting> {
        let entry = |Entry { name, metadata }| listing::Entry { name, metadata: known(metadata) };
        let answer = answer.map_err(|failure| reason(&failure));
        let answer = answer.map(|entries| entries.into_iter().map(entry).collect());
        self.event(|conversation, site, peer| conversation.listed(site, peer, answer))
    }

    fn timer_fired(&mut self) {
        self.connection.borrow_mut().timer = None;
        self.event(|conversation, site, peer| {
            site.expire();
            if conversation.deadline().is_some_and(|deadline| deadline <= site.now()) {
                conversation.timed_out(site, peer);
            }
            None
        });
    }

    /// Runs an event of the conversation, and asks the host what it wants to know.
    fn event(
        &mut self,
        event: impl FnOnce(&mut Conversation, &mut Site<File>, &Transport<Self>) -> Option<Question>,
    ) -> Option<Waiting> {
        let shared = &mut *self.shared.borrow_mut();
        let now = shared.look_at_clock();
        let connection = &mut *self.connection.borrow_mut();
        let question = event(&mut connection.conversation, &mut shared.site, &connection.transport);
        let waiting = question.and_then(|question| connection.ask(&mut shared.site, question));
        connection.watch(now);
        if connection.conversation.is_paused() {
            // The pause holds the connection already, and ends once all is answered.
            connection.question = waiting;
            return None;
        }
        waiting
    }
}

impl Connection {
    /// Asks the host. Where it takes no more questions, the request is told so, and the next
    /// one may have another.
    fn ask(&mut self, site: &mut Site<File>, mut question: Question) -> Option<Waiting> {
        let Self { transport, conversation, .. } = self;
        loop {
            let path = conversation.path();
            let next = match question {
                Question::List => match files::list(path) {
                    Ok(list) => return Some(list.call_on(transport, Serving::listed)),
                    Err(failure) => conversation.listed(site, transport, Err(reason(&failure))),
                },
                Question::Open => match files::open(path) {
                    Ok(file) => return Some(file.call_on(transport, Serving::opened)),
                    Err(failure) => conversation.opened(site, transport, Err(reason(&failure))),
                },
            };
            question = next?;
        }
    }

    /// Sees to it that a timer fires no later than the conversation's deadline.
    fn watch(&mut self, now: u64) {
        let Some(deadline) = self.conversation.deadline() else { return };
        if self.timer.is_some() && self.due <= deadline {
            return;
        }
        // Without a timer this one is tried again with the next event.
        let delay = Duration::from_nanos(deadline.saturating_sub(now));
        self.timer = timers::after(delay).ok().map(|timer| {
            timer.call_on(&self.transport, |serving: &mut Serving, _| {
                serving.timer_fired();
                None
            })
        });
        self.due = deadline;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let mut shared = self.shared.borrow_mut();
        shared.connections[self.place] = None;
        shared.free.push(self.place);
    }
}

impl Peer<File> for Transport<Serving> {
    fn write(&self, bytes: &[u8]) {
        self.write(bytes);
    }

    fn send(&self, file: &File, offset: u64, length: u64) -> Result<(), Unsent> {
        file.send(self, offset, length).map_err(|_| Unsent)
    }

    fn room(&self) -> u64 {
        self.room()
    }

    fn pause_producing(&self) {
        self.pause_producing();
    }

    fn resume_producing(&self) {
        self.resume_producing();
    }

    fn lose_connection(&self) {
        self.lose_connection();
    }

    fn abort_connection(&self) {
        self.abort_connection();
    }

    fn log(&self, line: &str) {
        let address = self.peer_address();
        let host = if address.host.is_empty() { "-" } else { &address.host };
        torsade_guest::info!("{host} {line}");
    }
}

fn known(metadata: files::Metadata) -> Metadata {
    Metadata {
        kind: match metadata.kind {
            files::Kind::Folder => Kind::Folder,
            files::Kind::Regular => Kind::Regular,
        },
        size: metadata.size,
        seconds: metadata.modified.seconds,
        nanoseconds: metadata.modified.nanoseconds,
        inode: metadata.inode,
    }
}

/// Why the host does not do it, as far as an answer tells.
fn reason(failure: &torsade_guest::Failure) -> Failure {
    match &*failure.code {
        code::DENIED | code::NOT_FOUND => Failure::NotFound,
        code::LIMIT => Failure::Busy,
        _ => Failure::Other,
    }
}

torsade_guest::export!(Server);
