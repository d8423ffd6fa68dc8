//! Mistakes in a configuration: one message that names file, line and key, status 2, and nothing
//! was bound.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::host::{self, Host};

use super::{folder, trial};

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("bad_input::a_port_in_use_is_named", a_port_in_use_is_named),
        trial("bad_input::two_hosts_on_one_port", two_hosts_on_one_port),
        trial("bad_input::a_port_is_not_taken_while_another_is_in_use", nothing_stays_bound),
        trial("bad_input::a_configuration_that_is_not_there", a_configuration_that_is_not_there),
        trial("bad_input::each_mistake_is_told_at_once", each_mistake_is_told_at_once),
    ];
    for &(name, text, words) in CASES {
        trials.push(trial(&format!("bad_input::{name}"), move || refused(text, words)));
    }
    trials
}

/// Name, the lines of the service `bad`, and what the message must say beside file and line. The
/// line that is wrong ends in `#!`.
const CASES: &[(&str, &str, &[&str])] = &[
    (
        "an_unknown_key",
        "plugin = \"@echo\"\nplugn = \"@echo\" #!",
        &["service.bad", "plugn", "did you mean plugin"],
    ),
    ("an_unknown_limit", "plugin = \"@echo\"\nlimits = { memry = 1 } #!", &["limits", "memry"]),
    ("an_unknown_grant", "plugin = \"@echo\"\ngrants = { sqll = 1 } #!", &["grants", "sqll"]),
    ("a_grant_of_a_wrong_type", "plugin = \"@echo\"\ngrants = { sql = 1 } #!", &["grants.sql"]),
    (
        "a_target_that_is_none",
        "plugin = \"@echo\"\ngrants = { connect = [\"tcp:10.0.0.1/8:80\"] } #!",
        &["grants.connect", "10.0.0.0/8"],
    ),
    (
        "a_range_that_is_none",
        "plugin = \"@echo\"\ngrants = { listen = [\"tcp:9-8\"] } #!",
        &["grants.listen", "9-8"],
    ),
    (
        "two_databases",
        "plugin = \"@echo\"\ngrants = { sql = \"file\", key-value = \":memory:\" } #!",
        &["grants.key-value", "sql"],
    ),
    ("a_wrong_type", "plugin = \"@echo\"\nlisten = \"tcp:0\" #!", &["listen", "list", "string"]),
    ("a_wrong_type_of_a_list", "plugin = \"@echo\"\nlisten = [1] #!", &["listen", "integer"]),
    ("a_plugin_that_is_no_string", "plugin = 7 #!", &["plugin", "integer"]),
    ("a_config_that_is_no_table", "plugin = \"@echo\"\nconfig = 7 #!", &["config", "a table"]),
    ("a_limit_out_of_bounds", "plugin = \"@echo\"\nlimits = { memory = \"1B\" } #!", &["memory"]),
    ("a_size_without_unit", "plugin = \"@echo\"\nlimits = { memory = \"1\" } #!", &["memory"]),
    ("a_word_that_is_none_of_these", "plugin = \"@echo\"\ninstances = \"all\" #!", &["instances"]),
    ("an_endpoint_of_no_kind", "plugin = \"@echo\"\nlisten = [\"8080\"] #!", &["tcp:8080"]),
    ("an_endpoint_of_another_kind", "plugin = \"@echo\"\nlisten = [\"sctp:1\"] #!", &["sctp"]),
    ("an_endpoint_without_port", "plugin = \"@echo\"\nlisten = [\"tcp:\"] #!", &["port"]),
    ("a_port_that_is_none", "plugin = \"@echo\"\nlisten = [\"tcp:65536\"] #!", &["65536"]),
    (
        "an_interface_that_is_none",
        "plugin = \"@echo\"\nlisten = [\"tcp:1:interface=x\"] #!",
        &["x"],
    ),
    ("a_mode_that_is_none", "plugin = \"@echo\"\nlisten = [\"unix:a:mode=8\"] #!", &["mode", "8"]),
    (
        "an_endpoint_given_twice",
        "plugin = \"@echo\"\nlisten = [\"tcp:1\", \"tcp:1\"] #!",
        &["tcp:1"],
    ),
    (
        "an_endpoint_of_another_service",
        "plugin = \"@echo\"\nlisten = [\"unix:good.sock\"] #!",
        &["good"],
    ),
    ("a_plugin_that_is_missing", "plugin = \"none.wasm\" #!", &["plugin", "none.wasm"]),
    ("a_plugin_folder_that_is_no_guest", "plugin = \".\" #!", &["plugin", "Cargo.toml"]),
    (
        "a_root_that_is_missing",
        "plugin = \"@echo\"\ngrants = { files = { read = \"none\" } } #!",
        &["files.read", "none"],
    ),
    (
        "a_root_that_is_a_file",
        "plugin = \"@echo\"\ngrants = { files = { read = \"torsade.toml\" } } #!",
        &["files.read", "not a folder"],
    ),
    ("a_plugin_that_is_not_given", "listen = [] #", &["plugin is missing"]),
    ("text_that_is_not_toml", "plugin = #!", &["not TOML"]),
    ("a_string_that_does_not_end", "plugin = \"a #!", &["not TOML"]),
];

/// Both `up` and `check` refuse the service, and tell where.
fn refused(text: &str, words: &[&str]) -> Result<()> {
    let whole = format!("{GOOD}\n[service.bad]\n{text}\n");
    let folder = folder(&whole)?;
    let line = whole.lines().position(|line| line.ends_with("#!"));
    let place = line.map_or("torsade.toml:".into(), |line| format!("torsade.toml:{}:", line + 1));
    for command in ["up", "check"] {
        let message = message(command, folder.path())?;
        for word in words.iter().chain([&place.as_str()]) {
            ensure!(message.contains(word), "{command} does not say {word:?}:\n{message}");
        }
    }
    Ok(())
}

/// Runs the command in a folder that it has to refuse, without touching it, and returns the one
/// message that it gives.
pub(super) fn message(command: &str, folder: &Path) -> Result<String> {
    let before = fs::metadata(folder)?.modified()?;
    let message = one_message(&host::run(&[command, "."], folder)?)?;
    // A socket that was bound for a moment would have changed the folder.
    ensure!(fs::metadata(folder)?.modified()? == before, "{command} made a file:\n{message}");
    Ok(message)
}

/// The output holds one message and no more, and the status is 2.
pub(super) fn one_message(output: &Output) -> Result<String> {
    let message = String::from_utf8(output.stderr.clone())?;
    ensure!(output.status.code() == Some(2), "{}:\n{message}", output.status);
    // `check` lists what is missing.
    let printed = String::from_utf8_lossy(&output.stdout);
    let lists = printed.lines().any(|line| line.ends_with("  missing"));
    ensure!(printed.is_empty() || lists, "it printed {printed:?}");
    let mut lines = message.lines();
    let first = lines.next().context("it said nothing")?;
    ensure!(first.starts_with("error: "), "{message}");
    // The line of the file, and the mark below it.
    ensure!(lines.all(|line| line.starts_with("  ")), "there is more than one message:\n{message}");
    for word in ["panicked", "backtrace", "RUST_BACKTRACE", ".rs:"] {
        ensure!(!message.contains(word), "{message}");
    }
    Ok(message)
}

fn a_port_in_use_is_named() -> Result<()> {
    for interface in ["127.0.0.1", "0.0.0.0"] {
        let held = TcpListener::bind((interface, 0))?;
        let port = held.local_addr()?.port().to_string();
        for workers in [1, 2] {
            let folder = folder(&format!(
                "workers = {workers}\n[service.echo]\nplugin = \"@echo\"\n\
                 listen = [\"tcp:{port}:interface=127.0.0.1\"]\n"
            ))?;
            let message = message("up", folder.path())?;
            for word in ["service.echo", &port, "in use"] {
                ensure!(message.contains(word), "it does not say {word:?}:\n{message}");
            }
        }
    }
    Ok(())
}

fn two_hosts_on_one_port() -> Result<()> {
    for workers in [1, 2] {
        let echo = |port: &str| {
            folder(&format!(
                "workers = {workers}\n[service.echo]\nplugin = \"@echo\"\n\
                 listen = [\"tcp:{port}:interface=127.0.0.1\"]\n"
            ))
        };
        let (one, first) = (echo("0")?, "the first goes on");
        let host = Host::up(one.path(), 1)?;
        let port = host.address("echo")?.port().to_string();
        let two = echo(&port)?;
        let message = message("up", two.path())?;
        ensure!(message.contains(&port) && message.contains("in use"), "{message}");
        super::streams::echoes(&mut host.connect("echo")?, b"hello").context(first)?;
    }
    Ok(())
}

fn nothing_stays_bound() -> Result<()> {
    let held = TcpListener::bind("127.0.0.1:0")?;
    let port = held.local_addr()?.port();
    let folder =
        folder(&format!("{GOOD}\n[service.bad]\nplugin = \"@echo\"\nlisten = [\"tcp:{port}\"]"))?;
    let message = one_message(&host::run(&["up"], folder.path())?)?;
    ensure!(message.contains(&port.to_string()), "{message}");
    ensure!(!folder.path().join("good.sock").exists(), "the other service's socket was left there");
    Ok(())
}

fn a_configuration_that_is_not_there() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for name in [".", "none", "none.toml"] {
        let message = one_message(&host::run(&["up", name], folder.path())?)?;
        ensure!(message.contains("torsade.toml"), "{name}: {message}");
    }
    fs::write(folder.path().join("torsade.toml"), b"a = \"\xff\"\n")?;
    let message = message("up", folder.path())?;
    ensure!(message.contains("UTF-8"), "{message}");
    fs::write(folder.path().join("torsade.toml"), "")?;
    ensure!(self::message("up", folder.path())?.contains("no service"), "an empty file");
    Ok(())
}

fn each_mistake_is_told_at_once() -> Result<()> {
    let folder = folder("workers = \"two\"\ngrce = \"1s\"\n[service.a]\nplugin = 1\n")?;
    let output = host::run(&["up"], folder.path())?;
    let message = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(2), "{}", output.status);
    for word in ["torsade.toml:1:", "torsade.toml:2:", "torsade.toml:4:", "grce", "workers"] {
        ensure!(message.contains(word), "it does not say {word:?}:\n{message}");
    }
    Ok(())
}

/// A service that could be served.
pub(super) const GOOD: &str = "[service.good]\nplugin = \"@echo\"\nlisten = [\"unix:good.sock\"]\n";
