//! mDNS: whatever arrives and whenever, it sends messages that fit, comes to rest, and does the
//! same when it is woken for nothing.

#![no_main]

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use torsade_discovery::{Discovery, Event, Settings, Setup, To, answer};
use torsade_fuzz::Script;

fuzz_target!(|bytes: &[u8]| {
    assert_eq!(run(bytes, true), run(bytes, false), "being woken for nothing makes a difference");
});

type Sent = (Duration, To, Vec<u8>);

/// What it sends, what it tells, and what it knows in the end. An input is a row of messages, each
/// behind a byte that says what comes before it, and two that say how long it is; a message may be
/// cut short by the end.
fn run(bytes: &[u8], often: bool) -> (Vec<Sent>, Vec<Event>, String) {
    let mut script = Script(bytes);
    let (mut now, mut sent, mut events) = (Duration::from_secs(100), Vec::new(), Vec::new());
    let mut discovery = Discovery::new(&SETUP, now, 7);
    while let (Some(step), Some(high), Some(low)) = (script.byte(), script.byte(), script.byte()) {
        let until = now + WAITS[usize::from(step & 7)];
        while let Some(at) = discovery.deadline().filter(|at| *at <= until) {
            now = now.max(at);
            wake(&mut discovery, now, &mut sent);
        }
        now = until;
        if often {
            wake(&mut discovery, now, &mut sent);
        }
        if step & 0x40 != 0 {
            discovery.begin_again(now);
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        let port = if step & 8 == 0 { 5353 } else { 5454 };
        let from = SocketAddr::from(([192, 0, 2, 1 + (step >> 4 & 3)], port));
        discovery.received(now, from, script.bytes(length));
        collect(&mut discovery, now, &mut sent);
        events.extend(std::iter::from_fn(|| discovery.take_event()));
    }
    let known = answer(&discovery, "browse _http._tcp");
    discovery.stop();
    collect(&mut discovery, now, &mut sent);
    (sent, events, known)
}

fn wake(discovery: &mut Discovery, now: Duration, sent: &mut Vec<Sent>) {
    discovery.on_time(now);
    let next = discovery.deadline();
    assert!(next.is_none_or(|at| at > now), "it would be woken at once again, for {next:?}");
    collect(discovery, now, sent);
}

fn collect(discovery: &mut Discovery, now: Duration, sent: &mut Vec<Sent>) {
    while let Some((to, message)) = discovery.take_message() {
        assert!(message.len() <= 9000, "a message of {} bytes", message.len());
        sent.push((now, to, message));
    }
}

/// How long it is until the next message.
const WAITS: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_millis(1),
    Duration::from_millis(20),
    Duration::from_millis(120),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(30),
    Duration::from_secs(4000),
];

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let settings: Settings = serde_json::from_str(SETTINGS).expect("it is a configuration");
    settings.check(&[]).expect("nothing is wrong with it")
});

const SETTINGS: &str = r#"{
    "addresses": ["192.0.2.9", "2001:db8::1"],
    "announce": [{
        "name": "Site", "type": "_http._tcp", "port": 8080,
        "subtypes": ["_printer"], "txt": { "path": "/" }
    }],
    "browse": ["_http._tcp", "_ipp._tcp"]
}"#;
