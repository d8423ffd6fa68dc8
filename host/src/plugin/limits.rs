//! What one sandbox may use.

use std::time::Duration;

use wasmtime::{ResourceLimiter, Result};

/// The limits of a plugin and of each of its instances. Each is a key of `limits` in `torsade.toml`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes, summed over the store's linear memories.
    pub memory: usize,
    /// Elements, summed over the store's tables.
    pub table_elements: usize,
    /// The thread's CPU time that one event may take.
    pub deadline: Duration,
    /// The thread's CPU time that `start` may take.
    pub start_deadline: Duration,
    /// Deferreds that have not fired yet.
    pub deferreds: usize,
    /// Handles of the host's that the instance holds: transports, deferreds, outcomes, files and
    /// listeners.
    pub handles: usize,
    /// Bytes that one event may leave in the outbox.
    pub outbox: usize,
    /// Bytes that one `write` may pass.
    pub write: usize,
    /// How long compiling the component may take.
    pub compile_time: Duration,
    /// Wishes and questions that one event may leave in the outbox.
    pub effects: usize,
}

/// Counts what a store uses, and says no at the limit.
#[derive(Debug)]
pub(crate) struct Usage {
    memory: usize,
    memory_limit: usize,
    table_elements: usize,
    table_limit: usize,
    /// The key of the limit that was reached first in the event that runs.
    pub(crate) reached: Option<&'static str>,
}

impl Usage {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            memory: 0,
            memory_limit: limits.memory,
            table_elements: 0,
            table_limit: limits.table_elements,
            reached: None,
        }
    }

    /// Bytes of all linear memories.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }
}

impl ResourceLimiter for Usage {
    fn memory_growing(&mut self, now: usize, wanted: usize, _: Option<usize>) -> Result<bool> {
        let sum = self.memory.saturating_add(wanted.saturating_sub(now));
        if sum > self.memory_limit {
            self.reached.get_or_insert("memory");
            return Ok(false);
        }
        self.memory = sum;
        Ok(true)
    }

    fn table_growing(&mut self, now: usize, wanted: usize, _: Option<usize>) -> Result<bool> {
        let sum = self.table_elements.saturating_add(wanted.saturating_sub(now));
        if sum > self.table_limit {
            self.reached.get_or_insert("table-elements");
            return Ok(false);
        }
        self.table_elements = sum;
        Ok(true)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}

/// Core instances of one component. One made from a Rust crate has three.
pub(crate) const CORE_INSTANCES: usize = 8;

/// Tables of one component. One made by `torsade build` has one, others have two or three.
pub(crate) const TABLES: usize = 8;

/// Linear memories of one component. One made from a Rust crate has one.
pub(crate) const MEMORIES: usize = 2;
