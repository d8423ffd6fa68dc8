//! Deferreds: results that are not there yet, and chains of callbacks on them.

mod answer;
mod calls;
mod chain;
mod firing;
mod future;
mod grave;
mod list;
mod timeout;
mod waiting;

use std::fmt::{self, Debug, Formatter};
use std::marker::PhantomData;
use std::mem;
use std::panic::Location;
use std::rc::Weak;

use crate::bindings::torsade::plugin::deferreds;
use crate::testing::{self, Question};
use crate::types::Failure;
use chain::{GivenUp, Outcome, Step, Value};

pub use answer::{Answer, Answered};
pub use firing::Firing;
pub use list::{DeferredList, ListResult};
pub use waiting::{Canceller, Waiting};

pub(crate) use chain::{Chain, Core, log_unhandled};
pub(crate) use waiting::{Held, Owner, fired};

/// A result that is not there yet: Twisted's `Deferred`.
///
/// Every question to the host (`timers::after`, `files::open`) returns one;
/// [`pending`](Deferred::pending) makes one that the plugin fires itself. Callbacks on it are a
/// chain: what one returns is what the next one gets. A failure skips those of
/// [`then`](Deferred::then) up to the next [`catch`](Deferred::catch), and what that returns goes
/// on as a value. A callback may return a deferred, and the chain waits for it.
///
/// ```
/// use torsade_guest::{Deferred, Failure, code};
///
/// let (address, firing) = Deferred::pending();
/// let mut number = address
///     .then(|quad: [u8; 4]| match quad {
///         [0, ..] => Err(Failure { code: code::NOT_FOUND.into(), message: "nowhere".into() }),
///         _ => Ok(u32::from_be_bytes(quad)),
///     })
///     .catch(|_failure| Ok(0));
/// firing.callback([127, 0, 0, 1]);
/// assert_eq!(number.take(), Some(Ok(0x7f00_0001)));
/// ```
///
/// Attach what reaches a connection's protocol with [`call_on`](Deferred::call_on), and return
/// what that gives from the event handler to hold the connection, or keep it to go on meanwhile:
///
/// ```no_run
/// use torsade_guest::{Failure, Protocol, Transport, Waiting, files};
///
/// struct Poet {
///     transport: Transport<Poet>,
/// }
///
/// impl Protocol for Poet {
///     fn data_received(&mut self, _data: &[u8]) -> Option<Waiting> {
///         let file = files::open("poem.txt").ok()?;
///         Some(file.call_on(&self.transport, Poet::opened))
///     }
/// }
///
/// impl Poet {
///     fn opened(&mut self, file: Result<files::File, Failure>) -> Option<Waiting> {
///         match file {
///             Ok(file) => self.transport.write(&file.content()?),
///             Err(failure) => self.transport.write(failure.message.as_bytes()),
///         }
///         None
///     }
/// }
/// ```
///
/// **Dropping a deferred gives it up**: what it waits for is cancelled, and callbacks that were not
/// called are dropped uncalled. [`detach`](Deferred::detach) lets it go on without a handle. A
/// failure that nobody handled is logged when it is dropped, with the place where the deferred was
/// made. A deferred is a [`Future`] too.
#[must_use = "dropping a deferred cancels it"]
pub struct Deferred<T>(Kind<T>);

/// What a deferred is made of. Next of `Asked`: `Chain`, with the first callback.
enum Kind<T> {
    /// A question to the host, without callbacks, which needs no memory of the plugin's.
    Asked { handle: deferreds::Deferred, take: fn(deferreds::Outcome) -> Result<T, Failure> },
    /// A chain whose last link gives a `T`.
    Chain(Chain, PhantomData<fn() -> T>),
}

impl<T: 'static> Deferred<T> {
    /// The deferred of a question to the host.
    pub(crate) fn new(
        handle: deferreds::Deferred,
        take: fn(deferreds::Outcome) -> Result<T, Failure>,
    ) -> Self {
        Deferred(Kind::Asked { handle, take })
    }

    /// The deferred of a question: to the bench of a test where there is one, and else to the host.
    #[track_caller]
    pub(crate) fn ask(
        question: impl FnOnce() -> Question,
        host: impl FnOnce() -> Result<deferreds::Deferred, Failure>,
        take: fn(deferreds::Outcome) -> Result<T, Failure>,
    ) -> Result<Self, Failure> {
        if cfg!(not(target_family = "wasm")) && testing::is_on_the_bench() {
            return Ok(testing::ask(question()));
        }
        host().map(|handle| Self::new(handle, take))
    }

    /// The number by which the host names a question, as [`Origin`](crate::Origin) does. None for
    /// anything else, and in a sandbox once a callback is attached.
    pub fn number(&self) -> Option<u64> {
        match &self.0 {
            Kind::Asked { handle, .. } => Some(handle.id()),
            Kind::Chain(chain, _) if cfg!(not(target_family = "wasm")) => {
                testing::number(&chain.weak())
            }
            Kind::Chain(..) => None,
        }
    }

    fn of(chain: Chain) -> Self {
        Deferred(Kind::Chain(chain, PhantomData))
    }

    /// A deferred that the plugin fires itself, and what fires it. See [`Firing`].
    #[track_caller]
    pub fn pending() -> (Self, Firing<T>) {
        let (chain, core) = Chain::pending(Location::caller());
        (Self::of(chain), Firing::new(core))
    }

    /// The same, with what is to be done when it is cancelled. The canceller may fire the deferred
    /// with another result by the `Firing` that it gets; where it doesn't, the deferred fails
    /// [`CANCELLED`](crate::code::CANCELLED). When the deferred is dropped the canceller is dropped
    /// uncalled: what it owns is given up.
    ///
    /// ```
    /// use torsade_guest::Deferred;
    ///
    /// let (mut answer, _firing) = Deferred::cancellable(|firing| firing.callback("no matter"));
    /// answer.cancel();
    /// assert_eq!(answer.take(), Some(Ok("no matter")));
    /// ```
    #[track_caller]
    pub fn cancellable(canceller: impl FnOnce(Firing<T>) + 'static) -> (Self, Firing<T>) {
        let (chain, core) = Chain::pending(Location::caller());
        let own = Firing::new(core.clone());
        if let Some(core) = core.upgrade() {
            core.set_canceller(Box::new(move || {
                canceller(own);
                GivenUp::Now
            }));
        }
        (Self::of(chain), Firing::new(core))
    }

    /// A deferred that has fired with a value.
    #[track_caller]
    pub fn succeed(value: T) -> Self {
        Self::fired(Ok(value))
    }

    /// A deferred that has fired with a failure.
    #[track_caller]
    pub fn fail(failure: Failure) -> Self {
        Self::fired(Err(failure))
    }

    #[track_caller]
    fn fired(result: Result<T, Failure>) -> Self {
        let (deferred, firing) = Self::pending();
        firing.fire(result);
        deferred
    }

    /// Calls a function now, and makes a deferred of whatever it returns: Twisted's
    /// `maybeDeferred`.
    ///
    /// ```
    /// use torsade_guest::Deferred;
    ///
    /// let mut port = Deferred::maybe(|| Ok(7));
    /// assert_eq!(port.take(), Some(Ok(7)));
    /// ```
    #[track_caller]
    pub fn maybe<A: Answer<Value = T>>(call: impl FnOnce() -> A) -> Self {
        match call().answer() {
            Answered::Now(result) => Self::fired(result),
            Answered::Later(deferred) => deferred,
        }
    }

    /// Attaches a callback for a value. A failure passes it by.
    #[track_caller]
    pub fn then<A: Answer>(self, callback: impl FnOnce(T) -> A + 'static) -> Deferred<A::Value> {
        self.link(|result| match result {
            Ok(value) => answer::step(callback(value)),
            Err(failure) => Step::Done(Err(failure)),
        })
    }

    /// Attaches a callback for a value that returns the next value, and so can't fail.
    #[track_caller]
    pub fn map<U: 'static>(self, callback: impl FnOnce(T) -> U + 'static) -> Deferred<U> {
        self.then(|value| Ok(callback(value)))
    }

    /// Attaches an errback: what it returns goes on as the value. A value passes it by.
    #[track_caller]
    pub fn catch<A>(self, errback: impl FnOnce(Failure) -> A + 'static) -> Self
    where
        A: Answer<Value = T>,
    {
        self.link_outcome(|outcome| match outcome {
            Ok(value) => Step::Done(Ok(value)),
            Err(failure) => answer::step(errback(failure)),
        })
    }

    /// Attaches a callback for either: Twisted's `addBoth`, and with a `match` its `addCallbacks`.
    #[track_caller]
    pub fn both<A: Answer>(
        self,
        callback: impl FnOnce(Result<T, Failure>) -> A + 'static,
    ) -> Deferred<A::Value> {
        self.link(|result| answer::step(callback(result)))
    }

    /// Attaches something that is done either way, and changes nothing of the result.
    #[track_caller]
    pub fn finally(self, callback: impl FnOnce() + 'static) -> Self {
        self.link_outcome(|outcome| {
            callback();
            Step::Done(outcome)
        })
    }

    #[track_caller]
    fn link<U>(self, link: impl FnOnce(Result<T, Failure>) -> Step + 'static) -> Deferred<U> {
        let chain = self.into_chain();
        chain.push(Box::new(|outcome| link(unpack(outcome))));
        Deferred(Kind::Chain(chain, PhantomData))
    }

    #[track_caller]
    fn link_outcome(self, link: impl FnOnce(Outcome) -> Step + 'static) -> Self {
        let chain = self.into_chain();
        chain.push(Box::new(link));
        Self::of(chain)
    }

    /// Calls no more callbacks until [`unpause`](Self::unpause) was called as often.
    #[track_caller]
    pub fn pause(&mut self) {
        self.chain().pause();
    }

    /// Goes on after [`pause`](Self::pause). One too many does nothing.
    #[track_caller]
    pub fn unpause(&mut self) {
        self.chain().unpause();
    }

    /// Gives up the result: what the deferred waits for is cancelled, which may be a deferred that
    /// a callback returned, and fails [`CANCELLED`](crate::code::CANCELLED), unless its canceller
    /// fires it with something else. What comes for it later is swallowed. Does nothing to a
    /// deferred that has come to its end.
    #[track_caller]
    pub fn cancel(&mut self) {
        self.canceller().cancel();
    }

    /// What cancels this deferred after it went elsewhere.
    #[track_caller]
    pub fn canceller(&mut self) -> Canceller {
        Canceller::of(self.core())
    }

    /// Lets it go on without a handle, as long as something is left that may fire it.
    #[track_caller]
    pub fn detach(self) {
        self.into_chain().keep();
    }

    /// Whether the result is there, and every callback was called.
    pub fn is_done(&self) -> bool {
        match &self.0 {
            Kind::Asked { .. } => false,
            Kind::Chain(chain, _) => chain.is_done(),
        }
    }

    /// Takes the result, where it is there: for tests. None the second time, and callbacks that are
    /// attached after that are never called.
    pub fn take(&mut self) -> Option<Result<T, Failure>> {
        match &self.0 {
            Kind::Asked { .. } => None,
            Kind::Chain(chain, _) => chain.poll(std::task::Waker::noop()).map(unpack),
        }
    }

    /// The chain behind it, made where there is none.
    #[track_caller]
    fn into_chain(self) -> Chain {
        match self.0 {
            Kind::Chain(chain, _) => chain,
            Kind::Asked { handle, take } => {
                let (chain, core) = Chain::pending(Location::caller());
                ask(handle, take, &core);
                chain
            }
        }
    }

    /// The place of the chain behind it.
    #[track_caller]
    pub(crate) fn core(&mut self) -> Weak<Core> {
        self.chain().weak()
    }

    #[track_caller]
    fn chain(&mut self) -> &Chain {
        if let Kind::Asked { .. } = self.0 {
            let (chain, core) = Chain::pending(Location::caller());
            let before = mem::replace(&mut self.0, Kind::Chain(chain, PhantomData));
            if let Kind::Asked { handle, take } = before {
                ask(handle, take, &core);
            }
        }
        match &self.0 {
            Kind::Chain(chain, _) => chain,
            Kind::Asked { .. } => unreachable!("a chain was made of it above"),
        }
    }
}

impl<T> Debug for Deferred<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Deferred")
    }
}

/// Lets the answer to a question fire a chain, which owns the question.
fn ask<T: 'static>(
    handle: deferreds::Deferred,
    take: fn(deferreds::Outcome) -> Result<T, Failure>,
    core: &Weak<Core>,
) {
    let firing = Firing::new(core.clone());
    let waiting = Waiting::asked(handle, None, move |outcome| {
        firing.fire(take(outcome));
        None
    });
    if let Some(core) = core.upgrade() {
        core.set_source(waiting);
    }
}

/// The result behind an outcome.
fn unpack<T: 'static>(outcome: Outcome) -> Result<T, Failure> {
    let value = |value: Value| value.downcast().expect("a link gets what the one before it gave");
    outcome.map(|any| *value(any))
}

/// A question that could not be asked is a deferred that has failed.
impl<T: 'static> From<Result<Deferred<T>, Failure>> for Deferred<T> {
    #[track_caller]
    fn from(asked: Result<Deferred<T>, Failure>) -> Self {
        asked.unwrap_or_else(Deferred::fail)
    }
}
