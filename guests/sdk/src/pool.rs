//! Connections that are kept for those who come next. Knows nothing of endpoints but their text:
//! what connects is a function, so that all of it can be tested outside of a sandbox.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::ops::Deref;
use std::rc::{Rc, Weak};
use std::time::Duration;

use crate::deferred::{Deferred, Firing};
use crate::outgoing::Outgoing;
use crate::timers::{self, DelayedCall};
use crate::types::{Failure, code};

/// How many connections a [`ConnectionPool`] has, and how long it keeps them.
///
/// ```
/// use torsade_guest::PoolLimits;
///
/// let one_at_a_time = PoolLimits { per_endpoint: 1, ..PoolLimits::default() };
/// assert_eq!(one_at_a_time.persistent_per_endpoint, 2);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PoolLimits {
    /// Connections to one endpoint, in use or not; who wants more waits. 8 by default.
    pub per_endpoint: usize,
    /// Connections to one endpoint that are kept while nobody uses them: Twisted's
    /// `maxPersistentPerHost`. 2 by default.
    pub persistent_per_endpoint: usize,
    /// The same for all endpoints together. 100 by default.
    pub persistent: usize,
    /// How long one is kept that nobody uses: Twisted's `cachedConnectionTimeout`. 240 s by
    /// default.
    pub cached_connection_timeout: Duration,
    /// How many may wait for a connection, of all endpoints together. 1000 by default.
    pub waiting: usize,
}

impl Default for PoolLimits {
    fn default() -> Self {
        PoolLimits {
            per_endpoint: 8,
            persistent_per_endpoint: 2,
            persistent: 100,
            cached_connection_timeout: Duration::from_secs(240),
            waiting: 1000,
        }
    }
}

/// Connections by endpoint, to be used by one after another: Twisted's `HTTPConnectionPool`, for
/// any protocol. A clone is the same pool; when the last one is dropped what it kept is closed.
///
/// ```no_run
/// use std::rc::Rc;
///
/// use torsade_guest::{ConnectionPool, Deferred, Failure, PoolLimits, Protocol, Queue, Transport};
/// use torsade_guest::{Waiting, code, endpoints};
///
/// /// A protocol of one reply to each request.
/// struct Client {
///     replies: Queue<Vec<u8>>,
/// }
///
/// impl Protocol for Client {
///     fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
///         self.replies.put(data.to_vec()).ok()?;
///         None
///     }
/// }
///
/// fn pool() -> ConnectionPool<Transport<Client>> {
///     ConnectionPool::new(PoolLimits::default(), |endpoint| {
///         let client = |_| Client { replies: Queue::bounded(1, 1) };
///         Deferred::from(endpoints::connect_protocol(endpoint, client))
///     })
/// }
///
/// async fn ask(pool: ConnectionPool<Transport<Client>>) -> Result<Vec<u8>, Failure> {
///     let connection = pool.connection("tcp:10.0.0.7:4000").await?;
///     connection.write(b"time?\n");
///     let reply = connection.with_protocol(|client| client.replies.pop());
///     let lost = || Err(Failure::new(code::LOST, "the connection is gone"));
///     let reply = Deferred::from(reply.unwrap_or_else(lost));
///     // A connection whose reply doesn't come is of no use to the next one: it is dropped here.
///     let reply = reply.await?;
///     connection.put_back();
///     Ok(reply)
/// }
/// ```
pub struct ConnectionPool<C: Outgoing> {
    inner: Rc<Inner<C>>,
}

/// A connection of a [`ConnectionPool`] that is in use.
///
/// [`put_back`](Pooled::put_back) it when the conversation is over, so that the next one can use
/// it. Dropping it closes it: whoever gives up in the middle of a conversation leaves an answer
/// behind that is not for the next one.
#[must_use = "dropping a connection closes it"]
pub struct Pooled<C: Outgoing> {
    /// None while it is dropped.
    entry: Option<Entry<C>>,
    pool: Weak<Inner<C>>,
}

struct Inner<C: Outgoing> {
    limits: PoolLimits,
    connect: Connect<C>,
    state: RefCell<State<C>>,
}

type Connect<C> = Box<dyn Fn(&str) -> Deferred<C>>;

struct State<C: Outgoing> {
    /// How many connections there are, or are being made or closed, by endpoint; none is 0.
    open: BTreeMap<Rc<str>, usize>,
    /// Those that nobody uses, with what ends that; the longest unused first.
    idle: VecDeque<(Entry<C>, DelayedCall)>,
    /// Those that were put back just now.
    returned: VecDeque<Entry<C>>,
    /// Those who wait for one, the longest first. Some may have given up.
    waiting: VecDeque<(Rc<str>, Firing<Pooled<C>>)>,
    /// How many connections were made.
    made: u64,
    /// Whether those who wait are being served further up the stack.
    is_serving: bool,
    is_closed: bool,
    /// Those who wait for its end.
    closing: Vec<Firing<()>>,
}

/// A connection.
struct Entry<C: Outgoing> {
    number: u64,
    connection: C,
    /// Has it forgotten when it is lost.
    lost: Deferred<()>,
    slot: Slot<C>,
}

/// One of the connections that an endpoint may have. Dropping it lets another one be made.
struct Slot<C: Outgoing> {
    endpoint: Rc<str>,
    pool: Weak<Inner<C>>,
}

impl<C: Outgoing> ConnectionPool<C> {
    /// A pool without connections. `connect` makes one to an endpoint.
    pub fn new(limits: PoolLimits, connect: impl Fn(&str) -> Deferred<C> + 'static) -> Self {
        let state = State {
            open: BTreeMap::new(),
            idle: VecDeque::new(),
            returned: VecDeque::new(),
            waiting: VecDeque::new(),
            made: 0,
            is_serving: false,
            is_closed: false,
            closing: Vec::new(),
        };
        let state = RefCell::new(state);
        ConnectionPool { inner: Rc::new(Inner { limits, connect: Box::new(connect), state }) }
    }

    /// A connection to an endpoint: one that nobody uses, the last used first, or a new one, or the
    /// first that others put back or lose. To cancel or to drop the deferred is to want none.
    ///
    /// It fails as `connect` does; with [`LIMIT`](crate::code::LIMIT) where too many wait, and with
    /// [`CLOSED`](crate::code::CLOSED) where the pool is closed, or is being closed.
    #[track_caller]
    pub fn connection(&self, endpoint: &str) -> Deferred<Pooled<C>> {
        if self.inner.state.borrow().is_closed {
            return Deferred::fail(closed());
        }
        if let Some(entry) = self.inner.take_idle(endpoint) {
            return Deferred::succeed(self.inner.pooled(entry));
        }
        let endpoint = Rc::from(endpoint);
        match self.inner.slot(&endpoint) {
            Some(slot) => self.inner.connect(slot),
            None => self.inner.wait(endpoint),
        }
    }

    /// Closes the connections that nobody uses, and the others when they are put back. The deferred
    /// fires when all are gone: Twisted's `closeCachedConnections`. It need not be kept. Those who
    /// wait for a connection get a failure [`CLOSED`](crate::code::CLOSED).
    #[track_caller]
    pub fn close(&self) -> Deferred<()> {
        let (gone, firing) = Deferred::pending();
        let (idle, waiting) = {
            let mut state = self.inner.state.borrow_mut();
            state.is_closed = true;
            state.closing.retain(Firing::is_wanted);
            state.closing.push(firing);
            (mem::take(&mut state.idle), mem::take(&mut state.waiting))
        };
        for (entry, _) in idle {
            entry.close();
        }
        for (_, firing) in waiting {
            firing.errback(closed());
        }
        self.inner.tell_closed();
        gone
    }

    /// How many connections are kept that nobody uses.
    pub fn idle(&self) -> usize {
        self.inner.state.borrow().idle.len()
    }

    /// How many connections there are in all, or are being made or closed.
    pub fn open(&self) -> usize {
        self.inner.state.borrow().open.values().sum()
    }
}

impl<C: Outgoing> Clone for ConnectionPool<C> {
    fn clone(&self) -> Self {
        ConnectionPool { inner: Rc::clone(&self.inner) }
    }
}

impl<C: Outgoing> Pooled<C> {
    /// Gives it to the one who has waited longest, or keeps it for the next. One that is lost is
    /// forgotten, and one more than the limits allow is closed.
    pub fn put_back(mut self) {
        let Some(entry) = self.entry.take() else { return };
        match self.pool.upgrade() {
            Some(pool) => {
                pool.state.borrow_mut().returned.push_back(entry);
                pool.serve();
            }
            None => entry.close(),
        }
    }
}

impl<C: Outgoing> Deref for Pooled<C> {
    type Target = C;

    fn deref(&self) -> &C {
        let entry = self.entry.as_ref();
        &entry.expect("only dropping it, or putting it back, takes its connection").connection
    }
}

impl<C: Outgoing> Drop for Pooled<C> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            entry.close();
        }
    }
}

impl<C: Outgoing> Inner<C> {
    fn pooled(self: &Rc<Self>, entry: Entry<C>) -> Pooled<C> {
        Pooled { entry: Some(entry), pool: Rc::downgrade(self) }
    }

    /// A slot for a new connection, where the endpoint may have one more.
    fn slot(self: &Rc<Self>, endpoint: &Rc<str>) -> Option<Slot<C>> {
        let mut state = self.state.borrow_mut();
        let open = state.open.get(endpoint).copied().unwrap_or(0);
        if open >= self.limits.per_endpoint.max(1) {
            return None;
        }
        state.open.insert(Rc::clone(endpoint), open + 1);
        Some(Slot { endpoint: Rc::clone(endpoint), pool: Rc::downgrade(self) })
    }

    #[track_caller]
    fn connect(self: &Rc<Self>, slot: Slot<C>) -> Deferred<Pooled<C>> {
        let pool = Rc::downgrade(self);
        let connected = (self.connect)(&slot.endpoint);
        connected.then(move |connection| match pool.upgrade() {
            Some(pool) if !pool.state.borrow().is_closed => {
                Ok(pool.pooled(pool.entry(connection, slot)))
            }
            _ => {
                lose(&connection, connection.when_lost(), slot);
                Err(closed())
            }
        })
    }

    fn entry(self: &Rc<Self>, connection: C, slot: Slot<C>) -> Entry<C> {
        let number = self.state.borrow().made;
        self.state.borrow_mut().made += 1;
        let pool = Rc::downgrade(self);
        let lost = connection.when_lost().map(move |()| {
            if let Some(pool) = pool.upgrade() {
                // Dropped, as it is lost.
                let _ = pool.take_number(number);
            }
        });
        Entry { number, connection, lost, slot }
    }

    #[track_caller]
    fn wait(&self, endpoint: Rc<str>) -> Deferred<Pooled<C>> {
        let mut state = self.state.borrow_mut();
        let waiting = &mut state.waiting;
        if waiting.len() >= self.limits.waiting.min(waiting.capacity()) {
            // Before it is full, or grows: those who gave up need no place.
            waiting.retain(|(_, firing)| firing.is_wanted());
        }
        if waiting.len() >= self.limits.waiting {
            let message = format!("{} wait for a connection already", self.limits.waiting);
            return Deferred::fail(Failure::new(code::LIMIT, message));
        }
        let (deferred, firing) = Deferred::pending();
        waiting.push_back((endpoint, firing));
        deferred
    }

    /// Keeps a connection that nobody uses, and closes the ones that are too many by that.
    fn keep(self: &Rc<Self>, entry: Entry<C>) {
        let (pool, number) = (Rc::downgrade(self), entry.number);
        let expire = move || {
            let expired = pool.upgrade().and_then(|pool| pool.take_number(number));
            if let Some(entry) = expired {
                entry.close();
            }
        };
        // Without a timer it would be kept for ever.
        let timer = timers::call_later(self.limits.cached_connection_timeout, expire);
        let Ok(timer) = timer else { return entry.close() };
        let endpoint = Rc::clone(&entry.slot.endpoint);
        self.state.borrow_mut().idle.push_back((entry, timer));
        while let Some(entry) = self.take_surplus(&endpoint) {
            entry.close();
        }
    }

    /// Takes out the longest unused of an endpoint, or of all, where there are too many.
    fn take_surplus(&self, endpoint: &str) -> Option<Entry<C>> {
        let mut state = self.state.borrow_mut();
        let of_endpoint = |(entry, _): &(Entry<C>, _)| *entry.slot.endpoint == *endpoint;
        let kept = state.idle.iter().filter(|idle| of_endpoint(idle)).count();
        let at = if kept > self.limits.persistent_per_endpoint {
            state.idle.iter().position(of_endpoint)?
        } else if state.idle.len() > self.limits.persistent {
            0
        } else {
            return None;
        };
        state.idle.remove(at).map(|(entry, _)| entry)
    }

    /// Takes out the connection to an endpoint that was used last.
    fn take_idle(&self, endpoint: &str) -> Option<Entry<C>> {
        let mut state = self.state.borrow_mut();
        let at = state.idle.iter().rposition(|(entry, _)| *entry.slot.endpoint == *endpoint)?;
        state.idle.remove(at).map(|(entry, _)| entry)
    }

    /// Takes out a connection that nobody uses, by its number.
    fn take_number(&self, number: u64) -> Option<Entry<C>> {
        let mut state = self.state.borrow_mut();
        let at = state.idle.iter().position(|(entry, _)| entry.number == number)?;
        state.idle.remove(at).map(|(entry, _)| entry)
    }

    /// Takes out the one who has waited longest for an endpoint, and still does.
    fn take_waiting(&self, endpoint: &str) -> Option<Firing<Pooled<C>>> {
        let mut state = self.state.borrow_mut();
        let at = state
            .waiting
            .iter()
            .position(|(wanted, firing)| **wanted == *endpoint && firing.is_wanted())?;
        state.waiting.remove(at).map(|(_, firing)| firing)
    }

    /// A slot is free again.
    fn freed(self: &Rc<Self>, endpoint: &Rc<str>) {
        {
            let mut state = self.state.borrow_mut();
            if let Some(open) = state.open.get_mut(endpoint) {
                *open -= 1;
                if *open == 0 {
                    state.open.remove(endpoint);
                }
            }
        }
        self.serve();
        self.tell_closed();
    }

    /// Hands connections that were put back to those who wait, and makes new ones for those who
    /// may have one. A loop, however deep the callbacks that put one back, or lose one.
    fn serve(self: &Rc<Self>) {
        if mem::replace(&mut self.state.borrow_mut().is_serving, true) {
            return;
        }
        loop {
            let returned = self.state.borrow_mut().returned.pop_front();
            if let Some(entry) = returned {
                self.hand_on(entry);
            } else if let Some((slot, firing)) = self.next_served() {
                let served = self.connect(slot).both(move |result| {
                    match result {
                        Ok(unwanted) if !firing.is_wanted() => unwanted.put_back(),
                        result => firing.fire(result),
                    }
                    Ok(())
                });
                served.detach();
            } else {
                break;
            }
        }
        self.state.borrow_mut().is_serving = false;
    }

    /// Gives a connection that was put back to the one who has waited longest, or keeps it.
    fn hand_on(self: &Rc<Self>, entry: Entry<C>) {
        if entry.lost.is_done() {
            return;
        }
        if self.state.borrow().is_closed {
            return entry.close();
        }
        match self.take_waiting(&entry.slot.endpoint) {
            Some(firing) => firing.callback(self.pooled(entry)),
            None => self.keep(entry),
        }
    }

    fn next_served(self: &Rc<Self>) -> Option<(Slot<C>, Firing<Pooled<C>>)> {
        let endpoint = {
            let state = self.state.borrow();
            let most = self.limits.per_endpoint.max(1);
            let may_have = |endpoint| state.open.get(endpoint).is_none_or(|open| *open < most);
            let mut waiting = state.waiting.iter();
            let served =
                waiting.find(|(endpoint, firing)| may_have(endpoint) && firing.is_wanted());
            Rc::clone(&served?.0)
        };
        let firing = self.take_waiting(&endpoint)?;
        Some((self.slot(&endpoint)?, firing))
    }

    /// Tells those who wait for the end, once it has come.
    fn tell_closed(&self) {
        let closing = {
            let mut state = self.state.borrow_mut();
            if !state.is_closed || !state.open.is_empty() {
                return;
            }
            mem::take(&mut state.closing)
        };
        for firing in closing {
            firing.callback(());
        }
    }
}

impl<C: Outgoing> Drop for Inner<C> {
    fn drop(&mut self) {
        for (entry, _) in mem::take(&mut self.state.get_mut().idle) {
            entry.close();
        }
    }
}

impl<C: Outgoing> Entry<C> {
    fn close(self) {
        lose(&self.connection, self.lost, self.slot);
    }
}

impl<C: Outgoing> Drop for Slot<C> {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.freed(&self.endpoint);
        }
    }
}

/// Closes a connection, whose slot is free when it is gone.
fn lose<C: Outgoing>(connection: &C, lost: Deferred<()>, slot: Slot<C>) {
    lost.finally(move || drop(slot)).detach();
    connection.lose_connection();
}

fn closed() -> Failure {
    Failure::new(code::CLOSED, "the pool is closed")
}
