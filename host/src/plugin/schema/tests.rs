//! Mistakes of configurations in words, and schemas that mean harm.

use std::time::Instant;

use serde_json::json;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// A schema as schemars makes it.
fn schema() -> Schema {
    Schema::new(json!({
        "$schema": DRAFT,
        "title": "Config",
        "type": "object",
        "additionalProperties": false,
        "required": ["to"],
        "properties": {
            "to": { "type": "string", "description": "Where it goes.\nOr not. And so on." },
            "listing": { "type": "boolean" },
            "index": { "type": "array", "items": { "type": "string" } },
            "coding": { "$ref": "#/$defs/Coding" },
            "letter": { "enum": ["alpha", "beta"] },
            "sts": { "anyOf": [{ "$ref": "#/$defs/Sts" }, { "type": "null" }] },
            "hosts": { "type": "object", "additionalProperties": { "$ref": "#/$defs/Sts" } },
            "either": { "anyOf": [{ "type": "string" }, { "type": "array" }] },
            "list": { "type": ["array", "null"] },
            "port": { "type": "integer", "minimum": 1, "maximum": 65535 },
            "name": { "type": "string", "pattern": "^[a-z]+$" },
        },
        "$defs": {
            "Coding": {
                "oneOf": [
                    { "type": "string", "const": "br" },
                    { "type": "string", "const": "gzip" },
                ]
            },
            "Sts": {
                "type": "object",
                "additionalProperties": false,
                "required": ["port"],
                "properties": { "port": { "type": "integer" }, "preload": { "type": "boolean" } },
            },
        },
    }))
    .unwrap()
}

/// The mistakes as `POINTER[ key]: problem`.
fn wrong(schema: &Schema, config: &Value) -> Vec<String> {
    let told = |Wrong { at, key, problem }: Wrong| {
        let key = key.map_or(String::new(), |key| format!(" {key}"));
        format!("{at}{key}: {problem}")
    };
    schema.check(config, PATIENCE).unwrap().into_iter().map(told).collect()
}

#[test]
fn a_configuration_that_fits_has_no_mistakes() {
    let config = json!({
        "to": "tcp:a:1", "listing": true, "index": ["a"], "coding": "br", "letter": "alpha",
        "sts": { "port": 1 }, "hosts": { "a": { "port": 1 } }, "either": ["a"], "list": [],
        "port": 443, "name": "abc",
    });
    assert_eq!(wrong(&schema(), &config), Vec::<String>::new());
}

#[test]
fn a_mistake_is_told_with_what_would_be_right() {
    for (config, told) in [
        (json!({ "index": ["a", 7] }), "/index/1: 7 is not of type \"string\""),
        (json!({ "index": "a" }), "/index: \"a\" is not of type \"list\""),
        (json!({ "list": true }), "/list: true is not of type \"list\""),
        (json!({ "either": 7 }), "/either: 7 is not of type \"string\" or \"list\""),
        (json!({ "port": 0 }), "/port: 0 is less than the minimum of 1"),
        (json!({ "port": 70000 }), "/port: 70000 is greater than the maximum of 65535"),
        (json!({ "name": "A" }), "/name: \"A\" does not match \"^[a-z]+$\""),
        (
            json!({ "coding": "gzp" }),
            "/coding: \"gzp\" is not one of \"br\", \"gzip\"; did you mean \"gzip\"?",
        ),
        (json!({ "coding": 7 }), "/coding: 7 is not one of \"br\", \"gzip\""),
        (
            json!({ "letter": "alpa" }),
            "/letter: \"alpa\" is not one of \"alpha\", \"beta\"; did you mean \"alpha\"?",
        ),
        (json!({ "sts": { "port": "a" } }), "/sts/port: \"a\" is not of type \"integer\""),
        (json!({ "sts": 7 }), "/sts: 7 is not of type \"table\""),
        (json!({ "sts": {} }), "/sts: port is missing"),
        (
            json!({ "hosts": { "a/b": { "port": true } } }),
            "/hosts/a~1b/port: true is not of type \"integer\"",
        ),
        (
            json!({ "hosts": { "a": { "port": 1, "prelod": true } } }),
            "/hosts/a prelod: unknown key \"prelod\"; did you mean preload? known here: port, preload",
        ),
    ] {
        let mut config = config;
        config["to"] = "a".into();
        assert_eq!(wrong(&schema(), &config), [told], "{config}");
    }
    let told = wrong(&schema(), &json!({}));
    assert_eq!(told, [": to is missing: Where it goes"]);
    let told = wrong(&schema(), &json!({ "to": 1, "lsting": true, "port": "a" }));
    assert_eq!(told.len(), 3, "all of them: {told:?}");
    assert!(
        told.iter()
            .any(|it| it.starts_with(" lsting: unknown key \"lsting\"; did you mean listing?"))
    );
}

#[test]
fn a_table_that_may_have_no_keys_says_so() {
    let none = Schema::new(json!({ "type": "object", "additionalProperties": false })).unwrap();
    assert_eq!(wrong(&none, &json!({})), Vec::<String>::new());
    let told = wrong(&none, &json!({ "a": 1, "b": 2 }));
    let unknown = |key: &str| format!(" {key}: unknown key \"{key}\"; there are no keys here");
    assert_eq!(told, [unknown("a"), unknown("b")]);
    let never = Schema::new(json!({ "properties": { "additionalProperties": false } })).unwrap();
    let told = wrong(&never, &json!({ "additionalProperties": {} }));
    assert_eq!(told, ["/additionalProperties: {} is not allowed here"]);
}

#[test]
fn a_long_value_is_not_repeated() {
    let told = wrong(&schema(), &json!({ "to": ["x".repeat(1000)] }));
    assert_eq!(told, ["/to: this list is not of type \"string\""]);
    let told = wrong(&schema(), &json!({ "to": "", "name": "X\u{1b}".repeat(1000) }));
    assert_eq!(told, ["/name: this value does not match \"^[a-z]+$\""]);
}

#[test]
fn its_keys_are_told() {
    let keys = schema().keys();
    let key = |name: &str| {
        let key = keys.iter().find(|key| key.name == name).unwrap();
        (&*key.kind, &*key.meaning)
    };
    assert_eq!(key("to"), ("string", "Where it goes"));
    assert_eq!(key("list"), ("list", ""));
    assert_eq!(key("sts"), ("", ""));
}

#[test]
fn a_schema_leads_nowhere_else() {
    let refused = |schema: Value| Schema::new(schema).unwrap_err();
    for to in
        ["http://127.0.0.1:1/a.json", "file:///etc/passwd", "other.json#/a", "#/$defs/a", "#a"]
    {
        let told = refused(json!({ "properties": { "a": { "$ref": to } } }));
        assert!(told.contains("refers to") && told.contains(to), "{told}");
    }
    for other in [
        json!({ "$schema": "http://json-schema.org/draft-07/schema#" }),
        json!({ "$schema": 7 }),
        json!({ "items": { "$schema": DRAFT } }),
        json!({ "items": { "$id": "http://127.0.0.1/" } }),
        json!({ "items": { "$anchor": "a" } }),
        json!({ "$dynamicRef": "#a" }),
        json!([]),
        json!(true),
    ] {
        refused(other);
    }
    // A property may have any name.
    let odd = json!({ "properties": { "$ref": { "type": "string" }, "pattern": true } });
    assert!(Schema::new(odd).is_ok());
}

/// Each refers twice to the next.
fn doubling(levels: usize) -> Value {
    let one = |level: usize| {
        let to = json!({ "$ref": format!("#/$defs/{}", level + 1) });
        (level.to_string(), json!({ "allOf": [to, to] }))
    };
    let mut definitions: serde_json::Map<_, _> = (0..levels).map(one).collect();
    definitions.insert(levels.to_string(), json!({ "type": "object" }));
    json!({ "$ref": "#/$defs/0", "$defs": definitions })
}

#[test]
fn a_schema_is_weighed_with_its_references() {
    assert!(Schema::new(doubling(8)).is_ok());
    for heavy in [
        doubling(15),
        json!({ "enum": vec![0; WEIGHT_MAX] }),
        json!({ "allOf": vec![json!({ "pattern": "a" }); 100] }),
        json!({ "pattern": "a".repeat(WEIGHT_MAX) }),
    ] {
        let told = Schema::new(heavy).unwrap_err();
        assert!(told.contains("has more than 10000 values"), "{told}");
    }
    let itself = json!({ "properties": { "a": { "$ref": "#" } } });
    let each_other = json!({ "$defs": {
        "a": { "items": { "$ref": "#/$defs/b" } }, "b": { "items": { "$ref": "#/$defs/a" } },
    } });
    let deep = (0..DEPTH_MAX).fold(json!({}), |inner, _| json!({ "items": inner }));
    for endless in [itself, each_other, json!({ "items": deep })] {
        let told = Schema::new(endless).unwrap_err();
        assert!(told.contains("may not refer to itself"), "{told}");
    }
}

#[test]
fn a_pattern_takes_linear_time() {
    let config = json!("a".repeat(100_000) + "!");
    let began = Instant::now();
    for bomb in ["^(a+)+$", "^(a|a)*$", "^([a-z]*)*$", "(a*)*b", "^(a?){60}a{60}$"] {
        let told = wrong(&Schema::new(json!({ "pattern": bomb })).unwrap(), &config);
        assert_eq!(told.len(), 1, "{bomb}");
    }
    let took = began.elapsed();
    assert!(took < PATIENCE, "{took:?}");
    for refused in ["(a)\\1", "((a{1000}){1000}){1000}", "(unclosed"] {
        let schema = Schema::new(json!({ "pattern": refused })).unwrap();
        let told = schema.check(&config, PATIENCE).unwrap_err().to_string();
        assert!(told.contains("can't be matched in linear time"), "{told}");
        assert!(told.contains("/pattern"), "{told}");
    }
}

#[test]
fn what_is_no_schema_is_told() {
    for (none, at) in [
        (json!({ "type": "objekt" }), "/type"),
        (json!({ "properties": { "a": { "minimum": "1" } } }), "/properties/a/minimum"),
    ] {
        let told = Schema::new(none).unwrap().check(&json!({}), PATIENCE).unwrap_err().to_string();
        assert!(told.contains("a config-schema that is none: ") && told.contains(at), "{told}");
    }
}
