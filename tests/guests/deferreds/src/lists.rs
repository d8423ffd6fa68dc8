//! Several deferreds as one.

use torsade_guest::testing::Lines;
use torsade_guest::{Deferred, DeferredList, Firing, ListResult};

use crate::{Trace, code, failure, named, value};

named![
    a_list_fires_with_all_results_in_its_order,
    a_list_of_none_fires_at_once,
    a_list_takes_what_has_fired,
    a_list_may_fire_with_the_first_value,
    a_list_may_fail_with_the_first_failure,
    a_list_logs_failures_that_it_does_not_consume,
    a_list_consumes_errors,
    the_rest_of_a_list_goes_on,
    cancelling_a_list_cancels_its_members,
    gather_gives_the_values,
    gather_fails_with_the_first_failure,
    gather_of_none_fires_at_once,
    cancelling_gather_cancels_all,
    race_fires_with_the_first_value,
    race_cancels_the_others,
    race_fails_once_all_have_failed,
    cancelling_a_race_cancels_all,
];

fn pair() -> ([Deferred<u32>; 2], Firing<u32>, Firing<u32>) {
    let (one, first) = Deferred::pending();
    let (two, second) = Deferred::pending();
    ([one, two], first, second)
}

fn a_list_fires_with_all_results_in_its_order() {
    let (deferreds, first, second) = pair();
    let list = DeferredList::new(deferreds).consume_errors().wait();
    second.errback(failure("io"));
    assert!(!list.is_done());
    first.callback(1);
    assert_eq!(value(list), ListResult::All(vec![Ok(1), Err(failure("io"))]));
}

fn a_list_of_none_fires_at_once() {
    let list = DeferredList::new(Vec::<Deferred<u32>>::new()).wait();
    assert_eq!(value(list), ListResult::All(Vec::new()));
}

fn a_list_takes_what_has_fired() {
    let list = DeferredList::new([Deferred::succeed(1), Deferred::succeed(2)]).wait();
    assert_eq!(value(list), ListResult::All(vec![Ok(1), Ok(2)]));
}

fn a_list_may_fire_with_the_first_value() {
    let (deferreds, _first, second) = pair();
    let list = DeferredList::new(deferreds).fire_on_one_callback().wait();
    second.callback(2);
    assert_eq!(value(list), ListResult::First(2, 1));
}

fn a_list_may_fail_with_the_first_failure() {
    let (deferreds, _first, second) = pair();
    let mut list = DeferredList::new(deferreds).fire_on_one_errback().consume_errors().wait();
    second.errback(failure("io"));
    let failed = list.take().unwrap().unwrap_err();
    assert_eq!(failed.code, "io");
    assert_eq!(failed.message, "deferred 1 of the list: the message of io");
}

fn a_list_logs_failures_that_it_does_not_consume() {
    let lines = Lines::keep();
    let (deferreds, first, second) = pair();
    let list = DeferredList::new(deferreds).wait();
    first.callback(1);
    second.errback(failure("io"));
    assert!(lines.take()[0].contains("the message of io"));
    assert!(list.is_done());
}

fn a_list_consumes_errors() {
    let lines = Lines::keep();
    let (deferreds, first, second) = pair();
    let list = DeferredList::new(deferreds).fire_on_one_callback().consume_errors().wait();
    first.callback(1);
    second.errback(failure("io"));
    assert_eq!(value(list), ListResult::First(1, 0));
    assert!(lines.take().is_empty());
}

fn the_rest_of_a_list_goes_on() {
    let trace = Trace::default();
    let seen = trace.clone();
    let ([one, two], first, second) = pair();
    let two = two.map(move |number| {
        seen.add(number);
        number
    });
    let list = DeferredList::new([one, two]).fire_on_one_callback().wait();
    first.callback(1);
    assert_eq!(value(list), ListResult::First(1, 0));
    second.callback(2);
    assert_eq!(trace.take(), ["2"]);
}

fn cancelling_a_list_cancels_its_members() {
    let (deferreds, first, second) = pair();
    let mut list = DeferredList::new(deferreds).consume_errors().wait();
    first.callback(1);
    list.cancel();
    assert!(!second.is_wanted());
    let ListResult::All(results) = value(list) else { panic!("not all of them") };
    assert_eq!(results[0], Ok(1));
    assert_eq!(results[1].clone().unwrap_err().code, "cancelled");
}

fn gather_gives_the_values() {
    let (deferreds, first, second) = pair();
    let all = Deferred::gather(deferreds);
    second.callback(2);
    first.callback(1);
    assert_eq!(value(all), [1, 2]);
}

fn gather_fails_with_the_first_failure() {
    let lines = Lines::keep();
    let (deferreds, first, second) = pair();
    let all = Deferred::gather(deferreds);
    first.errback(failure("io"));
    assert_eq!(code(all), "io");
    second.errback(failure("late"));
    assert!(lines.take().is_empty());
}

fn gather_of_none_fires_at_once() {
    assert!(value(Deferred::<u32>::gather([])).is_empty());
}

fn cancelling_gather_cancels_all() {
    let (deferreds, first, second) = pair();
    let mut all = Deferred::gather(deferreds);
    all.cancel();
    assert!(!first.is_wanted() && !second.is_wanted());
    assert_eq!(code(all), "cancelled");
}

fn race_fires_with_the_first_value() {
    let (deferreds, first, second) = pair();
    let race = Deferred::race(deferreds);
    first.errback(failure("io"));
    assert!(!race.is_done());
    second.callback(2);
    assert_eq!(value(race), (1, 2));
}

fn race_cancels_the_others() {
    let (deferreds, first, second) = pair();
    let race = Deferred::race(deferreds);
    first.callback(1);
    assert!(!second.is_wanted());
    assert_eq!(value(race), (0, 1));
}

fn race_fails_once_all_have_failed() {
    let (deferreds, first, second) = pair();
    let mut race = Deferred::race(deferreds);
    first.errback(failure("io"));
    second.errback(failure("lost"));
    let failed = race.take().unwrap().unwrap_err();
    assert_eq!(failed.message, "all have failed: the message of io; the message of lost");
}

fn cancelling_a_race_cancels_all() {
    let (deferreds, first, second) = pair();
    let mut race = Deferred::race(deferreds);
    race.cancel();
    assert!(!first.is_wanted() && !second.is_wanted());
    assert_eq!(code(race), "cancelled");
}
