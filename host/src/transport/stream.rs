//! One connection: what waits to be sent, and how far along its life it is.
//!
//! It moves bytes and knows no protocol. The reactor calls `on_ready` with each edge, `read` while
//! [`Stream::may_read`], what the protocol wants as it comes, and then `flush`; `ended` says when
//! it is over.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;

use super::queue::{Flushed, Queue, Spares, Way};
use super::tls::{Agreed, Taken, Tls};
use crate::net::{Net, Ready};

/// The reactor's side of a connection.
pub(crate) struct Stream<S> {
    io: S,
    state: State,
    /// Of an encrypted stream, from the beginning of its handshake on.
    tls: Option<Box<Tls>>,
    /// Bytes that were read before their time, and are read next.
    ahead: Option<Box<Ahead>>,
    /// What is at the head of `out` goes out in clear, though `tls` is there.
    clear: bool,
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
    /// How many bytes [`Stream::flush`] may send: as many as it can, unless [`Stream::allow`] says
    /// less.
    most: usize,
}

/// Bytes that were put back.
#[derive(Default)]
struct Ahead {
    bytes: Vec<u8>,
    /// How many of them were read again.
    taken: usize,
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
    /// It lasted, or was silent, for as long as it may.
    Expired(&'static str),
    /// The peer reset it, or the system failed it.
    Lost(io::Error),
    /// The host stopped.
    Stopped,
    /// The peer did not take what was queued in time.
    TimedOut,
    /// The peer broke the rules of TLS, or the handshake failed.
    Tls(String),
    /// The peer ended an encrypted stream without saying so: it may be an attacker who cut it.
    Truncated,
    /// It took too long to be ready for its protocol.
    Unready,
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
    /// Nothing came, or nothing for the protocol. There may be more.
    Records,
    /// The handshake is over. Said once.
    Secured,
}

/// What a worker reads into.
pub(crate) struct Buffers {
    /// For the protocol.
    pub(crate) plain: Box<[u8]>,
    /// As it comes from the network, where it has to be decrypted first.
    raw: Box<[u8]>,
}

impl Buffers {
    /// Buffers for chunks of `length` bytes.
    pub(crate) fn new(length: usize) -> Self {
        // What was left of a record makes the next chunk longer than what is read.
        let raw = length.saturating_sub(RECORD_BYTES).max(1);
        Self { plain: vec![0; length].into(), raw: vec![0; raw].into() }
    }
}

impl<S> Stream<S> {
    pub(crate) fn new(io: S) -> Self {
        Self {
            io,
            state: State::Open,
            tls: None,
            ahead: None,
            clear: false,
            out: None,
            drained: true,
            read_closed: false,
            at_end: false,
            blocked: false,
            write_ended: false,
            sent: 0,
            most: usize::MAX,
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
        let inside = self.tls.as_ref().is_some_and(|tls| tls.has_data() || tls.has_ended());
        let more = self.ahead.is_some() || (!self.drained || inside) && !self.at_end;
        more && !matches!(self.state, State::Closed(_))
    }

    /// Puts bytes back that were read before their time.
    pub(crate) fn unread(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            let ahead = self.ahead.get_or_insert_default();
            ahead.bytes.splice(..ahead.taken, bytes.iter().copied());
            ahead.taken = 0;
        }
    }

    /// Reads once, at most so many bytes. What it read is in `plain`.
    pub(crate) fn read<N: Net<Stream = S>>(
        &mut self,
        net: &mut N,
        buffers: &mut Buffers,
        most: usize,
    ) -> Read {
        if !self.may_read() {
            return Read::Nothing;
        }
        match &mut self.tls {
            Some(_) => self.read_encrypted(net, buffers, most),
            None => {
                let most = most.min(buffers.plain.len());
                self.read_plain(net, &mut buffers.plain[..most])
            }
        }
    }

    fn read_plain<N: Net<Stream = S>>(&mut self, net: &mut N, buffer: &mut [u8]) -> Read {
        if let Some(ahead) = &mut self.ahead {
            let left = &ahead.bytes[ahead.taken..];
            let n = left.len().min(buffer.len());
            buffer[..n].copy_from_slice(&left[..n]);
            ahead.taken += n;
            if ahead.taken == ahead.bytes.len() {
                self.ahead = None;
            }
            return Read::Data(n);
        }
        if self.drained {
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
            // No edge would tell of what there still is.
            Err(e) if e.kind() == ErrorKind::Interrupted => return Read::Records,
            Err(e) => self.end(End::Lost(e)),
        }
        Read::Nothing
    }

    fn read_encrypted<N: Net<Stream = S>>(
        &mut self,
        net: &mut N,
        buffers: &mut Buffers,
        most: usize,
    ) -> Read {
        let Some(tls) = &mut self.tls else { return Read::Nothing };
        let mut filled = 0;
        tls.read(&mut buffers.plain, &mut filled);
        if filled > 0 {
            return Read::Data(filled);
        }
        if tls.has_ended() {
            // What the peer has sent behind its end is nobody's.
            (self.at_end, self.ahead) = (true, None);
            return Read::End;
        }
        let most = most.min(buffers.raw.len());
        let n = match self.read_plain(net, &mut buffers.raw[..most]) {
            Read::Data(n) => n,
            Read::End => {
                self.end(match self.is_handshaking() {
                    true => End::Tls("the peer left before the handshake was over".to_owned()),
                    false => End::Truncated,
                });
                return Read::Nothing;
            }
            other => return other,
        };
        let Some(tls) = &mut self.tls else { return Read::Nothing };
        let mut input = &buffers.raw[..n];
        match tls.take(&mut input, &mut buffers.plain, &mut filled) {
            Ok(Taken::All) if filled > 0 => Read::Data(filled),
            Ok(Taken::All) => Read::Records,
            Ok(Taken::Secured) => {
                self.unread(input);
                Read::Secured
            }
            Err(why) => {
                // The peer may learn what it did wrong, if that is sent at once.
                if !self.clear {
                    let _ = tls.send(net, &mut self.io, &mut self.sent);
                }
                self.end(End::Tls(why));
                Read::Nothing
            }
        }
    }

    /// Begins TLS behind what is queued (STARTTLS), or at once where nothing is.
    pub(crate) fn start_tls(&mut self, tls: Tls) {
        self.tls = Some(Box::new(tls));
        if let Some(queue) = &mut self.out {
            self.clear = true;
            queue.push_tls();
        }
    }

    /// Whether a handshake is under way, so that nothing can be delivered.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// Whether it is encrypted, or about to be.
    pub(crate) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// What the handshake came to; `None` where there is none, or it is not over.
    pub(crate) fn agreed(&self) -> Option<Agreed> {
        let tls = self.tls.as_ref().filter(|tls| !tls.is_handshaking())?;
        Some(tls.agreed())
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
        let through = data.len() >= WRITE_THROUGH && data.len() <= self.most;
        if through && self.tls.is_none() && self.out.is_none() && !self.blocked {
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

    /// From now on a flush sends at most so many bytes.
    pub(crate) fn allow(&mut self, most: usize) {
        self.most = most;
    }

    /// Sends what the network takes now. `Again` asks to be called in the next turn,
    /// `Spent` once more is allowed.
    pub(crate) fn flush<N: Net<Stream = S>>(
        &mut self,
        net: &mut N,
        spares: &mut Spares,
    ) -> Flushed {
        if matches!(self.state, State::Closed(_)) {
            return Flushed::Empty;
        }
        let mut flushed = Flushed::Empty;
        if self.out.is_some() || self.has_records() {
            if self.blocked {
                return Flushed::Blocked;
            }
            flushed = self.send(net, spares, |queue, way| match queue {
                Some(queue) => queue.flush(way),
                None => way.send_encrypted().map(|()| Flushed::Empty),
            });
        }
        if flushed == Flushed::Empty && matches!(self.state, State::Closing) {
            if self.tls.is_some() && !self.write_ended {
                if let Some(tls) = &mut self.tls {
                    tls.close();
                }
                flushed =
                    self.send(net, spares, |_, way| way.send_encrypted().map(|()| Flushed::Empty));
            }
            if flushed == Flushed::Empty {
                self.end(End::Done);
            }
        }
        flushed
    }

    /// Sends by `step`, and does what follows from how that went.
    fn send<N: Net<Stream = S>>(
        &mut self,
        net: &mut N,
        spares: &mut Spares,
        step: impl FnOnce(Option<&mut Queue>, &mut Way<'_, N>) -> io::Result<Flushed>,
    ) -> Flushed {
        let mut way = Way {
            net,
            io: &mut self.io,
            tls: self.tls.as_deref_mut(),
            clear: &mut self.clear,
            sent: &mut self.sent,
            most: self.most,
            scratch: &mut spares.scratch,
        };
        let flushed = match step(self.out.as_deref_mut(), &mut way) {
            Ok(flushed) => flushed,
            Err(e) if e.kind() == ErrorKind::WouldBlock => Flushed::Blocked,
            Err(e) if e.kind() == ErrorKind::Interrupted => Flushed::Again,
            // The peer was promised more than can be sent.
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
                self.end(End::Aborted("a file became shorter than was promised to the peer"));
                Flushed::Empty
            }
            Err(e) => {
                self.end(End::Lost(e));
                Flushed::Empty
            }
        };
        self.blocked = flushed == Flushed::Blocked;
        if flushed == Flushed::Empty
            && let Some(queue) = self.out.take()
        {
            spares.put(queue);
        }
        flushed
    }

    /// The part of a file that has to be read before more can be sent.
    pub(crate) fn cold(&self) -> Option<(Arc<File>, u64, usize)> {
        self.out.as_ref()?.cold()
    }

    /// Brings what [`Stream::cold`] asked for.
    pub(crate) fn supply(&mut self, data: &[u8]) {
        if let Some(queue) = &mut self.out {
            queue.supply(data);
        }
    }

    /// After its end in order: tells the peer, and says whether what the peer still sends has to
    /// be read and thrown away, since a reset would destroy what was sent last.
    pub(crate) fn must_linger<N: Net<Stream = S>>(&mut self, net: &mut N) -> bool {
        // Where it fails the peer is gone, and reading will say so.
        !self.at_end
            && net.close_may_reset(&self.io)
            && (self.write_ended || net.shutdown_write(&mut self.io).is_ok())
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
        self.out.is_some() || self.has_records() || matches!(self.state, State::Closing)
    }

    /// Whether records of TLS wait to be sent.
    pub(crate) fn has_records(&self) -> bool {
        !self.clear && self.tls.as_ref().is_some_and(|tls| tls.wants_to_send())
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

/// The longest record of TLS (RFC 5246, section 6.2.3: 2¹⁴ + 2048 bytes, and its head).
pub(super) const RECORD_BYTES: usize = 16 * 1024 + 2048 + 5;

/// From this size on a write that nothing waits before goes to the kernel without being copied.
const WRITE_THROUGH: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::{Buffers, Read, Stream};
    use crate::net::sim::tests::{CALM, pair};

    #[test]
    fn what_is_put_back_comes_before_what_the_network_has() {
        let (mut net, _far, io) = pair(1, CALM);
        let mut stream = Stream::new(io);
        let mut buffer = Buffers::new(4);
        assert!(!stream.may_read());
        assert_eq!(stream.read(&mut net, &mut buffer, usize::MAX), Read::Nothing);
        stream.unread(b"");
        assert!(!stream.may_read());
        stream.unread(b"defghi");
        assert_eq!(stream.read(&mut net, &mut buffer, usize::MAX), Read::Data(4));
        assert_eq!(&*buffer.plain, b"defg");
        stream.unread(b"efg");
        stream.unread(b"abcd");
        let mut read = Vec::new();
        while stream.may_read() {
            let Read::Data(n) = stream.read(&mut net, &mut buffer, usize::MAX) else {
                panic!("no data")
            };
            read.extend_from_slice(&buffer.plain[..n]);
        }
        assert_eq!(read, b"abcdefghi");
    }
}
