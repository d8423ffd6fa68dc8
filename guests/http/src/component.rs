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
use crate::places::Places;
use crate::session::Failure;
use crate::site::Site;

/// An instance: one site, and all connections to it.
struct Server {
    shared: Rc<RefCell<Shared>>,
}

/// What the connections of an instance share.
struct Shared {
    site: Site<File>,
    /// When the second of the day will be another, by the monotonic clock.
    next_second: u64,
    second: i64,
    connections: Places<Peered>,
    /// Fires when the deadline of a connection may have passed, and when that is, in nanoseconds.
    /// It is not moved when the deadline moves to a later time, so that most requests and most
    /// connections need no timer.
    alarm: Option<(u64, Waiting)>,
}

impl Plugin for Server {
    type Config = Config;
    type Protocol = Serving;

    fn start(config: Config) -> Result<Self, String> {
        let site = Site::new(&config)?;
        let connections = Places::default();
        let shared = Shared { site, next_second: 0, second: 0, connections, alarm: None };
        Ok(Self { shared: Rc::new(RefCell::new(shared)) })
    }

    fn build_protocol(&mut self, transport: Peered, _: Origin) -> Option<Serving> {
        let mut shared = self.shared.borrow_mut();
        let now = shared.look_at_clock();
        let conversation = Conversation::new(&shared.site);
        let place = shared.connections.add(transport.clone());
        watch(&self.shared, &mut shared, place, conversation.deadline(), now);
        Some(Serving {
            transport,
            conversation,
            question: None,
            place,
            shared: Rc::clone(&self.shared),
        })
    }

    fn stopping(&mut self) {
        let connections = {
            let mut shared = self.shared.borrow_mut();
            shared.site.stop();
            shared.connections.all()
        };
        for transport in connections {
            transport.with_protocol(|serving| serving.conversation.stopping(&serving.transport));
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
}

/// Sees to it that the alarm fires no later than a connection's deadline. `shared` is what `all`
/// holds.
fn watch(
    all: &Rc<RefCell<Shared>>,
    shared: &mut Shared,
    place: usize,
    deadline: Option<u64>,
    now: u64,
) {
    let Some(deadline) = deadline else { return };
    shared.connections.watch(place, deadline);
    match shared.alarm {
        Some((due, _)) if due <= deadline => {}
        Some(_) => set_alarm(all, shared, deadline, now),
        // It has fired, or the host took no more deferreds.
        None => set_first_alarm(all, shared, now),
    }
}

/// Sets the alarm for the first connection that will be due, if any.
fn set_first_alarm(all: &Rc<RefCell<Shared>>, shared: &mut Shared, now: u64) {
    if let Some(due) = shared.connections.first_due() {
        set_alarm(all, shared, due, now);
    }
}

fn set_alarm(all: &Rc<RefCell<Shared>>, shared: &mut Shared, due: u64, now: u64) {
    let delay = Duration::from_nanos(due.saturating_sub(now).max(ALARM_GAP));
    let all = Rc::clone(all);
    // Without a timer this one is tried again with the next event.
    shared.alarm = timers::after(delay).ok().map(|timer| {
        let waiting = timer.call(move |_| {
            look_at_due(&all);
            None
        });
        (due, waiting)
    });
}

/// Tells the connections that are due what time it is.
fn look_at_due(all: &Rc<RefCell<Shared>>) {
    let connections = {
        let shared = &mut *all.borrow_mut();
        shared.alarm = None;
        let now = shared.look_at_clock();
        shared.site.expire();
        let connections = shared.connections.take_due(now);
        set_first_alarm(all, shared, now);
        connections
    };
    for transport in connections {
        transport.with_protocol(Serving::due);
    }
}

/// The least time between two looks at all connections, in nanoseconds: so much may a timeout
/// be late, so that looking costs little however many there are.
const ALARM_GAP: u64 = 100_000_000;

/// The transport of a connection whose protocol this is.
type Peered = Transport<Serving>;

/// One connection's protocol. Each idle connection costs the memory of one.
struct Serving {
    transport: Peered,
    conversation: Conversation,
    /// What the host is being asked while the connection is paused. Else the question itself
    /// holds the connection. Boxed, since there is hardly ever one.
    question: Option<Box<Waiting>>,
    /// The connection's place among all.
    place: usize,
    shared: Rc<RefCell<Shared>>,
}

impl Protocol for Serving {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        self.event(|conversation, site, peer| conversation.received(site, peer, data))
    }

    fn write_drained(&mut self) {
        if let Some(waiting) = self.event(Conversation::drained) {
            self.question = Some(Box::new(waiting));
        }
    }

    fn read_connection_lost(&mut self, _: &Peered) {
        self.conversation.ended(&self.transport);
    }
}

impl Serving {
    fn opened(&mut self, answer: Result<File, torsade_guest::Failure>) -> Option<Waiting> {
        self.question = None;
        let answer = answer.map_err(|failure| reason(&failure)).map(|file| {
            let metadata = file.metadata();
            (file, known(metadata))
        });
        self.event(|conversation, site, peer| conversation.opened(site, peer, answer))
    }

    fn listed(&mut self, answer: Result<Vec<Entry>, torsade_guest::Failure>) -> Option<Waiting> {
        self.question = None;
        let entry = |Entry { name, metadata }| listing::Entry { name, metadata: known(metadata) };
        let answer = answer.map_err(|failure| reason(&failure));
        let answer = answer.map(|entries| entries.into_iter().map(entry).collect());
        self.event(|conversation, site, peer| conversation.listed(site, peer, answer))
    }

    /// The deadline may have passed.
    fn due(&mut self) {
        // With a deadline nothing is asked, so nothing comes to wait for.
        let _ = self.event(|conversation, site, peer| {
            if conversation.deadline().is_some_and(|deadline| deadline <= site.now()) {
                conversation.timed_out(site, peer);
            }
            None
        });
    }

    /// Runs an event of the conversation, and asks the host what it wants to know.
    fn event(
        &mut self,
        event: impl FnOnce(&mut Conversation, &mut Site<File>, &Peered) -> Option<Question>,
    ) -> Option<Waiting> {
        let shared = &mut *self.shared.borrow_mut();
        let now = shared.look_at_clock();
        let Self { transport, conversation, .. } = self;
        let question = event(conversation, &mut shared.site, transport);
        let asked = |question| ask(&mut shared.site, transport, conversation, question);
        let waiting = question.and_then(asked);
        watch(&self.shared, shared, self.place, conversation.deadline(), now);
        if conversation.is_paused() && waiting.is_some() {
            // The pause holds the connection already, and ends once all is answered.
            self.question = waiting.map(Box::new);
            return None;
        }
        waiting
    }
}

/// Asks the host. Where it takes no more questions, the request is told so, and the next one
/// may have another.
fn ask(
    site: &mut Site<File>,
    transport: &Peered,
    conversation: &mut Conversation,
    mut question: Question,
) -> Option<Waiting> {
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

impl Drop for Serving {
    fn drop(&mut self) {
        self.shared.borrow_mut().connections.remove(self.place);
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
