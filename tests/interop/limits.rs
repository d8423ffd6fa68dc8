//! What services may use: told by `check --limits`, and kept where a plugin is read, compiled and
//! writes.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::time::SystemTime;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;
use torsade_tests::host::{self, Host};

use super::bad_configuration::{GOOD, one_message};
use super::bad_plugin::refused_in;
use super::{folder, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("limits::check_tells_each_with_its_source", check_tells_each_with_its_source),
        trial("limits::check_tells_mistakes_in_their_place", check_tells_mistakes_in_their_place),
        trial("limits::a_component_that_is_too_large_is_not_read", too_large_a_component),
        trial("limits::a_component_that_takes_long_to_compile", too_long_to_compile),
        trial("limits::a_write_that_is_too_long_ends_one_sandbox", too_long_a_write),
    ]
}

/// Nothing is built or loaded for it: one plugin is no component, the other no guest.
fn check_tells_each_with_its_source() -> Result<()> {
    let folder = folder(
        "[service.site]\nplugin = \"torsade.toml\"\n\
         limits = { memory = \"8MiB\", idle = \"90s\" }\n\
         [service.a]\nplugin = \"guest\"\n[service.a.limits]\ncpu = \"25%\"\n\
         connections-per-peer = 20\n",
    )?;
    fs::create_dir(folder.path().join("guest"))?;
    fs::write(folder.path().join("guest/Cargo.toml"), "not TOML")?;
    let output = host::run(&["check", "--limits", "."], folder.path())?;
    let (table, errors) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    ensure!(output.status.success() && errors.is_empty(), "{}: {errors}", output.status);
    let rows: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    for row in [
        ["site", "memory", "8MiB", "torsade.toml:3"],
        ["site", "idle", "90s", "torsade.toml:3"],
        ["site", "cpu", "50%", "default"],
        ["site", "connections-per-peer", "none", "default"],
        ["a", "memory", "16MiB", "default"],
        ["a", "idle", "none", "default"],
        ["a", "cpu", "25%", "torsade.toml:7"],
        ["a", "connections-per-peer", "20", "torsade.toml:8"],
    ] {
        ensure!(rows.iter().filter(|it| ***it == row).count() == 1, "{row:?} in\n{table}");
    }
    let of = |service| rows.iter().filter(|row| row[0] == service).count();
    ensure!(of("site") == of("a") && of("a") + of("site") == rows.len(), "{table}");
    Ok(())
}

fn check_tells_mistakes_in_their_place() -> Result<()> {
    let folder = folder(&format!("{GOOD}limits = {{ cpu = \"0%\" }}\n"))?;
    let message = one_message(&host::run(&["check", "--limits", "."], folder.path())?)?;
    let want = "torsade.toml:4:18: service.good.limits.cpu: must be from 1% to 100%, not 0%";
    ensure!(message.contains(want), "{message}");
    Ok(())
}

/// A service whose plugin is the file `bad.wasm`, which isn't there yet, beside one that is right.
fn folder_with(limits: &str) -> Result<TempDir> {
    folder(&format!("{GOOD}\n[service.bad]\nplugin = \"bad.wasm\"\nlimits = {{ {limits} }}\n"))
}

/// Larger than any memory, and of holes.
fn too_large_a_component() -> Result<()> {
    for (limits, most) in [("", "64MiB"), ("component-size = \"1KiB\"", "1KiB")] {
        let folder = folder_with(limits)?;
        File::create(folder.path().join("bad.wasm"))?.set_len(1 << 40)?;
        refused_in(&folder, &["limits.component-size", most])?;
    }
    Ok(())
}

fn too_long_to_compile() -> Result<()> {
    let folder = folder_with("compile-time = \"100ms\"")?;
    fs::write(folder.path().join("bad.wasm"), slow_to_compile()?)?;
    refused_in(&folder, &["limits.compile-time", "100ms"])
}

/// A component of ten thousand functions, another each time, so that no cache knows it.
fn slow_to_compile() -> Result<Vec<u8>> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos() as u64;
    let step = "(local.set 0 (i64.div_s (local.get 0) (i64.xor (local.get 1) (local.get 0))))";
    let body = step.repeat(50);
    let function = |n| {
        let seed = now ^ n;
        format!(
            "(func (param i64 i64) (result i64) {body} (i64.add (local.get 0) (i64.const {seed})))"
        )
    };
    let functions: String = (0..10_000).map(function).collect();
    Ok(wat::parse_str(format!("(component (core module {functions}))"))?)
}

fn too_long_a_write() -> Result<()> {
    let folder = folder(
        "workers = 1\n[service.odd]\nplugin = \"@unruly\"\n\
         listen = [\"tcp:0:interface=127.0.0.1\"]\nlimits = { write = \"100KiB\" }\n\
         grants = { files = { read = \".\" } }\n",
    )?;
    let host = Host::up(folder.path(), 1)?;
    // Four writes of 40 kB in one event are none that is too long.
    let mut stream = host.connect("odd")?;
    stream.write_all(b"WWWWl")?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest)?;
    ensure!(rest.iter().filter(|&&byte| byte == b'W').count() == 160_000, "{}", rest.len());
    // One of 300 kB is.
    let mut stream = host.connect("odd")?;
    stream.write_all(b"X")?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest)?;
    ensure!(rest == b"hello\n", "{:?}", rest.escape_ascii().to_string());
    host.log_with(&["limits.write", "300000 bytes", "odd"])?;
    Ok(())
}
