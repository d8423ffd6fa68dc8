//! Peers that are gone without a word: no FIN and no reset comes, as when a machine loses its power.
//!
//! Linux closes a connection that is under repair (`TCP_REPAIR`) without telling its other side. It
//! takes `CAP_NET_ADMIN`.

use anyhow::{Context, Result};
use nix::sys::socket::{setsockopt, sockopt};
use std::net::TcpListener;

use super::attack::{Attack, send};

/// The peer of this file.
pub(super) const NAME: &str = "vanish";

/// Comes, every other time says something, and is never heard of again.
pub(super) fn vanish(attack: &Attack<'_>) -> Result<u64> {
    attack.repeat(500, |nth| {
        let Some(mut stream) = attack.connect(nth)? else { return Ok(false) };
        if nth % 2 == 1 {
            // What happens to it is the service's business.
            let _ = send(&mut stream, b"is anybody there?");
        }
        repair(&stream)?;
        Ok(true)
    })
}

/// Whether this user may.
pub(super) fn is_possible() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    repair(&std::net::TcpStream::connect(listener.local_addr()?)?)
}

/// Closing it says nothing to its other side from now on.
fn repair(stream: &std::net::TcpStream) -> Result<()> {
    setsockopt(stream, sockopt::TcpRepair, &1).context("this user can repair no connections")
}
