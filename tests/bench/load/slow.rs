//! One connection that sends as fast as it can, and reads what comes back with rests in between.

use std::net::TcpStream;

use anyhow::Result;
use torsade_tests::slow;

use super::{DONE, GO, dial};

/// How much goes through before `GO`, so that buffers are there which a server makes once.
const WARM_UP: u64 = 64 << 20;

/// Sends `length` bytes to an echo behind a port of 127.0.0.1, and looks at each that comes back.
/// Prints `GO` before and `DONE` after that.
pub(crate) fn run(port: u16, length: u64) -> Result<()> {
    exchange(&dial(port, 0)?, WARM_UP)?;
    println!("{GO}");
    exchange(&dial(port, 0)?, length)?;
    println!("{DONE}");
    Ok(())
}

fn exchange(connection: &TcpStream, length: u64) -> Result<()> {
    slow::transfer(connection.try_clone()?, connection.try_clone()?, length)
}
