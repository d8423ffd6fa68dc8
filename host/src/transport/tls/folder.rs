//! Which certificates a folder has, and whether files have changed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::pem::{Pair, Problem};

/// The most certificates that one folder may have.
pub(super) const FOLDER_MAX: usize = 1000;

/// The most entries of a folder that are looked at.
const ENTRIES_MAX: usize = 10 * FOLDER_MAX;

/// What a file looks like from outside: who changes it changes that.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Of the content, in seconds and nanoseconds.
    modified: (i64, i64),
    /// Of the permissions, too.
    changed: (i64, i64),
}

impl Stamp {
    /// `None` where there is no such file, or this user may not ask.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

/// The certificates of a folder in the order of their names. `NAME.pem`, `NAME.crt` and `NAME.cert`
/// belong to `NAME.key` beside them; a `NAME.pem` without one has its key in it. A folder `NAME` is
/// one certificate if it has a `fullchain.pem`, with its key in `privkey.pem`. Anything else, and
/// what is hidden, is passed over.
pub(super) fn pairs(folder: &Path) -> Result<Vec<Pair>, Problem> {
    let unreadable =
        |error: std::io::Error| Problem::new(folder, format!("can't be listed: {error}"));
    let mut pairs = Vec::new();
    for (count, entry) in fs::read_dir(folder).map_err(unreadable)?.enumerate() {
        let path = entry.map_err(unreadable)?.path();
        if count >= ENTRIES_MAX {
            return Err(Problem::new(folder, format!("has more than {ENTRIES_MAX} entries")));
        }
        if path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b".")) {
            continue;
        }
        pairs.extend(pair(&path)?);
    }
    if pairs.len() > FOLDER_MAX {
        return Err(Problem::new(folder, format!("has more than {FOLDER_MAX} certificates")));
    }
    pairs.sort_unstable();
    Ok(pairs)
}

fn pair(path: &Path) -> Result<Option<Pair>, Problem> {
    let chain = path.join("fullchain.pem");
    if chain.exists() {
        return Ok(Some(Pair { cert: chain, key: path.join("privkey.pem") }));
    }
    let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
    if !["cert", "crt", "pem"].contains(&kind) || path.is_dir() {
        return Ok(None);
    }
    let beside = path.with_extension("key");
    match (beside.exists(), kind) {
        (true, _) => Ok(Some(Pair { cert: path.to_owned(), key: beside })),
        (false, "pem") => Ok(Some(Pair { cert: path.to_owned(), key: path.to_owned() })),
        (false, _) => {
            let problem = format!("its private key is missing; it takes {}", beside.display());
            Err(Problem::new(path, problem))
        }
    }
}
