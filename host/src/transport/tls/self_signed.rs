//! A certificate that signs itself, for development: made once and kept, so that who has trusted it
//! goes on to.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::issue::{self, KeyKind, Wanted};
use super::pem::{Identity, Pair, Problem, Purpose, day};
use rustls::crypto::aws_lc_rs;

/// How many days one is valid: no longer than what clients take of any.
const DAYS: u32 = 365;

/// A certificate that signs itself, in one file with its key.
#[derive(Clone, Debug)]
pub struct SelfSigned {
    /// Whose it is, for the log.
    whose: String,
    path: PathBuf,
    names: Vec<String>,
    /// When it ends, by Unix's clock.
    not_after: i64,
}

impl SelfSigned {
    /// Takes the one in the file, or makes one that is for these names.
    ///
    /// # Errors
    /// Where it can't be kept.
    pub fn keep(whose: &str, path: &Path, names: &[String], now: i64) -> Result<Self, Problem> {
        let (path, names) = (path.to_owned(), names.to_vec());
        let mut kept = Self { whose: whose.to_owned(), path, names, not_after: 0 };
        match kept.read(now) {
            Some(not_after) => kept.not_after = not_after,
            None => kept.make(now)?,
        }
        tracing::warn!(
            "{whose}: its certificate signs itself, for development: nobody trusts it who does not \
             know {}",
            kept.path.display()
        );
        Ok(kept)
    }

    /// Where it is.
    pub fn pair(&self) -> Pair {
        Pair { cert: self.path.clone(), key: self.path.clone() }
    }

    /// Makes another once it has expired. What goes wrong is logged, once.
    pub(crate) fn renew(&mut self, now: i64) {
        if now <= self.not_after {
            return;
        }
        if let Err(problem) = self.make(now) {
            tracing::error!("{}: {problem}", self.whose);
            // Not before a restart.
            self.not_after = i64::MAX;
        }
    }

    /// The line before the PEM says what it was made for.
    fn head(&self) -> String {
        format!("Signed by itself for {}\n", self.names.join(" "))
    }

    fn read(&self, now: i64) -> Option<i64> {
        let same = fs::read_to_string(&self.path).ok()?.starts_with(&self.head());
        let provider = aws_lc_rs::default_provider();
        let identity = Identity::read(&self.pair(), Purpose::Server, now, &provider).ok()?;
        same.then_some(identity.not_after)
    }

    fn make(&mut self, now: i64) -> Result<(), Problem> {
        let wanted = Wanted {
            names: &self.names,
            purpose: Purpose::Server,
            days: DAYS,
            key: KeyKind::Ecdsa,
            now,
        };
        let made = wanted.issue(None).map_err(|error| {
            Problem::new(&self.path, format!("a certificate can't be made: {error}"))
        })?;
        let unkept = |error| Problem::new(&self.path, format!("can't be written: {error}"));
        if let Some(folder) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unkept)?;
        }
        let text = self.head() + &made.cert + &made.key;
        issue::write(&self.path, &text, true, true).map_err(unkept)?;
        self.not_after = now + i64::from(DAYS) * 24 * 60 * 60;
        let (whose, path, end) = (&self.whose, self.path.display(), day(self.not_after));
        tracing::info!("{whose}: made {path}, which is valid until {end}");
        Ok(())
    }
}
