//! The head of a request: the request line and the header fields (RFC 9112, sections 2 to 5).
//!
//! httparse does the reading. What it lets pass and two parties could read differently is refused
//! here: a bare LF or CR, two lengths, a length beside a transfer coding.
//!
//! A head is looked at once it is complete, and once: [`Outline`] keeps what was found as numbers,
//! and [`Head`] puts it beside the bytes again. Neither allocates.

use std::mem::MaybeUninit;
use std::ops::Range;

use memchr::{memchr, memchr_iter};

use crate::config::Limits;
use crate::fields::Findings;
use crate::status::Status;

/// Reads the head that `bytes` begin with; none where it is not complete yet.
///
/// `scanned` says how many of the bytes were looked at before; it begins with 0 and is kept
/// between calls that bring more of the same head, so that a head that trickles in is not read
/// again for each byte. How a head was cut makes no difference to what comes out.
pub fn read(
    bytes: &[u8],
    scanned: &mut usize,
    limits: &Limits,
) -> Result<Option<(Outline, usize)>, Status> {
    if *scanned == 0 {
        let mut fields = [const { MaybeUninit::uninit() }; USUAL_HEADERS];
        let fields = &mut fields[..limits.headers.min(USUAL_HEADERS)];
        let mut request = httparse::Request::new(&mut []);
        if let Ok(httparse::Status::Complete(length)) =
            request.parse_with_uninit_headers(bytes, fields)
            && length <= limits.head
            && let Ok(found) = outline(&bytes[..length], &request, limits)
        {
            return Ok(Some((found, length)));
        }
        // Of several faults the first is told, which is for who looks line by line to say: where the
        // head comes in pieces there is nobody else.
    }
    read_unusual(bytes, scanned, limits)
}

/// The same for a head that is not complete, has many fields, or has something wrong with it.
/// Apart, so that the usual one needs little of the stack.
#[inline(never)]
fn read_unusual(
    bytes: &[u8],
    scanned: &mut usize,
    limits: &Limits,
) -> Result<Option<(Outline, usize)>, Status> {
    let Some(length) = scan(bytes, scanned, limits)? else { return Ok(None) };
    let mut fields = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let fields = &mut fields[..limits.headers.min(MAX_HEADERS)];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(&bytes[..length], fields) {
        Ok(httparse::Status::Complete(_)) => {
            outline(&bytes[..length], &request, limits).map(|found| Some((found, length)))
        }
        Ok(httparse::Status::Partial) => Err(Status::BadRequest),
        Err(httparse::Error::TooManyHeaders) => Err(Status::HeaderFieldsTooLarge),
        Err(httparse::Error::Version) => Err(wrong_version(&bytes[..length])),
        Err(_) => Err(Status::BadRequest),
    }
}

/// What a request asks to be done (RFC 9110, section 9.3; RFC 5789 for `PATCH`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the RFC's")]
pub enum Method {
    Connect,
    Delete,
    Get,
    Head,
    Options,
    Patch,
    Post,
    Put,
    Trace,
    /// Any other, well-formed.
    Unknown,
}

/// How a request's body is delimited (RFC 9112, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By chunks.
    Chunked,
    /// There is no body: neither field was sent.
    None,
    /// By its length, in bytes.
    Sized(u64),
}

/// What a request expects before it sends its body (RFC 9110, section 10.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// To be told to go on.
    Continue,
    /// Nothing.
    None,
    /// Something that nobody has heard of.
    Unknown,
}

/// A field that is worth finding without reading the head again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the fields'")]
#[repr(u8)]
pub enum Field {
    IfMatch = 1,
    IfModifiedSince = 2,
    IfNoneMatch = 4,
    IfRange = 8,
    IfUnmodifiedSince = 16,
    Range = 32,
}

impl Field {
    fn name(self) -> &'static str {
        match self {
            Self::IfMatch => "if-match",
            Self::IfModifiedSince => "if-modified-since",
            Self::IfNoneMatch => "if-none-match",
            Self::IfRange => "if-range",
            Self::IfUnmodifiedSince => "if-unmodified-since",
            Self::Range => "range",
        }
    }
}

/// What was found in a head: places in its bytes, and what they mean.
#[derive(Clone, Copy, Debug)]
pub struct Outline {
    /// What is to be done.
    pub method: Method,
    /// How the body is delimited.
    pub framing: Framing,
    /// What the client waits for.
    pub expect: Expect,
    /// Whether the client speaks HTTP/1.1, and not 1.0.
    pub is_1_1: bool,
    /// Whether the client wants the connection to go on after the answer.
    pub keep_alive: bool,
    seen: u8,
    line: (u32, u32),
    target: (u32, u32),
}

impl Outline {
    /// Whether the field was sent.
    pub fn has(&self, field: Field) -> bool {
        self.seen & field as u8 != 0
    }

    /// Whether any conditional field or a range was sent.
    pub fn is_plain(&self) -> bool {
        self.seen == 0
    }
}

/// The head of a request: its bytes, and what was found in them.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    bytes: &'a [u8],
    outline: &'a Outline,
}

impl<'a> Head<'a> {
    /// Puts an outline beside the bytes that it was made of.
    pub fn new(bytes: &'a [u8], outline: &'a Outline) -> Self {
        Self { bytes, outline }
    }

    /// All bytes of the head, to the empty line that ends it.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What was found in it.
    pub fn outline(&self) -> &'a Outline {
        self.outline
    }

    /// The request line, without its line end.
    pub fn line(&self) -> &'a [u8] {
        &self.bytes[span(self.outline.line)]
    }

    /// The target of the request, as it was sent.
    pub fn target(&self) -> &'a [u8] {
        &self.bytes[span(self.outline.target)]
    }

    /// The values of all fields of this name, in any case of letters, in order.
    pub fn values(&self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = &self.bytes[self.outline.line.1 as usize + 2..];
        std::iter::from_fn(move || {
            // A line in a head that was read ends with CRLF and, but for the last, has a colon.
            let end = memchr(b'\r', rest)?;
            let line = &rest[..end];
            rest = rest.get(end + 2..)?;
            let colon = memchr(b':', line)?;
            Some((&line[..colon], &line[colon + 1..]))
        })
        .filter(move |(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| value.trim_ascii())
    }

    /// The values of all fields that the outline knows by name.
    pub fn values_of(&self, field: Field) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let head = *self;
        self.outline.has(field).then(move || head.values(field.name())).into_iter().flatten()
    }

    /// The only value of a field; none where it was sent twice or not at all.
    pub fn only(&self, field: Field) -> Option<&'a [u8]> {
        let mut values = self.values_of(field);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }
}

/// Looks for the end of a head, line by line, no further than the limits allow.
fn scan(bytes: &[u8], scanned: &mut usize, limits: &Limits) -> Result<Option<usize>, Status> {
    let window = &bytes[..bytes.len().min(limits.head)];
    let lead = window.iter().take(MAX_LEAD).take_while(|byte| b"\r\n".contains(byte)).count();
    let head = &window[lead..];
    if head.first().is_some_and(|&first| !is_token(first) && first != b'\r' && first != b'\n') {
        return Err(Status::BadRequest);
    }
    // Before the length of what follows, which hadn't come yet where the input was cut here.
    if memchr_iter(b'\n', &window[..lead]).any(|at| !is_behind_cr(window, at)) {
        return Err(Status::BadRequest);
    }
    // The LF stands behind a CR.
    let longest = limits.target + LINE_SLACK + 1;
    if head.len() > longest && memchr(b'\n', &head[..=longest]).is_none() {
        return Err(Status::UriTooLong);
    }
    while let Some(found) = memchr(b'\n', &window[*scanned..]) {
        let end = *scanned + found;
        *scanned = end + 1;
        if !is_behind_cr(window, end) {
            return Err(Status::BadRequest);
        }
        let is_empty = end == 1 || window[end - 2] == b'\n';
        if is_empty && end >= lead {
            return Ok(Some(end + 1));
        }
    }
    *scanned = window.len();
    if bytes.len() >= limits.head { Err(Status::HeaderFieldsTooLarge) } else { Ok(None) }
}

/// Whether a CR stands before this place, as it has to before an LF.
fn is_behind_cr(bytes: &[u8], place: usize) -> bool {
    bytes[..place].ends_with(b"\r")
}

/// Turns what httparse found into an outline, or refuses it.
fn outline(
    bytes: &[u8],
    request: &httparse::Request<'_, '_>,
    limits: &Limits,
) -> Result<Outline, Status> {
    // All three are there, since the head is complete.
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Err(Status::BadRequest);
    };
    let start = offset(bytes, method.as_bytes());
    let place = offset(bytes, target.as_bytes());
    let end = place + target.len() + " HTTP/1.1".len();
    if end - start > limits.target + LINE_SLACK || target.len() > limits.target {
        return Err(Status::UriTooLong);
    }
    // httparse takes a bare LF for the end of a line; the next party may not.
    let is_lead_strict = start <= MAX_LEAD && bytes[..start].chunks(2).all(|pair| pair == b"\r\n");
    let is_strict = is_lead_strict
        && bytes.get(end) == Some(&b'\r')
        && bytes.ends_with(b"\r\n\r\n")
        && request.headers.iter().all(|field| {
            let at = offset(bytes, field.name.as_bytes());
            bytes[at - 2] == b'\r'
        });
    if !is_strict {
        return Err(Status::BadRequest);
    }
    let mut found = Findings::default();
    for field in &*request.headers {
        found.note(field.name.as_bytes(), field.value)?;
    }
    let method = method_of(method.as_bytes());
    let is_1_1 = minor == 1;
    Ok(Outline {
        method,
        framing: found.framing(is_1_1, method)?,
        expect: if is_1_1 { found.expect } else { Expect::None },
        is_1_1,
        keep_alive: found.keep_alive(is_1_1)?,
        seen: found.seen,
        line: (start as u32, end as u32),
        target: (place as u32, (place + target.len()) as u32),
    })
}

fn method_of(name: &[u8]) -> Method {
    match name {
        b"GET" => Method::Get,
        b"HEAD" => Method::Head,
        b"OPTIONS" => Method::Options,
        b"POST" => Method::Post,
        b"PUT" => Method::Put,
        b"DELETE" => Method::Delete,
        b"PATCH" => Method::Patch,
        b"TRACE" => Method::Trace,
        b"CONNECT" => Method::Connect,
        _ => Method::Unknown,
    }
}

/// Whether the byte may stand in a token (RFC 9110, section 5.6.2).
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Tells a version that is well-formed and unknown from something else at the line's end.
fn wrong_version(bytes: &[u8]) -> Status {
    let line = bytes.trim_ascii_start().split(|&byte| byte == b'\r').next().unwrap_or_default();
    match line.rsplit(|&byte| byte == b' ').next() {
        // A known version stands in the wrong place.
        Some(b"HTTP/1.0" | b"HTTP/1.1") => Status::BadRequest,
        Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor])
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Status::VersionNotSupported
        }
        _ => Status::BadRequest,
    }
}

/// Where a part of `bytes` begins in them.
fn offset(bytes: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - bytes.as_ptr() as usize
}

fn span((start, end): (u32, u32)) -> Range<usize> {
    start as usize..end as usize
}

/// The most header fields that a head can have, whatever the limits say.
pub const MAX_HEADERS: usize = 128;

/// The most header fields of a head that is read at the first try; browsers send about 20.
const USUAL_HEADERS: usize = 32;

/// How many bytes of empty lines may come before a request (RFC 9112, section 2.2).
const MAX_LEAD: usize = 8;

/// What a request line may have beside its target: method, version and spaces.
const LINE_SLACK: usize = 64;
