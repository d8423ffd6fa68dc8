//! Callers who take their time, say too much, or come in crowds, over a simulated network.

use std::time::Duration;

use super::status::tests::status;
use super::*;
use crate::net::sim::tests::CALM;
use crate::net::sim::{Far, SimNet};

/// Counts how often it is asked, and knows one service.
#[derive(Default)]
struct Known {
    asked: usize,
    stopped: usize,
    /// Who waits for a reload.
    askers: Vec<Asker>,
}

impl Host for Known {
    fn status(&mut self, uptime: Duration) -> Status {
        self.asked += 1;
        Status { uptime, ..status() }
    }

    fn stop(&mut self, service: &str) -> Result<(), String> {
        self.stopped += 1;
        if service == "echo" { Ok(()) } else { Err(format!("there is no service {service}")) }
    }

    fn reload(&mut self, asker: Asker) {
        self.askers.push(asker);
    }
}

/// An observer with a door for HTTP, the first, and one for lines.
fn observer() -> Observer<SimNet, Known> {
    let mut net = SimNet::with(1, CALM);
    let doors = [Speaks::Http, Speaks::Lines].map(|speaks| Door { socket: net.listener(), speaks });
    Observer::new(net, doors.into(), Known::default()).unwrap()
}

/// Has all arrive and be answered.
fn settle(observer: &mut Observer<SimNet, Known>) {
    while !observer.net.idle() {
        observer.turn().unwrap();
    }
}

fn call(observer: &mut Observer<SimNet, Known>, door: usize, says: &str) -> Far {
    let far = observer.net.connect(door);
    observer.net.send(far, says.as_bytes());
    settle(observer);
    far
}

/// Has time pass in which nothing comes.
fn pass(observer: &mut Observer<SimNet, Known>, time: Duration) {
    let mut ready = Vec::new();
    observer.net.poll(Some(time), &mut ready).unwrap();
    assert_eq!(ready.len(), 0);
}

fn heard(observer: &mut Observer<SimNet, Known>, far: Far) -> String {
    String::from_utf8(observer.net.received(far)).unwrap()
}

#[test]
fn a_scrape_gets_the_page_and_the_end() {
    let mut observer = observer();
    let far = call(&mut observer, 0, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = heard(&mut observer, far);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with(&metrics::page(&observer.last.as_ref().unwrap().1)), "{answer}");
    assert!(observer.net.far_saw_end(far));
    observer.net.hang_up(far);
    settle(&mut observer);
    assert_eq!(observer.net.open_streams(), 0);
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let mut observer = observer();
    let far = call(&mut observer, 0, "");
    for byte in "HEAD /metrics HTTP/1.1\r\n\r\n".chars() {
        observer.net.send(far, byte.to_string().as_bytes());
        settle(&mut observer);
    }
    assert!(heard(&mut observer, far).starts_with("HTTP/1.1 200 OK\r\n"));
}

#[test]
fn one_caller_may_ask_line_by_line() {
    let mut observer = observer();
    let stop = |service: &str| Request::Stop(service.to_owned()).to_line();
    let says = [stop("echo"), stop("none"), "rubbish\n".to_owned()];
    let far = call(&mut observer, 1, &says.concat());
    let answers = heard(&mut observer, far);
    let mut answers = answers.lines().map(|line| Answer::from_line(line.as_bytes()).unwrap());
    assert_eq!(answers.next(), Some(Answer::Done));
    assert_eq!(answers.next(), Some(Answer::Failed("there is no service none".to_owned())));
    assert!(matches!(answers.next(), Some(Answer::Failed(why)) if why.starts_with("not JSON")));
    assert_eq!(answers.next(), None);
    observer.net.send(far, Request::Status.to_line().as_bytes());
    settle(&mut observer);
    let status = Answer::from_line(heard(&mut observer, far).as_bytes()).unwrap();
    assert!(matches!(status, Answer::Status(status) if status.services[0].name == "echo"));
}

#[test]
fn who_has_it_reload_hears_what_came_of_it() {
    let mut observer = observer();
    let says = Request::Reload.to_line() + &Request::Status.to_line();
    let [stays, other, leaves] = [(); 3].map(|()| call(&mut observer, 1, &says));
    assert_eq!(observer.host.asked, 0, "a caller is answered in the order of what it asks");
    pass(&mut observer, Duration::from_secs(59 * 60));
    observer.net.reset(leaves);
    settle(&mut observer);
    let mut outcomes = [Ok("added a"), Err("line 3 is wrong"), Ok("nobody is there")].into_iter();
    for asker in mem::take(&mut observer.host.askers) {
        let outcome = outcomes.next().unwrap();
        asker.tell(outcome.map(str::to_owned).map_err(str::to_owned));
    }
    observer.turn().unwrap();
    settle(&mut observer);
    for (far, first) in [
        (stays, Answer::Reloaded("added a".to_owned())),
        (other, Answer::Failed("line 3 is wrong".to_owned())),
    ] {
        let answers = heard(&mut observer, far);
        let mut answers = answers.lines().map(|line| Answer::from_line(line.as_bytes()).unwrap());
        assert_eq!(answers.next(), Some(first));
        assert!(matches!(answers.next(), Some(Answer::Status(_))));
    }
    // Nobody waits without end.
    call(&mut observer, 1, &Request::Reload.to_line());
    pass(&mut observer, Duration::from_secs(61 * 60));
    observer.turn().unwrap();
    assert_eq!(observer.callers.iter().flatten().count(), 0);
}

#[test]
fn who_says_too_much_is_refused_and_cut_off() {
    let mut observer = observer();
    let far = call(&mut observer, 0, &format!("GET /{}", "a".repeat(9000)));
    assert!(heard(&mut observer, far).starts_with("HTTP/1.1 431 "));
    let far = call(&mut observer, 1, &"a".repeat(9000));
    assert!(heard(&mut observer, far).contains("a line has more than 8192 bytes"));
    observer.net.send(far, &[b'a'; 1 << 20]);
    settle(&mut observer);
    assert!(observer.net.far_saw_reset(far));
    // Nor may one ask without end.
    let far = call(&mut observer, 1, &Request::Status.to_line().repeat(200));
    assert!(heard(&mut observer, far).lines().count() <= STEPS);
    assert!(observer.net.far_saw_end(far) || observer.net.far_saw_reset(far));
}

#[test]
fn who_takes_too_long_is_sent_away() {
    let mut observer = observer();
    let (silent, deaf) = (call(&mut observer, 0, "GET /metr"), observer.net.connect(1));
    observer.net.set_reading(deaf, false);
    observer.net.conditions().window = 100;
    observer.net.send(deaf, Request::Status.to_line().as_bytes());
    settle(&mut observer);
    assert_eq!(observer.net.open_streams(), 2);
    while observer.net.open_streams() > 0 {
        observer.turn().unwrap();
    }
    assert!(observer.net.elapsed() < Duration::from_secs(11), "{:?}", observer.net.elapsed());
    settle(&mut observer);
    assert!(observer.net.far_saw_end(silent));
}

#[test]
fn a_crowd_of_the_slow_keeps_nobody_out() {
    let mut observer = observer();
    for _ in 0..5 * CALLERS {
        call(&mut observer, 0, "GET /metrics HTTP/1.1\r\n");
    }
    assert_eq!(observer.net.open_streams(), CALLERS);
    let far = call(&mut observer, 0, "GET /metrics HTTP/1.1\r\n\r\n");
    assert!(heard(&mut observer, far).starts_with("HTTP/1.1 200 OK\r\n"));
    // Those of the other door have places of their own.
    let far = call(&mut observer, 1, &Request::Status.to_line());
    assert!(heard(&mut observer, far).contains("\"status\""));
    assert_eq!(observer.net.open_streams(), CALLERS + 1);
}

#[test]
fn many_who_ask_at_once_cost_the_workers_one_answer() {
    let mut observer = observer();
    for _ in 0..CALLERS {
        call(&mut observer, 0, "GET /metrics HTTP/1.1\r\n\r\n");
    }
    assert_eq!(observer.host.asked, 1);
}
