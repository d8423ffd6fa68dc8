//! Which address of a host to try next: Happy Eyeballs (RFC 8305, sections 4 and 5), as a value.
//! It opens nothing and reads no clock.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long an attempt is alone before the next address is tried beside it (RFC 8305, section 8).
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The most addresses of one host that are tried.
pub const ADDRESSES_MAX: usize = 16;

/// The longest message of a [`ConnectFailure`] in bytes.
pub const MESSAGE_MAX: usize = 512;

/// Attempts to connect to one of a host's addresses.
///
/// The caller asks [`Connector::next`] until it says to wait, does what it says, tells what
/// [`Connector::failed`], and asks again. The first attempt that succeeds has won: then the caller
/// closes the others and drops this.
#[derive(Debug)]
pub struct Connector {
    /// In the order of trying.
    untried: VecDeque<SocketAddr>,
    under_way: Vec<SocketAddr>,
    failures: Vec<(SocketAddr, io::Error)>,
    /// When the next address is tried, even if nothing has failed.
    next_attempt: Instant,
    deadline: Instant,
}

/// What a [`Connector`] wants done.
#[derive(Debug)]
pub enum Next {
    /// Connect to this address, beside those that are under way, and ask again.
    Attempt(SocketAddr),
    /// All is in vain: give up what is under way.
    Failed(ConnectFailure),
    /// Nothing before this moment, unless an attempt succeeds or fails.
    Wait(Instant),
}

/// Why a host could not be connected to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConnectFailure {
    /// What is most telling of all that was tried.
    pub kind: ConnectFailureKind,
    /// What each address has failed with, at most [`MESSAGE_MAX`] bytes.
    pub message: String,
}

/// What kind of failure it was, the most telling first: where a host has an address that refuses
/// and another that no way leads to, it refuses.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ConnectFailureKind {
    /// The host has answered, and doesn't want the connection.
    Refused,
    /// Nobody has answered in time.
    TimedOut,
    /// Something else, such as a limit of this host's.
    Other,
    /// No way leads there.
    Unreachable,
}

impl Connector {
    /// Attempts at `addresses`, the most preferred first (RFC 6724 has the rules, and the system's
    /// resolver follows them), which end `timeout` after `now`.
    pub fn new(
        addresses: impl IntoIterator<Item = SocketAddr>,
        now: Instant,
        timeout: Duration,
    ) -> Self {
        Self {
            untried: interleave(addresses),
            under_way: Vec::new(),
            failures: Vec::new(),
            next_attempt: now,
            deadline: now + timeout,
        }
    }

    /// What is to be done now.
    pub fn next(&mut self, now: Instant) -> Next {
        if now >= self.deadline {
            return Next::Failed(self.timed_out());
        }
        if self.untried.is_empty() && self.under_way.is_empty() {
            return Next::Failed(self.all_failed());
        }
        if now < self.next_attempt && !self.under_way.is_empty() {
            let next = if self.untried.is_empty() { self.deadline } else { self.next_attempt };
            return Next::Wait(next.min(self.deadline));
        }
        let Some(address) = self.untried.pop_front() else {
            return Next::Wait(self.deadline);
        };
        self.under_way.push(address);
        self.next_attempt = now + ATTEMPT_DELAY;
        Next::Attempt(address)
    }

    /// An attempt has failed, so that the next address may be tried at once. An address that is
    /// not under way changes nothing.
    pub fn failed(&mut self, address: SocketAddr, now: Instant, error: io::Error) {
        let Some(place) = self.under_way.iter().position(|it| *it == address) else {
            return;
        };
        self.under_way.remove(place);
        self.failures.push((address, error));
        self.next_attempt = now;
    }

    fn timed_out(&self) -> ConnectFailure {
        let failures = self.failures.iter().map(|(address, e)| format!("{address}: {e}"));
        let silent = self.under_way.iter().map(|address| format!("{address}: no answer in time"));
        let untried = self.untried.iter().map(|address| format!("{address}: not tried in time"));
        let message = join(failures.chain(silent).chain(untried));
        ConnectFailure { kind: ConnectFailureKind::TimedOut, message }
    }

    fn all_failed(&self) -> ConnectFailure {
        let kinds = self.failures.iter().map(|(_, e)| ConnectFailureKind::of(e));
        let Some(kind) = kinds.min() else {
            let message = "the host has no address".to_owned();
            return ConnectFailure { kind: ConnectFailureKind::Unreachable, message };
        };
        let message = join(self.failures.iter().map(|(address, e)| format!("{address}: {e}")));
        ConnectFailure { kind, message }
    }
}

impl ConnectFailureKind {
    /// The kind of an error with which one attempt failed.
    pub fn of(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset => Self::Refused,
            ErrorKind::HostUnreachable | ErrorKind::NetworkDown | ErrorKind::NetworkUnreachable => {
                Self::Unreachable
            }
            ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for ConnectFailure {}

/// Each address once, the families taking turns from the first's on (RFC 8305, section 4, with a
/// First Address Family Count of 1), and at most [`ADDRESSES_MAX`] of them.
fn interleave(addresses: impl IntoIterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let (mut same, mut other) = (VecDeque::new(), VecDeque::<SocketAddr>::new());
    let mut first = None;
    for address in addresses {
        let like_first = *first.get_or_insert(address.is_ipv4()) == address.is_ipv4();
        let family = if like_first { &mut same } else { &mut other };
        if family.len() < ADDRESSES_MAX && !family.contains(&address) {
            family.push_back(address);
        }
    }
    let mut order = VecDeque::new();
    while order.len() < ADDRESSES_MAX && (!same.is_empty() || !other.is_empty()) {
        order.extend(same.pop_front());
        order.extend(other.pop_front());
    }
    order.truncate(ADDRESSES_MAX);
    order
}

/// Puts parts together, as far as there is room.
fn join(parts: impl Iterator<Item = String>) -> String {
    let mut message = parts.collect::<Vec<_>>().join("; ");
    if message.len() > MESSAGE_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_MAX - '…'.len_utf8()));
        message.push('…');
    }
    message
}

#[cfg(test)]
#[path = "connector_net_tests.rs"]
mod net_tests;
#[cfg(test)]
#[path = "connector_tests.rs"]
mod tests;
