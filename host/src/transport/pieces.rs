//! The syntax that all endpoint strings share: pieces, keys, escapes.

use std::{fmt, mem};

use super::endpoint::EndpointError;

/// The longest endpoint string in bytes. The longest that means something, a path with every
/// character escaped, is far shorter.
pub const ENDPOINT_MAX: usize = 1024;

/// How much of a string that is too long its error shows, in characters.
const SHOWN: usize = 64;

/// Reads an endpoint string by `parse`, unless it is too long.
pub(super) fn read<T>(
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, EndpointError> {
    if text.len() > ENDPOINT_MAX {
        let shown: String = text.chars().take(SHOWN).chain(['…']).collect();
        let problem = format!("it is {} bytes long; {ENDPOINT_MAX} are the most", text.len());
        return Err(EndpointError::new(&shown, problem));
    }
    parse(text).map_err(|problem| EndpointError::new(text, problem))
}

/// How the arguments of a kind of endpoint may be written.
#[derive(Clone, Copy)]
pub(super) struct Syntax {
    /// Arguments that may stand without their key, in this order and before all others.
    pub(super) positional: &'static [&'static str],
    /// Arguments that may be an IPv6 address in brackets.
    pub(super) addresses: &'static [&'static str],
}

/// The arguments of an endpoint string, unescaped, each with its key.
pub(super) struct Pieces(Vec<(String, String)>);

impl Pieces {
    /// Reads what follows an endpoint's kind.
    pub(super) fn of(text: &str, syntax: Syntax) -> Result<Self, String> {
        let mut pieces: Vec<(String, String)> = Vec::new();
        let mut keyed = false;
        for (place, (key, value)) in split(text, syntax)?.into_iter().enumerate() {
            let positional = syntax.positional.get(place).filter(|_| !keyed);
            match (key, positional) {
                (Some(key), _) => {
                    keyed = true;
                    pieces.push((key, value));
                }
                (None, Some(_)) if value.is_empty() => {}
                (None, Some(key)) => pieces.push(((*key).to_owned(), value)),
                (None, None) => {
                    let behind = pieces.last().filter(|_| keyed).map(|(key, _)| key.as_str());
                    return Err(misplaced(text, &value, behind, syntax));
                }
            }
        }
        Ok(Self(pieces))
    }

    /// Takes an argument out.
    pub(super) fn take(&mut self, key: &str) -> Result<Option<String>, String> {
        let Some(place) = self.0.iter().position(|(name, _)| name == key) else {
            return Ok(None);
        };
        let (_, value) = self.0.remove(place);
        if self.0.iter().any(|(name, _)| name == key) {
            return Err(format!("{key} is given twice"));
        }
        Ok(Some(value))
    }

    /// Takes `lockfile` out, which is Twisted's and changes nothing here.
    pub(super) fn lockfile(&mut self) -> Result<(), String> {
        match self.take("lockfile")?.as_deref() {
            None | Some("0" | "1") => Ok(()),
            Some(lockfile) => Err(format!("lockfile {lockfile:?} is neither 0 nor 1")),
        }
    }

    /// Fails where an argument is left over.
    pub(super) fn finish(self, known: &str) -> Result<(), String> {
        match self.0.first() {
            Some((key, _)) => Err(format!("{key:?} is not known here; it takes {known}")),
            None => Ok(()),
        }
    }
}

/// What is wrong with a value that has no key where it needs one; `behind` is the key before it.
fn misplaced(text: &str, value: &str, behind: Option<&str>, syntax: Syntax) -> String {
    let key = behind.or(syntax.positional.first().copied()).unwrap_or_default();
    match behind {
        _ if !text.contains("::") || !syntax.addresses.contains(&key) => {}
        Some(_) => return format!("an IPv6 address goes in brackets, as {key}=[::1]"),
        None => return "an IPv6 address goes in brackets, as tcp:[::1]:80".to_owned(),
    }
    if value.is_empty() {
        return "a piece of it is empty".to_owned();
    }
    format!("{value:?} is not of the form key=value")
}

/// Cuts the text at each `:` and each piece at its first `=`, and takes the escapes away.
pub(super) fn split(text: &str, syntax: Syntax) -> Result<Vec<(Option<String>, String)>, String> {
    let mut pieces = Vec::new();
    let (mut key, mut word) = (None, String::new());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.push(characters.next().ok_or("it ends in a backslash")?),
            ':' => pieces.push((key.take(), mem::take(&mut word))),
            '=' if key.is_none() => key = Some(mem::take(&mut word)),
            // Friendlier than Twisted: an IPv6 address in brackets needs no escapes.
            '[' if word.is_empty() => {
                let positional = syntax.positional.get(pieces.len()).copied();
                let name = key.as_deref().or(positional).unwrap_or_default();
                if !syntax.addresses.contains(&name) {
                    word.push('[');
                    continue;
                }
                let (address, rest) = characters
                    .as_str()
                    .split_once(']')
                    .ok_or_else(|| format!("the bracket [ of {name} is not closed"))?;
                word = format!("[{address}]");
                characters = rest.chars();
            }
            _ => word.push(character),
        }
    }
    pieces.push((key, word));
    Ok(pieces)
}

/// A value as an endpoint string has it: with its special characters escaped.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if matches!(character, ':' | '=' | '\\') {
                out.write_str("\\")?;
            }
            write!(out, "{character}")?;
        }
        Ok(())
    }
}

/// A decimal number without a sign.
pub(super) fn number(text: &str, min: u32, max: u32) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits)?;
    (min..=max).contains(&number).then_some(number)
}
