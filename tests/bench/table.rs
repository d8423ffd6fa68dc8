//! The table: medians, what they come to, and whether that is enough.

use std::fmt;

use anyhow::Result;

use crate::arguments::Arguments;
use crate::rows::Row;
use crate::runs::{Cost, Pair};

/// All rows that were measured.
pub(crate) struct Table {
    machine: String,
    runs: String,
    lines: Vec<[String; COLUMNS]>,
    failures: Vec<String>,
    passed: bool,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(machine: String, arguments: &Arguments) -> Self {
        let (runs, seconds) = (arguments.runs(), arguments.seconds);
        let noise = if arguments.noise { "; noise: each peer against itself" } else { "" };
        Self {
            machine,
            runs: format!("medians of {runs} alternating runs of {seconds} s{noise}"),
            lines: Vec::new(),
            failures: Vec::new(),
            passed: true,
        }
    }

    /// Adds a row, or why there is none.
    pub(crate) fn add(&mut self, row: &Row, measured: Result<Vec<Pair>>) {
        match measured {
            Ok(pairs) => self.add_line(row, &pairs),
            Err(error) => {
                eprintln!("bench: {}: {error:#}", row.name);
                self.failures.push(format!("{}: not measured: {error:#}", row.name));
                self.passed = false;
            }
        }
    }

    /// Whether every row was measured and reached its target.
    pub(crate) fn passed(&self) -> bool {
        self.passed
    }

    fn add_line(&mut self, row: &Row, pairs: &[Pair]) {
        let values = |side: usize| median(pairs.iter().map(|pair| pair[side].value));
        let result = row.target.result(values(0), values(1));
        let each = pairs.iter().map(|pair| row.target.result(pair[0].value, pair[1].value));
        let lowest = each.clone().fold(f64::INFINITY, f64::min);
        let highest = each.fold(f64::NEG_INFINITY, f64::max);
        let enough = row.target.reached(result);
        self.passed &= enough;
        let show = |value| row.target.show(row.unit, value);
        let [cpu, cpu_ratio, busy, latency] = costs(pairs);
        self.lines.push([
            row.name.to_owned(),
            row.work.to_owned(),
            row.unit.show(values(0)),
            row.against.to_owned(),
            row.unit.show(values(1)),
            show(result),
            format!("{} … {}", show(lowest), show(highest)),
            row.target.words(row.unit),
            if enough { "pass" } else { "FAIL" }.to_owned(),
            cpu,
            cpu_ratio,
            busy,
            latency,
        ]);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}\n{}\n", self.machine, self.runs)?;
        grid(out, HEAD, &self.lines)?;
        writeln!(out, "\n{NOTES}")?;
        self.failures.iter().try_for_each(|failure| writeln!(out, "{failure}"))
    }
}

/// Writes lines of cells below a head, in columns that are as wide as they must be.
pub(crate) fn grid<const N: usize>(
    out: &mut fmt::Formatter<'_>,
    head: [&str; N],
    lines: &[[String; N]],
) -> fmt::Result {
    let head = head.map(str::to_owned);
    let wide = |line: &[String; N], column: usize| line[column].chars().count();
    let widths: [usize; N] = std::array::from_fn(|column| {
        let lines = lines.iter().chain([&head]);
        lines.map(|line| wide(line, column)).max().unwrap_or_default()
    });
    let rule = widths.map(|width| "-".repeat(width));
    for line in [&head, &rule].into_iter().chain(lines) {
        for (cell, width) in line.iter().zip(widths) {
            write!(out, "| {cell:width$} ")?;
        }
        writeln!(out, "|")?;
    }
    Ok(())
}

/// CPU, CPU ratio, busy and latency, as far as the row has them.
fn costs(pairs: &[Pair]) -> [String; 4] {
    let middle = |side: usize, part: fn(&Cost) -> f64| {
        median(pairs.iter().filter_map(|pair| pair[side].cost.as_ref().map(part)))
    };
    if pairs.iter().flatten().any(|sample| sample.cost.is_none()) {
        return Default::default();
    }
    let both = |part: fn(&Cost) -> f64| [middle(0, part), middle(1, part)];
    let [ours, theirs] = both(|cost| cost.cpu_us);
    let [our_busy, their_busy] = both(|cost| cost.busy * 100.0);
    let [our_p50, their_p50] = both(|cost| cost.p50_us);
    let [our_p99, their_p99] = both(|cost| cost.p99_us);
    [
        format!("{ours:.2} : {theirs:.2} µs"),
        format!("{:.2} ×", theirs / ours),
        format!("{our_busy:.0} : {their_busy:.0} %"),
        format!("{our_p50:.0}/{our_p99:.0} : {their_p50:.0}/{their_p99:.0} µs"),
    ]
}

/// The middle one, or of an even number the mean of the middle two.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count => f64::midpoint(values[(count - 1) / 2], values[count / 2]),
    }
}

const COLUMNS: usize = 13;
const HEAD: [&str; COLUMNS] = [
    "row",
    "work",
    "ours",
    "against",
    "theirs",
    "result",
    "spread of the runs",
    "target",
    "",
    "server's CPU/op",
    "CPU ratio",
    "busy",
    "latency p50/p99",
];

const NOTES: &str = "\
A ratio is ours over theirs for the result, theirs over ours for the CPU; one above 1 is in our
favour, but for results whose target is a most (≤).
CPU/op is the server's time by the kernel's count, user and system; where a server was not busy
all the time, the load was the limit, and the CPU ratio tells more. Pairs are ours : theirs.";
