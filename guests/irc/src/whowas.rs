//! Clients that have gone, or had another nickname (RFC 2812, section 3.6.3).

use crate::casemap::same;
use crate::client::{Client, Session};
use crate::command::shown;
use crate::message::Message;
use crate::reply::*;
use crate::server::Server;

/// Who has gone.
pub(crate) struct Gone {
    nick: Box<str>,
    user: Box<str>,
    host: Box<str>,
    real: Box<str>,
    /// When, in seconds since 1970.
    at: u64,
}

impl Gone {
    pub(crate) fn new(session: &Session, at: u64) -> Self {
        Gone {
            nick: session.nick.clone(),
            user: session.user.clone(),
            host: session.host.clone(),
            real: session.real.clone(),
            at,
        }
    }
}

impl Server {
    /// Remembers a client as it was.
    pub(crate) fn remember(&mut self, of: Client) {
        if self.config.whowas == 0 {
            return;
        }
        let gone = Gone::new(&self.clients[of], self.seconds());
        self.whowas.truncate(self.config.whowas - 1);
        self.whowas.push_front(gone);
    }

    /// `WHOWAS nick [count]`.
    pub(crate) fn whowas(&mut self, of: Client, message: &Message<'_>) {
        let Some(nick) = message.given(0) else {
            return self.reply(of, ERR_NONICKNAMEGIVEN, format_args!(":No nickname given"));
        };
        let count = message.parameter(1).parse().ok().filter(|&count: &usize| count > 0);
        let found = self.whowas.iter().filter(|gone| same(&gone.nick, nick));
        let mut is_found = false;
        for gone in found.take(count.unwrap_or(usize::MAX)) {
            is_found = true;
            let Gone { nick, user, host, real, at } = gone;
            self.reply(of, RPL_WHOWASUSER, format_args!("{nick} {user} {host} * :{real}"));
            let (server, at) = (&self.config.name, crate::date(*at));
            self.reply(of, RPL_WHOISSERVER, format_args!("{nick} {server} :{at}"));
        }
        let nick = shown(nick);
        if !is_found {
            self.reply(of, ERR_WASNOSUCHNICK, format_args!("{nick} :There was no such nickname"));
        }
        self.reply(of, RPL_ENDOFWHOWAS, format_args!("{nick} :End of WHOWAS"));
    }
}
