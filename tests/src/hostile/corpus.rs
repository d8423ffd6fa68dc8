//! Who is in the corpus.

use super::ComesTo::{Answer, End, Nothing};
use super::Then::{Ends, Ignores, Leaves, Reads, Snubs, Stays};
use super::{ComesTo, Hostile, Made, Peer, Then};

/// All that can be loaded, and do harm at run time.
pub fn all() -> &'static [Hostile] {
    ALL
}

const ALL: &[Hostile] = &[
    // Time.
    wat("build-loop", "never makes a connection's protocol", End(&[DEADLINE])),
    wat("data-loop", "has an event that never ends", End(&[DEADLINE])),
    wat("destructor-loop", "can't drop its protocol", End(&[DEADLINE])).met("x", Leaves),
    wat("drained-loop", "spins once it may write again", End(&[DEADLINE])),
    wat("fill-loop", "fills its memory without end", End(&[DEADLINE])),
    wat("fired-loop", "spins when a timer fires", End(&[DEADLINE])),
    wat("half-close-loop", "doesn't get over the end of the data", End(&[DEADLINE])).met("x", Ends),
    wat("late-start-loop", "spins at its start, but not when it is tried", End(&[START_DEADLINE]))
        .with("limits = { restarts = 2, cpu = \"100%\" }"),
    wat("lost-loop", "doesn't get over its connection's end", End(&[DEADLINE])).met("x", Leaves),
    wat("post-return-loop", "spins behind its answer", End(&[DEADLINE])),
    wat("random-loop", "asks for randomness without end", End(&[DEADLINE])),
    wat("realloc-loop", "spins when it is to find room", End(&[DEADLINE])),
    // Memory.
    wat("memory-full", "fills all the memory that it may have, and goes on", Answer("full")),
    wat("memory-storm", "takes more memory than it may have", End(&["limits.memory"])),
    wat("stack", "calls itself without end", End(&["call stack exhausted"])),
    wat("table-storm", "makes its table too long", End(&["limits.table-elements"])),
    // Deferreds and timers.
    wat("cancel-foreign", "cancels and moves others' deferreds", Answer("x")),
    wat("cancelled-deferred", "waits for what it has cancelled a hundred times", Answer("x")),
    wat("deferred-hoard", "takes all deferreds", Answer("limits.deferreds: 1000 are in flight"))
        .with("limits = { deferreds = 1000 }"),
    wat("deferred-storm", "wants a million deferreds in one event", End(&["limits.effects"])),
    wat("forged-deferred", "waits for a deferred that there is not", End(&["unknown handle"])),
    wat("held-forever", "waits for an hour", Nothing).met("x", Snubs),
    wat("outcome-early", "takes a result too early", End(&["used with the wrong type"])),
    wat("outcome-hoard", "keeps each result", End(&["limits.handles"]))
        .with("limits = { handles = 500 }"),
    wat("outcome-of-another", "takes a timer's result for a query's", Answer("is not that of"))
        .with("grants = { sql = \":memory:\" }"),
    wat("outcome-twice", "takes a result twice", End(&["unknown handle"])),
    wat("reschedule-storm", "moves one timer without end", Nothing).met("x", Stays),
    wat("stale-deferred", "waits for a deferred that it has dropped", End(&["unknown handle"])),
    wat("start-waits", "is never ready", Nothing)
        .with("limits = { idle = \"300ms\" }")
        .met("x", Stays),
    wat("stopping-loop", "doesn't stop when the host does", Answer("x")),
    wat("timer-far", "has timers that never fire", Answer("x")),
    wat("timer-fork", "has each timer of 0 ns followed by two", End(&["limits.handles"])),
    wat("timer-storm", "has a million timers of 0 ns", Nothing).met("x", Stays),
    wat("transport-as-deferred", "waits for its transport", End(&["used with the wrong type"])),
    // Handles.
    wat("dropped-protocol", "returns a protocol that it has dropped", End(&["unknown handle"])),
    wat("forged-protocol", "returns a protocol that there is not", End(&["unknown handle"])),
    wat("guessed", "writes to a transport that it guesses", End(&["unknown handle"])),
    wat("protocol-flood", "makes protocols without end", End(&["limits.handles"])),
    wat("transport-after-drop", "writes by a handle that it dropped", End(&["unknown handle"])),
    wat("transport-as-protocol", "returns a transport for a protocol", End(&["wrong type"])),
    wat("wrong-type", "writes to a timer", End(&["used with the wrong type"])),
    // What crosses the boundary.
    wat("bad-discriminant", "returns neither `some` nor `none`", End(&["discriminant"])),
    wat("log-not-utf8", "logs what is no UTF-8", End(&["utf-8"])),
    wat("random-much", "wants 2 GiB of randomness", End(&["4096 are the most"])),
    wat("realloc-calls", "calls the host while it is to find room", End(&["cannot leave"])),
    wat("realloc-outside", "has room outside of its memory only", End(&["realloc return"])),
    wat("realloc-over", "has the host write over what it returns", End(&["discriminant"])),
    wat("return-outside", "returns what lies outside of its memory", End(&["out of bounds"])),
    wat("return-unaligned", "returns what can't lie there", End(&["not aligned"])),
    wat("write-huge", "writes 4 GiB", End(&["out of bounds"])),
    wat("write-outside", "writes what isn't its own", End(&["out of bounds"])),
    // Writing, and other wishes.
    wat("effects-flood", "pauses and resumes without end", End(&["limits.effects"])),
    wat("refuses", "refuses every connection", Answer("no")),
    wat("write-after-close", "writes after it has closed", Answer("x")),
    wat("write-empty", "writes nothing, without end", End(&[DEADLINE])),
    wat(
        "write-flood",
        "writes without end to a peer that doesn't read",
        End(&["limits.unsent is reached"]),
    )
    .met("x", Ignores),
    wat("write-much", "writes without end in one event", End(&["limits.outbox"])),
    // Connections and listeners.
    wat("dial-flood", "dials without end", Answer("limits.outgoing"))
        .with("grants = { connect = [\"tcp:127.0.0.1:1\"] }"),
    wat("listen-flood", "listens everywhere", Answer("limits.listeners"))
        .with("grants = { listen = [\"tcp:*:interface=127.0.0.1\"] }"),
    // Traps.
    wat("trap-alternate", "traps in every second event", End(&["unreachable"])),
    wat("trap-build", "traps at every connection", End(&["unreachable"])),
    wat("trap-destructor", "traps when its protocol is dropped", End(&["unreachable"]))
        .met("x", Leaves),
    wat("trap-lost", "traps at its connection's end", End(&["unreachable"])).met("x", Leaves),
    // The log.
    wat("log-flood", "logs a thousand lines in an event", Answer("x")),
    wat("log-forged", "logs what looks as another's line", Answer("x")),
    wat("log-huge", "logs a line of 5 MB", End(&["limits.outbox"])),
    wat("log-loop", "logs without end", End(&[DEADLINE])),
    wat("names-forged", "traps where a name looks as a line of the log", End(&["unreachable"])),
    // Work.
    guest("job-loop", "has a job that never returns", Answer("limits.job-deadline"))
        .with(WORK)
        .met("job\n", Reads),
    guest("job-storm", "wants more jobs than it may have, again and again", Answer("limits.jobs"))
        .with(WORK)
        .met("job\njob\njob\njob\njob\njob\n", Reads),
    guest("query-loop", "has a query that never ends", Answer("limits.query-time"))
        .with(WORK)
        .met("query\n", Reads),
];

/// A plugin below `tests/hostile`, which does its harm once its peer has sent a byte.
const fn wat(name: &'static str, what: &'static str, comes_to: ComesTo) -> Hostile {
    Hostile { name, what, comes_to, made: Made::Wat, keys: "", peer: Peer("x", Reads) }
}

/// What has jobs, or asks a database.
const fn guest(name: &'static str, what: &'static str, comes_to: ComesTo) -> Hostile {
    Hostile { made: Made::Guest("tests/guests/blocking"), ..wat(name, what, comes_to) }
}

impl Hostile {
    const fn with(self, keys: &'static str) -> Self {
        Self { keys, ..self }
    }

    const fn met(self, said: &'static str, then: Then) -> Self {
        Self { peer: Peer(said, then), ..self }
    }
}

const DEADLINE: &str = "limits.deadline";
const START_DEADLINE: &str = "limits.start-deadline";

/// What a plugin that works may, and how long.
const WORK: &str = "limits = { job-deadline = \"100ms\", query-time = \"100ms\" }\n\
                    grants = { jobs = true, resolver = true, sql = \":memory:\" }";
