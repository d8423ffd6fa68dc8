//! Joins the protocol to the host.

use serde::Deserialize;
use torsade_guest::{Origin, Plugin, Protocol, Transport, Waiting};

use crate::Session;

/// The `config` table of the service in `torsade.toml`.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The word that a name is greeted with.
    pub greeting: String,
}

impl Default for Config {
    fn default() -> Self {
        Config { greeting: "hello".to_owned() }
    }
}

/// The plugin: it makes the protocol of each connection.
pub struct Server {
    config: Config,
}

impl Plugin for Server {
    type Config = Config;
    type Protocol = Connection;

    fn start(config: Config) -> Result<Self, String> {
        if config.greeting.is_empty() {
            return Err("greeting: must not be empty".to_owned());
        }
        Ok(Server { config })
    }

    fn build_protocol(
        &mut self,
        transport: Transport<Connection>,
        _origin: Origin,
    ) -> Option<Connection> {
        Some(Connection { transport, session: Session::new(&self.config.greeting) })
    }
}

/// One connection.
pub struct Connection {
    transport: Transport<Connection>,
    session: Session,
}

impl Protocol for Connection {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        let mut out = Vec::new();
        self.session.received(data, &mut out);
        self.transport.write(&out);
        if self.session.is_over() {
            self.transport.lose_connection();
        } else if self.transport.room() == 0 {
            // No more is taken from a peer that doesn't take its answers.
            self.transport.pause_producing();
        }
        None
    }

    fn write_drained(&mut self) {
        self.transport.resume_producing();
    }
}

torsade_guest::export!(Server);

#[cfg(test)]
mod tests {
    use torsade_guest::testing::Bench;

    use super::Server;

    #[test]
    fn a_peer_that_takes_no_answers_is_not_read() {
        let mut bench = Bench::<Server>::start("{}").unwrap();
        let peer = bench.connect();
        bench.set_reading(&peer, false);
        for _ in 0..100 {
            bench.send(&peer, "count\n".repeat(1_000).as_bytes());
        }
        assert!(peer.is_paused());
        bench.set_reading(&peer, true);
        assert!(peer.take_text().ends_with("\r\n99999\r\n"));
    }

    #[test]
    fn a_mistake_in_the_configuration_is_told() {
        let refused = Bench::<Server>::start(r#"{"greeting": ""}"#).err();
        assert_eq!(refused.as_deref(), Some("greeting: must not be empty"));
    }
}
