//! Encrypted streams: what goes in clear, what waits, and every end.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use tempfile::NamedTempFile;

use super::WITH_TLS_1_2;
use super::engine::Sides;
use super::world::{World, text};
use crate::net::Net;
use crate::transport::queue::Flushed;
use crate::transport::stream::{End, Read};

#[test]
fn all_that_waits_in_clear_goes_before_the_first_record() {
    for only_1_2 in WITH_TLS_1_2 {
        let sides = Sides::new(only_1_2);
        for answers in [false, true] {
            // The window takes a part of it at once.
            let mut world = World::new(&sides, answers, 1000, 16);
            world.write(&text(1000));
            world.start_tls();
            world.write(b"secret");
            if answers {
                // A client that begins at once, before it is told to.
                world.peer_sends();
            }
            world.settle();
            assert_eq!(world.clear, text(1000));
            assert_eq!(world.heard, b"secret");
            assert_eq!(world.seen.iter().filter(|read| **read == Read::Secured).count(), 1);
        }
    }
}

#[test]
fn what_is_written_in_a_handshake_waits_and_is_counted() {
    let mut world = World::new(&Sides::new(false), false, 0, 64 * 1024);
    world.start_tls();
    world.write(&text(300_000));
    assert_eq!(world.flush(), Flushed::Waits);
    assert_eq!(world.stream.unsent(), 300_000);
    assert!(world.stream.sent() < 2000, "{} bytes", world.stream.sent());
    world.settle();
    assert_eq!(world.stream.unsent(), 0);
    assert!(world.heard == text(300_000));
}

#[test]
fn who_closes_in_a_handshake_still_sends_what_waits_behind_it() {
    for clear in [0, 100] {
        let mut world = World::new(&Sides::new(false), false, clear, 16);
        world.write(&text(clear));
        world.start_tls();
        world.write(b"secret");
        world.stream.lose();
        world.settle();
        assert_eq!(world.clear, text(clear));
        assert!(world.heard == b"secret" && world.heard_end);
        assert!(matches!(world.stream.ended(), Some(End::Done)), "{:?}", world.stream.ended());
    }
}

#[test]
fn who_closes_in_a_handshake_waits_for_nothing_where_nothing_waits() {
    for clear in [0, 100] {
        let mut world = World::new(&Sides::new(false), false, clear, 64 * 1024);
        world.write(&text(clear));
        world.start_tls();
        world.flush();
        world.stream.lose();
        world.flush();
        assert!(matches!(world.stream.ended(), Some(End::Done)), "{clear}");
    }
}

#[test]
fn each_half_ends_alone() {
    for answers in [true, false] {
        let mut world = World::secured(answers);
        world.peer_says(b"data");
        world.peer_ends();
        world.settle();
        assert_eq!((&*world.told, world.ends()), (&b"data"[..], 1));
        assert!(world.stream.ended().is_none() && !world.heard_end);
        world.write(b"answer");
        world.stream.lose();
        world.settle();
        assert!(world.heard == b"answer" && world.heard_end);
        assert!(matches!(world.stream.ended(), Some(End::Done)));

        let mut world = World::secured(answers);
        world.write(b"data");
        world.stream.lose_write(&mut world.spares);
        world.settle();
        assert!(world.heard == b"data" && world.heard_end);
        // Even what rustls would like to answer must not break what is read.
        world.peer.refresh_traffic_keys().unwrap();
        world.peer_says(b"answer");
        world.peer_ends();
        world.settle();
        assert_eq!((&*world.told, world.ends()), (&b"answer"[..], 1));
        assert!(world.stream.ended().is_none(), "{:?}", world.stream.ended());
    }
}

#[test]
fn an_end_is_told_once_whatever_comes_behind_it() {
    // In the chunk that ends the handshake, and in one of its own.
    for early in [true, false] {
        let mut world = World::new(&Sides::new(false), true, 0, 64 * 1024);
        world.start_tls();
        world.peer_sends();
        if early {
            world.poll();
            world.read_all();
            world.flush();
            while !world.net.net().idle() {
                world.poll();
            }
            let received = world.net.net().received(world.far);
            world.peer.read_tls(&mut &received[..]).unwrap();
            world.peer.process_new_packets().unwrap();
        } else {
            world.settle();
        }
        assert!(!world.peer.is_handshaking());
        world.peer.writer().write_all(b"data").unwrap();
        world.peer.send_close_notify();
        let mut records = Vec::new();
        while world.peer.wants_write() {
            world.peer.write_tls(&mut records).unwrap();
        }
        records.resize(30_000, 23);
        world.net.net().send(world.far, &records);
        world.settle();
        assert_eq!((&*world.told, world.ends()), (&b"data"[..], 1));
        assert!(!world.stream.may_read() && world.stream.ended().is_none());
    }
}

#[test]
fn a_cut_is_no_end() {
    let mut world = World::secured(true);
    world.peer_says(b"data");
    world.net.net().shut_down(world.far);
    world.settle();
    assert_eq!((&*world.told, world.ends()), (&b"data"[..], 0));
    assert!(matches!(world.stream.ended(), Some(End::Truncated)), "{:?}", world.stream.ended());
}

#[test]
fn who_leaves_in_the_handshake_ends_it() {
    // Without a word, and with a close_notify: one in clear may be anybody's.
    for alert in [&[][..], &[21, 3, 3, 0, 2, 1, 0]] {
        for answers in [true, false] {
            let mut world = World::new(&Sides::new(false), answers, 0, 64 * 1024);
            world.start_tls();
            world.flush();
            world.net.net().send(world.far, alert);
            world.net.net().shut_down(world.far);
            while world.poll() || !world.net.net().idle() {
                world.read_all();
                world.flush();
            }
            assert_eq!(world.ends(), 0);
            let ended = world.stream.ended();
            assert!(matches!(ended, Some(End::Tls(_))), "{answers} {alert:?}: {ended:?}");
        }
    }
}

#[test]
fn a_forged_record_ends_it_whatever_was_said_before() {
    for closed in [false, true] {
        let mut world = World::secured(true);
        if closed {
            world.stream.lose_write(&mut world.spares);
            world.settle();
        }
        let forged = [&[23, 3, 3, 0, 32][..], &[7; 32]].concat();
        world.net.net().send(world.far, &forged);
        while world.poll() || !world.net.net().idle() {
            world.read_all();
        }
        let ended = world.stream.ended();
        assert!(matches!(ended, Some(End::Tls(_))), "{closed}: {ended:?}");
        let told = world.net.net().received(world.far);
        assert!(closed || !told.is_empty(), "the peer does not learn why");
    }
}

#[test]
fn what_the_engine_holds_is_read_without_an_edge() {
    let mut world = World::new(&Sides::new(false), true, 0, 64 * 1024);
    world.start_tls();
    world.peer_sends();
    while world.peer.is_handshaking() {
        world.poll();
        world.read_all();
        world.flush();
        let received = world.net.net().received(world.far);
        let mut received = &received[..];
        while !received.is_empty() {
            world.peer.read_tls(&mut received).unwrap();
            world.peer.process_new_packets().unwrap();
        }
    }
    // In one chunk with what ends the handshake.
    world.peer_says(&text(10_000));
    while !world.net.net().idle() {
        world.poll();
    }
    while world.read() != Read::Secured {}
    // A plugin may pause here for as long as it likes.
    while world.stream.may_read() {
        assert!(matches!(world.read(), Read::Data(_) | Read::Records | Read::Nothing));
    }
    assert!(world.told == text(10_000), "{} bytes", world.told.len());
}

#[test]
fn a_rate_does_not_hold_a_handshake_up() {
    for answers in [true, false] {
        let mut world = World::new(&Sides::new(false), answers, 0, 64 * 1024);
        world.stream.allow(0);
        world.start_tls();
        world.write(&text(1000));
        world.settle();
        assert!(!world.stream.is_handshaking() && !world.peer.is_handshaking());
        assert!(world.heard.is_empty() && world.flush() == Flushed::Spent);
        world.stream.allow(10);
        assert_eq!(world.flush(), Flushed::Spent);
        world.stream.allow(usize::MAX);
        world.settle();
        assert_eq!(world.heard, text(1000));
    }
}

#[test]
fn a_peer_that_takes_nothing_costs_what_is_encrypted_at_once() {
    let mut world = World::secured(true);
    world.net.net().set_reading(world.far, false);
    world.write(&text(1_000_000));
    while world.flush() != Flushed::Blocked {}
    let (sent, unsent) = (world.stream.sent() as usize, world.stream.unsent());
    assert!(1_000_000 - unsent <= sent + super::super::ENCRYPTED_AT_ONCE, "{sent} {unsent}");
    world.net.net().set_reading(world.far, true);
    world.settle();
    assert!(world.heard == text(1_000_000));
}

#[test]
fn files_are_encrypted_between_what_is_written() {
    let named = NamedTempFile::new().unwrap();
    std::fs::write(named.path(), text(500_000)).unwrap();
    let file = Arc::new(File::open(named.path()).unwrap());
    let mut world = World::secured(true);
    world.write(b"head");
    world.stream.send_file(Arc::clone(&file), 1000, 400_000, &mut world.spares);
    world.write(b"tail");
    world.settle();
    let mut want = [b"head", &text(500_000)[1000..401_000], b"tail"].concat();
    assert!(world.heard == want, "{} bytes", world.heard.len());
    for supplied in [64 * 1024, 100, 0] {
        world.stream.send_file(Arc::clone(&file), 7, 100_000, &mut world.spares);
        world.write(b"tail");
        // Nothing else waits: the first call reads the file, and would have to wait for a disk.
        let next = world.net.calls() + 1;
        world.net.fail_at(next);
        assert_eq!(world.flush(), Flushed::Cold);
        assert_eq!(world.net.what_failed(), Some("read_file"));
        let (from, offset, length) = world.stream.cold().unwrap();
        assert_eq!((offset, length), (7, 64 * 1024));
        let mut data = vec![0; supplied];
        world.net.net().read_file(&from, offset, &mut data).unwrap();
        world.stream.supply(&data);
        world.settle();
        want.extend_from_slice(&text(500_000)[7..100_007]);
        want.extend_from_slice(b"tail");
        assert!(world.heard == want, "{} bytes of {}", world.heard.len(), want.len());
    }
    // A file that became shorter must not look whole.
    world.stream.send_file(file, 400_000, 200_000, &mut world.spares);
    world.settle();
    assert!(matches!(world.stream.ended(), Some(End::Aborted(_))), "{:?}", world.stream.ended());
    assert!(!world.heard_end);
}
