//! SQL and keys through a sandbox: what a plugin asks for in vain is a failure that it can handle,
//! and what it was told is kept is there.

mod keys;
mod statements;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;
use torsade_tests::host::Host;

use super::folder;

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = statements::trials();
    trials.extend(keys::trials());
    trials
}

/// A service whose plugin asks what it is told.
struct Store {
    host: Host,
    folder: TempDir,
}

impl Store {
    /// Serves one whose database is `"file"` or `":memory:"`.
    fn new(place: &str, limits: &str) -> Result<Self> {
        let folder = folder(&format!(
            "workers = 2\ngrace = \"10ms\"\n[service.store]\nplugin = \"@store\"\n\
             listen = [\"tcp:0:interface=127.0.0.1\"]\nlimits = {{ {limits} }}\n\
             grants = {{ sql = \"{place}\", key-value = \"{place}\" }}\n"
        ))?;
        let host = Host::up(folder.path(), 1)?;
        Ok(Self { host, folder })
    }

    /// The same on the same state, after it was killed.
    fn again(self) -> Result<Self> {
        let Self { host, folder } = self;
        drop(host);
        let host = Host::up(folder.path(), 1)?;
        Ok(Self { host, folder })
    }

    fn client(&self) -> Result<Client> {
        Ok(Client(BufReader::new(self.host.connect("store")?)))
    }

    /// No plugin has trapped, and the host is well.
    fn ends_well(mut self) -> Result<()> {
        let status = self.host.terminate()?;
        let log = self.host.log();
        let is_well = status.success() && !log.contains("ERROR") && !super::warns(&log);
        ensure!(is_well, "{status}:\n{log}");
        Ok(())
    }
}

/// A connection to it.
struct Client(BufReader<TcpStream>);

impl Client {
    fn send(&mut self, line: &str) -> Result<()> {
        Ok(self.0.get_mut().write_all(format!("{line}\n").as_bytes())?)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.0.read_line(&mut line)? > 0, "the connection ended");
        Ok(line.trim_end_matches('\n').to_owned())
    }

    fn ask(&mut self, line: &str) -> Result<String> {
        self.send(line)?;
        let start: String = line.chars().take(100).collect();
        self.line().with_context(|| format!("the answer to {start}"))
    }

    /// Asks, and is answered this.
    fn expect(&mut self, line: &str, wanted: &str) -> Result<()> {
        let answer = self.ask(line)?;
        ensure!(answer == wanted, "{answer:?} and not {wanted:?} to {line}");
        Ok(())
    }

    /// Asks, and it fails with this code and a message that says this.
    fn fails(&mut self, line: &str, code: &str, word: &str) -> Result<()> {
        let answer = self.ask(line)?;
        let start: String = line.chars().take(100).collect();
        let (found, message) = answer.split_once('\t').unwrap_or((&answer, ""));
        let is_so = found == code && message.contains(word);
        ensure!(is_so, "{answer:?} and not {code}, {word:?} to {start}");
        // Nothing is left of it: the next one is answered.
        self.expect("query\tSELECT 1 AS a", "rows\ta | integer 1")
    }
}
