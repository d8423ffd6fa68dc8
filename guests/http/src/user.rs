//! Who a request is from, where only users may see what it asks for: asked of the host, and known
//! for a while.

use subtle::ConstantTimeEq;

use crate::exchange::{Asked, Plan};
use crate::protection::{self, Login};
use crate::refusal::Refusal;
use crate::request::Head;
use crate::session::{Session, Step};
use crate::site::Site;
use crate::status::Status;

/// A user whom the host knows.
pub(crate) struct User {
    /// What a request says that is the user's.
    authorization: Vec<u8>,
    name: String,
    /// When the host has to be asked again, in nanoseconds.
    until: u64,
}

impl std::fmt::Debug for User {
    // The password stays out of every log.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why a request is not known to be a user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// The host can't say now: too much is going on.
    Busy,
    /// No password may be sent on this connection: others could read it.
    Clear,
    /// Too many were wrong, of this peer or of all.
    Throttled,
    /// There is no such user, or the password is wrong, or there is none.
    Unknown,
    /// The host can't say, for another reason.
    Unsure,
}

impl Session {
    /// The name and the password that [`Step::Verify`] is about; none where the request has none.
    pub fn login(&self) -> Option<Login> {
        let exchange = self.exchange.as_ref()?;
        protection::login(protection::authorization(exchange.head())?)
    }

    /// The host has answered [`Step::Verify`]: with the user's name, or not.
    pub fn verified<F>(&mut self, site: &mut Site<F>, answer: Result<String, Stranger>) -> Step<F> {
        let Some(exchange) = self.take_exchange(site) else { return Step::Wait };
        let Asked::User(number) = exchange.asked else { return self.open(exchange) };
        site.path.clone_from(&exchange.path);
        let head = exchange.head();
        let step = match answer {
            Ok(name) => {
                let authorization = protection::authorization(head).unwrap_or_default().to_vec();
                let until = site.now.saturating_add(KNOWN);
                let step = self.give_to(site, head, exchange.plan, number, &name);
                self.user = Some(Box::new(User { authorization, name, until }));
                step
            }
            Err(Stranger::Unknown) => self.deny(site, head, Refusal::User(number)),
            Err(Stranger::Busy) => self.fail(site, head, Status::ServiceUnavailable),
            Err(Stranger::Clear) => self.fail(site, head, Status::Forbidden),
            Err(Stranger::Throttled) => self.fail(site, head, Status::TooManyRequests),
            Err(Stranger::Unsure) => self.fail(site, head, Status::InternalServerError),
        };
        site.recycle(exchange);
        step
    }

    /// Gives what stands at the path in `site.path` if the request is from a user who may see it,
    /// by the rule of this number; asks the host who that is where it isn't known.
    pub(crate) fn admit<F>(
        &mut self,
        site: &mut Site<F>,
        head: Head<'_>,
        plan: Plan,
        number: usize,
    ) -> Step<F> {
        let now = site.now;
        self.user.take_if(|user| now >= user.until);
        let said = protection::authorization(head).unwrap_or_default();
        // Other clients of a proxy may share the connection, and learn nothing from the time.
        let known = self.user.take_if(|user| bool::from(user.authorization[..].ct_eq(said)));
        if let Some(user) = known {
            let step = self.give_to(site, head, plan, number, &user.name);
            self.user = Some(user);
            return step;
        }
        let mut exchange = site.hold(head, plan);
        exchange.asked = Asked::User(number);
        self.exchange = Some(exchange);
        Step::Verify
    }

    fn give_to<F>(
        &mut self,
        site: &mut Site<F>,
        head: Head<'_>,
        plan: Plan,
        number: usize,
        name: &str,
    ) -> Step<F> {
        if site.domain().protection(number).admits(name) {
            self.give_planned(site, head, plan)
        } else {
            self.fail(site, head, Status::Forbidden)
        }
    }
}

/// For how long a connection's user is known before the host is asked again, in nanoseconds. A
/// request has its password each time, and looking at one takes the host long on purpose.
const KNOWN: u64 = 30_000_000_000;
