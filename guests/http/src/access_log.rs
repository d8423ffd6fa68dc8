//! Lines of the access log, in Apache's Combined Log Format.

use std::fmt::Write;

use crate::request::Head;
use crate::status::Status;

/// A line, but for the peer's address that it begins with. `date` is the time as HTTP writes
/// it, and `length` counts the bytes of the content. Without a head the request was not
/// understood.
pub fn line(head: Option<Head<'_>>, status: Status, length: u64, date: &[u8]) -> String {
    let mut line = String::from("- - [");
    // `Sun, 06 Nov 1994 08:49:37 GMT` becomes `06/Nov/1994:08:49:37 +0000`.
    for (part, end) in [(5..7, "/"), (8..11, "/"), (12..16, ":"), (17..25, " +0000] \"")] {
        line.push_str(&String::from_utf8_lossy(date.get(part).unwrap_or_default()));
        line.push_str(end);
    }
    let first = |name| head.and_then(|head: Head<'_>| head.values(name).next());
    quote(head.map(|head| head.line()), &mut line);
    // Writing to a String can't fail.
    let _ = write!(line, "\" {} {length} \"", status.code());
    quote(first("referer"), &mut line);
    line.push_str("\" \"");
    quote(first("user-agent"), &mut line);
    line.push('"');
    line
}

/// What a peer sent, so that it can't end the quotes or the line; `-` where it sent nothing.
fn quote(text: Option<&[u8]>, line: &mut String) {
    for &byte in text.unwrap_or(b"-") {
        match byte {
            b'"' | b'\\' => {
                line.push('\\');
                line.push(char::from(byte));
            }
            b' '..=b'~' => line.push(char::from(byte)),
            _ => {
                let _ = write!(line, "\\x{byte:02x}");
            }
        }
    }
}
