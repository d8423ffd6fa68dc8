//! What a service may use: every limit with its key, its default and its bounds.

use std::time::Duration;

use super::error::Mistakes;
use super::field::{Field, Section};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const GIB: usize = 1024 * MIB;
const TIB: usize = 1024 * GIB;
const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The longest `idle` and `lifetime`.
const STAY_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// The most of anything that is counted: far beyond what a machine holds, and safe to add up.
const COUNT_MAX: usize = 10_000_000;

/// The most of what one socket keeps for each of its peers or groups.
const MILLION: usize = 1_000_000;

/// A service's `limits` table. Each key is the field's name in kebab-case, and is named by the
/// error that the limit causes.
///
/// Sizes are strings with a unit (`"16MiB"`: B, KiB, MiB, GiB, kB, MB, GB), times too (`"50ms"`:
/// ns, us, ms, s, min, h), the rest are numbers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Memory of one instance in bytes, summed over its linear memories. `"16MiB"`
    pub memory: usize,
    /// Elements of all tables of one instance together. `20000`
    pub table_elements: usize,
    /// Handles (transports, deferreds, outcomes, files …) that one instance may hold. `40000`
    pub handles: usize,
    /// Deferreds of one instance that have not fired yet. `20000`
    pub deferreds: usize,
    /// How long one event may run; then the instance traps. `"50ms"`
    pub deadline: Duration,
    /// The same for `start`, which may parse and build tables. `"1s"`
    pub start_deadline: Duration,
    /// Effects (writes, datagrams, timers, closes …) that one event may record; then it traps. `10000`
    pub effects: usize,
    /// Bytes that one event may write, over all of its connections, and ask questions with; then it
    /// traps. `"4MiB"`
    pub outbox: usize,
    /// Open connections that peers have made to the service, over all workers. New ones wait in the
    /// backlog. `10000`
    pub connections: usize,
    /// The same from one IP address; more are closed at once. Without the key there is no such
    /// limit, as a proxy in front makes all peers look the same.
    pub connections_per_peer: Option<usize>,
    /// New connections in a second, over all workers; as many may come at once. More wait in the
    /// backlog.
    pub connect_rate: Option<usize>,
    /// The same from one IP address; more are closed at once.
    pub connect_rate_per_peer: Option<usize>,
    /// How long no byte may go either way on a connection that a peer made; then it ends with
    /// `timed-out`.
    pub idle: Option<Duration>,
    /// How long a connection that a peer made may last; then it ends with `timed-out`.
    pub lifetime: Option<Duration>,
    /// Bytes in a second that are read from all peers together, over all workers.
    pub read_rate: Option<usize>,
    /// The same from one IP address.
    pub read_rate_per_peer: Option<usize>,
    /// Bytes in a second that are sent to all peers together, over all workers.
    pub write_rate: Option<usize>,
    /// The same to one IP address.
    pub write_rate_per_peer: Option<usize>,
    /// Instances of a `per-connection` service, over all workers. `10000`
    pub instances: usize,
    /// Bytes that may be queued on one connection; beyond it the connection is aborted. `"1MiB"`
    pub unsent: usize,
    /// The high-water mark: with this many bytes queued `room` is 0. `"128KiB"`
    pub unsent_high: usize,
    /// The low-water mark: at it, and below, a full connection gets `write-drained`. `"16KiB"`
    pub unsent_low: usize,
    /// How long a peer may take nothing of what is queued for it; then the connection ends with
    /// `timed-out`. `"60s"`
    pub drain: Duration,
    /// How long a connection may take to be ready for its protocol: the header of the PROXY
    /// protocol, and TLS' handshake. `"10s"`
    pub handshake: Duration,
    /// How long what a peer still sends is read and thrown away after this side has closed, so
    /// that a reset can't destroy the last answer. `"2s"`
    pub linger: Duration,
    /// Handshakes of TLS that may be under way at once, on each worker. New connections wait in the
    /// backlog. `1000`
    pub handshakes: usize,
    /// Files that each worker keeps open for the service in its cache. `1000`
    pub cached_files: usize,
    /// Names of hosts that each worker remembers for the service. `1000`
    pub cached_names: usize,
    /// Connections that one instance has dialled, or is dialling. `1000`
    pub outgoing: usize,
    /// Listeners that one instance has opened at run time. `16`
    pub listeners: usize,
    /// Senders that a socket for datagrams remembers, and that it may answer without a grant.
    /// `4096`
    pub correspondents: usize,
    /// Groups that one socket for datagrams may have joined. `16`
    pub groups: usize,
    /// Jobs of the service that run or wait at once, on each worker. `4`
    pub jobs: usize,
    /// The CPU time that one job may take. `"10s"`
    pub job_deadline: Duration,
    /// Memory of one job in bytes, summed over its linear memories. `"64MiB"`
    pub job_memory: usize,
    /// Rows that one query may have. `10000`
    pub rows: usize,
    /// Bytes that the values of one query's rows may have together. `"4MiB"`
    pub row_bytes: usize,
    /// How long one query, execution, batch or operation on a key may take. `"10s"`
    pub query_time: Duration,
    /// The service's database in bytes. `"1GiB"`
    pub database_size: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 16 * MIB,
            table_elements: 20_000,
            handles: 40_000,
            deferreds: 20_000,
            deadline: Duration::from_millis(50),
            start_deadline: Duration::from_secs(1),
            effects: 10_000,
            outbox: 4 * MIB,
            connections: 10_000,
            connections_per_peer: None,
            connect_rate: None,
            connect_rate_per_peer: None,
            idle: None,
            lifetime: None,
            read_rate: None,
            read_rate_per_peer: None,
            write_rate: None,
            write_rate_per_peer: None,
            instances: 10_000,
            unsent: MIB,
            unsent_high: 128 * KIB,
            unsent_low: 16 * KIB,
            drain: MINUTE,
            linger: Duration::from_secs(2),
            handshake: Duration::from_secs(10),
            handshakes: 1_000,
            cached_files: 1_000,
            cached_names: 1_000,
            outgoing: 1_000,
            listeners: 16,
            correspondents: 4_096,
            groups: 16,
            jobs: 4,
            job_deadline: Duration::from_secs(10),
            job_memory: 64 * MIB,
            rows: 10_000,
            row_bytes: 4 * MIB,
            query_time: Duration::from_secs(10),
            database_size: GIB,
        }
    }
}

impl Limits {
    /// Reads a `limits` table; a key that is missing or wrong keeps its default.
    pub(super) fn read(field: &Field<'_>, mistakes: &mut Mistakes) -> Self {
        let default = Self::default();
        let Some(mut section) = mistakes.keep(field.table()) else {
            return default;
        };
        let limits = Self::read_section(&mut section, &default, mistakes);
        section.finish(mistakes);
        for (low, high, problem) in [
            (limits.unsent_low, limits.unsent_high, "unsent-low is more than unsent-high"),
            (limits.unsent_high, limits.unsent, "unsent-high is more than unsent"),
        ] {
            if low > high {
                mistakes.push(field.mistake(problem));
            }
        }
        limits
    }

    fn read_section(of: &mut Section<'_>, default: &Self, to: &mut Mistakes) -> Self {
        let time = MILLISECOND..=MINUTE;
        let long = MILLISECOND..=60 * MINUTE;
        let longest = MILLISECOND..=STAY_MAX;
        let rate = 1..=TIB;
        let count = 1..=COUNT_MAX;
        Self {
            memory: of.size("memory", 64 * KIB..=4 * GIB, default.memory, to),
            table_elements: of.count("table-elements", count.clone(), default.table_elements, to),
            handles: of.count("handles", count.clone(), default.handles, to),
            deferreds: of.count("deferreds", count.clone(), default.deferreds, to),
            deadline: of.time("deadline", time.clone(), default.deadline, to),
            start_deadline: of.time("start-deadline", time.clone(), default.start_deadline, to),
            effects: of.count("effects", count.clone(), default.effects, to),
            outbox: of.size("outbox", KIB..=GIB, default.outbox, to),
            connections: of.count("connections", count.clone(), default.connections, to),
            connections_per_peer: of.optional_count("connections-per-peer", count.clone(), to),
            connect_rate: of.optional_count("connect-rate", count.clone(), to),
            connect_rate_per_peer: of.optional_count("connect-rate-per-peer", count.clone(), to),
            idle: of.optional_time("idle", longest.clone(), to),
            lifetime: of.optional_time("lifetime", longest, to),
            read_rate: of.optional_size("read-rate", rate.clone(), to),
            read_rate_per_peer: of.optional_size("read-rate-per-peer", rate.clone(), to),
            write_rate: of.optional_size("write-rate", rate.clone(), to),
            write_rate_per_peer: of.optional_size("write-rate-per-peer", rate, to),
            instances: of.count("instances", count.clone(), default.instances, to),
            unsent: of.size("unsent", KIB..=GIB, default.unsent, to),
            unsent_high: of.size("unsent-high", 1..=GIB, default.unsent_high, to),
            unsent_low: of.size("unsent-low", 1..=GIB, default.unsent_low, to),
            drain: of.time("drain", long.clone(), default.drain, to),
            handshake: of.time("handshake", time, default.handshake, to),
            linger: of.time("linger", Duration::ZERO..=MINUTE, default.linger, to),
            handshakes: of.count("handshakes", count.clone(), default.handshakes, to),
            cached_files: of.count("cached-files", 0..=COUNT_MAX, default.cached_files, to),
            cached_names: of.count("cached-names", 0..=COUNT_MAX, default.cached_names, to),
            outgoing: of.count("outgoing", count.clone(), default.outgoing, to),
            listeners: of.count("listeners", count.clone(), default.listeners, to),
            correspondents: of.count("correspondents", 1..=MILLION, default.correspondents, to),
            groups: of.count("groups", 0..=MILLION, default.groups, to),
            jobs: of.count("jobs", count.clone(), default.jobs, to),
            job_deadline: of.time("job-deadline", long.clone(), default.job_deadline, to),
            job_memory: of.size("job-memory", 64 * KIB..=4 * GIB, default.job_memory, to),
            rows: of.count("rows", count, default.rows, to),
            row_bytes: of.size("row-bytes", KIB..=GIB, default.row_bytes, to),
            query_time: of.time("query-time", long, default.query_time, to),
            database_size: of.size("database-size", 64 * KIB..=TIB, default.database_size, to),
        }
    }
}
