//! `CHATHISTORY`: what was said before (<https://ircv3.net/specs/extensions/chathistory>).

use std::collections::VecDeque;
use std::time::UNIX_EPOCH;

use crate::action::{Answer, Question};
use crate::cap;
use crate::casemap::fold;
use crate::channel::is_channel;
use crate::client::Client;
use crate::command::shown;
use crate::history::{Entry, Point, Selection, private};
use crate::listing::{LINES_A_PART, Listing};
use crate::message::Message;
use crate::output::Tags;
use crate::question::Asked;
use crate::server::Server;

/// What is being told, and how far it has come.
pub(crate) struct Recalled {
    /// The batch that it is, where the client knows batches.
    batch: Option<String>,
    entries: VecDeque<Entry>,
}

/// What is wrong with what was asked.
struct Mistake {
    code: &'static str,
    /// What of it, and why.
    text: String,
}

impl Server {
    /// `CHATHISTORY subcommand target point [point] limit`.
    pub(crate) fn chathistory(&mut self, of: Client, message: &Message<'_>) {
        let subcommand = message.parameter(0).to_ascii_uppercase();
        let asked = match &*subcommand {
            "AFTER" | "AROUND" | "BEFORE" | "BETWEEN" | "LATEST" => {
                self.ask_for_messages(of, &subcommand, message)
            }
            "TARGETS" => self.ask_for_targets(of, message),
            _ => {
                let subcommand = shown(message.parameter(0));
                let text = "Unknown command";
                let what = format_args!("CHATHISTORY UNKNOWN_COMMAND {subcommand} :{text}");
                return self.fail(of, what);
            }
        };
        if let Err(Mistake { code, text }) = asked {
            self.fail(of, format_args!("CHATHISTORY {code} {subcommand} {text}"));
        }
    }

    fn ask_for_messages(
        &mut self,
        of: Client,
        subcommand: &str,
        message: &Message<'_>,
    ) -> Result<(), Mistake> {
        if !self.config.history {
            return Err(Mistake::new("MESSAGE_ERROR", ":No messages are kept"));
        }
        let target = message.given(1).ok_or_else(Mistake::missing)?;
        let mut parameters = message.parameters().iter().skip(2).copied();
        let mut next = || parameters.next().ok_or_else(Mistake::missing);
        let selection = match subcommand {
            "AFTER" => Selection::After(point(next()?)?),
            "AROUND" => Selection::Around(point(next()?)?),
            "BEFORE" => Selection::Before(point(next()?)?),
            "BETWEEN" => Selection::Between(point(next()?)?, point(next()?)?),
            _ => match next()? {
                "*" => Selection::Latest(None),
                behind => Selection::Latest(Some(point(behind)?)),
            },
        };
        let limit = self.limit(next()?)?;
        let key = self.conversation(of, target).ok_or_else(|| Mistake {
            code: "INVALID_TARGET",
            text: format!("{} :Messages could not be retrieved", shown(target)),
        })?;
        let what = Question::History { target: key, selection, limit };
        let asked = Asked::History(subcommand.to_owned(), target.to_owned());
        self.ask(of, asked, what);
        Ok(())
    }

    /// The key of a conversation that a client may see: of a channel that it is in, or with somebody
    /// who is a user as it is itself.
    fn conversation(&self, of: Client, target: &str) -> Option<String> {
        if is_channel(target) {
            let key = fold(target);
            let number = self.channel_names.get(key.as_str())?;
            return self.clients[of].channels.contains(number).then(|| key.as_str().to_owned());
        }
        let own = self.clients[of].account.as_deref()?;
        let other = match self.find(target) {
            Some(client) => self.clients[client].account.as_deref()?,
            // Who isn't there is known by the name of its account alone.
            None => target,
        };
        (!other.contains(' ')).then(|| private(own, other))
    }

    fn limit(&self, given: &str) -> Result<u32, Mistake> {
        let limit = given.parse().map_err(|_| Mistake::invalid(given, "Invalid limit"))?;
        if limit == 0 {
            return Err(Mistake::invalid(given, "Invalid limit"));
        }
        Ok(self.config.history_replies.min(limit))
    }

    /// Tells what was asked for, as a batch where the client knows batches.
    pub(crate) fn recalled(&mut self, of: Client, what: &str, target: &str, answer: Answer) {
        let Answer::Messages(entries) = answer else {
            let (target, why) = (shown(target), "Messages could not be retrieved");
            let text = format_args!("CHATHISTORY MESSAGE_ERROR {what} {target} :{why}");
            return self.fail(of, text);
        };
        let batch = self.batch(of, format_args!("chathistory {}", shown(target)));
        let recalled = Recalled { batch, entries: entries.into() };
        self.begin_listing(of, Listing::History(recalled));
    }

    fn batch(&self, of: Client, what: std::fmt::Arguments<'_>) -> Option<String> {
        let session = self.clients.get(of).filter(|session| session.caps.has(cap::BATCH))?;
        Some(self.out.borrow_mut().begin_batch((of, session), what))
    }

    /// Tells some more, and gives what follows.
    pub(crate) fn recall_on(&mut self, of: Client, mut recalled: Recalled) -> Option<Recalled> {
        for _ in 0..LINES_A_PART {
            let Some(entry) = recalled.entries.pop_front() else {
                self.end_batch(of, recalled.batch.as_deref());
                return None;
            };
            let tags = Tags {
                time: Some(entry.time),
                account: entry.account.as_deref(),
                batch: recalled.batch.as_deref(),
                msgid: Some(&entry.msgid),
                client: &entry.tags,
            };
            let Entry { source, command, recipient, text, .. } = &entry;
            self.send(of, &tags, format_args!(":{source} {command} {recipient} :{text}"));
        }
        Some(recalled)
    }

    fn end_batch(&self, of: Client, batch: Option<&str>) {
        if let (Some(batch), Some(session)) = (batch, self.clients.get(of)) {
            self.out.borrow_mut().end_batch((of, session), batch);
        }
    }

    fn ask_for_targets(&mut self, of: Client, message: &Message<'_>) -> Result<(), Mistake> {
        if !self.config.history {
            return Err(Mistake::new("MESSAGE_ERROR", ":No messages are kept"));
        }
        let mut parameters = message.parameters().iter().skip(1).copied();
        let mut next = || parameters.next().ok_or_else(Mistake::missing);
        let (one, other) = (moment(next()?)?, moment(next()?)?);
        let limit = self.limit(next()?)?;
        let session = &self.clients[of];
        let channels = session.channels.iter().filter_map(|&number| self.channels.get(number));
        let what = Question::Targets {
            channels: channels.map(|channel| fold(&channel.name).as_str().to_owned()).collect(),
            account: session.account.as_deref().map(str::to_owned),
            after: one.min(other),
            before: one.max(other),
            limit,
        };
        self.ask(of, Asked::Targets, what);
        Ok(())
    }

    /// Tells which conversations there were.
    pub(crate) fn targets_recalled(&mut self, of: Client, answer: Answer) {
        let Answer::Targets(targets) = answer else {
            let text = "Messages could not be retrieved";
            return self.fail(of, format_args!("CHATHISTORY MESSAGE_ERROR TARGETS :{text}"));
        };
        let batch = self.batch(of, format_args!("draft/chathistory-targets"));
        let own = self.clients[of].account.clone();
        for (key, time) in targets {
            let target = other_of(&key, own.as_deref().unwrap_or(""));
            let time = crate::output::timestamp(time);
            let tags = Tags { batch: batch.as_deref(), ..Tags::default() };
            let name = &self.config.name;
            self.send(of, &tags, format_args!(":{name} CHATHISTORY TARGETS {target} {time}"));
        }
        self.end_batch(of, batch.as_deref());
    }
}

/// What a client calls a conversation: a channel, or the other account of a private one.
fn other_of<'a>(key: &'a str, own: &str) -> &'a str {
    match key.split_once(' ') {
        Some((one, other)) if crate::casemap::same(one, own) => other,
        Some((one, _)) => one,
        None => key,
    }
}

/// `timestamp=…` or `msgid=…`.
fn point(given: &str) -> Result<Point, Mistake> {
    match given.split_once('=') {
        Some(("msgid", id)) if !id.is_empty() => Ok(Point::Id(id.to_owned())),
        Some(("timestamp", _)) => moment(given).map(Point::Time),
        Some((kind, _)) if kind != "msgid" => {
            let text = format!("{} :timestamp= and msgid= are known", shown(given));
            Err(Mistake { code: "INVALID_MSGREFTYPE", text })
        }
        _ => Err(Mistake::invalid(given, "Invalid reference: timestamp= or msgid=")),
    }
}

/// `timestamp=…`, in milliseconds since 1970.
fn moment(given: &str) -> Result<u64, Mistake> {
    let text = given.strip_prefix("timestamp=");
    let time = text.and_then(|text| humantime::parse_rfc3339(text).ok());
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let milliseconds = since.and_then(|since| u64::try_from(since.as_millis()).ok());
    milliseconds.ok_or_else(|| Mistake::invalid(given, "Invalid timestamp"))
}

impl Mistake {
    fn new(code: &'static str, text: &str) -> Self {
        Mistake { code, text: text.to_owned() }
    }

    fn missing() -> Self {
        Mistake::new("NEED_MORE_PARAMS", ":Missing parameters")
    }

    fn invalid(given: &str, why: &str) -> Self {
        Mistake { code: "INVALID_PARAMS", text: format!("{} :{why}", shown(given)) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Point, moment, other_of, point};

    #[test]
    fn points_are_ids_or_times() {
        assert_eq!(point("msgid=a-1").ok(), Some(Point::Id("a-1".into())));
        let time = point("timestamp=2011-10-19T16:40:51.620Z").ok();
        assert_eq!(time, Some(Point::Time(1_319_042_451_620)));
        for given in ["", "*", "msgid=", "timestamp=", "timestamp=yesterday", "id=7"] {
            assert!(point(given).is_err(), "{given}");
        }
        assert!(moment("msgid=a").is_err() && moment("timestamp=1969-01-01T00:00:00Z").is_err());
    }

    #[test]
    fn a_private_conversation_is_called_by_the_other_account() {
        assert_eq!(other_of("alice bob", "Bob"), "alice");
        assert_eq!(other_of("alice bob", "alice"), "bob");
        assert_eq!(other_of("alice alice", "alice"), "alice");
        assert_eq!(other_of("#a", "alice"), "#a");
    }
}
