//! How a peer writes values: `null`, `integer 5`, `real 1.5`, `text …`, `blob 00ff` in hexadecimal;
//! `text*9` and `blob*9` are nine letters `a`. Keys and values of the key-value store are written as
//! blobs or texts, and `null` is none.

use std::time::Duration;

use torsade_guest::sql::{Statement, Value};
use torsade_guest::{Failure, code};

/// One statement and its parameters.
pub(crate) fn statement(words: &[&str]) -> Result<Statement, Failure> {
    let (text, parameters) = words.split_first().ok_or_else(|| wrong("a statement"))?;
    // As `text*9` does, for statements that are too long.
    let text = match text.strip_prefix("SELECT*") {
        Some(length) => format!("SELECT {}", "1".repeat(count(length)?)),
        None => (*text).to_owned(),
    };
    let parameters = parameters.iter().copied().map(value).collect::<Result<_, _>>()?;
    Ok(Statement { text, parameters })
}

/// Statements, with a field `;` between two.
pub(crate) fn statements(words: &[&str]) -> Result<Vec<Statement>, Failure> {
    words.split(|word| *word == ";").map(statement).collect()
}

pub(crate) fn value(word: &str) -> Result<Value, Failure> {
    if let Some((kind, length)) = word.split_once('*')
        && let Ok(length) = length.parse()
    {
        let letters = "a".repeat(length);
        return Ok(if kind == "text" { letters.into() } else { letters.into_bytes().into() });
    }
    let (kind, rest) = word.split_once(' ').unwrap_or((word, ""));
    Ok(match kind {
        "null" => Value::Null,
        "integer" => Value::Integer(rest.parse().map_err(|_| wrong("an integer"))?),
        "real" => Value::Real(rest.parse().map_err(|_| wrong("a number"))?),
        "text" => rest.into(),
        "blob" => Value::Blob(hexadecimal(rest)?),
        _ => return Err(wrong("a value")),
    })
}

/// The bytes of a key or a value.
pub(crate) fn bytes(word: &str) -> Result<Vec<u8>, Failure> {
    optional(word)?.ok_or_else(|| wrong("bytes"))
}

/// The same, or none for `null`.
pub(crate) fn optional(word: &str) -> Result<Option<Vec<u8>>, Failure> {
    match value(word)? {
        Value::Blob(bytes) => Ok(Some(bytes)),
        Value::Text(text) => Ok(Some(text.into_bytes())),
        Value::Null => Ok(None),
        Value::Integer(_) | Value::Real(_) => Err(wrong("bytes")),
    }
}

/// A lifetime in milliseconds, or none where the line ends.
pub(crate) fn lifetime(words: &[&str]) -> Result<Option<Duration>, Failure> {
    let milliseconds = words.first().map(|word| count(word)).transpose()?;
    Ok(milliseconds.map(|milliseconds| Duration::from_millis(milliseconds as u64)))
}

pub(crate) fn count(word: &str) -> Result<usize, Failure> {
    word.parse().map_err(|_| wrong("a count"))
}

fn hexadecimal(digits: &str) -> Result<Vec<u8>, Failure> {
    let pair = |at| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..digits.len()).step_by(2).map(pair).collect::<Option<_>>().ok_or_else(|| wrong("a blob"))
}

fn wrong(wanted: &str) -> Failure {
    Failure::new(code::UNSUPPORTED, format!("the line has not {wanted} where it should"))
}
