//! A status in columns, as `torsade status` prints it and `torsade top` draws it.

use std::cmp::Ordering;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::figures::Count;
use crate::observe::status::{Rates, ServiceStatus, Status};
use crate::walls::{bytes, count};

/// What is told of each service, in this order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Column {
    /// Its name.
    Name,
    /// Open connections, with those that the plugin has dialled.
    Connections,
    /// Connections that peers made, in a second.
    Accepted,
    /// Bytes from peers, in a second.
    In,
    /// Bytes to peers, in a second.
    Out,
    /// Events of the plugin, in a second.
    Events,
    /// Sandboxes that there are.
    Sandboxes,
    /// Their linear memory.
    Memory,
    /// The part of one processor that events took.
    Processor,
    /// How often limits were reached.
    Limits,
}

impl Column {
    /// All of them, in order.
    pub const ALL: [Self; 10] = [
        Self::Name,
        Self::Connections,
        Self::Accepted,
        Self::In,
        Self::Out,
        Self::Events,
        Self::Sandboxes,
        Self::Memory,
        Self::Processor,
        Self::Limits,
    ];

    /// What stands above it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Connections => "connections",
            Self::Accepted => "accepted/s",
            Self::In => "in/s",
            Self::Out => "out/s",
            Self::Events => "events/s",
            Self::Sandboxes => "sandboxes",
            Self::Memory => "memory",
            Self::Processor => "processor",
            Self::Limits => "limits reached",
        }
    }

    /// The key that sorts by it, which is its name's first letter.
    pub fn key(self) -> char {
        self.name().chars().next().expect("every column has a name")
    }

    /// What it says of a service. Rates are "-" where they aren't known yet.
    pub fn cell(self, service: &ServiceStatus, rates: Option<Rates>) -> String {
        let rate = |of: fn(&Rates) -> f64, show: fn(f64) -> String| {
            rates.as_ref().map_or_else(|| "-".to_owned(), |rates| show(of(rates)))
        };
        let (number, size) = (|of: f64| count(of.round() as u64), |of: f64| bytes(of as u64));
        let figures = &service.figures;
        match self {
            Self::Name => service.name.clone(),
            Self::Connections => count(connections(service)),
            Self::Accepted => rate(|rates| rates.accepted, number),
            Self::In => rate(|rates| rates.received, size),
            Self::Out => rate(|rates| rates.sent, size),
            Self::Events => rate(|rates| rates.events, number),
            Self::Sandboxes => count(figures[Count::Sandboxes]),
            Self::Memory => bytes(figures[Count::Memory]),
            Self::Processor => rate(|rates| rates.cpu, |cpu| format!("{:.1}%", 100.0 * cpu)),
            Self::Limits => count(limits(service)),
        }
    }

    /// How two services compare by it: the larger number comes first, names by the alphabet.
    pub fn compare(
        self,
        (one, its): (&ServiceStatus, Option<Rates>),
        (other, others): (&ServiceStatus, Option<Rates>),
    ) -> Ordering {
        let by = |of: fn(&ServiceStatus) -> u64| of(other).cmp(&of(one));
        let by_rate = |of: fn(&Rates) -> f64| {
            let of = |rates: Option<Rates>| rates.as_ref().map_or(-1.0, of);
            of(others).total_cmp(&of(its))
        };
        let order = match self {
            Self::Name => Ordering::Equal,
            Self::Connections => by(connections),
            Self::Accepted => by_rate(|rates| rates.accepted),
            Self::In => by_rate(|rates| rates.received),
            Self::Out => by_rate(|rates| rates.sent),
            Self::Events => by_rate(|rates| rates.events),
            Self::Sandboxes => by(|service| service.figures[Count::Sandboxes]),
            Self::Memory => by(|service| service.figures[Count::Memory]),
            Self::Processor => by_rate(|rates| rates.cpu),
            Self::Limits => by(limits),
        };
        order.then_with(|| one.name.cmp(&other.name))
    }
}

fn connections(service: &ServiceStatus) -> u64 {
    service.figures[Count::Open] + service.figures[Count::DialledOpen]
}

fn limits(service: &ServiceStatus) -> u64 {
    service.limits.values().sum()
}

/// The line about the host as a whole.
pub fn host(status: &Status) -> String {
    let Status { version, uptime, workers, services, pool } = status;
    let late = match workers.iter().filter(|worker| worker.late).count() {
        0 => String::new(),
        late => format!(" ({late} too busy to answer)"),
    };
    let (busy, waiting): (u64, u64) =
        pool.iter().fold((0, 0), |sum, lane| (sum.0 + lane.busy, sum.1 + lane.waiting));
    format!(
        "torsade {version}, up {}, {} workers{late}, {} services, pool: {busy} at work, {waiting} wait",
        lasted(*uptime),
        workers.len(),
        services.len(),
    )
}

/// All of a status in words, with the rates since an earlier one.
pub fn text(now: &Status, before: &Status) -> String {
    let header = Column::ALL.map(|column| column.name().to_owned());
    let row = |service: &ServiceStatus| {
        let rates = now.rates(before, service);
        Column::ALL.map(|column| column.cell(service, rates))
    };
    let rows: Vec<_> = [header].into_iter().chain(now.services.iter().map(row)).collect();
    let width = |place: usize| rows.iter().map(|row| row[place].len()).max().unwrap_or(0);
    let widths: [usize; Column::ALL.len()] = std::array::from_fn(width);
    let mut text = host(now) + "\n\n";
    for row in &rows {
        let first = format!("{:1$}", row[0], widths[0]);
        let rest = row.iter().zip(widths).skip(1).map(|(cell, width)| format!("{cell:>width$}"));
        let cells: Vec<_> = [first].into_iter().chain(rest).collect();
        text += &format!("{}\n", cells.join("  ").trim_end());
    }
    for service in &now.services {
        text += &format!("\n{}", about(service));
    }
    text
}

/// What the columns don't say of a service.
fn about(service: &ServiceStatus) -> String {
    let since = OffsetDateTime::from(SystemTime::UNIX_EPOCH + service.since);
    let since = since.format(&Rfc3339).unwrap_or_default();
    let ServiceStatus { name, plugin, endpoints, .. } = service;
    let mut lines = format!("{name}: {plugin}, since {since}\n");
    if !endpoints.is_empty() {
        lines += &format!("  listens on {}\n", endpoints.join(" "));
    }
    for (what, counts) in [
        ("refused", &service.figures.refused),
        ("failed", &service.figures.traps),
        ("limits reached", &service.limits),
    ] {
        let counts: Vec<_> = counts.iter().map(|(key, n)| format!("{key} {}", count(*n))).collect();
        if !counts.is_empty() {
            lines += &format!("  {what}: {}\n", counts.join(", "));
        }
    }
    lines
}

/// A time in its two largest units.
fn lasted(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match (minutes, hours) {
        (0, _) => format!("{seconds}s"),
        (_, 0) => format!("{minutes}min {}s", seconds % 60),
        (_, 1..24) => format!("{hours}h {}min", minutes % 60),
        _ => format!("{}d {}h", hours / 24, hours % 24),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::observe::status::WorkerStatus;

    /// Two services a second apart.
    pub(crate) fn statuses() -> (Status, Status) {
        let service = |name: &str, open, received, reached| {
            let mut service = ServiceStatus {
                name: name.to_owned(),
                plugin: format!("guests/{name}"),
                endpoints: vec!["tcp:80".to_owned()],
                since: Duration::from_secs(1_700_000_000),
                limits: [("connections".into(), reached)].into(),
                ..ServiceStatus::default()
            };
            service.figures[Count::Open] = open;
            service.figures[Count::BytesReceived] = received;
            service.figures[Count::Memory] = 3 << 20;
            service
        };
        let status = |uptime, received| Status {
            version: "0.1.0".to_owned(),
            uptime: Duration::from_secs(uptime),
            workers: vec![WorkerStatus::default(); 2],
            services: vec![service("echo", 12, received, 0), service("site", 1200, 100, 5)],
            ..Status::default()
        };
        (status(61, 5000), status(60, 1000))
    }

    #[test]
    fn a_status_is_told_in_columns() {
        let (now, before) = statuses();
        let text = text(&now, &before);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[..5],
            [
                "torsade 0.1.0, up 1min 1s, 2 workers, 2 services, pool: 0 at work, 0 wait",
                "",
                "name  connections  accepted/s     in/s  out/s  events/s  sandboxes   memory  \
                 processor  limits reached",
                "echo           12           0  3.9 KiB    0 B         0          0  3.0 MiB       \
                 0.0%               0",
                "site        1,200           0      0 B    0 B         0          0  3.0 MiB       \
                 0.0%               5",
            ]
        );
        assert!(text.contains("\nsite: guests/site, since 2023-11-14T22:13:20Z\n"), "{text}");
        assert!(
            text.contains("\n  listens on tcp:80\n  limits reached: connections 5\n"),
            "{text}"
        );
    }

    #[test]
    fn every_column_has_a_key_of_its_own() {
        let mut keys = Column::ALL.map(Column::key).to_vec();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), Column::ALL.len());
    }

    #[test]
    fn times_have_two_units() {
        for (seconds, want) in [(59, "59s"), (61, "1min 1s"), (7260, "2h 1min"), (180_000, "2d 2h")]
        {
            assert_eq!(lasted(Duration::from_secs(seconds)), want);
        }
    }
}
