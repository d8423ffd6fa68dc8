//! What a plugin says of itself, and a `config` that is checked by the schema in it: nothing that is
//! written there is too much for the host, and what is wrong is told, with its place.
//!
//! The manifest is a line, the configuration what follows.

#![no_main]

use std::borrow::Cow;
use std::time::Duration;

use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::Value;
use torsade::plugin::Manifest;
use wasm_encoder::{Component, CustomSection};

/// Far beyond what any schema takes that is let through.
const TIME: Duration = Duration::from_secs(20);

fuzz_target!(|input: &[u8]| -> Corpus {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (manifest, config) = input.split_at(end);
    let Ok(config) = serde_json::from_slice::<Value>(config) else { return Corpus::Reject };
    let mut component = Component::new();
    component.section(&CustomSection {
        name: Cow::Borrowed("torsade:manifest"),
        data: Cow::Borrowed(manifest),
    });
    let manifest = match Manifest::read(&component.finish()) {
        Ok(manifest) => manifest.expect("the component has a manifest"),
        Err(error) => {
            assert!(!error.to_string().is_empty(), "it is wrong, and nobody says why");
            return Corpus::Keep;
        }
    };
    let Some(schema) = manifest.schema else { return Corpus::Keep };
    schema.keys();
    match schema.check(&config, TIME) {
        Ok(wrongs) => {
            for wrong in wrongs {
                let value = config.pointer(&wrong.at);
                let value = value.unwrap_or_else(|| panic!("nothing is at {:?}", wrong.at));
                assert!(!wrong.problem.is_empty(), "it is wrong, and nobody says why");
                if let Some(key) = wrong.key {
                    assert!(value.get(&key).is_some(), "{:?} has no key {key:?}", wrong.at);
                }
            }
        }
        Err(error) => {
            let error = error.to_string();
            assert!(error.contains("config-schema that is none"), "{error}");
        }
    }
    Corpus::Keep
});
