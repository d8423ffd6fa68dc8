//! An encrypted stream over a simulated network, with its peer.

use std::io::{Read as _, Write as _};

use rustls::Connection;

use super::super::Tls;
use super::engine::Sides;
use crate::net::Net;
use crate::net::faulty::Faulty;
use crate::net::sim::tests::{CALM, pair};
use crate::net::sim::{Conditions, Far, SimNet, SimStream};
use crate::transport::queue::{Flushed, Spares};
use crate::transport::stream::{Buffers, Read, Stream};

/// A stream with its peer. A reader that waits, as a reactor would: for edges alone.
pub(super) struct World {
    pub(super) net: Faulty<SimNet>,
    pub(super) far: Far,
    pub(super) stream: Stream<SimStream>,
    buffers: Buffers,
    pub(super) spares: Spares,
    pub(super) peer: Connection,
    /// What is encrypted, and begins later.
    engine: Option<Tls>,
    /// What was sent before the first record, of which the peer expects so many bytes.
    pub(super) clear: Vec<u8>,
    expected: usize,
    /// What the stream has read.
    pub(super) seen: Vec<Read>,
    pub(super) told: Vec<u8>,
    /// What the peer has read.
    pub(super) heard: Vec<u8>,
    pub(super) heard_end: bool,
}

impl World {
    /// A connection that is not encrypted yet: it takes `expected` bytes in clear first.
    pub(super) fn new(sides: &Sides, answers: bool, expected: usize, window: usize) -> Self {
        let (net, far, io) = pair(1, Conditions { window, ..CALM });
        let (engine, peer) = sides.ends(answers);
        Self {
            net: Faulty::new(net),
            far,
            stream: Stream::new(io),
            buffers: Buffers::new(68 * 1024),
            spares: Spares::default(),
            peer,
            engine: Some(engine),
            clear: Vec::new(),
            expected,
            seen: Vec::new(),
            told: Vec::new(),
            heard: Vec::new(),
            heard_end: false,
        }
    }

    /// One whose handshake is over.
    pub(super) fn secured(answers: bool) -> Self {
        let mut world = Self::new(&Sides::new(false), answers, 0, 64 * 1024);
        world.start_tls();
        world.settle();
        assert!(!world.stream.is_handshaking());
        world
    }

    pub(super) fn start_tls(&mut self) {
        self.stream.start_tls(self.engine.take().unwrap());
    }

    pub(super) fn write(&mut self, data: &[u8]) {
        self.stream.write(&mut self.net, data, &mut self.spares);
    }

    pub(super) fn flush(&mut self) -> Flushed {
        self.stream.flush(&mut self.net, &mut self.spares)
    }

    /// Takes edges into account. True where there was one.
    pub(super) fn poll(&mut self) -> bool {
        let mut ready = Vec::new();
        self.net.poll(None, &mut ready).unwrap();
        for ready in &ready {
            self.stream.on_ready(&mut self.net, *ready);
        }
        !ready.is_empty()
    }

    pub(super) fn read(&mut self) -> Read {
        let read = self.stream.read(&mut self.net, &mut self.buffers, usize::MAX);
        if let Read::Data(n) = read {
            self.told.extend_from_slice(&self.buffers.plain[..n]);
        }
        self.seen.push(read);
        assert!(self.seen.len() < 100_000, "it reads for ever");
        read
    }

    /// Reads what there is.
    pub(super) fn read_all(&mut self) {
        while self.stream.may_read() {
            self.read();
        }
    }

    /// Lets the peer read what has come, and send what it has to.
    pub(super) fn peer_goes_on(&mut self) {
        let received = self.net.net().received(self.far);
        let mut left = &received[..];
        let clear = left.len().min(self.expected - self.clear.len());
        self.clear.extend(left.split_off(..clear).unwrap());
        while !left.is_empty() {
            self.peer.read_tls(&mut left).unwrap();
            let Ok(state) = self.peer.process_new_packets() else { break };
            self.heard_end |= state.peer_has_closed();
            let mut piece = vec![0; state.plaintext_bytes_to_read()];
            self.peer.reader().read_exact(&mut piece).unwrap();
            self.heard.extend_from_slice(&piece);
        }
        self.peer_sends();
    }

    pub(super) fn peer_sends(&mut self) {
        let mut records = Vec::new();
        while self.peer.wants_write() {
            self.peer.write_tls(&mut records).unwrap();
        }
        self.net.net().send(self.far, &records);
    }

    /// Until nothing moves any more.
    pub(super) fn settle(&mut self) {
        let mut quiet = 0;
        while quiet < 2 {
            self.read_all();
            self.flush();
            self.peer_goes_on();
            let moves = self.poll() || !self.net.net().idle() || self.stream.may_read();
            // What has arrived at the peer makes no edge here.
            quiet = if moves { 0 } else { quiet + 1 };
        }
    }

    pub(super) fn peer_says(&mut self, text: &[u8]) {
        self.peer.writer().write_all(text).unwrap();
        self.peer_sends();
    }

    pub(super) fn peer_ends(&mut self) {
        self.peer.send_close_notify();
        self.peer_sends();
    }

    pub(super) fn ends(&self) -> usize {
        self.seen.iter().filter(|read| **read == Read::End).count()
    }
}

pub(super) fn text(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place % 251) as u8).collect()
}
