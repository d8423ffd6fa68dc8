//! The end of a deferred: callbacks that know what an event handler waits for next.

use std::rc::Rc;

use super::{Deferred, Kind, Owner, Waiting, unpack};
use crate::protocol::Protocol;
use crate::transport::Transport;
use crate::types::Failure;

impl<T: 'static> Deferred<T> {
    /// Attaches a callback that reaches the protocol of a connection.
    ///
    /// It is called with the result, or with the failure that came instead, and may return
    /// what is to be waited for next: where the deferred held its connection, that holds it
    /// in turn. Where the result is there in the middle of an event of the protocol, it is called
    /// after that. If the connection is lost before, the callback is dropped uncalled, and the
    /// deferred is cancelled where it was returned to the host.
    ///
    /// On a question to the host it costs one small allocation.
    #[track_caller]
    pub fn call_on<P: Protocol>(
        self,
        transport: &Transport<P>,
        callback: impl FnOnce(&mut P, Result<T, Failure>) -> Option<Waiting> + 'static,
    ) -> Waiting {
        let shared = Rc::clone(transport.shared());
        match self.0 {
            Kind::Asked { handle, take } => {
                let owner: Rc<dyn Owner> = transport.shared().clone();
                Waiting::asked(handle, Some(owner), move |outcome| {
                    shared.connection.enter(|protocol| callback(protocol, take(outcome)))?
                })
            }
            Kind::Chain(chain, _) => {
                let before = Rc::clone(&shared);
                let call = move |outcome| {
                    let called = |protocol: &mut P| callback(protocol, unpack(outcome));
                    shared.connection.enter(called)?
                };
                Waiting::called_on(chain, move || before.connection.is_busy(), call)
            }
        }
    }

    /// Attaches a callback that belongs to no connection: for
    /// [`Plugin::ready`](crate::Plugin::ready), and for what a plugin does on its own.
    ///
    /// It is called with the result, or with the failure that came instead, and may return
    /// what is to be waited for next. On a question to the host it costs one small allocation.
    #[track_caller]
    pub fn call(
        self,
        callback: impl FnOnce(Result<T, Failure>) -> Option<Waiting> + 'static,
    ) -> Waiting {
        match self.0 {
            Kind::Asked { handle, take } => {
                Waiting::asked(handle, None, move |outcome| callback(take(outcome)))
            }
            Kind::Chain(chain, _) => {
                Waiting::called_on(chain, || false, move |outcome| callback(unpack(outcome)))
            }
        }
    }
}

/// Waits for the result and drops it: returned from an event handler, holds the connection for
/// as long as that takes.
impl<T: 'static> From<Deferred<T>> for Waiting {
    fn from(deferred: Deferred<T>) -> Self {
        match deferred.0 {
            Kind::Asked { handle, .. } => Waiting::asked(handle, None, |_| None),
            Kind::Chain(chain, _) => Waiting::of(chain),
        }
    }
}
