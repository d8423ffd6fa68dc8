//! What the process may do: no more than it was started with, and once everything is bound no more
//! than a user. It names no endpoint and no plugin.

use std::ffi::CString;
use std::fs::DirBuilder;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, lchown};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::prctl;
use nix::unistd::{self, Gid, Uid};

use crate::config::User;

/// Has neither this thread, nor any that it makes, nor what they execute gain privileges: no set-uid
/// program, no file's capability (`PR_SET_NO_NEW_PRIVS`). There is no way back.
///
/// # Errors
/// Where the kernel refuses, which none since Linux 3.5 does.
pub fn forbid_new_privileges() -> Result<()> {
    prctl::set_no_new_privs().context("can't give up new privileges (PR_SET_NO_NEW_PRIVS)")
}

/// Whether [`become_user`] can succeed: for root, or for one who is that user already.
pub(super) fn may_become(user: &User) -> Result<()> {
    let (uid, gid, name) = (unistd::geteuid(), unistd::getegid(), &user.name);
    if uid.is_root() {
        return Ok(());
    }
    ensure!(
        is_user(user),
        "user: only root can become {name}, and this process runs as {}; start it as root or as \
         {name}, or leave `user` out",
        shown(uid)
    );
    if let Some(group) = &user.group {
        let is_of_it = gid.as_raw() == user.gid;
        ensure!(is_of_it, "group: only root can enter {group}; start it as root, or leave it out");
    }
    Ok(())
}

/// Makes a folder, for the user alone, unless something is there.
pub(super) fn make_folder(folder: &Path, user: &User) -> io::Result<()> {
    if folder.symlink_metadata().is_ok() || !unistd::geteuid().is_root() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        DirBuilder::new().recursive(true).create(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => give(folder, user),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes a file the user's, where this process may.
pub(super) fn give(file: &Path, user: &User) -> io::Result<()> {
    match unistd::geteuid().is_root() {
        true => lchown(file, Some(user.uid), Some(user.gid)),
        false => Ok(()),
    }
}

/// Becomes the user, in all threads (the C library sees to that), with the user's groups and no
/// others, and makes sure that there is no way back.
pub(super) fn become_user(user: &User) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    let name = &user.name;
    if unistd::geteuid().is_root() {
        let c_name = CString::new(&**name).context("a user's name has no NUL")?;
        unistd::initgroups(&c_name, gid)
            .with_context(|| format!("can't take the groups of the user {name}"))?;
        unistd::setresgid(gid, gid, gid)
            .with_context(|| format!("can't enter the group of the user {name}"))?;
        unistd::setresuid(uid, uid, uid).with_context(|| format!("can't become {name}"))?;
    }
    let (uids, gids) = (unistd::getresuid()?, unistd::getresgid()?);
    let became = [uids.real, uids.effective, uids.saved] == [uid; 3]
        && (user.group.is_none() || [gids.real, gids.effective, gids.saved] == [gid; 3]);
    if !became || unistd::setuid(Uid::from_raw(0)).is_ok() {
        bail!("this process became {name}, and can still become root: it doesn't go on");
    }
    tracing::debug!("running as {name}");
    Ok(())
}

/// Whether this process is the user in every way already.
fn is_user(user: &User) -> bool {
    let uid = Uid::from_raw(user.uid);
    unistd::getresuid().is_ok_and(|is| [is.real, is.effective, is.saved] == [uid; 3])
}

/// A user's name, or the number of one who has none.
fn shown(uid: Uid) -> String {
    let user = unistd::User::from_uid(uid).ok().flatten();
    user.map_or_else(|| format!("the user {uid}"), |user| user.name)
}
