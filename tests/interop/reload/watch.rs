//! `torsade up --watch`: a plugin follows its source.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::guests::repository;
use torsade_tests::host::{self, Host};

use super::super::streams::echoes;
use super::super::trial;

pub(super) fn trials() -> Vec<Trial> {
    vec![trial("reload::an_edit_of_a_plugin_is_served", an_edit_of_a_plugin_is_served)]
}

/// As the guest writes what has come.
const ECHOES: &str = "self.transport.write(data);";

fn an_edit_of_a_plugin_is_served() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let guest = folder.path().join("watched");
    copy_echo(&guest)?;
    fs::write(
        folder.path().join("torsade.toml"),
        "[service.watched]\nplugin = \"watched\"\nlisten = [\"tcp:0:interface=127.0.0.1\"]\n",
    )?;
    // The first time all that it needs is built, too.
    let built = command()?.arg("build").arg(&guest).output()?;
    ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let mut up = command()?;
    up.args(["up", "--watch"]).arg(folder.path());
    let host = Host::start(up, 1)?;
    let mut old = host.connect("watched")?;
    echoes(&mut old, b"before")?;
    let source = guest.join("src/component.rs");
    let text = fs::read_to_string(&source)?;
    ensure!(text.contains(ECHOES), "the guest writes otherwise");
    let edit = |by: &str| fs::write(&source, text.replace(ECHOES, by));

    edit("self.transport.write(&data.to_ascii_uppercase());")?;
    host.log_with(&["watched: swapped in "])?;
    echoes(&mut old, b"after")?;
    let mut new = host.connect("watched")?;
    is_answered(&mut new, b"after", b"AFTER")?;

    edit("self.transport.write(dat);")?;
    host.log_with(&["cannot find value `dat`", "watched doesn't compile", "nothing has changed"])?;
    is_answered(&mut host.connect("watched")?, b"broken", b"BROKEN")?;

    edit("self.transport.write(&data.repeat(2));")?;
    let swapped = |log: &str| log.matches("watched: swapped in ").count();
    while swapped(&host.log_with(&["watched: swapped in "])?) < 2 {
        std::thread::sleep(host::POLL);
    }
    is_answered(&mut host.connect("watched")?, b"abc", b"abcabc")?;
    is_answered(&mut new, b"abc", b"ABC")?;
    echoes(&mut old, b"the first one still")
}

fn is_answered(stream: &mut std::net::TcpStream, text: &[u8], by: &[u8]) -> Result<()> {
    use std::io::{Read, Write};
    stream.write_all(text)?;
    let mut answer = vec![0; by.len()];
    stream.read_exact(&mut answer).context("no answer")?;
    ensure!(answer == by, "{:?} is no answer", answer.escape_ascii().to_string());
    Ok(())
}

/// The command, whose guests are built offline, below the target folder of the tests.
fn command() -> Result<Command> {
    let target = host::binary()?.ancestors().nth(2).map(PathBuf::from);
    let mut command = host::command()?;
    command.env("CARGO_NET_OFFLINE", "true");
    command.env("CARGO_TARGET_DIR", target.context("the command is below a target folder")?);
    Ok(command)
}

/// A guest outside the repository.
fn copy_echo(to: &Path) -> Result<()> {
    let echo = repository().join("guests/echo/src");
    fs::create_dir_all(to.join("src"))?;
    for file in fs::read_dir(echo)? {
        let file = file?;
        fs::copy(file.path(), to.join("src").join(file.file_name()))?;
    }
    let sdk = repository().join("guests/sdk");
    let manifest = format!(
        "[package]\nname = \"torsade-watched\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
         [lib]\ncrate-type = [\"cdylib\", \"rlib\"]\n\n\
         [dependencies]\ntorsade-guest = {{ path = {:?} }}\n\n[workspace]\n",
        sdk.display().to_string()
    );
    fs::write(to.join("Cargo.toml"), manifest)?;
    // The versions that are there.
    fs::copy(repository().join("Cargo.lock"), to.join("Cargo.lock"))?;
    Ok(())
}
