//! What connections that the near side begins come to, and where it may listen.

use std::io::{self, ErrorKind};

use super::tests::{CALM, SECOND, kind, read, settle, turn, write};
use super::*;
use crate::net::Net;

const HOST: &str = "192.0.2.7:80";

fn tcp(address: &str) -> Address {
    Address::Tcp(address.parse().unwrap())
}

/// A network with something behind [`HOST`], and a connection that has begun.
fn dial(seed: u64, behind: Behind) -> (SimNet, io::Result<SimStream>) {
    let mut net = SimNet::new(seed);
    net.stand(tcp(HOST), behind);
    let stream = Net::connect(&mut net, &tcp(HOST), None).and_then(|mut stream| {
        net.watch(&mut stream, 2)?;
        Ok(stream)
    });
    (net, stream)
}

/// Turns until the edge that decides, at most a minute of the simulation.
fn decide(net: &mut SimNet, stream: &mut SimStream) -> io::Result<bool> {
    while net.elapsed() < SECOND * 60 {
        let mut ready = Vec::new();
        net.poll(Some(SECOND), &mut ready)?;
        let edge = ready.iter().any(|edge| edge.token == 2 && (edge.writable || edge.failed));
        if edge && net.connected(stream)? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[test]
fn each_kind_of_peer_decides_in_its_way() {
    for seed in 0..100 {
        let ends = [
            (Behind::Open, Ok(true)),
            (Behind::Refuses, Err(ConnectionRefused)),
            (Behind::Silent, Ok(false)),
            (Behind::Slow(SECOND * 30), Ok(true)),
        ];
        for (behind, want) in ends {
            let (mut net, stream) = dial(seed, behind);
            let mut stream = stream.unwrap();
            let came = decide(&mut net, &mut stream).map_err(|e| e.kind());
            assert_eq!(came, want, "{behind:?}, seed {seed}");
            if came.is_err() {
                assert!(!net.connected(&mut stream).unwrap(), "an error is told once");
            }
            assert_eq!(net.connecting(), usize::from(came == Ok(false)));
            net.close(stream);
            settle(&mut net);
            assert_eq!((net.open_streams(), net.connecting()), (0, 0));
        }
    }
}

#[test]
fn no_way_is_told_at_once_or_later() {
    let mut kinds = Vec::new();
    for seed in 0..20 {
        let (mut net, stream) = dial(seed, Behind::Unreachable);
        kinds.push(match stream {
            Ok(mut stream) => kind(decide(&mut net, &mut stream)),
            Err(e) => e.kind(),
        });
    }
    assert!(kinds.contains(&ErrorKind::NetworkUnreachable));
    assert!(kinds.contains(&HostUnreachable));
    kinds.retain(|kind| !matches!(kind, HostUnreachable | ErrorKind::NetworkUnreachable));
    assert_eq!(kinds, []);
}

#[test]
fn bytes_flow_both_ways_once_it_is_connected() {
    let (mut net, stream) = dial(3, Behind::Open);
    let mut stream = stream.unwrap();
    *net.conditions() = CALM;
    assert_eq!(kind(write(&mut net, &mut stream, b"too early")), ErrorKind::WouldBlock);
    assert_eq!(kind(read(&mut net, &mut stream, 9)), ErrorKind::WouldBlock);
    assert_eq!(kind(net.shutdown_write(&mut stream)), ErrorKind::NotConnected);
    assert!(decide(&mut net, &mut stream).unwrap());
    let (far, asked) = net.dialled().unwrap();
    assert_eq!((asked, net.dialled()), (tcp(HOST), None));
    write(&mut net, &mut stream, b"question").unwrap();
    settle(&mut net);
    assert_eq!(net.received(far), b"question");
    net.send(far, b"answer");
    net.hang_up(far);
    settle(&mut net);
    assert_eq!(read(&mut net, &mut stream, 9).unwrap(), b"answer");
    assert_eq!(read(&mut net, &mut stream, 9).unwrap(), b"");
    net.close(stream);
    settle(&mut net);
    assert!(net.far_saw_end(far) && net.open_streams() == 0);
}

#[test]
fn what_arrives_with_the_answer_is_there_to_read() {
    let (mut net, stream) = dial(3, Behind::Slow(SECOND));
    let mut stream = stream.unwrap();
    *net.conditions() = CALM;
    let (far, _) = loop {
        turn(&mut net);
        if let Some(dialled) = net.dialled() {
            break dialled;
        }
    };
    net.send(far, b"220 hello");
    assert!(!net.connected(&mut stream).unwrap());
    assert!(decide(&mut net, &mut stream).unwrap());
    settle(&mut net);
    assert_eq!(read(&mut net, &mut stream, 9).unwrap(), b"220 hello");
}

#[test]
fn a_peer_may_reset_what_it_took() {
    let mut connected = 0;
    for seed in 0..50 {
        let (mut net, stream) = dial(seed, Behind::Resets);
        let mut stream = stream.unwrap();
        match decide(&mut net, &mut stream) {
            Ok(_) => {
                connected += 1;
                settle(&mut net);
                assert_eq!(kind(read(&mut net, &mut stream, 9)), ConnectionReset);
            }
            Err(e) => assert_eq!(e.kind(), ConnectionReset),
        }
        net.close(stream);
        assert_eq!(net.open_streams(), 0);
    }
    assert!((1..50).contains(&connected), "{connected} of 50 were seen connected");
}

#[test]
fn giving_up_early_resets_the_far_end() {
    let (mut net, stream) = dial(3, Behind::Slow(SECOND));
    while net.dialled.is_empty() {
        turn(&mut net);
    }
    net.close(stream.unwrap());
    settle(&mut net);
    let (far, _) = net.dialled().unwrap();
    assert!(net.far_saw_reset(far) && net.open_streams() == 0);
}

#[test]
fn a_unix_socket_is_decided_at_once() {
    let mut net = SimNet::with(1, CALM);
    let at = |name: &str| Address::Unix(name.into());
    net.stand(at("/run/a"), Behind::Open);
    net.stand(at("/run/b"), Behind::Refuses);
    let mut stream = Net::connect(&mut net, &at("/run/a"), None).unwrap();
    assert!(net.connected(&mut stream).unwrap());
    write(&mut net, &mut stream, b"x").unwrap();
    settle(&mut net);
    let (far, asked) = net.dialled().unwrap();
    assert_eq!((net.received(far), asked), (b"x".to_vec(), at("/run/a")));
    assert_eq!(kind(Net::connect(&mut net, &at("/run/b"), None)), ConnectionRefused);
    assert_eq!(kind(Net::connect(&mut net, &at("/run/c"), None)), ErrorKind::NotFound);
    assert_eq!(kind(Net::connect(&mut net, &at(""), None)), ErrorKind::InvalidInput);
}

#[test]
fn the_near_end_has_the_address_that_was_asked_for() {
    let mut net = SimNet::with(1, CALM);
    net.stand(tcp(HOST), Behind::Silent);
    let from = "10.9.9.9".parse().unwrap();
    let stream = Net::connect(&mut net, &tcp(HOST), Some(from)).unwrap();
    assert_eq!(net.local_address(&stream).unwrap(), tcp("10.9.9.9:61000"));
    let stream = Net::connect(&mut net, &tcp("[2001:db8::1]:80"), None).unwrap();
    assert_eq!(net.local_address(&stream).unwrap(), tcp("[fd00::1]:61001"));
    assert_eq!(kind(Net::connect(&mut net, &tcp("[::1]:80"), Some(from))), ErrorKind::InvalidInput);
}

#[test]
fn far_ends_reach_who_listens_and_nobody_else() {
    let mut net = SimNet::with(1, CALM);
    let mut listener = net.listen(&tcp("0.0.0.0:0"), 5, None).unwrap();
    let at = net.listener_address(&listener).unwrap();
    assert_eq!(at, tcp("0.0.0.0:32768"));
    let far = net.connect_to(&tcp("10.0.0.1:32768"));
    let lost = net.connect_to(&tcp("10.0.0.1:21"));
    settle(&mut net);
    assert!(net.far_saw_reset(lost));
    let (stream, _) = net.accept(&mut listener).unwrap();
    assert_eq!(net.local_address(&stream).unwrap(), tcp("10.0.0.1:32768"));
    assert!(net.accepted(far));
    net.close_listener(listener);
    let late = net.connect_to(&at);
    settle(&mut net);
    assert!(net.far_saw_reset(late));
}

#[test]
fn an_address_is_taken_once() {
    let mut net = SimNet::with(1, CALM);
    let first = net.listener();
    assert_eq!(net.listener_address(&first).unwrap(), tcp("10.0.0.1:8000"));
    for taken in ["10.0.0.1:8000", "0.0.0.0:8000"] {
        assert_eq!(kind(net.listen(&tcp(taken), 5, None)), ErrorKind::AddrInUse);
    }
    for free in ["10.0.0.1:8001", "10.0.0.2:8000", "[::]:8000"] {
        assert!(net.listen(&tcp(free), 5, None).is_ok(), "{free}");
    }
    net.close_listener(first);
    assert!(net.listen(&tcp("10.0.0.1:8000"), 5, None).is_ok());
    let unix = Address::Unix("@a".into());
    assert!(net.listen(&unix, 5, None).is_ok());
    assert_eq!(kind(net.listen(&unix, 5, None)), ErrorKind::AddrInUse);
}
