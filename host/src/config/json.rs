//! A service's `config`, from TOML to JSON.

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeInteger, DeValue};

use super::error::Mistake;

/// How deep tables and lists may be nested. Plugins parse the JSON with parsers that recurse.
const DEPTH_MAX: usize = 32;

/// The same value in JSON; dates become strings (RFC 3339).
///
/// Fails for what JSON can't say (`inf`, `nan`, integers beyond 64 bits) and for deep nesting.
pub(super) fn from_toml(value: &Spanned<DeValue<'_>>, key: &str) -> Result<Value, Mistake> {
    nested(value, key, DEPTH_MAX)
}

fn nested(value: &Spanned<DeValue<'_>>, key: &str, depth: usize) -> Result<Value, Mistake> {
    let mistake = |problem: String| Mistake { at: value.span(), key: key.to_owned(), problem };
    if depth == 0 {
        return Err(mistake(format!("is nested deeper than {DEPTH_MAX} levels")));
    }
    Ok(match value.get_ref() {
        DeValue::Array(list) => {
            let items = list.iter().map(|item| nested(item, key, depth - 1));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        DeValue::Boolean(boolean) => Value::Bool(*boolean),
        DeValue::Datetime(datetime) => Value::String(datetime.to_string()),
        DeValue::Float(float) => float
            .as_str()
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map(Value::Number)
            .ok_or_else(|| mistake(format!("{} is no number in JSON", float.as_str())))?,
        DeValue::Integer(integer) => number(integer)
            .map(Value::Number)
            .ok_or_else(|| mistake(format!("{integer} doesn't fit into 64 bits")))?,
        DeValue::String(string) => Value::String(string.to_string()),
        DeValue::Table(table) => {
            let mut object = Map::new();
            for (name, item) in table {
                let below = format!("{key}.{}", name.get_ref());
                object.insert(name.get_ref().to_string(), nested(item, &below, depth - 1)?);
            }
            Value::Object(object)
        }
    })
}

fn number(integer: &DeInteger<'_>) -> Option<Number> {
    let signed = i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(Number::from);
    let unsigned = || u64::from_str_radix(integer.as_str(), integer.radix()).ok().map(Number::from);
    signed.or_else(unsigned)
}
