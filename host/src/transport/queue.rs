//! What waits to be sent on one connection, in order.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::sync::Arc;

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
}

struct FilePart {
    file: Arc<File>,
    offset: u64,
    length: u64,
}

/// What a [`Queue::flush`] came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Flushed {
    /// The turn's share is used up; there is more, and the peer may take it.
    Again,
    /// The peer takes no more for now.
    Blocked,
    /// Nothing is left.
    Empty,
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
            self.items.push_back(Item::File(FilePart { file, offset, length }));
        }
    }

    pub(crate) fn push_end(&mut self) {
        self.items.push_back(Item::End);
    }

    /// How many bytes it holds in memory.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Sends what `stream` takes now, but no more than a turn's share of files, and adds what it
    /// took to `sent`.
    pub(crate) fn flush<N: Net>(
        &mut self,
        net: &mut N,
        stream: &mut N::Stream,
        sent: &mut u64,
    ) -> io::Result<Flushed> {
        let mut share = FILE_BYTES_A_TURN;
        loop {
            let step = match self.items.front_mut() {
                None => return Ok(Flushed::Empty),
                Some(Item::File(_)) if share == 0 => return Ok(Flushed::Again),
                Some(Item::Bytes(n)) => {
                    let n = *n;
                    self.send_bytes(net, stream, n)
                }
                Some(Item::End) => net.shutdown_write(stream).map(|()| {
                    self.items.pop_front();
                    0
                }),
                Some(Item::File(part)) => {
                    let sent = send_part(net, stream, part, share);
                    share = share.saturating_sub(*sent.as_ref().unwrap_or(&0));
                    if part.length == 0 {
                        self.items.pop_front();
                    }
                    sent
                }
            };
            match step {
                Ok(n) => *sent += n as u64,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Flushed::Blocked),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Sends a part of the first `n` bytes, which are the first item, and says how much.
    fn send_bytes<N: Net>(
        &mut self,
        net: &mut N,
        stream: &mut N::Stream,
        n: usize,
    ) -> io::Result<usize> {
        let (front, back) = self.bytes.as_slices();
        let front = &front[..n.min(front.len())];
        let back = &back[..n - front.len()];
        let more = self.items.len() > 1 && !matches!(self.items[1], Item::End);
        let sent = match back {
            [] => net.write(stream, &[IoSlice::new(front)], more)?,
            _ => net.write(stream, &[IoSlice::new(front), IoSlice::new(back)], more)?,
        };
        if sent == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.bytes.drain(..sent);
        match self.items.front_mut() {
            Some(Item::Bytes(left)) if *left > sent => *left -= sent,
            _ => {
                self.items.pop_front();
            }
        }
        Ok(sent)
    }
}

/// Sends a part of a file, at most `share` bytes, and says how much.
fn send_part<N: Net>(
    net: &mut N,
    stream: &mut N::Stream,
    part: &mut FilePart,
    share: usize,
) -> io::Result<usize> {
    let most = usize::try_from(part.length).unwrap_or(usize::MAX).min(share);
    let sent = net.send_file(stream, &part.file, part.offset, most)?;
    if sent == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
    }
    part.offset += sent as u64;
    part.length -= sent as u64;
    Ok(sent)
}

/// Empty queues that wait for a connection with something to send.
#[derive(Default)]
#[expect(clippy::vec_box, reason = "a connection owns a pointer, so that an idle one is small")]
pub(crate) struct Spares(Vec<Box<Queue>>);

impl Spares {
    pub(crate) fn take(&mut self) -> Box<Queue> {
        self.0.pop().unwrap_or_default()
    }

    pub(crate) fn put(&mut self, mut queue: Box<Queue>) {
        queue.items.clear();
        queue.bytes.clear();
        if self.0.len() < SPARE_QUEUES && queue.bytes.capacity() <= SPARE_BYTES {
            self.0.push(queue);
        }
    }
}

/// How much of its files one connection may send in a turn before others get theirs.
const FILE_BYTES_A_TURN: usize = 1 << 20;

/// How many empty queues a worker keeps.
const SPARE_QUEUES: usize = 256;

/// The largest buffer that is worth keeping.
const SPARE_BYTES: usize = 256 * 1024;
