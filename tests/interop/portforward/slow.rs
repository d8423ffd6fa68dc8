//! A reader that is slower than its sender: the host makes the sender wait, and keeps no more
//! than its water marks say.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::host::POLL;

use super::super::streams::resident;
use super::super::trial;
use super::{INSTANCES, Target, hops};

pub(super) fn trials() -> Vec<Trial> {
    vec![trial("portforward::a_slow_reader_costs_no_memory", a_slow_reader_costs_no_memory)]
}

/// How many bytes go through two hops.
const LENGTH: u64 = 256 << 20;

/// What the host may hold more while they do, over both hops.
const GROWTH: usize = 8 << 20;

/// How many bytes the reader takes before it rests for a moment.
const PORTION: u64 = 4 << 20;

fn a_slow_reader_costs_no_memory() -> Result<()> {
    let target = Target::new()?;
    for instances in INSTANCES {
        let (_folder, host) = hops(&target.endpoint()?, instances, "")?;
        // There and back, what a host does once is done.
        exchange(host.connect("two")?, target.accept()?, 1 << 20)?;
        let before = resident(host.id())?;
        let (client, far) = (host.connect("two")?, target.accept()?);
        let (is_over, most) = (AtomicBool::new(false), AtomicUsize::new(before));
        let id = host.id();
        thread::scope(|scope| -> Result<()> {
            let watcher = scope.spawn(|| -> Result<()> {
                while !is_over.load(Ordering::Relaxed) {
                    most.fetch_max(resident(id)?, Ordering::Relaxed);
                    thread::sleep(POLL);
                }
                Ok(())
            });
            let exchanged = exchange(client, far, LENGTH);
            is_over.store(true, Ordering::Relaxed);
            watcher.join().expect("looking doesn't panic")?;
            exchanged
        })?;
        let more = most.into_inner().saturating_sub(before);
        ensure!(more < GROWTH, "{instances}: the host took {more} bytes more than {before}");
    }
    Ok(())
}

/// One side sends so many bytes, the other one reads them slowly and looks at each.
fn exchange(from: TcpStream, mut to: TcpStream, length: u64) -> Result<()> {
    let stream = Endless::new();
    let (mut got, mut buffer) = (0_u64, vec![0; PIECE]);
    thread::scope(|scope| -> Result<()> {
        let sender = scope.spawn(|| send(&stream, from, length));
        loop {
            let n = to.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            ensure!(&buffer[..n] == stream.piece(got, n), "other bytes came around {got}");
            let before = got / PORTION;
            got += n as u64;
            if got / PORTION > before {
                thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(sender.join().expect("writing doesn't panic")?)
    })?;
    ensure!(got == length, "{got} bytes of {length} came");
    Ok(())
}

fn send(stream: &Endless, mut to: TcpStream, length: u64) -> std::io::Result<()> {
    let mut sent = 0;
    while sent < length {
        let n = PIECE.min((length - sent) as usize);
        to.write_all(stream.piece(sent, n))?;
        sent += n as u64;
    }
    to.shutdown(Shutdown::Write)
}

/// A stream of bytes that looks like noise and repeats after a prime number of them, so that
/// nothing can be missing, doubled or in another place without being seen.
struct Endless(Vec<u8>);

impl Endless {
    fn new() -> Self {
        let mut state = 1_u32;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        };
        let mut bytes: Vec<u8> = (0..PERIOD).map(|_| next()).collect();
        bytes.extend_from_within(..PIECE);
        Self(bytes)
    }

    /// At most `PIECE` bytes from a place on.
    fn piece(&self, place: u64, length: usize) -> &[u8] {
        let start = (place % PERIOD as u64) as usize;
        &self.0[start..start + length]
    }
}

/// A prime number.
const PERIOD: usize = 1_000_003;
/// How much is sent or read at once, in bytes.
const PIECE: usize = 256 * 1024;
