//! What all of them are made of: one address, an end, a pace, and crowds of connections.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{
    Timeout, set_socket_linger, set_socket_recv_buffer_size, set_socket_timeout,
};

use super::LONGEST;
use crate::dial;

/// How long a connection may take to be one, before its peer tries the next.
const CONNECT: Duration = Duration::from_millis(100);
/// How often a peer looks whether it should stop, and a crowd has its turn.
const STEP: Duration = Duration::from_millis(100);
/// How many connections a crowd begins in one step: 1,000 a second.
const BEGUN_A_STEP: usize = 100;
/// What comes is read by so much at most, in bytes.
const CHUNK: usize = 16 * 1024;

/// Whom a peer goes to, and until when.
pub(super) struct Attack<'a> {
    pub(super) address: SocketAddr,
    stop: &'a AtomicBool,
    end: Instant,
}

impl<'a> Attack<'a> {
    pub(super) fn new(address: SocketAddr, stop: &'a AtomicBool) -> Self {
        Self { address, stop, end: Instant::now() + LONGEST }
    }

    pub(super) fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed) && Instant::now() < self.end
    }

    /// The `nth` connection, which waits for nothing. `None` where the service takes none now.
    pub(super) fn connect(&self, nth: u64) -> Result<Option<TcpStream>> {
        self.connect_with(nth, |_| Ok(()))
    }

    /// The same with a receive buffer that is as small as it can be.
    pub(super) fn connect_narrow(&self, nth: u64) -> Result<Option<TcpStream>> {
        self.connect_with(nth, |socket| Ok(set_socket_recv_buffer_size(socket, 1)?))
    }

    fn connect_with(
        &self,
        nth: u64,
        prepare: impl Fn(&std::os::fd::OwnedFd) -> Result<()>,
    ) -> Result<Option<TcpStream>> {
        // Less than that fits into any number.
        let socket = dial::prepare(self.address, (nth % 1_000_000) as usize)?;
        set_socket_timeout(&socket, Timeout::Send, Some(CONNECT))?;
        prepare(&socket)?;
        if dial::reach(&socket, self.address).is_err() {
            return Ok(None);
        }
        let stream = TcpStream::from(socket);
        stream.set_nonblocking(true)?;
        Ok(Some(stream))
    }

    /// Does something so many times a second, until the end: it is told how often it was done
    /// before, and says whether it counts.
    pub(super) fn repeat(
        &self,
        a_second: u64,
        mut act: impl FnMut(u64) -> Result<bool>,
    ) -> Result<u64> {
        let (begin, mut tried, mut done) = (Instant::now(), 0, 0);
        while self.goes_on() {
            done += u64::from(act(tried)?);
            tried += 1;
            let due = begin + Duration::from_nanos(tried * 1_000_000_000 / a_second);
            // What was late is not made up for by a burst that nobody has asked for.
            sleep(due.saturating_duration_since(Instant::now()).min(STEP));
        }
        Ok(done)
    }

    /// Holds `most` connections, in whose place others come when the service ends them. `begin`
    /// has each from its beginning, and may give it up; `go_on` ten times a second. Says how many
    /// there were.
    pub(super) fn crowd(
        &self,
        most: usize,
        begin: impl Fn(u64) -> Result<Option<TcpStream>>,
        go_on: impl Fn(&mut TcpStream) -> io::Result<()>,
    ) -> Result<u64> {
        let (mut streams, mut begun) = (Vec::with_capacity(most), 0);
        while self.goes_on() {
            streams.retain_mut(|stream| !is_gone(stream) && is_well(go_on(stream)));
            for _ in 0..BEGUN_A_STEP.min(most - streams.len()) {
                let Some(stream) = begin(begun)? else { break };
                streams.push(stream);
                begun += 1;
            }
            sleep(STEP);
        }
        Ok(begun)
    }
}

/// Whether its other side has ended or reset it.
pub(super) fn is_gone(stream: &TcpStream) -> bool {
    let mut polled = [PollFd::new(stream, PollFlags::RDHUP)];
    let asked = poll(&mut polled, Some(&Timespec::default()));
    asked.is_err() || !polled[0].revents().is_empty()
}

/// Whether a connection can go on: it may have to wait.
fn is_well(result: io::Result<()>) -> bool {
    result.err().is_none_or(|error| error.kind() == ErrorKind::WouldBlock)
}

/// Sends all of it that is taken now.
pub(super) fn send(stream: &mut TcpStream, mut bytes: &[u8]) -> io::Result<usize> {
    let whole = bytes.len();
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(whole - bytes.len())
}

/// Reads what is there, at most so many chunks, and forgets it.
pub(super) fn discard(stream: &mut TcpStream, chunks: usize) -> io::Result<()> {
    let mut chunk = [0; CHUNK];
    for _ in 0..chunks {
        if stream.read(&mut chunk)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Ends it with a reset.
pub(super) fn reset(stream: TcpStream) -> Result<()> {
    set_socket_linger(&stream, Some(Duration::ZERO))?;
    drop(stream);
    Ok(())
}
