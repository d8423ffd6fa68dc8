//! What Twisted documents of its deferreds, a function for each behaviour, which panics where the
//! SDK's don't do the same. `guests/sdk/DEFERREDS.md` is the table of them. They run natively, by
//! this crate's own test, and in a sandbox: [`component`] runs what its peer names.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "behaviours are tests, though not of the test harness")]

mod cancelling;
mod chains;
mod clients;
mod component;
mod futures;
mod lists;
mod pools;
mod time;
mod turns;
mod work;

use std::cell::RefCell;
use std::fmt::Debug;
use std::rc::Rc;

use torsade_guest::testing::settle;
use torsade_guest::{Deferred, Failure};

/// A behaviour and its name.
pub type Behaviour = (&'static str, fn());

/// All of them.
pub fn behaviours() -> Vec<Behaviour> {
    let all = [
        chains::behaviours(),
        cancelling::behaviours(),
        lists::behaviours(),
        futures::behaviours(),
        turns::behaviours(),
        time::behaviours(),
        work::behaviours(),
        clients::behaviours(),
        pools::behaviours(),
    ];
    all.concat()
}

/// A list of behaviours by their functions' names.
macro_rules! named {
    ($($name:ident),+ $(,)?) => {
        pub(crate) fn behaviours() -> Vec<$crate::Behaviour> {
            vec![$((stringify!($name), $name as fn())),+]
        }
    };
}
pub(crate) use named;

/// A failure with this code.
fn failure(code: &str) -> Failure {
    Failure { code: code.into(), message: format!("the message of {code}") }
}

/// The value of a deferred that must have fired with one.
#[track_caller]
fn value<T: 'static>(mut deferred: Deferred<T>) -> T {
    settle();
    match deferred.take() {
        Some(Ok(value)) => value,
        Some(Err(failure)) => panic!("it failed: {failure}"),
        None => panic!("it has not fired"),
    }
}

/// The code of the failure of a deferred that must have failed.
#[track_caller]
fn code<T: Debug + 'static>(mut deferred: Deferred<T>) -> String {
    settle();
    match deferred.take() {
        Some(Err(failure)) => failure.code,
        other => panic!("it has not failed: {other:?}"),
    }
}

/// What happened, in order.
#[derive(Clone, Default)]
struct Trace(Rc<RefCell<Vec<String>>>);

impl Trace {
    #[expect(clippy::needless_pass_by_value, reason = "what is told is mostly made for it")]
    fn add(&self, what: impl ToString) {
        self.0.borrow_mut().push(what.to_string());
    }

    /// Takes what has happened so far.
    fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

#[cfg(test)]
mod tests {
    use super::behaviours;

    #[test]
    fn all_behaviours_hold_natively() {
        for (name, behaviour) in behaviours() {
            println!("{name}");
            behaviour();
        }
    }

    #[test]
    fn no_name_stands_for_two() {
        let mut names: Vec<_> = behaviours().into_iter().map(|(name, _)| name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
