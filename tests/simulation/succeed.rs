//! Services that take the place of others, and services that end, while peers are there.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use torsade::reactor::Move;
use torsade::rehearsal::Stage;

use super::host::{serve, serving};
use super::site::{self, Kind, Settings};
use super::trial;

pub(super) fn trials() -> Vec<Trial> {
    let all: [(&str, Test); 7] = [
        ("who_is_there_stays_and_who_comes_meets_the_successor", who_is_there_stays),
        ("who_waits_in_the_backlog_meets_the_successor", who_waits_in_the_backlog),
        ("an_idle_connection_of_a_successor_is_not_told", an_idle_connection_is_not_told),
        ("an_instance_goes_with_its_last_connection", an_instance_goes_with_its_last_connection),
        ("what_is_left_behind_costs_nothing_in_the_end", what_is_left_behind_costs_nothing),
        ("a_service_that_stops_has_its_grace", a_service_that_stops_has_its_grace),
        ("a_plugin_that_failed_for_good_is_succeeded", a_plugin_that_failed_for_good),
    ];
    let named = |(name, test): (&str, Test)| {
        Trial::test(format!("simulation::succeed::{name}"), move || trial(test))
    };
    all.into_iter().map(named).collect()
}

type Test = fn() -> Result<()>;

/// Has a service of this kind take the place of another.
fn succeed(
    host: &mut Stage,
    old: usize,
    kind: Kind,
    per_connection: bool,
) -> Result<(usize, bool)> {
    let mut settings = site::service(kind, per_connection, &Settings::CALM);
    settings.endpoints = Arc::new(["tcp:1".parse()?]);
    let service = host.reactor.add_service(settings);
    let moves = [Move { from: (old, 0), to: (service, 0) }];
    let missing = host.reactor.succeed(&moves, &[(old, None)]);
    host.reactor.begin_service(service);
    host.reactor.forget_service(old);
    Ok((service, missing.is_empty()))
}

fn moment(host: &mut Stage) -> Result<()> {
    Ok(host.pass(Duration::from_millis(10))?)
}

/// What a peer gets for what it sends.
fn says(host: &mut Stage, far: torsade::net::sim::Far, data: &[u8]) -> Result<usize> {
    host.send(far, data);
    moment(host)?;
    Ok(host.received(far))
}

fn who_is_there_stays() -> Result<()> {
    for per_connection in [false, true] {
        let mut host = serving(Kind::Unruly, |settings| settings.per_connection = per_connection)?;
        let old = host.peer();
        ensure!(says(&mut host, old, b"?")? == 6 + 1);
        let (_, all) = succeed(&mut host, 0, Kind::Echo, per_connection)?;
        ensure!(all, "the listener was not there");
        let new = host.peer();
        for _ in 0..3 {
            // It is one of the commands that only the old one knows.
            ensure!(says(&mut host, old, b"w")? == 1000, "the old one answers");
            ensure!(says(&mut host, new, b"w")? == 1, "the new one echoes");
        }
        let counts = host.reactor.counts();
        ensure!((counts.services, counts.listeners) == (2, 1), "{counts:?}");
    }
    Ok(())
}

fn who_waits_in_the_backlog() -> Result<()> {
    let mut host = serving(Kind::Unruly, |_| {})?;
    let waits = host.peer();
    ensure!(succeed(&mut host, 0, Kind::Echo, false)?.1);
    ensure!(says(&mut host, waits, b"w")? == 1);
    Ok(())
}

/// The plugin closes what is idle once it hears that it stops.
fn an_idle_connection_is_not_told() -> Result<()> {
    const ASKS: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    for per_connection in [false, true] {
        let mut host = serving(Kind::Http, |settings| settings.per_connection = per_connection)?;
        let idle = host.peer();
        ensure!(says(&mut host, idle, ASKS)? > 100);
        let (successor, _) = succeed(&mut host, 0, Kind::Http, per_connection)?;
        moment(&mut host)?;
        ensure!(!host.is_gone(idle), "it is closed");
        ensure!(says(&mut host, idle, ASKS)? > 100);
        let other = host.peer();
        ensure!(says(&mut host, other, ASKS)? > 100);
        host.reactor.succeed(&[], &[(successor, Some(Duration::from_secs(9)))]);
        moment(&mut host)?;
        ensure!(host.is_gone(idle) && host.is_gone(other), "both have stopped");
    }
    Ok(())
}

fn an_instance_goes_with_its_last_connection() -> Result<()> {
    let mut host = serving(Kind::Unruly, |_| {})?;
    let peers = [host.peer(), host.peer()];
    moment(&mut host)?;
    succeed(&mut host, 0, Kind::Echo, false)?;
    moment(&mut host)?;
    for (peer, (lives, services)) in peers.into_iter().zip([(2, 2), (1, 1)]) {
        host.send(peer, b"a");
        moment(&mut host)?;
        let counts = host.reactor.counts();
        ensure!((counts.lives, counts.services) == (lives, services), "{counts:?}");
    }
    Ok(())
}

/// A hundred successors, of which each has had a connection, and half have one still.
fn what_is_left_behind_costs_nothing() -> Result<()> {
    let mut host = serving(Kind::Echo, |_| {})?;
    let (mut service, mut stay) = (0, Vec::new());
    for round in 0..100 {
        let peer = host.peer();
        ensure!(says(&mut host, peer, b"?")? == 1);
        if round % 2 == 0 {
            stay.push(peer);
        } else {
            host.reactor.net().shut_down(peer);
        }
        (service, _) = succeed(&mut host, service, Kind::Echo, round % 4 < 2)?;
    }
    for peer in &stay {
        ensure!(says(&mut host, *peer, b"?")? == 1);
    }
    let counts = host.reactor.counts();
    ensure!((counts.services, counts.listeners) == (51, 1), "{counts:?}");
    for peer in stay {
        host.reactor.net().shut_down(peer);
    }
    host.pass(Duration::from_secs(60))?;
    let counts = host.reactor.counts();
    ensure!((counts.services, counts.connections, counts.lives) == (1, 0, 1), "{counts:?}");
    Ok(())
}

fn a_service_that_stops_has_its_grace() -> Result<()> {
    for per_connection in [false, true] {
        let mut host = serving(Kind::Echo, |settings| settings.per_connection = per_connection)?;
        serve(&mut host, Kind::Echo, &Settings::CALM, |_| {})?;
        let (peer, other) = (host.peer(), host.peer_of(1));
        moment(&mut host)?;
        host.reactor.succeed(&[], &[(0, Some(Duration::from_secs(1)))]);
        host.reactor.forget_service(0);
        ensure!(says(&mut host, peer, b"?")? == 1);
        host.pass(Duration::from_millis(900))?;
        ensure!(!host.is_gone(peer), "it had a second");
        host.pass(Duration::from_millis(200))?;
        ensure!(host.is_gone(peer) && host.ends() == ["stopped"], "{:?}", host.ends());
        ensure!(says(&mut host, other, b"?")? == 1, "the other service is gone, too");
        let counts = host.reactor.counts();
        ensure!((counts.services, counts.listeners, counts.lives) == (1, 1, 1), "{counts:?}");
    }
    Ok(())
}

fn a_plugin_that_failed_for_good() -> Result<()> {
    let mut host = serving(Kind::Unruly, |settings| settings.restarts.most = 1)?;
    for _ in 0..2 {
        let peer = host.peer();
        ensure!(says(&mut host, peer, b"t")? == 6);
    }
    ensure!(host.reactor.counts().listeners == 0, "{:?}", host.reactor.counts());
    let (service, all) = succeed(&mut host, 0, Kind::Echo, false)?;
    ensure!(!all, "there is a listener from nowhere");
    let socket = host.reactor.net().listener();
    let listener = socket.index();
    host.reactor.listen(socket, service, 0, false)?;
    let peer = host.reactor.net().connect(listener);
    ensure!(says(&mut host, peer, b"t")? == 1);
    Ok(())
}
