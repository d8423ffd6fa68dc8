//! Web applications: joins one that answers whole requests to the host.
//!
//! An application is a value with a function from a request to an answer, or to a deferred of one.
//! Connections, their timers, back-pressure and the end of the host are this module's.
//!
//! ```no_run
//! use torsade_guest::NoConfig;
//! use torsade_http::application::{Application, Reply, Web};
//! use torsade_http::channel::{Request, Response};
//! use torsade_http::request::Method;
//! use torsade_http::status::Status;
//!
//! struct Hello;
//!
//! impl Application for Hello {
//!     type Config = NoConfig;
//!
//!     fn start(_: NoConfig) -> Result<Self, String> {
//!         Ok(Hello)
//!     }
//!
//!     fn answer(&mut self, request: &Request) -> Reply {
//!         match request.method() {
//!             Method::Get | Method::Head => {
//!                 Response::new(Status::Ok, "text/plain; charset=utf-8", "hello\n").into()
//!             }
//!             _ => Response::error(Status::MethodNotAllowed).with("Allow", "GET, HEAD").into(),
//!         }
//!     }
//! }
//!
//! torsade_guest::export!(Web<Hello>);
//! ```

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use torsade_guest::{
    Config, Deferred, Failure, Firing, Origin, Plugin, Protocol, Transport, Waiting, clock, error,
    timers,
};

use crate::channel::{Channel, Factory, Request, Response, Step};
use crate::config::{self, Limits};
use crate::places::Places;
use crate::status::Status;

/// What answers the requests of all connections of an instance.
pub trait Application: Sized + 'static {
    /// The service's `config` table, as [`Plugin::Config`] has it.
    type Config: Config;

    /// Called once for each instance, before anything else.
    ///
    /// # Errors
    /// A sentence for the operator, which refuses the configuration.
    fn start(config: Self::Config) -> Result<Self, String>;

    /// What must have fired before connections come, such as a schema's being made.
    fn ready(&mut self) -> Option<Waiting> {
        None
    }

    /// What a peer may take of a connection's memory and time: by default what the server of files
    /// takes by default, with bodies of at most 1 MiB.
    fn limits(&self) -> Limits {
        config::Config::default().limits()
    }

    /// Answers a request, or says what will. One that is `HEAD` is answered as if it were `GET`.
    fn answer(&mut self, request: &Request) -> Reply;
}

/// What a request comes to.
pub enum Reply {
    /// What will be the answer. Where it fails the peer is told 503, and the log why.
    Later(Deferred<Response>),
    /// The answer.
    Now(Response),
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        Self::Now(response)
    }
}

impl From<Deferred<Response>> for Reply {
    fn from(deferred: Deferred<Response>) -> Self {
        Self::Later(deferred)
    }
}

/// The plugin of an application: for [`export!`](torsade_guest::export).
pub struct Web<A> {
    shared: Rc<RefCell<Shared<A>>>,
}

/// What the connections of an instance share.
struct Shared<A> {
    application: A,
    factory: Factory,
    connections: Places<Transport<Connection<A>>>,
}

impl<A: Application> Plugin for Web<A> {
    type Config = A::Config;
    type Protocol = Connection<A>;

    fn start(config: A::Config) -> Result<Self, String> {
        let application = A::start(config)?;
        let factory = Factory::new(application.limits(), "torsade");
        let shared = Shared { application, factory, connections: Places::default() };
        Ok(Self { shared: Rc::new(RefCell::new(shared)) })
    }

    fn ready(&mut self) -> Option<Waiting> {
        self.shared.borrow_mut().application.ready()
    }

    fn build_protocol(
        &mut self,
        transport: Transport<Connection<A>>,
        _: Origin,
    ) -> Option<Connection<A>> {
        let (channel, place) = {
            let shared = &mut *self.shared.borrow_mut();
            shared.look_at_clock();
            (Channel::new(&shared.factory), shared.connections.add(transport.clone()))
        };
        let mut connection = Connection {
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
        connection.watch();
        Some(connection)
    }

    fn stopping(&mut self) {
        let connections = {
            let mut shared = self.shared.borrow_mut();
            shared.factory.stop();
            shared.connections.all()
        };
        for transport in connections {
            transport.with_protocol(Connection::stopping);
        }
    }
}

impl<A> Shared<A> {
    /// Tells the factory what time it is.
    fn look_at_clock(&mut self) {
        self.factory.set_time(clock::nanoseconds(), clock::now().seconds);
    }
}

/// One connection's protocol.
pub struct Connection<A> {
    transport: Transport<Self>,
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
    /// Fires when the peer may have taken too long, at this time in nanoseconds.
    alarm: Option<(u64, Waiting)>,
    shared: Rc<RefCell<Shared<A>>>,
}

impl<A: Application> Protocol for Connection<A> {
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

impl<A: Application> Connection<A> {
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
                Step::Answer(request) => {
                    let reply = self.shared.borrow_mut().application.answer(&request);
                    match reply {
                        Reply::Later(answer) => {
                            return Some(answer.call_on(&self.transport, Self::answered));
                        }
                        Reply::Now(response) => self
                            .step(|channel, factory, out| channel.answer(factory, &response, out)),
                    }
                }
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

    /// The answer that was waited for is there.
    fn answered(&mut self, answer: Result<Response, Failure>) -> Option<Waiting> {
        let response = answer.unwrap_or_else(|failure| {
            error!("a request can't be answered: {failure}");
            Response::error(Status::ServiceUnavailable).with("Retry-After", "1")
        });
        self.event(|channel, factory, out| channel.answer(factory, &response, out))
    }

    /// Holds the connection until the peer takes bytes again.
    fn wait_for_room(&mut self) -> Waiting {
        let (room, firing) = Deferred::pending();
        self.room = Some(firing);
        room.call_on(&self.transport, |this, _: Result<(), Failure>| this.event(Channel::resume))
    }

    /// Sees to it that the peer's time ends. The alarm is not moved when the deadline moves to a
    /// later time, so that most requests need no timer.
    fn watch(&mut self) {
        let Some(deadline) = self.channel.deadline() else { return };
        if self.alarm.as_ref().is_some_and(|(due, _)| *due <= deadline) {
            return;
        }
        let delay = Duration::from_nanos(deadline.saturating_sub(clock::nanoseconds()));
        // Without a timer this one is tried again with the next event.
        let alarm = timers::after(delay).ok();
        let alarm = alarm.map(|timer| timer.call_on(&self.transport, |this, _| this.due()));
        self.alarm = alarm.map(|alarm| (deadline, alarm));
    }

    /// The deadline may have passed.
    fn due(&mut self) -> Option<Waiting> {
        self.alarm = None;
        if !self.is_held
            && self.channel.deadline().is_some_and(|deadline| deadline <= clock::nanoseconds())
        {
            // What is too late is answered without the application, so nothing comes to wait for.
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

impl<A> Drop for Connection<A> {
    fn drop(&mut self) {
        self.shared.borrow_mut().connections.remove(self.place);
    }
}
