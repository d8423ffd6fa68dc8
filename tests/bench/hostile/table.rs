//! The table of the victim, by those who are hostile.

use std::fmt;

use anyhow::Result;

use super::Hostile;
use super::runs::{Pair, Victim};
use crate::arguments::Arguments;
use crate::table::{grid, median};

/// At least this: the victim's rate with the attack over that without.
const RATE: f64 = 0.95;
/// At most this many times the victim's p99 without the attack …
const LATENCY: f64 = 1.5;
/// … and one event's deadline (the default of `limits.deadline`), in microseconds.
const DEADLINE: f64 = 50_000.0;
/// At most this: how much more memory the host may have afterwards, in bytes. Allocators keep some.
const GROWTH: f64 = 4.0 * MEBIBYTE;
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// All that were measured.
pub(super) struct Table {
    head: String,
    lines: Vec<[String; COLUMNS]>,
    failures: Vec<String>,
    passed: bool,
    /// How many runs there are where nothing is missed.
    runs: usize,
}

impl Table {
    /// An empty one.
    pub(super) fn new(machine: &str, arguments: &Arguments) -> Self {
        let (runs, seconds) = (arguments.hostile_runs(), arguments.seconds);
        let noise = if arguments.noise { "; noise: never with an attack" } else { "" };
        let head = format!(
            "{machine}\n{runs} alternating runs of {seconds} s with the attack and without, more \
             where they miss something; medians{noise}"
        );
        Self { head, lines: Vec::new(), failures: Vec::new(), passed: true, runs }
    }

    /// Adds one, or why it isn't there.
    pub(super) fn add(&mut self, hostile: &Hostile, measured: Result<Vec<Pair>>) {
        match measured {
            Ok(pairs) => self.add_line(hostile, &pairs),
            Err(error) => {
                let name = hostile.name();
                eprintln!("bench: {name}: {error:#}");
                self.failures.push(format!("{name}: not measured: {error:#}"));
                self.passed = false;
            }
        }
    }

    /// Whether all were measured, and none has done more harm than it may.
    pub(super) fn passed(&self) -> bool {
        self.passed
    }

    fn add_line(&mut self, hostile: &Hostile, pairs: &[Pair]) {
        let middle = |part: &dyn Fn(&Pair) -> f64| median(pairs.iter().map(part));
        let rates = [
            middle(&|pair| pair.with.seen.report.rate()),
            middle(&|pair| pair.without.seen.report.rate()),
        ];
        let latencies = [
            middle(&|pair| pair.with.seen.report.p99_us),
            middle(&|pair| pair.without.seen.report.p99_us),
        ];
        let ratio = middle(&rate_ratio);
        let ratios = pairs.iter().map(rate_ratio);
        let lowest = ratios.clone().fold(f64::INFINITY, f64::min);
        let highest = ratios.fold(f64::NEG_INFINITY, f64::max);
        // One that fails is one too many, in whichever run.
        let failed: u64 = pairs.iter().map(|pair| pair.with.seen.failed).sum();
        let [kept, growth] = growths(pairs, self.runs);
        let mut missed = Vec::new();
        let mut hold = |what: &'static str, holds: bool| {
            if !holds {
                missed.push(what);
            }
        };
        let busy = |victim: &Victim| victim.cpu / victim.seen.report.seconds * 100.0;
        let for_cpu = middle(&cpu_ratio);
        hold("rate", keeps_rate(pairs));
        hold("p99", latencies[0] <= latencies[1] * LATENCY + DEADLINE);
        hold("failures", failed == 0);
        hold("memory", keeps_memory(pairs, self.runs));
        self.passed &= missed.is_empty();
        self.lines.push([
            hostile.name(),
            hostile.what().to_owned(),
            pairs.len().to_string(),
            format!("{:.0}/s", middle(&|pair| pair.harm)),
            format!("{:.0} : {:.0}", rates[0], rates[1]),
            format!("{ratio:.3} ×"),
            format!("{lowest:.3} … {highest:.3}"),
            format!("{for_cpu:.3} ×"),
            format!(
                "{:.0} : {:.0} %",
                middle(&|pair| busy(&pair.with)),
                middle(&|pair| busy(&pair.without))
            ),
            format!("{:.2} : {:.2}", latencies[0] / 1000.0, latencies[1] / 1000.0),
            failed.to_string(),
            format!("{:+.1}, {:+.1}", kept / MEBIBYTE, growth / MEBIBYTE),
            if missed.is_empty() {
                "pass".to_owned()
            } else {
                format!("FAIL: {}", missed.join(", "))
            },
        ]);
    }
}

/// Whether the victim has kept enough of its rate.
pub(super) fn keeps_rate(pairs: &[Pair]) -> bool {
    [rate_ratio, cpu_ratio].iter().any(|ratio| median(pairs.iter().map(ratio)) >= RATE)
}

/// Whether the host has given the memory back: of the last of the runs, which are as many as the first.
pub(super) fn keeps_memory(pairs: &[Pair], runs: usize) -> bool {
    growths(pairs, runs)[1] <= GROWTH
}

/// How much more memory the host had by the first of the last runs, and by those behind it.
fn growths(pairs: &[Pair], runs: usize) -> [f64; 2] {
    let (before, last) = pairs.split_at(pairs.len() + 1 - runs.min(pairs.len()));
    [before, last].map(|pairs| pairs.iter().map(|pair| pair.growth).sum())
}

fn rate_ratio(pair: &Pair) -> f64 {
    pair.with.seen.report.rate() / pair.without.seen.report.rate()
}

/// Of the requests for a second of the host's CPU time.
fn cpu_ratio(pair: &Pair) -> f64 {
    let for_cpu = |victim: &Victim| victim.seen.report.operations as f64 / victim.cpu;
    for_cpu(&pair.with) / for_cpu(&pair.without)
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}\n", self.head)?;
        grid(out, HEAD, &self.lines)?;
        writeln!(out, "\n{NOTES}")?;
        self.failures.iter().try_for_each(|failure| writeln!(out, "{failure}"))
    }
}

const COLUMNS: usize = 13;
const HEAD: [&str; COLUMNS] = [
    "hostile",
    "what it does",
    "runs",
    "harm",
    "victim's requests/s",
    "ratio",
    "spread of the runs",
    "CPU ratio",
    "busy",
    "its p99, ms",
    "failed",
    "memory, MiB",
    "",
];

const NOTES: &str = "\
The victim serves a file of 1 KiB over HTTP to 64 keep-alive connections, on the same worker as the
service that is hostile, or attacked. Pairs are with the attack : without it, in turns beside one
server; ratios are the median of those of its runs. Without it nobody comes to the other service; the
load's core is as busy, by a process that burns what wrk leaves of it, as idle as those who attack.
The attack begins two seconds before the measurement.
The CPU ratio is of the victim's requests for a second of the host's CPU time, in which is what the
attack costs the host; other work on the machine isn't. Busy is the host's part of its core.
Harm is how often it was done: a connection, a burst, an event, a second. Failed are the victim's
requests and connections, with the attack, of all runs. Memory is how much more private memory the
host has once the first attack is over, whose sandboxes are kept to be used again; and how much more
than that once the last one is.
Where the runs miss the rate, or the memory, twice as many follow: all of them count for the rate, and
for the memory the last of them, as many as the first were.
To pass: ratio, or CPU ratio, ≥ 0.95; p99 ≤ 1.5 × that without + 50 ms (an event's deadline), none
failed, and no more than 4 MiB of memory by the attacks behind the first.";
