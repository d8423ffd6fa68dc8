//! Time, as the host saw it when it called the plugin. It stands still during an event.
//!
//! `std::time`'s own `now` functions panic in a plugin.

use std::time::Duration;

use crate::bindings::torsade::plugin::clock as host;
use crate::testing;
use crate::types::Datetime;

/// Time since an arbitrary moment; never goes back.
pub fn monotonic() -> Duration {
    match testing::time() {
        None => Duration::from_nanos(host::monotonic()),
        Some(time) => time.now(),
    }
}

/// The same in nanoseconds, as protocols count that are values: 64 bits hold 584 years.
pub fn nanoseconds() -> u64 {
    u64::try_from(monotonic().as_nanos()).unwrap_or(u64::MAX)
}

/// The time of day. `SystemTime::from` makes of it what other crates take.
pub fn now() -> Datetime {
    match testing::time() {
        None => host::now(),
        Some(time) => {
            let now = time.now();
            Datetime { seconds: now.as_secs() as i64, nanoseconds: now.subsec_nanos() }
        }
    }
}
