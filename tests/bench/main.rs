//! The benchmark: `cargo bench -p torsade-tests`, one table with the peers beside us.
//!
//! Each row is a ratio taken side by side in one run: a fresh torsade, a fresh peer, in turns, the
//! server pinned to one core and the load to another, everything on 127.0.0.0/8. The servers and
//! the loads are processes; those that are ours are this same program in another role (`roles`).

mod arguments;
mod blocking;
mod child;
mod datagrams;
mod epoll;
mod hostile;
mod irc;
mod load;
mod machine;
mod peers;
mod programs;
mod roles;
mod rows;
mod runs;
mod show;
mod table;
mod timers;
mod traps;
mod workplace;
mod wrk;

use std::process::ExitCode;

use anyhow::Result;

use crate::arguments::Arguments;
use crate::workplace::Workplace;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = roles::play(&words).unwrap_or_else(|| bench(&words));
    outcome.unwrap_or_else(|error| {
        eprintln!("bench: {error:#}");
        ExitCode::FAILURE
    })
}

fn bench(words: &[String]) -> Result<ExitCode> {
    let Some(arguments) = Arguments::parse(words)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let rows = rows::chosen(&arguments.words)?;
    let hostile = hostile::chosen(&arguments.words);
    let place = Workplace::prepare(&arguments, &rows, &hostile)?;
    let mut passed = true;
    if !rows.is_empty() {
        let mut table = table::Table::new(machine::describe(&place), &arguments);
        for row in rows {
            table.add(row, runs::measure(row, &place, &arguments));
        }
        print!("{table}");
        passed = table.passed();
    }
    if !hostile.is_empty() {
        let (table, none_harmed) = hostile::measure(&hostile, &place, &arguments)?;
        print!("{table}");
        passed &= none_harmed;
    }
    let failed = arguments.strict && !passed;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
