//! Time: the clock, delayed calls and looping calls.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use torsade_guest::testing::{Clock, Lines};
use torsade_guest::{Deferred, LoopingCall, clock, timers};

use crate::{Trace, code, failure, named, value};

named![
    a_clock_advances,
    a_clock_fires_in_the_order_of_time,
    a_clock_is_pumped,
    a_clock_counts_what_is_pending,
    a_timer_of_zero_fires_in_the_next_turn,
    a_delayed_call_is_called,
    a_delayed_call_is_cancelled,
    a_delayed_call_is_reset,
    a_delayed_call_is_delayed,
    a_delayed_call_knows_its_time,
    a_delayed_call_is_cancelled_once,
    a_dropped_delayed_call_is_cancelled,
    a_loop_calls_at_its_interval,
    a_loop_calls_now_or_later,
    a_loop_does_not_drift,
    a_loop_skips_what_it_missed,
    a_loop_counts_what_it_missed,
    a_loop_of_no_interval_calls_in_each_turn,
    a_stopped_loop_fires_its_deferred,
    a_loop_ends_with_a_failure,
    a_failure_of_a_loop_that_nobody_watches_is_logged,
    a_loop_waits_for_a_deferred,
    a_loop_stopped_while_it_waits_ends_after,
    a_loop_may_stop_itself,
    a_loop_is_reset,
    a_loop_is_started_again,
    a_running_loop_is_not_started,
];

const SECOND: Duration = Duration::from_secs(1);

/// A function that counts its calls, and the count.
fn counter() -> (Rc<Cell<u32>>, impl FnMut() -> Result<(), torsade_guest::Failure>) {
    let count = Rc::new(Cell::new(0));
    let counted = Rc::clone(&count);
    let call = move || {
        counted.set(counted.get() + 1);
        Ok(())
    };
    (count, call)
}

fn a_clock_advances() {
    let time = Clock::install();
    assert_eq!(clock::monotonic(), Duration::ZERO);
    time.advance(SECOND);
    assert_eq!((clock::monotonic(), time.now()), (SECOND, SECOND));
}

fn a_clock_fires_in_the_order_of_time() {
    let (clock, trace) = (Clock::install(), Trace::default());
    let timers: Vec<_> = [2, 1, 3, 1]
        .into_iter()
        .enumerate()
        .map(|(place, seconds)| {
            let trace = trace.clone();
            let timer = timers::after(seconds * SECOND).unwrap();
            timer.map(move |()| trace.add(format!("{seconds}/{place}")))
        })
        .collect();
    clock.advance(3 * SECOND);
    assert_eq!(trace.take(), ["1/1", "1/3", "2/0", "3/2"]);
    assert!(timers.iter().all(Deferred::is_done));
}

fn a_clock_is_pumped() {
    let clock = Clock::install();
    clock.pump([SECOND, SECOND]);
    assert_eq!(clock.now(), 2 * SECOND);
}

fn a_clock_counts_what_is_pending() {
    let clock = Clock::install();
    let timer = timers::after(SECOND).unwrap();
    assert_eq!(clock.pending(), 1);
    drop(timer);
    assert_eq!(clock.pending(), 0);
}

fn a_timer_of_zero_fires_in_the_next_turn() {
    let clock = Clock::install();
    let again = timers::after(Duration::ZERO)
        .unwrap()
        .then(|()| Deferred::from(timers::after(Duration::ZERO)));
    clock.advance(Duration::ZERO);
    assert!(!again.is_done());
    clock.advance(Duration::ZERO);
    assert!(again.is_done());
}

fn a_delayed_call_is_called() {
    let (clock, trace) = (Clock::install(), Trace::default());
    let called = trace.clone();
    timers::call_later(SECOND, move || called.add("called")).unwrap().detach();
    clock.advance(SECOND / 2);
    assert!(trace.take().is_empty());
    clock.advance(SECOND / 2);
    assert_eq!(trace.take(), ["called"]);
}

fn a_delayed_call_is_cancelled() {
    let clock = Clock::install();
    let call = timers::call_later(SECOND, || panic!("it was cancelled")).unwrap();
    call.cancel().unwrap();
    assert!(!call.is_active());
    clock.advance(SECOND);
}

fn a_delayed_call_is_reset() {
    let clock = Clock::install();
    let call = timers::call_later(SECOND, || ()).unwrap();
    clock.advance(SECOND / 2);
    call.reset(SECOND).unwrap();
    clock.advance(SECOND / 2);
    assert!(call.is_active());
    clock.advance(SECOND / 2);
    assert!(!call.is_active());
}

fn a_delayed_call_is_delayed() {
    let clock = Clock::install();
    let call = timers::call_later(SECOND, || ()).unwrap();
    clock.advance(SECOND / 2);
    call.delay(SECOND).unwrap();
    clock.advance(SECOND);
    assert!(call.is_active());
    clock.advance(SECOND / 2);
    assert!(!call.is_active());
}

fn a_delayed_call_knows_its_time() {
    let clock = Clock::install();
    clock.advance(SECOND);
    let call = timers::call_later(SECOND, || ()).unwrap();
    assert_eq!(call.time(), 2 * SECOND);
    call.delay(SECOND).unwrap();
    assert_eq!(call.time(), 3 * SECOND);
}

fn a_delayed_call_is_cancelled_once() {
    let clock = Clock::install();
    let call = timers::call_later(SECOND, || ()).unwrap();
    call.cancel().unwrap();
    assert_eq!(call.cancel().unwrap_err().code, "cancelled");
    let call = timers::call_later(SECOND, || ()).unwrap();
    clock.advance(SECOND);
    assert_eq!(call.cancel().unwrap_err().code, "closed");
    assert_eq!(call.reset(SECOND).unwrap_err().code, "closed");
}

fn a_dropped_delayed_call_is_cancelled() {
    let clock = Clock::install();
    drop(timers::call_later(SECOND, || panic!("nobody has it")).unwrap());
    clock.advance(SECOND);
}

fn a_loop_calls_at_its_interval() {
    let (clock, (count, call)) = (Clock::install(), counter());
    let looping = LoopingCall::new(call);
    let ended = looping.start(SECOND, true);
    clock.pump([SECOND; 3]);
    assert_eq!(count.get(), 4);
    assert!(looping.is_running() && !ended.is_done());
}

fn a_loop_calls_now_or_later() {
    let (_clock, (count, call)) = (Clock::install(), counter());
    let looping = LoopingCall::new(call);
    drop(looping.start(SECOND, false));
    assert_eq!(count.get(), 0);
    looping.stop();
    drop(looping.start(SECOND, true));
    assert_eq!(count.get(), 1);
}

fn a_loop_does_not_drift() {
    let (clock, trace) = (Clock::install(), Trace::default());
    let called = trace.clone();
    let looping = LoopingCall::new(move || {
        called.add(clock::monotonic().as_millis());
        Ok(())
    });
    drop(looping.start(SECOND, false));
    // The first comes 0.3 s late; the second is due at two seconds all the same.
    clock.advance(Duration::from_millis(1300));
    clock.advance(Duration::from_millis(600));
    clock.advance(Duration::from_millis(100));
    assert_eq!(trace.take(), ["1300", "2000"]);
}

fn a_loop_skips_what_it_missed() {
    let (clock, (count, call)) = (Clock::install(), counter());
    let looping = LoopingCall::new(call);
    drop(looping.start(SECOND, false));
    clock.advance(10 * SECOND);
    assert_eq!(count.get(), 1);
    clock.advance(SECOND);
    assert_eq!(count.get(), 2);
}

fn a_loop_counts_what_it_missed() {
    let (clock, trace) = (Clock::install(), Trace::default());
    let counted = trace.clone();
    let looping = LoopingCall::with_count(move |count| {
        counted.add(count);
        Ok(())
    });
    drop(looping.start(SECOND, true));
    clock.pump([SECOND, 5 * SECOND, SECOND]);
    assert_eq!(trace.take(), ["1", "1", "5", "1"]);
}

fn a_loop_of_no_interval_calls_in_each_turn() {
    let (clock, (count, call)) = (Clock::install(), counter());
    let looping = LoopingCall::new(call);
    drop(looping.start(Duration::ZERO, true));
    clock.pump([Duration::ZERO; 3]);
    assert_eq!(count.get(), 4);
}

fn a_stopped_loop_fires_its_deferred() {
    let (clock, (count, call)) = (Clock::install(), counter());
    let looping = LoopingCall::new(call);
    let ended = looping.start(SECOND, true);
    looping.stop();
    assert!(!looping.is_running());
    value(ended);
    clock.advance(SECOND);
    assert_eq!((count.get(), clock.pending()), (1, 0));
}

fn a_loop_ends_with_a_failure() {
    let _clock = Clock::install();
    let looping = LoopingCall::new(|| -> Result<(), _> { Err(failure("io")) });
    assert_eq!(code(looping.start(SECOND, true)), "io");
    assert!(!looping.is_running());
}

fn a_failure_of_a_loop_that_nobody_watches_is_logged() {
    let (clock, lines) = (Clock::install(), Lines::keep());
    let looping = LoopingCall::new(|| -> Result<(), _> { Err(failure("io")) });
    drop(looping.start(SECOND, false));
    clock.advance(SECOND);
    assert!(lines.take()[0].contains("time.rs:"));
}

/// A loop whose call waits for a deferred, and what fires that.
fn waiting_loop() -> (LoopingCall, Rc<Cell<Option<torsade_guest::Firing<()>>>>) {
    let firing = Rc::new(Cell::new(None));
    let next = Rc::clone(&firing);
    let looping = LoopingCall::new(move || {
        let (deferred, firing) = Deferred::pending();
        next.set(Some(firing));
        deferred
    });
    (looping, firing)
}

fn a_loop_waits_for_a_deferred() {
    let clock = Clock::install();
    let (looping, firing) = waiting_loop();
    drop(looping.start(SECOND, true));
    let first = firing.take().unwrap();
    clock.advance(5 * SECOND / 2);
    assert!(firing.take().is_none());
    first.callback(());
    clock.advance(SECOND / 2);
    assert!(firing.take().is_some());
}

fn a_loop_stopped_while_it_waits_ends_after() {
    let _clock = Clock::install();
    let (looping, firing) = waiting_loop();
    let ended = looping.start(SECOND, true);
    looping.stop();
    assert!(!looping.is_running() && !ended.is_done());
    firing.take().unwrap().callback(());
    value(ended);
}

fn a_loop_may_stop_itself() {
    let clock = Clock::install();
    let own: Rc<Cell<Option<LoopingCall>>> = Rc::default();
    let stops = Rc::clone(&own);
    let looping = LoopingCall::new(move || {
        let looping = stops.take().expect("it is called once");
        looping.stop();
        stops.set(Some(looping));
        Ok(())
    });
    let ended = looping.start(SECOND, false);
    own.set(Some(looping));
    clock.advance(SECOND);
    value(ended);
    assert_eq!(clock.pending(), 0);
    drop(own.take());
}

fn a_loop_is_reset() {
    let (clock, (count, call)) = (Clock::install(), counter());
    let looping = LoopingCall::new(call);
    drop(looping.start(SECOND, false));
    clock.advance(SECOND / 2);
    looping.reset();
    clock.advance(SECOND / 2);
    assert_eq!(count.get(), 0);
    clock.advance(SECOND / 2);
    assert_eq!(count.get(), 1);
}

fn a_loop_is_started_again() {
    let (clock, (count, call)) = (Clock::install(), counter());
    let looping = LoopingCall::new(call);
    drop(looping.start(SECOND, false));
    looping.stop();
    drop(looping.start(2 * SECOND, false));
    clock.advance(2 * SECOND);
    assert_eq!(count.get(), 1);
}

fn a_running_loop_is_not_started() {
    let _clock = Clock::install();
    let looping = LoopingCall::new(|| Ok(()));
    drop(looping.start(SECOND, false));
    assert_eq!(code(looping.start(SECOND, false)), "unsupported");
    assert!(looping.is_running());
}
