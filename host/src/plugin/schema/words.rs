//! What is wrong with a configuration, in words for whoever writes TOML.

use std::iter;

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::paths::Location;
use jsonschema::{JsonType, ValidationError};
use serde_json::Value;

use super::super::words::plain;
use super::{MESSAGE_BYTES, Wrong};
use crate::suggest::{nearest, unknown_key};

/// The longest value that a message repeats, in bytes.
const VALUE_BYTES: usize = 100;

/// Adds what an error means, to be read beside the schema and the configuration.
pub(super) fn explain(
    error: &ValidationError<'_>,
    (schema, config): (&Value, &Value),
    all: &mut Vec<Wrong>,
) {
    let mut say = |key: Option<&String>, problem: String| {
        let (at, problem) = (error.instance_path().to_string(), plain(problem, MESSAGE_BYTES));
        all.push(Wrong { at, key: key.cloned(), problem });
    };
    let value = error.instance();
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let known = beside(error, schema).and_then(|it| it.get("properties")?.as_object());
            let known: Vec<_> = known.into_iter().flatten().map(|(key, _)| &**key).collect();
            for key in unexpected {
                say(Some(key), unknown_key(key, &known));
            }
        }
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => match choose(error, context) {
            Ok(form) => form.iter().for_each(|error| explain(error, (schema, config), all)),
            Err(problem) => say(None, problem),
        },
        Kind::Constant { expected_value } => {
            say(None, none_of(value, iter::once(&**expected_value)));
        }
        Kind::Enum { options } => {
            say(None, none_of(value, options.as_array().into_iter().flatten()));
        }
        Kind::FalseSchema => match keys_of_none(error, config) {
            Some(keys) => keys.for_each(|key| say(Some(key), unknown_key(key, &[]))),
            None => say(None, format!("{} is not allowed here", shown(value))),
        },
        Kind::Required { property } => say(None, missing(error, schema, property)),
        Kind::Type { kind } => say(None, not_of_type(value, &types(kind))),
        _ => say(None, error.masked_with(shown(value)).to_string()),
    }
}

/// Which of several forms a value was meant to have, as the mistakes in it; or what to say where
/// that isn't clear.
fn choose<'a>(
    error: &ValidationError<'_>,
    context: &'a [Vec<ValidationError<'static>>],
) -> Result<&'a [ValidationError<'static>], String> {
    let (at, value) = (error.instance_path(), error.instance());
    // TOML can't say null.
    let is_null = |branch: &[ValidationError<'static>]| {
        types_at(branch, at).is_some_and(|types| types == [JsonType::Null])
    };
    let branches = context.iter().map(Vec::as_slice).filter(|branch| !is_null(branch));
    let branches: Vec<_> = branches.collect();
    if let [only] = branches[..] {
        return Ok(only);
    }
    let constants: Option<Vec<_>> = branches.iter().map(|it| constant_at(it, at)).collect();
    if let Some(constants) = constants {
        return Err(none_of(value, constants.into_iter()));
    }
    let depth = |branch: &&[ValidationError<'static>]| {
        branch.iter().map(|error| error.instance_path().as_str().matches('/').count()).max()
    };
    let fit = branches.iter().copied().filter(|branch| types_at(branch, at).is_none());
    // The first of those that are as deep.
    if let Some(best) = fit.rev().max_by_key(depth) {
        return Ok(best);
    }
    let types = branches.iter().filter_map(|branch| types_at(branch, at));
    let mut types: Vec<_> = types.flatten().collect();
    types.sort_unstable();
    types.dedup();
    Err(not_of_type(value, &types))
}

/// The types of which a value should be one, where a form says so.
fn types_at(form: &[ValidationError<'static>], at: &Location) -> Option<Vec<JsonType>> {
    form.iter().find_map(|error| match error.kind() {
        Kind::Type { kind } if error.instance_path() == at => Some(types(kind)),
        _ => None,
    })
}

/// What a value should be, where a form says so.
fn constant_at<'a>(form: &'a [ValidationError<'static>], at: &Location) -> Option<&'a Value> {
    form.iter().find_map(|error| match error.kind() {
        Kind::Constant { expected_value } if error.instance_path() == at => Some(&**expected_value),
        _ => None,
    })
}

/// What stands beside the keyword that an error is about.
fn beside<'a>(error: &ValidationError<'_>, schema: &'a Value) -> Option<&'a Value> {
    let (parent, _) = error.schema_path().as_str().rsplit_once('/')?;
    schema.pointer(parent)
}

/// The keys of a table that may have none: of these the error has but one, and not its name.
fn keys_of_none<'a>(
    error: &ValidationError<'_>,
    config: &'a Value,
) -> Option<impl Iterator<Item = &'a String>> {
    let table = config.pointer(error.instance_path().as_str())?.as_object()?;
    let is_closed = error.schema_path().as_str().ends_with("/additionalProperties");
    (is_closed && !table.is_empty()).then(|| table.keys())
}

fn missing(error: &ValidationError<'_>, schema: &Value, property: &Value) -> String {
    let name = property.as_str().unwrap_or_default();
    let about = beside(error, schema).and_then(|it| it.get("properties")?.get(name));
    let meaning = about.map(first_sentence).unwrap_or_default();
    match meaning.is_empty() {
        true => format!("{name} is missing"),
        false => format!("{name} is missing: {meaning}"),
    }
}

fn none_of<'a>(value: &Value, options: impl Iterator<Item = &'a Value> + Clone) -> String {
    let texts = options.clone().filter_map(Value::as_str);
    let meant = value.as_str().and_then(|text| nearest(text, texts));
    let meant = meant.map_or(String::new(), |text| format!("; did you mean {text:?}?"));
    let options: Vec<_> = options.map(Value::to_string).collect();
    match &options[..] {
        [one] => format!("{} is not {one}", shown(value)),
        many => format!("{} is not one of {}{meant}", shown(value), many.join(", ")),
    }
}

fn not_of_type(value: &Value, types: &[JsonType]) -> String {
    let types = types.iter().filter(|kind| **kind != JsonType::Null || types.len() == 1);
    let types: Vec<_> = types.map(|kind| format!("{:?}", in_toml(kind.as_str()))).collect();
    format!("{} is not of type {}", shown(value), types.join(" or "))
}

fn types(kind: &TypeKind) -> Vec<JsonType> {
    match kind {
        TypeKind::Multiple(types) => types.iter().collect(),
        TypeKind::Single(one) => vec![*one],
    }
}

/// What TOML calls a type.
fn in_toml(json: &str) -> &str {
    match json {
        "array" => "list",
        "object" => "table",
        other => other,
    }
}

/// A value as a message shows it.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match value {
        _ if text.len() <= VALUE_BYTES => text,
        Value::Array(_) => "this list".to_owned(),
        Value::Object(_) => "this table".to_owned(),
        _ => "this value".to_owned(),
    }
}

/// The types that a schema says, in TOML's words: none where it says them by reference.
pub(super) fn type_words(schema: &Value) -> String {
    let types = match schema.get("type") {
        Some(Value::String(one)) => vec![&**one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let types = types.into_iter().filter(|name| *name != "null").map(in_toml);
    types.collect::<Vec<_>>().join(" or ")
}

/// The first sentence of a schema's description, without its full stop.
pub(super) fn first_sentence(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let first = text.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    let first = first.split(". ").next().unwrap_or_default();
    first.trim().trim_end_matches('.').to_owned()
}
