//! What a key may be: in words for people, and as JSON Schema for editors. The reader of the
//! configuration takes nothing that a form refuses; what a schema can't say it refuses besides.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::units::{self, Share};

/// What a key may be.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// One of some words.
    Choice(Vec<&'static str>),
    /// A number.
    Count(RangeInclusive<usize>),
    /// `true` or `false`.
    Flag,
    /// A table whose keys are a plugin's to know.
    Free,
    /// A list of strings, of so many.
    List(Text, RangeInclusive<usize>),
    /// A part of a whole.
    Part(RangeInclusive<Share>),
    /// Bytes.
    Size(RangeInclusive<usize>),
    /// A table whose keys have rows of their own.
    Table,
    /// A string.
    Text(Text),
    /// A string in the stead of a table whose keys have rows of their own.
    TextOrTable(Text),
    /// A time.
    Time(RangeInclusive<Duration>),
}

/// What a string is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    /// One of them, in words.
    pub(super) one: &'static str,
    /// Several, in words.
    pub(super) many: &'static str,
    /// The fewest and the most bytes.
    pub(super) bytes: (usize, usize),
    /// What it is like, as a regular expression of ECMA-262; empty for anything.
    pub(super) pattern: &'static str,
}

impl Form {
    /// In words, as the type of a key: "size, 64KiB to 4GiB".
    pub(super) fn words(&self) -> String {
        match self {
            Self::Choice(words) => either(words),
            Self::Count(range) => format!("number, {} to {}", range.start(), range.end()),
            Self::Flag => "`true` or `false`".to_owned(),
            Self::Free | Self::Table => "table".to_owned(),
            Self::List(text, items) => format!("list of {}, at most {}", text.many, items.end()),
            Self::Part(range) => format!("share, {} to {}", range.start(), range.end()),
            Self::Size(range) => {
                let show = units::show_size;
                format!("size, {} to {}", show(*range.start()), show(*range.end()))
            }
            Self::Text(text) => text.one.to_owned(),
            Self::TextOrTable(text) => format!("{}, or table", text.one),
            Self::Time(range) => {
                let show = units::show_time;
                format!("time, {} to {}", show(*range.start()), show(*range.end()))
            }
        }
    }

    /// As JSON Schema; `table` is that of the rows below it.
    pub(super) fn schema(&self, table: Map<String, Value>) -> Map<String, Value> {
        let schema = match self {
            Self::Choice(words) => json!({ "enum": words }),
            Self::Count(range) => {
                json!({ "type": "integer", "minimum": range.start(), "maximum": range.end() })
            }
            Self::Flag => json!({ "type": "boolean" }),
            Self::Free => json!({ "type": "object" }),
            Self::List(text, items) => json!({
                "type": "array",
                "items": text.schema(),
                "minItems": items.start(),
                "maxItems": items.end(),
            }),
            Self::Part(_) => pattern(r"^[0-9]+\s*%$"),
            Self::Size(_) => pattern(&quantity(units::sizes())),
            Self::Table => Value::Object(table),
            Self::Text(text) => text.schema(),
            Self::TextOrTable(text) => json!({ "anyOf": [text.schema(), table] }),
            Self::Time(_) => pattern(&quantity(units::times())),
        };
        match schema {
            Value::Object(schema) => schema,
            _ => Map::new(),
        }
    }
}

impl Text {
    /// Any string that isn't empty.
    pub(super) const fn of(one: &'static str, many: &'static str) -> Self {
        Self { one, many, bytes: (1, usize::MAX), pattern: "" }
    }

    fn schema(&self) -> Value {
        let mut schema = Map::from_iter([("type".to_owned(), json!("string"))]);
        let (least, most) = self.bytes;
        let mut say = |key: &str, value: Value| schema.insert(key.to_owned(), value);
        if least > 0 {
            say("minLength", json!(least));
        }
        // It counts characters, of which there are no more than bytes.
        if most < usize::MAX {
            say("maxLength", json!(most));
        }
        if !self.pattern.is_empty() {
            say("pattern", json!(self.pattern));
        }
        Value::Object(schema)
    }
}

/// The words in quotes, with "or" before the last.
pub(super) fn either(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    match quoted.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        _ => quoted.concat(),
    }
}

fn pattern(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

/// A number with one of these units, as it is read.
fn quantity<'a>(units: impl Iterator<Item = &'a str>) -> String {
    let units: Vec<&str> = units.collect();
    format!(r"^([0-9]+\.?[0-9]*|\.[0-9]+)\s*({})\s*$", units.join("|"))
}
