//! The command with real sockets, and with programs that others wrote.

mod asking;
mod bad_configuration;
mod bad_plugin;
mod cache;
mod datagrams;
mod deferreds;
mod discovery;
mod endpoints;
mod examples;
mod faults;
mod grants;
mod guestbook;
mod hostile;
mod http;
mod irc;
mod limits;
mod logins;
mod manifest;
mod mistakes;
mod multicast;
mod network;
mod newcomer;
mod observed;
mod package;
mod peers;
mod policies;
mod portforward;
mod pressure;
mod privileges;
mod redial;
mod reload;
mod resolve;
mod starttls;
mod stopping;
mod store;
mod streams;
mod timers;
mod tls;
mod typed;
mod walls;
mod ways_in;

use std::path::Path;

use anyhow::Result;
use libtest_mimic::{Completion, Failed, Trial};
use tempfile::TempDir;
use torsade_tests::{guests, programs};

/// All of them.
pub(crate) fn trials() -> Vec<Trial> {
    let parts = [
        asking::trials(),
        bad_configuration::trials(),
        bad_plugin::trials(),
        cache::trials(),
        datagrams::trials(),
        deferreds::trials(),
        discovery::trials(),
        endpoints::trials(),
        examples::trials(),
        faults::trials(),
        grants::trials(),
        guestbook::trials(),
        hostile::trials(),
        http::trials(),
        irc::trials(),
        limits::trials(),
        logins::trials(),
        manifest::trials(),
        mistakes::trials(),
        multicast::trials(),
        newcomer::trials(),
        observed::trials(),
        package::trials(),
        peers::trials(),
        policies::trials(),
        portforward::trials(),
        pressure::trials(),
        privileges::trials(),
        redial::trials(),
        reload::trials(),
        resolve::trials(),
        starttls::trials(),
        stopping::trials(),
        store::trials(),
        streams::trials(),
        timers::trials(),
        tls::trials(),
        typed::trials(),
        walls::trials(),
        ways_in::trials(),
    ];
    parts.into_iter().flatten().collect()
}

/// A test with its name, which is what it promises.
fn trial(name: &str, test: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    Trial::test(name, move || test().map_err(|error| Failed::from(format!("{error:#}"))))
}

/// A test that needs a program of others, with Debian's package for it.
fn program_trial(
    name: &str,
    program: &'static str,
    package: &'static str,
    test: impl FnOnce(&Path) -> Result<()> + Send + 'static,
) -> Trial {
    trial_with(name, || programs::program(program, package), move |path| test(&path))
}

/// A test that needs something that this machine may lack. Then it is skipped, with the reason,
/// but where [`programs::must_have`] says that it fails.
pub(crate) fn trial_with<T>(
    name: &str,
    needed: impl FnOnce() -> Result<T> + Send + 'static,
    test: impl FnOnce(T) -> Result<()> + Send + 'static,
) -> Trial {
    let failed = |error: anyhow::Error| Failed::from(format!("{error:#}"));
    Trial::ignorable_test(name, move || match needed() {
        Ok(needed) => test(needed).map(|()| Completion::Completed).map_err(failed),
        Err(error) if programs::must_have() => Err(failed(error)),
        Err(error) => Ok(Completion::ignored_with(format!("{error:#}"))),
    })
}

/// Whether a log warns of anything but of limits that are reached, and of the walls of the machine,
/// which other tests bring near.
fn warns(log: &str) -> bool {
    let excused = ["is reached", "there is room for", "workers keep"];
    log.lines().any(|line| line.contains("WARN") && !excused.iter().any(|it| line.contains(it)))
}

/// The configuration of an echo, at a port that the system picks.
const ECHO: &str = "[service.echo]\nplugin = \"@echo\"\nlisten = [\"tcp:0:interface=127.0.0.1\"]\n";

/// A folder with this configuration, in which [`GUESTS`] stand for the repository's components. It
/// is gone when the value is dropped.
fn folder(configuration: &str) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    configure(folder.path(), configuration)?;
    Ok(folder)
}

/// The same for a folder that is there.
fn configure(folder: &Path, configuration: &str) -> Result<()> {
    let mut text = configuration.to_owned();
    for (sign, guest) in GUESTS {
        if text.contains(sign) {
            let component = guests::component(guest)?;
            text = text.replace(sign, &component.display().to_string());
        }
    }
    std::fs::write(folder.join("torsade.toml"), text)?;
    Ok(())
}

/// What a configuration may name, and where it is.
const GUESTS: [(&str, &str); 21] = [
    ("@datagrams", "tests/guests/datagrams"),
    ("@deferreds", "tests/guests/deferreds"),
    ("@discovery", "guests/discovery"),
    ("@echo", "guests/echo"),
    ("@groups", "tests/guests/groups"),
    ("@guestbook", "guests/guestbook"),
    // Before the one whose sign it begins with.
    ("@http-users", "guests/http-users"),
    ("@http", "guests/http"),
    ("@inquirer", "tests/guests/inquirer"),
    ("@irc", "guests/irc"),
    ("@jobless", "tests/guests/jobless"),
    ("@login", "tests/guests/login"),
    ("@portforward", "guests/portforward"),
    ("@redial", "tests/guests/redial"),
    ("@resolve", "guests/resolve"),
    ("@store", "tests/guests/store"),
    ("@tenth", "tests/guests/tenth"),
    ("@timing", "tests/guests/timing"),
    ("@unruly", "tests/guests/unruly"),
    ("@upgrader", "tests/guests/upgrader"),
    ("@wisher", "tests/guests/wisher"),
];
