//! What the header fields of one request say about it: where its body ends, what its connection
//! becomes, which conditions it has (RFC 9110 and RFC 9112).

use memchr::memchr;

use crate::request::{Expect, Field, Framing, Method, is_token};
use crate::status::Status;

/// What the fields of one head say, while they are read.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) seen: u8,
    hosts: u32,
    length: Option<u64>,
    chunked: bool,
    pub(crate) expect: Expect,
    close: bool,
    persist: bool,
}

impl Default for Findings {
    fn default() -> Self {
        Self {
            seen: 0,
            hosts: 0,
            length: None,
            chunked: false,
            expect: Expect::None,
            close: false,
            persist: false,
        }
    }
}

impl Findings {
    /// Takes in the next field.
    pub(crate) fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Status> {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        match name.len() {
            4 if is("host") => self.host(value)?,
            5 if is("range") => self.seen |= Field::Range as u8,
            6 if is("expect") => self.expectation(value),
            8 if is("if-match") => self.seen |= Field::IfMatch as u8,
            8 if is("if-range") => self.seen |= Field::IfRange as u8,
            10 if is("connection") => self.connection(value),
            13 if is("if-none-match") => self.seen |= Field::IfNoneMatch as u8,
            14 if is("content-length") => self.content_length(value)?,
            17 if is("transfer-encoding") => self.transfer_encoding(value)?,
            17 if is("if-modified-since") => self.seen |= Field::IfModifiedSince as u8,
            19 if is("if-unmodified-since") => self.seen |= Field::IfUnmodifiedSince as u8,
            _ => {}
        }
        Ok(())
    }

    fn host(&mut self, value: &[u8]) -> Result<(), Status> {
        self.hosts += 1;
        if self.hosts > 1 || !is_authority(value) {
            return Err(Status::BadRequest);
        }
        Ok(())
    }

    fn expectation(&mut self, value: &[u8]) {
        let is_known = value.eq_ignore_ascii_case(b"100-continue");
        self.expect = match self.expect {
            Expect::Unknown => Expect::Unknown,
            _ if is_known => Expect::Continue,
            _ => Expect::Unknown,
        };
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',') {
            let option = option.trim_ascii();
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.persist |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Status> {
        let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        if self.length.is_some() || !is_number {
            return Err(Status::BadRequest);
        }
        let length = value.iter().try_fold(0_u64, |sum, &digit| {
            sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        });
        self.length = Some(length.ok_or(Status::ContentTooLarge)?);
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Status> {
        if self.chunked {
            return Err(Status::BadRequest);
        }
        if value.eq_ignore_ascii_case(b"chunked") {
            self.chunked = true;
            return Ok(());
        }
        // A list that is well-formed names a coding that nobody here knows; but `chunked` may
        // stand in it once, and at its end.
        let mut codings = value.rsplit(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        let is_sound = codings.next().is_some_and(|last| !last.is_empty())
            && codings.all(|coding| {
                coding.first().is_some_and(|&first| is_token(first))
                    && !coding.eq_ignore_ascii_case(b"chunked")
            });
        Err(if is_sound { Status::NotImplemented } else { Status::BadRequest })
    }

    /// How the body is delimited, once all fields were taken in.
    pub(crate) fn framing(&self, is_1_1: bool, method: Method) -> Result<Framing, Status> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Status::BadRequest),
            (true, None) if !is_1_1 => Err(Status::BadRequest),
            (true, None) => Ok(Framing::Chunked),
            (false, Some(length)) => Ok(Framing::Sized(length)),
            // In HTTP/1.0 such a body would end with the stream, and the answer be lost with it.
            (false, None)
                if !is_1_1 && matches!(method, Method::Patch | Method::Post | Method::Put) =>
            {
                Err(Status::LengthRequired)
            }
            (false, None) => Ok(Framing::None),
        }
    }

    /// Whether the connection goes on, once all fields were taken in.
    pub(crate) fn keep_alive(&self, is_1_1: bool) -> Result<bool, Status> {
        if is_1_1 && self.hosts == 0 {
            return Err(Status::BadRequest);
        }
        Ok(!self.close && (is_1_1 || self.persist))
    }
}

/// Whether this may stand for a host and a port (RFC 9110, section 7.2): a name, an address,
/// or nothing at all, and never a user's name.
pub(crate) fn is_authority(text: &[u8]) -> bool {
    let (host, port) = match text.strip_prefix(b"[") {
        Some(rest) => match memchr(b']', rest) {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => return false,
        },
        None => text.split_at(memchr(b':', text).unwrap_or(text.len())),
    };
    let is_bracketed = text.first() == Some(&b'[');
    let is_host = host.iter().all(|&byte| is_host_byte(byte) || (is_bracketed && byte == b':'));
    let is_port = match port.split_first() {
        Some((b':', digits)) => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        Some(_) => false,
        None => true,
    };
    is_host && is_port && !(host.is_empty() && is_bracketed)
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte)
}
