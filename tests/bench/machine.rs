//! One line on where the numbers come from.

use std::fs;

use crate::programs;
use crate::workplace::Workplace;

/// A load average above this says that something else is running.
const IDLE_LOAD: f64 = 0.5;

/// Processor, cores, kernel, peers, and whether the machine has anything else to do.
pub(crate) fn describe(place: &Workplace) -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| processors.lines().find_map(|line| line.strip_prefix(name));
    let model = field("model name").unwrap_or("processor").trim_start_matches(['\t', ' ', ':']);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut parts = vec![format!("{cores} × {model}"), format!("Linux {}", kernel.trim())];
    for program in [&place.haproxy, &place.nginx, &place.wrk] {
        if !program.as_os_str().is_empty() {
            parts.push(programs::version(program));
        }
    }
    let (server, load) = (place.server_core, place.load_core);
    parts.push(format!("server on core {server}, load on core {load}"));
    parts.push(load_average());
    parts.join("; ")
}

fn load_average() -> String {
    let averages = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let minute = averages.split(' ').next().unwrap_or_default();
    let busy = minute.parse::<f64>().is_ok_and(|load| load > IDLE_LOAD);
    let remark = if busy { " (not idle: trust the CPU ratios more)" } else { "" };
    format!("load average {minute} at the start{remark}")
}
