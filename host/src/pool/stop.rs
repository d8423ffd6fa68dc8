//! How work that has begun learns that nobody waits for its result any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Held by whoever waits for a piece of work. Dropping it tells the work to stop.
#[derive(Debug)]
pub struct Stop(Arc<AtomicBool>);

/// The work's side of a [`Stop`].
#[derive(Clone, Debug)]
pub struct Stopped(Arc<AtomicBool>);

impl Stop {
    /// The two sides, for a new piece of work.
    pub fn new() -> (Self, Stopped) {
        let flag = Arc::new(AtomicBool::new(false));
        (Self(Arc::clone(&flag)), Stopped(flag))
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        // It guards no other memory: the work only has to see it soon.
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Stopped {
    /// Whether nobody waits any more.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::Stop;

    #[test]
    fn work_is_stopped_once_nobody_waits() {
        let (stop, stopped) = Stop::new();
        assert!(!stopped.is_stopped());
        drop(stop);
        assert!(stopped.is_stopped());
    }
}
