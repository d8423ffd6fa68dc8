//! One connection that sends as fast as it can, and reads what comes back with rests in between.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::{DONE, GO, dial};

/// How much goes through before `GO`, so that buffers are there which a server makes once.
const WARM_UP: u64 = 64 << 20;
/// How much is read before a rest.
const PORTION: u64 = 4 << 20;
/// The rest: 1 GiB has 256 of them.
const REST: Duration = Duration::from_millis(10);
/// How much is sent or read at once, in bytes.
const PIECE: usize = 256 * 1024;
/// A prime number of bytes after which the stream repeats.
const PERIOD: usize = 1_000_003;

/// Sends `length` bytes to an echo behind a port of 127.0.0.1, and looks at each that comes back.
/// Prints `GO` before and `DONE` after that.
pub(crate) fn run(port: u16, length: u64) -> Result<()> {
    let stream = noise();
    exchange(dial(port, 0)?, &stream, WARM_UP)?;
    println!("{GO}");
    exchange(dial(port, 0)?, &stream, length)?;
    println!("{DONE}");
    Ok(())
}

/// Bytes that look like noise: none can be missing, doubled or in another place without being
/// seen. The first `PIECE` of them are there again behind the last.
fn noise() -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    let mut bytes: Vec<u8> = (0..PERIOD).map(|_| next()).collect();
    bytes.extend_from_within(..PIECE);
    bytes
}

fn piece(stream: &[u8], place: u64, length: usize) -> &[u8] {
    let start = (place % PERIOD as u64) as usize;
    &stream[start..start + length]
}

fn exchange(mut connection: TcpStream, stream: &[u8], length: u64) -> Result<()> {
    let to = connection.try_clone()?;
    let (mut got, mut buffer) = (0_u64, vec![0; PIECE]);
    thread::scope(|scope| -> Result<()> {
        let sender = scope.spawn(|| send(to, stream, length));
        while got < length {
            let n = connection.read(&mut buffer)?;
            ensure!(n > 0, "the end came after {got} bytes of {length}");
            ensure!(&buffer[..n] == piece(stream, got, n), "other bytes came around {got}");
            let before = got / PORTION;
            got += n as u64;
            if got / PORTION > before {
                thread::sleep(REST);
            }
        }
        Ok(sender.join().expect("writing doesn't panic")?)
    })?;
    ensure!(connection.read(&mut buffer)? == 0, "more came back than was sent");
    Ok(())
}

fn send(mut to: TcpStream, stream: &[u8], length: u64) -> std::io::Result<()> {
    let mut sent = 0;
    while sent < length {
        let n = PIECE.min((length - sent) as usize);
        to.write_all(piece(stream, sent, n))?;
        sent += n as u64;
    }
    to.shutdown(Shutdown::Write)
}
