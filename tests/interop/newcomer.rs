//! What a newcomer does first: a plugin of one's own, outside of the repository, with the command
//! alone; and what a guest's conversations come to with its component.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::guests::repository;
use torsade_tests::host::{self, Host};

use super::trial;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("newcomer::a_line_protocol_is_served_and_tested_at_once", a_line_protocol),
        trial("newcomer::a_step_that_takes_too_much_fails", a_step_that_takes_too_much_fails),
        trial("newcomer::a_web_application_is_tested_at_once", a_web_application),
        trial("newcomer::guests_conversations_go_as_told", guests_conversations),
        trial("newcomer::what_is_there_already_stays", what_is_there_already_stays),
    ]
}

/// Held while a newcomer builds: cargo would have the others wait, and them think that a host hangs.
static BUILDING: Mutex<()> = Mutex::new(());

/// Cargo's target folder for what newcomers build: kept, so that crates are compiled once.
fn target() -> Result<PathBuf> {
    let own = env::current_exe()?;
    let profile = own.parent().and_then(Path::parent).context("the test has no folder")?;
    Ok(profile.join("newcomer"))
}

/// The command in a folder, whose builds take no network: what they need was fetched for this.
fn torsade(folder: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = host::command()?;
    command.args(arguments).current_dir(folder).env("CARGO_TARGET_DIR", target()?);
    command.env("CARGO_NET_OFFLINE", "true");
    Ok(command)
}

/// Runs the command, which has to succeed, and gives what it prints.
fn done(mut command: Command) -> Result<String> {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?}: {}", words(&output));
    Ok(String::from_utf8(output.stdout)?)
}

fn words(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr))
}

fn a_line_protocol() -> Result<()> {
    let _alone = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir()?;
    let said = done(torsade(folder.path(), &["new", "hello"])?)?;
    ensure!(said.contains("cd hello") && said.contains("torsade up"), "{said}");
    let hello = folder.path().join("hello");

    // Not on its own port, which somebody else may have.
    let file = hello.join("torsade.toml");
    fs::write(&file, fs::read_to_string(&file)?.replace("tcp:7007", "tcp:0"))?;
    done(torsade(&hello, &["build"])?)?;
    let host = Host::start(torsade(&hello, &["up"])?, 1)?;
    let mut stream = host.connect("hello")?;
    stream.write_all(b"hello world\r\nquit\r\n")?;
    let mut answers = String::new();
    stream.read_to_string(&mut answers)?;
    ensure!(answers == "hello, world\r\nbye\r\n", "{answers:?}");
    drop(host);

    let said = done(torsade(&hello, &["test"])?)?;
    ensure!(said.matches("goes as told; fuel").count() == 2, "{said}");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "-q", "--offline"]).current_dir(&hello);
    cargo.env("CARGO_TARGET_DIR", target()?);
    done(cargo)?;
    Ok(())
}

fn a_web_application() -> Result<()> {
    let _alone = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir()?;
    done(torsade(folder.path(), &["new", "web", "--template", "http"])?)?;
    let said = done(torsade(folder.path(), &["test", "web"])?)?;
    ensure!(said.contains("hello.txt  goes as told"), "{said}");
    Ok(())
}

fn a_step_that_takes_too_much_fails() -> Result<()> {
    let _alone = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir()?;
    done(torsade(folder.path(), &["new", "back", "--template", "echo", "--path", "it"])?)?;
    let conversations = folder.path().join("it/conversations");
    fs::write(conversations.join("dear.txt"), "fuel 10\nalice connects\nalice: a\nalice< a\n")?;
    fs::write(conversations.join("wrong.txt"), "alice connects\nalice: a\nalice< b\n")?;
    let output = torsade(folder.path(), &["test", "it"])?.output()?;
    let said = words(&output);
    ensure!(output.status.code() == Some(1), "{said}");
    for part in [
        "hello.txt  goes as told",
        "dear.txt: a step took ",
        "no more than 10 are right",
        "wrong.txt:3: alice sees\n    a\n",
    ] {
        ensure!(said.contains(part), "{part:?} is not in {said}");
    }
    Ok(())
}

fn guests_conversations() -> Result<()> {
    let mut tested = 0;
    for guest in fs::read_dir(repository().join("guests"))? {
        let guest = guest?.path();
        if guest.join("conversations").is_dir() {
            let output = host::run(&["test", &guest.display().to_string()], repository())?;
            ensure!(output.status.success(), "{}: {}", guest.display(), words(&output));
            tested += 1;
        }
    }
    ensure!(tested >= 4, "only {tested} guests have conversations");
    Ok(())
}

fn what_is_there_already_stays() -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("hello"), "mine")?;
    for (arguments, message) in [
        (
            &["new", "hello"][..],
            "error: hello is there already; another folder can be named by --path\n",
        ),
        (
            &["new", "2nd"],
            "error: \"2nd\" can't be a plugin's name: right are a letter, and then letters, \
             digits, - and _\n",
        ),
        (
            &["new", "a", "--path", "no/folder"],
            "error: can't make no/folder: No such file or directory (os error 2)\n",
        ),
        (
            &["test", "."],
            "error: ./conversations: it can't be read: No such file or directory (os error 2)\n",
        ),
    ] {
        let output = host::run(arguments, folder.path())?;
        ensure!(output.status.code() == Some(2), "{}", words(&output));
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(said == message, "{arguments:?}: {said}");
    }
    ensure!(fs::read(folder.path().join("hello"))? == b"mine");
    Ok(())
}
