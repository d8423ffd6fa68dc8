//! Who watches whom come and go (<https://ircv3.net/specs/extensions/monitor>).

use crate::casemap::{fold, same};
use crate::client::Client;
use crate::message::{LINE_BYTES_MAX, Message};
use crate::reply::*;
use crate::server::Server;

/// Who watches a nickname.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// In order.
    watchers: Vec<Client>,
}

impl Server {
    /// `MONITOR +|-|C|L|S [nick,…]`.
    pub(crate) fn monitor(&mut self, of: Client, message: &Message<'_>) {
        let targets = message.parameter(1);
        match message.parameter(0) {
            "+" => self.monitor_more(of, targets),
            "-" => {
                for nick in targets.split(',').filter(|nick| !nick.is_empty()) {
                    self.unwatch(of, nick);
                }
            }
            "C" | "c" => self.unwatch_all(of),
            "L" | "l" => {
                self.nick_lines(of, RPL_MONLIST, &self.clients[of].monitored);
                self.reply(of, RPL_ENDOFMONLIST, format_args!(":End of MONITOR list"));
            }
            "S" | "s" => self.tell_presence(of, &self.clients[of].monitored),
            _ => {
                let text = format_args!("MONITOR :MONITOR takes +, -, C, L or S");
                self.reply(of, ERR_UNKNOWNERROR, text);
            }
        }
    }

    fn monitor_more(&mut self, of: Client, targets: &str) {
        let mut added = Vec::new();
        let mut nicks = targets.split(',').filter(|nick| !nick.is_empty());
        while let Some(nick) = nicks.next() {
            if !crate::registration::is_nick(nick, self.config.nick_length) {
                continue;
            }
            let is_new = !self.clients[of].monitored.iter().any(|known| same(known, nick));
            if is_new && self.clients[of].monitored.len() >= self.config.monitor {
                let rest: Vec<&str> = std::iter::once(nick).chain(nicks).collect();
                let (limit, rest) = (self.config.monitor, rest.join(","));
                let text = format_args!("{limit} {rest} :Monitor list is full");
                self.reply(of, ERR_MONLISTFULL, text);
                break;
            }
            if is_new {
                self.watch(of, nick);
            }
            added.push(nick.into());
        }
        self.tell_presence(of, &added);
    }

    fn watch(&mut self, of: Client, nick: &str) {
        self.clients[of].monitored.push(nick.into());
        let watchers = &mut self.watches.entry(fold(nick)).or_default().watchers;
        if let Err(place) = watchers.binary_search(&of) {
            watchers.insert(place, of);
        }
    }

    /// Tells which of some nicknames are there, and which are not.
    fn tell_presence(&self, of: Client, nicks: &[Box<str>]) {
        let (mut online, mut offline) = (Vec::new(), Vec::new());
        for nick in nicks {
            match self.find(nick) {
                Some(client) => online.push(self.clients[client].to_string().into()),
                None => offline.push(nick.clone()),
            }
        }
        self.nick_lines(of, RPL_MONONLINE, &online);
        self.nick_lines(of, RPL_MONOFFLINE, &offline);
    }

    /// Sends names with commas between them, in as many lines as they need.
    fn nick_lines(&self, of: Client, numeric: &str, names: &[Box<str>]) {
        let overhead = self.config.name.len() + self.clients[of].nick.len() + 10;
        let room = LINE_BYTES_MAX.saturating_sub(overhead);
        for line in crate::lines(names.iter().map(|name| &**name), ",", room) {
            self.reply(of, numeric, format_args!(":{line}"));
        }
    }

    fn unwatch(&mut self, of: Client, nick: &str) {
        let monitored = &mut self.clients[of].monitored;
        monitored.retain(|known| !same(known, nick));
        if monitored.is_empty() {
            *monitored = Vec::new();
        }
        let key = fold(nick);
        let Some(Watch { watchers }) = self.watches.get_mut(&key) else { return };
        if let Ok(place) = watchers.binary_search(&of) {
            watchers.remove(place);
        }
        if watchers.is_empty() {
            self.watches.remove(&key);
        }
    }

    /// A client watches nobody any more.
    pub(crate) fn unwatch_all(&mut self, of: Client) {
        for nick in std::mem::take(&mut self.clients[of].monitored) {
            self.unwatch(of, &nick);
        }
    }

    /// Tells those who watch a nickname that it is there now, or not any more.
    pub(crate) fn tell_watchers(&self, nick: &str, source: Option<&str>) {
        let Some(watch) = self.watches.get(&fold(nick)) else { return };
        for watcher in &watch.watchers {
            match source {
                Some(source) => self.reply(*watcher, RPL_MONONLINE, format_args!(":{source}")),
                None => self.reply(*watcher, RPL_MONOFFLINE, format_args!(":{nick}")),
            }
        }
    }
}
