//! The half of a deferred that fires it.

use std::marker::PhantomData;
use std::mem;
use std::rc::Weak;

use super::chain::{self, Core, Outcome};
use crate::types::Failure;

/// Fires a deferred, once: made with it by [`Deferred::pending`](crate::Deferred::pending).
///
/// Once the deferred was cancelled or dropped, what comes is swallowed. Dropping this half without
/// firing fires a failure [`CANCELLED`](crate::code::CANCELLED), so that nobody waits in vain.
///
/// ```
/// use torsade_guest::Deferred;
///
/// let (deferred, firing) = Deferred::pending();
/// let mut length = deferred.map(|text: String| text.len());
/// firing.callback("a quad".to_owned());
/// assert_eq!(length.take(), Some(Ok(6)));
/// ```
#[must_use = "dropping it fires `cancelled`"]
pub struct Firing<T> {
    core: Weak<Core>,
    of: PhantomData<fn(T)>,
}

impl<T: 'static> Firing<T> {
    pub(crate) fn new(core: Weak<Core>) -> Self {
        Firing { core, of: PhantomData }
    }

    /// Fires the deferred with a value. Its callbacks are called before this returns.
    pub fn callback(self, value: T) {
        self.fire(Ok(value));
    }

    /// Fires the deferred with a failure. Its callbacks are called before this returns.
    pub fn errback(self, failure: Failure) {
        self.fire(Err(failure));
    }

    /// Fires the deferred with either.
    pub fn fire(mut self, result: Result<T, Failure>) {
        self.take_and_fire(|| result.map(|value| Box::new(value) as _));
    }

    /// Whether the deferred waits for this: it was not fired, cancelled or dropped.
    pub fn is_wanted(&self) -> bool {
        self.core.upgrade().is_some_and(|core| core.is_pending())
    }
}

impl<T> Firing<T> {
    fn take_and_fire(&mut self, outcome: impl FnOnce() -> Outcome) {
        if let Some(core) = mem::take(&mut self.core).upgrade() {
            chain::fire(core, outcome());
        }
    }
}

impl<T> Drop for Firing<T> {
    fn drop(&mut self) {
        self.take_and_fire(|| Err(chain::cancelled("what should have fired it was dropped")));
    }
}
