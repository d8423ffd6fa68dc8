//! TLS on a transport: what its handshake came to, and how to begin one in mid-stream.

use std::time::SystemTime;

use crate::bindings::torsade::plugin::tls as host;
use crate::deferred::Deferred;
use crate::line::LineReceiver;
use crate::transport::Transport;
use crate::types::Failure;

pub use crate::bindings::torsade::plugin::tls::Side;

/// What holds bytes that came and were not handled yet. Those that came in clear must not be taken
/// for what comes encrypted (RFC 3207, section 4.2).
pub trait Framer {
    /// Forgets all of them.
    fn clear(&mut self);
}

/// For a protocol that handles all bytes as they come.
impl Framer for () {
    fn clear(&mut self) {}
}

impl Framer for LineReceiver {
    fn clear(&mut self) {
        LineReceiver::clear(self);
    }
}

impl Framer for Vec<u8> {
    fn clear(&mut self) {
        Vec::clear(self);
    }
}

/// What both sides of an encrypted transport have agreed on.
#[derive(Debug)]
pub struct Session(host::TlsSession);

/// A certificate that the peer has shown (X.509, RFC 5280).
#[derive(Debug)]
pub struct Certificate(host::Certificate);

impl<P> Transport<P> {
    /// Begins TLS in mid-stream, as STARTTLS does, on a transport that is plain so far. `alpn` are
    /// the protocols to offer, the best first.
    ///
    /// What was written before goes out in clear, what is written after it encrypted. Nothing that
    /// the peer sent in clear behind its request reaches the protocol from now on: `framer`, which
    /// holds what came and was not handled yet, is emptied; a protocol that holds nothing gives
    /// `&mut ()`. The deferred fires when the handshake is over; where it fails the connection ends.
    ///
    /// ```no_run
    /// use torsade_guest::tls::Side;
    /// use torsade_guest::{Deferred, LineReceiver, Transport};
    ///
    /// struct Session {
    ///     transport: Transport<Session>,
    ///     lines: LineReceiver,
    /// }
    ///
    /// impl Session {
    ///     /// What SMTP answers to `STARTTLS`.
    ///     fn start_tls(&mut self) {
    ///         self.transport.write(b"220 Go ahead\r\n");
    ///         let secured = self.transport.start_tls(&Side::Server, &[], &mut self.lines);
    ///         Deferred::from(secured).map(|()| torsade_guest::info!("encrypted")).detach();
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`UNSUPPORTED`](crate::code::UNSUPPORTED) where it is encrypted already,
    /// [`CLOSED`](crate::code::CLOSED), [`INVALID`](crate::code::INVALID) or
    /// [`LIMIT`](crate::code::LIMIT).
    pub fn start_tls(
        &self,
        side: &Side,
        alpn: &[&str],
        framer: &mut impl Framer,
    ) -> Result<Deferred<()>, Failure> {
        let alpn: Vec<String> = alpn.iter().map(|&name| name.to_owned()).collect();
        let begun = host::start(self.handle().of_the_host()?, side, &alpn)?;
        framer.clear();
        Ok(Deferred::new(begun, host::started))
    }

    /// What the handshake came to.
    ///
    /// # Errors
    /// [`UNSUPPORTED`](crate::code::UNSUPPORTED) where the transport is not encrypted.
    pub fn tls(&self) -> Result<Session, Failure> {
        host::session(self.handle().of_the_host()?).map(Session)
    }
}

impl Session {
    /// `TLSv1.2` or `TLSv1.3`.
    pub fn version(&self) -> String {
        self.0.version()
    }

    /// The cipher suite by its name in IANA's registry.
    pub fn cipher(&self) -> String {
        self.0.cipher()
    }

    /// The protocol agreed on by ALPN (RFC 7301).
    pub fn alpn(&self) -> Option<String> {
        self.0.alpn()
    }

    /// The server's name that the client asked for (SNI), in lower case.
    pub fn server_name(&self) -> Option<String> {
        self.0.server_name()
    }

    /// Whether an earlier session was resumed.
    pub fn resumed(&self) -> bool {
        self.0.resumed()
    }

    /// The peer's certificates, its own first; empty where it showed none.
    pub fn peer_certificates(&self) -> Vec<Certificate> {
        self.0.peer_certificates().into_iter().map(Certificate).collect()
    }
}

impl Certificate {
    /// The whole, in DER.
    pub fn der(&self) -> Vec<u8> {
        self.0.der()
    }

    /// The SHA-256 of the whole: 32 bytes.
    pub fn fingerprint(&self) -> Vec<u8> {
        self.0.fingerprint()
    }

    /// Whose it is, as RFC 4514 writes it (`CN=alice,O=Example`).
    pub fn subject(&self) -> String {
        self.0.subject()
    }

    /// Who signed it.
    pub fn issuer(&self) -> String {
        self.0.issuer()
    }

    /// Its alternative names: `dns:example.org`, `ip:192.0.2.1`, `uri:…`, `email:…`.
    pub fn names(&self) -> Vec<String> {
        self.0.names()
    }

    /// The serial number, in upper-case hexadecimal.
    pub fn serial(&self) -> String {
        self.0.serial()
    }

    /// When it begins to be valid.
    pub fn not_before(&self) -> SystemTime {
        self.0.not_before().into()
    }

    /// When it ends to be valid.
    pub fn not_after(&self) -> SystemTime {
        self.0.not_after().into()
    }
}
