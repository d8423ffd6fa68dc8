//! A session and its peer: writes what the session says, no faster than the peer takes it.

use crate::file::Metadata;
use crate::listing::Entry;
use crate::multipart::Multipart;
use crate::protection::Login;
use crate::session::{Failure, Session, Step};
use crate::site::Site;
use crate::user::Stranger;

/// What a conversation needs of its connection. `F` is a handle to an open file.
pub trait Peer<F> {
    /// Queues bytes behind all that was queued before.
    fn write(&self, bytes: &[u8]);
    /// Queues a part of a file behind all that was queued before, or says that it can't.
    fn send(&self, file: &F, offset: u64, length: u64) -> Result<(), Unsent>;
    /// How many bytes may be queued before the peer counts as slow.
    fn room(&self) -> u64;
    /// Stops the peer's data from being delivered.
    fn pause_producing(&self);
    /// Has them delivered again.
    fn resume_producing(&self);
    /// Closes once all that is queued is sent.
    fn lose_connection(&self);
    /// Closes now.
    fn abort_connection(&self);
    /// Writes a line of the access log, but for the peer's address that it begins with.
    fn log(&self, line: &str);
}

/// The host does not send a part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsent;

/// What the host is to be asked; a path is [`Conversation::path`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// To list a folder; the answer goes to [`Conversation::listed`].
    List,
    /// To open a file; the answer goes to [`Conversation::opened`].
    Open,
    /// Whether it knows [`Conversation::login`]; the answer goes to [`Conversation::verified`].
    Verify,
}

/// A session and its peer.
///
/// An event that returns a [`Question`] has to be followed by its answer. Until then the peer's
/// data is not to be delivered: by [`Conversation::is_paused`] the conversation says that it
/// has seen to that itself.
#[derive(Debug)]
pub struct Conversation {
    session: Session,
    /// At least so much room the peer has, saturating: asking costs a call of the host.
    room: u32,
    /// What waits for room: only answers that are large. Empty else.
    unsent: Vec<u8>,
    /// Whether the peer's data is not delivered, on this side's wish.
    is_paused: bool,
    /// Whether the next answer waits for room.
    is_blocked: bool,
    /// Whether the connection is to be closed once nothing waits for room.
    is_ending: bool,
}

impl Conversation {
    /// A connection that was made just now.
    pub fn new<F>(site: &Site<F>) -> Self {
        Self {
            session: Session::new(site),
            room: 0,
            unsent: Vec::new(),
            is_paused: false,
            is_blocked: false,
            is_ending: false,
        }
    }

    /// Some bytes arrived.
    pub fn received<F>(
        &mut self,
        site: &mut Site<F>,
        peer: &impl Peer<F>,
        bytes: &[u8],
    ) -> Option<Question> {
        if self.is_paused {
            // A host that pauses delivers nothing; but what it delivers is not lost.
            self.session.keep(bytes);
            return None;
        }
        let step = self.session.received(site, bytes);
        self.drive(site, peer, step)
    }

    /// The host has answered [`Question::Open`].
    pub fn opened<F>(
        &mut self,
        site: &mut Site<F>,
        peer: &impl Peer<F>,
        answer: Result<(F, Metadata), Failure>,
    ) -> Option<Question> {
        let step = self.session.opened(site, answer);
        self.drive(site, peer, step)
    }

    /// The host has answered [`Question::List`].
    pub fn listed<F>(
        &mut self,
        site: &mut Site<F>,
        peer: &impl Peer<F>,
        answer: Result<Vec<Entry>, Failure>,
    ) -> Option<Question> {
        let step = self.session.listed(site, answer);
        self.drive(site, peer, step)
    }

    /// The host has answered [`Question::Verify`].
    pub fn verified<F>(
        &mut self,
        site: &mut Site<F>,
        peer: &impl Peer<F>,
        answer: Result<String, Stranger>,
    ) -> Option<Question> {
        let step = self.session.verified(site, answer);
        self.drive(site, peer, step)
    }

    /// The peer takes bytes again.
    pub fn drained<F>(&mut self, site: &mut Site<F>, peer: &impl Peer<F>) -> Option<Question> {
        if !self.is_blocked || !self.write_unsent(peer) {
            return None;
        }
        self.is_blocked = false;
        let step = self.session.resume(site);
        self.drive(site, peer, step)
    }

    /// The peer sends no more. What it asked for before is still answered.
    pub fn ended<F>(&mut self, peer: &impl Peer<F>) {
        self.is_ending = true;
        if !self.is_paused {
            peer.lose_connection();
        }
    }

    /// The host is stopping: what is going on is finished, and nothing follows.
    pub fn stopping<F>(&mut self, peer: &impl Peer<F>) {
        let step: Step<F> = self.session.stopping();
        match step {
            Step::Close if self.is_blocked => self.is_ending = true,
            Step::Close => peer.lose_connection(),
            _ => {}
        }
    }

    /// The path that the last question is about.
    pub fn path(&self) -> &str {
        self.session.path()
    }

    /// The name and the password that the last question is about; none where the request has none.
    pub fn login(&self) -> Option<Login> {
        self.session.login()
    }

    /// Whether the peer's data is not delivered, on this side's wish.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// When [`Conversation::timed_out`] is to be called, in nanoseconds; none while the peer
    /// owes nothing. How long it may take for an answer is the host's to say.
    pub fn deadline(&self) -> Option<u64> {
        self.session.deadline().filter(|_| !self.is_blocked)
    }

    /// The deadline has passed.
    pub fn timed_out<F>(&mut self, site: &mut Site<F>, peer: &impl Peer<F>) {
        let step = self.session.timed_out(site);
        self.drive(site, peer, step);
    }

    /// Does what the session says, until it wants an answer, more bytes, or room.
    fn drive<F>(
        &mut self,
        site: &mut Site<F>,
        peer: &impl Peer<F>,
        mut step: Step<F>,
    ) -> Option<Question> {
        loop {
            self.flush(site, peer);
            match step {
                Step::List => return Some(Question::List),
                Step::Open => return Some(Question::Open),
                Step::Verify => return Some(Question::Verify),
                Step::Wait => {
                    self.go_on(peer);
                    return None;
                }
                Step::Close if self.unsent.is_empty() => {
                    peer.lose_connection();
                    return None;
                }
                Step::Send { file, offset, length } => {
                    if peer.send(&file, offset, length).is_err() {
                        // The peer was told a length, and nothing else can be sent in its place.
                        peer.abort_connection();
                        return None;
                    }
                }
                Step::SendParts { file, content } => {
                    if self.send_parts(peer, &file, &content).is_err() {
                        peer.abort_connection();
                        return None;
                    }
                }
                Step::Close | Step::Resume => {}
            }
            if !self.write_unsent(peer) || !self.has_room(peer) {
                self.block(peer);
                return None;
            }
            step = self.session.resume(site);
        }
    }

    fn flush<F>(&mut self, site: &mut Site<F>, peer: &impl Peer<F>) {
        for line in site.log.drain(..) {
            peer.log(&line);
        }
        if site.out.len() > PIECE {
            self.unsent = std::mem::take(&mut site.out);
        } else if !site.out.is_empty() {
            self.write(peer, &site.out);
            site.out.clear();
        }
    }

    /// Queues all parts at once: they are few, and the bytes of the file take no room.
    fn send_parts<F>(
        &mut self,
        peer: &impl Peer<F>,
        file: &F,
        content: &Multipart,
    ) -> Result<(), Unsent> {
        for piece in &content.pieces {
            self.write(peer, &piece.head);
            peer.send(file, piece.part.offset, piece.part.length)?;
        }
        self.write(peer, &content.end);
        Ok(())
    }

    fn write<F>(&mut self, peer: &impl Peer<F>, bytes: &[u8]) {
        peer.write(bytes);
        self.room = self.room.saturating_sub(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    }

    /// Writes what waits for room; false where some of it still waits.
    fn write_unsent<F>(&mut self, peer: &impl Peer<F>) -> bool {
        if self.unsent.is_empty() {
            return true;
        }
        let unsent = std::mem::take(&mut self.unsent);
        let mut rest = &unsent[..];
        while !rest.is_empty() && self.has_room(peer) {
            let (piece, after) = rest.split_at(rest.len().min(PIECE));
            self.write(peer, piece);
            rest = after;
        }
        self.unsent = rest.to_vec();
        self.unsent.is_empty()
    }

    fn has_room<F>(&mut self, peer: &impl Peer<F>) -> bool {
        if self.room == 0 {
            self.room = u32::try_from(peer.room()).unwrap_or(u32::MAX);
        }
        self.room > 0
    }

    fn block<F>(&mut self, peer: &impl Peer<F>) {
        self.is_blocked = true;
        if !self.is_paused {
            self.is_paused = true;
            peer.pause_producing();
        }
    }

    /// Nothing is left to be done with what was received.
    fn go_on<F>(&mut self, peer: &impl Peer<F>) {
        if !self.is_paused {
            return;
        }
        self.is_paused = false;
        if self.is_ending {
            peer.lose_connection();
        } else {
            peer.resume_producing();
        }
    }
}

/// How much of a large answer is written at a time, in bytes.
const PIECE: usize = 32 * 1024;
