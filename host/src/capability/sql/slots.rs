//! Things that threads take in turn, and how long one waits for them.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::Failure;
use crate::pool::Stopped;

/// When a piece of work has to end.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    stopped: Stopped,
    /// None where the time is beyond what the clock counts.
    deadline: Option<Instant>,
    allowed: Duration,
}

impl Watch {
    /// Ends once `stopped` says so, or `allowed` from now.
    pub(super) fn new(stopped: &Stopped, allowed: Duration) -> Self {
        let deadline = Instant::now().checked_add(allowed);
        Self { stopped: stopped.clone(), deadline, allowed }
    }

    /// Why the work has to end, if it has.
    pub(super) fn over(&self) -> Option<Failure> {
        if self.stopped.is_stopped() {
            return Some(Failure::cancelled());
        }
        let late = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        late.then(|| self.late())
    }

    /// The failure of work that took too long.
    pub(super) fn late(&self) -> Failure {
        let message = format!("limits.query-time: it took longer than {:?}", self.allowed);
        Failure { limit: Some("query-time"), ..Failure::new("timed-out", message) }
    }
}

/// As many values as were put in. Whoever takes one has it alone.
pub(super) struct Slots<T> {
    free: Mutex<Vec<T>>,
    /// A value was given back.
    given: Condvar,
}

impl<T> Slots<T> {
    pub(super) fn new(values: Vec<T>) -> Self {
        Self { free: Mutex::new(values), given: Condvar::new() }
    }

    /// Waits for a free value, at most until `watch` is over.
    pub(super) fn take(&self, watch: &Watch) -> Result<Taken<'_, T>, Failure> {
        let mut free = self.lock();
        loop {
            if let Some(failure) = watch.over() {
                return Err(failure);
            }
            if let Some(value) = free.pop() {
                return Ok(Taken { value: Some(value), of: self });
            }
            let waited = self.given.wait_timeout(free, LOOK_AGAIN);
            (free, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        // A vector that values move in and out of is whole after a panic too.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A value that was taken. It goes back when this is dropped.
pub(super) struct Taken<'a, T> {
    value: Option<T>,
    of: &'a Slots<T>,
}

impl<T> Deref for Taken<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect(THERE)
    }
}

impl<T> DerefMut for Taken<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect(THERE)
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            self.of.lock().push(value);
            self.of.given.notify_one();
        }
    }
}

const THERE: &str = "the value is there until it is dropped";

/// How often one who waits looks whether anybody waits for him.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(10);
