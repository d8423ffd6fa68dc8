//! What the grants say to a plugin's wishes, as the plugin and the log hear it.

use std::time::Instant;

use super::quiet::Quiet;
use super::service::Service;
use super::{Answer, Reactor};
use crate::capability::Failure;
use crate::capability::sql::Database;
use crate::grants::{Grant, Grants, Verdict, Wish};
use crate::net::Net;
use crate::pool::Pool;

/// What would have been refused of each grant.
#[derive(Default)]
pub(super) struct DryRuns([Quiet; Grant::ALL.len()]);

impl DryRuns {
    /// A wish was `refused` (in words) so often. The log says the first at once, and once a minute
    /// how many there were; others only where it has lines of level debug.
    pub(super) fn tell(
        &mut self,
        (service, grants): (&str, &Grants),
        wish: &Wish<'_>,
        refused: &str,
        now: Instant,
    ) {
        match self.0[wish.grant() as usize].happened(1, now) {
            Some(count) => {
                let told = grants.told(wish, refused);
                tracing::warn!(service, "{told} ({count} of its kind since the last such line)");
            }
            None => tracing::debug!(service, "{}", grants.told(wish, refused)),
        }
    }
}

impl Service {
    /// What a verdict lets through, or the failure that the plugin gets.
    pub(super) fn granted<T>(
        &mut self,
        verdict: Verdict<'_, T>,
        now: Instant,
    ) -> Result<T, Failure> {
        let (name, grants) = (&*self.settings.name, &*self.settings.grants);
        match verdict {
            Verdict::Granted(reached) => Ok(reached),
            Verdict::DryRun(reached, wish) => {
                self.dry_runs.tell((name, grants), &wish, WOULD, now);
                Ok(reached)
            }
            Verdict::Refused(wish) => {
                if grants.dry_run {
                    self.dry_runs.tell((name, grants), &wish, IS, now);
                }
                Err(denied(&wish))
            }
        }
    }

    /// The database, for what a grant of one is for.
    pub(super) fn database(&mut self, wish: Wish<'_>, now: Instant) -> Result<Database, Failure> {
        let verdict = self.settings.grants.ask(wish);
        self.granted(verdict, now)?;
        self.settings.database.clone().ok_or_else(|| denied(&wish))
    }
}

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// What a verdict on a wish of a service's plugin lets through.
    pub(super) fn granted<T>(
        &mut self,
        service: usize,
        verdict: Verdict<'_, T>,
    ) -> Result<T, Failure> {
        self.services[service].granted(verdict, self.told)
    }
}

/// The failure of a wish that isn't granted.
pub(super) fn denied(wish: &Wish<'_>) -> Failure {
    Failure::new("denied", wish.refusal())
}

/// What is let through.
pub(super) const WOULD: &str = "would be refused";

/// What nothing can be let through to.
const IS: &str = "is refused all the same";
