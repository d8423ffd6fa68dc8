//! One of a crowd, who knows what it was sent and nothing else: who is in its channels, and what was
//! said there.

use std::collections::{BTreeMap, BTreeSet};

/// A client that keeps its own view.
#[derive(Default)]
pub(crate) struct Member {
    /// Its nickname, once it was welcomed.
    pub(crate) nick: Option<String>,
    /// Its connection is over.
    pub(crate) is_gone: bool,
    /// It doesn't read for the time being.
    pub(crate) is_stuck: bool,
    /// It reads on since this step.
    pub(crate) is_late: bool,
    /// The end of a line that it has begun to send.
    pub(crate) unsent: Vec<u8>,
    /// What it has to say at once: answers to `PING`.
    pub(crate) owed: Vec<u8>,
    /// Its channels, and who is in them.
    pub(crate) channels: BTreeMap<String, BTreeSet<String>>,
    /// Channels that it came to in this step.
    pub(crate) joined: BTreeSet<String>,
    /// Each message that it has got, in this step.
    pub(crate) heard: Vec<u64>,
    /// And before.
    known: BTreeSet<u64>,
    partial: Vec<u8>,
    /// Why the server has ended the connection.
    pub(crate) error: Option<String>,
}

/// A line that it was sent, in parts.
struct Line<'a> {
    nick: &'a str,
    command: &'a str,
    parameters: Vec<&'a str>,
}

impl<'a> Line<'a> {
    fn new(line: &'a str) -> Self {
        let line = match line.strip_prefix('@') {
            Some(tagged) => tagged.split_once(' ').map_or("", |(_, rest)| rest),
            None => line,
        };
        let (source, line) = match line.strip_prefix(':') {
            Some(rest) => rest.split_once(' ').unwrap_or((rest, "")),
            None => ("", line),
        };
        let (line, trailing) = match line.split_once(" :") {
            Some((line, trailing)) => (line, Some(trailing)),
            None => (line, None),
        };
        let mut words = line.split(' ');
        let command = words.next().unwrap_or_default();
        let nick = source.split('!').next().unwrap_or_default();
        Line { nick, command, parameters: words.chain(trailing).collect() }
    }

    fn parameter(&self, number: usize) -> Result<&'a str, String> {
        self.parameters.get(number).copied().ok_or_else(|| format!("{} lacks a part", self.command))
    }
}

impl Member {
    /// Takes what came.
    pub(crate) fn read(&mut self, data: &[u8]) -> Result<(), String> {
        self.partial.extend(data);
        while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            let line = std::str::from_utf8(&line).map_err(|error| error.to_string())?;
            let line = line.trim_end_matches(['\r', '\n']);
            self.take(&Line::new(line)).map_err(|what| format!("{what}, in {line:?}"))?;
        }
        Ok(())
    }

    fn take(&mut self, line: &Line) -> Result<(), String> {
        match line.command {
            "001" => self.nick = Some(line.parameter(0)?.to_owned()),
            "353" => self.is_told_names(line)?,
            "ERROR" => self.error = Some(line.parameter(0)?.to_owned()),
            "JOIN" => self.sees_join(line)?,
            "KICK" => self.sees_leave(line.parameter(1)?, line.parameter(0)?)?,
            "NICK" => self.sees_nick(line.nick, line.parameter(0)?)?,
            "PART" => self.sees_leave(line.nick, line.parameter(0)?)?,
            "PING" => {
                let pong = format!("PONG :{}\r\n", line.parameter(0)?);
                self.owed.extend(pong.as_bytes());
            }
            "PRIVMSG" => self.hears(line)?,
            "QUIT" => {
                let mut channels = 0;
                for members in self.channels.values_mut() {
                    channels += usize::from(members.remove(&fold(line.nick)));
                }
                expect(channels > 0, "a stranger quits")?;
            }
            _ => {}
        }
        Ok(())
    }

    fn is_self(&self, nick: &str) -> bool {
        self.nick.as_ref().is_some_and(|own| own == nick)
    }

    fn sees_join(&mut self, line: &Line) -> Result<(), String> {
        let channel = line.parameter(0)?.to_owned();
        if self.is_self(line.nick) {
            self.joined.insert(channel.clone());
            let members = BTreeSet::from([fold(line.nick)]);
            return expect(self.channels.insert(channel, members).is_none(), "it joins twice");
        }
        let members = self.channels.get_mut(&channel).ok_or("somebody joins where it isn't")?;
        expect(members.insert(fold(line.nick)), "somebody joins twice")
    }

    fn is_told_names(&mut self, line: &Line) -> Result<(), String> {
        if let Some(members) = self.channels.get_mut(line.parameter(2)?) {
            let names =
                line.parameter(3)?.split(' ').map(|name| name.trim_start_matches(['@', '+']));
            members.extend(names.map(|name| fold(name.split('!').next().unwrap_or(name))));
        }
        Ok(())
    }

    fn sees_leave(&mut self, nick: &str, channel: &str) -> Result<(), String> {
        let members = self.channels.get_mut(channel).ok_or("somebody leaves where it isn't")?;
        expect(members.remove(&fold(nick)), "somebody leaves who wasn't there")?;
        if self.is_self(nick) {
            self.channels.remove(channel);
            self.joined.remove(channel);
        }
        Ok(())
    }

    fn sees_nick(&mut self, before: &str, after: &str) -> Result<(), String> {
        let (old, new) = (fold(before), fold(after));
        let mut was = self.is_self(before);
        for members in self.channels.values_mut().filter(|members| members.contains(&old)) {
            members.remove(&old);
            expect(members.insert(new.clone()), "two have one nickname")?;
            was = true;
        }
        if self.is_self(before) {
            self.nick = Some(after.to_owned());
        }
        expect(was, "a stranger changes its nickname")
    }

    fn hears(&mut self, line: &Line) -> Result<(), String> {
        let (target, text) = (line.parameter(0)?, line.parameter(1)?);
        if target.starts_with('#') {
            let members = self.channels.get(target).ok_or("it hears where it isn't")?;
            expect(members.contains(&fold(line.nick)), "a stranger speaks")?;
        } else {
            let own = self.nick.as_deref().unwrap_or_default();
            expect(fold(own) == fold(target), "it hears what is for another")?;
        }
        let message = text.strip_prefix('m').and_then(|number| number.parse().ok());
        let message = message.ok_or("nobody has said this")?;
        self.heard.push(message);
        expect(self.known.insert(message), "it hears it twice")
    }
}

fn expect(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

/// A nickname as it is compared.
pub(crate) fn fold(nick: &str) -> String {
    nick.to_ascii_lowercase()
}
