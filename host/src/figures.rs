//! What is counted of a service: plain numbers that one worker owns, and adds up only when somebody
//! asks. It reads no clock.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};
use std::time::Duration;

/// What one worker, or all of them, have counted of a service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    counts: [u64; Count::ALL.len()],
    events: [u64; Event::ALL.len()],
    /// How long events took, where they were timed.
    pub times: Times,
    /// Connections that were closed at once, by the reason.
    pub refused: BTreeMap<Cow<'static, str>, u64>,
    /// Instances that have failed, by how.
    pub traps: BTreeMap<Cow<'static, str>, u64>,
}

/// A number that goes up, or that says how much there is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Count {
    /// Connections that peers have made.
    Accepted,
    /// Bytes that were read from peers, as plugins get them.
    BytesReceived,
    /// Bytes that were sent to peers, as plugins write them, with those of datagrams that the system
    /// did not take.
    BytesSent,
    /// Datagrams that the system did not take.
    DatagramsDropped,
    /// Datagrams that were received.
    DatagramsReceived,
    /// Datagrams that were sent.
    DatagramsSent,
    /// Connections that the plugin has asked for, and that were made.
    Dialled,
    /// How many of those are open.
    DialledOpen,
    /// Bytes of the sandboxes' linear memories.
    Memory,
    /// How many connections that peers have made are open.
    Open,
    /// How many sandboxes there are.
    Sandboxes,
    /// Sandboxes that were made.
    SandboxesMade,
}

impl Count {
    /// All of them, in their order.
    pub const ALL: [Self; 12] = [
        Self::Accepted,
        Self::BytesReceived,
        Self::BytesSent,
        Self::DatagramsDropped,
        Self::DatagramsReceived,
        Self::DatagramsSent,
        Self::Dialled,
        Self::DialledOpen,
        Self::Memory,
        Self::Open,
        Self::Sandboxes,
        Self::SandboxesMade,
    ];

    /// Its name where a status is told.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::BytesReceived => "bytes-received",
            Self::BytesSent => "bytes-sent",
            Self::DatagramsDropped => "datagrams-dropped",
            Self::DatagramsReceived => "datagrams-received",
            Self::DatagramsSent => "datagrams-sent",
            Self::Dialled => "dialled",
            Self::DialledOpen => "dialled-open",
            Self::Memory => "memory",
            Self::Open => "open",
            Self::Sandboxes => "sandboxes",
            Self::SandboxesMade => "sandboxes-made",
        }
    }

    /// Whether it says how much there is, and so may go down.
    pub fn is_level(self) -> bool {
        matches!(self, Self::DialledOpen | Self::Memory | Self::Open | Self::Sandboxes)
    }
}

/// A kind of event: the function of the contract that it calls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "each is a function of the contract, which says when it is called")]
pub enum Event {
    BuildDatagramProtocol,
    BuildProtocol,
    Closed,
    ConnectionLost,
    ConnectionRefused,
    DataReceived,
    DatagramsReceived,
    Fired,
    HandshakeCompleted,
    ReadConnectionLost,
    Start,
    Stopping,
    WriteDrained,
}

impl Event {
    /// All of them, in their order.
    pub const ALL: [Self; 13] = [
        Self::BuildDatagramProtocol,
        Self::BuildProtocol,
        Self::Closed,
        Self::ConnectionLost,
        Self::ConnectionRefused,
        Self::DataReceived,
        Self::DatagramsReceived,
        Self::Fired,
        Self::HandshakeCompleted,
        Self::ReadConnectionLost,
        Self::Start,
        Self::Stopping,
        Self::WriteDrained,
    ];

    /// Its name in the contract.
    pub fn name(self) -> &'static str {
        match self {
            Self::BuildDatagramProtocol => "build-datagram-protocol",
            Self::BuildProtocol => "build-protocol",
            Self::Closed => "closed",
            Self::ConnectionLost => "connection-lost",
            Self::ConnectionRefused => "connection-refused",
            Self::DataReceived => "data-received",
            Self::DatagramsReceived => "datagrams-received",
            Self::Fired => "fired",
            Self::HandshakeCompleted => "handshake-completed",
            Self::ReadConnectionLost => "read-connection-lost",
            Self::Start => "start",
            Self::Stopping => "stopping",
            Self::WriteDrained => "write-drained",
        }
    }
}

/// How long events took: how many took at most so long.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Times {
    /// How many took at most the bound at the same place of [`BOUNDS`], and more than the one
    /// before; at the last place those beyond all bounds.
    pub counts: [u64; BOUNDS.len() + 1],
    /// What they took together.
    pub sum: Duration,
}

impl Times {
    pub(crate) fn record(&mut self, took: Duration) {
        self.counts[BOUNDS.partition_point(|bound| *bound < took)] += 1;
        self.sum += took;
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl Figures {
    /// How many events of a kind there were.
    pub fn events(&self, kind: Event) -> u64 {
        self.events[kind as usize]
    }

    /// How many events there were, of all kinds.
    pub fn all_events(&self) -> u64 {
        self.events.iter().sum()
    }

    /// Says how many events of a kind there were.
    pub fn set_events(&mut self, kind: Event, count: u64) {
        self.events[kind as usize] = count;
    }

    /// There was another event of a kind.
    pub(crate) fn count_event(&mut self, kind: Event) {
        self.events[kind as usize] += 1;
    }

    /// A connection was closed at once, for this reason.
    pub(crate) fn refuse(&mut self, reason: &'static str) {
        *self.refused.entry(Cow::Borrowed(reason)).or_default() += 1;
    }

    /// An instance has failed in this way.
    pub(crate) fn trap(&mut self, kind: &'static str) {
        *self.traps.entry(Cow::Borrowed(kind)).or_default() += 1;
    }

    /// Adds what another worker has counted.
    pub fn add(&mut self, other: &Self) {
        let add = |to: &mut [u64], from: &[u64]| to.iter_mut().zip(from).for_each(|(a, b)| *a += b);
        add(&mut self.counts, &other.counts);
        add(&mut self.events, &other.events);
        add(&mut self.times.counts, &other.times.counts);
        self.times.sum += other.times.sum;
        for (to, from) in [(&mut self.refused, &other.refused), (&mut self.traps, &other.traps)] {
            for (key, count) in from {
                *to.entry(key.clone()).or_default() += count;
            }
        }
    }
}

impl Index<Count> for Figures {
    type Output = u64;

    fn index(&self, count: Count) -> &u64 {
        &self.counts[count as usize]
    }
}

impl IndexMut<Count> for Figures {
    fn index_mut(&mut self, count: Count) -> &mut u64 {
        &mut self.counts[count as usize]
    }
}

/// Up to which times events are told apart. Deadlines are among them as people set them.
pub const BOUNDS: [Duration; 12] = [
    Duration::from_micros(10),
    Duration::from_micros(100),
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_at_its_place() {
        for (place, count) in Count::ALL.into_iter().enumerate() {
            assert_eq!(count as usize, place, "{count:?}");
        }
        for (place, event) in Event::ALL.into_iter().enumerate() {
            assert_eq!(event as usize, place, "{event:?}");
        }
    }

    #[test]
    fn a_time_counts_for_the_first_bound_that_it_does_not_exceed() {
        let mut times = Times::default();
        for took in [1, 10, 11, 5_000_000, 5_000_001] {
            times.record(Duration::from_micros(took));
        }
        assert_eq!(times.counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!((times.count(), times.sum), (5, Duration::from_micros(10_000_023)));
    }

    #[test]
    fn what_workers_have_counted_is_added_up() {
        let one = |reason| {
            let mut figures = Figures::default();
            figures[Count::Open] = 3;
            figures.count_event(Event::Fired);
            figures.times.record(Duration::from_millis(3));
            figures.refuse(reason);
            figures.trap("deadline");
            figures
        };
        let mut sum = one("peers");
        sum.add(&one("connections"));
        assert_eq!((sum[Count::Open], sum.events(Event::Fired), sum.all_events()), (6, 2, 2));
        assert_eq!((sum.times.count(), sum.times.sum), (2, Duration::from_millis(6)));
        assert_eq!(sum.refused, [("connections".into(), 1), ("peers".into(), 1)].into());
        assert_eq!(sum.traps, [("deadline".into(), 2)].into());
    }
}
