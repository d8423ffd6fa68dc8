//! Resets at every byte of a conversation.

use anyhow::Result;

use super::attack::{Attack, discard, reset, send};

/// Three requests, of which the last has an answer that fits into no buffer.
const REQUESTS: &[u8] = b"GET /small.txt HTTP/1.1\r\nHost: a.test\r\n\r\n\
    POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n\
    GET /large.bin HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// Sends one byte more each time, and resets: every other time once something has come.
pub(super) fn at_every_byte(attack: &Attack<'_>) -> Result<u64> {
    attack.repeat(1_000, |nth| {
        let Some(mut stream) = attack.connect(nth)? else { return Ok(false) };
        let length = (nth / 2) as usize % (REQUESTS.len() + 1);
        // What happens to it is the service's business.
        let _ = send(&mut stream, &REQUESTS[..length]);
        if nth % 2 == 1 {
            let _ = discard(&mut stream, 1);
        }
        reset(stream)?;
        Ok(true)
    })
}
