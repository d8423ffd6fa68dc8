//! Which workers serve which service, and on what sockets: bound now, or given on by a service that
//! has them.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use anyhow::{Result, anyhow, ensure};

use crate::config::Service;
use crate::net::os::Inherited;
use crate::reactor::ServiceSettings;
use crate::transport::endpoint::{Endpoint, Socket};
use crate::transport::listener::{self, BoundSocket};
use crate::worker::{Added, Number};

/// A service that is served, or about to be.
#[derive(Clone)]
pub(super) struct Running {
    pub(super) number: Number,
    /// What the configuration says of it.
    pub(super) service: Service,
    /// Its plugin's bytes.
    pub(super) plugin: Arc<[u8]>,
    pub(super) settings: ServiceSettings,
    /// Its endpoints as they were bound.
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) workers: Vec<usize>,
}

/// A service, ready to be dealt out to its workers.
pub(super) struct Plan {
    pub(super) running: Running,
    /// The sockets of each endpoint that were not taken yet, in the order of the workers or only for
    /// the first; none where another service gives them on.
    sockets: Vec<Vec<Option<BoundSocket>>>,
    /// Whose endpoints it takes over, which of theirs, and as which of its own.
    moves: Vec<(Number, u32, u32)>,
}

/// Where services can go.
pub(super) struct Places<'a> {
    /// How many workers there are.
    pub(super) workers: usize,
    /// The first of those that the next service gets.
    pub(super) first: usize,
    /// The next service's number.
    pub(super) next: Number,
    pub(super) inherited: &'a mut Inherited,
    /// The services that go, or that others take the place of.
    pub(super) leaving: Vec<&'a Running>,
    /// Their endpoints that are given on.
    taken: HashSet<(Number, u32)>,
}

impl Running {
    /// Its name and its endpoints, as they are printed.
    pub(super) fn shown(&self) -> (String, Vec<String>) {
        let endpoints = self.endpoints.iter().map(ToString::to_string).collect();
        (self.service.name.clone(), endpoints)
    }
}

impl Plan {
    /// What the worker is told, if it serves it.
    pub(super) fn for_worker(&mut self, worker: usize) -> Option<Added> {
        let Running { number, settings, workers, .. } = &self.running;
        let place = workers.iter().position(|other| *other == worker)?;
        let numbered = self.sockets.iter_mut().zip(0..);
        let sockets = numbered
            .filter_map(|(sockets, endpoint)| Some((endpoint, sockets.get_mut(place)?.take()?)))
            .collect();
        let (settings, moves, workers) = (settings.clone(), self.moves.clone(), workers.clone());
        Some(Added { number: *number, settings, sockets, moves, workers })
    }
}

impl<'a> Places<'a> {
    /// Where the first services of so many workers can go.
    pub(super) fn of(workers: usize, inherited: &'a mut Inherited) -> Self {
        let (leaving, taken) = (Vec::new(), HashSet::new());
        Self { workers, first: 0, next: 0, inherited, leaving, taken }
    }

    /// Finds workers for a service, and binds those of its endpoints that nobody gives it.
    pub(super) fn plan(
        &mut self,
        service: &Service,
        mut settings: ServiceSettings,
        plugin: Arc<[u8]>,
    ) -> Result<Plan> {
        let given: Vec<_> =
            service.listen.iter().map(|endpoint| self.given(&service.name, endpoint)).collect();
        let workers = self.workers_for(service, &given)?;
        let (mut sockets, mut endpoints, mut moves) = (Vec::new(), Vec::new(), Vec::new());
        for ((endpoint, given), place) in service.listen.iter().zip(given).zip(0..) {
            if let Some((of, which)) = given {
                moves.push((of.number, which, place));
                sockets.push(Vec::new());
                let socket = of.endpoints[which as usize].socket.clone();
                endpoints.push(Endpoint { socket, ..endpoint.clone() });
                continue;
            }
            let bound = listener::bind(endpoint, workers.len(), self.inherited)
                .map_err(|e| anyhow!("service.{}: {}", service.name, self.why(endpoint, &e)))?;
            sockets.push(bound.sockets.into_iter().map(Some).collect());
            endpoints.push(bound.endpoint);
        }
        settings.endpoints = endpoints.clone().into();
        let number = self.next;
        self.next += 1;
        let service = service.clone();
        let running = Running { number, service, plugin, settings, endpoints, workers };
        Ok(Plan { running, sockets, moves })
    }

    /// The endpoint of a service that leaves which has the same socket: of the service that is
    /// succeeded, or of another. A port that the system picks is only ever given to the successor.
    fn given(&mut self, name: &str, endpoint: &Endpoint) -> Option<(&'a Running, u32)> {
        let is_own = |it: &&&Running| it.service.name == name;
        let own = self.leaving.iter().filter(is_own);
        let others = self.leaving.iter().filter(|it| !is_own(it) && !is_picked(&endpoint.socket));
        for running in own.chain(others) {
            for (other, which) in running.service.listen.iter().zip(0..) {
                if other.socket == endpoint.socket && self.taken.insert((running.number, which)) {
                    return Some((running, which));
                }
            }
        }
        None
    }

    /// Sockets stay on their workers: so does a service that is given some.
    fn workers_for(
        &mut self,
        service: &Service,
        given: &[Option<(&'a Running, u32)>],
    ) -> Result<Vec<usize>> {
        // For one connection, or for none that is accepted, one worker is enough.
        let alone = service.listen.iter().all(|endpoint| endpoint.socket == Socket::Stdio);
        let wanted = if alone { Some(1) } else { service.workers };
        let count = wanted.unwrap_or(self.workers).min(self.workers);
        let mut givers = given.iter().flatten().map(|(running, _)| &running.workers);
        if let Some(workers) = givers.next() {
            ensure!(
                workers.len() == count && givers.all(|others| others == workers),
                "service.{}: workers: endpoints that stay bound stay on the workers that they are \
                 on; restart the host to change that",
                service.name
            );
            return Ok(workers.clone());
        }
        let before = self.leaving.iter().find(|running| running.service.name == service.name);
        if let Some(before) = before.filter(|before| before.workers.len() == count) {
            return Ok(before.workers.clone());
        }
        let first = self.first;
        self.first = (first + count) % self.workers;
        Ok((0..count).map(|n| (first + n) % self.workers).collect())
    }

    /// Why an endpoint can't be bound.
    fn why(&self, endpoint: &Endpoint, error: &io::Error) -> String {
        let mut listens = self.leaving.iter().flat_map(|running| &running.service.listen);
        let own = listens.find(|other| other.collides_with(endpoint));
        match own.filter(|_| error.kind() == io::ErrorKind::AddrInUse) {
            Some(own) => format!(
                "can't listen on {endpoint}: this host still listens on {own}; reload without \
                 either first, or restart it"
            ),
            None => not_bound(endpoint, error),
        }
    }
}

/// Whether the system picks the port.
fn is_picked(socket: &Socket) -> bool {
    matches!(socket, Socket::Tcp { address, .. } | Socket::Udp { address, .. } if address.port() == 0)
}

pub(super) fn not_bound(endpoint: &Endpoint, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => match &endpoint.socket {
            Socket::Tcp { address, .. } | Socket::Udp { address, .. } => {
                format!("port {} is in use by another program", address.port())
            }
            Socket::Inherited(_)
            | Socket::Stdio
            | Socket::Unix { .. }
            | Socket::UnixDatagram { .. } => format!("it is in use: {error}"),
        },
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        io::ErrorKind::PermissionDenied => "this user is not allowed to".to_owned(),
        io::ErrorKind::NotFound => "its folder does not exist".to_owned(),
        _ => error.to_string(),
    };
    format!("can't listen on {endpoint}: {why}")
}
