//! A server with its clients, and who answers its questions.

use std::collections::{BTreeMap, BTreeSet};

use torsade_irc::history::Ring;
use torsade_irc::{Action, Answer, Client, Config, Now, Peer, Question, Server};

/// A server, a clock, and what each client has seen and not been asked for.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) now: Now,
    seen: BTreeMap<Client, String>,
    /// How each client that has gone did.
    pub(crate) gone: BTreeMap<Client, &'static str>,
    pub(crate) paused: BTreeSet<Client>,
    pub(crate) starting_tls: BTreeSet<Client>,
    /// Questions that wait for an answer by hand, where there is to be one.
    pub(crate) asked: Vec<(u64, Question)>,
    pub(crate) by_hand: bool,
    pub(crate) history: Ring,
    pub(crate) given_up: usize,
    pub(crate) logged: Vec<String>,
    /// The longest line that was sent, without its tags.
    pub(crate) longest: usize,
}

/// Flood control would be in the way.
pub(crate) fn config() -> Config {
    Config { rate: 0, ..Config::default() }
}

impl World {
    pub(crate) fn new() -> World {
        World::with(config())
    }

    pub(crate) fn with(config: Config) -> World {
        config.check().unwrap();
        let now = Now { monotonic: 1_000_000_000, unix: 1_700_000_000_000 };
        World {
            server: Server::new(config, 7, now),
            now,
            seen: BTreeMap::new(),
            gone: BTreeMap::new(),
            paused: BTreeSet::new(),
            starting_tls: BTreeSet::new(),
            asked: Vec::new(),
            by_hand: false,
            history: Ring::new(1_000),
            given_up: 0,
            logged: Vec::new(),
            longest: 0,
        }
    }

    /// A client with the mechanisms that a plain connection from this host has.
    pub(crate) fn connect(&mut self) -> Client {
        let mechanisms = ["SCRAM-SHA-256", "PLAIN"].map(str::to_owned).to_vec();
        self.connect_as(Peer { host: "host.example".into(), mechanisms, ..Peer::default() })
    }

    pub(crate) fn connect_as(&mut self, peer: Peer) -> Client {
        let client = self.server.connected(peer, self.now);
        self.act();
        client
    }

    /// A client that is registered, and what it was told is forgotten.
    pub(crate) fn join(&mut self, nick: &str) -> Client {
        self.join_with(nick, "")
    }

    /// The same, with some capabilities.
    pub(crate) fn join_with(&mut self, nick: &str, caps: &str) -> Client {
        let client = self.connect();
        if !caps.is_empty() {
            self.send(client, &format!("CAP REQ :{caps}"));
        }
        self.send(client, &format!("NICK {nick}"));
        self.send(client, &format!("USER {nick} 0 * :The real {nick}"));
        self.send(client, "CAP END");
        let told = self.seen(client);
        assert!(told.contains(" 001 "), "{told}");
        client
    }

    /// A client sends a line.
    pub(crate) fn send(&mut self, of: Client, line: &str) {
        self.bytes(of, format!("{line}\r\n").as_bytes());
    }

    pub(crate) fn bytes(&mut self, of: Client, bytes: &[u8]) {
        self.server.received(of, bytes, self.now);
        self.act();
    }

    /// A client sends a line, and this is what it sees.
    pub(crate) fn says(&mut self, of: Client, line: &str) -> String {
        self.seen(of);
        self.send(of, line);
        self.seen(of)
    }

    /// Time passes, and what becomes due meanwhile is done in time.
    pub(crate) fn pass(&mut self, milliseconds: u64) {
        let end = self.now.monotonic + milliseconds * 1_000_000;
        while let Some(due) = self.server.deadline().filter(|&due| due <= end) {
            self.advance(due.max(self.now.monotonic));
            self.server.due(self.now);
            self.act();
        }
        self.advance(end);
    }

    fn advance(&mut self, monotonic: u64) {
        self.now.unix += (monotonic - self.now.monotonic) / 1_000_000;
        self.now.monotonic = monotonic;
    }

    /// What a client has seen since it was asked last, a line each.
    pub(crate) fn seen(&mut self, of: Client) -> String {
        self.seen.remove(&of).unwrap_or_default()
    }

    /// Answers a question by hand.
    pub(crate) fn answer(&mut self, question: u64, answer: Answer) {
        self.server.answered(question, answer, self.now);
        self.act();
    }

    /// Does what the server says.
    pub(crate) fn act(&mut self) {
        while let Some(action) = self.server.next_action() {
            self.one(action);
        }
    }

    /// Does some of what the server says.
    pub(crate) fn take(&mut self, actions: usize) {
        for _ in 0..actions {
            if let Some(action) = self.server.next_action() {
                self.one(action);
            }
        }
    }

    fn one(&mut self, action: Action) {
        match action {
            Action::Abort { of } => assert_eq!(self.gone.insert(of, "aborted"), None),
            Action::Close { of } => assert_eq!(self.gone.insert(of, "closed"), None),
            Action::Ask { question, what, .. } => self.ask(question, *what),
            Action::Log(line) => self.logged.push(line),
            Action::Pause { of } => assert!(self.paused.insert(of)),
            Action::Resume { of } => assert!(self.paused.remove(&of)),
            Action::Send { to, bytes } => {
                assert!(!self.gone.contains_key(&to), "{to:?} has gone");
                let text = str::from_utf8(self.server.bytes(bytes)).unwrap();
                assert!(text.ends_with("\r\n"), "{text:?}");
                for line in text.split_terminator("\r\n") {
                    assert!(!line.contains(['\r', '\n', '\0']), "{line:?}");
                    let body = match line.strip_prefix('@') {
                        Some(tagged) => tagged.split_once(' ').unwrap().1,
                        None => line,
                    };
                    self.longest = self.longest.max(body.len() + 2);
                }
                self.seen.entry(to).or_default().push_str(&text.replace("\r\n", "\n"));
            }
            Action::StartTls { of } => assert!(self.starting_tls.insert(of)),
        }
    }

    fn ask(&mut self, question: u64, what: Question) {
        match what {
            Question::Keep(entry) => return self.history.keep(entry),
            Question::GiveUp => {
                self.given_up += 1;
                return;
            }
            _ if self.by_hand => return self.asked.push((question, what)),
            _ => {}
        }
        let answer = match what {
            Question::Authenticate { mechanism, initial } if mechanism == "PLAIN" => {
                match initial.as_deref() {
                    Some(b"\0alice\0secret") => identity("alice"),
                    Some(b"\0bob\0secret") => identity("bob"),
                    _ => refused(),
                }
            }
            Question::Authenticate { initial, .. } => {
                Answer::Challenge([b"challenge to ", &initial.unwrap()[..]].concat())
            }
            Question::Respond { data } if data == b"response" => {
                Answer::Identity { name: "alice".into(), data: Some(b"v=proof".to_vec()) }
            }
            Question::Verify { name, password } if password == b"secret" => identity(&name),
            Question::History { target, selection, limit } => {
                Answer::Messages(self.history.messages(&target, &selection, limit))
            }
            Question::Targets { channels, account, after, before, limit } => {
                let times = (after, before);
                Answer::Targets(self.history.targets(&channels, account.as_deref(), times, limit))
            }
            _ => refused(),
        };
        // The rest of what is to be done comes first, as with a host.
        self.server.answered(question, answer, self.now);
    }
}

pub(crate) fn identity(name: &str) -> Answer {
    Answer::Identity { name: name.into(), data: None }
}

pub(crate) fn refused() -> Answer {
    Answer::Refused { code: "denied".into(), message: "wrong".into() }
}
