//! What a client keeps: a connection that this side has made.

use crate::deferred::Deferred;
use crate::protocol::Protocol;
use crate::transport::Transport;

/// A connection that this side has made, as [`ReconnectingClient`](crate::ReconnectingClient) and
/// [`ConnectionPool`](crate::ConnectionPool) keep it: a [`Transport`], or what stands in for one in
/// a native test. A clone is the same connection.
pub trait Outgoing: Clone + 'static {
    /// Closes it once all that is queued is sent. Nothing happens to one that is lost.
    fn lose_connection(&self);

    /// A deferred that fires when it is lost, by whichever side; at once where it is already.
    fn when_lost(&self) -> Deferred<()>;
}

impl<P: Protocol> Outgoing for Transport<P> {
    fn lose_connection(&self) {
        Transport::lose_connection(self);
    }

    #[track_caller]
    fn when_lost(&self) -> Deferred<()> {
        Transport::when_lost(self)
    }
}
