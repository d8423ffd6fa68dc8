//! Messages: `PRIVMSG`, `NOTICE`, `TAGMSG` (RFC 2812, section 3.3), and `AWAY`.

use crate::action::Question;
use crate::cap;
use crate::casemap::{Folded, fold};
use crate::channel::{Channel, is_channel};
use crate::client::Client;
use crate::command::shown;
use crate::config::AWAY_BYTES_MAX;
use crate::history::{Entry, private};
use crate::message::Message;
use crate::modes::{MODERATED, NO_OUTSIDERS, Status};
use crate::output::Tags;
use crate::registration::cut;
use crate::reply::*;
use crate::server::Server;

/// What kind of message it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// Nothing is ever answered to it.
    Notice,
    Privmsg,
    /// Tags alone.
    Tagmsg,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Notice => "NOTICE",
            Kind::Privmsg => "PRIVMSG",
            Kind::Tagmsg => "TAGMSG",
        }
    }
}

/// A message of a client's.
struct Said<'a> {
    kind: Kind,
    text: &'a str,
    /// The tags that go with it.
    tags: String,
}

impl Server {
    /// `PRIVMSG target,… :text`.
    pub(crate) fn privmsg(&mut self, of: Client, message: &Message<'_>) {
        self.say(of, Kind::Privmsg, message);
    }

    /// `NOTICE target,… :text`.
    pub(crate) fn notice(&mut self, of: Client, message: &Message<'_>) {
        self.say(of, Kind::Notice, message);
    }

    /// `TAGMSG target,…`.
    pub(crate) fn tagmsg(&mut self, of: Client, message: &Message<'_>) {
        self.say(of, Kind::Tagmsg, message);
    }

    fn say(&mut self, of: Client, kind: Kind, message: &Message<'_>) {
        let Some(targets) = message.given(0) else {
            let text = format_args!(":No recipient given ({})", kind.name());
            return self.answer_to(of, kind, ERR_NORECIPIENT, text);
        };
        let text = message.parameter(1);
        if kind != Kind::Tagmsg && text.is_empty() {
            return self.answer_to(of, kind, ERR_NOTEXTTOSEND, format_args!(":No text to send"));
        }
        let tags = match self.has(of, cap::MESSAGE_TAGS) {
            true => message.client_tags().collect::<Vec<_>>().join(";"),
            false => String::new(),
        };
        if kind == Kind::Tagmsg && tags.is_empty() {
            return;
        }
        let said = Said { kind, text, tags };
        self.clients[of].spoke = self.now.monotonic;
        // Who is named twice is told once: RFC 1459, section 6.1, has duplicates for a mistake.
        let mut told: Vec<Folded> = Vec::new();
        for target in targets.split(',').filter(|target| !target.is_empty()) {
            if told.contains(&fold(target)) {
                continue;
            }
            if told.len() == self.config.targets {
                let text = format_args!("{} :Too many recipients", shown(target));
                return self.answer_to(of, kind, ERR_TOOMANYTARGETS, text);
            }
            told.push(fold(target));
            self.say_to(of, target, &said);
        }
    }

    /// To a notice nothing is answered, so that two programs can't talk to each other for ever.
    fn answer_to(&self, of: Client, kind: Kind, numeric: &str, text: std::fmt::Arguments<'_>) {
        if kind != Kind::Notice {
            self.reply(of, numeric, text);
        }
    }

    fn say_to(&mut self, of: Client, target: &str, said: &Said<'_>) {
        // Before a channel's name a prefix of members means those that have at least that status.
        let (status, name) = match target.split_at_checked(1) {
            Some((prefix @ ("@" | "+"), name)) if is_channel(name) => (prefix, name),
            _ => ("", target),
        };
        if is_channel(name) {
            self.say_to_channel(of, status, name, said);
        } else if let Some(to) = self.find(name) {
            self.say_to_client(of, to, said);
        } else {
            let text = format_args!("{} :No such nick/channel", shown(target));
            self.answer_to(of, said.kind, ERR_NOSUCHNICK, text);
        }
    }

    fn say_to_channel(&mut self, of: Client, status: &str, name: &str, said: &Said<'_>) {
        let number = self.channel_names.get(fold(name).as_str()).copied();
        let Some(channel) = number.and_then(|number| self.channels.get(number)) else {
            let text = format_args!("{} :No such channel", shown(name));
            return self.answer_to(of, said.kind, ERR_NOSUCHCHANNEL, text);
        };
        if !self.may_speak(of, channel) {
            let text = format_args!("{} :Cannot send to channel", channel.name);
            return self.answer_to(of, said.kind, ERR_CANNOTSENDTOCHAN, text);
        }
        self.messages += 1;
        let msgid = self.msgid();
        let hears = |client: Client, has: Status| match status {
            _ if client == of => false,
            "@" => has.is_operator(),
            "+" => has.has_voice(),
            _ => true,
        };
        let members = channel.members().filter(|&(client, has)| hears(client, has));
        let target = format!("{status}{}", channel.name);
        self.deliver(of, members.map(|(client, _)| client), &target, &msgid, said);
        self.echo(of, &target, &msgid, said);
        if status.is_empty() {
            let key = fold(&channel.name).as_str().to_owned();
            self.keep(of, key, target, msgid, said);
        }
    }

    fn may_speak(&self, of: Client, channel: &Channel) -> bool {
        let status = channel.status(of);
        if status.is_some_and(Status::has_voice) {
            return true;
        }
        let is_kept_out = status.is_none() && channel.modes.has(NO_OUTSIDERS);
        !is_kept_out && !channel.modes.has(MODERATED) && !channel.bans(&self.clients[of])
    }

    fn say_to_client(&mut self, of: Client, to: Client, said: &Said<'_>) {
        self.messages += 1;
        let msgid = self.msgid();
        let target = self.clients[to].nick.to_string();
        self.deliver(of, std::iter::once(to), &target, &msgid, said);
        self.echo(of, &target, &msgid, said);
        if let Some(away) = self.clients[to].away.as_ref().filter(|_| said.kind == Kind::Privmsg) {
            self.reply(of, RPL_AWAY, format_args!("{target} :{away}"));
        }
        // What two users say to each other is kept where both can be known again.
        if let (Some(one), Some(other)) = (&self.clients[of].account, &self.clients[to].account) {
            let key = private(one, other);
            self.keep(of, key, target, msgid, said);
        }
    }

    /// Sends a message to its receivers. Where its sender is one, that is no answer to it.
    fn deliver(
        &self,
        of: Client,
        receivers: impl Iterator<Item = Client>,
        target: &str,
        msgid: &str,
        said: &Said<'_>,
    ) {
        let label = self.out.borrow_mut().suspend_response();
        self.relay_said(of, receivers, target, msgid, said);
        self.out.borrow_mut().begin_response(of, label);
    }

    /// Sends a message back to its sender, where that likes to see it.
    fn echo(&self, of: Client, target: &str, msgid: &str, said: &Said<'_>) {
        if self.has(of, cap::ECHO_MESSAGE) {
            self.relay_said(of, std::iter::once(of), target, msgid, said);
        }
    }

    fn relay_said(
        &self,
        of: Client,
        receivers: impl Iterator<Item = Client>,
        target: &str,
        msgid: &str,
        said: &Said<'_>,
    ) {
        let session = &self.clients[of];
        let tags = Tags {
            account: session.account.as_deref(),
            msgid: Some(msgid),
            client: &said.tags,
            ..Tags::default()
        };
        let (name, text) = (said.kind.name(), said.text);
        if said.kind == Kind::Tagmsg {
            let receivers = receivers.filter(|&client| self.has(client, cap::MESSAGE_TAGS));
            self.relay(receivers, &tags, format_args!(":{session} TAGMSG {target}"));
        } else {
            self.relay(receivers, &tags, format_args!(":{session} {name} {target} :{text}"));
        }
    }

    /// Has a message kept for the history.
    fn keep(&mut self, of: Client, key: String, recipient: String, msgid: String, said: &Said<'_>) {
        if !self.config.history || said.kind == Kind::Tagmsg {
            return;
        }
        let session = &self.clients[of];
        let entry = Entry {
            target: key,
            msgid,
            time: self.now.unix,
            command: said.kind.name().to_owned(),
            source: session.to_string(),
            account: session.account.as_deref().map(str::to_owned),
            recipient,
            tags: said.tags.clone(),
            text: said.text.to_owned(),
        };
        self.tell(None, Question::Keep(entry));
    }

    /// An id for the message that is the last so far.
    fn msgid(&self) -> String {
        format!("{}-{:x}", self.id, self.messages)
    }

    /// `AWAY [:message]`.
    pub(crate) fn away(&mut self, of: Client, message: &Message<'_>) {
        let text = cut(message.parameter(0), AWAY_BYTES_MAX);
        let away: Option<Box<str>> = if text.is_empty() { None } else { Some(text.into()) };
        let is_news = self.clients[of].away != away;
        self.clients[of].away = away;
        match text {
            "" => {
                let text = format_args!(":You are no longer marked as being away");
                self.reply(of, RPL_UNAWAY, text);
            }
            _ => {
                let text = format_args!(":You have been marked as being away");
                self.reply(of, RPL_NOWAWAY, text);
            }
        }
        if !is_news {
            return;
        }
        let neighbours = self.neighbours(of);
        let informed = neighbours.into_iter().filter(|&other| self.has(other, cap::AWAY_NOTIFY));
        let session = &self.clients[of];
        let tags = Tags { account: session.account.as_deref(), ..Tags::default() };
        match text {
            "" => self.relay(informed, &tags, format_args!(":{session} AWAY")),
            _ => self.relay(informed, &tags, format_args!(":{session} AWAY :{text}")),
        }
    }
}
