//! The folder where compiled plugins are kept.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Where it is, whether it is there or not.
///
/// # Errors
/// Where the environment says nothing of a home.
pub fn cache_folder() -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|folder| folder.is_absolute())
        .or_else(|| Some(std::env::home_dir()?.join(".cache")))
        .context("there is no home folder; set XDG_CACHE_HOME")?;
    Ok(base.join("torsade"))
}

/// Makes it where it is missing. What lies there is native code, so nobody else may write there.
pub(super) fn make_cache_folder() -> Result<PathBuf> {
    let folder = cache_folder()?;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .with_context(|| format!("can't make {}", folder.display()))?;
    check_private(&folder)?;
    Ok(folder)
}

/// Whether only this user can read and write there.
///
/// # Errors
/// Says what is wrong.
pub fn check_private(folder: &Path) -> Result<()> {
    let found = fs::symlink_metadata(folder)?;
    let own = rustix::process::geteuid().as_raw();
    if !found.is_dir() || found.uid() != own || found.permissions().mode() & 0o077 != 0 {
        let folder = folder.display();
        bail!("{folder} has to be a folder of this user's that no other can read (mode 0700)");
    }
    Ok(())
}
