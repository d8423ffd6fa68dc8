//! Reloads while a thousand connections are open, and as many requests as the host answers come.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;
use torsade_tests::dial::allow_many;
use torsade_tests::host::Host;
use torsade_tests::http::{ask, ask_once};

use super::super::{folder, trial};
use super::{reload, timed, variant};

pub(super) fn trials() -> Vec<Trial> {
    vec![trial("reload::no_request_fails_under_load", no_request_fails_under_load)]
}

const CONNECTIONS: usize = 1000;
const CLIENTS: usize = 4;
const ROUNDS: usize = 50;
const BODY: &str = "what is served whatever happens";

/// What clients have counted, and when they are done.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    kept: AtomicUsize,
    fresh: AtomicUsize,
}

fn no_request_fails_under_load() -> Result<()> {
    allow_many()?;
    let folder = folder(&configuration(0))?;
    serve_something(&folder)?;
    let mut host = Host::up(folder.path(), 1)?;
    let mut streams = Vec::new();
    for _ in 0..CONNECTIONS {
        streams.push(host.connect("site")?);
    }
    let load = Load::default();
    let mut parts = Vec::new();
    while !streams.is_empty() {
        parts.push(streams.split_off(streams.len().saturating_sub(CONNECTIONS / CLIENTS)));
    }
    let mut took = Duration::ZERO;
    thread::scope(|scope| -> Result<()> {
        let clients: Vec<_> = parts
            .into_iter()
            .map(|part| scope.spawn(|| keeps_asking(part, &load)))
            .chain([scope.spawn(|| comes_anew(&host, &load))])
            .collect();
        let changed = (1..=2 * ROUNDS).try_for_each(|round| {
            took += timed(|| change(&host, &folder, round))?;
            ensure!(!clients.iter().any(ScopedJoinHandle::is_finished), "a client gave up");
            Ok(())
        });
        load.over.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().expect("a client doesn't panic")?;
        }
        changed
    })?;
    let (kept, fresh) = (load.kept.into_inner(), load.fresh.into_inner());
    ensure!(kept >= CONNECTIONS && fresh >= ROUNDS, "{kept} and {fresh} requests are no load");
    eprintln!(
        "{kept} requests on {CONNECTIONS} connections, {fresh} on new ones; a reload takes {:?}",
        took / (2 * ROUNDS as u32)
    );
    let status = host.terminate()?;
    ensure!(status.code() == Some(0), "{status}: {}", host.log());
    Ok(())
}

fn configuration(round: usize) -> String {
    // In odd rounds the settings change, in even ones the plugin.
    let (idle, plugin) = (1 + round.div_ceil(2) % 2, round / 2 % 2);
    format!(
        "workers = 2\ngrace = \"1s\"\n[service.site]\nplugin = \"{plugin}.wasm\"\n\
         listen = [\"tcp:0:interface=127.0.0.1\"]\n\
         grants = {{ files = {{ read = \"public\" }} }}\n\
         limits = {{ connections = 4000, instances = 4000, idle = \"{idle}h\" }}\n"
    )
}

fn serve_something(folder: &TempDir) -> Result<()> {
    for number in [0, 1] {
        variant("guests/http", number, &folder.path().join(format!("{number}.wasm")))?;
    }
    std::fs::create_dir(folder.path().join("public"))?;
    Ok(std::fs::write(folder.path().join("public/index.html"), BODY)?)
}

fn change(host: &Host, folder: &TempDir, round: usize) -> Result<()> {
    let said = reload(host, folder, &configuration(round))?;
    ensure!(said.contains("swapped site"), "round {round}: {said}");
    Ok(())
}

/// Asks on one connection after the other.
fn keeps_asking(mut streams: Vec<TcpStream>, load: &Load) -> Result<()> {
    while !load.over.load(Ordering::Relaxed) {
        for stream in &mut streams {
            let answer = ask(stream, "/").context("a connection that was kept")?;
            ensure!(answer.body == BODY.as_bytes() && answer.keeps_alive, "another answer");
            load.kept.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Connects again and again.
fn comes_anew(host: &Host, load: &Load) -> Result<()> {
    while !load.over.load(Ordering::Relaxed) {
        let mut stream = host.connect("site").context("a new connection")?;
        let answer = ask_once(&mut stream, "/").context("a new connection")?;
        ensure!(answer.body == BODY.as_bytes(), "another answer");
        load.fresh.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
