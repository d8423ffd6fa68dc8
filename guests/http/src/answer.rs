//! The answers of a session: what is written for each kind, and what that means for the
//! connection.

use crate::access_log;
use crate::conditions;
use crate::encoding::{Accepted, Coding, Codings};
use crate::exchange::Exchange;
use crate::file::{Known, Remembered};
use crate::listing::{self, Entry};
use crate::multipart::{self, Multipart};
use crate::range::{self, Part, Range};
use crate::refusal::{ALLOW, Refusal};
use crate::request::{Field, Head, Method};
use crate::response;
use crate::session::{Session, Step};
use crate::site::Site;
use crate::status::Status;
use crate::target::{self, Target};

/// What came of giving a file.
#[derive(Debug)]
pub(crate) enum Given<F> {
    /// The request is answered, or will be once this is done.
    Done(Step<F>),
    /// The host has to be asked for the file.
    Missing,
    /// The host has to be asked for the file beside it, in this coding.
    Sibling(Coding),
}

impl Session {
    /// Answers with the file of this path, or the part of it that is asked for, in the coding that
    /// the client likes best. A request that has waited says which codings it has `tried`: it
    /// takes what was opened for it, however long ago that is.
    pub(crate) fn give<F>(
        &mut self,
        site: &mut Site<F>,
        head: Head<'_>,
        path: &str,
        tried: Option<Codings>,
    ) -> Given<F> {
        let found = match tried {
            Some(_) => site.files.held(site.domain, path),
            None => site.files.fresh(site.domain, path, site.now),
        };
        let Some(found) = found else { return Given::Missing };
        let offered = &site.domains.at(site.domain).precompressed;
        let known = match choose_form(head, offered, found, tried.unwrap_or_default()) {
            Form::Ask(coding) => return Given::Sibling(coding),
            Form::Known(known) => known,
            Form::None => return Given::Done(self.fail(site, head, Status::NotAcceptable)),
        };
        let Some(file) = known.handle() else { return Given::Missing };
        let answer = if head.outline().is_plain() {
            Answer::All
        } else {
            choose(head, known, site.stamp.second())
        };
        let status = match &answer {
            Answer::Fail(refusal) => return Given::Done(self.deny(site, head, *refusal)),
            Answer::All => Status::Ok,
            Answer::NotModified => Status::NotModified,
            Answer::Part(_) | Answer::Parts(_) => Status::PartialContent,
        };
        let out = &mut site.out;
        response::start(out, status, &site.stamp, self.connection.persistence());
        let boundary = |tag: &[u8]| multipart::boundary(tag, site.now);
        let content = write_fields(out, known, answer, boundary);
        let length = if is_head(head) { 0 } else { content.length() };
        let step = self.finish(site, Some(head), status, length);
        // What follows a file is `Resume`, which closes if the connection is to end.
        Given::Done(match content {
            _ if length == 0 => step,
            Content::Part(Part { offset, length }) => Step::Send { file, offset, length },
            Content::Parts(content) => Step::SendParts { file, content },
        })
    }

    /// Answers with the list of a folder.
    pub(crate) fn give_list<F>(
        &mut self,
        site: &mut Site<F>,
        head: Head<'_>,
        path: &str,
        entries: Vec<Entry>,
    ) -> Step<F> {
        self.start(site, Status::Ok);
        let domain = site.domains.at(site.domain);
        if let Some(value) = domain.cache_control(path) {
            field(&mut site.out, "Cache-Control", value);
        }
        let html = listing::html(domain.inside(path), entries);
        let length = response::page(&mut site.out, &html, is_head(head));
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
        let location = target::location(site.domain().inside(&exchange.path), query(head));
        let step = self.move_to(site, head, Status::MovedPermanently, &location);
        site.recycle(exchange);
        step
    }

    /// Sends the client to where the redirect of this number leads from the path in `site.path`.
    pub(crate) fn send_on<F>(
        &mut self,
        site: &mut Site<F>,
        head: Head<'_>,
        number: usize,
        is_folder: bool,
    ) -> Step<F> {
        let domain = site.domain();
        let redirect = domain.redirect(number);
        let location = redirect.location(domain.inside(&site.path), is_folder, query(head));
        let status = redirect.status;
        self.move_to(site, head, status, &location)
    }

    fn move_to<F>(
        &mut self,
        site: &mut Site<F>,
        head: Head<'_>,
        status: Status,
        location: &str,
    ) -> Step<F> {
        self.start(site, status);
        field(&mut site.out, "Location", location);
        let html = response::error_html(status);
        let length = response::page(&mut site.out, &html, is_head(head));
        self.finish(site, Some(head), status, length)
    }

    /// Begins an answer.
    pub(crate) fn start<F>(&self, site: &mut Site<F>, status: Status) {
        response::start(&mut site.out, status, &site.stamp, self.connection.persistence());
    }

    /// An answer is complete, but for what [`Step::Send`] sends.
    pub(crate) fn finish<F>(
        &mut self,
        site: &mut Site<F>,
        head: Option<Head<'_>>,
        status: Status,
        length: u64,
    ) -> Step<F> {
        if site.has_access_log {
            site.log.push(access_log::line(head, status, length, site.stamp.date()));
        }
        let goes_on = self.connection.answered(&site.limits, site.now);
        if goes_on { Step::Resume } else { Step::Close }
    }
}

/// In which form a file is to be sent.
enum Form<'a, F> {
    /// That is not known before the host was asked for this one.
    Ask(Coding),
    /// In this.
    Known(&'a Known<F>),
    /// There is none that the client takes.
    None,
}

/// Chooses what the client likes best of what there is (RFC 9110, section 12.5.3).
fn choose_form<'a, F>(
    head: Head<'_>,
    offered: &[Coding],
    found: &'a Remembered<F>,
    tried: Codings,
) -> Form<'a, F> {
    if offered.is_empty() {
        return Form::Known(found.original());
    }
    let accepted = Accepted::of(head);
    for coding in accepted.preferred(offered) {
        match found.sibling(coding) {
            Some(Some(known)) => return Form::Known(known),
            None if !tried.has(coding) => return Form::Ask(coding),
            Some(None) | None => {}
        }
    }
    if accepted.takes_identity() { Form::Known(found.original()) } else { Form::None }
}

/// What a request for a file comes to.
#[derive(Debug)]
enum Answer {
    All,
    Fail(Refusal),
    NotModified,
    Part(Part),
    Parts(Vec<Part>),
}

/// What of a file follows the fields.
#[derive(Debug)]
enum Content {
    Part(Part),
    Parts(Box<Multipart>),
}

impl Content {
    fn length(&self) -> u64 {
        match self {
            Self::Part(part) => part.length,
            Self::Parts(content) => content.length(),
        }
    }
}

/// Writes the fields that say what is sent of a file, and the empty line behind them.
fn write_fields<F>(
    out: &mut Vec<u8>,
    known: &Known<F>,
    answer: Answer,
    boundary: impl FnOnce(&[u8]) -> String,
) -> Content {
    let size = known.size();
    match answer {
        Answer::NotModified | Answer::Fail(_) => {
            out.extend_from_slice(known.validator_fields());
            out.extend_from_slice(b"\r\n");
            Content::Part(Part { offset: 0, length: 0 })
        }
        Answer::Part(part) => {
            out.extend_from_slice(known.shared_fields());
            response::content_range(out, Some((part.offset, part.length)), size);
            response::number(out, "Content-Length", part.length);
            out.extend_from_slice(b"\r\n");
            Content::Part(part)
        }
        Answer::Parts(parts) => {
            let boundary = boundary(known.validators().tag);
            let content = Multipart::new(&parts, size, known.kind_field(), &boundary);
            out.extend_from_slice(known.common_fields());
            for text in ["Content-Type: multipart/byteranges; boundary=", &boundary, "\r\n"] {
                out.extend_from_slice(text.as_bytes());
            }
            response::number(out, "Content-Length", content.length());
            out.extend_from_slice(b"\r\n");
            Content::Parts(Box::new(content))
        }
        Answer::All => {
            out.extend_from_slice(known.all_fields());
            Content::Part(Part { offset: 0, length: size })
        }
    }
}

/// Weighs the request's conditions and its range, in the order of RFC 9110, section 13.2.2.
fn choose<F>(head: Head<'_>, known: &Known<F>, now: i64) -> Answer {
    let validators = known.validators();
    match conditions::check(head, validators) {
        Some(Status::NotModified) => return Answer::NotModified,
        Some(status) => return Answer::Fail(Refusal::Status(status)),
        None => {}
    }
    let range = head.only(Field::Range).filter(|_| head.outline().method == Method::Get);
    let range = range.filter(|_| conditions::range_holds(head, validators, now));
    match range.map_or(Range::All, |value| range::read(value, known.size())) {
        Range::All => Answer::All,
        Range::Part(part) => Answer::Part(part),
        // A coding is of the content, and that of several parts is none of the file's.
        Range::Parts(_) if known.is_coded() => Answer::All,
        Range::Parts(parts) => Answer::Parts(parts),
        Range::Unsatisfiable => Answer::Fail(Refusal::Range(known.size())),
    }
}

pub(crate) fn is_head(head: Head<'_>) -> bool {
    head.outline().method == Method::Head
}

/// The query of a request's target.
fn query<'a>(head: Head<'a>) -> Option<&'a [u8]> {
    match target::split(head.target()) {
        Ok(Target::Path(_, query)) => query,
        _ => None,
    }
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}
