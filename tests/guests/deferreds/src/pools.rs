//! Pools of connections, over connections that are made and lost by hand.

use std::time::Duration;

use torsade_guest::testing::Clock;
use torsade_guest::{ConnectionPool, PoolLimits, Pooled};

use crate::clients::{Dialler, Line};
use crate::{code, named, value};

named![
    a_connection_that_is_put_back_is_used_again,
    a_connection_is_kept_for_its_endpoint,
    a_connection_that_nobody_uses_is_closed_after_a_while,
    so_many_connections_are_kept,
    those_who_want_too_many_connections_wait,
    so_many_may_wait_for_a_connection,
    a_dropped_connection_is_not_used_again,
    a_lost_connection_is_not_used_again,
    a_failed_attempt_lets_the_next_one_try,
    one_who_gave_up_gets_no_connection,
    a_closed_pool_closes_its_connections,
    a_dropped_pool_closes_what_nobody_uses,
    ten_thousand_share_a_connection,
];

fn pool_of(limits: PoolLimits) -> (Clock, Dialler, ConnectionPool<Line>) {
    let (clock, dialler) = (Clock::install(), Dialler::default());
    let connecting = dialler.clone();
    (clock, dialler, ConnectionPool::new(limits, move |_| connecting.connect()))
}

fn pool() -> (Clock, Dialler, ConnectionPool<Line>) {
    pool_of(PoolLimits::default())
}

/// A pool of one connection for each endpoint.
fn narrow() -> (Clock, Dialler, ConnectionPool<Line>) {
    pool_of(PoolLimits { per_endpoint: 1, waiting: 2, ..PoolLimits::default() })
}

/// A new connection that is in use.
fn made(dialler: &Dialler, pool: &ConnectionPool<Line>, endpoint: &str) -> (Line, Pooled<Line>) {
    let wanted = pool.connection(endpoint);
    let line = dialler.accept();
    (line, value(wanted))
}

fn a_connection_that_is_put_back_is_used_again() {
    let (_clock, dialler, pool) = pool();
    let (line, first) = made(&dialler, &pool, "a");
    first.put_back();
    assert_eq!((pool.idle(), pool.open()), (1, 1));
    let again = value(pool.connection("a"));
    assert_eq!((again.number(), pool.idle(), dialler.made()), (1, 0, 1));
    let other = pool.connection("a");
    assert_eq!(dialler.made(), 2, "that one is in use");
    drop(other);
    assert!(!line.is_closing());
}

fn a_connection_is_kept_for_its_endpoint() {
    let (_clock, dialler, pool) = pool();
    made(&dialler, &pool, "a").1.put_back();
    let other = pool.connection("b");
    assert!(!other.is_done());
    assert_eq!(dialler.made(), 2);
}

fn a_connection_that_nobody_uses_is_closed_after_a_while() {
    let (clock, dialler, pool) = pool();
    let (line, used) = made(&dialler, &pool, "a");
    clock.advance(Duration::from_secs(1000));
    used.put_back();
    clock.advance(Duration::from_secs(239));
    assert!(!line.is_closing());
    clock.advance(Duration::from_secs(1));
    assert!(line.is_closing() && pool.idle() == 0);
    assert_eq!(pool.open(), 1, "it is there until it is gone");
    line.lose();
    assert_eq!((pool.open(), clock.pending()), (0, 0));
}

fn so_many_connections_are_kept() {
    let (_clock, dialler, pool) = pool_of(PoolLimits { persistent: 3, ..PoolLimits::default() });
    let used: Vec<_> = ["a", "a", "a", "b", "b"].map(|at| made(&dialler, &pool, at)).into();
    let (lines, used): (Vec<_>, Vec<_>) = used.into_iter().unzip();
    used.into_iter().for_each(Pooled::put_back);
    assert_eq!((pool.idle(), pool.open()), (3, 5));
    // The third of `a` is one too many of an endpoint, the second of `b` one too many of all.
    let closing: Vec<_> = lines.iter().map(Line::is_closing).collect();
    assert_eq!(closing, [true, true, false, false, false]);
}

fn those_who_want_too_many_connections_wait() {
    let (_clock, dialler, pool) = narrow();
    let (_, first) = made(&dialler, &pool, "a");
    let (second, third) = (pool.connection("a"), pool.connection("a"));
    assert_eq!(dialler.made(), 1);
    first.put_back();
    assert!(!third.is_done());
    let second = value(second);
    assert_eq!(second.number(), 1);
    let lost = second.clone();
    drop(second);
    assert!(!third.is_done(), "it is there until it is gone");
    lost.lose();
    dialler.accept();
    assert_eq!(value(third).number(), 2);
}

fn so_many_may_wait_for_a_connection() {
    let (_clock, _dialler, pool) = narrow();
    let _first = pool.connection("a");
    let (second, _third) = (pool.connection("a"), pool.connection("a"));
    assert_eq!(code(pool.connection("a").map(|_| ())), "limit");
    drop(second);
    assert!(!pool.connection("a").is_done());
}

fn a_dropped_connection_is_not_used_again() {
    let (_clock, dialler, pool) = pool();
    let (line, used) = made(&dialler, &pool, "a");
    drop(used);
    assert!(line.is_closing());
    assert_eq!((pool.idle(), pool.open()), (0, 1));
    line.lose();
    assert_eq!(pool.open(), 0);
}

fn a_lost_connection_is_not_used_again() {
    let (clock, dialler, pool) = pool();
    let (line, used) = made(&dialler, &pool, "a");
    line.lose();
    used.put_back();
    assert_eq!((pool.idle(), pool.open()), (0, 0));
    let (line, used) = made(&dialler, &pool, "a");
    used.put_back();
    line.lose();
    assert_eq!((pool.idle(), pool.open(), clock.pending()), (0, 0, 0));
}

fn a_failed_attempt_lets_the_next_one_try() {
    let (_clock, dialler, pool) = narrow();
    let (first, second) = (pool.connection("a"), pool.connection("a"));
    dialler.refuse();
    assert_eq!(code(first.map(|_| ())), "refused");
    dialler.accept();
    assert_eq!(value(second).number(), 2);
}

fn one_who_gave_up_gets_no_connection() {
    let (_clock, dialler, pool) = narrow();
    drop(pool.connection("a"));
    assert_eq!((dialler.wanted(), pool.open()), (0, 0));
    let (line, first) = made(&dialler, &pool, "a");
    let (second, third) = (pool.connection("a"), pool.connection("a"));
    drop(second);
    first.put_back();
    assert_eq!(value(third).number(), line.number());
}

fn a_closed_pool_closes_its_connections() {
    let (clock, dialler, pool) = narrow();
    let (kept, idle) = made(&dialler, &pool, "a");
    idle.put_back();
    let (busy, used) = made(&dialler, &pool, "b");
    let (waits, attempt) = (pool.connection("b"), pool.connection("c"));
    let gone = pool.close();
    assert!(kept.is_closing() && !busy.is_closing());
    assert_eq!(code(waits.map(|_| ())), "closed");
    assert_eq!(code(pool.connection("a").map(|_| ())), "closed");
    let late = dialler.accept();
    assert_eq!(code(attempt.map(|_| ())), "closed");
    used.put_back();
    assert!(busy.is_closing() && late.is_closing());
    for line in [kept, busy, late] {
        assert!(!gone.is_done());
        line.lose();
    }
    value(gone);
    assert_eq!(clock.pending(), 0);
    value(pool.close());
}

fn a_dropped_pool_closes_what_nobody_uses() {
    let (clock, dialler, pool) = pool();
    let (busy, used) = made(&dialler, &pool, "a");
    let (kept, idle) = made(&dialler, &pool, "a");
    idle.put_back();
    drop(pool);
    assert!(kept.is_closing() && !busy.is_closing());
    used.put_back();
    assert!(busy.is_closing());
    assert_eq!(clock.pending(), 0);
}

fn ten_thousand_share_a_connection() {
    let limits = PoolLimits { per_endpoint: 1, waiting: 10_000, ..PoolLimits::default() };
    let (_clock, dialler, pool) = pool_of(limits);
    let (_, first) = made(&dialler, &pool, "a");
    let all: Vec<_> = (0..10_000).map(|_| pool.connection("a").map(Pooled::put_back)).collect();
    first.put_back();
    assert!(all.iter().all(torsade_guest::Deferred::is_done));
    assert_eq!((dialler.made(), pool.idle()), (1, 1));
}
