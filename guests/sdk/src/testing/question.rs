//! What a plugin on a bench asks of its host, for a test to answer.

use std::any::{Any, type_name};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt::{self, Debug, Formatter};
use std::rc::Weak;
use std::time::Duration;

use crate::deferred::{Core, Deferred};
use crate::sql::Statement;
use crate::turn::event;
use crate::types::{Failure, code};

/// A question to the host, as the plugin asked it. What answers each is in its line.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// `sql::batch`: a `Vec<sql::Execution>`.
    Batch(Vec<Statement>),
    /// `key_value::compare_and_set`: a `bool`.
    CompareAndSet {
        /// Whose value.
        key: Vec<u8>,
        /// What it has to be.
        expected: Option<Vec<u8>>,
        /// What it becomes.
        value: Option<Vec<u8>>,
        /// For how long.
        lifetime: Option<Duration>,
    },
    /// `endpoints::connect`: [`Bench::accept`](super::Bench::accept).
    Connect(String),
    /// `key_value::delete`: nothing, `()`.
    Delete(Vec<u8>),
    /// `sql::execute`: an `sql::Execution`.
    Execute(Statement),
    /// `key_value::get`: an `Option<Vec<u8>>`.
    Get(Vec<u8>),
    /// `jobs::run`: what the job gives, a `Vec<u8>`.
    Job {
        /// The job's name.
        name: String,
        /// What it is given.
        input: Vec<u8>,
    },
    /// `files::list`: a `Vec<files::Entry>`.
    List(String),
    /// `endpoints::listen`: it can only fail.
    Listen(String),
    /// `resolver::lookup`: a `Vec<IpAddr>`.
    Lookup(String),
    /// `files::open`: it can only fail.
    Open(String),
    /// `sql::query`: `sql::Rows`.
    Query(Statement),
    /// `key_value::scan`: a `Vec<key_value::Entry>`.
    Scan {
        /// The first key.
        start: Vec<u8>,
        /// The key behind the last.
        end: Option<Vec<u8>>,
        /// How many at most.
        most: u32,
    },
    /// `key_value::set`: nothing, `()`.
    Set {
        /// Whose value.
        key: Vec<u8>,
        /// What it becomes.
        value: Vec<u8>,
        /// For how long.
        lifetime: Option<Duration>,
    },
}

/// A question that waits for its answer. Dropping it fails it
/// [`CANCELLED`](crate::code::CANCELLED).
pub struct Asked {
    /// What is asked.
    pub question: Question,
    number: u64,
    core: Weak<Core>,
    fire: Fire,
}

/// Fires the deferred; says whether the value was of its type.
type Fire = Box<dyn FnOnce(Result<Box<dyn Any>, Failure>) -> bool>;

impl Asked {
    /// The number of its deferred, as [`Deferred::number`] gives it.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Answers it.
    ///
    /// # Panics
    /// Where the value is not of the type that [`Question`] says.
    #[track_caller]
    pub fn answer<T: 'static>(self, value: T) {
        let Asked { question, fire, .. } = self;
        let fits = event(|| fire(Ok(Box::new(value))));
        assert!(fits, "{question:?} can't be answered by a {}", type_name::<T>());
    }

    /// Fails it, with a code of [`code`] and a message for a person.
    pub fn fail(self, code: &str, message: &str) {
        event(|| (self.fire)(Err(Failure::new(code, message))));
    }

    /// Whether the plugin still waits for it.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn is_wanted(&self) -> bool {
        self.core.upgrade().is_some_and(|core| core.is_pending())
    }
}

impl Debug for Asked {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Asked({:?})", self.question)
    }
}

thread_local! {
    static IS_ON: Cell<bool> = const { Cell::new(false) };
    static LAST: Cell<u64> = const { Cell::new(0) };
    static ASKED: RefCell<VecDeque<Asked>> = const { RefCell::new(VecDeque::new()) };
    static FAILS: Cell<bool> = const { Cell::new(false) };
}

/// Whether a plugin of this thread is on a bench.
pub(crate) fn is_on_the_bench() -> bool {
    IS_ON.get()
}

/// Begins, or ends, to take questions.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn set_on_the_bench(is_on: bool) {
    IS_ON.set(is_on);
    FAILS.set(false);
    drop(ASKED.take());
}

/// Has the next question fail at once.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn fail_next() {
    FAILS.set(true);
}

/// Takes the questions that wait.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn take_asked() -> VecDeque<Asked> {
    ASKED.take()
}

/// Keeps a question until the test answers it.
#[track_caller]
pub(crate) fn ask<T: 'static>(question: Question) -> Deferred<T> {
    let (mut deferred, firing) = Deferred::pending();
    if FAILS.take() {
        firing.errback(Failure::new(code::LIMIT, "the test has this question fail"));
        return deferred;
    }
    let number = LAST.get() + 1;
    LAST.set(number);
    let fire = Box::new(move |result: Result<Box<dyn Any>, Failure>| {
        match result.map(Box::<dyn Any>::downcast::<T>) {
            Ok(Ok(value)) => firing.callback(*value),
            Ok(Err(_)) => return false,
            Err(failure) => firing.errback(failure),
        }
        true
    });
    let core = deferred.core();
    ASKED.with_borrow_mut(|asked| asked.push_back(Asked { question, number, core, fire }));
    deferred
}

/// The number of the question behind a chain, where it is one's that waits.
pub(crate) fn number(core: &Weak<Core>) -> Option<u64> {
    ASKED.with_borrow(|asked| {
        asked.iter().find(|asked| asked.core.ptr_eq(core)).map(|asked| asked.number)
    })
}
