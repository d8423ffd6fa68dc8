//! Sockets for datagrams in the simulated network, which loses, doubles and reorders.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ipnet::IpNet;
use libtest_mimic::Trial;
use torsade::grants::Grants;
use torsade::net::Address;
use torsade::net::datagram::{DatagramOption, Place};
use torsade::net::faulty::Faulty;
use torsade::net::sim::{Conditions, SimNet};
use torsade::plugin::LogLevel;
use torsade::pool::SimPool;
use torsade::reactor::{Answer, Move, Reactor, Seen, ServiceSettings};
use torsade::transport::peers::{Peers, Who};

use super::site::{self, Kind, Settings};
use super::trial;
use super::world::Simulated;

pub(super) fn trials() -> Vec<Trial> {
    let all: [(&str, Test); 10] = [
        ("what_arrives_comes_back", what_arrives_comes_back),
        ("a_fault_costs_its_event", a_fault_costs_its_event),
        ("a_successor_has_the_socket_at_once", a_successor_has_the_socket_at_once),
        ("strangers_get_nothing", strangers_get_nothing),
        ("who_may_not_come_is_not_heard", who_may_not_come_is_not_heard),
        ("what_nobody_can_serve_is_thrown_away", what_nobody_can_serve_is_thrown_away),
        ("a_refusal_is_told", a_refusal_is_told),
        ("groups_are_granted_and_counted", groups_are_granted_and_counted),
        ("sockets_are_asked_for", sockets_are_asked_for),
        ("every_call_fails_once", every_call_fails_once),
    ];
    let name = |name: &str| format!("simulation::datagrams::{name}");
    all.into_iter().map(|(test, run)| Trial::test(name(test), move || trial(run))).collect()
}

type Test = fn() -> Result<()>;

/// The groups that the service grants.
pub(super) fn groups() -> Vec<IpNet> {
    let groups = ["224.0.0.251/32", "239.0.0.0/8"];
    groups.iter().map(|group| group.parse().expect("it is a network")).collect()
}

/// The grants of one service alone.
fn grants_of(settings: &mut ServiceSettings) -> &mut Grants {
    Arc::make_mut(&mut settings.grants)
}

/// A host with one socket, and one peer after another.
struct Site<N: Simulated> {
    reactor: Reactor<N, SimPool<Answer>>,
    seen: Vec<Seen>,
}

/// Nothing is lost, or comes twice.
fn calm() -> Conditions {
    Conditions { lost: 0, doubled: 0, cut: 0, ..Conditions::default() }
}

impl<N: Simulated> Site<N> {
    fn new(mut net: N, conditions: Conditions, settings: ServiceSettings) -> Result<Self> {
        *net.sim().conditions() = conditions;
        let waker = net.waker();
        let pool = SimPool::new(7, move || waker.wake());
        let mut reactor = Reactor::new(net, pool, [7; 32], LogLevel::Error);
        reactor.observe();
        let service = reactor.serve(settings);
        let place =
            Place::Udp { at: "0.0.0.0:53".parse()?, dual: false, reuse: false, broadcast: false };
        // Where the first can't be bound or watched, nobody serves it.
        for _ in 0..2 {
            let Ok(socket) = reactor.net().bind(&place) else { continue };
            if reactor.serve_datagrams(socket, service, 0).is_ok() {
                break;
            }
        }
        Ok(Self { reactor, seen: Vec::new() })
    }

    fn post(&mut self, from: &Address, text: &str) {
        self.reactor.net().sim().post(from, &here(), text.as_bytes());
    }

    /// Goes on until nothing happens any more.
    fn settle(&mut self) -> Result<()> {
        for _ in 0..10_000 {
            // A poll may be interrupted.
            let _ = self.reactor.turn(Some(Duration::from_millis(50)));
            self.seen.extend(self.reactor.take_seen());
            if self.reactor.net().sim().idle() && self.reactor.counts().queued == 0 {
                return Ok(());
            }
        }
        anyhow::bail!("it goes on for ever")
    }

    /// Sends a text, and gives what comes back to its sender.
    fn ask(&mut self, from: &Address, text: &str) -> Result<Vec<String>> {
        self.post(from, text);
        self.settle()?;
        Ok(self.posted().remove(&from.to_string()).unwrap_or_default())
    }

    /// What has come to each peer.
    fn posted(&mut self) -> BTreeMap<String, Vec<String>> {
        let mut all = BTreeMap::<String, Vec<String>>::new();
        while let Some((_, to, data)) = self.reactor.net().sim().posted() {
            let text = String::from_utf8_lossy(&data).into_owned();
            all.entry(to.to_string()).or_default().push(text);
        }
        all
    }

    fn count(&self, what: impl Fn(&Seen) -> bool) -> usize {
        self.seen.iter().filter(|seen| what(seen)).count()
    }
}

fn site(conditions: Conditions) -> Result<Site<SimNet>> {
    Site::new(SimNet::new(11), conditions, service())
}

fn service() -> ServiceSettings {
    site::service(Kind::Datagrams, false, &Settings::CALM)
}

fn here() -> Address {
    Address::Udp(([10, 0, 0, 1], 53).into())
}

fn peer(n: u16) -> Address {
    Address::Udp(([198, 51, 100, 7], 1000 + n).into())
}

/// Each datagram that was delivered is answered once, to who sent it; with losses and doubles, in
/// whatever order, for many seeds.
fn what_arrives_comes_back() -> Result<()> {
    for seed in 0..40 {
        let settings = site::service(Kind::Echo, false, &Settings::CALM);
        let mut site = Site::new(SimNet::new(seed), Conditions::default(), settings)?;
        for n in 0..300 {
            site.post(&peer(n % 50), &format!("{n}"));
        }
        site.settle()?;
        let (mut received, mut sent) = (Vec::new(), Vec::new());
        for seen in &site.seen {
            match seen {
                Seen::DatagramsReceived { datagrams, .. } => {
                    ensure!(datagrams.len() <= 64, "{} came at once", datagrams.len());
                    received.extend(datagrams.iter().map(|it| format!("{it:?}")));
                }
                Seen::DatagramsSent { datagrams, .. } => {
                    sent.extend(datagrams.iter().map(|it| format!("{it:?}")));
                }
                _ => {}
            }
        }
        ensure!(received.len() > 200, "only {} of 300 came", received.len());
        ensure!(received == sent, "seed {seed}: others are sent than came");
        let back: usize = site.posted().values().map(Vec::len).sum();
        let dropped = site.reactor.counts().datagrams_dropped as usize;
        ensure!(back > 0 && back <= 2 * (sent.len() - dropped), "{back} came back");
    }
    Ok(())
}

/// A trap takes what came with it, and nothing after.
fn a_fault_costs_its_event() -> Result<()> {
    let mut site = site(calm())?;
    ensure!(site.ask(&peer(1), "heard")? == ["1"]);
    ensure!(site.ask(&peer(1), "join 224.0.0.251")? == ["ok"]);
    ensure!(site.reactor.net().sim().groups() == 1);
    ensure!(site.ask(&peer(1), "broadcast")? == ["ok"]);
    ensure!(site.reactor.net().sim().datagram_options() == [DatagramOption::Broadcast(true)]);
    ensure!(site.ask(&peer(1), "trap")?.is_empty());
    ensure!(site.reactor.counts().traps == 1 && site.reactor.counts().sockets == 1);
    ensure!(site.reactor.net().sim().groups() == 0, "the next life is in no group");
    let options = site.reactor.net().sim().datagram_options();
    ensure!(options == [DatagramOption::Broadcast(false)], "{options:?}");
    // A new life, which knows nothing.
    ensure!(site.ask(&peer(1), "heard")? == ["1"]);
    ensure!(site.ask(&peer(1), "heard")? == ["2"]);
    ensure!(site.count(|seen| matches!(seen, Seen::SocketBuilt { .. })) == 2);
    ensure!(site.count(|seen| matches!(seen, Seen::SocketClosed { .. })) == 0);
    site.reactor.abandon();
    site.seen.extend(site.reactor.take_seen());
    let closed = |seen: &Seen| matches!(seen, Seen::SocketClosed { code: "stopped", .. });
    ensure!(site.count(closed) == 1 && site.reactor.counts().sockets == 0);
    ensure!(site.reactor.net().sim().open_datagrams() == 0);
    Ok(())
}

/// The socket is the same, and who served it before knows nothing of it any more.
fn a_successor_has_the_socket_at_once() -> Result<()> {
    let mut site = site(calm())?;
    ensure!(site.ask(&peer(1), "heard")? == ["1"]);
    ensure!(site.ask(&peer(1), "join 224.0.0.251")? == ["ok"]);
    let next = site.reactor.add_service(service());
    let moves = [Move { from: (0, 0), to: (next, 0) }];
    ensure!(site.reactor.succeed(&moves, &[(0, None)]).is_empty());
    site.reactor.begin_service(next);
    site.reactor.forget_service(0);
    ensure!(site.reactor.net().sim().groups() == 0, "the successor is in no group");
    ensure!(site.ask(&peer(1), "heard")? == ["1"]);
    let counts = site.reactor.counts();
    ensure!((counts.services, counts.lives, counts.sockets) == (1, 1, 1), "{counts:?}");
    Ok(())
}

/// Only the last senders, and who is granted, get something.
fn strangers_get_nothing() -> Result<()> {
    let mut settings = service();
    settings.correspondents = 4;
    grants_of(&mut settings).connect = vec!["udp:203.0.113.9:7".parse().expect("it is a target")];
    let mut site = Site::new(SimNet::new(3), calm(), settings)?;
    site.post(&peer(1), "to 203.0.113.9:7 granted");
    site.post(&peer(1), "to 203.0.113.9:8 not");
    site.settle()?;
    let posted = site.posted();
    ensure!(posted.get("udp:203.0.113.9:7").is_some_and(|got| got == &["granted"]), "{posted:?}");
    ensure!(!posted.contains_key("udp:203.0.113.9:8"), "{posted:?}");
    for n in 2..20 {
        site.ask(&peer(n), "hello")?;
    }
    for (n, known) in [(19, true), (16, true), (2, false), (1, false)] {
        site.post(&peer(19), &format!("to 198.51.100.7:{} late", 1000 + n));
        site.settle()?;
        let got = site.posted().remove(&peer(n).to_string()).unwrap_or_default();
        ensure!(got.iter().any(|text| text == "late") == known, "{n} got {got:?}");
    }
    Ok(())
}

/// `allow` and `deny` hold for datagrams, and others in the same batch come as they were sent; whom
/// the plugin has connected to may answer all the same.
fn who_may_not_come_is_not_heard() -> Result<()> {
    let mut settings = service();
    settings.policies.peers =
        Peers { allow: Some([who("198.51.100.0/24")].into()), deny: [who("198.51.100.9")].into() };
    grants_of(&mut settings).connect = vec!["udp:203.0.113.9:7".parse().expect("it is a target")];
    let mut site = Site::new(SimNet::new(3), calm(), settings)?;
    let from = |ip: [u8; 4]| Address::Udp((ip, 1000).into());
    let (may, denied, stranger) =
        (from([198, 51, 100, 7]), from([198, 51, 100, 9]), from([192, 0, 2, 1]));
    for (n, peer) in [&denied, &may, &stranger, &may, &denied, &may].into_iter().enumerate() {
        site.post(peer, &format!("{n} of six"));
    }
    site.settle()?;
    let posted = site.posted();
    ensure!(posted.len() == 1, "{posted:?}");
    let mut got = posted.into_values().next().unwrap_or_default();
    got.sort();
    ensure!(got == ["1 of six", "3 of six", "5 of six"], "{got:?}");
    site.ask(&may, "connect udp:203.0.113.9:7")?;
    let far = Address::Udp(([203, 0, 113, 9], 7).into());
    let near = Address::Udp(([10, 0, 0, 1], 50_001).into());
    site.reactor.net().sim().post(&far, &near, b"an answer");
    site.settle()?;
    let got = site.posted().remove(&far.to_string());
    ensure!(got.as_ref().is_some_and(|got| got == &["an answer"]), "{got:?}");
    Ok(())
}

fn who(text: &str) -> Who {
    text.parse().expect("it is a network")
}

/// Datagrams that no instance can be had for don't fill the socket: a full one has no edge.
fn what_nobody_can_serve_is_thrown_away() -> Result<()> {
    let mut settings = service();
    settings.config = "[".into();
    let mut site = Site::new(SimNet::new(3), calm(), settings)?;
    for n in 0..100 {
        ensure!(site.ask(&peer(n), "hello")?.is_empty());
        let unread = site.reactor.net().sim().unread_datagrams();
        ensure!(unread == 0, "{unread} datagrams lie in the socket");
    }
    Ok(())
}

fn a_refusal_is_told() -> Result<()> {
    let mut site = site(calm())?;
    site.ask(&peer(2), "hello")?;
    site.reactor.net().sim().refuse_datagrams(peer(2));
    let answers = site.ask(&peer(1), "to 198.51.100.7:1002 x")?;
    ensure!(answers.contains(&"refused 198.51.100.7:1002 refused".to_owned()), "{answers:?}");
    Ok(())
}

fn groups_are_granted_and_counted() -> Result<()> {
    let mut site = site(calm())?;
    for (asked, answer) in [
        ("join 224.0.0.251", "ok"),
        ("join 224.0.0.251", "in-use"),
        ("join 224.0.0.252", "denied"),
        ("join 192.0.2.1", "invalid"),
        ("join none", "invalid"),
        ("join ff02::fb", "denied"),
        ("join 239.1.2.3", "ok"),
        ("join 239.1.2.4", "limit"),
        ("leave 239.1.2.3", "left"),
        ("leave 239.9.9.9", "left"),
        ("join 239.1.2.4 - 192.0.2.1", "ok"),
    ] {
        let answers = site.ask(&peer(1), asked)?;
        ensure!(answers == [answer], "{asked}: {answers:?}");
    }
    ensure!(site.reactor.net().sim().groups() == 2);
    let group = Address::Udp(([224, 0, 0, 251], 53).into());
    site.reactor.net().sim().post(&peer(5), &group, b"hello");
    site.settle()?;
    let got = site.posted().remove(&peer(5).to_string()).unwrap_or_default();
    ensure!(got == ["hello"], "{got:?}");
    Ok(())
}

/// `connect` and `listen`, and the end of what they made.
fn sockets_are_asked_for() -> Result<()> {
    let mut settings = service();
    grants_of(&mut settings).connect = vec!["udp:203.0.113.9:7".parse().expect("it is a target")];
    grants_of(&mut settings).listen = vec!["udp:6000-6003".parse().expect("it is a range")];
    let mut site = Site::new(SimNet::new(5), calm(), settings)?;
    for (asked, answer) in [
        ("connect udp:203.0.113.9:8", "denied"),
        ("connect tcp:203.0.113.9:7", "unsupported"),
        ("connect udp:", "invalid"),
        ("listen udp:7000", "denied"),
        ("listen tcp:6000", "unsupported"),
        ("connect udp:203.0.113.9:7", "ok"),
        ("listen udp:6001", "6001"),
        ("listen udp:6001", "in-use"),
    ] {
        site.post(&peer(1), asked);
        site.settle()?;
        let mut posted = site.posted();
        let answers = posted.remove(&peer(1).to_string()).unwrap_or_default();
        ensure!(answers == [answer], "{asked}: {answers:?}");
        if asked == "connect udp:203.0.113.9:7" {
            let hello = posted.get("udp:203.0.113.9:7").context("nobody says hello")?;
            ensure!(hello == &["hello"], "{hello:?}");
        }
    }
    let counts = site.reactor.counts();
    ensure!((counts.sockets, counts.outgoing) == (3, 1), "{counts:?}");
    let there = Address::Udp(([10, 0, 0, 1], 6001).into());
    site.reactor.net().sim().post(&peer(9), &there, b"close");
    site.settle()?;
    let done = |seen: &Seen| matches!(seen, Seen::SocketClosed { code: "done", .. });
    ensure!(site.count(done) == 1 && site.reactor.counts().sockets == 2);
    // The port is free again, and a fault closes what the life asked for.
    ensure!(site.ask(&peer(1), "listen udp:6001")? == ["6001"]);
    site.ask(&peer(1), "trap")?;
    let counts = site.reactor.counts();
    ensure!((counts.sockets, counts.outgoing) == (1, 0), "{counts:?}");
    ensure!(site.reactor.net().sim().open_datagrams() == 1);
    Ok(())
}

/// Whatever call fails, the host goes on, and closes what it has in the end.
fn every_call_fails_once() -> Result<()> {
    let mut failed = Vec::new();
    for n in 1.. {
        let mut net = Faulty::new(SimNet::new(9));
        net.fail_at(n);
        let mut settings = service();
        grants_of(&mut settings).connect =
            vec!["udp:203.0.113.9:7".parse().expect("it is a target")];
        grants_of(&mut settings).listen = vec!["udp:6000-6003".parse().expect("it is a range")];
        let mut site = Site::new(net, calm(), settings)?;
        let script = ["hello", "join 224.0.0.251", "leave 224.0.0.251", "broadcast"];
        for text in script.into_iter().chain(["connect udp:203.0.113.9:7", "listen udp:6001"]) {
            site.ask(&peer(1), text).with_context(|| format!("call {n}: {text}"))?;
        }
        site.reactor.abandon();
        let counts = site.reactor.counts();
        ensure!((counts.sockets, counts.traps) == (0, 0), "call {n}: {counts:?}");
        ensure!(site.reactor.net().sim().open_datagrams() == 0, "call {n} leaves a socket");
        let Some(what) = site.reactor.net().what_failed() else { break };
        failed.push(what);
    }
    for call in ["bind", "pair_with", "watch_datagrams", "datagrams_address", "receive", "send"] {
        ensure!(failed.contains(&call), "{call} never failed");
    }
    for call in ["set_datagrams", "join", "leave"] {
        ensure!(failed.contains(&call), "{call} never failed");
    }
    Ok(())
}
