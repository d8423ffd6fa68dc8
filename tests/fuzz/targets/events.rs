//! Any order of events, with the repository's own plugins behind them: the reactor that serves, over
//! a simulated network and pool, under the checkers of the simulation.
//!
//! An input is the script's choices (`tests/simulation/choices.rs`), behind a byte for the seed.

#![no_main]

#[path = "../../simulation/mod.rs"]
#[expect(dead_code, reason = "the tests of the simulation are there, too")]
mod simulation;

use libfuzzer_sys::fuzz_target;
use simulation::choices::Choices;
use simulation::script::play_by;
use torsade::net::sim::SimNet;

fuzz_target!(|choices: &[u8]| {
    let mut choices = Choices::written(choices);
    let seed = choices.below(256) as u64;
    if let Err(error) = play_by(choices, SimNet::new(seed), seed, false) {
        panic!("{error:#}");
    }
});
