//! What a callback may return: a result, or a deferred, for which its chain then waits.

use super::Deferred;
use super::chain::{Step, Value};
use crate::types::Failure;

/// What a callback of a deferred may return: a `Result<T, Failure>`, or a [`Deferred<T>`], for
/// which the chain then waits.
///
/// For a callback that can't fail there is [`Deferred::map`]. `Result<Deferred<T>, Failure>`, which
/// questions to the host return, becomes a deferred by [`Deferred::from`].
pub trait Answer {
    /// What the next callback gets.
    type Value: 'static;

    /// Takes it apart.
    fn answer(self) -> Answered<Self::Value>;
}

/// An [`Answer`], taken apart.
pub enum Answered<T> {
    /// It is there.
    Now(Result<T, Failure>),
    /// It is to be waited for.
    Later(Deferred<T>),
}

impl<T: 'static> Answer for Result<T, Failure> {
    type Value = T;

    fn answer(self) -> Answered<T> {
        Answered::Now(self)
    }
}

impl<T: 'static> Answer for Deferred<T> {
    type Value = T;

    fn answer(self) -> Answered<T> {
        Answered::Later(self)
    }
}

/// The step of a link that calls a callback.
#[track_caller]
pub(super) fn step<A: Answer>(answer: A) -> Step {
    match answer.answer() {
        Answered::Now(result) => Step::Done(result.map(|value| Box::new(value) as Value)),
        Answered::Later(deferred) => Step::Wait(deferred.into_chain()),
    }
}
