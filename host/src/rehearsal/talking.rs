//! A stage as the other side of conversations.

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use torsade_guest::testing::conversation::{Conversation, Talker, Way};

use super::Stage;
use crate::capability::resolver::LookUp;
use crate::net::Address;
use crate::net::sim::{Behind, Far};
use crate::reactor::ServiceSettings;
use crate::transport::client_endpoint::{ClientEndpoint, Target};

impl Stage {
    /// One that serves a service as a conversation wants it: with its configuration, its names, and
    /// those who listen.
    ///
    /// # Errors
    /// Says which endpoint can't be listened on; or the network's.
    pub fn of(conversation: &Conversation, settings: ServiceSettings) -> Result<Self, String> {
        let mut settings = settings;
        if !conversation.config.is_empty() {
            settings.config = conversation.config.as_str().into();
        }
        settings.look_up = look_up(conversation);
        let mut stage = Self::new();
        for (peer, endpoint) in &conversation.listeners {
            let address = address(endpoint)?;
            stage.reactor.net().stand(address.clone(), Behind::Open);
            stage.backends.push((*peer, address));
        }
        stage.serve(settings).map_err(|error| error.to_string())?;
        stage.moment();
        Ok(stage)
    }

    /// A peer of the conversation comes to a listener, by the network's number.
    ///
    /// # Errors
    /// Where it comes from no address.
    pub fn come(&mut self, peer: usize, listener: usize, way: &Way) -> Result<(), String> {
        let far = self.reactor.net().connect(listener);
        if let Some(from) = &way.from {
            let from = from.parse().map_err(|_| format!("{from} is no address"))?;
            self.reactor.net().come_from(far, from);
        }
        self.seat(peer, far);
        self.doing(|_| ());
        Ok(())
    }

    /// The far end of a peer of the conversation.
    pub fn far(&self, peer: usize) -> Far {
        let far = self.peers.get(peer).copied().flatten();
        far.expect("the runner names who has connected")
    }

    /// Waits until all has come of something, of what the pool is asked, too.
    pub fn moment(&mut self) {
        let mut was_asked = true;
        for _ in 0..ROUNDS {
            self.pass_or_say(MOMENT);
            // What has been answered leads to the next thing.
            let is_asked = self.reactor.pool().pool().pending() > 0;
            if !mem::replace(&mut was_asked, is_asked) && !is_asked {
                return;
            }
        }
    }

    /// Does something, and all that comes of it, and notes what that has taken.
    fn doing(&mut self, what: impl FnOnce(&mut Self)) {
        let before = self.reactor.worked();
        what(self);
        self.moment();
        let took = self.reactor.worked().saturating_sub(before);
        self.fuel.push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// A plugin that has something to do without end shows in what its peers see.
    fn pass_or_say(&mut self, time: Duration) {
        if let Err(error) = self.pass(time) {
            tracing::error!("the simulation stands still: {error}");
        }
    }

    fn seat(&mut self, peer: usize, far: Far) {
        self.peers.resize(self.peers.len().max(peer + 1), None);
        self.peers[peer] = Some(far);
    }
}

impl Talker for Stage {
    fn connect(&mut self, peer: usize, way: &Way) -> Result<(), String> {
        if way.over != "plain" {
            return Err(format!("there is no way over {} here", way.over));
        }
        self.come(peer, self.listeners[0], way)
    }

    fn reach(&mut self, peer: usize) -> Result<(), String> {
        while let Some(dialled) = self.reactor.net().dialled() {
            self.reached.push(dialled);
        }
        let is_its = |address: &Address| self.backends.contains(&(peer, address.clone()));
        let at = self.reached.iter().position(|(_, address)| is_its(address));
        let (far, _) = self.reached.remove(at.ok_or("nobody has connected there")?);
        self.seat(peer, far);
        Ok(())
    }

    fn fail_next(&mut self) -> Result<(), String> {
        let pool = self.reactor.pool();
        pool.fail_at(pool.calls() + 1);
        Ok(())
    }

    fn send(&mut self, peer: usize, data: &[u8]) {
        let far = self.far(peer);
        self.doing(|stage| stage.reactor.net().send(far, data));
    }

    fn pass(&mut self, time: Duration) {
        self.pass_or_say(time);
        self.moment();
    }

    fn end(&mut self, peer: usize) {
        let far = self.far(peer);
        self.doing(|stage| stage.reactor.net().hang_up(far));
    }

    fn lose(&mut self, peer: usize) {
        let far = self.far(peer);
        self.doing(|stage| stage.reactor.net().reset(far));
    }

    fn take(&mut self, peer: usize) -> Vec<u8> {
        let far = self.far(peer);
        self.reactor.net().received(far)
    }

    fn is_cut_off(&mut self, peer: usize) -> bool {
        let far = self.far(peer);
        self.is_gone(far)
    }

    fn set_reading(&mut self, peer: usize, reading: bool) -> Result<(), String> {
        let far = self.far(peer);
        self.doing(|stage| stage.reactor.net().set_reading(far, reading));
        Ok(())
    }
}

/// What finds the names of a conversation, and no others.
fn look_up(conversation: &Conversation) -> LookUp {
    let hosts = conversation.hosts.clone();
    Arc::new(move |name| {
        let found = hosts.iter().find(|(host, _)| host == name);
        let (_, addresses) = found.ok_or(std::io::ErrorKind::NotFound)?;
        Ok(addresses.iter().map(|ip| SocketAddr::new(*ip, 0)).collect())
    })
}

/// Where a peer listens: at an address, or on a Unix socket.
fn address(endpoint: &str) -> Result<Address, String> {
    let wrong = |what: &str| format!("{endpoint} can't be listened on: {what}");
    match endpoint.parse::<ClientEndpoint>().map_err(|error| wrong(&format!("{error}")))? {
        ClientEndpoint::Tcp { target: Target::Address(address), tls: None, .. } => {
            Ok(Address::Tcp(address))
        }
        ClientEndpoint::Unix { name, .. } => Ok(Address::Unix(name.to_string().into())),
        _ => Err(wrong("right is tcp:ADDRESS:PORT or unix:PATH")),
    }
}

/// How long it takes until all has come of something that isn't asked of the pool.
const MOMENT: Duration = Duration::from_micros(100);

/// More questions in a row than any plugin asks.
const ROUNDS: usize = 100;
