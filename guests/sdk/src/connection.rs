//! One connection inside the guest: its protocol, and the deferreds that it waits for.
//!
//! A protocol lives here from `build_protocol` to `connection_lost` and not longer, so a
//! callback that comes too late finds nobody to call. Knows nothing of the bindings, so that it
//! can be tested outside of a sandbox.

use std::cell::{Cell, RefCell};

/// The place where a connection's protocol lives.
pub(crate) struct Connection<P> {
    /// None before the protocol is built, and after the connection is lost.
    protocol: RefCell<Option<P>>,
    /// The deferreds that this connection's handlers returned to the host and that have not
    /// fired. Hardly ever more than one: the one that holds the connection.
    returned: Cell<Vec<u64>>,
}

impl<P> Connection<P> {
    /// A connection whose protocol is yet to be built.
    pub(crate) fn new() -> Self {
        Connection { protocol: RefCell::new(None), returned: Cell::new(Vec::new()) }
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

    /// Remembers a deferred that goes to the host, so that it can be cancelled when the
    /// connection is lost.
    pub(crate) fn returned(&self, id: u64) {
        let mut returned = self.returned.take();
        // One by one: what a push would reserve for more is lost to each idle connection.
        returned.reserve_exact(1);
        returned.push(id);
        self.returned.set(returned);
    }

    /// Forgets a deferred that has fired; one that was never returned is no mistake.
    pub(crate) fn fired(&self, id: u64) {
        let mut returned = self.returned.take();
        if let Some(at) = returned.iter().position(|other| *other == id) {
            returned.swap_remove(at);
        }
        self.returned.set(returned);
    }

    /// Moves the protocol out, for its last event; none the second time.
    pub(crate) fn close(&self) -> Option<P> {
        self.protocol.borrow_mut().take()
    }

    /// Moves out the numbers of the deferreds that nobody waits for any more.
    pub(crate) fn abandoned(&self) -> Vec<u64> {
        self.returned.take()
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::Connection;

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
            connection.returned(id);
        }
        connection.fired(8);
        connection.fired(1);
        assert_eq!(connection.abandoned(), [7, 9]);
        assert!(connection.abandoned().is_empty());
    }

    struct Cycle(#[expect(dead_code, reason = "held for its count")] Rc<Connection<Cycle>>);

    impl Connection<Cycle> {
        fn clone_into_cycle(self: &Rc<Self>) -> Cycle {
            Cycle(Rc::clone(self))
        }
    }
}
