//! What waits to be sent on one connection, in order.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::sync::Arc;

use super::tls::Tls;
use crate::net::Net;

/// Bytes, and files between them.
///
/// Only a connection that has something to send owns one: they are taken from [`Spares`] and go
/// back there, so an idle connection has no buffer, and a busy one allocates nothing.
#[derive(Default)]
pub(crate) struct Queue {
    items: VecDeque<Item>,
    /// The bytes of all `Item::Bytes`, one after the other.
    bytes: VecDeque<u8>,
}

enum Item {
    /// So many bytes of `Queue::bytes`.
    Bytes(usize),
    /// The end of this side's half of the stream.
    End,
    File(FilePart),
    /// What follows is encrypted (STARTTLS).
    Tls,
}

struct FilePart {
    file: Arc<File>,
    offset: u64,
    length: u64,
    /// It is being read, and what is read comes by [`Queue::supply`]: who read here meanwhile would
    /// send it twice.
    is_cold: bool,
}

/// What a [`Queue::flush`] came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Flushed {
    /// The turn's share is used up; there is more, and the peer may take it.
    Again,
    /// The peer takes no more for now.
    Blocked,
    /// A part of a file has to be read before it can be encrypted, which may take a while.
    Cold,
    /// Nothing is left.
    Empty,
    /// All that may go for now has gone; there is more.
    Spent,
    /// What is left waits for the end of a handshake.
    Waits,
}

/// Where a queue leads: to the network, through TLS where the stream is encrypted.
pub(super) struct Way<'a, N: Net> {
    pub(super) net: &'a mut N,
    pub(super) io: &'a mut N::Stream,
    pub(super) tls: Option<&'a mut Tls>,
    /// What is sent next goes out in clear: `tls` begins behind it.
    pub(super) clear: &'a mut bool,
    /// How many bytes the network ever took.
    pub(super) sent: &'a mut u64,
    /// How many bytes of the queue may go.
    pub(super) most: usize,
    /// For parts of files, on their way to be encrypted.
    pub(super) scratch: &'a mut Vec<u8>,
}

impl Queue {
    pub(crate) fn push_bytes(&mut self, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        self.bytes.extend(data);
        match self.items.back_mut() {
            Some(Item::Bytes(n)) => *n += data.len(),
            _ => self.items.push_back(Item::Bytes(data.len())),
        }
    }

    pub(crate) fn push_file(&mut self, file: Arc<File>, offset: u64, length: u64) {
        if length > 0 {
            self.items.push_back(Item::File(FilePart { file, offset, length, is_cold: false }));
        }
    }

    pub(crate) fn push_end(&mut self) {
        self.items.push_back(Item::End);
    }

    /// How many bytes it holds in memory.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn push_tls(&mut self) {
        self.items.push_back(Item::Tls);
    }

    /// Puts what was read of the file that is next before it.
    pub(crate) fn supply(&mut self, data: &[u8]) {
        let Some(Item::File(part)) = self.items.front_mut() else { return };
        part.is_cold = false;
        part.offset += data.len() as u64;
        part.length = part.length.saturating_sub(data.len() as u64);
        if part.length == 0 {
            self.items.pop_front();
        }
        if !data.is_empty() {
            for byte in data.iter().rev() {
                self.bytes.push_front(*byte);
            }
            self.items.push_front(Item::Bytes(data.len()));
        }
    }

    /// The part of a file that is next, at most what is encrypted at once: where a flush came to
    /// [`Flushed::Cold`].
    pub(crate) fn cold(&self) -> Option<(Arc<File>, u64, usize)> {
        let Some(Item::File(part)) = self.items.front() else { return None };
        let length = usize::try_from(part.length).unwrap_or(usize::MAX).min(FILE_READ_AT_ONCE);
        Some((Arc::clone(&part.file), part.offset, length))
    }

    /// Sends what the network takes now, but no more than a turn's share of files.
    pub(super) fn flush<N: Net>(&mut self, way: &mut Way<'_, N>) -> io::Result<Flushed> {
        let mut share = FILE_BYTES_A_TURN;
        loop {
            match self.step(way, &mut share) {
                Ok(None) => {}
                Ok(Some(flushed)) => return Ok(flushed),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Flushed::Blocked),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Sends a part of the first item; what it came to where that was the last for now.
    fn step<N: Net>(
        &mut self,
        way: &mut Way<'_, N>,
        share: &mut usize,
    ) -> io::Result<Option<Flushed>> {
        way.send_encrypted()?;
        match self.items.front_mut() {
            None => return Ok(Some(Flushed::Empty)),
            Some(_) if way.is_handshaking() => return Ok(Some(Flushed::Waits)),
            Some(Item::Bytes(_) | Item::File(_)) if way.most == 0 => {
                return Ok(Some(Flushed::Spent));
            }
            Some(Item::File(_)) if *share == 0 => return Ok(Some(Flushed::Again)),
            Some(Item::Bytes(n)) => {
                let n = (*n).min(way.most);
                self.send_bytes(way, n)?;
            }
            Some(Item::End) => {
                way.end()?;
                self.items.pop_front();
            }
            Some(Item::File(part)) => {
                let Some(sent) = way.send_file(part, (*share).min(way.most))? else {
                    return Ok(Some(Flushed::Cold));
                };
                *share = share.saturating_sub(sent);
                way.most = way.most.saturating_sub(sent);
                if part.length == 0 {
                    self.items.pop_front();
                }
            }
            Some(Item::Tls) => {
                *way.clear = false;
                self.items.pop_front();
            }
        }
        Ok(None)
    }

    /// Sends a part of the first `n` bytes, which are the first item.
    fn send_bytes<N: Net>(&mut self, way: &mut Way<'_, N>, n: usize) -> io::Result<()> {
        let (front, back) = self.bytes.as_slices();
        let front = &front[..n.min(front.len())];
        let back = &back[..n - front.len()];
        let more = self.items.len() > 1 && !matches!(self.items[1], Item::End | Item::Tls);
        let sent = way.write(front, back, more)?;
        if sent == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        way.most = way.most.saturating_sub(sent);
        self.bytes.drain(..sent);
        match self.items.front_mut() {
            Some(Item::Bytes(left)) if *left > sent => *left -= sent,
            _ => {
                self.items.pop_front();
            }
        }
        Ok(())
    }
}

impl<N: Net> Way<'_, N> {
    /// TLS, where what is sent next goes through it.
    fn encrypts(&mut self) -> Option<&mut Tls> {
        if *self.clear { None } else { self.tls.as_deref_mut() }
    }

    fn is_handshaking(&mut self) -> bool {
        self.encrypts().is_some_and(|tls| tls.is_handshaking())
    }

    /// Sends what was encrypted and not taken.
    ///
    /// # Errors
    /// `WouldBlock` where some is left.
    pub(super) fn send_encrypted(&mut self) -> io::Result<()> {
        match (*self.clear, &mut self.tls) {
            (false, Some(tls)) => tls.send(self.net, self.io, self.sent),
            _ => Ok(()),
        }
    }

    /// Takes a part of `front` and `back`, and says how much.
    fn write(&mut self, front: &[u8], back: &[u8], more: bool) -> io::Result<usize> {
        if let Some(tls) = self.encrypts() {
            let first = tls.write(front)?;
            return if first < front.len() { Ok(first) } else { Ok(first + tls.write(back)?) };
        }
        let n = match back {
            [] => self.net.write(self.io, &[IoSlice::new(front)], more)?,
            _ => self.net.write(self.io, &[IoSlice::new(front), IoSlice::new(back)], more)?,
        };
        *self.sent += n as u64;
        Ok(n)
    }

    /// Ends this side's half of the stream.
    pub(super) fn end(&mut self) -> io::Result<()> {
        if let Some(tls) = self.encrypts() {
            tls.close();
            self.send_encrypted()?;
        }
        self.net.shutdown_write(self.io)
    }

    /// Takes a part of a file, at most `share` bytes, and says how much; `None` where it has to be
    /// read first.
    fn send_file(&mut self, part: &mut FilePart, share: usize) -> io::Result<Option<usize>> {
        let most = usize::try_from(part.length).unwrap_or(usize::MAX).min(share);
        let sent = match (*self.clear, &mut self.tls) {
            (false, Some(_)) if part.is_cold => return Ok(None),
            (false, Some(tls)) => {
                self.scratch.resize(most.min(FILE_READ_AT_ONCE), 0);
                match self.net.read_file(&part.file, part.offset, self.scratch) {
                    Ok(n) => tls.write(&self.scratch[..n])?,
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                        part.is_cold = true;
                        return Ok(None);
                    }
                    Err(e) => return Err(e),
                }
            }
            _ => {
                let n = self.net.send_file(self.io, &part.file, part.offset, most)?;
                *self.sent += n as u64;
                n
            }
        };
        if sent == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
        }
        part.offset += sent as u64;
        part.length -= sent as u64;
        Ok(Some(sent))
    }
}

/// Empty queues that wait for a connection with something to send.
#[derive(Default)]
pub(crate) struct Spares {
    #[expect(
        clippy::vec_box,
        reason = "a connection owns a pointer, so that an idle one is small"
    )]
    queues: Vec<Box<Queue>>,
    /// What each [`Way`] uses in turn.
    pub(super) scratch: Vec<u8>,
}

impl Spares {
    pub(crate) fn take(&mut self) -> Box<Queue> {
        self.queues.pop().unwrap_or_default()
    }

    pub(crate) fn put(&mut self, mut queue: Box<Queue>) {
        queue.items.clear();
        queue.bytes.clear();
        if self.queues.len() < SPARE_QUEUES && queue.bytes.capacity() <= SPARE_BYTES {
            self.queues.push(queue);
        }
    }
}

/// How much of its files one connection may send in a turn before others get theirs.
const FILE_BYTES_A_TURN: usize = 1 << 20;

/// How much of a file is read at once to be encrypted.
const FILE_READ_AT_ONCE: usize = 64 * 1024;

/// How many empty queues a worker keeps.
const SPARE_QUEUES: usize = 256;

/// The largest buffer that is worth keeping.
const SPARE_BYTES: usize = 256 * 1024;
