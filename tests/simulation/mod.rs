//! The host with real plugins in a simulated world: hundreds of seeds of cuts, delays, resets,
//! refusals, traps and slow peers, under checkers that hold its promises.
//!
//! `TORSADE_SEED=17 cargo test -p torsade-tests --test it simulation` replays one seed, and tells
//! what happens in it. `TORSADE_SEEDS=5000` asks for more than usual.

mod asking;
mod broken;
mod checker;
pub(crate) mod choices;
mod datagrams;
mod faults;
mod host;
mod http;
mod irc;
mod logins;
mod outgoing;
mod peer;
mod policies;
pub(crate) mod script;
mod shares;
pub(crate) mod site;
mod story;
mod succeed;
pub(crate) mod world;

use std::any::Any;
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Context, Result, anyhow, ensure};
use libtest_mimic::{Failed, Trial};
use torsade::net::sim::SimNet;
use torsade_tests::guests;

use broken::{Breach, Broken};
use choices::Choices;
use world::Played;

/// The trials of the simulation.
pub(crate) fn trials() -> Vec<Trial> {
    if let Some(seed) = number("TORSADE_SEED") {
        let replay = move || trial(|| tell(seed));
        return vec![Trial::test(format!("simulation::seed_{seed}"), replay)];
    }
    let seeds = number("TORSADE_SEEDS").unwrap_or(SEEDS);
    let mut trials = vec![
        Trial::test("simulation::every_call_fails_once", || trial(faults::every_call)),
        Trial::test("simulation::every_work_is_refused_once", || trial(faults::every_work)),
    ];
    trials.push(Trial::test("simulation::a_flood_arrives", || trial(script::flood)));
    trials.push(Trial::test("simulation::a_timer_that_is_due_is_moved", || trial(script::moved)));
    trials.push(Trial::test("simulation::a_crowd_costs_one_timer", || trial(script::crowd)));
    trials.push(Trial::test("simulation::a_crowd_is_cancelled", || trial(script::cancelled)));
    trials.push(Trial::test("simulation::written_scripts_are_played", || trial(written)));
    trials.extend(datagrams::trials());
    trials.extend(irc::trials());
    trials.extend(logins::trials());
    trials.extend(policies::trials());
    trials.extend(succeed::trials());
    trials.extend(shares::trials());
    let happens = || trial(everything_happens);
    trials.push(Trial::test("simulation::everything_happens", happens));
    for breach in [Breach::Connected, Breach::LastWrite, Breach::Linger] {
        let name = format!("simulation::a_breach_is_noticed::{breach:?}");
        trials.push(Trial::test(name, move || trial(|| is_noticed(breach))));
    }
    for first in (0..seeds).step_by(SEEDS_A_TRIAL) {
        let last = seeds.min(first + SEEDS_A_TRIAL as u64) - 1;
        let name = format!("simulation::seeds_{first}_to_{last}");
        trials
            .push(Trial::test(name, move || trial(|| (first..=last).try_for_each(simulate_twice))));
    }
    trials
}

/// Simulates a seed, and tells what happens.
fn tell(seed: u64) -> Result<()> {
    let played = simulate(seed, true)?;
    eprintln!("trace {:016x}", played.trace);
    Ok(())
}

/// Simulates a seed twice: what happens must follow from the seed alone.
fn simulate_twice(seed: u64) -> Result<()> {
    let (one, two) = (simulate(seed, false)?, simulate(seed, false)?);
    ensure!(
        one.trace == two.trace,
        "seed {seed} does not give the same run twice\n{}",
        replay(seed)
    );
    Ok(())
}

/// Plays the scripts that fuzzing begins with, and those that it has found.
fn written() -> Result<()> {
    for entry in fs::read_dir(guests::repository().join("tests/fuzz/corpus/events"))? {
        let file = entry?.path();
        let mut choices = Choices::written(&fs::read(&file)?);
        let seed = choices.below(256) as u64;
        let played = script::play_by(choices, SimNet::new(seed), seed, false);
        played.with_context(|| file.display().to_string())?;
    }
    Ok(())
}

/// A simulation in which nothing happens proves nothing.
fn everything_happens() -> Result<()> {
    let mut happened = BTreeSet::new();
    for seed in 0..BREACHES {
        happened.extend(simulate(seed, false)?.happened);
    }
    let missing: Vec<_> = EVERYTHING.iter().filter(|what| !happened.contains(**what)).collect();
    ensure!(missing.is_empty(), "{BREACHES} simulations never have {missing:?}");
    Ok(())
}

fn simulate(seed: u64, tells: bool) -> Result<Played> {
    let played = catch_unwind(AssertUnwindSafe(|| script::play(SimNet::new(seed), seed, tells)));
    let played = played.unwrap_or_else(|panic| Err(anyhow!("it panicked: {}", message(&*panic))));
    played.with_context(|| format!("seed {seed} fails\n{}", replay(seed)))
}

/// The checkers must complain of a host that breaks its promises.
fn is_noticed(breach: Breach) -> Result<()> {
    let notices = |seed| match script::play(Broken::new(SimNet::new(seed), breach), seed, false) {
        Ok(_) => false,
        Err(e) => format!("{e:#}").contains(breach.complaint()),
    };
    let noticed = (0..BREACHES).filter(|seed| notices(*seed)).count();
    ensure!(noticed > 0, "{BREACHES} simulations with {breach:?} broken went well");
    Ok(())
}

fn replay(seed: u64) -> String {
    format!("replay: TORSADE_SEED={seed} cargo test -p torsade-tests --test it simulation")
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or(panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("with no message")
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

fn trial(test: impl FnOnce() -> Result<()>) -> Result<(), Failed> {
    test().map_err(|e| Failed::from(format!("{e:#}")))
}

/// How many seeds are simulated.
const SEEDS: u64 = 200;

/// How many of them one trial takes, so that trials can run side by side.
const SEEDS_A_TRIAL: usize = 20;

/// In how many seeds a breach must show.
const BREACHES: u64 = 80;

/// What is to be seen in that many seeds.
const EVERYTHING: [&str; 38] = [
    "Aborted",
    "Asked",
    "Built",
    "Cancelled",
    "ConnectionLost aborted",
    "ConnectionLost done",
    "ConnectionLost lost",
    "ConnectionLost stopped",
    "ConnectionLost timed-out",
    "DataReceived",
    "Dialled",
    "Dials",
    "Fired",
    "Fired cancelled",
    "Fired conflict",
    "Fired denied",
    "Fired in-use",
    "Fired invalid",
    "Fired io",
    "Fired limit",
    "Fired not-found",
    "Fired refused",
    "Fired timed-out",
    "Fired trapped",
    "Fired unreachable",
    "Forgotten",
    "Held",
    "Listening",
    "Lost",
    "LostWrite",
    "Paused",
    "ReadConnectionLost",
    "Refused",
    "Released",
    "SentFile",
    "StoppedListening",
    "Trapped",
    "WriteDrained",
];
