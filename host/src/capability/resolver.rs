//! Names of hosts: looked up on the pool by the system's resolver, and remembered by the worker.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::mem;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType};

use super::Failure;
use crate::pool::Work;

/// What looks names up, and blocks meanwhile: [`system`], or a table of a test's.
///
/// The addresses come in the order in which they should be tried; their ports don't matter. A name
/// that doesn't exist, or has no address, is an error of the kind [`ErrorKind::NotFound`].
pub type LookUp = Arc<dyn Fn(&str) -> Found + Send + Sync>;

/// What [`LookUp`] comes to.
pub type Found = io::Result<Vec<SocketAddr>>;

/// What a question comes to: at least one address, with port 0 and, for IPv6, with its scope.
pub type Resolved = Result<Arc<[SocketAddr]>, Failure>;

/// The system's resolver: `/etc/hosts`, DNS, and what else `/etc/nsswitch.conf` says.
pub fn system() -> LookUp {
    Arc::new(|name| {
        // As the standard library asks, whose errors don't tell a name that doesn't exist from a
        // server that doesn't answer. Without a socket's type each address would come three times.
        let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..Default::default() };
        match dns_lookup::getaddrinfo(Some(name), None, Some(hints)) {
            Ok(found) => found.map(|info| info.map(|info| info.sockaddr)).collect(),
            Err(error) => Err(match error.kind() {
                LookupErrorKind::NoData | LookupErrorKind::NoName => {
                    io::Error::new(ErrorKind::NotFound, "there is no such name")
                }
                _ => error.into(),
            }),
        }
    })
}

/// Which addresses are wanted: `resolver.family` of the contract.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Family {
    Any,
    Ipv4,
    Ipv6,
}

impl Family {
    fn has(self, address: &SocketAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Ipv4 => address.is_ipv4(),
            Self::Ipv6 => address.is_ipv6(),
        }
    }

    /// The addresses of the family among those that `name` has.
    fn of(self, name: &str, resolved: &Resolved) -> Resolved {
        let all = resolved.as_ref().map_err(Clone::clone)?;
        let of_family: Arc<[_]> = match all.iter().all(|address| self.has(address)) {
            true => Arc::clone(all),
            false => all.iter().filter(|address| self.has(address)).copied().collect(),
        };
        let which = match self {
            Self::Any => "address",
            Self::Ipv4 => "IPv4 address",
            Self::Ipv6 => "IPv6 address",
        };
        match of_family.is_empty() {
            true => Err(Failure::new("not-found", format!("{name:?} has no {which}"))),
            false => Ok(of_family),
        }
    }
}

/// The names that a service of a worker has looked up, and who waits for which. `W` names who
/// waits: for the addresses themselves, or to connect to one of them.
pub struct Resolver<W> {
    look_up: LookUp,
    /// By [`key`].
    names: HashMap<Box<str>, Name<W>>,
    /// The most names that are remembered.
    most: usize,
    /// How many of the names the pool looks up; at most [`ASKED_MAX`].
    asked: usize,
    /// How many questions wait for them; at most [`WAITING_MAX`].
    waiting: usize,
}

/// `Asked` → `Known` → `Asked`, and so on.
enum Name<W> {
    /// The pool looks it up.
    Asked(Vec<(W, Family)>),
    /// What it came to, and until when that holds.
    Known(Resolved, Instant),
}

/// What a question came to at once.
pub enum Asked {
    /// The answer is known.
    Known(Resolved),
    /// The pool has to do this; then [`Resolver::found`] takes what it found.
    Todo(Work<Found>),
    /// The pool is doing it.
    Waiting,
}

impl<W> Resolver<W> {
    /// Remembers at most `most` names.
    pub fn new(look_up: LookUp, most: usize) -> Self {
        Self { look_up, names: HashMap::new(), most, asked: 0, waiting: 0 }
    }

    /// Asks for the addresses of `name`, for `waiter`, who is named to [`Resolver::found`]'s caller
    /// unless the answer is known.
    pub fn lookup(&mut self, waiter: W, name: &str, family: Family, now: Instant) -> Asked {
        match literal(name) {
            Ok(Some(address)) => {
                let itself: Resolved = Ok(Arc::new([address]));
                return Asked::Known(family.of(name, &itself));
            }
            Ok(None) => {}
            Err(problem) => return Asked::Known(Err(Failure::new("invalid", problem))),
        }
        let key = key(name);
        match self.names.get_mut(&*key) {
            Some(Name::Known(resolved, until)) if now < *until => {
                return Asked::Known(family.of(name, resolved));
            }
            _ if self.waiting == WAITING_MAX => {
                let message = format!("{WAITING_MAX} questions wait for names already");
                return Asked::Known(Err(Failure::new("limit", message)));
            }
            Some(Name::Asked(waiting)) => {
                self.waiting += 1;
                waiting.push((waiter, family));
                return Asked::Waiting;
            }
            Some(Name::Known(..)) | None => {}
        }
        if self.asked == ASKED_MAX {
            let message = format!("{ASKED_MAX} names are being looked up already");
            return Asked::Known(Err(Failure::new("limit", message)));
        }
        self.asked += 1;
        self.waiting += 1;
        let (look_up, asked) = (Arc::clone(&self.look_up), unbracketed(&key).to_owned());
        self.names.insert(key.into(), Name::Asked(vec![(waiter, family)]));
        Asked::Todo(Box::new(move || look_up(&asked)))
    }

    /// Takes what the pool found for `name`, or why it did not look, which is not remembered.
    /// Appends what comes of it for whom to `outcomes`.
    pub fn found(
        &mut self,
        name: &str,
        found: Result<Found, Failure>,
        now: Instant,
        outcomes: &mut Vec<(W, Resolved)>,
    ) {
        let key = key(name);
        let looked_up = found.is_ok();
        let Some(entry) = self.names.get_mut(&*key) else { return };
        let resolved = found.and_then(|found| resolved(name, found));
        let valid = if resolved.is_ok() { VALID } else { VALID_FAILURE };
        let known = Name::Known(resolved.clone(), now + valid);
        if let Name::Asked(waiting) = mem::replace(entry, known) {
            self.asked -= 1;
            self.waiting -= waiting.len();
            let waiting = waiting.into_iter();
            outcomes.extend(waiting.map(|(waiter, family)| (waiter, family.of(name, &resolved))));
        }
        match looked_up {
            true => self.make_room(),
            false => drop(self.names.remove(&*key)),
        }
    }

    /// Forgets an eighth of what ends first, once there is more than the limit: so seldom that
    /// looking at all of it costs each answer little.
    fn make_room(&mut self) {
        if self.names.len() - self.asked <= self.most {
            return;
        }
        let until = |name: &Name<W>| match name {
            Name::Asked(_) => None,
            Name::Known(_, until) => Some(*until),
        };
        let mut ends: Vec<_> = self.names.values().filter_map(until).collect();
        if ends.is_empty() {
            return;
        }
        let place = (self.most / 8).min(ends.len() - 1);
        let (_, last, _) = ends.select_nth_unstable(place);
        let last = *last;
        self.names.retain(|_, name| until(name).is_none_or(|until| until > last));
    }
}

/// Names are the same in any case (RFC 1035, section 2.3.3); those of interfaces are not.
fn key(name: &str) -> String {
    if name.contains('%') { name.to_owned() } else { name.to_ascii_lowercase() }
}

/// The answer's addresses, without their ports, or its failure.
fn resolved(name: &str, found: Found) -> Resolved {
    let addresses = found.map_err(|error| {
        let code = if error.kind() == ErrorKind::NotFound { "not-found" } else { "io" };
        Failure::new(code, format!("{name:?}: {error}"))
    })?;
    let (mut ipv4, mut ipv6) = (0, 0);
    let kept = addresses.into_iter().filter_map(|mut address| {
        let count = if address.is_ipv4() { &mut ipv4 } else { &mut ipv6 };
        *count += 1;
        address.set_port(0);
        (*count <= ADDRESSES_MAX).then_some(address)
    });
    Family::Any.of(name, &Ok(kept.collect()))
}

/// The address, for a name that is one; otherwise checks that it can be a name.
fn literal(name: &str) -> Result<Option<SocketAddr>, String> {
    let bare = unbracketed(name);
    if let Ok(ip) = bare.parse::<IpAddr>()
        && (bare == name || ip.is_ipv6())
    {
        return Ok(Some(SocketAddr::new(ip, 0)));
    }
    if let Some((ip, scope)) = bare.split_once('%')
        && ip.parse::<Ipv6Addr>().is_ok()
        && !scope.is_empty()
    {
        // By way of a socket address, since only those take a scope. One that is not a number
        // names an interface, which the system knows.
        let address = format!("[{bare}]:0").parse::<SocketAddrV6>().ok();
        check(bare)?;
        return Ok(address.map(SocketAddr::V6));
    }
    check(name)?;
    Ok(None)
}

/// Whether the system may be asked for it (RFC 1035, section 2.3.4).
fn check(name: &str) -> Result<(), String> {
    let relative = name.strip_suffix('.').unwrap_or(name);
    let shown: String = name.chars().take(NAME_MAX).collect();
    let problem = if relative.is_empty() {
        "it is empty".to_owned()
    } else if relative.len() > NAME_MAX {
        format!("it is {} bytes long; a name has at most {NAME_MAX}", relative.len())
    } else if relative.split('.').any(|label| !(1..=LABEL_MAX).contains(&label.len())) {
        format!("each of its labels has to be 1 to {LABEL_MAX} bytes long")
    } else if name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '[' || c == ']') {
        "it has a character that no name has".to_owned()
    } else {
        return Ok(());
    };
    Err(format!("{shown:?} is no name of a host: {problem}"))
}

/// What stands between the brackets of an IPv6 address; all of anything else.
fn unbracketed(name: &str) -> &str {
    name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name)
}

/// The longest name, and the longest label, in bytes (RFC 1035, section 2.3.4).
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// The most names that a service has looked up at once on one worker.
const ASKED_MAX: usize = 256;

/// The most questions of a service that wait for names on one worker. Those that nobody wants any
/// more are among them: a plugin can give up and ask again for as long as a name server takes to
/// answer.
const WAITING_MAX: usize = 100_000;

/// The most addresses of each family that are kept of one answer, which anybody who owns a name can
/// make long.
const ADDRESSES_MAX: usize = 32;

/// For how long an answer holds, and a failure: `resolver.lookup` of the contract.
const VALID: Duration = Duration::from_secs(30);
const VALID_FAILURE: Duration = Duration::from_secs(1);

#[cfg(test)]
#[path = "resolver_tests.rs"]
mod tests;
