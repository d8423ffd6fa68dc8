//! What always holds of the server's tables, for tests that drive it.

use std::collections::BTreeSet;

use crate::casemap::fold;
use crate::client::Session;
use crate::server::Server;

impl Server {
    /// Where two tables disagree with each other, if they do: nicknames with clients, channels with
    /// their members, counts with what is counted. It looks at everything, so it is for tests.
    pub fn disagreement(&self) -> Option<String> {
        self.nicks_disagree()
            .or_else(|| self.channels_disagree())
            .or_else(|| self.counts_disagree())
    }

    fn nicks_disagree(&self) -> Option<String> {
        let named = self.clients.iter().filter(|(_, session)| !session.nick.is_empty());
        let mut count = 0;
        for (client, session) in named {
            count += 1;
            if self.nicks.get(fold(&session.nick).as_str()) != Some(&client) {
                return Some(format!("{} isn't found by its nickname", session.nick));
            }
        }
        let more = self.nicks.len() != count;
        more.then(|| format!("{} nicknames for {count} clients", self.nicks.len()))
    }

    fn channels_disagree(&self) -> Option<String> {
        for (number, channel) in self.channels.iter() {
            let name = &channel.name;
            if self.channel_names.get(fold(name).as_str()) != Some(&number) {
                return Some(format!("{name} isn't found by its name"));
            }
            if channel.len() == 0 {
                return Some(format!("{name} is empty"));
            }
            for (member, _) in channel.members() {
                let is_in = |session: &Session| session.channels.contains(&number);
                if !self.clients.get(member).is_some_and(is_in) {
                    return Some(format!("{name} has a member that isn't in it"));
                }
            }
        }
        for (client, session) in self.clients.iter() {
            let unique: BTreeSet<_> = session.channels.iter().collect();
            let knows = |number: &&u64| {
                self.channels.get(**number).is_some_and(|it| it.status(client).is_some())
            };
            if unique.len() != session.channels.len()
                || !session.channels.iter().all(|it| knows(&it))
            {
                return Some(format!("{} is in a channel that doesn't have it", session.nick));
            }
        }
        let more = self.channel_names.len() != self.channels.iter().count();
        more.then(|| "there are more names than channels".to_owned())
    }

    fn counts_disagree(&self) -> Option<String> {
        let count = |what: fn(&Session) -> bool| {
            self.clients.iter().filter(|(_, session)| what(session)).count()
        };
        let counted = [
            ("connected", self.counts.connected, count(|_| true)),
            ("registered", self.counts.registered, count(Session::is_registered)),
            (
                "invisible",
                self.counts.invisible,
                count(|it| it.is_registered() && it.modes.is_invisible()),
            ),
            (
                "operators",
                self.counts.operators,
                count(|it| it.is_registered() && it.modes.is_operator()),
            ),
            ("channels", self.counts.channels, self.channels.iter().count()),
        ];
        let wrong = counted.into_iter().find(|(_, said, found)| said != found);
        wrong.map(|(what, said, found)| format!("{said} {what}, but there are {found}"))
    }
}
