//! What an event handler waits for, and what the host reports.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::panic::Location;
use std::rc::{Rc, Weak};

use super::chain::{self, Chain, Core, GiveUp, GivenUp, Outcome, Step};
use super::{Firing, unpack};
use crate::bindings::torsade::plugin::deferreds;
use crate::callbacks::Callbacks;
use crate::turn;

/// A deferred with its callback attached.
///
/// Returned from an event handler it holds the connection: no more data is delivered until it has
/// fired, and all that its callbacks returned. Kept in a field, it lets the connection go on, and
/// its callback is called when the time comes. Dropped before it has fired, it is cancelled, and
/// its callback is dropped uncalled.
#[must_use = "dropping a deferred cancels it; return it to hold the connection, or keep it"]
pub struct Waiting {
    what: What,
    /// Its callback is in this thread's table.
    _not_send: PhantomData<Rc<()>>,
}

enum What {
    /// A question to the host. The handle is none once it has gone to the host.
    Asked {
        id: u64,
        handle: Option<deferreds::Deferred>,
    },
    Chain(Chain),
}

impl Waiting {
    pub(super) fn asked(
        handle: deferreds::Deferred,
        owner: Option<Rc<dyn Owner>>,
        callback: impl FnOnce(deferreds::Outcome) -> Option<Waiting> + 'static,
    ) -> Self {
        let id = handle.id();
        let callback = Callback { owner, call: Box::new(callback) };
        CALLBACKS.with_borrow_mut(|callbacks| callbacks.insert(id, callback));
        Waiting { what: What::Asked { id, handle: Some(handle) }, _not_send: PhantomData }
    }

    pub(super) fn of(chain: Chain) -> Self {
        Waiting { what: What::Chain(chain), _not_send: PhantomData }
    }

    /// A chain with a callback at its end, which is not called while it `is_busy`.
    pub(super) fn called_on(
        chain: Chain,
        is_busy: impl Fn() -> bool + 'static,
        callback: impl FnOnce(Outcome) -> Option<Waiting> + 'static,
    ) -> Self {
        chain.push(Box::new(move |outcome| {
            if is_busy() { Step::Wait(after_the_event(outcome)) } else { Step::Done(outcome) }
        }));
        chain.push(Box::new(move |outcome| next(callback(outcome))));
        Self::of(chain)
    }

    /// Gives up the result: the callback is called with a failure
    /// [`CANCELLED`](crate::code::CANCELLED), unless the result was reported already. That of a
    /// question to the host is called once the running event is over, that of a chain at once. To
    /// have no callback called, drop the deferred.
    pub fn cancel(&self) {
        self.canceller().cancel();
    }

    /// What cancels this deferred also after it was returned to the host.
    pub fn canceller(&self) -> Canceller {
        match &self.what {
            What::Asked { id, .. } => Canceller(Cancels::Asked(*id)),
            What::Chain(chain) => Canceller::of(chain.weak()),
        }
    }

    /// Hands it to whom it belongs from now on: a question to the host, whose handle it returns;
    /// the callback stays in the table until the host reports it. A chain to its owner, or to
    /// itself where it has none. One that belongs to no connection belongs to `owner` from now on.
    /// None where it was reported already, since then there is nothing to wait for.
    pub(crate) fn into_handle(
        mut self,
        owner: Option<Rc<dyn Owner>>,
        held: Held,
    ) -> Option<deferreds::Deferred> {
        let (id, handle) = match &mut self.what {
            What::Asked { id, handle } => (*id, handle),
            What::Chain(_) => return hand_over(self.take_chain()?, owner, held),
        };
        CALLBACKS.with_borrow_mut(|callbacks| {
            let callback = callbacks.find(id)?;
            callback.owner = callback.owner.take().or(owner);
            if let Some(owner) = &callback.owner {
                owner.returned(id, held);
            }
            Some(())
        })?;
        handle.take()
    }

    /// The chain, where it is one, and then nothing is left of this.
    fn take_chain(&mut self) -> Option<Chain> {
        let chain = matches!(self.what, What::Chain(_));
        let none = What::Asked { id: 0, handle: None };
        match chain.then(|| std::mem::replace(&mut self.what, none))? {
            What::Chain(chain) => Some(chain),
            What::Asked { .. } => None,
        }
    }

    /// The chain that comes to an end when this does.
    pub(crate) fn into_chain(mut self) -> Chain {
        let made = Location::caller();
        if let What::Asked { id, .. } = self.what {
            let (chain, core) = Chain::pending(made);
            let callback = CALLBACKS.with_borrow_mut(|callbacks| callbacks.take(id));
            let firing = Firing::new(core.clone());
            let Some(Callback { owner, call }) = callback else {
                firing.callback(None::<Waiting>);
                return with_next(chain);
            };
            let call = Box::new(move |outcome| {
                firing.callback(call(outcome));
                None
            });
            CALLBACKS.with_borrow_mut(|table| table.insert(id, Callback { owner, call }));
            if let Some(core) = core.upgrade() {
                core.set_canceller(give_up(self));
            }
            return with_next(chain);
        }
        self.take_chain().expect("that it is none was looked at above")
    }
}

/// Hands a chain to its owner, or to itself where it has none.
fn hand_over(
    chain: Chain,
    owner: Option<Rc<dyn Owner>>,
    held: Held,
) -> Option<deferreds::Deferred> {
    // A handler that is a future begins here, and may need no more than that.
    turn::settle();
    if chain.is_done() {
        // There is nothing to wait for; a failure is logged.
        return None;
    }
    match owner {
        Some(owner) => owner.keep(chain, held),
        None => {
            chain.keep();
            None
        }
    }
}

/// Has the host report `cancelled`, so that the callback learns of it.
fn give_up(waiting: Waiting) -> GiveUp {
    Box::new(move || {
        waiting.cancel();
        GivenUp::Later(give_up(waiting))
    })
}

/// A chain whose value is what is to be waited for next.
fn with_next(chain: Chain) -> Chain {
    chain.push(Box::new(|outcome| match unpack::<Option<Waiting>>(outcome) {
        Ok(waiting) => next(waiting),
        Err(failure) => Step::Done(Err(failure)),
    }));
    chain
}

fn next(waiting: Option<Waiting>) -> Step {
    match waiting {
        Some(waiting) => Step::Wait(waiting.into_chain()),
        None => Step::Done(Ok(Box::new(()))),
    }
}

/// A chain that has the outcome once the running event is over.
fn after_the_event(outcome: Outcome) -> Chain {
    let (chain, core) = Chain::pending(Location::caller());
    turn::soon(move || {
        if let Some(core) = core.upgrade() {
            chain::fire(core, outcome);
        }
    });
    chain
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let What::Asked { id, handle: Some(_) } = self.what {
            // Dropped outside of the borrow: a callback may own another deferred.
            drop(CALLBACKS.with_borrow_mut(|callbacks| callbacks.take(id)));
        }
    }
}

/// Cancels a deferred that went elsewhere: to the host, into a chain, to another owner.
#[derive(Clone)]
pub struct Canceller(Cancels);

#[derive(Clone)]
enum Cancels {
    Asked(u64),
    Chain(Weak<Core>),
}

impl Canceller {
    pub(super) fn of(core: Weak<Core>) -> Self {
        Canceller(Cancels::Chain(core))
    }

    /// Gives up the result, as [`Waiting::cancel`] does. Nothing happens where it was reported
    /// already.
    pub fn cancel(&self) {
        match &self.0 {
            Cancels::Asked(id) => deferreds::cancel(*id),
            Cancels::Chain(core) => {
                if let Some(core) = core.upgrade() {
                    chain::cancel(core);
                }
            }
        }
    }
}

/// Whether what is handed over holds its owner back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Held {
    No,
    Yes,
}

/// The connection to which a callback belongs: told of its deferreds that are with the host, so
/// that it can cancel them when it is lost.
pub(crate) trait Owner {
    /// A deferred has gone to the host.
    fn returned(&self, id: u64, held: Held);

    /// A deferred has fired, which may have gone to the host or been kept; says whether it held
    /// the connection.
    fn fired(&self, id: u64) -> Held;

    /// Takes a chain, and is held back by it where `held` says so; or returns a deferred of the
    /// host's that does it in its stead.
    fn keep(self: Rc<Self>, chain: Chain, held: Held) -> Option<deferreds::Deferred>;
}

/// Calls the callback of a deferred that the host reports; returns what is to be waited for next.
pub(crate) fn fired(id: u64, outcome: deferreds::Outcome) -> Option<deferreds::Deferred> {
    let Callback { owner, call } = CALLBACKS.with_borrow_mut(|callbacks| callbacks.take(id))?;
    let held = owner.as_ref().map_or(Held::No, |owner| owner.fired(id));
    call(outcome)?.into_handle(owner, held)
}

struct Callback {
    owner: Option<Rc<dyn Owner>>,
    call: Box<dyn FnOnce(deferreds::Outcome) -> Option<Waiting>>,
}

thread_local! {
    static CALLBACKS: RefCell<Callbacks<Callback>> = const { RefCell::new(Callbacks::new()) };
}
