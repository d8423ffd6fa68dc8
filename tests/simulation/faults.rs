//! Each call of the network and each piece of the pool's work fails once.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use torsade::net::Address;
use torsade::net::faulty::Faulty;
use torsade::net::sim::{Behind, Conditions, SimNet};

use super::choices::Choices;
use super::script::TAME;
use super::site::Settings;
use super::world::{Simulated, World};

/// Lets the first call of the network fail, then the second, until there are no more.
pub(crate) fn every_call() -> Result<()> {
    let mut failed = HashSet::new();
    for n in 1.. {
        let mut net = Faulty::new(SimNet::new(SEED));
        net.fail_at(n);
        let mut world = world(net)?;
        let played = converse(&mut world, may_be_wronged);
        let what = world.reactor.net().what_failed();
        played.with_context(|| format!("call {n} failed, {what:?}"))?;
        let Some(what) = what else { break };
        failed.insert(what);
    }
    for call in CALLS {
        ensure!(failed.contains(call), "{call} never failed");
    }
    Ok(())
}

/// Refuses the first piece of work, then the second, until there are no more.
pub(crate) fn every_work() -> Result<()> {
    for n in 1.. {
        let mut world = world(SimNet::new(SEED))?;
        world.reactor.pool().fail_at(n);
        converse(&mut world, |_| 0).with_context(|| format!("work {n} was refused"))?;
        if world.reactor.pool().calls() < n {
            ensure!(n > 2, "the pool had no work");
            return Ok(());
        }
    }
    Ok(())
}

/// What fails on a connection may cost that one. All others get all of their bytes.
fn may_be_wronged(net: &mut Faulty<SimNet>) -> usize {
    match net.what_failed() {
        None | Some("accept" | "connect" | "connected" | "listen" | "listener_address") => 0,
        Some("poll" | "set_keep_alive" | "set_no_delay" | "watch_listener") => 0,
        Some(_) => 1,
    }
}

fn world<N: Simulated>(mut net: N) -> Result<World<N>> {
    *net.sim().conditions() = Conditions { cut: 8, spurious: 8, ..Conditions::default() };
    World::new(net, SEED, &Settings::CALM, false)
}

/// A conversation in which all would be served, but for faults: at most as many peers as
/// `most_wronged` says may suffer.
fn converse<N: Simulated>(
    world: &mut World<N>,
    most_wronged: impl FnOnce(&mut N) -> usize,
) -> Result<()> {
    let mut choices = Choices::new(SEED);
    for service in [0, 1, 2, 3, 4, 4, 5] {
        let peer = world.connect(service);
        world.peers[peer].may_fail = true;
        world.turn(None)?;
        world.say(peer, &mut choices, TAME);
    }
    world.turn(None)?;
    for peer in 0..world.peers.len() {
        world.say(peer, &mut choices, TAME);
        world.turn(None)?;
    }
    for (service, ports) in [(6, ["80", "81"]), (7, ["82", "83"])] {
        let peer = world.connect(service);
        for (port, ip, behind) in STANDS {
            let port = ports[port].parse().context("a port")?;
            let at = SocketAddr::from(([192, 0, 2, ip], port));
            world.reactor.net().sim().stand(Address::Tcp(at), behind);
        }
        let questions = QUESTIONS.replace("ONE", ports[0]).replace("TWO", ports[1]);
        world.send(peer, questions.as_bytes());
    }
    world.pass(SOME_TIME)?;
    world.arrive(0);
    world.pass(SOME_TIME)?;
    world.send(world.peers.len() - 1, b"Wk w\n");
    // One of them goes away with a reset, so that there is an error to take.
    let rude = world.connect(1);
    world.pass(SOME_TIME)?;
    world.leave(rude, true);
    let closes = world.connect(4);
    world.send(closes, b"NwOkxl");
    world.pass(SOME_TIME)?;
    world.finish(most_wronged)
}

/// What the asker is told: to ask for everything that there is. Each far end has an address of its
/// own.
const QUESTIONS: &str = "Ck tcp:192.0.2.1:ONE\nCk tcp:192.0.2.2:ONE\nCk tcp:44-2.named.test:TWO\n\
    Cd tcp:192.0.2.3:ONE\nLk tcp:0\nLd tcp:0\nNk 46-1.test\nJk echo\nJk spin\nQk SELECT 1\n\
    Ek INSERT INTO t VALUES(1)\nBk SELECT 1\nGk a\nSk 1\nPk b\nDk b\nZk a\nTk 1\nMk 1\n";

/// What stands behind which of its ports and addresses.
const STANDS: [(usize, u8, Behind); 5] = [
    (0, 1, Behind::Open),
    (0, 2, Behind::Refuses),
    (0, 3, Behind::Open),
    (1, 2, Behind::Refuses),
    (1, 3, Behind::Open),
];

const SEED: u64 = 7;

/// How long it takes until a peer is connected.
const SOME_TIME: Duration = Duration::from_millis(200);

/// The calls of the network that a conversation has.
const CALLS: [&str; 16] = [
    "accept",
    "connect",
    "connected",
    "listen",
    "listener_address",
    "local_address",
    "poll",
    "read",
    "send_file",
    "set_keep_alive",
    "set_no_delay",
    "shutdown_write",
    "take_error",
    "watch",
    "watch_listener",
    "write",
];
