//! A plugin that nobody knows, served by the reactor over a simulated network: what peers do follows
//! from an input, and the checkers of the simulation look on.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::Result;
use torsade::net::sim::SimNet;
use torsade::plugin::{Engines, Limits, Plugin};
use torsade::reactor::ServiceSettings;

use crate::simulation::choices::Choices;
use crate::simulation::site::{self, Kind, Settings};
use crate::simulation::world::World;

/// Loads a component as a plugin that may do all there is, if it is one. The message of what isn't
/// says something.
pub(crate) fn load(component: &[u8]) -> Option<Plugin> {
    match site::plugin(&ENGINES, component) {
        Ok(plugin) => Some(plugin),
        Err(error) => {
            assert!(!error.to_string().is_empty(), "nobody says what is wrong");
            None
        }
    }
}

/// Serves it to a few peers.
pub(crate) fn serve(plugin: Plugin, choices: Choices) {
    if plugin.serves_streams()
        && let Err(error) = play(plugin, choices)
    {
        panic!("{error:#}");
    }
}

fn play(plugin: Plugin, mut choices: Choices) -> Result<()> {
    let settings = Settings { deferreds: 16, most: 4, ..Settings::CALM };
    let service = ServiceSettings {
        plugin,
        limits: Arc::new(limits()),
        job_limits: Arc::new(limits()),
        ..site::service(Kind::Asker, true, &settings)
    };
    let seed = choices.below(256) as u64;
    let services = vec![(Kind::Stranger, service)];
    let mut world = World::serving(services, SimNet::new(seed), seed, &settings, false)?;
    for _ in 0..STEPS {
        step(&mut world, &mut choices)?;
        if choices.are_over() {
            break;
        }
    }
    world.stop()?;
    world.abandon()?;
    world.finish(|_| 0)
}

fn step(world: &mut World<SimNet>, choices: &mut Choices) -> Result<()> {
    let peers = world.peers.len();
    if peers == 0 || choices.below(8) == 0 && peers < PEERS {
        // It may refuse whom it likes.
        let peer = world.connect(0);
        world.peers[peer].may_refuse = true;
    } else {
        let peer = choices.below(peers);
        match choices.below(8) {
            0 => world.shut_down(peer),
            1 => world.leave(peer, choices.chance(50)),
            _ => {
                let length = 1 + choices.below(100);
                let data = choices.bytes(length, b"any bytes\n");
                world.send(peer, &data);
            }
        }
    }
    world.turn(Some(Duration::from_micros(choices.below(5000) as u64)))
}

fn limits() -> Limits {
    Limits {
        memory: 1 << 20,
        deferreds: 16,
        handles: 100,
        outbox: 64 * 1024,
        effects: 100,
        ..site::limits()
    }
}

static ENGINES: LazyLock<Engines> =
    LazyLock::new(|| site::engines(20, 100_000, None).expect("engines can be made"));

/// More is not done in a run.
const STEPS: usize = 40;

/// Connections in a run.
const PEERS: usize = 6;
