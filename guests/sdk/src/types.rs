//! Words that every other module uses, as `wit/types.wit` defines them.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use crate::bindings::torsade::plugin::types::{Address, Datetime, Origin, Reason};

/// Why an operation did not do what was asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// One of [`code`]'s, or one of a later version.
    pub code: String,
    /// What, where and what would be right, for a person.
    pub message: String,
}

impl Failure {
    /// A failure with a code, of [`code`]'s or of one's own.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Failure { code: code.into(), message: message.into() }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl Error for Failure {}

/// The codes of [`Failure`] and [`Reason`]. Treat one that is not here as a failure without a
/// name, or as [`LOST`](code::LOST).
pub mod code {
    /// Of a reason: this side aborted the connection.
    pub const ABORTED: &str = "aborted";
    /// The deferred was cancelled before it fired.
    pub const CANCELLED: &str = "cancelled";
    /// The transport is closed, or closing.
    pub const CLOSED: &str = "closed";
    /// A constraint of the database is violated.
    pub const CONFLICT: &str = "conflict";
    /// No grant of the service covers it, or somebody is not who they say.
    pub const DENIED: &str = "denied";
    /// Of a reason: either side closed it in order, and what was queued was sent.
    pub const DONE: &str = "done";
    /// Somebody else has the address.
    pub const IN_USE: &str = "in-use";
    /// What was given can't be understood; the message says what would be right.
    pub const INVALID: &str = "invalid";
    /// The system refused it, in the message's words, or the host lost it as it stopped.
    pub const IO: &str = "io";
    /// A limit is reached; the message names the service's key, or the host's number.
    pub const LIMIT: &str = "limit";
    /// Of a reason: the peer reset it, or the system reported an error.
    pub const LOST: &str = "lost";
    /// There is no such file, name or entry.
    pub const NOT_FOUND: &str = "not-found";
    /// The peer refused the connection, or the plugin did in `build_protocol`.
    pub const REFUSED: &str = "refused";
    /// The database refused the statement; the message is the database's.
    pub const SQL: &str = "sql";
    /// Of a reason: the host is stopping and its grace is over.
    pub const STOPPED: &str = "stopped";
    /// It took longer than it was given.
    pub const TIMED_OUT: &str = "timed-out";
    /// The plugin trapped in a job.
    pub const TRAPPED: &str = "trapped";
    /// The handshake of TLS failed, or the peer broke its rules.
    pub const TLS: &str = "tls";
    /// Of a reason: the peer ended TLS without saying so; what it sent last may be missing.
    pub const TRUNCATED: &str = "truncated";
    /// No way leads to the peer.
    pub const UNREACHABLE: &str = "unreachable";
    /// This transport, this plugin or a job can't do it.
    pub const UNSUPPORTED: &str = "unsupported";
    /// The outcome belongs to another interface, or holds another kind of value.
    pub const WRONG_KIND: &str = "wrong-kind";
}

/// A moment before 1970 becomes 1970: on wasm a `SystemTime` can't be earlier.
impl From<Datetime> for SystemTime {
    fn from(moment: Datetime) -> Self {
        let seconds = u64::try_from(moment.seconds).unwrap_or(0);
        let nanoseconds = if moment.seconds < 0 { 0 } else { moment.nanoseconds };
        UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds)).unwrap_or(UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::{Datetime, Failure};

    #[test]
    fn moments_become_system_times() {
        let at = |seconds, nanoseconds| SystemTime::from(Datetime { seconds, nanoseconds });
        assert_eq!(at(0, 0), UNIX_EPOCH);
        assert_eq!(at(1, 500_000_000), UNIX_EPOCH + Duration::from_millis(1500));
        assert_eq!(at(-1, 999_999_999), UNIX_EPOCH);
    }

    #[test]
    fn a_failure_is_told_to_a_person() {
        let failure = Failure { code: "io".into(), message: "x.html: disk error".into() };
        assert_eq!(failure.to_string(), "x.html: disk error (io)");
    }
}
