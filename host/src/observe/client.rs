//! The other end of the admin socket, for the command.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::admin::{Answer, Request};

/// A connection to a host's admin socket.
pub struct Client(BufReader<UnixStream>);

impl Client {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// Where nobody listens there, or this user may not ask.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Asks, and waits for the answer: ten seconds, but as long as it takes for what a reload came to.
    ///
    /// # Errors
    /// Where the connection fails, or what comes is no answer (`InvalidData`).
    pub fn ask(&mut self, request: &Request) -> io::Result<Answer> {
        let patience = (*request != Request::Reload).then_some(PATIENCE);
        self.0.get_ref().set_read_timeout(patience)?;
        self.0.get_mut().write_all(request.to_line().as_bytes())?;
        let mut line = Vec::new();
        self.0.by_ref().take(ANSWER_BYTES).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Answer::from_line(&line).map_err(|why| io::Error::new(ErrorKind::InvalidData, why))
    }
}

/// How long the host may be silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer, in bytes.
const ANSWER_BYTES: u64 = 64 << 20;
