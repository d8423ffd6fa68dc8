//! Requests that are too large, each in another way.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Result;

use super::attack::{Attack, discard, reset, send};

/// How much of one request is sent at most, in bytes.
const MOST: usize = 1 << 20;
/// How many requests there are in a second.
const A_SECOND: u64 = 100;
/// How often one that isn't taken tries again, and how long it waits before.
const PATIENCE: (usize, Duration) = (20, Duration::from_millis(5));

/// A line that doesn't end.
pub(super) fn target(attack: &Attack<'_>) -> Result<u64> {
    let request = [&b"GET /"[..], &vec![b'a'; MOST], b" HTTP/1.1\r\nHost: a.test\r\n\r\n"].concat();
    attack.repeat(A_SECOND, |nth| blast(attack, nth, &request))
}

/// A field that doesn't end.
pub(super) fn field(attack: &Attack<'_>) -> Result<u64> {
    let begin = b"GET / HTTP/1.1\r\nHost: a.test\r\nCookie: ";
    let request = [&begin[..], &vec![b'a'; MOST], b"\r\n\r\n"].concat();
    attack.repeat(A_SECOND, |nth| blast(attack, nth, &request))
}

/// A head that doesn't end.
pub(super) fn fields(attack: &Attack<'_>) -> Result<u64> {
    let begin = b"GET / HTTP/1.1\r\nHost: a.test\r\n";
    let request = [&begin[..], &b"a: b\r\n".repeat(100_000)].concat();
    attack.repeat(A_SECOND, |nth| blast(attack, nth, &request))
}

/// A body that is announced as endless; every other one begins to come at once.
pub(super) fn body(attack: &Attack<'_>) -> Result<u64> {
    let head = b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1099511627776\r\n";
    let expecting = [&head[..], b"Expect: 100-continue\r\n\r\n"].concat();
    let sending = [&head[..], b"\r\n", &vec![b'b'; MOST]].concat();
    let requests = [expecting, sending];
    attack.repeat(A_SECOND, |nth| blast(attack, nth, &requests[nth as usize % 2]))
}

/// Chunks that no body has.
pub(super) fn chunks(attack: &Attack<'_>) -> Result<u64> {
    let head = b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let extension = [&b"1;"[..], &[b'e'; 4000], b"\r\nx\r\n"].concat();
    let bodies: [Vec<u8>; 6] = [
        [&b"ffffffffffffffff\r\n"[..], &vec![b'x'; MOST]].concat(),
        vec![b'0'; MOST],
        b"-1\r\nx\r\n".to_vec(),
        b"1\r\nx\r\n".repeat(MOST / 6),
        extension.repeat(MOST / extension.len()),
        [&b"0\r\n"[..], &b"Trailer: t\r\n".repeat(MOST / 12)].concat(),
    ];
    let requests = bodies.map(|body| [&head[..], &body].concat());
    attack.repeat(A_SECOND, |nth| blast(attack, nth, &requests[nth as usize % requests.len()]))
}

/// More requests than anybody has answers for.
pub(super) fn pipeline(attack: &Attack<'_>) -> Result<u64> {
    let requests = b"GET /small.txt HTTP/1.1\r\nHost: a.test\r\n\r\n".repeat(5_000);
    attack.repeat(A_SECOND / 10, |nth| blast(attack, nth, &requests))
}

/// Sends as much of it as the service takes, without patience, reads what it says so far, and goes.
fn blast(attack: &Attack<'_>, nth: u64, bytes: &[u8]) -> Result<bool> {
    let Some(mut stream) = attack.connect(nth)? else { return Ok(false) };
    // What happens to it is the service's business.
    let _ = pour(&mut stream, bytes);
    let _ = discard(&mut stream, 4);
    if nth.is_multiple_of(2) {
        reset(stream)?;
    }
    Ok(true)
}

fn pour(stream: &mut TcpStream, mut bytes: &[u8]) -> std::io::Result<()> {
    let (tries, wait) = PATIENCE;
    for _ in 0..tries {
        bytes = &bytes[send(stream, bytes)?..];
        if bytes.is_empty() {
            return Ok(());
        }
        std::thread::sleep(wait);
    }
    Err(ErrorKind::WouldBlock.into())
}
