//! The server with its clients in memory: what the component and the host do for it, and no more.
//!
//! What the clients say, what time it is, and when questions are answered is in a test's hands.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use torsade_irc::history::Ring;
use torsade_irc::{Action, Answer, Client, Config, Now, Peer, Question, Server};

/// A server, its clients' far ends, and the users that it may be told of.
pub(crate) struct World {
    /// The server itself.
    pub(crate) server: Server,
    now: Now,
    wires: BTreeMap<Client, Wire>,
    asked: VecDeque<(u64, Option<Client>, Question)>,
    past: Ring,
    /// Whether questions wait until [`World::answer`] is called.
    pub(crate) answers_late: bool,
}

/// The far end of a client.
#[derive(Default)]
pub(crate) struct Wire {
    peer: Peer,
    /// What has come and wasn't taken.
    got: Vec<u8>,
    /// It doesn't read: this many bytes lie in its transport.
    stuck: Option<usize>,
    is_paused: bool,
    /// What it has sent while nothing was read from it.
    sent: VecDeque<Vec<u8>>,
    /// The server has ended it.
    is_cut_off: bool,
    /// It is asked to begin TLS.
    begins_tls: bool,
    /// It does an exchange of two steps, for this user.
    exchange: Option<String>,
}

impl World {
    /// A server that was configured so.
    pub(crate) fn new(config: Config, seed: u64) -> Self {
        let now = Now { monotonic: 0, unix: 1_700_000_000_000 };
        World {
            server: Server::new(config, seed, now),
            now,
            wires: BTreeMap::new(),
            asked: VecDeque::new(),
            past: Ring::new(1_000),
            answers_late: false,
        }
    }

    /// Somebody connects.
    pub(crate) fn connect(&mut self, mut peer: Peer) -> Client {
        peer.mechanisms = mechanisms(&peer);
        let client = self.server.connected(peer.clone(), self.now);
        self.wires.insert(client, Wire { peer, ..Wire::default() });
        self.settle();
        client
    }

    /// Bytes of a client arrive, if it is still connected.
    pub(crate) fn send(&mut self, from: Client, data: &[u8]) {
        let Some(wire) = self.wires.get_mut(&from).filter(|wire| !wire.is_cut_off) else { return };
        if wire.is_paused {
            wire.sent.push_back(data.to_vec());
        } else {
            self.server.received(from, data, self.now);
            self.settle();
        }
    }

    /// A client's connection ends, or breaks.
    pub(crate) fn lose(&mut self, client: Client, reason: &str) {
        let Some(wire) = self.wires.get_mut(&client) else { return };
        if !std::mem::replace(&mut wire.is_cut_off, true) {
            self.server.lost(client, reason, self.now);
            self.settle();
        }
    }

    /// Time passes, and what is due is done at its moment.
    pub(crate) fn pass(&mut self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).expect("a test doesn't take centuries");
        let until = self.now.monotonic + nanoseconds;
        let unix = self.now.unix;
        let begun = self.now.monotonic;
        while let Some(due) = self.server.deadline().filter(|due| *due <= until) {
            let due = due.max(self.now.monotonic);
            self.now = Now { monotonic: due, unix: unix + (due - begun) / 1_000_000 };
            self.server.due(self.now);
            self.settle();
        }
        self.now = Now { monotonic: until, unix: unix + nanoseconds / 1_000_000 };
    }

    /// Takes what has come for a client that reads.
    pub(crate) fn take(&mut self, client: Client) -> Vec<u8> {
        match self.wires.get_mut(&client) {
            Some(wire) if wire.stuck.is_none() => std::mem::take(&mut wire.got),
            _ => Vec::new(),
        }
    }

    /// Whether a client's connection is over.
    pub(crate) fn is_cut_off(&self, client: Client) -> bool {
        self.wires.get(&client).is_none_or(|wire| wire.is_cut_off)
    }

    /// A client reads on, or doesn't.
    pub(crate) fn set_reading(&mut self, client: Client, reading: bool) {
        let Some(wire) = self.wires.get_mut(&client) else { return };
        match (reading, wire.stuck) {
            (false, None) => wire.stuck = Some(0),
            (true, Some(_)) => {
                wire.stuck = None;
                if !wire.is_cut_off {
                    self.server.drained(client, self.now);
                    self.settle();
                }
            }
            _ => {}
        }
    }

    /// A client that was asked to begins TLS.
    ///
    /// # Errors
    /// It wasn't asked to.
    pub(crate) fn start_tls(&mut self, client: Client) -> Result<(), String> {
        let wire = self.wires.get_mut(&client).ok_or("it isn't there")?;
        if !std::mem::take(&mut wire.begins_tls) {
            return Err("the server doesn't begin TLS".to_owned());
        }
        wire.peer.is_secure = true;
        wire.peer.mechanisms = mechanisms(&wire.peer);
        self.server.secured(client, wire.peer.clone(), self.now);
        self.settle();
        Ok(())
    }

    /// Answers the oldest question that waits, and says whether there was one.
    pub(crate) fn answer(&mut self) -> bool {
        let Some((question, of, what)) = self.asked.pop_front() else { return false };
        if let Some(answer) = self.find(of, what) {
            self.server.answered(question, answer, self.now);
            self.settle();
        }
        true
    }

    /// Does what the server wants done.
    fn settle(&mut self) {
        loop {
            while let Some(action) = self.server.next_action() {
                self.act(action);
            }
            if self.answers_late || !self.answer() {
                return;
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Abort { of } | Action::Close { of } => {
                let wire = self.wires.get_mut(&of).expect("it ends who has connected");
                assert!(!wire.is_cut_off, "a client is ended twice");
                wire.is_cut_off = true;
            }
            Action::Ask { question, of, what } => self.asked.push_back((question, of, *what)),
            Action::Log(_) => {}
            Action::Pause { of } => self.wire(of).is_paused = true,
            Action::Resume { of } => self.resume(of),
            Action::Send { to, bytes } => self.deliver(to, bytes),
            Action::StartTls { of } => self.wire(of).begins_tls = true,
        }
    }

    fn wire(&mut self, of: Client) -> &mut Wire {
        self.wires.get_mut(&of).expect("it acts for who has connected")
    }

    fn deliver(&mut self, to: Client, bytes: std::ops::Range<usize>) {
        let bytes = self.server.bytes(bytes);
        assert!(is_lines(bytes), "no lines: {:?}", String::from_utf8_lossy(bytes));
        let wire = self.wires.get_mut(&to).expect("it sends to who has connected");
        assert!(!wire.is_cut_off, "who is cut off is sent {:?}", String::from_utf8_lossy(bytes));
        wire.got.extend(bytes);
        if let Some(stuck) = &mut wire.stuck {
            let before = *stuck;
            *stuck += bytes.len();
            if before < ROOM && *stuck >= ROOM {
                self.server.full(to);
            }
        }
    }

    fn resume(&mut self, of: Client) {
        self.wire(of).is_paused = false;
        while let Some(wire) = self.wires.get_mut(&of).filter(|wire| !wire.is_paused) {
            let Some(data) = wire.sent.pop_front().filter(|_| !wire.is_cut_off) else { return };
            self.server.received(of, &data, self.now);
            while let Some(action) = self.server.next_action() {
                self.act(action);
            }
        }
    }

    /// The answer to a question, if it wants one.
    fn find(&mut self, of: Option<Client>, what: Question) -> Option<Answer> {
        match what {
            Question::Authenticate { mechanism, initial } => {
                Some(self.authenticate(of?, &mechanism, initial.as_deref().unwrap_or_default()))
            }
            Question::GiveUp => {
                self.wires.get_mut(&of?)?.exchange = None;
                None
            }
            Question::Respond { data } => {
                let user = self.wires.get_mut(&of?)?.exchange.take();
                let user = user.filter(|_| data.starts_with(b"c="));
                Some(identity(user, Some(b"v=signature".to_vec())))
            }
            Question::Verify { name, password } => Some(verify(&name, &password)),
            Question::Keep(entry) => {
                self.past.keep(entry);
                None
            }
            Question::History { target, selection, limit } => {
                Some(Answer::Messages(self.past.messages(&target, &selection, limit)))
            }
            Question::Targets { channels, account, after, before, limit } => {
                let time = (after, before);
                let targets = self.past.targets(&channels, account.as_deref(), time, limit);
                Some(Answer::Targets(targets))
            }
        }
    }

    fn authenticate(&mut self, of: Client, mechanism: &str, initial: &[u8]) -> Answer {
        let Some(wire) = self.wires.get_mut(&of) else { return identity(None, None) };
        assert!(
            mechanisms(&wire.peer).contains(&mechanism.to_owned()),
            "{mechanism} isn't offered"
        );
        match mechanism {
            "EXTERNAL" => {
                identity(wire.peer.fingerprint.clone().filter(|name| is_user(name)), None)
            }
            "PLAIN" => {
                let mut parts = initial.split(|byte| *byte == 0).skip(1);
                match (parts.next(), parts.next(), parts.next()) {
                    (Some(name), Some(password), None) => {
                        verify(&String::from_utf8_lossy(name), password)
                    }
                    _ => identity(None, None),
                }
            }
            _ => {
                // As SCRAM looks from outside; its secrets are the host's.
                let name = initial
                    .strip_prefix(b"n,,n=")
                    .and_then(|rest| rest.split(|b| *b == b',').next());
                let Some(name) = name.map(|name| String::from_utf8_lossy(name).into_owned()) else {
                    return identity(None, None);
                };
                wire.exchange = Some(name).filter(|name| is_user(name));
                Answer::Challenge(b"r=nonce,s=c2FsdA==,i=4096".to_vec())
            }
        }
    }
}

/// What a host would let this peer use.
fn mechanisms(peer: &Peer) -> Vec<String> {
    let is_private = peer.is_secure || peer.local;
    let all =
        [("EXTERNAL", peer.fingerprint.is_some()), ("SCRAM-SHA-256", true), ("PLAIN", is_private)];
    all.iter().filter(|(_, may)| *may).map(|(name, _)| (*name).to_owned()).collect()
}

fn verify(name: &str, password: &[u8]) -> Answer {
    let is_right =
        USERS.iter().any(|(user, secret)| *user == name && secret.as_bytes() == password);
    identity(is_right.then(|| name.to_owned()), None)
}

fn is_user(name: &str) -> bool {
    USERS.iter().any(|(user, _)| *user == name)
}

fn identity(name: Option<String>, data: Option<Vec<u8>>) -> Answer {
    match name {
        Some(name) => Answer::Identity { name, data },
        None => Answer::Refused { code: "denied".to_owned(), message: "it is wrong".to_owned() },
    }
}

/// Whether these bytes are whole lines, none of them longer than a line may be.
fn is_lines(bytes: &[u8]) -> bool {
    bytes.ends_with(b"\r\n")
        && bytes.split_inclusive(|byte| *byte == b'\n').all(|line| {
            let tags = match line {
                [b'@', ..] => line.iter().position(|byte| *byte == b' ').map_or(0, |at| at + 1),
                _ => 0,
            };
            let breaks = line.iter().filter(|byte| matches!(byte, b'\r' | b'\n' | 0)).count();
            tags <= 8191 && line.len() - tags <= 512 && line.ends_with(b"\r\n") && breaks == 2
        })
}

/// The users, and their passwords.
const USERS: [(&str, &str); 2] = [("alice", "wonderland"), ("bob", "builder")];

/// Bytes that a transport takes for a peer that doesn't read.
const ROOM: usize = 4096;
