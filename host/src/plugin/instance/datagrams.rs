//! The events of sockets for datagrams.

use wasmtime::component::ResourceAny;

use super::super::bindings::exports::torsade::plugin::datagram_protocols;
use super::super::bindings::torsade::plugin::datagrams::{Part, Peer};
use super::super::bindings::torsade::plugin::types;
use super::super::outbox::{Outbox, SocketHandle};
use super::{Exports, Fault, Instance, Origin};
use crate::capability::Address;
use crate::figures::Event;

/// The plugin's end of a socket for datagrams, and the host's name for the handle it was given.
#[derive(Clone, Copy, Debug)]
pub struct DatagramProtocol {
    guest: ResourceAny,
    handle: u32,
    socket: u64,
}

/// What a plugin may know of a new socket for datagrams.
#[derive(Clone, Debug)]
pub struct SocketFacts {
    /// The reactor's number for it.
    pub socket: u64,
    /// This side's address.
    pub local: Address,
    /// The one peer of a connected socket.
    pub peer: Option<Address>,
}

impl Instance {
    /// `datagram-protocols.build-datagram-protocol`.
    pub fn build_datagram_protocol(
        &mut self,
        facts: SocketFacts,
        origin: Origin,
        lent: &mut Option<Box<Outbox>>,
    ) -> Result<Option<DatagramProtocol>, Fault> {
        let SocketFacts { socket, local, peer } = facts;
        self.enter(Event::BuildDatagramProtocol, lent, |exports, store| {
            store.data_mut().may_hold_another()?;
            let handle = SocketHandle { socket, open: true, local, peer };
            let transport = store.data_mut().sockets.push(handle);
            let handle = transport.rep();
            let protocols = datagrams(exports)?;
            let guest = protocols.call_build_datagram_protocol(store, transport, origin.into())?;
            Ok(guest.map(|guest| DatagramProtocol { guest, handle, socket }))
        })
    }

    /// `datagram-protocol.datagrams-received`.
    pub fn datagrams_received(
        &mut self,
        protocol: DatagramProtocol,
        data: &[u8],
        parts: &[Part],
        lent: &mut Option<Box<Outbox>>,
    ) -> Result<(), Fault> {
        self.enter(Event::DatagramsReceived, lent, |exports, store| {
            let protocols = datagrams(exports)?.datagram_protocol();
            protocols.call_datagrams_received(store, protocol.guest, data, parts)
        })
    }

    /// `datagram-protocol.connection-refused`.
    pub fn connection_refused(
        &mut self,
        protocol: DatagramProtocol,
        peer: &Peer,
        code: &str,
        message: String,
        lent: &mut Option<Box<Outbox>>,
    ) -> Result<(), Fault> {
        let why = types::Failure { code: code.to_owned(), message };
        self.enter(Event::ConnectionRefused, lent, |exports, store| {
            let protocols = datagrams(exports)?.datagram_protocol();
            protocols.call_connection_refused(store, protocol.guest, peer, &why)
        })
    }

    /// `datagram-protocol.closed`; then drops the protocol: its destructor is guest code too.
    pub fn closed(
        &mut self,
        protocol: DatagramProtocol,
        code: &str,
        message: &str,
        lent: &mut Option<Box<Outbox>>,
    ) -> Result<(), Fault> {
        let sockets = &mut self.store.data_mut().sockets;
        if let Some(handle) = sockets.at(protocol.handle)
            && handle.socket == protocol.socket
        {
            handle.open = false;
        }
        let reason = types::Reason { code: code.to_owned(), message: message.to_owned() };
        self.enter(Event::Closed, lent, |exports, store| {
            let protocols = datagrams(exports)?.datagram_protocol();
            protocols.call_closed(&mut *store, protocol.guest, &reason)?;
            protocol.guest.resource_drop(store)
        })
    }
}

/// The plugin's protocols for datagrams. Without them it is given none: see
/// [`Plugin::serves_datagrams`](crate::plugin::Plugin::serves_datagrams).
fn datagrams(exports: &Exports) -> wasmtime::Result<&datagram_protocols::Guest> {
    let found = exports.datagrams.as_ref();
    found.ok_or_else(|| wasmtime::format_err!("it exports no datagram-protocols"))
}
