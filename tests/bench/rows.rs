//! What is measured: one entry for each row of the table.

use std::slice;

use anyhow::{Result, bail};

use crate::load::channel::Talk;
use crate::{hostile, irc};

/// A row: a server beside another one, under the same load.
pub(crate) struct Row {
    /// What picks the row on the command line.
    pub(crate) name: &'static str,
    /// What the servers do.
    pub(crate) work: &'static str,
    /// The name of `theirs`.
    pub(crate) against: &'static str,
    /// The server that is measured.
    pub(crate) ours: Kind,
    /// The server that it is measured against.
    pub(crate) theirs: Kind,
    /// What is asked of both.
    pub(crate) load: Load,
    /// In what it is counted.
    pub(crate) unit: Unit,
    /// What it must reach.
    pub(crate) target: Target,
}

/// A server.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// The bare loop over datagrams.
    Datagrams,
    /// The bare loop.
    Epoll,
    /// HAProxy with one thread, in TCP mode: so many of its listeners forward to one another, the
    /// last one to a bare loop on the load's core.
    Haproxy(usize),
    /// ngircd, which has one process.
    Ngircd,
    /// nginx with one worker.
    Nginx,
    /// The same, over TLS.
    NginxTls,
    /// Torsade with one worker.
    Torsade(Guest, Instances),
}

/// The plugin that torsade runs.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Guest {
    /// `tests/guests/blocking`, beside `guests/http`
    Blocking,
    /// `guests/echo`, over datagrams
    Datagrams,
    /// `guests/echo`
    Echo,
    /// `guests/http`
    Http,
    /// The same, over TLS.
    Https,
    /// `guests/irc`
    Irc,
    /// `tests/guests/tenth`
    Tenth,
    /// `tests/guests/timing`
    Timing,
    /// `guests/portforward`: so many services, as [`Kind::Haproxy`].
    Portforward(usize),
}

/// How many sandboxes there are.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Instances {
    /// One for each connection.
    PerConnection,
    /// One for all.
    PerWorker,
}

/// A load.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Load {
    /// That of `Http`, while other work goes on: see `blocking`.
    Blocking(usize, &'static File),
    /// A channel of an IRC server in which some talk.
    Channel(Talk),
    /// A channel of an IRC server with a member that doesn't read: see `irc`.
    ChannelSlow,
    /// Connections one after another, while so many others say nothing any more.
    Connect(usize),
    /// So many sockets, each with a window of datagrams of so many bytes on its way.
    Datagrams(usize, usize),
    /// So many connections, each with one message of so many bytes on its way.
    Echo(usize, usize),
    /// So many keep-alive connections that ask for a file without end.
    Http(usize, &'static File),
    /// The same over TLS.
    Https(usize, &'static File),
    /// The same over TLS, each connection for one request: each begins with a whole handshake.
    Handshakes(usize, &'static File),
    /// Keep-alive connections that ask once.
    Idle,
    /// Clients of an IRC server that say nothing.
    IdleIrc,
    /// The same as `Idle` over TLS.
    IdleTls,
    /// Timers: see `timers`.
    Timers,
    /// Connections of which some trap: see `traps`.
    Traps,
    /// One connection that sends so many bytes and reads them slowly.
    Slow(u64),
}

/// A file to serve.
#[derive(PartialEq)]
pub(crate) struct File {
    /// Its name in the served folder.
    pub(crate) name: &'static str,
    /// Its size in bytes.
    pub(crate) size: usize,
}

/// A file whose cost is that of a request.
pub(crate) static SMALL: File = File { name: "small.txt", size: 1024 };
/// A file whose cost is that of its bytes.
pub(crate) static LARGE: File = File { name: "large.txt", size: 1024 * 1024 };

/// What a value counts.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Unit {
    /// Bytes of memory.
    Bytes,
    /// Millions of bytes a second in one direction, where an operation moves so many bytes.
    Megabytes(usize),
    /// Microseconds until the answer, the median.
    Microseconds,
    /// Nanoseconds of CPU time.
    Nanoseconds,
    /// Operations a second.
    Operations,
    /// Microseconds until the answer of all but one in a hundred.
    Slowest,
}

/// What a row must reach.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// At most this: ours over theirs.
    Factor(f64),
    /// At least this: ours over theirs.
    Ratio(f64),
    /// At most this: ours, whatever theirs is.
    Value(f64),
    /// At most this: ours less theirs.
    Difference(f64),
}

const OWN_ECHO: Kind = Kind::Torsade(Guest::Echo, Instances::PerConnection);
const SHARED_ECHO: Kind = Kind::Torsade(Guest::Echo, Instances::PerWorker);
const OWN_HTTP: Kind = Kind::Torsade(Guest::Http, Instances::PerConnection);
const SHARED_HTTP: Kind = Kind::Torsade(Guest::Http, Instances::PerWorker);
const HTTPS: Kind = Kind::Torsade(Guest::Https, Instances::PerWorker);
const TIMING: Kind = Kind::Torsade(Guest::Timing, Instances::PerWorker);
const IRC: Kind = Kind::Torsade(Guest::Irc, Instances::PerWorker);
const BLOCKING: Kind = Kind::Torsade(Guest::Blocking, Instances::PerWorker);
const SMALL_HTTP: Load = Load::Http(64, &SMALL);
const TENTH: Kind = Kind::Torsade(Guest::Tenth, Instances::PerConnection);
const FORWARD: Kind = Kind::Torsade(Guest::Portforward(1), Instances::PerWorker);
const FORWARD_TWICE: Kind = Kind::Torsade(Guest::Portforward(2), Instances::PerWorker);
const CHUNK: usize = 64 * 1024;

/// All rows, in the table's order.
pub(crate) static ROWS: &[Row] = &[
    Row {
        name: "echo-small",
        work: "echo, 64 B, 100 connections, one sandbox",
        against: "bare epoll loop",
        ours: SHARED_ECHO,
        theirs: Kind::Epoll,
        load: Load::Echo(100, 64),
        unit: Unit::Operations,
        target: Target::Ratio(0.85),
    },
    Row {
        name: "echo-large",
        work: "echo, 64 KiB, 100 connections, one sandbox",
        against: "bare epoll loop",
        ours: SHARED_ECHO,
        theirs: Kind::Epoll,
        load: Load::Echo(100, CHUNK),
        unit: Unit::Megabytes(CHUNK),
        target: Target::Ratio(0.85),
    },
    Row {
        name: "udp",
        work: "UDP echo, 64 B, 64 sockets with 32 datagrams each on their way",
        against: "bare recvmmsg and sendmmsg loop",
        ours: Kind::Torsade(Guest::Datagrams, Instances::PerWorker),
        theirs: Kind::Datagrams,
        load: Load::Datagrams(64, 64),
        unit: Unit::Operations,
        target: Target::Ratio(0.85),
    },
    Row {
        name: "http-small",
        work: "HTTP/1.1, 1 KiB file, 64 keep-alive connections, one sandbox",
        against: "nginx",
        ours: SHARED_HTTP,
        theirs: Kind::Nginx,
        load: SMALL_HTTP,
        unit: Unit::Operations,
        target: Target::Ratio(1.0),
    },
    Row {
        name: "http-own",
        work: "HTTP/1.1, 1 KiB file, 64 connections in their own sandboxes",
        against: "torsade, one sandbox",
        ours: OWN_HTTP,
        theirs: SHARED_HTTP,
        load: SMALL_HTTP,
        unit: Unit::Operations,
        target: Target::Ratio(0.9),
    },
    Row {
        name: "http-large",
        work: "HTTP/1.1, 1 MiB file, 16 keep-alive connections, one sandbox",
        against: "nginx",
        ours: SHARED_HTTP,
        theirs: Kind::Nginx,
        load: Load::Http(16, &LARGE),
        unit: Unit::Megabytes(LARGE.size),
        target: Target::Ratio(1.0),
    },
    Row {
        name: "idle-shared",
        work: "private resident memory of an idle keep-alive connection, one sandbox",
        against: "nginx",
        ours: SHARED_HTTP,
        theirs: Kind::Nginx,
        load: Load::Idle,
        unit: Unit::Bytes,
        target: Target::Value(1024.0),
    },
    Row {
        name: "idle-own",
        work: "private resident memory of an idle connection in its own sandbox",
        against: "nginx",
        ours: OWN_HTTP,
        theirs: Kind::Nginx,
        load: Load::Idle,
        unit: Unit::Bytes,
        target: Target::Value(32.0 * 1024.0),
    },
    Row {
        name: "connect-own",
        work: "new connection with its own sandbox, until the echo of 64 B",
        against: "bare epoll loop",
        ours: OWN_ECHO,
        theirs: Kind::Epoll,
        load: Load::Connect(0),
        unit: Unit::Microseconds,
        target: Target::Difference(30.0),
    },
    Row {
        name: "connect-own-10000",
        work: "the same while 10,000 others are open, each in its sandbox",
        against: "bare epoll loop with as many",
        ours: OWN_ECHO,
        theirs: Kind::Epoll,
        load: Load::Connect(10_000),
        unit: Unit::Microseconds,
        target: Target::Difference(30.0),
    },
    Row {
        name: "trap-tenth",
        work: "growth of memory over 100,000 connections of which each tenth traps (one run)",
        against: "as many, of which none traps",
        ours: TENTH,
        theirs: TENTH,
        load: Load::Traps,
        unit: Unit::Bytes,
        target: Target::Value(1024.0 * 1024.0),
    },
    Row {
        name: "tls-small",
        work: "HTTP/1.1 over TLS, 1 KiB file, 64 keep-alive connections, one sandbox",
        against: "nginx",
        ours: HTTPS,
        theirs: Kind::NginxTls,
        load: Load::Https(64, &SMALL),
        unit: Unit::Operations,
        target: Target::Ratio(0.9),
    },
    Row {
        name: "tls-handshakes",
        work: "the same, a new connection with a whole handshake for each request (P-256)",
        against: "nginx",
        ours: HTTPS,
        theirs: Kind::NginxTls,
        load: Load::Handshakes(64, &SMALL),
        unit: Unit::Operations,
        target: Target::Ratio(0.9),
    },
    Row {
        name: "tls-large",
        work: "HTTP/1.1 over TLS, 1 MiB file, 16 keep-alive connections, one sandbox",
        against: "nginx",
        ours: HTTPS,
        theirs: Kind::NginxTls,
        load: Load::Https(16, &LARGE),
        unit: Unit::Megabytes(LARGE.size),
        target: Target::Ratio(0.9),
    },
    Row {
        name: "tls-idle",
        work: "private resident memory of an idle keep-alive connection over TLS, one sandbox",
        against: "nginx",
        ours: HTTPS,
        theirs: Kind::NginxTls,
        load: Load::IdleTls,
        unit: Unit::Bytes,
        target: Target::Value(16.0 * 1024.0),
    },
    Row {
        name: "timers",
        work: "a timer added, moved, cancelled, and one that fires, 1,000,000 pending",
        against: "100 pending",
        ours: TIMING,
        theirs: TIMING,
        load: Load::Timers,
        unit: Unit::Nanoseconds,
        target: Target::Factor(3.0),
    },
    Row {
        name: "blocking",
        work: "p99 of http-small while a query, a lookup and a job take long",
        against: "a process that burns as much",
        ours: BLOCKING,
        theirs: BLOCKING,
        load: Load::Blocking(64, &SMALL),
        unit: Unit::Slowest,
        target: Target::Factor(1.2),
    },
    Row {
        name: "forward",
        work: "port forwarding to an echo, 64 KiB, 100 connections, one sandbox",
        against: "HAProxy, TCP mode",
        ours: FORWARD,
        theirs: Kind::Haproxy(1),
        load: Load::Echo(100, CHUNK),
        unit: Unit::Megabytes(CHUNK),
        target: Target::Ratio(0.7),
    },
    Row {
        name: "forward-slow",
        work: "growth of memory: 1 GiB forwarded twice to an echo and back to a slow reader",
        against: "HAProxy, TCP mode",
        ours: FORWARD_TWICE,
        theirs: Kind::Haproxy(2),
        load: Load::Slow(1 << 30),
        unit: Unit::Bytes,
        target: Target::Value(4.0 * 1024.0 * 1024.0),
    },
    Row {
        name: "irc-channel",
        work: "IRC, messages delivered to a channel of 1,000 members, 8 of whom talk",
        against: "ngircd",
        ours: IRC,
        theirs: Kind::Ngircd,
        load: Load::Channel(irc::BUSY),
        unit: Unit::Operations,
        target: Target::Ratio(1.0),
    },
    Row {
        name: "irc-idle",
        work: "private resident memory of a client that says nothing",
        against: "ngircd",
        ours: IRC,
        theirs: Kind::Ngircd,
        load: Load::IdleIrc,
        unit: Unit::Bytes,
        target: Target::Factor(1.0),
    },
    Row {
        name: "irc-slow",
        work: "p99 of a message in a channel of 1,000 while readers that are slow are dropped",
        against: "without them",
        ours: IRC,
        theirs: IRC,
        load: Load::ChannelSlow,
        unit: Unit::Slowest,
        target: Target::Factor(1.2),
    },
];

/// The rows whose names contain one of the words; all for no words. A word may name some of
/// `hostile` instead.
pub(crate) fn chosen(words: &[String]) -> Result<Vec<&'static Row>> {
    for word in words {
        let is_row = ROWS.iter().any(|row| row.name.contains(word.as_str()));
        if !is_row && hostile::chosen(slice::from_ref(word)).is_empty() {
            let names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
            bail!("no row is named {word:?}; there are {}, and hostile", names.join(", "));
        }
    }
    let wanted = |row: &&Row| words.is_empty() || words.iter().any(|word| row.name.contains(word));
    Ok(ROWS.iter().filter(wanted).collect())
}
