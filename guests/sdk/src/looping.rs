//! Calls that come again and again.

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use crate::clock;
use crate::deferred::{Answer, Deferred, Firing, log_unhandled};
use crate::timers;
use crate::types::{Failure, code};

/// Calls a function at an interval: Twisted's `LoopingCall`.
///
/// It doesn't drift: each call is due at the start plus a multiple of the interval, however late
/// the one before came. Calls whose time has passed meanwhile are skipped. Where the function
/// returns a deferred the next call waits for it; where that, or the function, fails, the loop ends
/// with the failure. Dropping it ends it too.
///
/// ```
/// use std::{cell::Cell, rc::Rc, time::Duration};
///
/// use torsade_guest::{LoopingCall, testing::Clock};
///
/// let (clock, ticks) = (Clock::install(), Rc::new(Cell::new(0)));
/// let counted = Rc::clone(&ticks);
/// let call = LoopingCall::with_count(move |count| {
///     counted.set(counted.get() + count);
///     Ok(())
/// });
/// let ended = call.start(Duration::from_secs(1), false);
/// clock.advance(Duration::from_secs(1));
/// clock.advance(Duration::from_secs(5));
/// assert_eq!(ticks.get(), 6);
/// call.stop();
/// assert!(ended.is_done());
/// ```
pub struct LoopingCall {
    state: Rc<State>,
}

struct State {
    made: &'static Location<'static>,
    /// None while it is being called.
    call: RefCell<Option<Call>>,
    run: RefCell<Option<Run>>,
    runs: Cell<u64>,
}

type Call = Box<dyn FnMut(u64) -> Deferred<()>>;

/// From `start` to the end.
struct Run {
    number: u64,
    interval: Duration,
    /// What all calls are counted from.
    started: Duration,
    /// The last interval for which it was called; one before the first counts as called.
    last: i128,
    firing: Firing<()>,
    /// Fires when the next call is due; none during a call.
    timer: Option<Deferred<()>>,
    /// What the function returned, while the next call waits for it.
    waits: Option<Deferred<()>>,
    is_stopping: bool,
}

impl LoopingCall {
    /// A loop that was not started.
    #[track_caller]
    pub fn new<A: Answer<Value = ()>>(mut call: impl FnMut() -> A + 'static) -> Self {
        Self::with_count(move |_| call())
    }

    /// The same, with a function that is told how many intervals have passed since it was called
    /// last: 1, or more where some were skipped. Where none has it isn't called.
    #[track_caller]
    pub fn with_count<A: Answer<Value = ()>>(mut call: impl FnMut(u64) -> A + 'static) -> Self {
        let made = Location::caller();
        let call = move |count| Deferred::maybe(|| call(count));
        let call = RefCell::new(Some(Box::new(call) as _));
        LoopingCall {
            state: Rc::new(State { made, call, run: RefCell::default(), runs: Cell::default() }),
        }
    }

    /// Starts the loop: the first call comes now, or after one interval. An interval of zero calls
    /// once in each turn of the reactor. The deferred fires when the loop is stopped, or fails with
    /// what has ended it; it need not be kept. Fails
    /// [`UNSUPPORTED`](crate::code::UNSUPPORTED) where the loop runs already.
    #[track_caller]
    pub fn start(&self, interval: Duration, now: bool) -> Deferred<()> {
        if self.state.run.borrow().is_some() {
            let message = "the looping call was started already".into();
            return Deferred::fail(Failure { code: code::UNSUPPORTED.into(), message });
        }
        let (deferred, firing) = Deferred::pending();
        let number = self.state.runs.get();
        self.state.runs.set(number + 1);
        let run = Run {
            number,
            interval,
            started: clock::monotonic(),
            last: if now { -1 } else { 0 },
            firing,
            timer: None,
            waits: None,
            is_stopping: false,
        };
        *self.state.run.borrow_mut() = Some(run);
        if now {
            self.state.call();
        } else {
            self.state.schedule();
        }
        deferred
    }

    /// Stops the loop. Where a call has returned a deferred that has not fired, the loop ends with
    /// that. Does nothing to one that doesn't run.
    pub fn stop(&self) {
        let ended = {
            let mut run = self.state.run.borrow_mut();
            match &mut *run {
                Some(Run { timer: Some(_), .. }) => run.take(),
                Some(running) => {
                    running.is_stopping = true;
                    None
                }
                None => None,
            }
        };
        if let Some(run) = ended {
            run.firing.callback(());
        }
    }

    /// Skips the call that is due next: the following one comes one interval from now, and all
    /// others are counted from now. Does nothing during a call.
    pub fn reset(&self) {
        let before = {
            let mut run = self.state.run.borrow_mut();
            let Some(run) = run.as_mut().filter(|run| run.timer.is_some()) else { return };
            (run.started, run.last) = (clock::monotonic(), 0);
            run.timer.take()
        };
        drop(before);
        self.state.schedule();
    }

    /// Whether it was started, and neither stopped nor ended by a failure.
    pub fn is_running(&self) -> bool {
        self.state.run.borrow().as_ref().is_some_and(|run| !run.is_stopping)
    }
}

impl State {
    /// Sets the timer for the next call.
    fn schedule(self: &Rc<Self>) {
        let now = clock::monotonic();
        let Some(delay) = self.run.borrow().as_ref().map(|run| run.until_next(now)) else { return };
        let state = Rc::downgrade(self);
        let due = move |()| {
            if let Some(state) = state.upgrade() {
                state.call();
            }
        };
        match timers::after(delay) {
            Ok(timer) => {
                if let Some(run) = &mut *self.run.borrow_mut() {
                    // A timer fails only where a test's clock is gone.
                    run.timer = Some(timer.map(due).catch(|_| Ok(())));
                }
            }
            Err(failure) => self.end(Err(failure)),
        }
    }

    fn call(self: &Rc<Self>) {
        let Some((number, count)) = self.begin() else { return };
        if count == 0 {
            return self.schedule();
        }
        let Some(mut call) = self.call.take() else { return };
        let answer = call(count);
        *self.call.borrow_mut() = Some(call);
        let state = Rc::downgrade(self);
        let waits = answer.both(move |result| {
            if let Some(state) = state.upgrade() {
                state.called(number, result);
            }
            Ok(())
        });
        if let (false, Some(run)) = (waits.is_done(), &mut *self.run.borrow_mut()) {
            run.waits = Some(waits);
        }
    }

    /// Begins a call: the number of the run, and how many intervals it is for.
    fn begin(&self) -> Option<(u64, u64)> {
        let mut run = self.run.borrow_mut();
        let run = run.as_mut()?;
        run.timer = None;
        Some((run.number, run.count(clock::monotonic())))
    }

    /// What a call returned has come.
    fn called(self: &Rc<Self>, number: u64, result: Result<(), Failure>) {
        let is_stopping = match &*self.run.borrow() {
            Some(run) if run.number == number => run.is_stopping,
            _ => return,
        };
        if is_stopping || result.is_err() {
            return self.end(result);
        }
        self.schedule();
    }

    fn end(&self, result: Result<(), Failure>) {
        let Some(run) = self.run.take() else { return };
        if let (Err(failure), false) = (&result, run.firing.is_wanted()) {
            log_unhandled(failure, self.made);
        }
        run.firing.fire(result);
    }
}

impl Run {
    /// How long it is to the next multiple of the interval.
    fn until_next(&self, now: Duration) -> Duration {
        let interval = self.interval.as_nanos();
        if interval == 0 {
            return Duration::ZERO;
        }
        let since = now.saturating_sub(self.started).as_nanos();
        let rest = interval - since % interval;
        u64::try_from(rest).map_or(Duration::MAX, Duration::from_nanos)
    }

    /// How many intervals have begun since the last call.
    fn count(&mut self, now: Duration) -> u64 {
        let since = now.saturating_sub(self.started).as_nanos();
        let Some(this) = since.checked_div(self.interval.as_nanos()) else { return 1 };
        let this = i128::try_from(this).unwrap_or(i128::MAX);
        let count = u64::try_from(this - self.last).unwrap_or(0);
        self.last = this;
        count
    }
}
