//! Bytes that are no messages, or nearly: nothing of it does harm.

use std::time::Duration;

use super::network::{Network, PTR, question};
use super::{BROWSER, SITE, setup};
use crate::To;

/// All messages of a network where there is something to say.
fn messages() -> Vec<Vec<u8>> {
    let mut network = Network::new();
    network.add(&setup(SITE), 1);
    network.add(&setup(BROWSER), 2);
    network.run(Duration::from_secs(10));
    network.send(
        "192.0.2.9:5353".parse().unwrap(),
        To::Group,
        question(0, "_http._tcp.local", PTR, false),
    );
    network.run(Duration::from_secs(2));
    network.stop(0);
    let mut all: Vec<_> = network.seen.into_iter().map(|(.., bytes)| bytes).collect();
    all.sort_unstable();
    all.dedup();
    assert!(all.len() > 5);
    all
}

/// A site and a browser hear some bytes, and are soon as they were before.
fn is_harmless(messages: impl Iterator<Item = Vec<u8>>) {
    let mut network = Network::new();
    network.add(&setup(SITE), 1);
    network.add(&setup(BROWSER), 2);
    network.run(Duration::from_secs(10));
    let from = ["192.0.2.9:5353".parse().unwrap(), "192.0.2.9:40000".parse().unwrap()];
    for bytes in messages {
        for from in from {
            for (_, discovery) in &mut network.nodes {
                discovery.received(network.now, from, &bytes);
                while discovery.take_message().is_some() {}
            }
        }
    }
    network.run(Duration::from_secs(60));
    assert_eq!(network.nodes[0].1.names().len(), 2);
}

#[test]
fn every_beginning_of_a_message_is_harmless() {
    let messages = messages();
    let cut = messages.iter().flat_map(|whole| (0..whole.len()).map(|end| whole[..end].to_vec()));
    is_harmless(cut);
}

#[test]
fn every_byte_may_be_another() {
    let messages = messages();
    let changed = messages.iter().flat_map(|whole| {
        (0..whole.len()).flat_map(move |at| {
            [0, 0xC0, 0xFF].into_iter().map(move |byte| {
                let mut bytes = whole.clone();
                bytes[at] = byte;
                bytes
            })
        })
    });
    is_harmless(changed);
}

#[test]
fn a_name_that_points_to_itself_ends() {
    let header = |counts: [u8; 4]| {
        let mut bytes = vec![0, 0, 0, 0];
        for count in counts {
            bytes.extend([0, count]);
        }
        bytes
    };
    let loops: [&[u8]; 6] = [
        &[0xC0, 12],
        &[0xC0, 14, 0xC0, 12],
        &[1, b'a', 0xC0, 12],
        &[1, b'a', 0xC0, 14],
        &[0xFF, 0xFF],
        &[0xC0],
    ];
    for counts in [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]] {
        let tails = loops.iter().flat_map(|name| {
            let mut bytes = [&header(counts), *name].concat();
            bytes.extend([0, 12, 0, 1, 0, 0, 0, 9, 0, 2, 0xC0, 12]);
            let mut response = bytes.clone();
            response[2] = 0x84;
            [bytes, response]
        });
        is_harmless(tails);
    }
}

#[test]
fn a_header_that_promises_much_gets_no_room() {
    let mut bytes = vec![0; 12];
    bytes[4..].fill(0xFF);
    assert!(crate::message::parse(&bytes).is_none());
    assert!(crate::message::parse(&vec![0; 9001]).is_none());
    assert!(crate::message::parse(&[0; 12]).is_some());
}
