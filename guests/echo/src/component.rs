//! Joins the echo protocol to the host.

use torsade_guest::datagrams::{Batch, DatagramPlugin, DatagramProtocol, DatagramTransport};
use torsade_guest::{NoConfig, Origin, Plugin, Protocol, Transport, Waiting};

use crate::{Echo, Flow};

struct Server;

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

struct Connection {
    transport: Transport<Connection>,
    echo: Echo,
}

/// At the peer's end of the stream the default sends what is queued and closes.
impl Protocol for Connection {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        self.transport.write(data);
        if self.echo.echoed(data.len(), || self.transport.room()) == Some(Flow::Pause) {
            self.transport.pause_producing();
        }
        None
    }

    fn write_drained(&mut self) {
        if self.echo.drained() == Some(Flow::Resume) {
            self.transport.resume_producing();
        }
    }
}

impl DatagramPlugin for Server {
    type DatagramProtocol = Socket;

    fn build_datagram_protocol(
        &mut self,
        transport: DatagramTransport<Socket>,
        _origin: Origin,
    ) -> Option<Socket> {
        Some(Socket { transport })
    }
}

struct Socket {
    transport: DatagramTransport<Socket>,
}

/// Each datagram goes back to who sent it (RFC 862), all that came together in one crossing.
impl DatagramProtocol for Socket {
    fn datagrams_received(&mut self, batch: Batch<'_>) {
        self.transport.send(batch);
    }
}

torsade_guest::export!(Server, serves = ["echo"]);
torsade_guest::export_datagrams!(Server);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use torsade_guest::testing::{Bench, conversations};

    use super::Server;

    #[test]
    fn conversations_go_as_told() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conversations");
        conversations::<Server>(&folder).unwrap();
    }

    #[test]
    fn a_slow_peer_is_read_on_once_it_reads() {
        let mut bench = Bench::<Server>::start("{}").unwrap();
        let peer = bench.connect();
        bench.set_reading(&peer, false);
        for _ in 0..20 {
            bench.send(&peer, &[b'x'; 10_000]);
        }
        assert!(peer.is_paused());
        assert_eq!(peer.unsent(), 70_000);
        bench.set_reading(&peer, true);
        assert_eq!(peer.take().len(), 200_000);
        bench.end(&peer);
        assert_eq!(peer.reason().unwrap().code, "done");
    }
}
