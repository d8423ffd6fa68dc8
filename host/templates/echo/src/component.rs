//! Joins the protocol to the host.

use torsade_guest::{NoConfig, Origin, Plugin, Protocol, Transport, Waiting};

use crate::Echo;

/// The plugin: it makes the protocol of each connection.
pub struct Server;

impl Plugin for Server {
    type Config = NoConfig;
    type Protocol = Connection;

    fn start(_config: NoConfig) -> Result<Self, String> {
        Ok(Server)
    }

    fn build_protocol(
        &mut self,
        transport: Transport<Connection>,
        _origin: Origin,
    ) -> Option<Connection> {
        Some(Connection { transport, echo: Echo::default() })
    }
}

/// One connection.
pub struct Connection {
    transport: Transport<Connection>,
    echo: Echo,
}

impl Protocol for Connection {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        self.transport.write(data);
        if self.echo.pauses(self.transport.room()) {
            self.transport.pause_producing();
        }
        None
    }

    fn write_drained(&mut self) {
        if self.echo.goes_on() {
            self.transport.resume_producing();
        }
    }
}

torsade_guest::export!(Server);

#[cfg(test)]
mod tests {
    use torsade_guest::testing::Bench;

    use super::Server;

    #[test]
    fn what_a_slow_peer_sends_waits_for_it() {
        let mut bench = Bench::<Server>::start("{}").unwrap();
        let peer = bench.connect();
        bench.set_reading(&peer, false);
        for _ in 0..10 {
            bench.send(&peer, &[b'x'; 10_000]);
        }
        assert!(peer.is_paused());
        assert_eq!(peer.unsent(), 70_000, "the rest was not delivered");
        bench.set_reading(&peer, true);
        assert_eq!(peer.take().len(), 100_000);
    }
}
