//! `MODE`, of clients and of channels (RFC 2812, sections 3.1.5 and 3.2.3).

use crate::channel::{Channel, Mask, is_channel};
use crate::client::Client;
use crate::command::shown;
use crate::config::KEY_BYTES_MAX;
use crate::mask::{self, MASK_BYTES_MAX};
use crate::message::Message;
use crate::modes::{Changes, ChannelModes, Status};
use crate::output::Tags;
use crate::registration::cut;
use crate::reply::*;
use crate::server::Server;

/// Bytes of the changes that are told in one line; more follow in another.
const CHANGES_BYTES_MAX: usize = 300;

/// A change that is asked for.
#[derive(Clone, Copy)]
struct Change<'a> {
    letter: char,
    is_on: bool,
    parameter: Option<&'a str>,
}

impl Server {
    /// `MODE target [modes [parameter…]]`.
    pub(crate) fn mode(&mut self, of: Client, message: &Message<'_>) {
        let target = message.parameter(0);
        if is_channel(target) {
            if let Some(number) = self.channel(of, target) {
                self.channel_mode(of, number, message);
            }
        } else if self.is_self(of, target) {
            self.user_mode(of, message.parameters().get(1).copied());
        } else if self.find(target).is_some() {
            let text = format_args!(":Cant change mode for other users");
            self.reply(of, ERR_USERSDONTMATCH, text);
        } else {
            self.no_such_nick(of, target);
        }
    }

    fn user_mode(&mut self, of: Client, asked: Option<&str>) {
        let Some(asked) = asked else {
            let letters = self.clients[of].modes.letters();
            return self.reply(of, RPL_UMODEIS, format_args!("+{letters}"));
        };
        let (mut changes, mut is_on, mut is_unknown) = (Changes::default(), true, false);
        for letter in asked.chars() {
            match letter {
                '+' | '-' => is_on = letter == '+',
                'i' | 'w' => self.set_user_mode(of, letter, is_on, &mut changes),
                // Who is an operator can stop to be one, and become one by OPER alone.
                'o' if !is_on => self.set_user_mode(of, letter, is_on, &mut changes),
                'o' | 'r' | 'Z' => {}
                _ => is_unknown = true,
            }
        }
        if !changes.is_empty() {
            let session = &self.clients[of];
            let nick = &session.nick;
            self.send(of, &Tags::default(), format_args!(":{session} MODE {nick} :{changes}"));
        }
        if is_unknown {
            self.reply(of, ERR_UMODEUNKNOWNFLAG, format_args!(":Unknown MODE flag"));
        }
    }

    fn set_user_mode(&mut self, of: Client, letter: char, is_on: bool, changes: &mut Changes) {
        let session = &mut self.clients[of];
        if !session.modes.set(letter, is_on) {
            return;
        }
        changes.add(is_on, letter, None);
        let count = match letter {
            'i' => &mut self.counts.invisible,
            'o' => &mut self.counts.operators,
            _ => return,
        };
        if is_on {
            *count += 1;
        } else {
            *count -= 1;
        }
    }

    fn channel_mode(&mut self, of: Client, number: u64, message: &Message<'_>) {
        let Some(channel) = self.channels.get(number) else { return };
        let Some(asked) = message.given(1) else {
            let is_member = channel.status(of).is_some();
            let (name, modes) = (&channel.name, channel.modes_text(is_member));
            self.reply(of, RPL_CHANNELMODEIS, format_args!("{name} {modes}"));
            let created = channel.created;
            return self.reply(of, RPL_CREATIONTIME, format_args!("{name} {created}"));
        };
        let mut parameters = message.parameters().iter().skip(2).copied();
        let (mut changes, mut is_on, mut with_parameter) = (Changes::default(), true, 0);
        let mut was_refused = false;
        for letter in asked.chars() {
            if matches!(letter, '+' | '-') {
                is_on = letter == '+';
                continue;
            }
            let takes_one = match letter {
                'l' => is_on,
                _ => matches!(letter, 'b' | 'e' | 'I' | 'k' | 'o' | 'v'),
            };
            let parameter = if takes_one { parameters.next() } else { None };
            if matches!(letter, 'b' | 'e' | 'I') && parameter.is_none_or(str::is_empty) {
                self.tell_masks(of, number, letter);
                continue;
            }
            with_parameter += usize::from(takes_one);
            if with_parameter > self.config.modes && takes_one {
                continue;
            }
            if !self.may_change(of, number, &mut was_refused) {
                continue;
            }
            self.change_channel(of, number, Change { letter, is_on, parameter }, &mut changes);
            if changes.len() > CHANGES_BYTES_MAX {
                self.tell_changes(of, number, &std::mem::take(&mut changes));
            }
        }
        self.tell_changes(of, number, &changes);
    }

    /// Whether a client may change a channel's modes; that it may not it is told once.
    fn may_change(&self, of: Client, number: u64, was_refused: &mut bool) -> bool {
        let Some(channel) = self.channels.get(number) else { return false };
        let status = channel.status(of);
        if status.is_some_and(Status::is_operator) {
            return true;
        }
        if !std::mem::replace(was_refused, true) {
            let name = &channel.name;
            let text = format_args!("{name} :You're not channel operator");
            self.reply(of, ERR_CHANOPRIVSNEEDED, text);
        }
        false
    }

    fn tell_changes(&self, of: Client, number: u64, changes: &Changes) {
        let Some(channel) = self.channels.get(number).filter(|_| !changes.is_empty()) else {
            return;
        };
        let (session, name) = (&self.clients[of], &channel.name);
        let tags = Tags { account: session.account.as_deref(), ..Tags::default() };
        let members = channel.members().map(|(client, _)| client);
        self.relay(members, &tags, format_args!(":{session} MODE {name} {changes}"));
    }

    fn change_channel(
        &mut self,
        of: Client,
        number: u64,
        asked: Change<'_>,
        changes: &mut Changes,
    ) {
        let Change { letter, is_on, parameter } = asked;
        match letter {
            'o' | 'v' => self.change_status(of, number, asked, changes),
            'b' | 'e' | 'I' => self.change_masks(of, number, asked, changes),
            'k' => self.change_key(of, number, is_on, parameter.unwrap_or(""), changes),
            'l' => self.change_limit(of, number, is_on, parameter, changes),
            _ if ChannelModes::is_known(letter) => {
                let channel = self.channels.get_mut(number);
                if channel.is_some_and(|channel| channel.modes.set(letter, is_on)) {
                    changes.add(is_on, letter, None);
                }
            }
            _ => {
                let text = format_args!("{letter} :is unknown mode char to me");
                self.reply(of, ERR_UNKNOWNMODE, text);
            }
        }
    }

    fn change_status(&mut self, of: Client, number: u64, asked: Change<'_>, changes: &mut Changes) {
        let Change { letter, is_on, parameter } = asked;
        let Some(nick) = parameter.filter(|nick| !nick.is_empty()) else {
            return self.needs_more(of, "MODE");
        };
        let Some(client) = self.find(nick) else { return self.no_such_nick(of, nick) };
        let Some(channel) = self.channels.get_mut(number) else { return };
        match channel.status_mut(client) {
            Some(status) => {
                if status.set(letter, is_on) {
                    changes.add(is_on, letter, Some(&self.clients[client].nick));
                }
            }
            None => {
                let (nick, name) = (shown(nick), channel.name.clone());
                let text = format_args!("{nick} {name} :They aren't on that channel");
                self.reply(of, ERR_USERNOTINCHANNEL, text);
            }
        }
    }

    fn change_key(
        &mut self,
        of: Client,
        number: u64,
        is_on: bool,
        key: &str,
        changes: &mut Changes,
    ) {
        let Some(channel) = self.channels.get_mut(number) else { return };
        if !is_on {
            // Whatever key is given: who is an operator can see the right one.
            if let Some(key) = channel.key.take() {
                changes.add(false, 'k', Some(&key));
            }
            return;
        }
        if key.is_empty() {
            return self.needs_more(of, "MODE");
        }
        if key.len() > KEY_BYTES_MAX || key.contains([' ', ',']) || key.starts_with(':') {
            let name = channel.name.clone();
            let text = format_args!("{name} :Key is not well-formed");
            return self.reply(of, ERR_INVALIDKEY, text);
        }
        if channel.key.as_deref() != Some(key) {
            channel.key = Some(key.into());
            changes.add(true, 'k', Some(key));
        }
    }

    fn change_limit(
        &mut self,
        of: Client,
        number: u64,
        is_on: bool,
        parameter: Option<&str>,
        changes: &mut Changes,
    ) {
        let Some(channel) = self.channels.get_mut(number) else { return };
        if !is_on {
            if channel.limit.take().is_some() {
                changes.add(false, 'l', None);
            }
            return;
        }
        let Some(given) = parameter.filter(|given| !given.is_empty()) else {
            return self.needs_more(of, "MODE");
        };
        match given.parse().ok().filter(|&limit| limit > 0) {
            Some(limit) if channel.limit == Some(limit) => {}
            Some(limit) => {
                channel.limit = Some(limit);
                changes.add(true, 'l', Some(&limit.to_string()));
            }
            None => {
                let (name, given) = (channel.name.clone(), shown(given));
                let text = format_args!("{name} l {given} :Not a limit: a number from 1 on is");
                self.reply(of, ERR_INVALIDMODEPARAM, text);
            }
        }
    }

    fn change_masks(&mut self, of: Client, number: u64, asked: Change<'_>, changes: &mut Changes) {
        let Change { letter, is_on, parameter } = asked;
        let given = parameter.unwrap_or("");
        let mask = mask::complete(cut(given, MASK_BYTES_MAX));
        let (by, at, limit) = (self.clients[of].to_string(), self.seconds(), self.config.masks);
        let Some(channel) = self.channels.get_mut(number) else { return };
        let count = channel.bans.len() + channel.exceptions.len() + channel.invitations.len();
        let masks = masks_mut(channel, letter);
        let place = masks.iter().position(|entry| crate::casemap::same(&entry.mask, &mask));
        match (is_on, place) {
            (true, Some(_)) | (false, None) => return,
            (false, Some(place)) => {
                masks.remove(place);
            }
            (true, None) if count >= limit => {
                let (name, mask) = (channel.name.clone(), shown(&mask));
                let text = format_args!("{name} {mask} :Channel's list is full");
                return self.reply(of, ERR_BANLISTFULL, text);
            }
            (true, None) => {
                let mask = mask.as_str().into();
                masks.push(Mask { mask, by: by.into(), at });
            }
        }
        changes.add(is_on, letter, Some(&mask));
    }

    fn tell_masks(&self, of: Client, number: u64, letter: char) {
        let Some(channel) = self.channels.get(number) else { return };
        let name = &channel.name;
        let (masks, entry, end) = match letter {
            'b' => (&channel.bans, RPL_BANLIST, RPL_ENDOFBANLIST),
            'e' => (&channel.exceptions, RPL_EXCEPTLIST, RPL_ENDOFEXCEPTLIST),
            _ => (&channel.invitations, RPL_INVEXLIST, RPL_ENDOFINVEXLIST),
        };
        for Mask { mask, by, at } in masks {
            self.reply(of, entry, format_args!("{name} {mask} {by} {at}"));
        }
        self.reply(of, end, format_args!("{name} :End of channel list"));
    }
}

fn masks_mut(channel: &mut Channel, letter: char) -> &mut Vec<Mask> {
    match letter {
        'b' => &mut channel.bans,
        'e' => &mut channel.exceptions,
        _ => &mut channel.invitations,
    }
}
