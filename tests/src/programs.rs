//! Programs that others wrote: found, or installed from Debian's packages.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

/// The path of `program`, which is installed from the Debian package `package` where it is
/// missing and this is root on Debian.
///
/// # Errors
/// Says why it can't be had.
pub fn program(program: &str, package: &str) -> Result<PathBuf> {
    found_or_installed(program, package, || find(program))
}

/// The same for a file of a package that is no program: a library of Python's.
///
/// # Errors
/// Says why it can't be had.
pub fn file(path: &str, package: &str) -> Result<PathBuf> {
    let find = || Some(PathBuf::from(path)).filter(|path| path.is_file());
    found_or_installed(path, package, find)
}

fn found_or_installed(
    what: &str,
    package: &str,
    find: impl Fn() -> Option<PathBuf>,
) -> Result<PathBuf> {
    // One apt-get at a time: it locks.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _alone = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = find() {
        return Ok(path);
    }
    install(package)?;
    find().with_context(|| format!("Debian's package {package} has no {what}"))
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn install(package: &str) -> Result<()> {
    if find("apt-get").is_none() {
        bail!("{package} is missing, and there is no apt-get to install it with");
    }
    eprintln!("installing Debian's package {package}");
    for arguments in [&["update", "-qq"][..], &["install", "-y", "-qq", package][..]] {
        let status = Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            bail!("apt-get {} failed: {status}", arguments.join(" "));
        }
    }
    Ok(())
}

/// What to do with a test whose program can't be had: it is skipped, with the reason; with
/// `CI=true` it fails.
pub fn must_have() -> bool {
    std::env::var("CI").is_ok_and(|ci| ci == "true")
}
