//! `async` and `.await`.

use std::time::Duration;

use futures_util::future::{join, select};
use torsade_guest::testing::{Clock, Lines};
use torsade_guest::{Deferred, timers};

use crate::{Trace, code, failure, named, value};

named![
    a_future_gets_the_value,
    a_future_gets_the_failure,
    a_future_runs_at_once_to_its_first_wait,
    a_future_that_fails_fails_its_deferred,
    cancelling_drops_the_future,
    cancelling_gives_up_what_the_future_awaits,
    a_future_goes_on_after_each_wait,
    a_future_may_await_a_future,
    futures_are_joined,
    futures_are_selected,
    a_failure_of_a_future_that_nobody_handles_is_logged,
    a_million_waits_end,
];

fn a_future_gets_the_value() {
    let (deferred, firing) = Deferred::pending();
    let number = Deferred::from_future(async { Ok(deferred.await? + 1) });
    assert!(!number.is_done());
    firing.callback(1);
    assert_eq!(value(number), 2);
}

fn a_future_gets_the_failure() {
    let (deferred, firing) = Deferred::<u32>::pending();
    let caught = Deferred::from_future(async {
        Ok(deferred.await.map_err(|failure| failure.code).unwrap_err())
    });
    firing.errback(failure("io"));
    assert_eq!(value(caught), "io");
}

fn a_future_runs_at_once_to_its_first_wait() {
    let trace = Trace::default();
    let seen = trace.clone();
    let (deferred, _firing) = Deferred::<()>::pending();
    let running = Deferred::from_future(async move {
        seen.add("begun");
        deferred.await
    });
    assert_eq!(trace.take(), ["begun"]);
    assert!(!running.is_done());
}

fn a_future_that_fails_fails_its_deferred() {
    assert_eq!(code(Deferred::<()>::from_future(async { Err(failure("io")) })), "io");
}

/// Says when it is dropped.
struct Told(Trace);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.add("dropped");
    }
}

fn cancelling_drops_the_future() {
    let trace = Trace::default();
    let told = Told(trace.clone());
    let (deferred, _firing) = Deferred::<()>::pending();
    let mut running = Deferred::from_future(async move {
        let _told = told;
        deferred.await
    });
    running.cancel();
    assert_eq!(trace.take(), ["dropped"]);
    assert_eq!(code(running), "cancelled");
}

fn cancelling_gives_up_what_the_future_awaits() {
    let (deferred, firing) = Deferred::<()>::pending();
    let mut running = Deferred::from_future(deferred);
    assert!(firing.is_wanted());
    running.cancel();
    assert!(!firing.is_wanted());
    assert_eq!(code(running), "cancelled");
}

const SECOND: Duration = Duration::from_secs(1);

fn a_future_goes_on_after_each_wait() {
    let clock = Clock::install();
    let running = Deferred::from_future(async {
        for _ in 0..3 {
            timers::after(SECOND)?.await?;
        }
        Ok(3)
    });
    clock.pump([SECOND; 2]);
    assert!(!running.is_done());
    clock.advance(SECOND);
    assert_eq!(value(running), 3);
}

fn a_future_may_await_a_future() {
    let (deferred, firing) = Deferred::<u32>::pending();
    let inner = Deferred::from_future(async { Ok(deferred.await? + 1) });
    let outer = Deferred::from_future(async { Ok(inner.await? * 2) });
    firing.callback(20);
    assert_eq!(value(outer), 42);
}

fn futures_are_joined() {
    let (one, first) = Deferred::<u32>::pending();
    let (two, second) = Deferred::<u32>::pending();
    let sum = Deferred::from_future(async {
        let (one, two) = join(one, two).await;
        Ok(one? + two?)
    });
    second.callback(2);
    assert!(!sum.is_done());
    first.callback(1);
    assert_eq!(value(sum), 3);
    let both = Deferred::from_future(async {
        let (one, two) = futures_util::join!(Deferred::succeed(1), Deferred::succeed(2));
        Ok((one?, two?))
    });
    assert_eq!(value(both), (1, 2));
}

fn futures_are_selected() {
    let (one, first) = Deferred::<u32>::pending();
    let (two, second) = Deferred::<u32>::pending();
    let fastest = Deferred::from_future(async { select(one, two).await.factor_first().0 });
    second.callback(2);
    assert_eq!(value(fastest), 2);
    assert!(!first.is_wanted());
}

fn a_failure_of_a_future_that_nobody_handles_is_logged() {
    let lines = Lines::keep();
    drop(Deferred::<()>::from_future(async { Err(failure("io")) }));
    assert!(lines.take()[0].contains("futures.rs:"));
}

/// Of deferreds that have fired, and of futures that are done.
fn a_million_waits_end() {
    let count = Deferred::from_future(async {
        let mut count = 0;
        for _ in 0..500_000 {
            count += Deferred::succeed(1).await?;
            count += Deferred::from_future(async { Ok(1) }).await?;
        }
        Ok(count)
    });
    assert_eq!(value(count), 1_000_000);
}
