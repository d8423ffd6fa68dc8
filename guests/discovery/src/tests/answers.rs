//! What is answered, when, and to whom (RFC 6762, sections 5 to 7).

use std::net::SocketAddr;
use std::time::Duration;

use simple_dns::rdata::{PTR as Pointer, RData};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, ResourceRecord, TYPE};

use super::network::{Network, PTR, answers, ask, question, short};
use super::{SITE, setup};
use crate::To;

const ASKER: ([u8; 4], u16) = ([192, 0, 2, 99], 5353);
const TYPE_NAME: &str = "_http._tcp.local";
const SITE_NAME: &str = "Site._http._tcp.local";

/// A network where a site was announced a while ago.
fn site() -> Network {
    let mut network = Network::new();
    network.add(&setup(SITE), 1);
    network.run(Duration::from_secs(60));
    network.take_responses();
    network
}

fn asker() -> SocketAddr {
    ASKER.into()
}

/// The answers to a question to the group, in short, and how long the first took.
fn answer(network: &mut Network, bytes: Vec<u8>) -> (Vec<String>, Duration) {
    let asked = network.now;
    network.send(asker(), To::Group, bytes);
    network.run(Duration::from_secs(2));
    let responses = network.take_responses();
    let when = responses.first().map_or(Duration::ZERO, |(when, _)| *when - asked);
    let all: Vec<_> = responses.into_iter().flat_map(|(_, records)| records).collect();
    (short(&all), when)
}

#[test]
fn each_kind_of_question_has_its_answer() {
    let srv = "Site._http._tcp.local SRV 120 !";
    let txt = "Site._http._tcp.local TXT 4500 !";
    let (a, aaaa) = ("torsade.local A 120 !", "torsade.local AAAA 120 !");
    let kind = |kind| QTYPE::TYPE(kind);
    let table: [(&str, QTYPE, &[&str]); 13] = [
        (TYPE_NAME, PTR, &["_http._tcp.local PTR 4500"]),
        ("_HTTP._tcp.LOCAL", PTR, &["_http._tcp.local PTR 4500"]),
        ("_printer._sub._http._tcp.local", PTR, &["_printer._sub._http._tcp.local PTR 4500"]),
        ("_services._dns-sd._udp.local", PTR, &["_services._dns-sd._udp.local PTR 4500"]),
        (SITE_NAME, kind(TYPE::SRV), &[srv]),
        (SITE_NAME, kind(TYPE::TXT), &[txt]),
        (SITE_NAME, QTYPE::ANY, &[srv, txt]),
        ("torsade.local", kind(TYPE::A), &[a]),
        ("torsade.local", kind(TYPE::AAAA), &[aaaa]),
        ("torsade.local", QTYPE::ANY, &[a, aaaa]),
        ("torsade.local", kind(TYPE::MX), &["torsade.local NSEC 120 !"]),
        ("other.local", QTYPE::ANY, &[]),
        ("_ipp._tcp.local", PTR, &[]),
    ];
    for (name, kind, expected) in table {
        let mut network = site();
        let (found, _) = answer(&mut network, question(0, name, kind, false));
        assert_eq!(found, expected, "{name} {kind:?}");
    }
}

#[test]
fn what_a_reader_asks_next_comes_along() {
    let mut network = site();
    network.seen.clear();
    network.send(asker(), To::Group, question(0, TYPE_NAME, PTR, false));
    network.run(Duration::from_secs(1));
    let (_, _, bytes) = network.seen.pop().unwrap();
    let packet = Packet::parse(&bytes).unwrap();
    let more = short(&packet.additional_records);
    let expected = [
        "Site._http._tcp.local SRV 120 !",
        "Site._http._tcp.local TXT 4500 !",
        "torsade.local A 120 !",
        "torsade.local AAAA 120 !",
    ];
    assert_eq!(more, expected);
}

#[test]
fn what_others_may_have_too_waits_and_what_is_ours_does_not() {
    for _ in 0..20 {
        let mut network = site();
        let (_, took) = answer(&mut network, question(0, SITE_NAME, QTYPE::ANY, false));
        assert_eq!(took, Duration::from_millis(1));
        let (_, took) = answer(&mut network, question(0, TYPE_NAME, PTR, false));
        let millis = took.as_millis() - 1;
        assert!((20..=120).contains(&millis), "{took:?}");
    }
}

#[test]
fn a_record_goes_to_the_group_once_a_second() {
    let mut network = site();
    for _ in 0..100 {
        network.send(asker(), To::Group, question(0, SITE_NAME, QTYPE::TYPE(TYPE::SRV), false));
        network.run(Duration::from_millis(50));
    }
    let responses = network.take_responses();
    assert!((5..=6).contains(&responses.len()), "{}", responses.len());
    let times: Vec<_> = responses.iter().map(|(when, _)| *when).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_secs(1)));
}

fn pointer(ttl: u32) -> ResourceRecord<'static> {
    let name = Name::new(TYPE_NAME).unwrap();
    let data = RData::PTR(Pointer(Name::new(SITE_NAME).unwrap()));
    ResourceRecord::new(name, CLASS::IN, ttl, data)
}

#[test]
fn what_is_known_is_not_told() {
    let mut network = site();
    let (found, _) = answer(&mut network, ask(0, TYPE_NAME, PTR, false, &[pointer(2250)]));
    assert!(found.is_empty());
    let (found, _) = answer(&mut network, ask(0, TYPE_NAME, PTR, false, &[pointer(2249)]));
    assert_eq!(found.len(), 1, "less than half of its time is left");
}

#[test]
fn what_is_known_may_follow_in_another_message() {
    let truncated = |bytes: Vec<u8>| {
        let mut packet = Packet::parse(&bytes).unwrap();
        packet.set_flags(PacketFlag::TRUNCATION);
        packet.build_bytes_vec().unwrap()
    };
    let mut known = Packet::new_query(0);
    known.answers.push(pointer(4500));
    let known = known.build_bytes_vec().unwrap();
    let mut network = site();
    let (found, took) = answer(&mut network, truncated(question(0, TYPE_NAME, PTR, false)));
    assert_eq!(found.len(), 1);
    assert!((400..=501).contains(&took.as_millis()), "{took:?}");

    network.send(asker(), To::Group, truncated(question(0, TYPE_NAME, PTR, false)));
    network.run(Duration::from_millis(100));
    network.send(asker(), To::Group, known.clone());
    network.run(Duration::from_secs(2));
    assert!(network.take_responses().is_empty());

    // What one knows is no reason not to tell another.
    network.send(asker(), To::Group, truncated(question(0, TYPE_NAME, PTR, false)));
    network.run(Duration::from_millis(100));
    network.send("192.0.2.98:5353".parse().unwrap(), To::Group, known);
    network.run(Duration::from_secs(2));
    assert_eq!(network.take_responses().len(), 1);
}

#[test]
fn an_answer_that_another_gives_is_not_given_again() {
    let mut network = site();
    network.send(asker(), To::Group, question(0, TYPE_NAME, PTR, false));
    network.run(Duration::from_millis(5));
    let mut told = Packet::new_reply(0);
    told.answers.push(pointer(4500));
    network.send(asker(), To::Group, told.build_bytes_vec().unwrap());
    network.run(Duration::from_secs(2));
    assert!(network.take_responses().is_empty());
}

#[test]
fn one_who_asks_for_himself_is_answered_alone() {
    let mut network = site();
    // The announcement was 59 seconds ago: more than a quarter of a host's time, so all are told.
    let (found, _) = answer(&mut network, question(0, SITE_NAME, QTYPE::TYPE(TYPE::SRV), true));
    assert_eq!(found.len(), 1);
    assert!(network.mail.is_empty());
    let (found, _) = answer(&mut network, question(0, SITE_NAME, QTYPE::TYPE(TYPE::SRV), true));
    assert!(found.is_empty());
    let (to, bytes) = network.mail.pop().unwrap();
    assert_eq!(to, asker());
    let found = short(&answers(&Packet::parse(&bytes).unwrap()));
    assert_eq!(found, ["Site._http._tcp.local SRV 120 !"]);
}

#[test]
fn one_who_asks_as_dns_does_is_answered_as_dns_does() {
    let mut network = site();
    let from: SocketAddr = "192.0.2.99:40000".parse().unwrap();
    network.send(from, To::Group, question(0x1234, SITE_NAME, QTYPE::ANY, false));
    network.run(Duration::from_millis(2));
    let (to, bytes) = network.mail.pop().unwrap();
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!((to, packet.id(), packet.questions.len()), (from, 0x1234, 1));
    assert_eq!(packet.questions[0].qname.to_string(), SITE_NAME);
    let expected = ["Site._http._tcp.local SRV 10", "Site._http._tcp.local TXT 10"];
    assert_eq!(short(&packet.answers), expected, "not to be kept, and no cache-flush bit");
    assert!(network.take_responses().is_empty());
}

#[test]
fn so_many_who_ask_as_dns_does_are_answered_in_a_second() {
    let mut network = site();
    for port in 0..200 {
        let from = SocketAddr::from(([192, 0, 2, 99], 40_000 + port));
        network.send(from, To::Group, question(1, SITE_NAME, QTYPE::ANY, false));
    }
    network.run(Duration::from_millis(10));
    assert_eq!(network.mail.len(), 50);
}

#[test]
fn beyond_that_one_who_asks_for_himself_is_answered_with_all() {
    let mut network = site();
    let srv = || question(0, SITE_NAME, QTYPE::TYPE(TYPE::SRV), true);
    answer(&mut network, srv());
    for host in 10..210 {
        network.send(SocketAddr::from(([192, 0, 2, host], 5353)), To::Group, srv());
    }
    network.run(Duration::from_secs(2));
    assert_eq!(network.mail.len(), 50);
    assert_eq!(network.take_responses().len(), 1);
}

#[test]
fn an_answer_from_another_port_is_no_answer() {
    let mut network = site();
    let mut told = Packet::new_reply(0);
    let record = ResourceRecord { ttl: 120, ..pointer(120) };
    let name = Name::new("torsade.local").unwrap();
    told.answers.push(record);
    let data = RData::A(simple_dns::rdata::A { address: 7 });
    told.answers.push(ResourceRecord::new(name, CLASS::IN, 120, data));
    let bytes = told.build_bytes_vec().unwrap();
    network.send("192.0.2.99:40000".parse().unwrap(), To::Group, bytes.clone());
    network.run(Duration::from_secs(2));
    assert_eq!(network.nodes[0].1.names().len(), 2, "nothing is in conflict with it");
    network.send(asker(), To::Group, bytes);
    network.run(Duration::from_millis(10));
    assert_eq!(network.nodes[0].1.names().len(), 1, "now it is");
}
