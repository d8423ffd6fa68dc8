//! A connection that is made anew whenever it is lost. Knows nothing of endpoints: what connects is
//! a function, so that all of it can be tested outside of a sandbox.

use std::cell::{Cell, RefCell};
use std::mem;
use std::rc::Rc;
use std::time::Duration;

use crate::back_off::{BackOff, Retries};
use crate::deferred::{Deferred, Firing};
use crate::outgoing::Outgoing;
use crate::random;
use crate::timers::{self, DelayedCall};
use crate::types::{Failure, code};

/// How many may wait for one client's connection.
const WAITING_MAX: usize = 10_000;

/// Keeps one connection to a peer, and makes it anew when it is lost: Twisted's `ClientService`,
/// with the back-off of its `ReconnectingClientFactory`. A clone is the same client; when the last
/// one is dropped nothing more is tried, and a connection that is there goes on.
///
/// An attempt is a deferred that fires with the connection: that of
/// [`connect_protocol`](crate::endpoints::connect_protocol), or one chained to it that has greeted
/// the peer, too. A greeting that fails should close its connection; the attempt has failed then,
/// and the next one comes after a wait ([`BackOff`]).
///
/// ```no_run
/// use torsade_guest::{Deferred, NoConfig, Origin, Plugin, Protocol, ReconnectingClient};
/// use torsade_guest::{Transport, Waiting, endpoints};
///
/// struct Feed {
///     client: ReconnectingClient<Transport<Line>>,
/// }
///
/// struct Line;
///
/// impl Plugin for Feed {
///     type Config = NoConfig;
///     type Protocol = Line;
///
///     fn start(_: NoConfig) -> Result<Self, String> {
///         let client = ReconnectingClient::new(|| {
///             Deferred::from(endpoints::connect_protocol("tcp:feed.example.org:7000", |_| Line))
///         });
///         client.start_service().map_err(|failure| failure.to_string())?;
///         Ok(Feed { client })
///     }
///
///     fn build_protocol(&mut self, _: Transport<Line>, _: Origin) -> Option<Line> {
///         None
///     }
///
///     fn stopping(&mut self) {
///         self.client.stop_service().detach();
///     }
/// }
///
/// impl Protocol for Line {
///     fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
///         torsade_guest::info!("{} bytes of news", data.len());
///         None
///     }
/// }
/// ```
pub struct ReconnectingClient<C> {
    inner: Rc<Inner<C>>,
}

struct Inner<C> {
    /// None while it is being called.
    connect: RefCell<Option<Connect<C>>>,
    back_off: BackOff,
    retries: Cell<Retries>,
    state: RefCell<State<C>>,
    /// Whether another attempt follows one that fails, and a connection that is lost.
    continues: Cell<bool>,
    /// The attempt, or the wait for the connection's end.
    under_way: RefCell<Option<Deferred<()>>>,
    /// There from the start to the end, so that a wait can't fail for want of timers.
    timer: RefCell<Option<DelayedCall>>,
    /// Each with how many failures it bears.
    waiting: RefCell<Vec<(Firing<C>, Option<u32>)>>,
    stopping: RefCell<Vec<Firing<()>>>,
}

type Connect<C> = Box<dyn FnMut() -> Deferred<C>>;

enum State<C> {
    /// Not started. Next: `Connecting`, or `Stopped`.
    New,
    /// An attempt is made. Next: `Connected`, `Waiting`, `Disconnecting`, or `Stopped`.
    Connecting,
    /// The next attempt comes later. Next: `Connecting`, or `Stopped`.
    Waiting,
    /// Next: `Waiting`, `Disconnecting`, or `Stopped`.
    Connected(C),
    /// It was stopped, and its attempt or its connection comes to an end. Next: `Stopped`, or
    /// `Restarting`.
    Disconnecting,
    /// The same, and then it starts again. Next: `Connecting`, or `Disconnecting`.
    Restarting,
    /// Next: `Connecting`.
    Stopped,
}

impl<C: Outgoing> ReconnectingClient<C> {
    /// A client that was not started, with Twisted's back-off. `connect` begins an attempt.
    pub fn new(connect: impl FnMut() -> Deferred<C> + 'static) -> Self {
        Self::with_back_off(BackOff::default(), connect)
    }

    /// The same with another back-off.
    pub fn with_back_off(
        back_off: BackOff,
        connect: impl FnMut() -> Deferred<C> + 'static,
    ) -> Self {
        let inner = Inner {
            connect: RefCell::new(Some(Box::new(connect))),
            back_off,
            retries: Cell::new(Retries::none(&back_off)),
            state: RefCell::new(State::New),
            continues: Cell::new(false),
            under_way: RefCell::default(),
            timer: RefCell::default(),
            waiting: RefCell::default(),
            stopping: RefCell::default(),
        };
        ReconnectingClient { inner: Rc::new(inner) }
    }

    /// Starts to connect, and to connect again. After [`stop_trying`](Self::stop_trying) it goes on
    /// (Twisted's `continueTrying = True`); one that is being stopped starts again once that is
    /// done. Otherwise nothing happens to one that was started.
    ///
    /// # Errors
    /// [`LIMIT`](crate::code::LIMIT) where the service's `deferreds` are all in flight: a client
    /// has one timer from its start to its end.
    pub fn start_service(&self) -> Result<(), Failure> {
        let inner = &self.inner;
        let is_at_rest = matches!(*inner.state.borrow(), State::New | State::Stopped);
        if is_at_rest {
            inner.set_timer()?;
        }
        inner.continues.set(true);
        if is_at_rest {
            inner.reset_delay();
            inner.connect();
        } else if inner.state.borrow_mut().restart() {
            inner.reset_delay();
        }
        Ok(())
    }

    /// Stops: gives up an attempt or a wait for one, and closes the connection. The deferred fires
    /// when all that is done; it need not be kept. Those who wait for a connection get a failure
    /// [`CANCELLED`](crate::code::CANCELLED).
    #[track_caller]
    pub fn stop_service(&self) -> Deferred<()> {
        let inner = &self.inner;
        inner.continues.set(false);
        let is_at_rest =
            matches!(*inner.state.borrow(), State::New | State::Waiting | State::Stopped);
        if is_at_rest {
            inner.end(None);
            return Deferred::succeed(());
        }
        let (stopped, firing) = Deferred::pending();
        {
            let mut stopping = inner.stopping.borrow_mut();
            stopping.retain(Firing::is_wanted);
            stopping.push(firing);
        }
        let before = mem::replace(&mut *inner.state.borrow_mut(), State::Disconnecting);
        match before {
            State::Connected(connection) => connection.lose_connection(),
            State::Connecting => inner.cancel_attempt(),
            // It comes to its end already.
            _ => {}
        }
        stopped
    }

    /// The connection, or the next one: Twisted's `whenConnected`. It fails with the failure of an
    /// attempt once so many have failed as `fail_after_failures` says, where it says so; with
    /// [`CANCELLED`](crate::code::CANCELLED) where the client is stopped, or stops; with the last
    /// failure where the client gives up; and with [`LIMIT`](crate::code::LIMIT) where 10,000 wait
    /// already. A connection that is there may be lost before anybody knows.
    #[track_caller]
    pub fn when_connected(&self, fail_after_failures: Option<u32>) -> Deferred<C> {
        match &*self.inner.state.borrow() {
            State::Connected(connection) => return Deferred::succeed(connection.clone()),
            State::Stopped => return Deferred::fail(stopped()),
            _ => {}
        }
        let mut waiting = self.inner.waiting.borrow_mut();
        if waiting.len() >= WAITING_MAX.min(waiting.capacity()) {
            // Before it is full, or grows: those who gave up need no place.
            waiting.retain(|(firing, _)| firing.is_wanted());
        }
        if waiting.len() >= WAITING_MAX {
            let message = format!("{WAITING_MAX} wait for the connection already");
            return Deferred::fail(Failure::new(code::LIMIT, message));
        }
        let (deferred, firing) = Deferred::pending();
        waiting.push((firing, fail_after_failures));
        deferred
    }

    /// Tries no more: gives up an attempt or a wait for one, and lets a connection be that is
    /// there: Twisted's `stopTrying`. When that is lost the client is stopped.
    pub fn stop_trying(&self) {
        self.inner.continues.set(false);
        let is_waiting = matches!(*self.inner.state.borrow(), State::Waiting);
        let is_connecting = matches!(*self.inner.state.borrow(), State::Connecting);
        if is_waiting {
            self.inner.end(None);
        } else if is_connecting {
            self.inner.cancel_attempt();
        }
    }

    /// Whether another attempt follows one that fails, and a connection that is lost: Twisted's
    /// `continueTrying`.
    pub fn continues_trying(&self) -> bool {
        self.inner.continues.get()
    }

    /// Counts failures, and waits, from the beginning again: Twisted's `resetDelay`. A connection
    /// that is made does the same.
    pub fn reset_delay(&self) {
        self.inner.reset_delay();
    }

    /// How many attempts were made in a row, after failures and lost connections, that were not
    /// followed by a connection.
    pub fn retries(&self) -> u32 {
        self.inner.retries.get().count()
    }

    /// The connection, where there is one.
    pub fn connection(&self) -> Option<C> {
        match &*self.inner.state.borrow() {
            State::Connected(connection) => Some(connection.clone()),
            _ => None,
        }
    }
}

impl<C> Clone for ReconnectingClient<C> {
    fn clone(&self) -> Self {
        ReconnectingClient { inner: Rc::clone(&self.inner) }
    }
}

impl<C> State<C> {
    /// Has one that is being stopped start again. Says whether it was.
    fn restart(&mut self) -> bool {
        let is_stopping = matches!(self, State::Disconnecting);
        if is_stopping {
            *self = State::Restarting;
        }
        is_stopping
    }
}

impl<C: Outgoing> Inner<C> {
    /// Makes an attempt.
    fn connect(self: &Rc<Self>) {
        self.become_(State::Connecting);
        let taken = self.connect.borrow_mut().take();
        let Some(mut connect) = taken else { return };
        let asked = connect();
        *self.connect.borrow_mut() = Some(connect);
        let inner = Rc::downgrade(self);
        let attempt = asked.both(move |result| {
            if let Some(inner) = inner.upgrade() {
                inner.attempted(result);
            }
            Ok(())
        });
        if attempt.is_done() {
            return;
        }
        self.keep(attempt);
        if !self.continues.get() {
            // It was stopped by the function that connects.
            self.cancel_attempt();
        }
    }

    /// Keeps what is under way, unless it is done.
    fn keep(&self, under_way: Deferred<()>) {
        if !under_way.is_done() {
            let before = self.under_way.borrow_mut().replace(under_way);
            drop(before);
        }
    }

    /// Cancels an attempt, which goes on with its failure.
    fn cancel_attempt(&self) {
        let canceller = self.under_way.borrow_mut().as_mut().map(Deferred::canceller);
        if let Some(canceller) = canceller {
            canceller.cancel();
        }
    }

    /// An attempt has ended.
    fn attempted(self: &Rc<Self>, result: Result<C, Failure>) {
        drop(self.under_way.take());
        let is_wanted = matches!(*self.state.borrow(), State::Connecting);
        match result {
            Ok(connection) if is_wanted => self.connected(&connection),
            Ok(connection) => {
                // It came all the same, after it was cancelled.
                connection.lose_connection();
                self.watch(&connection);
            }
            Err(failure) if is_wanted => self.retry(Some(failure)),
            Err(_) => self.disconnected(),
        }
    }

    fn connected(self: &Rc<Self>, connection: &C) {
        self.reset_delay();
        self.become_(State::Connected(connection.clone()));
        for (firing, _) in self.waiting.take() {
            firing.callback(connection.clone());
        }
        self.watch(connection);
    }

    /// Waits for a connection's end.
    fn watch(self: &Rc<Self>, connection: &C) {
        let inner = Rc::downgrade(self);
        let lost = connection.when_lost().both(move |_| {
            if let Some(inner) = inner.upgrade() {
                inner.lost();
            }
            Ok(())
        });
        self.keep(lost);
    }

    fn lost(self: &Rc<Self>) {
        drop(self.under_way.take());
        let was_wanted = matches!(*self.state.borrow(), State::Connected(_));
        match was_wanted {
            true => self.retry(None),
            false => self.disconnected(),
        }
    }

    /// Waits for the next attempt, unless there were enough.
    fn retry(self: &Rc<Self>, failure: Option<Failure>) {
        if !self.continues.get() {
            return self.end(failure);
        }
        let mut retries = self.retries.get();
        let delay = retries.next(&self.back_off, random::number);
        self.retries.set(retries);
        let Some(delay) = delay else {
            crate::warn!("the connection is given up after {} retries", retries.count());
            return self.end(failure);
        };
        self.become_(State::Waiting);
        let moved = self.timer.borrow().as_ref().map_or(Ok(()), |timer| timer.reset(delay));
        if let Err(failure) = moved {
            return self.end(Some(failure));
        }
        if let Some(failure) = failure {
            crate::debug!("retry {} in {delay:?}: {failure}", retries.count());
            self.tell(&failure);
        }
    }

    /// Delivers the failure of an attempt to those who bear no more.
    fn tell(&self, failure: &Failure) {
        let mut waiting = self.waiting.take();
        let had_enough = waiting.extract_if(.., |(_, bears)| {
            *bears = bears.map(|failures| failures.saturating_sub(1));
            *bears == Some(0)
        });
        let had_enough: Vec<_> = had_enough.collect();
        *self.waiting.borrow_mut() = waiting;
        for (firing, _) in had_enough {
            firing.errback(failure.clone());
        }
    }

    /// Sets the timer, far away from now.
    fn set_timer(self: &Rc<Self>) -> Result<(), Failure> {
        let inner = Rc::downgrade(self);
        let timer = timers::call_later(Duration::MAX, move || {
            if let Some(inner) = inner.upgrade() {
                inner.due();
            }
        })?;
        let before = self.timer.borrow_mut().replace(timer);
        drop(before);
        Ok(())
    }

    /// The wait for the next attempt is over.
    fn due(self: &Rc<Self>) {
        // In the place of the one that has just fired.
        let set = self.set_timer();
        let is_waiting = matches!(*self.state.borrow(), State::Waiting);
        match set {
            Err(failure) => self.end(Some(failure)),
            Ok(()) if is_waiting => self.connect(),
            Ok(()) => {}
        }
    }

    /// What was under way when the client was stopped has come to its end.
    fn disconnected(self: &Rc<Self>) {
        if !matches!(*self.state.borrow(), State::Restarting) {
            return self.end(None);
        }
        // Those who are told may stop it again.
        self.become_(State::Connecting);
        self.tell_stopped();
        let is_wanted = matches!(*self.state.borrow(), State::Connecting);
        match is_wanted {
            true => self.connect(),
            false => self.disconnected(),
        }
    }

    /// Comes to rest. Those who wait for a connection get the failure, or that it was stopped.
    fn end(&self, failure: Option<Failure>) {
        self.continues.set(false);
        self.become_(State::Stopped);
        drop((self.under_way.take(), self.timer.take()));
        let failure = failure.unwrap_or_else(stopped);
        for (firing, _) in self.waiting.take() {
            firing.errback(failure.clone());
        }
        self.tell_stopped();
    }

    fn tell_stopped(&self) {
        for firing in self.stopping.take() {
            firing.callback(());
        }
    }

    fn reset_delay(&self) {
        self.retries.set(Retries::none(&self.back_off));
    }

    /// Goes on to another state. What the one before had is dropped outside of the borrow.
    fn become_(&self, state: State<C>) {
        let before = mem::replace(&mut *self.state.borrow_mut(), state);
        drop(before);
    }
}

fn stopped() -> Failure {
    Failure::new(code::CANCELLED, "the client is stopped")
}
