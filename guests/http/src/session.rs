//! The conversation of one connection: requests in, answers and questions out.
//!
//! It does no I/O. Whoever drives it writes [`Site::out`] after each call, and does what the
//! [`Step`] says.

use std::rc::Rc;

use crate::connection::{Connection, Event};
use crate::exchange::{Exchange, Plan, plan, push_name};
use crate::file::{Kind, Metadata};
use crate::listing::{self, Entry};
use crate::request::{Expect, Head};
use crate::site::Site;
use crate::status::Status;

/// The conversation of one connection.
#[derive(Debug)]
pub struct Session {
    pub(crate) connection: Connection,
    /// The request that waits for its body, or for an answer of the host.
    exchange: Option<Box<Exchange>>,
}

/// What is to be done once [`Site::out`] is written.
#[derive(Debug)]
pub enum Step<F> {
    /// Close the connection. Nothing follows.
    Close,
    /// List the folder [`Session::path`], and call [`Session::listed`].
    List,
    /// Open the file [`Session::path`], and call [`Session::opened`].
    Open,
    /// An answer is complete. Call [`Session::resume`] once the peer has room for more.
    Resume,
    /// Send this part of the file; then as `Resume`.
    Send {
        /// The file.
        file: Rc<F>,
        /// The place of the first byte.
        offset: u64,
        /// How many bytes, at least 1.
        length: u64,
    },
    /// Call [`Session::received`] when there are more bytes.
    Wait,
}

/// Why the host did not open a file, or list a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Too much is going on.
    Busy,
    /// There is no such file, or it is not to be seen.
    NotFound,
    /// Anything else.
    Other,
}

impl Session {
    /// A connection that was made just now.
    pub fn new<F>(site: &Site<F>) -> Self {
        Self { connection: Connection::new(&site.limits, site.now), exchange: None }
    }

    /// Some bytes arrived. While the host is being asked something, or an answer has not been
    /// followed by [`Session::resume`], they are to be kept by [`Session::keep`] instead.
    pub fn received<F>(&mut self, site: &mut Site<F>, bytes: &[u8]) -> Step<F> {
        if self.connection.has_backlog() {
            self.connection.keep(bytes);
            return self.resume(site);
        }
        let mut rest = bytes;
        let step = self.advance(site, &mut rest);
        if !rest.is_empty() {
            self.connection.keep(rest);
        }
        step
    }

    /// Keeps bytes for the next [`Session::resume`].
    pub fn keep(&mut self, bytes: &[u8]) {
        self.connection.keep(bytes);
    }

    /// Goes on with bytes that were kept.
    pub fn resume<F>(&mut self, site: &mut Site<F>) -> Step<F> {
        if self.connection.is_closed() {
            return Step::Close;
        }
        if !self.connection.has_backlog() {
            self.connection.rest(&site.limits, site.now);
            return Step::Wait;
        }
        let backlog = self.connection.take_backlog();
        let mut rest = backlog.bytes();
        let step = self.advance(site, &mut rest);
        let left = rest.len();
        self.connection.put_back(backlog, left);
        step
    }

    /// The path that the last step asks for: relative to the root, without a slash at its ends.
    pub fn path(&self) -> &str {
        self.exchange.as_ref().map_or("", |exchange| &exchange.path)
    }

    /// The host has answered [`Step::Open`].
    pub fn opened<F>(
        &mut self,
        site: &mut Site<F>,
        answer: Result<(F, Metadata), Failure>,
    ) -> Step<F> {
        let Some(exchange) = self.exchange.take() else { return Step::Wait };
        let is_named = exchange.folder.is_none();
        let status = match answer {
            Ok((file, metadata)) if metadata.kind == Kind::Regular => {
                site.files.remember(&exchange.path, metadata, file, site.now);
                let step = self.give(site, exchange.head(), &exchange.path);
                site.recycle(exchange);
                return step.unwrap_or(Step::Wait);
            }
            Ok(_) if is_named => return self.redirect(site, exchange),
            Err(Failure::Busy) => Status::ServiceUnavailable,
            Err(Failure::Other) if is_named => Status::InternalServerError,
            _ => Status::NotFound,
        };
        self.try_next(site, exchange, status)
    }

    /// The host has answered [`Step::List`].
    pub fn listed<F>(
        &mut self,
        site: &mut Site<F>,
        answer: Result<Vec<Entry>, Failure>,
    ) -> Step<F> {
        let Some(exchange) = self.exchange.take() else { return Step::Wait };
        let head = exchange.head();
        let step = match answer {
            Ok(entries) => self.give_page(site, head, &listing::html(&exchange.path, entries)),
            Err(Failure::Busy) => self.fail(site, Some(head), Status::ServiceUnavailable),
            // A file with a slash behind its name is a failure without a name of its own.
            Err(Failure::NotFound | Failure::Other) => {
                self.fail(site, Some(head), Status::NotFound)
            }
        };
        site.recycle(exchange);
        step
    }

    /// When [`Session::timed_out`] is to be called, in nanoseconds; none while the peer owes
    /// nothing.
    pub fn deadline(&self) -> Option<u64> {
        self.connection.deadline()
    }

    /// The deadline has passed.
    pub fn timed_out<F>(&mut self, site: &mut Site<F>) -> Step<F> {
        match self.connection.timed_out() {
            Some(status) => self.refuse(site, status),
            None => Step::Close,
        }
    }

    /// The host is stopping: what is going on is finished, and nothing follows.
    pub fn stopping<F>(&mut self) -> Step<F> {
        if self.connection.is_idle() {
            self.connection.close();
            return Step::Close;
        }
        self.connection.end_keep_alive();
        Step::Wait
    }

    pub(crate) fn take_exchange(&mut self) -> Option<Box<Exchange>> {
        self.exchange.take()
    }

    /// Takes requests off the input, until one is answered or something is missing.
    fn advance<F>(&mut self, site: &mut Site<F>, input: &mut &[u8]) -> Step<F> {
        loop {
            match self.connection.next(input, &site.limits, site.now) {
                Event::Body(_) => {}
                Event::End => return self.body_read(site),
                Event::Head(bytes, outline, has_body) => {
                    let head = Head::new(bytes, &outline);
                    if site.is_stopping {
                        self.connection.end_keep_alive();
                    }
                    let plan = plan(head, &mut site.path);
                    if !has_body || !self.reads_body(site, head, plan) {
                        return self.carry_out(site, head, plan);
                    }
                }
                Event::Refused(status) => return self.refuse(site, status),
                Event::Wait => return Step::Wait,
            }
        }
    }

    /// Whether the body of a request is read before the answer; then the request waits for it.
    fn reads_body<F>(&mut self, site: &mut Site<F>, head: Head<'_>, plan: Plan) -> bool {
        let is_promised = head.outline().expect == Expect::Continue;
        let is_pointless = match plan {
            // Whoever asks first and is told no may send the body or not: nobody can tell.
            Plan::Fail(status) => is_promised || closes(status),
            Plan::Give(_) | Plan::Options => false,
        };
        if is_pointless {
            self.connection.end_keep_alive();
            return false;
        }
        if is_promised {
            site.out.extend_from_slice(Status::Continue.line().as_bytes());
            site.out.extend_from_slice(b"\r\n");
        }
        self.exchange = Some(site.hold(head, plan));
        true
    }

    fn body_read<F>(&mut self, site: &mut Site<F>) -> Step<F> {
        let Some(exchange) = self.exchange.take() else { return Step::Wait };
        site.path.clone_from(&exchange.path);
        let step = self.carry_out(site, exchange.head(), exchange.plan);
        site.recycle(exchange);
        step
    }

    fn carry_out<F>(&mut self, site: &mut Site<F>, head: Head<'_>, plan: Plan) -> Step<F> {
        match plan {
            Plan::Fail(status) => self.fail(site, Some(head), status),
            Plan::Give(true) => self.find_index(site, head, plan),
            Plan::Give(false) => self.find(site, head, plan),
            Plan::Options => self.give_options(site, head),
        }
    }

    /// Gives the file whose path is in `site.path`, or asks the host for it.
    fn find<F>(&mut self, site: &mut Site<F>, head: Head<'_>, plan: Plan) -> Step<F> {
        let path = std::mem::take(&mut site.path);
        let step = self.give(site, head, &path);
        site.path = path;
        step.unwrap_or_else(|| {
            self.exchange = Some(site.hold(head, plan));
            Step::Open
        })
    }

    /// The same for what stands for the folder whose path is in `site.path`.
    fn find_index<F>(&mut self, site: &mut Site<F>, head: Head<'_>, plan: Plan) -> Step<F> {
        let mut path = std::mem::take(&mut site.path);
        let length = path.len();
        let mut step = None;
        if let Some(name) = site.config.index.first() {
            push_name(&mut path, name);
            step = self.give(site, head, &path);
        }
        path.truncate(length);
        site.path = path;
        step.unwrap_or_else(|| {
            let mut exchange = site.hold(head, plan);
            exchange.folder = Some((length, 0));
            self.try_next(site, exchange, Status::NotFound)
        })
    }

    /// Asks for whatever else may stand for a folder, or gives up with this status.
    fn try_next<F>(
        &mut self,
        site: &mut Site<F>,
        mut exchange: Box<Exchange>,
        status: Status,
    ) -> Step<F> {
        let step = if status != Status::NotFound {
            self.fail(site, Some(exchange.head()), status)
        } else if exchange.next_index(&site.config.index) {
            self.exchange = Some(exchange);
            return Step::Open;
        } else if exchange.folder.is_some() && site.config.listing {
            self.exchange = Some(exchange);
            return Step::List;
        } else {
            self.fail(site, Some(exchange.head()), status)
        };
        site.recycle(exchange);
        step
    }
}

/// Whether the rest of a stream can't be trusted after an answer with this status, or is not
/// worth reading.
pub(crate) fn closes(status: Status) -> bool {
    !matches!(
        status,
        Status::NotFound
            | Status::MethodNotAllowed
            | Status::PreconditionFailed
            | Status::RangeNotSatisfiable
            | Status::InternalServerError
            | Status::ServiceUnavailable
    )
}
