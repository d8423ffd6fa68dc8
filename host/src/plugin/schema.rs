//! The JSON Schema (draft 2020-12) of a plugin's `config`. Who wrote it isn't trusted, so what it
//! can cost is bounded before it is used: it leads nowhere but into itself, it is small also when
//! all its references are followed, and its patterns are matched in linear time.

mod words;

use std::time::Duration;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::Value;

use super::compiling::within;
use super::component::LoadError;
use super::words::plain;
use words::{explain, first_sentence, type_words};

/// The draft that is read, by the name that a schema may give.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The most values that a schema may have, where each reference counts as all that it leads to.
const WEIGHT_MAX: usize = 10_000;

/// How deep they may be nested, references included.
const DEPTH_MAX: usize = 64;

/// What a pattern weighs beside its letters, in values.
const PATTERN_WEIGHT: usize = 100;

/// What a compiled pattern may have, in bytes.
const PATTERN_BYTES: usize = 256 * 1024;

/// The most mistakes of a configuration that are looked for.
const WRONG_MAX: usize = 100;

/// How much a message has of what is wrong with a value, in bytes.
const MESSAGE_BYTES: usize = 700;

/// What a plugin's `config` may be.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema(Value);

/// Something that a configuration says wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wrong {
    /// The value: a JSON Pointer (RFC 6901) from the configuration's root.
    pub at: String,
    /// The key in it that is the mistake, where the value isn't.
    pub key: Option<String>,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// A key that a schema knows at its root.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Key {
    /// The key.
    pub name: String,
    /// What its value is: `string`, `list or table`; empty where the schema doesn't say.
    pub kind: String,
    /// The first sentence of what it means; empty where the schema doesn't say.
    pub meaning: String,
}

impl Schema {
    /// A schema, found to be harmless.
    pub(super) fn new(schema: Value) -> Result<Self, String> {
        let Value::Object(table) = &schema else { return Err("is not an object".into()) };
        match table.get("$schema") {
            None => {}
            Some(Value::String(draft)) if draft.trim_end_matches('#') == DRAFT => {}
            Some(other) => return Err(format!("is of {other}; draft 2020-12 is read, {DRAFT}")),
        }
        Scales { schema: &schema, left: WEIGHT_MAX }.weigh(&schema, 0)?;
        Ok(Self(schema))
    }

    /// The schema itself.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// The keys that it knows at its root.
    pub fn keys(&self) -> Vec<Key> {
        let properties = self.0.get("properties").and_then(Value::as_object);
        let key = |(name, about): (&String, &Value)| Key {
            name: plain(name.clone(), MESSAGE_BYTES),
            kind: plain(type_words(about), MESSAGE_BYTES),
            meaning: plain(first_sentence(about), MESSAGE_BYTES),
        };
        properties.into_iter().flatten().map(key).collect()
    }

    /// What a configuration says wrong, the first mistakes of many. Looks for no longer than `most`,
    /// the service's `limits.compile-time`.
    ///
    /// # Errors
    /// Where the schema is no schema, or takes too long.
    pub fn check(&self, config: &Value, most: Duration) -> Result<Vec<Wrong>, LoadError> {
        let (Self(schema), config) = (self.clone(), config.clone());
        within(most, "checking its config by its manifest's config-schema", move || {
            let validator = build(&schema).map_err(|error| {
                let why = plain(not_a_schema(&error), MESSAGE_BYTES);
                LoadError::new(format!("its manifest has a config-schema that is none: {why}"))
            })?;
            let mut all = Vec::new();
            for error in validator.iter_errors(&config).take(WRONG_MAX) {
                explain(&error, (&schema, &config), &mut all);
            }
            Ok(all)
        })
    }
}

fn build(schema: &Value) -> Result<Validator, ValidationError<'static>> {
    let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES);
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(patterns)
        .offline()
        .build(schema)
}

/// Where a schema is none, and why.
fn not_a_schema(error: &ValidationError<'_>) -> String {
    let in_schema = error.instance_path();
    match error.kind() {
        ValidationErrorKind::Format { format } if format == "regex" => format!(
            "{}: {} can't be matched in linear time, without look-around and back-references, \
             by a program of {PATTERN_BYTES} bytes at most",
            error.schema_path(),
            error.instance()
        ),
        _ => format!("{in_schema}: {error}"),
    }
}

/// Weighs a schema as if each reference were what it leads to.
struct Scales<'a> {
    schema: &'a Value,
    left: usize,
}

impl<'a> Scales<'a> {
    fn weigh(&mut self, value: &'a Value, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(format!(
                "nests deeper than {DEPTH_MAX} levels, or without end: it may not refer to itself"
            ));
        }
        self.take(1)?;
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.weigh(item, depth + 1)),
            Value::Object(table) => {
                table.iter().try_for_each(|(key, value)| self.weigh_keyword(key, value, depth))
            }
            _ => Ok(()),
        }
    }

    /// A key that isn't a keyword where it stands, as the name of a property, has no string as its
    /// value there; in an example it may have, and is then taken for one.
    fn weigh_keyword(&mut self, key: &str, value: &'a Value, depth: usize) -> Result<(), String> {
        match (key, value) {
            ("$ref", Value::String(to)) => {
                let inside = to.strip_prefix('#').and_then(|at| self.schema.pointer(at));
                let target = inside.ok_or_else(|| {
                    format!("refers to {to:?}; only what is in it is found, as #/$defs/NAME")
                })?;
                self.weigh(target, depth + 1)
            }
            ("$anchor" | "$dynamicAnchor" | "$dynamicRef" | "$recursiveRef", Value::String(_)) => {
                Err(format!("has a {key}; what is in it is referred to as #/$defs/NAME"))
            }
            ("$id" | "$schema", Value::String(_)) if depth > 0 => {
                Err(format!("has a {key} beside its own"))
            }
            ("pattern", Value::String(pattern)) => self.take(PATTERN_WEIGHT + pattern.len()),
            ("patternProperties", Value::Object(table)) => {
                let patterns = table.keys().map(|pattern| PATTERN_WEIGHT + pattern.len());
                self.take(patterns.sum())?;
                self.weigh(value, depth + 1)
            }
            _ => self.weigh(value, depth + 1),
        }
    }

    fn take(&mut self, weight: usize) -> Result<(), String> {
        let left = self.left.checked_sub(weight).ok_or_else(|| {
            format!(
                "has more than {WEIGHT_MAX} values, where each reference counts as all that it leads \
                 to, and a pattern as {PATTERN_WEIGHT} and its letters"
            )
        })?;
        self.left = left;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
