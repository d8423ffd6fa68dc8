//! The answers of a session: what is written for each kind, and what that means for the
//! connection.

use crate::access_log;
use crate::conditions;
use crate::exchange::Exchange;
use crate::file::Known;
use crate::range::{self, Range};
use crate::request::{Field, Head, Method};
use crate::response;
use crate::session::{Session, Step, closes};
use crate::site::Site;
use crate::status::Status;
use crate::target::{self, Target};

impl Session {
    /// Answers with the file of this path, or the part of it that is asked for; none where it is
    /// not open.
    pub(crate) fn give<F>(
        &mut self,
        site: &mut Site<F>,
        head: Head<'_>,
        path: &str,
    ) -> Option<Step<F>> {
        let known = site.files.fresh(path, site.now)?;
        let file = known.handle()?;
        let size = known.size();
        let answer = if head.outline().is_plain() {
            Answer::All
        } else {
            choose(head, known, site.stamp.second())
        };
        let persistence = self.connection.persistence();
        let (status, offset, length) = match answer {
            Answer::Fail(status) => return Some(self.fail_of_size(site, head, status, size)),
            Answer::All => (Status::Ok, 0, size),
            Answer::NotModified => (Status::NotModified, 0, 0),
            Answer::Part(offset, length) => (Status::PartialContent, offset, length),
        };
        let out = &mut site.out;
        response::start(out, status, &site.stamp, persistence);
        match answer {
            Answer::NotModified => {
                out.extend_from_slice(known.validator_fields());
                out.extend_from_slice(b"\r\n");
            }
            Answer::Part(offset, length) => {
                out.extend_from_slice(known.shared_fields());
                response::content_range(out, Some((offset, length)), size);
                response::number(out, "Content-Length", length);
                out.extend_from_slice(b"\r\n");
            }
            _ => out.extend_from_slice(known.all_fields()),
        }
        let length = if is_head(head) { 0 } else { length };
        let step = self.finish(site, Some(head), status, length);
        // What follows `Send` is `Resume`, which closes if the connection is to end.
        Some(if length > 0 { Step::Send { file, offset, length } } else { step })
    }

    /// Answers with a page of HTML that was just made.
    pub(crate) fn give_page<F>(
        &mut self,
        site: &mut Site<F>,
        head: Head<'_>,
        html: &str,
    ) -> Step<F> {
        self.start(site, Status::Ok);
        let length = response::page(&mut site.out, html, is_head(head));
        self.finish(site, Some(head), Status::Ok, length)
    }

    /// Answers with what can be done.
    pub(crate) fn give_options<F>(&mut self, site: &mut Site<F>, head: Head<'_>) -> Step<F> {
        self.start(site, Status::Ok);
        site.out.extend_from_slice(ALLOW);
        site.out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
        self.finish(site, Some(head), Status::Ok, 0)
    }

    /// Sends the client to the same path with a slash behind it, since a folder stands there.
    pub(crate) fn redirect<F>(&mut self, site: &mut Site<F>, exchange: Box<Exchange>) -> Step<F> {
        let head = exchange.head();
        let query = match target::split(head.target()) {
            Ok(Target::Path(_, query)) => query,
            _ => None,
        };
        let location = target::location(&exchange.path, query);
        self.start(site, Status::MovedPermanently);
        for part in ["Location: ", &location, "\r\n"] {
            site.out.extend_from_slice(part.as_bytes());
        }
        let html = response::error_html(Status::MovedPermanently);
        let length = response::page(&mut site.out, &html, is_head(head));
        let step = self.finish(site, Some(head), Status::MovedPermanently, length);
        site.recycle(exchange);
        step
    }

    /// Tells the client what is wrong with its request.
    pub(crate) fn fail<F>(
        &mut self,
        site: &mut Site<F>,
        head: Option<Head<'_>>,
        status: Status,
    ) -> Step<F> {
        if closes(status) {
            self.connection.end_keep_alive();
        }
        self.start(site, status);
        match status {
            Status::MethodNotAllowed => site.out.extend_from_slice(ALLOW),
            Status::ServiceUnavailable => site.out.extend_from_slice(b"Retry-After: 1\r\n"),
            _ => {}
        }
        self.fail_page(site, head, status)
    }

    /// The same for a file that is there, and of this size.
    fn fail_of_size<F>(
        &mut self,
        site: &mut Site<F>,
        head: Head<'_>,
        status: Status,
        size: u64,
    ) -> Step<F> {
        self.start(site, status);
        if status == Status::RangeNotSatisfiable {
            response::content_range(&mut site.out, None, size);
        }
        self.fail_page(site, Some(head), status)
    }

    fn fail_page<F>(
        &mut self,
        site: &mut Site<F>,
        head: Option<Head<'_>>,
        status: Status,
    ) -> Step<F> {
        let html = response::error_html(status);
        let length = response::page(&mut site.out, &html, head.is_some_and(is_head));
        self.finish(site, head, status, length)
    }

    /// Tells the client that its stream can't be understood, and closes.
    pub(crate) fn refuse<F>(&mut self, site: &mut Site<F>, status: Status) -> Step<F> {
        match self.take_exchange() {
            Some(exchange) => {
                let step = self.fail(site, Some(exchange.head()), status);
                site.recycle(exchange);
                step
            }
            None => self.fail(site, None, status),
        }
    }

    fn start<F>(&self, site: &mut Site<F>, status: Status) {
        response::start(&mut site.out, status, &site.stamp, self.connection.persistence());
    }

    /// An answer is complete, but for what [`Step::Send`] sends.
    fn finish<F>(
        &mut self,
        site: &mut Site<F>,
        head: Option<Head<'_>>,
        status: Status,
        length: u64,
    ) -> Step<F> {
        if site.config.access_log {
            site.log.push(access_log::line(head, status, length, site.stamp.date()));
        }
        let goes_on = self.connection.answered(&site.limits, site.now);
        if goes_on { Step::Resume } else { Step::Close }
    }
}

/// What a request for a file comes to.
#[derive(Clone, Copy, Debug)]
enum Answer {
    All,
    Fail(Status),
    NotModified,
    /// So many bytes from there.
    Part(u64, u64),
}

/// Weighs the request's conditions and its range, in the order of RFC 9110, section 13.2.2.
fn choose<F>(head: Head<'_>, known: &Known<F>, now: i64) -> Answer {
    let validators = known.validators();
    match conditions::check(head, validators) {
        Some(Status::NotModified) => return Answer::NotModified,
        Some(status) => return Answer::Fail(status),
        None => {}
    }
    let range = head.only(Field::Range).filter(|_| head.outline().method == Method::Get);
    let range = range.filter(|_| conditions::range_holds(head, validators, now));
    match range.map_or(Range::All, |value| range::read(value, known.size())) {
        Range::All => Answer::All,
        Range::Part { offset, length } => Answer::Part(offset, length),
        Range::Unsatisfiable => Answer::Fail(Status::RangeNotSatisfiable),
    }
}

fn is_head(head: Head<'_>) -> bool {
    head.outline().method == Method::Head
}

const ALLOW: &[u8] = b"Allow: GET, HEAD, OPTIONS\r\n";
