//! Twisted's `callLater`, as a deferred.

use std::time::Duration;

use crate::bindings::torsade::plugin::timers as host;
use crate::deferred::Deferred;
use crate::types::Failure;

/// A deferred that fires once at least `delay` has passed; zero fires in the next turn of the
/// reactor. More than 584 years are 584 years.
///
/// # Errors
/// [`LIMIT`](crate::code::LIMIT) where the service's `deferreds` are all in flight.
pub fn after(delay: Duration) -> Result<Deferred<()>, Failure> {
    let nanoseconds = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
    Ok(Deferred::new(host::after(nanoseconds)?, host::elapsed))
}
