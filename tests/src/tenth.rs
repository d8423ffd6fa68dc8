//! Visits to `tests/guests/tenth`, an echo that traps on every tenth connection.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};

use crate::dial;

/// What each sends, in bytes.
const SIZE: usize = 64;

/// Makes the `nth` visit, and says whether it was answered.
///
/// # Errors
/// Where it should have been answered and wasn't, or was and shouldn't have been, or got other
/// bytes than it has sent.
pub fn visit(address: SocketAddr, nth: usize) -> Result<bool> {
    let mut stream = dial::dial(address, nth)?;
    let sent = [nth as u8; SIZE];
    // One that has trapped may have closed already.
    let told = stream.write_all(&sent);
    let mut got = Vec::with_capacity(SIZE);
    let answered = match (&mut stream).take(SIZE as u64).read_to_end(&mut got) {
        Ok(0) => false,
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
        Err(error) => bail!("visit {nth}: {error}"),
    };
    ensure!(answered != traps(nth)?, "visit {nth}: answered: {answered}");
    if answered {
        told.with_context(|| format!("visit {nth}"))?;
        ensure!(got == sent, "visit {nth} got other bytes than it has sent");
    }
    Ok(answered)
}

/// The `nth` visit of those that are answered.
pub fn that_is_answered(nth: usize) -> usize {
    let (ten, within) = (nth / 9, nth % 9);
    ten * 10 + if within < FIRST { within } else { within + 1 }
}

/// The first visit that isn't answered.
const FIRST: usize = 8;

/// Whether the plugin traps at the `nth` visit: it looks where the visitor comes from.
fn traps(nth: usize) -> Result<bool> {
    let [.., last] = dial::source(nth)?.octets();
    debug_assert_eq!(last.is_multiple_of(10), nth % 10 == FIRST);
    Ok(last.is_multiple_of(10))
}
