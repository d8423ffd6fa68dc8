//! What stands behind the grants: each capability's types, and what answers its questions.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

pub mod credentials;
pub mod datagrams;
pub mod files;
pub mod key_value;
pub mod operation;
pub mod resolver;
pub mod sql;
pub mod tls_session;

use credentials::Progress;
use files::{Entry, OpenFile};
use sql::{Execution, Rows, Value};

/// What a deferred came to. The interface that was asked takes it.
#[derive(Debug)]
pub enum Outcome {
    /// A name was looked up.
    Addresses(Arc<[SocketAddr]>),
    /// Statements were executed as one transaction.
    Batched(Vec<Execution>),
    /// A value was compared, and set where it was the expected one.
    Compared(bool),
    /// A connection was made, and its protocol built.
    Connected {
        /// The reactor's number for it.
        conn: u64,
    },
    /// A key was set or deleted.
    Done,
    /// A timer's time has passed.
    Elapsed,
    /// A folder was listed.
    Entries(Vec<Entry>),
    /// A statement was executed.
    Executed(Execution),
    /// Any of them went wrong.
    Failed(Failure),
    /// A file or a folder was opened.
    File(Arc<OpenFile>),
    /// A name and a password are a user's: the user's name.
    Identity(String),
    /// A key was read.
    Got(Option<Vec<u8>>),
    /// An endpoint was bound.
    Listening {
        /// The number by which the plugin names it.
        listener: u64,
        /// Where it listens.
        address: Address,
    },
    /// A job has ended.
    Output(Vec<u8>),
    /// A group was joined.
    Joined {
        /// The number of the socket that did.
        socket: u64,
        /// What was joined.
        membership: Box<datagrams::Membership>,
    },
    /// A step of an exchange was taken.
    Progress(Progress),
    /// A query was answered.
    Rows(Rows),
    /// A handshake of TLS is over.
    Secured,
    /// Keys were scanned.
    Scanned(Vec<key_value::Entry>),
}

impl Outcome {
    /// Roughly what it holds of the host's memory, in bytes; what others share counts nothing.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Batched(done) => size_of_val(&done[..]),
            Self::Entries(entries) => {
                entries.iter().map(|entry| entry.name.len() + size_of::<Entry>()).sum()
            }
            Self::Got(value) => value.as_ref().map_or(0, Vec::len),
            Self::Output(output) => output.len(),
            Self::Rows(rows) => {
                let names: usize = rows.columns.iter().map(String::len).sum();
                names + rows.rows.iter().flatten().map(Value::size).sum::<usize>()
            }
            Self::Scanned(entries) => entries.iter().map(|e| e.key.len() + e.value.len()).sum(),
            Self::Failed(failure) => failure.message.len(),
            Self::Identity(name) => name.len(),
            Self::Progress(Progress::Challenge(data)) => data.len(),
            Self::Progress(Progress::Success { identity, data }) => {
                identity.len() + data.as_ref().map_or(0, Vec::len)
            }
            Self::Addresses(_)
            | Self::Compared(_)
            | Self::Connected { .. }
            | Self::Done
            | Self::Elapsed
            | Self::Executed(_)
            | Self::File(_)
            | Self::Joined { .. }
            | Self::Listening { .. }
            | Self::Secured => 0,
        }
    }
}

/// One end of a connection, as the contract has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Address {
    /// Of standard input and output, where they are no socket.
    Stdio,
    /// Of TCP.
    Tcp(IpAddr, u16),
    /// Of UDP.
    Udp(IpAddr, u16),
    /// Of a Unix socket.
    Unix(Box<str>),
}

/// Why a question has no answer: `types.failure` of the contract, which lists the codes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// A code of the contract, or of a plugin's job.
    pub code: Cow<'static, str>,
    /// What, where and what would be right.
    pub message: String,
    /// The key of the limit of the service that was reached, where one was.
    pub limit: Option<&'static str>,
}

impl Failure {
    /// A failure with one of the contract's codes.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code: Cow::Borrowed(code), message: message.into(), limit: None }
    }

    /// A limit of the service was reached: its key, and what there was too much of.
    pub fn limit(key: &'static str, what: impl fmt::Display) -> Self {
        Self { limit: Some(key), ..Self::new("limit", format!("limits.{key}: {what}")) }
    }

    /// What a cancelled deferred fires with.
    pub fn cancelled() -> Self {
        Self::new("cancelled", "it was cancelled")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}
