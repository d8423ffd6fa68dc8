//! A stream that is sent as fast as it is taken, to a reader that rests now and then.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

/// How much is read before a rest, in bytes.
const PORTION: u64 = 4 << 20;

/// The rest: 1 GiB has 256 of them.
const REST: Duration = Duration::from_millis(10);

/// How much is sent or read at once, in bytes.
const PIECE: usize = 256 * 1024;

/// A prime number of bytes after which the stream repeats.
const PERIOD: usize = 1_000_003;

/// Sends `length` bytes on `from`, reads them slowly on `to`, and looks at each. They may be the
/// two halves of one connection.
///
/// # Errors
/// Where a byte is missing, doubled or another one, or comes after the last.
pub fn transfer(from: TcpStream, mut to: TcpStream, length: u64) -> Result<()> {
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
                thread::sleep(REST);
            }
        }
        Ok(sender.join().expect("writing doesn't panic")?)
    })?;
    ensure!(got == length, "{got} bytes of {length} came");
    Ok(())
}

fn send(stream: &Endless, mut to: TcpStream, length: u64) -> io::Result<()> {
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
