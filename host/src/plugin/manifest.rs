//! What a plugin says of itself: the JSON in its custom section, read without running it.
//! `wit/README.md` has the format. Who wrote it isn't trusted.

use serde_json::{Map, Value};

use super::component::LoadError;
use super::outline::Outline;
use super::schema::Schema;
use super::words::plain;
use crate::grants::check_optional;
use crate::suggest::unknown_key;

/// The most that a manifest may have, in bytes.
const MANIFEST_BYTES: usize = 64 * 1024;

/// The version of the format that is read.
const VERSION: u64 = 1;

/// The longest word of a manifest that is kept, in bytes; the rest is cut off.
const WORD_BYTES: usize = 100;

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// `name`.
    pub name: String,
    /// `version`, the plugin's own.
    pub version: String,
    /// `licence`, an SPDX expression; `None` where it says none.
    pub licence: Option<String>,
    /// `serves`: what it serves, in words.
    pub serves: Vec<String>,
    /// `shared-state`: whether connections share what the plugin keeps.
    pub shares_state: bool,
    /// `optional-imports`: interfaces that it can do without.
    pub optional: Vec<String>,
    /// `config-schema`: what its `config` may be.
    pub schema: Option<Schema>,
}

impl Manifest {
    /// That of a component; `None` where it has none, or isn't one, which the compiler tells.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, LoadError> {
        Outline::read(bytes).map_or(Ok(None), |outline| Self::of(&outline))
    }

    /// That of an outline, if it has one.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn of(outline: &Outline<'_>) -> Result<Option<Self>, LoadError> {
        let Some(bytes) = outline.manifest()? else { return Ok(None) };
        let manifest = Self::parse(bytes);
        manifest
            .map(Some)
            .map_err(|why| LoadError::new(plain(format!("its manifest {why}"), MESSAGE_BYTES)))
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MANIFEST_BYTES {
            return Err(format!("has {} bytes; {MANIFEST_BYTES} are the most", bytes.len()));
        }
        let json =
            serde_json::from_slice(bytes).map_err(|error| format!("is not JSON: {error}"))?;
        let Value::Object(table) = json else { return Err("is not a JSON object".into()) };
        match table.get("manifest").map(Value::as_u64) {
            Some(Some(VERSION)) => {}
            Some(Some(newer)) => {
                let problem = "this host reads version 1: it takes another torsade";
                return Err(format!("is of version {newer}, and {problem}"));
            }
            _ => return Err("does not say \"manifest\": 1, the version of its format".into()),
        }
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(format!("has an {}", unknown_key(key, &KEYS)));
        }
        let fields = Fields(&table);
        let optional = fields.words("optional-imports")?;
        for interface in &optional {
            check_optional(interface).map_err(|why| format!("says optional-imports: {why}"))?;
        }
        let schema = table.get("config-schema").cloned().map(Schema::new).transpose();
        Ok(Self {
            name: fields.required("name")?,
            version: fields.required("version")?,
            licence: fields.word("licence")?.filter(|licence| !licence.is_empty()),
            serves: fields.words("serves")?,
            shares_state: fields.flag("shared-state")?,
            optional,
            schema: schema.map_err(|why| format!("has a config-schema that {why}"))?,
        })
    }
}

/// The keys of the format, in its order.
const KEYS: [&str; 8] = [
    "manifest",
    "name",
    "version",
    "licence",
    "serves",
    "shared-state",
    "optional-imports",
    "config-schema",
];

/// How much a message has of what is wrong, in bytes.
const MESSAGE_BYTES: usize = 700;

/// The table, by the types of its values.
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn word(&self, key: &str) -> Result<Option<String>, String> {
        self.0.get(key).map(|value| word(value).ok_or_else(|| wanted(key, "a string"))).transpose()
    }

    fn required(&self, key: &str) -> Result<String, String> {
        self.word(key)?.ok_or_else(|| format!("does not say its {key}, a string"))
    }

    fn words(&self, key: &str) -> Result<Vec<String>, String> {
        let Some(value) = self.0.get(key) else { return Ok(Vec::new()) };
        let words = value.as_array().and_then(|list| list.iter().map(word).collect());
        words.ok_or_else(|| wanted(key, "a list of strings"))
    }

    fn flag(&self, key: &str) -> Result<bool, String> {
        let value = self.0.get(key).map_or(Some(false), Value::as_bool);
        value.ok_or_else(|| wanted(key, "true or false"))
    }
}

fn word(value: &Value) -> Option<String> {
    Some(plain(value.as_str()?.to_owned(), WORD_BYTES))
}

fn wanted(key: &str, wanted: &str) -> String {
    format!("has a {key} that is not {wanted}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{
        "manifest": 1, "name": "a", "version": "1.2.3", "licence": "MIT", "serves": ["a", "b"],
        "shared-state": true, "optional-imports": ["sql"], "config-schema": { "type": "object" }
    }"#;

    #[test]
    fn a_manifest_says_what_it_says() {
        let manifest = Manifest::parse(WHOLE.as_bytes()).unwrap();
        assert_eq!((&*manifest.name, &*manifest.version), ("a", "1.2.3"));
        assert_eq!(manifest.licence.as_deref(), Some("MIT"));
        assert_eq!(manifest.serves, ["a", "b"]);
        assert!(manifest.shares_state && manifest.schema.is_some());
        assert_eq!(manifest.optional, ["sql"]);
        let least = Manifest::parse(br#"{"manifest":1,"name":"a","version":"","licence":""}"#);
        let least = least.unwrap();
        assert!(!least.shares_state && least.licence.is_none() && least.schema.is_none());
        assert!(least.serves.is_empty() && least.optional.is_empty());
    }

    #[test]
    fn what_is_wrong_is_told() {
        let with = |from: &str, to: &str| WHOLE.replacen(from, to, 1);
        for (json, told) in [
            (String::new(), "is not JSON: "),
            (with("true", "yes"), "is not JSON: "),
            ("[".repeat(60_000), "is not JSON: recursion limit exceeded"),
            (WHOLE.repeat(400), "bytes; 65536 are the most"),
            (format!("{WHOLE}{WHOLE}"), "is not JSON: trailing characters"),
            ("[]".to_owned(), "is not a JSON object"),
            ("{}".to_owned(), "does not say \"manifest\": 1"),
            (with(": 1,", ": \"1\","), "does not say \"manifest\": 1"),
            (with(": 1,", ": 2,"), "is of version 2, and this host reads version 1"),
            (with("licence", "licenec"), "unknown key \"licenec\"; did you mean licence? known"),
            (with("\"name\": \"a\",", ""), "does not say its name"),
            (with("\"1.2.3\"", "1.2"), "has a version that is not a string"),
            (with("[\"a\", \"b\"]", "\"a\""), "has a serves that is not a list of strings"),
            (with("\"b\"", "7"), "has a serves that is not a list of strings"),
            (with("true", "1"), "has a shared-state that is not true or false"),
            (
                with("sql", "sqll"),
                "optional-imports: no interface is called \"sqll\"; did you mean sql?",
            ),
            (with("sql", "log"), "optional-imports: log needs no grant"),
            (with("\"object\"", "7, \"$ref\": \"a\""), "has a config-schema that refers to \"a\""),
        ] {
            let error = Manifest::parse(json.as_bytes()).unwrap_err();
            assert!(error.contains(told), "{error:?} has no {told:?}");
        }
    }

    #[test]
    fn words_are_fit_to_be_shown() {
        let json =
            WHOLE.replace("MIT", "\\u001b[2J").replace("\"a\",", &format!("{:?},", "é".repeat(99)));
        let manifest = Manifest::parse(json.as_bytes()).unwrap();
        assert_eq!(manifest.licence.as_deref(), Some("\\u{1b}[2J"));
        assert_eq!(manifest.name, "é".repeat(50));
    }
}
