//! What plugins say of themselves: what it does to their services, what is told of it, and what it
//! can't do to the host.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use tempfile::TempDir;
use torsade::grants::Grant;
use torsade_tests::guests::{self, repository};
use torsade_tests::host::{self, Host, PATIENCE};

use super::bad_configuration::{GOOD, message};
use super::{folder, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("manifest::a_wrong_config_is_shown_where_it_stands", shown_where_it_stands),
        trial("manifest::all_that_is_wrong_is_told_at_once", all_is_told_at_once),
        trial("manifest::shared_state_has_one_sandbox", shared_state_has_one_sandbox),
        trial("manifest::connections_that_are_parted_are_warned_of", parted_are_warned_of),
        trial("manifest::what_is_optional_need_not_be_granted", optional_need_not_be_granted),
        trial("manifest::without_its_grant_it_is_denied", without_its_grant_it_is_denied),
        trial("manifest::one_that_is_wrong_is_one_message", wrong_is_one_message),
        trial("manifest::one_that_means_harm_is_one_message", harm_is_one_message),
        trial("manifest::a_schema_is_not_fetched", a_schema_is_not_fetched),
        trial("manifest::inspect_tells_what_a_plugin_is", inspect_tells_what_a_plugin_is),
        trial("manifest::inspect_tells_it_as_json", inspect_tells_it_as_json),
        trial("manifest::inspect_refuses_what_is_no_plugin", inspect_refuses_what_is_none),
    ]
}

/// What `check` and `up` say of a service with this plugin and `config`, from the place in the file
/// on.
fn told(plugin: &str, config: &str, grants: &str) -> Result<String> {
    let folder = folder(&format!(
        "{GOOD}\n[service.bad]\nplugin = \"{plugin}\"\ngrants = {{ {grants} }}\n\
         config = {{ {config} }}\n"
    ))?;
    let [by_check, by_up] =
        ["check", "up"].map(|command| message(command, folder.path())).map(Result::ok);
    ensure!(by_check == by_up, "they say {by_check:?} and {by_up:?}");
    let told = by_check.context("it is served")?;
    ensure!(told.lines().count() == 3, "it is long:\n{told}");
    let told = told.strip_prefix("error: torsade.toml:").with_context(|| told.clone())?;
    Ok(told.lines().next().unwrap_or_default().to_owned())
}

fn shown_where_it_stands() -> Result<()> {
    let site = "files = { read = \".\" }";
    let line = GOOD.lines().count() + 5;
    for (plugin, grants, config, place, says) in [
        ("@http", site, "index = [\"a\", 7]", 26, "index[1]: 7 is not of type \"string\""),
        ("@http", site, "listing = \"yes\"", 22, "listing: \"yes\" is not of type \"boolean\""),
        ("@http", site, "max-head = -1", 23, "max-head: -1 is less than the minimum of 0"),
        (
            "@http",
            site,
            "precompressed = [\"gzp\"]",
            29,
            "precompressed[0]: \"gzp\" is not one of \"br\", \"gzip\", \"zstd\"; did you mean \"gzip\"?",
        ),
        (
            "@http",
            site,
            "hosts = { \"a.b\" = { root = true } }",
            39,
            "hosts.a.b.root: true is not of type \"string\"",
        ),
        (
            "@http-users",
            "files = { read = \".\" }, credentials = \"users\"",
            "auth = [{ realm = \"a\" }]",
            20,
            "auth[0]: path is missing: The pattern of the paths",
        ),
        (
            "@irc",
            "sql = \":memory:\"",
            "sts = { port = 66000, duration = 1 }",
            27,
            "sts.port: 66000 is",
        ),
        ("@echo", "", "a = 1", 12, ": unknown key \"a\"; there are no keys here"),
        ("@resolve", "resolver = true", "a = 1", 12, ": unknown key \"a\"; there are no keys here"),
        (
            "@guestbook",
            "sql = \":memory:\"",
            "titel = \"a\"",
            12,
            ": unknown key \"titel\"; did you mean title?",
        ),
        ("@discovery", "", "addresses = [7]", 25, "addresses[0]: 7 is not of type \"string\""),
        ("@portforward", "connect = [\"tcp:*:1\"]", "", 10, ": to is missing: The endpoint that"),
    ] {
        let dot = if says.starts_with(':') { "" } else { "." };
        let want = format!("{line}:{place}: service.bad.config{dot}{says}");
        let told = told(plugin, config, grants).with_context(|| format!("{plugin} {config}"))?;
        ensure!(told.starts_with(&want), "{plugin} with {config}: {told:?} and not {want:?}");
    }
    Ok(())
}

fn all_is_told_at_once() -> Result<()> {
    let folder = folder(
        "[service.a]\nplugin = \"@echo\"\nconfig = { b = 1 }\n[service.c]\nplugin = \"@portforward\"\n\
         grants = { connect = [\"tcp:*:1\"] }\nconfig = { to = 1, form = 2 }\n",
    )?;
    let output = host::run(&["check", "."], folder.path())?;
    let said = String::from_utf8(output.stderr)?;
    for told in [
        "torsade.toml:3:12: service.a.config: unknown key \"b\"",
        "torsade.toml:7:17: service.c.config.to: 1 is not of type \"string\"",
        "torsade.toml:7:20: service.c.config: unknown key \"form\"; known here: to",
    ] {
        ensure!(said.contains(told), "{told:?} is not in {said}");
    }
    Ok(())
}

/// What `doctor` says of a service, which counts its sandboxes.
fn doctor(lines: &str) -> Result<String> {
    let folder = folder(&format!(
        "workers = 3\n[service.a]\nlisten = [\"tcp:0\"]\nlimits = {{ connections = 20 }}\n{lines}\n"
    ))?;
    let output = host::run(&["doctor", "."], folder.path())?;
    Ok(String::from_utf8([output.stdout, output.stderr].concat())?)
}

fn shared_state_has_one_sandbox() -> Result<()> {
    for (lines, sandboxes) in [
        ("plugin = \"@echo\"", 20),
        ("plugin = \"@echo\"\ninstances = \"per-worker\"", 3),
        ("plugin = \"@irc\"", 1),
        ("plugin = \"@irc\"\ninstances = \"per-worker\"", 1),
        ("plugin = \"@irc\"\nworkers = 2", 2),
        ("plugin = \"@irc\"\ninstances = \"per-connection\"", 20),
    ] {
        let told = doctor(lines)?;
        let want = format!("20 connections, {sandboxes} sandboxes");
        ensure!(told.contains(&want), "{lines}: {want} is not in {told}");
    }
    Ok(())
}

fn parted_are_warned_of() -> Result<()> {
    let grants = "grants = { sql = \":memory:\" }";
    for (lines, warning) in [
        ("", None),
        ("instances = \"per-worker\"\nworkers = 1", None),
        ("instances = \"per-connection\"", Some("with instances = \"per-connection\" they don't")),
        ("workers = 2", Some("with workers = 2 only those of one worker do")),
    ] {
        let folder = folder(&format!(
            "workers = 2\n[service.a]\nplugin = \"@irc\"\nlisten = [\"tcp:0\"]\n{grants}\n{lines}\n"
        ))?;
        let output = host::run(&["check", "."], folder.path())?;
        let said = String::from_utf8(output.stderr)?;
        ensure!(output.status.success(), "{lines}: {said}");
        ensure!(said.contains("share state") == warning.is_some(), "{lines}: {said}");
        ensure!(warning.is_none_or(|warning| said.contains(warning)), "{lines}: {said}");
    }
    Ok(())
}

/// A component of the repository with a manifest of its own, which goes before its compiler's.
fn with_manifest(guest: &str, manifest: &[u8]) -> Result<Vec<u8>> {
    let name = b"torsade:manifest";
    let content = [&leb128(name.len())[..], name, manifest].concat();
    let component = fs::read(guests::component(guest)?)?;
    Ok([&component[..], &[0], &leb128(content.len()), &content].concat())
}

/// An unsigned number, seven bits a byte.
fn leb128(number: usize) -> Vec<u8> {
    match (number as u8 & 0x7f, number >> 7) {
        (low, 0) => vec![low],
        (low, rest) => [vec![low | 0x80], leb128(rest)].concat(),
    }
}

/// The wishes of `tests/guests/wisher` that take a grant.
const WISHES: [(Grant, &str); 9] = [
    (Grant::Connect, "connect tcp:127.0.0.1:1"),
    (Grant::Credentials, "verify nobody password"),
    (Grant::Files, "open torsade.toml"),
    (Grant::Files, "list ."),
    (Grant::Jobs, "run double"),
    (Grant::KeyValue, "get key"),
    (Grant::Listen, "listen tcp:0"),
    (Grant::Resolver, "lookup localhost"),
    (Grant::Sql, "query SELECT 1"),
];

fn optional_need_not_be_granted() -> Result<()> {
    let manifest = br#"{ "manifest": 1, "name": "wisher", "version": "1", "optional-imports": [
        "client-endpoints", "credentials", "files", "jobs", "key-value", "multicast", "resolver",
        "server-endpoints", "services", "sql"
    ] }"#;
    let folder = folder(
        "workers = 1\ngrace = \"0s\"\n[service.wisher]\nplugin = \"wisher.wasm\"\n\
         instances = \"per-worker\"\nlisten = [\"tcp:0:interface=127.0.0.1\"]\n",
    )?;
    fs::write(folder.path().join("wisher.wasm"), with_manifest("tests/guests/wisher", manifest)?)?;
    let output = host::run(&["check", "."], folder.path())?;
    let listed = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "{listed}");
    for grant in Grant::ALL {
        let is_denied = |line: &str| {
            let words: Vec<_> = line.split_whitespace().collect();
            words.ends_with(&[grant.key(), "denied"])
        };
        ensure!(listed.lines().any(is_denied), "{} is not denied:\n{listed}", grant.key());
    }
    let mut host = Host::up(folder.path(), 1)?;
    let mut lines = BufReader::new(host.connect("wisher")?);
    let mut wish = |wish: &str| -> Result<String> {
        lines.get_mut().write_all(format!("{wish}\n").as_bytes())?;
        let mut line = String::new();
        lines.read_line(&mut line)?;
        Ok(line)
    };
    for (grant, words) in WISHES {
        let answer = wish(words)?;
        let is_told = answer.starts_with("denied ") && answer.contains(grant.key());
        ensure!(is_told, "{words}: {answer}");
    }
    ensure!(wish("services")? == "ok\n", "it knows of no service");
    ensure!(host.terminate()?.success() && !super::warns(&host.log()), "{}", host.log());
    Ok(())
}

/// As a plugin says it by the SDK's `export!`.
fn without_its_grant_it_is_denied() -> Result<()> {
    let folder = folder(
        "grace = \"0s\"\n[service.login]\nplugin = \"@login\"\n\
         listen = [\"tcp:0:interface=127.0.0.1\"]\n",
    )?;
    let host = Host::up(folder.path(), 1)?;
    let mut lines = BufReader::new(host.connect("login")?);
    for (asked, answer) in [
        ("mechanisms", "ok \n"),
        ("verify alice 00", "denied the service grants no credentials\n"),
        ("begin PLAIN -", "denied the service grants no credentials\n"),
    ] {
        lines.get_mut().write_all(format!("{asked}\n").as_bytes())?;
        let mut line = String::new();
        lines.read_line(&mut line)?;
        ensure!(line == answer, "{asked}: {line:?} and not {answer:?}");
    }
    Ok(())
}

/// A folder with a service whose plugin has this manifest.
fn folder_with(manifest: &[u8], config: &str) -> Result<TempDir> {
    let folder = folder(&format!(
        "{GOOD}\n[service.bad]\nplugin = \"bad.wasm\"\nlisten = [\"unix:bad.sock\"]\n{config}\n"
    ))?;
    let component = with_manifest("tests/guests/tenth", manifest)?;
    fs::write(folder.path().join("bad.wasm"), component)?;
    Ok(folder)
}

/// The one message of a host whose plugin has this manifest, before it has bound anything.
fn refused(manifest: &[u8], config: &str) -> Result<String> {
    let folder = folder_with(manifest, config)?;
    let began = Instant::now();
    let said = message("up", folder.path())?;
    let took = began.elapsed();
    ensure!(took < PATIENCE, "it took {took:?}");
    for word in ["service.bad", "bad.wasm"] {
        ensure!(said.contains(word), "it does not say {word}: {said}");
    }
    ensure!(said.lines().count() == 1 && said.len() < 1024, "it is long: {said}");
    ensure!(!said.trim_end().contains(char::is_control), "it is not fit for a terminal: {said:?}");
    Ok(said)
}

const HEAD: &str = r#"{"manifest":1,"name":"a","version":"1","#;

fn wrong_is_one_message() -> Result<()> {
    let with = |rest: &str| format!("{HEAD}{rest}}}");
    for (manifest, words) in [
        (String::new(), "its manifest is not JSON"),
        (
            "{\"manifest\":2}".to_owned(),
            "its manifest is of version 2, and this host reads version 1",
        ),
        (with("\"licenec\":\"MIT\""), "did you mean licence?"),
        (with("\"shared-state\":1"), "a shared-state that is not true or false"),
        (with("\"optional-imports\":[\"file\"]"), "did you mean files?"),
        (with("\"optional-imports\":[\"clock\"]"), "clock needs no grant"),
        (with("\"config-schema\":7"), "a config-schema that is not an object"),
        (with("\"config-schema\":{\"type\":\"objekt\"}"), "a config-schema that is none: /type: "),
        (
            with("\"config-schema\":{\"$schema\":\"http://json-schema.org/draft-07/schema#\"}"),
            "draft 2020-12 is read",
        ),
    ] {
        let said = refused(manifest.as_bytes(), "").with_context(|| manifest.clone())?;
        ensure!(said.contains(words), "{words:?} is not in {said}");
    }
    let twice = with_manifest("tests/guests/tenth", format!("{HEAD}\"serves\":[]}}").as_bytes())?;
    let section = &twice[fs::read(guests::component("tests/guests/tenth")?)?.len()..];
    let folder = folder_with(b"{}", "")?;
    fs::write(folder.path().join("bad.wasm"), [&twice, section].concat())?;
    let said = message("up", folder.path())?;
    ensure!(said.contains("it has 2 sections torsade:manifest, and may have one"), "{said}");
    Ok(())
}

/// Each refers twice to the next.
fn doubling(levels: usize) -> String {
    let one = |level: usize| {
        let to = format!("{{\"$ref\":\"#/$defs/{}\"}}", level + 1);
        format!("\"{level}\":{{\"allOf\":[{to},{to}]}},")
    };
    let definitions: String = (0..levels).map(one).collect();
    format!("{{\"$ref\":\"#/$defs/0\",\"$defs\":{{{definitions}\"{levels}\":true}}}}")
}

fn harm_is_one_message() -> Result<()> {
    let schema = |schema: &str| format!("{HEAD}\"config-schema\":{schema}}}");
    let (linear, letters) = ("can't be matched in linear time", "a".repeat(70_000));
    for (manifest, words) in [
        (schema(&format!("{{\"title\":\"{letters}\"}}")), "bytes; 65536 are the most"),
        ("[".repeat(60_000), "recursion limit"),
        (schema(&"{\"not\":".repeat(8_000)), "recursion limit"),
        ("\u{1b}[2J\u{202e}".to_owned(), "its manifest is not JSON"),
        (format!("{HEAD}\"\\u001b[2J\\u202e\":1}}"), "has an unknown key"),
        (schema(&doubling(15)), "more than 10000 values"),
        (schema("{\"items\":{\"$ref\":\"#\"}}"), "may not refer to itself"),
        (schema("{\"pattern\":\"(a)\\\\1\"}"), linear),
        (schema("{\"pattern\":\"((a{1000}){1000}){1000}\"}"), linear),
        (schema("{\"patternProperties\":{\"(\":true}}"), "config-schema that is none"),
        (schema("{\"$ref\":\"file:///etc/passwd\"}"), "refers to \"file:///etc/passwd\""),
    ] {
        let said = refused(manifest.as_bytes(), "")?;
        ensure!(said.contains(words), "{words:?} is not in {said}");
    }
    // A pattern that others take hours for, beside what it was made for.
    let bomb = schema("{\"properties\":{\"a\":{\"pattern\":\"^(a+)+$\"}}}");
    let folder = folder_with(bomb.as_bytes(), &format!("config = {{ a = \"{letters}!\" }}"))?;
    let began = Instant::now();
    let said = message("up", folder.path())?;
    let says = said.contains("service.bad.config.a: this value does not match \"^(a+)+$\"");
    ensure!(says && began.elapsed() < PATIENCE, "after {:?}: {said}", began.elapsed());
    Ok(())
}

fn a_schema_is_not_fetched() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let url = format!("http://{}/a.json", listener.local_addr()?);
    for schema in [
        format!("{{\"$ref\":\"{url}\"}}"),
        format!("{{\"$schema\":\"{url}\"}}"),
        format!("{{\"$id\":\"{url}\",\"$ref\":\"b.json\"}}"),
        format!("{{\"items\":{{\"$id\":\"{url}\"}}}}"),
        format!("{{\"$dynamicRef\":\"{url}\"}}"),
    ] {
        refused(format!("{HEAD}\"config-schema\":{schema}}}").as_bytes(), "")?;
        ensure!(listener.accept().is_err(), "{schema} is fetched");
    }
    Ok(())
}

fn inspected(arguments: &[&str]) -> Result<String> {
    let output = host::run(&[&["inspect"], arguments].concat(), repository())?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.success(), "{said}");
    Ok(String::from_utf8(output.stdout)?)
}

/// What is told behind a label, up to the next label.
fn behind<'a>(told: &'a str, label: &str) -> Result<Vec<&'a str>> {
    let lines = told.lines().skip_while(|line| line.split(' ').next() != Some(label));
    let lines = lines.enumerate().take_while(|(n, line)| *n == 0 || line.starts_with(' '));
    let lines: Vec<_> = lines.map(|(_, line)| line[label.len()..].trim()).collect();
    ensure!(!lines.is_empty(), "{label} is not in {told}");
    Ok(lines)
}

fn inspect_tells_what_a_plugin_is() -> Result<()> {
    let told = inspected(&["guests/irc"])?;
    let version = env!("CARGO_PKG_VERSION");
    let title = format!("torsade-irc {version}, Apache-2.0 OR MIT\n");
    ensure!(told.starts_with(&title), "{told}");
    ensure!(behind(&told, "serves")? == ["irc"], "{told}");
    ensure!(behind(&told, "connections")?[0].starts_with("share state: one sandbox"), "{told}");
    ensure!(behind(&told, "memory")?[0].ends_with("at most what limits.memory allows"), "{told}");
    ensure!(behind(&told, "exports")?[0].contains("protocols"), "{told}");
    let words = |line: &&str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let imports: Vec<_> = behind(&told, "imports")?.iter().map(words).collect();
    for import in
        ["credentials grants.credentials it can do without", "sql grants.sql", "clock no grant"]
    {
        ensure!(imports.iter().any(|it| it == import), "{import} is not in {imports:?}");
    }
    let keys: Vec<_> = behind(&told, "config")?.iter().map(words).collect();
    let key = "motd list The message of the day, a line each; none where it is empty";
    ensure!(keys.iter().any(|it| it == key), "{keys:?}");

    let folder = tempfile::tempdir()?;
    let bare = folder.path().join("bare.wasm");
    fs::write(&bare, b"\0asm\x0d\0\x01\0")?;
    let told = inspected(&[&bare.display().to_string()])?;
    ensure!(told.starts_with("a plugin without a manifest\nsize     8 B\n"), "{told}");
    Ok(())
}

fn inspect_tells_it_as_json() -> Result<()> {
    let component = guests::component("guests/http")?;
    let told = inspected(&["--json", &component.display().to_string()])?;
    let told: Value = serde_json::from_str(&told)?;
    let size = fs::metadata(&component)?.len();
    ensure!(told["size"] == size && told["file"] == component.display().to_string(), "{told}");
    ensure!(told["memory"]["initial"].as_u64().is_some_and(|bytes| bytes >= 65536), "{told}");
    ensure!(told["memory"]["maximum"].is_null(), "{told}");
    let manifest = &told["manifest"];
    ensure!(manifest["name"] == "torsade-http" && manifest["shared-state"] == false, "{told}");
    let schema: Value = serde_json::from_str(&fs::read_to_string(
        repository().join("guests/http/config.schema.json"),
    )?)?;
    ensure!(manifest["config-schema"] == schema, "{told}");
    let imports = told["imports"].as_array().context("a list")?;
    let files = serde_json::json!(
        { "name": "torsade:plugin/files@0.1.0", "grant": "files", "optional": false }
    );
    ensure!(imports.contains(&files), "{told}");
    let exports = told["exports"].as_array().context("a list")?;
    ensure!(exports.contains(&"torsade:plugin/plugin@0.1.0".into()), "{told}");
    Ok(())
}

fn inspect_refuses_what_is_none() -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("text.wasm"), "hello")?;
    fs::write(folder.path().join("bad.wasm"), with_manifest("tests/guests/tenth", b"{}")?)?;
    for (plugin, words) in [
        ("text.wasm", "text.wasm: it is not wasm"),
        ("none.wasm", "none.wasm can't be read"),
        (".", "is not a guest"),
        ("bad.wasm", "bad.wasm: its manifest does not say \"manifest\": 1"),
    ] {
        let output = host::run(&["inspect", plugin], folder.path())?;
        let said = String::from_utf8(output.stderr)?;
        let is_told = said.contains(words) && said.lines().count() == 1;
        ensure!(output.status.code() == Some(2) && is_told, "{plugin}: {said}");
    }
    Ok(())
}
