//! What a request asks of the guestbook, and how it is answered once the database has spoken.

use torsade_http::channel::{Request, Response};
use torsade_http::form;
use torsade_http::request::{Head, Method};
use torsade_http::status::Status;
use torsade_http::target::{self, Target};

use crate::config::Config;
use crate::page;
use crate::store::Posts;

/// What a request comes to.
#[derive(Debug)]
pub enum Plan {
    /// This answer, which needs no database.
    Answer(Response),
    /// A list of the newest posts, or of those before an id.
    List(Option<i64>, Format),
    /// A post to be kept.
    Post {
        /// Who has written it.
        name: String,
        /// What.
        text: String,
    },
}

/// How a list is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// To a person.
    Html,
    /// To a program.
    Json,
}

/// Decides what a request comes to.
pub fn plan(request: &Request) -> Plan {
    planned(request).unwrap_or_else(Plan::Answer)
}

fn planned(request: &Request) -> Result<Plan, Response> {
    let refused = |status| Err(Response::error(status));
    let (path, query) = match target::split(request.head().target()) {
        Ok(Target::Path(path, query)) => (path, query.unwrap_or_default()),
        Ok(Target::Asterisk) => return refused(Status::BadRequest),
        Err(status) => return refused(status),
    };
    match (path, request.method()) {
        (_, Method::Unknown) => refused(Status::NotImplemented),
        (b"/", Method::Get | Method::Head) => Ok(Plan::List(before(query)?, Format::Html)),
        (b"/", Method::Post) => post(request),
        (b"/", _) => Err(not_allowed("GET, HEAD, POST")),
        (b"/posts.json", Method::Get | Method::Head) => {
            Ok(Plan::List(before(query)?, Format::Json))
        }
        (b"/style.css", Method::Get | Method::Head) => Ok(Plan::Answer(page::style())),
        (b"/posts.json" | b"/style.css", _) => Err(not_allowed("GET, HEAD")),
        _ => refused(Status::NotFound),
    }
}

/// The answer to a request for a list.
pub fn listed(config: &Config, posts: &Posts, before: Option<i64>, format: Format) -> Response {
    match format {
        Format::Html => page::html(config, posts, before.is_some()),
        Format::Json => page::json(posts),
    }
}

/// The answer to a post that is kept: where to look at it.
pub fn posted() -> Response {
    Response::error(Status::SeeOther).with("Location", "/")
}

/// The answer where the database has failed.
pub fn failed() -> Response {
    Response::error(Status::ServiceUnavailable).with("Retry-After", "1")
}

fn not_allowed(methods: &str) -> Response {
    Response::error(Status::MethodNotAllowed).with("Allow", methods)
}

/// The id that a query names.
fn before(query: &[u8]) -> Result<Option<i64>, Response> {
    let bad = || Response::error(Status::BadRequest);
    let id = form::value(query, "before").map_err(|_| bad())?;
    id.map(|id| id.parse().map_err(|_| bad())).transpose()
}

fn post(request: &Request) -> Result<Plan, Response> {
    if !is_form(request.head()) {
        return Err(Response::error(Status::UnsupportedMediaType)
            .with("Accept", "application/x-www-form-urlencoded"));
    }
    let name = field(&request.body, "name", MAX_NAME)?;
    let text = field(&request.body, "text", MAX_TEXT)?;
    if text.is_empty() {
        return Err(Response::error(Status::BadRequest));
    }
    let name = if name.is_empty() { NOBODY.into() } else { name };
    Ok(Plan::Post { name, text })
}

fn is_form(head: Head<'_>) -> bool {
    let mut types = head.values("content-type");
    let kind = types.next().unwrap_or_default();
    let kind = kind.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    types.next().is_none() && kind.eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

/// A field's text without control characters but for ends of lines and tabs, and without space
/// around it; of at most so many characters.
fn field(form: &[u8], name: &str, most: usize) -> Result<String, Response> {
    let value = form::value(form, name).map_err(|_| Response::error(Status::BadRequest))?;
    let value = value.unwrap_or_default().replace("\r\n", "\n");
    let mut clean = value;
    clean.retain(|c| !c.is_control() || c == '\n' || c == '\t');
    let text = clean.trim();
    if text.chars().count() > most {
        return Err(Response::error(Status::ContentTooLarge));
    }
    Ok(text.to_owned())
}

/// The longest name, in characters.
pub const MAX_NAME: usize = 100;

/// The longest text, in characters.
pub const MAX_TEXT: usize = 2000;

/// Who has written what bears no name.
const NOBODY: &str = "Somebody";
