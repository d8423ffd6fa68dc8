//! A service as one worker sees it: its plugin, its limits, its listeners.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::life::{Life, Waiter};
use super::{Due, Listener, Reactor, listener_token};
use crate::arena::Id;
use crate::capability::files::{Answer, Files, Root};
use crate::census::Census;
use crate::net::{Address, Net};
use crate::plugin::{Limits, Plugin};
use crate::pool::Pool;

/// What a worker needs to know of a service.
#[derive(Clone)]
pub struct ServiceSettings {
    /// Its name, for the log.
    pub name: Arc<str>,
    /// Its plugin.
    pub plugin: Plugin,
    /// The plugin's file or folder, for the log.
    pub plugin_name: Arc<str>,
    /// The plugin's configuration, as JSON.
    pub config: Arc<str>,
    /// Whether each connection has its own instance.
    pub per_connection: bool,
    /// What an instance may use.
    pub limits: Arc<Limits>,
    /// How many connections it has and may have, over all workers.
    pub census: Arc<Census>,
    /// Bytes that may wait to be sent on a connection before it is aborted.
    pub unsent: usize,
    /// Bytes that may wait before `room` is 0.
    pub unsent_high: usize,
    /// Bytes that may wait when `write-drained` is called.
    pub unsent_low: usize,
    /// How long a closing connection may send nothing.
    pub drain: Duration,
    /// How long a closed connection waits for the peer's end.
    pub linger: Duration,
    /// The folder that `files` grants.
    pub files: Option<Root>,
    /// How many of its files a worker keeps open.
    pub cached_files: usize,
}

/// A connection that was accepted for another worker.
pub struct Accepted<S> {
    /// The socket.
    pub stream: S,
    /// The peer's address.
    pub peer: Address,
    /// The number of the service.
    pub service: usize,
    /// The place of the endpoint in the service's `listen`.
    pub endpoint: u32,
}

pub(super) struct Service {
    pub(super) settings: ServiceSettings,
    /// The instance that all its connections share, unless each has its own.
    pub(super) shared: Option<Id<Life>>,
    pub(super) files: Option<Files<Waiter>>,
}

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// Adds a service, and returns its number. With a shared instance, that is started now.
    pub fn serve(&mut self, settings: ServiceSettings) -> usize {
        let files = settings.files.clone().map(|root| Files::new(root, settings.cached_files));
        let per_connection = settings.per_connection;
        self.services.push(Service { settings, shared: None, files });
        let service = self.services.len() - 1;
        if !per_connection {
            self.tell_time();
            // Where it fails the log says so, and the next connection tries again.
            self.shared_life(service);
            self.settle();
        }
        service
    }

    /// Takes a connection that another worker accepted.
    pub fn adopt(&mut self, accepted: Accepted<N::Stream>) {
        self.tell_time();
        self.connect(accepted);
        self.settle();
    }

    /// The connections that were accepted for other workers since the last call.
    pub fn take_dealt(&mut self) -> Vec<Accepted<N::Stream>> {
        std::mem::take(&mut self.dealt)
    }

    /// Accepts a turn's share.
    pub(super) fn on_acceptable(&mut self, id: Id<Listener<N::Listener>>) {
        for _ in 0..ACCEPTS_A_TURN {
            if !self.accept(id) {
                return;
            }
        }
        self.accept_again.push_back(id);
    }

    /// Accepts one connection. `false` where there is none, or none can be taken now.
    pub(super) fn accept(&mut self, id: Id<Listener<N::Listener>>) -> bool {
        let Some(listener) = self.listeners.get_mut(id) else { return false };
        let (service, endpoint, deals) = (listener.service, listener.endpoint, listener.deals);
        let settings = &self.services[service].settings;
        if settings.census.is_full() {
            let name = &*settings.name;
            tracing::warn!(service = name, "limits.connections is reached; new ones wait");
            self.accept_later(id);
            return false;
        }
        match self.net.accept(&mut listener.socket) {
            Ok((stream, peer)) => {
                let accepted = Accepted { stream, peer, service, endpoint };
                if deals {
                    self.dealt.push(accepted);
                } else {
                    self.connect(accepted);
                }
                true
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => false,
            Err(e) if is_peers_fault(&e) => true,
            Err(e) => {
                let name = &*settings.name;
                tracing::error!(service = name, "can't accept a connection, trying again: {e}");
                self.accept_later(id);
                false
            }
        }
    }

    /// The connection waits in the backlog; as it is there already, no edge will come for it.
    fn accept_later(&mut self, id: Id<Listener<N::Listener>>) {
        let at = self.net.now() + ACCEPT_RETRY;
        self.add_timer(at, Due::Accept(listener_token(id) & !super::LISTENER));
    }
}

/// The address that limits for each peer count by.
pub(super) fn peer_ip(peer: &Address) -> Option<IpAddr> {
    match peer {
        Address::Tcp(address) => Some(address.ip()),
        Address::Unix(_) => None,
    }
}

/// Whether only this connection failed, and the next may be taken at once.
fn is_peers_fault(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    )
}

/// How many connections one listener may accept before others get their turn.
const ACCEPTS_A_TURN: usize = 100;

/// How long a listener that can't accept waits before it tries again.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
