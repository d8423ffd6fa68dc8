//! Values on their way from those who have them to those who wait for them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::deferred::{Deferred, Firing};
use crate::types::{Failure, code};

/// A queue whose values are waited for: Twisted's `DeferredQueue`. A clone is the same queue.
///
/// ```
/// use torsade_guest::Queue;
///
/// let queue = Queue::bounded(1, 1);
/// let mut first = queue.pop().unwrap();
/// assert!(queue.pop().is_err(), "one waits already");
/// queue.put("a").unwrap();
/// assert_eq!(first.take(), Some(Ok("a")));
/// queue.put("b").unwrap();
/// assert_eq!(queue.put("c"), Err("c"), "one is in it already");
/// ```
pub struct Queue<T> {
    state: Rc<RefCell<State<T>>>,
}

struct State<T> {
    /// How many values may be in it.
    size: usize,
    /// How many may wait for one.
    backlog: usize,
    values: VecDeque<T>,
    waiting: VecDeque<Firing<T>>,
}

impl<T: 'static> Queue<T> {
    /// A queue that takes all, and lets all wait. For what a peer sends, take a bounded one.
    pub fn new() -> Self {
        Self::bounded(usize::MAX, usize::MAX)
    }

    /// A queue of at most `size` values, for whose values at most `backlog` may wait.
    pub fn bounded(size: usize, backlog: usize) -> Self {
        let (values, waiting) = (VecDeque::new(), VecDeque::new());
        Queue { state: Rc::new(RefCell::new(State { size, backlog, values, waiting })) }
    }

    /// Gives a value to the one who has waited longest, or keeps it until somebody asks.
    ///
    /// # Errors
    /// The value, where the queue is full (Twisted's `QueueOverflow`).
    pub fn put(&self, value: T) -> Result<(), T> {
        let mut state = self.state.borrow_mut();
        while let Some(firing) = state.waiting.pop_front() {
            if firing.is_wanted() {
                drop(state);
                firing.callback(value);
                return Ok(());
            }
        }
        if state.values.len() >= state.size {
            return Err(value);
        }
        state.values.push_back(value);
        Ok(())
    }

    /// The next value, once there is one: Twisted's `DeferredQueue.get`. To cancel or to drop the
    /// deferred is to wait no longer.
    ///
    /// # Errors
    /// [`LIMIT`](crate::code::LIMIT) where as many wait as may (Twisted's `QueueUnderflow`).
    #[track_caller]
    pub fn pop(&self) -> Result<Deferred<T>, Failure> {
        let mut state = self.state.borrow_mut();
        if let Some(value) = state.values.pop_front() {
            drop(state);
            return Ok(Deferred::succeed(value));
        }
        if state.waiting.len() >= state.backlog.min(state.waiting.capacity()) {
            // Before it is full, or grows: those who gave up need no place.
            state.waiting.retain(Firing::is_wanted);
        }
        if state.waiting.len() >= state.backlog {
            let message = format!("{} wait for a value of the queue already", state.backlog);
            return Err(Failure { code: code::LIMIT.into(), message });
        }
        let (deferred, firing) = Deferred::pending();
        state.waiting.push_back(firing);
        Ok(deferred)
    }

    /// How many values are in it.
    pub fn len(&self) -> usize {
        self.state.borrow().values.len()
    }

    /// Whether no value is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: 'static> Default for Queue<T> {
    fn default() -> Self {
        Queue::new()
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Queue { state: Rc::clone(&self.state) }
    }
}
