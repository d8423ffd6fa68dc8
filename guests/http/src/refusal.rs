//! Why a request is not given what it asks for, and the answers that say so.

use crate::answer::is_head;
use crate::domains::Domain;
use crate::exchange::{Asked, Exchange, Plan};
use crate::file::{Kind, Metadata, VARY};
use crate::request::Head;
use crate::response;
use crate::session::{Failure, Session, Step};
use crate::site::Site;
use crate::status::Status;

/// Why a request is not given what it asks for: the status, and what the answer says beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The file has so many bytes, and none of those that are asked for.
    Range(u64),
    /// For no reason but this.
    Status(Status),
    /// Only users may see it, by the rule of this number.
    User(usize),
}

impl Refusal {
    /// The status of the answer.
    pub(crate) fn status(self) -> Status {
        match self {
            Self::Range(_) => Status::RangeNotSatisfiable,
            Self::Status(status) => status,
            Self::User(_) => Status::Unauthorized,
        }
    }

    /// Writes the fields that belong to the status.
    pub(crate) fn write_fields(self, domain: &Domain, out: &mut Vec<u8>) {
        match self {
            Self::Range(size) => response::content_range(out, None, size),
            Self::Status(Status::MethodNotAllowed) => out.extend_from_slice(ALLOW),
            Self::Status(Status::NotAcceptable) => out.extend_from_slice(VARY.as_bytes()),
            Self::Status(Status::ServiceUnavailable) => {
                out.extend_from_slice(b"Retry-After: 1\r\n");
            }
            // The host counts logins that failed by the minute.
            Self::Status(Status::TooManyRequests) => {
                out.extend_from_slice(b"Retry-After: 60\r\n");
            }
            Self::Status(_) => {}
            Self::User(number) => domain.protection(number).write_challenge(out),
        }
    }
}

impl Session {
    /// Tells the client what is wrong with its request.
    pub(crate) fn fail<F>(
        &mut self,
        site: &mut Site<F>,
        head: Head<'_>,
        status: Status,
    ) -> Step<F> {
        self.deny(site, head, Refusal::Status(status))
    }

    /// The same with what belongs to the status; on the site's own page, where it has one.
    pub(crate) fn deny<F>(
        &mut self,
        site: &mut Site<F>,
        head: Head<'_>,
        refusal: Refusal,
    ) -> Step<F> {
        let status = refusal.status();
        if closes(status) {
            self.connection.end_keep_alive();
        }
        let mut path = std::mem::take(&mut site.path);
        let has_page = site.domain().find_error_page(status, &mut path);
        let step = if !has_page {
            Some(self.deny_plainly(site, Some(head), refusal))
        } else if site.files.fresh(site.domain, &path, site.now).is_some() {
            self.deny_on_page(site, head, refusal, &path)
        } else {
            None
        };
        site.path = path;
        step.unwrap_or_else(|| {
            let mut exchange = site.hold(head, Plan::Fail(status));
            exchange.asked = Asked::Page(refusal);
            self.open(exchange)
        })
    }

    /// The host has opened the page that goes with a refusal, or has not: then it goes without.
    pub(crate) fn page_opened<F>(
        &mut self,
        site: &mut Site<F>,
        exchange: Box<Exchange>,
        refusal: Refusal,
        answer: Result<(F, Metadata), Failure>,
    ) -> Step<F> {
        let head = exchange.head();
        let mut step = None;
        if let Ok((file, metadata)) = answer
            && metadata.kind == Kind::Regular
        {
            site.remember(&exchange.path, file, metadata);
            step = self.deny_on_page(site, head, refusal, &exchange.path);
        }
        let step = step.unwrap_or_else(|| self.deny_plainly(site, Some(head), refusal));
        site.recycle(exchange);
        step
    }

    /// Answers with the page of this path; none where it is not open.
    fn deny_on_page<F>(
        &mut self,
        site: &mut Site<F>,
        head: Head<'_>,
        refusal: Refusal,
        path: &str,
    ) -> Option<Step<F>> {
        let known = site.files.held(site.domain, path)?.original();
        let file = known.handle()?;
        let (status, out) = (refusal.status(), &mut site.out);
        response::start(out, status, &site.stamp, self.connection.persistence());
        refusal.write_fields(site.domains.at(site.domain), out);
        out.extend_from_slice(known.content_fields());
        let length = if is_head(head) { 0 } else { known.size() };
        let step = self.finish(site, Some(head), status, length);
        Some(if length > 0 { Step::Send { file, offset: 0, length } } else { step })
    }

    /// Answers with a page that was just made.
    fn deny_plainly<F>(
        &mut self,
        site: &mut Site<F>,
        head: Option<Head<'_>>,
        refusal: Refusal,
    ) -> Step<F> {
        let status = refusal.status();
        self.start(site, status);
        refusal.write_fields(site.domains.at(site.domain), &mut site.out);
        let html = response::error_html(status);
        let length = response::page(&mut site.out, &html, head.is_some_and(is_head));
        self.finish(site, head, status, length)
    }

    /// Tells the client that its stream can't be understood, and closes. That can't wait for a
    /// page of the site's own: the deadline may have passed.
    pub(crate) fn refuse<F>(&mut self, site: &mut Site<F>, status: Status) -> Step<F> {
        self.connection.end_keep_alive();
        let exchange = self.take_exchange(site);
        let head = exchange.as_ref().map(|exchange| exchange.head());
        let step = self.deny_plainly(site, head, Refusal::Status(status));
        if let Some(exchange) = exchange {
            site.recycle(exchange);
        }
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
            | Status::NotAcceptable
            | Status::PreconditionFailed
            | Status::RangeNotSatisfiable
            | Status::Unauthorized
            | Status::Forbidden
            | Status::TooManyRequests
            | Status::MisdirectedRequest
            | Status::InternalServerError
            | Status::ServiceUnavailable
    )
}

/// What can be done with any path.
pub(crate) const ALLOW: &[u8] = b"Allow: GET, HEAD, OPTIONS\r\n";
