//! One who asks: a connection that sends a request and takes the answer, or takes its time.

use std::io::{ErrorKind, IoSlice};
use std::time::{Duration, Instant};

use super::admin::Request;
use super::http::{self, Heard};
use crate::net::Net;

/// What a caller speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Speaks {
    /// Lines of JSON, one after the other.
    Lines,
    /// HTTP, one request.
    Http,
}

/// A connection with who asks. It hears a request, sends the answer, and for lines begins again.
pub(super) struct Caller<S> {
    /// No other has it.
    pub(super) number: u64,
    stream: S,
    speaks: Speaks,
    /// When it is sent away.
    pub(super) until: Instant,
    heard: Vec<u8>,
    answer: Vec<u8>,
    sent: usize,
    /// Its answer takes its time: it is neither heard nor told anything until that is there.
    waits: bool,
    /// It was answered for the last time: what it still says is thrown away until its end, or a reset
    /// would destroy the answer.
    lingers: bool,
    /// How many bytes of that there were.
    thrown: usize,
}

/// What is next for a caller.
pub(super) enum Next {
    /// It wants to know.
    Ask(Result<Request, String>),
    /// It is over.
    End,
    /// It wants the page.
    Page {
        /// Only the head of the answer is wanted.
        head_only: bool,
    },
    /// It has to say or to take more.
    Wait,
}

impl<S> Caller<S> {
    pub(super) fn new(number: u64, stream: S, speaks: Speaks, now: Instant) -> Self {
        Self {
            number,
            stream,
            speaks,
            until: now + REQUEST_TIME,
            heard: Vec::new(),
            answer: Vec::new(),
            sent: 0,
            waits: false,
            lingers: false,
            thrown: 0,
        }
    }

    /// Its answer will come later.
    pub(super) fn waits(&mut self, now: Instant) {
        self.waits = true;
        self.until = now + RELOAD_TIME;
    }

    /// Sends it this.
    pub(super) fn answer(&mut self, answer: Vec<u8>, now: Instant) {
        (self.answer, self.sent, self.waits) = (answer, 0, false);
        self.until = now + ANSWER_TIME;
        self.lingers |= self.speaks == Speaks::Http;
    }

    /// Sends and hears what goes now, and says what is next.
    pub(super) fn next<N: Net<Stream = S>>(&mut self, net: &mut N) -> Next {
        if self.waits {
            return Next::Wait;
        }
        loop {
            if self.answer.is_empty()
                && !self.lingers
                && let Some(next) = self.understand()
            {
                return next;
            }
            let next = if self.answer.is_empty() { self.hear(net) } else { self.send(net) };
            if let Some(next) = next {
                return next;
            }
        }
    }

    /// Sends what is left of the answer; `None` once it is sent.
    fn send<N: Net<Stream = S>>(&mut self, net: &mut N) -> Option<Next> {
        while self.sent < self.answer.len() {
            let rest = [IoSlice::new(&self.answer[self.sent..])];
            match net.write(&mut self.stream, &rest, false) {
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Some(Next::Wait),
                Err(_) => return Some(Next::End),
            }
        }
        self.answer = Vec::new();
        let ended = self.lingers && net.shutdown_write(&mut self.stream).is_err();
        ended.then_some(Next::End)
    }

    /// What its request asks for, once it is whole and not refused.
    fn understand(&mut self) -> Option<Next> {
        match self.speaks {
            Speaks::Http => match http::hear(&self.heard) {
                Heard::Part if self.heard.len() < REQUEST_BYTES => None,
                Heard::Page { head_only } => Some(Next::Page { head_only }),
                Heard::Part => self.refuse(431, "Request Header Fields Too Large"),
                Heard::Refused(status, reason) => self.refuse(status, reason),
            },
            Speaks::Lines => match self.heard.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    let rest = self.heard.split_off(end + 1);
                    let line = std::mem::replace(&mut self.heard, rest);
                    Some(Next::Ask(Request::from_line(&line)))
                }
                None if self.heard.len() < REQUEST_BYTES => None,
                None => {
                    self.heard.clear();
                    self.lingers = true;
                    Some(Next::Ask(Err(format!("a line has more than {REQUEST_BYTES} bytes"))))
                }
            },
        }
    }

    fn refuse(&mut self, status: u16, reason: &str) -> Option<Next> {
        (self.answer, self.sent) = (http::refusal(status, reason), 0);
        self.lingers = true;
        None
    }

    /// Reads more; `None` where something came that may be a request.
    fn hear<N: Net<Stream = S>>(&mut self, net: &mut N) -> Option<Next> {
        let mut buffer = [0; READ_BYTES];
        match net.read(&mut self.stream, &mut buffer) {
            Ok(0) => Some(Next::End),
            Ok(n) if self.lingers => {
                self.thrown += n;
                (self.thrown > LINGER_BYTES).then_some(Next::End)
            }
            Ok(n) => {
                self.heard.extend_from_slice(&buffer[..n]);
                None
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => None,
            Err(e) if e.kind() == ErrorKind::WouldBlock => Some(Next::Wait),
            Err(_) => Some(Next::End),
        }
    }

    /// It has gone, or has to go.
    pub(super) fn end<N: Net<Stream = S>>(self, net: &mut N) {
        net.close(self.stream);
    }
}

/// The longest request: a head of HTTP, or a line, in bytes.
const REQUEST_BYTES: usize = 8 * 1024;

/// How much is read at once, in bytes.
const READ_BYTES: usize = 2 * 1024;

/// How much of what one says after its last answer is thrown away before it is cut off, in bytes.
const LINGER_BYTES: usize = 64 * 1024;

/// How long a caller may take for its first request.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// How long it may take for its answer, and for its next request.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// How long a reload may take before who asked for it is sent away. It goes on all the same.
const RELOAD_TIME: Duration = Duration::from_secs(60 * 60);
