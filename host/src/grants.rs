//! What a service's plugin may reach: the one place that says yes or no, to the plugin when it is
//! loaded and to each of its wishes. Knows no sandbox and no reactor, opens nothing, and looks no
//! name up.

mod listing;
mod users;
mod wish;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ipnet::IpNet;

use crate::net::Address;
use crate::transport::client_endpoint::{self, ClientEndpoint};
use crate::transport::endpoint::{Carries, Endpoint, EndpointError, UnixName};
use crate::transport::range::{Candidates, ListenRange};
use crate::transport::target::Target;

pub use listing::{DENIED, Import, Line, MISSING, UNUSED, check_optional, interface};
pub use users::{Clear, Users};
pub use wish::Wish;

/// A service's `grants` table; a key that is missing grants nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Grants {
    /// `files = { read = "FOLDER" }`: the folder below which the plugin may read.
    pub files: Option<PathBuf>,
    /// `resolver = true`: it may look names up.
    pub resolver: bool,
    /// `connect = ["tcp:10.0.0.0/8:5432"]`: the peers that it may connect to.
    pub connect: Vec<Target>,
    /// `listen = ["tcp:40000-40100"]`: where it may listen at run time.
    pub listen: Vec<ListenRange>,
    /// `multicast = ["224.0.0.251", "ff02::/16"]`: the groups of IP multicast that it may join.
    pub multicast: Vec<IpNet>,
    /// `jobs = true`: it may have work done on other threads.
    pub jobs: bool,
    /// `services = true`: it may know what this host serves.
    pub services: bool,
    /// `sql = "file"`: it has a database, and may use all of it but the keys of `key-value`.
    pub sql: Option<Store>,
    /// `key-value = "file"`: the same for one table of it. Where both are given they are the same.
    pub key_value: Option<Store>,
    /// `credentials = "users"`: it may know who somebody is, by this file.
    pub credentials: Option<Users>,
    /// `dry-run = true`: what would be refused is let through, as if the grant that [`Self::told`]
    /// names were there.
    pub dry_run: bool,
    /// The folder of the configuration, below which relative paths of Unix sockets are.
    pub folder: PathBuf,
}

/// Where a service's database is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Store {
    /// `"file"`: below the configuration's `state`.
    File,
    /// `":memory:"`: as long as the host runs.
    Memory,
}

/// What can be granted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Grant {
    /// Connecting to others, and sending datagrams to who has sent none.
    Connect,
    /// Knowing who somebody is.
    Credentials,
    /// Reading files below a folder.
    Files,
    /// Work on other threads.
    Jobs,
    /// Keys and values in the service's database.
    KeyValue,
    /// Listening at run time.
    Listen,
    /// Joining groups of IP multicast.
    Multicast,
    /// Looking names up.
    Resolver,
    /// Knowing what the host serves.
    Services,
    /// The service's database.
    Sql,
}

/// What the grants say to a wish.
#[derive(Debug)]
pub enum Verdict<'a, T> {
    /// It would be refused, but for `dry-run`.
    DryRun(T, Wish<'a>),
    /// It may be.
    Granted(T),
    /// It may not.
    Refused(Wish<'a>),
}

/// Where an endpoint leads, as far as it is granted.
#[derive(Debug, Eq, PartialEq)]
pub enum Goal {
    /// To a host, which has to be looked up; [`Grants::addresses`] says to which of its addresses.
    Host(String),
    /// To a Unix socket.
    Socket(Address),
    /// To an address.
    There(SocketAddr),
}

impl Grant {
    /// All, in the order of their keys.
    pub const ALL: [Self; 10] = [
        Self::Connect,
        Self::Credentials,
        Self::Files,
        Self::Jobs,
        Self::KeyValue,
        Self::Listen,
        Self::Multicast,
        Self::Resolver,
        Self::Services,
        Self::Sql,
    ];

    /// Its key in the `grants` table.
    pub fn key(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Credentials => "credentials",
            Self::Files => "files",
            Self::Jobs => "jobs",
            Self::KeyValue => "key-value",
            Self::Listen => "listen",
            Self::Multicast => "multicast",
            Self::Resolver => "resolver",
            Self::Services => "services",
            Self::Sql => "sql",
        }
    }
}

impl Grants {
    /// Whether a grant is given, whatever its range is.
    pub fn gives(&self, grant: Grant) -> bool {
        match grant {
            Grant::Connect => !self.connect.is_empty(),
            Grant::Credentials => self.credentials.is_some(),
            Grant::Files => self.files.is_some(),
            Grant::Jobs => self.jobs,
            Grant::KeyValue => self.key_value.is_some(),
            Grant::Listen => !self.listen.is_empty(),
            Grant::Multicast => !self.multicast.is_empty(),
            Grant::Resolver => self.resolver,
            Grant::Services => self.services,
            Grant::Sql => self.sql.is_some(),
        }
    }

    /// Whether anything of a grant can be had: it is given, or `dry-run` lets it through. A folder,
    /// users and a database are there only where they are named.
    pub fn allows(&self, grant: Grant) -> bool {
        let can_be_had = match grant {
            Grant::Credentials | Grant::Files => false,
            Grant::KeyValue | Grant::Sql => self.database().is_some(),
            _ => true,
        };
        self.gives(grant) || self.dry_run && can_be_had
    }

    /// Where the database is that `sql` and `key-value` share, if either is granted.
    pub fn database(&self) -> Option<Store> {
        self.sql.or(self.key_value)
    }

    /// Whether a wish may be whose grant has no range, or whose range something else holds: a
    /// folder's, a database's.
    pub fn ask<'a>(&self, wish: Wish<'a>) -> Verdict<'a, ()> {
        match wish.grant() {
            grant if self.gives(grant) => Verdict::Granted(()),
            grant if self.allows(grant) => Verdict::DryRun((), wish),
            _ => Verdict::Refused(wish),
        }
    }

    /// Where the plugin may connect to for an endpoint.
    pub fn connect<'a>(&self, endpoint: &'a ClientEndpoint) -> Verdict<'a, Goal> {
        let wish = Wish::Connect(endpoint);
        self.decide(wish, &self.connect, Target::below, |targets| goal(endpoint, targets))
    }

    /// To which of the addresses that were found for an endpoint's host; at least one.
    pub fn addresses<'a>(
        &self,
        endpoint: &'a ClientEndpoint,
        found: &[SocketAddr],
    ) -> Verdict<'a, Vec<SocketAddr>> {
        let reach = |targets: &[Target]| addresses(endpoint, found, targets);
        match self.decide(Wish::Connect(endpoint), &self.connect, Target::below, reach) {
            // It was let through, and this was said, before its host was looked up.
            Verdict::DryRun(all, _) if goal(endpoint, &self.connect).is_none() => {
                Verdict::Granted(all)
            }
            verdict => verdict,
        }
    }

    /// Whether datagrams may go to somebody who has sent none; `Some` where that is to another name
    /// of a Unix socket than the plugin's.
    pub fn send<'a>(&self, to: &'a Address) -> Verdict<'a, Option<Address>> {
        let datagrams = Carries::Datagrams;
        let reach = |target: &Target| match to {
            Address::Stdio | Address::Tcp(_) => None,
            Address::Udp(to) => {
                target.allows_address(datagrams, to.ip(), to.port()).then_some(None)
            }
            Address::Unix(name) => target.unix(datagrams, &UnixName::of(name))?.address().map(Some),
        };
        self.decide(Wish::Send(to), &self.connect, Target::below, |targets| {
            targets.iter().find_map(reach)
        })
    }

    /// What to try for a plugin that wants to listen; at least one. `seed` picks the first port
    /// that is tried, where any will do.
    pub fn listen<'a>(&self, endpoint: &'a Endpoint, seed: u64) -> Verdict<'a, Candidates> {
        self.decide(Wish::Listen(endpoint), &self.listen, ListenRange::below, |ranges| {
            let candidates = ListenRange::candidates(ranges, endpoint.clone(), seed);
            // Whom a proxy speaks for is the configuration's to say.
            (!endpoint.proxied && !candidates.is_empty()).then_some(candidates)
        })
    }

    /// Whether it may join a group of IP multicast.
    pub fn join<'a>(&self, group: IpAddr) -> Verdict<'a, ()> {
        match self.multicast.iter().any(|granted| granted.contains(&group)) {
            true => Verdict::Granted(()),
            false if self.dry_run => Verdict::DryRun((), Wish::Join(group)),
            false => Verdict::Refused(Wish::Join(group)),
        }
    }

    /// Decides by a list. `reach` is what some items of it allow; `dry-run` lets through what
    /// those items would allow that the wish needs.
    fn decide<'a, G: FromStr<Err = EndpointError>, T>(
        &self,
        wish: Wish<'a>,
        granted: &[G],
        below: fn(G, &Path) -> Result<G, EndpointError>,
        reach: impl Fn(&[G]) -> Option<T>,
    ) -> Verdict<'a, T> {
        if let Some(reached) = reach(granted) {
            return Verdict::Granted(reached);
        }
        if self.dry_run {
            let item = |text: String| text.parse().and_then(|item| below(item, &self.folder)).ok();
            let needed: Vec<G> = wish.needed().into_iter().filter_map(item).collect();
            if let Some(reached) = reach(&needed) {
                return Verdict::DryRun(reached, wish);
            }
        }
        Verdict::Refused(wish)
    }
}

fn goal(endpoint: &ClientEndpoint, granted: &[Target]) -> Option<Goal> {
    use client_endpoint::Target::{Address, Name};
    let carries = endpoint.carries();
    match endpoint {
        ClientEndpoint::Tcp { target: Address(to), .. }
        | ClientEndpoint::Udp { target: Address(to), .. } => {
            let allows = |target: &Target| target.allows_address(carries, to.ip(), to.port());
            granted.iter().any(allows).then_some(Goal::There(*to))
        }
        ClientEndpoint::Tcp { target: Name { host, port }, .. }
        | ClientEndpoint::Udp { target: Name { host, port }, .. } => {
            let may_lead = |target: &Target| {
                target.allows_name(carries, host, *port)
                    || target.allows_addresses_at(carries, *port)
            };
            granted.iter().any(may_lead).then(|| Goal::Host(host.clone()))
        }
        ClientEndpoint::Unix { name, .. } | ClientEndpoint::UnixDatagram { name } => {
            let opened = granted.iter().find_map(|target| target.unix(carries, name))?;
            opened.address().map(Goal::Socket)
        }
    }
}

/// Those of the addresses that are granted, each with the endpoint's port: all where its host is
/// granted by name.
fn addresses(
    endpoint: &ClientEndpoint,
    found: &[SocketAddr],
    granted: &[Target],
) -> Option<Vec<SocketAddr>> {
    let (ClientEndpoint::Tcp { target, .. } | ClientEndpoint::Udp { target, .. }) = endpoint else {
        return None;
    };
    let (carries, host, port) = match target {
        client_endpoint::Target::Address(to) => (endpoint.carries(), None, to.port()),
        client_endpoint::Target::Name { host, port } => (endpoint.carries(), Some(host), *port),
    };
    let by_name = |target: &Target| host.is_some_and(|it| target.allows_name(carries, it, port));
    let all = granted.iter().any(by_name);
    let mut reached = found.to_vec();
    reached.retain(|to| {
        all || granted.iter().any(|target| target.allows_address(carries, to.ip(), port))
    });
    for address in &mut reached {
        address.set_port(port);
    }
    (!reached.is_empty()).then_some(reached)
}

#[cfg(test)]
mod tests;
