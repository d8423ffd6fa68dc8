//! The heads of answers, and the small pages that go with errors.

use crate::connection::Persistence;
use crate::date;
use crate::status::Status;

/// What every answer begins with: a status line, `Server` and `Date`. Made anew once a second.
#[derive(Debug)]
pub struct Stamp {
    /// The status line of most answers, and the fields.
    start: Vec<u8>,
    /// Where the date's value begins.
    date: usize,
    second: i64,
}

impl Stamp {
    /// A stamp that names this server, or none where the name is empty.
    pub fn new(server: &str) -> Self {
        let mut start = String::from(Status::Ok.line());
        if !server.is_empty() {
            start.push_str("Server: ");
            start.push_str(server);
            start.push_str("\r\n");
        }
        start.push_str("Date: ");
        let date = start.len();
        start.push_str(&date::format(0));
        start.push_str("\r\n");
        Self { start: start.into_bytes(), date, second: 0 }
    }

    /// Sets the time, in seconds since 1970.
    pub fn set(&mut self, second: i64) {
        if self.second != second {
            self.second = second;
            let date = date::format(second);
            self.start[self.date..self.date + date.len()].copy_from_slice(date.as_bytes());
        }
    }

    /// The time, in seconds since 1970.
    pub fn second(&self) -> i64 {
        self.second
    }

    /// The time as HTTP writes it.
    pub fn date(&self) -> &[u8] {
        &self.start[self.date..self.start.len() - 2]
    }
}

/// Begins an answer: the status line, `Server`, `Date`, and `Connection` where it is needed.
pub fn start(out: &mut Vec<u8>, status: Status, stamp: &Stamp, persistence: Persistence) {
    if status == Status::Ok {
        // In one piece: copies are what an answer costs.
        out.extend_from_slice(&stamp.start);
    } else {
        out.extend_from_slice(status.line().as_bytes());
        out.extend_from_slice(&stamp.start[Status::Ok.line().len()..]);
    }
    match persistence {
        Persistence::Close => out.extend_from_slice(b"Connection: close\r\n"),
        Persistence::Implied => {}
        Persistence::Stated => out.extend_from_slice(b"Connection: keep-alive\r\n"),
    }
}

/// Adds a field whose value is a number.
pub fn number(out: &mut Vec<u8>, name: &str, value: u64) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    digits(out, value);
    out.extend_from_slice(b"\r\n");
}

/// Adds the field that says which part of a file is sent; with no part, that none can be.
pub fn content_range(out: &mut Vec<u8>, part: Option<(u64, u64)>, size: u64) {
    out.extend_from_slice(b"Content-Range: bytes ");
    match part {
        Some((offset, length)) => {
            digits(out, offset);
            out.push(b'-');
            digits(out, offset + length - 1);
        }
        None => out.push(b'*'),
    }
    out.push(b'/');
    digits(out, size);
    out.extend_from_slice(b"\r\n");
}

fn digits(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Ends an answer whose content is this page of HTML; to `HEAD` only its length is told. Gives
/// how many bytes of content were written.
pub fn page(out: &mut Vec<u8>, html: &str, is_head: bool) -> u64 {
    out.extend_from_slice(b"Content-Type: text/html; charset=utf-8\r\n");
    number(out, "Content-Length", html.len() as u64);
    out.extend_from_slice(b"\r\n");
    if is_head {
        return 0;
    }
    out.extend_from_slice(html.as_bytes());
    html.len() as u64
}

/// The page that goes with a status.
pub fn error_html(status: Status) -> String {
    let title = status.title();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <title>{title}</title>\n<h1>{title}</h1>\n"
    )
}
