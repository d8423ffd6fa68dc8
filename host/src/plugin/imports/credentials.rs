//! `credentials`: what a peer may prove by, and what it says to prove who it is.

use wasmtime::Result;
use wasmtime::component::Resource;

use super::super::bindings::torsade::plugin::{credentials, types};
use super::super::outbox::{Effect, Guest, OutcomeHandle, TransportHandle};
use super::{Asked, failure};
use crate::capability::credentials::{
    MESSAGE_MAX, Mechanism, NAME_MAX, Progress, Question, Secret,
};
use crate::capability::{Address, Outcome};
use crate::grants::{Clear, Wish};

impl credentials::Host for Guest {
    fn mechanisms(&mut self, of: Resource<TransportHandle>) -> Result<Vec<String>> {
        let all = self.offered(&of)?;
        Ok(all.into_iter().map(|mechanism| mechanism.name().to_owned()).collect())
    }

    fn authenticate(
        &mut self,
        of: Resource<TransportHandle>,
        mechanism: String,
        initial: Option<Vec<u8>>,
    ) -> Result<Asked> {
        let initial = initial.map(Secret::new);
        let offered = self.offered(&of)?;
        let found = Mechanism::of(&mechanism).filter(|found| offered.contains(found));
        let Some(mechanism) = found else {
            let names: Vec<_> = offered.into_iter().map(Mechanism::name).collect();
            let message = format!("this transport is offered {}", names.join(", "));
            return Ok(Err(self.not_offered(message)));
        };
        self.log_in(&of, Question::Authenticate { mechanism, initial })
    }

    fn respond(&mut self, of: Resource<TransportHandle>, data: Vec<u8>) -> Result<Asked> {
        self.log_in(&of, Question::Respond { data: Secret::new(data) })
    }

    fn progressed(
        &mut self,
        of: Resource<OutcomeHandle>,
    ) -> Result<std::result::Result<credentials::Progress, types::Failure>> {
        Ok(match self.take_outcome(&of)? {
            Outcome::Progress(Progress::Challenge(data)) => {
                Ok(credentials::Progress::Challenge(data))
            }
            Outcome::Progress(Progress::Success { identity, data }) => {
                Ok(credentials::Progress::Success(credentials::Success { identity, data }))
            }
            other => Err(self.not_wanted(other, "an exchange")?),
        })
    }

    fn give_up(&mut self, of: Resource<TransportHandle>) -> Result<()> {
        let conn = self.transports.get(&of)?.conn;
        self.record(Effect::GiveUp { conn })
    }

    fn verify(
        &mut self,
        of: Resource<TransportHandle>,
        name: String,
        password: Vec<u8>,
    ) -> Result<Asked> {
        let (name, password) = (Secret::new(name.into_bytes()), Secret::new(password));
        if !self.offered(&of)?.contains(&Mechanism::Plain) {
            let message = "a password may not be said in clear on this transport";
            return Ok(Err(self.not_offered(message.to_owned())));
        }
        self.log_in(&of, Question::Verify { name, password })
    }

    fn verified(
        &mut self,
        of: Resource<OutcomeHandle>,
    ) -> Result<std::result::Result<String, types::Failure>> {
        Ok(match self.take_outcome(&of)? {
            Outcome::Identity(name) => Ok(name),
            other => Err(self.not_wanted(other, "a name and a password")?),
        })
    }
}

impl Guest {
    /// The failure of what isn't offered: where the service has users, this transport is the reason.
    fn not_offered(&self, message: String) -> types::Failure {
        match self.credentials {
            Some(_) => failure("unsupported", message),
            None => failure("denied", Wish::LogIn.refusal()),
        }
    }

    fn log_in(&mut self, of: &Resource<TransportHandle>, question: Question) -> Result<Asked> {
        let handle = self.transports.get(of)?;
        let (conn, open) = (handle.conn, handle.open);
        if !open {
            return Ok(Err(failure("closed", "the transport is closed, or closing")));
        }
        let (name, said) = match &question {
            Question::Authenticate { initial, .. } => {
                (0, initial.as_ref().map_or(0, |said| said.bytes().len()))
            }
            Question::Respond { data } => (0, data.bytes().len()),
            Question::Verify { name, password } => (name.bytes().len(), password.bytes().len()),
        };
        if name > NAME_MAX || said > MESSAGE_MAX {
            let message = format!(
                "a name has at most {NAME_MAX} bytes, and what a peer says at once {MESSAGE_MAX}"
            );
            return Ok(Err(failure("invalid", message)));
        }
        self.owns(size_of::<Question>() + name + said)?;
        self.ask(|id| Effect::LogIn { id, conn, question: Box::new(question) })
    }

    fn offered(&mut self, of: &Resource<TransportHandle>) -> Result<Vec<Mechanism>> {
        let handle = self.transports.get(of)?;
        let session = handle.session.as_ref();
        let shows = session.is_some_and(|session| !session.certificates.is_empty());
        let plain = self.credentials;
        Ok(plain
            .map_or_else(Vec::new, |plain| offered(plain, &handle.peer, session.is_some(), shows)))
    }
}

/// The mechanisms that a peer may be offered, the best first: one that is encrypted, or `shows` a
/// certificate.
pub(crate) fn offered(
    plain: Clear,
    peer: &Address,
    is_encrypted: bool,
    shows: bool,
) -> Vec<Mechanism> {
    let is_private = is_encrypted || matches!(peer, Address::Stdio | Address::Unix(_));
    let is_near = match peer {
        Address::Tcp(ip, _) | Address::Udp(ip, _) => ip.to_canonical().is_loopback(),
        Address::Stdio | Address::Unix(_) => true,
    };
    let may_be_plain = match plain {
        Clear::Always => true,
        Clear::Loopback => is_private || is_near,
        Clear::Never => is_private,
    };
    let offers = |mechanism: &Mechanism| match mechanism {
        Mechanism::External => shows,
        Mechanism::Plain => may_be_plain,
        Mechanism::ScramSha256 => true,
    };
    Mechanism::ALL.into_iter().filter(offers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_said_in_clear_where_the_grant_says_so() {
        let offers_plain = |plain, peer: &Address, encrypted| {
            offered(plain, peer, encrypted, false).contains(&Mechanism::Plain)
        };
        let far = Address::Tcp([192, 0, 2, 1].into(), 1);
        let near = [
            Address::Tcp([127, 0, 0, 1].into(), 1),
            Address::Tcp("::ffff:127.0.0.1".parse().unwrap(), 1),
            Address::Tcp("::1".parse().unwrap(), 1),
        ];
        for clear in [Clear::Always, Clear::Loopback, Clear::Never] {
            assert!(offers_plain(clear, &far, true));
            assert!(offers_plain(clear, &Address::Unix("".into()), false));
            assert!(offers_plain(clear, &Address::Stdio, false));
            assert_eq!(offers_plain(clear, &far, false), clear == Clear::Always);
            for near in &near {
                assert_eq!(offers_plain(clear, near, false), clear != Clear::Never);
            }
        }
    }

    #[test]
    fn the_best_mechanism_comes_first() {
        let peer = Address::Tcp([192, 0, 2, 1].into(), 1);
        assert_eq!(offered(Clear::Never, &peer, true, true), Mechanism::ALL);
        assert_eq!(offered(Clear::Never, &peer, false, false), [Mechanism::ScramSha256]);
    }
}
