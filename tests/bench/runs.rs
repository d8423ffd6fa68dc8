//! Measuring a row: both sides in turns, each with a fresh server and a fresh load.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::arguments::Arguments;
use crate::child::Load as Process;
use crate::load::{DONE, GO, Report};
use crate::peers::Peer;
use crate::roles::{
    LOAD_CHANNEL, LOAD_CONNECT, LOAD_DATAGRAMS, LOAD_ECHO, LOAD_HANDSHAKES, LOAD_IDLE,
    LOAD_MEMBERS, LOAD_SLOW,
};
use crate::rows::{Load, Row, SMALL, Unit};
use crate::workplace::Workplace;
use crate::wrk::Asking;
use crate::{blocking, irc, timers, traps, wrk};

/// The connections of the idle rows before memory is read first, which fill what a server
/// allocates once.
const WARM_CONNECTIONS: usize = 500;
/// The connections of the idle rows whose memory is counted.
const IDLE_CONNECTIONS: usize = 10_000;
/// How long a server may tidy up before its memory is read.
const SETTLE: Duration = Duration::from_millis(300);
/// How often memory is read where its peak counts.
const LOOK: Duration = Duration::from_millis(5);

/// One side of one run.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// In the row's unit.
    pub(crate) value: f64,
    /// What the load saw, and what it cost the server; none where memory is counted.
    pub(crate) cost: Option<Cost>,
}

/// What one operation costs.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    /// The server's CPU time for an operation, in microseconds.
    pub(crate) cpu_us: f64,
    /// The part of its core that the server was busy for, from 0 to 1. Far below 1 the load is
    /// what limits the rate, and the CPU time tells more.
    pub(crate) busy: f64,
    /// See `Report`.
    pub(crate) p50_us: f64,
    /// See `Report`.
    pub(crate) p99_us: f64,
}

impl Cost {
    /// What an operation costs that has taken its part of so many seconds of CPU time.
    pub(crate) fn of(report: &Report, cpu: f64) -> Self {
        Self {
            cpu_us: cpu / report.operations as f64 * 1e6,
            busy: cpu / report.seconds,
            p50_us: report.p50_us,
            p99_us: report.p99_us,
        }
    }
}

/// One run of both sides: ours, theirs.
pub(crate) type Pair = [Sample; 2];

/// Measures a row, and tells on standard error how it goes.
pub(crate) fn measure(row: &Row, place: &Workplace, arguments: &Arguments) -> Result<Vec<Pair>> {
    match row.load {
        Load::Timers => return timers::measure(row, place, arguments),
        Load::ChannelSlow => return irc::measure_slow(row, place, arguments),
        Load::Traps => return traps::measure(row, place, arguments),
        Load::Blocking(connections, file) => {
            return blocking::measure(row, place, arguments, connections, file);
        }
        _ => {}
    }
    let sides = row.sides(arguments.noise);
    let mut pairs = Vec::with_capacity(arguments.runs());
    for run in 1..=arguments.runs() {
        let mut samples = Vec::with_capacity(2);
        for kind in sides {
            let peer = Peer::start(kind, place)?;
            let name = row.name;
            let sample = sample(row, place, &peer, arguments.seconds)
                .with_context(|| format!("{name}, run {run}"))?;
            samples.push(sample);
        }
        let pair = [samples[0], samples[1]];
        tell(row, run, arguments, &pair);
        pairs.push(pair);
    }
    Ok(pairs)
}

/// Tells how a run went.
pub(crate) fn tell(row: &Row, run: usize, arguments: &Arguments, pair: &Pair) {
    let [ours, theirs] = pair.map(|sample| row.unit.show(sample.value));
    eprintln!("bench: {} {run}/{}: {ours}, beside {theirs}", row.name, arguments.runs());
}

fn sample(row: &Row, place: &Workplace, peer: &Peer, seconds: u64) -> Result<Sample> {
    let port = peer.port.to_string();
    let lasting = seconds.to_string();
    let (report, cpu) = match row.load {
        Load::Idle => return idle(place, peer, false),
        Load::IdleIrc => return growth(place, peer, LOAD_MEMBERS, &[]),
        Load::IdleTls => return idle(place, peer, true),
        Load::Blocking(..) | Load::ChannelSlow | Load::Timers | Load::Traps => {
            unreachable!("`measure` has gone elsewhere")
        }
        Load::Slow(length) => return slow(place, peer, length),
        Load::Channel(talk) => timed(place, peer, LOAD_CHANNEL, &irc::words(peer, talk, seconds))?,
        Load::Connect(beside) => {
            timed(place, peer, LOAD_CONNECT, &[port, lasting, beside.to_string()])?
        }
        Load::Echo(connections, size) => {
            let words = [port, connections.to_string(), size.to_string(), lasting];
            timed(place, peer, LOAD_ECHO, &words)?
        }
        Load::Datagrams(sockets, size) => {
            let words = [port, sockets.to_string(), size.to_string(), lasting];
            timed(place, peer, LOAD_DATAGRAMS, &words)?
        }
        Load::Http(connections, file) => {
            wrk(place, peer, Asking { scheme: "http", file, connections }, seconds)?
        }
        Load::Https(connections, file) => {
            wrk(place, peer, Asking { scheme: "https", file, connections }, seconds)?
        }
        Load::Handshakes(connections, file) => {
            let words = [port, connections.to_string(), lasting, file.path()];
            timed(place, peer, LOAD_HANDSHAKES, &words)?
        }
    };
    ensure!(report.operations > 0, "the server answered nothing");
    Ok(Sample { value: row.unit.value(&report), cost: Some(Cost::of(&report, cpu)) })
}

/// Runs one of our loads, and counts the server's CPU time while it measures.
pub(crate) fn timed(
    place: &Workplace,
    peer: &Peer,
    role: &str,
    words: &[String],
) -> Result<(Report, f64)> {
    let mut load = Process::start(place.load_core, role, words)?;
    ensure!(load.line()? == GO, "the load did not begin");
    let before = peer.server.cpu_seconds()?;
    let line = load.line()?;
    let cpu = peer.server.cpu_seconds()? - before;
    Ok((line.parse()?, cpu))
}

/// Runs wrk, and counts the server's CPU time meanwhile.
fn wrk(place: &Workplace, peer: &Peer, asking: Asking<'_>, seconds: u64) -> Result<(Report, f64)> {
    let before = peer.server.cpu_seconds()?;
    let report = wrk::run(place, peer.port, &asking, seconds)?;
    Ok((report, peer.server.cpu_seconds()? - before))
}

fn idle(place: &Workplace, peer: &Peer, encrypted: bool) -> Result<Sample> {
    let mut more = vec![SMALL.path()];
    if encrypted {
        more.push(place.authority().display().to_string());
    }
    growth(place, peer, LOAD_IDLE, &more)
}

/// What the server's memory grows by for each of many connections.
fn growth(place: &Workplace, peer: &Peer, role: &str, more: &[String]) -> Result<Sample> {
    let counts = [usize::from(peer.port), WARM_CONNECTIONS, IDLE_CONNECTIONS];
    let mut words = counts.map(|count| count.to_string()).to_vec();
    words.extend_from_slice(more);
    let mut load = Process::start(place.load_core, role, &words)?;
    let mut resident = || -> Result<f64> {
        ensure!(load.line()? == GO, "the load did not begin");
        sleep(SETTLE);
        let resident = peer.server.resident_bytes()?;
        load.go_on()?;
        Ok(resident)
    };
    let before = resident()?;
    let growth = resident()? - before;
    Ok(Sample { value: growth / IDLE_CONNECTIONS as f64, cost: None })
}

/// The growth of the server's memory while bytes go through it that nobody hurries to read.
fn slow(place: &Workplace, peer: &Peer, length: u64) -> Result<Sample> {
    let words = [peer.port.to_string(), length.to_string()];
    let mut load = Process::start(place.load_core, LOAD_SLOW, &words)?;
    ensure!(load.line()? == GO, "the load did not begin");
    let before = peer.server.resident_bytes()?;
    let is_over = AtomicBool::new(false);
    let most = scope(|scope| -> Result<f64> {
        let watcher = scope.spawn(|| -> Result<f64> {
            let mut most = before;
            while !is_over.load(Ordering::Relaxed) {
                most = peer.server.resident_bytes()?.max(most);
                sleep(LOOK);
            }
            Ok(most)
        });
        let line = load.line();
        is_over.store(true, Ordering::Relaxed);
        let most = watcher.join().expect("looking doesn't panic")?;
        ensure!(line? == DONE, "the load did not come to its end");
        Ok(most)
    })?;
    Ok(Sample { value: most - before, cost: None })
}

impl Unit {
    fn value(self, report: &Report) -> f64 {
        match self {
            Self::Bytes | Self::Nanoseconds => f64::NAN,
            Self::Megabytes(size) => report.rate() * size as f64 / 1e6,
            Self::Microseconds => report.p50_us,
            Self::Operations => report.rate(),
            Self::Slowest => report.p99_us,
        }
    }
}
