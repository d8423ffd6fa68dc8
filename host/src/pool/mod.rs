//! Blocking work as a value: threads that do it, or a simulation that does it at once.
//!
//! Files and SQL reach the disk only through it, so a simulated host has no thread and no race.

mod faulty;
mod sim;
mod stop;
mod threads;

pub use faulty::FaultyPool;
pub use sim::SimPool;
pub use stop::{Stop, Stopped};
pub use threads::{Threads, ThreadsHandle};

/// A piece of blocking work. It runs on another thread, and its result comes back to the worker.
pub type Work<T> = Box<dyn FnOnce() -> T + Send>;

/// What the reactor needs of those who do its blocking work.
pub trait Pool<T> {
    /// Hands over `work`, whose result [`Pool::take_done`] will report as `ticket`.
    ///
    /// `Err` gives the ticket's work back undone, where as much as the pool's limit is waiting.
    fn submit(&mut self, ticket: u64, work: Work<T>) -> Result<(), Work<T>>;

    /// Appends what has been done since the last call. A waker ends the reactor's wait before.
    fn take_done(&mut self, done: &mut Vec<(u64, T)>);
}
