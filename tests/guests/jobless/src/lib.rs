//! Asks for a job at each connection, and exports none: tells what that comes to.
#![forbid(unsafe_code)]

use torsade_guest::{Deferred, NoConfig, Origin, Plugin, Protocol, Transport, Waiting, code, jobs};

struct Server;

impl Plugin for Server {
    type Config = NoConfig;
    type Protocol = Jobless;

    fn start(_config: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn build_protocol(&mut self, transport: Transport<Jobless>, _: Origin) -> Option<Jobless> {
        Some(Jobless(transport))
    }
}

/// One connection.
struct Jobless(Transport<Self>);

impl Protocol for Jobless {
    fn data_received(&mut self, _: &[u8]) -> Option<Waiting> {
        let asked = Deferred::from(jobs::run("double", b""));
        Some(asked.call_on(&self.0, |jobless, output| {
            let told = output.map_or_else(|failure| failure.code, |_| code::DONE.to_owned());
            jobless.0.write(format!("{told}\n").as_bytes());
            None
        }))
    }
}

torsade_guest::export!(Server);
