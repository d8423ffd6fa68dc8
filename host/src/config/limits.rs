//! What a service may use: every limit, with its key, its range and its default.

mod kinds;
mod table;

use std::time::Duration;

use super::error::Mistakes;
use super::field::{Field, Section};
use super::keys::Key;
use super::units::Share;
use kinds::{Count, Part, Size, Time};
use table::limits;
pub use table::{Limit, LimitLines, Source};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const GIB: usize = 1024 * MIB;
const TIB: usize = 1024 * GIB;
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// The longest `idle` and `lifetime`.
const STAY_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// The most of anything that is counted: far beyond what a machine holds, and safe to add up.
const COUNT_MAX: usize = 10_000_000;

/// The most of what one socket keeps for each of its peers or groups.
const MILLION: usize = 1_000_000;

limits! {
    /// A service's `limits` table. Each key is the field's name in kebab-case, and is named by the
    /// error that the limit causes. Where there is no default there is no such limit without its key.
    ///
    /// Sizes are strings with a unit (`"16MiB"`: B, KiB, MiB, GiB, kB, MB, GB), times too (`"50ms"`:
    /// ns, us, ms, s, min, h), shares are strings of percent (`"50%"`), the rest are numbers.
    #[derive(Clone, Debug, Eq, PartialEq)]
    pub struct Limits {
        /// Linear memory of one instance; it can't grow beyond. Results that were reported and not
        /// taken may hold as much again; then it traps.
        memory "memory" Size(64 * KIB..=4 * GIB) = 16 * MIB;
        /// Elements of all tables of one instance together; they can't grow beyond.
        table_elements "table-elements" Count(1..=COUNT_MAX) = 20_000;
        /// Transports, sockets, deferreds, outcomes, files and listeners that one instance may
        /// hold; then it traps.
        handles "handles" Count(1..=COUNT_MAX) = 40_000;
        /// Deferreds of one instance that have not fired, its timers among them; further questions
        /// fail `limit`.
        deferreds "deferreds" Count(1..=COUNT_MAX) = 20_000;
        /// The thread's CPU time that one event may take; then the instance traps. It is measured
        /// to 5 ms.
        deadline "deadline" Time(MILLISECOND..=MINUTE) = Duration::from_millis(50);
        /// The same for making an instance, and for `start`.
        start_deadline "start-deadline" Time(MILLISECOND..=MINUTE) = SECOND;
        /// The part of a worker's time that the service may take in long events, and in what the
        /// host does for it, while other services of the worker are at work; an event that fails
        /// counts for ten. What would be more waits.
        cpu "cpu" Part(Share::percent(1)..=Share::percent(100)) = Share::percent(50);
        /// Effects (writes, datagrams, timers, closes …) that one event may ask for; then it traps.
        effects "effects" Count(1..=COUNT_MAX) = 10_000;
        /// Bytes that one event may write, over all of its connections, and ask questions with;
        /// then it traps. A job that returns more fails `limit`.
        outbox "outbox" Size(KIB..=GIB) = 4 * MIB;
        /// Bytes that one `write` may pass; then the instance traps.
        write "write" Size(1..=GIB) = 4 * MIB;
        /// Log lines of the service's plugin in a second, over all workers; the rest is counted,
        /// not written.
        log_rate "log-rate" Count(1..=COUNT_MAX) = 100;
        /// Open connections that peers have made to the service, over all workers; `when-full` says
        /// what becomes of new ones.
        connections "connections" Count(1..=COUNT_MAX) = 10_000;
        /// The same from one IP address; more are closed at once.
        connections_per_peer "connections-per-peer" Count(1..=COUNT_MAX);
        /// New connections in a second, over all workers; as many may come at once, more wait in
        /// the backlog.
        connect_rate "connect-rate" Count(1..=COUNT_MAX);
        /// The same from one IP address; more are closed at once.
        connect_rate_per_peer "connect-rate-per-peer" Count(1..=COUNT_MAX);
        /// How long no byte may go either way on a connection that a peer made; then it ends with
        /// `timed-out`.
        idle "idle" Time(MILLISECOND..=STAY_MAX);
        /// How long a connection that a peer made may last; then it ends with `timed-out`.
        lifetime "lifetime" Time(MILLISECOND..=STAY_MAX);
        /// Bytes in a second that are read from all peers together, over all workers; at once may
        /// come what comes in a tenth of a second, then the connections wait in turn.
        read_rate "read-rate" Size(1..=TIB);
        /// The same from one IP address, over all of its connections.
        read_rate_per_peer "read-rate-per-peer" Size(1..=TIB);
        /// Bytes in a second that are sent to all peers together, over all workers. What waits
        /// counts towards `unsent`, and not as the peer's slowness towards `drain`.
        write_rate "write-rate" Size(1..=TIB);
        /// The same to one IP address.
        write_rate_per_peer "write-rate-per-peer" Size(1..=TIB);
        /// Failed logins in a minute, over all workers; as many may fail at once, then every login
        /// fails `limit`.
        logins "logins" Count(1..=COUNT_MAX) = 1_000;
        /// The same from one IP address, of IPv6 from one network of 64 bits; all that have no
        /// address count as one.
        logins_per_peer "logins-per-peer" Count(1..=COUNT_MAX) = 10;
        /// Sandboxes of a `per-connection` service, over all workers, or as many as the machine
        /// carries; `when-full` says what becomes of new connections.
        instances "instances" Count(1..=COUNT_MAX) = 10_000;
        /// How many times in a row the plugin may fail on a worker before the service is parked
        /// there: an instance that connections share, within a minute of its start; one of a
        /// connection's own, at its start.
        restarts "restarts" Count(1..=COUNT_MAX) = 20;
        /// The longest wait before a new instance after failures in a row; the second waits 100 ms,
        /// each further one twice as long.
        restart_delay "restart-delay" Time(100 * MILLISECOND..=HOUR) = 30 * SECOND;
        /// How long what a failed plugin had queued may take to be sent; then its connections are
        /// reset. With `0s` they are reset at once.
        fault_drain "fault-drain" Time(Duration::ZERO..=MINUTE) = SECOND;
        /// Bytes that may be queued on one connection; beyond it the connection is aborted.
        unsent "unsent" Size(KIB..=GIB) = MIB;
        /// The high-water mark: with so many bytes queued `room` is 0.
        unsent_high "unsent-high" Size(1..=GIB) = 128 * KIB;
        /// The low-water mark: at it, and below, a connection whose `room` was 0 gets
        /// `write-drained`.
        unsent_low "unsent-low" Size(1..=GIB) = 16 * KIB;
        /// How long a peer may take nothing of what is queued for it; then the connection ends with
        /// `timed-out`.
        drain "drain" Time(MILLISECOND..=HOUR) = MINUTE;
        /// How long a connection may take to be ready for its protocol: the PROXY header of one
        /// that a proxy hands over, and TLS' handshake; then it is closed.
        handshake "handshake" Time(MILLISECOND..=MINUTE) = 10 * SECOND;
        /// How long what a peer still sends is read and thrown away after this side has closed, so
        /// that a reset can't destroy the last answer.
        linger "linger" Time(Duration::ZERO..=MINUTE) = 2 * SECOND;
        /// TLS handshakes of the service that are under way at once, on each worker, with those
        /// that wait for a proxy's header.
        handshakes "handshakes" Count(1..=COUNT_MAX) = 1_000;
        /// Files that each worker keeps open for the service.
        cached_files "cached-files" Count(0..=COUNT_MAX) = 1_000;
        /// Names of hosts that each worker remembers for the service.
        cached_names "cached-names" Count(0..=COUNT_MAX) = 1_000;
        /// Connections that one instance has dialled, or is dialling; more fail `limit`.
        outgoing "outgoing" Count(1..=COUNT_MAX) = 1_000;
        /// Listeners that one instance has opened at run time; more fail `limit`.
        listeners "listeners" Count(1..=COUNT_MAX) = 16;
        /// Senders that a socket for datagrams remembers, the last ones, and may answer without a
        /// grant.
        correspondents "correspondents" Count(1..=MILLION) = 4_096;
        /// Groups that one socket for datagrams may have joined; more fail `limit`.
        groups "groups" Count(0..=MILLION) = 16;
        /// Jobs of the service that run or wait at once, on each worker; more fail `limit`.
        jobs "jobs" Count(1..=COUNT_MAX) = 4;
        /// The CPU time that one job may take; then it fails `limit`.
        job_deadline "job-deadline" Time(MILLISECOND..=HOUR) = 10 * SECOND;
        /// Linear memory of one job; it can't grow beyond.
        job_memory "job-memory" Size(64 * KIB..=4 * GIB) = 64 * MIB;
        /// Rows that one query may have; beyond it the query fails `limit`.
        rows "rows" Count(1..=COUNT_MAX) = 10_000;
        /// Bytes that the values of one query's rows may have together; beyond it the query fails
        /// `limit`.
        row_bytes "row-bytes" Size(KIB..=GIB) = 4 * MIB;
        /// How long one query, execution, batch or operation on a key may take, its wait for others
        /// included; then it fails `timed-out`.
        query_time "query-time" Time(MILLISECOND..=HOUR) = 10 * SECOND;
        /// The service's database, without its log; what would make it larger fails `limit`.
        database_size "database-size" Size(64 * KIB..=TIB) = GIB;
        /// The component's file.
        component_size "component-size" Size(KIB..=GIB) = 64 * MIB;
        /// How long compiling the component may take; then it is given up.
        compile_time "compile-time" Time(100 * MILLISECOND..=HOUR) = MINUTE;
    }
}

impl Limits {
    /// Reads a `limits` table; a key that is missing or wrong keeps its default.
    pub(super) fn read(field: &Field<'_>, mistakes: &mut Mistakes) -> (Self, LimitLines) {
        let mut lines = LimitLines::new();
        let Some(mut section) = mistakes.keep(field.table()) else {
            return (Self::default(), lines);
        };
        let limits = Self::read_section(&mut section, &mut lines, mistakes);
        section.finish(mistakes);
        for (low, high, problem) in [
            (limits.unsent_low, limits.unsent_high, "unsent-low is more than unsent-high"),
            (limits.unsent_high, limits.unsent, "unsent-high is more than unsent"),
        ] {
            if low > high {
                mistakes.push(field.mistake(problem));
            }
        }
        (limits, lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_name_of_its_field() {
        let limits = Limits::default();
        let fields = format!("{limits:?}");
        for Limit { key, .. } in limits.list(&LimitLines::new()) {
            assert!(fields.contains(&format!(" {}: ", key.replace('-', "_"))), "{key}");
        }
    }

    #[test]
    fn the_list_says_of_each_what_it_is_for_the_service_and_where_that_comes_from() {
        let limits = Limits { idle: Some(90 * SECOND), memory: 8 * MIB, ..Limits::default() };
        let list = limits.list(&LimitLines::from([("idle", 7), ("memory", 9)]));
        let of = |key: &str| list.iter().find(|limit| limit.key == key).unwrap();
        for (key, value, source) in [
            ("memory", "8MiB", Source::Line(9)),
            ("idle", "90s", Source::Line(7)),
            ("lifetime", "none", Source::Default),
            ("cpu", "50%", Source::Default),
            ("groups", "16", Source::Default),
        ] {
            assert_eq!(of(key), &Limit { key, value: value.to_owned(), source });
        }
    }
}
