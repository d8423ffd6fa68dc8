//! What a plugin wants, in the words of the log and of `torsade.toml`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::listing::{list, store};
use super::{Grant, Grants, Store};
use crate::net::Address;
use crate::transport::client_endpoint::{self, ClientEndpoint};
use crate::transport::endpoint::{Carries, Endpoint, Socket, UnixName};
use crate::transport::target::Target;

/// Something that takes a grant.
#[derive(Clone, Copy, Debug)]
pub enum Wish<'a> {
    /// To connect to an endpoint.
    Connect(&'a ClientEndpoint),
    /// To run a job, by its name.
    Job(&'a str),
    /// To join a group.
    Join(IpAddr),
    /// To use keys and values.
    KeyValue,
    /// To list a folder.
    List(&'a str),
    /// To listen on an endpoint.
    Listen(&'a Endpoint),
    /// To know who somebody is.
    LogIn,
    /// To look up a name.
    LookUp(&'a str),
    /// To open a file.
    Open(&'a str),
    /// To send a datagram.
    Send(&'a Address),
    /// To use SQL.
    Sql,
}

impl Wish<'_> {
    /// What it takes.
    pub fn grant(&self) -> Grant {
        match self {
            Self::Connect(_) | Self::Send(_) => Grant::Connect,
            Self::Job(_) => Grant::Jobs,
            Self::LogIn => Grant::Credentials,
            Self::Join(_) => Grant::Multicast,
            Self::KeyValue => Grant::KeyValue,
            Self::List(_) | Self::Open(_) => Grant::Files,
            Self::Listen(_) => Grant::Listen,
            Self::LookUp(_) => Grant::Resolver,
            Self::Sql => Grant::Sql,
        }
    }

    /// Why it is refused, as the plugin hears it.
    pub fn refusal(&self) -> String {
        let key = self.grant().key();
        match self {
            Self::Connect(to) => format!("grants.{key} does not cover {to}"),
            Self::Join(group) => format!("grants.{key} does not cover {group}"),
            Self::Listen(on) => format!("grants.{key} does not cover {on}"),
            Self::Send(to) => format!("grants.{key} does not cover {to}"),
            _ => format!("the service grants no {key}"),
        }
    }

    /// The items of the grant's list that would allow it, as narrow as they can be; none where
    /// nothing that can be granted does.
    pub(super) fn needed(&self) -> Vec<String> {
        match self {
            Self::Connect(endpoint) => vec![target(endpoint)],
            Self::Join(group) => vec![group.to_string()],
            Self::Listen(endpoint) if !endpoint.proxied => ranges(endpoint),
            Self::Send(Address::Udp(to)) if to.port() != 0 => {
                vec![format!("udp:{}:{}", host(to), to.port())]
            }
            Self::Send(Address::Unix(name)) => {
                vec![format!("unix-datagram:{}", UnixName::of(name))]
            }
            _ => Vec::new(),
        }
    }
}

/// As a verb and what it is about. What a plugin wrote is cut off where it is long, and has no
/// control characters.
impl fmt::Display for Wish<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, about) = match self {
            Self::Connect(to) => ("connect to ", to.to_string()),
            Self::Job(name) => ("run the job ", shown(name)),
            Self::Join(group) => ("join the group ", group.to_string()),
            Self::KeyValue => ("use keys and values", String::new()),
            Self::List(path) => ("list ", shown(path)),
            Self::Listen(on) => ("listen on ", on.to_string()),
            Self::LogIn => ("know who somebody is", String::new()),
            Self::LookUp(name) => ("look up ", shown(name)),
            Self::Open(path) => ("open ", shown(path)),
            Self::Send(to) => ("send a datagram to ", to.to_string()),
            Self::Sql => ("use the database", String::new()),
        };
        write!(out, "{verb}{}", shown(&about))
    }
}

impl Grants {
    /// A wish that is `refused` (in words), and the line of the `grants` table that would allow it.
    pub fn told(&self, wish: &Wish<'_>, refused: &str) -> String {
        match self.line(wish) {
            Some(line) => format!("grants.dry-run: {wish} {refused}; {line} grants it"),
            None => format!("grants.dry-run: {wish} {refused}; no grant allows it"),
        }
    }

    fn line(&self, wish: &Wish<'_>) -> Option<String> {
        let value = match wish.grant() {
            Grant::Connect | Grant::Listen | Grant::Multicast => {
                let needed = wish.needed();
                (!needed.is_empty()).then(|| list(&needed))?
            }
            Grant::Credentials => "\"FILE\"".to_owned(),
            Grant::Files => "{ read = \"FOLDER\" }".to_owned(),
            // Both have to say the same.
            Grant::KeyValue | Grant::Sql => store(self.database().unwrap_or(Store::File)),
            Grant::Jobs | Grant::Resolver | Grant::Services => "true".to_owned(),
        };
        Some(format!("{} = {value}", wish.grant().key()))
    }
}

/// The narrowest target that allows an endpoint.
fn target(endpoint: &ClientEndpoint) -> String {
    let kind = match endpoint.carries() {
        Carries::Streams => "tcp",
        Carries::Datagrams => "udp",
    };
    match endpoint {
        ClientEndpoint::Tcp { target, .. } | ClientEndpoint::Udp { target, .. } => match target {
            client_endpoint::Target::Address(to) => format!("{kind}:{}:{}", host(to), to.port()),
            client_endpoint::Target::Name { host, port } => {
                let by_name = format!("{kind}:{host}:{port}");
                match by_name.parse::<Target>() {
                    Ok(_) => by_name,
                    // What resolvers may take for an address, such as 127.1, is granted by address.
                    Err(_) => format!("{kind}:*:{port}"),
                }
            }
        },
        ClientEndpoint::Unix { name, .. } => format!("unix:{name}"),
        ClientEndpoint::UnixDatagram { name } => format!("unix-datagram:{name}"),
    }
}

/// The narrowest ranges that allow an endpoint.
fn ranges(endpoint: &Endpoint) -> Vec<String> {
    match &endpoint.socket {
        Socket::Tcp { address, .. } => vec![range("tcp", address)],
        Socket::Udp { address, dual: true, .. } => {
            let everywhere = SocketAddr::from(([0, 0, 0, 0], address.port()));
            vec![range("udp", address), range("udp", &everywhere)]
        }
        Socket::Udp { address, .. } => vec![range("udp", address)],
        Socket::Unix { name, .. } => vec![format!("unix:{name}")],
        Socket::UnixDatagram { name, .. } => vec![format!("unix-datagram:{name}")],
        Socket::Inherited(_) | Socket::Stdio => Vec::new(),
    }
}

fn range(kind: &str, address: &SocketAddr) -> String {
    let ports = match address.port() {
        // Those that every user may bind.
        0 => "1024-65535".to_owned(),
        port => port.to_string(),
    };
    let six = if address.is_ipv6() { "6" } else { "" };
    match address.ip().is_unspecified() {
        true => format!("{kind}{six}:{ports}"),
        false => {
            // With its brackets, and its scope.
            let interface = address.to_string();
            let interface = interface.rsplit_once(':').map_or("", |(interface, _)| interface);
            format!("{kind}:{ports}:interface={interface}")
        }
    }
}

fn host(address: &SocketAddr) -> String {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

fn shown(text: &str) -> String {
    let printable = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().take(SHOWN_MAX).map(printable).collect()
}

/// How many characters are shown of what a plugin wrote.
const SHOWN_MAX: usize = 200;
