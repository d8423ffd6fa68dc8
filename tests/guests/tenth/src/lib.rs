//! An echo that traps for each peer whose IPv4 address ends with a multiple of ten: while it builds
//! the protocol for every other one, at the first data for the rest.
#![forbid(unsafe_code)]

use torsade_guest::{NoConfig, Origin, Plugin, Protocol, Transport, Waiting};

struct Server;

impl Plugin for Server {
    type Config = NoConfig;
    type Protocol = Tenth;

    fn start(_config: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn build_protocol(&mut self, transport: Transport<Tenth>, _: Origin) -> Option<Tenth> {
        let host = transport.peer_address().host;
        let last: u8 = host.rsplit('.').next().and_then(|byte| byte.parse().ok()).unwrap_or(1);
        assert!(!last.is_multiple_of(20), "it traps before there is a protocol");
        Some(Tenth { transport, traps: last.is_multiple_of(10) })
    }
}

/// One connection.
struct Tenth {
    transport: Transport<Self>,
    traps: bool,
}

impl Protocol for Tenth {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        assert!(!self.traps, "it traps at the first data");
        self.transport.write(data);
        None
    }
}

torsade_guest::export!(Server);
