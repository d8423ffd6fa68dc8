//! Which addresses are tried and when, on a clock of arithmetic, and what is said in the end.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::ErrorKind::{ConnectionRefused, NetworkUnreachable, PermissionDenied, TimedOut};
use super::{ADDRESSES_MAX, ConnectFailure, ConnectFailureKind, Connector, MESSAGE_MAX, Next};

/// A name for an address: a letter for the family, and a number.
fn address(name: &str) -> SocketAddr {
    let host = name[1..].to_owned();
    match &name[..1] {
        "4" => format!("192.0.2.{host}:80").parse().unwrap(),
        _ => format!("[2001:db8::{host}]:80").parse().unwrap(),
    }
}

fn addresses(names: &str) -> Vec<SocketAddr> {
    names.split_whitespace().map(address).collect()
}

/// What a peer does, so many milliseconds after it was called.
#[derive(Clone, Copy)]
enum Peer {
    Fails(u64, ErrorKind),
    Silent,
    Takes(u64),
}

/// A host's addresses, in the resolver's order.
type Peers<'a> = &'a [(&'a str, Peer)];

/// Runs a connector with a timeout of ten seconds against peers, and tells when what was tried,
/// and how it ended: `0 61, 250 41, 300 won`.
fn story(peers: Peers<'_>) -> (String, Option<ConnectFailure>) {
    let start = Instant::now();
    let order = peers.iter().map(|(name, _)| address(name));
    let mut connector = Connector::new(order, start, Duration::from_secs(10));
    let (mut now, mut told) = (0, Vec::new());
    let mut under_way: Vec<(u64, &str, Peer)> = Vec::new();
    loop {
        let at = start + Duration::from_millis(now);
        let wait = match connector.next(at) {
            Next::Attempt(to) => {
                let (name, peer) = peers.iter().find(|(name, _)| address(name) == to).unwrap();
                told.push(format!("{now} {name}"));
                match *peer {
                    Peer::Fails(after, _) | Peer::Takes(after) => {
                        under_way.push((now + after, *name, *peer));
                    }
                    Peer::Silent => {}
                }
                continue;
            }
            Next::Failed(failure) => {
                told.push(format!("{now} failed"));
                return (told.join(", "), Some(failure));
            }
            Next::Wait(until) => (until - start).as_millis() as u64,
        };
        assert!(wait > now, "waiting takes time");
        under_way.sort_by_key(|(when, ..)| *when);
        if under_way.first().is_none_or(|(when, ..)| *when > wait) {
            now = wait;
            continue;
        }
        let (when, name, peer) = under_way.remove(0);
        now = when;
        match peer {
            Peer::Fails(_, kind) => {
                connector.failed(address(name), start + Duration::from_millis(now), kind.into());
            }
            _ => {
                told.push(format!("{now} won"));
                return (told.join(", "), None);
            }
        }
    }
}

#[test]
fn the_first_who_answers_wins() {
    use Peer::{Fails, Silent, Takes};
    let table: [(Peers, &str); 9] = [
        (&[("61", Takes(10)), ("41", Takes(1))], "0 61, 10 won"),
        (&[("61", Takes(300)), ("41", Takes(10))], "0 61, 250 41, 260 won"),
        (&[("61", Takes(255)), ("41", Takes(10))], "0 61, 250 41, 255 won"),
        (&[("61", Fails(20, ConnectionRefused)), ("41", Takes(5))], "0 61, 20 41, 25 won"),
        (&[("61", Fails(0, NetworkUnreachable)), ("41", Takes(5))], "0 61, 0 41, 5 won"),
        // A failure moves the next attempt, and the delay counts from that.
        (
            &[
                ("61", Silent),
                ("41", Fails(10, ConnectionRefused)),
                ("62", Silent),
                ("42", Takes(1)),
            ],
            "0 61, 250 41, 260 62, 510 42, 511 won",
        ),
        (&[("61", Silent), ("62", Silent), ("41", Takes(9))], "0 61, 250 41, 259 won"),
        (&[("41", Silent)], "0 41, 10000 failed"),
        (&[("41", Takes(9_999)), ("61", Silent)], "0 41, 250 61, 9999 won"),
    ];
    for (peers, want) in table {
        assert_eq!(story(peers).0, want);
    }
}

#[test]
fn a_failure_says_what_each_address_failed_with() {
    use ConnectFailureKind::{Other, Refused, TimedOut as Late, Unreachable};
    use Peer::{Fails, Silent};
    let table: [(Peers, ConnectFailureKind, &str); 7] = [
        (&[("41", Fails(5, ConnectionRefused))], Refused, "192.0.2.1:80: connection refused"),
        (
            &[("61", Fails(0, NetworkUnreachable)), ("41", Fails(5, ConnectionRefused))],
            Refused,
            "[2001:db8::1]:80: network unreachable; 192.0.2.1:80: connection refused",
        ),
        (&[("61", Fails(0, NetworkUnreachable)), ("41", Fails(5, TimedOut))], Late, ""),
        (&[("61", Fails(0, NetworkUnreachable)), ("41", Fails(5, PermissionDenied))], Other, ""),
        (&[("61", Fails(0, NetworkUnreachable))], Unreachable, ""),
        (
            &[("41", Fails(5, ConnectionRefused)), ("42", Silent)],
            Late,
            "192.0.2.1:80: connection refused; 192.0.2.2:80: no answer in time",
        ),
        (&[], Unreachable, "the host has no address"),
    ];
    for (peers, kind, message) in table {
        let failure = story(peers).1.expect("it fails");
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(message.is_empty() || failure.message == message, "{failure}");
    }
}

#[test]
fn families_take_turns_and_each_address_comes_once() {
    let table = [
        ("", ""),
        ("41 42 43", "41 42 43"),
        ("61 62 63 41 42", "61 41 62 42 63"),
        ("41 61 62 63", "41 61 62 63"),
        ("41 41 61 41 61", "41 61"),
        (
            "61 62 63 64 65 66 67 68 69 610 611 612 613 614 615 616 617 41",
            "61 41 62 63 64 65 66 67 68 69 610 611 612 613 614 615",
        ),
    ];
    for (given, want) in table {
        let want = addresses(want);
        assert_eq!(super::interleave(addresses(given)), want, "{given}");
        assert!(want.len() <= ADDRESSES_MAX);
    }
}

#[test]
fn a_message_has_an_end() {
    let start = Instant::now();
    let all = (0..500u16).map(|n| SocketAddr::from(([192, 0, 2, 1], n)));
    let mut connector = Connector::new(all, start, Duration::from_secs(1));
    let mut tried = 0;
    let failure = loop {
        match connector.next(start) {
            Next::Attempt(to) => {
                tried += 1;
                connector.failed(to, start, io::Error::other("é".repeat(100)));
            }
            Next::Failed(failure) => break failure,
            Next::Wait(_) => panic!("there is nothing to wait for"),
        }
    };
    assert_eq!(tried, ADDRESSES_MAX);
    assert!((MESSAGE_MAX - 8..=MESSAGE_MAX).contains(&failure.message.len()));
    assert!(failure.message.ends_with('…'));
}

#[test]
fn at_the_deadline_nothing_is_tried_any_more() {
    let start = Instant::now();
    let mut connector = Connector::new(addresses("61 41"), start, Duration::from_millis(200));
    assert!(matches!(connector.next(start), Next::Attempt(_)));
    let deadline = start + Duration::from_millis(200);
    assert!(matches!(connector.next(start), Next::Wait(until) if until == deadline));
    // Nobody has called this one.
    connector.failed(address("42"), start, ConnectionRefused.into());
    assert!(matches!(connector.next(start), Next::Wait(_)));
    for _ in 0..2 {
        let Next::Failed(failure) = connector.next(deadline) else { panic!("it is too late") };
        let want = "[2001:db8::1]:80: no answer in time; 192.0.2.1:80: not tried in time";
        assert_eq!(failure.message, want);
    }
}
