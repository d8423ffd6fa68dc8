//! Joins a plugin to the exports of `wit/`.

use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

use crate::bindings::exports::torsade::plugin::{half_close, plugin, protocols, stopping};
use crate::bindings::torsade::plugin::deferreds::{self, Deferred, Outcome};
use crate::bindings::torsade::plugin::transports;
use crate::deferred;
use crate::log;
use crate::plugin::{Config, Plugin};
use crate::protocol::{Origin, Protocol};
use crate::transport::{Shared, Transport};
use crate::types::Reason;

/// The component of a plugin: the type for which [`export!`](crate::export) makes the exports.
pub struct Component<P>(PhantomData<P>);

thread_local! {
    /// The plugin, from `start` on; of the type for which the exports were made.
    static PLUGIN: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

/// Runs an event of the plugin.
fn enter<P: Plugin, R>(event: impl FnOnce(&mut P) -> R) -> R {
    PLUGIN.with_borrow_mut(|plugin| {
        let plugin = plugin.as_mut().and_then(|plugin| plugin.downcast_mut());
        event(plugin.expect("the host calls `start` before anything else"))
    })
}

impl<P: Plugin> plugin::Guest for Component<P> {
    fn start(config: String) -> Result<Option<Deferred>, String> {
        log::log_panics();
        let mut plugin = P::start(P::Config::parse(&config)?)?;
        let ready = plugin.ready();
        PLUGIN.set(Some(Box::new(plugin)));
        Ok(ready.and_then(|waiting| waiting.into_handle(None)))
    }

    fn fired(id: u64, outcome: Outcome) -> Option<Deferred> {
        deferred::fired(id, outcome)
    }
}

impl<P: Plugin> stopping::Guest for Component<P> {
    fn stopping() {
        enter(P::stopping);
    }
}

impl<P: Plugin> protocols::Guest for Component<P> {
    type Protocol = Exported<P::Protocol>;

    fn build_protocol(
        handle: transports::Transport,
        origin: Origin,
    ) -> Option<protocols::Protocol> {
        let transport = Transport::new(handle);
        let shared = Rc::clone(transport.shared());
        let protocol = enter(|plugin: &mut P| plugin.build_protocol(transport, origin))?;
        shared.connection.open(protocol);
        Some(protocols::Protocol::new(Exported(shared)))
    }
}

impl<P: Plugin> half_close::Guest for Component<P> {
    fn read_connection_lost(of: protocols::ProtocolBorrow<'_>) {
        let shared = &of.get::<Exported<P::Protocol>>().0;
        let transport = Transport::of(shared);
        shared.connection.enter(|protocol| protocol.read_connection_lost(&transport));
    }
}

/// The protocol as the host holds it.
pub struct Exported<P>(Rc<Shared<P>>);

impl<P: Protocol> protocols::GuestProtocol for Exported<P> {
    fn data_received(&self, data: Vec<u8>) -> Option<Deferred> {
        let waiting = self.0.connection.enter(|protocol| protocol.data_received(&data))??;
        waiting.into_handle(Some(self.0.clone()))
    }

    fn write_drained(&self) {
        self.0.connection.enter(P::write_drained);
    }

    fn connection_lost(&self, reason: Reason) {
        if let Some(mut protocol) = self.0.connection.close() {
            protocol.connection_lost(reason);
        }
        // Nobody waits for them any more, and they count against the service's `deferreds`.
        for id in self.0.connection.abandoned() {
            deferreds::cancel(id);
        }
    }
}

/// A protocol owns its transport and so its own connection; this is where that circle ends
/// where the host drops the protocol without `connection-lost`.
impl<P> Drop for Exported<P> {
    fn drop(&mut self) {
        drop(self.0.connection.close());
    }
}
