//! One connection: what waits to be sent, and how far along its life it is.
//!
//! It moves bytes and knows no protocol. The reactor calls `on_ready` with each edge, `read` while
//! [`Stream::may_read`], what the protocol wants as it comes, and then `flush`; `ended` says when
//! it is over.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;

use super::queue::{Flushed, Queue, Spares};
use crate::net::{Net, Ready};

/// The reactor's side of a connection.
pub(crate) struct Stream<S> {
    io: S,
    state: State,
    /// `None` while nothing waits to be sent.
    out: Option<Box<Queue>>,
    /// The kernel has no more input for now: an edge will say when it has.
    drained: bool,
    /// The peer has ended its half, as far as edges told.
    read_closed: bool,
    /// The end of the input was read.
    at_end: bool,
    /// The kernel takes no more output for now: an edge will say when it does.
    blocked: bool,
    /// `lose_write` was asked for: no write after it can be sent.
    write_ended: bool,
    /// How many bytes were ever sent, to tell a slow peer from a dead one.
    sent: u64,
}

/// `Open` → `Closing` → `Closed`, never back. `Closing` still sends what is queued.
#[derive(Debug)]
enum State {
    Open,
    Closing,
    Closed(End),
}

/// Why a stream ended.
#[derive(Debug)]
pub(crate) enum End {
    /// This side aborted it: the peer is to see a reset.
    Aborted(&'static str),
    /// In order, with all sent that was queued.
    Done,
    /// The peer reset it, or the system failed it.
    Lost(io::Error),
    /// The host stopped.
    Stopped,
    /// The peer did not take what was queued in time.
    TimedOut,
}

/// What a [`Stream::read`] came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Read {
    /// So many bytes are in the buffer.
    Data(usize),
    /// The peer has ended its half. Said once.
    End,
    /// There is nothing for now, or the stream has ended.
    Nothing,
}

impl<S> Stream<S> {
    pub(crate) fn new(io: S) -> Self {
        Self {
            io,
            state: State::Open,
            out: None,
            drained: true,
            read_closed: false,
            at_end: false,
            blocked: false,
            write_ended: false,
            sent: 0,
        }
    }

    /// Takes an edge into account.
    pub(crate) fn on_ready<N: Net<Stream = S>>(&mut self, net: &mut N, ready: Ready) {
        if ready.readable || ready.read_closed {
            self.drained = false;
        }
        self.read_closed |= ready.read_closed;
        if ready.writable {
            self.blocked = false;
        }
        if ready.failed
            && let Some(e) = net.take_error(&mut self.io).unwrap_or_else(Some)
        {
            self.end(End::Lost(e));
        }
    }

    /// Whether [`Stream::read`] may find something.
    pub(crate) fn may_read(&self) -> bool {
        !self.drained && !self.at_end && !matches!(self.state, State::Closed(_))
    }

    /// Reads once, into `buffer`.
    pub(crate) fn read<N: Net<Stream = S>>(&mut self, net: &mut N, buffer: &mut [u8]) -> Read {
        if !self.may_read() {
            return Read::Nothing;
        }
        match net.read(&mut self.io, buffer) {
            Ok(0) => {
                self.at_end = true;
                return Read::End;
            }
            Ok(n) => {
                // A short read has emptied the kernel's buffer, and a new edge will come; but
                // none comes for an end that an edge has announced already.
                self.drained = n < buffer.len() && !self.read_closed;
                return Read::Data(n);
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => self.drained = true,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => self.end(End::Lost(e)),
        }
        Read::Nothing
    }

    /// Queues `data`; or sends it at once, where it is large and nothing is before it.
    pub(crate) fn write<N: Net<Stream = S>>(
        &mut self,
        net: &mut N,
        mut data: &[u8],
        spares: &mut Spares,
    ) {
        if !self.is_open() || self.write_ended {
            return;
        }
        if data.len() >= WRITE_THROUGH && self.out.is_none() && !self.blocked {
            match net.write(&mut self.io, &[IoSlice::new(data)], false) {
                Ok(n) => {
                    self.sent += n as u64;
                    data = &data[n..];
                }
                Err(e) if is_retry(&e) => {}
                Err(e) => return self.end(End::Lost(e)),
            }
        }
        if !data.is_empty() {
            self.queue(spares).push_bytes(data);
        }
    }

    /// Queues a part of a file.
    pub(crate) fn send_file(
        &mut self,
        file: Arc<File>,
        offset: u64,
        length: u64,
        spares: &mut Spares,
    ) {
        if self.is_open() && !self.write_ended {
            self.queue(spares).push_file(file, offset, length);
        }
    }

    /// Ends this side's half behind what is queued.
    pub(crate) fn lose_write(&mut self, spares: &mut Spares) {
        if self.is_open() && !self.write_ended {
            self.write_ended = true;
            self.queue(spares).push_end();
        }
    }

    /// Closes once what is queued is sent.
    pub(crate) fn lose(&mut self) {
        if self.is_open() {
            self.state = State::Closing;
        }
    }

    /// Ends now, and drops what is queued.
    pub(crate) fn end(&mut self, end: End) {
        if !matches!(self.state, State::Closed(_)) {
            self.state = State::Closed(end);
        }
    }

    /// Sends what the network takes now. `Again` asks to be called in the next turn.
    pub(crate) fn flush<N: Net<Stream = S>>(
        &mut self,
        net: &mut N,
        spares: &mut Spares,
    ) -> Flushed {
        if matches!(self.state, State::Closed(_)) {
            return Flushed::Empty;
        }
        let mut flushed = Flushed::Empty;
        if let Some(queue) = &mut self.out {
            if self.blocked {
                return Flushed::Blocked;
            }
            match queue.flush(net, &mut self.io, &mut self.sent) {
                Ok(Flushed::Empty) => spares.put(self.out.take().expect("it was just flushed")),
                Ok(other) => flushed = other,
                // The peer was promised more than can be sent.
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
                    self.end(End::Aborted("a file became shorter than was promised to the peer"));
                }
                Err(e) => self.end(End::Lost(e)),
            }
            self.blocked = flushed == Flushed::Blocked;
        }
        if flushed == Flushed::Empty && matches!(self.state, State::Closing) {
            self.end(End::Done);
        }
        flushed
    }

    /// After its end in order: tells the peer, and says whether what the peer still sends has to
    /// be read and thrown away, since a reset would destroy what was sent last.
    pub(crate) fn must_linger<N: Net<Stream = S>>(&mut self, net: &mut N) -> bool {
        // Where it fails the peer is gone, and reading will say so.
        !self.at_end && (self.write_ended || net.shutdown_write(&mut self.io).is_ok())
    }

    /// Throws away what there is to read, at most `buffer.len()` bytes of it, and says how much;
    /// `None` once there will be no more.
    pub(crate) fn discard<N: Net<Stream = S>>(
        &mut self,
        net: &mut N,
        buffer: &mut [u8],
    ) -> Option<usize> {
        match net.read(&mut self.io, buffer) {
            Ok(0) => None,
            Ok(n) => Some(n),
            Err(e) if is_retry(&e) => Some(0),
            Err(_) => None,
        }
    }

    /// How many bytes wait in memory to be sent.
    pub(crate) fn unsent(&self) -> usize {
        self.out.as_ref().map_or(0, |queue| queue.len())
    }

    /// How many bytes the kernel ever took.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether the protocol may still write and receive.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Whether something waits to be sent, or for the close.
    pub(crate) fn is_sending(&self) -> bool {
        self.out.is_some() || matches!(self.state, State::Closing)
    }

    /// Why it ended, once it has.
    pub(crate) fn ended(&self) -> Option<&End> {
        match &self.state {
            State::Closed(end) => Some(end),
            State::Open | State::Closing => None,
        }
    }

    pub(crate) fn io(&mut self) -> &mut S {
        &mut self.io
    }

    /// Gives the socket up, and the queue back.
    pub(crate) fn into_io(self, spares: &mut Spares) -> S {
        if let Some(queue) = self.out {
            spares.put(queue);
        }
        self.io
    }

    fn queue(&mut self, spares: &mut Spares) -> &mut Queue {
        self.out.get_or_insert_with(|| spares.take())
    }
}

fn is_retry(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// From this size on a write that nothing waits before goes to the kernel without being copied.
const WRITE_THROUGH: usize = 16 * 1024;
