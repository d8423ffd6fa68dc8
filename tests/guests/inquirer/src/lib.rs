//! Asks the host for what its peer says, a line a question: `TAG VERB WORDS`.
//!
//! [`Inquirer::obey`] lists the verbs. What a question comes to is told as `TAG ok VALUE` or as `TAG
//! CODE MESSAGE`; one that is refused at once as `TAG refused-at-once CODE MESSAGE`. Connections
//! that it dialled, or that arrived at a listener of its own, begin with a line that says so, and
//! send back what they get.
#![forbid(unsafe_code)]

mod work;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use torsade_guest::endpoints::{self, Listener};
use torsade_guest::timers::{self, DelayedCall};
use torsade_guest::{
    Address, Deferred, Failure, Firing, Origin, Plugin, Protocol, Reason, Transport, Waiting, jobs,
};

/// What it does on its own.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// An endpoint that it connects to at its start. It is ready once its peer says something.
    dial: Option<String>,
    /// Whether it refuses the protocol of every connection that it dialled.
    refuse_dialled: bool,
}

struct Server(Config);

thread_local! {
    /// The tags of the deferreds that connections come from, by number.
    static TAGS: RefCell<HashMap<u64, String>> = RefCell::default();
    /// Fires once the peer that it dialled at its start has said something.
    static READY: Cell<Option<Firing<()>>> = const { Cell::new(None) };
    /// They are the instance's, and outlive the connection that asked for them.
    static LISTENERS: RefCell<HashMap<String, Listener>> = RefCell::default();
    static IS_READY: Cell<bool> = const { Cell::new(false) };
}

impl Plugin for Server {
    type Config = Config;
    type Protocol = Inquirer;

    fn start(config: Config) -> Result<Self, String> {
        Ok(Self(config))
    }

    fn ready(&mut self) -> Option<Waiting> {
        let dial = self.0.dial.as_ref()?;
        let dialled = Deferred::from(tagged("start", endpoints::connect(dial)));
        let (said, firing) = Deferred::pending();
        READY.set(Some(firing));
        let ready = dialled.then(|()| said).both(|result| {
            if let Err(failure) = &result {
                torsade_guest::error!("can't begin: {failure}");
            }
            IS_READY.set(true);
            result
        });
        Some(ready.into())
    }

    fn build_protocol(
        &mut self,
        transport: Transport<Inquirer>,
        origin: Origin,
    ) -> Option<Inquirer> {
        let greeting = match origin {
            Origin::Accepted(_) if self.0.dial.is_none() => "hello".to_owned(),
            Origin::Accepted(_) if IS_READY.get() => "hello, all is ready".to_owned(),
            Origin::Accepted(_) => "hello, this is too early".to_owned(),
            Origin::Arrived(number) => format!("arrived {}", tag(number)),
            Origin::Dialled(_) if self.0.refuse_dialled => return None,
            Origin::Dialled(number) => format!("dialled {}", tag(number)),
        };
        transport.write(format!("{greeting}\n").as_bytes());
        let obeys = matches!(origin, Origin::Accepted(_));
        let (asked, calls) = Default::default();
        Some(Inquirer { transport, obeys, line: Vec::new(), asked, calls })
    }
}

/// Remembers the tag of a question whose number connections will name.
fn tagged<T: 'static>(
    tag: &str,
    asked: Result<Deferred<T>, Failure>,
) -> Result<Deferred<T>, Failure> {
    if let Some(number) = asked.as_ref().ok().and_then(Deferred::number) {
        TAGS.with_borrow_mut(|tags| tags.insert(number, tag.to_owned()));
    }
    asked
}

fn tag(number: u64) -> String {
    TAGS.with_borrow(|tags| tags.get(&number).cloned()).unwrap_or_else(|| "nothing".to_owned())
}

/// One connection.
struct Inquirer {
    transport: Transport<Self>,
    /// Whether what it gets are questions.
    obeys: bool,
    /// A line that has not ended.
    line: Vec<u8>,
    asked: HashMap<String, Waiting>,
    calls: HashMap<String, DelayedCall>,
}

impl Protocol for Inquirer {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        if !self.obeys {
            self.transport.write(data);
            if let Some(ready) = READY.take() {
                ready.callback(());
            }
            return None;
        }
        self.line.extend_from_slice(data);
        while let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.line.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let mut words = line.trim_end().splitn(3, ' ');
            let mut next = || words.next().unwrap_or_default();
            self.obey(next(), next(), next());
        }
        None
    }

    fn connection_lost(&mut self, _reason: Reason) {}
}

impl Inquirer {
    fn obey(&mut self, tag: &str, verb: &str, words: &str) {
        match verb {
            // Of the connection: the peer's address, then this side's.
            "addresses" => {
                let (peer, local) = (self.transport.peer_address(), self.transport.local_address());
                let shown = [peer, local]
                    .map(|Address { kind, host, port }| format!("{kind}[{host}]{port}"));
                self.tell(tag, "ok", &shown.join(" "));
            }
            // What was asked as TAG is given up; the timer without a word.
            "cancel" => match self.asked.get(tag) {
                Some(waiting) => waiting.cancel(),
                None => drop(self.calls.remove(tag)),
            },
            "close" => drop(LISTENERS.with_borrow_mut(|listeners| listeners.remove(tag))),
            "connect" => self.ask(tag, tagged(tag, endpoints::connect(words)), |()| None),
            "drop" => drop(self.asked.remove(tag)),
            "echo" => self.tell(tag, "ok", words),
            "in" => self.call_later(tag, milliseconds(words)),
            "listen" => {
                let asked = tagged(tag, endpoints::listen(words));
                let name = tag.to_owned();
                self.ask(tag, asked, |listener| {
                    let Address { host, port, .. } = listener.address();
                    LISTENERS.with_borrow_mut(|listeners| listeners.insert(name, listener));
                    Some(format!("{host} {port}"))
                });
            }
            "move" => {
                let moved = self.calls.get(tag).map(|call| call.reset(milliseconds(words)));
                assert!(matches!(moved, Some(Ok(()))), "there is a timer {tag}");
            }
            // Of the connection: version, protocol and server's name, or a dash.
            "tls" => match self.transport.tls() {
                Ok(session) => {
                    let dash = |fact: Option<String>| fact.unwrap_or_else(|| "-".to_owned());
                    let (alpn, name) = (dash(session.alpn()), dash(session.server_name()));
                    self.tell(tag, "ok", &format!("{} {alpn} {name}", session.version()));
                }
                Err(failure) => self.tell(tag, &failure.code, &failure.message),
            },
            "trap" => panic!("it was told to"),
            // JOB INPUT
            "run" => {
                let (job, input) = words.split_once(' ').unwrap_or((words, ""));
                self.ask(tag, jobs::run(job, input.as_bytes()), |output| {
                    Some(String::from_utf8_lossy(&output).into_owned())
                });
            }
            _ => self.tell(tag, "unknown", verb),
        }
    }

    /// Tells what a question comes to, with what `show` makes of its value.
    fn ask<T: 'static>(
        &mut self,
        tag: &str,
        asked: Result<Deferred<T>, Failure>,
        show: impl FnOnce(T) -> Option<String> + 'static,
    ) {
        let name = tag.to_owned();
        let tell = move |inquirer: &mut Self, result: Result<T, Failure>| {
            match result {
                Ok(value) => {
                    let shown = show(value).unwrap_or_default();
                    inquirer.tell(&name, "ok", &shown);
                }
                Err(failure) => inquirer.tell(&name, &failure.code, &failure.message),
            }
            None
        };
        match asked {
            Ok(deferred) => {
                let waiting = deferred.call_on(&self.transport, tell);
                self.asked.insert(tag.to_owned(), waiting);
            }
            Err(failure) => self.refused(tag, &failure),
        }
    }

    fn call_later(&mut self, tag: &str, delay: Duration) {
        let (transport, line) = (self.transport.clone(), format!("{tag} ok\n"));
        match timers::call_later(delay, move || transport.write(line.as_bytes())) {
            Ok(call) => drop(self.calls.insert(tag.to_owned(), call)),
            Err(failure) => self.refused(tag, &failure),
        }
    }

    fn refused(&self, tag: &str, failure: &Failure) {
        self.tell(tag, "refused-at-once", &format!("{} {}", failure.code, failure.message));
    }

    fn tell(&self, tag: &str, what: &str, more: &str) {
        // A message of several lines would be taken for several answers.
        let line = format!("{tag} {what} {}", more.replace('\n', " "));
        self.transport.write(format!("{}\n", line.trim_end()).as_bytes());
    }
}

fn milliseconds(words: &str) -> Duration {
    Duration::from_millis(words.parse().expect("a number of milliseconds"))
}

torsade_guest::export!(Server);
torsade_guest::export_jobs!(work::Work);
