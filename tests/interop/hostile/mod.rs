//! Hostile plugins, each beside a victim on the same worker: they lose, and the victim doesn't
//! notice.

mod refused;
mod victim;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;
use torsade_tests::host::{Host, PATIENCE, POLL};
use torsade_tests::hostile::{self, ComesTo, Hostile};

use super::{configure, trial};
use victim::Victim;

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = refused::trials();
    for hostile in hostile::all() {
        for instances in ["per-connection", "per-worker"] {
            let name = format!("hostile::{}_loses::{instances}", hostile.name.replace('-', "_"));
            trials.push(trial(&name, move || loses(hostile, instances)));
        }
    }
    trials.push(trial("hostile::a_deferred_is_nobody_elses", a_deferred_is_nobody_elses));
    trials.push(trial("hostile::the_log_can_not_be_forged", the_log_can_not_be_forged));
    trials
}

/// A folder with the services of a victim and of a hostile plugin, which share a worker.
fn beside_a_victim(hostile: &Hostile, instances: &str) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let service = hostile.service(folder.path(), ENDPOINT, instances)?;
    let text = format!(
        "workers = 1\n[service.victim]\nplugin = \"@echo\"\nlisten = [\"{ENDPOINT}\"]\n{service}"
    );
    configure(folder.path(), &text)?;
    Ok(folder)
}

fn loses(hostile: &Hostile, instances: &str) -> Result<()> {
    let folder = beside_a_victim(hostile, instances)?;
    let mut host = Host::up(folder.path(), 2)?;
    // The first time threads are started and caches filled, once for all.
    let victim = Victim::start(&host)?;
    meet(hostile, &host, 1)?;
    victim.is_served()?;
    victim.stop()?;
    let before = Held::settled(&host, None)?;
    let victim = Victim::start(&host)?;
    for time in 2..=TIMES {
        meet(hostile, &host, time)?;
        victim.is_served()?;
    }
    victim.stop()?;
    Held::settled(&host, Some(&before)).context("what the host holds at the end")?;
    ends_well(&mut host)
}

/// Provokes it once, and looks at what comes of that: for the `time`th time.
fn meet(hostile: &Hostile, host: &Host, time: usize) -> Result<()> {
    let begin = Instant::now();
    let met = hostile.provoke_once(host.address(hostile.name)?, &AtomicBool::new(false));
    if met.is_err() && host.log().contains("the service is parked") {
        return Ok(());
    }
    let said = met?;
    ensure!(begin.elapsed() < PATIENCE, "its peer was left alone; the log:\n{}", host.log());
    match hostile.comes_to {
        ComesTo::Answer(words) => {
            let said = String::from_utf8_lossy(&said);
            ensure!(said.contains(words), "it said {said:?}, not {words:?}:\n{}", host.log());
        }
        ComesTo::End(words) => says(host, words, time)?,
        ComesTo::Nothing => {}
    }
    Ok(())
}

/// The log has each of the words so many times, or does in a while.
fn says(host: &Host, words: &[&str], times: usize) -> Result<()> {
    let begin = Instant::now();
    loop {
        let log = host.log();
        // That a limit is reached is told once a minute.
        let wanted = |word: &str| if word.ends_with("is reached") { 1 } else { times };
        let missing = words.iter().find(|word| log.matches(**word).count() < wanted(word));
        let Some(word) = missing else { return Ok(()) };
        ensure!(begin.elapsed() < PATIENCE, "the log doesn't say {word:?} {times} times:\n{log}");
        thread::sleep(POLL);
    }
}

/// SIGTERM ends the host in order.
fn ends_well(host: &mut Host) -> Result<()> {
    let status = host.terminate()?;
    let log = host.log();
    ensure!(status.success(), "{status}: {log}");
    ensure!(!log.contains("panicked at"), "{log}");
    Ok(())
}

/// What the host holds of the system's.
#[derive(Debug, Eq, PartialEq)]
struct Held {
    descriptors: usize,
    threads: usize,
    mappings: usize,
}

impl Held {
    fn of(host: &Host) -> Result<Self> {
        let folder = format!("/proc/{}", host.id());
        let count =
            |what: &str| -> Result<usize> { Ok(fs::read_dir(format!("{folder}/{what}"))?.count()) };
        let mappings = fs::read_to_string(format!("{folder}/maps"))?.lines().count();
        Ok(Self { descriptors: count("fd")?, threads: count("task")?, mappings })
    }

    /// What it holds once nothing has changed for a while; and no more than `before`, but for some
    /// mappings that an allocator may keep.
    fn settled(host: &Host, before: Option<&Self>) -> Result<Self> {
        let begin = Instant::now();
        let (mut last, mut since) = (Self::of(host)?, Instant::now());
        loop {
            thread::sleep(POLL);
            let now = Self::of(host)?;
            if now != last {
                since = Instant::now();
            }
            let is_back = before.is_none_or(|before| {
                now.descriptors <= before.descriptors
                    && now.threads <= before.threads
                    && now.mappings <= before.mappings + MAPPINGS
            });
            if is_back && since.elapsed() > POLL * 20 {
                return Ok(now);
            }
            ensure!(begin.elapsed() < PATIENCE, "{now:?}, after {before:?}:\n{}", host.log());
            last = now;
        }
    }
}

/// A plugin that cancels all numbers that it can guess, beside one that waits for timers.
fn a_deferred_is_nobody_elses() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let hostile = named("cancel-foreign")?;
    let service = hostile.service(folder.path(), ENDPOINT, "per-worker")?;
    let text = format!(
        "workers = 1\n[service.odd]\nplugin = \"@unruly\"\nlisten = [\"{ENDPOINT}\"]\n\
         grants = {{ files = {{ read = \".\" }} }}\n{service}"
    );
    configure(folder.path(), &text)?;
    let mut host = Host::up(folder.path(), 2)?;
    let mut waiting = host.connect("odd")?;
    hears(&mut waiting, b"hello\n")?;
    for time in 1..=TIMES {
        // It holds the connection on a timer of some milliseconds, a hundred times over.
        waiting.write_all(&[b'h'; 100])?;
        meet(hostile, &host, time)?;
        hears(&mut waiting, &[b'.'; 100]).context("its timers")?;
    }
    ends_well(&mut host)
}

fn hears(stream: &mut TcpStream, text: &[u8]) -> Result<()> {
    let mut heard = vec![0; text.len()];
    stream.read_exact(&mut heard)?;
    ensure!(heard == text, "{:?}", heard.escape_ascii().to_string());
    Ok(())
}

/// Neither by what a plugin logs, nor by the names of its functions.
fn the_log_can_not_be_forged() -> Result<()> {
    for name in ["log-forged", "names-forged"] {
        let folder = beside_a_victim(named(name)?, "per-connection")?;
        let mut host = Host::up(folder.path(), 2)?;
        meet(named(name)?, &host, 1)?;
        let log = host.log_with(&["forged line"])?;
        for line in log.lines() {
            ensure!(
                !line.starts_with("2026-01-01T00:00:00Z"),
                "{name} made a line of its own:\n{log}"
            );
        }
        ensure!(!log.contains('\x1b'), "{name} controls the terminal:\n{log:?}");
        ends_well(&mut host)?;
    }
    Ok(())
}

fn named(name: &str) -> Result<&'static Hostile> {
    let mut all = hostile::all().iter();
    all.find(|hostile| hostile.name == name).with_context(|| format!("there is no {name}"))
}

const ENDPOINT: &str = "tcp:0:interface=127.0.0.1";

/// How often each is provoked.
const TIMES: usize = 4;

/// How many mappings more may be left than there were.
const MAPPINGS: usize = 24;
