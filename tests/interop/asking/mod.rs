//! What plugins ask the host for at run time, and every way in which that fails: with a value that
//! the plugin gets, and with nothing lost.

mod connecting;
mod ending;
mod jobs;
mod listening;
mod timers;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;
use torsade_tests::host::{Host, PATIENCE, POLL};

use super::{folder, trial};

pub(super) use listening::own_address;

pub(super) fn trials() -> Vec<Trial> {
    let parts = [
        connecting::trials(),
        ending::trials(),
        jobs::trials(),
        listening::trials(),
        timers::trials(),
    ];
    parts.into_iter().flatten().collect()
}

/// A service of the guest that asks, with more lines for its table.
fn inquirer(more: &str) -> Result<(TempDir, Host)> {
    let folder = folder(&format!("{HEAD}listen = [\"tcp:0:interface=127.0.0.1\"]\n{more}"))?;
    let host = Host::up(folder.path(), 1)?;
    Ok((folder, host))
}

const HEAD: &str = "workers = 1\ngrace = \"0s\"\n[service.inquirer]\nplugin = \"@inquirer\"\n";

/// Grants nothing that is there: a component has to be granted all that it imports.
const GRANTS: &str = "grants = { connect = [\"tcp:192.0.2.1:1\"], jobs = true, \
                      listen = [\"tcp:1:interface=127.0.0.1\"] }\n";

/// Ends the host, whose plugin must not have trapped.
fn ends_well(mut host: Host) -> Result<()> {
    let status = host.terminate()?;
    let log = host.log();
    ensure!(status.success(), "{status}: {log}");
    for bad in ["panicked", "the plugin failed", "was lost"] {
        ensure!(!log.contains(bad), "{log}");
    }
    Ok(())
}

/// A connection of lines.
struct Lines(BufReader<TcpStream>);

impl Lines {
    fn new(stream: TcpStream) -> Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// One to the service, which was greeted.
    fn asking(host: &Host) -> Result<Self> {
        let mut lines = Self::new(host.connect("inquirer")?)?;
        lines.expect("hello")?;
        Ok(lines)
    }

    fn send(&mut self, lines: &str) -> Result<()> {
        Ok(self.0.get_mut().write_all(format!("{lines}\n").as_bytes())?)
    }

    /// The next line.
    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        ensure!(line.ends_with('\n'), "the connection ended with {line:?}");
        line.pop();
        Ok(line)
    }

    /// The next line is this one.
    fn expect(&mut self, wanted: &str) -> Result<()> {
        let line = self.line().with_context(|| format!("waiting for {wanted:?}"))?;
        ensure!(line == wanted, "{line:?} instead of {wanted:?}");
        Ok(())
    }

    /// The next line begins so, and holds this.
    fn expect_with(&mut self, begin: &str, word: &str) -> Result<String> {
        let line = self.line().with_context(|| format!("waiting for {begin:?}"))?;
        ensure!(line.starts_with(begin) && line.contains(word), "no {begin:?}, {word:?}: {line:?}");
        Ok(line)
    }

    /// Asks, and expects an answer.
    fn ask(&mut self, line: &str, wanted: &str) -> Result<()> {
        self.send(line)?;
        self.expect(wanted).with_context(|| line.to_owned())
    }

    /// Asks, and expects an answer that begins so, and holds this.
    fn ask_with(&mut self, line: &str, begin: &str, word: &str) -> Result<String> {
        self.send(line)?;
        self.expect_with(begin, word).with_context(|| line.to_owned())
    }

    /// Asks until the answer is this one, and no longer one that begins with `not_yet`.
    fn ask_until(&mut self, line: &str, not_yet: &str, wanted: &str) -> Result<()> {
        until(|| {
            self.send(line)?;
            let answer = self.line()?;
            ensure!(answer == wanted || answer.starts_with(not_yet), "{answer:?} to {line:?}");
            Ok(answer == wanted)
        })
    }

    /// Waits until what was sent has been done.
    fn synchronise(&mut self) -> Result<()> {
        self.ask("synchronise echo", "synchronise ok")
    }

    /// The peer ends the connection without another line.
    fn ends(mut self) -> Result<()> {
        let mut line = String::new();
        let ended = matches!(self.0.read_line(&mut line), Ok(0));
        ensure!(ended, "it goes on with {line:?}");
        Ok(())
    }
}

/// Waits until something has come to be.
pub(super) fn until(mut has_come: impl FnMut() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while !has_come()? {
        if Instant::now() > end {
            bail!("it has not come to be within {PATIENCE:?}");
        }
        thread::sleep(POLL);
    }
    Ok(())
}
