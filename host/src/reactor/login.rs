//! Peers that prove who they are: their exchanges, how often they may be wrong, and the pool that
//! does the work. What is secret passes through, and stays nowhere.

use std::net::IpAddr;
use std::time::Duration;

use rand::Rng;

use super::apply::of_life;
use super::conn::address;
use super::granted::denied;
use super::life::{Behind, Waiter};
use super::service::peer_ip;
use super::work::{Ticket, Whose};
use super::{Answer, Reactor};
use crate::arena::Id;
use crate::capability::credentials::{
    Checker, Exchange, Mechanism, Progress, Question, Secret, Shown, fingerprint,
};
use crate::capability::{Failure, Outcome};
use crate::grants::Wish;
use crate::net::Net;
use crate::plugin::offered;
use crate::pool::{Lane, Pool, Stop, Stopped};

/// A connection's exchange: from one to the other, until it is over.
pub(super) enum Login {
    /// The peer is to say something.
    Awaits(Exchange),
    /// What it said is looked at, for this deferred.
    Busy(u64),
}

/// Who waits for the pool to say whether it is who it says.
pub(super) struct Applicant {
    /// The connection whose exchange it is; `None` for a name and a password.
    conn: Option<u64>,
    peer: Option<IpAddr>,
    /// What it said counts as a failure until it is found right.
    is_proof: bool,
}

/// What is to be looked at.
enum Said {
    Step(Exchange, Secret),
    Password(Secret, Secret),
}

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// A life's plugin passes on what the peer of a connection says.
    pub(super) fn log_in(&mut self, (life, id): Waiter, number: u64, question: Question) {
        let (stop, stopped) = Stop::new();
        if !self.asked(life, id, Behind::Work(stop)) {
            return;
        }
        if let Question::Authenticate { .. } = question {
            self.give_up_login(life, number);
        }
        match self.said((life, id), number, question) {
            Ok(Some(said)) => self.look_at((life, id), number, said, stopped),
            Ok(None) => {
                let progress = Progress::Challenge(Vec::new());
                self.fire((life, id), Outcome::Progress(progress));
            }
            Err(failure) => self.fire((life, id), Outcome::Failed(failure)),
        }
    }

    /// What there is to look at; nothing where the peer is to speak first.
    fn said(
        &mut self,
        (life, id): Waiter,
        number: u64,
        question: Question,
    ) -> Result<Option<Said>, Failure> {
        let offered = self.offered_to(number);
        let conn = of_life(&mut self.conns, life, Id::from_u64(number)).ok_or_else(closed)?;
        let unsupported = || Failure::new("unsupported", "this transport is not offered it");
        match question {
            Question::Authenticate { mechanism, .. } if !offered.contains(&mechanism) => {
                Err(unsupported())
            }
            Question::Authenticate { mechanism, initial: None } => {
                conn.login = Some(Box::new(Login::Awaits(Exchange::begin(mechanism))));
                Ok(None)
            }
            Question::Authenticate { mechanism, initial: Some(said) } => {
                conn.login = Some(Box::new(Login::Busy(id)));
                Ok(Some(Said::Step(Exchange::begin(mechanism), said)))
            }
            Question::Respond { data } => match conn.login.take().map(|login| *login) {
                Some(Login::Awaits(exchange)) => {
                    conn.login = Some(Box::new(Login::Busy(id)));
                    Ok(Some(Said::Step(exchange, data)))
                }
                Some(Login::Busy(before)) => {
                    conn.login = Some(Box::new(Login::Busy(before)));
                    Err(Failure::new("invalid", "the peer's last answer is looked at still"))
                }
                None => Err(Failure::new("invalid", "there is no exchange to go on with")),
            },
            Question::Verify { .. } if !offered.contains(&Mechanism::Plain) => Err(unsupported()),
            Question::Verify { name, password } => Ok(Some(Said::Password(name, password))),
        }
    }

    /// The mechanisms that the peer of a connection may be offered.
    fn offered_to(&self, number: u64) -> Vec<Mechanism> {
        let Some(conn) = self.conns.get(Id::from_u64(number)) else { return Vec::new() };
        let users = self.services[conn.service].settings.grants.credentials.as_ref();
        let agreed = conn.stream.agreed();
        let shows = agreed.as_ref().is_some_and(|agreed| !agreed.certificates.is_empty());
        users.map_or_else(Vec::new, |users| {
            offered(users.plain, &address(&conn.peer), agreed.is_some(), shows)
        })
    }

    /// Has the pool look at what a peer has said, unless too many were wrong before.
    fn look_at(&mut self, waiter: Waiter, number: u64, said: Said, stopped: Stopped) {
        let Some(conn) = self.conns.get(Id::from_u64(number)) else {
            return self.fire(waiter, Outcome::Failed(closed()));
        };
        let (service, peer) = (conn.service, peer_ip(&conn.peer));
        let certificate = conn.stream.agreed().and_then(|agreed| {
            agreed.certificates.first().map(|certificate| fingerprint(certificate))
        });
        let (is_proof, of, bytes) = match &said {
            Said::Step(exchange, said) => {
                (exchange.awaits_proof(), Some(number), said.bytes().len())
            }
            Said::Password(name, password) => {
                (true, None, name.bytes().len() + password.bytes().len())
            }
        };
        let applicant = Applicant { conn: of, peer, is_proof };
        let checker = match self.may_log_in(service, peer, is_proof) {
            Ok(checker) => checker,
            Err(failure) => {
                let outcome = Outcome::Failed(failure);
                return self.tell_login(waiter, &applicant, None, outcome);
            }
        };
        let mut nonce = [0; 18];
        self.lent().random.fill_bytes(&mut nonce);
        let (shown, now) = (Shown { certificate, nonce }, self.told);
        let work = move || match said {
            // Nobody waits any more, and nothing has been looked at.
            _ if stopped.is_stopped() => Answer::Login(None, Outcome::Failed(Failure::cancelled())),
            Said::Step(exchange, said) => {
                let (next, outcome) = checker.step(exchange, &said, &shown, now);
                Answer::Login(next, outcome)
            }
            Said::Password(name, password) => {
                let checked = checker.verify(&name, &password, now);
                Answer::Login(None, checked.unwrap_or_else(Outcome::Failed))
            }
        };
        let ticket = Ticket { service, bytes, whose: Whose::Login(waiter, applicant) };
        self.submit(Lane::Logins, ticket, Box::new(work));
    }

    /// What checks who a peer is, unless its grant or a limit says no.
    fn may_log_in(
        &mut self,
        service: usize,
        peer: Option<IpAddr>,
        is_proof: bool,
    ) -> Result<Checker, Failure> {
        let verdict = self.services[service].settings.grants.ask(Wish::LogIn);
        self.granted(service, verdict)?;
        let settings = &self.services[service].settings;
        let checker = settings.checker.clone().ok_or_else(|| denied(&Wish::LogIn))?;
        settings.census.may_log_in(peer, is_proof, self.told).map_err(|throttled| {
            // Told in whole seconds.
            let wait = throttled.wait.as_nanos().div_ceil(Duration::from_secs(1).as_nanos());
            let what = format_args!("too many logins have failed; the next may be in {wait} s");
            Failure::limit(throttled.key, what)
        })?;
        Ok(checker)
    }

    /// The pool has looked at what a peer said.
    pub(super) fn on_login(
        &mut self,
        waiter: Waiter,
        service: usize,
        applicant: &Applicant,
        next: Option<Exchange>,
        outcome: Outcome,
    ) {
        let counts = match &outcome {
            Outcome::Failed(failure) => matches!(&*failure.code, "denied" | "invalid"),
            _ => false,
        };
        let settings = &self.services[service].settings;
        if applicant.is_proof && !counts {
            settings.census.logged_in(applicant.peer);
        }
        if counts {
            let peer = applicant.peer.map(|peer| peer.to_string()).unwrap_or_default();
            tracing::debug!(service = &*settings.name, peer, "a login has failed");
        }
        self.tell_login(waiter, applicant, next, outcome);
    }

    /// What came of a login: for the plugin, and for the connection's exchange.
    fn tell_login(
        &mut self,
        (life, id): Waiter,
        applicant: &Applicant,
        next: Option<Exchange>,
        outcome: Outcome,
    ) {
        let is_wanted =
            self.lives.get(life).is_some_and(|life| life.deferreds.behind_ref(id).is_some());
        if let Some(conn) = applicant.conn.and_then(|conn| self.conns.get_mut(Id::from_u64(conn)))
            && matches!(conn.login.as_deref(), Some(Login::Busy(of)) if *of == id)
        {
            let next = next.filter(|_| is_wanted);
            conn.login = next.map(|next| Box::new(Login::Awaits(next)));
        }
        self.fire((life, id), outcome);
    }

    /// The exchange of a connection is over, whatever it would have come to.
    pub(super) fn give_up_login(&mut self, life: Id<super::Life>, number: u64) {
        let conn = of_life(&mut self.conns, life, Id::from_u64(number));
        if let Some(Login::Busy(id)) = conn.and_then(|conn| conn.login.take()).map(|login| *login) {
            self.cancel(life, id);
        }
    }
}

fn closed() -> Failure {
    Failure::new("closed", "the transport is closed")
}
