//! What a browser asks, keeps, and tells (RFC 6762, sections 5.2 and 10).

use std::time::Duration;

use simple_dns::rdata::{RData, TXT};
use simple_dns::{CLASS, CharacterString, Name, Packet, ResourceRecord};

use super::network::Network;
use super::{BROWSER, SITE, setup};
use crate::browser::Event;
use crate::cache::Cache;
use crate::{ServiceType, To, answer};

fn lines(network: &Network) -> Vec<String> {
    let events = network.events.iter().filter(|(node, _)| *node == 1);
    events.map(|(_, event)| event.to_string()).collect()
}

/// A site, and one who looks for it.
fn both() -> Network {
    let mut network = Network::new();
    network.add(&setup(SITE), 1);
    network.add(&setup(BROWSER), 2);
    network.run(Duration::from_secs(10));
    network
}

const APPEARED: &str =
    r#"appeared: "Site" _http._tcp torsade.local:8080 192.0.2.1 2001:db8::1 "path=/""#;

#[test]
fn a_site_appears_and_disappears_with_its_goodbye() {
    let mut network = both();
    assert_eq!(lines(&network), [APPEARED]);
    network.stop(0);
    network.run(Duration::from_secs(2));
    assert_eq!(lines(&network)[1], APPEARED.replace("appeared", "disappeared"));
    assert_eq!(lines(&network).len(), 2);
}

#[test]
fn a_site_that_was_there_before_is_found() {
    let mut network = Network::new();
    network.add(&setup(SITE), 1);
    network.run(Duration::from_secs(60));
    network.add(&setup(BROWSER), 2);
    network.run(Duration::from_secs(1));
    assert_eq!(lines(&network), [APPEARED]);
}

#[test]
fn a_site_that_falls_silent_disappears_in_time() {
    let mut network = both();
    network.nodes[0].1.stop();
    while network.nodes[0].1.take_message().is_some() {}
    network.run(Duration::from_secs(4000));
    assert_eq!(lines(&network).len(), 1, "its list holds for 75 minutes");
    network.run(Duration::from_secs(600));
    assert_eq!(lines(&network)[1..], [APPEARED.replace("appeared", "disappeared")]);
}

#[test]
fn a_site_that_stays_is_asked_for_again_and_stays() {
    let mut network = both();
    network.run(Duration::from_secs(86_400));
    assert_eq!(lines(&network), [APPEARED]);
    // Hosts are asked for four times in two minutes at most, lists once an hour.
    let asked = network
        .seen
        .iter()
        .filter(|(_, from, bytes)| *from == network.nodes[1].0 && Packet::parse(bytes).is_ok());
    let asked = asked.count();
    assert!(asked < 3000, "{asked} questions in a day");
}

#[test]
fn a_question_comes_more_and_more_rarely() {
    let mut network = Network::new();
    network.add(&setup(BROWSER), 1);
    network.run(Duration::from_secs(86_400));
    let times: Vec<_> = network.seen.iter().map(|(when, ..)| when.as_secs()).collect();
    assert!((24..=40).contains(&times.len()), "{times:?}");
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps[..4], [1, 2, 4, 8]);
    assert_eq!(gaps.last(), Some(&3600));
}

#[test]
fn a_change_is_told() {
    let mut network = both();
    network.nodes[0].1.stop();
    let moved = setup(&SITE.replace("8080", "9090"));
    network.nodes[0].1 = crate::Discovery::new(&moved, network.now, 3);
    network.run(Duration::from_secs(10));
    assert_eq!(
        lines(&network)[1..],
        [APPEARED.replace("appeared", "changed").replace("8080", "9090")]
    );
}

#[test]
fn what_is_known_is_told_line_by_line() {
    let network = both();
    let discovery = &network.nodes[1].1;
    let line = APPEARED.trim_start_matches("appeared: ");
    assert_eq!(answer(discovery, "browse _http._tcp\n"), format!("{line}\n.\n"));
    assert_eq!(answer(discovery, "resolve Site._http._tcp\r\n"), format!("{line}\n.\n"));
    let errors = [
        ("browse _ipp._tcp", "_ipp._tcp is not browsed"),
        ("browse", "is no type of services"),
        ("resolve Other._http._tcp", "no \"Other\" is known"),
        ("resolve Other", "write resolve NAME"),
        ("hello", "write browse TYPE"),
    ];
    for (line, error) in errors {
        let told = answer(discovery, line);
        assert!(told.starts_with("error: ") && told.ends_with("\n.\n"), "{told}");
        assert!(told.contains(error), "{told}");
    }
}

#[test]
fn what_is_kept_has_a_limit() {
    use simple_dns::rdata::{PTR, RData};
    use simple_dns::{CLASS, Name, ResourceRecord};
    let mut network = Network::new();
    network.add(&setup(BROWSER), 1);
    network.run(Duration::from_secs(1));
    for number in 0..2000 {
        let mut told = Packet::new_reply(0);
        let name = Name::new("_http._tcp.local").unwrap();
        let text = format!("Site {number}._http._tcp.local");
        let data = RData::PTR(PTR(Name::new(&text).unwrap()));
        told.answers.push(ResourceRecord::new(name, CLASS::IN, 4500, data));
        let bytes = told.build_bytes_vec().unwrap();
        network.send("192.0.2.9:5353".parse().unwrap(), To::Group, bytes);
    }
    network.seen.clear();
    network.run(Duration::from_secs(1));
    // Each of those that are kept is asked for, and no other.
    let mut asked = std::collections::BTreeSet::new();
    for (_, _, bytes) in &network.seen {
        assert!(bytes.len() <= 1440);
        let packet = Packet::parse(bytes).unwrap();
        asked.extend(packet.questions.iter().map(|question| question.qname.to_string()));
    }
    asked.remove("_http._tcp.local");
    assert_eq!(asked.len(), 256);
    let kind = ServiceType::parse("_http._tcp").unwrap();
    assert_eq!(network.nodes[0].1.browse(&kind), Some(Vec::new()), "none can be reached yet");
    assert!(!network.events.iter().any(|(_, event)| matches!(event, Event::Appeared(_))));
}

#[test]
fn what_is_kept_has_a_size() {
    let text = |name: &str, pairs: usize| {
        let mut text = TXT::new();
        let pair = CharacterString::new(&[b'x'; 200]).unwrap().into_owned();
        (0..pairs).for_each(|_| text.add_char_string(pair.clone()));
        let name = Name::new(name).unwrap().into_owned();
        ResourceRecord::new(name, CLASS::IN, 120, RData::TXT(text))
    };
    let mut cache = Cache::default();
    for minute in 0..10 {
        let now = Duration::from_secs(minute * 300);
        cache.expire(now);
        let texts = (0..1000).map(|n| text(&format!("s{n}.local"), 20));
        let kept = texts.filter(|record| cache.take(now, record)).count();
        assert!((200..=250).contains(&kept), "{kept} of 4 KiB and more are kept");
        cache.retain(|_| minute % 2 == 0);
        assert!(!cache.take(now, &text("long.local", 40)), "8 KiB are too long");
    }
}
