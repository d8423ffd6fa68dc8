//! Joins a plugin to the exports of `wit/`.

use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

use crate::bindings::exports::torsade::plugin::{plugin, stopping};
use crate::bindings::torsade::plugin::deferreds::{self, Deferred, Outcome};
use crate::bindings::torsade::plugin::transports;
use crate::deferred::{self, Chain, Held, Owner, Waiting};
use crate::factories;
use crate::handle::Handle;
use crate::log;
use crate::plugin::{Config, Plugin};
use crate::protocol::Protocol;
use crate::stream_bindings::exports::torsade::plugin::{half_close, handshake, protocols};
use crate::timers;
use crate::transport::{Shared, Transport};
use crate::turn::event;
use crate::types::{Origin, Reason};

/// The component of a plugin: the type for which [`export!`](crate::export) makes the exports.
pub struct Component<P>(PhantomData<P>);

thread_local! {
    /// The plugin, from `start` on; of the type for which the exports were made.
    static PLUGIN: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

/// Starts the plugin, and gives what must have fired before connections come.
pub(crate) fn begin<P: Plugin>(config: &str) -> Result<Option<Waiting>, String> {
    let mut plugin = P::start(P::Config::parse(config)?)?;
    let ready = plugin.ready();
    PLUGIN.set(Some(Box::new(plugin)));
    Ok(ready)
}

/// Drops the plugin, at the end of a test.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn end() {
    drop(PLUGIN.take());
}

/// Runs an event of the plugin.
pub(crate) fn enter<P: Plugin, R>(run: impl FnOnce(&mut P) -> R) -> R {
    PLUGIN.with_borrow_mut(|plugin| {
        let plugin = plugin.as_mut().and_then(|plugin| plugin.downcast_mut());
        run(plugin.expect("the host calls `start` before anything else"))
    })
}

impl<P: Plugin> plugin::Guest for Component<P> {
    fn start(config: String) -> Result<Option<Deferred>, String> {
        log::log_panics();
        event(|| {
            let ready = begin::<P>(&config)?;
            Ok(ready.and_then(|waiting| waiting.into_handle(Some(Rc::new(Start)), Held::Yes)))
        })
    }

    fn fired(id: u64, outcome: Outcome) -> Option<Deferred> {
        event(|| deferred::fired(id, outcome))
    }
}

impl<P: Plugin> stopping::Guest for Component<P> {
    fn stopping() {
        event(|| enter(P::stopping));
    }
}

impl<P: Plugin> protocols::Guest for Component<P> {
    type Protocol = Exported<P::Protocol>;

    fn build_protocol(
        handle: transports::Transport,
        origin: Origin,
    ) -> Option<protocols::Protocol> {
        connect::<P>(Handle::Host(handle), origin).map(protocols::Protocol::new)
    }
}

/// Has the protocol of a connection built, unless the plugin refuses it.
pub(crate) fn connect<P: Plugin>(handle: Handle, origin: Origin) -> Option<Exported<P::Protocol>> {
    let transport = Transport::new(handle);
    let shared = Rc::clone(transport.shared());
    event(|| {
        let protocol = build::<P>(transport, origin)?;
        shared.connection.open(protocol);
        Some(Exported(shared))
    })
}

/// Has the protocol of a connection built: by the factory that was given for it, or by the plugin.
fn build<P: Plugin>(transport: Transport<P::Protocol>, origin: Origin) -> Option<P::Protocol> {
    if let Origin::Dialled(id) = origin
        && let Some(factory) = factories::take(id)
    {
        return factories::call(factory, transport);
    }
    enter(|plugin: &mut P| plugin.build_protocol(transport, origin))
}

impl<P: Plugin> half_close::Guest for Component<P> {
    fn read_connection_lost(of: protocols::ProtocolBorrow<'_>) {
        of.get::<Exported<P::Protocol>>().read_connection_lost();
    }
}

impl<P: Plugin> handshake::Guest for Component<P> {
    fn handshake_completed(of: protocols::ProtocolBorrow<'_>) {
        let shared = &of.get::<Exported<P::Protocol>>().0;
        let transport = Transport::of(shared);
        event(|| shared.connection.enter(|protocol| protocol.handshake_completed(&transport)));
    }
}

/// What the deferreds of [`Plugin::ready`] hold back: all connections.
struct Start;

impl Owner for Start {
    fn returned(&self, _: u64, _: Held) {}

    /// Nothing but what `ready` returned belongs to it.
    fn fired(&self, _: u64) -> Held {
        Held::Yes
    }

    /// The host waits for deferreds of its own alone: it gets one that never fires, and is
    /// cancelled when the chain is done.
    fn keep(self: Rc<Self>, chain: Chain, _: Held) -> Option<Deferred> {
        let gate = timers::gate();
        if let Some((_, canceller)) = &gate {
            let canceller = canceller.clone();
            chain.at_the_end(move || canceller.cancel());
        }
        // Without a gate, connections don't wait for it.
        chain.keep();
        gate?.0.into_handle(None, Held::No)
    }
}

/// The protocol as the host holds it.
pub struct Exported<P>(Rc<Shared<P>>);

impl<P: Protocol> Exported<P> {
    /// The peer has ended its half of the stream.
    pub(crate) fn read_connection_lost(&self) {
        let transport = Transport::of(&self.0);
        event(|| self.0.connection.enter(|protocol| protocol.read_connection_lost(&transport)));
    }
}

impl<P: Protocol> protocols::GuestProtocol for Exported<P> {
    fn data_received(&self, data: Vec<u8>) -> Option<Deferred> {
        event(|| {
            let waiting = self.0.connection.enter(|protocol| protocol.data_received(&data))??;
            waiting.into_handle(Some(self.0.clone()), Held::Yes)
        })
    }

    fn write_drained(&self) {
        event(|| self.0.connection.enter(P::write_drained));
    }

    fn connection_lost(&self, reason: Reason) {
        event(|| {
            if let Some(mut protocol) = self.0.connection.close() {
                protocol.connection_lost(reason);
            }
            // Nobody waits for them any more, and they count against the service's `deferreds`.
            for id in self.0.connection.abandoned() {
                deferreds::cancel(id);
            }
        });
    }
}

/// A protocol owns its transport and so its own connection; this is where that circle ends
/// where the host drops the protocol without `connection-lost`.
impl<P> Drop for Exported<P> {
    fn drop(&mut self) {
        drop(self.0.connection.close());
        drop(self.0.connection.abandoned());
    }
}
