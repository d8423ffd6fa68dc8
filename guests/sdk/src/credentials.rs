//! Who somebody is: the service's users, by password or certificate (Twisted's cred). A plugin that
//! uses this module needs the grant `credentials`.
//!
//! The host keeps what is secret. A plugin passes on what its peer says, and gets an identity, which
//! is a user's name, or a failure: [`DENIED`](crate::code::DENIED) for a wrong name or a wrong
//! password, which of them it isn't told, [`LIMIT`](crate::code::LIMIT) where too many logins have
//! failed, [`INVALID`](crate::code::INVALID) for what breaks the mechanism's rules. Every function
//! fails at once with `LIMIT` where the service's `deferreds` are all in flight, with
//! [`CLOSED`](crate::code::CLOSED) where the transport isn't open, and with `INVALID` for what is
//! longer than 4 KiB.
//!
//! ```no_run
//! use torsade_guest::credentials::{self, Progress};
//! use torsade_guest::{Deferred, Transport, code};
//!
//! struct Session {
//!     transport: Transport<Session>,
//!     user: Option<String>,
//! }
//!
//! impl Session {
//!     /// The peer asks what it may log in with.
//!     fn offer(&self) {
//!         let offered = credentials::mechanisms(&self.transport).join(" ");
//!         self.transport.write(format!("AUTH {offered}\r\n").as_bytes());
//!     }
//!
//!     /// The peer begins to log in. Its further lines, decoded, go to [`credentials::respond`].
//!     fn log_in(&self, mechanism: &str, initial: Option<&[u8]>) {
//!         self.progress(credentials::authenticate(&self.transport, mechanism, initial).into());
//!     }
//!
//!     fn progress(&self, step: Deferred<Progress>) {
//!         let transport = self.transport.clone();
//!         step.both(move |progress| {
//!             match progress {
//!                 Ok(Progress::Challenge(data)) => {
//!                     transport.write(&[b"+ ", &data[..], b"\r\n"].concat());
//!                 }
//!                 Ok(Progress::Success(success)) => {
//!                     transport.write(b"OK\r\n");
//!                     transport.with_protocol(|session| session.user = Some(success.identity));
//!                 }
//!                 Err(failure) if failure.code == code::LIMIT => transport.write(b"NO later\r\n"),
//!                 Err(_) => transport.write(b"NO\r\n"),
//!             }
//!             Ok(())
//!         })
//!         .detach();
//!     }
//! }
//! ```

use crate::bindings::torsade::plugin::credentials as host;
use crate::deferred::Deferred;
use crate::transport::Transport;
use crate::types::Failure;

pub use crate::bindings::torsade::plugin::credentials::{Progress, Success};

/// The mechanisms of SASL that can be offered on a transport, the best first: `EXTERNAL` where the
/// peer has shown a certificate, `SCRAM-SHA-256`, and `PLAIN` where nobody can read it on its way or
/// the service's grant says so.
pub fn mechanisms<P>(of: &Transport<P>) -> Vec<String> {
    of.handle().of_the_host().map(host::mechanisms).unwrap_or_default()
}

/// Begins an exchange (RFC 4422), with what the peer has said already, if it has. One that was under
/// way is given up.
///
/// # Errors
/// [`UNSUPPORTED`](crate::code::UNSUPPORTED) for a mechanism that [`mechanisms`] doesn't have; and
/// see the module.
pub fn authenticate<P>(
    of: &Transport<P>,
    mechanism: &str,
    initial: Option<&[u8]>,
) -> Result<Deferred<Progress>, Failure> {
    let of = of.handle().of_the_host()?;
    Ok(Deferred::new(host::authenticate(of, mechanism, initial)?, host::progressed))
}

/// Goes on with the transport's exchange: the peer's answer to a challenge.
///
/// # Errors
/// See the module.
pub fn respond<P>(of: &Transport<P>, data: &[u8]) -> Result<Deferred<Progress>, Failure> {
    Ok(Deferred::new(host::respond(of.handle().of_the_host()?, data)?, host::progressed))
}

/// Gives the transport's exchange up, if there is one: the peer has cancelled it. A deferred of it
/// that has not fired fires with [`CANCELLED`](crate::code::CANCELLED).
pub fn give_up<P>(of: &Transport<P>) {
    if let Ok(of) = of.handle().of_the_host() {
        host::give_up(of);
    }
}

/// Checks a name and a password without an exchange, for protocols that have a command of their own:
/// the user's name.
///
/// # Errors
/// [`UNSUPPORTED`](crate::code::UNSUPPORTED) where `PLAIN` can't be offered; and see the module.
pub fn verify<P>(
    of: &Transport<P>,
    name: &str,
    password: &[u8],
) -> Result<Deferred<String>, Failure> {
    let of = of.handle().of_the_host()?;
    Ok(Deferred::new(host::verify(of, name, password)?, host::verified))
}
