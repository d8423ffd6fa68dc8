//! A client's line, cut into its parts (RFC 2812, section 2.3.1; IRCv3's message tags).
//!
//! It borrows the line and allocates nothing. What a server needs of a parser beyond that is
//! leniency: two spaces are one, a source is skipped, and no tag is a reason to refuse a line.

/// Parameters beyond these are part of the last one.
const PARAMETERS_MAX: usize = 15;

/// Bytes of a client's tags, with their `@` and the space behind them.
pub(crate) const TAGS_BYTES_MAX: usize = 4096;

/// Bytes of a line without its tags, with its CR LF.
pub(crate) const LINE_BYTES_MAX: usize = 512;

/// A line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    /// What stands between `@` and the first space; empty where there is none.
    pub(crate) tags: &'a str,
    /// As it was written.
    pub(crate) command: &'a str,
    parameters: [&'a str; PARAMETERS_MAX],
    count: usize,
}

impl<'a> Message<'a> {
    /// The parts of a line that has no end any more; none where it has no command.
    pub(crate) fn parse(line: &'a str) -> Option<Self> {
        let mut rest = line.trim_start_matches(' ');
        let mut tags = "";
        if let Some(tagged) = rest.strip_prefix('@') {
            (tags, rest) = word(tagged);
        }
        // Whom it is from the server knows better.
        if rest.starts_with(':') {
            rest = word(rest).1;
        }
        let (command, mut rest) = word(rest);
        if command.is_empty() {
            return None;
        }
        let mut message = Message { tags, command, parameters: [""; PARAMETERS_MAX], count: 0 };
        while !rest.is_empty() {
            let is_last = message.count == PARAMETERS_MAX - 1;
            let parameter = match rest.strip_prefix(':') {
                Some(trailing) => {
                    rest = "";
                    trailing
                }
                None if is_last => std::mem::take(&mut rest),
                None => {
                    let (parameter, behind) = word(rest);
                    rest = behind;
                    parameter
                }
            };
            message.parameters[message.count] = parameter;
            message.count += 1;
        }
        Some(message)
    }

    /// The parameters.
    pub(crate) fn parameters(&self) -> &[&'a str] {
        &self.parameters[..self.count]
    }

    /// A parameter; empty where it isn't there.
    pub(crate) fn parameter(&self, number: usize) -> &'a str {
        self.parameters().get(number).copied().unwrap_or("")
    }

    /// A parameter that is there and isn't empty.
    pub(crate) fn given(&self, number: usize) -> Option<&'a str> {
        Some(self.parameter(number)).filter(|parameter| !parameter.is_empty())
    }

    /// The value of a tag, as it was escaped; none where the tag isn't there.
    pub(crate) fn tag(&self, key: &str) -> Option<&'a str> {
        let tags = self.tags.split(';').map(|tag| tag.split_once('=').unwrap_or((tag, "")));
        // Of a tag that comes twice the last one counts.
        tags.rev().find(|&(name, _)| name == key).map(|(_, value)| value)
    }

    /// The tags that go to other clients: those whose keys begin with `+`.
    pub(crate) fn client_tags(&self) -> impl Iterator<Item = &'a str> {
        self.tags.split(';').filter(|tag| tag.len() > 1 && tag.starts_with('+'))
    }
}

/// What stands before the first space, and what behind all spaces that follow.
fn word(text: &str) -> (&str, &str) {
    match text.split_once(' ') {
        Some((word, rest)) => (word, rest.trim_start_matches(' ')),
        None => (text, ""),
    }
}

/// Whether a line, without its end, is longer than a client may send (ERR_INPUTTOOLONG).
pub(crate) fn is_too_long(line: &[u8]) -> bool {
    let tags = match line {
        [b'@', ..] => line.iter().position(|&byte| byte == b' ').map_or(line.len(), |at| at + 1),
        _ => 0,
    };
    tags > TAGS_BYTES_MAX || line.len() - tags > LINE_BYTES_MAX - 2
}

/// The value of a tag as it was meant.
pub(crate) fn unescape(value: &str) -> String {
    let mut meant = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(':') => meant.push(';'),
                Some('s') => meant.push(' '),
                Some('r') => meant.push('\r'),
                Some('n') => meant.push('\n'),
                Some(other) => meant.push(other),
                None => {}
            },
            _ => meant.push(character),
        }
    }
    meant
}

#[cfg(test)]
mod tests {
    use super::{Message, is_too_long, unescape};

    fn parts(line: &str) -> (&str, &str, Vec<&str>) {
        let message = Message::parse(line).unwrap();
        (message.tags, message.command, message.parameters().to_vec())
    }

    #[test]
    fn a_line_is_cut_into_its_parts() {
        assert_eq!(parts("PING"), ("", "PING", vec![]));
        assert_eq!(
            parts("@a=b;+c :x!y@z PRIVMSG  #a,b   :hello  :there "),
            ("a=b;+c", "PRIVMSG", vec!["#a,b", "hello  :there "])
        );
        assert_eq!(parts("  JOIN #a b c:d "), ("", "JOIN", vec!["#a", "b", "c:d"]));
        assert_eq!(parts("TOPIC #a :"), ("", "TOPIC", vec!["#a", ""]));
    }

    #[test]
    fn what_has_no_command_is_no_message() {
        for line in ["", "   ", "@tags", "@tags ", ":source", "@a :b "] {
            assert!(Message::parse(line).is_none(), "{line:?}");
        }
    }

    #[test]
    fn the_fifteenth_parameter_takes_what_is_left() {
        let (_, _, parameters) = parts("A 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 :17");
        assert_eq!((parameters.len(), parameters[14]), (15, "15 16 :17"));
    }

    #[test]
    fn tags_are_found_and_their_values_unescaped() {
        let message = Message::parse(r"@label=a\:\s\\b\q\;label=2;+x;+y=1;z TAGMSG").unwrap();
        assert_eq!(message.tag("label"), Some("2"));
        assert_eq!((message.tag("+x"), message.tag("w")), (Some(""), None));
        assert_eq!(message.client_tags().collect::<Vec<_>>(), ["+x", "+y=1"]);
        assert_eq!(unescape(r"a\:\s\\b\q\"), r"a; \bq");
    }

    #[test]
    fn a_line_is_measured_without_its_tags() {
        let line = |tags: usize, rest: usize| {
            let tags = if tags == 0 { String::new() } else { format!("@{} ", "t".repeat(tags)) };
            is_too_long(format!("{tags}{}", "x".repeat(rest)).as_bytes())
        };
        assert!(!line(0, 510) && line(0, 511) && !line(4094, 510));
        assert!(line(4095, 1) && line(10, 511));
    }
}
