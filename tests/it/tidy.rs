//! What the repository's documents promise of its files, as far as a test can hold it.

mod source;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde::de::DeserializeOwned;
use torsade::config;
use torsade_tests::guests::repository;
use wit_parser::{Docs, Resolve, Span, Type, TypeDefKind};

use source::{document, sources};

/// The tests of this file. Each tells all that it finds, as `FILE:LINE: what`.
pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_file_says_what_it_is", a_file_says_what_it_is),
        trial("ci_runs_what_the_readme_says", ci_runs_what_the_readme_says),
        trial("every_guest_is_tested_natively", every_guest_is_tested_natively),
        trial("every_wit_item_is_documented", every_wit_item_is_documented),
        trial("links_lead_somewhere", links_lead_somewhere),
        trial("modules_are_in_the_code_map", modules_are_in_the_code_map),
        trial("modules_use_what_the_table_allows", modules_use_what_the_table_allows),
        trial("nothing_is_left_to_do", nothing_is_left_to_do),
        trial("the_fuzz_targets_are_locked_as_the_host_is", the_fuzz_targets_are_locked),
        trial("the_readme_knows_every_key", the_readme_knows_every_key),
        trial("the_reference_is_what_is_printed", the_reference_is_what_is_printed),
        trial("the_top_folder_holds_what_it_should", the_top_folder_holds_what_it_should),
        trial("words_stay_at_home", words_stay_at_home),
    ]
}

fn trial(name: &str, check: fn() -> Result<Vec<String>>) -> Trial {
    Trial::test(format!("tidy::{name}"), move || {
        let problems = check().map_err(|e| format!("{e:#}"))?;
        if problems.is_empty() { Ok(()) } else { Err(problems.join("\n").into()) }
    })
}

fn a_file_says_what_it_is() -> Result<Vec<String>> {
    let silent = sources("", &["rs"])?.into_iter().filter(|file| !file.text.starts_with("//! "));
    Ok(silent
        .map(|file| format!("{}:1: its first line has to begin with //!", file.path))
        .collect())
}

fn ci_runs_what_the_readme_says() -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let (script, readme) = (document(".ci/run")?, document("README.md")?);
    let commands = script.lines_numbered().filter(|(_, line)| {
        let setup = ["#", "set ", "cd \"$(dirname \"$0\")"];
        !line.is_empty() && !setup.iter().any(|start| line.starts_with(start))
    });
    for (number, command) in commands {
        if !readme.text.contains(&format!("```sh\n{command}\n```")) {
            problems.push(format!(".ci/run:{number}: README.md doesn't say to run {command}"));
        }
        if command.split(['"', '\'', ' ', '=']).any(|word| word.starts_with('/')) {
            problems.push(format!(".ci/run:{number}: it names a path of one machine"));
        }
    }
    ensure!(script.text.contains("\nset -euo pipefail\n"), ".ci/run: it goes on after a failure");
    Ok(problems)
}

fn every_guest_is_tested_natively() -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for guest in fs::read_dir(repository().join("guests"))? {
        let folder = format!("guests/{}", guest?.file_name().display());
        let is_plugin =
            repository().join(&folder).join("src/component.rs").is_file() && folder != "guests/sdk";
        if is_plugin && !sources(&folder, &["rs"])?.iter().any(|f| f.text.contains("#[test]")) {
            problems.push(format!("{folder}/src/lib.rs:1: this guest's protocol has no test"));
        }
    }
    Ok(problems)
}

fn every_wit_item_is_documented() -> Result<Vec<String>> {
    let mut resolve = Resolve::default();
    resolve.push_dir(repository().join("wit"))?;
    let mut items: Vec<(String, Span, &Docs)> = Vec::new();
    for (_, world) in &resolve.worlds {
        items.push((format!("world {}", world.name), world.span, &world.docs));
    }
    for (_, interface) in &resolve.interfaces {
        let name = interface.name.as_deref().unwrap_or_default();
        items.push((format!("interface {name}"), interface.span, &interface.docs));
        for (function, it) in &interface.functions {
            items.push((format!("{name}.{function}"), it.span, &it.docs));
        }
    }
    for (_, item) in &resolve.types {
        // A `use` makes a name for a type that is documented where it comes from.
        let (Some(name), false) = (&item.name, matches!(item.kind, TypeDefKind::Type(Type::Id(_))))
        else {
            continue;
        };
        items.push((name.clone(), item.span, &item.docs));
        let within = |part: &str| format!("{name}.{part}");
        match &item.kind {
            TypeDefKind::Record(it) => {
                items.extend(it.fields.iter().map(|f| (within(&f.name), f.span, &f.docs)));
            }
            TypeDefKind::Variant(it) => {
                items.extend(it.cases.iter().map(|c| (within(&c.name), c.span, &c.docs)));
            }
            TypeDefKind::Enum(it) => {
                items.extend(it.cases.iter().map(|c| (within(&c.name), c.span, &c.docs)));
            }
            TypeDefKind::Flags(it) => {
                items.extend(it.flags.iter().map(|f| (within(&f.name), f.span, &f.docs)));
            }
            _ => {}
        }
    }
    ensure!(items.len() > 50, "wit/: only {} items were found", items.len());
    let silent = items.into_iter().filter(|(.., docs)| docs.is_empty());
    Ok(silent
        .map(|(name, span, _)| format!("{}: {name} has no ///", resolve.render_location(span)))
        .collect())
}

fn links_lead_somewhere() -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for file in sources("", &["md"])? {
        let folder = repository().join(&file.path);
        let folder = folder.parent().context("a file is in a folder")?;
        for (number, line) in file.lines_numbered() {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            for target in targets.filter(|target| !target.starts_with("https://")) {
                if !folder.join(target).exists() {
                    problems.push(format!("{}:{number}: {target} isn't there", file.path));
                }
            }
        }
    }
    Ok(problems)
}

fn modules_are_in_the_code_map() -> Result<Vec<String>> {
    let architecture = document("ARCHITECTURE.md")?;
    let headings = architecture.lines_numbered().filter_map(|(number, line)| {
        Some((number, line.strip_prefix("### `")?.strip_suffix('`')?.to_owned()))
    });
    let rows = architecture.table("| module | may use |")?;
    let rows = rows.iter().map(|row| (row.number, row.code(0).concat()));
    let modules = modules()?;
    let mut problems = Vec::new();
    for (what, found) in [("heading", headings.collect::<Vec<_>>()), ("row", rows.collect())] {
        for (number, name) in &found {
            if !modules.contains(name) {
                problems.push(format!("ARCHITECTURE.md:{number}: there is no module {name}"));
            }
        }
        let named: BTreeSet<_> = found.into_iter().map(|(_, name)| name).collect();
        for name in modules.difference(&named) {
            problems.push(format!("host/src/lib.rs:1: ARCHITECTURE.md has no {what} for {name}"));
        }
    }
    Ok(problems)
}

fn modules_use_what_the_table_allows() -> Result<Vec<String>> {
    let rows = document("ARCHITECTURE.md")?.table("| module | may use |")?;
    let mut problems = Vec::new();
    for file in sources("host/src", &["rs"])? {
        let below = file.path.trim_start_matches("host/src/");
        let module = below.split(['/', '.']).next().unwrap_or_default();
        let Some(row) = rows.iter().find(|row| row.code(0) == [module]) else { continue };
        let allowed = row.code(1);
        for (number, used) in file.uses_of_the_crate() {
            let is_module = rows.iter().any(|row| row.code(0) == [&*used]);
            if is_module && used != module && !allowed.contains(&&*used) {
                let path = &file.path;
                problems.push(format!("{path}:{number}: {module} may not use crate::{used}"));
            }
        }
    }
    Ok(problems)
}

fn nothing_is_left_to_do() -> Result<Vec<String>> {
    // In two pieces, as this file is looked through too.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("dbg", "!("),
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
    ];
    let mut problems = Vec::new();
    for file in sources("", &["rs", "wit", "toml", "run"])? {
        for (number, line) in file.lines_numbered() {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                problems.push(format!("{}:{number}: {word}", file.path));
            }
        }
    }
    Ok(problems)
}

/// What is fuzzed is what is served: a package that both lock files have is of the same versions.
fn the_fuzz_targets_are_locked() -> Result<Vec<String>> {
    let (host, fuzz) = (document("Cargo.lock")?, document("tests/fuzz/Cargo.lock")?);
    let served: BTreeSet<_> = packages(&host.text).collect();
    let names: BTreeSet<_> = served.iter().map(|(name, _)| *name).collect();
    ensure!(served.len() > 100, "Cargo.lock: only {} packages were found", served.len());
    let strays = packages(&fuzz.text).filter(|package| {
        let (name, _) = package;
        names.contains(name) && !served.contains(package)
    });
    let right = "copy Cargo.lock there, and run cargo metadata in its folder";
    Ok(strays
        .map(|(name, version)| {
            format!("tests/fuzz/Cargo.lock:1: {name} {version} isn't what is served: {right}")
        })
        .collect())
}

/// The packages of a lock file, each with its version.
fn packages(lock: &str) -> impl Iterator<Item = (&str, &str)> {
    let entry = |entry| {
        let value = |key: &str| str::lines(entry).find_map(|line| line.strip_prefix(key));
        Some((value("name = ")?, value("version = ")?))
    };
    lock.split("[[package]]").filter_map(entry)
}

/// Compares README's tables with the keys that the plugins know, and with what they take where a
/// key is missing.
fn the_readme_knows_every_key() -> Result<Vec<String>> {
    let readme = document("README.md")?;
    let mut problems = Vec::new();
    let mut compare = |heading: &str, known: BTreeSet<String>| -> Result<String> {
        let rows = readme.section(heading)?.table("| key |")?;
        let named: BTreeSet<_> = rows.iter().map(|row| row.code(0).concat()).collect();
        for key in known.symmetric_difference(&named) {
            problems
                .push(format!("README.md: {heading}: {key} is only there, or only in the code"));
        }
        let given = rows.iter().map(|row| (row.code(0).concat(), row.code(1).concat()));
        let given = given.filter(|(_, value)| !value.is_empty());
        let values: Vec<_> = given.map(|(key, value)| format!("{key:?} = {value}")).collect();
        Ok(values.join(", "))
    };
    let http = compare(HTTP, plugin_keys::<torsade_http::config::Config>()?)?;
    let guestbook = compare(GUESTBOOK, plugin_keys::<torsade_guestbook::config::Config>()?)?;
    let irc = compare(IRC, plugin_keys::<torsade_irc::Config>()?)?;
    let forwarder = "### The port forwarder's `config`";
    compare(forwarder, plugin_keys::<torsade_portforward::config::Config>()?)?;
    compare(DISCOVERY, plugin_keys::<torsade_discovery::Settings>()?)?;
    let announced = readme.section(DISCOVERY)?.table("| key of `announce` |")?;
    let announced: BTreeSet<_> = announced.iter().map(|row| row.code(0).concat()).collect();
    let known = plugin_keys::<torsade_discovery::Announce>()?;
    for key in known.symmetric_difference(&announced) {
        problems.push(format!("README.md: announce: {key} is only there, or only in the code"));
    }
    problems.extend(not_defaults::<torsade_http::config::Config>(HTTP, &http)?);
    problems.extend(not_defaults::<torsade_guestbook::config::Config>(GUESTBOOK, &guestbook)?);
    problems.extend(not_defaults::<torsade_irc::Config>(IRC, &irc)?);
    Ok(problems)
}

/// What is written of the configuration's keys is what the command prints.
fn the_reference_is_what_is_printed() -> Result<Vec<String>> {
    let mut problems = Vec::new();
    if document("CONFIGURATION.md")?.text != config::reference() {
        problems.push("run torsade check --explain > CONFIGURATION.md".to_owned());
    }
    let schema = fs::read_to_string(repository().join("host/torsade.schema.json"))?;
    if serde_json::from_str::<serde_json::Value>(&schema)? != config::schema() {
        problems.push("run torsade check --schema > host/torsade.schema.json".to_owned());
    }
    Ok(problems)
}

const HTTP: &str = "### The HTTP plugin's `config`";
const GUESTBOOK: &str = "### The guestbook's `config`";
const IRC: &str = "### The IRC server's `config`";
const DISCOVERY: &str = "### The discovery plugin's `config`";

/// The keys that a plugin's configuration knows, as the message about one that it doesn't says.
fn plugin_keys<C: DeserializeOwned>() -> Result<BTreeSet<String>> {
    let wrong = serde_json::from_str::<C>("{\"zz\": 1}").err().context("zz is no key")?;
    Ok(wrong.to_string().split('`').skip(3).step_by(2).map(str::to_owned).collect())
}

/// What is to be said of a table whose values are not what the plugin takes without them.
fn not_defaults<C>(heading: &str, values: &str) -> Result<Option<String>>
where
    C: Debug + Default + DeserializeOwned,
{
    let json = format!("{{{}}}", values.replace("\" = ", "\": "));
    let read: C = serde_json::from_str(&json).with_context(|| heading.to_owned())?;
    let is_default = format!("{read:?}") == format!("{:?}", C::default());
    let problem = || format!("README.md: {heading}: a default is not the code's: {values}");
    Ok((!is_default).then(problem))
}

fn the_top_folder_holds_what_it_should() -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for entry in fs::read_dir(repository())? {
        let name = entry?.file_name().display().to_string();
        // What is hidden and not listed here belongs to somebody's tools.
        let built = name == "target" || name.starts_with('.');
        if !built && !TOP.contains(&&*name) {
            problems.push(format!("{name}:1: nothing else is to be in the top folder"));
        }
    }
    let missing = TOP.iter().filter(|name| !repository().join(name).exists());
    problems.extend(missing.map(|name| format!("{name}:1: is missing")));
    Ok(problems)
}

fn words_stay_at_home() -> Result<Vec<String>> {
    let everywhere = sources("", &["rs"])?;
    let mut problems = Vec::new();
    for row in document("ARCHITECTURE.md")?.table("| word | only in | for |")? {
        let (word, mut homes) = (row.code(0).concat(), row.code(1));
        ensure!(!word.is_empty(), "ARCHITECTURE.md:{}: this row has no word", row.number);
        let all = word == concat!("un", "safe");
        let files = everywhere.iter().filter(|f| all || f.path.starts_with("host/src/"));
        for file in files {
            let at_home = row.code(1).into_iter().find(|home| file.path.starts_with(home));
            for number in file.lines_with(&word) {
                match at_home {
                    Some(home) => homes.retain(|other| *other != home),
                    None => problems.push(format!(
                        "{}:{number}: ARCHITECTURE.md:{} doesn't allow {word} here",
                        file.path, row.number
                    )),
                }
            }
        }
        problems.extend(
            homes
                .iter()
                .map(|home| format!("ARCHITECTURE.md:{}: {home} has no {word}", row.number)),
        );
    }
    Ok(problems)
}

/// The modules of the library.
fn modules() -> Result<BTreeSet<String>> {
    let library = document("host/src/lib.rs")?;
    let name = |line: &str| {
        let name =
            line.strip_prefix("pub ").unwrap_or(line).strip_prefix("mod ")?.strip_suffix(';');
        name.map(str::to_owned)
    };
    Ok(library.text.lines().filter_map(name).collect())
}

/// What the top folder holds.
const TOP: [&str; 17] = [
    ".ci",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONFIGURATION.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "STYLE.md",
    "clippy.toml",
    "examples",
    "guests",
    "host",
    "rustfmt.toml",
    "tests",
    "wit",
];
