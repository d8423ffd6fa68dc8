//! Blocking work as a value: threads that do it, or a simulation that does it at once.
//!
//! Files and SQL reach the disk only through it, so a simulated host has no thread and no race.

mod faulty;
mod sim;
mod stop;
mod threads;
mod turns;

use std::sync::Arc;

pub use faulty::FaultyPool;
pub use sim::SimPool;
pub use stop::{Stop, Stopped};
pub use threads::{Crew, Gauge, Load, Threads, ThreadsHandle};

/// A piece of blocking work. It runs on another thread, and its result comes back to the worker.
pub type Work<T> = Box<dyn FnOnce() -> T + Send>;

/// What a piece of work mostly waits for. Each lane has threads of its own, so that what hangs in
/// one keeps no other waiting.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Lane {
    /// The file system.
    Files,
    /// The processor.
    Jobs,
    /// Hashes of passwords, which take the processor and much memory.
    Logins,
    /// Name servers.
    Names,
    /// Databases that are read.
    Reads,
    /// Databases that are written: each by one at a time, so a second would only wait.
    Writes,
}

impl Lane {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Files, Self::Jobs, Self::Logins, Self::Names, Self::Reads, Self::Writes];

    /// Its name, for its threads.
    pub fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Jobs => "jobs",
            Self::Logins => "logins",
            Self::Names => "names",
            Self::Reads => "reads",
            Self::Writes => "writes",
        }
    }
}

/// What the reactor needs of those who do its blocking work.
pub trait Pool<T> {
    /// Hands over `work`, whose result [`Pool::take_done`] will report as `ticket`. It is done on
    /// behalf of `service`, which is the same for all workers: services take turns.
    ///
    /// `Err` gives the ticket's work back undone, where as much is under way for the service as the
    /// lane lets it have.
    fn submit(
        &mut self,
        lane: Lane,
        service: &Arc<str>,
        ticket: u64,
        work: Work<T>,
    ) -> Result<(), Work<T>>;

    /// Appends what has been done since the last call. A waker ends the reactor's wait before.
    fn take_done(&mut self, done: &mut Vec<(u64, T)>);
}

/// How many pieces of work, begun or not, a worker may have in a lane on behalf of one service.
const UNDER_WAY_LIMIT: usize = 1024;
