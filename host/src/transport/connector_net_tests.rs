//! A connector joined to a simulated network: whatever its peers do, it ends, and leaves nothing.

use std::net::SocketAddr;
use std::time::Duration;

use super::{ConnectFailureKind, Connector, Next};
use crate::net::sim::{Behind, SimNet, SimStream};
use crate::net::{Address, Net};

const TIMEOUT: Duration = Duration::from_secs(10);

const ALL: [Behind; 6] = [
    Behind::Open,
    Behind::Refuses,
    Behind::Resets,
    Behind::Silent,
    Behind::Slow(Duration::from_secs(12)),
    Behind::Unreachable,
];

/// Connects as a reactor does, and closes what has lost.
fn dial(net: &mut SimNet, hosts: &[SocketAddr]) -> Result<SimStream, ConnectFailureKind> {
    let mut connector = Connector::new(hosts.iter().copied(), net.now(), TIMEOUT);
    let mut attempts: Vec<(SocketAddr, SimStream)> = Vec::new();
    let came = loop {
        let until = match connector.next(net.now()) {
            Next::Attempt(to) => {
                match Net::connect(net, &Address::Tcp(to), None) {
                    Ok(mut stream) => {
                        net.watch(&mut stream, attempts.len() as u64).unwrap();
                        attempts.push((to, stream));
                    }
                    Err(e) => connector.failed(to, net.now(), e),
                }
                continue;
            }
            Next::Failed(failure) => break Err(failure.kind),
            Next::Wait(until) => until,
        };
        let wait = until.saturating_duration_since(net.now());
        net.poll(Some(wait), &mut Vec::new()).unwrap();
        let mut won = None;
        for place in (0..attempts.len()).rev() {
            match net.connected(&mut attempts[place].1) {
                Ok(true) => won = Some(place),
                Ok(false) => {}
                Err(e) => {
                    let (to, stream) = attempts.remove(place);
                    won = won.map(|won| won - 1);
                    net.close(stream);
                    connector.failed(to, net.now(), e);
                }
            }
        }
        if let Some(won) = won {
            break Ok(attempts.remove(won).1);
        }
    };
    attempts.into_iter().for_each(|(_, stream)| net.close(stream));
    came
}

#[test]
fn whatever_peers_do_it_ends_and_leaves_nothing() {
    for seed in 0..400usize {
        let mut net = SimNet::new(seed as u64);
        let mut hosts = Vec::new();
        // Every set of three kinds, in any order.
        for place in 0..3 {
            let behind = ALL[seed / 6usize.pow(place) % 6];
            let host =
                if place == 1 { [192, 0, 2, 1].into() } else { [0, 0, 0, 0, 0, 0, 0, 1].into() };
            let address = SocketAddr::new(host, 80 + place as u16);
            net.stand(Address::Tcp(address), behind);
            hosts.push((address, behind));
        }
        let begun = net.now();
        let addresses = hosts.iter().map(|(address, _)| *address).collect::<Vec<_>>();
        let came = dial(&mut net, &addresses);
        assert!(net.now() - begun < TIMEOUT + Duration::from_secs(1), "seed {seed}");
        let is = |behind| hosts.iter().any(|(_, it)| *it == behind);
        match came {
            Ok(stream) => net.close(stream),
            Err(kind) => {
                assert!(!is(Behind::Open), "seed {seed}: {kind:?}");
                let late = is(Behind::Silent) || is(ALL[4]);
                assert_eq!(kind == ConnectFailureKind::TimedOut, late, "seed {seed}");
            }
        }
        assert_eq!((net.open_streams(), net.connecting()), (0, 0), "seed {seed}");
    }
}
