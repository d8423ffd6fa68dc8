//! Who somebody is: a service's users, and the mechanisms of SASL by which a peer proves to be one
//! (RFC 4422). What stands behind the contract's `credentials`.
//!
//! All of it is a value but [`Checker`], which reads its file again when that has changed, and is
//! run by the pool's threads. It reads no clock, and draws no random number.

mod change;
mod exchange;
mod hash;
mod passphrase;
mod scram;
mod users;

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::{Failure, Outcome};
use users::Users;

pub use change::{Entry, NewUser, change, fingerprint, make};
pub use exchange::{Exchange, Mechanism};
pub use hash::Memory;
pub use passphrase::{NAME_MAX, prepared_name};

/// What a peer says to prove who it is. It is wiped from memory with its last owner, and nothing
/// prints it.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes it over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// What it is.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret")
    }
}

/// A question of the contract's `credentials`, which says what each does.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is an item of the contract")]
pub enum Question {
    Authenticate { mechanism: Mechanism, initial: Option<Secret> },
    Respond { data: Secret },
    Verify { name: Secret, password: Secret },
}

/// What a step of an exchange came to, as a plugin hears it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Progress {
    /// The peer is to be told this, and to answer.
    Challenge(Vec<u8>),
    /// The exchange is over.
    Success {
        /// The user's name.
        identity: String,
        /// What the peer is still to be told.
        data: Option<Vec<u8>>,
    },
}

/// What a peer has besides what it says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown {
    /// The SHA-256 of its certificate.
    pub certificate: Option<[u8; 32]>,
    /// Random bytes, for what this side says.
    pub nonce: [u8; 18],
}

/// Checks who is who by a file of users, and reads that again when it has changed.
#[derive(Clone)]
pub struct Checker(Arc<Kept>);

struct Kept {
    /// `None` where the users are given, as in a simulation.
    file: Option<PathBuf>,
    seed: [u8; 32],
    memory: Arc<Memory>,
    known: Mutex<Known>,
}

/// The users as they were found at the last look.
struct Known {
    users: Arc<Users>,
    stamp: Option<Stamp>,
    /// When the file was looked at.
    looked: Option<Instant>,
}

/// What the file looks like from outside; `None` where it can't be looked at.
type Stamp = Option<(u64, u64, u64, i64, i64, i64, i64)>;

impl Checker {
    /// Reads the users from a file. `seed` is where the answers for names that nobody has come
    /// from, if the file has no key for them; hashes are computed in `memory`, which others may
    /// share.
    ///
    /// # Errors
    /// Says what is wrong with the file: of all its lines, each with its number.
    pub fn open(file: &Path, seed: [u8; 32], memory: &Arc<Memory>) -> Result<Self, String> {
        let stamp = stamp(file);
        let users = read(file, seed)?;
        Ok(Self::with(Some(file.to_owned()), seed, users, Some(stamp), memory))
    }

    /// The users are those of a text, for good.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn of(text: &str, seed: [u8; 32]) -> Result<Self, String> {
        let users = Users::parse(Path::new("users"), text, seed)?;
        Ok(Self::with(None, seed, users, None, &Arc::default()))
    }

    fn with(
        file: Option<PathBuf>,
        seed: [u8; 32],
        users: Users,
        stamp: Option<Stamp>,
        memory: &Arc<Memory>,
    ) -> Self {
        let users = Arc::new(users.within(memory));
        let known = Mutex::new(Known { users, stamp, looked: None });
        Self(Arc::new(Kept { file, seed, memory: Arc::clone(memory), known }))
    }

    /// Takes a step of an exchange: what comes of it, and how it goes on, if it does. It may take as
    /// long as a hash. `now` says how old what is known of the file is.
    pub(crate) fn step(
        &self,
        exchange: Exchange,
        said: &Secret,
        shown: &Shown,
        now: Instant,
    ) -> (Option<Exchange>, Outcome) {
        match exchange.step(said, shown, &self.users(now)) {
            Ok((next, progress)) => (next, Outcome::Progress(progress)),
            Err(failure) => (None, Outcome::Failed(failure)),
        }
    }

    /// Checks a name and a password. It takes as long as a hash.
    pub(crate) fn verify(
        &self,
        name: &Secret,
        password: &Secret,
        now: Instant,
    ) -> Result<Outcome, Failure> {
        let name = String::from_utf8_lossy(name.bytes());
        self.users(now).check(&name, password.bytes()).map(Outcome::Identity)
    }

    /// The users of now: at most [`LOOK`] old.
    fn users(&self, now: Instant) -> Arc<Users> {
        let mut known = self.known();
        if let Some(file) = &self.0.file
            && known.looked.is_none_or(|looked| now.saturating_duration_since(looked) >= LOOK)
        {
            known.looked = Some(now);
            let stamp = stamp(file);
            if known.stamp != Some(stamp) {
                known.stamp = Some(stamp);
                match read(file, self.0.seed) {
                    Ok(users) => {
                        tracing::info!("{} has changed, and was read again", file.display());
                        known.users = Arc::new(users.within(&self.0.memory));
                    }
                    Err(problem) => {
                        tracing::error!("the users stay who they were: {problem}");
                    }
                }
            }
        }
        Arc::clone(&known.users)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // No code that holds it can panic half-way through a change.
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Checker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Checker").field("file", &self.0.file).finish_non_exhaustive()
    }
}

/// Somebody is not who they say; which part of that is wrong nobody is told.
fn denied() -> Failure {
    Failure::new("denied", "the name, or the proof, is wrong")
}

fn stamp(file: &Path) -> Stamp {
    let found = file.metadata().ok()?;
    let (modified, changed) =
        ((found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec()));
    Some((found.dev(), found.ino(), found.size(), modified.0, modified.1, changed.0, changed.1))
}

fn read(file: &Path, seed: [u8; 32]) -> Result<Users, String> {
    Users::parse(file, &read_text(file)?, seed)
}

/// The text of a file of users, which nobody else may read.
fn read_text(file: &Path) -> Result<Zeroizing<String>, String> {
    let shown = file.display();
    let unreadable = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => {
            format!("{shown}: there is no such file; `torsade passwd {shown} NAME` makes it")
        }
        ErrorKind::PermissionDenied => format!("{shown}: this user is not allowed to read it"),
        ErrorKind::InvalidData => format!("{shown}: is not UTF-8"),
        _ => format!("{shown}: can't be read: {error}"),
    };
    let opened = File::open(file).map_err(unreadable)?;
    let metadata = opened.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(format!("{shown}: is not a file"));
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!(
            "{shown}: others may read or change it (its mode is {mode:o}); `chmod 600 {shown}` is \
             right"
        ));
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(format!("{shown}: is larger than 16MiB, the most that a file of users may be"));
    }
    let mut text = Zeroizing::new(String::with_capacity(metadata.len() as usize + 1));
    opened.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

/// The longest that a peer may say at once, in bytes.
pub const MESSAGE_MAX: usize = 4096;

/// How old what is known of the file may be.
const LOOK: Duration = Duration::from_secs(1);

/// The largest file of users that is read, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

#[cfg(test)]
mod tests;
