//! A reader that is slower than its sender: the host makes the sender wait, and keeps no more
//! than its water marks say.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::host::POLL;
use torsade_tests::slow;

use super::super::streams::resident;
use super::super::trial;
use super::{INSTANCES, Target, hops};

pub(super) fn trials() -> Vec<Trial> {
    vec![trial("portforward::a_slow_reader_costs_no_memory", a_slow_reader_costs_no_memory)]
}

/// How many bytes go through two hops.
const LENGTH: u64 = 256 << 20;

/// What the host may hold more while they do, over both hops.
const GROWTH: usize = 8 << 20;

fn a_slow_reader_costs_no_memory() -> Result<()> {
    let target = Target::new()?;
    for instances in INSTANCES {
        let (_folder, host) = hops(&target.endpoint()?, instances, "")?;
        // There and back, what a host does once is done.
        slow::transfer(host.connect("two")?, target.accept()?, 1 << 20)?;
        let before = resident(host.id())?;
        let (client, far) = (host.connect("two")?, target.accept()?);
        let (is_over, most) = (AtomicBool::new(false), AtomicUsize::new(before));
        let id = host.id();
        thread::scope(|scope| -> Result<()> {
            let watcher = scope.spawn(|| -> Result<()> {
                while !is_over.load(Ordering::Relaxed) {
                    most.fetch_max(resident(id)?, Ordering::Relaxed);
                    thread::sleep(POLL);
                }
                Ok(())
            });
            let exchanged = slow::transfer(client, far, LENGTH);
            is_over.store(true, Ordering::Relaxed);
            watcher.join().expect("looking doesn't panic")?;
            exchanged
        })?;
        let more = most.into_inner().saturating_sub(before);
        ensure!(more < GROWTH, "{instances}: the host took {more} bytes more than {before}");
    }
    Ok(())
}
