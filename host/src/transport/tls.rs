//! TLS on a stream (RFC 8446, RFC 5246): from the first byte, or begun in mid-stream. All of
//! `rustls` is here and below.
//!
//! [`Tls`] holds one connection's keys. It opens nothing: what comes from the peer is handed to
//! [`Tls::take`], what goes there leaves by [`Tls::send`].

pub mod certificates;
mod folder;
pub mod issue;
pub mod names;
pub mod pem;
pub mod resumption;
pub mod self_signed;
pub mod settings;
pub mod trust;
pub mod watch;

use std::io::{self, IoSlice, Read, Write};
use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Connection, HandshakeKind, ServerConnection};

use crate::net::Net;

pub use rustls::{ClientConfig, ServerConfig};
pub use settings::TlsSettings;

/// One side of an encrypted stream.
pub(crate) struct Tls {
    side: Connection,
    /// The handshake was over when [`Tls::take`] last returned.
    secured: bool,
    /// The peer has said that it sends no more.
    ended: bool,
    /// There may be plain bytes that were not read.
    has_data: bool,
    /// This side has said that it sends no more.
    closed: bool,
    /// The server that a client asked for.
    asked_for: Option<Box<str>>,
}

/// What [`Tls::take`] came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Taken {
    /// All of it, and maybe there are plain bytes now.
    All,
    /// The handshake is over; what lies behind it in the input was not taken yet.
    Secured,
}

/// What both sides agreed on: facts as `rustls` has them.
#[derive(Debug)]
pub(crate) struct Agreed {
    pub(crate) version: &'static str,
    pub(crate) cipher: &'static str,
    pub(crate) alpn: Option<String>,
    pub(crate) server_name: Option<String>,
    pub(crate) resumed: bool,
    /// The peer's certificates in DER, its own first.
    pub(crate) certificates: Vec<Vec<u8>>,
}

impl Tls {
    /// The side that answers.
    ///
    /// # Errors
    /// Where the settings can't work together.
    pub(crate) fn server(settings: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        ServerConnection::new(settings).map(|side| Self::new(side.into(), None))
    }

    /// The side that begins, with the server's `name`: of a host, or an IP address.
    ///
    /// # Errors
    /// Where the name can't be one.
    pub(crate) fn client(settings: Arc<ClientConfig>, name: &str) -> Result<Self, rustls::Error> {
        let server = server_name(name)
            .ok_or_else(|| rustls::Error::General(format!("{name:?} can't be a server's name")))?;
        ClientConnection::new(settings, server)
            .map(|side| Self::new(side.into(), Some(name.into())))
    }

    fn new(mut side: Connection, asked_for: Option<Box<str>>) -> Self {
        // What may wait is bounded by who writes: a flush hands over `ENCRYPTED_AT_ONCE`.
        side.set_buffer_limit(None);
        Self { side, secured: false, ended: false, has_data: false, closed: false, asked_for }
    }

    /// Takes what the peer sent, as far as that is possible, and puts plain bytes into `plain`;
    /// the number says how many it has so far, and is raised.
    ///
    /// # Errors
    /// What the peer did wrong. An alert that says so waits to be sent.
    pub(crate) fn take(
        &mut self,
        input: &mut &[u8],
        plain: &mut [u8],
        filled: &mut usize,
    ) -> Result<Taken, String> {
        while !input.is_empty() && !self.ended {
            // It takes what fits its buffer, which is 4 KiB where no record is half done.
            let taken = self.side.read_tls(input).map_err(|e| e.to_string())?;
            let state = self.side.process_new_packets().map_err(|e| explain(&e))?;
            self.ended = state.peer_has_closed();
            self.has_data |= state.plaintext_bytes_to_read() > 0;
            if !self.secured && !self.side.is_handshaking() {
                self.secured = true;
                return Ok(Taken::Secured);
            }
            self.read(plain, filled);
            if taken == 0 {
                break;
            }
        }
        Ok(Taken::All)
    }

    /// Moves plain bytes behind the first `filled` of `plain`.
    pub(crate) fn read(&mut self, plain: &mut [u8], filled: &mut usize) {
        while self.has_data && *filled < plain.len() {
            match self.side.reader().read(&mut plain[*filled..]) {
                Ok(0) | Err(_) => self.has_data = false,
                Ok(n) => *filled += n,
            }
        }
    }

    /// Whether there may be something to read without anything more from the peer.
    pub(crate) fn has_data(&self) -> bool {
        self.has_data
    }

    /// Whether the peer has said that it sends no more (RFC 8446, section 6.1).
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the handshake is still under way.
    pub(crate) fn is_handshaking(&self) -> bool {
        !self.secured
    }

    /// Encrypts a part of `data`, and says how many bytes of it. They wait for [`Tls::send`].
    pub(crate) fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.side.writer().write(&data[..data.len().min(ENCRYPTED_AT_ONCE)])
    }

    /// Says that this side sends no more: behind what waits. Once is enough.
    pub(crate) fn close(&mut self) {
        if !std::mem::replace(&mut self.closed, true) {
            self.side.send_close_notify();
        }
    }

    /// Whether something waits to be sent.
    pub(crate) fn wants_to_send(&self) -> bool {
        self.side.wants_write()
    }

    /// Sends all that waits, and adds what the network took to `sent`.
    ///
    /// # Errors
    /// `WouldBlock` where some is left.
    pub(crate) fn send<N: Net>(
        &mut self,
        net: &mut N,
        to: &mut N::Stream,
        sent: &mut u64,
    ) -> io::Result<()> {
        let mut wire = Wire { net, to };
        while self.side.wants_write() {
            match self.side.write_tls(&mut wire) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => *sent += n as u64,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// What the handshake came to; of one that is not over, what it has come to so far.
    pub(crate) fn agreed(&self) -> Agreed {
        let suite = self.side.negotiated_cipher_suite();
        let server_name = match &self.side {
            Connection::Server(server) => server.server_name().map(str::to_owned),
            Connection::Client(_) => self.asked_for.as_deref().map(str::to_owned),
        };
        let alpn = self.side.alpn_protocol();
        let certificates = self.side.peer_certificates().unwrap_or_default();
        Agreed {
            version: self.side.protocol_version().map(names::version).unwrap_or_default(),
            cipher: suite.map(|suite| names::cipher(suite.suite())).unwrap_or_default(),
            alpn: alpn.map(|name| String::from_utf8_lossy(name).into_owned()),
            server_name,
            resumed: self.side.handshake_kind() == Some(HandshakeKind::Resumed),
            certificates: certificates.iter().map(|der| der.to_vec()).collect(),
        }
    }
}

/// Begins a server's side in mid-stream, with the protocols that this side offers.
///
/// # Errors
/// Where there is no certificate, or the settings can't work together.
pub(crate) fn server_side(
    settings: Option<&Arc<ServerConfig>>,
    alpn: &[String],
) -> Result<Tls, String> {
    let settings = settings.ok_or("the service has no certificate; its `tls` table names one")?;
    let mut settings = ServerConfig::clone(settings);
    settings.alpn_protocols = protocols(alpn);
    Tls::server(Arc::new(settings)).map_err(|e| e.to_string())
}

/// Begins a client's side, with the name of the server and the protocols that this side offers.
///
/// # Errors
/// Where the service may be no client, or the name can't be one.
pub(crate) fn client_side(
    settings: Option<&Arc<ClientConfig>>,
    name: &str,
    alpn: &[String],
) -> Result<Tls, String> {
    let settings = settings.ok_or("the service trusts nobody; its `tls` table says whom")?;
    let settings = match alpn {
        [] => Arc::clone(settings),
        _ => {
            let mut settings = ClientConfig::clone(settings);
            settings.alpn_protocols = protocols(alpn);
            Arc::new(settings)
        }
    };
    Tls::client(settings, name).map_err(|e| e.to_string())
}

fn protocols(names: &[String]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

/// The network as rustls writes to it.
struct Wire<'a, N: Net> {
    net: &'a mut N,
    to: &'a mut N::Stream,
}

impl<N: Net> Write for Wire<'_, N> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.net.write(self.to, &[IoSlice::new(data)], false)
    }

    fn write_vectored(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        self.net.write(self.to, data, false)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A name that a server may be asked for: of a host, or an IP address without brackets.
pub(crate) fn server_name(name: &str) -> Option<ServerName<'static>> {
    let name = match name.parse::<IpAddr>() {
        Ok(address) => ServerName::from(address),
        Err(_) => ServerName::try_from(name.strip_suffix('.').unwrap_or(name).to_owned()).ok()?,
    };
    Some(name)
}

/// What a peer did wrong, with a hint where it is plain what happened.
fn explain(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => {
            "the peer sent something that is not TLS".to_owned()
        }
        _ => error.to_string(),
    }
}

/// How many plain bytes are encrypted before they are sent: what the kernel doesn't take waits in
/// memory, beyond the connection's queue.
const ENCRYPTED_AT_ONCE: usize = 64 * 1024;

#[cfg(test)]
mod tests;
