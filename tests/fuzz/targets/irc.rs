//! An IRC server and four clients: they see the same wherever what they send is cut, every line is
//! one, and the server's tables agree with each other.
//!
//! The first byte of each line of the input says what it is: `1` to `4`, and any other byte by its
//! number, has a client send the rest; `+` has time pass, `?` a question answered, `!` a client lost
//! and `|` one that stops or goes on reading.

#![no_main]

#[path = "../../../guests/irc/tests/dialogues/world.rs"]
#[allow(dead_code, reason = "nobody begins TLS here")]
mod world;

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use torsade_fuzz::cuts;
use torsade_irc::{Client, Config, Peer};

use world::World;

fuzz_target!(|input: &[u8]| {
    let whole = play(input, |data| vec![data]);
    for way in 0..3 {
        let cut = play(input, |data| cuts(data).swap_remove(way));
        for (number, (cut, whole)) in cut.iter().zip(&whole).enumerate() {
            let (cut, whole) = (String::from_utf8_lossy(cut), String::from_utf8_lossy(whole));
            assert_eq!(cut, whole, "client {number}, cut {way}");
        }
    }
});

/// What each client sees.
fn play<'a>(input: &'a [u8], cut: impl Fn(&'a [u8]) -> Vec<&'a [u8]>) -> [Vec<u8>; 4] {
    let mut world = World::new(config(), 1);
    world.answers_late = true;
    let (mut seen, mut stuck) = ([const { Vec::new() }; 4], [false; 4]);
    let mut clients: Vec<Client> = (0..4).map(|number| world.connect(peer(number))).collect();
    for line in input.split_inclusive(|byte| *byte == b'\n') {
        let (first, rest) = line.split_first().expect("a piece has its end at least");
        let number = usize::from(rest.first().copied().unwrap_or(0).wrapping_sub(b'1')) % 4;
        match first {
            b'+' => world.pass(Duration::from_secs(rest.len() as u64)),
            b'?' => _ = world.answer(),
            b'!' => {
                world.lose(clients[number], "lost");
                seen[number].extend(world.take(clients[number]));
                clients[number] = world.connect(peer(number));
                stuck[number] = false;
            }
            b'|' => {
                stuck[number] = !stuck[number];
                world.set_reading(clients[number], !stuck[number]);
            }
            _ => {
                let client = clients[usize::from(first.wrapping_sub(b'1')) % 4];
                cut(rest).into_iter().for_each(|piece| world.send(client, piece));
            }
        }
        assert_eq!(world.server.disagreement(), None);
    }
    while world.answer() {}
    world.pass(Duration::from_secs(1));
    assert_eq!(world.server.disagreement(), None);
    for (number, client) in clients.into_iter().enumerate() {
        world.set_reading(client, true);
        seen[number].extend(world.take(client));
    }
    seen
}

/// Whom the host would say a client is: two come over TLS, one of them with a certificate.
fn peer(number: usize) -> Peer {
    Peer {
        host: format!("192.0.2.{number}"),
        is_secure: number < 2,
        fingerprint: (number == 0).then(|| "alice".to_owned()),
        ..Peer::default()
    }
}

/// Limits that are soon reached.
fn config() -> Config {
    Config {
        name: "irc.test".to_owned(),
        motd: vec!["hello".to_owned()],
        operators: vec!["alice".to_owned()],
        starttls: true,
        burst: 50,
        rate: 5,
        recvq: 8192,
        sendq: 8192,
        channels: 3,
        channels_total: 5,
        masks: 3,
        monitor: 3,
        invitations: 2,
        whowas: 3,
        history_replies: 3,
        topic_length: 40,
        ..Config::default()
    }
}
