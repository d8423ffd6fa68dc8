//! A text of a conversation: bytes, and holes that stand for what varies.

use std::collections::BTreeMap;

/// Bytes with holes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Text(Vec<Part>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Bytes(Vec<u8>),
    /// Any word, or anything; the name is what it is remembered by.
    Hole {
        name: Option<String>,
        is_word: bool,
    },
}

/// What the named holes stand for.
pub(super) type Known = BTreeMap<String, Vec<u8>>;

impl Text {
    /// Reads what a file says.
    pub(super) fn parse(written: &str) -> Result<Self, String> {
        let mut text = Self::default();
        let mut rest = written;
        while let Some(first) = rest.chars().next() {
            rest = &rest[first.len_utf8()..];
            rest = match first {
                '\\' => text.push_escape(rest)?,
                '{' => text.push_hole(rest)?,
                _ => {
                    text.push_bytes(first.encode_utf8(&mut [0; 4]).as_bytes());
                    rest
                }
            };
        }
        Ok(text)
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        match self.0.last_mut() {
            Some(Part::Bytes(last)) => last.extend(bytes),
            _ => self.0.push(Part::Bytes(bytes.to_vec())),
        }
    }

    /// What is behind a backslash; gives back what is behind that.
    fn push_escape<'a>(&mut self, rest: &'a str) -> Result<&'a str, String> {
        let wrong = || format!("`\\{}` is none of \\r \\n \\t \\\\ \\{{ \\x00", brief(rest));
        let kind = rest.chars().next().ok_or_else(wrong)?;
        let after = &rest[kind.len_utf8()..];
        let byte = match kind {
            'r' => b'\r',
            'n' => b'\n',
            't' => b'\t',
            '\\' | '{' => kind as u8,
            'x' => {
                let digits = after.get(..2).ok_or_else(wrong)?;
                self.push_bytes(&[u8::from_str_radix(digits, 16).map_err(|_| wrong())?]);
                return Ok(&after[2..]);
            }
            _ => return Err(wrong()),
        };
        self.push_bytes(&[byte]);
        Ok(after)
    }

    /// What is behind an opening brace; gives back what is behind the closing one.
    fn push_hole<'a>(&mut self, rest: &'a str) -> Result<&'a str, String> {
        let unclosed = || format!("`{{{}` has no end: a brace itself is \\{{", brief(rest));
        let (within, after) = rest.split_once('}').ok_or_else(unclosed)?;
        if let Some((what, times)) = within.rsplit_once(" * ") {
            let times: usize =
                times.parse().ok().filter(|times| *times <= REPEATS_MAX).ok_or_else(|| {
                    format!("`{times}` is no number up to {REPEATS_MAX}: right is {{a * 600}}")
                })?;
            let what = Self::parse(what)?.fill(&Known::new())?;
            self.push_bytes(&what.repeat(times));
            return Ok(after);
        }
        let (name, is_word) = match within.strip_suffix("...") {
            Some(name) => (name, false),
            None => (within, true),
        };
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(format!(
                "{{{within}}} is no hole: right are {{}}, {{...}}, {{name}}, {{name...}} and {{a * 600}}"
            ));
        }
        let name = (!name.is_empty()).then(|| name.to_owned());
        self.0.push(Part::Hole { name, is_word });
        Ok(after)
    }

    /// Appends bytes.
    pub(super) fn and(mut self, bytes: &[u8]) -> Self {
        self.push_bytes(bytes);
        self
    }

    /// The bytes, with what the holes are known to stand for.
    pub(super) fn fill(&self, known: &Known) -> Result<Vec<u8>, String> {
        let mut filled = Vec::new();
        for part in &self.0 {
            match part {
                Part::Bytes(bytes) => filled.extend(bytes),
                Part::Hole { name: None, .. } => {
                    return Err("what is sent can't be just anything: name it".to_owned());
                }
                Part::Hole { name: Some(name), .. } => match known.get(name) {
                    Some(bytes) => filled.extend(bytes),
                    None => return Err(format!("nothing that was seen is called {{{name}}}")),
                },
            }
        }
        Ok(filled)
    }

    /// How many bytes of `seen` it is, if it is what they begin with: all of them where `whole` is
    /// asked for. What named holes stand for is remembered then.
    pub(super) fn find(&self, seen: &[u8], whole: bool, known: &mut Known) -> Option<usize> {
        let (length, found) = begins(&self.0, seen, whole, known)?;
        *known = found;
        Some(length)
    }
}

/// Tries to have `parts` be what `seen` begins with; each hole takes as little as it can.
fn begins(parts: &[Part], seen: &[u8], whole: bool, known: &Known) -> Option<(usize, Known)> {
    let Some((part, parts)) = parts.split_first() else {
        return (!whole || seen.is_empty()).then(|| (0, known.clone()));
    };
    let told = match part {
        Part::Bytes(bytes) => Some(bytes),
        Part::Hole { name, .. } => name.as_ref().and_then(|name| known.get(name)),
    };
    if let Some(bytes) = told {
        let rest = seen.strip_prefix(&**bytes)?;
        let (length, known) = begins(parts, rest, whole, known)?;
        return Some((bytes.len() + length, known));
    }
    let Part::Hole { name, is_word } = part else { return None };
    let blank = seen.iter().position(|byte| *byte == b' ').unwrap_or(seen.len());
    let lengths = if *is_word { 1..=blank } else { 0..=seen.len() };
    for length in lengths {
        let (taken, rest) = seen.split_at(length);
        let mut known = known.clone();
        if let Some(name) = name {
            known.insert(name.clone(), taken.to_vec());
        }
        if let Some((more, known)) = begins(parts, rest, whole, &known) {
            return Some((length + more, known));
        }
    }
    None
}

/// The beginning of what is shown of a text that is wrong.
fn brief(text: &str) -> String {
    text.chars().take(10).collect()
}

/// Bytes as a file would say them.
pub(super) fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\r' => text.push_str("\\r"),
                '\n' => text.push_str("\\n"),
                '\t' => text.push_str("\\t"),
                '\\' | '{' => text.extend(['\\', c]),
                c if c.is_ascii_control() => text.push_str(&format!("\\x{:02x}", c as u32)),
                c => text.push(c),
            }
        }
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

/// How often a text may be repeated.
const REPEATS_MAX: usize = 1 << 20;
