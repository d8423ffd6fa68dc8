//! A file of users, made and changed: as a text, and on the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::hash::{Hash, Memory};
use super::passphrase::{prepared_name, prepared_password};
use super::read_text;
use super::scram::Keys;
use super::users::Users;

/// What a user has from now on.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    /// One more certificate, by its SHA-256.
    Certificate([u8; 32]),
    /// Nothing.
    Nothing,
    /// This password, in the place of another; and random bytes for it.
    Password(&'a [u8], [u8; 32]),
}

/// A user with the password that was made up.
#[derive(Clone)]
pub struct NewUser {
    /// The user's name.
    pub name: String,
    /// To be told once.
    pub password: Zeroizing<String>,
}

/// Changes what a user has, and makes the file where there is none: with a key for names that nobody
/// has, from `seed`. Tells whether the user was there before.
///
/// # Errors
/// Says what would be right; then the file is as it was.
pub fn change(file: &Path, name: &str, entry: Entry<'_>, seed: [u8; 32]) -> Result<bool, String> {
    let shown = file.display();
    let name = prepared_name(name).map_err(|why| format!("the name {why}"))?;
    // Two who change it at once would lose what one of them did.
    let folder = folder_of(file);
    let locked = File::open(folder).and_then(|folder| folder.lock().map(|()| folder));
    let _locked = locked.map_err(|e| format!("{}: can't be opened: {e}", folder.display()))?;
    let text = match file.symlink_metadata() {
        Err(e) if e.kind() == ErrorKind::NotFound => Zeroizing::new(empty(seed)),
        _ => read_text(file)?,
    };
    // What is wrong in it is not to be written again.
    Users::parse(file, &text, seed)?;
    let (text, was_there) = changed(&text, &name, entry)?;
    Users::parse(file, &text, seed)?;
    if !was_there && matches!(entry, Entry::Nothing) {
        return Err(format!("{shown}: there is no user {name}"));
    }
    // What a symbolic link leads to is changed, and not the link.
    let place = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    write(&place, &text).map_err(|e| format!("{shown}: can't be written: {e}"))?;
    Ok(was_there)
}

/// Makes a file with users whose passwords are made up of `random` bytes, a part for each; its folder
/// too, where that isn't there.
///
/// # Errors
/// Says what would be right; then there is no file.
pub fn make(
    file: &Path,
    names: &[String],
    mut random: impl FnMut() -> [u8; 32],
) -> Result<Vec<NewUser>, String> {
    let shown = file.display();
    let mut text = Zeroizing::new(empty(random()));
    let mut users = Vec::new();
    for name in names {
        let password = password(random());
        *text = changed(&text, name, Entry::Password(password.as_bytes(), random()))?.0.to_string();
        users.push(NewUser { name: name.clone(), password });
    }
    let folder = folder_of(file);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|e| format!("{}: can't be made: {e}", folder.display()))?;
    write(file, &text).map_err(|e| format!("{shown}: can't be written: {e}"))?;
    Ok(users)
}

/// The SHA-256 of a certificate.
pub fn fingerprint(der: &[u8]) -> [u8; 32] {
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
    fingerprint
}

/// The text of a file without users.
fn empty(seed: [u8; 32]) -> String {
    format!("{HEAD}{DECOYS}{}\n", STANDARD.encode(seed))
}

/// The text with what a user has from now on, and whether the user was there before. All other lines
/// stay as they are.
fn changed(text: &str, name: &str, entry: Entry<'_>) -> Result<(Zeroizing<String>, bool), String> {
    let of_user = |line: &str| line.trim().strip_prefix(name)?.strip_prefix(':').map(str::to_owned);
    let was_there = text.lines().any(|line| of_user(line).is_some());
    let goes = |line: &str| match entry {
        Entry::Certificate(_) => false,
        Entry::Nothing => of_user(line).is_some(),
        Entry::Password(..) => of_user(line).is_some_and(|rest| !rest.starts_with("certificate:")),
    };
    let mut changed = Zeroizing::new(String::with_capacity(text.len() + 512));
    for line in text.lines().filter(|line| !goes(line)) {
        changed.push_str(line);
        changed.push('\n');
    }
    match entry {
        Entry::Certificate(of) => {
            let digits = of.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            changed.push_str(&format!("{name}:certificate:{digits}\n"));
        }
        Entry::Nothing => {}
        Entry::Password(password, random) => {
            let password =
                prepared_password(password).map_err(|why| format!("the password {why}"))?;
            let (one, other) = halves(random);
            let hash =
                Hash::of(&password, one, &Memory::default()).map_err(|failure| failure.message)?;
            let keys = Keys::of(&password, other);
            changed.push_str(&format!("{name}:{hash}\n{name}:{keys}\n"));
        }
    }
    Ok((changed, was_there))
}

fn halves(random: [u8; 32]) -> ([u8; 16], [u8; 16]) {
    let (mut one, mut other) = ([0; 16], [0; 16]);
    one.copy_from_slice(&random[..16]);
    other.copy_from_slice(&random[16..]);
    (one, other)
}

/// A password of 80 random bits, as `xxxx-xxxx-xxxx-xxxx`.
fn password(random: [u8; 32]) -> Zeroizing<String> {
    let mut password = Zeroizing::new(String::new());
    for (at, byte) in random.iter().take(PASSWORD_LETTERS).enumerate() {
        if at > 0 && at % 4 == 0 {
            password.push('-');
        }
        password.push(char::from(LETTERS[usize::from(byte % 32)]));
    }
    password
}

/// Writes the whole file, or leaves it as it was. Who had it keeps it.
fn write(file: &Path, text: &str) -> io::Result<()> {
    let mut aside = file.as_os_str().to_owned();
    aside.push(".new");
    let aside = PathBuf::from(aside);
    // Left by one that was interrupted.
    let _ = fs::remove_file(&aside);
    let written = write_aside(&aside, file, text).and_then(|()| fs::rename(&aside, file));
    if written.is_err() {
        let _ = fs::remove_file(&aside);
    }
    written
}

fn write_aside(aside: &Path, file: &Path, text: &str) -> io::Result<()> {
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(aside)?;
    if let Ok(old) = file.metadata()
        && (old.uid(), old.gid()) != (new.metadata()?.uid(), new.metadata()?.gid())
    {
        fchown(&new, Some(old.uid()), Some(old.gid()))?;
    }
    new.write_all(text.as_bytes())?;
    new.sync_all()
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What begins the line of the key for names that nobody has.
pub(super) const DECOYS: &str = ":decoys:";

const HEAD: &str = "\
# Users of a service of torsade, changed by `torsade passwd`. The first line keeps anybody from
# finding out which names there are.
";

/// Letters that are not taken for others.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// So many of them are a password.
const PASSWORD_LETTERS: usize = 16;

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
