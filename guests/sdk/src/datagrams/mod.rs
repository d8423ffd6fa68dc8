//! Datagrams: UDP, IP multicast, and Unix sockets of datagrams.
//!
//! A plugin that serves them implements [`Plugin`] as every plugin does, and [`DatagramPlugin`]
//! beside it. It says [`export_datagrams!`](crate::export_datagrams) beside
//! [`export!`](crate::export), or beside [`export_ground!`](crate::export_ground) where it serves
//! no streams, as this one, which sends back what it gets:
//!
//! ```no_run
//! use torsade_guest::datagrams::{
//!     Batch, DatagramPlugin, DatagramProtocol, DatagramTransport, NoStreams,
//! };
//! use torsade_guest::{NoConfig, Origin, Plugin, Transport};
//!
//! struct Server;
//!
//! impl Plugin for Server {
//!     type Config = NoConfig;
//!     type Protocol = NoStreams;
//!
//!     fn start(_config: NoConfig) -> Result<Self, String> {
//!         Ok(Server)
//!     }
//!
//!     fn build_protocol(&mut self, _: Transport<NoStreams>, _: Origin) -> Option<NoStreams> {
//!         None
//!     }
//! }
//!
//! impl DatagramPlugin for Server {
//!     type DatagramProtocol = Echo;
//!
//!     fn build_datagram_protocol(
//!         &mut self,
//!         transport: DatagramTransport<Echo>,
//!         _: Origin,
//!     ) -> Option<Echo> {
//!         Some(Echo { transport })
//!     }
//! }
//!
//! struct Echo {
//!     transport: DatagramTransport<Echo>,
//! }
//!
//! impl DatagramProtocol for Echo {
//!     fn datagrams_received(&mut self, batch: Batch<'_>) {
//!         self.transport.send(batch);
//!     }
//! }
//!
//! torsade_guest::export_ground!(Server);
//! torsade_guest::export_datagrams!(Server);
//! ```
//!
//! A plugin gets a socket of its own by [`endpoints::connect`](crate::endpoints::connect) with
//! `udp:HOST:PORT`, or by [`endpoints::listen`](crate::endpoints::listen) with `udp:PORT`; its
//! protocol is built by [`DatagramPlugin::build_datagram_protocol`] with the number of that deferred.
//!
//! Datagrams come and go in batches, each of which crosses the sandbox's border once: a
//! [`Batch`] is a view of the one that arrived, and [`DatagramTransport::write`] gathers what an
//! event sends. Nothing is allocated for a single datagram.

mod batch;
mod component;
mod multicast;
mod peer;
mod transport;

use crate::Waiting;
use crate::plugin::Plugin;
use crate::protocol::Protocol;
use crate::types::Origin;
use crate::types::{Failure, Reason};

pub use batch::{Batch, Datagrams};
#[doc(hidden)]
pub use component::Component;
pub use multicast::Membership;
pub use peer::{Ipv6Peer, Peer};
pub use transport::DatagramTransport;

/// What a plugin for datagrams is, beside a [`Plugin`]: it makes the protocol of each socket.
///
/// Export it with [`export_datagrams!`](crate::export_datagrams).
pub trait DatagramPlugin: Plugin {
    /// What the plugin's sockets mean.
    type DatagramProtocol: DatagramProtocol;

    /// Makes the protocol of a new socket, which may send already, and join groups; or refuses
    /// the socket, and then it is closed at once. A service's endpoint is one socket in each of
    /// its workers.
    fn build_datagram_protocol(
        &mut self,
        transport: DatagramTransport<Self::DatagramProtocol>,
        origin: Origin,
    ) -> Option<Self::DatagramProtocol>;
}

/// What one socket means. One value for each socket.
///
/// The events come in this order: [`DatagramPlugin::build_datagram_protocol`], then
/// `datagrams_received` and `connection_refused` in any number, then `closed` once. Then the
/// protocol is dropped.
pub trait DatagramProtocol: Sized + 'static {
    /// Some datagrams arrived, at most 64, in the order in which they came.
    fn datagrams_received(&mut self, batch: Batch<'_>);

    /// What was sent to a peer was refused: nobody listens there, or no way leads there (ICMP).
    /// The network tells of it late, or never.
    fn connection_refused(&mut self, peer: &Peer, why: Failure) {
        let _ = (peer, why);
    }

    /// The socket is closed. The last event.
    fn closed(&mut self, reason: Reason) {
        let _ = reason;
    }
}

/// The [`Plugin::Protocol`] of a plugin that serves no streams. There is no value of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoStreams {}

impl Protocol for NoStreams {
    fn data_received(&mut self, _: &[u8]) -> Option<Waiting> {
        match *self {}
    }
}

/// Exports the datagrams of a plugin: `export_datagrams!(MyPlugin);`, once, beside
/// [`export!`](crate::export) or [`export_ground!`](crate::export_ground).
#[macro_export]
macro_rules! export_datagrams {
    ($plugin:ty) => {
        const _: () = {
            type Component = $crate::datagrams::Component<$plugin>;
            #[cfg(target_family = "wasm")]
            $crate::datagram_bindings::export_datagram_component!(
                Component with_types_in $crate::datagram_bindings
            );
        };
    };
}
