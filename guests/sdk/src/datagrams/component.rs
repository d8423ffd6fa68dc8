//! Joins a plugin's datagrams to the export of `wit/`.

use std::marker::PhantomData;
use std::rc::Rc;

use super::batch::Batch;
use super::transport::{DatagramTransport, Shared};
use super::{DatagramPlugin, DatagramProtocol, Peer};
use crate::component::enter;
use crate::datagram_bindings::exports::torsade::plugin::datagram_protocols;
use crate::datagram_bindings::torsade::plugin::datagrams::{Part, Socket};
use crate::factories;
use crate::turn::event;
use crate::types::Origin;
use crate::types::{Failure, Reason};

/// The type for which [`export_datagrams!`](crate::export_datagrams) makes the export.
pub struct Component<P>(PhantomData<P>);

impl<P: DatagramPlugin> datagram_protocols::Guest for Component<P> {
    type DatagramProtocol = Exported<P::DatagramProtocol>;

    fn build_datagram_protocol(
        socket: Socket,
        origin: Origin,
    ) -> Option<datagram_protocols::DatagramProtocol> {
        let shared = Rc::new(Shared::new(socket));
        event(|| {
            let protocol = build::<P>(DatagramTransport::of(&shared), origin)?;
            shared.open(protocol);
            Some(datagram_protocols::DatagramProtocol::new(Exported(Rc::clone(&shared))))
        })
    }
}

/// Has the protocol of a socket built: by the factory that was given for it, or by the plugin.
fn build<P: DatagramPlugin>(
    transport: DatagramTransport<P::DatagramProtocol>,
    origin: Origin,
) -> Option<P::DatagramProtocol> {
    if let Origin::Dialled(id) | Origin::Arrived(id) = origin
        && let Some(factory) = factories::take(id)
    {
        return factories::call(factory, transport);
    }
    enter(|plugin: &mut P| plugin.build_datagram_protocol(transport, origin))
}

/// The protocol as the host holds it.
pub struct Exported<P>(Rc<Shared<P>>);

impl<P: DatagramProtocol> datagram_protocols::GuestDatagramProtocol for Exported<P> {
    fn datagrams_received(&self, data: Vec<u8>, parts: Vec<Part>) {
        let batch = Batch::new(&data, &parts);
        event(|| self.0.enter(|protocol| protocol.datagrams_received(batch)));
    }

    fn connection_refused(&self, peer: Peer, why: Failure) {
        event(|| self.0.enter(|protocol| protocol.connection_refused(&peer, why)));
    }

    fn closed(&self, reason: Reason) {
        event(|| {
            if let Some(mut protocol) = self.0.close() {
                protocol.closed(reason);
            }
        });
    }
}

/// A protocol owns its transport and so its own socket; this is where that circle ends where the
/// host drops the protocol without `closed`.
impl<P> Drop for Exported<P> {
    fn drop(&mut self) {
        drop(self.0.close());
    }
}
