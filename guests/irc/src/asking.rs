//! Of other clients: `WHOIS`, `USERHOST`, `ISON` (RFC 2812, sections 3.6 and 4).

use crate::client::{Client, Session};
use crate::command::shown;
use crate::message::{LINE_BYTES_MAX, Message};
use crate::modes::SECRET;
use crate::reply::*;
use crate::server::{SECOND, Server};

/// Nicknames of one `USERHOST` (RFC 2812, section 4.8).
const USERHOSTS_MAX: usize = 5;

impl Server {
    /// `WHOIS [server] nick`.
    pub(crate) fn whois(&mut self, of: Client, message: &Message<'_>) {
        let asked = message.given(1).or(message.given(0));
        let Some(nick) =
            asked.and_then(|nicks| nicks.split(',').next()).filter(|nick| !nick.is_empty())
        else {
            return self.reply(of, ERR_NONICKNAMEGIVEN, format_args!(":No nickname given"));
        };
        match self.find(nick) {
            Some(client) => self.tell_of(of, client),
            None => self.no_such_nick(of, nick),
        }
        let text = format_args!("{} :End of /WHOIS list", shown(nick));
        self.reply(of, RPL_ENDOFWHOIS, text);
    }

    fn tell_of(&self, of: Client, client: Client) {
        let session = &self.clients[client];
        let Session { nick, user, host, real, .. } = session;
        let is_trusted = client == of || self.clients[of].modes.is_operator();
        self.reply(of, RPL_WHOISUSER, format_args!("{nick} {user} {host} * :{real}"));
        self.tell_channels_of(of, client);
        let (server, description) = (&self.config.name, &self.config.description);
        self.reply(of, RPL_WHOISSERVER, format_args!("{nick} {server} :{description}"));
        if session.modes.is_operator() {
            self.reply(of, RPL_WHOISOPERATOR, format_args!("{nick} :is an IRC operator"));
        }
        if let Some(account) = &session.account {
            let text = format_args!("{nick} {account} :is logged in as");
            self.reply(of, RPL_WHOISACCOUNT, text);
        }
        if session.is_secure {
            let text = format_args!("{nick} :is using a secure connection");
            self.reply(of, RPL_WHOISSECURE, text);
        }
        if let Some(fingerprint) = session.fingerprint.as_ref().filter(|_| is_trusted) {
            let text = format_args!("{nick} :has client certificate fingerprint {fingerprint}");
            self.reply(of, RPL_WHOISCERTFP, text);
        }
        if is_trusted {
            let modes = session.modes.letters();
            self.reply(of, RPL_WHOISMODES, format_args!("{nick} :is using modes +{modes}"));
        }
        if let Some(away) = &session.away {
            self.reply(of, RPL_AWAY, format_args!("{nick} :{away}"));
        }
        let idle = self.now.monotonic.saturating_sub(session.spoke) / SECOND;
        let since = session.since;
        let text = format_args!("{nick} {idle} {since} :seconds idle, signon time");
        self.reply(of, RPL_WHOISIDLE, text);
    }

    /// The channels of a client that another one may know of.
    fn tell_channels_of(&self, of: Client, client: Client) {
        let (own, session) = (&self.clients[of], &self.clients[client]);
        let all_prefixes = own.caps.has(crate::cap::MULTI_PREFIX);
        let hides_others = session.modes.is_invisible() && client != of && !own.modes.is_operator();
        let channels = session.channels.iter().filter_map(|&number| {
            let channel = self.channels.get(number)?;
            let is_shared = channel.status(of).is_some();
            let is_hidden = hides_others || channel.modes.has(SECRET) && client != of;
            let prefixes = channel.status(client)?.prefixes(all_prefixes);
            (is_shared || !is_hidden).then(|| format!("{prefixes}{}", channel.name))
        });
        let channels: Vec<String> = channels.collect();
        let nick = &session.nick;
        let overhead =
            self.config.name.len() + own.nick.len() + nick.len() + ":  319   :\r\n".len();
        let room = LINE_BYTES_MAX.saturating_sub(overhead);
        for line in crate::lines(channels.iter().map(String::as_str), " ", room) {
            self.reply(of, RPL_WHOISCHANNELS, format_args!("{nick} :{line}"));
        }
    }

    /// `USERHOST nick…`.
    pub(crate) fn userhost(&mut self, of: Client, message: &Message<'_>) {
        let nicks = message.parameters().iter().flat_map(|words| words.split(' '));
        let found = nicks.take(USERHOSTS_MAX).filter_map(|nick| self.find(nick));
        let told = found.map(|client| {
            let Session { nick, user, host, away, modes, .. } = &self.clients[client];
            let operator = if modes.is_operator() { "*" } else { "" };
            let presence = if away.is_some() { '-' } else { '+' };
            format!("{nick}{operator}={presence}{user}@{host}")
        });
        let told: Vec<String> = told.collect();
        let mut lines = crate::lines(told.iter().map(String::as_str), " ", self.room(of));
        if lines.is_empty() {
            lines.push(String::new());
        }
        for line in lines {
            self.reply(of, RPL_USERHOST, format_args!(":{line}"));
        }
    }

    /// How many bytes fit behind the colon of a numeric that has nothing before it.
    fn room(&self, of: Client) -> usize {
        let overhead = self.config.name.len() + self.clients[of].nick.len() + ":  302  :\r\n".len();
        LINE_BYTES_MAX.saturating_sub(overhead)
    }

    /// `ISON nick…`.
    pub(crate) fn ison(&mut self, of: Client, message: &Message<'_>) {
        let nicks = message.parameters().iter().flat_map(|words| words.split(' '));
        let found = nicks.filter(|nick| !nick.is_empty()).filter_map(|nick| self.find(nick));
        let there = found.map(|client| &*self.clients[client].nick);
        // The reply is one line, whatever it has room for.
        let line = crate::lines(there, " ", self.room(of)).into_iter().next();
        self.reply(of, RPL_ISON, format_args!(":{}", line.unwrap_or_default()));
    }
}
