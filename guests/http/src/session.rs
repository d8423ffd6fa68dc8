//! The conversation of one connection: requests in, answers and questions out.
//!
//! It does no I/O. Whoever drives it writes [`Site::out`] after each call, and does what the
//! [`Step`] says.

use std::rc::Rc;

use crate::answer::Given;
use crate::connection::{Connection, Event};
use crate::encoding::{Coding, Codings};
use crate::exchange::{Asked, Exchange, Plan, plan, push_name};
use crate::file::{Kind, Metadata};
use crate::listing::Entry;
use crate::multipart::Multipart;
use crate::refusal::closes;
use crate::request::{Expect, Head};
use crate::site::Site;
use crate::status::Status;
use crate::user::User;

/// The conversation of one connection.
#[derive(Debug)]
pub struct Session {
    pub(crate) connection: Connection,
    /// The request that waits for its body, or for an answer of the host.
    pub(crate) exchange: Option<Box<Exchange>>,
    /// The user whom the host knew last.
    pub(crate) user: Option<Box<User>>,
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
    /// Send these parts of the file with what is to be written around them; then as `Resume`.
    SendParts {
        /// The file.
        file: Rc<F>,
        /// The parts.
        content: Box<Multipart>,
    },
    /// Call [`Session::received`] when there are more bytes.
    Wait,
    /// Ask the host whether it knows [`Session::login`], and call [`Session::verified`].
    Verify,
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
        Self { connection: Connection::new(&site.limits, site.now), exchange: None, user: None }
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
        let Some(exchange) = self.take_exchange(site) else { return Step::Wait };
        match exchange.asked {
            Asked::File => self.file_opened(site, exchange, answer),
            Asked::Page(refusal) => self.page_opened(site, exchange, refusal, answer),
            Asked::Sibling(coding) => self.sibling_opened(site, exchange, coding, answer),
            // Nothing was to be opened.
            Asked::User(_) => self.fail(site, exchange.head(), Status::InternalServerError),
        }
    }

    /// The host has answered [`Step::List`].
    pub fn listed<F>(
        &mut self,
        site: &mut Site<F>,
        answer: Result<Vec<Entry>, Failure>,
    ) -> Step<F> {
        let Some(exchange) = self.take_exchange(site) else { return Step::Wait };
        let head = exchange.head();
        let step = match answer {
            Ok(entries) => self.give_list(site, head, &exchange.path, entries),
            Err(Failure::Busy) => self.fail(site, head, Status::ServiceUnavailable),
            // A file with a slash behind its name is a failure without a name of its own.
            Err(Failure::NotFound | Failure::Other) => self.fail(site, head, Status::NotFound),
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

    /// Takes back the request that waits, which is then the one that is being decided.
    pub(crate) fn take_exchange<F>(&mut self, site: &mut Site<F>) -> Option<Box<Exchange>> {
        let exchange = self.exchange.take()?;
        site.domain = exchange.domain;
        Some(exchange)
    }

    /// Has the host asked for the path of a request.
    pub(crate) fn open<F>(&mut self, exchange: Box<Exchange>) -> Step<F> {
        self.exchange = Some(exchange);
        Step::Open
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
                    let (plan, domain) = plan(head, &site.domains, &mut site.path);
                    site.domain = domain;
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
            Plan::Redirect(..) => is_promised,
            Plan::Give(_) | Plan::Options => false,
        };
        if is_pointless {
            self.connection.skip_body();
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
        let Some(exchange) = self.take_exchange(site) else { return Step::Wait };
        site.path.clone_from(&exchange.path);
        let step = self.carry_out(site, exchange.head(), exchange.plan);
        site.recycle(exchange);
        step
    }

    fn carry_out<F>(&mut self, site: &mut Site<F>, head: Head<'_>, plan: Plan) -> Step<F> {
        match plan {
            Plan::Fail(status) => self.fail(site, head, status),
            Plan::Give(is_folder) => match site.domain().find_protection(&site.path, is_folder) {
                Some(number) => self.admit(site, head, plan, number),
                None => self.give_planned(site, head, plan),
            },
            Plan::Options => self.give_options(site, head),
            Plan::Redirect(number, is_folder) => self.send_on(site, head, number, is_folder),
        }
    }

    /// Gives what stands at the path in `site.path`, or asks the host for it.
    pub(crate) fn give_planned<F>(
        &mut self,
        site: &mut Site<F>,
        head: Head<'_>,
        plan: Plan,
    ) -> Step<F> {
        match plan {
            Plan::Give(true) => self.find_index(site, head, plan),
            _ => self.find(site, head, plan),
        }
    }

    /// Gives the file whose path is in `site.path`, or asks the host for it.
    fn find<F>(&mut self, site: &mut Site<F>, head: Head<'_>, plan: Plan) -> Step<F> {
        let path = std::mem::take(&mut site.path);
        let given = self.give(site, head, &path, None);
        site.path = path;
        match given {
            Given::Done(step) => step,
            Given::Missing => {
                let exchange = site.hold(head, plan);
                self.open(exchange)
            }
            Given::Sibling(coding) => {
                let mut exchange = site.hold(head, plan);
                exchange.ask_sibling(coding);
                self.open(exchange)
            }
        }
    }

    /// The same for what stands for the folder whose path is in `site.path`.
    fn find_index<F>(&mut self, site: &mut Site<F>, head: Head<'_>, plan: Plan) -> Step<F> {
        let mut path = std::mem::take(&mut site.path);
        let length = path.len();
        let mut given = Given::Missing;
        if let Some(name) = site.domain().index.first() {
            push_name(&mut path, name);
            given = self.give(site, head, &path, None);
        }
        path.truncate(length);
        site.path = path;
        if let Given::Done(step) = given {
            return step;
        }
        let mut exchange = site.hold(head, plan);
        exchange.folder = Some((length, 0));
        if let Given::Sibling(coding) = given {
            exchange.next_index(&site.domain().index);
            exchange.ask_sibling(coding);
            return self.open(exchange);
        }
        self.try_next(site, exchange, Status::NotFound)
    }

    fn file_opened<F>(
        &mut self,
        site: &mut Site<F>,
        exchange: Box<Exchange>,
        answer: Result<(F, Metadata), Failure>,
    ) -> Step<F> {
        let is_named = exchange.folder.is_none();
        let status = match answer {
            Ok((file, metadata)) if metadata.kind == Kind::Regular => {
                site.remember(&exchange.path, file, metadata);
                return self.give_opened(site, exchange);
            }
            Ok(_) if is_named => return self.redirect(site, exchange),
            Err(Failure::Busy) => Status::ServiceUnavailable,
            Err(Failure::Other) if is_named => Status::InternalServerError,
            _ => Status::NotFound,
        };
        self.try_next(site, exchange, status)
    }

    fn sibling_opened<F>(
        &mut self,
        site: &mut Site<F>,
        mut exchange: Box<Exchange>,
        coding: Coding,
        answer: Result<(F, Metadata), Failure>,
    ) -> Step<F> {
        exchange.end_sibling(coding);
        // Where the host can't open it, for whatever reason, the original is there.
        let opened = answer.ok().filter(|(_, metadata)| metadata.kind == Kind::Regular);
        site.remember_sibling(&exchange.path, coding, opened);
        self.give_opened(site, exchange)
    }

    /// Gives the file whose path was asked for, or asks for it in the next coding.
    fn give_opened<F>(&mut self, site: &mut Site<F>, mut exchange: Box<Exchange>) -> Step<F> {
        match self.give(site, exchange.head(), &exchange.path, Some(exchange.tried)) {
            Given::Done(step) => {
                site.recycle(exchange);
                return step;
            }
            // Others needed its place while this one waited. Now it is given as it is.
            Given::Missing => exchange.tried = Codings::ALL,
            Given::Sibling(coding) => exchange.ask_sibling(coding),
        }
        self.open(exchange)
    }

    /// Asks for whatever else may stand for a folder, or gives up with this status.
    fn try_next<F>(
        &mut self,
        site: &mut Site<F>,
        mut exchange: Box<Exchange>,
        status: Status,
    ) -> Step<F> {
        let step = if status != Status::NotFound {
            self.fail(site, exchange.head(), status)
        } else if exchange.next_index(&site.domain().index) {
            return self.open(exchange);
        } else if exchange.folder.is_some() && site.domain().listing {
            self.exchange = Some(exchange);
            return Step::List;
        } else {
            self.fail(site, exchange.head(), status)
        };
        site.recycle(exchange);
        step
    }
}
