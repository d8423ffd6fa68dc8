//! Joins the guestbook to the host: its connections, its timers and its database.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use torsade_guest::sql::{self, Execution, Rows};
use torsade_guest::{
    Deferred, Failure, Firing, Origin, Plugin, Protocol, Transport, Waiting, clock, error, timers,
};
use torsade_http::channel::{Channel, Factory, Response, Step};
use torsade_http::places::Places;

use crate::book::{self, Format, Plan};
use crate::config::Config;
use crate::store;

/// An instance: one guestbook, and its connections.
struct Guestbook {
    shared: Rc<RefCell<Shared>>,
}

/// What the connections of an instance share.
struct Shared {
    config: Config,
    factory: Factory,
    connections: Places<Transport<Guest>>,
}

impl Plugin for Guestbook {
    type Config = Config;
    type Protocol = Guest;

    fn start(config: Config) -> Result<Self, String> {
        config.check()?;
        let factory = Factory::new(config.limits(), "torsade");
        let shared = Shared { config, factory, connections: Places::default() };
        Ok(Self { shared: Rc::new(RefCell::new(shared)) })
    }

    fn ready(&mut self) -> Option<Waiting> {
        let made = Deferred::from(sql::query(&store::version())).then(|version| {
            if store::is_made(&version) {
                return Deferred::succeed(());
            }
            Deferred::from(sql::batch(&store::schema())).map(drop)
        });
        // Where the schema can't be made, guests are told that the database has failed.
        let made = made.catch(|failure| {
            error!("the schema can't be made: {failure}");
            Ok(())
        });
        Some(made.into())
    }

    fn build_protocol(&mut self, transport: Transport<Guest>, _: Origin) -> Option<Guest> {
        let (channel, place) = {
            let shared = &mut *self.shared.borrow_mut();
            shared.look_at_clock();
            (Channel::new(&shared.factory), shared.connections.add(transport.clone()))
        };
        let mut guest = Guest {
            transport,
            channel,
            out: Vec::new(),
            place,
            room: None,
            is_held: false,
            is_ending: false,
            alarm: None,
            shared: Rc::clone(&self.shared),
        };
        guest.watch();
        Some(guest)
    }

    fn stopping(&mut self) {
        let connections = {
            let mut shared = self.shared.borrow_mut();
            shared.factory.stop();
            shared.connections.all()
        };
        for transport in connections {
            transport.with_protocol(Guest::stopping);
        }
    }
}

impl Shared {
    /// Tells the factory what time it is.
    fn look_at_clock(&mut self) {
        self.factory.set_time(now(), clock::now().seconds);
    }
}

/// The time in nanoseconds since an arbitrary moment.
fn now() -> u64 {
    u64::try_from(clock::monotonic().as_nanos()).unwrap_or(u64::MAX)
}

/// One connection's protocol.
struct Guest {
    transport: Transport<Guest>,
    channel: Channel,
    /// What is to be written; empty between events.
    out: Vec<u8>,
    /// The connection's place among all.
    place: usize,
    /// Fires when the peer takes bytes again; there while the next answer waits for that.
    room: Option<Firing<()>>,
    /// Whether the connection waits for something, and no data come.
    is_held: bool,
    /// Whether it is to be closed once nothing is left to answer.
    is_ending: bool,
    /// Fires when the peer may have taken too long.
    alarm: Option<Waiting>,
    shared: Rc<RefCell<Shared>>,
}

impl Protocol for Guest {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        self.event(|channel, factory, out| channel.received(factory, data, out))
    }

    fn write_drained(&mut self) {
        if let Some(room) = self.room.take() {
            room.callback(());
        }
    }

    fn read_connection_lost(&mut self, transport: &Transport<Self>) {
        self.is_ending = true;
        if !self.is_held {
            transport.lose_connection();
        }
    }
}

impl Guest {
    /// Runs an event of the channel, and does what it says.
    fn event(
        &mut self,
        event: impl FnOnce(&mut Channel, &Factory, &mut Vec<u8>) -> Step,
    ) -> Option<Waiting> {
        self.shared.borrow_mut().look_at_clock();
        let step = self.step(event);
        let waiting = self.drive(step);
        self.is_held = waiting.is_some();
        self.watch();
        waiting
    }

    fn step(&mut self, step: impl FnOnce(&mut Channel, &Factory, &mut Vec<u8>) -> Step) -> Step {
        step(&mut self.channel, &self.shared.borrow().factory, &mut self.out)
    }

    /// Does what the channel says, until it wants more bytes, or something to be waited for.
    fn drive(&mut self, mut step: Step) -> Option<Waiting> {
        loop {
            if !self.out.is_empty() {
                self.transport.write(&self.out);
                self.out = Vec::new();
            }
            step = match step {
                Step::Answer(request) => match self.ask(book::plan(&request)) {
                    Ok(waiting) => return Some(waiting),
                    Err(response) => {
                        self.step(|channel, factory, out| channel.answer(factory, &response, out))
                    }
                },
                Step::Close => {
                    self.transport.lose_connection();
                    return None;
                }
                Step::Resume if self.transport.room() == 0 => return Some(self.wait_for_room()),
                Step::Resume => self.step(Channel::resume),
                Step::Wait => {
                    if self.is_ending {
                        self.transport.lose_connection();
                    }
                    return None;
                }
            };
        }
    }

    /// Asks the database what a plan needs of it; or fails with the answer that is there already.
    fn ask(&self, plan: Plan) -> Result<Waiting, Response> {
        match plan {
            Plan::Answer(response) => Err(response),
            Plan::List(before, format) => {
                let statement = store::select(before, self.shared.borrow().config.posts_a_page);
                let rows = sql::query(&statement).map_err(|failure| failed(&failure))?;
                let listed = move |guest: &mut Self, rows| guest.listed(before, format, rows);
                Ok(rows.call_on(&self.transport, listed))
            }
            Plan::Post { name, text } => {
                let second = self.shared.borrow().factory.second();
                let post = sql::execute(&store::insert(&name, &text, second));
                let post = post.map_err(|failure| failed(&failure))?;
                Ok(post.call_on(&self.transport, Self::posted))
            }
        }
    }

    fn listed(
        &mut self,
        before: Option<i64>,
        format: Format,
        rows: Result<Rows, Failure>,
    ) -> Option<Waiting> {
        let response = match rows {
            Ok(rows) => {
                let config = &self.shared.borrow().config;
                let posts = store::posts(rows, config.posts_a_page);
                posts.map(|posts| book::listed(config, &posts, before, format))
            }
            Err(failure) => Some(failed(&failure)),
        };
        self.answer(&response.unwrap_or_else(book::failed))
    }

    /// The post is on the disk, or it is not kept.
    fn posted(&mut self, execution: Result<Execution, Failure>) -> Option<Waiting> {
        let response = match execution {
            Ok(_) => book::posted(),
            Err(failure) => failed(&failure),
        };
        self.answer(&response)
    }

    fn answer(&mut self, response: &Response) -> Option<Waiting> {
        self.event(|channel, factory, out| channel.answer(factory, response, out))
    }

    /// Holds the connection until the peer takes bytes again.
    fn wait_for_room(&mut self) -> Waiting {
        let (room, firing) = Deferred::pending();
        self.room = Some(firing);
        room.call_on(&self.transport, |guest, _: Result<(), Failure>| guest.event(Channel::resume))
    }

    /// Sees to it that the peer's time ends. The alarm is not moved when the deadline moves to a
    /// later time, so that most requests need no timer.
    fn watch(&mut self) {
        let (Some(deadline), None) = (self.channel.deadline(), &self.alarm) else { return };
        let delay = Duration::from_nanos(deadline.saturating_sub(now()));
        // Without a timer this one is tried again with the next event.
        let alarm = timers::after(delay).ok();
        self.alarm = alarm.map(|timer| timer.call_on(&self.transport, |guest, _| guest.due()));
    }

    /// The deadline may have passed.
    fn due(&mut self) -> Option<Waiting> {
        self.alarm = None;
        if !self.is_held && self.channel.deadline().is_some_and(|deadline| deadline <= now()) {
            // What is too late is answered without the database, so nothing comes to wait for.
            return self.event(Channel::timed_out);
        }
        self.watch();
        None
    }

    fn stopping(&mut self) {
        if let Step::Close = self.channel.stopping() {
            self.transport.lose_connection();
        }
    }
}

/// Tells the operator what has failed, and gives what the guest is told.
fn failed(failure: &Failure) -> Response {
    error!("the database: {failure}");
    book::failed()
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.shared.borrow_mut().connections.remove(self.place);
    }
}

torsade_guest::export!(
    Guestbook,
    serves = ["http/1.1"],
    schema = include_str!("../config.schema.json"),
);
