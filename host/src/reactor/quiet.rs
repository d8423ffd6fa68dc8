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

/// The same for what happens in different ways: of these the log is told the first few.
#[derive(Default)]
pub(super) struct Few {
    told: u32,
    rest: Quiet,
}

impl Few {
    /// It happened now. Says how often since the log was last told, where it may be told again.
    pub(super) fn happened(&mut self, now: Instant) -> Option<u64> {
        if self.told < FEW {
            self.told += 1;
            return Some(1);
        }
        self.rest.happened(1, now)
    }
}

/// How many are told at once.
const FEW: u32 = 10;

/// How long nothing more is said.
const QUIET: Duration = Duration::from_secs(60);
