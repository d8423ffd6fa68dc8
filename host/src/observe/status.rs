//! What a host tells of itself, as a value, and as JSON there and back.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::figures::{BOUNDS, Count, Event, Figures, Times};
use crate::pool::Load;

/// What a host serves, and what it has counted so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// The host's version.
    pub version: String,
    /// For how long it has served.
    pub uptime: Duration,
    /// Its workers.
    pub workers: Vec<WorkerStatus>,
    /// What the threads for blocking work do, by lane.
    pub pool: Vec<Load>,
    /// Its services.
    pub services: Vec<ServiceStatus>,
}

/// What one worker tells.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct WorkerStatus {
    /// How many turns it has made.
    pub turns: u64,
    /// How long it was at work, and did not wait.
    pub busy: Duration,
    /// It was too busy to answer in time: what is told of it is older.
    pub late: bool,
}

/// What a host tells of one service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// The plugin's file or folder.
    pub plugin: String,
    /// Where it listens.
    pub endpoints: Vec<String>,
    /// When it was first served, since 1970-01-01T00:00:00Z.
    pub since: Duration,
    /// The CPU time that one of its events may take.
    pub deadline: Duration,
    /// How often its limits were reached, by their keys.
    pub limits: BTreeMap<Cow<'static, str>, u64>,
    /// What all workers have counted together.
    pub figures: Figures,
    /// What each has, by its number. JSON doesn't tell it.
    pub by_worker: Vec<(usize, Figures)>,
}

/// What went on in a second of the time between two statuses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Connections that peers have made.
    pub accepted: f64,
    /// Bytes from peers.
    pub received: f64,
    /// Bytes to peers.
    pub sent: f64,
    /// Events of the plugin.
    pub events: f64,
    /// The part of a processor that its events took: 1.0 is one whole.
    pub cpu: f64,
}

impl Status {
    /// The rates of a service since an earlier status; none where that has no such service.
    pub fn rates(&self, before: &Self, service: &ServiceStatus) -> Option<Rates> {
        let seconds = self.uptime.checked_sub(before.uptime)?.as_secs_f64();
        let earlier = &before.services.iter().find(|other| other.name == service.name)?.figures;
        let now = &service.figures;
        if seconds == 0.0 {
            return None;
        }
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        let of = |count| rate(now[count], earlier[count]);
        Some(Rates {
            accepted: of(Count::Accepted),
            received: of(Count::BytesReceived),
            sent: of(Count::BytesSent),
            events: rate(now.all_events(), earlier.all_events()),
            cpu: now.times.sum.saturating_sub(earlier.times.sum).as_secs_f64() / seconds,
        })
    }

    /// As JSON: times in seconds, sizes in bytes. With an earlier status the rates since then, too.
    pub fn to_json(&self, before: Option<&Self>) -> Value {
        let worker = |worker: &WorkerStatus| {
            let WorkerStatus { turns, busy, late } = worker;
            json!({ "turns": turns, "busy": busy.as_secs_f64(), "late": late })
        };
        let lane = |load: &Load| {
            let Load { lane, threads, busy, waiting } = load;
            json!({ "lane": lane, "threads": threads, "busy": busy, "waiting": waiting })
        };
        let service = |service: &ServiceStatus| {
            service.to_json(before.and_then(|before| self.rates(before, service)))
        };
        json!({
            "version": self.version,
            "uptime": self.uptime.as_secs_f64(),
            "workers": self.workers.iter().map(worker).collect::<Vec<_>>(),
            "pool": self.pool.iter().map(lane).collect::<Vec<_>>(),
            "services": self.services.iter().map(service).collect::<Vec<_>>(),
        })
    }

    /// Reads what [`Status::to_json`] has made; `None` where it isn't that. What isn't known is passed
    /// over, so that a newer host can be asked.
    pub fn from_json(value: &Value) -> Option<Self> {
        let worker = |value: &Value| {
            let (turns, busy) = (value["turns"].as_u64()?, seconds(&value["busy"])?);
            Some(WorkerStatus { turns, busy, late: value["late"].as_bool()? })
        };
        let lane = |value: &Value| {
            let lane = Cow::Owned(value["lane"].as_str()?.to_owned());
            let count = |key: &str| value[key].as_u64();
            let (threads, busy) = (count("threads")?, count("busy")?);
            Some(Load { lane, threads, busy, waiting: count("waiting")? })
        };
        Some(Self {
            version: value["version"].as_str()?.to_owned(),
            uptime: seconds(&value["uptime"])?,
            workers: value["workers"].as_array()?.iter().map(worker).collect::<Option<_>>()?,
            pool: value["pool"].as_array()?.iter().map(lane).collect::<Option<_>>()?,
            services: value["services"]
                .as_array()?
                .iter()
                .map(ServiceStatus::from_json)
                .collect::<Option<_>>()?,
        })
    }
}

impl ServiceStatus {
    fn to_json(&self, rates: Option<Rates>) -> Value {
        let figures = &self.figures;
        let counts = Count::ALL.map(|count| (count.name().to_owned(), figures[count].into()));
        let events = Event::ALL.map(|kind| (kind.name().to_owned(), figures.events(kind).into()));
        let mut told = json!({
            "name": self.name,
            "plugin": self.plugin,
            "endpoints": self.endpoints,
            "since": self.since.as_secs_f64(),
            "deadline": self.deadline.as_secs_f64(),
            "counts": Map::from_iter(counts),
            "events": Map::from_iter(events),
            "event-times": {
                "bounds": BOUNDS.map(|bound| bound.as_secs_f64()),
                "counts": figures.times.counts,
                "sum": figures.times.sum.as_secs_f64(),
            },
            "refused": figures.refused,
            "traps": figures.traps,
            "limits": self.limits,
        });
        if let Some(Rates { accepted, received, sent, events, cpu }) = rates {
            told["rates"] = json!({
                "accepted": accepted,
                "bytes-received": received,
                "bytes-sent": sent,
                "events": events,
                "cpu": cpu,
            });
        }
        told
    }

    fn from_json(value: &Value) -> Option<Self> {
        let text = |key: &str| Some(value[key].as_str()?.to_owned());
        let endpoint = |value: &Value| value.as_str().map(str::to_owned);
        let mut figures = Figures::default();
        for count in Count::ALL {
            figures[count] = value["counts"][count.name()].as_u64()?;
        }
        for event in Event::ALL {
            figures.set_events(event, value["events"][event.name()].as_u64()?);
        }
        let times = &value["event-times"];
        let counts = times["counts"].as_array()?.iter().map(Value::as_u64);
        figures.times = Times {
            counts: counts.collect::<Option<Vec<_>>>()?.try_into().ok()?,
            sum: seconds(&times["sum"])?,
        };
        (figures.refused, figures.traps) = (counted(&value["refused"])?, counted(&value["traps"])?);
        Some(Self {
            name: text("name")?,
            plugin: text("plugin")?,
            endpoints: value["endpoints"]
                .as_array()?
                .iter()
                .map(endpoint)
                .collect::<Option<_>>()?,
            since: seconds(&value["since"])?,
            deadline: seconds(&value["deadline"])?,
            limits: counted(&value["limits"])?,
            figures,
            by_worker: Vec::new(),
        })
    }
}

fn seconds(value: &Value) -> Option<Duration> {
    Duration::try_from_secs_f64(value.as_f64()?).ok()
}

fn counted(value: &Value) -> Option<BTreeMap<Cow<'static, str>, u64>> {
    let entry = |(key, count): (&String, &Value)| Some((key.clone().into(), count.as_u64()?));
    value.as_object()?.iter().map(entry).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One worker, one lane, and a service for which something was counted.
    pub(crate) fn status() -> Status {
        let mut figures = Figures::default();
        figures[Count::Accepted] = 7;
        figures[Count::BytesReceived] = 1000;
        figures[Count::Open] = 2;
        figures.set_events(Event::DataReceived, 9);
        figures.times.record(Duration::from_millis(2));
        figures.refuse("peers");
        figures.trap("deadline");
        Status {
            version: "0.1.0".to_owned(),
            uptime: Duration::from_secs(10),
            workers: vec![WorkerStatus { turns: 5, busy: Duration::from_secs(1), late: false }],
            pool: vec![Load { lane: "files".into(), threads: 4, busy: 1, waiting: 2 }],
            services: vec![ServiceStatus {
                name: "echo".to_owned(),
                plugin: "guests/echo".to_owned(),
                endpoints: vec!["tcp:7007".to_owned()],
                since: Duration::from_secs(1_700_000_000),
                deadline: Duration::from_millis(50),
                limits: [("deadline".into(), 1)].into(),
                by_worker: vec![(0, figures.clone())],
                figures,
            }],
        }
    }

    #[test]
    fn json_tells_the_same() {
        let mut status = status();
        let json = status.to_json(None);
        status.services[0].by_worker.clear();
        assert_eq!(Status::from_json(&json), Some(status));
        assert_eq!(json["services"][0]["counts"]["accepted"], 7);
        for wrong in [json!(null), json!({}), json!({ "version": 1 })] {
            assert_eq!(Status::from_json(&wrong), None);
        }
    }

    #[test]
    fn rates_are_of_the_time_between() {
        let (before, mut now) = (status(), status());
        now.uptime += Duration::from_millis(500);
        let figures = &mut now.services[0].figures;
        figures[Count::BytesReceived] += 200;
        figures.times.record(Duration::from_millis(50));
        let rates = now.rates(&before, &now.services[0]).unwrap();
        assert_eq!((rates.accepted, rates.received, rates.cpu), (0.0, 400.0, 0.1));
        assert_eq!(now.to_json(Some(&before))["services"][0]["rates"]["bytes-received"], 400.0);
        assert_eq!(before.rates(&before, &before.services[0]), None);
        now.services[0].name = "new".to_owned();
        assert_eq!(now.rates(&before, &now.services[0]), None);
    }
}
