//! A crowd of IRC clients that come and go, talk, flood, fall silent and break off, by a seed; each
//! knows what it was sent alone, and all must know the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use torsade_guest::testing::conversation::{Talker, Way};

use super::choices::Choices;
use super::member::{Member, fold};

/// How large a crowd is, and how it is seen.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Clients at once.
    pub(crate) clients: usize,
    /// Things that they do.
    pub(crate) steps: usize,
    /// What somebody does is seen by all others at once.
    pub(crate) is_prompt: bool,
}

/// How often what has happened.
pub(crate) type Happened = BTreeMap<&'static str, usize>;

/// Has a crowd meet, and holds what each knows against what all others do.
pub(crate) fn meet<T: Talker>(talker: &mut T, seed: u64, size: Size) -> Result<Happened, String> {
    let mut crowd = Crowd {
        talker,
        choices: Choices::new(seed),
        size,
        members: Vec::new(),
        live: Vec::new(),
        said: BTreeMap::new(),
        happened: Happened::new(),
    };
    for step in 0..size.steps {
        crowd.step().and_then(|()| crowd.look()).map_err(|what| format!("step {step}: {what}"))?;
    }
    crowd.rest()?;
    Ok(crowd.happened)
}

struct Crowd<'a, T> {
    talker: &'a mut T,
    choices: Choices,
    size: Size,
    /// By their numbers, which are the talker's; those that are gone as well.
    members: Vec<Member>,
    /// The numbers of those that aren't.
    live: Vec<usize>,
    /// Who has said each message, and to whom.
    said: BTreeMap<u64, (usize, String)>,
    happened: Happened,
}

impl<T: Talker> Crowd<'_, T> {
    fn step(&mut self) -> Result<(), String> {
        let is_full = self.live.len() >= self.size.clients;
        if self.live.is_empty() || (!is_full && self.choices.chance(40)) {
            return self.arrive();
        }
        let who = self.live[self.choices.below(self.live.len())];
        if self.members[who].nick.is_none() {
            self.register(who);
            return Ok(());
        }
        match self.choices.below(100) {
            0..=29 => self.join(who),
            30..=36 => self.leave(who),
            37..=66 => self.speak(who),
            67..=73 => {
                let nick = self.nick();
                self.say(who, &format!("NICK {nick}"));
            }
            74..=80 => self.moderate(who),
            81..=83 => self.flood(who),
            84..=87 => self.stop_or_go_on(who)?,
            88..=90 => self.go(who),
            _ => {
                let milliseconds = self.choices.below(2_000) as u64;
                self.talker.pass(Duration::from_millis(milliseconds));
            }
        }
        Ok(())
    }

    fn arrive(&mut self) -> Result<(), String> {
        let number = self.members.len();
        let name = format!("m{number}");
        let way = Way { name, over: "plain".to_owned(), certificate: None, from: None };
        self.talker.connect(number, &way)?;
        self.members.push(Member::default());
        self.live.push(number);
        if self.choices.chance(30) {
            let capabilities =
                ["multi-prefix", "userhost-in-names", "extended-join", "server-time"];
            let capability = self.choices.of(&capabilities);
            self.say(number, &format!("CAP REQ :{capability}\r\nCAP END"));
        }
        self.register(number);
        Ok(())
    }

    /// A nickname that others may have, in one case or the other.
    fn nick(&mut self) -> String {
        let number = self.choices.below(self.size.clients + self.size.clients / 5);
        let letter = self.choices.of(&["n", "N"]);
        format!("{letter}{number}")
    }

    fn register(&mut self, who: usize) {
        let nick = self.nick();
        self.say(who, &format!("NICK {nick}\r\nUSER u 0 * :Somebody"));
    }

    fn channel(&mut self) -> String {
        let number = self.choices.below(CHANNELS);
        format!("#c{number}")
    }

    /// One of its own channels, if it has any.
    fn own_channel(&mut self, who: usize) -> String {
        let own: Vec<_> = self.members[who].channels.keys().cloned().collect();
        if own.is_empty() { self.channel() } else { own[self.choices.below(own.len())].clone() }
    }

    /// The nickname of somebody.
    fn somebody(&mut self) -> String {
        let who = self.live[self.choices.below(self.live.len())];
        self.members[who].nick.clone().unwrap_or_else(|| self.nick())
    }

    fn join(&mut self, who: usize) {
        let channel = self.channel();
        let more =
            if self.choices.chance(20) { format!(",{}", self.channel()) } else { String::new() };
        self.say(who, &format!("JOIN {channel}{more}"));
    }

    fn leave(&mut self, who: usize) {
        let channel = self.own_channel(who);
        let line =
            if self.choices.chance(10) { "JOIN 0".to_owned() } else { format!("PART {channel}") };
        self.say(who, &line);
    }

    fn speak(&mut self, who: usize) {
        let target = match self.choices.below(10) {
            0 => self.channel(),
            1 | 2 => self.somebody(),
            _ => self.own_channel(who),
        };
        let line = self.message(who, target);
        self.say(who, &line);
    }

    /// A message that nobody has said before.
    fn message(&mut self, who: usize, target: String) -> String {
        let number = self.said.len() as u64;
        let line = format!("PRIVMSG {target} :m{number}");
        self.said.insert(number, (who, target));
        line
    }

    fn moderate(&mut self, who: usize) {
        let (channel, nick) = (self.own_channel(who), self.somebody());
        let line = match self.choices.below(8) {
            0..=2 => format!("KICK {channel} {nick} :out"),
            3 => format!("MODE {channel} +o {nick}"),
            4 => format!("MODE {channel} +v {nick}"),
            5 => format!("MODE {channel} +b {nick}"),
            6 => format!("MODE {channel} -b+l {nick} 200"),
            _ => format!("INVITE {nick} {channel}"),
        };
        self.say(who, &line);
    }

    fn flood(&mut self, who: usize) {
        self.count("a flood");
        let target = self.own_channel(who);
        let lines = 20 + self.choices.below(600);
        let mut all = String::new();
        for _ in 0..lines {
            all += &self.message(who, target.clone());
            all += "\r\n";
        }
        self.say(who, all.trim_end());
    }

    fn stop_or_go_on(&mut self, who: usize) -> Result<(), String> {
        let member = &mut self.members[who];
        member.is_stuck = !member.is_stuck;
        member.is_late = !member.is_stuck;
        self.talker.set_reading(who, !member.is_stuck)?;
        self.count("one stops reading");
        Ok(())
    }

    fn go(&mut self, who: usize) {
        match self.choices.below(3) {
            0 => self.say(who, "QUIT :bye"),
            1 => {
                self.talker.end(who);
                self.is_gone(who);
            }
            _ => {
                self.talker.lose(who);
                self.is_gone(who);
            }
        }
    }

    /// Sends lines; often the end of them comes later.
    fn say(&mut self, who: usize, lines: &str) {
        let mut data = std::mem::take(&mut self.members[who].unsent);
        data.extend(lines.as_bytes());
        data.extend(b"\r\n");
        if self.choices.chance(25) {
            let at = self.choices.below(data.len());
            self.members[who].unsent = data.split_off(at);
        }
        if self.choices.chance(25) && data.len() > 1 {
            let rest = data.split_off(self.choices.below(data.len()));
            self.talker.send(who, &data);
            data = rest;
        }
        self.talker.send(who, &data);
    }

    /// Everybody reads what has come, and it has to fit.
    fn look(&mut self) -> Result<(), String> {
        for who in self.live.clone() {
            let data = self.talker.take(who);
            let member = &mut self.members[who];
            member
                .read(&data)
                .map_err(|what| format!("client {who} ({:?}): {what}", member.nick))?;
            if !member.owed.is_empty() && !member.is_stuck && member.unsent.is_empty() {
                let owed = std::mem::take(&mut member.owed);
                self.talker.send(who, &owed);
            }
            if self.talker.is_cut_off(who) {
                self.is_gone(who);
            }
        }
        self.all_have_heard()
    }

    fn is_gone(&mut self, who: usize) {
        let member = &mut self.members[who];
        member.is_gone = true;
        let why = match &member.error {
            Some(error) if error.contains("Excess Flood") => "one is dropped for a flood",
            Some(_) => "one is sent away",
            None if member.is_stuck => "one doesn't read and is dropped",
            None => "one is gone",
        };
        self.live.retain(|other| *other != who);
        self.count(why);
    }

    /// What some have heard in this step, all have that were there all the while.
    fn all_have_heard(&mut self) -> Result<(), String> {
        let mut heard: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
        for (who, member) in self.members.iter_mut().enumerate() {
            // What came while it didn't read others have heard before.
            let is_news = !member.is_late;
            for message in member.heard.drain(..).filter(|_| is_news) {
                heard.entry(message).or_default().insert(who);
            }
        }
        for (message, by) in &heard {
            let (from, target) = self.said.get(message).ok_or("somebody hears what nobody said")?;
            if by.contains(from) && target.starts_with('#') {
                return Err(format!("client {from} hears its own m{message}"));
            }
            let ought = |who: &usize| {
                let member = &self.members[*who];
                let was_there =
                    member.channels.contains_key(target) && !member.joined.contains(target);
                was_there && !member.is_stuck && !member.is_late && who != from && !by.contains(who)
            };
            if self.size.is_prompt
                && let Some(deaf) = self.live.iter().copied().find(ought)
            {
                return Err(format!("client {deaf} doesn't hear m{message} in {target}"));
            }
        }
        for member in &mut self.members {
            member.joined.clear();
            member.is_late = false;
        }
        *self.happened.entry("a message is heard").or_default() += heard.len();
        Ok(())
    }

    /// Everybody reads, time passes, and then all views are one.
    fn rest(&mut self) -> Result<(), String> {
        for who in self.live.clone() {
            if std::mem::take(&mut self.members[who].is_stuck) {
                self.members[who].is_late = true;
                self.talker.set_reading(who, true)?;
            }
        }
        for _ in 0..RESTS {
            self.talker.pass(Duration::from_secs(1));
            self.look().map_err(|what| format!("at the end: {what}"))?;
        }
        self.views_are_one()
    }

    fn views_are_one(&mut self) -> Result<(), String> {
        let mut nicks = BTreeMap::new();
        let mut channels: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for who in &self.live {
            let member = &self.members[*who];
            let Some(nick) = &member.nick else { continue };
            if let Some(other) = nicks.insert(fold(nick), who) {
                return Err(format!("clients {who} and {other} are both {nick}"));
            }
            for channel in member.channels.keys() {
                channels.entry(channel).or_default().insert(fold(nick));
            }
        }
        for who in &self.live {
            for (channel, members) in &self.members[*who].channels {
                if *members != channels[&**channel] {
                    let there = &channels[&**channel];
                    let wrong: Vec<_> = members.symmetric_difference(there).collect();
                    return Err(format!("client {who} is wrong about {wrong:?} in {channel}"));
                }
            }
        }
        let members = channels.values().map(BTreeSet::len).sum();
        self.happened.insert("a member in the end", members);
        Ok(())
    }

    fn count(&mut self, what: &'static str) {
        *self.happened.entry(what).or_default() += 1;
    }
}

/// Channels that the crowd meets in.
const CHANNELS: usize = 12;

/// Seconds that the crowd rests in the end.
const RESTS: usize = 20;
