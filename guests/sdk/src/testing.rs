//! For tests of plugins: a plugin on a bench, a clock that is moved by hand, chance from a seed, the
//! log's lines, dialogues that are written down, and what a manifest says of its plugin's `config`.
//!
//! | what is tested | by what |
//! |---|---|
//! | a protocol's core, as a value | its own functions, and [`conversation::chunked`] with a `Talker` |
//! | a plugin as it is, natively | [`Bench`], and [`conversations`] for dialogues |
//! | the component in its sandbox | `torsade test`, with the same dialogues |
//!
//! The guide to it is [`guide`](crate::guide).

#[cfg(not(target_family = "wasm"))]
mod bench;
#[cfg(test)]
mod bench_tests;
pub mod conversation;
mod question;
mod schema;
#[cfg(not(target_family = "wasm"))]
mod string_transport;
#[cfg(not(target_family = "wasm"))]
mod talking;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::deferred::{Deferred, Firing};
use crate::log::Level;
use crate::turn;

pub use schema::assert_schema;
#[cfg(not(target_family = "wasm"))]
pub use {
    bench::Bench,
    string_transport::StringTransport,
    talking::{Speaker, conversations},
};

pub use question::{Asked, Question};

pub(crate) use question::{ask, is_on_the_bench, number};

/// Twisted's `Clock`: while it lives, the timers and the monotonic clock of this thread are this
/// one's, and time passes by [`advance`](Clock::advance) alone. The time of day is as long after the
/// beginning of 1970.
///
/// ```
/// use std::time::Duration;
///
/// use torsade_guest::{clock, testing::Clock, timers};
///
/// let time = Clock::install();
/// let mut timer = timers::after(Duration::from_secs(60)).unwrap();
/// time.advance(Duration::from_secs(59));
/// assert!(!timer.is_done());
/// time.advance(Duration::from_secs(1));
/// assert_eq!(timer.take(), Some(Ok(())));
/// assert_eq!(clock::monotonic(), Duration::from_secs(60));
/// ```
pub struct Clock {
    own: Rc<Moved>,
    before: Option<Rc<dyn Time>>,
}

/// A source of time in the host's stead.
pub(crate) trait Time {
    fn now(&self) -> Duration;
    fn after(&self, delay: Duration) -> (u64, Deferred<()>);
    fn reschedule(&self, id: u64, delay: Duration);
}

thread_local! {
    static TIME: RefCell<Option<Rc<dyn Time>>> = const { RefCell::new(None) };
    /// What keeps a line; a pointer, so that a plugin that keeps none has none of the code.
    static KEEPER: Cell<Option<Keeper>> = const { Cell::new(None) };
    /// What gives random numbers in the host's stead; a pointer for the same reason.
    static RANDOM: Cell<Option<fn() -> u64>> = const { Cell::new(None) };
    /// Where the seeded numbers stand.
    static SEED: Cell<u64> = const { Cell::new(0) };
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// What stands in for the host's clock and timers, if anything.
pub(crate) fn time() -> Option<Rc<dyn Time>> {
    TIME.with_borrow(Clone::clone)
}

impl Clock {
    /// Installs a clock that stands at 0. The one before comes back when it is dropped.
    #[must_use = "the clock is there as long as this value"]
    pub fn install() -> Self {
        let own = Rc::new(Moved::default());
        let before = TIME.replace(Some(own.clone()));
        Clock { own, before }
    }

    /// The time, since the clock was installed.
    pub fn now(&self) -> Duration {
        self.own.now.get()
    }

    /// Lets time pass, and then fires what is due, in the order of its time. A timer of zero that
    /// is set meanwhile fires with the next call, as it would in the next turn of the reactor.
    pub fn advance(&self, by: Duration) {
        self.own.now.set(self.own.now.get() + by);
        let last = self.own.made.get();
        while let Some(firing) = self.own.take_due(last) {
            firing.callback(());
            settle();
        }
    }

    /// Lets time pass in several steps.
    pub fn pump(&self, steps: impl IntoIterator<Item = Duration>) {
        steps.into_iter().for_each(|step| self.advance(step));
    }

    /// When the first timer is due, if one is set.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn first_due(&self) -> Option<Duration> {
        let timers = self.own.timers.borrow();
        let mut wanted = timers.iter().filter(|(_, (_, firing))| firing.is_wanted());
        wanted.next().map(|((due, _), _)| *due)
    }

    /// How many timers are set.
    pub fn pending(&self) -> usize {
        self.own.timers.borrow().values().filter(|(_, firing)| firing.is_wanted()).count()
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        TIME.set(self.before.take());
    }
}

/// A clock's hands and its timers, by when they are due and in the order they were set.
#[derive(Default)]
struct Moved {
    now: Cell<Duration>,
    made: Cell<u64>,
    timers: RefCell<Timers>,
}

/// By due time and place; each with its number.
type Timers = BTreeMap<(Duration, u64), (u64, Firing<()>)>;

impl Moved {
    /// The next timer that is due, of those that were set before.
    fn take_due(&self, last: u64) -> Option<Firing<()>> {
        let mut timers = self.timers.borrow_mut();
        let due = |(at, place): &(Duration, u64)| *at <= self.now.get() && *place < last;
        let key = *timers.keys().find(|key| due(key))?;
        timers.remove(&key).map(|(_, firing)| firing)
    }

    fn next(&self) -> u64 {
        let place = self.made.get();
        self.made.set(place + 1);
        place
    }
}

impl Time for Moved {
    fn now(&self) -> Duration {
        self.now.get()
    }

    #[track_caller]
    fn after(&self, delay: Duration) -> (u64, Deferred<()>) {
        let (deferred, firing) = Deferred::pending();
        let id = self.next();
        let due = self.now.get().saturating_add(delay);
        self.timers.borrow_mut().insert((due, id), (id, firing));
        (id, deferred)
    }

    fn reschedule(&self, id: u64, delay: Duration) {
        let mut timers = self.timers.borrow_mut();
        let key = timers.iter().find(|(_, (other, _))| *other == id).map(|(key, _)| *key);
        if let Some(timer) = key.and_then(|key| timers.remove(&key)) {
            timers.insert((self.now.get().saturating_add(delay), self.next()), timer);
        }
    }
}

/// Does what was left for the end of the running event: polls futures that were woken. Outside of a
/// sandbox, where no event is running, nothing is ever left.
pub fn settle() {
    turn::settle();
}

/// Has the random numbers of this thread come from a seed while it lives, instead of the host: the
/// same ones each time.
///
/// ```
/// use torsade_guest::{random, testing::Random};
///
/// let first = {
///     let _random = Random::seeded(7);
///     random::number()
/// };
/// let _random = Random::seeded(7);
/// assert_eq!(random::number(), first);
/// assert_ne!(random::number(), first);
/// ```
pub struct Random(());

impl Random {
    /// Begins to give numbers.
    #[must_use = "numbers come from the seed as long as this value lives"]
    pub fn seeded(seed: u64) -> Self {
        SEED.set(seed);
        RANDOM.set(Some(seeded_number));
        Random(())
    }
}

impl Drop for Random {
    fn drop(&mut self) {
        RANDOM.set(None);
    }
}

/// What gives random numbers, while something does.
pub(crate) fn random() -> Option<fn() -> u64> {
    RANDOM.get()
}

/// SplitMix64, of Steele, Lea and Flood: a counter whose bits are mixed well.
fn seeded_number() -> u64 {
    let counter = SEED.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
    SEED.set(counter);
    let mixed = (counter ^ (counter >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Keeps the lines that are logged on this thread while it lives, instead of the host.
///
/// ```
/// use torsade_guest::{Deferred, Failure, testing::Lines};
///
/// let lines = Lines::keep();
/// let failure = Failure { code: "io".into(), message: "disk error".into() };
/// drop(Deferred::<()>::fail(failure));
/// assert!(lines.take()[0].contains("disk error (io)"));
/// ```
pub struct Lines(());

impl Lines {
    /// Begins to keep lines.
    #[must_use = "lines are kept as long as this value lives"]
    pub fn keep() -> Self {
        LINES.set(Vec::new());
        KEEPER.set(Some(keep_line));
        Lines(())
    }

    /// Takes the lines that came so far.
    pub fn take(&self) -> Vec<String> {
        LINES.take()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        KEEPER.set(None);
        LINES.set(Vec::new());
    }
}

/// Takes a line.
pub(crate) type Keeper = fn(Level, &str);

/// What keeps lines, while something does.
pub(crate) fn keeper() -> Option<Keeper> {
    KEEPER.get()
}

fn keep_line(level: Level, line: &str) {
    LINES.with_borrow_mut(|lines| lines.push(format!("{level:?}: {line}")));
}
