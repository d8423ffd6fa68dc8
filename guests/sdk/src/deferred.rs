//! Deferreds: handles to results that the host has not computed yet.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

use crate::bindings::torsade::plugin::deferreds;
use crate::callbacks::Callbacks;
use crate::protocol::Protocol;
use crate::transport::Transport;
use crate::types::Failure;

/// A result that the host has not computed yet, and to which no callback is attached yet.
///
/// Every question to the host (`timers::after`, `files::open`) returns one. Attach a callback
/// with [`call_on`](Deferred::call_on), and then return what that gives from the event handler
/// to hold the connection, or keep it to go on meanwhile. Dropping a deferred cancels what it
/// stands for.
///
/// ```no_run
/// use torsade_guest::{Failure, Protocol, Transport, Waiting, files};
///
/// struct Poet {
///     transport: Transport<Poet>,
/// }
///
/// impl Protocol for Poet {
///     fn data_received(&mut self, _data: &[u8]) -> Option<Waiting> {
///         let file = files::open("poem.txt").ok()?;
///         Some(file.call_on(&self.transport, Poet::opened))
///     }
/// }
///
/// impl Poet {
///     fn opened(&mut self, file: Result<files::File, Failure>) -> Option<Waiting> {
///         match file {
///             Ok(file) => self.transport.write(&file.content()?),
///             Err(failure) => self.transport.write(failure.message.as_bytes()),
///         }
///         None
///     }
/// }
/// ```
#[must_use = "dropping a deferred cancels it"]
pub struct Deferred<T> {
    handle: deferreds::Deferred,
    take: fn(deferreds::Outcome) -> Result<T, Failure>,
}

impl<T: 'static> Deferred<T> {
    pub(crate) fn new(
        handle: deferreds::Deferred,
        take: fn(deferreds::Outcome) -> Result<T, Failure>,
    ) -> Self {
        Deferred { handle, take }
    }

    /// Attaches a callback that reaches the protocol of a connection.
    ///
    /// It is called with the result, or with the failure that came instead, and may return
    /// what is to be waited for next: where the deferred held its connection, that holds it
    /// in turn. If the connection is lost before, the callback is dropped uncalled, and the
    /// deferred is cancelled where it was returned to the host.
    ///
    /// Costs one small allocation.
    pub fn call_on<P: Protocol>(
        self,
        transport: &Transport<P>,
        callback: impl FnOnce(&mut P, Result<T, Failure>) -> Option<Waiting> + 'static,
    ) -> Waiting {
        let (shared, take) = (Rc::clone(transport.shared()), self.take);
        let owner: Rc<dyn Owner> = transport.shared().clone();
        Waiting::new(self.handle, Some(owner), move |outcome| {
            shared.connection.enter(|protocol| callback(protocol, take(outcome)))?
        })
    }

    /// Attaches a callback that belongs to no connection: for
    /// [`Plugin::ready`](crate::Plugin::ready), and for what a plugin does on its own.
    ///
    /// It is called with the result, or with the failure that came instead, and may return
    /// what is to be waited for next. Costs one small allocation.
    pub fn call(
        self,
        callback: impl FnOnce(Result<T, Failure>) -> Option<Waiting> + 'static,
    ) -> Waiting {
        let take = self.take;
        Waiting::new(self.handle, None, move |outcome| callback(take(outcome)))
    }
}

/// Waits for the result and drops it: returned from an event handler, holds the connection for
/// as long as that takes.
impl<T> From<Deferred<T>> for Waiting {
    fn from(deferred: Deferred<T>) -> Self {
        Waiting::new(deferred.handle, None, |_| None)
    }
}

/// A deferred with its callback attached.
///
/// Returned from an event handler it goes to the host and holds the connection: no more data is
/// delivered until it has fired. Kept in a field, it lets the connection go on, and its callback
/// is called when the time comes. Dropped before it has fired, it is cancelled, and its callback
/// is dropped uncalled.
#[must_use = "dropping a deferred cancels it; return it to hold the connection, or keep it"]
pub struct Waiting {
    id: u64,
    /// None once the handle has gone to the host.
    handle: Option<deferreds::Deferred>,
    /// Its callback is in this thread's table.
    _not_send: PhantomData<Rc<()>>,
}

impl Waiting {
    fn new(
        handle: deferreds::Deferred,
        owner: Option<Rc<dyn Owner>>,
        callback: impl FnOnce(deferreds::Outcome) -> Option<Waiting> + 'static,
    ) -> Self {
        let id = handle.id();
        let callback = Callback { owner, call: Box::new(callback) };
        CALLBACKS.with_borrow_mut(|callbacks| callbacks.insert(id, callback));
        Waiting { id, handle: Some(handle), _not_send: PhantomData }
    }

    /// Gives up the result: the callback is called with a failure
    /// [`CANCELLED`](crate::code::CANCELLED) once the running event is over, unless the result was
    /// reported already. To have no callback called, drop the deferred.
    pub fn cancel(&self) {
        self.canceller().cancel();
    }

    /// What cancels this deferred also after it was returned to the host.
    pub fn canceller(&self) -> Canceller {
        Canceller(self.id)
    }

    /// Hands it to the host: the callback stays in the table until the host reports it. One that
    /// belongs to no connection belongs to `owner` from now on. None where it was reported
    /// already, since then there is nothing to wait for.
    pub(crate) fn into_handle(
        mut self,
        owner: Option<Rc<dyn Owner>>,
    ) -> Option<deferreds::Deferred> {
        CALLBACKS.with_borrow_mut(|callbacks| {
            let callback = callbacks.find(self.id)?;
            callback.owner = callback.owner.take().or(owner);
            if let Some(owner) = &callback.owner {
                owner.returned(self.id);
            }
            Some(())
        })?;
        self.handle.take()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.handle.is_some() {
            // Dropped outside of the borrow: a callback may own another deferred.
            drop(CALLBACKS.with_borrow_mut(|callbacks| callbacks.take(self.id)));
        }
    }
}

/// Cancels a deferred that an event handler has returned to the host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Canceller(u64);

impl Canceller {
    /// Gives up the result, as [`Waiting::cancel`] does. Nothing happens where it was reported
    /// already.
    pub fn cancel(self) {
        deferreds::cancel(self.0);
    }
}

/// The connection to which a callback belongs: told of its deferreds that are with the host, so
/// that it can cancel them when it is lost.
pub(crate) trait Owner {
    /// A deferred has gone to the host.
    fn returned(&self, id: u64);

    /// A deferred has fired, which may have gone to the host or been kept.
    fn fired(&self, id: u64);
}

/// Calls the callback of a deferred that the host reports; returns what is to be waited for next.
pub(crate) fn fired(id: u64, outcome: deferreds::Outcome) -> Option<deferreds::Deferred> {
    let Callback { owner, call } = CALLBACKS.with_borrow_mut(|callbacks| callbacks.take(id))?;
    if let Some(owner) = &owner {
        owner.fired(id);
    }
    call(outcome)?.into_handle(owner)
}

struct Callback {
    owner: Option<Rc<dyn Owner>>,
    call: Box<dyn FnOnce(deferreds::Outcome) -> Option<Waiting>>,
}

thread_local! {
    static CALLBACKS: RefCell<Callbacks<Callback>> = const { RefCell::new(Callbacks::new()) };
}
