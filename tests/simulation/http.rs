//! Requests, and whether their answers are what the files hold.

use anyhow::{Context, Result, ensure};

use super::choices::Choices;
use super::site::{index, large, small};

/// A request, and what must come of it.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) text: String,
    /// Any of these.
    statuses: &'static [u16],
    /// Checked where the first of the statuses comes.
    body: Option<&'static [u8]>,
    is_head: bool,
}

/// How far the answers go.
pub(crate) struct Answered {
    /// Complete answers.
    pub(crate) count: usize,
    /// The last one says that there will be no more.
    pub(crate) closed: bool,
}

/// Any request.
pub(crate) fn request(choices: &mut Choices) -> Request {
    let get = |path: &str, fields: &str, statuses, body| Request {
        text: format!("GET {path} HTTP/1.1\r\nHost: simulated\r\n{fields}\r\n"),
        statuses,
        body,
        is_head: false,
    };
    match choices.below(11) {
        0..=2 => get("/small.txt", "", &[200], Some(small())),
        3 | 4 => get("/large.bin", "", &[200], Some(large())),
        5 => {
            let first = choices.below(large().len());
            let last = first + choices.below(large().len() - first);
            let range = format!("Range: bytes={first}-{last}\r\n");
            get("/large.bin", &range, &[206], Some(&large()[first..=last]))
        }
        6 => Request {
            text: "HEAD /large.bin HTTP/1.1\r\nHost: simulated\r\n\r\n".to_owned(),
            statuses: &[200],
            body: None,
            is_head: true,
        },
        7 => get("/missing", "", &[404], None),
        8 => get("/", "", &[200], Some(index())),
        9 => get("/folder/", "", &[200], None),
        _ => get("/%2e%2e/escape", "", &[400, 403, 404], None),
    }
}

/// Holds what a peer got against what it asked for.
///
/// `may_fail` says that the server may be out of means.
pub(crate) fn check(requests: &[Request], mut got: &[u8], may_fail: bool) -> Result<Answered> {
    let mut answered = Answered { count: 0, closed: false };
    while let Some((head, rest)) = split_head(got)? {
        ensure!(!answered.closed, "an answer follows the last one");
        let request = requests.get(answered.count).context("an answer to no request")?;
        let length = if request.is_head { 0 } else { head.length };
        let Some(body) = rest.get(..length) else { break };
        let unavailable = may_fail && (500..600).contains(&head.status);
        let expected = request.statuses.contains(&head.status) || unavailable;
        ensure!(expected, "{:?} is answered by {}", request.text, head.status);
        if let Some(content) = request.body.filter(|_| !unavailable) {
            ensure!(body == content, "{:?} is answered by other bytes", request.text);
        }
        answered.closed = head.closes;
        answered.count += 1;
        got = &rest[length..];
    }
    Ok(answered)
}

struct Head {
    status: u16,
    length: usize,
    closes: bool,
}

/// The head of an answer, and what is behind it; `None` where it isn't there yet.
fn split_head(got: &[u8]) -> Result<Option<(Head, &[u8])>> {
    let Some(end) = got.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&got[..end])?.to_ascii_lowercase();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("a status")?;
    let mut head = Head { status: status.parse()?, length: 0, closes: false };
    for line in lines {
        match line.split_once(": ") {
            Some(("content-length", length)) => head.length = length.parse()?,
            Some(("connection", value)) => head.closes = value == "close",
            _ => {}
        }
    }
    Ok(Some((head, &got[end + 4..])))
}
