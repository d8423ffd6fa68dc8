//! The row of traps: what 100,000 connections leave behind of which each tenth traps.
//!
//! The plugin `tests/guests/tenth` has a sandbox for each connection. There are few sandboxes, so
//! that one that isn't given back would soon be missing, and the load looks at each connection:
//! whether it is answered, or fails, as it should.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use torsade_tests::holdings::Holdings;

use crate::arguments::Arguments;
use crate::child::Load as Process;
use crate::load::GO;
use crate::peers::Peer;
use crate::roles::LOAD_TENTH;
use crate::rows::{Kind, Row};
use crate::runs::{self, Pair, Sample};
use crate::workplace::Workplace;

/// The service's limits.
pub(crate) const LIMITS: &str = "instances = 100";

/// How many connections there are before anything is counted.
const WARM_UP: usize = 10_000;
/// How many are counted.
const COUNTED: usize = 100_000;
/// How long the host may tidy up before it is looked at.
const SETTLE: Duration = Duration::from_secs(1);
/// How many mappings there may be more in the end: allocators come and go with some.
const MAPPINGS: usize = 20;

/// Measures the row, once.
pub(crate) fn measure(row: &Row, place: &Workplace, arguments: &Arguments) -> Result<Vec<Pair>> {
    let ours = growth(row.ours, place, !arguments.noise)?;
    let theirs = growth(row.theirs, place, false)?;
    let pair = [ours, theirs].map(|value| Sample { value, cost: None });
    runs::tell(row, arguments.runs(), arguments, &pair);
    Ok(vec![pair])
}

/// The growth of the host's memory over all that are counted. Anything else may not grow.
fn growth(kind: Kind, place: &Workplace, traps: bool) -> Result<f64> {
    let peer = Peer::start(kind, place)?;
    let counts = [usize::from(peer.port), WARM_UP, COUNTED].map(|count| count.to_string());
    let words = [&counts[..], &[traps.to_string()]].concat();
    let mut load = Process::start(place.load_core, LOAD_TENTH, &words)?;
    let mut look = || -> Result<Holdings> {
        ensure!(load.line()? == GO, "the load did not begin");
        sleep(SETTLE);
        let holdings = peer.server.holdings()?;
        load.go_on()?;
        Ok(holdings)
    };
    let (before, after) = (look()?, look()?);
    let failed: usize = load.line()?.parse()?;
    eprintln!(
        "bench: of {COUNTED} connections {failed} have failed; descriptors {} before, {} after; \
         mappings {}, {}; threads {}, {}; private memory {}, {} B",
        before.descriptors,
        after.descriptors,
        before.mappings,
        after.mappings,
        before.threads,
        after.threads,
        before.resident,
        after.resident
    );
    let wanted = if traps { COUNTED / 10 } else { 0 };
    ensure!(failed == wanted, "{failed} have failed, and {wanted} should have");
    let (descriptors, threads) = (after.descriptors, after.threads);
    ensure!(descriptors <= before.descriptors, "{descriptors} descriptors are left");
    ensure!(threads <= before.threads, "there are {threads} threads");
    ensure!(after.mappings <= before.mappings + MAPPINGS, "{} mappings are left", after.mappings);
    Ok(after.resident as f64 - before.resident as f64)
}
