//! Readers that stop reading, with windows as small as they can be.

use std::net::TcpStream;

use anyhow::Result;

use super::attack::{Attack, send};

/// How many connections there are.
const CROWD: usize = 100;
/// What is sent at once, in bytes.
const PIECE: usize = 64 * 1024;

/// Asks for a file that fits into no buffer.
pub(super) fn file(attack: &Attack<'_>) -> Result<u64> {
    let connect = |nth| -> Result<Option<TcpStream>> {
        let Some(mut stream) = attack.connect_narrow(nth)? else { return Ok(None) };
        // One that is refused is gone at the next look.
        let _ = send(&mut stream, b"GET /large.bin HTTP/1.1\r\nHost: a.test\r\n\r\n");
        Ok(Some(stream))
    };
    attack.crowd(CROWD, connect, |_| Ok(()))
}

/// Sends as much as is taken, and has all of it come back.
pub(super) fn echo(attack: &Attack<'_>) -> Result<u64> {
    let piece = [b'e'; PIECE];
    let connect = |nth| attack.connect_narrow(nth);
    attack.crowd(CROWD, connect, |stream| send(stream, &piece).map(drop))
}
