//! What a person types at a terminal, which `script` of bsdutils is in the person's stead.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::host::{self, PATIENCE, POLL};

use super::program_trial;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        program_trial("typed::a_password_is_asked_for_twice", "script", "bsdutils", asked_twice),
        program_trial("typed::two_passwords_are_none", "script", "bsdutils", two_are_none),
    ]
}

fn asked_twice(script: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let told = typed(script, folder.path(), ["pencil", "pencil"])?;
    ensure!(told.contains("users: alice has the password, and is new there"), "{told}");
    ensure!(!told.contains("pencil"), "what was typed is shown: {told}");
    Ok(())
}

fn two_are_none(script: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let told = typed(script, folder.path(), ["pencil", "pensil"])?;
    ensure!(told.contains("these were two different passwords"), "{told}");
    ensure!(!folder.path().join("users").exists(), "{told}");
    Ok(())
}

/// What `torsade passwd` shows to who types this, each line once it is asked for.
fn typed(script: &Path, folder: &Path, lines: [&str; 2]) -> Result<String> {
    let binary = host::binary()?;
    let mut child = Command::new(script)
        .args(["--quiet", "--command"])
        .arg(format!("'{}' passwd users alice", binary.display()))
        .arg("/dev/null")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut keys = child.stdin.take().context("stdin is a pipe")?;
    let mut screen = child.stdout.take().context("stdout is a pipe")?;
    let mut shown = String::new();
    for (prompt, line) in ["Password of alice: ", "Once more: "].into_iter().zip(lines) {
        until(&mut screen, &mut shown, prompt)?;
        until_nothing_is_shown(child.id())?;
        enter(&mut keys, line)?;
    }
    screen.read_to_string(&mut shown)?;
    child.wait()?;
    Ok(shown)
}

/// Reads what is shown until it ends so.
fn until(screen: &mut impl Read, shown: &mut String, end: &str) -> Result<()> {
    while !shown.ends_with(end) {
        let mut byte = [0];
        screen.read_exact(&mut byte).with_context(|| format!("{end:?} is not in {shown:?}"))?;
        shown.push(char::from(byte[0]));
    }
    Ok(())
}

/// Waits until the terminal that `script` has made shows nothing that is typed: the prompt comes a
/// moment before that, in which no person types.
fn until_nothing_is_shown(script: u32) -> Result<()> {
    let children = fs::read_to_string(format!("/proc/{script}/task/{script}/children"))?;
    let child = children.split_whitespace().next().context("script runs nothing")?;
    let terminal = fs::read_link(format!("/proc/{child}/fd/0"))?;
    let end = Instant::now() + PATIENCE;
    loop {
        let settings = Command::new("stty").arg("-F").arg(&terminal).arg("-a").output()?;
        let settings = String::from_utf8_lossy(&settings.stdout).into_owned();
        if settings.split_whitespace().any(|word| word == "-echo") {
            return Ok(());
        }
        ensure!(Instant::now() < end, "what is typed would be shown: {settings}");
        thread::sleep(POLL);
    }
}

fn enter(keys: &mut ChildStdin, line: &str) -> Result<()> {
    keys.write_all(format!("{line}\n").as_bytes())?;
    Ok(keys.flush()?)
}
