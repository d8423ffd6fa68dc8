//! The load of the HTTP rows: wrk with one thread, and what its words mean.

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::child::Load;
use crate::load::Report;
use crate::rows::File;
use crate::workplace::Workplace;

/// The longest wait for an answer: an answer that is late on a busy machine is no mistake.
const TIMEOUT_SECONDS: u64 = 10;

/// What is asked for, and how.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    /// `http` or `https`.
    pub(crate) scheme: &'a str,
    /// What.
    pub(crate) file: &'a File,
    /// Over how many connections at once.
    pub(crate) connections: usize,
}

/// What came of it, where not all of it has to be well.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    /// What was answered.
    pub(crate) report: Report,
    /// Connections that were not made, broke or kept silent, and answers that are no success.
    pub(crate) failed: u64,
}

/// Asks without end. An answer that is no success is an error.
pub(crate) fn run(
    place: &Workplace,
    port: u16,
    asking: &Asking<'_>,
    seconds: u64,
) -> Result<Report> {
    let seen = look(place, port, asking, seconds)?;
    ensure!(seen.failed == 0, "{} requests have failed", seen.failed);
    Ok(seen.report)
}

/// The same; what fails is counted.
pub(crate) fn look(
    place: &Workplace,
    port: u16,
    asking: &Asking<'_>,
    seconds: u64,
) -> Result<Seen> {
    let Asking { scheme, file, connections } = *asking;
    let words = [
        "--threads=1".to_owned(),
        format!("--connections={connections}"),
        format!("--duration={seconds}s"),
        "--latency".to_owned(),
        format!("--timeout={TIMEOUT_SECONDS}s"),
        format!("{scheme}://127.0.0.1:{port}{}", file.path()),
    ];
    let said = Load::start_program(place.load_core, &place.wrk, &words)?.rest()?;
    read(&said).with_context(|| format!("wrk said:\n{said}"))
}

fn read(said: &str) -> Result<Seen> {
    let mistakes = ["Socket errors:", "Non-2xx or 3xx responses:"];
    let lines = said.lines().filter(|line| mistakes.iter().any(|bad| line.contains(bad)));
    let words = lines.flat_map(|line| line.split([' ', ',']));
    let failed = words.filter_map(|word| word.parse::<u64>().ok()).sum();
    let find = |part: &str| {
        let line = said.lines().find(|line| line.contains(part));
        line.ok_or_else(|| anyhow!("no line with {part:?}"))
    };
    let first = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
    let operations: u64 = first(find(" requests in ")?).parse()?;
    let rate: f64 = find("Requests/sec:")?.trim_start_matches("Requests/sec:").trim().parse()?;
    let report = Report {
        operations,
        seconds: operations as f64 / rate,
        p50_us: microseconds(find(" 50% ")?)?,
        p99_us: microseconds(find(" 99% ")?)?,
    };
    Ok(Seen { report, failed })
}

/// The last word of a line, such as `1.02ms`.
fn microseconds(line: &str) -> Result<f64> {
    let word = line.split_whitespace().next_back().unwrap_or_default();
    let number = word.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor = match &word[number.len()..] {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        _ => bail!("{word:?} is no time"),
    };
    Ok(number.parse::<f64>()? * factor)
}
