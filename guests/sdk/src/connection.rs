//! One connection inside the guest: its protocol, and the deferreds that it waits for.
//!
//! A protocol lives here from `build_protocol` to `connection_lost` and not longer, so a
//! callback that comes too late finds nobody to call. Knows nothing of the bindings, so that it
//! can be tested outside of a sandbox.

use std::cell::{Cell, RefCell};
use std::panic::Location;

use crate::deferred::{Chain, Deferred, Firing, Held};

/// The place where a connection's protocol lives.
pub(crate) struct Connection<P> {
    /// None before the protocol is built, and after the connection is lost.
    protocol: RefCell<Option<P>>,
    /// The deferreds that this connection's handlers returned to the host and that have not
    /// fired. Hardly ever more than one: the one that holds the connection.
    returned: Cell<Vec<(u64, Held)>>,
    /// The chains that its handlers returned and that are not done, by number.
    chains: RefCell<Vec<(usize, Chain, Held)>>,
    /// Whether the protocol has paused the peer.
    is_paused: Cell<bool>,
}

impl<P> Connection<P> {
    /// A connection whose protocol is yet to be built.
    pub(crate) fn new() -> Self {
        Connection {
            protocol: RefCell::new(None),
            returned: Cell::new(Vec::new()),
            chains: RefCell::new(Vec::new()),
            is_paused: Cell::new(false),
        }
    }

    /// Moves the protocol in.
    pub(crate) fn open(&self, protocol: P) {
        *self.protocol.borrow_mut() = Some(protocol);
    }

    /// Runs an event of the protocol, or nothing where the connection is lost.
    ///
    /// The host runs one event at a time, so the protocol is borrowed already only where the plugin
    /// reaches for it from its own event; then nothing is run either.
    pub(crate) fn enter<R>(&self, event: impl FnOnce(&mut P) -> R) -> Option<R> {
        self.protocol.try_borrow_mut().ok()?.as_mut().map(event)
    }

    /// Whether the protocol is in the middle of an event.
    pub(crate) fn is_busy(&self) -> bool {
        self.protocol.try_borrow_mut().is_err()
    }

    /// Whether the protocol has had its last event, or was never built.
    pub(crate) fn is_lost(&self) -> bool {
        self.protocol.try_borrow().is_ok_and(|protocol| protocol.is_none())
    }

    /// Remembers a deferred that goes to the host, so that it can be cancelled when the
    /// connection is lost.
    pub(crate) fn returned(&self, id: u64, held: Held) {
        let mut returned = self.returned.take();
        // One by one: what a push would reserve for more is lost to each idle connection.
        returned.reserve_exact(1);
        returned.push((id, held));
        self.returned.set(returned);
    }

    /// Forgets a deferred that has fired, and says whether it held the connection; one that was
    /// never returned is no mistake, and held nothing.
    pub(crate) fn fired(&self, id: u64) -> Held {
        let mut returned = self.returned.take();
        let at = returned.iter().position(|(other, _)| *other == id);
        let held = at.map_or(Held::No, |at| returned.swap_remove(at).1);
        self.returned.set(returned);
        held
    }

    /// A number for the next chain.
    pub(crate) fn chain_number(&self) -> usize {
        self.chains.borrow().last().map_or(0, |(number, ..)| number + 1)
    }

    /// Takes a chain that is not done. Says whether the peer is to be paused for it.
    pub(crate) fn keep(&self, number: usize, chain: Chain, held: Held) -> bool {
        let is_new = held == Held::Yes && !self.is_paused.get() && !self.is_held();
        self.chains.borrow_mut().push((number, chain, held));
        is_new
    }

    /// Forgets a chain that is done. Says whether the peer is to be resumed.
    pub(crate) fn done(&self, number: usize) -> bool {
        let mut chains = self.chains.borrow_mut();
        let at = chains.iter().position(|(other, ..)| *other == number);
        let Some((_, chain, held)) = at.map(|at| chains.remove(at)) else { return false };
        drop(chains);
        drop(chain);
        held == Held::Yes && !self.is_paused.get() && !self.is_held()
    }

    /// Whether a chain holds the connection.
    fn is_held(&self) -> bool {
        self.chains.borrow().iter().any(|(.., held)| *held == Held::Yes)
    }

    /// A deferred that fires when the connection is lost, which gives its chains up. Where nobody
    /// waits for it any more, `forget` is called with the number of what waits in the connection.
    #[track_caller]
    pub(crate) fn when_lost(&self, forget: impl FnOnce(usize) + 'static) -> Deferred<()> {
        if self.is_lost() {
            return Deferred::succeed(());
        }
        let number = self.chain_number();
        let unwanted = WhenDropped(Some(move || forget(number)));
        let (deferred, firing) = Deferred::cancellable(move |cancelled: Firing<()>| {
            // First, as forgetting what waits in the connection would fire it, too.
            drop(cancelled);
            drop(unwanted);
        });
        let lost = WhenDropped(Some(move || firing.callback(())));
        let (chain, _) = Chain::pending(Location::caller());
        // Never called: it is dropped with the chain.
        chain.at_the_end(move || drop(lost));
        self.keep(number, chain, Held::No);
        deferred
    }

    /// Remembers whether the protocol has paused the peer. Says whether that changes anything for
    /// the peer: nothing while a chain holds the connection.
    pub(crate) fn set_paused(&self, is_paused: bool) -> bool {
        self.is_paused.set(is_paused);
        !self.is_held()
    }

    /// Moves the protocol out, for its last event; none the second time.
    pub(crate) fn close(&self) -> Option<P> {
        self.protocol.borrow_mut().take()
    }

    /// Gives up the chains that nobody waits for any more, and moves out the numbers of the
    /// deferreds that are with the host.
    pub(crate) fn abandoned(&self) -> Vec<u64> {
        drop(self.chains.take());
        self.returned.take().into_iter().map(|(id, _)| id).collect()
    }
}

/// Calls something when it is dropped.
struct WhenDropped<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for WhenDropped<F> {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            call();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;
    use std::rc::Rc;

    use super::{Chain, Connection, Held};

    #[test]
    fn a_protocol_is_reached_only_between_open_and_close() {
        let connection = Connection::new();
        assert_eq!(connection.enter(|n: &mut u32| *n), None);
        connection.open(1);
        assert_eq!(connection.enter(|n| std::mem::replace(n, 2)), Some(1));
        assert_eq!(connection.close(), Some(2));
        assert_eq!(connection.enter(|n| *n), None);
        assert_eq!(connection.close(), None);
    }

    #[test]
    fn a_protocol_is_not_reached_from_its_own_event() {
        let connection = Connection::new();
        connection.open(1);
        assert_eq!(connection.enter(|_| connection.enter(|n: &mut u32| *n)), Some(None));
    }

    #[test]
    fn a_protocol_that_names_its_own_connection_is_freed_by_close() {
        let connection = Rc::new(Connection::new());
        connection.open(connection.clone_into_cycle());
        assert_eq!(Rc::strong_count(&connection), 2);
        drop(connection.close());
        assert_eq!(Rc::strong_count(&connection), 1);
    }

    #[test]
    fn what_has_fired_is_not_abandoned() {
        let connection: Connection<()> = Connection::new();
        for id in [7, 8, 9] {
            connection.returned(id, Held::Yes);
        }
        assert_eq!(connection.fired(8), Held::Yes);
        assert_eq!(connection.fired(1), Held::No);
        assert_eq!(connection.abandoned(), [7, 9]);
        assert!(connection.abandoned().is_empty());
    }

    fn chain() -> Chain {
        Chain::pending(Location::caller()).0
    }

    #[test]
    fn the_peer_is_paused_while_a_chain_holds_or_the_protocol_says_so() {
        let connection: Connection<()> = Connection::new();
        assert!(connection.keep(0, chain(), Held::Yes), "the first pauses");
        assert_eq!(connection.chain_number(), 1);
        assert!(!connection.keep(1, chain(), Held::Yes), "it is paused");
        assert!(!connection.keep(2, chain(), Held::No), "it doesn't hold");
        assert!(!connection.done(0), "another holds");
        assert!(!connection.set_paused(true), "it is paused");
        assert!(!connection.done(1), "the protocol has paused it");
        assert!(!connection.done(2), "it held nothing");
        assert!(connection.set_paused(false), "nothing holds any more");
        assert!(!connection.done(7), "there is no such chain");
    }

    #[test]
    fn chains_of_a_lost_connection_are_given_up() {
        let connection: Connection<()> = Connection::new();
        let (chain, core) = Chain::pending(Location::caller());
        connection.keep(0, chain, Held::Yes);
        assert!(connection.is_lost());
        assert!(core.upgrade().is_some());
        assert!(connection.abandoned().is_empty());
        assert!(core.upgrade().is_none());
    }

    #[test]
    fn who_waits_for_the_end_learns_of_it_once() {
        let connection = Rc::new(Connection::new());
        connection.open(());
        let when_lost = || {
            let weak = Rc::downgrade(&connection);
            connection.when_lost(move |number| {
                weak.upgrade().map(|connection| connection.done(number));
            })
        };
        let (mut first, second, mut cancelled) = (when_lost(), when_lost(), when_lost());
        assert_eq!(connection.chains.borrow().len(), 3);
        drop(second);
        cancelled.cancel();
        assert_eq!(cancelled.take().unwrap().unwrap_err().code, "cancelled");
        assert_eq!(connection.chains.borrow().len(), 1, "nobody waits for the others");
        assert!(!first.is_done());
        connection.close();
        assert!(connection.abandoned().is_empty());
        assert_eq!(first.take(), Some(Ok(())));
        assert_eq!(when_lost().take(), Some(Ok(())), "it is lost already");
    }

    struct Cycle(#[expect(dead_code, reason = "held for its count")] Rc<Connection<Cycle>>);

    impl Connection<Cycle> {
        fn clone_into_cycle(self: &Rc<Self>) -> Cycle {
            Cycle(Rc::clone(self))
        }
    }
}
