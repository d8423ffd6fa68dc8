//! Locks, semaphores and queues.

use torsade_guest::{Deferred, Lock, Queue, Semaphore};

use crate::{Trace, code, failure, named, value};

named![
    a_lock_is_had_by_one_at_a_time,
    a_lock_is_given_in_the_order_asked,
    a_lock_runs_a_function_and_is_free_again,
    a_lock_waits_for_the_deferred_of_its_function,
    a_lock_is_free_after_a_failure,
    one_who_gave_up_gets_no_lock,
    a_cancelled_wait_for_a_lock_fails,
    a_semaphore_lets_so_many_in,
    a_semaphore_counts_its_tokens,
    a_semaphore_runs_a_function,
    a_hundred_thousand_wait_for_a_semaphore,
    a_queue_keeps_values,
    a_queue_keeps_those_who_wait,
    a_full_queue_gives_the_value_back,
    a_queue_lets_so_many_wait,
    one_who_gave_up_gets_no_value,
    a_cancelled_wait_for_a_value_fails,
];

fn a_lock_is_had_by_one_at_a_time() {
    let lock = Lock::new();
    let permit = value(lock.acquire());
    assert!(lock.is_locked());
    let second = lock.acquire();
    assert!(!second.is_done());
    drop(permit);
    assert!(second.is_done() && lock.is_locked());
    drop(second);
    assert!(!lock.is_locked());
}

fn a_lock_is_given_in_the_order_asked() {
    let (lock, trace) = (Lock::new(), Trace::default());
    let permit = value(lock.acquire());
    let waits: Vec<_> = (0..3)
        .map(|number| {
            let trace = trace.clone();
            lock.run(move || {
                trace.add(number);
                Ok(())
            })
        })
        .collect();
    drop(permit);
    assert_eq!(trace.take(), ["0", "1", "2"]);
    assert!(waits.iter().all(Deferred::is_done));
}

fn a_lock_runs_a_function_and_is_free_again() {
    let lock = Lock::new();
    let inside = lock.clone();
    assert!(value(lock.run(move || Ok(inside.is_locked()))));
    assert!(!lock.is_locked());
}

fn a_lock_waits_for_the_deferred_of_its_function() {
    let lock = Lock::new();
    let (reply, firing) = Deferred::pending();
    let running = lock.run(|| reply);
    assert!(lock.is_locked());
    firing.callback(7);
    assert!(!lock.is_locked());
    assert_eq!(value(running), 7);
}

fn a_lock_is_free_after_a_failure() {
    let lock = Lock::new();
    assert_eq!(code(lock.run(|| -> Result<(), _> { Err(failure("io")) })), "io");
    assert!(!lock.is_locked());
}

fn one_who_gave_up_gets_no_lock() {
    let lock = Lock::new();
    let permit = value(lock.acquire());
    let given_up = lock.acquire();
    let third = lock.acquire();
    drop(given_up);
    drop(permit);
    assert!(third.is_done());
}

fn a_cancelled_wait_for_a_lock_fails() {
    let lock = Lock::new();
    let permit = value(lock.acquire());
    let mut second = lock.acquire();
    second.cancel();
    assert_eq!(code(second.map(drop)), "cancelled");
    drop(permit);
    assert!(!lock.is_locked());
}

fn a_semaphore_lets_so_many_in() {
    let semaphore = Semaphore::new(2);
    let (one, two) = (semaphore.acquire(), semaphore.acquire());
    let three = semaphore.acquire();
    assert!(one.is_done() && two.is_done() && !three.is_done());
    drop(one);
    assert!(three.is_done());
}

fn a_semaphore_counts_its_tokens() {
    let semaphore = Semaphore::new(3);
    let permit = value(semaphore.acquire());
    assert_eq!((semaphore.limit(), semaphore.tokens()), (3, 2));
    drop(permit);
    assert_eq!(semaphore.tokens(), 3);
}

fn a_semaphore_runs_a_function() {
    let semaphore = Semaphore::new(1);
    assert_eq!(value(semaphore.run(|| Ok(1))), 1);
    assert_eq!(semaphore.tokens(), 1);
}

fn a_hundred_thousand_wait_for_a_semaphore() {
    let semaphore = Semaphore::new(1);
    let permit = value(semaphore.acquire());
    let waits: Vec<_> = (0..100_000).map(|_| semaphore.run(|| Ok(()))).collect();
    drop(permit);
    assert!(waits.iter().all(Deferred::is_done));
}

fn a_queue_keeps_values() {
    let queue = Queue::new();
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    assert_eq!(queue.len(), 2);
    assert_eq!(value(queue.pop().unwrap()), 1);
    assert_eq!(value(queue.pop().unwrap()), 2);
    assert!(queue.is_empty());
}

fn a_queue_keeps_those_who_wait() {
    let queue = Queue::new();
    let (one, two) = (queue.pop().unwrap(), queue.pop().unwrap());
    queue.put("a").unwrap();
    assert!(!two.is_done());
    queue.put("b").unwrap();
    assert_eq!((value(one), value(two)), ("a", "b"));
}

fn a_full_queue_gives_the_value_back() {
    let queue = Queue::bounded(1, 1);
    queue.put("a").unwrap();
    assert_eq!(queue.put("b"), Err("b"));
}

fn a_queue_lets_so_many_wait() {
    let queue = Queue::<u32>::bounded(1, 1);
    let waits = queue.pop().unwrap();
    assert_eq!(queue.pop().unwrap_err().code, "limit");
    drop(waits);
    assert!(queue.pop().is_ok());
}

fn one_who_gave_up_gets_no_value() {
    let queue = Queue::new();
    drop(queue.pop());
    let second = queue.pop().unwrap();
    queue.put(1).unwrap();
    assert_eq!(value(second), 1);
}

fn a_cancelled_wait_for_a_value_fails() {
    let queue = Queue::<u32>::new();
    let mut waits = queue.pop().unwrap();
    waits.cancel();
    assert_eq!(code(waits), "cancelled");
    queue.put(1).unwrap();
    assert_eq!(queue.len(), 1);
}
