//! What was said, and how one asks for it (IRCv3's chathistory).

/// A message that is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The conversation: a channel's name in lower case, or the two accounts of a private
    /// conversation, as [`private`] writes them.
    pub target: String,
    /// The message's own id.
    pub msgid: String,
    /// When, in milliseconds since 1970.
    pub time: u64,
    /// `PRIVMSG` or `NOTICE`.
    pub command: String,
    /// From whom: `nick!user@host`.
    pub source: String,
    /// The account of whom it is from.
    pub account: Option<String>,
    /// To whom, as it was sent: a channel or a nickname.
    pub recipient: String,
    /// The tags that its sender gave it, as they were written; mostly empty.
    pub tags: String,
    /// What was said.
    pub text: String,
}

/// A moment in a conversation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Point {
    /// The message with this id.
    Id(String),
    /// In milliseconds since 1970.
    Time(u64),
}

/// Which messages of a conversation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Selection {
    /// The first behind a point.
    After(Point),
    /// The nearest on both sides of a point.
    Around(Point),
    /// The last before a point.
    Before(Point),
    /// Those between two points without either; from the first point on, whichever is earlier.
    Between(Point, Point),
    /// The last of all; behind a point, where there is one.
    Latest(Option<Point>),
}

/// The key of the private conversation of two accounts. No channel's name has a space in it.
pub fn private(one: &str, other: &str) -> String {
    let mut accounts = [one.to_ascii_lowercase(), other.to_ascii_lowercase()];
    accounts.sort();
    accounts.join(" ")
}
