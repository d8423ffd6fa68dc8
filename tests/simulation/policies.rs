//! Policies over a simulated network: rates, time-outs and lists, by a clock of arithmetic.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use torsade::census::Census;
use torsade::net::sim::Far;
use torsade::reactor::Policies;
use torsade::rehearsal::Stage;
use torsade::throttle::Rates;
use torsade::transport::peers::Peers;

use super::host::serving;
use super::site::{self, Kind};
use super::trial;

pub(super) fn trials() -> Vec<Trial> {
    let all: [(&str, Test); 14] = [
        ("what_all_send_is_read_at_a_rate", what_all_send_is_read_at_a_rate),
        ("what_a_peer_sends_is_read_at_a_rate", what_a_peer_sends_is_read_at_a_rate),
        ("what_all_get_is_sent_at_a_rate", what_all_get_is_sent_at_a_rate),
        ("what_a_peer_gets_is_sent_at_a_rate", what_a_peer_gets_is_sent_at_a_rate),
        ("those_who_left_keep_nobody_waiting", those_who_left_keep_nobody_waiting),
        ("files_are_sent_at_a_rate", files_are_sent_at_a_rate),
        ("who_waits_for_a_rate_is_no_slow_peer", who_waits_for_a_rate_is_no_slow_peer),
        ("who_takes_nothing_is_slow_at_any_rate", who_takes_nothing_is_slow_at_any_rate),
        ("silence_ends_a_connection", silence_ends_a_connection),
        ("who_waits_for_a_rate_is_not_silent", who_waits_for_a_rate_is_not_silent),
        ("a_connection_has_its_time", a_connection_has_its_time),
        ("lists_keep_peers_out", lists_keep_peers_out),
        ("new_connections_come_at_a_rate", new_connections_come_at_a_rate),
        ("a_peer_comes_at_a_rate", a_peer_comes_at_a_rate),
    ];
    let named = |(name, test): (&str, Test)| {
        Trial::test(format!("simulation::policies::{name}"), move || trial(test))
    };
    all.into_iter().map(named).collect()
}

type Test = fn() -> Result<()>;

/// A host of one service with these rates.
fn rated(kind: Kind, rates: Rates) -> Result<Stage> {
    serving(kind, |settings| settings.census = census(rates))
}

/// A host of an echo with these policies.
fn with(policies: Policies) -> Result<Stage> {
    serving(Kind::Echo, |settings| settings.policies = policies)
}

fn census(rates: Rates) -> Arc<Census> {
    Arc::new(Census::new(1000, None).with_rates(rates))
}

/// `got` is what comes in [`TIME`] at this rate.
fn at_rate(got: usize, rate: u64) -> Result<()> {
    let wanted = rate as f64 * TIME.as_secs_f64();
    let off = got as f64 / wanted - 1.0;
    ensure!(off.abs() < 0.03, "{got} bytes came and not {wanted}");
    Ok(())
}

/// Peers that never wait, and how much each got back in [`TIME`]. They send more than they can get
/// back.
fn flood(host: &mut Stage, peers: &[Far]) -> Result<Vec<usize>> {
    for peer in peers {
        host.send(*peer, &vec![b'e'; 4 << 20]);
    }
    host.pass(TIME)?;
    let got = peers.iter().map(|peer| host.received(*peer)).collect();
    ensure!(host.ends().is_empty(), "connections ended: {:?}", host.ends());
    Ok(got)
}

fn what_all_send_is_read_at_a_rate() -> Result<()> {
    for rate in [300, 100_000, 1 << 20] {
        let mut host = rated(Kind::Echo, Rates { reads: Some(rate), ..Rates::default() })?;
        let peers: Vec<_> = (0..4).map(|_| host.peer()).collect();
        let got = flood(&mut host, &peers)?;
        at_rate(got.iter().sum(), rate)?;
        let least = got.iter().min().copied().unwrap_or_default() as f64;
        ensure!(least > 2.0 * rate as f64, "one has less than its share: {got:?}");
        // Who waits stands in line, and the line has one timer.
        ensure!(host.reactor.counts().timers <= 1, "{:?}", host.reactor.counts());
    }
    Ok(())
}

fn what_a_peer_sends_is_read_at_a_rate() -> Result<()> {
    let rate = 100_000;
    let rates = Rates { reads_per_peer: Some(rate), ..Rates::default() };
    let mut host = rated(Kind::Echo, rates)?;
    let mut peers = Vec::new();
    for ip in ["192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"] {
        peers.push(host.peer_from(ip)?);
    }
    let got = flood(&mut host, &peers)?;
    at_rate(got[..3].iter().sum(), rate)?;
    at_rate(got[3], rate)?;
    ensure!(got[..3].iter().all(|n| *n > 200_000), "one has less than its share: {got:?}");
    Ok(())
}

fn what_all_get_is_sent_at_a_rate() -> Result<()> {
    for rate in [300, 100_000, 1 << 20] {
        let mut host = rated(Kind::Echo, Rates { writes: Some(rate), ..Rates::default() })?;
        let peers: Vec<_> = (0..4).map(|_| host.peer()).collect();
        let got = flood(&mut host, &peers)?;
        at_rate(got.iter().sum(), rate)?;
        let least = got.iter().min().copied().unwrap_or_default() as f64;
        ensure!(least > 2.0 * rate as f64, "one has less than its share: {got:?}");
    }
    Ok(())
}

fn what_a_peer_gets_is_sent_at_a_rate() -> Result<()> {
    let (all, each) = (150_000, 100_000);
    let rates = Rates { writes: Some(all), writes_per_peer: Some(each), ..Rates::default() };
    let mut host = rated(Kind::Echo, rates)?;
    let one = host.peer_from("192.0.2.1")?;
    let got = flood(&mut host, &[one])?;
    at_rate(got[0], each)?;
    // Of two, none gets more than it may alone, and both not more than all may.
    let two = host.peer_from("192.0.2.2")?;
    host.send(two, &vec![b'e'; 4 << 20]);
    host.pass(TIME)?;
    let got = [host.received(one), host.received(two)];
    at_rate(got.iter().sum(), all)?;
    ensure!(got.iter().all(|n| *n > 600_000 && *n < 1_030_000), "{got:?}");
    Ok(())
}

/// Many come, wait for their turn to be read, and go.
fn those_who_left_keep_nobody_waiting() -> Result<()> {
    let rate = 1000;
    let mut host = rated(Kind::Echo, Rates { reads: Some(rate), ..Rates::default() })?;
    let stays = host.peer();
    host.send(stays, &vec![b'e'; 1 << 20]);
    for _ in 0..100 {
        let others: Vec<_> = (0..10).map(|_| host.peer()).collect();
        for other in &others {
            host.send(*other, &[b'e'; 1000]);
        }
        host.pass(Duration::from_millis(1))?;
        for other in others {
            host.reactor.net().reset(other);
        }
        host.pass(Duration::from_millis(1))?;
    }
    ensure!(host.reactor.connections() == 1, "{:?}", host.reactor.counts());
    host.received(stays);
    host.pass(TIME)?;
    at_rate(host.received(stays), rate)
}

fn files_are_sent_at_a_rate() -> Result<()> {
    let rate = 40_000;
    let mut host = rated(Kind::Http, Rates { writes: Some(rate), ..Rates::default() })?;
    let peer = host.peer();
    let request = b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n";
    host.send(peer, &request.repeat(20));
    host.pass(TIME)?;
    at_rate(host.received(peer), rate)?;
    host.pass(20 * TIME)?;
    let (got, files) = (host.received(peer), 20 * site::large().len());
    let all = got + 10 * rate as usize;
    ensure!((files..files + 20_000).contains(&all), "{all} bytes came in the end");
    Ok(())
}

fn who_waits_for_a_rate_is_no_slow_peer() -> Result<()> {
    let mut host = serving(Kind::Echo, |settings| {
        settings.census = census(Rates { writes: Some(200), ..Rates::default() });
        settings.drain = Duration::from_millis(50);
    })?;
    let peers: Vec<_> = (0..30).map(|_| host.peer()).collect();
    for peer in &peers {
        host.send(*peer, &[b'e'; 100]);
    }
    host.pass(Duration::from_millis(1))?;
    // From now on the network blocks too, with less than what may go at once.
    let conditions = host.reactor.net().conditions();
    (conditions.window, conditions.delay) = (4, Duration::from_millis(1));
    host.pass(Duration::from_secs(20))?;
    ensure!(host.ends().is_empty(), "connections ended: {:?}", host.ends());
    let got: Vec<_> = peers.iter().map(|peer| host.received(*peer)).collect();
    ensure!(got.iter().all(|n| *n == 100), "not all came: {got:?}");
    Ok(())
}

fn who_takes_nothing_is_slow_at_any_rate() -> Result<()> {
    let mut host = serving(Kind::Echo, |settings| {
        settings.census = census(Rates { writes: Some(1 << 20), ..Rates::default() });
        settings.drain = Duration::from_secs(2);
    })?;
    let peer = host.peer();
    host.reactor.net().set_reading(peer, false);
    host.send(peer, &vec![b'e'; 1 << 20]);
    host.pass(Duration::from_secs(6))?;
    ensure!(host.ends() == ["timed-out"], "{:?}", host.ends());
    Ok(())
}

fn silence_ends_a_connection() -> Result<()> {
    let idle = Duration::from_secs(3);
    let mut host = with(Policies { idle: Some(idle), ..Policies::default() })?;
    let (silent, talks) = (host.peer(), host.peer());
    for second in 1..=20 {
        host.pass(Duration::from_secs(1))?;
        for _ in 0..50 {
            host.send(talks, b"e");
            host.pass(Duration::from_millis(1))?;
        }
        let gone = host.is_gone(silent);
        ensure!(gone == (second >= 3), "after {second} seconds: gone is {gone}");
        ensure!(host.reactor.counts().timers <= 3, "{:?}", host.reactor.counts());
    }
    ensure!(host.received(talks) == 1000 && host.ends() == ["timed-out"], "{:?}", host.ends());
    host.pass(idle)?;
    host.pass(Duration::from_millis(1))?;
    ensure!(host.ends() == ["timed-out"; 2], "{:?}", host.ends());
    ensure!(host.reactor.connections() == 0, "{:?}", host.reactor.counts());
    Ok(())
}

fn who_waits_for_a_rate_is_not_silent() -> Result<()> {
    let mut host = serving(Kind::Echo, |settings| {
        settings.census = census(Rates { reads: Some(100), ..Rates::default() });
        settings.policies.idle = Some(Duration::from_millis(200));
    })?;
    let peers: Vec<_> = (0..40).map(|_| host.peer()).collect();
    for peer in &peers {
        host.send(*peer, &[b'e'; 1000]);
    }
    host.pass(TIME)?;
    ensure!(host.ends().is_empty(), "connections ended: {:?}", host.ends());
    Ok(())
}

fn a_connection_has_its_time() -> Result<()> {
    let lifetime = Some(Duration::from_secs(5));
    let mut host = with(Policies { lifetime, ..Policies::default() })?;
    let peer = host.peer();
    for second in 1..=5 {
        host.send(peer, b"echo");
        host.pass(Duration::from_secs(1))?;
        ensure!(host.received(peer) == 4, "second {second}");
    }
    host.pass(Duration::from_millis(1))?;
    ensure!(host.ends() == ["timed-out"] && host.is_gone(peer), "{:?}", host.ends());
    Ok(())
}

fn lists_keep_peers_out() -> Result<()> {
    let list = |all: &[&str]| -> Result<_> {
        let read: Result<Vec<_>, String> = all.iter().map(|who| who.parse()).collect();
        Ok(Arc::from(read.map_err(anyhow::Error::msg)?))
    };
    let peers = Peers { allow: Some(list(&["192.0.2.0/24"])?), deny: list(&["192.0.2.7"])? };
    let mut host = with(Policies { peers, ..Policies::default() })?;
    for (ip, may) in [
        ("192.0.2.1", true),
        ("192.0.2.7", false),
        ("::ffff:192.0.2.7", false),
        ("::ffff:192.0.2.8", true),
        ("198.51.100.1", false),
        ("2001:db8::1", false),
    ] {
        let (built, away) = (host.built(), host.reactor.counts().turned_away);
        let peer = host.peer_from(ip)?;
        host.send(peer, b"echo");
        host.pass(Duration::from_millis(1))?;
        ensure!(host.built() == built + usize::from(may), "{ip} was let in: {}", !may);
        ensure!(host.received(peer) == if may { 4 } else { 0 }, "{ip}");
        ensure!(host.is_gone(peer) != may, "{ip}");
        ensure!(host.reactor.counts().turned_away == away + u64::from(!may), "{ip}");
    }
    // Who was turned away doesn't count as a connection.
    ensure!(host.reactor.connections() == 2, "{:?}", host.reactor.counts());
    Ok(())
}

fn new_connections_come_at_a_rate() -> Result<()> {
    let mut host = rated(Kind::Echo, Rates { connects: Some(5), ..Rates::default() })?;
    let peers: Vec<_> = (0..20).map(|_| host.peer()).collect();
    for (after, wanted) in [(1, 5), (1000, 10), (1000, 15), (1000, 20), (1000, 20)] {
        host.pass(Duration::from_millis(after))?;
        let built = host.built();
        ensure!(built == wanted, "{built} of {wanted} have come");
        ensure!(host.reactor.counts().timers <= 1, "{:?}", host.reactor.counts());
    }
    // Nobody was sent away.
    ensure!(!peers.iter().any(|peer| host.is_gone(*peer)), "{:?}", host.reactor.counts());
    ensure!(host.reactor.counts().turned_away == 0, "{:?}", host.reactor.counts());
    Ok(())
}

fn a_peer_comes_at_a_rate() -> Result<()> {
    // One who comes too often keeps nobody else waiting, though all together have a rate too.
    let rates = Rates { connects: Some(10), connects_per_peer: Some(2), ..Rates::default() };
    let mut host = rated(Kind::Echo, rates)?;
    for _ in 0..30 {
        host.peer_from("192.0.2.1")?;
    }
    for number in 1..=6 {
        host.peer_from(&format!("198.51.100.{number}"))?;
    }
    host.pass(Duration::from_millis(1))?;
    ensure!(host.built() == 8, "{} have come", host.built());
    ensure!(host.reactor.counts().turned_away == 28, "{:?}", host.reactor.counts());
    host.pass(Duration::from_secs(1))?;
    for _ in 0..3 {
        host.peer_from("192.0.2.1")?;
    }
    host.pass(Duration::from_millis(1))?;
    ensure!(host.built() == 10, "{} have come", host.built());
    Ok(())
}

/// Over which rates are measured.
const TIME: Duration = Duration::from_secs(10);
