//! Connections of a service that has done nothing, which are answered all the while.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use torsade_tests::host::{Host, PATIENCE, POLL};

use super::super::streams::echoes;

/// Peers of the service `victim`.
pub(super) struct Victim {
    peers: Vec<JoinHandle<Result<()>>>,
    seen: Arc<Seen>,
}

/// What the peers and the test tell each other.
#[derive(Default)]
struct Seen {
    answers: AtomicU64,
    stop: AtomicBool,
}

impl Victim {
    /// Begins to ask the victim without a pause: on connections that stay, and on new ones.
    pub(super) fn start(host: &Host) -> Result<Self> {
        let seen = Arc::<Seen>::default();
        let mut peers = Vec::new();
        for stays in [true, true, false] {
            let address = host.address("victim")?;
            let connect = move || -> Result<TcpStream> {
                let stream = TcpStream::connect(address)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Ok(stream)
            };
            let seen = Arc::clone(&seen);
            peers.push(thread::spawn(move || {
                let mut stream = connect()?;
                while !seen.stop.load(Ordering::Relaxed) {
                    echoes(&mut stream, b"are you there?").context("the victim")?;
                    seen.answers.fetch_add(1, Ordering::Relaxed);
                    if !stays {
                        stream = connect()?;
                    }
                    // The machine has others to serve, too.
                    thread::sleep(POLL);
                }
                Ok(())
            }));
        }
        Ok(Self { peers, seen })
    }

    /// Waits until it has answered some more, on each of its connections.
    pub(super) fn is_served(&self) -> Result<()> {
        let (begin, before) = (Instant::now(), self.seen.answers.load(Ordering::Relaxed));
        while self.seen.answers.load(Ordering::Relaxed) < before + 2 * self.peers.len() as u64 {
            ensure!(begin.elapsed() < PATIENCE, "the victim is served no more");
            ensure!(
                !self.peers.iter().any(JoinHandle::is_finished),
                "the victim lost a connection"
            );
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Ends its peers, each of which has seen no failure.
    pub(super) fn stop(self) -> Result<()> {
        self.seen.stop.store(true, Ordering::Relaxed);
        for peer in self.peers {
            peer.join().expect("asking doesn't panic")?;
        }
        Ok(())
    }
}
