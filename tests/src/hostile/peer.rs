//! The peers of hostile plugins.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Peer, Then};
use crate::host::PATIENCE;

impl Peer {
    /// Meets the plugin once, and gives what it said; no more than [`KEPT`].
    pub(super) fn meet(
        self,
        address: SocketAddr,
        awaited: &[u8],
        stop: &AtomicBool,
    ) -> Result<Vec<u8>> {
        let Self(said, then) = self;
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(STEP))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        // The plugin, and its host, may have ended the connection already.
        if stream.write_all(said.as_bytes()).is_err() {
            return Ok(Vec::new());
        }
        if let Then::Ends = then {
            // The connection may be gone.
            let _ = stream.shutdown(Shutdown::Write);
        }
        let (begin, mut kept) = (Instant::now(), Vec::new());
        while !stop.load(Ordering::Relaxed) && begin.elapsed() < PATIENCE {
            if let Then::Ignores = then {
                thread::sleep(STEP);
                match stream.write_all(b"x") {
                    Ok(()) => continue,
                    Err(_) => break,
                }
            }
            if let Then::Snubs = then {
                thread::sleep(STAY);
                break;
            }
            let goes_on = read(&mut stream, &mut kept);
            let is_met = match then {
                Then::Ends | Then::Ignores | Then::Snubs => false,
                Then::Leaves => !kept.is_empty(),
                Then::Reads => !awaited.is_empty() && contains(&kept, awaited),
                Then::Stays => begin.elapsed() > STAY,
            };
            if !goes_on || is_met {
                break;
            }
        }
        Ok(kept)
    }
}

/// Reads what there is. False at the end.
fn read(stream: &mut TcpStream, kept: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 16 * 1024];
    match stream.read(&mut buffer) {
        Ok(0) => false,
        Ok(n) => {
            kept.extend_from_slice(&buffer[..n.min(KEPT.saturating_sub(kept.len()))]);
            true
        }
        Err(error) => {
            let waits = [ErrorKind::Interrupted, ErrorKind::TimedOut, ErrorKind::WouldBlock];
            waits.contains(&error.kind())
        }
    }
}

fn contains(text: &[u8], words: &[u8]) -> bool {
    text.windows(words.len()).any(|piece| piece == words)
}

/// How much of what a plugin says is kept, in bytes.
const KEPT: usize = 64 * 1024;

/// How often a peer that waits looks whether it is to stop.
const STEP: Duration = Duration::from_millis(10);

/// How long a peer stays with a plugin that doesn't end.
const STAY: Duration = Duration::from_millis(200);
