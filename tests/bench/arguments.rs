//! The command line of the benchmark.

use anyhow::{Result, bail};
use lexopt::prelude::*;

use crate::hostile;
use crate::rows::ROWS;

/// What was asked for.
pub(crate) struct Arguments {
    /// Parts of the names of the rows to measure; empty for all.
    pub(crate) words: Vec<String>,
    /// How many times each side is measured, where that was said.
    runs: Option<usize>,
    /// How long one measurement lasts.
    pub(crate) seconds: u64,
    /// Whether a row that misses its target makes the exit status 1.
    pub(crate) strict: bool,
    /// Whether the peer stands on both sides, which shows how far the machine can be trusted.
    pub(crate) noise: bool,
}

/// More runs, or longer ones, tell nothing new.
const RUNS_MAX: usize = 101;
/// See `RUNS_MAX`.
const SECONDS_MAX: u64 = 60;

const HELP: &str = "\
Measures torsade beside its peers and prints one table; all rows take some ten minutes. `hostile`
prints another table: a victim beside each hostile plugin and each hostile peer; that takes longer.

cargo bench -p torsade-tests -- [ROW…] [--runs N] [--seconds S] [--strict] [--noise]

  ROW          measure the rows whose names contain one of these words (default: all but those
               of `hostile`)
  --runs N     measure each side N times, in turns, and take medians (default: 7; hostile: 3,
               and thrice as many where those miss something)
  --seconds S  let each measurement last S seconds (default: 2)
  --strict     exit with status 1 if a row misses its target
  --noise      measure each peer against itself: what is not 1.00 is the machine's noise

TORSADE_BIN names the torsade to measure; without it, it is built in release mode first.
haproxy, nginx, ngircd and wrk are installed from Debian's packages where they are missing, as root.

Rows:
";

impl Arguments {
    /// Reads the command line. `None` where there is nothing more to do: help was asked for, or
    /// `cargo test` runs all targets, benches too; `cargo bench` alone passes `--bench`.
    pub(crate) fn parse(words: &[String]) -> Result<Option<Self>> {
        if !words.iter().any(|word| word == "--bench") {
            println!("measures under `cargo bench -p torsade-tests` only");
            return Ok(None);
        }
        let mut parser = lexopt::Parser::from_args(words);
        let mut arguments =
            Self { words: Vec::new(), runs: None, seconds: 2, strict: false, noise: false };
        while let Some(argument) = parser.next()? {
            match argument {
                Long("bench") => {}
                Long("runs") => arguments.runs = Some(parser.value()?.parse()?),
                Long("seconds") => arguments.seconds = parser.value()?.parse()?,
                Long("strict") => arguments.strict = true,
                Long("noise") => arguments.noise = true,
                Long("help") | Short('h') => {
                    print_help();
                    return Ok(None);
                }
                Value(word) => arguments.words.push(word.string()?),
                other => return Err(other.unexpected().into()),
            }
        }
        arguments.check()?;
        Ok(Some(arguments))
    }

    /// How many times each side of a row is measured.
    pub(crate) fn runs(&self) -> usize {
        self.runs.unwrap_or(7)
    }

    /// How many times each side of those who are hostile is measured, of whom there are many.
    pub(crate) fn hostile_runs(&self) -> usize {
        self.runs.unwrap_or(3)
    }

    fn check(&self) -> Result<()> {
        if !(1..=RUNS_MAX).contains(&self.runs()) {
            bail!("--runs is {}; it must be from 1 to {RUNS_MAX}", self.runs());
        }
        if !(1..=SECONDS_MAX).contains(&self.seconds) {
            bail!("--seconds is {}; it must be from 1 to {SECONDS_MAX}", self.seconds);
        }
        Ok(())
    }
}

fn print_help() {
    print!("{HELP}");
    for row in ROWS {
        println!("  {:12} {}, against {}", row.name, row.work, row.against);
    }
    println!("\nHostile:\n");
    for hostile in hostile::all() {
        println!("  {:26} {}", hostile.name(), hostile.what());
    }
}
