//! A status in Prometheus' text format (exposition format 0.0.4).
//!
//! Names, labels and what is escaped in them are the exporter's work. Its recorder isn't asked: that
//! holds each number in an atomic that whoever counts shares, while here workers count by
//! themselves, and are asked. So a page is a function of a status.

use std::fmt::Display;

use metrics::{Key, Label};
use metrics_exporter_prometheus::LabelSet;
use metrics_exporter_prometheus::formatting::{
    write_help_line, write_metric_line, write_type_line,
};

use super::status::{ServiceStatus, Status};
use crate::figures::{BOUNDS, Count, Event, Figures, Times};

/// The page that a scrape gets.
pub fn page(status: &Status) -> String {
    let mut page = Page(String::new());
    page.host(status);
    page.pool(status);
    for count in Count::ALL {
        let (name, help) = named(count);
        page.family(name, if count.is_level() { "gauge" } else { "counter" }, help);
        page.of_workers(status, |page, labels, figures| page.line(name, labels, figures[count]));
    }
    page.ways(status);
    page.events(status);
    page.limits(status);
    page.0
}

/// What a service's number is called.
fn named(count: Count) -> (&'static str, &'static str) {
    match count {
        Count::Accepted => {
            ("torsade_connections_accepted_total", "Connections that peers have made")
        }
        Count::BytesReceived => {
            ("torsade_bytes_received_total", "Bytes from peers, as the plugin got them")
        }
        Count::BytesSent => {
            ("torsade_bytes_sent_total", "Bytes to peers, as the plugin wrote them")
        }
        Count::DatagramsDropped => {
            ("torsade_datagrams_dropped_total", "Datagrams that the system did not take")
        }
        Count::DatagramsReceived => {
            ("torsade_datagrams_received_total", "Datagrams that were received")
        }
        Count::DatagramsSent => ("torsade_datagrams_sent_total", "Datagrams that were sent"),
        Count::Dialled => {
            ("torsade_connections_dialled_total", "Connections that the plugin asked for and got")
        }
        Count::DialledOpen => {
            ("torsade_connections_dialled_open", "Open connections that the plugin asked for")
        }
        Count::Memory => ("torsade_sandbox_memory_bytes", "Linear memory of the sandboxes"),
        Count::Open => ("torsade_connections_open", "Open connections that peers have made"),
        Count::Sandboxes => ("torsade_sandboxes", "Sandboxes that there are"),
        Count::SandboxesMade => ("torsade_sandboxes_made_total", "Sandboxes that were made"),
    }
}

/// What has been written so far.
struct Page(String);

/// Labels by name and value.
type Labels<'a> = &'a [(&'static str, &'a str)];

impl Page {
    fn host(&mut self, status: &Status) {
        self.family("torsade_info", "gauge", "The host's version");
        self.line("torsade_info", &[("version", &status.version)], 1);
        self.family("torsade_uptime_seconds", "gauge", "For how long the host has served");
        self.line("torsade_uptime_seconds", &[], status.uptime.as_secs_f64());
        let (turns, busy) = ("torsade_worker_turns_total", "torsade_worker_busy_seconds_total");
        self.family(turns, "counter", "Turns of the worker's loop");
        for (number, worker) in status.workers.iter().enumerate() {
            self.line(turns, &[("worker", &number.to_string())], worker.turns);
        }
        self.family(busy, "counter", "How long the worker was at work, and did not wait");
        for (number, worker) in status.workers.iter().enumerate() {
            self.line(busy, &[("worker", &number.to_string())], worker.busy.as_secs_f64());
        }
    }

    fn pool(&mut self, status: &Status) {
        let (threads, busy, waiting) =
            ("torsade_pool_threads", "torsade_pool_busy_threads", "torsade_pool_waiting");
        self.family(threads, "gauge", "Threads for blocking work");
        for load in &status.pool {
            self.line(threads, &[("lane", &load.lane)], load.threads);
        }
        self.family(busy, "gauge", "Threads for blocking work that are at work");
        for load in &status.pool {
            self.line(busy, &[("lane", &load.lane)], load.busy);
        }
        self.family(waiting, "gauge", "Pieces of work that wait for a thread");
        for load in &status.pool {
            self.line(waiting, &[("lane", &load.lane)], load.waiting);
        }
    }

    /// What is counted by the way in which it happens.
    fn ways(&mut self, status: &Status) {
        let (refused, traps) = ("torsade_connections_refused_total", "torsade_traps_total");
        self.family(refused, "counter", "Connections that were closed at once");
        self.of_workers(status, |page, labels, figures| {
            for (reason, count) in &figures.refused {
                page.line(refused, &with(labels, ("reason", reason)), count);
            }
        });
        self.family(traps, "counter", "Instances of the plugin that have failed");
        self.of_workers(status, |page, labels, figures| {
            for (kind, count) in &figures.traps {
                page.line(traps, &with(labels, ("kind", kind)), count);
            }
        });
    }

    fn events(&mut self, status: &Status) {
        let (events, seconds) = ("torsade_events_total", "torsade_event_seconds");
        self.family(events, "counter", "Events of the plugin");
        self.of_workers(status, |page, labels, figures| {
            for event in Event::ALL {
                let count = figures.events(event);
                page.line(events, &with(labels, ("event", event.name())), count);
            }
        });
        self.family(seconds, "histogram", "How long events took, since somebody first asked");
        self.of_workers(status, |page, labels, figures| {
            page.histogram(seconds, labels, &figures.times);
        });
    }

    fn limits(&mut self, status: &Status) {
        let (limits, deadline) = ("torsade_limits_reached_total", "torsade_deadline_seconds");
        self.family(limits, "counter", "How often a limit was reached");
        for service in &status.services {
            for (key, count) in &service.limits {
                self.line(limits, &[("service", &service.name), ("limit", key)], count);
            }
        }
        self.family(deadline, "gauge", "The processor's time that one event may take");
        for ServiceStatus { name, deadline: most, .. } in &status.services {
            self.line(deadline, &[("service", name)], most.as_secs_f64());
        }
    }

    /// Writes lines for what each worker has counted of each service.
    fn of_workers(&mut self, status: &Status, write: impl Fn(&mut Self, Labels<'_>, &Figures)) {
        for service in &status.services {
            for (number, figures) in &service.by_worker {
                let number = number.to_string();
                write(self, &[("service", &service.name), ("worker", &number)], figures);
            }
        }
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        write_help_line(&mut self.0, name, None, None, help);
        write_type_line(&mut self.0, name, None, None, kind);
    }

    fn line(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        write_metric_line::<&str, _>(&mut self.0, name, None, &set(labels), None, value, None);
    }

    fn histogram(&mut self, name: &str, labels: Labels<'_>, times: &Times) {
        let (labels, mut below) = (set(labels), 0);
        let bounds = BOUNDS.iter().map(|bound| bound.as_secs_f64().to_string());
        for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(times.counts) {
            below += count;
            let le = Some(("le", bound));
            write_metric_line(&mut self.0, name, Some("bucket"), &labels, le, below, None);
        }
        let sum = times.sum.as_secs_f64();
        let to = &mut self.0;
        write_metric_line::<&str, _>(to, name, Some("sum"), &labels, None, sum, None);
        write_metric_line::<&str, _>(to, name, Some("count"), &labels, None, below, None);
    }
}

fn with<'a>(
    labels: &[(&'static str, &'a str)],
    another: (&'static str, &'a str),
) -> Vec<(&'static str, &'a str)> {
    labels.iter().copied().chain([another]).collect()
}

fn set(labels: Labels<'_>) -> LabelSet {
    let labels = labels.iter().map(|(name, value)| Label::new(*name, (*value).to_owned()));
    // Only the labels of a key are taken.
    let key = Key::from_parts("", labels.collect::<Vec<_>>());
    LabelSet::from_key_and_global(&key, &Default::default())
}

#[cfg(test)]
mod tests {
    use super::super::status::tests::status;
    use super::*;

    #[test]
    fn a_page_has_a_line_for_each_number() {
        let page = page(&status());
        for line in [
            "# TYPE torsade_connections_accepted_total counter",
            "torsade_connections_accepted_total{service=\"echo\",worker=\"0\"} 7",
            "# TYPE torsade_connections_open gauge",
            "torsade_connections_open{service=\"echo\",worker=\"0\"} 2",
            "torsade_connections_refused_total{service=\"echo\",worker=\"0\",reason=\"peers\"} 1",
            "torsade_events_total{service=\"echo\",worker=\"0\",event=\"data-received\"} 9",
            "# TYPE torsade_event_seconds histogram",
            "torsade_event_seconds_bucket{service=\"echo\",worker=\"0\",le=\"0.001\"} 0",
            "torsade_event_seconds_bucket{service=\"echo\",worker=\"0\",le=\"0.005\"} 1",
            "torsade_event_seconds_bucket{service=\"echo\",worker=\"0\",le=\"+Inf\"} 1",
            "torsade_event_seconds_sum{service=\"echo\",worker=\"0\"} 0.002",
            "torsade_event_seconds_count{service=\"echo\",worker=\"0\"} 1",
            "torsade_traps_total{service=\"echo\",worker=\"0\",kind=\"deadline\"} 1",
            "torsade_limits_reached_total{service=\"echo\",limit=\"deadline\"} 1",
            "torsade_deadline_seconds{service=\"echo\"} 0.05",
            "torsade_pool_waiting{lane=\"files\"} 2",
            "torsade_worker_turns_total{worker=\"0\"} 5",
            "torsade_worker_busy_seconds_total{worker=\"0\"} 1",
            "torsade_info{version=\"0.1.0\"} 1",
        ] {
            assert!(page.lines().any(|other| other == line), "{line}\n{page}");
        }
    }

    #[test]
    fn no_name_breaks_a_line() {
        let mut status = status();
        status.version = "a\"b\\c\nd".to_owned();
        let page = page(&status);
        assert!(page.contains("torsade_info{version=\"a\\\"b\\\\c\\nd\"} 1\n"), "{page}");
    }
}
