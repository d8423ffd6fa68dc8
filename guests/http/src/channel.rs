//! Whole requests in, whole answers out: what an application stands on that is no server of files.
//!
//! The name is Twisted's. Bytes that arrive go in, and each request comes out once its body is
//! complete; what is to be sent is appended to a buffer of the caller's. One request is answered
//! before the next comes out. A [`Factory`] holds what the channels of an instance share.

use crate::config::Limits;
use crate::connection::{Connection, Event};
use crate::request::{Expect, Head, Method, Outline};
use crate::response::{self, Stamp};
use crate::status::Status;

/// What all channels of an instance share: limits, the time, and whether the end is near.
#[derive(Debug)]
pub struct Factory {
    limits: Limits,
    stamp: Stamp,
    now: u64,
    is_stopping: bool,
}

impl Factory {
    /// A factory whose answers name this server, or none where the name is empty.
    pub fn new(limits: Limits, server: &str) -> Self {
        Self { limits, stamp: Stamp::new(server), now: 0, is_stopping: false }
    }

    /// Sets the time; to be called before each event. `now` is in nanoseconds since an arbitrary
    /// moment, `second` in seconds since 1970.
    pub fn set_time(&mut self, now: u64, second: i64) {
        self.now = now;
        self.stamp.set(second);
    }

    /// The time of day that was set, in seconds since 1970.
    pub fn second(&self) -> i64 {
        self.stamp.second()
    }

    /// No request that comes from now on is followed by another.
    pub fn stop(&mut self) {
        self.is_stopping = true;
    }
}

/// One connection's requests and answers.
#[derive(Debug)]
pub struct Channel {
    connection: Connection,
    /// The request whose body is coming.
    gathering: Option<Request>,
    /// Whether the request that waits for its answer is `HEAD`.
    is_head: bool,
}

/// What is to be done once the output is written.
#[derive(Debug)]
pub enum Step {
    /// Answer this request by [`Channel::answer`]. What arrives until then is kept.
    Answer(Request),
    /// Close the connection. Nothing follows.
    Close,
    /// An answer is complete. Call [`Channel::resume`] once the peer has room for more.
    Resume,
    /// Call [`Channel::received`] when there are more bytes.
    Wait,
}

/// A whole request.
#[derive(Debug)]
pub struct Request {
    head: Vec<u8>,
    outline: Outline,
    /// Its content, without its framing: at most [`Limits::body`] bytes.
    pub body: Vec<u8>,
}

impl Request {
    /// Its head.
    pub fn head(&self) -> Head<'_> {
        Head::new(&self.head, &self.outline)
    }

    /// What is to be done.
    pub fn method(&self) -> Method {
        self.outline.method
    }
}

/// A whole answer. The fields that are about the connection and the content's length are
/// [`Channel::answer`]'s.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: Status,
    /// Names and values of fields. No value has a line end in it.
    pub fields: Vec<(&'static str, String)>,
    /// The type of the content.
    pub content_type: &'static str,
    /// The content. To `HEAD` only its length is told.
    pub content: Vec<u8>,
}

impl Response {
    /// An answer with content of this type.
    pub fn new(status: Status, content_type: &'static str, content: impl Into<Vec<u8>>) -> Self {
        Self { status, fields: Vec::new(), content_type, content: content.into() }
    }

    /// The page that goes with a status.
    pub fn error(status: Status) -> Self {
        Self::new(status, "text/html; charset=utf-8", response::error_html(status))
    }

    /// The same with one more field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }
}

impl Channel {
    /// A connection that was made just now.
    pub fn new(factory: &Factory) -> Self {
        let connection = Connection::new(&factory.limits, factory.now);
        Self { connection, gathering: None, is_head: false }
    }

    /// Some bytes arrived.
    pub fn received(&mut self, factory: &Factory, bytes: &[u8], out: &mut Vec<u8>) -> Step {
        if self.connection.has_backlog() {
            self.connection.keep(bytes);
            return self.resume(factory, out);
        }
        let mut rest = bytes;
        let step = self.advance(factory, &mut rest, out);
        if !rest.is_empty() {
            self.connection.keep(rest);
        }
        step
    }

    /// Goes on with bytes that were kept.
    pub fn resume(&mut self, factory: &Factory, out: &mut Vec<u8>) -> Step {
        if self.connection.is_closed() {
            return Step::Close;
        }
        if !self.connection.has_backlog() {
            self.connection.rest(&factory.limits, factory.now);
            return Step::Wait;
        }
        let backlog = self.connection.take_backlog();
        let mut rest = backlog.bytes();
        let step = self.advance(factory, &mut rest, out);
        let left = rest.len();
        self.connection.put_back(backlog, left);
        step
    }

    /// Answers the request that came out last.
    pub fn answer(&mut self, factory: &Factory, response: &Response, out: &mut Vec<u8>) -> Step {
        self.write(factory, response, out);
        self.is_head = false;
        let goes_on = self.connection.answered(&factory.limits, factory.now);
        if goes_on { Step::Resume } else { Step::Close }
    }

    /// When [`Channel::timed_out`] is to be called, in nanoseconds; none while the peer owes
    /// nothing.
    pub fn deadline(&self) -> Option<u64> {
        self.connection.deadline()
    }

    /// The deadline has passed.
    pub fn timed_out(&mut self, factory: &Factory, out: &mut Vec<u8>) -> Step {
        match self.connection.timed_out() {
            Some(status) => self.refuse(factory, status, out),
            None => Step::Close,
        }
    }

    /// The host is stopping: what is going on is finished, and nothing follows.
    pub fn stopping(&mut self) -> Step {
        if self.connection.is_idle() {
            self.connection.close();
            return Step::Close;
        }
        self.connection.end_keep_alive();
        Step::Wait
    }

    /// Takes bytes off the input, until a request is whole or something is missing.
    fn advance(&mut self, factory: &Factory, input: &mut &[u8], out: &mut Vec<u8>) -> Step {
        loop {
            match self.connection.next(input, &factory.limits, factory.now) {
                Event::Body(data) => {
                    if let Some(request) = &mut self.gathering {
                        request.body.extend_from_slice(data);
                    }
                }
                Event::End => {
                    if let Some(request) = self.gathering.take() {
                        return Step::Answer(request);
                    }
                }
                Event::Head(head, outline, has_body) => {
                    if factory.is_stopping {
                        self.connection.end_keep_alive();
                    }
                    self.is_head = outline.method == Method::Head;
                    if outline.expect == Expect::Unknown {
                        return self.refuse(factory, Status::ExpectationFailed, out);
                    }
                    let request = Request { head: head.to_vec(), outline, body: Vec::new() };
                    if !has_body {
                        return Step::Answer(request);
                    }
                    if outline.expect == Expect::Continue {
                        out.extend_from_slice(Status::Continue.line().as_bytes());
                        out.extend_from_slice(b"\r\n");
                    }
                    self.gathering = Some(request);
                }
                Event::Refused(status) => return self.refuse(factory, status, out),
                Event::Wait => return Step::Wait,
            }
        }
    }

    /// Tells the client what is wrong with its stream, and closes.
    fn refuse(&mut self, factory: &Factory, status: Status, out: &mut Vec<u8>) -> Step {
        self.gathering = None;
        self.connection.close();
        self.write(factory, &Response::error(status), out);
        Step::Close
    }

    fn write(&self, factory: &Factory, response: &Response, out: &mut Vec<u8>) {
        response::start(out, response.status, &factory.stamp, self.connection.persistence());
        for (name, value) in &response.fields {
            for part in [name, ": ", value, "\r\n"] {
                out.extend_from_slice(part.as_bytes());
            }
        }
        for part in ["Content-Type: ", response.content_type, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        response::number(out, "Content-Length", response.content.len() as u64);
        out.extend_from_slice(b"\r\n");
        if !self.is_head {
            out.extend_from_slice(&response.content);
        }
    }
}
