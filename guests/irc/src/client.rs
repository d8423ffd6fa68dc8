//! What the server knows of one client.

use std::cell::Cell;
use std::ops::{Index, IndexMut};
use std::rc::Rc;

use crate::arena::{self, Arena};
use crate::cap::Caps;
use crate::label::Label;
use crate::listing::Listing;
use crate::modes::UserModes;
use crate::question::Asked;
use crate::registration::Registration;
use crate::sasl::Exchange;

/// The number of a client, which is never used again.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Client(pub(crate) u64);

impl Client {
    /// A small number that no other client has at the same time: the place of the client in a table
    /// of one's own.
    pub fn index(self) -> usize {
        arena::index(self.0)
    }
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Peer {
    /// The address or the name by which other clients know it.
    pub host: String,
    /// Whether the connection is encrypted.
    pub is_secure: bool,
    /// Whether it is a Unix socket.
    pub local: bool,
    /// SHA-256 of the client's certificate in lower-case hexadecimal, where it has shown one.
    pub fingerprint: Option<String>,
    /// The mechanisms of SASL that it may use, the best first.
    pub mechanisms: Vec<String>,
}

/// Everything of one client. There may be very many that do nothing, so what is seldom needed is in
/// a box.
pub(crate) struct Session {
    pub(crate) host: Box<str>,
    pub(crate) is_secure: bool,
    pub(crate) is_local: bool,
    pub(crate) fingerprint: Option<Box<str>>,
    /// Shared by all clients that have the same.
    pub(crate) mechanisms: Rc<[String]>,
    /// Empty until there is one; it may change until the client is registered.
    pub(crate) nick: Box<str>,
    pub(crate) user: Box<str>,
    pub(crate) real: Box<str>,
    pub(crate) account: Option<Rc<str>>,
    pub(crate) away: Option<Box<str>>,
    pub(crate) caps: Caps,
    pub(crate) modes: UserModes,
    /// There until the client is registered.
    pub(crate) registration: Option<Box<Registration>>,
    /// Numbers of the channels that it is in.
    pub(crate) channels: Vec<u64>,
    /// Numbers of channels into which it was invited. They may be gone.
    pub(crate) invitations: Vec<u64>,
    /// The nicknames that it monitors, as it has written them.
    pub(crate) monitored: Vec<Box<str>>,
    /// What came and was not handled yet. It has no memory while it is empty.
    pub(crate) input: Vec<u8>,
    /// Whether the rest of a line that is too long is being skipped.
    pub(crate) is_skipping: bool,
    /// Whether TLS is being begun: nothing that comes is handled before it is over.
    pub(crate) is_starting_tls: bool,
    /// Whether its next line waits for actions to be taken.
    pub(crate) is_queued: bool,
    /// What its next line waits for.
    pub(crate) hold: Option<Box<Hold>>,
    pub(crate) is_paused: bool,
    /// The penalty clock: see `flood`.
    pub(crate) spent: u64,
    /// When something came from it last, by the monotonic clock.
    pub(crate) heard: u64,
    /// When it was sent a PING that nothing has followed.
    pub(crate) pinged: Option<u64>,
    /// When it has to be looked at.
    pub(crate) due: u64,
    /// When its last message was sent, or when it came, by the monotonic clock.
    pub(crate) spoke: u64,
    /// When it came, in seconds since 1970.
    pub(crate) since: u64,
    /// While its transport takes no more: the bytes that were sent since.
    pub(crate) queued: Cell<Option<usize>>,
    /// The last walk over clients that it was part of: see `neighbours`.
    pub(crate) visited: Cell<u64>,
    /// There while an exchange of SASL is going on.
    pub(crate) sasl: Option<Box<Exchange>>,
    pub(crate) sasl_failures: u8,
}

impl Session {
    pub(crate) fn is_registered(&self) -> bool {
        self.registration.is_none()
    }

    /// When it came, by the monotonic clock, where it is not registered yet.
    pub(crate) fn registration_began(&self) -> u64 {
        self.spoke
    }

    /// How replies address it.
    pub(crate) fn addressed(&self) -> &str {
        if self.nick.is_empty() { "*" } else { &self.nick }
    }
}

/// `nick!user@host`.
impl std::fmt::Display for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}!{}@{}", self.nick, self.user, self.host)
    }
}

/// The clients by their numbers. Indexing is for clients that are known to be there: a command's own
/// client stays until its command is done, and members of channels are clients.
pub(crate) struct Clients(Arena<Box<Session>>);

impl Clients {
    pub(crate) fn new() -> Self {
        Clients(Arena::new())
    }

    pub(crate) fn insert(&mut self, session: Session) -> Client {
        Client(self.0.insert(Box::new(session)))
    }

    pub(crate) fn remove(&mut self, client: Client) -> Option<Box<Session>> {
        self.0.remove(client.0)
    }

    pub(crate) fn get(&self, client: Client) -> Option<&Session> {
        self.0.get(client.0).map(|session| &**session)
    }

    pub(crate) fn get_mut(&mut self, client: Client) -> Option<&mut Session> {
        self.0.get_mut(client.0).map(|session| &mut **session)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Client, &Session)> {
        self.0.iter().map(|(number, session)| (Client(number), &**session))
    }

    /// Those from an index on, each with its index.
    pub(crate) fn from(&self, start: usize) -> impl Iterator<Item = (usize, Client, &Session)> {
        self.0.from(start).map(|(index, number, session)| (index, Client(number), &**session))
    }
}

impl Index<Client> for Clients {
    type Output = Session;

    fn index(&self, client: Client) -> &Session {
        self.get(client).expect("whoever runs a command, or is in a table, is a client")
    }
}

impl IndexMut<Client> for Clients {
    fn index_mut(&mut self, client: Client) -> &mut Session {
        self.get_mut(client).expect("whoever runs a command, or is in a table, is a client")
    }
}

/// Why the next line of a client has to wait.
pub(crate) struct Hold {
    /// The label of what is being answered.
    pub(crate) label: Label,
    pub(crate) held: Held,
}

/// What for.
pub(crate) enum Held {
    /// For the end of a reply that is sent in parts.
    Listing(Listing),
    /// For the answer to a question.
    Question(u64, Asked),
}
