//! Threads that do blocking work, shared by the workers.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{Builder, JoinHandle};

use super::{Lane, Pool, Work};

/// Owns the threads, and stops them when it is dropped.
pub struct Threads<T> {
    lanes: Lanes<T>,
    threads: Vec<JoinHandle<()>>,
}

impl<T: Send + 'static> Threads<T> {
    /// Starts `count` threads for each lane, at least one, named `torsade-LANE-N`.
    ///
    /// Each calls `on_start` first. `lost` makes the result of work that panicked, or that was not
    /// begun when the threads stopped. Fails where the system refuses a thread.
    pub fn new(count: impl Fn(Lane) -> usize, on_start: fn(), lost: fn() -> T) -> io::Result<Self> {
        let shared =
            |_| Arc::new(Shared { queue: Mutex::default(), changed: Condvar::new(), lost });
        // From here on an early return stops and joins what has been started.
        let mut threads = Self { lanes: Lane::ALL.map(shared), threads: Vec::new() };
        for lane in Lane::ALL {
            for number in 0..count(lane).max(1) {
                let shared = Arc::clone(&threads.lanes[lane as usize]);
                let builder = Builder::new().name(format!("torsade-{}-{number}", lane.name()));
                threads.threads.push(builder.spawn(move || {
                    on_start();
                    shared.run();
                })?);
            }
        }
        Ok(threads)
    }

    /// A worker's own access. `wake` ends the worker's wait once there is something to take.
    pub fn handle(&self, wake: impl Fn() + Send + Sync + 'static) -> ThreadsHandle<T> {
        let (sender, results) = channel();
        ThreadsHandle {
            lanes: self.lanes.clone(),
            answer: Answer { sender, wake: Arc::new(wake) },
            results,
            under_way: [0; Lane::ALL.len()],
        }
    }
}

impl<T> Drop for Threads<T> {
    /// Waits for the work that has begun. The rest is reported as lost.
    fn drop(&mut self) {
        for (lane, shared) in Lane::ALL.into_iter().zip(&self.lanes) {
            let mut queue = shared.lock();
            queue.closed = true;
            let undone = std::mem::take(&mut queue.tasks);
            drop(queue);
            shared.changed.notify_all();
            for task in undone {
                task.answer.give(lane, task.ticket, (shared.lost)());
            }
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the pool has panicked");
            }
        }
    }
}

/// A worker's access to the [`Threads`].
pub struct ThreadsHandle<T> {
    lanes: Lanes<T>,
    answer: Answer<T>,
    results: Receiver<(Lane, u64, T)>,
    /// How many pieces of work of each lane were submitted and not taken yet.
    under_way: [usize; Lane::ALL.len()],
}

impl<T: Send + 'static> Pool<T> for ThreadsHandle<T> {
    /// Gives the work back, too, where the threads have stopped.
    fn submit(&mut self, lane: Lane, ticket: u64, work: Work<T>) -> Result<(), Work<T>> {
        if self.under_way[lane as usize] == UNDER_WAY_LIMIT {
            return Err(work);
        }
        let shared = &self.lanes[lane as usize];
        let mut queue = shared.lock();
        if queue.closed {
            return Err(work);
        }
        queue.tasks.push_back(Task { lane, ticket, work, answer: self.answer.clone() });
        drop(queue);
        shared.changed.notify_one();
        self.under_way[lane as usize] += 1;
        Ok(())
    }

    fn take_done(&mut self, done: &mut Vec<(u64, T)>) {
        for (lane, ticket, result) in self.results.try_iter() {
            self.under_way[lane as usize] -= 1;
            done.push((ticket, result));
        }
    }
}

type Lanes<T> = [Arc<Shared<T>>; Lane::ALL.len()];

/// How many pieces of work one worker can have under way in a lane, begun or not.
const UNDER_WAY_LIMIT: usize = 1024;

struct Shared<T> {
    queue: Mutex<Queue<T>>,
    /// There is a task, or no more will come.
    changed: Condvar,
    lost: fn() -> T,
}

impl<T> Shared<T> {
    /// Does what is queued, one piece after the other, until the queue is closed.
    fn run(&self) {
        while let Some(Task { lane, ticket, work, answer }) = self.next() {
            // A guard of the work's own state is not needed: whatever it owned is dropped.
            let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
                tracing::error!("work on a thread of the pool has panicked");
                (self.lost)()
            });
            answer.give(lane, ticket, result);
        }
    }

    fn next(&self) -> Option<Task<T>> {
        let idle = |queue: &mut Queue<T>| queue.tasks.is_empty() && !queue.closed;
        let queue = self.changed.wait_while(self.lock(), idle);
        queue.expect(UNPOISONED).tasks.pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().expect(UNPOISONED)
    }
}

const UNPOISONED: &str = "no work runs while the queue is locked, so no panic poisons it";

struct Queue<T> {
    /// At most [`UNDER_WAY_LIMIT`] for each worker.
    tasks: VecDeque<Task<T>>,
    closed: bool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { tasks: VecDeque::new(), closed: false }
    }
}

struct Task<T> {
    lane: Lane,
    ticket: u64,
    work: Work<T>,
    answer: Answer<T>,
}

/// Where the result of a task goes.
struct Answer<T> {
    sender: Sender<(Lane, u64, T)>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl<T> Answer<T> {
    fn give(self, lane: Lane, ticket: u64, result: T) {
        // A worker that is gone misses nothing.
        if self.sender.send((lane, ticket, result)).is_ok() {
            (self.wake)();
        }
    }
}

impl<T> Clone for Answer<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), wake: Arc::clone(&self.wake) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Sender;
    use std::thread;

    use super::*;

    const LOST: u64 = u64::MAX;

    fn threads(count: usize) -> Threads<u64> {
        Threads::new(|_| count, || {}, || LOST).unwrap()
    }

    /// A handle, and what its wake-ups arrive at.
    fn handle(threads: &Threads<u64>) -> (ThreadsHandle<u64>, Receiver<()>) {
        let (wake, woken) = channel();
        (threads.handle(move || _ = wake.send(())), woken)
    }

    fn take(
        handle: &mut ThreadsHandle<u64>,
        woken: &Receiver<()>,
        count: usize,
    ) -> Vec<(u64, u64)> {
        let mut done = Vec::new();
        while done.len() < count {
            woken.recv().unwrap();
            handle.take_done(&mut done);
        }
        done.sort_unstable();
        done
    }

    /// Work that begins, says so, and ends when told to.
    fn gate() -> (Work<u64>, Receiver<()>, Sender<()>) {
        let ((begun, has_begun), (open, opened)) = (channel(), channel());
        let work = move || {
            begun.send(()).unwrap();
            opened.recv().unwrap();
            1
        };
        (Box::new(work), has_begun, open)
    }

    #[test]
    fn work_is_done_elsewhere_and_each_worker_gets_its_own() {
        let threads = threads(3);
        let ((mut one, one_woken), (mut two, two_woken)) = (handle(&threads), handle(&threads));
        for ticket in 0..50 {
            assert!(one.submit(Lane::Files, ticket, Box::new(move || ticket + 1)).is_ok());
            assert!(two.submit(Lane::Files, ticket, Box::new(move || ticket + 2)).is_ok());
        }
        let expect = |add| (0..50).map(|ticket| (ticket, ticket + add)).collect::<Vec<_>>();
        assert_eq!(take(&mut one, &one_woken, 50), expect(1));
        assert_eq!(take(&mut two, &two_woken, 50), expect(2));
    }

    #[test]
    fn what_hangs_in_one_lane_keeps_no_other_waiting() {
        let threads = threads(1);
        let (mut handle, woken) = handle(&threads);
        let (hanging, has_begun, open) = gate();
        assert!(handle.submit(Lane::Names, 1, hanging).is_ok());
        has_begun.recv().unwrap();
        for (lane, ticket) in [(Lane::Files, 2), (Lane::Jobs, 3), (Lane::Sql, 4)] {
            assert!(handle.submit(lane, ticket, Box::new(|| 0)).is_ok());
        }
        assert_eq!(take(&mut handle, &woken, 3), [(2, 0), (3, 0), (4, 0)]);
        open.send(()).unwrap();
        assert_eq!(take(&mut handle, &woken, 1), [(1, 1)]);
    }

    #[test]
    fn threads_have_names() {
        let threads = threads(1);
        let (mut handle, woken) = handle(&threads);
        let named = || u64::from(thread::current().name() == Some("torsade-files-0"));
        assert!(handle.submit(Lane::Files, 5, Box::new(named)).is_ok());
        assert_eq!(take(&mut handle, &woken, 1), [(5, 1)]);
    }

    #[test]
    fn a_panic_is_reported_and_the_thread_goes_on() {
        let threads = threads(1);
        let (mut handle, woken) = handle(&threads);
        assert!(handle.submit(Lane::Files, 1, Box::new(|| panic!("on purpose"))).is_ok());
        assert!(handle.submit(Lane::Files, 2, Box::new(|| 20)).is_ok());
        assert_eq!(take(&mut handle, &woken, 2), [(1, LOST), (2, 20)]);
    }

    #[test]
    fn what_is_beyond_the_limit_comes_back_until_results_are_taken() {
        let threads = threads(1);
        let (mut handle, woken) = handle(&threads);
        for ticket in 0..UNDER_WAY_LIMIT as u64 {
            assert!(handle.submit(Lane::Files, ticket, Box::new(|| 0)).is_ok());
        }
        assert_eq!(handle.submit(Lane::Files, 0, Box::new(|| 7)).err().map(|work| work()), Some(7));
        take(&mut handle, &woken, UNDER_WAY_LIMIT);
        assert!(handle.submit(Lane::Files, 0, Box::new(|| 7)).is_ok());
    }

    #[test]
    fn stopping_waits_for_what_has_begun_and_gives_the_rest_up() {
        let threads = threads(1);
        let (mut handle, woken) = handle(&threads);
        let (work, has_begun, open) = gate();
        assert!(handle.submit(Lane::Files, 1, work).is_ok());
        assert!(handle.submit(Lane::Files, 2, Box::new(|| 2)).is_ok());
        has_begun.recv().unwrap();
        let stopping = thread::spawn(move || drop(threads));
        // The second piece is given up at once; only then may the first one end.
        assert_eq!(take(&mut handle, &woken, 1), [(2, LOST)]);
        open.send(()).unwrap();
        stopping.join().unwrap();
        assert_eq!(take(&mut handle, &woken, 1), [(1, 1)]);
        assert_eq!(handle.submit(Lane::Files, 3, Box::new(|| 3)).err().map(|work| work()), Some(3));
    }
}
