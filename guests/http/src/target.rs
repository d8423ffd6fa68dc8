//! From the target of a request to the path of a file (RFC 9112, section 3.2).
//!
//! A path that comes out of here has no `..`, no empty part, no backslash and no control
//! character, so that it names the same file to everybody who reads it.

use memchr::memchr;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::fields::is_authority;
use crate::status::Status;

/// What a target names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// The server as a whole: `*`.
    Asterisk,
    /// A path, which begins with `/` and is still encoded, and what follows its `?`.
    Path(&'a [u8], Option<&'a [u8]>),
}

/// Takes a target apart: origin-form, absolute-form or `*`.
pub fn split(target: &[u8]) -> Result<Target<'_>, Status> {
    if target == b"*" {
        return Ok(Target::Asterisk);
    }
    let rest = if target.first() == Some(&b'/') { target } else { after_authority(target)? };
    let (path, query) = match memchr(b'?', rest) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let is_sound = |&byte: &u8| byte.is_ascii_graphic() && byte != b'#';
    if !query.unwrap_or_default().iter().all(is_sound) {
        return Err(Status::BadRequest);
    }
    Ok(Target::Path(if path.is_empty() { b"/" } else { path }, query))
}

/// The host, and the port if it has one, that an absolute-form target names.
pub fn authority(target: &[u8]) -> Option<&[u8]> {
    let rest = target.get(scheme_length(target)?..)?;
    Some(&rest[..authority_length(rest)])
}

/// What follows scheme and authority in an absolute-form target.
fn after_authority(target: &[u8]) -> Result<&[u8], Status> {
    let rest = &target[scheme_length(target).ok_or(Status::BadRequest)?..];
    let (authority, rest) = rest.split_at(authority_length(rest));
    if authority.is_empty() || !is_authority(authority) {
        return Err(Status::BadRequest);
    }
    Ok(rest)
}

/// How long the scheme that a target begins with is; none where it begins with none that is known.
fn scheme_length(target: &[u8]) -> Option<usize> {
    let is_start = |scheme: &&[u8]| {
        target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    [&b"http://"[..], b"https://"].into_iter().find(is_start).map(<[u8]>::len)
}

fn authority_length(rest: &[u8]) -> usize {
    rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len())
}

/// Decodes a path that begins with `/`, and appends it to `into` without the slashes at its
/// ends. Says whether it names a folder, as one that ends with `/` does.
///
/// Fails `BadRequest` for what no honest client sends, and `NotFound` for what no file system
/// can hold.
pub fn decode(path: &[u8], into: &mut String) -> Result<bool, Status> {
    match plain(path) {
        Some(text) => into.push_str(text.trim_end_matches('/')),
        None => return decode_parts(path, into),
    }
    Ok(path.ends_with(b"/"))
}

/// The path without its first slash, if it can be taken as it is.
fn plain(path: &[u8]) -> Option<&str> {
    let (&first, rest) = path.split_first()?;
    let mut before = first;
    for &byte in rest {
        let is_plain = PLAIN[usize::from(byte)] || (byte == b'/' && before != b'/');
        // A dot at the start of a part may be the start of `..`.
        if !is_plain || (byte == b'.' && before == b'/') {
            return None;
        }
        before = byte;
    }
    if rest.len() > MAX_PART || first != b'/' {
        return None;
    }
    str::from_utf8(rest).ok()
}

fn decode_parts(path: &[u8], into: &mut String) -> Result<bool, Status> {
    let mut is_folder = true;
    let start = into.len();
    for part in path.split(|&byte| byte == b'/').skip(1) {
        let part = decode_part(part)?;
        is_folder = part.is_empty() || part == ".";
        if part == ".." {
            return Err(Status::BadRequest);
        }
        if is_folder {
            continue;
        }
        if part.len() > MAX_PART {
            return Err(Status::NotFound);
        }
        if into.len() > start {
            into.push('/');
        }
        into.push_str(&part);
    }
    if into.len() - start > MAX_PATH {
        return Err(Status::NotFound);
    }
    Ok(is_folder)
}

/// Decodes what is between two slashes.
fn decode_part(part: &[u8]) -> Result<String, Status> {
    let mut decoded = Vec::with_capacity(part.len());
    let mut rest = part.iter();
    while let Some(&byte) = rest.next() {
        let is_encoded = byte == b'%';
        let byte = if is_encoded {
            let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
            let (high, low) = (digit(rest.next()), digit(rest.next()));
            (high.ok_or(Status::BadRequest)? << 4 | low.ok_or(Status::BadRequest)?) as u8
        } else if byte.is_ascii_graphic() && byte != b'#' {
            byte
        } else {
            return Err(Status::BadRequest);
        };
        // A slash that was encoded is part of a name to some, and divides names to others.
        if byte == b'/' || byte == b'\\' || byte.is_ascii_control() {
            return Err(Status::BadRequest);
        }
        decoded.push(byte);
    }
    String::from_utf8(decoded).map_err(|_| Status::BadRequest)
}

/// The reference to a folder, for a `Location` field: from the root, with a slash at its end.
///
/// It begins with exactly one slash, so that it never names another host.
pub fn location(folder: &str, query: Option<&[u8]>) -> String {
    let mut location = String::from("/");
    location.extend(encoded(folder));
    location.push('/');
    if let Some(query) = query {
        location.push('?');
        location.push_str(&String::from_utf8_lossy(query));
    }
    location
}

/// A path, with its special characters encoded but for its slashes.
pub(crate) fn encoded(path: &str) -> impl Iterator<Item = &str> {
    utf8_percent_encode(path, PATH)
}

/// A file's name as a reference that is relative to its folder, with its special characters
/// encoded.
pub fn reference(name: &str) -> impl Iterator<Item = &str> {
    std::iter::once("./").chain(utf8_percent_encode(name, NAME))
}

/// What stands for itself in a path, and needs no second look.
static PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let known = byte as u8;
        plain[byte] =
            known.is_ascii_alphanumeric() || matches!(known, b'-' | b'.' | b'_' | b'~' | b'+');
        byte += 1;
    }
    plain
};

const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const PATH: &AsciiSet = &NAME.remove(b'/');

/// The longest name that a file can have, in bytes, on any system that we know.
const MAX_PART: usize = 255;

/// The longest path that is asked for, in bytes: what Linux takes.
const MAX_PATH: usize = 4095;

#[cfg(test)]
mod tests {
    use super::{Target, decode, location, split};
    use crate::status::Status;

    fn decoded(path: &str) -> Result<(String, bool), Status> {
        let mut into = String::new();
        let is_folder = decode(path.as_bytes(), &mut into)?;
        Ok((into, is_folder))
    }

    #[test]
    fn targets_come_in_three_forms() {
        let path = |path: &'static str| Ok(Target::Path(path.as_bytes(), None));
        let query = |path: &'static str, query: &'static str| {
            Ok(Target::Path(path.as_bytes(), Some(query.as_bytes())))
        };
        let bad = Err(Status::BadRequest);
        for (target, want) in [
            ("*", Ok(Target::Asterisk)),
            ("/", path("/")),
            ("/a/b", path("/a/b")),
            ("//host/a", path("//host/a")),
            ("/a?b=c?d", query("/a", "b=c?d")),
            ("/?", query("/", "")),
            ("http://host/a?b", query("/a", "b")),
            ("HTTP://host:80", path("/")),
            ("http://[::1]:80?b", query("/", "b")),
            ("https://host/", path("/")),
            ("http:///a", bad),
            ("http://user@host/a", bad),
            ("http://host:port/a", bad),
            ("ftp://host/a", bad),
            ("host:443", bad),
            ("a", bad),
            ("", bad),
            ("/a?b#c", bad),
            ("/a?\u{e4}", bad),
        ] {
            assert_eq!(split(target.as_bytes()), want, "{target}");
        }
    }

    #[test]
    fn paths_are_decoded_and_normalised() {
        for (path, want, is_folder) in [
            ("/", "", true),
            ("//", "", true),
            ("/.", "", true),
            ("/a", "a", false),
            ("/a/", "a", true),
            ("/a/b.html", "a/b.html", false),
            ("//a///b", "a/b", false),
            ("/a/./b", "a/b", false),
            ("/a/.", "a", true),
            ("/a/%2e/b", "a/b", false),
            ("/...", "...", false),
            ("/..a/b..", "..a/b..", false),
            ("/.well-known/x", ".well-known/x", false),
            ("/a%20b%25", "a b%", false),
            ("/%e4%bd%a0", "\u{4f60}", false),
            ("/a%3fb", "a?b", false),
            ("/a:b;c=d,e", "a:b;c=d,e", false),
        ] {
            assert_eq!(decoded(path), Ok((want.into(), is_folder)), "{path}");
        }
    }

    #[test]
    fn nothing_leads_out_of_the_root() {
        for path in [
            "/..",
            "/../",
            "/../a",
            "/a/..",
            "/a/../b",
            "/a/../../b",
            "//../a",
            "/./../a",
            "/%2e%2e/a",
            "/%2e./a",
            "/.%2E/a",
            "/a/%2e%2e",
            "/..%2fa",
            "/%2e%2e%2fa",
            "/a%2Fb",
            "/..%5ca",
            "/%5c..%5ca",
            "/a%5cb",
            "/..\\a",
            "/a\\b",
            "/%00",
            "/a%00.html",
            "/%0a",
            "/%7f",
            "/%",
            "/%2",
            "/%zz",
            "/%+2",
            "/a%",
            "/%c0%ae%c0%ae/a",
            "/%c0%af",
            "/%e0%80%ae",
            "/%f0%80%80%ae",
            "/%ff",
            "/%ed%a0%80",
            "/%c3",
            "/\u{e4}",
            "/a#b",
        ] {
            assert_eq!(decoded(path), Err(Status::BadRequest), "{path}");
        }
        // Decoded once, and no more than once.
        assert_eq!(decoded("/%252e%252e/a"), Ok(("%2e%2e/a".into(), false)));
        assert_eq!(decoded("/%%32e"), Err(Status::BadRequest));
    }

    #[test]
    fn what_no_file_system_holds_is_not_asked_for() {
        assert_eq!(decoded(&format!("/{}", "a".repeat(255))), Ok(("a".repeat(255), false)));
        assert_eq!(decoded(&format!("/{}", "a".repeat(256))), Err(Status::NotFound));
        assert_eq!(decoded(&"/abcdefg".repeat(600)), Err(Status::NotFound));
    }

    #[test]
    fn locations_stay_on_this_host() {
        assert_eq!(location("a b/\u{e4}?", None), "/a%20b/%C3%A4%3F/");
        assert_eq!(location("a", Some(b"b=c&d")), "/a/?b=c&d");
        let mut into = String::new();
        assert_eq!(decode(b"//evil.example/", &mut into), Ok(true));
        assert_eq!(location(&into, None), "/evil.example/");
    }
}
