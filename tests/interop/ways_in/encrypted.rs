//! The encrypted ways to a plugin, by a client whose halves are read and written at once.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use torsade_tests::certificates::Authority;
use torsade_tests::host::{Host, PATIENCE};

use super::super::streams::echoes;
use super::super::{folder, trial};
use super::{Call, Half, Running, descriptors, over_tcp, service};

pub(super) fn trials() -> Vec<Trial> {
    vec![trial("ways_in::proxied_handshakes_are_bounded", proxied_handshakes_are_bounded)]
}

/// What a service whose endpoint is encrypted needs more.
pub(super) const TABLE: &str =
    "tls = { cert = \"own.pem\", key = \"own-key.pem\", alpn = [\"other\", \"spoken\"] }\n";

pub(super) fn tls(folder: &Path) -> Result<Call> {
    let authority = certificate(folder)?;
    let (host, port) = up(folder, 1)?;
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    encrypted(&authority, Running::Serving(host), stream)
}

pub(super) fn proxied_tls(folder: &Path) -> Result<Call> {
    let authority = certificate(folder)?;
    let (host, port) = up(folder, 2)?;
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(HEADER)?;
    let call = encrypted(&authority, Running::Serving(host), stream)?;
    let addresses = ["tcp[192.0.2.1]56072", "tcp[198.51.100.2]443"].map(str::to_owned);
    Ok(Call { addresses, ..call })
}

pub(super) fn systemd_tls(folder: &Path) -> Result<Call> {
    let authority = certificate(folder)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let host = Running::Serving(descriptors::handed_over(folder, listener)?);
    encrypted(&authority, host, TcpStream::connect(address)?)
}

fn proxied_handshakes_are_bounded() -> Result<()> {
    let limits = "limits = { handshakes = 1, handshake = \"60s\" }\n";
    let endpoint = "haproxy:tls:0:interface=127.0.0.1";
    let folder = folder(&format!("workers = 1\n{}{TABLE}{limits}", service("echo", endpoint)))?;
    let authority = certificate(folder.path())?;
    let (mut host, port) = up(folder.path(), 2)?;
    for header in [&b""[..], HEADER] {
        // Before its header, and in its handshake.
        let mut silent = TcpStream::connect(("127.0.0.1", port))?;
        silent.write_all(header)?;
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(HEADER)?;
        let mut side = side(&authority)?;
        side.write_tls(&mut stream)?;
        stream.set_read_timeout(Some(Duration::from_millis(300)))?;
        let said = stream.read(&mut [0; 9]);
        ensure!(said.is_err(), "another handshake goes on: {said:?}");
        stream.set_read_timeout(Some(PATIENCE))?;
        drop(silent);
        let mut client = StreamOwned::new(side, stream);
        echoes(&mut client, b"its turn has come")?;
    }
    host.log_with(&["limits.handshakes is reached"])?;
    ensure!(host.terminate()?.success(), "{}", host.log());
    Ok(())
}

const HEADER: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.2 56072 443\r\n";

fn side(authority: &Authority) -> Result<ClientConnection> {
    let mut config = authority.client(None)?;
    config.alpn_protocols = vec![b"spoken".to_vec()];
    Ok(ClientConnection::new(Arc::new(config), ServerName::try_from("a.test")?)?)
}

fn certificate(folder: &Path) -> Result<Authority> {
    let authority = Authority::new("tests")?;
    authority.sign(&["a.test"])?.write(folder, "own")?;
    Ok(authority)
}

/// A host, and the port that stands at this place of its endpoint.
fn up(folder: &Path, place: usize) -> Result<(Host, u16)> {
    let host = Host::up(folder, 1)?;
    let port = host.endpoints[0].1.split(':').nth(place).context("a port")?.parse()?;
    Ok((host, port))
}

fn encrypted(authority: &Authority, host: Running, stream: TcpStream) -> Result<Call> {
    let call = over_tcp(host, stream.try_clone()?)?;
    let mut side = side(authority)?;
    let mut io = stream.try_clone()?;
    // Afterwards only one half writes to the network.
    while side.is_handshaking() || side.wants_write() {
        side.complete_io(&mut io)?;
    }
    let to = Encrypted { side: Arc::new(Mutex::new(side)), io };
    let from = Encrypted { side: Arc::clone(&to.side), io: stream };
    let agreed = Some("TLSv1.3 spoken a.test");
    Ok(Call { from: Box::new(from), to: Box::new(to), agreed, ..call })
}

/// One half of an encrypted connection. Nobody waits for the network with its keys in hand.
struct Encrypted {
    side: Arc<Mutex<ClientConnection>>,
    io: TcpStream,
}

impl Encrypted {
    fn side(&self) -> MutexGuard<'_, ClientConnection> {
        self.side.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what `write` has left to be sent.
    fn send<T>(
        &mut self,
        write: impl FnOnce(&mut ClientConnection) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut records = Vec::new();
        let mut side = self.side();
        let written = write(&mut side)?;
        while side.wants_write() {
            side.write_tls(&mut records)?;
        }
        drop(side);
        self.io.write_all(&records)?;
        Ok(written)
    }
}

impl Read for Encrypted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut records = [0; 4096];
        loop {
            match self.side().reader().read(into) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            let n = self.io.read(&mut records)?;
            let mut side = self.side();
            let mut records = &records[..n];
            loop {
                side.read_tls(&mut records)?;
                side.process_new_packets().map_err(io::Error::other)?;
                if records.is_empty() {
                    break;
                }
            }
        }
    }
}

impl Write for Encrypted {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let data = &data[..data.len().min(16 * 1024)];
        self.send(|side| side.writer().write(data))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Half for Encrypted {
    /// With an alert alone: the network's half stays open.
    fn end(mut self: Box<Self>) -> io::Result<()> {
        self.send(|side| {
            side.send_close_notify();
            Ok(())
        })
    }
}
