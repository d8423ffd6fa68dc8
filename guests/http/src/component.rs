//! Joins the server of files to the host.
//!
//! Who the users are is a parameter: a component imports what its code calls, and a site without
//! users is not to need the grant for them.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use torsade_guest::files::{Entry, File};
use torsade_guest::{
    Deferred, Origin, Plugin, Protocol, Transport, Waiting, clock, code, files, timers,
};

use crate::config::Config;
use crate::conversation::{Conversation, Peer, Question, Unsent};
use crate::file::{Kind, Metadata};
use crate::listing;
use crate::places::Places;
use crate::protection::Login;
use crate::session::Failure;
use crate::site::Site;
use crate::user::Stranger;

/// Who the users of a site are.
pub trait Users: Sized + 'static {
    /// Says what of a configuration can't be done, if anything.
    ///
    /// # Errors
    /// A sentence for the operator.
    fn check(config: &Config) -> Result<(), String>;

    /// Asks whether a name and a password are a user's, and which.
    ///
    /// # Errors
    /// What is known at once.
    fn verify(of: &Peered<Self>, login: Option<Login>) -> Result<Deferred<String>, Stranger>;
}

/// There are none.
#[derive(Debug)]
pub struct Nobody;

impl Users for Nobody {
    fn check(config: &Config) -> Result<(), String> {
        let host = config.hosts.iter().find(|(_, host)| host.auth.is_some());
        let key = match host {
            _ if !config.auth.is_empty() => "auth".to_owned(),
            Some((name, _)) => format!("hosts.\"{name}\".auth"),
            None => return Ok(()),
        };
        Err(format!("{key}: this plugin knows no users; guests/http-users is the same with them"))
    }

    fn verify(_: &Peered<Self>, _: Option<Login>) -> Result<Deferred<String>, Stranger> {
        Err(Stranger::Unsure)
    }
}

/// An instance: one site, and all connections to it.
pub struct Server<U: Users> {
    shared: Rc<RefCell<Shared<U>>>,
}

/// What the connections of an instance share.
struct Shared<U: Users> {
    site: Site<File>,
    /// When the second of the day will be another, by the monotonic clock.
    next_second: u64,
    second: i64,
    connections: Places<Peered<U>>,
    /// Fires when the deadline of a connection may have passed, and when that is, in nanoseconds.
    /// It is not moved when the deadline moves to a later time, so that most requests and most
    /// connections need no timer.
    alarm: Option<(u64, Waiting)>,
}

impl<U: Users> Plugin for Server<U> {
    type Config = Config;
    type Protocol = Serving<U>;

    fn start(config: Config) -> Result<Self, String> {
        U::check(&config)?;
        let site = Site::new(&config)?;
        let connections = Places::default();
        let shared = Shared { site, next_second: 0, second: 0, connections, alarm: None };
        Ok(Self { shared: Rc::new(RefCell::new(shared)) })
    }

    fn build_protocol(&mut self, transport: Peered<U>, _: Origin) -> Option<Serving<U>> {
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

impl<U: Users> Shared<U> {
    /// Tells the site what time it is, and returns it in nanoseconds.
    fn look_at_clock(&mut self) -> u64 {
        let now = clock::nanoseconds();
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
fn watch<U: Users>(
    all: &Rc<RefCell<Shared<U>>>,
    shared: &mut Shared<U>,
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
fn set_first_alarm<U: Users>(all: &Rc<RefCell<Shared<U>>>, shared: &mut Shared<U>, now: u64) {
    if let Some(due) = shared.connections.first_due() {
        set_alarm(all, shared, due, now);
    }
}

fn set_alarm<U: Users>(all: &Rc<RefCell<Shared<U>>>, shared: &mut Shared<U>, due: u64, now: u64) {
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
fn look_at_due<U: Users>(all: &Rc<RefCell<Shared<U>>>) {
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
pub type Peered<U> = Transport<Serving<U>>;

/// One connection's protocol. Each idle connection costs the memory of one.
pub struct Serving<U: Users> {
    transport: Peered<U>,
    conversation: Conversation,
    /// What the host is being asked while the connection is paused. Else the question itself
    /// holds the connection. Boxed, since there is hardly ever one.
    question: Option<Box<Waiting>>,
    /// The connection's place among all.
    place: usize,
    shared: Rc<RefCell<Shared<U>>>,
}

impl<U: Users> Protocol for Serving<U> {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        self.event(|conversation, site, peer| conversation.received(site, peer, data))
    }

    fn write_drained(&mut self) {
        if let Some(waiting) = self.event(Conversation::drained) {
            self.question = Some(Box::new(waiting));
        }
    }

    fn read_connection_lost(&mut self, _: &Peered<U>) {
        self.conversation.ended(&self.transport);
    }
}

impl<U: Users> Serving<U> {
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

    fn verified(&mut self, answer: Result<String, torsade_guest::Failure>) -> Option<Waiting> {
        self.question = None;
        let answer = answer.map_err(|failure| stranger(&failure));
        self.event(|conversation, site, peer| conversation.verified(site, peer, answer))
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
        event: impl FnOnce(&mut Conversation, &mut Site<File>, &Peered<U>) -> Option<Question>,
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
fn ask<U: Users>(
    site: &mut Site<File>,
    transport: &Peered<U>,
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
            Question::Verify => match U::verify(transport, conversation.login()) {
                Ok(name) => return Some(name.call_on(transport, Serving::verified)),
                Err(stranger) => conversation.verified(site, transport, Err(stranger)),
            },
        };
        question = next?;
    }
}

impl<U: Users> Drop for Serving<U> {
    fn drop(&mut self) {
        self.shared.borrow_mut().connections.remove(self.place);
    }
}

impl<U: Users> Peer<File> for Peered<U> {
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

/// Why the host knows no such user, as far as an answer tells.
pub fn stranger(failure: &torsade_guest::Failure) -> Stranger {
    match &*failure.code {
        code::DENIED | code::INVALID => Stranger::Unknown,
        code::LIMIT => Stranger::Throttled,
        code::UNSUPPORTED => Stranger::Clear,
        _ => Stranger::Unsure,
    }
}

#[cfg(feature = "component")]
torsade_guest::export!(
    Server<Nobody>,
    serves = ["http/1.1"],
    schema = include_str!("../config.schema.json"),
);
