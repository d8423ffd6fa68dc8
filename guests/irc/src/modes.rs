//! Modes of clients, of channels and of members, as sets of letters.

/// A user's modes (RFC 2812, section 3.1.5).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct UserModes(u8);

const INVISIBLE: u8 = 1;
const OPERATOR: u8 = 2;
const REGISTERED: u8 = 4;
const SECURE: u8 = 8;
const WALLOPS: u8 = 16;

/// The letters of a user's modes.
const USER: [(char, u8); 5] =
    [('i', INVISIBLE), ('o', OPERATOR), ('r', REGISTERED), ('w', WALLOPS), ('Z', SECURE)];

/// All letters of users' modes.
pub(crate) const USER_LETTERS: &str = "iorwZ";

impl UserModes {
    /// The same with these letters.
    pub(crate) fn with(mut self, letters: &str) -> Self {
        for letter in letters.chars() {
            self.set(letter, true);
        }
        self
    }

    pub(crate) fn has(self, letter: char) -> bool {
        self.0 & bit(&USER, letter) != 0
    }

    /// Sets a mode or takes it away, and says whether that changes anything.
    pub(crate) fn set(&mut self, letter: char, is_on: bool) -> bool {
        set(&mut self.0, bit(&USER, letter), is_on)
    }

    pub(crate) fn is_operator(self) -> bool {
        self.0 & OPERATOR != 0
    }

    pub(crate) fn is_invisible(self) -> bool {
        self.0 & INVISIBLE != 0
    }

    pub(crate) fn letters(self) -> String {
        letters(&USER, self.0)
    }
}

/// A channel's modes that have no parameter (RFC 2811, section 4.2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct ChannelModes(u8);

/// Only who was invited may join.
pub(crate) const INVITE_ONLY: char = 'i';
/// Only those with a voice may speak.
pub(crate) const MODERATED: char = 'm';
/// Nobody from outside may speak.
pub(crate) const NO_OUTSIDERS: char = 'n';
/// Outsiders don't see it.
pub(crate) const SECRET: char = 's';
/// Only operators may set the topic.
pub(crate) const TOPIC_GUARDED: char = 't';

const CHANNEL: [(char, u8); 5] =
    [(INVITE_ONLY, 1), (MODERATED, 2), (NO_OUTSIDERS, 4), (SECRET, 8), (TOPIC_GUARDED, 16)];

impl ChannelModes {
    pub(crate) fn of(letters: &str) -> Self {
        let mut modes = ChannelModes::default();
        for letter in letters.chars() {
            modes.set(letter, true);
        }
        modes
    }

    pub(crate) fn is_known(letter: char) -> bool {
        bit(&CHANNEL, letter) != 0
    }

    pub(crate) fn has(self, letter: char) -> bool {
        self.0 & bit(&CHANNEL, letter) != 0
    }

    pub(crate) fn set(&mut self, letter: char, is_on: bool) -> bool {
        set(&mut self.0, bit(&CHANNEL, letter), is_on)
    }

    pub(crate) fn letters(self) -> String {
        letters(&CHANNEL, self.0)
    }
}

/// What a member of a channel is: an operator (`o`, shown as `@`), one with a voice (`v`, `+`), both
/// or neither.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Status(u8);

const MEMBER: [(char, u8); 2] = [('o', 1), ('v', 2)];

impl Status {
    /// What who makes a channel is in it.
    pub(crate) const OPERATOR: Status = Status(1);

    pub(crate) fn is_operator(self) -> bool {
        self.0 & 1 != 0
    }

    pub(crate) fn has_voice(self) -> bool {
        self.0 != 0
    }

    pub(crate) fn set(&mut self, letter: char, is_on: bool) -> bool {
        set(&mut self.0, bit(&MEMBER, letter), is_on)
    }

    /// The prefixes of a member's name: the highest, or all of them (multi-prefix).
    pub(crate) fn prefixes(self, all: bool) -> &'static str {
        match (self.0, all) {
            (3, true) => "@+",
            (1 | 3, _) => "@",
            (2, _) => "+",
            _ => "",
        }
    }
}

fn bit(table: &[(char, u8)], letter: char) -> u8 {
    table.iter().find(|(known, _)| *known == letter).map_or(0, |&(_, bit)| bit)
}

fn set(modes: &mut u8, bit: u8, is_on: bool) -> bool {
    let before = *modes;
    if is_on {
        *modes |= bit;
    } else {
        *modes &= !bit;
    }
    *modes != before
}

fn letters(table: &[(char, u8)], modes: u8) -> String {
    table.iter().filter(|(_, bit)| modes & bit != 0).map(|(letter, _)| letter).collect()
}

/// The changes that a `MODE` has made, as it is told to others: `+o-v alice bob`.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    letters: String,
    parameters: String,
    is_on: Option<bool>,
}

impl Changes {
    pub(crate) fn add(&mut self, is_on: bool, letter: char, parameter: Option<&str>) {
        if self.is_on != Some(is_on) {
            self.letters.push(if is_on { '+' } else { '-' });
            self.is_on = Some(is_on);
        }
        self.letters.push(letter);
        if let Some(parameter) = parameter {
            self.parameters.push(' ');
            self.parameters.push_str(parameter);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// How many bytes it has as a text.
    pub(crate) fn len(&self) -> usize {
        self.letters.len() + self.parameters.len()
    }
}

impl std::fmt::Display for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.letters)?;
        f.write_str(&self.parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::{Changes, ChannelModes, Status, UserModes};

    #[test]
    fn modes_are_sets_of_known_letters() {
        let mut modes = ChannelModes::of("tnx");
        assert_eq!(modes.letters(), "nt");
        assert!(!modes.set('n', true) && modes.set('n', false) && !modes.has('n'));
        assert!(!ChannelModes::is_known('x'));
        let modes = UserModes::default().with("oi");
        assert!(modes.is_operator() && modes.is_invisible() && !modes.has('w'));
    }

    #[test]
    fn the_highest_prefix_stands_alone_where_not_all_are_asked_for() {
        let mut status = Status::OPERATOR;
        status.set('v', true);
        assert_eq!((status.prefixes(false), status.prefixes(true)), ("@", "@+"));
        status.set('o', false);
        assert_eq!(status.prefixes(true), "+");
    }

    #[test]
    fn changes_are_written_with_each_sign_once() {
        let mut changes = Changes::default();
        changes.add(true, 'o', Some("alice"));
        changes.add(true, 'n', None);
        changes.add(false, 'b', Some("*!*@b"));
        assert_eq!(changes.to_string(), "+on-b alice *!*@b");
    }
}
