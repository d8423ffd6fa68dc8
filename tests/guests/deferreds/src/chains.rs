//! Callbacks and errbacks in chains.

use std::cell::Cell;
use std::rc::Rc;

use torsade_guest::testing::Lines;
use torsade_guest::{Deferred, Failure};

use crate::{Trace, code, failure, named, value};

named![
    a_callback_gets_the_value,
    each_link_gets_what_the_one_before_gave,
    a_callback_added_after_firing_is_called_at_once,
    a_failure_skips_callbacks,
    a_value_skips_errbacks,
    a_callback_that_fails_switches_to_the_errback_side,
    an_errback_that_recovers_switches_back,
    an_errback_that_fails_stays_on_the_errback_side,
    a_pair_of_callbacks_is_one_link,
    both_sees_values_and_failures,
    finally_changes_nothing,
    a_deferred_in_a_callback_pauses_the_chain,
    a_fired_deferred_in_a_callback_pauses_nothing,
    a_deferred_in_an_errback_pauses_the_chain,
    the_failure_of_an_inner_deferred_becomes_the_outer_ones,
    callbacks_added_while_waiting_come_after,
    it_fires_once,
    a_dropped_firing_half_fails_the_deferred,
    succeed_has_fired,
    fail_has_failed,
    maybe_of_a_value,
    maybe_of_a_failure,
    maybe_of_a_deferred,
    a_question_that_was_refused_is_a_failed_deferred,
    pausing_stops_callbacks,
    each_pause_is_unpaused,
    an_unpause_too_many_does_nothing,
    a_chain_of_a_million_links_is_called,
    a_million_nested_deferreds_fire,
    a_million_nested_deferreds_are_dropped,
    a_loop_of_a_million_deferreds_ends,
    an_unhandled_failure_is_logged,
    a_handled_failure_is_not_logged,
    a_failure_that_nobody_awaits_names_its_place,
    dropping_gives_up,
    a_detached_chain_goes_on,
    a_callback_may_drop_its_own_deferred,
];

fn a_callback_gets_the_value() {
    let (deferred, firing) = Deferred::pending();
    let length = deferred.then(|text: &str| Ok(text.len()));
    assert!(!length.is_done());
    firing.callback("quad");
    assert_eq!(value(length), 4);
}

fn each_link_gets_what_the_one_before_gave() {
    let trace = Trace::default();
    let (one, two) = (trace.clone(), trace.clone());
    let (deferred, firing) = Deferred::pending();
    let last = deferred
        .map(move |number: u32| {
            one.add(number);
            number + 1
        })
        .map(move |number| {
            two.add(number);
            format!("<{number}>")
        });
    firing.callback(1);
    assert_eq!(trace.take(), ["1", "2"]);
    assert_eq!(value(last), "<2>");
}

fn a_callback_added_after_firing_is_called_at_once() {
    let trace = Trace::default();
    let called = trace.clone();
    let deferred = Deferred::succeed(1).map(move |number| called.add(number));
    assert_eq!(trace.take(), ["1"]);
    assert!(deferred.is_done());
}

fn a_failure_skips_callbacks() {
    let (deferred, firing) = Deferred::<u32>::pending();
    let caught = deferred
        .map(|_| panic!("a callback was called with a failure"))
        .catch(|failure| Err(Failure { message: "caught".into(), ..failure }));
    firing.errback(failure("io"));
    assert_eq!(code(caught), "io");
}

fn a_value_skips_errbacks() {
    let kept = Deferred::succeed(1).catch(|_| -> Result<i32, Failure> { panic!("no failure") });
    assert_eq!(value(kept.map(|number| number + 1)), 2);
}

fn a_callback_that_fails_switches_to_the_errback_side() {
    let trace = Trace::default();
    let caught = trace.clone();
    let deferred = Deferred::succeed(1)
        .then(|_| -> Result<i32, Failure> { Err(failure("limit")) })
        .map(|_| -> i32 { panic!("skipped") })
        .catch(move |failure| {
            caught.add(&failure.code);
            Ok(7)
        });
    assert_eq!(trace.take(), ["limit"]);
    assert_eq!(value(deferred), 7);
}

fn an_errback_that_recovers_switches_back() {
    let recovered = Deferred::fail(failure("io")).catch(|_| Ok(1)).map(|number| number + 1);
    assert_eq!(value(recovered), 2);
}

fn an_errback_that_fails_stays_on_the_errback_side() {
    let deferred = Deferred::<i32>::fail(failure("io"))
        .catch(|_| Err(failure("limit")))
        .map(|_| panic!("skipped"))
        .catch(|failure| Err(Failure { code: failure.code + "!", ..failure }));
    assert_eq!(code::<()>(deferred), "limit!");
}

/// As with `addCallbacks`, the failure of the one is not the other's to handle.
fn a_pair_of_callbacks_is_one_link() {
    let pair = |deferred: Deferred<u32>| {
        deferred.both(|result| match result {
            Ok(_) => Err(failure("of-the-callback")),
            Err(_) => Ok(0),
        })
    };
    assert_eq!(code(pair(Deferred::succeed(1))), "of-the-callback");
    assert_eq!(value(pair(Deferred::fail(failure("io")))), 0);
}

fn both_sees_values_and_failures() {
    let seen = |deferred: Deferred<u32>| deferred.both(|result| Ok(result.is_ok()));
    assert!(value(seen(Deferred::succeed(1))));
    assert!(!value(seen(Deferred::fail(failure("io")))));
}

fn finally_changes_nothing() {
    let trace = Trace::default();
    let (one, two) = (trace.clone(), trace.clone());
    assert_eq!(value(Deferred::succeed(1).finally(move || one.add("one"))), 1);
    let failed = Deferred::<u32>::fail(failure("io")).finally(move || two.add("two"));
    assert_eq!(code(failed), "io");
    assert_eq!(trace.take(), ["one", "two"]);
}

fn a_deferred_in_a_callback_pauses_the_chain() {
    let (inner, fire_inner) = Deferred::pending();
    let (outer, fire_outer) = Deferred::<u32>::pending();
    let outer = outer.then(|_| inner).map(|number: u32| number + 1);
    fire_outer.callback(1);
    assert!(!outer.is_done());
    fire_inner.callback(10);
    assert_eq!(value(outer), 11);
}

fn a_fired_deferred_in_a_callback_pauses_nothing() {
    let outer = Deferred::succeed(1).then(|number| Deferred::succeed(number + 1));
    assert_eq!(value(outer), 2);
}

fn a_deferred_in_an_errback_pauses_the_chain() {
    let (inner, firing) = Deferred::pending();
    let outer = Deferred::<u32>::fail(failure("io")).catch(|_| inner);
    assert!(!outer.is_done());
    firing.callback(2);
    assert_eq!(value(outer), 2);
}

fn the_failure_of_an_inner_deferred_becomes_the_outer_ones() {
    let (inner, firing) = Deferred::<u32>::pending();
    let outer = Deferred::succeed(()).then(|()| inner).catch(|failure| {
        assert_eq!(failure.code, "lost");
        Ok(0)
    });
    firing.errback(failure("lost"));
    assert_eq!(value(outer), 0);
}

fn callbacks_added_while_waiting_come_after() {
    let (inner, firing) = Deferred::pending();
    let outer = Deferred::succeed(()).then(|()| inner);
    let outer = outer.map(|number: u32| number * 2);
    firing.callback(21);
    assert_eq!(value(outer), 42);
}

/// Twisted raises `AlreadyCalledError`; here a firing half is used up by firing.
fn it_fires_once() {
    let (mut deferred, firing) = Deferred::cancellable(|own| own.callback(2));
    firing.callback(1);
    deferred.cancel();
    assert_eq!(value(deferred), 1);
}

fn a_dropped_firing_half_fails_the_deferred() {
    let (deferred, firing) = Deferred::<u32>::pending();
    drop(firing);
    assert_eq!(code(deferred), "cancelled");
}

fn succeed_has_fired() {
    assert_eq!(value(Deferred::succeed("value")), "value");
}

fn fail_has_failed() {
    assert_eq!(code(Deferred::<()>::fail(failure("io"))), "io");
}

fn maybe_of_a_value() {
    assert_eq!(value(Deferred::maybe(|| Ok(1))), 1);
}

fn maybe_of_a_failure() {
    assert_eq!(code(Deferred::<u32>::maybe(|| Err(failure("io")))), "io");
}

fn maybe_of_a_deferred() {
    let (inner, firing) = Deferred::pending();
    let deferred = Deferred::maybe(|| inner);
    assert!(!deferred.is_done());
    firing.callback(1);
    assert_eq!(value(deferred), 1);
}

fn a_question_that_was_refused_is_a_failed_deferred() {
    let asked = |is_refused: bool| {
        if is_refused { Err(failure("limit")) } else { Ok(Deferred::succeed(1)) }
    };
    assert_eq!(code(Deferred::from(asked(true))), "limit");
    assert_eq!(value(Deferred::from(asked(false))), 1);
}

fn pausing_stops_callbacks() {
    let (mut deferred, firing) = Deferred::pending();
    deferred.pause();
    let mut deferred = deferred.map(|number: u32| number + 1);
    firing.callback(1);
    assert!(!deferred.is_done());
    deferred.unpause();
    assert_eq!(value(deferred), 2);
}

fn each_pause_is_unpaused() {
    let mut deferred = Deferred::succeed(1);
    deferred.pause();
    deferred.pause();
    deferred.unpause();
    let mut deferred = deferred.map(|number| number + 1);
    assert!(!deferred.is_done());
    deferred.unpause();
    assert_eq!(value(deferred), 2);
}

fn an_unpause_too_many_does_nothing() {
    let mut deferred = Deferred::succeed(1);
    deferred.unpause();
    deferred.pause();
    let deferred = deferred.map(|number| number + 1);
    assert!(!deferred.is_done());
}

/// So many that a recursion would end in a trap, in a sandbox and natively.
const MANY: u32 = 1_000_000;

fn a_chain_of_a_million_links_is_called() {
    let (mut deferred, firing) = Deferred::pending();
    for _ in 0..MANY {
        deferred = deferred.map(|number: u32| number + 1);
    }
    firing.callback(0);
    assert_eq!(value(deferred), MANY);
}

/// Each one's callback returns the one before.
fn nested() -> (Deferred<u32>, torsade_guest::Firing<u32>) {
    let (mut deferred, firing) = Deferred::pending();
    for _ in 0..MANY / 4 {
        let inner = deferred;
        deferred = Deferred::succeed(()).then(|()| inner).map(|number| number + 1);
    }
    (deferred, firing)
}

fn a_million_nested_deferreds_fire() {
    let (deferred, firing) = nested();
    firing.callback(0);
    assert_eq!(value(deferred), MANY / 4);
}

fn a_million_nested_deferreds_are_dropped() {
    let (deferred, firing) = nested();
    drop(deferred);
    assert!(!firing.is_wanted());
    // Those that wait for nothing yet own each other by their callbacks.
    let mut deferred = Deferred::<()>::pending().0;
    let mut firings = Vec::new();
    for _ in 0..MANY / 4 {
        let inner = deferred;
        let (outer, firing) = Deferred::<()>::pending();
        firings.push(firing);
        deferred = outer.then(|()| inner);
    }
    drop(deferred);
    assert!(firings.iter().all(|firing| !firing.is_wanted()));
}

/// A callback that returns a deferred whose callback returns a deferred, and so on: neither the
/// stack nor the memory grows.
fn a_loop_of_a_million_deferreds_ends() {
    type Next = Rc<Cell<Option<torsade_guest::Firing<()>>>>;
    fn step(left: u32, next: &Next) -> Deferred<u32> {
        let (deferred, firing) = Deferred::pending();
        next.set(Some(firing));
        let next = Rc::clone(next);
        deferred.then(move |()| match left {
            0 => Deferred::succeed(7),
            _ => step(left - 1, &next),
        })
    }
    let next = Next::default();
    let deferred = step(MANY, &next);
    while let Some(firing) = next.take() {
        firing.callback(());
    }
    assert_eq!(value(deferred), 7);
}

fn an_unhandled_failure_is_logged() {
    let lines = Lines::keep();
    drop(Deferred::<u32>::fail(failure("io")).map(|number| number + 1));
    let lines = lines.take();
    assert!(lines[0].contains("unhandled") && lines[0].contains("the message of io"), "{lines:?}");
    assert_eq!(lines.len(), 1);
}

fn a_handled_failure_is_not_logged() {
    let lines = Lines::keep();
    drop(Deferred::<u32>::fail(failure("io")).catch(|_| Ok(0)));
    assert!(lines.take().is_empty());
}

fn a_failure_that_nobody_awaits_names_its_place() {
    let lines = Lines::keep();
    let (deferred, firing) = Deferred::<u32>::pending();
    let line = line!() - 1;
    deferred.detach();
    firing.errback(failure("io"));
    let lines = lines.take();
    assert!(lines[0].contains(&format!("chains.rs:{line}:")), "{lines:?}");
}

fn dropping_gives_up() {
    let (inner, firing) = Deferred::<u32>::pending();
    let outer = Deferred::succeed(()).then(|()| inner).map(|_| panic!("nobody wants it"));
    assert!(firing.is_wanted());
    drop::<Deferred<()>>(outer);
    assert!(!firing.is_wanted());
    firing.callback(1);
}

fn a_detached_chain_goes_on() {
    let trace = Trace::default();
    let called = trace.clone();
    let (deferred, firing) = Deferred::pending();
    deferred.map(move |number: u32| called.add(number)).detach();
    firing.callback(1);
    assert_eq!(trace.take(), ["1"]);
}

fn a_callback_may_drop_its_own_deferred() {
    let kept: Rc<Cell<Option<Deferred<()>>>> = Rc::default();
    let own = Rc::clone(&kept);
    let (deferred, firing) = Deferred::pending();
    let deferred = deferred
        .map(move |()| drop(own.take()))
        .map(|()| panic!("it was given up by the callback before"));
    kept.set(Some(deferred));
    firing.callback(());
}
