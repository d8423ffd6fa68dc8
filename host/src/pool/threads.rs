//! Threads that do blocking work, shared by the workers.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{Builder, JoinHandle};

use super::turns::Turns;
use super::{Lane, Pool, UNDER_WAY_LIMIT, Work};

/// The threads of a lane. Those that only wait cost little.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Crew {
    /// One for each service that uses the lane, so that none waits for another's work.
    pub services: usize,
    /// How many more there are, which the services share in turns.
    pub shared: usize,
}

/// Owns the threads, and stops them when it is dropped.
pub struct Threads<T> {
    lanes: Lanes<T>,
    threads: Vec<(Lane, JoinHandle<()>)>,
    on_start: fn(Lane),
}

impl<T: Send + 'static> Threads<T> {
    /// Starts the threads of each lane, at least one, named `torsade-LANE-N`.
    ///
    /// Each calls `on_start` first, with its lane. `lost` makes the result of work that panicked, or
    /// that was not begun when the threads stopped. Fails where the system refuses a thread.
    pub fn new(
        crew: impl Fn(Lane) -> Crew,
        on_start: fn(Lane),
        lost: fn() -> T,
    ) -> io::Result<Self> {
        let shared = |_| {
            let queue = Queue { tasks: Turns::new(0), threads: 0, closed: false };
            Arc::new(Shared { queue: Mutex::new(queue), changed: Condvar::new(), lost })
        };
        // From here on an early return stops and joins what has been started.
        let mut threads = Self { lanes: Lane::ALL.map(shared), threads: Vec::new(), on_start };
        threads.grow(crew)?;
        Ok(threads)
    }

    /// Starts the threads that a lane has too few of for such a crew. None is ended that is one too
    /// many: it only waits.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub fn grow(&mut self, crew: impl Fn(Lane) -> Crew) -> io::Result<()> {
        for lane in Lane::ALL {
            let Crew { services, shared } = crew(lane);
            let there = self.threads.iter().filter(|(of, _)| *of == lane).count();
            for number in there..(services + shared).max(1) {
                let lanes = Arc::clone(&self.lanes[lane as usize]);
                let builder = Builder::new().name(format!("torsade-{}-{number}", lane.name()));
                let on_start = self.on_start;
                let thread = builder.spawn(move || {
                    on_start(lane);
                    lanes.run(lane);
                })?;
                self.threads.push((lane, thread));
            }
            let mut queue = self.lanes[lane as usize].lock();
            queue.threads = self.threads.iter().filter(|(of, _)| *of == lane).count();
            queue.tasks.share(shared);
        }
        Ok(())
    }

    /// A worker's own access. `wake` ends the worker's wait once there is something to take.
    pub fn handle(&self, wake: impl Fn() + Send + Sync + 'static) -> ThreadsHandle<T> {
        let (sender, results) = channel();
        ThreadsHandle {
            lanes: self.lanes.clone(),
            answer: Answer { sender, wake: Arc::new(wake) },
            results,
            under_way: HashMap::new(),
        }
    }
}

impl<T> Threads<T> {
    /// A look at what the threads do, for who watches them from outside.
    pub fn gauge(&self) -> Gauge<T> {
        Gauge(self.lanes.clone())
    }
}

/// Tells what the [`Threads`] do.
pub struct Gauge<T>(Lanes<T>);

/// What the threads of a lane do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Load {
    /// The lane.
    pub lane: Cow<'static, str>,
    /// How many threads it has.
    pub threads: u64,
    /// How many of them work.
    pub busy: u64,
    /// How many pieces of work wait for one.
    pub waiting: u64,
}

impl<T> Gauge<T> {
    /// What the threads of each lane do now.
    pub fn read(&self) -> Vec<Load> {
        let load = |(lane, shared): (Lane, &Arc<Shared<T>>)| {
            let queue = shared.lock();
            let (busy, waiting) = queue.tasks.load();
            let [threads, busy, waiting] = [queue.threads, busy, waiting].map(|n| n as u64);
            Load { lane: Cow::Borrowed(lane.name()), threads, busy, waiting }
        };
        Lane::ALL.into_iter().zip(&self.0).map(load).collect()
    }
}

impl<T> Drop for Threads<T> {
    /// Waits for the work that has begun, but for lookups: nothing can end one that hangs, and
    /// nothing is lost with it. The rest is reported as lost.
    fn drop(&mut self) {
        for (lane, shared) in Lane::ALL.into_iter().zip(&self.lanes) {
            let mut queue = shared.lock();
            queue.closed = true;
            let undone = queue.tasks.take_waiting();
            drop(queue);
            shared.changed.notify_all();
            for (service, task) in undone {
                task.answer.give((lane, service), task.ticket, (shared.lost)());
            }
        }
        for (lane, thread) in self.threads.drain(..) {
            if lane != Lane::Names && thread.join().is_err() {
                tracing::error!("a thread of the pool has panicked");
            }
        }
    }
}

/// A worker's access to the [`Threads`].
pub struct ThreadsHandle<T> {
    lanes: Lanes<T>,
    answer: Answer<T>,
    results: Receiver<(Place, u64, T)>,
    /// How many pieces of work were submitted and not taken yet: at most [`UNDER_WAY_LIMIT`] of a
    /// place.
    under_way: HashMap<Place, usize>,
}

impl<T: Send + 'static> Pool<T> for ThreadsHandle<T> {
    /// Gives the work back, too, where the threads have stopped.
    fn submit(
        &mut self,
        lane: Lane,
        service: &Arc<str>,
        ticket: u64,
        work: Work<T>,
    ) -> Result<(), Work<T>> {
        let under_way = self.under_way.entry((lane, Arc::clone(service))).or_default();
        if *under_way == UNDER_WAY_LIMIT {
            return Err(work);
        }
        let shared = &self.lanes[lane as usize];
        let mut queue = shared.lock();
        if queue.closed {
            return Err(work);
        }
        queue.tasks.push(service, Task { ticket, work, answer: self.answer.clone() });
        drop(queue);
        shared.changed.notify_one();
        *under_way += 1;
        Ok(())
    }

    fn take_done(&mut self, done: &mut Vec<(u64, T)>) {
        for (place, ticket, result) in self.results.try_iter() {
            if let Some(under_way) = self.under_way.get_mut(&place) {
                *under_way -= 1;
            }
            done.push((ticket, result));
        }
    }
}

type Lanes<T> = [Arc<Shared<T>>; Lane::ALL.len()];

/// A lane, and the service that uses it.
type Place = (Lane, Arc<str>);

struct Shared<T> {
    queue: Mutex<Queue<T>>,
    /// There is a task, or no more will come.
    changed: Condvar,
    lost: fn() -> T,
}

impl<T> Shared<T> {
    /// Does what is queued, one piece after the other, until the queue is closed.
    fn run(&self, lane: Lane) {
        while let Some((service, Task { ticket, work, answer })) = self.next() {
            // A guard of the work's own state is not needed: whatever it owned is dropped.
            let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
                tracing::error!("work on a thread of the pool has panicked");
                (self.lost)()
            });
            // This thread looks for more at once, so nobody has to be woken for what may begin now.
            self.lock().tasks.ended(&service);
            answer.give((lane, service), ticket, result);
        }
    }

    /// Waits for a task that may begin; `None` once the queue is closed.
    fn next(&self) -> Option<(Arc<str>, Task<T>)> {
        let mut queue = self.lock();
        loop {
            let next = queue.tasks.next();
            if next.is_some() || queue.closed {
                return next;
            }
            queue = self.changed.wait(queue).expect(UNPOISONED);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().expect(UNPOISONED)
    }
}

const UNPOISONED: &str = "no work runs while the queue is locked, so no panic poisons it";

struct Queue<T> {
    tasks: Turns<Task<T>>,
    /// How many threads take from it.
    threads: usize,
    closed: bool,
}

struct Task<T> {
    ticket: u64,
    work: Work<T>,
    answer: Answer<T>,
}

/// Where the result of a task goes.
struct Answer<T> {
    sender: Sender<(Place, u64, T)>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl<T> Answer<T> {
    fn give(self, place: Place, ticket: u64, result: T) {
        // A worker that is gone misses nothing.
        if self.sender.send((place, ticket, result)).is_ok() {
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

    /// One thread for one service, and `shared` that all share.
    fn threads(shared: usize) -> Threads<u64> {
        crew(1, shared)
    }

    fn crew(services: usize, shared: usize) -> Threads<u64> {
        Threads::new(|_| Crew { services, shared }, |_| {}, || LOST).unwrap()
    }

    fn submit(
        to: &mut ThreadsHandle<u64>,
        service: &str,
        ticket: u64,
        work: impl FnOnce() -> u64 + Send + 'static,
    ) -> Result<(), Work<u64>> {
        to.submit(Lane::Files, &service.into(), ticket, Box::new(work))
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
        let threads = threads(2);
        let ((mut one, one_woken), (mut two, two_woken)) = (handle(&threads), handle(&threads));
        for ticket in 0..50 {
            assert!(submit(&mut one, "a", ticket, move || ticket + 1).is_ok());
            assert!(submit(&mut two, "a", ticket, move || ticket + 2).is_ok());
        }
        let expect = |add| (0..50).map(|ticket| (ticket, ticket + add)).collect::<Vec<_>>();
        assert_eq!(take(&mut one, &one_woken, 50), expect(1));
        assert_eq!(take(&mut two, &two_woken, 50), expect(2));
    }

    #[test]
    fn what_hangs_in_one_lane_keeps_no_other_waiting() {
        let threads = threads(0);
        let (mut handle, woken) = handle(&threads);
        let (hanging, has_begun, open) = gate();
        assert!(handle.submit(Lane::Names, &"a".into(), 1, hanging).is_ok());
        has_begun.recv().unwrap();
        for (lane, ticket) in [(Lane::Files, 2), (Lane::Jobs, 3), (Lane::Reads, 4)] {
            assert!(handle.submit(lane, &"a".into(), ticket, Box::new(|| 0)).is_ok());
        }
        assert_eq!(take(&mut handle, &woken, 3), [(2, 0), (3, 0), (4, 0)]);
        let names = threads.gauge().read().swap_remove(Lane::Names as usize);
        let wanted = Load { lane: "names".into(), threads: 1, busy: 1, waiting: 0 };
        assert_eq!(names, wanted);
        open.send(()).unwrap();
        assert_eq!(take(&mut handle, &woken, 1), [(1, 1)]);
    }

    #[test]
    fn a_service_whose_work_hangs_keeps_no_other_waiting() {
        let threads = crew(3, 2);
        let (mut handle, woken) = handle(&threads);
        let hostile = ["one", "two"];
        let gates: Vec<_> = hostile
            .into_iter()
            .flat_map(|service| (0..4).map(move |_| service))
            .map(|service| {
                let (hanging, has_begun, open) = gate();
                assert!(submit(&mut handle, service, 0, hanging).is_ok());
                (has_begun, open)
            })
            .collect();
        // All threads but the third service's own are held, and more waits for them.
        for (has_begun, _) in [&gates[0], &gates[4]] {
            has_begun.recv().unwrap();
        }
        for ticket in 1..=20 {
            assert!(submit(&mut handle, "three", ticket, move || ticket).is_ok());
        }
        assert_eq!(take(&mut handle, &woken, 20), (1..=20).map(|n| (n, n)).collect::<Vec<_>>());
        for (_, open) in &gates {
            open.send(()).unwrap();
        }
        assert_eq!(take(&mut handle, &woken, 8), [(0, 1); 8]);
    }

    #[test]
    fn threads_have_names() {
        let threads = threads(0);
        let (mut handle, woken) = handle(&threads);
        let named = || u64::from(thread::current().name() == Some("torsade-files-0"));
        assert!(submit(&mut handle, "a", 5, named).is_ok());
        assert_eq!(take(&mut handle, &woken, 1), [(5, 1)]);
    }

    #[test]
    fn a_crew_that_grows_serves_another_service() {
        let mut threads = threads(0);
        let (mut handle, woken) = handle(&threads);
        let (hanging, has_begun, open) = gate();
        assert!(submit(&mut handle, "a", 1, hanging).is_ok());
        has_begun.recv().unwrap();
        assert!(submit(&mut handle, "b", 2, || 2).is_ok());
        threads.grow(|_| Crew { services: 2, shared: 0 }).unwrap();
        assert_eq!(take(&mut handle, &woken, 1), [(2, 2)]);
        open.send(()).unwrap();
        assert_eq!(take(&mut handle, &woken, 1), [(1, 1)]);
    }

    #[test]
    fn a_panic_is_reported_and_the_thread_goes_on() {
        let threads = threads(0);
        let (mut handle, woken) = handle(&threads);
        assert!(submit(&mut handle, "a", 1, || panic!("on purpose")).is_ok());
        assert!(submit(&mut handle, "a", 2, || 20).is_ok());
        assert_eq!(take(&mut handle, &woken, 2), [(1, LOST), (2, 20)]);
    }

    #[test]
    fn what_is_beyond_a_services_limit_comes_back_until_results_are_taken() {
        let threads = crew(2, 0);
        let (mut handle, woken) = handle(&threads);
        for ticket in 0..UNDER_WAY_LIMIT as u64 {
            assert!(submit(&mut handle, "a", ticket, || 0).is_ok());
        }
        let refused = submit(&mut handle, "a", 0, || 7);
        assert_eq!(refused.err().map(|work| work()), Some(7));
        assert!(submit(&mut handle, "b", 0, || 0).is_ok());
        take(&mut handle, &woken, UNDER_WAY_LIMIT + 1);
        assert!(submit(&mut handle, "a", 0, || 7).is_ok());
    }

    #[test]
    fn stopping_waits_for_what_has_begun_and_gives_the_rest_up() {
        let threads = threads(0);
        let (mut handle, woken) = handle(&threads);
        let (work, has_begun, open) = gate();
        assert!(submit(&mut handle, "a", 1, work).is_ok());
        assert!(submit(&mut handle, "a", 2, || 2).is_ok());
        has_begun.recv().unwrap();
        let stopping = thread::spawn(move || drop(threads));
        // The second piece is given up at once; only then may the first one end.
        assert_eq!(take(&mut handle, &woken, 1), [(2, LOST)]);
        open.send(()).unwrap();
        stopping.join().unwrap();
        assert_eq!(take(&mut handle, &woken, 1), [(1, 1)]);
        assert_eq!(submit(&mut handle, "a", 3, || 3).err().map(|work| work()), Some(3));
    }

    #[test]
    fn a_lookup_that_hangs_keeps_nobody_from_stopping() {
        let threads = threads(0);
        let (mut handle, woken) = handle(&threads);
        let (hanging, has_begun, open) = gate();
        assert!(handle.submit(Lane::Names, &"a".into(), 1, hanging).is_ok());
        has_begun.recv().unwrap();
        drop(threads);
        open.send(()).unwrap();
        assert_eq!(take(&mut handle, &woken, 1), [(1, 1)]);
    }
}
