//! The hostile table: what each hostile plugin and each hostile peer does to a service that it has
//! nothing to do with, on the same worker.
//!
//! The victim serves a file over HTTP and is loaded by wrk. Beside it is the service that is hostile
//! itself, or attacked, held to a share of the CPU time. For a while it is left alone, then it is
//! attacked, or provoked, all the time, and so on in turns. Who attacks has the load's core when
//! nobody else wants it (`SCHED_IDLE`); all the time a process of that kind burns what is left of
//! that core, so that wrk finds it as busy with the attack as without.

pub(crate) mod attack;
mod runs;
mod table;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use torsade_tests::hostile::Hostile as Plugin;
use torsade_tests::peers::{self, Peer};
use torsade_tests::{guests, hostile};

use crate::arguments::Arguments;
use crate::machine;
use crate::workplace::Workplace;
use table::Table;

/// What the names of all begin with.
const WORD: &str = "hostile";
/// The share of the service that is hostile, or attacked: what it takes the victim loses, and some
/// more by what the two do to each other's caches.
const SHARE: &str = "cpu = \"2%\"";
/// How often a plugin is provoked in a second, at most.
const PROVOKED: u32 = 1_000;

/// Who is hostile.
#[derive(Clone, Copy)]
pub(crate) enum Hostile {
    /// A peer, to a service that means no harm.
    Peer(&'static Peer),
    /// A plugin, to the host that serves it.
    Plugin(&'static Plugin),
}

/// Those whose names contain one of the words, of words that begin with `hostile`.
pub(crate) fn chosen(words: &[String]) -> Vec<Hostile> {
    let wanted = |name: &str| {
        words.iter().any(|word| word.starts_with(WORD) && name.contains(word.as_str()))
    };
    all().filter(|hostile| wanted(&hostile.name())).collect()
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = Hostile> {
    hostile::all().iter().map(Hostile::Plugin).chain(peers::all().iter().map(Hostile::Peer))
}

/// Measures them and gives the table, and whether all of it is as it should be.
pub(crate) fn measure(
    all: &[Hostile],
    place: &Workplace,
    arguments: &Arguments,
) -> Result<(String, bool)> {
    let mut table = Table::new(&machine::describe(place), arguments);
    for hostile in all {
        table.add(hostile, runs::measure(hostile, place, arguments));
    }
    Ok((table.to_string(), table.passed()))
}

impl Hostile {
    /// What picks it on the command line.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Peer(peer) => format!("{WORD}-peer-{}", peer.name),
            Self::Plugin(plugin) => format!("{WORD}-plugin-{}", plugin.name),
        }
    }

    /// What it does.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Peer(peer) => peer.what,
            Self::Plugin(plugin) => plugin.what,
        }
    }

    /// Whether this user can have it do that.
    fn is_possible(self) -> Result<()> {
        match self {
            Self::Peer(peer) => peer.is_possible(),
            Self::Plugin(_) => Ok(()),
        }
    }

    /// The table of its service, on a port of 127.0.0.1.
    fn service(self, folder: &Path, port: u16) -> Result<String> {
        match self {
            Self::Peer(peer) => {
                let plugin = |guest: &str| -> Result<String> {
                    let folder = guests::repository().join(guest);
                    folder.to_str().map(str::to_owned).context("the repository's path is no text")
                };
                peer.service(folder, port, plugin, SHARE)
            }
            Self::Plugin(plugin) => {
                let listen = format!("tcp:{port}:interface=127.0.0.1");
                let table = plugin.service(folder, &listen, "per-connection")?;
                Ok(format!("\n{}", with_share(&table)))
            }
        }
    }

    /// Does harm until `stop`, and says how often.
    fn attack(self, address: SocketAddr, stop: &AtomicBool) -> Result<u64> {
        match self {
            Self::Peer(peer) => peer.attack(address, stop),
            Self::Plugin(plugin) => Ok(provoke(plugin, address, stop)),
        }
    }
}

/// A service's table with the share of the CPU time that it is held to here.
fn with_share(table: &str) -> String {
    let begin = "limits = { ";
    // Some have all of it where only what becomes of them is looked at.
    let table = table.replace("cpu = \"100%\"", SHARE);
    match (table.contains(SHARE), table.contains(begin)) {
        (true, _) => table,
        (false, true) => table.replacen(begin, &format!("{begin}{SHARE}, "), 1),
        (false, false) => format!("{table}{begin}{SHARE} }}\n"),
    }
}

/// Provokes a plugin until `stop`. Where it can't be reached, because its host keeps it from harm,
/// no harm is done.
fn provoke(plugin: &Plugin, address: SocketAddr, stop: &AtomicBool) -> u64 {
    let mut times = 0;
    while !stop.load(Ordering::Relaxed) {
        let next = Instant::now() + Duration::from_secs(1) / PROVOKED;
        times += u64::from(plugin.provoke_once(address, stop).is_ok());
        sleep(next.saturating_duration_since(Instant::now()));
    }
    times
}
