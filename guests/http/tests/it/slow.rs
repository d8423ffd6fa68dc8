//! Peers that take their answers slowly: nothing is lost, and little is queued.

use std::cell::{Cell, RefCell};

use torsade_http::config::Config;
use torsade_http::conversation::{Conversation, Peer, Question, Unsent};
use torsade_http::file::Kind;
use torsade_http::listing::Entry;
use torsade_http::site::Site;

use crate::{DATE, get, metadata, open};

/// A connection whose peer takes what is queued only when the test says so.
#[derive(Default)]
struct Slow {
    capacity: u64,
    /// Bytes that count against the room.
    queued: Cell<u64>,
    most: Cell<u64>,
    out: RefCell<Vec<u8>>,
    is_paused: Cell<bool>,
    is_closed: Cell<bool>,
    is_full: Cell<bool>,
    refuses_files: bool,
    is_aborted: Cell<bool>,
}

impl Peer<&'static str> for Slow {
    fn write(&self, bytes: &[u8]) {
        self.queued.set(self.queued.get() + bytes.len() as u64);
        self.most.set(self.most.get().max(self.queued.get()));
        self.is_full.set(self.queued.get() >= self.capacity);
        self.out.borrow_mut().extend_from_slice(bytes);
    }

    fn send(&self, file: &&'static str, offset: u64, length: u64) -> Result<(), Unsent> {
        if self.refuses_files {
            return Err(Unsent);
        }
        let part = &file.as_bytes()[offset as usize..(offset + length) as usize];
        self.out.borrow_mut().extend_from_slice(part);
        Ok(())
    }

    fn room(&self) -> u64 {
        self.capacity.saturating_sub(self.queued.get())
    }

    fn pause_producing(&self) {
        assert!(!self.is_paused.replace(true), "paused twice");
    }

    fn resume_producing(&self) {
        assert!(self.is_paused.replace(false), "resumed without a pause");
    }

    fn lose_connection(&self) {
        assert!(!self.is_closed.replace(true), "closed twice");
    }

    fn abort_connection(&self) {
        self.is_aborted.set(true);
    }

    fn log(&self, _: &str) {}
}

/// A conversation with a slow peer, over a folder of many files.
struct Dialogue {
    site: Site<&'static str>,
    conversation: Conversation,
    peer: Slow,
    question: Option<Question>,
}

impl Dialogue {
    fn new(capacity: u64) -> Self {
        let config: Config = serde_json::from_str(r#"{"listing": true}"#).expect("it is sound");
        let mut site = Site::new(&config).expect("it is sound");
        site.set_time(1, DATE);
        let conversation = Conversation::new(&site);
        let peer = Slow { capacity, ..Slow::default() };
        Self { site, conversation, peer, question: None }
    }

    fn receive(&mut self, bytes: &[u8]) {
        assert!(self.may_receive());
        self.question = self.conversation.received(&mut self.site, &self.peer, bytes);
    }

    fn may_receive(&self) -> bool {
        self.question.is_none() && !self.peer.is_paused.get() && !self.peer.is_closed.get()
    }

    fn answer(&mut self) {
        let path = self.conversation.path().to_owned();
        self.question = match self.question.take() {
            Some(Question::Open) => {
                self.conversation.opened(&mut self.site, &self.peer, open(&path))
            }
            Some(Question::List) => {
                let metadata = metadata(Kind::Regular, 10);
                let entry = |number| Entry { name: format!("file-{number:05}"), metadata };
                let entries = (0..1500).map(entry).collect();
                self.conversation.listed(&mut self.site, &self.peer, Ok(entries))
            }
            Some(Question::Verify) | None => None,
        };
    }

    fn take(&mut self, bytes: u64) {
        let peer = &self.peer;
        peer.queued.set(peer.queued.get().saturating_sub(bytes));
        if peer.queued.get() < peer.capacity / 2 && peer.is_full.replace(false) {
            let question = self.conversation.drained(&mut self.site, peer);
            self.question = self.question.or(question);
        }
    }

    fn is_done(&self) -> bool {
        self.question.is_none() && self.peer.queued.get() == 0
    }
}

fn input() -> Vec<u8> {
    let mut input = String::new();
    for _ in 0..20 {
        input += &get("/digits", "");
        input += &get("/none", "");
        input += &get("/digits", "Range: bytes=0-1,4-5,8-8\r\n");
        input += &get("/empty/", "");
        input += &get("/", "Content-Length: 3\r\n");
        input += "abc";
    }
    (input + "GET /empty/ HTTP/1.0\r\n\r\n").into_bytes()
}

#[test]
fn a_slow_peer_gets_the_same_answers() {
    let input = input();
    let mut fast = Dialogue::new(u64::MAX);
    fast.receive(&input);
    while fast.question.is_some() {
        fast.answer();
    }
    assert!(fast.peer.is_closed.get());
    let want = fast.peer.out.take();
    assert!(want.len() > 1_000_000);

    for seed in 1..50_u64 {
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut pick = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        let capacity = 1 + pick(100_000);
        let mut dialogue = Dialogue::new(capacity);
        let mut rest = &input[..];
        while !rest.is_empty() || !dialogue.is_done() {
            match pick(3) {
                0 if !rest.is_empty() && dialogue.may_receive() => {
                    let cut = 1 + pick(rest.len().min(2000) as u64) as usize;
                    dialogue.receive(&rest[..cut]);
                    rest = &rest[cut..];
                }
                1 => dialogue.answer(),
                _ => {
                    let bytes = pick(capacity * 2);
                    dialogue.take(bytes);
                }
            }
        }
        let peer = &dialogue.peer;
        assert!(*peer.out.borrow() == want, "seed {seed}");
        assert!(peer.is_closed.get(), "seed {seed}");
        // A large answer goes in pieces, and no answer begins without room.
        assert!(peer.most.get() <= capacity + 33 * 1024, "seed {seed}: {}", peer.most.get());
    }
}

#[test]
fn the_end_of_the_stream_closes_behind_the_answers() {
    let mut dialogue = Dialogue::new(100);
    dialogue.receive(&[get("/empty/", ""), get("/digits", "")].concat().into_bytes());
    dialogue.answer();
    dialogue.answer();
    assert!(dialogue.peer.is_paused.get());
    dialogue.conversation.ended(&dialogue.peer);
    assert!(!dialogue.peer.is_closed.get());
    while !dialogue.is_done() {
        dialogue.take(1000);
        dialogue.answer();
    }
    assert!(dialogue.peer.is_closed.get());
    assert!(dialogue.peer.out.borrow().ends_with(b"0123456789"));

    let idle = &mut Dialogue::new(100);
    idle.conversation.ended(&idle.peer);
    assert!(idle.peer.is_closed.get());
}

#[test]
fn stopping_waits_for_what_waits_for_room() {
    let mut dialogue = Dialogue::new(100);
    dialogue.receive(get("/empty/", "").as_bytes());
    dialogue.answer();
    dialogue.answer();
    dialogue.site.stop();
    dialogue.conversation.stopping(&dialogue.peer);
    assert!(!dialogue.peer.is_closed.get());
    while !dialogue.is_done() {
        dialogue.take(1000);
    }
    assert!(dialogue.peer.is_closed.get());
    assert!(dialogue.peer.out.borrow().ends_with(b"</table>\n"));
}

#[test]
fn a_slow_peer_is_the_hosts_to_judge() {
    let mut dialogue = Dialogue::new(100);
    dialogue.receive(get("/empty/", "").as_bytes());
    dialogue.answer();
    dialogue.answer();
    assert_eq!(dialogue.conversation.deadline(), None);
    dialogue.site.set_time(1_000_000_000_000, DATE);
    while !dialogue.is_done() {
        dialogue.take(1000);
    }
    assert_eq!(dialogue.conversation.deadline(), Some(1_060_000_000_000));
}

#[test]
fn a_file_that_can_not_be_sent_aborts() {
    let mut dialogue = Dialogue::new(1000);
    dialogue.peer.refuses_files = true;
    dialogue.receive(get("/digits", "").as_bytes());
    dialogue.answer();
    assert!(dialogue.peer.is_aborted.get());
}

#[test]
fn parts_that_can_not_be_sent_abort() {
    let mut dialogue = Dialogue::new(1000);
    dialogue.peer.refuses_files = true;
    dialogue.receive(get("/digits", "Range: bytes=0-0,9-9\r\n").as_bytes());
    dialogue.answer();
    assert!(dialogue.peer.is_aborted.get());
}
