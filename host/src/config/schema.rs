//! The JSON Schema of `torsade.toml`, by which editors complete and check it.

use serde_json::{Map, Value, json};
use toml::de::DeValue;

use super::keys::{self, Key, NAME, Without};
use super::service::NAME_MAX;
use super::{SERVICES_MAX, json};

/// The JSON Schema (draft 7, which TOML's language servers know) of a configuration. Whatever
/// [`load`](super::load) takes is valid by it. What is valid may still be refused: it knows no
/// files, no ranges of sizes and times, and nothing that concerns two keys.
pub fn schema() -> Value {
    let mut schema = object(&keys::ALL, "");
    for (key, value) in [
        ("$schema", "http://json-schema.org/draft-07/schema#"),
        ("title", "torsade.toml"),
        ("description", "What Torsade serves: `torsade check --explain` explains each key."),
    ] {
        schema.insert(key.to_owned(), value.into());
    }
    Value::Object(schema)
}

/// The schema of a table, by its path.
fn object(keys: &[Key], table: &str) -> Map<String, Value> {
    let (mut known, mut required) = (Map::new(), Vec::new());
    let mut services = None;
    for key in keys.iter().filter(|key| key.table() == table) {
        let schema = one(keys, key);
        if key.name() == NAME {
            services = Some(schema);
            continue;
        }
        if matches!(key.without, Without::Wrong) {
            required.push(key.name());
        }
        known.insert(key.name().to_owned(), schema);
    }
    let name = format!("^[A-Za-z0-9_-]{{1,{NAME_MAX}}}$");
    let schema = match services {
        Some(service) => json!({
            "type": "object",
            "patternProperties": { name: service },
            "additionalProperties": false,
            "minProperties": 1,
            "maxProperties": SERVICES_MAX,
        }),
        None => json!({
            "type": "object",
            "properties": known,
            "additionalProperties": false,
            "required": required,
        }),
    };
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

/// The schema of a key, with what people are told of it.
fn one(keys: &[Key], key: &Key) -> Value {
    let mut schema = key.form.schema(object(keys, &key.path));
    schema.insert("description".to_owned(), json!(key.words));
    schema.insert("examples".to_owned(), json!([value(&key.example)]));
    if let Without::Is(default) = &key.without {
        schema.insert("default".to_owned(), value(default));
    }
    Value::Object(schema)
}

/// What a value of a row is in JSON.
fn value(toml: &str) -> Value {
    let value = DeValue::parse(toml).expect("defaults and examples of rows are TOML");
    json::from_toml(&value, "").expect("JSON can say what rows have")
}
