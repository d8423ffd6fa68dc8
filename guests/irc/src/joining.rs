//! Into channels and out of them: `JOIN`, `PART`, `KICK`, `INVITE`, `TOPIC` (RFC 2812, section 3.2).

use crate::cap;
use crate::casemap::{fold, same};
use crate::channel::{Channel, Topic, is_channel, is_name};
use crate::client::Client;
use crate::command::shown;
use crate::config::REASON_BYTES_MAX;
use crate::message::Message;
use crate::modes::{ChannelModes, INVITE_ONLY, Status, TOPIC_GUARDED};
use crate::output::Tags;
use crate::registration::cut;
use crate::reply::*;
use crate::server::Server;

/// Channels or users that one `JOIN`, `PART` or `KICK` may name.
pub(crate) const NAMED_MAX: usize = 20;

impl Server {
    /// `JOIN channel,… [key,…]`, or `JOIN 0` to part from all.
    pub(crate) fn join(&mut self, of: Client, message: &Message<'_>) {
        let (names, keys) = (message.parameter(0), message.parameter(1));
        if names == "0" {
            for number in self.clients[of].channels.clone() {
                self.part_from(of, number, "Left all channels");
            }
            return;
        }
        let mut keys = keys.split(',');
        for (count, name) in names.split(',').filter(|name| !name.is_empty()).enumerate() {
            if count == NAMED_MAX {
                return self.too_many_targets(of, name);
            }
            let key = keys.next().filter(|key| !key.is_empty());
            self.join_one(of, name, key);
        }
    }

    fn join_one(&mut self, of: Client, name: &str, key: Option<&str>) {
        if !is_name(name, self.config.channel_length) {
            let numeric = if is_channel(name) { ERR_BADCHANMASK } else { ERR_NOSUCHCHANNEL };
            let text = format_args!("{} :Invalid channel name", shown(name));
            return self.reply(of, numeric, text);
        }
        let known = self.channel_names.get(fold(name).as_str()).copied();
        if known.is_some_and(|number| self.clients[of].channels.contains(&number)) {
            return;
        }
        if self.clients[of].channels.len() >= self.config.channels {
            let text = format_args!("{name} :You have joined too many channels");
            return self.reply(of, ERR_TOOMANYCHANNELS, text);
        }
        let number = match known {
            Some(number) => {
                if let Err((numeric, why)) = self.may_join(of, number, key) {
                    let name = &self.channels.get(number).map_or(name, |channel| &*channel.name);
                    let text = format_args!("{name} :Cannot join channel ({why})");
                    return self.reply(of, numeric, text);
                }
                number
            }
            None if self.counts.channels >= self.config.channels_total => {
                let text = format_args!("{name} :The server has too many channels");
                return self.reply(of, ERR_TOOMANYCHANNELS, text);
            }
            None => {
                let modes = ChannelModes::of(&self.config.channel_modes);
                let number = self.channels.insert(Channel::new(name, self.seconds(), modes));
                self.channel_names.insert(fold(name), number);
                self.counts.channels += 1;
                number
            }
        };
        self.enter(of, number);
    }

    /// Whether nothing keeps a client out of a channel; an operator's invitation lets it in whatever
    /// does.
    fn may_join(&self, of: Client, number: u64, key: Option<&str>) -> Result<(), (&str, &str)> {
        let Some(channel) = self.channels.get(number) else { return Ok(()) };
        let session = &self.clients[of];
        if session.invitations.contains(&number) {
            return Ok(());
        }
        if channel.modes.has(INVITE_ONLY) && !channel.invites(session) {
            return Err((ERR_INVITEONLYCHAN, "+i"));
        }
        if channel.bans(session) {
            return Err((ERR_BANNEDFROMCHAN, "+b"));
        }
        if channel.key.as_deref().is_some_and(|right| key != Some(right)) {
            return Err((ERR_BADCHANNELKEY, "+k"));
        }
        if channel.limit.is_some_and(|limit| channel.len() >= limit as usize) {
            return Err((ERR_CHANNELISFULL, "+l"));
        }
        Ok(())
    }

    /// Makes a client a member, and tells everybody.
    fn enter(&mut self, of: Client, number: u64) {
        let session = &mut self.clients[of];
        session.invitations.retain(|&invitation| invitation != number);
        session.channels.push(number);
        let Some(channel) = self.channels.get_mut(number) else { return };
        let status = if channel.len() == 0 { Status::OPERATOR } else { Status::default() };
        channel.add(of, status);
        self.announce(of, number);
        let (Some(channel), session) = (self.channels.get(number), &self.clients[of]) else {
            return;
        };
        if let Some(away) = &session.away {
            let others = channel.others(of).filter(|&other| self.has(other, cap::AWAY_NOTIFY));
            let tags = Tags { account: session.account.as_deref(), ..Tags::default() };
            self.relay(others, &tags, format_args!(":{session} AWAY :{away}"));
        }
        if channel.topic.is_some() {
            self.tell_topic(of, channel);
        }
        self.name_members(of, number);
    }

    /// Tells members that somebody has joined.
    fn announce(&self, of: Client, number: u64) {
        let (Some(channel), session) = (self.channels.get(number), &self.clients[of]) else {
            return;
        };
        let account = session.account.as_deref();
        let tags = Tags { account, ..Tags::default() };
        let name = &channel.name;
        let members = |extended: bool| {
            let members = channel.members().map(|(client, _)| client);
            members.filter(move |&client| self.has(client, cap::EXTENDED_JOIN) == extended)
        };
        self.relay(members(false), &tags, format_args!(":{session} JOIN {name}"));
        let (account, real) = (account.unwrap_or("*"), &session.real);
        let body = format_args!(":{session} JOIN {name} {account} :{real}");
        self.relay(members(true), &tags, body);
    }

    /// `PART channel,… [:reason]`.
    pub(crate) fn part(&mut self, of: Client, message: &Message<'_>) {
        let reason = cut(message.parameter(1), REASON_BYTES_MAX);
        let names = message.parameter(0).split(',').filter(|name| !name.is_empty());
        for (count, name) in names.enumerate() {
            if count == NAMED_MAX {
                return self.too_many_targets(of, name);
            }
            if let Some(number) = self.own_channel(of, name) {
                self.part_from(of, number, reason);
            }
        }
    }

    fn part_from(&mut self, of: Client, number: u64, reason: &str) {
        let Some(channel) = self.channels.get(number) else { return };
        let (session, name) = (&self.clients[of], &channel.name);
        let tags = Tags { account: session.account.as_deref(), ..Tags::default() };
        let members = channel.members().map(|(client, _)| client);
        match reason {
            "" => self.relay(members, &tags, format_args!(":{session} PART {name}")),
            _ => self.relay(members, &tags, format_args!(":{session} PART {name} :{reason}")),
        }
        self.clients[of].channels.retain(|&other| other != number);
        self.remove_member(number, of);
    }

    /// The channel of this name that a client is in; where it is in none, it is told why.
    pub(crate) fn own_channel(&self, of: Client, name: &str) -> Option<u64> {
        let number = self.channel(of, name)?;
        if self.clients[of].channels.contains(&number) {
            return Some(number);
        }
        let text = format_args!("{} :You're not on that channel", shown(name));
        self.reply(of, ERR_NOTONCHANNEL, text);
        None
    }

    /// The channel of this name; where there is none, the client is told.
    pub(crate) fn channel(&self, of: Client, name: &str) -> Option<u64> {
        let found = self.channel_names.get(fold(name).as_str()).copied();
        if found.is_none() {
            let text = format_args!("{} :No such channel", shown(name));
            self.reply(of, ERR_NOSUCHCHANNEL, text);
        }
        found
    }

    /// The channel of this name of which a client is an operator; where it isn't, it is told why.
    pub(crate) fn operated(&self, of: Client, name: &str) -> Option<u64> {
        let number = self.own_channel(of, name)?;
        let channel = self.channels.get(number)?;
        if channel.status(of).is_some_and(Status::is_operator) {
            return Some(number);
        }
        let text = format_args!("{} :You're not channel operator", channel.name);
        self.reply(of, ERR_CHANOPRIVSNEEDED, text);
        None
    }

    pub(crate) fn too_many_targets(&self, of: Client, target: &str) {
        let text = format_args!("{} :Too many targets", shown(target));
        self.reply(of, ERR_TOOMANYTARGETS, text);
    }

    /// `KICK channel user,… [:reason]`.
    pub(crate) fn kick(&mut self, of: Client, message: &Message<'_>) {
        let Some(number) = self.operated(of, message.parameter(0)) else { return };
        let nicks = message.parameter(1).split(',').filter(|nick| !nick.is_empty());
        let reason = match cut(message.parameter(2), REASON_BYTES_MAX) {
            "" => self.clients[of].nick.to_string(),
            reason => reason.to_owned(),
        };
        for (count, nick) in nicks.enumerate() {
            if count == NAMED_MAX {
                return self.too_many_targets(of, nick);
            }
            self.kick_one(of, number, nick, &reason);
        }
    }

    fn kick_one(&mut self, of: Client, number: u64, nick: &str, reason: &str) {
        let Some(channel) = self.channels.get(number) else { return };
        let found = self.find(nick);
        let member = found.filter(|&client| channel.status(client).is_some());
        let Some(kicked) = member else {
            let (nick, name) = (shown(nick), &channel.name);
            return match found {
                Some(_) => {
                    let text = format_args!("{nick} {name} :They aren't on that channel");
                    self.reply(of, ERR_USERNOTINCHANNEL, text);
                }
                None => self.no_such_nick(of, nick),
            };
        };
        let (session, name) = (&self.clients[of], &channel.name);
        let nick = &self.clients[kicked].nick;
        let tags = Tags { account: session.account.as_deref(), ..Tags::default() };
        let members = channel.members().map(|(client, _)| client);
        self.relay(members, &tags, format_args!(":{session} KICK {name} {nick} :{reason}"));
        self.clients[kicked].channels.retain(|&other| other != number);
        self.remove_member(number, kicked);
    }

    pub(crate) fn no_such_nick(&self, of: Client, nick: &str) {
        let text = format_args!("{} :No such nick/channel", shown(nick));
        self.reply(of, ERR_NOSUCHNICK, text);
    }

    /// `INVITE nick channel`, or `INVITE` for one's own invitations.
    pub(crate) fn invite(&mut self, of: Client, message: &Message<'_>) {
        match message.parameters() {
            [] => self.tell_invitations(of),
            [_] => self.needs_more(of, "INVITE"),
            [nick, name, ..] => self.invite_one(of, nick, name),
        }
    }

    fn tell_invitations(&self, of: Client) {
        for &number in &self.clients[of].invitations {
            if let Some(channel) = self.channels.get(number) {
                self.reply(of, RPL_INVITELIST, format_args!("{}", channel.name));
            }
        }
        self.reply(of, RPL_ENDOFINVITELIST, format_args!(":End of invite list"));
    }

    fn invite_one(&mut self, of: Client, nick: &str, name: &str) {
        let Some(invited) = self.find(nick) else { return self.no_such_nick(of, nick) };
        let Some(number) = self.own_channel(of, name) else { return };
        let Some(channel) = self.channels.get(number) else { return };
        let name = &channel.name;
        let is_operator = channel.status(of).is_some_and(Status::is_operator);
        if channel.modes.has(INVITE_ONLY) && !is_operator {
            let text = format_args!("{name} :You're not channel operator");
            return self.reply(of, ERR_CHANOPRIVSNEEDED, text);
        }
        let (session, nick) = (&self.clients[of], &self.clients[invited].nick);
        if channel.status(invited).is_some() {
            let text = format_args!("{nick} {name} :is already on channel");
            return self.reply(of, ERR_USERONCHANNEL, text);
        }
        self.reply(of, RPL_INVITING, format_args!("{nick} {name}"));
        let tags = Tags { account: session.account.as_deref(), ..Tags::default() };
        let body = format_args!(":{session} INVITE {nick} {name}");
        self.send(invited, &tags, body);
        let others = channel.others(of).filter(|&other| self.has(other, cap::INVITE_NOTIFY));
        self.relay(others, &tags, body);
        if let Some(away) = &self.clients[invited].away {
            self.reply(of, RPL_AWAY, format_args!("{nick} :{away}"));
        }
        // Who may not change what keeps others out can't let them in either.
        if !is_operator {
            return;
        }
        let limit = self.config.invitations;
        let invitations = &mut self.clients[invited].invitations;
        invitations.retain(|&other| other != number && self.channels.get(other).is_some());
        if invitations.len() >= limit {
            invitations.remove(0);
        }
        invitations.push(number);
    }

    /// `TOPIC channel [:topic]`.
    pub(crate) fn topic(&mut self, of: Client, message: &Message<'_>) {
        let Some(number) = self.own_channel(of, message.parameter(0)) else { return };
        let Some(channel) = self.channels.get(number) else { return };
        if message.parameters().len() < 2 {
            return self.tell_topic(of, channel);
        }
        let is_operator = channel.status(of).is_some_and(Status::is_operator);
        if channel.modes.has(TOPIC_GUARDED) && !is_operator {
            let text = format_args!("{} :You're not channel operator", channel.name);
            return self.reply(of, ERR_CHANOPRIVSNEEDED, text);
        }
        let text = cut(message.parameter(1), self.config.topic_length);
        let (session, name) = (&self.clients[of], &channel.name);
        let topic = Topic { text: text.into(), by: session.to_string().into(), at: self.seconds() };
        let tags = Tags { account: session.account.as_deref(), ..Tags::default() };
        let members = channel.members().map(|(client, _)| client);
        self.relay(members, &tags, format_args!(":{session} TOPIC {name} :{text}"));
        let is_empty = text.is_empty();
        if let Some(channel) = self.channels.get_mut(number) {
            channel.topic = if is_empty { None } else { Some(topic) };
        }
    }

    fn tell_topic(&self, of: Client, channel: &Channel) {
        let name = &channel.name;
        match &channel.topic {
            Some(Topic { text, by, at }) => {
                self.reply(of, RPL_TOPIC, format_args!("{name} :{text}"));
                self.reply(of, RPL_TOPICWHOTIME, format_args!("{name} {by} {at}"));
            }
            None => self.reply(of, RPL_NOTOPIC, format_args!("{name} :No topic is set")),
        }
    }

    /// The members of a channel that a client isn't in are nobody's business where it is secret.
    pub(crate) fn sees(&self, of: Client, channel: &Channel) -> bool {
        !channel.modes.has(crate::modes::SECRET) || channel.status(of).is_some()
    }

    /// Whether two nicknames are one client's.
    pub(crate) fn is_self(&self, of: Client, nick: &str) -> bool {
        same(&self.clients[of].nick, nick)
    }
}
