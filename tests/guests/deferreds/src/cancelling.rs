//! Cancelling, and time-outs.

use std::time::Duration;

use torsade_guest::testing::Clock;
use torsade_guest::{Deferred, Waiting, timers};

use crate::{Trace, code, failure, named, value};

named![
    cancelling_without_a_canceller_fails_cancelled,
    a_late_result_is_swallowed,
    cancelling_calls_the_canceller,
    a_canceller_may_fire_a_value,
    a_canceller_may_fire_a_failure,
    cancelling_twice_calls_the_canceller_once,
    cancelling_after_firing_does_nothing,
    cancelling_cancels_the_inner_deferred,
    cancelling_a_chain_runs_its_errbacks,
    an_errback_may_turn_a_cancellation_into_a_value,
    a_canceller_is_a_handle_of_its_own,
    dropping_calls_no_canceller,
    a_waiting_chain_is_cancelled,
    a_timeout_cancels,
    a_timeout_that_is_not_reached_changes_nothing,
    a_timeout_is_no_timer_any_more_once_fired,
    a_timeout_cancels_the_inner_deferred,
    a_canceller_wins_over_a_timeout,
    a_failure_in_time_is_not_timed_out,
];

fn cancelling_without_a_canceller_fails_cancelled() {
    let (mut deferred, _firing) = Deferred::<u32>::pending();
    deferred.cancel();
    assert_eq!(code(deferred), "cancelled");
}

fn a_late_result_is_swallowed() {
    let (mut deferred, firing) = Deferred::<u32>::pending();
    deferred.cancel();
    assert!(!firing.is_wanted());
    firing.callback(1);
    assert_eq!(code(deferred), "cancelled");
}

fn cancelling_calls_the_canceller() {
    let trace = Trace::default();
    let called = trace.clone();
    let (mut deferred, _firing) = Deferred::<u32>::cancellable(move |_| called.add("called"));
    deferred.cancel();
    assert_eq!(trace.take(), ["called"]);
    assert_eq!(code(deferred), "cancelled");
}

fn a_canceller_may_fire_a_value() {
    let (mut deferred, _firing) = Deferred::cancellable(|firing| firing.callback(7));
    deferred.cancel();
    assert_eq!(value(deferred), 7);
}

fn a_canceller_may_fire_a_failure() {
    let (mut deferred, _firing) =
        Deferred::<u32>::cancellable(|firing| firing.errback(failure("aborted")));
    deferred.cancel();
    assert_eq!(code(deferred), "aborted");
}

fn cancelling_twice_calls_the_canceller_once() {
    let trace = Trace::default();
    let called = trace.clone();
    let (mut deferred, _firing) = Deferred::<u32>::cancellable(move |_| called.add("called"));
    deferred.cancel();
    deferred.cancel();
    assert_eq!(trace.take(), ["called"]);
    assert_eq!(code(deferred), "cancelled");
}

fn cancelling_after_firing_does_nothing() {
    let (mut deferred, firing) = Deferred::cancellable(|_| panic!("it has fired"));
    firing.callback(1);
    deferred.cancel();
    assert_eq!(value(deferred), 1);
}

fn cancelling_cancels_the_inner_deferred() {
    let trace = Trace::default();
    let called = trace.clone();
    let (inner, _firing) = Deferred::<u32>::cancellable(move |_| called.add("inner"));
    let mut outer = Deferred::succeed(()).then(|()| inner);
    outer.cancel();
    assert_eq!(trace.take(), ["inner"]);
    assert_eq!(code(outer), "cancelled");
}

fn cancelling_a_chain_runs_its_errbacks() {
    let trace = Trace::default();
    let seen = trace.clone();
    let (deferred, _firing) = Deferred::<u32>::pending();
    let mut deferred = deferred.map(|_| panic!("skipped")).catch(move |failure| {
        seen.add(&failure.code);
        Err(failure)
    });
    deferred.cancel();
    assert_eq!(trace.take(), ["cancelled"]);
    assert_eq!(code::<()>(deferred), "cancelled");
}

fn an_errback_may_turn_a_cancellation_into_a_value() {
    let (deferred, _firing) = Deferred::<u32>::pending();
    let mut deferred = deferred.catch(|_| Ok(0));
    deferred.cancel();
    assert_eq!(value(deferred), 0);
}

fn a_canceller_is_a_handle_of_its_own() {
    let (mut deferred, _firing) = Deferred::<u32>::pending();
    let canceller = deferred.canceller();
    let outer = Deferred::succeed(()).then(|()| deferred);
    canceller.clone().cancel();
    assert_eq!(code(outer), "cancelled");
    canceller.cancel();
}

fn dropping_calls_no_canceller() {
    let (deferred, firing) = Deferred::<u32>::cancellable(|_| panic!("dropped, not cancelled"));
    drop(deferred);
    assert!(!firing.is_wanted());
}

fn a_waiting_chain_is_cancelled() {
    let trace = Trace::default();
    let seen = trace.clone();
    let (deferred, _firing) = Deferred::<u32>::pending();
    let waiting: Waiting = deferred.call(move |result| {
        seen.add(result.map_err(|failure| failure.code).unwrap_err());
        None
    });
    waiting.cancel();
    assert_eq!(trace.take(), ["cancelled"]);
}

const SECOND: Duration = Duration::from_secs(1);

fn a_timeout_cancels() {
    let clock = Clock::install();
    let trace = Trace::default();
    let called = trace.clone();
    let (deferred, _firing) = Deferred::<u32>::cancellable(move |_| called.add("cancelled"));
    let deferred = deferred.timeout(SECOND);
    clock.advance(SECOND / 2);
    assert!(!deferred.is_done());
    clock.advance(SECOND / 2);
    assert_eq!(trace.take(), ["cancelled"]);
    assert_eq!(code(deferred), "timed-out");
}

fn a_timeout_that_is_not_reached_changes_nothing() {
    let clock = Clock::install();
    let (deferred, firing) = Deferred::pending();
    let deferred = deferred.timeout(SECOND);
    firing.callback(1);
    clock.advance(SECOND);
    assert_eq!(value(deferred), 1);
}

fn a_timeout_is_no_timer_any_more_once_fired() {
    let clock = Clock::install();
    let (deferred, firing) = Deferred::pending();
    let deferred = deferred.timeout(SECOND);
    assert_eq!(clock.pending(), 1);
    firing.callback(1);
    assert_eq!(clock.pending(), 0);
    assert_eq!(value(deferred), 1);
}

fn a_timeout_cancels_the_inner_deferred() {
    let clock = Clock::install();
    let mut deferred =
        Deferred::succeed(()).then(|()| Deferred::from(timers::after(10 * SECOND))).timeout(SECOND);
    clock.advance(SECOND);
    assert_eq!(deferred.take().unwrap().unwrap_err().code, "timed-out");
    assert_eq!(clock.pending(), 0);
}

fn a_canceller_wins_over_a_timeout() {
    let clock = Clock::install();
    let (deferred, _firing) = Deferred::cancellable(|firing| firing.callback("a part of it"));
    let deferred = deferred.timeout(SECOND);
    clock.advance(SECOND);
    assert_eq!(value(deferred), "a part of it");
}

fn a_failure_in_time_is_not_timed_out() {
    let clock = Clock::install();
    let (deferred, firing) = Deferred::<u32>::pending();
    let mut deferred = deferred.timeout(SECOND);
    deferred.cancel();
    drop(firing);
    clock.advance(SECOND);
    assert_eq!(code(deferred), "cancelled");
}
