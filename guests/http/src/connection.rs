//! One connection's stream of requests: where each begins and ends, and how long it may take.
//!
//! Bytes in, [`Event`]s out. It knows nothing of what the requests are for, so that any
//! server of HTTP/1 can stand on it: it answers nothing by itself, but says what to answer.

use crate::body::{Decoder, Piece};
use crate::config::Limits;
use crate::request::{self, Outline};
use crate::status::Status;

/// Where one connection's stream of requests has come to.
#[derive(Debug)]
pub struct Connection {
    phase: Phase,
    /// Bytes that were received and not taken yet.
    backlog: Backlog,
    /// When the peer has taken too long, in nanoseconds; `u64::MAX` while it owes nothing.
    deadline: u64,
    /// Requests so far.
    requests: u32,
    /// Whether another request may follow the current one.
    keep_alive: bool,
    /// Whether the current request came in HTTP/1.1, and not in 1.0.
    is_1_1: bool,
}

#[derive(Debug)]
enum Phase {
    /// A request is complete and its answer is not: then `Idle` or `Closed`.
    Answer,
    /// A body is coming: then `Answer` or `Closed`.
    Body(Decoder),
    /// No more requests are read.
    Closed,
    /// A part of a head is there, and that much of it was looked at: then `Body`, `Answer`
    /// or `Closed`.
    Head(usize),
    /// Between requests: then `Head`.
    Idle,
}

/// What came out of the stream.
#[derive(Debug)]
pub enum Event<'a> {
    /// Some bytes of the request's body.
    Body(&'a [u8]),
    /// The request's body is complete. It can be answered.
    End,
    /// A request. A body follows if `bool` says so; else it can be answered.
    Head(&'a [u8], Outline, bool),
    /// The stream can't be understood. After an answer with this status it must be closed.
    Refused(Status),
    /// More bytes are needed, or the answer to the current request.
    Wait,
}

/// What the `Connection` field of an answer must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// `close`.
    Close,
    /// Nothing: HTTP/1.1 goes on by itself.
    Implied,
    /// `keep-alive`, for HTTP/1.0.
    Stated,
}

impl Connection {
    /// A connection that was made at `now`.
    pub fn new(limits: &Limits, now: u64) -> Self {
        Self {
            phase: Phase::Idle,
            backlog: Backlog::default(),
            deadline: now.saturating_add(limits.keep_alive_timeout),
            requests: 0,
            keep_alive: false,
            is_1_1: false,
        }
    }

    /// Keeps bytes for later. They come out by [`Connection::take_backlog`].
    pub fn keep(&mut self, bytes: &[u8]) {
        if !matches!(self.phase, Phase::Closed) {
            self.backlog.push(bytes);
        }
    }

    /// Whether bytes are kept.
    pub fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Takes out what is kept, to be given to [`Connection::next`] and put back.
    pub fn take_backlog(&mut self) -> Backlog {
        std::mem::take(&mut self.backlog)
    }

    /// Puts back what [`Connection::next`] has not taken.
    pub fn put_back(&mut self, backlog: Backlog, left: usize) {
        if !matches!(self.phase, Phase::Closed) {
            self.backlog = backlog.last(left);
        }
    }

    /// Takes what belongs together off the input.
    ///
    /// What it leaves must be at the start of the next call's input, whenever that comes.
    pub fn next<'a>(&mut self, input: &mut &'a [u8], limits: &Limits, now: u64) -> Event<'a> {
        match &mut self.phase {
            Phase::Answer | Phase::Closed => Event::Wait,
            Phase::Body(decoder) => match decoder.next(input, limits.body) {
                Ok(Piece::Data(data)) => Event::Body(data),
                Ok(Piece::End) => {
                    self.wait_for_answer();
                    Event::End
                }
                Ok(Piece::More) => Event::Wait,
                Err(status) => self.refuse(status),
            },
            Phase::Head(_) | Phase::Idle if input.is_empty() => Event::Wait,
            Phase::Head(scanned) => {
                let scanned = *scanned;
                self.head(input, scanned, limits, now)
            }
            Phase::Idle => self.head(input, 0, limits, now),
        }
    }

    fn head<'a>(
        &mut self,
        input: &mut &'a [u8],
        mut scanned: usize,
        limits: &Limits,
        now: u64,
    ) -> Event<'a> {
        let (outline, length) = match request::read(input, &mut scanned, limits) {
            Ok(Some(found)) => found,
            Ok(None) => {
                if matches!(self.phase, Phase::Idle) {
                    self.deadline = now.saturating_add(limits.head_timeout);
                }
                self.phase = Phase::Head(scanned);
                return Event::Wait;
            }
            Err(status) => return self.refuse(status),
        };
        self.requests = self.requests.saturating_add(1);
        self.is_1_1 = outline.is_1_1;
        self.keep_alive = outline.keep_alive && self.requests < limits.requests;
        let (head, rest) = input.split_at(length);
        if matches!(outline.framing, request::Framing::Sized(length) if length > limits.body) {
            return self.refuse(Status::ContentTooLarge);
        }
        *input = rest;
        let has_body = match Decoder::new(outline.framing) {
            Some(decoder) => {
                self.phase = Phase::Body(decoder);
                self.deadline = now.saturating_add(limits.body_timeout);
                true
            }
            None => {
                self.wait_for_answer();
                false
            }
        };
        Event::Head(head, outline, has_body)
    }

    fn refuse(&mut self, status: Status) -> Event<'static> {
        self.close();
        Event::Refused(status)
    }

    fn wait_for_answer(&mut self) {
        self.phase = Phase::Answer;
        self.deadline = u64::MAX;
    }

    /// What the answer to the current request must say of the connection's future.
    pub fn persistence(&self) -> Persistence {
        match (self.keep_alive, self.is_1_1) {
            (false, _) => Persistence::Close,
            (true, true) => Persistence::Implied,
            (true, false) => Persistence::Stated,
        }
    }

    /// Decides that no request follows the current one. Its answer is to be made after that.
    pub fn end_keep_alive(&mut self) {
        self.keep_alive = false;
    }

    /// Decides that the rest of the current request's body is not read, so that none follows. It
    /// can be answered.
    pub fn skip_body(&mut self) {
        self.end_keep_alive();
        self.wait_for_answer();
    }

    /// The current request was answered, and all of the answer is queued. Says whether the
    /// connection goes on; else it is to be closed.
    pub fn answered(&mut self, limits: &Limits, now: u64) -> bool {
        if self.keep_alive && matches!(self.phase, Phase::Answer) {
            self.phase = Phase::Idle;
            self.deadline = now.saturating_add(limits.keep_alive_timeout);
            true
        } else {
            self.close();
            false
        }
    }

    /// The peer has taken what it was sent. If it is between requests, its time begins anew.
    pub fn rest(&mut self, limits: &Limits, now: u64) {
        if self.is_idle() {
            self.deadline = now.saturating_add(limits.keep_alive_timeout);
        }
    }

    /// Reads no more, and forgets what is kept.
    pub fn close(&mut self) {
        self.phase = Phase::Closed;
        self.backlog = Backlog::default();
        self.deadline = u64::MAX;
        self.keep_alive = false;
    }

    /// Whether no more requests are read.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Whether it is between two requests, and nothing is owed to either side.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle) && self.backlog.is_empty()
    }

    /// When [`Connection::timed_out`] is to be called, in nanoseconds; none while the peer owes
    /// nothing.
    pub fn deadline(&self) -> Option<u64> {
        (self.deadline != u64::MAX).then_some(self.deadline)
    }

    /// The deadline has passed: says what to answer before closing, if anything.
    pub fn timed_out(&mut self) -> Option<Status> {
        let was_idle = matches!(self.phase, Phase::Idle);
        self.close();
        (!was_idle).then_some(Status::RequestTimeout)
    }
}

/// Bytes that were received and not taken yet. It holds no memory while it is empty.
#[derive(Debug, Default)]
pub struct Backlog {
    bytes: Vec<u8>,
    start: usize,
}

impl Backlog {
    /// What is kept.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn push(&mut self, bytes: &[u8]) {
        // Moved to the front only when that makes room for at least as much as it moves.
        if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Keeps the last `left` bytes.
    fn last(mut self, left: usize) -> Self {
        if left == 0 {
            return Self::default();
        }
        self.start = self.bytes.len() - left;
        self
    }
}
