//! Files below the folder that the service grants with `files = { read = "FOLDER" }`.
//!
//! Paths are relative to that folder, with `/` between their parts. A path that leads out of
//! the folder fails [`DENIED`](crate::code::DENIED). A plugin that uses this module needs the
//! grant.
//!
//! ```no_run
//! use torsade_guest::{Failure, Transport, files};
//!
//! /// Sends a file and closes the connection.
//! async fn send<P: 'static>(transport: Transport<P>, path: &str) -> Result<(), Failure> {
//!     let file = files::open(path)?.await?;
//!     file.send(&transport, 0, file.metadata().size)?;
//!     transport.lose_connection();
//!     Ok(())
//! }
//! ```

use crate::bindings::torsade::plugin::files as host;
use crate::deferred::Deferred;
use crate::testing::Question;
use crate::transport::Transport;
use crate::types::Failure;

pub use crate::bindings::torsade::plugin::files::{Entry, Kind, Metadata};

/// Opens a file or a folder for reading. The empty path, and `.`, name the granted folder.
///
/// A file that was opened less than a second ago is answered at once, without a system call.
/// The deferred fails with [`NOT_FOUND`](crate::code::NOT_FOUND), [`DENIED`](crate::code::DENIED),
/// [`IO`](crate::code::IO) or [`LIMIT`](crate::code::LIMIT).
///
/// # Errors
/// [`LIMIT`](crate::code::LIMIT) where the service's `deferreds` are all in flight.
pub fn open(path: &str) -> Result<Deferred<File>, Failure> {
    let question = || Question::Open(path.to_owned());
    Deferred::ask(question, || host::open(path), |outcome| host::opened(outcome).map(File))
}

/// Lists a folder, in the order of its names' bytes.
///
/// The deferred fails with [`NOT_FOUND`](crate::code::NOT_FOUND), [`DENIED`](crate::code::DENIED),
/// [`IO`](crate::code::IO), or [`LIMIT`](crate::code::LIMIT) for a folder of more than 10,000
/// entries.
///
/// # Errors
/// [`LIMIT`](crate::code::LIMIT) where the service's `deferreds` are all in flight.
pub fn list(path: &str) -> Result<Deferred<Vec<Entry>>, Failure> {
    Deferred::ask(|| Question::List(path.to_owned()), || host::list(path), host::listed)
}

/// An open file or folder. It stays what it was when the name comes to mean another file.
#[derive(Debug)]
pub struct File(host::File);

impl File {
    /// What was known about it when it was opened, at most one second ago.
    pub fn metadata(&self) -> Metadata {
        self.0.metadata()
    }

    /// The whole content of a file of at most 16 KiB; none for a larger one, or a folder.
    pub fn content(&self) -> Option<Vec<u8>> {
        self.0.content()
    }

    /// Queues `length` bytes of the file, from `offset`, behind all that was queued on the
    /// transport before. The host moves them: they don't pass through the plugin, and count
    /// nothing against the transport's [`room`](Transport::room).
    ///
    /// If the file has become shorter when its turn comes, the connection is aborted.
    ///
    /// # Errors
    /// [`LIMIT`](crate::code::LIMIT) where the range ends beyond the file's size, and
    /// [`UNSUPPORTED`](crate::code::UNSUPPORTED) for a folder.
    pub fn send<P>(&self, to: &Transport<P>, offset: u64, length: u64) -> Result<(), Failure> {
        self.0.send(to.handle().of_the_host()?, offset, length)
    }
}
