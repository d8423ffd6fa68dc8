//! Flood control: a penalty clock for each client (RFC 2813, section 5.8).
//!
//! A line costs its share of a second, some commands several. A client that has spent no more than a
//! `burst` ahead of time is served at once; otherwise its lines wait until the clock has come so far.

use crate::client::Session;
use crate::config::Config;
use crate::server::SECOND;

/// Whether a client's next line may be handled.
pub(crate) fn takes(session: &Session, config: &Config, now: u64) -> bool {
    takes_at(session, config) <= now
}

/// When a client's next line may be handled.
pub(crate) fn takes_at(session: &Session, config: &Config) -> u64 {
    if config.rate == 0 || session.modes.is_operator() {
        return 0;
    }
    // The last line of a burst is still taken.
    let ahead = u64::from(config.burst).saturating_sub(1) * cost(config);
    session.spent.saturating_sub(ahead)
}

/// Counts so many lines.
pub(crate) fn spend(session: &mut Session, config: &Config, now: u64, lines: u64) {
    session.spent = session.spent.max(now).saturating_add(lines * cost(config));
}

fn cost(config: &Config) -> u64 {
    SECOND.checked_div(config.rate.into()).unwrap_or(0)
}
