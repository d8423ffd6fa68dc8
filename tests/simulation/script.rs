//! What happens in a simulation, as its seed says.

use std::time::Duration;

use anyhow::{Result, ensure};
use torsade::net::sim::{Conditions, SimNet};

use super::choices::Choices;
use super::site::{SERVICES, Settings};
use super::world::{Played, Simulated, World};

/// Simulates what the seed says over `net`, and returns what happened.
pub(crate) fn play<N: Simulated>(net: N, seed: u64, tells: bool) -> Result<Played> {
    play_by(Choices::new(seed), net, seed, tells)
}

/// Simulates what these choices say. The seed is for the network's and the pool's own.
pub(crate) fn play_by<N: Simulated>(
    mut choices: Choices,
    mut net: N,
    seed: u64,
    tells: bool,
) -> Result<Played> {
    *net.sim().conditions() = conditions(&mut choices);
    let settings = settings(&mut choices, seed);
    if tells {
        eprintln!("{:?}\n{settings:?}", net.sim().conditions());
    }
    let world = World::new(net, seed, &settings, tells)?;
    let mut script = Script { world, choices, stopping: false };
    script.run()?;
    script.world.finish(|_| 0)?;
    Ok(script.world.played())
}

/// More is sent at once than a turn reads, over a network that hinders nothing.
pub(crate) fn flood() -> Result<()> {
    let net = unhindered();
    let mut world = World::new(net, 0, &Settings::CALM, false)?;
    // The unruly plugins: an echo would slow its peer down.
    for service in 4..6 {
        let peer = world.connect(service);
        world.pass(Duration::from_millis(1))?;
        world.send(peer, &vec![b'q'; 3 << 20]);
    }
    world.rest()?;
    world.finish(|_| 0)
}

/// Peers that come while a service has as many connections as it may cost no timer each.
pub(crate) fn crowd() -> Result<()> {
    let settings = Settings { connections: 1, ..Settings::CALM };
    let mut world = World::new(unhindered(), 0, &settings, false)?;
    for _ in 0..20 {
        world.connect(5);
        world.pass(Duration::from_millis(1))?;
    }
    let timers = world.reactor.counts().timers;
    ensure!(timers == 1, "one listener waits, and there are {timers} timers");
    world.finish(|_| 0)
}

/// A timer is moved by what is reported in the very turn in which it is due.
pub(crate) fn moved() -> Result<()> {
    let mut world = World::new(unhindered(), 0, &Settings::CALM, false)?;
    for service in 6..8 {
        let peer = world.connect(service);
        // The asker says `!` where a call comes before the time to which it was moved.
        world.send(peer, b"Ok 5\nMk 5\n");
    }
    world.rest()?;
    ensure!(world.peers.iter().all(|peer| peer.got == b"+"), "a call did not come once");
    world.finish(|_| 0)
}

/// What one event cancels is reported in shares, so that a crowd of it keeps nobody waiting.
pub(crate) fn cancelled() -> Result<()> {
    let settings = Settings { deferreds: 1200, ..Settings::CALM };
    let mut world = World::new(unhindered(), 0, &settings, false)?;
    let peer = world.connect(6);
    for _ in 0..12 {
        world.send(peer, "Tk 3600000\n".repeat(100).as_bytes());
        world.pass(Duration::from_millis(1))?;
    }
    world.pass(Duration::from_millis(100))?;
    ensure!(world.reactor.counts().deferreds == 1200, "{:?}", world.reactor.counts());
    world.send(peer, b"Kk all\n");
    for _ in 0..10 {
        if world.reactor.counts().deferreds == 1200 {
            world.turn(None)?;
        }
    }
    ensure!(world.reactor.counts().deferreds == 1200 - 1024, "{:?}", world.reactor.counts());
    world.finish(|_| 0)
}

/// A network that hinders nothing.
fn unhindered() -> SimNet {
    let mut net = SimNet::new(0);
    let window = 8 << 20;
    *net.conditions() =
        Conditions { cut: 0, spurious: 0, delay: Duration::ZERO, window, ..Conditions::default() };
    net
}

fn conditions(choices: &mut Choices) -> Conditions {
    Conditions {
        cut: choices.of(&[0, 96, 200]),
        delay: Duration::from_millis(choices.of(&[0, 1, 20, 20])),
        spurious: choices.of(&[0, 16, 64]),
        refusals: choices.of(&[0, 0, 24]),
        window: choices.of(&[1024, 16 * 1024, 64 * 1024]),
        ..Conditions::default()
    }
}

/// The rate has choices of its own: with one, a run takes longer, and is the same else.
fn settings(choices: &mut Choices, seed: u64) -> Settings {
    let rate = Choices::new(!seed).of(&[0, 0, 0, 0, 20_000, 1_000_000]);
    Settings {
        deferreds: Settings::CALM.deferreds,
        connections: choices.of(&[3, 100, 100]),
        cached_files: choices.of(&[0, 2, 100]),
        warm_up: choices.of(&[0, 0, 5]),
        refuses: choices.of(&[0, 0, 4]),
        stumbles: choices.of(&[0, 0, 4]),
        most: choices.of(&[1, 2, 100]),
        rate,
    }
}

struct Script<N: Simulated> {
    world: World<N>,
    choices: Choices,
    stopping: bool,
}

impl<N: Simulated> Script<N> {
    fn run(&mut self) -> Result<()> {
        let steps = 20 + self.choices.below(60);
        let stops_at = self.choices.chance(25).then(|| self.choices.below(steps));
        for step in 0..steps {
            if stops_at == Some(step) {
                self.stopping = true;
                self.world.stop()?;
            }
            if self.choices.are_over() {
                break;
            }
            self.step()?;
            for _ in 0..self.choices.below(4) {
                let most = Duration::from_micros(self.choices.below(5000) as u64);
                self.world.turn(Some(most))?;
            }
        }
        if self.stopping && self.choices.chance(50) {
            return self.world.abandon();
        }
        if self.choices.chance(50) { self.world.rest() } else { Ok(()) }
    }

    fn step(&mut self) -> Result<()> {
        let peers = self.world.peers.len();
        let what = self.choices.below(100);
        if peers == 0 || what < 18 && peers < MOST_PEERS {
            let (service, listener) =
                (self.choices.below(SERVICES.len() + 3), self.choices.below(MOST_PEERS));
            if service < SERVICES.len() {
                self.world.connect(service);
            } else {
                self.world.arrive(listener);
            }
            return Ok(());
        }
        let peer = self.choices.below(peers);
        let is_stuck = self.world.peers[peer].is_stuck;
        match what {
            0..70 => {
                let commands = if self.choices.chance(15) { VIOLENT } else { TAME };
                self.world.say(peer, &mut self.choices, commands);
            }
            70..78 => self.world.set_reading(peer, false),
            78..86 if !is_stuck => self.world.set_reading(peer, true),
            86..92 => self.world.shut_down(peer),
            92..94 => self.world.leave(peer, false),
            94..97 => self.world.leave(peer, true),
            97 => {
                self.world.peers[peer].is_stuck = true;
                self.world.set_reading(peer, false);
            }
            98 if self.choices.chance(30) => return self.world.rest(),
            _ => {}
        }
        Ok(())
    }
}

/// What the unruly plugin is told mostly, which leaves the connection open.
pub(crate) const TAME: &[u8] = b"bcdehhiLnNooOOppwwWzuvxyy";

/// What it is told sometimes: to end the connection, or to fail.
const VIOLENT: &[u8] = b"aklmsfXtxxyyhhpphhww";

/// Peers in one simulation.
const MOST_PEERS: usize = 20;
