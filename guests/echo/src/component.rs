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
