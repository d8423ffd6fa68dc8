//! Long work in slices.

use std::time::Duration;

use torsade_guest::testing::Clock;
use torsade_guest::{Cooperator, Deferred, Slice, cooperate};

use crate::{Trace, code, failure, named, value};

named![
    work_is_done_a_slice_a_turn,
    work_takes_turns,
    work_waits_for_a_deferred,
    work_ends_with_a_failure,
    work_is_paused_and_resumed,
    work_is_stopped,
    ended_work_is_closed,
    when_done_fires_for_all_who_ask,
    a_stopped_cooperator_ends_its_work,
];

/// Work of so many slices, which are traced.
fn slices(trace: &Trace, name: &'static str, slices: u32) -> impl Iterator<Item = Slice> + use<> {
    let trace = trace.clone();
    (0..slices).map(move |slice| {
        trace.add(format!("{name}{slice}"));
        None
    })
}

fn turns(clock: &Clock, turns: usize) {
    clock.pump(vec![Duration::ZERO; turns]);
}

fn work_is_done_a_slice_a_turn() {
    let (clock, trace) = (Clock::install(), Trace::default());
    let done = cooperate(slices(&trace, "a", 3)).when_done();
    assert!(trace.take().is_empty());
    turns(&clock, 1);
    assert_eq!(trace.take(), ["a0"]);
    turns(&clock, 3);
    assert_eq!(trace.take(), ["a1", "a2"]);
    value(done);
    assert_eq!(clock.pending(), 0);
}

fn work_takes_turns() {
    let (clock, trace, cooperator) = (Clock::install(), Trace::default(), Cooperator::new());
    cooperator.cooperate(slices(&trace, "a", 2));
    cooperator.cooperate(slices(&trace, "b", 2));
    turns(&clock, 6);
    assert_eq!(trace.take(), ["a0", "b0", "a1", "b1"]);
}

fn work_waits_for_a_deferred() {
    let (clock, trace) = (Clock::install(), Trace::default());
    let (deferred, firing) = Deferred::pending();
    let wait = std::iter::once(Some(deferred));
    let done = cooperate(wait.chain(slices(&trace, "a", 1))).when_done();
    turns(&clock, 3);
    assert!(trace.take().is_empty());
    firing.callback(());
    turns(&clock, 2);
    assert_eq!(trace.take(), ["a0"]);
    value(done);
}

fn work_ends_with_a_failure() {
    let clock = Clock::install();
    let fails = std::iter::once(Some(Deferred::fail(failure("io"))));
    let done = cooperate(fails.chain([None])).when_done();
    turns(&clock, 1);
    assert_eq!(code(done), "io");
}

fn work_is_paused_and_resumed() {
    let (clock, trace) = (Clock::install(), Trace::default());
    let task = cooperate(slices(&trace, "a", 2));
    task.pause().unwrap();
    turns(&clock, 2);
    assert!(trace.take().is_empty());
    task.resume().unwrap();
    assert_eq!(task.resume().unwrap_err().code, "unsupported");
    turns(&clock, 3);
    assert_eq!(trace.take(), ["a0", "a1"]);
}

fn work_is_stopped() {
    let (clock, trace) = (Clock::install(), Trace::default());
    let task = cooperate(slices(&trace, "a", 2));
    let done = task.when_done();
    task.stop().unwrap();
    turns(&clock, 2);
    assert!(trace.take().is_empty());
    assert_eq!(code(done), "stopped");
}

fn ended_work_is_closed() {
    let clock = Clock::install();
    let task = cooperate(std::iter::empty());
    turns(&clock, 1);
    for refused in [task.pause(), task.resume(), task.stop()] {
        assert_eq!(refused.unwrap_err().code, "closed");
    }
}

fn when_done_fires_for_all_who_ask() {
    let clock = Clock::install();
    let task = cooperate([None].into_iter());
    let (one, two) = (task.when_done(), task.when_done());
    turns(&clock, 2);
    value(one);
    value(two);
    value(task.when_done());
}

fn a_stopped_cooperator_ends_its_work() {
    let (clock, cooperator) = (Clock::install(), Cooperator::new());
    let done = cooperator.cooperate([None, None].into_iter()).when_done();
    cooperator.stop();
    assert_eq!(code(done), "stopped");
    assert!(!cooperator.is_running());
    assert_eq!(code(cooperator.cooperate([None].into_iter()).when_done()), "stopped");
    cooperator.start();
    let done = cooperator.cooperate([None].into_iter()).when_done();
    turns(&clock, 2);
    value(done);
}
