//! For those who look after the server: `OPER`, `KILL`, `WALLOPS`, `CHGHOST`, and what is the host's
//! business (RFC 2812, sections 3.1.4, 3.7.1 and 4).

use crate::action::{Answer, Question};
use crate::cap;
use crate::client::Client;
use crate::config::REASON_BYTES_MAX;
use crate::message::Message;
use crate::output::Tags;
use crate::question::Asked;
use crate::registration::{cut, shown_host};
use crate::reply::*;
use crate::server::{Parting, Server};

impl Server {
    /// `OPER name password`.
    pub(crate) fn oper(&mut self, of: Client, message: &Message<'_>) {
        let name = message.parameter(0).to_owned();
        let password = message.parameter(1).as_bytes().to_vec();
        if self.config.operators.is_empty() {
            return self.reply(of, ERR_NOOPERHOST, format_args!(":No O-lines for your host"));
        }
        // Asked even of a name that is no operator's, so that the time tells nothing.
        self.ask(of, Asked::Oper, Question::Verify { name, password });
    }

    /// Whether the password of an `OPER` is right, and the user an operator.
    pub(crate) fn oper_verified(&mut self, of: Client, answer: Answer) {
        let nick = self.clients[of].nick.to_string();
        let name = match answer {
            Answer::Identity { name, .. } if self.config.operators.contains(&name) => name,
            _ => {
                self.log(format!("{nick} has failed to become an operator"));
                return self.reply(of, ERR_PASSWDMISMATCH, format_args!(":Password incorrect"));
            }
        };
        self.log(format!("{nick} is an operator now, as {name}"));
        let session = &mut self.clients[of];
        let is_news = session.modes.set('o', true);
        self.counts.operators += usize::from(is_news);
        self.reply(of, RPL_YOUREOPER, format_args!(":You are now an IRC operator"));
        if is_news {
            let session = &self.clients[of];
            let body = format_args!(":{session} MODE {nick} :+o");
            self.send(of, &Tags::default(), body);
        }
    }

    pub(crate) fn no_privileges(&self, of: Client) {
        let text = format_args!(":Permission Denied- You're not an IRC operator");
        self.reply(of, ERR_NOPRIVILEGES, text);
    }

    /// Whether a client is an operator; where it isn't, it is told so.
    fn is_operator(&self, of: Client) -> bool {
        let is_operator = self.clients[of].modes.is_operator();
        if !is_operator {
            self.no_privileges(of);
        }
        is_operator
    }

    /// `KILL nick :reason`.
    pub(crate) fn kill(&mut self, of: Client, message: &Message<'_>) {
        if !self.is_operator(of) {
            return;
        }
        let nick = message.parameter(0);
        if crate::casemap::same(nick, &self.config.name) {
            return self.reply(of, ERR_CANTKILLSERVER, format_args!(":You can't kill a server!"));
        }
        let Some(killed) = self.find(nick) else { return self.no_such_nick(of, nick) };
        let reason = match cut(message.parameter(1), REASON_BYTES_MAX) {
            "" => "No reason",
            reason => reason,
        };
        let operator = &self.clients[of];
        let nick = &self.clients[killed].nick;
        self.log(format!("{operator} kills {}: {reason}", self.clients[killed]));
        self.send(killed, &Tags::default(), format_args!(":{operator} KILL {nick} :{reason}"));
        let reason = format!("Killed ({} ({reason}))", operator.nick);
        self.leave(killed, &reason, Parting::Close);
    }

    /// `WALLOPS :text`, to all who want to hear it.
    pub(crate) fn wallops(&mut self, of: Client, message: &Message<'_>) {
        if !self.is_operator(of) {
            return;
        }
        let Some(text) = message.given(0) else { return self.needs_more(of, "WALLOPS") };
        let session = &self.clients[of];
        let hearers = self.clients.iter().filter(|(_, other)| {
            other.is_registered() && (other.modes.has('w') || other.modes.is_operator())
        });
        let tags = Tags { account: session.account.as_deref(), ..Tags::default() };
        let hearers = hearers.map(|(client, _)| client);
        self.relay(hearers, &tags, format_args!(":{session} WALLOPS :{text}"));
    }

    /// `CHGHOST nick host`: gives a client another host, as others see it. Those who don't understand
    /// that of one whom they know go on to see the old one.
    pub(crate) fn chghost(&mut self, of: Client, message: &Message<'_>) {
        if !self.is_operator(of) {
            return;
        }
        let (nick, host) = (message.parameter(0), shown_host(message.parameter(1)));
        let Some(changed) = self.find(nick) else { return self.no_such_nick(of, nick) };
        let before = self.clients[changed].to_string();
        self.clients[changed].host = host;
        let neighbours = self.neighbours(changed).into_iter().chain([changed]);
        let informed = neighbours.filter(|&client| self.has(client, cap::CHGHOST));
        let informed: Vec<Client> = informed.collect();
        let session = &self.clients[changed];
        let (user, host) = (&session.user, &session.host);
        let tags = Tags { account: session.account.as_deref(), ..Tags::default() };
        let body = format_args!(":{before} CHGHOST {user} {host}");
        self.relay(informed.into_iter(), &tags, body);
        self.reply(changed, RPL_HOSTHIDDEN, format_args!("{host} :is now your displayed host"));
    }

    /// `REHASH`, `DIE` and `RESTART` are the host's business.
    pub(crate) fn leave_to_host(&mut self, of: Client, message: &Message<'_>) {
        if self.is_operator(of) {
            let command = crate::command::shown(message.command).to_ascii_uppercase();
            let text = "Who runs the host does that, by signals and its configuration";
            self.fail(of, format_args!("{command} NOT_HERE :{text}"));
        }
    }

    /// `CONNECT` and `SQUIT`: there is no other server.
    pub(crate) fn no_servers(&mut self, of: Client, message: &Message<'_>) {
        if self.is_operator(of) {
            let server = crate::command::shown(message.parameter(0));
            self.reply(of, ERR_NOSUCHSERVER, format_args!("{server} :No such server"));
        }
    }
}
