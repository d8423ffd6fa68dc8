//! The end of an event: what is to be done once the plugin's handler has returned.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

thread_local! {
    /// Whether an event is running, or what was left for its end.
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    static LEFT: RefCell<VecDeque<Box<dyn FnOnce()>>> = const { RefCell::new(VecDeque::new()) };
}

/// Runs an event, and then what was left for its end.
pub(crate) fn event<R>(run: impl FnOnce() -> R) -> R {
    let was_running = RUNNING.replace(true);
    let result = run();
    if !was_running {
        settle();
        RUNNING.set(false);
    }
    result
}

/// Does what was left for the end of the event.
pub(crate) fn settle() {
    while let Some(job) = LEFT.with_borrow_mut(VecDeque::pop_front) {
        job();
    }
}

/// Has something done once the running event is over, or now where none is running; one after
/// another, never one within the other.
pub(crate) fn soon(job: impl FnOnce() + 'static) {
    LEFT.with_borrow_mut(|left| left.push_back(Box::new(job)));
    if !RUNNING.get() {
        event(|| ());
    }
}
