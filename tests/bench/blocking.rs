//! The row of blocking work: what a query, a lookup and a job that take long do to another service
//! of the same worker, beside what a process does to it that burns the same CPU time.
//!
//! The query and the job (`tests/guests/blocking`) compute on threads of the pool, and are begun
//! again when a limit has ended them; the process computes with as many threads, as nice as those
//! and on the same core. The lookup asks a name server that never answers.

use std::fs;
use std::hint::black_box;
use std::io::{ErrorKind, Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::arguments::Arguments;
use crate::child::Load as Process;
use crate::load::{GO, Report};
use crate::peers::Peer;
use crate::roles::BURN;
use crate::rows::{File, Guest, Row};
use crate::runs::{self, Cost, Pair, Sample};
use crate::workplace::Workplace;
use crate::wrk;

/// How many threads compute: one for the query, one for the job.
const COMPUTING: usize = 2;
/// What the host's threads for blocking work add to their niceness.
const NICENESS: i32 = 5;
/// How long the work goes on before the load begins.
const WARM_UP: Duration = Duration::from_millis(500);
/// Where the name server that never answers would be: on no address that another program has.
const NAME_SERVER: &str = "127.53.53.53";
/// How long the system waits for it, in seconds.
const PATIENCE: u64 = 5;

/// The shortest of what the limits allow the query and the job, in seconds.
const SHORTEST: u64 = 3;

/// Measures the row: with the work inside, and beside it.
pub(crate) fn measure(
    row: &Row,
    place: &Workplace,
    arguments: &Arguments,
    connections: usize,
    file: &File,
) -> Result<Vec<Pair>> {
    let (hole, lookup) = match black_hole(place) {
        Ok(socket) => (Some(socket), "lookup"),
        Err(error) => {
            eprintln!("bench: {}: without the lookup that hangs: {error:#}", row.name);
            (None, "")
        }
    };
    let asking = wrk::Asking { scheme: "http", file, connections };
    let load = |peer: &Peer| wrk::run(place, peer.port, &asking, arguments.seconds);
    let mut pairs = Vec::new();
    for run in 1..=arguments.runs() {
        let ours = match arguments.noise {
            true => outside(row, place, load),
            false => inside(row, place, lookup, load),
        };
        let ours = ours.with_context(|| format!("{}, run {run}", row.name))?;
        let theirs = outside(row, place, load)?;
        let pair = [ours, theirs];
        runs::tell(row, run, arguments, &pair);
        pairs.push(pair);
    }
    drop(hole);
    Ok(pairs)
}

/// The service beside the one that is measured.
pub(crate) fn service(place: &Workplace) -> String {
    let (plugin, socket) = (Guest::Blocking.folder(), socket(place));
    let listen = format!("unix:{}", socket.display());
    format!(
        "
[service.blocking]
plugin = {plugin:?}
listen = [{listen:?}]
instances = \"per-worker\"
limits = {{ query-time = \"5s\", job-deadline = \"{SHORTEST}s\" }}
grants = {{ sql = \":memory:\", resolver = true, jobs = true }}
"
    )
}

fn socket(place: &Workplace) -> PathBuf {
    place.path().join("blocking.sock")
}

fn inside(
    row: &Row,
    place: &Workplace,
    lookup: &str,
    load: impl Fn(&Peer) -> Result<Report>,
) -> Result<Sample> {
    let peer = Peer::start(row.ours, place)?;
    let mut asked = UnixStream::connect(socket(place)).context("the service beside")?;
    for what in ["query", "job", lookup].into_iter().filter(|what| !what.is_empty()) {
        writeln!(asked, "{what}")?;
    }
    let begin = Instant::now();
    let sample = sample(&peer, load, || pool_seconds(&peer))?;
    check(asked, begin.elapsed())?;
    Ok(sample)
}

fn outside(row: &Row, place: &Workplace, load: impl Fn(&Peer) -> Result<Report>) -> Result<Sample> {
    let peer = Peer::start(row.theirs, place)?;
    let mut burning =
        Process::start(place.server_core, BURN, &[COMPUTING.to_string(), NICENESS.to_string()])?;
    ensure!(burning.line()? == GO, "nothing burns");
    sample(&peer, load, || Ok(sum(&burning.thread_seconds()?, |_| true)))
}

/// Loads the service while `burnt` counts the CPU time of what goes on beside.
fn sample(
    peer: &Peer,
    load: impl Fn(&Peer) -> Result<Report>,
    burnt: impl Fn() -> Result<f64>,
) -> Result<Sample> {
    sleep(WARM_UP);
    let all = || -> Result<f64> { Ok(sum(&peer.server.thread_seconds()?, |_| true)) };
    let (burnt_before, serving_before) = (burnt()?, all()? - pool_seconds(peer)?);
    let report = load(peer)?;
    let (burnt, serving) = (burnt()? - burnt_before, all()? - pool_seconds(peer)? - serving_before);
    let (share, busy) = (burnt / report.seconds, serving / report.seconds);
    eprintln!("bench: beside the service {:.0} % of its core were burnt", share * 100.0);
    ensure!(burnt > 0.0, "nothing took long");
    let cpu_us = serving / report.operations as f64 * 1e6;
    let cost = Cost { cpu_us, busy, p50_us: report.p50_us, p99_us: report.p99_us };
    Ok(Sample { value: report.p99_us, cost: Some(cost) })
}

/// The CPU time of the threads that compute.
fn pool_seconds(peer: &Peer) -> Result<f64> {
    let computes = |name: &str| name.starts_with("torsade-sql") || name.starts_with("torsade-jobs");
    Ok(sum(&peer.server.thread_seconds()?, computes))
}

fn sum(threads: &[(String, f64)], counts: impl Fn(&str) -> bool) -> f64 {
    threads.iter().filter(|(name, _)| counts(name)).map(|(_, seconds)| seconds).sum()
}

/// Nothing may have ended but by its limit, nor before it took long.
fn check(mut asked: UnixStream, lasted: Duration) -> Result<()> {
    asked.set_nonblocking(true)?;
    let mut said = Vec::new();
    match asked.read_to_end(&mut said) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(error) => return Err(error.into()),
        Ok(_) => bail!("the service beside has ended the connection"),
    }
    let said = String::from_utf8_lossy(&said);
    for line in said.lines() {
        let ends = [("Job ", "(limit)"), ("Query ", "(timed-out)"), ("Lookup ", "(io)")];
        let expected = ends.iter().any(|(what, how)| line.starts_with(what) && line.ends_with(how));
        ensure!(expected, "the service beside said: {line}");
    }
    let most =
        COMPUTING as u64 * (1 + lasted.as_secs() / SHORTEST) + 1 + lasted.as_secs() / PATIENCE;
    ensure!(said.lines().count() as u64 <= most, "what should take long ends too soon:\n{said}");
    Ok(())
}

/// Holds the port of a name server that never answers, if torsade can be shown it.
fn black_hole(place: &Workplace) -> Result<UdpSocket> {
    let configuration =
        format!("nameserver {NAME_SERVER}\noptions timeout:{PATIENCE} attempts:1\n");
    fs::write(name_servers(place), configuration)?;
    let hidden = hide_name_servers(place)?;
    let mut command = Command::new(&hidden[0]);
    command.args(&hidden[1..]).arg("true").stdin(Stdio::null()).stderr(Stdio::null());
    ensure!(command.status().context("unshare")?.success(), "/etc/resolv.conf can't be hidden");
    UdpSocket::bind((NAME_SERVER, 53)).with_context(|| format!("{NAME_SERVER}, port 53"))
}

/// What runs a program in a mount namespace where `/etc/resolv.conf` names our server; the program
/// follows. Fails where the row was not prepared for that.
pub(crate) fn hide_name_servers(place: &Workplace) -> Result<Vec<PathBuf>> {
    let file = name_servers(place);
    ensure!(file.is_file(), "there is no {}", file.display());
    let script = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
    let words = ["unshare", "--mount", "sh", "-c", script].map(PathBuf::from);
    Ok(words.into_iter().chain([file]).collect())
}

fn name_servers(place: &Workplace) -> PathBuf {
    place.path().join("resolv.conf")
}

/// Computes on so many threads without end, as nice as that.
pub(crate) fn burn(threads: usize, niceness: i32) -> Result<()> {
    rustix::process::nice(niceness)?;
    let spin = || {
        loop {
            black_box(());
        }
    };
    let all: Vec<thread::JoinHandle<()>> = (0..threads).map(|_| thread::spawn(spin)).collect();
    println!("{GO}");
    for thread in all {
        // None ends: the process is killed.
        let _ = thread.join();
    }
    Ok(())
}
