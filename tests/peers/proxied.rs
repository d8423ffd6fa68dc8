//! Headers of the PROXY protocol, from one who is trusted to send them.

use anyhow::Result;

use super::attack::{Attack, discard, send};
use super::slow;

/// Begins with a header, and never ends it.
pub(super) fn stall(attack: &Attack<'_>) -> Result<u64> {
    slow::trickle(attack, b"PROXY TCP4 127.0.0.1 127.0.0.1 ")
}

/// Sends other things: those that say at once that they are none, and those that are too long.
pub(super) fn garbage(attack: &Attack<'_>) -> Result<u64> {
    let second = b"\r\n\r\n\0\r\nQUIT\n";
    let headers: [Vec<u8>; 5] = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        [&b"PROXY TCP4 "[..], &[b'1'; 1000]].concat(),
        [&second[..], &[0xff; 64 * 1024]].concat(),
        [&second[..], &[0x21, 0x11, 0xff, 0xff], &[0; 10]].concat(),
        vec![0; 1000],
    ];
    attack.repeat(200, |nth| {
        let Some(mut stream) = attack.connect(nth)? else { return Ok(false) };
        // What happens to it is the service's business.
        let _ = send(&mut stream, &headers[nth as usize % headers.len()]);
        let _ = discard(&mut stream, 1);
        Ok(true)
    })
}
