//! Long work, done in slices between other events.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::time::Duration;

use crate::deferred::{Deferred, Firing};
use crate::timers;
use crate::types::{Failure, code};

/// What a slice of work ends with: nothing, and the work goes on in a later turn; or a deferred for
/// which it waits before. A deferred that fails ends the work.
pub type Slice = Option<Deferred<()>>;

/// Has work done in slices: [`Cooperator::cooperate`] of the plugin's own cooperator.
///
/// ```
/// use std::time::Duration;
///
/// use torsade_guest::{cooperate, testing::Clock};
///
/// let clock = Clock::install();
/// let mut numbers = 0..1000;
/// let task = cooperate(std::iter::from_fn(move || {
///     // As much as may hold others up.
///     let slice: Vec<u32> = numbers.by_ref().take(100).collect();
///     (!slice.is_empty()).then_some(None)
/// }));
/// let done = task.when_done();
/// for _turn in 0..11 {
///     assert!(!done.is_done());
///     clock.advance(Duration::ZERO);
/// }
/// assert!(done.is_done());
/// ```
pub fn cooperate(work: impl Iterator<Item = Slice> + 'static) -> CooperativeTask {
    OWN.with(|own| own.cooperate(work))
}

thread_local! {
    static OWN: Cooperator = Cooperator::new();
}

/// Does long work in slices, one in each turn of the reactor, and one task after the other: Twisted's
/// `Cooperator`. Events come in between. When it is dropped its tasks fail
/// [`CANCELLED`](crate::code::CANCELLED).
///
/// ```
/// use std::time::Duration;
///
/// use torsade_guest::{Cooperator, testing::Clock};
///
/// let (clock, cooperator) = (Clock::install(), Cooperator::new());
/// let mut done = cooperator.cooperate([None, None].into_iter()).when_done();
/// (0..3).for_each(|_turn| clock.advance(Duration::ZERO));
/// assert_eq!(done.take(), Some(Ok(())));
/// ```
pub struct Cooperator {
    inner: Rc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The tasks that have something to do, in turn.
    queue: RefCell<VecDeque<Rc<Task>>>,
    /// Fires in the next turn, where a task has something to do.
    timer: RefCell<Option<Deferred<()>>>,
    is_stopped: Cell<bool>,
}

/// Work that a [`Cooperator`] does. A clone is the same task; dropping it changes nothing, unless
/// the task is paused, and then nobody can resume it.
#[derive(Clone)]
pub struct CooperativeTask {
    task: Rc<Task>,
}

struct Task {
    cooperator: Weak<Inner>,
    /// None during a slice, and once the task has ended.
    work: RefCell<Option<Box<dyn Iterator<Item = Slice>>>>,
    pauses: Cell<usize>,
    /// Whether it waits for a deferred that a slice returned.
    waits: RefCell<Option<Deferred<()>>>,
    is_waiting: Cell<bool>,
    is_queued: Cell<bool>,
    result: RefCell<Option<Result<(), Failure>>>,
    watched: RefCell<Vec<Firing<()>>>,
}

impl Cooperator {
    /// A cooperator without tasks.
    pub fn new() -> Self {
        Cooperator { inner: Rc::default() }
    }

    /// Takes work: each step of the iterator is a slice, and should be short.
    pub fn cooperate(&self, work: impl Iterator<Item = Slice> + 'static) -> CooperativeTask {
        let task = Rc::new(Task {
            cooperator: Rc::downgrade(&self.inner),
            work: RefCell::new(Some(Box::new(work))),
            pauses: Cell::default(),
            waits: RefCell::default(),
            is_waiting: Cell::default(),
            is_queued: Cell::default(),
            result: RefCell::default(),
            watched: RefCell::default(),
        });
        task.queue();
        CooperativeTask { task }
    }

    /// Ends all tasks that have something to do with a failure
    /// [`STOPPED`](crate::code::STOPPED), and those that come, until [`start`](Self::start).
    pub fn stop(&self) {
        self.inner.is_stopped.set(true);
        drop(self.inner.timer.take());
        self.inner.fail_all(&stopped("the cooperator was stopped"));
    }

    /// Takes work again, after [`stop`](Self::stop).
    pub fn start(&self) {
        self.inner.is_stopped.set(false);
    }

    /// Whether it takes work.
    pub fn is_running(&self) -> bool {
        !self.inner.is_stopped.get()
    }
}

impl Default for Cooperator {
    fn default() -> Self {
        Cooperator::new()
    }
}

impl CooperativeTask {
    /// Does no more slices until [`resume`](Self::resume) was called as often.
    ///
    /// # Errors
    /// [`CLOSED`](crate::code::CLOSED) where the task has ended (Twisted's `TaskFinished`).
    pub fn pause(&self) -> Result<(), Failure> {
        self.task.check()?;
        self.task.pauses.set(self.task.pauses.get() + 1);
        Ok(())
    }

    /// Goes on after [`pause`](Self::pause).
    ///
    /// # Errors
    /// [`UNSUPPORTED`](crate::code::UNSUPPORTED) where it is not paused (Twisted's `NotPaused`), and
    /// [`CLOSED`](crate::code::CLOSED) where the task has ended.
    pub fn resume(&self) -> Result<(), Failure> {
        self.task.check()?;
        let Some(pauses) = self.task.pauses.get().checked_sub(1) else {
            let message = "the task is not paused".into();
            return Err(Failure { code: code::UNSUPPORTED.into(), message });
        };
        self.task.pauses.set(pauses);
        self.task.queue();
        Ok(())
    }

    /// Ends the task: those who wait for it get a failure [`STOPPED`](crate::code::STOPPED).
    ///
    /// # Errors
    /// [`CLOSED`](crate::code::CLOSED) where the task has ended.
    pub fn stop(&self) -> Result<(), Failure> {
        self.task.check()?;
        self.task.end(Err(stopped("the task was stopped")));
        Ok(())
    }

    /// Fires when the work is done, or fails with what has ended it. To be asked as often as one
    /// likes, also after the end.
    #[track_caller]
    pub fn when_done(&self) -> Deferred<()> {
        let (deferred, firing) = Deferred::pending();
        let result = self.task.result.borrow().clone();
        match result {
            Some(result) => firing.fire(result),
            None => self.task.watched.borrow_mut().push(firing),
        }
        deferred
    }
}

fn stopped(message: &str) -> Failure {
    Failure { code: code::STOPPED.into(), message: message.into() }
}

impl Inner {
    /// Sees to it that there is a next slice.
    fn schedule(self: &Rc<Self>) {
        let is_set = self.timer.borrow().as_ref().is_some_and(|timer| !timer.is_done());
        if is_set || self.queue.borrow().is_empty() {
            return;
        }
        let inner = Rc::downgrade(self);
        let turn = move |()| {
            if let Some(inner) = inner.upgrade() {
                drop(inner.timer.take());
                inner.turn();
                inner.schedule();
            }
        };
        match timers::after(Duration::ZERO) {
            Ok(timer) => *self.timer.borrow_mut() = Some(timer.map(turn).catch(|_| Ok(()))),
            Err(failure) => self.fail_all(&failure),
        }
    }

    /// Does the next slice.
    fn turn(&self) {
        let task = self.queue.borrow_mut().pop_front();
        if let Some(task) = task {
            task.is_queued.set(false);
            task.slice();
        }
    }

    fn fail_all(&self, failure: &Failure) {
        for task in self.queue.take() {
            task.is_queued.set(false);
            task.end(Err(failure.clone()));
        }
    }
}

impl Task {
    /// Puts it behind the others where it has something to do.
    fn queue(self: &Rc<Self>) {
        let is_idle = self.pauses.get() > 0 || self.is_waiting.get() || self.is_queued.get();
        if is_idle || self.result.borrow().is_some() {
            return;
        }
        match self.cooperator.upgrade() {
            Some(cooperator) if !cooperator.is_stopped.get() => {
                self.is_queued.set(true);
                cooperator.queue.borrow_mut().push_back(Rc::clone(self));
                cooperator.schedule();
            }
            _ => self.end(Err(stopped("the cooperator was stopped"))),
        }
    }

    fn slice(self: &Rc<Self>) {
        if self.pauses.get() > 0 || self.result.borrow().is_some() {
            return;
        }
        let Some(mut work) = self.work.take() else { return };
        let slice = work.next();
        if self.result.borrow().is_some() {
            // It has stopped itself.
            return;
        }
        *self.work.borrow_mut() = Some(work);
        match slice {
            None => self.end(Ok(())),
            Some(None) => self.queue(),
            Some(Some(deferred)) => self.wait(deferred),
        }
    }

    /// Goes on once a deferred has fired. Until then the two own each other.
    fn wait(self: &Rc<Self>, deferred: Deferred<()>) {
        self.is_waiting.set(true);
        let task = Rc::clone(self);
        let waits = deferred.both(move |result| {
            task.is_waiting.set(false);
            match result {
                Ok(()) => task.queue(),
                Err(failure) => task.end(Err(failure)),
            }
            drop(task.waits.take());
            Ok(())
        });
        if !waits.is_done() {
            *self.waits.borrow_mut() = Some(waits);
        }
    }

    fn end(&self, result: Result<(), Failure>) {
        drop(self.work.take());
        drop(self.waits.take());
        let watched = self.watched.take();
        let told: Vec<_> = watched.into_iter().map(|firing| (firing, result.clone())).collect();
        *self.result.borrow_mut() = Some(result);
        told.into_iter().for_each(|(firing, result)| firing.fire(result));
    }

    fn check(&self) -> Result<(), Failure> {
        if self.result.borrow().is_none() {
            return Ok(());
        }
        Err(Failure { code: code::CLOSED.into(), message: "the task has ended".into() })
    }
}
