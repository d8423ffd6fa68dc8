//! What services do to one another on one worker, over a simulated network: a millionth of a second
//! of an event's time is a thousand instructions there, and the clock of the turns stands still
//! meanwhile.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use torsade::census::Census;
use torsade::net::Address;
use torsade::net::sim::{Behind, Far};
use torsade::reactor::{Restarts, ServiceSettings};
use torsade::rehearsal::Stage;
use torsade::tally::Tally;
use torsade::throttle::Rates;

use super::host::{serve, serving};
use super::site::{Kind, Settings};
use super::trial;

pub(super) fn trials() -> Vec<Trial> {
    let all: [(&str, Test); 12] = [
        ("who_fails_waits_for_others", who_fails_waits_for_others),
        ("who_fails_waits_for_those_who_pause", who_fails_waits_for_those_who_pause),
        ("who_fails_alone_waits_for_nobody", who_fails_alone_waits_for_nobody),
        ("who_takes_long_has_its_share", who_takes_long_has_its_share),
        ("what_the_host_does_for_a_service_counts", what_the_host_does_for_a_service_counts),
        ("who_has_much_to_do_has_its_share", who_has_much_to_do_has_its_share),
        ("short_events_are_no_debt", short_events_are_no_debt),
        ("who_has_dialled_has_its_connection", who_has_dialled_has_its_connection),
        ("a_plugin_that_fails_is_started_ever_later", a_plugin_that_fails_is_started_ever_later),
        ("a_failed_plugin_has_time_to_send", a_failed_plugin_has_time_to_send),
        ("a_failed_plugin_without_time_is_reset", a_failed_plugin_without_time_is_reset),
        ("a_plugin_has_its_lines_in_the_log", a_plugin_has_its_lines_in_the_log),
    ];
    let named = |(name, test): (&str, Test)| {
        Trial::test(format!("simulation::shares::{name}"), move || trial(test))
    };
    all.into_iter().map(named).collect()
}

type Test = fn() -> Result<()>;

/// An echo, and beside it an unruly service with this share, whose connections have an instance
/// each.
fn beside(cpu: u32) -> Result<(Stage, Far, Arc<Tally>)> {
    let mut host = serving(Kind::Echo, |_| {})?;
    let tally = Arc::<Tally>::default();
    serve(&mut host, Kind::Unruly, &Settings::CALM, |settings| {
        settings.per_connection = true;
        (settings.cpu, settings.tally) = (cpu, Arc::clone(&tally));
    })?;
    let talks = host.peer();
    Ok((host, talks, tally))
}

/// Has the echo answer a byte each millisecond for so long.
fn talk(host: &mut Stage, talks: Far, time: Duration) -> Result<()> {
    for _ in 0..time.as_millis() {
        host.send(talks, b"e");
        host.pass(Duration::from_millis(1))?;
        let got = host.received(talks);
        ensure!(got == 1, "the echo answers {got}: {:?}", host.reactor.counts());
    }
    Ok(())
}

fn unruly(host: &mut Stage, peers: usize, says: &[u8]) -> Vec<Far> {
    let peers: Vec<_> = (0..peers).map(|_| host.peer_of(1)).collect();
    for peer in &peers {
        host.send(*peer, says);
    }
    peers
}

/// An event without end takes 5 ms, and counts for ten: at a share of 5 % that is a second's debt.
fn who_fails_waits_for_others() -> Result<()> {
    let (mut host, talks, tally) = beside(5)?;
    talk(&mut host, talks, Duration::from_millis(50))?;
    let peers = unruly(&mut host, 100, b"s");
    talk(&mut host, talks, Duration::from_secs(10))?;
    ensure!((8..=13).contains(&host.failed()), "{} have failed", host.failed());
    let reached = tally.counts();
    ensure!(reached.iter().any(|(key, n)| *key == "cpu" && *n > 5), "{reached:?}");
    // Once the other is silent nobody has to wait.
    host.pass(Duration::from_millis(200))?;
    ensure!(host.failed() == 100, "{} have failed", host.failed());
    ensure!(peers.iter().all(|peer| host.is_gone(*peer)), "somebody was forgotten");
    Ok(())
}

/// As long as an event may take, and longer, is no silence: who speaks next would find one begun.
fn who_fails_waits_for_those_who_pause() -> Result<()> {
    let (mut host, talks, _) = beside(5)?;
    talk(&mut host, talks, Duration::from_millis(50))?;
    unruly(&mut host, 100, b"s");
    for _ in 0..100 {
        host.send(talks, b"e");
        host.pass(Duration::from_millis(60))?;
    }
    ensure!((4..=8).contains(&host.failed()), "{} have failed", host.failed());
    Ok(())
}

fn who_fails_alone_waits_for_nobody() -> Result<()> {
    let (mut host, _, _) = beside(1)?;
    host.pass(Duration::from_millis(200))?;
    unruly(&mut host, 100, b"s");
    host.pass(Duration::from_millis(20))?;
    ensure!(host.failed() == 100, "{} have failed", host.failed());
    Ok(())
}

/// A long event that ends well counts as what it takes.
fn who_takes_long_has_its_share() -> Result<()> {
    let mut answered = Vec::new();
    for cpu in [1, 5, 100] {
        let (mut host, talks, _) = beside(cpu)?;
        let peers = unruly(&mut host, 90, b"");
        // While nobody else is at work they are all let in.
        host.pass(Duration::from_secs(20))?;
        talk(&mut host, talks, Duration::from_millis(50))?;
        for peer in &peers {
            host.send(*peer, &[b'?'; 900]);
        }
        talk(&mut host, talks, Duration::from_millis(50))?;
        let whole = |peer: &&Far| host.received(**peer) == 6 + 900;
        answered.push(peers.iter().filter(whole).count());
    }
    let [least, more, all] = answered[..] else { unreachable!("three were measured") };
    ensure!(all == 90, "{answered:?} were answered");
    ensure!(least > 0 && least * 4 < more && more < all, "{answered:?} were answered");
    Ok(())
}

/// What peers send to connections that are over is no event, but has to be thrown away.
fn what_the_host_does_for_a_service_counts() -> Result<()> {
    let (mut host, talks, tally) = beside(1)?;
    talk(&mut host, talks, Duration::from_millis(50))?;
    let peers = unruly(&mut host, 5, b"l");
    talk(&mut host, talks, Duration::from_secs(1))?;
    ensure!(host.ends() == ["done"; 5], "{:?}", host.ends());
    let before = tally.counts();
    // More than is thrown away before a peer is cut off.
    for peer in &peers {
        host.send(*peer, &vec![b'x'; 17 << 20]);
    }
    talk(&mut host, talks, Duration::from_millis(300))?;
    let cut_off = |host: &mut Stage| {
        peers.iter().filter(|peer| host.reactor.net().far_saw_reset(**peer)).count()
    };
    let early = cut_off(&mut host);
    ensure!(early < 3, "{early} are cut off, before {before:?}, now {:?}", tally.counts());
    // Once the other is silent nobody has to wait.
    host.pass(Duration::from_secs(1))?;
    let late = cut_off(&mut host);
    ensure!(late == 5, "{late} are cut off");
    Ok(())
}

/// Where all that there is to do takes a short time, but more than there is, it is done in
/// proportion: here by what a call takes of the clock.
fn who_has_much_to_do_has_its_share() -> Result<()> {
    for (cpu, other, wanted) in [(50, 10, 5..=15), (50, 50, 35..=65), (100, 50, 20..=50)] {
        let mut host = serving(Kind::Echo, |settings| settings.cpu = cpu)?;
        serve(&mut host, Kind::Echo, &Settings::CALM, |settings| settings.cpu = other)?;
        let few: Vec<_> = (0..2).map(|_| host.peer()).collect();
        let many: Vec<_> = (0..50).map(|_| host.peer_of(1)).collect();
        host.pass(Duration::from_millis(10))?;
        few.iter().for_each(|peer| host.send(*peer, &vec![b'e'; 8 << 20]));
        many.iter().for_each(|peer| host.send(*peer, &vec![b'e'; 2 << 20]));
        let mut echoed = |time| -> Result<[usize; 2]> {
            host.pass(time)?;
            Ok([&few, &many].map(|peers| peers.iter().map(|peer| host.received(*peer)).sum()))
        };
        let [own, others] = echoed(Duration::from_millis(3))?;
        let part = others * 100 / (own + others);
        ensure!(wanted.contains(&part), "{own} and {others} bytes of {cpu} % and {other} %");
        // Once the first has had nothing to do for a while the other has all.
        let [rest, later] = echoed(Duration::from_secs(1))?;
        let all = [own + rest, others + later];
        ensure!(all == [16 << 20, 100 << 20], "{all:?} bytes were echoed");
    }
    Ok(())
}

/// However much a service does, it does all of it, if none of it takes long.
fn short_events_are_no_debt() -> Result<()> {
    let (mut host, talks, tally) = beside(50)?;
    let peers = unruly(&mut host, 90, b"?");
    for _ in 0..200 {
        for peer in peers.iter().chain([&talks]) {
            host.send(*peer, b"?");
        }
        host.pass(Duration::from_millis(1))?;
    }
    host.pass(Duration::from_secs(1))?;
    let echoed = host.received(talks);
    ensure!(echoed == 200, "{echoed} bytes were echoed");
    let got: Vec<_> = peers.iter().map(|peer| host.received(*peer)).collect();
    ensure!(got.iter().all(|got| *got == 6 + 201), "{got:?} bytes came");
    ensure!(tally.counts().is_empty(), "{:?}", tally.counts());
    Ok(())
}

/// What was dialled is built when the plugin hears of it, though the service is in debt.
fn who_has_dialled_has_its_connection() -> Result<()> {
    let mut host = serving(Kind::Echo, |_| {})?;
    let tally = Arc::<Tally>::default();
    serve(&mut host, Kind::Asker, &Settings::CALM, |settings| {
        (settings.cpu, settings.tally) = (1, Arc::clone(&tally));
    })?;
    let at = Address::Tcp("192.0.2.7:80".parse()?);
    host.reactor.net().stand(at, Behind::Open);
    let talks = host.peer();
    let peers: Vec<_> = (0..30).map(|_| host.peer_of(1)).collect();
    host.pass(Duration::from_secs(1))?;
    talk(&mut host, talks, Duration::from_millis(50))?;
    for peer in &peers {
        host.send(*peer, b"Ch tcp:192.0.2.7:80\n");
    }
    talk(&mut host, talks, Duration::from_millis(300))?;
    host.pass(Duration::from_secs(20))?;
    ensure!(host.failures().is_empty(), "{:?}", host.failures());
    ensure!(host.built() == 1 + 2 * peers.len(), "{} were built", host.built());
    ensure!(tally.counts().iter().any(|(key, _)| *key == "cpu"), "{:?}", tally.counts());
    Ok(())
}

fn a_plugin_that_fails_is_started_ever_later() -> Result<()> {
    let mut host = serving(Kind::Echo, |_| {})?;
    let tally = Arc::<Tally>::default();
    let stumbles = Settings { stumbles: 1, ..Settings::CALM };
    serve(&mut host, Kind::Unruly, &stumbles, |settings: &mut ServiceSettings| {
        settings.restarts = Restarts { most: 6, longest: Duration::from_millis(500) };
        settings.tally = Arc::clone(&tally);
    })?;
    let early = host.peer_of(1);
    // At once, then after 0.1, 0.2, 0.4, 0.5 and 0.5 s.
    for (after, failed) in [(1, 2), (98, 2), (3, 3), (200, 4), (400, 5), (500, 6), (505, 7)] {
        host.pass(Duration::from_millis(after))?;
        ensure!(host.failed() == failed, "{} and not {failed} have failed", host.failed());
    }
    ensure!(tally.counts() == [("restarts", 1)], "{:?}", tally.counts());
    // From now on nobody tries, nobody is kept waiting, and the service beside goes on.
    let late = host.peer_of(1);
    let other = host.peer();
    host.send(other, b"echo");
    host.pass(Duration::from_secs(3600))?;
    ensure!(host.failed() == 7, "{} have failed", host.failed());
    ensure!(host.is_gone(early) && host.is_gone(late), "who came is kept waiting");
    ensure!(host.received(other) == 4, "the service beside is gone, too");
    Ok(())
}

/// A peer that doesn't read has half of what was queued for it when its plugin fails.
fn orphan(time: Duration) -> Result<(Stage, Far)> {
    let mut host = serving(Kind::Unruly, |settings| {
        (settings.per_connection, settings.fault_drain) = (true, time);
        settings.unsent = 4 << 20;
    })?;
    let peer = host.peer();
    host.reactor.net().set_reading(peer, false);
    host.send(peer, b"X");
    host.pass(Duration::from_millis(1))?;
    host.send(peer, b"t");
    host.pass(Duration::from_millis(1))?;
    ensure!(host.failed() == 1, "{} have failed", host.failed());
    Ok((host, peer))
}

fn a_failed_plugin_has_time_to_send() -> Result<()> {
    let (mut host, peer) = orphan(Duration::from_secs(1))?;
    host.pass(Duration::from_millis(900))?;
    ensure!(!host.is_gone(peer), "it had a second");
    host.reactor.net().set_reading(peer, true);
    host.pass(Duration::from_millis(50))?;
    let got = host.received(peer);
    ensure!(got == 6 + 300_000, "{got} bytes came");
    ensure!(host.reactor.net().far_saw_end(peer), "the peer saw no end");
    let (mut host, peer) = orphan(Duration::from_secs(1))?;
    host.pass(Duration::from_millis(1001))?;
    ensure!(host.reactor.net().far_saw_reset(peer), "the peer has longer than it may");
    Ok(())
}

fn a_failed_plugin_without_time_is_reset() -> Result<()> {
    let (mut host, peer) = orphan(Duration::ZERO)?;
    ensure!(host.reactor.net().far_saw_reset(peer), "the peer saw no reset");
    ensure!(host.reactor.connections() == 0, "{:?}", host.reactor.counts());
    Ok(())
}

fn a_plugin_has_its_lines_in_the_log() -> Result<()> {
    let tally = Arc::<Tally>::default();
    let mut host = serving(Kind::Unruly, |settings| {
        settings.per_connection = true;
        settings.tally = Arc::clone(&tally);
        let rates = Rates { log_lines: Some(10), ..Rates::default() };
        settings.census = Arc::new(Census::new(1000, None).with_rates(rates));
    })?;
    for _ in 0..2 {
        for _ in 0..30 {
            let peer = host.peer();
            host.send(peer, b"t");
        }
        host.pass(Duration::from_secs(1))?;
    }
    // Each of the 60 has two lines: what the plugin says, and that it failed. There were ten at the
    // start, and ten came in the second between.
    ensure!(tally.counts() == [("log-rate", 100)], "{:?}", tally.counts());
    Ok(())
}
