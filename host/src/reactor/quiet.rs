//! What the log is told once a minute, however often it happens: who makes it happen may be a peer.

use std::time::{Duration, Instant};

/// Something of that kind.
#[derive(Default)]
pub(super) struct Quiet {
    count: u64,
    until: Option<Instant>,
}

impl Quiet {
    /// It happened so often now. Says how often since the log was last told, where it may be told
    /// again.
    pub(super) fn happened(&mut self, times: u64, now: Instant) -> Option<u64> {
        self.count = self.count.saturating_add(times);
        if self.until.is_some_and(|until| until > now) {
            return None;
        }
        self.until = Some(now + QUIET);
        Some(std::mem::take(&mut self.count))
    }
}

/// How long nothing more is said.
const QUIET: Duration = Duration::from_secs(60);
