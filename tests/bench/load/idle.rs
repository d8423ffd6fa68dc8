//! Keep-alive connections that ask once and then do nothing.

use std::net::TcpStream;

use anyhow::{Result, ensure};

use super::{GO, dial, http};

/// Opens `warm` connections, prints `GO`, waits for a line; opens `count` more, prints
/// `GO` again, and keeps all of them until the next line, or the end of its input.
pub(crate) fn run(port: u16, warm: usize, count: usize, path: &str) -> Result<()> {
    let mut kept = Vec::with_capacity(warm + count);
    open(&mut kept, warm, port, path)?;
    println!("{GO}");
    wait_for_line()?;
    open(&mut kept, warm + count, port, path)?;
    println!("{GO}");
    wait_for_line()
}

fn open(kept: &mut Vec<TcpStream>, until: usize, port: u16, path: &str) -> Result<()> {
    while kept.len() < until {
        let mut stream = dial(port, kept.len())?;
        let answer = http::ask(&mut stream, path)?;
        ensure!(answer.keeps_alive, "the server does not keep connection {} alive", kept.len());
        kept.push(stream);
    }
    Ok(())
}

fn wait_for_line() -> Result<()> {
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}
