//! Files that are sent encrypted, and have to be read elsewhere first.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use super::super::{Tls, settings};
use super::Place;
use crate::net::Net;
use crate::net::faulty::Faulty;
use crate::net::sim::tests::pair;
use crate::net::sim::{Conditions, Far, SimNet};
use crate::transport::queue::{Flushed, Spares};
use crate::transport::stream::{Buffers, Read, Stream};

/// A stream of the simulated network behind its handshake, with the peer at its far end.
struct Secured {
    net: Faulty<SimNet>,
    stream: Stream<<SimNet as Net>::Stream>,
    spares: Spares,
    far: Far,
    peer: ClientConnection,
}

impl Secured {
    fn new() -> Self {
        let place = Place::new();
        let cert = place.certificate("a", &["a.test"]);
        let server = settings::server(place.server_side(cert)).unwrap();
        let name = ServerName::try_from("a.test").unwrap();
        let peer = ClientConnection::new(place.client(), name).unwrap();
        let (net, far, io) = pair(1, Conditions::default());
        let mut stream = Stream::new(io);
        stream.start_tls(Tls::server(server).unwrap());
        let (net, spares) = (Faulty::new(net), Spares::default());
        let mut secured = Self { net, stream, spares, far, peer };
        while secured.stream.is_handshaking() || secured.peer.is_handshaking() {
            secured.carry();
        }
        secured
    }

    /// Lets both sides speak for a while, and returns what has come to the peer.
    fn carry(&mut self) -> Vec<u8> {
        let mut told = Vec::new();
        while self.peer.wants_write() {
            self.peer.write_tls(&mut told).unwrap();
        }
        self.net.net().send(self.far, &told);
        let (mut ready, mut buffers) = (Vec::new(), Buffers::new(64 * 1024));
        for _ in 0..64 {
            self.net.net().poll(Some(Duration::from_millis(10)), &mut ready).unwrap();
            for edge in ready.drain(..).filter(|edge| edge.token == 2) {
                self.stream.on_ready(&mut self.net, edge);
            }
            while self.stream.read(&mut self.net, &mut buffers, usize::MAX) != Read::Nothing {}
            self.stream.flush(&mut self.net, &mut self.spares);
        }
        let came = self.net.net().received(self.far);
        let (mut came, mut plain) = (&came[..], Vec::new());
        while !came.is_empty() {
            self.peer.read_tls(&mut came).unwrap();
            self.peer.process_new_packets().unwrap();
            // It is over for now where nothing is left.
            let _ = self.peer.reader().read_to_end(&mut plain);
        }
        plain
    }
}

#[test]
fn what_is_being_read_elsewhere_is_sent_once() {
    let mut secured = Secured::new();
    let mut file = tempfile::tempfile().unwrap();
    let content: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
    file.write_all(&content).unwrap();
    let Secured { net, stream, spares, .. } = &mut secured;
    stream.send_file(Arc::new(file), 0, content.len() as u64, spares);
    let next = net.calls() + 1;
    net.fail_at(next);
    assert_eq!(stream.flush(net, spares), Flushed::Cold);
    assert_eq!(net.what_failed(), Some("read_file"));
    let (file, offset, length) = stream.cold().unwrap();
    let mut part = vec![0; length];
    let n = file.read_at(&mut part, offset).unwrap();
    // The kernel has it by now, and so has who reads it; something else has the stream flushed.
    assert_eq!(stream.flush(net, spares), Flushed::Cold);
    stream.supply(&part[..n]);
    let mut came = Vec::new();
    while came.len() < content.len() {
        let more = secured.carry();
        assert!(!more.is_empty(), "nothing comes after {} bytes", came.len());
        came.extend(more);
    }
    assert!(came == content, "what came is not the file");
}
