//! Joins the echo protocol to the host.

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

torsade_guest::export!(Server);
