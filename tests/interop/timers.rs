//! More timers than most plugins have.

use std::io::{BufRead, BufReader, Write};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::host::Host;

use super::{folder, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![trial("timers::as_many_are_pending_as_the_limits_say", as_many_as_the_limits_say)]
}

/// More than wasmtime's own limit of handles, which is 100,000.
const MANY: usize = 150_000;
/// How many are asked for in one event.
const BURST: usize = 5_000;

fn as_many_as_the_limits_say() -> Result<()> {
    let folder = folder(&format!(
        "workers = 1\n[service.timing]\nplugin = \"@timing\"\n\
         listen = [\"tcp:0:interface=127.0.0.1\"]\n\
         limits = {{ deferreds = {MANY}, handles = 200000, memory = \"1GiB\", deadline = \"1min\" }}\n\
         grants = {{ connect = [\"tcp:127.0.0.1:1\"] }}\n"
    ))?;
    let host = Host::up(folder.path(), 1)?;
    let mut lines = BufReader::new(host.connect("timing")?);
    let mut answer = |command: &str| -> Result<String> {
        writeln!(lines.get_mut(), "{command}")?;
        let mut line = String::new();
        lines.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    };
    for _ in 0..MANY / BURST {
        let added = answer(&format!("add {BURST}"))?;
        ensure!(added == "ok", "{added:?}: {}", host.log());
    }
    let added = answer("add 1")?;
    ensure!(added.contains("limits.deferreds") && added.ends_with("(limit)"), "{added}");
    for command in [format!("move {BURST}"), format!("cancel {BURST}"), "add 1".to_owned()] {
        let done = answer(&command)?;
        ensure!(done == "ok", "{command}: {done:?}: {}", host.log());
    }
    Ok(())
}
