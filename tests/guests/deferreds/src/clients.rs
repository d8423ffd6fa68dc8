//! Clients that connect again, over connections that are made and lost by hand.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use torsade_guest::testing::{Clock, Random};
use torsade_guest::{BackOff, Deferred, Firing, Outgoing, ReconnectingClient};

use crate::{code, failure, named, value};

named![
    a_client_connects_when_it_is_started,
    a_client_connects_again_after_a_failure,
    a_client_backs_off_as_twisteds_does,
    a_client_backs_off_by_chance,
    a_connection_that_is_lost_is_made_again,
    a_connection_resets_the_delay,
    a_client_gives_up_after_its_retries,
    when_connected_fires_for_all_who_ask,
    when_connected_bears_so_many_failures,
    when_connected_fails_where_the_client_stops,
    a_client_that_stops_trying_keeps_its_connection,
    stop_trying_gives_up_an_attempt_and_a_wait,
    a_stopped_client_closes_its_connection,
    a_stopped_client_gives_up_its_attempt,
    a_client_that_stops_may_be_started_again,
    a_connection_that_comes_too_late_is_closed,
    a_client_is_stopped_by_who_hears_of_its_connection,
    a_dropped_client_tries_no_more,
    a_client_has_one_timer,
];

/// A connection that is lost by hand.
#[derive(Clone, Default)]
pub(crate) struct Line {
    number: usize,
    is_closing: Rc<Cell<bool>>,
    is_lost: Rc<Cell<bool>>,
    watching: Rc<RefCell<Vec<Firing<()>>>>,
}

impl Line {
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    /// Whether this side has asked for its end.
    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing.get()
    }

    /// It is gone.
    pub(crate) fn lose(&self) {
        self.is_lost.set(true);
        for firing in self.watching.take() {
            firing.callback(());
        }
    }
}

impl Outgoing for Line {
    fn lose_connection(&self) {
        self.is_closing.set(true);
    }

    fn when_lost(&self) -> Deferred<()> {
        if self.is_lost.get() {
            return Deferred::succeed(());
        }
        let (deferred, firing) = Deferred::pending();
        self.watching.borrow_mut().push(firing);
        deferred
    }
}

/// What connects: the attempts that wait for their end.
#[derive(Clone, Default)]
pub(crate) struct Dialler {
    attempts: Rc<RefCell<VecDeque<Firing<Line>>>>,
    made: Rc<Cell<usize>>,
}

impl Dialler {
    pub(crate) fn connect(&self) -> Deferred<Line> {
        let (deferred, firing) = Deferred::pending();
        self.attempts.borrow_mut().push_back(firing);
        self.made.set(self.made.get() + 1);
        deferred
    }

    /// How many attempts were begun.
    pub(crate) fn made(&self) -> usize {
        self.made.get()
    }

    /// The attempt that was begun first and still wanted succeeds.
    pub(crate) fn accept(&self) -> Line {
        let line = Line { number: self.made.get(), ..Line::default() };
        self.next().callback(line.clone());
        line
    }

    /// It fails.
    pub(crate) fn refuse(&self) {
        self.next().errback(failure("refused"));
    }

    /// How many attempts are wanted.
    pub(crate) fn wanted(&self) -> usize {
        self.attempts.borrow().iter().filter(|firing| firing.is_wanted()).count()
    }

    fn next(&self) -> Firing<Line> {
        let mut attempts = self.attempts.borrow_mut();
        attempts.retain(Firing::is_wanted);
        attempts.pop_front().unwrap()
    }
}

/// Waits are multiples of 10 ms by 2, without chance.
fn back_off() -> BackOff {
    let (initial_delay, max_delay) = (Duration::from_millis(5), Duration::from_millis(40));
    BackOff { initial_delay, max_delay, factor: 2.0, jitter: 0.0, max_retries: None }
}

fn client_of(back_off: BackOff) -> (Clock, Dialler, ReconnectingClient<Line>) {
    let (clock, dialler) = (Clock::install(), Dialler::default());
    let connecting = dialler.clone();
    let client = ReconnectingClient::with_back_off(back_off, move || connecting.connect());
    (clock, dialler, client)
}

/// One that was started.
fn started() -> (Clock, Dialler, ReconnectingClient<Line>) {
    let (clock, dialler, client) = client_of(back_off());
    client.start_service().unwrap();
    (clock, dialler, client)
}

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn a_client_connects_when_it_is_started() {
    let (_clock, dialler, client) = client_of(back_off());
    assert_eq!(dialler.made(), 0);
    client.start_service().unwrap();
    client.start_service().unwrap();
    assert_eq!(dialler.made(), 1, "starting a client twice is no mistake");
    assert!(client.connection().is_none());
    dialler.accept();
    assert_eq!(client.connection().unwrap().number(), 1);
}

fn a_client_connects_again_after_a_failure() {
    let (clock, dialler, client) = started();
    dialler.refuse();
    clock.advance(milliseconds(9));
    assert_eq!((dialler.made(), client.retries()), (1, 1));
    clock.advance(milliseconds(1));
    assert_eq!(dialler.made(), 2);
    dialler.accept();
    assert!(client.connection().is_some());
}

/// Tells after how long each attempt is made, where all of them fail.
fn waits(clock: &Clock, dialler: &Dialler, count: usize, step: Duration) -> Vec<Duration> {
    let mut waits = Vec::new();
    for _ in 0..count {
        let (begun, made) = (clock.now(), dialler.made());
        dialler.refuse();
        while dialler.made() == made {
            clock.advance(step);
        }
        waits.push(clock.now() - begun);
    }
    waits
}

fn a_client_backs_off_as_twisteds_does() {
    let (clock, dialler, client) = client_of(BackOff { jitter: 0.0, ..BackOff::default() });
    client.start_service().unwrap();
    let waits = waits(&clock, &dialler, 10, Duration::from_secs(1));
    let seconds: Vec<_> = waits.iter().map(Duration::as_secs).collect();
    // The powers of e, rounded up, to an hour.
    assert_eq!(seconds, [3, 8, 21, 55, 149, 404, 1097, 2981, 3600, 3600]);
}

fn a_client_backs_off_by_chance() {
    let of_seed = |seed| {
        let _random = Random::seeded(seed);
        let (clock, dialler, client) = client_of(BackOff::default());
        client.start_service().unwrap();
        waits(&clock, &dialler, 5, milliseconds(1))
    };
    assert_eq!(of_seed(1), of_seed(1));
    assert_ne!(of_seed(1), of_seed(2));
}

fn a_connection_that_is_lost_is_made_again() {
    let (clock, dialler, client) = started();
    for number in 1..=3 {
        let line = dialler.accept();
        assert_eq!(client.connection().unwrap().number(), number);
        line.lose();
        assert!(client.connection().is_none());
        clock.advance(milliseconds(10));
        assert_eq!(dialler.made(), number + 1);
    }
}

fn a_connection_resets_the_delay() {
    let (clock, dialler, client) = started();
    assert_eq!(waits(&clock, &dialler, 4, milliseconds(1)), [10, 20, 40, 40].map(milliseconds));
    assert_eq!(client.retries(), 4);
    dialler.accept().lose();
    assert_eq!(client.retries(), 1);
    clock.advance(milliseconds(10));
    dialler.refuse();
    client.reset_delay();
    clock.advance(milliseconds(20));
    assert_eq!(waits(&clock, &dialler, 1, milliseconds(1)), [milliseconds(10)]);
}

fn a_client_gives_up_after_its_retries() {
    let (clock, dialler, client) = client_of(BackOff { max_retries: Some(2), ..back_off() });
    client.start_service().unwrap();
    let waits = client.when_connected(None);
    dialler.refuse();
    clock.advance(milliseconds(10));
    dialler.refuse();
    clock.advance(milliseconds(20));
    assert!(client.continues_trying() && !waits.is_done());
    dialler.refuse();
    assert_eq!(code(waits.map(|_| ())), "refused");
    assert!(!client.continues_trying());
    assert_eq!(clock.pending(), 0);
    client.start_service().unwrap();
    assert_eq!((dialler.made(), client.retries()), (4, 0));
}

fn when_connected_fires_for_all_who_ask() {
    let (_clock, dialler, client) = client_of(back_off());
    let before = client.when_connected(None);
    client.start_service().unwrap();
    let meanwhile = client.when_connected(None);
    drop(client.when_connected(None));
    assert!(!before.is_done() && !meanwhile.is_done());
    dialler.accept();
    for deferred in [before, meanwhile, client.when_connected(None)] {
        assert_eq!(value(deferred).number(), 1);
    }
}

fn when_connected_bears_so_many_failures() {
    let (clock, dialler, client) = started();
    let [first, second, third] = [Some(1), Some(2), None].map(|bears| client.when_connected(bears));
    dialler.refuse();
    assert_eq!(code(first.map(|_| ())), "refused");
    assert!(!second.is_done());
    clock.advance(milliseconds(10));
    dialler.refuse();
    assert_eq!(code(second.map(|_| ())), "refused");
    clock.advance(milliseconds(20));
    dialler.accept();
    assert_eq!(value(third).number(), 3);
}

fn when_connected_fails_where_the_client_stops() {
    let (_clock, dialler, client) = started();
    dialler.refuse();
    let waits = client.when_connected(None);
    value(client.stop_service());
    assert_eq!(code(waits.map(|_| ())), "cancelled");
    assert_eq!(code(client.when_connected(None).map(|_| ())), "cancelled");
}

fn a_client_that_stops_trying_keeps_its_connection() {
    let (clock, dialler, client) = started();
    let line = dialler.accept();
    client.stop_trying();
    assert!(!line.is_closing() && client.connection().is_some() && !client.continues_trying());
    client.start_service().unwrap();
    assert!(client.continues_trying());
    client.stop_trying();
    line.lose();
    clock.advance(Duration::from_secs(1));
    assert_eq!((dialler.made(), clock.pending()), (1, 0));
    client.start_service().unwrap();
    assert_eq!(dialler.made(), 2);
}

fn stop_trying_gives_up_an_attempt_and_a_wait() {
    let (clock, dialler, client) = started();
    let waits = client.when_connected(None);
    client.stop_trying();
    assert_eq!(code(waits.map(|_| ())), "cancelled");
    assert_eq!(dialler.wanted(), 0);
    client.start_service().unwrap();
    dialler.refuse();
    client.stop_trying();
    clock.advance(Duration::from_secs(1));
    assert_eq!((dialler.made(), clock.pending()), (2, 0));
}

fn a_stopped_client_closes_its_connection() {
    let (clock, dialler, client) = started();
    let line = dialler.accept();
    let (first, second) = (client.stop_service(), client.stop_service());
    assert!(line.is_closing() && client.connection().is_none());
    assert!(!first.is_done() && !second.is_done());
    line.lose();
    value(first);
    value(second);
    clock.advance(Duration::from_secs(1));
    assert_eq!((dialler.made(), clock.pending()), (1, 0));
    value(client.stop_service());
}

fn a_stopped_client_gives_up_its_attempt() {
    let (clock, dialler, client) = started();
    value(client.stop_service());
    assert_eq!((dialler.wanted(), clock.pending()), (0, 0));
}

fn a_client_that_stops_may_be_started_again() {
    let (clock, dialler, client) = started();
    let line = dialler.accept();
    let stopped = client.stop_service();
    client.start_service().unwrap();
    let again = client.when_connected(None);
    assert_eq!(dialler.made(), 1, "one connection at a time");
    line.lose();
    value(stopped);
    assert_eq!(dialler.made(), 2);
    let _line = dialler.accept();
    assert_eq!(value(again).number(), 2);
    let stopped = client.stop_service();
    client.start_service().unwrap();
    let stopped_again = client.stop_service();
    assert!(!stopped.is_done() && !stopped_again.is_done());
    assert_eq!(clock.pending(), 1);
}

fn a_connection_that_comes_too_late_is_closed() {
    let clock = Clock::install();
    let late = Line::default();
    let (line, kept) = (late.clone(), Cell::new(None));
    // It can't be cancelled any more: its canceller fires it.
    let client = ReconnectingClient::new(move || {
        let line = line.clone();
        let (attempt, firing) = Deferred::cancellable(move |firing| firing.callback(line));
        kept.set(Some(firing));
        attempt
    });
    client.start_service().unwrap();
    let stopped = client.stop_service();
    assert!(late.is_closing() && !stopped.is_done());
    late.lose();
    value(stopped);
    assert_eq!(clock.pending(), 0);
}

fn a_client_is_stopped_by_who_hears_of_its_connection() {
    let (clock, dialler, client) = started();
    let stops = client.clone();
    let stopped = client.when_connected(None).then(move |_| stops.stop_service());
    let line = dialler.accept();
    assert!(line.is_closing() && !stopped.is_done());
    line.lose();
    value(stopped);
    // And one who is told that it was stopped starts it again.
    let starts = client.clone();
    client.start_service().unwrap();
    let line = dialler.accept();
    let restarted = client.stop_service().then(move |()| starts.start_service());
    line.lose();
    value(restarted);
    assert_eq!((dialler.made(), clock.pending()), (3, 1));
}

fn a_dropped_client_tries_no_more() {
    let (clock, dialler, client) = started();
    let waits = client.when_connected(None);
    let other = client.clone();
    drop(client);
    assert_eq!(dialler.wanted(), 1);
    drop(other);
    assert_eq!((dialler.wanted(), clock.pending()), (0, 0));
    assert_eq!(code(waits.map(|_| ())), "cancelled");
    let (clock, dialler, client) = started();
    let line = dialler.accept();
    drop(client);
    assert!(!line.is_closing());
    line.lose();
    assert_eq!((dialler.made(), clock.pending()), (1, 0));
}

fn a_client_has_one_timer() {
    let (clock, dialler, client) = started();
    assert_eq!(clock.pending(), 1);
    waits(&clock, &dialler, 5, milliseconds(1));
    let line = dialler.accept();
    assert_eq!(clock.pending(), 1);
    line.lose();
    assert_eq!(clock.pending(), 1);
    value(client.stop_service());
    assert_eq!(clock.pending(), 0);
}
