//! Several deferreds as one.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::{Deferred, Firing, log_unhandled};
use crate::types::Failure;

/// Waits for several deferreds, and fires with what each of them came to. Three options say when
/// it doesn't wait for all, and who sees failures.
///
/// Where it fires before all have fired, the others go on, and what they come to is dropped.
/// Cancelling it cancels those that have not fired; dropping it drops them.
///
/// ```
/// use torsade_guest::{Deferred, DeferredList, ListResult};
///
/// let (one, first) = Deferred::pending();
/// let (two, second) = Deferred::pending();
/// let mut list = DeferredList::new([one, two]).consume_errors().wait();
/// second.callback(2);
/// first.callback(1);
/// assert_eq!(list.take(), Some(Ok(ListResult::All(vec![Ok(1), Ok(2)]))));
/// ```
pub struct DeferredList<T> {
    deferreds: Vec<Deferred<T>>,
    fire_on_one_callback: bool,
    fire_on_one_errback: bool,
    consume_errors: bool,
}

/// What a [`DeferredList`] fires with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ListResult<T> {
    /// All have fired: what each came to, in the list's order.
    All(Vec<Result<T, Failure>>),
    /// The first value, and its place in the list: with
    /// [`fire_on_one_callback`](DeferredList::fire_on_one_callback).
    First(T, usize),
}

impl<T: 'static> DeferredList<T> {
    /// A list of deferreds, with all options off.
    pub fn new(deferreds: impl IntoIterator<Item = Deferred<T>>) -> Self {
        DeferredList {
            deferreds: deferreds.into_iter().collect(),
            fire_on_one_callback: false,
            fire_on_one_errback: false,
            consume_errors: false,
        }
    }

    /// Fires with the first value, as [`ListResult::First`].
    #[must_use]
    pub fn fire_on_one_callback(mut self) -> Self {
        self.fire_on_one_callback = true;
        self
    }

    /// Fails with the first failure: its code, and its message with its place in the list (Twisted's
    /// `FirstError`).
    #[must_use]
    pub fn fire_on_one_errback(mut self) -> Self {
        self.fire_on_one_errback = true;
        self
    }

    /// Takes failures as handled. Without it each is also logged as unhandled, since the list's
    /// result does not say that somebody looks at it.
    #[must_use]
    pub fn consume_errors(mut self) -> Self {
        self.consume_errors = true;
        self
    }

    /// Starts waiting. An empty list fires at once; with `fire_on_one_callback` it fails
    /// [`CANCELLED`](crate::code::CANCELLED), as nothing could fire it.
    #[track_caller]
    pub fn wait(self) -> Deferred<ListResult<T>> {
        let Self { deferreds, fire_on_one_callback, fire_on_one_errback, consume_errors } = self;
        if deferreds.is_empty() && !fire_on_one_callback {
            return Deferred::succeed(ListResult::All(Vec::new()));
        }
        let mut results: Vec<_> = deferreds.iter().map(|_| None).collect();
        let mut missing = deferreds.len();
        let each = move |place: usize, result: Result<T, Failure>| match result {
            Ok(value) if fire_on_one_callback => Some(Ok(ListResult::First(value, place))),
            Err(failure) if fire_on_one_errback => Some(Err(first_error(&failure, place))),
            result => {
                missing -= 1;
                results[place] = Some(result);
                (missing == 0).then(|| Ok(ListResult::All(results.drain(..).flatten().collect())))
            }
        };
        group(deferreds, consume_errors, Rest::Goes, each)
    }
}

impl<T: 'static> Deferred<T> {
    /// Waits for all, and fires with their values in the same order; or fails with the first
    /// failure, with its place in its message, and then the others go on: Twisted's
    /// `gatherResults` with `consumeErrors`. Cancelling it cancels all.
    ///
    /// ```
    /// use torsade_guest::Deferred;
    ///
    /// let mut all = Deferred::gather([Deferred::succeed(1), Deferred::succeed(2)]);
    /// assert_eq!(all.take(), Some(Ok(vec![1, 2])));
    /// ```
    #[track_caller]
    pub fn gather(deferreds: impl IntoIterator<Item = Deferred<T>>) -> Deferred<Vec<T>> {
        let list = DeferredList::new(deferreds).fire_on_one_errback().consume_errors();
        list.wait().then(|result| match result {
            ListResult::All(results) => results.into_iter().collect(),
            ListResult::First(value, _) => Ok(vec![value]),
        })
    }

    /// Fires with the first value and its place, and cancels the others; fails once all have
    /// failed, with the first one's code and all messages. Cancelling it cancels all.
    ///
    /// ```
    /// use torsade_guest::Deferred;
    ///
    /// let (slow, _firing) = Deferred::pending();
    /// let mut fastest = Deferred::race([slow, Deferred::succeed("hare")]);
    /// assert_eq!(fastest.take(), Some(Ok((1, "hare"))));
    /// ```
    #[track_caller]
    pub fn race(deferreds: impl IntoIterator<Item = Deferred<T>>) -> Deferred<(usize, T)> {
        let deferreds: Vec<_> = deferreds.into_iter().collect();
        let all = deferreds.len();
        let mut failures = Vec::new();
        let each = move |place, result| match result {
            Ok(value) => Some(Ok((place, value))),
            Err(failure) => {
                failures.push(failure);
                (failures.len() == all).then(|| Err(failure_group(&failures)))
            }
        };
        group(deferreds, true, Rest::IsCancelled, each)
    }
}

fn first_error(failure: &Failure, place: usize) -> Failure {
    let message = format!("deferred {place} of the list: {}", failure.message);
    Failure { code: failure.code.clone(), message }
}

fn failure_group(failures: &[Failure]) -> Failure {
    let code = failures.first().map(|failure| failure.code.clone()).unwrap_or_default();
    let messages: Vec<_> = failures.iter().map(|failure| &*failure.message).collect();
    Failure { code, message: format!("all have failed: {}", messages.join("; ")) }
}

/// What becomes of deferreds that have not fired when the group has.
#[derive(Clone, Copy)]
enum Rest {
    Goes,
    IsCancelled,
}

/// What the callbacks of several deferreds share. It owns them; the group's own deferred owns it.
struct Group<T, R> {
    members: RefCell<Vec<Deferred<()>>>,
    each: RefCell<Each<T, R>>,
    /// None once the group has fired.
    firing: Cell<Option<Firing<R>>>,
    rest: Rest,
}

/// Takes what a member came to; gives what the group comes to by it.
type Each<T, R> = Box<dyn FnMut(usize, Result<T, Failure>) -> Option<Result<R, Failure>>>;

#[track_caller]
fn group<T: 'static, R: 'static>(
    deferreds: Vec<Deferred<T>>,
    consume_errors: bool,
    rest: Rest,
    each: impl FnMut(usize, Result<T, Failure>) -> Option<Result<R, Failure>> + 'static,
) -> Deferred<R> {
    let group = Rc::new(Group {
        members: RefCell::default(),
        each: RefCell::new(Box::new(each)),
        firing: Cell::new(None),
        rest,
    });
    let owned = Rc::clone(&group);
    let (deferred, firing) = Deferred::cancellable(move |_firing| owned.cancel());
    group.firing.set(Some(firing));
    for (place, mut member) in deferreds.into_iter().enumerate() {
        let made = member.chain().weak().upgrade().map(|core| core.made());
        let group_of = Rc::downgrade(&group);
        let member = member.both(move |result| {
            if let (Err(failure), Some(made), false) = (&result, made, consume_errors) {
                log_unhandled(failure, made);
            }
            if let Some(group) = group_of.upgrade() {
                group.came(place, result);
            }
            Ok(())
        });
        group.members.borrow_mut().push(member);
    }
    group.release();
    deferred
}

impl<T, R: 'static> Group<T, R> {
    fn came(&self, place: usize, result: Result<T, Failure>) {
        let answer = (self.each.borrow_mut())(place, result);
        let Some(answer) = answer else { return };
        if let Some(firing) = self.firing.take() {
            self.release();
            firing.fire(answer);
        }
    }

    /// Lets go of the members where the group has fired.
    fn release(&self) {
        let firing = self.firing.take();
        if firing.is_some() {
            return self.firing.set(firing);
        }
        for mut member in self.members.take() {
            match self.rest {
                Rest::Goes => member.detach(),
                Rest::IsCancelled => member.cancel(),
            }
        }
    }

    fn cancel(&self) {
        for mut member in self.members.take() {
            member.cancel();
        }
    }
}
