//! One channel (RFC 2811).

use crate::client::{Client, Session};
use crate::mask;
use crate::modes::{ChannelModes, Status};

/// What the server knows of a channel. It is there as long as it has members.
pub(crate) struct Channel {
    /// As it was written by who made it.
    pub(crate) name: Box<str>,
    /// When it was made, in seconds since 1970.
    pub(crate) created: u64,
    pub(crate) topic: Option<Topic>,
    pub(crate) modes: ChannelModes,
    pub(crate) key: Option<Box<str>>,
    /// How many members it may have.
    pub(crate) limit: Option<u32>,
    pub(crate) bans: Vec<Mask>,
    pub(crate) exceptions: Vec<Mask>,
    /// Whom the mode `i` does not keep out.
    pub(crate) invitations: Vec<Mask>,
    /// By client. Small, since a client may be in many and there may be many of them.
    members: Vec<(Client, Status)>,
}

/// What a channel is about.
pub(crate) struct Topic {
    pub(crate) text: Box<str>,
    /// Who has set it.
    pub(crate) by: Box<str>,
    /// When, in seconds since 1970.
    pub(crate) at: u64,
}

/// A mask in one of a channel's lists.
pub(crate) struct Mask {
    pub(crate) mask: Box<str>,
    pub(crate) by: Box<str>,
    pub(crate) at: u64,
}

impl Channel {
    pub(crate) fn new(name: &str, created: u64, modes: ChannelModes) -> Self {
        Channel {
            name: name.into(),
            created,
            topic: None,
            modes,
            key: None,
            limit: None,
            bans: Vec::new(),
            exceptions: Vec::new(),
            invitations: Vec::new(),
            members: Vec::new(),
        }
    }

    /// What a client is in the channel; none where it isn't a member.
    pub(crate) fn status(&self, of: Client) -> Option<Status> {
        self.place(of).ok().map(|place| self.members[place].1)
    }

    pub(crate) fn status_mut(&mut self, of: Client) -> Option<&mut Status> {
        let place = self.place(of).ok()?;
        Some(&mut self.members[place].1)
    }

    pub(crate) fn add(&mut self, client: Client, status: Status) {
        if let Err(place) = self.place(client) {
            self.members.insert(place, (client, status));
        }
    }

    pub(crate) fn remove(&mut self, client: Client) {
        if let Ok(place) = self.place(client) {
            self.members.remove(place);
        }
    }

    fn place(&self, of: Client) -> Result<usize, usize> {
        self.members.binary_search_by_key(&of, |&(client, _)| client)
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (Client, Status)> {
        self.members.iter().copied()
    }

    /// The members behind a client, or all: what goes through them in steps keeps the last client.
    pub(crate) fn members_behind(
        &self,
        last: Option<Client>,
    ) -> impl Iterator<Item = (Client, Status)> {
        let start = last.map_or(0, |last| match self.place(last) {
            Ok(place) => place + 1,
            Err(place) => place,
        });
        self.members[start..].iter().copied()
    }

    /// All members but one.
    pub(crate) fn others(&self, than: Client) -> impl Iterator<Item = Client> {
        self.members().map(|(client, _)| client).filter(move |&client| client != than)
    }

    /// Whether a client is banned, and no exception is made for it.
    pub(crate) fn bans(&self, session: &Session) -> bool {
        if self.bans.is_empty() {
            return false;
        }
        let source = session.to_string();
        let matched =
            |masks: &[Mask]| masks.iter().any(|entry| mask::matches(&entry.mask, &source));
        matched(&self.bans) && !matched(&self.exceptions)
    }

    /// Whether a client is invited by a mask.
    pub(crate) fn invites(&self, session: &Session) -> bool {
        let source = session.to_string();
        self.invitations.iter().any(|entry| mask::matches(&entry.mask, &source))
    }

    /// The modes as `MODE` tells them; the parameters to members alone.
    pub(crate) fn modes_text(&self, to_member: bool) -> String {
        let mut text = format!("+{}", self.modes.letters());
        let mut parameters = String::new();
        if let Some(key) = &self.key {
            text.push('k');
            parameters.push_str(&format!(" {key}"));
        }
        if let Some(limit) = self.limit {
            text.push('l');
            parameters.push_str(&format!(" {limit}"));
        }
        if to_member { text + &parameters } else { text }
    }
}

/// Whether a channel may have this name (RFC 2812, section 1.3).
pub(crate) fn is_name(name: &str, length: usize) -> bool {
    is_channel(name)
        && (2..=length).contains(&name.len())
        && !name.contains([' ', ',', ':', '\x07'])
        && !name.chars().any(char::is_control)
}

/// Whether a target is meant to be a channel.
pub(crate) fn is_channel(target: &str) -> bool {
    target.starts_with(['#', '&'])
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn names_of_channels_have_a_prefix_and_no_separators() {
        for name in ["#a", "&local", "#ünïcode", "##"] {
            assert!(is_name(name, 20), "{name}");
        }
        for name in ["", "#", "a", "#a b", "#a,b", "#a\x07", "#a:b", "#a\u{9f}", "+a"] {
            assert!(!is_name(name, 20), "{name}");
        }
        assert!(!is_name("#abc", 3));
    }
}
