//! The users of a file, and whether a password, a proof or a certificate is one's.
//!
//! A name that nobody has takes the same work as one that somebody has, and gets the same answers:
//! neither time nor words tell which names there are. That holds for as many of the file's users as
//! have what most of them have: hashes and keys that cost the same.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use argon2::Params;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::change::DECOYS;
use super::denied;
use super::hash::{Hash, Memory};
use super::passphrase::{NAME_MAX, prepared_name, prepared_password};
use super::scram::{ITERATIONS, Keys};
use crate::capability::Failure;

/// The users of a file.
pub(super) struct Users {
    users: HashMap<String, User>,
    certificates: HashMap<[u8; 32], String>,
    decoys: Decoys,
    memory: Arc<Memory>,
}

#[derive(Default)]
struct User {
    hash: Option<Hash>,
    keys: Option<Keys>,
}

/// What is shown for names that nobody has.
struct Decoys {
    key: hmac::Key,
    /// `None` where nobody has a hash.
    hash: Option<Hash>,
    /// What the keys of most users cost.
    keys: (NonZeroU32, usize),
    /// Somebody's password is checked by keys, for want of a hash.
    derives: bool,
}

/// What stands behind a name on a line.
enum Kind {
    Certificate([u8; 32]),
    Hash(Hash),
    Keys(Keys),
}

impl Users {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// Says what is wrong with which line, and what would be right; nothing of what is secret.
    pub(super) fn parse(file: &Path, text: &str, seed: [u8; 32]) -> Result<Self, String> {
        let (mut users, mut certificates) = (HashMap::<String, User>::new(), HashMap::new());
        let (mut key, mut wrong) = (None, Vec::new());
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let added = match line.strip_prefix(DECOYS) {
                Some(text) => decoys_key(text).map(|found| key = Some(found)),
                None => entry(line).and_then(|(name, kind)| {
                    let user = users.entry(name.clone()).or_default();
                    add(user, name, kind, &mut certificates)
                }),
            };
            if let Err(problem) = added {
                wrong.push(format!("{}:{number}: {problem}", file.display()));
            }
        }
        if wrong.is_empty() {
            let decoys = Decoys::of(&users, &key.unwrap_or(seed));
            return Ok(Self { users, certificates, decoys, memory: Arc::default() });
        }
        let more = wrong.len().saturating_sub(WRONG_MAX);
        wrong.truncate(WRONG_MAX);
        let more = if more > 0 { format!("\n  … and {more} more lines") } else { String::new() };
        Err(format!("{}{more}", wrong.join("\n  ")))
    }

    /// The same, whose hashes are computed in this memory.
    pub(super) fn within(self, memory: &Arc<Memory>) -> Self {
        Self { memory: Arc::clone(memory), ..self }
    }

    /// Checks a name and a password: the identity. It always takes as long as a hash.
    pub(super) fn check(&self, name: &str, password: &[u8]) -> Result<String, Failure> {
        let (name, known) = self.find(name);
        let user = known.map_or(&User::NOBODY, |user| user);
        let prepared = prepared_password(password);
        let (password, can_be) = match &prepared {
            Ok(password) => (password.as_bytes(), true),
            Err(_) => (&password[..password.len().min(64)], false),
        };
        let by_hash = match user.hash.as_ref().or(self.decoys.hash.as_ref()) {
            Some(hash) => hash.matches(password, &self.memory)?,
            None => false,
        };
        let by_keys = self.decoys.derives
            && match &user.keys {
                Some(keys) => keys.matches(password),
                None => self.decoys.keys(&name).matches(password),
            };
        let is_right = match (&user.hash, &user.keys) {
            (Some(_), _) => by_hash,
            (None, Some(_)) => by_keys,
            (None, None) => false,
        };
        if is_right && can_be { Ok(name) } else { Err(denied()) }
    }

    /// The keys for a name, be it anybody's or not; and its prepared form.
    pub(super) fn keys(&self, name: &str) -> (String, Keys) {
        let (name, user) = self.find(name);
        let keys = user.and_then(|user| user.keys.clone());
        let keys = keys.unwrap_or_else(|| self.decoys.keys(&name));
        (name, keys)
    }

    /// Whether these are a user's keys, and not made up.
    pub(super) fn has(&self, name: &str, keys: &Keys) -> bool {
        self.users.get(name).is_some_and(|user| user.keys.as_ref() == Some(keys))
    }

    /// Whose certificate it is.
    pub(super) fn owner(&self, certificate: &[u8; 32]) -> Option<&str> {
        self.certificates.get(certificate).map(String::as_str)
    }

    /// A name as it is compared, and who has it. One that nobody can have stays as it is.
    fn find(&self, name: &str) -> (String, Option<&User>) {
        match prepared_name(name) {
            Ok(name) => {
                let user = self.users.get(&name);
                (name, user)
            }
            Err(_) => (name.chars().take(NAME_MAX).collect(), None),
        }
    }
}

impl User {
    const NOBODY: Self = Self { hash: None, keys: None };
}

impl Decoys {
    fn of(users: &HashMap<String, User>, key: &[u8; 32]) -> Self {
        let hashes = users.values().filter_map(|user| user.hash.as_ref());
        let params = hashes.map(|hash| {
            let params = hash.params();
            (params.m_cost(), params.t_cost(), params.p_cost())
        });
        let params = most(params)
            .and_then(|(memory, passes, lanes)| Params::new(memory, passes, lanes, None).ok());
        let keys = users.values().filter_map(|user| user.keys.as_ref()).map(Keys::cost);
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
            hash: params.map(|params| Hash::nobodys(params, [0; 16])),
            keys: most(keys).unwrap_or((ITERATIONS, SALT)),
            derives: users.values().any(|user| user.hash.is_none() && user.keys.is_some()),
        }
    }

    /// Keys for a name, the same each time.
    fn keys(&self, name: &str) -> Keys {
        let (iterations, length) = self.keys;
        let salt = [self.derived("salt", name), self.derived("more salt", name)].concat();
        let salt = salt.into_iter().take(length).collect();
        Keys::nobodys(iterations, salt, self.derived("stored", name), self.derived("server", name))
    }

    fn derived(&self, what: &str, name: &str) -> [u8; 32] {
        let mut derived = [0; 32];
        let about = format!("{what}:{name}");
        derived.copy_from_slice(hmac::sign(&self.key, about.as_bytes()).as_ref());
        derived
    }
}

/// What there is most of; of two the larger.
fn most<T: Copy + Eq + std::hash::Hash + Ord>(all: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: HashMap<T, usize> = HashMap::new();
    all.for_each(|one| *counts.entry(one).or_default() += 1);
    counts.into_iter().map(|(one, count)| (count, one)).max().map(|(_, one)| one)
}

fn add(
    user: &mut User,
    name: String,
    kind: Kind,
    certificates: &mut HashMap<[u8; 32], String>,
) -> Result<(), String> {
    let twice = |what: &str| Err(format!("{name} has {what} already, on a line before"));
    match kind {
        Kind::Hash(_) if user.hash.is_some() => return twice("a hash"),
        Kind::Keys(_) if user.keys.is_some() => return twice("keys for SCRAM-SHA-256"),
        Kind::Hash(hash) => user.hash = Some(hash),
        Kind::Keys(keys) => user.keys = Some(keys),
        Kind::Certificate(of) => {
            if let Some(other) = certificates.get(&of) {
                return Err(format!("the certificate is that of {other} already"));
            }
            certificates.insert(of, name);
        }
    }
    Ok(())
}

/// A line: whose it is, and what it has.
fn entry(line: &str) -> Result<(String, Kind), String> {
    let (name, rest) = line.split_once(':').ok_or(NO_NAME)?;
    let prepared = prepared_name(name).map_err(|why| format!("the name before the colon {why}"))?;
    if prepared != name {
        return Err(format!("{name:?} has to be written as {prepared:?} (SASLprep, RFC 4013)"));
    }
    let kind = if let Some(keys) = rest.strip_prefix("SCRAM-SHA-256$") {
        Keys::parse(keys).map(Kind::Keys)
    } else if let Some(certificate) = rest.strip_prefix("certificate:") {
        fingerprint(certificate).map(Kind::Certificate)
    } else if rest.starts_with('$') {
        Hash::parse(rest).map(Kind::Hash)
    } else {
        Err(NO_KIND.to_owned())
    };
    kind.map(|kind| (prepared, kind)).map_err(|why| format!("{name}: {why}"))
}

const NO_NAME: &str = "it has no NAME: in front; `torsade passwd FILE NAME` writes what is right";

const NO_KIND: &str = "behind the name stands neither $argon2id$…, nor SCRAM-SHA-256$…, nor \
                       certificate:SHA256; `torsade passwd FILE NAME` writes what is right";

/// A SHA-256 in hexadecimal, with or without colons.
fn fingerprint(text: &str) -> Result<[u8; 32], String> {
    let wrong = || "its certificate is not a SHA-256 of 64 hexadecimal digits".to_owned();
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| *c != ':')
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()
        .ok_or_else(wrong)?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    <[u8; 32]>::try_from(bytes).ok().filter(|_| rest.is_empty()).ok_or_else(wrong)
}

fn decoys_key(text: &str) -> Result<[u8; 32], String> {
    let key = STANDARD.decode(text).ok().and_then(|key| key.try_into().ok());
    key.ok_or_else(|| format!("behind {DECOYS} have to stand 32 bytes in base64"))
}

/// Bytes of a salt that is made up, where nobody has one.
const SALT: usize = 16;

/// How many lines that are wrong a message has.
const WRONG_MAX: usize = 20;

#[cfg(test)]
#[path = "users_tests.rs"]
mod tests;
