//! The programs that are measured or measure: found, built or installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// Where Debian keeps servers; not in every user's `PATH`.
const SERVERS: &str = "/usr/sbin";

/// The path of a program; where it is missing, its Debian package is installed first.
pub(crate) fn find_or_install(program: &str, package: &str) -> Result<PathBuf> {
    if let Some(path) = find(program) {
        return Ok(path);
    }
    let hint = format!("{program} is missing; install Debian's package {package}");
    ensure!(rustix::process::geteuid().is_root() && find("apt-get").is_some(), hint);
    eprintln!("bench: installing Debian's package {package}, for {program}");
    apt_get(&["update", "-qq"]).context(hint.clone())?;
    let options = ["install", "-qq", "--no-install-recommends", package];
    apt_get(&options).context(hint.clone())?;
    find(program).context(hint)
}

fn apt_get(words: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(words).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    // The table alone belongs on standard output.
    let status = command.stdout(std::io::stderr()).status()?;
    ensure!(status.success(), "apt-get {} failed ({status})", words.join(" "));
    Ok(())
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from(SERVERS)]);
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// The path of torsade: what `TORSADE_BIN` names, or else what cargo builds in release mode.
pub(crate) fn torsade() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("TORSADE_BIN").map(PathBuf::from) {
        ensure!(path.is_file(), "TORSADE_BIN names {}, which is no file", path.display());
        return Ok(std::path::absolute(path)?);
    }
    // This program is TARGET/PROFILE/deps/bench-HASH.
    let own = std::env::current_exe()?;
    let Some(target) = own.ancestors().nth(3) else {
        bail!("{} is not in cargo's target folder; set TORSADE_BIN", own.display());
    };
    build(target)?;
    Ok(target.join("release/torsade"))
}

fn build(target: &Path) -> Result<()> {
    eprintln!("bench: cargo build --release -p torsade");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "-p", "torsade", "--target-dir"]).arg(target);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let status = command.current_dir(folder).stdin(Stdio::null()).status()?;
    ensure!(status.success(), "torsade can't be built ({status}); TORSADE_BIN may name one");
    Ok(())
}

/// What a program says of its version, on whichever output, in one line.
pub(crate) fn version(program: &Path) -> String {
    let said = Command::new(program).arg("-v").stdin(Stdio::null()).output();
    let said = said.map(|output| [output.stderr, output.stdout].concat()).unwrap_or_default();
    let line = String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned();
    let line = line.trim_start_matches("nginx version: ");
    line.split(" [").next().unwrap_or_default().to_owned()
}
