//! The engine against rustls' other side, over bytes that are cut wherever they can be.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Connection, ProtocolVersion, ServerConnection};

use super::super::{Taken, Tls};
use super::{Place, WITH_TLS_1_2, client_of, settings};
use crate::transport::stream::{Buffers, RECORD_BYTES};

/// An engine and its peer, and what went between them.
pub(super) struct Ends {
    pub(super) engine: Tls,
    pub(super) peer: Connection,
    /// What the engine has told, and how often a handshake was over.
    told: Vec<u8>,
    secured: usize,
    /// What the peer has read, and whether it was told of the end.
    heard: Vec<u8>,
    heard_end: bool,
}

/// Settings for both sides, made once for many connections.
pub(super) struct Sides {
    client: Arc<rustls::ClientConfig>,
    server: Arc<rustls::ServerConfig>,
}

impl Sides {
    pub(super) fn new(only_1_2: bool) -> Self {
        let place = Place::new();
        let side = place.server_side(place.certificate("a", &["a.test"]));
        Self { client: client_of(&place, only_1_2), server: settings::server(side).unwrap() }
    }

    /// An engine that answers, or one that begins.
    pub(super) fn ends(&self, answers: bool) -> (Tls, Connection) {
        if answers {
            let name = ServerName::try_from("a.test").unwrap();
            let peer = ClientConnection::new(Arc::clone(&self.client), name).unwrap();
            (Tls::server(Arc::clone(&self.server)).unwrap(), peer.into())
        } else {
            let peer = ServerConnection::new(Arc::clone(&self.server)).unwrap();
            (Tls::client(Arc::clone(&self.client), "a.test").unwrap(), peer.into())
        }
    }
}

impl Ends {
    fn new((engine, peer): (Tls, Connection)) -> Self {
        let (told, heard) = Default::default();
        Self { engine, peer, told, secured: 0, heard, heard_end: false }
    }

    /// Hands bytes to the engine as they came, and takes what it tells.
    fn hand_over(&mut self, mut input: &[u8], length: usize) -> Result<(), String> {
        let mut plain = vec![0; length];
        loop {
            let mut filled = 0;
            let taken = self.engine.take(&mut input, &mut plain, &mut filled)?;
            self.told.extend_from_slice(&plain[..filled]);
            if taken == Taken::All {
                assert!(input.is_empty() || self.engine.has_ended());
                break;
            }
            self.secured += 1;
        }
        while self.engine.has_data() {
            let mut filled = 0;
            self.engine.read(&mut plain, &mut filled);
            self.told.extend_from_slice(&plain[..filled]);
        }
        Ok(())
    }

    /// What the peer has to send.
    fn peer_sends(&mut self) -> Vec<u8> {
        let mut records = Vec::new();
        while self.peer.wants_write() {
            self.peer.write_tls(&mut records).unwrap();
        }
        records
    }

    /// Lets the peer have what the engine has to send, and read it. True where there was something.
    fn peer_reads(&mut self) -> bool {
        let mut records = Vec::new();
        while self.engine.side.wants_write() {
            self.engine.side.write_tls(&mut records).unwrap();
        }
        let mut left = &records[..];
        while !left.is_empty() {
            self.peer.read_tls(&mut left).unwrap();
            let state = self.peer.process_new_packets().unwrap();
            self.heard_end |= state.peer_has_closed();
            let mut piece = vec![0; state.plaintext_bytes_to_read()];
            self.peer.reader().read_exact(&mut piece).unwrap();
            self.heard.extend_from_slice(&piece);
        }
        !records.is_empty()
    }

    /// A handshake without cuts.
    fn shake(&mut self) {
        while self.peer_reads() || self.peer.wants_write() {
            let records = self.peer_sends();
            self.hand_over(&records, LENGTH).unwrap();
        }
        assert!(self.secured == 1 && !self.engine.is_handshaking());
    }

    fn says(&mut self, text: &[u8]) {
        self.peer.writer().write_all(text).unwrap();
    }
}

const LENGTH: usize = 68 * 1024;

/// A whole conversation, whose bytes to the engine `cut` brings in pieces; says how many there were.
/// The peer speaks and ends in the same breath in which it ends the handshake.
fn converse(sides: &Sides, answers: bool, mut cut: impl FnMut(usize, usize) -> usize) -> usize {
    let mut ends = Ends::new(sides.ends(answers));
    let (mut place, mut spoken) = (0, false);
    while ends.peer_reads() || ends.peer.wants_write() {
        if !ends.peer.is_handshaking() && !spoken {
            spoken = true;
            ends.says(b"data");
            if ends.peer.protocol_version() == Some(ProtocolVersion::TLSv1_3) {
                ends.peer.refresh_traffic_keys().unwrap();
            }
            ends.says(b" and more");
            ends.peer.send_close_notify();
        }
        let records = ends.peer_sends();
        let mut left = &records[..];
        while !left.is_empty() {
            let n = cut(place, left.len()).clamp(1, left.len());
            ends.hand_over(&left[..n], LENGTH).unwrap();
            (place, left) = (place + n, &left[n..]);
        }
        if ends.engine.has_ended() && !ends.engine.closed {
            let told = ends.told.clone();
            assert_eq!(ends.engine.write(&told).unwrap(), told.len());
            ends.engine.close();
        }
    }
    assert_eq!(ends.told, b"data and more");
    assert_eq!((ends.heard, ends.heard_end, ends.secured), (ends.told, true, 1));
    place
}

#[test]
fn it_does_not_matter_where_the_bytes_are_cut() {
    for only_1_2 in WITH_TLS_1_2 {
        let sides = Sides::new(only_1_2);
        for answers in [true, false] {
            let whole = converse(&sides, answers, |_, left| left);
            converse(&sides, answers, |_, _| 1);
            for at in 1..whole {
                // Signatures are of a length that differs by some bytes: so may the whole.
                converse(&sides, answers, |place, left| if place < at { at - place } else { left });
            }
        }
    }
}

#[test]
fn what_comes_behind_the_end_is_nothing() {
    for only_1_2 in WITH_TLS_1_2 {
        let mut ends = Ends::new(Sides::new(only_1_2).ends(true));
        ends.shake();
        ends.says(b"data");
        ends.peer.send_close_notify();
        let records = [ends.peer_sends(), vec![23; 10_000]].concat();
        ends.hand_over(&records, LENGTH).unwrap();
        ends.hand_over(b"and so on", LENGTH).unwrap();
        assert!(ends.told == b"data" && ends.engine.has_ended());
        // The other half is as it was.
        assert_eq!(ends.engine.write(b"answer").unwrap(), 6);
        ends.engine.close();
        ends.peer_reads();
        assert!(ends.heard == b"answer" && ends.heard_end);
    }
}

#[test]
fn a_forged_record_fails_and_is_told() {
    for only_1_2 in WITH_TLS_1_2 {
        let mut ends = Ends::new(Sides::new(only_1_2).ends(true));
        ends.shake();
        ends.says(b"data");
        let mut records = ends.peer_sends();
        *records.last_mut().unwrap() ^= 1;
        ends.hand_over(&records, LENGTH).unwrap_err();
        assert!(ends.told.is_empty() && ends.engine.wants_to_send());
        // And nothing that comes behind it is believed.
        ends.says(b"more");
        let records = ends.peer_sends();
        ends.hand_over(&records, LENGTH).unwrap_err();
        assert!(ends.told.is_empty());
    }
}

/// All that comes out of a chunk finds room, however much of a record was there before it: nothing
/// stays behind that no edge would tell of.
#[test]
fn a_buffer_has_room_for_all_that_a_chunk_brings() {
    let text: Vec<u8> = (0..400_000_u32).map(|place| (place % 251) as u8).collect();
    for only_1_2 in WITH_TLS_1_2 {
        let sides = Sides::new(only_1_2);
        for length in [LENGTH, RECORD_BYTES + 1, RECORD_BYTES + 5000] {
            for first in [1, 5, 4096, 16_384, 16_405, RECORD_BYTES - 1] {
                let mut ends = Ends::new(sides.ends(true));
                ends.shake();
                ends.peer.set_buffer_limit(None);
                ends.says(&text);
                let records = ends.peer_sends();
                let mut plain = Buffers::new(length).plain;
                let chunks = records[first..].chunks(length - RECORD_BYTES);
                let mut told = Vec::new();
                for mut chunk in std::iter::once(&records[..first]).chain(chunks) {
                    let mut filled = 0;
                    ends.engine.take(&mut chunk, &mut plain, &mut filled).unwrap();
                    assert!(chunk.is_empty() && !ends.engine.has_data(), "{length} {first}");
                    told.extend_from_slice(&plain[..filled]);
                }
                assert!(told == text, "{} bytes", told.len());
            }
        }
    }
}

#[test]
fn much_goes_the_other_way() {
    let text: Vec<u8> = (0..400_000_u32).map(|place| (place % 251) as u8).collect();
    for only_1_2 in WITH_TLS_1_2 {
        let mut ends = Ends::new(Sides::new(only_1_2).ends(false));
        ends.shake();
        let mut left = &text[..];
        while !left.is_empty() {
            let n = ends.engine.write(left).unwrap();
            assert!(n > 0 && n <= super::super::ENCRYPTED_AT_ONCE, "{n} at once");
            left = &left[n..];
            ends.peer_reads();
        }
        assert!(ends.heard == text, "{} bytes", ends.heard.len());
    }
}
