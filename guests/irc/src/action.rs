//! What the server asks of whoever drives it, and what that answers.

use std::fmt::{self, Debug, Formatter};
use std::ops::Range;

use crate::client::Client;
use crate::history::{Entry, Selection};

/// Something to be done, in the order in which [`next_action`](crate::Server::next_action) gives it.
#[derive(Debug)]
pub enum Action {
    /// Close a client's connection now: it doesn't take what is queued for it.
    Abort {
        /// Which is no longer the server's.
        of: Client,
    },
    /// Answer a question, by [`answered`](crate::Server::answered); some want no answer.
    Ask {
        /// Its number.
        question: u64,
        /// For whom it is asked. Where that client is gone the answer changes nothing.
        of: Option<Client>,
        /// The question. A box, since actions are mostly sends.
        what: Box<Question>,
    },
    /// Close a client's connection once all is sent.
    Close {
        /// Which is no longer the server's.
        of: Client,
    },
    /// Tell the operator something.
    Log(String),
    /// Read nothing more from a client, for the time being.
    Pause {
        /// Whose lines wait for something that isn't its own fault.
        of: Client,
    },
    /// Read from a client again.
    Resume {
        /// Who was paused.
        of: Client,
    },
    /// Send some bytes.
    Send {
        /// To whom.
        to: Client,
        /// Which, as [`bytes`](crate::Server::bytes) has them. Many sends may name the same.
        bytes: Range<usize>,
    },
    /// Begin TLS in mid-stream, behind what was sent so far; [`secured`](crate::Server::secured) says
    /// that it is done. Bytes that came in clear behind the request are forgotten.
    StartTls {
        /// With whom.
        of: Client,
    },
}

/// What the server can't know. Its `Debug` shows no secret.
pub enum Question {
    /// The first step of a client's SASL exchange (RFC 4422). Answered by `Challenge`, `Identity` or
    /// `Refused`.
    Authenticate {
        /// One of those that the client's peer may use.
        mechanism: String,
        /// The initial response, which may be empty.
        initial: Option<Vec<u8>>,
    },
    /// The client has given its exchange up. No answer.
    GiveUp,
    /// A part of a conversation. Answered by `Messages` or `Refused`.
    History {
        /// Which conversation.
        target: String,
        /// Which part of it.
        selection: Selection,
        /// So many messages at most.
        limit: u32,
    },
    /// A message for the history. No answer.
    Keep(Entry),
    /// The next step of a client's SASL exchange. Answered as the first.
    Respond {
        /// What the client says.
        data: Vec<u8>,
    },
    /// The conversations that had messages in some time. Answered by `Targets` or `Refused`.
    Targets {
        /// The channels that the client is in, as keys of conversations.
        channels: Vec<String>,
        /// The client's account, whose private conversations it may see.
        account: Option<String>,
        /// Later than this, in milliseconds since 1970.
        after: u64,
        /// And earlier than this.
        before: u64,
        /// So many conversations at most.
        limit: u32,
    },
    /// Whether a name and a password belong together. Answered by `Identity` or `Refused`.
    Verify {
        /// The user's name.
        name: String,
        /// The password.
        password: Vec<u8>,
    },
}

impl Debug for Question {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Question::Authenticate { mechanism, .. } => {
                f.debug_struct("Authenticate").field("mechanism", mechanism).finish_non_exhaustive()
            }
            Question::GiveUp => f.write_str("GiveUp"),
            Question::History { target, selection, limit } => {
                let mut parts = f.debug_struct("History");
                parts.field("target", target).field("selection", selection);
                parts.field("limit", limit).finish()
            }
            Question::Keep(entry) => f.debug_tuple("Keep").field(entry).finish(),
            Question::Respond { .. } => f.debug_struct("Respond").finish_non_exhaustive(),
            Question::Targets { after, before, .. } => {
                let mut parts = f.debug_struct("Targets");
                parts.field("after", after).field("before", before).finish_non_exhaustive()
            }
            Question::Verify { name, .. } => {
                f.debug_struct("Verify").field("name", name).finish_non_exhaustive()
            }
        }
    }
}

/// The answer to a [`Question`].
#[derive(Clone, Debug)]
pub enum Answer {
    /// What the client has to be told in its SASL exchange; its response is the next question.
    Challenge(Vec<u8>),
    /// Who somebody is.
    Identity {
        /// The user's name.
        name: String,
        /// What the client has to be told at the end of its SASL exchange, if anything.
        data: Option<Vec<u8>>,
    },
    /// The message is kept. The server doesn't wait for it.
    Kept,
    /// A part of a conversation, the oldest first.
    Messages(Vec<Entry>),
    /// It can't be answered.
    Refused {
        /// `denied`, `limit`, `unsupported`, `invalid` or another of the SDK's codes of failures.
        code: String,
        /// Why, for the operator.
        message: String,
    },
    /// Conversations, each with the moment of its last message in milliseconds since 1970, the
    /// earliest first.
    Targets(Vec<(String, u64)>),
}
