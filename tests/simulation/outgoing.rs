//! What is known of connections and listeners that plugins asked for, and the promises about them.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, ensure};
use torsade::net::Address;
use torsade::reactor::{Counts, Seen};

/// All of them.
#[derive(Default)]
pub(crate) struct Outgoing {
    /// By the number of the deferred.
    dials: HashMap<u64, Dial>,
    /// By the number of the connection, its dial's.
    dialled: HashMap<u64, u64>,
    /// By the listener's number, so that a seed finds the same each time.
    listening: BTreeMap<u64, (u64, Address)>,
}

struct Dial {
    life: u64,
    conn: Option<u64>,
    reported: bool,
    /// It was given up before it was reported.
    unwanted: bool,
}

impl Outgoing {
    pub(crate) fn dials(&mut self, life: u64, id: u64) -> Result<()> {
        let dial = Dial { life, conn: None, reported: false, unwanted: false };
        ensure!(self.dials.insert(id, dial).is_none(), "deferred {id} dials twice");
        Ok(())
    }

    pub(crate) fn dialled(&mut self, life: u64, id: u64, conn: u64) -> Result<()> {
        let dial = self.dials.get_mut(&id).context("a connection that nobody asked for")?;
        ensure!(dial.life == life, "deferred {id} belongs to another life");
        ensure!(!dial.reported && !dial.unwanted, "nobody wants the connection any more");
        ensure!(dial.conn.replace(conn).is_none(), "a second connection for one deferred");
        self.dialled.insert(conn, id);
        Ok(())
    }

    pub(crate) fn is_dialled(&self, conn: u64) -> bool {
        self.dialled.contains_key(&conn)
    }

    /// A deferred, of whatever kind, was reported or given up. `is_built` says whether there is a
    /// protocol.
    pub(crate) fn answered(&mut self, seen: &Seen, is_built: impl Fn(u64) -> bool) -> Result<()> {
        let (Seen::Cancelled { id, .. } | Seen::Fired { id, .. } | Seen::Forgotten { id, .. }) =
            seen
        else {
            return Ok(());
        };
        let Some(dial) = self.dials.get_mut(id) else { return Ok(()) };
        let built = dial.conn.is_some_and(is_built);
        match seen {
            Seen::Fired { failure: None, .. } => {
                ensure!(built, "{id} is connected, and no protocol was built");
                dial.reported = true;
            }
            Seen::Fired { .. } => {
                ensure!(!built || dial.unwanted, "{id} was connected: {seen:?}");
                dial.reported = true;
            }
            _ => dial.unwanted = true,
        }
        Ok(())
    }

    pub(crate) fn listening(&mut self, life: u64, listener: u64, address: &Address) {
        self.listening.insert(listener, (life, address.clone()));
    }

    pub(crate) fn stopped_listening(&mut self, listener: u64) {
        self.listening.remove(&listener);
    }

    pub(crate) fn listening_at(&self) -> Vec<Address> {
        self.listening.values().map(|(_, address)| address.clone()).collect()
    }

    pub(crate) fn life_ended(&mut self, life: u64) {
        self.dials.retain(|_, dial| dial.life != life);
    }

    /// Holds the limits. `is_open` says whether a connection is there, and not being aborted.
    pub(crate) fn within(
        &self,
        counts: &Counts,
        most: usize,
        is_open: impl Fn(u64) -> bool,
    ) -> Result<()> {
        let mut open: HashMap<u64, usize> = HashMap::new();
        for (id, dial) in &self.dials {
            if dial.conn.is_some_and(&is_open) {
                *open.entry(dial.life).or_default() += 1;
                let wanted = !dial.unwanted || counts.queued > 0;
                ensure!(wanted, "the connection of {id} is open, and {id} was given up");
            }
        }
        let largest = open.values().copied().max().unwrap_or_default();
        ensure!(largest <= most, "a life has dialled {largest} connections, and {most} may be");
        let (counted, all) = (open.values().sum::<usize>(), counts.outgoing);
        ensure!(counted <= all, "{counted} dialled connections are open, and {all} count");
        ensure!(all <= most * counts.lives, "{all} are dialled by {} lives", counts.lives);
        let mut listeners: HashMap<u64, usize> = HashMap::new();
        for (life, _) in self.listening.values() {
            *listeners.entry(*life).or_default() += 1;
        }
        let largest = listeners.values().copied().max().unwrap_or_default();
        ensure!(largest <= most, "a life has {largest} listeners, and {most} may be");
        Ok(())
    }
}
