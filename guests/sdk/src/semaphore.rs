//! Turns at something that not everybody can have at once.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::deferred::{Answer, Deferred, Firing};

/// Lets at most so many at something at once: Twisted's `DeferredSemaphore`. A clone is the same
/// semaphore.
///
/// ```
/// use torsade_guest::Semaphore;
///
/// let semaphore = Semaphore::new(1);
/// let first = semaphore.acquire().take().unwrap().unwrap();
/// let mut second = semaphore.acquire();
/// assert!(!second.is_done());
/// drop(first);
/// assert!(second.is_done());
/// ```
#[derive(Clone)]
pub struct Semaphore {
    state: Rc<RefCell<State>>,
}

struct State {
    limit: usize,
    tokens: usize,
    /// Those who wait, the longest first. Some may have given up.
    waiting: VecDeque<Firing<Permit>>,
    /// Whether tokens are being dealt out further up the stack.
    is_dealing: bool,
}

/// A token of a [`Semaphore`], or what a [`Lock`] is held by. Dropping it gives it back.
#[must_use = "dropping a permit gives it back"]
pub struct Permit {
    of: Semaphore,
}

impl Semaphore {
    /// A semaphore of so many tokens; none is taken as one.
    pub fn new(tokens: usize) -> Self {
        let limit = tokens.max(1);
        let waiting = VecDeque::new();
        let state = State { limit, tokens: limit, waiting, is_dealing: false };
        Semaphore { state: Rc::new(RefCell::new(state)) }
    }

    /// A token, once there is one: those who came first are first. To cancel or to drop the
    /// deferred is to wait no longer.
    #[track_caller]
    pub fn acquire(&self) -> Deferred<Permit> {
        let (deferred, firing) = Deferred::pending();
        {
            let waiting = &mut self.state.borrow_mut().waiting;
            if waiting.len() == waiting.capacity() {
                // Before it grows: those who gave up need no place.
                waiting.retain(Firing::is_wanted);
            }
            waiting.push_back(firing);
        }
        self.deal();
        deferred
    }

    /// Calls a function once there is a token, and gives it back once what the function returned
    /// has come.
    ///
    /// ```
    /// use torsade_guest::{Deferred, Semaphore};
    ///
    /// let mut done = Semaphore::new(1).run(|| Deferred::succeed(7));
    /// assert_eq!(done.take(), Some(Ok(7)));
    /// ```
    #[track_caller]
    pub fn run<A: Answer>(&self, call: impl FnOnce() -> A + 'static) -> Deferred<A::Value> {
        self.acquire().then(|permit| Deferred::maybe(call).finally(|| drop(permit)))
    }

    /// How many tokens are to be had.
    pub fn tokens(&self) -> usize {
        self.state.borrow().tokens
    }

    /// How many there are in all.
    pub fn limit(&self) -> usize {
        self.state.borrow().limit
    }

    /// Hands tokens to those who wait. A loop, however deep the callbacks that give one back.
    fn deal(&self) {
        if std::mem::replace(&mut self.state.borrow_mut().is_dealing, true) {
            return;
        }
        while let Some(firing) = self.next() {
            firing.callback(Permit { of: self.clone() });
        }
        self.state.borrow_mut().is_dealing = false;
    }

    /// Takes a token for the next who still wants one.
    fn next(&self) -> Option<Firing<Permit>> {
        let mut state = self.state.borrow_mut();
        if state.tokens == 0 {
            return None;
        }
        loop {
            let firing = state.waiting.pop_front()?;
            if firing.is_wanted() {
                state.tokens -= 1;
                return Some(firing);
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.of.state.borrow_mut().tokens += 1;
        self.of.deal();
    }
}

/// Lets one at something at a time: Twisted's `DeferredLock`. A clone is the same lock.
///
/// ```
/// use torsade_guest::{Deferred, Lock};
///
/// let lock = Lock::new();
/// let (reply, firing) = Deferred::pending();
/// let first = lock.run(|| reply);
/// let second = lock.run(|| Ok("second"));
/// assert!(lock.is_locked() && !second.is_done());
/// firing.callback("first");
/// assert!(first.is_done() && second.is_done() && !lock.is_locked());
/// ```
#[derive(Clone)]
pub struct Lock(Semaphore);

impl Lock {
    /// A lock that nobody holds.
    pub fn new() -> Self {
        Lock(Semaphore::new(1))
    }

    /// The lock, once it is free: [`Semaphore::acquire`].
    #[track_caller]
    pub fn acquire(&self) -> Deferred<Permit> {
        self.0.acquire()
    }

    /// Calls a function while it has the lock: [`Semaphore::run`].
    #[track_caller]
    pub fn run<A: Answer>(&self, call: impl FnOnce() -> A + 'static) -> Deferred<A::Value> {
        self.0.run(call)
    }

    /// Whether somebody has it.
    pub fn is_locked(&self) -> bool {
        self.0.tokens() == 0
    }
}

impl Default for Lock {
    fn default() -> Self {
        Lock::new()
    }
}
