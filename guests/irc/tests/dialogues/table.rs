//! The server in memory, as the other side of a conversation.

use std::time::Duration;

use serde_json::{Map, Value, json};
use torsade_guest::testing::conversation::{Talker, Way};
use torsade_irc::{Client, Config, Peer};

use super::world::World;

/// A world whose clients are numbered.
pub(crate) struct Table {
    world: World,
    clients: Vec<Option<Client>>,
}

impl Table {
    /// With the server of the dialogues, as one of them wants it.
    ///
    /// # Errors
    /// The configuration isn't right.
    pub(crate) fn new(config: &str) -> Result<Self, String> {
        let config: Config =
            serde_json::from_str(&configuration(config)?).map_err(|error| error.to_string())?;
        config.check()?;
        Ok(Table { world: World::new(config, 1), clients: Vec::new() })
    }

    fn client(&self, peer: usize) -> Client {
        self.clients[peer].expect("the runner names who has connected")
    }
}

impl Talker for Table {
    fn connect(&mut self, number: usize, way: &Way) -> Result<(), String> {
        let host = way.from.clone().unwrap_or_else(|| format!("192.0.2.{}", number + 1));
        let peer = Peer {
            host: if way.over == "unix" { "localhost".to_owned() } else { host },
            is_secure: way.over == "tls",
            local: way.over == "unix",
            fingerprint: way.certificate.clone(),
            ..Peer::default()
        };
        if !["plain", "tls", "unix"].contains(&&*way.over) {
            return Err(format!("{} is no way here: right are plain, tls and unix", way.over));
        }
        let client = self.world.connect(peer);
        self.clients.resize(self.clients.len().max(number + 1), None);
        self.clients[number] = Some(client);
        Ok(())
    }

    fn send(&mut self, peer: usize, data: &[u8]) {
        self.world.send(self.client(peer), data);
    }

    fn pass(&mut self, time: Duration) {
        self.world.pass(time);
    }

    fn end(&mut self, peer: usize) {
        self.world.lose(self.client(peer), "Connection closed");
    }

    fn lose(&mut self, peer: usize) {
        self.world.lose(self.client(peer), "Connection reset by peer");
    }

    fn take(&mut self, peer: usize) -> Vec<u8> {
        self.world.take(self.client(peer))
    }

    fn is_cut_off(&mut self, peer: usize) -> bool {
        self.world.is_cut_off(self.client(peer))
    }

    fn start_tls(&mut self, peer: usize) -> Result<(), String> {
        self.world.start_tls(self.client(peer))
    }

    fn set_reading(&mut self, peer: usize, reading: bool) -> Result<(), String> {
        self.world.set_reading(self.client(peer), reading);
        Ok(())
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.world.server.disagreement(), None);
        }
    }
}

/// The configuration of the dialogues' server, as one of them wants it.
///
/// # Errors
/// What it wants is no table in JSON.
pub(crate) fn configuration(own: &str) -> Result<String, String> {
    let mut wanted = json!({ "name": "irc.test", "network": "Test", "rate": 0 });
    let own = if own.is_empty() { "{}" } else { own };
    let own: Map<String, Value> = serde_json::from_str(own).map_err(|error| error.to_string())?;
    wanted.as_object_mut().expect("it is made as one").extend(own);
    Ok(wanted.to_string())
}
