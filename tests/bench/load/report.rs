//! What a load has to say, as one line between two processes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Result, anyhow};

/// What a load saw while it measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Report {
    /// Operations completed.
    pub(crate) operations: u64,
    /// The time they took together.
    pub(crate) seconds: f64,
    /// The median latency of an operation, in microseconds.
    pub(crate) p50_us: f64,
    /// The latency that 99 of 100 operations stayed below, in microseconds.
    pub(crate) p99_us: f64,
}

impl Report {
    /// Sums up latencies in nanoseconds, which it sorts.
    pub(crate) fn new(latencies: &mut [u32], took: Duration) -> Self {
        latencies.sort_unstable();
        let at = |percent: usize| {
            let place = latencies.len() * percent / 100;
            latencies.get(place).map_or(f64::NAN, |&nanoseconds| f64::from(nanoseconds) / 1000.0)
        };
        Self {
            operations: latencies.len() as u64,
            seconds: took.as_secs_f64(),
            p50_us: at(50),
            p99_us: at(99),
        }
    }

    /// Operations a second.
    pub(crate) fn rate(&self) -> f64 {
        self.operations as f64 / self.seconds
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} {} {}", self.operations, self.seconds, self.p50_us, self.p99_us)
    }
}

impl FromStr for Report {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self> {
        let mut words = line.split(' ');
        let mut next = || words.next().ok_or_else(|| anyhow!("short report: {line:?}"));
        Ok(Self {
            operations: next()?.parse()?,
            seconds: next()?.parse()?,
            p50_us: next()?.parse()?,
            p99_us: next()?.parse()?,
        })
    }
}
