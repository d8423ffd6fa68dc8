//! `LIST`, with the conditions of `ELIST=CMNTU` (<https://modern.ircdocs.horse/#list-message>).

use crate::casemap::same;
use crate::channel::{Channel, is_channel};
use crate::client::Client;
use crate::listing::{LINES_A_PART, LOOKED_AT_A_PART, Listing};
use crate::mask;
use crate::message::Message;
use crate::reply::*;
use crate::server::Server;

/// Conditions of one `LIST`.
const CONDITIONS_MAX: usize = 10;

/// What is listed, and how far it has come.
pub(crate) struct Listed {
    conditions: Vec<Condition>,
    /// The index of the channel that is looked at next.
    next: usize,
}

/// What a channel has to be like, so that it is listed.
#[derive(Debug, Eq, PartialEq)]
enum Condition {
    /// It has fewer members.
    Fewer(usize),
    /// Its name matches one of these masks.
    Like(Vec<String>),
    /// It was made less than so many seconds ago.
    MadeWithin(u64),
    /// It was made more than so many seconds ago.
    MadeBefore(u64),
    /// It has more members.
    More(usize),
    /// Its topic was set less than so many seconds ago.
    ToldWithin(u64),
    /// Its topic was set more than so many seconds ago.
    ToldBefore(u64),
    /// Its name doesn't match this mask.
    Unlike(String),
}

impl Server {
    /// `LIST [channel|condition,…]`.
    pub(crate) fn list(&mut self, of: Client, message: &Message<'_>) {
        let conditions = conditions(message.parameter(0));
        self.reply(of, RPL_LISTSTART, format_args!("Channel :Users  Name"));
        self.begin_listing(of, Listing::List(Listed { conditions, next: 0 }));
    }

    /// Lists on, and gives what follows.
    pub(crate) fn list_part(&mut self, of: Client, mut listed: Listed) -> Option<Listed> {
        let mut lines = 0;
        let channels = self.channels.from(listed.next);
        for (count, (index, _, channel)) in channels.enumerate() {
            if lines == LINES_A_PART || count == LOOKED_AT_A_PART {
                listed.next = index;
                return Some(listed);
            }
            let is_listed = listed.conditions.iter().all(|it| it.holds(channel, self.seconds()));
            if is_listed && self.sees(of, channel) {
                let (name, members) = (&channel.name, channel.len());
                let topic = channel.topic.as_ref().map_or("", |topic| &*topic.text);
                self.reply(of, RPL_LIST, format_args!("{name} {members} :{topic}"));
                lines += 1;
            }
        }
        self.reply(of, RPL_LISTEND, format_args!(":End of /LIST"));
        None
    }
}

fn conditions(text: &str) -> Vec<Condition> {
    let mut conditions = Vec::new();
    let mut masks = Vec::new();
    for word in text.split(',').filter(|word| !word.is_empty()).take(CONDITIONS_MAX) {
        match condition(word) {
            Some(condition) => conditions.push(condition),
            None => masks.push(word.to_owned()),
        }
    }
    if !masks.is_empty() {
        conditions.push(Condition::Like(masks));
    }
    conditions
}

/// What a word asks of a channel; none where it is a name or a mask.
fn condition(word: &str) -> Option<Condition> {
    if is_channel(word) {
        return None;
    }
    if let Some(mask) = word.strip_prefix('!') {
        return Some(Condition::Unlike(mask.to_owned()));
    }
    let at = word.find(['<', '>'])?;
    let (what, rest) = word.split_at(at);
    let (sign, number) = rest.split_at(1);
    let count: usize = number.parse().ok()?;
    let seconds = (count as u64).saturating_mul(60);
    match (what, sign) {
        ("", "<") => Some(Condition::Fewer(count)),
        ("", _) => Some(Condition::More(count)),
        // `C<10`: less than ten minutes ago.
        ("C" | "c", "<") => Some(Condition::MadeWithin(seconds)),
        ("C" | "c", _) => Some(Condition::MadeBefore(seconds)),
        ("T" | "t", "<") => Some(Condition::ToldWithin(seconds)),
        ("T" | "t", _) => Some(Condition::ToldBefore(seconds)),
        _ => None,
    }
}

impl Condition {
    fn holds(&self, channel: &Channel, now: u64) -> bool {
        let age = now.saturating_sub(channel.created);
        let told = channel.topic.as_ref().map(|topic| now.saturating_sub(topic.at));
        match self {
            Condition::Fewer(count) => channel.len() < *count,
            Condition::Like(masks) => masks
                .iter()
                .any(|mask| same(mask, &channel.name) || mask::matches(mask, &channel.name)),
            Condition::MadeWithin(seconds) => age < *seconds,
            Condition::MadeBefore(seconds) => age > *seconds,
            Condition::More(count) => channel.len() > *count,
            Condition::ToldWithin(seconds) => told.is_some_and(|age| age < *seconds),
            Condition::ToldBefore(seconds) => told.is_some_and(|age| age > *seconds),
            Condition::Unlike(mask) => !mask::matches(mask, &channel.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Condition, conditions};

    #[test]
    fn conditions_are_told_from_names() {
        assert_eq!(
            conditions(">3,C<10,!*x*,#a,*b*,,T>1,<x"),
            [
                Condition::More(3),
                Condition::MadeWithin(600),
                Condition::Unlike("*x*".into()),
                Condition::ToldBefore(60),
                Condition::Like(vec!["#a".into(), "*b*".into(), "<x".into()]),
            ]
        );
        assert!(conditions("").is_empty());
    }
}
