//! `transports`: facts of a connection, and wishes for it.

use wasmtime::Result;
use wasmtime::component::Resource;

use super::super::bindings::torsade::plugin::{transports, types};
use super::super::outbox::{Effect, Guest, TransportHandle};
use super::{Done, address, failure};
use crate::capability::Address;

impl transports::Host for Guest {}

impl transports::HostTransport for Guest {
    /// Shadowed by [`super::hot`], which copies the bytes once less.
    fn write(&mut self, this: Resource<TransportHandle>, data: Vec<u8>) -> Result<()> {
        self.may_write(data.len())?;
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

impl Guest {
    /// Records that the outbox' bytes from `start` are for `conn`.
    pub(in crate::plugin) fn wrote(
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

fn closed() -> types::Failure {
    failure("closed", "the transport is closed, or closing")
}
