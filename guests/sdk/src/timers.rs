//! Twisted's `callLater`, as a deferred and as a call that can be moved.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::bindings::torsade::plugin::timers as host;
use crate::clock;
use crate::deferred::{Canceller, Deferred, Waiting};
use crate::testing::{self, Time};
use crate::types::{Failure, code};

/// A deferred that fires once at least `delay` has passed; zero fires in the next turn of the
/// reactor. More than 584 years are 584 years.
///
/// # Errors
/// [`LIMIT`](crate::code::LIMIT) where the service's `deferreds` are all in flight.
#[track_caller]
pub fn after(delay: Duration) -> Result<Deferred<()>, Failure> {
    match testing::time() {
        None => Ok(Deferred::new(host::after(nanoseconds(delay))?, host::elapsed)),
        Some(time) => Ok(time.after(delay).1),
    }
}

/// A timer of the host's that is only ever cancelled, and what cancels it; none where the host has
/// no more.
pub(crate) fn gate() -> Option<(Waiting, Canceller)> {
    let gate = Waiting::from(Deferred::new(host::after(u64::MAX).ok()?, host::elapsed));
    let canceller = gate.canceller();
    Some((gate, canceller))
}

/// Calls a function once at least `delay` has passed: Twisted's `callLater`.
///
/// ```
/// use std::time::Duration;
///
/// use torsade_guest::{Queue, testing::Clock, timers};
///
/// let (clock, queue) = (Clock::install(), Queue::new());
/// let ring = queue.clone();
/// let call = timers::call_later(Duration::from_secs(1), move || drop(ring.put("ring"))).unwrap();
/// call.reset(Duration::from_secs(3)).unwrap();
/// clock.advance(Duration::from_secs(2));
/// assert!(call.is_active() && queue.is_empty());
/// clock.advance(Duration::from_secs(1));
/// assert!(!call.is_active() && queue.len() == 1);
/// ```
///
/// # Errors
/// [`LIMIT`](crate::code::LIMIT) where the service's `deferreds` are all in flight.
#[track_caller]
pub fn call_later(delay: Duration, call: impl FnOnce() + 'static) -> Result<DelayedCall, Failure> {
    let due = Cell::new(clock::monotonic().saturating_add(delay));
    let time = testing::time();
    let (id, timer) = match &time {
        None => {
            let handle = host::after(nanoseconds(delay))?;
            (handle.id(), Deferred::new(handle, host::elapsed))
        }
        Some(time) => time.after(delay),
    };
    let state = Rc::new(Cell::new(State::Active));
    let called = Rc::clone(&state);
    let timer = timer.map(move |()| {
        called.set(State::Called);
        call();
    });
    // It fails only where a test's clock is gone.
    let timer = timer.catch(|_| Ok(()));
    Ok(DelayedCall { id, time, timer: Cell::new(Some(timer)), state, due })
}

/// A call that is yet to come: Twisted's `IDelayedCall`. Dropping it cancels the call.
#[must_use = "dropping a delayed call cancels it; `detach` lets it come"]
pub struct DelayedCall {
    /// The timer's number, with the host or with the clock of a test.
    id: u64,
    time: Option<Rc<dyn Time>>,
    /// None once it was cancelled.
    timer: Cell<Option<Deferred<()>>>,
    state: Rc<Cell<State>>,
    due: Cell<Duration>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum State {
    Active,
    Called,
    Cancelled,
}

impl DelayedCall {
    /// When it is due, by [`clock::monotonic`].
    pub fn time(&self) -> Duration {
        self.due.get()
    }

    /// Whether it is yet to come.
    pub fn is_active(&self) -> bool {
        self.state.get() == State::Active
    }

    /// Cancels the call.
    ///
    /// # Errors
    /// [`CANCELLED`](crate::code::CANCELLED) where it was cancelled, and
    /// [`CLOSED`](crate::code::CLOSED) where it was called (Twisted's `AlreadyCancelled` and
    /// `AlreadyCalled`).
    pub fn cancel(&self) -> Result<(), Failure> {
        self.check()?;
        self.state.set(State::Cancelled);
        drop(self.timer.take());
        Ok(())
    }

    /// Has it called once `delay` has passed from now, whatever was said before.
    ///
    /// # Errors
    /// As [`cancel`](Self::cancel).
    pub fn reset(&self, delay: Duration) -> Result<(), Failure> {
        self.check()?;
        self.due.set(clock::monotonic().saturating_add(delay));
        match &self.time {
            None => host::reschedule(self.id, nanoseconds(delay)),
            Some(time) => time.reschedule(self.id, delay),
        }
        Ok(())
    }

    /// Has it called so much later than was said before.
    ///
    /// # Errors
    /// As [`cancel`](Self::cancel).
    pub fn delay(&self, by: Duration) -> Result<(), Failure> {
        let due = self.due.get().saturating_add(by);
        self.reset(due.saturating_sub(clock::monotonic()))
    }

    /// Lets the call come without a handle.
    pub fn detach(self) {
        if let Some(timer) = self.timer.take() {
            timer.detach();
        }
    }

    fn check(&self) -> Result<(), Failure> {
        let (code, what) = match self.state.get() {
            State::Active => return Ok(()),
            State::Called => (code::CLOSED, "the call was made"),
            State::Cancelled => (code::CANCELLED, "the call was cancelled"),
        };
        Err(Failure { code: code.into(), message: what.into() })
    }
}

fn nanoseconds(delay: Duration) -> u64 {
    u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX)
}
