//! Every promise of the product that takes more than one crate to check, as one binary.
//!
//! A test that needs a program asks [`torsade_tests::programs`] for it, and is skipped with the
//! reason where it can't be had; with `CI=true` that is a failure.

mod fuzz;
#[path = "../interop/mod.rs"]
mod interop;
#[path = "../simulation/mod.rs"]
mod simulation;
mod tidy;

use std::num::NonZero;
use std::thread;

use libtest_mimic::Arguments;

fn main() {
    let mut arguments = Arguments::from_args();
    // Most of them wait more than they compute.
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    arguments.test_threads.get_or_insert(2 * cores);
    let mut trials = interop::trials();
    trials.extend(fuzz::trials());
    trials.extend(simulation::trials());
    trials.extend(tidy::trials());
    libtest_mimic::run(&arguments, trials).exit();
}
