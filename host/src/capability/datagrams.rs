//! What a plugin can ask of a socket for datagrams, in the plugin's words.

/// Which datagrams of a group of IP multicast are wanted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Membership {
    /// The group's address.
    pub group: String,
    /// The interface on which it is joined, by its name.
    pub interface: Option<String>,
    /// The one sender that is wanted.
    pub source: Option<String>,
}

/// A property of a socket: see `datagrams.socket` of the contract.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "each is an item of the contract, which says what it does")]
pub enum SocketOption {
    Broadcast(bool),
    MulticastInterface(Box<str>),
    MulticastLoopback(bool),
    MulticastTtl(u8),
}
