//! IRC in simulations: crowds of clients, of the server alone and of the plugin as it is served, and
//! the dialogues with the plugin.
//!
//! `TORSADE_SEEDS=5000` asks for more than usual.

mod component;
mod crowd;
mod member;
mod scram;
#[path = "../../../guests/irc/tests/dialogues/table.rs"]
mod table;
#[path = "../../../guests/irc/tests/dialogues/world.rs"]
mod world;

use anyhow::{Context, Result, anyhow, ensure};
use libtest_mimic::Trial;
use torsade_guest::testing::conversation::{Conversation, Cut, replay};
use torsade_tests::guests::repository;

use super::{choices, number, trial};
use component::Component;
use crowd::{Happened, Size, meet};
use table::Table;

pub(super) fn trials() -> Vec<Trial> {
    let seeds = number("TORSADE_SEEDS").unwrap_or(SEEDS);
    let named = |name: &str, test: fn() -> Result<()>| {
        Trial::test(format!("simulation::irc::{name}"), move || trial(test))
    };
    let mut trials = vec![
        named("a_crowd_of_the_plugin_knows_the_same", a_crowd_of_the_plugin),
        named("a_user_proves_to_know_a_password", scram::a_user_proves_to_know_a_password),
        named("everything_happens_in_a_crowd", everything_happens),
    ];
    for cut in [Cut::Never, Cut::EveryByte, Cut::Seeded(1)] {
        let name = format!("simulation::irc::dialogues_of_the_plugin_go_as_told::{cut:?}");
        trials.push(Trial::test(name, move || trial(|| dialogues(cut))));
    }
    for first in (0..seeds).step_by(SEEDS_A_TRIAL) {
        let last = seeds.min(first + SEEDS_A_TRIAL as u64) - 1;
        let name = format!("simulation::irc::crowds_{first}_to_{last}_know_the_same");
        let run = move || (first..=last).try_for_each(|seed| gather(seed).map(drop));
        trials.push(Trial::test(name, move || trial(run)));
    }
    trials
}

/// Has a crowd meet by a seed.
fn gather(seed: u64) -> Result<Happened> {
    let mut table = Table::new(CONFIG).map_err(|what| anyhow!(what))?;
    let met = meet(&mut table, seed, SIZE).map_err(|what| anyhow!(what));
    met.with_context(|| format!("the crowd of seed {seed}"))
}

/// A crowd in which nothing happens proves nothing.
fn everything_happens() -> Result<()> {
    let happened = gather(0)?;
    for (what, least) in EVERYTHING {
        let times = happened.get(what).copied().unwrap_or_default();
        ensure!(times >= least, "{what} {times} times only: {happened:?}");
    }
    Ok(())
}

/// A smaller crowd, and what it does in the sandbox and over the host's transports.
fn a_crowd_of_the_plugin() -> Result<()> {
    for seed in 0..3 {
        let mut component = Component::new(CONFIG)?;
        let met = meet(&mut component, seed, SMALL).map_err(|what| anyhow!(what));
        met.with_context(|| format!("the crowd of seed {seed}"))?;
        ensure!(component.stage.failed() == 0, "the plugin has failed, by seed {seed}");
    }
    Ok(())
}

/// The dialogues, but for those over what no simulated network has.
fn dialogues(cut: Cut) -> Result<()> {
    let all = Conversation::folder(&repository().join("tests/conversations/irc"))?;
    let here = all.iter().filter(|it| it.ways().all(|way| way.over != "unix"));
    let (mut played, mut faults) = (0, Vec::new());
    for dialogue in here {
        let mut component = Component::new(&dialogue.config)?;
        if let Err(fault) = replay(dialogue, &mut component, cut) {
            faults.push(fault.to_string());
        }
        ensure!(component.stage.failed() == 0, "{}: the plugin has failed", dialogue.file);
        played += 1;
    }
    ensure!(played > 50, "only {played} dialogues were played");
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

const SIZE: Size = Size { clients: 500, steps: 4_000, is_prompt: true };

const SMALL: Size = Size { clients: 40, steps: 1_000, is_prompt: false };

/// Limits that are reached.
const CONFIG: &str = r#"{"rate": 5, "burst": 20, "recvq": 8192, "sendq": 16384}"#;

/// What is to be seen of one crowd, and how often at least.
const EVERYTHING: [(&str, usize); 7] = [
    ("a flood", 20),
    ("a member in the end", 300),
    ("a message is heard", 1_000),
    ("one doesn't read and is dropped", 5),
    ("one is dropped for a flood", 5),
    ("one is sent away", 5),
    ("one stops reading", 20),
];

/// How many seeds are simulated.
const SEEDS: u64 = 20;

/// How many of them one trial takes, so that trials can run side by side.
const SEEDS_A_TRIAL: usize = 5;
