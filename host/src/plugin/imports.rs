//! What a plugin can call: facts, wishes and questions. None of them reaches beyond its store.

use rand::Rng;
use wasmtime::component::Resource;
use wasmtime::{Result, bail};

use super::bindings::torsade::plugin::{
    clock, deferreds, files, log, random, timers, transports, types,
};
use super::outbox::{
    Address, Effect, FileHandle, Guest, LOG_LINE_BYTES, LOG_LINES, LogLevel, LogLine,
    OutcomeHandle, PendingHandle, TransportHandle,
};
use crate::capability::files::{Kind, Metadata};
use crate::capability::{Failure, Outcome};

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
    fn write(&mut self, level: log::Level, mut message: String) -> Result<()> {
        let (level, lent) = (log_level(level), self.lent());
        if level > lent.log_level {
            return Ok(());
        }
        if lent.log.len() >= LOG_LINES {
            lent.log_lost += 1;
            return Ok(());
        }
        message.truncate(message.floor_char_boundary(LOG_LINE_BYTES));
        lent.log.push(LogLine { level, message });
        Ok(())
    }

    fn enabled(&mut self, level: log::Level) -> Result<bool> {
        Ok(log_level(level) <= self.lent().log_level)
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
        self.outcomes.take(&this)?;
        Ok(())
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
        Ok(match self.outcomes.take(&of)?.0 {
            Outcome::Elapsed => Ok(()),
            other => Err(not_wanted(other, "a timer")),
        })
    }
}

impl transports::Host for Guest {}

impl transports::HostTransport for Guest {
    /// Shadowed by [`super::hot`], which copies the bytes once less.
    fn write(&mut self, this: Resource<TransportHandle>, data: Vec<u8>) -> Result<()> {
        self.fits(data.len())?;
        let conn = self.transports.get(&this)?.conn;
        let lent = self.lent();
        let start = lent.bytes.len();
        lent.bytes.extend_from_slice(&data);
        self.wrote(&this, conn, start)
    }

    fn lose_connection(&mut self, this: Resource<TransportHandle>) -> Result<()> {
        let handle = self.transports.get_mut(&this)?;
        handle.open = false;
        let conn = handle.conn;
        self.record(Effect::Lose { conn })
    }

    fn abort_connection(&mut self, this: Resource<TransportHandle>) -> Result<()> {
        let handle = self.transports.get_mut(&this)?;
        handle.open = false;
        let conn = handle.conn;
        self.record(Effect::Abort { conn })
    }

    fn lose_write_connection(&mut self, this: Resource<TransportHandle>) -> Result<Done> {
        let handle = self.transports.get(&this)?;
        if !handle.open {
            return Ok(Err(closed()));
        }
        let conn = handle.conn;
        self.record(Effect::LoseWrite { conn })?;
        Ok(Ok(()))
    }

    fn pause_producing(&mut self, this: Resource<TransportHandle>) -> Result<()> {
        let conn = self.transports.get(&this)?.conn;
        self.record(Effect::Pause { conn })
    }

    fn resume_producing(&mut self, this: Resource<TransportHandle>) -> Result<()> {
        let conn = self.transports.get(&this)?.conn;
        self.record(Effect::Resume { conn })
    }

    fn room(&mut self, this: Resource<TransportHandle>) -> Result<u64> {
        Ok(self.transports.get(&this)?.room)
    }

    fn local_address(&mut self, this: Resource<TransportHandle>) -> Result<types::Address> {
        Ok(address(&self.transports.get(&this)?.local))
    }

    fn peer_address(&mut self, this: Resource<TransportHandle>) -> Result<types::Address> {
        Ok(address(&self.transports.get(&this)?.peer))
    }

    fn set_no_delay(&mut self, this: Resource<TransportHandle>, on: bool) -> Result<Done> {
        self.set_tcp(&this, |conn| Effect::NoDelay { conn, on })
    }

    fn set_keep_alive(&mut self, this: Resource<TransportHandle>, on: bool) -> Result<Done> {
        self.set_tcp(&this, |conn| Effect::KeepAlive { conn, on })
    }

    fn drop(&mut self, this: Resource<TransportHandle>) -> Result<()> {
        self.transports.take(&this)?;
        Ok(())
    }
}

impl files::Host for Guest {
    /// Shadowed by [`super::hot`].
    fn open(&mut self, path: String) -> Result<Asked> {
        self.ask_about(&path, |id, path| Effect::Open { id, path })
    }

    fn opened(
        &mut self,
        of: Resource<OutcomeHandle>,
    ) -> Result<Result<Resource<FileHandle>, types::Failure>> {
        match self.outcomes.take(&of)?.0 {
            Outcome::File(file) => {
                self.may_hold_another()?;
                Ok(Ok(self.files.push(FileHandle(file))))
            }
            other => Ok(Err(not_wanted(other, "an opened file"))),
        }
    }

    fn list(&mut self, path: String) -> Result<Asked> {
        self.ask_about(&path, |id, path| Effect::List { id, path })
    }

    fn listed(
        &mut self,
        of: Resource<OutcomeHandle>,
    ) -> Result<Result<Vec<files::Entry>, types::Failure>> {
        Ok(match self.outcomes.take(&of)?.0 {
            Outcome::Entries(entries) => Ok(entries
                .into_iter()
                .map(|entry| files::Entry { name: entry.name, metadata: metadata(&entry.metadata) })
                .collect()),
            other => Err(not_wanted(other, "a listed folder")),
        })
    }
}

impl files::HostFile for Guest {
    fn metadata(&mut self, this: Resource<FileHandle>) -> Result<files::Metadata> {
        Ok(metadata(&self.files.get(&this)?.0.metadata))
    }

    fn content(&mut self, this: Resource<FileHandle>) -> Result<Option<Vec<u8>>> {
        Ok(self.files.get(&this)?.0.content.as_deref().map(<[u8]>::to_vec))
    }

    fn send(
        &mut self,
        this: Resource<FileHandle>,
        to: Resource<TransportHandle>,
        offset: u64,
        length: u64,
    ) -> Result<Done> {
        let file = &self.files.get(&this)?.0;
        if file.metadata.kind == Kind::Folder {
            return Ok(Err(failure("unsupported", "a folder has no bytes to send")));
        }
        let size = file.metadata.size;
        if offset.checked_add(length).is_none_or(|end| end > size) {
            let message = format!("{length} bytes from {offset} end beyond the {size} of the file");
            return Ok(Err(failure("limit", message)));
        }
        let (file, conn) = (file.clone(), self.transports.get(&to)?.conn);
        self.record(Effect::SendFile { conn, file, offset, length })?;
        Ok(Ok(()))
    }

    fn drop(&mut self, this: Resource<FileHandle>) -> Result<()> {
        self.files.take(&this)?;
        Ok(())
    }
}

impl Guest {
    /// Records that the outbox' bytes from `start` are for `conn`.
    pub(super) fn wrote(
        &mut self,
        this: &Resource<TransportHandle>,
        conn: u64,
        start: usize,
    ) -> Result<()> {
        let lent = self.lent();
        let end = lent.bytes.len();
        // Writes in a row are one effect.
        match lent.effects.last_mut() {
            Some(Effect::Write { conn: last, data }) if *last == conn && data.end == start => {
                data.end = end;
            }
            _ => self.record(Effect::Write { conn, data: start..end })?,
        }
        let handle = self.transports.get_mut(this)?;
        handle.room = handle.room.saturating_sub((end - start) as u64);
        Ok(())
    }

    /// Asks a question whose answer `effect` will bring.
    pub(super) fn ask(&mut self, effect: impl FnOnce(u64) -> Effect) -> Result<Asked> {
        self.may_hold_another()?;
        let Some(id) = self.next_deferred() else {
            let most = self.limits.deferreds;
            let message = format!("limits.deferreds: {most} are in flight");
            return Ok(Err(failure("limit", message)));
        };
        self.record(effect(id))?;
        Ok(Ok(self.deferreds.push(PendingHandle(id))))
    }

    /// Asks a question about a path.
    pub(super) fn ask_about(
        &mut self,
        path: &str,
        effect: impl FnOnce(u64, std::ops::Range<usize>) -> Effect,
    ) -> Result<Asked> {
        self.fits(path.len())?;
        let lent = self.lent();
        let start = lent.bytes.len();
        lent.bytes.extend_from_slice(path.as_bytes());
        let range = start..lent.bytes.len();
        self.ask(|id| effect(id, range))
    }

    fn set_tcp(
        &mut self,
        this: &Resource<TransportHandle>,
        effect: impl FnOnce(u64) -> Effect,
    ) -> Result<Done> {
        let handle = self.transports.get(this)?;
        if !matches!(handle.peer, Address::Tcp(..)) {
            return Ok(Err(failure("unsupported", "the transport is not TCP")));
        }
        if !handle.open {
            return Ok(Err(closed()));
        }
        let conn = handle.conn;
        self.record(effect(conn))?;
        Ok(Ok(()))
    }
}

/// What a question returns at once.
pub(super) type Asked = std::result::Result<Resource<PendingHandle>, types::Failure>;

/// What a wish returns that can be refused.
type Done = std::result::Result<(), types::Failure>;

fn address(address: &Address) -> types::Address {
    match address {
        Address::Tcp(ip, port) => {
            types::Address { kind: "tcp".into(), host: ip.to_string(), port: *port }
        }
        Address::Unix(name) => {
            types::Address { kind: "unix".into(), host: name.to_string(), port: 0 }
        }
    }
}

fn metadata(metadata: &Metadata) -> files::Metadata {
    files::Metadata {
        kind: match metadata.kind {
            Kind::Folder => files::Kind::Folder,
            Kind::Regular => files::Kind::Regular,
        },
        size: metadata.size,
        modified: types::Datetime {
            seconds: metadata.modified.0,
            nanoseconds: metadata.modified.1,
        },
        inode: metadata.inode,
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

/// The failure of an outcome that isn't the value that was asked for.
fn not_wanted(outcome: Outcome, wanted: &str) -> types::Failure {
    match outcome {
        Outcome::Failed(Failure { code, message }) => failure(code, message),
        _ => failure("wrong-kind", format!("the outcome is not that of {wanted}")),
    }
}

fn closed() -> types::Failure {
    failure("closed", "the transport is closed, or closing")
}

fn failure(code: &str, message: impl Into<String>) -> types::Failure {
    types::Failure { code: code.to_owned(), message: message.into() }
}

/// Random bytes that may be asked for at once.
const RANDOM_BYTES: u32 = 4096;
