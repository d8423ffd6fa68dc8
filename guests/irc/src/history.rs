//! What was said, and how one asks for it (IRCv3's chathistory).

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// A message that is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The conversation: a channel's name in lower case, or the two accounts of a private
    /// conversation, as [`private`] writes them.
    pub target: String,
    /// The message's own id.
    pub msgid: String,
    /// When, in milliseconds since 1970.
    pub time: u64,
    /// `PRIVMSG` or `NOTICE`.
    pub command: String,
    /// From whom: `nick!user@host`.
    pub source: String,
    /// The account of whom it is from.
    pub account: Option<String>,
    /// To whom, as it was sent: a channel or a nickname.
    pub recipient: String,
    /// The tags that its sender gave it, as they were written; mostly empty.
    pub tags: String,
    /// What was said.
    pub text: String,
}

/// A moment in a conversation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Point {
    /// The message with this id.
    Id(String),
    /// In milliseconds since 1970.
    Time(u64),
}

/// Which messages of a conversation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Selection {
    /// The first behind a point.
    After(Point),
    /// The nearest on both sides of a point.
    Around(Point),
    /// The last before a point.
    Before(Point),
    /// Those between two points without either; from the first point on, whichever is earlier.
    Between(Point, Point),
    /// The last of all; behind a point, where there is one.
    Latest(Option<Point>),
}

/// The key of the private conversation of two accounts. No channel's name has a space in it.
pub fn private(one: &str, other: &str) -> String {
    let mut accounts = [one.to_ascii_lowercase(), other.to_ascii_lowercase()];
    accounts.sort();
    accounts.join(" ")
}

/// A history in memory: what answers the server's questions where there is no database.
#[derive(Clone, Debug)]
pub struct Ring {
    entries: VecDeque<Entry>,
    kept: usize,
}

impl Ring {
    /// An empty one that keeps so many messages of all conversations.
    pub fn new(kept: usize) -> Self {
        Ring { entries: VecDeque::new(), kept }
    }

    /// Keeps a message; the oldest goes where there are too many.
    pub fn keep(&mut self, entry: Entry) {
        self.entries.push_back(entry);
        while self.entries.len() > self.kept {
            self.entries.pop_front();
        }
    }

    /// The answer to [`Question::History`](crate::Question::History): the oldest first.
    pub fn messages(&self, target: &str, selection: &Selection, limit: u32) -> Vec<Entry> {
        let all: Vec<&Entry> = self.entries.iter().filter(|entry| entry.target == target).collect();
        let limit = limit as usize;
        let before = |point: &Point| reach(&all, point, false);
        let behind = |point: &Point| reach(&all, point, true);
        let range = match selection {
            Selection::After(point) => behind(point).map(|start| first(start, all.len(), limit)),
            Selection::Around(point) => before(point).map(|middle| {
                let start = middle.saturating_sub(limit / 2);
                start..all.len().min(middle + limit - limit / 2)
            }),
            Selection::Before(point) => before(point).map(|end| last(0, end, limit)),
            Selection::Between(one, other) => match (behind(one), before(other)) {
                (Some(start), Some(end)) if start <= end => Some(first(start, end, limit)),
                _ => match (behind(other), before(one)) {
                    (Some(start), Some(end)) if start <= end => Some(last(start, end, limit)),
                    _ => None,
                },
            },
            Selection::Latest(None) => Some(last(0, all.len(), limit)),
            Selection::Latest(Some(point)) => {
                behind(point).map(|start| last(start, all.len(), limit))
            }
        };
        range.map_or_else(Vec::new, |range| all[range].iter().map(|&entry| entry.clone()).collect())
    }

    /// The answer to [`Question::Targets`](crate::Question::Targets): conversations whose last
    /// message was between two moments, the earliest first.
    pub fn targets(
        &self,
        channels: &[String],
        account: Option<&str>,
        (after, before): (u64, u64),
        limit: u32,
    ) -> Vec<(String, u64)> {
        let mut latest: BTreeMap<&str, u64> = BTreeMap::new();
        let own = account.map(str::to_ascii_lowercase);
        for entry in &self.entries {
            let is_own = entry.target.contains(' ')
                && entry.target.split(' ').any(|part| own.as_deref() == Some(part));
            if is_own || channels.contains(&entry.target) {
                let time = latest.entry(&entry.target).or_default();
                *time = entry.time.max(*time);
            }
        }
        let mut found: Vec<(String, u64)> = latest
            .into_iter()
            .filter(|&(_, time)| after < time && time < before)
            .map(|(target, time)| (target.to_owned(), time))
            .collect();
        found.sort_by_key(|&(_, time)| time);
        found.truncate(limit as usize);
        found
    }
}

/// The index of the first message at a point, or behind it; none where no message has its id.
fn reach(all: &[&Entry], point: &Point, is_behind: bool) -> Option<usize> {
    match point {
        Point::Id(id) => {
            let place = all.iter().position(|entry| entry.msgid == *id)?;
            Some(place + usize::from(is_behind))
        }
        Point::Time(time) => Some(all.partition_point(|entry| {
            if is_behind { entry.time <= *time } else { entry.time < *time }
        })),
    }
}

fn first(start: usize, end: usize, limit: usize) -> Range<usize> {
    start..end.min(start + limit)
}

fn last(start: usize, end: usize, limit: usize) -> Range<usize> {
    // What is behind a point that all came before is empty.
    end.saturating_sub(limit).max(start).min(end)..end
}

#[cfg(test)]
mod tests {
    use super::{Entry, Point, Ring, Selection, private};

    fn ring() -> Ring {
        let mut ring = Ring::new(100);
        for number in 0..10_u64 {
            for target in ["#a", "alice bob"] {
                ring.keep(Entry {
                    target: target.into(),
                    msgid: format!("{target}{number}"),
                    time: 100 + number,
                    command: "PRIVMSG".into(),
                    source: "x!y@z".into(),
                    account: None,
                    recipient: target.into(),
                    tags: String::new(),
                    text: number.to_string(),
                });
            }
        }
        ring
    }

    fn texts(selection: &Selection, limit: u32) -> String {
        ring().messages("#a", selection, limit).into_iter().map(|entry| entry.text).collect()
    }

    #[test]
    fn a_selection_is_what_its_words_say() {
        let (id, time) = (|id: &str| Point::Id(id.into()), Point::Time);
        assert_eq!(texts(&Selection::Latest(None), 3), "789");
        assert_eq!(texts(&Selection::Latest(Some(id("#a7"))), 9), "89");
        assert_eq!(texts(&Selection::Before(time(105)), 2), "34");
        assert_eq!(texts(&Selection::Before(id("#a1")), 9), "0");
        assert_eq!(texts(&Selection::After(time(105)), 2), "67");
        assert_eq!(texts(&Selection::After(id("#a9")), 9), "");
        assert_eq!(texts(&Selection::Around(id("#a5")), 4), "3456");
        assert_eq!(texts(&Selection::Between(id("#a2"), id("#a6")), 2), "34");
        assert_eq!(texts(&Selection::Between(id("#a6"), id("#a2")), 2), "45");
        assert_eq!(texts(&Selection::Between(time(0), time(900)), 99), "0123456789");
        assert_eq!(texts(&Selection::After(id("unknown")), 9), "");
    }

    #[test]
    fn a_user_has_its_own_conversations_alone() {
        let targets = |channels: &[&str], account| {
            let channels: Vec<String> = channels.iter().map(|&name| name.into()).collect();
            let found = ring().targets(&channels, account, (0, 900), 9);
            found.into_iter().map(|(target, _)| target).collect::<Vec<_>>()
        };
        assert_eq!(targets(&["#a"], Some("Bob")), ["#a", "alice bob"]);
        assert_eq!(targets(&[], Some("carol")), [""; 0]);
        assert_eq!(targets(&["#a"], None), ["#a"]);
        assert_eq!(private("Bob", "alice"), "alice bob");
    }

    #[test]
    fn the_oldest_goes_first() {
        let mut ring = ring();
        ring.kept = 2;
        ring.keep(ring.entries[0].clone());
        assert_eq!(ring.entries.len(), 2);
    }
}
