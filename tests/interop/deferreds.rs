//! The SDK's deferreds: Twisted's behaviours in a sandbox, the table of them, and what only a host
//! can show.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::guests::repository;
use torsade_tests::host::Host;

use super::{folder, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("deferreds::twisteds_behaviours_hold_in_a_sandbox", behaviours_hold),
        trial("deferreds::the_table_names_every_behaviour", the_table_names_every_behaviour),
        trial("deferreds::a_chain_holds_its_connection", a_chain_holds_its_connection),
        trial("deferreds::a_lost_connection_gives_its_chains_up", a_lost_connection_gives_up),
        trial("deferreds::connections_wait_for_a_chain_of_ready", connections_wait_for_ready),
    ]
}

/// Limits for a million of anything in one event.
const TESTER: &str = "workers = 1\n[service.deferreds]\nplugin = \"@deferreds\"\n\
                      listen = [\"tcp:0:interface=127.0.0.1\"]\n\
                      limits = { memory = \"1GiB\", deadline = \"20s\" }\n";

/// Sends lines in one piece, and reads one answer for each.
fn ask(stream: &mut TcpStream, lines: &[&str]) -> Result<Vec<String>> {
    stream.write_all((lines.join("\n") + "\n").as_bytes())?;
    let mut answers = BufReader::new(stream).lines();
    let next = |line: &&str| {
        answers.next().context("it ended")?.with_context(|| format!("no answer to {line}"))
    };
    lines.iter().map(next).collect()
}

fn behaviours_hold() -> Result<()> {
    let folder = folder(TESTER)?;
    let host = Host::up(folder.path(), 1)?;
    let mut broken = Vec::new();
    for (name, _) in torsade_deferreds::behaviours() {
        match ask(&mut host.connect("deferreds")?, &[name]) {
            Ok(answers) if answers == ["ok"] => {}
            answers => broken.push(format!("{name}: {answers:?}")),
        }
    }
    ensure!(broken.is_empty(), "{}\n{}", broken.join("\n"), host.log());
    Ok(())
}

/// In `guests/sdk/DEFERREDS.md` the last cell of a row has the names of behaviours.
fn the_table_names_every_behaviour() -> Result<()> {
    let text = fs::read_to_string(repository().join("guests/sdk/DEFERREDS.md"))?;
    let mut named = BTreeSet::new();
    for row in text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Twisted"))
    {
        let last = row.trim_end_matches([' ', '|']).rsplit('|').next().unwrap_or_default();
        let names: Vec<_> = last.split('`').skip(1).step_by(2).collect();
        ensure!(!names.is_empty(), "DEFERREDS.md: this row names no behaviour: {row}");
        named.extend(names);
    }
    let known: BTreeSet<_> =
        torsade_deferreds::behaviours().into_iter().map(|(name, _)| name).collect();
    let missing: Vec<_> = named.symmetric_difference(&known).collect();
    ensure!(missing.is_empty(), "only in DEFERREDS.md, or only in the code: {missing:?}");
    Ok(())
}

/// While a chain holds a connection no data of it is delivered, whatever the protocol does; and
/// after that, all of it.
fn a_chain_holds_its_connection() -> Result<()> {
    let holds = [
        "hold by a chain",
        "hold by a future",
        "hold while paused",
        "hold by a chain after a timer",
        "hold by what has fired",
        "move a timer",
        "cancel behind a chain",
        "time out",
        "work in slices",
        "call in a loop",
    ];
    for instances in ["per-connection", "per-worker"] {
        let folder = folder(&format!("{TESTER}instances = \"{instances}\"\n"))?;
        let host = Host::up(folder.path(), 1)?;
        let mut stream = host.connect("deferreds")?;
        let mut answers = BufReader::new(stream.try_clone()?).lines();
        for hold in holds {
            stream.write_all(format!("{hold}\n").as_bytes())?;
            stream.write_all(b"succeed_has_fired\nfail_has_failed\n")?;
            for expected in ["held", "ok", "ok"] {
                let answer = answers.next().context("it ended")??;
                ensure!(answer == expected, "{hold}: {answer} instead of {expected}");
            }
        }
        ensure!(!host.log().contains("ERROR"), "{}", host.log());
    }
    Ok(())
}

fn a_lost_connection_gives_up() -> Result<()> {
    let folder = folder(&format!("{TESTER}instances = \"per-worker\"\n"))?;
    let host = Host::up(folder.path(), 1)?;
    let mut stream = host.connect("deferreds")?;
    let answers = ask(&mut stream, &["hold for ever"])?;
    ensure!(answers == ["holding"], "{answers:?}");
    super::streams::reset(stream)?;
    host.log_with(&["what held for ever was given up"])?;
    let answers = ask(&mut host.connect("deferreds")?, &["succeed_has_fired"])?;
    ensure!(answers == ["ok"], "{answers:?}");
    Ok(())
}

/// `Plugin::ready` returns a chain, or a question to the host whose callback returns one. A
/// connection that comes too early says so instead of `ok`.
fn connections_wait_for_ready() -> Result<()> {
    for ready in ["", "config = { after-a-timer = true }\n"] {
        let folder = folder(&format!("{TESTER}instances = \"per-connection\"\n{ready}"))?;
        let host = Host::up(folder.path(), 1)?;
        for _ in 0..5 {
            let answers = ask(&mut host.connect("deferreds")?, &["succeed_has_fired"])?;
            ensure!(answers == ["ok"], "{ready}: {answers:?}");
        }
        ensure!(!host.log().contains("ERROR"), "{}", host.log());
    }
    Ok(())
}
