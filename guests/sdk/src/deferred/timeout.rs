//! Deferreds that are given so much time.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::Deferred;
use super::chain::Step;
use crate::timers;
use crate::types::{Failure, code};

impl<T: 'static> Deferred<T> {
    /// Cancels it where it has not fired within `duration`: Twisted's `addTimeout`. A failure
    /// [`CANCELLED`](crate::code::CANCELLED) that comes of this becomes
    /// [`TIMED_OUT`](crate::code::TIMED_OUT); whatever else the canceller fires goes on as it is.
    /// Fails [`LIMIT`](crate::code::LIMIT) at once where there is no timer to be had.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use torsade_guest::{Deferred, code, testing::Clock};
    ///
    /// let clock = Clock::install();
    /// let (answer, _firing) = Deferred::<u32>::pending();
    /// let mut answer = answer.timeout(Duration::from_secs(5));
    /// clock.advance(Duration::from_secs(5));
    /// assert_eq!(answer.take().unwrap().unwrap_err().code, code::TIMED_OUT);
    /// ```
    #[track_caller]
    pub fn timeout(mut self, duration: Duration) -> Self {
        let timer = match timers::after(duration) {
            Ok(timer) => timer,
            Err(failure) => return Deferred::fail(failure),
        };
        let canceller = self.canceller();
        let is_over = Rc::new(Cell::new(false));
        let was_over = Rc::clone(&is_over);
        let timer = timer.map(move |()| {
            is_over.set(true);
            canceller.cancel();
        });
        self.link_outcome(move |outcome| {
            drop(timer);
            let timed_out = |failure: Failure| {
                let is_ours = was_over.get() && failure.code == code::CANCELLED;
                if is_ours { late(duration) } else { failure }
            };
            Step::Done(outcome.map_err(timed_out))
        })
    }
}

fn late(duration: Duration) -> Failure {
    let message = format!("it took longer than {duration:?}");
    Failure { code: code::TIMED_OUT.into(), message }
}
