//! Measuring one of them: without the attack and with it, in turns, beside one server.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Hostile, table};
use crate::arguments::Arguments;
use crate::child::Load as Process;
use crate::load::GO;
use crate::peers::{self, Peer};
use crate::roles::{ATTACK, BURN};
use crate::rows::SMALL;
use crate::workplace::Workplace;
use crate::wrk::{self, Asking, Seen};

/// The load of the victim.
const ASKING: Asking<'static> = Asking { scheme: "http", file: &SMALL, connections: 64 };
/// How long the victim is loaded before memory is read first, in seconds: then it has what it needs
/// at its work.
const WARM_UP: u64 = 1;
/// How long an attack goes on before anything is measured: sandboxes have died and been made anew by
/// then, and shares of CPU time have set in.
const BEFORE: Duration = Duration::from_secs(2);
/// How long the host may take to give back what the attack has cost, from the last time that it gave
/// some back: longer than those linger who are let go.
const SETTLE: Duration = Duration::from_secs(3);
/// How long the host may have to do what had to wait for the victim.
const BACKLOG: Duration = Duration::from_secs(1);
/// How many times as many runs there are where the first ones miss the victim's rate, as a machine
/// whose speed changes within seconds puts that on one side of a run; or the memory, as one attack
/// has more sandboxes at once than another, and what they have touched is kept.
const PATIENT_RUNS: usize = 3;
/// How often memory is read meanwhile.
const LOOK: Duration = Duration::from_millis(100);
/// The host never needs longer, however slowly it gives back.
const PATIENCE: Duration = Duration::from_secs(20);

/// The victim under its load.
#[derive(Clone, Copy)]
pub(super) struct Victim {
    /// What wrk saw.
    pub(super) seen: Seen,
    /// The CPU time that the host took meanwhile, for all of its services, in seconds.
    pub(super) cpu: f64,
}

/// One run of both sides.
#[derive(Clone, Copy)]
pub(super) struct Pair {
    /// What wrk saw of the victim with the attack.
    pub(super) with: Victim,
    /// And without.
    pub(super) without: Victim,
    /// How often harm was done in a second.
    pub(super) harm: f64,
    /// How much more memory the host had once the attack was over, in bytes.
    pub(super) growth: f64,
}

/// Measures one, and tells on standard error how it goes. All runs are of one server, each of a part
/// without the attack and one with it: two servers differ by more than what is looked for.
pub(super) fn measure(
    hostile: &Hostile,
    place: &Workplace,
    arguments: &Arguments,
) -> Result<Vec<Pair>> {
    hostile.is_possible()?;
    let name = hostile.name();
    let (peer, port, _burning) = begin(*hostile, place)?;
    look(place, &peer, WARM_UP)?;
    let mut memory = settled(&peer, 0.0)?;
    let few = arguments.hostile_runs();
    let many = if arguments.noise { few } else { few * PATIENT_RUNS };
    let mut pairs = Vec::with_capacity(many);
    for run in 1..=many {
        if run == few + 1 && table::keeps_rate(&pairs) && table::keeps_memory(&pairs, few) {
            break;
        }
        let measure = || look(place, &peer, arguments.seconds);
        let pair = || -> Result<Pair> {
            let without = measure()?;
            let (with, harm) = match arguments.noise {
                true => (measure(), f64::NAN),
                false => attack(*hostile, port, place, || {
                    sleep(BEFORE);
                    measure()
                })?,
            };
            let growth = settled(&peer, memory)? - memory;
            Ok(Pair { with: with?, without, harm, growth })
        };
        let pair = pair().with_context(|| format!("{name}, run {run}"))?;
        memory += pair.growth;
        let [with, without] = [pair.with, pair.without].map(|victim| victim.seen.report.rate());
        eprintln!("bench: {name} {run}: {with:.0}/s, {without:.0}/s without");
        pairs.push(pair);
    }
    Ok(pairs)
}

/// A role of this program on the load's core, for when nobody else has work there (`SCHED_IDLE`):
/// what wrk wants of the core, it gets at once.
fn start_idle(place: &Workplace, role: &str, words: &[String]) -> Result<Process> {
    let own = std::env::current_exe()?;
    let own = own.to_str().context("the path of this program is no text")?;
    let chrt = ["--idle", "0", own, role].map(str::to_owned);
    Process::start_program(place.load_core, &place.chrt, &[&chrt, words].concat())
}

/// The server, the port of the service that is hostile or attacked, and what burns the rest of the
/// load's core.
fn begin(hostile: Hostile, place: &Workplace) -> Result<(Peer, u16, Process)> {
    let port = peers::free_port()?;
    let peer = Peer::start_beside(&hostile.service(place.path(), port)?, place)?;
    let mut burning = start_idle(place, BURN, &["1".to_owned(), "0".to_owned()])?;
    ensure!(burning.line()? == GO, "nothing burns");
    Ok((peer, port, burning))
}

/// Loads the victim.
fn look(place: &Workplace, peer: &Peer, seconds: u64) -> Result<Victim> {
    let before = peer.server.cpu_seconds()?;
    let seen = wrk::look(place, peer.port, &ASKING, seconds)?;
    Ok(Victim { seen, cpu: peer.server.cpu_seconds()? - before })
}

/// Attacks while something is done, and says what came of that, and how often harm was done in a
/// second.
fn attack<T>(
    hostile: Hostile,
    port: u16,
    place: &Workplace,
    meanwhile: impl FnOnce() -> T,
) -> Result<(T, f64)> {
    let words = [hostile.name(), port.to_string()];
    let mut attack = start_idle(place, ATTACK, &words)?;
    ensure!(attack.line()? == GO, "the attack did not begin");
    let begun = Instant::now();
    let done = meanwhile();
    attack.go_on()?;
    let harm: u64 = attack.line()?.parse()?;
    Ok((done, harm as f64 / begun.elapsed().as_secs_f64()))
}

/// The host's memory once it gives no more back, or has no more than `wanted`.
fn settled(peer: &Peer, wanted: f64) -> Result<f64> {
    sleep(BACKLOG);
    let (begun, mut last) = (Instant::now(), Instant::now());
    let mut least = f64::INFINITY;
    while least > wanted && last.elapsed() < SETTLE && begun.elapsed() < PATIENCE {
        let now = peer.server.resident_bytes()?;
        if now < least {
            (least, last) = (now, Instant::now());
        }
        sleep(LOOK);
    }
    Ok(least)
}
