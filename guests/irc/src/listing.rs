//! Replies that may be long: they are sent in parts, each once its client has taken the one before,
//! so that they never count as a slow reader's fault. Meanwhile the client's next line waits.

use std::collections::VecDeque;

use crate::cap;
use crate::channel::Channel;
use crate::client::{Client, Held, Hold};
use crate::command::shown;
use crate::label::Label;
use crate::list::Listed;
use crate::message::{LINE_BYTES_MAX, Message};
use crate::modes::SECRET;
use crate::recalling::Recalled;
use crate::reply::*;
use crate::server::Server;
use crate::who::Sought;

/// Lines of one part.
pub(crate) const LINES_A_PART: usize = 50;

/// Entries of a table that are looked at for one part.
pub(crate) const LOOKED_AT_A_PART: usize = 2_000;

/// Channels with so many members are named at once, in the midst of a reply.
const NAMED_AT_ONCE: usize = 100;

/// A reply, and how far it has come.
pub(crate) enum Listing {
    /// Part of a conversation.
    History(Recalled),
    /// `LIST`.
    List(Listed),
    /// The members of channels.
    Names(VecDeque<u64>, Option<Client>),
    /// `WHO`.
    Who(Sought),
}

impl Server {
    /// Begins a reply in parts.
    pub(crate) fn begin_listing(&mut self, of: Client, listing: Listing) {
        let hold = Hold { label: Label::None, held: Held::Listing(listing) };
        self.clients[of].hold = Some(Box::new(hold));
        self.go_on(of);
    }

    /// A client takes the next part of its reply, if it is sent one.
    pub(crate) fn go_on(&mut self, of: Client) {
        let hold = self.clients[of].hold.as_deref();
        let is_listing = matches!(hold, Some(Hold { held: Held::Listing(_), .. }));
        if is_listing && !self.listings.contains(&of) {
            self.listings.push_back(of);
        }
    }

    /// Sends the next part of one client's reply. Whose transport is full is sent it later.
    pub(crate) fn list_on(&mut self) {
        while let Some(of) = self.listings.pop_front() {
            let takes = self.clients.get(of).is_some_and(|session| session.queued.get().is_none());
            let Some(hold) = (if takes { self.resume(of) } else { None }) else { continue };
            if let Held::Listing(listing) = hold.held
                && let Some(rest) = self.next_part(of, listing)
            {
                self.begin_listing(of, rest);
            }
            self.resumed(of);
            if !self.out.get_mut().is_empty() {
                return;
            }
        }
    }

    /// Sends a part, and gives what follows it.
    fn next_part(&mut self, of: Client, listing: Listing) -> Option<Listing> {
        match listing {
            Listing::History(recalled) => self.recall_on(of, recalled).map(Listing::History),
            Listing::List(listed) => self.list_part(of, listed).map(Listing::List),
            Listing::Names(channels, last) => self.names_part(of, channels, last),
            Listing::Who(sought) => self.who_part(of, sought).map(Listing::Who),
        }
    }

    /// `NAMES channel,…`.
    pub(crate) fn names(&mut self, of: Client, message: &Message<'_>) {
        let Some(names) = message.given(0) else {
            return self.reply(of, RPL_ENDOFNAMES, format_args!("* :End of /NAMES list"));
        };
        for (count, name) in names.split(',').filter(|name| !name.is_empty()).enumerate() {
            if count == self.config.targets {
                return self.too_many_targets(of, name);
            }
            let number = self.channel_names.get(crate::casemap::fold(name).as_str()).copied();
            let seen = number.filter(|&number| {
                self.channels.get(number).is_some_and(|channel| self.sees(of, channel))
            });
            match seen {
                Some(number) => self.name_members(of, number),
                None => {
                    let text = format_args!("{} :End of /NAMES list", shown(name));
                    self.reply(of, RPL_ENDOFNAMES, text);
                }
            }
        }
    }

    /// Names the members of a channel, at once or behind what is being listed already.
    pub(crate) fn name_members(&mut self, of: Client, number: u64) {
        if let Some(Hold { held: Held::Listing(Listing::Names(channels, _)), .. }) =
            self.clients[of].hold.as_deref_mut()
        {
            channels.push_back(number);
            return;
        }
        let Some(channel) = self.channels.get(number) else { return };
        if channel.len() > NAMED_AT_ONCE {
            return self.begin_listing(of, Listing::Names(VecDeque::from([number]), None));
        }
        let mut last = None;
        while let Some(next) = self.names_line(of, channel, last) {
            last = Some(next);
        }
        self.end_of_names(of, channel);
    }

    fn names_part(
        &mut self,
        of: Client,
        mut channels: VecDeque<u64>,
        mut last: Option<Client>,
    ) -> Option<Listing> {
        let mut lines = 0;
        while let Some(&number) = channels.front() {
            // A channel that has ended meanwhile has no members to name.
            if let Some(channel) = self.channels.get(number) {
                while let Some(next) = self.names_line(of, channel, last) {
                    last = Some(next);
                    lines += 1;
                    if lines == LINES_A_PART {
                        return Some(Listing::Names(channels, last));
                    }
                }
                self.end_of_names(of, channel);
            }
            channels.pop_front();
            last = None;
        }
        None
    }

    /// Sends one line of members, those behind the last that was named; none where there are none.
    /// From outside one sees only those whom one may see.
    fn names_line(&self, of: Client, channel: &Channel, last: Option<Client>) -> Option<Client> {
        let session = &self.clients[of];
        let all = session.caps.has(cap::MULTI_PREFIX);
        let with_hosts = session.caps.has(cap::USERHOST_IN_NAMES);
        let kind = if channel.modes.has(SECRET) { '@' } else { '=' };
        let (server, nick, name) = (&self.config.name, &session.nick, &channel.name);
        let overhead = server.len() + nick.len() + name.len() + ":  353  = :\r\n".len();
        let room = LINE_BYTES_MAX.saturating_sub(overhead);
        let is_member = channel.status(of).is_some();
        let (mut line, mut named) = (String::new(), None);
        let members = channel.members_behind(last);
        for (client, status) in members.filter(|&(it, _)| is_member || self.is_visible(of, it)) {
            let member = &self.clients[client];
            let prefixes = status.prefixes(all);
            let before = line.len();
            let between = if line.is_empty() { "" } else { " " };
            line.push_str(between);
            line.push_str(prefixes);
            match with_hosts {
                true => line.push_str(&member.to_string()),
                false => line.push_str(&member.nick),
            }
            if line.len() > room && named.is_some() {
                line.truncate(before);
                break;
            }
            named = Some(client);
        }
        named?;
        self.reply(of, RPL_NAMREPLY, format_args!("{kind} {name} :{line}"));
        named
    }

    fn end_of_names(&self, of: Client, channel: &Channel) {
        let text = format_args!("{} :End of /NAMES list", channel.name);
        self.reply(of, RPL_ENDOFNAMES, text);
    }
}
