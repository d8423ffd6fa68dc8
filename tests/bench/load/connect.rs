//! New connections, one after another: connect, 64 bytes there and back, close.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use torsade_tests::dial;

use super::{GO, Report, address};

/// How many connections are made before any is measured.
const WARM_UP: usize = 200;
/// What each connection sends, in bytes.
const SIZE: usize = 64;

/// Loads a port of 127.0.0.1, where `beside` connections stay open meanwhile that have been
/// answered once. Prints `GO` when it begins to measure, a report when it ends. A latency is the
/// time from `connect` to the first bytes of the answer.
pub(crate) fn run(port: u16, seconds: u64, beside: usize) -> Result<()> {
    let _open: Vec<_> = (0..beside).map(|nth| visit(port, nth)).collect::<Result<_>>()?;
    let mut latencies = Vec::new();
    for nth in 0..WARM_UP {
        visit(port, nth)?;
    }
    println!("{GO}");
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(seconds) {
        let (_, took) = visit(port, latencies.len())?;
        let took = took.as_nanos();
        latencies.push(u32::try_from(took).unwrap_or(u32::MAX));
    }
    println!("{}", Report::new(&mut latencies, begin.elapsed()));
    Ok(())
}

/// A connection that has been answered, and how long that took.
fn visit(port: u16, nth: usize) -> Result<(TcpStream, Duration)> {
    let socket = dial::prepare(address(port), nth)?;
    let begin = Instant::now();
    dial::reach(&socket, address(port))?;
    let mut stream = TcpStream::from(socket);
    let sent = [nth as u8; SIZE];
    stream.write_all(&sent)?;
    let mut got = [0; SIZE];
    let first = stream.read(&mut got).context("no answer")?;
    let took = begin.elapsed();
    ensure!(first > 0, "the server closed connection {nth}");
    stream.read_exact(&mut got[first..])?;
    ensure!(sent == got, "connection {nth} got other bytes than sent");
    Ok((stream, took))
}
