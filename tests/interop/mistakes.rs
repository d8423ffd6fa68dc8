//! What a newcomer does wrong, and what is said then: for each mistake one message of three lines at
//! most, which tells where it is and what would be right. `tests/mistakes` has all of them as they are
//! printed; `INSTA_UPDATE=always` writes them anew.

use std::fs;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::guests::component;
use torsade_tests::host;

use super::{GUESTS, folder, trial};

/// The most lines of a message.
const LINES_MAX: usize = 3;

pub(super) fn trials() -> Vec<Trial> {
    [("command-line", COMMAND_LINE), ("configuration", CONFIGURATION), ("plugin", PLUGIN)]
        .into_iter()
        .map(|(group, mistakes)| {
            trial(&format!("mistakes::{group}"), move || tells_all(group, mistakes))
        })
        .collect()
}

/// Something wrong.
struct Mistake {
    /// What it is, in words.
    is: &'static str,
    /// What follows `torsade`; where there is nothing, `check`.
    arguments: &'static [&'static str],
    /// The configuration, in which `@echo` and the like are components, `p.wasm` is an empty file
    /// and `public` a folder.
    file: &'static str,
    /// What the message has to say of where it is.
    place: &'static str,
    /// What it has to say of what would be right.
    right: &'static str,
}

const fn of(
    is: &'static str,
    file: &'static str,
    place: &'static str,
    right: &'static str,
) -> Mistake {
    Mistake { is, arguments: &[], file, place, right }
}

const fn typed(
    is: &'static str,
    arguments: &'static [&'static str],
    place: &'static str,
    right: &'static str,
) -> Mistake {
    Mistake { is, arguments, file: "", place, right }
}

const CONFIGURATION: &[Mistake] = &[
    of("no service", "", "torsade.toml:1:", "[service.NAME]"),
    of(
        "a quote is missing",
        "[service.site]\nplugin = \"p.wasm\nlisten = []",
        "torsade.toml:2:",
        "\"",
    ),
    of(
        "a service is there twice",
        "[service.site]\nplugin = \"p.wasm\"\n[service.site]\nlisten = []",
        "torsade.toml:3:",
        "duplicate",
    ),
    of(
        "a name with a space",
        "[service.\"my site\"]\nplugin = \"p.wasm\"",
        "torsade.toml:1:",
        "a-z, A-Z, 0-9, - and _",
    ),
    of(
        "a service without a plugin",
        "[service.site]\nlisten = [\"tcp:8080\"]",
        "torsade.toml:1:",
        "write plugin = ",
    ),
    of(
        "a plugin that isn't there",
        "[service.site]\nplugin = \"plugins/site.wasm\"",
        "torsade.toml:2:",
        "no such file",
    ),
    of(
        "a folder that is no guest",
        "[service.site]\nplugin = \"public\"",
        "torsade.toml:2:",
        "name a guest's folder, or a component's file",
    ),
    of(
        "a misspelt key",
        "[service.site]\nplugin = \"p.wasm\"\nlisen = [\"tcp:8080\"]",
        "torsade.toml:3:",
        "did you mean listen?",
    ),
    of(
        "a key that nothing has",
        "[service.site]\nplugin = \"p.wasm\"\nprotocol = \"http\"",
        "torsade.toml:3:",
        "known here: plugin, listen,",
    ),
    of(
        "a misspelt limit",
        "[service.site]\nplugin = \"p.wasm\"\nlimits = { memry = \"8MiB\" }",
        "torsade.toml:3:",
        "did you mean memory?",
    ),
    of(
        "a limit that nothing has",
        "[service.site]\nplugin = \"p.wasm\"\nlimits = { bandwidth = \"8MiB\" }",
        "torsade.toml:3:",
        "torsade check --explain service.site.limits",
    ),
    of(
        "a limit beside the limits",
        "[service.site]\nplugin = \"p.wasm\"\nmemory = \"8MiB\"",
        "torsade.toml:3:",
        "into [service.NAME.limits]",
    ),
    of(
        "a service's key above all services",
        "listen = [\"tcp:8080\"]\n[service.site]\nplugin = \"p.wasm\"",
        "torsade.toml:1:",
        "into [service.NAME]",
    ),
    of(
        "a size without a unit",
        "[service.site]\nplugin = \"p.wasm\"\nlimits = { memory = \"16\" }",
        "torsade.toml:3:",
        "write \"16MiB\"",
    ),
    of(
        "a size as a number",
        "[service.site]\nplugin = \"p.wasm\"\nlimits = { memory = 16000000 }",
        "torsade.toml:3:",
        "a size such as \"16MiB\"",
    ),
    of(
        "a time in a unit that isn't known",
        "grace = \"10 seconds\"\n[service.site]\nplugin = \"p.wasm\"",
        "torsade.toml:1:",
        "ns, us, ms, s, min, h",
    ),
    of(
        "a limit beyond its range",
        "[service.site]\nplugin = \"p.wasm\"\nlimits = { memory = \"8GiB\" }",
        "torsade.toml:3:",
        "from 64KiB to 4GiB",
    ),
    of(
        "more workers than the host has",
        "workers = 2\n[service.site]\nplugin = \"p.wasm\"\nworkers = 4",
        "torsade.toml:4:",
        "the host's workers, 2",
    ),
    of(
        "a word that is none of these",
        "[service.site]\nplugin = \"p.wasm\"\ninstances = \"shared\"",
        "torsade.toml:3:",
        "\"per-connection\" or \"per-worker\"",
    ),
    of(
        "one endpoint and no list",
        "[service.site]\nplugin = \"p.wasm\"\nlisten = \"tcp:8080\"",
        "torsade.toml:3:",
        "[\"tcp:8080\"]",
    ),
    of(
        "a port alone",
        "[service.site]\nplugin = \"p.wasm\"\nlisten = [\"8080\"]",
        "torsade.toml:3:",
        "write tcp:8080",
    ),
    of(
        "an endpoint of no kind that there is",
        "[service.site]\nplugin = \"p.wasm\"\nlisten = [\"http:8080\"]",
        "torsade.toml:3:",
        "there are tcp:PORT,",
    ),
    of(
        "a port that is too large",
        "[service.site]\nplugin = \"p.wasm\"\nlisten = [\"tcp:80800\"]",
        "torsade.toml:3:",
        "from 0 to 65535",
    ),
    of(
        "TLS without a certificate",
        "[service.site]\nplugin = \"p.wasm\"\nlisten = [\"tls:8443\"]",
        "torsade.toml:3:",
        "self-signed = [\"localhost\"]",
    ),
    of(
        "two services on one port",
        "[service.a]\nplugin = \"p.wasm\"\nlisten = [\"tcp:8080\"]\n\
         [service.b]\nplugin = \"p.wasm\"\nlisten = [\"tcp:8080\"]",
        "torsade.toml:6:",
        "service a listens on tcp:8080 already",
    ),
    of(
        "nobody may come",
        "[service.site]\nplugin = \"p.wasm\"\nallow = []",
        "torsade.toml:3:",
        "leave it out to allow all",
    ),
    of(
        "a folder of files that isn't there",
        "[service.site]\nplugin = \"p.wasm\"\ngrants = { files = { read = \"html\" } }",
        "torsade.toml:3:",
        "no such file",
    ),
    of(
        "a folder in the stead of a grant",
        "[service.site]\nplugin = \"p.wasm\"\ngrants = { files = \"public\" }",
        "torsade.toml:3:",
        "files = { read = \"FOLDER\" }",
    ),
    of(
        "a database that is true",
        "[service.site]\nplugin = \"p.wasm\"\ngrants = { sql = true }",
        "torsade.toml:3:",
        "\"file\" or \":memory:\"",
    ),
    of(
        "a target within a network",
        "[service.site]\nplugin = \"p.wasm\"\ngrants = { connect = [\"tcp:10.0.0.1/8:5432\"] }",
        "torsade.toml:3:",
        "10.0.0.0/8",
    ),
    of(
        "a user whom nobody knows",
        "user = \"nobody-here\"\n[service.site]\nplugin = \"p.wasm\"",
        "torsade.toml:1:",
        "this machine has no user",
    ),
];

const PLUGIN: &[Mistake] = &[
    of(
        "a file that is no component",
        "[service.site]\nplugin = \"p.wasm\"",
        "service.site",
        "a plugin is a WebAssembly component",
    ),
    of(
        "a grant is missing",
        "[service.site]\nplugin = \"@http\"",
        "service.site",
        "add files to `grants`",
    ),
    of(
        "a misspelt key of the plugin's",
        "[service.site]\nplugin = \"@http\"\ngrants = { files = { read = \"public\" } }\n\
         config = { listng = true }",
        "service.site",
        "listing",
    ),
    of(
        "a value of another type for the plugin",
        "[service.site]\nplugin = \"@http\"\ngrants = { files = { read = \"public\" } }\n\
         config = { listing = \"yes\" }",
        "service.site",
        "boolean",
    ),
    of(
        "a plugin that takes no configuration",
        "[service.echo]\nplugin = \"@echo\"\nconfig = { greeting = \"hello\" }",
        "service.echo",
        "greeting",
    ),
];

const COMMAND_LINE: &[Mistake] = &[
    typed("a misspelt command", &["chekc"], "chekc", "'check'"),
    typed("a command that nothing has", &["serve"], "serve", "'--help'"),
    typed("a misspelt option", &["check", "--limit"], "--limit", "'--limits'"),
    typed("options that exclude each other", &["up", "-v", "-q"], "--quiet", "--verbose"),
    typed("a file of users without a name", &["passwd", "users"], "<NAME>", "torsade passwd"),
    typed("a certificate for nobody", &["cert"], "<NAME>", "torsade cert"),
    typed("a certificate for no time", &["cert", "a.example", "--days", "0"], "--days", "1..="),
    typed("a shell that isn't known", &["completions", "tcsh"], "tcsh", "bash, elvish, fish"),
    typed("a key that isn't known", &["check", "--explain", "memry"], "memry", "memory"),
    typed("a filter that is none", &["doctor", "--log", "a=b=c"], "--log", "such as"),
    typed("no configuration", &["up", "nowhere"], "nowhere", "name a torsade.toml, or its folder"),
    typed("a folder that is no guest to build", &["build", "public"], "public", "Cargo.toml"),
];

/// Makes each mistake, looks at what is said, and holds it to what was said before.
fn tells_all(group: &str, mistakes: &[Mistake]) -> Result<()> {
    let mut told = String::new();
    for mistake in mistakes {
        let message = told_of(mistake).with_context(|| mistake.is)?;
        told += &format!("# {}\n", mistake.is);
        for line in mistake.file.lines() {
            told += &format!("> {line}\n");
        }
        told += &format!("$ torsade {}\n{message}\n", command(mistake).join(" "));
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../mistakes");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(group, told));
    Ok(())
}

fn command(mistake: &Mistake) -> &[&'static str] {
    if mistake.arguments.is_empty() { &["check"] } else { mistake.arguments }
}

fn told_of(mistake: &Mistake) -> Result<String> {
    let folder = folder(mistake.file)?;
    if mistake.file.is_empty() && !mistake.arguments.is_empty() {
        fs::remove_file(folder.path().join("torsade.toml"))?;
    }
    fs::write(folder.path().join("p.wasm"), "")?;
    fs::create_dir(folder.path().join("public"))?;
    let output = host::run(command(mistake), folder.path())?;
    let mut message = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(2), "{}:\n{message}", output.status);
    message = message.replace(&folder.path().display().to_string(), "FOLDER");
    for (sign, guest) in GUESTS.iter().filter(|(sign, _)| mistake.file.contains(sign)) {
        message = message.replace(&component(guest)?.display().to_string(), sign);
    }
    ensure!(message.lines().count() <= LINES_MAX, "it is long:\n{message}");
    ensure!(message.starts_with("error: "), "{message}");
    for word in [mistake.place, mistake.right] {
        let said = message.to_lowercase().contains(&word.to_lowercase());
        ensure!(said, "it doesn't say {word:?}:\n{message}");
    }
    Ok(message)
}
