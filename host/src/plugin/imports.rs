//! What a plugin can call: facts, wishes and questions. None of them reaches beyond its store.

mod credentials;
mod datagrams;
mod endpoints;
mod files;
mod jobs;
mod key_value;
mod resolver;
mod services;
mod sql;
mod tls;
mod transports;

use std::ops::Range;

use rand::Rng;
use wasmtime::component::Resource;
use wasmtime::{Result, bail};

use super::bindings::torsade::plugin::{clock, deferreds, log, random, timers, types};
use super::outbox::{
    Effect, Guest, LOG_LINE_BYTES, LOG_LINES, LogLevel, LogLine, OutcomeHandle, PendingHandle,
};
use super::words::plain;
use crate::capability::{Address, Failure, Outcome};

pub(crate) use credentials::offered;

impl types::Host for Guest {}

impl clock::Host for Guest {
    fn monotonic(&mut self) -> Result<u64> {
        Ok(self.lent().monotonic)
    }

    fn now(&mut self) -> Result<types::Datetime> {
        let wall = self.lent().wall;
        let seconds = i64::try_from(wall.as_secs()).unwrap_or(i64::MAX);
        Ok(types::Datetime { seconds, nanoseconds: wall.subsec_nanos() })
    }
}

impl random::Host for Guest {
    fn bytes(&mut self, length: u32) -> Result<Vec<u8>> {
        if length > RANDOM_BYTES {
            bail!("{length} random bytes were asked for at once; {RANDOM_BYTES} are the most");
        }
        let mut bytes = vec![0; length as usize];
        self.lent().random.fill_bytes(&mut bytes);
        Ok(bytes)
    }

    fn number(&mut self) -> Result<u64> {
        Ok(self.lent().random.next_u64())
    }
}

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, message: String) -> Result<()> {
        let level = log_level(level);
        if level > self.log_level() {
            return Ok(());
        }
        let lent = self.lent();
        if lent.log.len() >= LOG_LINES {
            lent.log_lost += 1;
            return Ok(());
        }
        lent.log.push(LogLine { level, message: plain(message, LOG_LINE_BYTES) });
        Ok(())
    }

    fn enabled(&mut self, level: log::Level) -> Result<bool> {
        Ok(log_level(level) <= self.log_level())
    }
}

impl deferreds::Host for Guest {
    fn cancel(&mut self, id: u64) -> Result<()> {
        self.record(Effect::Cancel { id })
    }
}

impl deferreds::HostDeferred for Guest {
    fn id(&mut self, this: Resource<PendingHandle>) -> Result<u64> {
        Ok(self.deferreds.get(&this)?.0)
    }

    fn cancel(&mut self, this: Resource<PendingHandle>) -> Result<()> {
        let PendingHandle(id) = *self.deferreds.get(&this)?;
        self.record(Effect::Cancel { id })
    }

    fn drop(&mut self, this: Resource<PendingHandle>) -> Result<()> {
        let PendingHandle(id) = self.deferreds.take(&this)?;
        self.record(Effect::Forget { id })
    }
}

impl deferreds::HostOutcome for Guest {
    fn drop(&mut self, this: Resource<OutcomeHandle>) -> Result<()> {
        let outcome = self.take_outcome(&this)?;
        self.drop_outcome(&outcome)
    }
}

impl timers::Host for Guest {
    fn after(&mut self, nanoseconds: u64) -> Result<Asked> {
        self.ask(|id| Effect::After { id, nanoseconds })
    }

    fn reschedule(&mut self, id: u64, nanoseconds: u64) -> Result<()> {
        self.record(Effect::Reschedule { id, nanoseconds })
    }

    fn elapsed(&mut self, of: Resource<OutcomeHandle>) -> Result<Result<(), types::Failure>> {
        Ok(match self.take_outcome(&of)? {
            Outcome::Elapsed => Ok(()),
            other => Err(self.not_wanted(other, "a timer")?),
        })
    }
}

impl Guest {
    /// The failure of an outcome that isn't the value that was asked for.
    fn not_wanted(&mut self, outcome: Outcome, wanted: &str) -> Result<types::Failure> {
        self.drop_outcome(&outcome)?;
        Ok(match outcome {
            Outcome::Failed(Failure { code, message, .. }) => failure(&code, message),
            _ => failure("wrong-kind", format!("the outcome is not that of {wanted}")),
        })
    }

    /// Nobody takes what a deferred came to.
    fn drop_outcome(&mut self, outcome: &Outcome) -> Result<()> {
        match *outcome {
            // Nobody can name the listener any more.
            Outcome::Listening { listener, .. } => self.record(Effect::StopListening { listener }),
            _ => Ok(()),
        }
    }

    /// Asks a question whose answer `effect` will bring.
    pub(in crate::plugin) fn ask(&mut self, effect: impl FnOnce(u64) -> Effect) -> Result<Asked> {
        if self.is_job {
            return Ok(Err(failure("unsupported", "a job can ask nothing of the host")));
        }
        self.may_hold_another()?;
        let Some(id) = self.next_deferred() else {
            let most = self.limits.deferreds;
            self.lent().refuse("deferreds");
            let message = format!("limits.deferreds: {most} are in flight");
            return Ok(Err(failure("limit", message)));
        };
        self.record(effect(id))?;
        Ok(Ok(self.deferreds.push(PendingHandle(id))))
    }

    /// Asks a question about what lies in the outbox then.
    fn ask_about(
        &mut self,
        subject: &[u8],
        effect: impl FnOnce(u64, Range<usize>) -> Effect,
    ) -> Result<Asked> {
        let range = self.put(subject)?;
        self.ask(|id| effect(id, range))
    }

    /// Puts bytes into the outbox.
    fn put(&mut self, bytes: &[u8]) -> Result<Range<usize>> {
        self.fits(bytes.len())?;
        let lent = self.lent();
        let start = lent.bytes.len();
        lent.bytes.extend_from_slice(bytes);
        Ok(start..lent.bytes.len())
    }
}

/// What a question returns at once.
pub(in crate::plugin) type Asked = std::result::Result<Resource<PendingHandle>, types::Failure>;

/// What a wish returns that can be refused.
type Done = std::result::Result<(), types::Failure>;

fn address(address: &Address) -> types::Address {
    match address {
        Address::Stdio => types::Address { kind: "stdio".into(), host: String::new(), port: 0 },
        Address::Tcp(ip, port) => {
            types::Address { kind: "tcp".into(), host: ip.to_string(), port: *port }
        }
        Address::Udp(ip, port) => {
            types::Address { kind: "udp".into(), host: ip.to_string(), port: *port }
        }
        Address::Unix(name) => {
            types::Address { kind: "unix".into(), host: name.to_string(), port: 0 }
        }
    }
}

fn log_level(level: log::Level) -> LogLevel {
    match level {
        log::Level::Error => LogLevel::Error,
        log::Level::Warn => LogLevel::Warn,
        log::Level::Info => LogLevel::Info,
        log::Level::Debug => LogLevel::Debug,
        log::Level::Trace => LogLevel::Trace,
    }
}

fn failure(code: &str, message: impl Into<String>) -> types::Failure {
    types::Failure { code: code.to_owned(), message: message.into() }
}

/// Random bytes that may be asked for at once.
const RANDOM_BYTES: u32 = 4096;
