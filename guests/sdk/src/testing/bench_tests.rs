//! The bench does what the host would, with a plugin that does what its peer says.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::{Bench, Question};
use crate::{
    Failure, NoConfig, Origin, Plugin, Protocol, Reason, Transport, Waiting, clock, endpoints,
    jobs, key_value, timers,
};

struct Obedient;

impl Plugin for Obedient {
    type Config = NoConfig;
    type Protocol = Peer;

    fn start(_: NoConfig) -> Result<Self, String> {
        Ok(Obedient)
    }

    fn build_protocol(&mut self, transport: Transport<Peer>, origin: Origin) -> Option<Peer> {
        if transport.peer_address().host == "192.0.2.66" {
            return None;
        }
        if let Origin::Dialled(_) = origin {
            transport.write(b"it is me");
        }
        Some(Peer { transport, later: Vec::new() })
    }
}

struct Peer {
    transport: Transport<Peer>,
    later: Vec<Waiting>,
}

impl Protocol for Peer {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        let call = |this: &mut Self, what: &str| this.transport.write(what.as_bytes());
        match data {
            b"abort" => self.transport.abort_connection(),
            b"close" => {
                self.transport.write(b"bye");
                self.transport.lose_connection();
                self.transport.write(b"nobody gets this");
            }
            b"connect" => {
                let asked = endpoints::connect("tcp:192.0.2.1:80").ok()?;
                let told = asked.call_on(&self.transport, move |this, result| {
                    call(this, result.map_or("no", |()| "yes"));
                    None
                });
                self.later.push(told);
            }
            b"job" => {
                let job = jobs::run("count", b"abc").ok()?;
                return Some(job.call_on(&self.transport, move |this, result| {
                    let text = result.unwrap_or_else(|failure: Failure| failure.code.into_bytes());
                    call(this, &String::from_utf8_lossy(&text));
                    None
                }));
            }
            b"set" => drop(key_value::set(b"key", b"value", None)),
            b"twice" => {
                for seconds in [2, 1] {
                    let timer = timers::after(Duration::from_secs(seconds)).ok()?;
                    self.later.push(timer.call_on(&self.transport, move |this, _| {
                        call(this, &format!("{} ", clock::monotonic().as_secs()));
                        None
                    }));
                }
            }
            _ => self.transport.write(data),
        }
        None
    }

    fn write_drained(&mut self) {
        self.transport.write(b"drained");
    }

    fn connection_lost(&mut self, _: Reason) {
        self.transport.write(b"nobody gets this");
    }
}

fn bench() -> Bench<Obedient> {
    Bench::start("{}").unwrap()
}

#[test]
fn there_is_one_bench_at_a_time() {
    let first = bench();
    assert!(Bench::<Obedient>::start("{}").is_err());
    drop(first);
    bench();
    assert_eq!(
        Bench::<Obedient>::start(r#"{"a": 1}"#).err().as_deref(),
        Some(r#"config: this plugin takes no configuration, but got {"a": 1}"#)
    );
    bench();
}

#[test]
fn what_is_written_before_the_end_is_got() {
    let mut bench = bench();
    let peer = bench.connect();
    bench.send(&peer, b"close");
    assert_eq!(peer.take(), b"bye");
    assert_eq!(peer.reason().unwrap().code, "done");
    bench.send(&peer, b"more");
    bench.lose(&peer);
    assert_eq!((peer.take().len(), peer.reason().unwrap().code), (0, "done".to_owned()));
}

#[test]
fn a_connection_that_closes_waits_for_a_peer_that_does_not_read() {
    let mut bench = bench();
    let peer = bench.connect();
    bench.set_reading(&peer, false);
    bench.send(&peer, b"close");
    assert!(!peer.is_lost() && peer.unsent() == 3);
    bench.set_reading(&peer, true);
    assert!(peer.is_lost());
    let other = bench.connect();
    bench.set_reading(&other, false);
    bench.send(&other, b"hello");
    bench.send(&other, b"abort");
    assert_eq!((other.take().len(), other.reason().unwrap().code), (0, "aborted".to_owned()));
}

#[test]
fn one_whose_room_was_used_up_hears_when_there_is_room() {
    let mut bench = bench();
    let peer = bench.connect();
    bench.set_reading(&peer, false);
    bench.send(&peer, &[b'x'; 65_535]);
    bench.set_reading(&peer, true);
    assert_eq!(peer.take().len(), 65_535, "there was room for one more");
    bench.set_reading(&peer, false);
    bench.send(&peer, &[b'x'; 65_536]);
    bench.set_reading(&peer, true);
    assert!(peer.take().ends_with(b"xdrained"));
}

#[test]
fn timers_come_at_their_own_times() {
    let mut bench = bench();
    let peer = bench.connect();
    bench.send(&peer, b"twice");
    bench.advance(Duration::from_millis(999));
    assert_eq!(peer.take_text(), "");
    bench.advance(Duration::from_secs(10));
    assert_eq!(peer.take_text(), "1 2 ");
    assert_eq!(bench.clock().pending(), 0);
}

#[test]
fn a_connection_waits_for_what_its_handler_returned() {
    let mut bench = bench();
    let peer = bench.connect();
    bench.send(&peer, b"job");
    bench.send(&peer, b"and then");
    bench.end(&peer);
    assert!(peer.is_paused() && !peer.is_lost());
    let asked = bench.asked().pop().unwrap();
    assert_eq!(asked.question, Question::Job { name: "count".into(), input: b"abc".to_vec() });
    bench.answer(asked, b"3 ".to_vec());
    assert_eq!(peer.take_text(), "3 and then");
    assert_eq!(peer.reason().unwrap().code, "done", "its end was behind that");
}

#[test]
fn a_question_fails_at_once_where_the_test_says_so() {
    let mut bench = bench();
    let peer = bench.connect();
    bench.fail_next();
    bench.send(&peer, b"job");
    assert_eq!(peer.take_text(), "limit");
    bench.send(&peer, b"job");
    let asked = bench.asked().pop().unwrap();
    bench.fail(asked, "trapped", "it has fallen");
    assert_eq!(peer.take_text(), "trapped");
}

#[test]
fn what_nobody_waits_for_is_not_asked() {
    let mut bench = bench();
    let peer = bench.connect();
    bench.send(&peer, b"set");
    bench.send(&peer, b"job");
    bench.lose(&peer);
    assert_eq!(bench.asked().len(), 0);
}

#[test]
fn a_connection_that_was_asked_for_is_built_before_that_is_told() {
    let mut bench = bench();
    let peer = bench.connect();
    bench.send(&peer, b"connect");
    let asked = bench.asked().pop().unwrap();
    assert_eq!(asked.question, Question::Connect("tcp:192.0.2.1:80".to_owned()));
    let far = bench.accept(asked).unwrap();
    assert_eq!((far.take_text(), peer.take_text()), ("it is me".to_owned(), "yes".to_owned()));
    bench.send(&peer, b"connect");
    let asked = bench.asked().pop().unwrap();
    bench.fail(asked, "refused", "nobody is there");
    assert_eq!(peer.take_text(), "no");
}

#[test]
fn a_peer_that_is_refused_is_gone_at_once() {
    let mut bench = bench();
    assert!(bench.connect_from("192.0.2.66").is_lost());
    assert!(!bench.connect_from("192.0.2.67").is_lost());
}

#[test]
fn an_answer_has_to_be_of_the_questions_type() {
    let mut bench = bench();
    let peer = bench.connect();
    bench.send(&peer, b"job");
    let asked = bench.asked().pop().unwrap();
    let wrong = catch_unwind(AssertUnwindSafe(|| bench.answer(asked, "a text")));
    let message = wrong.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("Job") && message.contains("&str"), "{message}");
}
