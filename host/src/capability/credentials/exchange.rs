//! An exchange of SASL from its mechanism to its end (RFC 4422), as a value.

use std::fmt;

use super::scram::{First, Keys, Offer};
use super::users::Users;
use super::{Progress, Secret, Shown, denied, prepared_name};
use crate::capability::Failure;

/// A mechanism, the best first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mechanism {
    /// By a certificate that the peer has shown (RFC 4422, appendix A).
    External,
    /// By a proof of a password (RFC 7677).
    ScramSha256,
    /// By a password (RFC 4616).
    Plain,
}

/// An exchange that is under way: it waits for what the peer says next.
#[derive(Clone)]
pub struct Exchange(State);

/// `Begun` → `Offered` for SCRAM, and the end for the others.
#[derive(Clone)]
enum State {
    /// The peer has said nothing.
    Begun(Mechanism),
    /// The peer is to prove that it knows what leads to these keys.
    Offered(Box<Offered>),
}

#[derive(Clone)]
struct Offered {
    offer: Offer,
    name: String,
    keys: Keys,
    /// It wants to act for another user.
    acts_for_another: bool,
}

impl Mechanism {
    /// All.
    pub const ALL: [Self; 3] = [Self::External, Self::ScramSha256, Self::Plain];

    /// Its name in IANA's registry.
    pub fn name(self) -> &'static str {
        match self {
            Self::External => "EXTERNAL",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
        }
    }

    /// The one with a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }
}

impl Exchange {
    /// One whose peer has said nothing yet.
    pub fn begin(mechanism: Mechanism) -> Self {
        Self(State::Begun(mechanism))
    }

    /// Whether what the peer says next is a guess, which can be right or wrong.
    pub(crate) fn awaits_proof(&self) -> bool {
        !matches!(self.0, State::Begun(Mechanism::ScramSha256))
    }

    /// Takes what the peer says: how it goes on, if it does, and what the peer is told.
    pub(super) fn step(
        self,
        said: &Secret,
        shown: &Shown,
        users: &Users,
    ) -> Result<(Option<Self>, Progress), Failure> {
        let said = said.bytes();
        let (identity, data) = match self.0 {
            State::Begun(Mechanism::External) => (external(said, shown, users)?, None),
            State::Begun(Mechanism::Plain) => (plain(said, users)?, None),
            State::Begun(Mechanism::ScramSha256) => {
                let (challenge, offered) = offer(said, shown, users)?;
                let next = Self(State::Offered(Box::new(offered)));
                return Ok((Some(next), Progress::Challenge(challenge.into_bytes())));
            }
            State::Offered(offered) => {
                let Offered { offer, name, keys, acts_for_another } = *offered;
                let proof = offer.finish(said, &keys)?.ok_or_else(denied)?;
                if acts_for_another || !users.has(&name, &keys) {
                    return Err(denied());
                }
                (name, Some(proof.into_bytes()))
            }
        };
        Ok((None, Progress::Success { identity, data }))
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Exchange")
    }
}

/// The user whose certificate the peer has shown.
fn external(said: &[u8], shown: &Shown, users: &Users) -> Result<String, Failure> {
    let acts_for = text(said)?;
    let owner = shown.certificate.as_ref().and_then(|of| users.owner(of)).ok_or_else(denied)?;
    if !acts_for.is_empty() && !is(acts_for, owner) {
        return Err(denied());
    }
    Ok(owner.to_owned())
}

/// The user whose name and password the peer says: `[authzid] NUL authcid NUL passwd` (RFC 4616,
/// section 2).
fn plain(said: &[u8], users: &Users) -> Result<String, Failure> {
    let mut parts = said.split(|byte| *byte == 0);
    let (Some(acts_for), Some(name), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(invalid("is not two names and a password with a NUL between"));
    };
    let (acts_for, name) = (text(acts_for)?, text(name)?);
    if name.is_empty() || password.is_empty() {
        return Err(invalid("has an empty name or password"));
    }
    let identity = users.check(name, password)?;
    if !acts_for.is_empty() && !is(acts_for, &identity) {
        return Err(denied());
    }
    Ok(identity)
}

/// What a peer that has said its name is to prove.
fn offer(said: &[u8], shown: &Shown, users: &Users) -> Result<(String, Offered), Failure> {
    let first = First::parse(said)?;
    let (name, keys) = users.keys(&first.name);
    let acts_for_another = first.authorization.as_ref().is_some_and(|other| !is(other, &name));
    let (challenge, offer) = first.answer(&keys, &shown.nonce);
    Ok((challenge, Offered { offer, name, keys, acts_for_another }))
}

/// Whether a peer means this user.
fn is(name: &str, identity: &str) -> bool {
    prepared_name(name).is_ok_and(|name| name == identity)
}

fn text(said: &[u8]) -> Result<&str, Failure> {
    let text = str::from_utf8(said).ok().filter(|text| !text.contains('\0'));
    text.ok_or_else(|| invalid("is not UTF-8, or has a NUL"))
}

fn invalid(what: &str) -> Failure {
    Failure::new("invalid", format!("what the peer said {what}"))
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
