//! Asks for what takes long, again and again, as its peer says: a line names what, and each time
//! that it ends a line tells how.
#![forbid(unsafe_code)]

use std::hint::black_box;

use torsade_guest::jobs::{self, Jobs};
use torsade_guest::resolver::{self, Family};
use torsade_guest::sql::{self, Statement};
use torsade_guest::{Deferred, Failure, NoConfig, Origin, Plugin, Protocol, Transport, Waiting};

struct Server;

impl Plugin for Server {
    type Config = NoConfig;
    type Protocol = Blocking;

    fn start(_config: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn build_protocol(&mut self, transport: Transport<Blocking>, _: Origin) -> Option<Blocking> {
        Some(Blocking { transport, line: Vec::new(), names: 0 })
    }
}

/// One connection.
struct Blocking {
    transport: Transport<Self>,
    /// What was said so far.
    line: Vec<u8>,
    /// How many names were looked up.
    names: usize,
}

impl Protocol for Blocking {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        for &byte in data {
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            match &*std::mem::take(&mut self.line) {
                b"job" => self.begin(What::Job),
                b"lookup" => self.begin(What::Lookup),
                b"query" => self.begin(What::Query),
                _ => self.transport.write(b"that is no command\n"),
            }
        }
        None
    }
}

/// What takes long.
#[derive(Clone, Copy, Debug)]
enum What {
    /// It computes until it is stopped: by `limits.job-deadline`.
    Job,
    /// A name that no server answers for.
    Lookup,
    /// It counts until it is stopped: by `limits.query-time`.
    Query,
}

impl Blocking {
    fn begin(&mut self, what: What) {
        let asked = match what {
            What::Job => self.ask(what, jobs::run("spin", b"")),
            What::Lookup => {
                self.names += 1;
                let name = format!("silent-{}.example", self.names);
                self.ask(what, resolver::lookup(&name, Family::Any))
            }
            What::Query => self.ask(what, sql::query(&Statement::new(ENDLESS))),
        };
        if let Err(failure) = asked {
            self.tell(what, &failure);
        }
    }

    fn ask<T: 'static>(
        &self,
        what: What,
        asked: Result<Deferred<T>, Failure>,
    ) -> Result<(), Failure> {
        let transport = self.transport.clone();
        let again = move |result: Result<T, Failure>| {
            transport.with_protocol(|blocking| {
                if let Err(failure) = result {
                    blocking.tell(what, &failure);
                }
                blocking.begin(what);
            });
            Ok(())
        };
        asked?.both(again).detach();
        Ok(())
    }

    fn tell(&self, what: What, failure: &Failure) {
        self.transport.write(format!("{what:?} {failure}\n").as_bytes());
    }
}

/// Counts without end.
const ENDLESS: &str = "\
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers) \
    SELECT count(*) FROM numbers";

/// The one job: it computes until it is stopped.
pub struct Spin;

impl Jobs for Spin {
    fn run(_config: &str, _name: &str, _input: Vec<u8>) -> Result<Vec<u8>, Failure> {
        loop {
            black_box(());
        }
    }
}

torsade_guest::export!(Server);
torsade_guest::export_jobs!(Spin);
