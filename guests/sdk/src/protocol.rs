//! Protocols: what a connection means.

use crate::deferred::Waiting;
use crate::transport::Transport;
use crate::types::Reason;

/// What one connection means. One value for each connection.
///
/// The events come in this order: [`Plugin::build_protocol`](crate::Plugin::build_protocol), then
/// `data_received` and `write_drained` in any number, then `connection_lost` once. Then the
/// protocol is dropped.
pub trait Protocol: Sized + 'static {
    /// Some bytes arrived, at most 68 KiB. How the stream is cut into chunks means nothing.
    ///
    /// Returning a deferred says: I am waiting for this; deliver no more data of this
    /// connection until it has fired.
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting>;

    /// The peer is taking bytes again. Called only after [`Transport::room`] was 0.
    fn write_drained(&mut self) {}

    /// The peer has ended its half of the stream: no more data will arrive; this side may still
    /// write. What is not overridden closes the connection once all that is queued is sent.
    fn read_connection_lost(&mut self, transport: &Transport<Self>) {
        transport.lose_connection();
    }

    /// The handshake of TLS is over: [`Transport::tls`] has what it came to. On an endpoint that is
    /// encrypted from the first byte on, it follows `build_protocol` at once.
    fn handshake_completed(&mut self, transport: &Transport<Self>) {
        let _ = transport;
    }

    /// The connection ended. The last event.
    fn connection_lost(&mut self, reason: Reason) {
        let _ = reason;
    }
}
