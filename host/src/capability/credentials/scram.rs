//! SCRAM-SHA-256, the server's side (RFC 5802, RFC 7677): the peer proves that it has the password
//! without showing it, and learns that this side knows the user, too.
//!
//! It binds to no channel (`-PLUS` isn't offered), so a client that could is told nothing else.

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::capability::Failure;

/// What is kept of a password: with it one can check a proof, and not make one.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Keys {
    iterations: NonZeroU32,
    salt: Vec<u8>,
    stored: [u8; 32],
    server: [u8; 32],
}

/// The client's first message, read.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct First {
    /// Whom it wants to act for; the user itself where it says nothing.
    pub(super) authorization: Option<String>,
    /// The user's name, as the client wrote it.
    pub(super) name: String,
    nonce: String,
    /// The message without its first part, which the proof is about.
    bare: String,
    /// That part.
    header: String,
}

/// What has been said, and waits for the client's proof.
#[derive(Clone)]
pub(super) struct Offer {
    header: String,
    nonce: String,
    said: String,
}

impl Keys {
    /// Those of a prepared password.
    pub(super) fn of(password: &str, salt: [u8; 16]) -> Self {
        Self::derived(password.as_bytes(), &salt, ITERATIONS)
    }

    fn derived(password: &[u8], salt: &[u8], iterations: NonZeroU32) -> Self {
        let mut salted = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password, &mut salted);
        let client_key = mac(&salted, b"Client Key");
        let stored = sha256(&client_key);
        let server = mac(&salted, b"Server Key");
        Self { iterations, salt: salt.to_vec(), stored, server }
    }

    /// Keys that nobody has a password for.
    pub(super) fn nobodys(
        iterations: NonZeroU32,
        salt: Vec<u8>,
        stored: [u8; 32],
        server: [u8; 32],
    ) -> Self {
        Self { iterations, salt, stored, server }
    }

    /// Reads them as RFC 5803 writes them, without the mechanism's name: `4096:SALT$STORED:SERVER`.
    /// What the text says is nowhere in the message.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "its keys are not SCRAM-SHA-256$ITERATIONS:SALT$STORED:SERVER".to_owned();
        let (info, keys) = text.split_once('$').ok_or_else(wrong)?;
        let (iterations, salt) = info.split_once(':').ok_or_else(wrong)?;
        let (stored, server) = keys.split_once(':').ok_or_else(wrong)?;
        let iterations: u32 = iterations.parse().map_err(|_| wrong())?;
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err(format!(
                "its keys take {iterations} iterations, and not {ITERATIONS_MIN} to \
                 {ITERATIONS_MAX}"
            ));
        }
        let decoded = |text: &str| STANDARD.decode(text).map_err(|_| wrong());
        let key = |text: &str| <[u8; 32]>::try_from(decoded(text)?).map_err(|_| wrong());
        let salt = decoded(salt)?;
        if !(1..=SALT_MAX).contains(&salt.len()) {
            return Err(format!("its salt has not 1 to {SALT_MAX} bytes"));
        }
        let iterations = NonZeroU32::new(iterations).ok_or_else(wrong)?;
        Ok(Self { iterations, salt, stored: key(stored)?, server: key(server)? })
    }

    /// Whether they are those of a prepared password. It takes its time.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let derived = Self::derived(password, &self.salt, self.iterations);
        verify_slices_are_equal(&derived.stored, &self.stored).is_ok()
    }

    /// What they cost, and how long the salt is.
    pub(super) fn cost(&self) -> (NonZeroU32, usize) {
        (self.iterations, self.salt.len())
    }
}

impl fmt::Display for Keys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [salt, stored, server] =
            [&self.salt[..], &self.stored, &self.server].map(|bytes| STANDARD.encode(bytes));
        write!(out, "SCRAM-SHA-256${}:{salt}${stored}:{server}", self.iterations)
    }
}

impl First {
    /// Reads it (RFC 5802, section 7: `client-first-message`).
    pub(super) fn parse(message: &[u8]) -> Result<Self, Failure> {
        let message = text(message)?;
        let (flag, rest) = message.split_once(',').ok_or_else(|| invalid("has no header"))?;
        match flag {
            // It can't bind to a channel, or believes that this side can't: which is so.
            "n" | "y" => {}
            _ if flag.starts_with("p=") => {
                return Err(invalid("wants to bind to a channel, which is not offered"));
            }
            _ => return Err(invalid("begins with neither n, nor y, nor p=")),
        }
        let (acts_for, bare) = rest.split_once(',').ok_or_else(|| invalid("has half a header"))?;
        let authorization = match acts_for {
            "" => None,
            _ => Some(unescaped(value(acts_for, "a=")?)?),
        };
        if bare.starts_with("m=") {
            return Err(invalid("demands an extension, and there is none"));
        }
        let mut parts = bare.split(',');
        let mut part = |key| value(parts.next().unwrap_or_default(), key);
        let name = unescaped(part("n=")?)?;
        let nonce = part("r=")?;
        let printable = |byte: u8| matches!(byte, b'!'..=b'~');
        if nonce.is_empty() || !nonce.bytes().all(printable) {
            return Err(invalid("has a nonce that can't be printed"));
        }
        let header = &message[..message.len() - bare.len()];
        Ok(Self {
            authorization,
            name,
            nonce: nonce.to_owned(),
            bare: bare.to_owned(),
            header: header.to_owned(),
        })
    }

    /// What this side answers (`server-first-message`), and what it then waits for.
    pub(super) fn answer(self, keys: &Keys, nonce: &[u8]) -> (String, Offer) {
        let nonce = format!("{}{}", self.nonce, STANDARD.encode(nonce));
        let challenge =
            format!("r={nonce},s={},i={}", STANDARD.encode(&keys.salt), keys.iterations);
        let said = format!("{},{challenge}", self.bare);
        (challenge, Offer { header: self.header, nonce, said })
    }
}

impl Offer {
    /// Checks the client's proof (`client-final-message`) by the keys: what this side proves in
    /// return (`server-final-message`), or `None` where the proof is wrong.
    pub(super) fn finish(&self, message: &[u8], keys: &Keys) -> Result<Option<String>, Failure> {
        let message = text(message)?;
        let (without_proof, proof) =
            message.rsplit_once(",p=").ok_or_else(|| invalid("has no proof"))?;
        let mut parts = without_proof.split(',');
        let mut part = |key| value(parts.next().unwrap_or_default(), key);
        if decoded(part("c=")?)? != self.header.as_bytes() {
            return Err(invalid("binds to another channel than it said"));
        }
        if part("r=")? != self.nonce {
            return Err(invalid("has another nonce"));
        }
        let proof = <[u8; 32]>::try_from(decoded(proof)?)
            .map_err(|_| invalid("has a proof that is not of 32 bytes"))?;
        let about = format!("{},{without_proof}", self.said);
        let signature = mac(&keys.stored, about.as_bytes());
        let mut client_key = proof;
        client_key.iter_mut().zip(signature).for_each(|(byte, other)| *byte ^= other);
        let is_right = verify_slices_are_equal(&sha256(&client_key), &keys.stored).is_ok();
        let proof = format!("v={}", STANDARD.encode(mac(&keys.server, about.as_bytes())));
        Ok(is_right.then_some(proof))
    }
}

fn text(message: &[u8]) -> Result<&str, Failure> {
    str::from_utf8(message)
        .ok()
        .filter(|text| !text.contains('\0'))
        .ok_or_else(|| invalid("is not UTF-8, or has a NUL"))
}

fn value<'a>(part: &'a str, key: &str) -> Result<&'a str, Failure> {
    part.strip_prefix(key).ok_or_else(|| invalid(&format!("has no {key} where it has to be")))
}

fn decoded(text: &str) -> Result<Vec<u8>, Failure> {
    STANDARD.decode(text).map_err(|_| invalid("has what is not base64"))
}

/// A name, in which a comma is `=2C` and an equals sign `=3D` (`saslname`).
fn unescaped(name: &str) -> Result<String, Failure> {
    let mut pieces = name.split('=');
    let mut unescaped = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (sign, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(invalid("has a name with a lone equals sign")),
        };
        unescaped.push(sign);
        unescaped.push_str(rest);
    }
    match unescaped.is_empty() {
        true => Err(invalid("has an empty name")),
        false => Ok(unescaped),
    }
}

fn invalid(what: &str) -> Failure {
    Failure::new("invalid", format!("what the peer said {what} (RFC 5802, section 7)"))
}

fn mac(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut mac = [0; 32];
    mac.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref());
    mac
}

fn sha256(data: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    hash
}

/// How often a password is hashed for keys that are made here: far more than RFC 7677 asks for, as
/// who steals the keys may guess; and not more than a client of today does in a moment.
pub(super) const ITERATIONS: NonZeroU32 = NonZeroU32::new(100_000).expect("it is no 0");

/// The least of what is read (RFC 7677, section 4).
const ITERATIONS_MIN: u32 = 4096;

/// The most, as this side computes them, too.
const ITERATIONS_MAX: u32 = 2_000_000;

/// The longest salt, in bytes.
const SALT_MAX: usize = 64;

#[cfg(test)]
#[path = "scram_tests.rs"]
mod tests;
