//! Files that can't be served as plugins: one message that says why, status 2, and nothing was
//! bound.

use std::fs;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;
use torsade_tests::guests;

use super::bad_configuration::{GOOD, message};
use super::{folder, trial};

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("bad_input::a_plugin_cut_anywhere", a_plugin_cut_anywhere),
        trial("bad_input::a_plugin_with_wrong_bytes", a_plugin_with_wrong_bytes),
        trial("bad_input::a_plugin_that_refuses_its_config", refuses_its_config),
    ];
    for &(name, component, words) in CASES {
        trials.push(trial(&format!("bad_input::{name}"), move || {
            let bytes = wat::parse_str(component)?;
            refused(&bytes, words)
        }));
    }
    trials
}

/// Name, component, and what the message must say beside the file and its service.
const CASES: &[(&str, &str, &[&str])] = &[
    ("a_core_module", "(module)", &["core wasm module", "not a component"]),
    ("a_component_that_exports_nothing", "(component)", &["exports no", "torsade:plugin/"]),
    (
        "a_component_that_exports_something_else",
        r#"(component (instance $i) (export "wasi:http/handler@0.2.0" (instance $i)))"#,
        &["exports no", "torsade:plugin/"],
    ),
    (
        "a_component_whose_export_is_of_another_shape",
        r#"(component (instance $i) (export "torsade:plugin/plugin@0.1.0" (instance $i)))"#,
        &["torsade:plugin/plugin@0.1.0", "start"],
    ),
    (
        "an_import_that_nobody_has",
        r#"(component (import "wasi:sockets/tcp@0.2.0" (instance)))"#,
        &["imports", "wasi:sockets/tcp@0.2.0"],
    ),
    (
        "an_import_of_a_version_to_come",
        r#"(component (import "torsade:plugin/clock@0.2.0"
            (instance (export "now" (func (result u64))))))"#,
        &["torsade:plugin/clock@0.2.0"],
    ),
    (
        "an_import_of_another_signature",
        r#"(component (import "torsade:plugin/clock@0.1.0"
            (instance (export "monotonic" (func (result string))))))"#,
        &["torsade:plugin@0.1.0", "torsade:plugin/clock@0.1.0", "monotonic"],
    ),
    (
        "an_import_that_the_interface_lacks",
        r#"(component (import "torsade:plugin/clock@0.1.0"
            (instance (export "yesterday" (func (result u64))))))"#,
        &["torsade:plugin/clock@0.1.0", "yesterday"],
    ),
    (
        "an_import_of_a_bare_function",
        r#"(component (import "print" (func)))"#,
        &["imports", "print"],
    ),
];

fn refused(bytes: &[u8], words: &[&str]) -> Result<()> {
    refused_in(&folder_with(bytes)?, words)
}

pub(super) fn refused_in(folder: &TempDir, words: &[&str]) -> Result<()> {
    for command in ["up", "check"] {
        let message = message(command, folder.path())?;
        for word in words.iter().chain(&["service.bad", "bad.wasm"]) {
            ensure!(message.contains(word), "{command} does not say {word:?}:\n{message}");
        }
        ensure!(message.lines().count() == 1 && message.len() < 1024, "it is long:\n{message}");
    }
    Ok(())
}

/// A folder with a service whose plugin has these bytes, and another that is right.
fn folder_with(bytes: &[u8]) -> Result<TempDir> {
    let folder = folder(&format!("{GOOD}\n[service.bad]\nplugin = \"bad.wasm\"\n"))?;
    fs::write(folder.path().join("bad.wasm"), bytes)?;
    Ok(folder)
}

fn a_plugin_cut_anywhere() -> Result<()> {
    let whole = fs::read(guests::component("guests/echo")?)?;
    let length = whole.len();
    for cut in [0, 1, 7, 8, 9, 100, length / 4, length / 2, length - 100, length - 1] {
        let folder = folder_with(&whole[..cut])?;
        let message = message("up", folder.path())?;
        for word in ["service.bad", "bad.wasm"] {
            ensure!(message.contains(word), "cut at {cut}, it does not say {word:?}:\n{message}");
        }
    }
    Ok(())
}

fn a_plugin_with_wrong_bytes() -> Result<()> {
    let whole = fs::read(guests::component("guests/echo")?)?;
    let not_wasm = &["not wasm"][..];
    for (bytes, words) in [
        (b"#!/bin/sh\n".to_vec(), not_wasm),
        (b"\x7fELF\x02\x01\x01\0".to_vec(), not_wasm),
        (b"(component)".to_vec(), not_wasm),
        (b"\0asm\x0e\0\x01\0".to_vec(), &["version"]),
        ([&whole[..], &[0xff]].concat(), &["not a valid component"]),
        ([&whole[..8], &[0xff; 64]].concat(), &["not a valid component"]),
    ] {
        refused(&bytes, words)
            .with_context(|| format!("{:?}", bytes.escape_ascii().to_string()))?;
    }
    Ok(())
}

fn refuses_its_config() -> Result<()> {
    for (guest, config, words) in [
        ("http", "max-head = 0", &["refused", "max-head"][..]),
        ("http", "server = \"a\\n\"", &["refused", "server"]),
    ] {
        let bytes = fs::read(guests::component(&format!("guests/{guest}"))?)?;
        let folder = folder_with(&bytes)?;
        let text = format!(
            "{GOOD}\n[service.bad]\nplugin = \"bad.wasm\"\nconfig = {{ {config} }}\n\
             grants = {{ files = {{ read = \".\" }} }}\n"
        );
        super::configure(folder.path(), &text)?;
        refused_in(&folder, words).with_context(|| format!("{guest} with {config}"))?;
    }
    Ok(())
}
