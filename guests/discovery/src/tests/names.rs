//! Probing, announcing, conflicts, and goodbyes (RFC 6762, sections 8 to 10).

use std::time::Duration;

use simple_dns::{Packet, PacketFlag};

use super::network::{Network, answers, short};
use super::{SITE, setup};
use crate::browser::Event;

fn names(network: &Network, node: usize) -> Vec<String> {
    network.nodes[node].1.names().iter().map(ToString::to_string).collect()
}

#[test]
fn a_name_is_probed_for_three_times_and_told_twice() {
    let mut network = Network::new();
    network.add(&setup(SITE), 1);
    network.run(Duration::from_secs(10));
    let mut probes = Vec::new();
    let mut told = Vec::new();
    for (when, _, bytes) in &network.seen {
        let packet = Packet::parse(bytes).unwrap();
        let is_site = |name: &simple_dns::Name<'_>| name.to_string().starts_with("Site.");
        if packet.has_flags(PacketFlag::RESPONSE) {
            if answers(&packet).iter().any(|record| is_site(&record.name)) {
                assert!(packet.has_flags(PacketFlag::AUTHORITATIVE_ANSWER));
                told.push((*when, short(&packet.answers)));
            }
        } else if is_site(&packet.questions[0].qname) {
            assert_eq!(packet.name_servers.len(), 2, "the records that are proposed");
            probes.push(*when);
        }
    }
    let gap = Duration::from_millis(250);
    assert_eq!(probes.len(), 3);
    assert!(probes[0] <= Duration::from_millis(100_250));
    assert_eq!((probes[1] - probes[0], probes[2] - probes[1]), (gap, gap));
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].0 - probes[2], gap);
    assert_eq!(told[1].0 - told[0].0, Duration::from_secs(1));
    let expected = [
        "Site._http._tcp.local NSEC 120 !",
        "Site._http._tcp.local SRV 120 !",
        "Site._http._tcp.local TXT 4500 !",
        "_http._tcp.local PTR 4500",
        "_printer._sub._http._tcp.local PTR 4500",
        "_services._dns-sd._udp.local PTR 4500",
    ];
    assert_eq!(told[0].1, expected);
    assert_eq!(told[1].1, expected);
    assert_eq!(names(&network, 0), ["torsade.local", "Site._http._tcp.local"]);
}

#[test]
fn who_comes_later_takes_the_next_name() {
    let mut network = Network::new();
    network.add(&setup(SITE), 1);
    network.run(Duration::from_secs(5));
    let other = SITE.replace("192.0.2.1", "192.0.2.2").replace("8080", "9090");
    network.add(&setup(&other), 2);
    network.run(Duration::from_secs(10));
    assert_eq!(names(&network, 0), ["torsade.local", "Site._http._tcp.local"]);
    assert_eq!(names(&network, 1), ["torsade-2.local", r"Site (2)._http._tcp.local"]);
    let renamed = Event::Renamed { before: "Site".into(), after: "Site (2)".into() };
    assert!(network.events.contains(&(1, renamed)));
}

#[test]
fn of_two_that_come_at_once_one_takes_the_next_name() {
    for seed in 0..50 {
        let mut network = Network::new();
        let other = SITE.replace("192.0.2.1", "192.0.2.2").replace("8080", "9090");
        network.add(&setup(SITE), seed);
        network.add(&setup(&other), seed * 7 + 1);
        network.run(Duration::from_secs(20));
        let mut all = [names(&network, 0), names(&network, 1)].concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 4, "seed {seed}: {all:?}");
        assert!(all.contains(&"torsade.local".into()), "seed {seed}: {all:?}");
        assert!(all.contains(&"Site._http._tcp.local".into()), "seed {seed}: {all:?}");
    }
}

#[test]
fn many_of_one_name_each_find_their_own() {
    let mut network = Network::new();
    for number in 0..8 {
        let other = SITE.replace("192.0.2.1", &format!("192.0.2.{}", number + 1));
        network.add(&setup(&other), number);
    }
    network.run(Duration::from_secs(120));
    let mut all: Vec<_> = (0..8).flat_map(|node| names(&network, node)).collect();
    assert_eq!(all.len(), 16, "{all:?}");
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 16);
}

#[test]
fn two_networks_that_become_one_settle_who_has_a_name() {
    let other = SITE.replace("192.0.2.1", "192.0.2.2").replace("8080", "9090");
    let (mut network, mut elsewhere) = (Network::new(), Network::new());
    network.add(&setup(SITE), 1);
    elsewhere.add(&setup(&other), 2);
    network.run(Duration::from_secs(10));
    elsewhere.run(Duration::from_secs(10));
    let (_, discovery) = elsewhere.nodes.pop().unwrap();
    network.nodes.push(("192.0.2.2:5353".parse().unwrap(), discovery));
    // What anybody asks brings both answers, and so the conflict to light.
    let question =
        super::network::question(0, "Site._http._tcp.local", simple_dns::QTYPE::ANY, false);
    let host = super::network::question(0, "torsade.local", simple_dns::QTYPE::ANY, false);
    for bytes in [question, host] {
        network.send("192.0.2.9:5353".parse().unwrap(), crate::To::Group, bytes);
    }
    network.run(Duration::from_secs(30));
    let mut all = [names(&network, 0), names(&network, 1)].concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 4, "{all:?}");
}

#[test]
fn what_was_told_is_taken_back_at_the_end() {
    let mut network = Network::new();
    network.add(&setup(SITE), 1);
    network.run(Duration::from_secs(5));
    network.take_responses();
    network.stop(0);
    let responses = network.take_responses();
    assert_eq!(responses.len(), 1);
    assert!(responses[0].1.iter().all(|record| record.ttl == 0));
    let expected = [
        "Site._http._tcp.local SRV 0 !",
        "Site._http._tcp.local TXT 0 !",
        "_http._tcp.local PTR 0",
        "_printer._sub._http._tcp.local PTR 0",
        "torsade.local A 0 !",
        "torsade.local AAAA 0 !",
    ];
    assert_eq!(short(&responses[0].1), expected);
    network.run(Duration::from_secs(5));
    assert!(network.take_responses().is_empty());
}

#[test]
fn a_name_that_is_not_ours_yet_is_not_taken_back() {
    let mut network = Network::new();
    network.add(&setup(SITE), 1);
    network.run(Duration::from_millis(300));
    network.stop(0);
    assert!(network.take_responses().is_empty());
}

#[test]
fn a_name_is_probed_for_where_there_is_another_network() {
    let mut network = Network::new();
    network.add(&setup(SITE), 1);
    network.run(Duration::from_secs(10));
    network.seen.clear();
    let now = network.now;
    network.nodes[0].1.begin_again(now);
    network.run(Duration::from_secs(10));
    let is_response = |bytes: &[u8]| Packet::parse(bytes).unwrap().has_flags(PacketFlag::RESPONSE);
    let told = network.seen.iter().filter(|(.., bytes)| is_response(bytes)).count();
    assert_eq!((network.seen.len() - told, told), (6, 4), "for the host and for the site");
    assert_eq!(names(&network, 0), ["torsade.local", "Site._http._tcp.local"]);
}
