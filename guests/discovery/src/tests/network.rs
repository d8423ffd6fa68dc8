//! A network for tests: what one sends to the group reaches all, itself too, a moment later.

use std::net::SocketAddr;
use std::time::Duration;

use simple_dns::{CLASS, Name, Packet, QCLASS, QTYPE, Question, ResourceRecord, TYPE};

use crate::browser::Event;
use crate::config::Setup;
use crate::discovery::{Discovery, PORT, To};

/// How long a message is under way.
const LATENCY: Duration = Duration::from_millis(1);

pub(super) struct Network {
    pub(super) now: Duration,
    pub(super) nodes: Vec<(SocketAddr, Discovery)>,
    /// Where a test listens and speaks without being a node.
    under_way: Vec<(Duration, SocketAddr, To, Vec<u8>)>,
    /// All that was sent to the group: when, by whom, what.
    pub(super) seen: Vec<(Duration, SocketAddr, Vec<u8>)>,
    /// All that was sent to one that is no node.
    pub(super) mail: Vec<(SocketAddr, Vec<u8>)>,
    pub(super) events: Vec<(usize, Event)>,
}

impl Network {
    pub(super) fn new() -> Self {
        Network {
            now: Duration::from_secs(100),
            nodes: Vec::new(),
            under_way: Vec::new(),
            seen: Vec::new(),
            mail: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Adds a node, whose number it returns.
    pub(super) fn add(&mut self, setup: &Setup, seed: u64) -> usize {
        let number = self.nodes.len();
        let at = SocketAddr::from(([192, 0, 2, number as u8 + 1], PORT));
        self.nodes.push((at, Discovery::new(setup, self.now, seed)));
        number
    }

    /// Sends what a node wants to send.
    fn collect(&mut self, node: usize) {
        let (at, discovery) = &mut self.nodes[node];
        let at = *at;
        while let Some((to, bytes)) = discovery.take_message() {
            if to == To::Group {
                self.seen.push((self.now, at, bytes.clone()));
            }
            self.under_way.push((self.now + LATENCY, at, to, bytes));
        }
        while let Some(event) = discovery.take_event() {
            self.events.push((node, event));
        }
    }

    /// Something is sent from an address that may be no node's.
    pub(super) fn send(&mut self, from: SocketAddr, to: To, bytes: Vec<u8>) {
        self.under_way.push((self.now + LATENCY, from, to, bytes));
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let arrival = self.under_way.iter().map(|(due, ..)| *due).min();
            let timers = self.nodes.iter().filter_map(|(_, node)| node.deadline());
            let Some(next) = timers.chain(arrival).min().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            self.deliver();
            for node in 0..self.nodes.len() {
                if self.nodes[node].1.deadline().is_some_and(|due| due <= self.now) {
                    self.nodes[node].1.on_time(self.now);
                    let next = self.nodes[node].1.deadline();
                    assert!(next.is_none_or(|next| next > self.now), "it would spin: {next:?}");
                }
                self.collect(node);
            }
        }
        self.now = end;
    }

    fn deliver(&mut self) {
        let now = self.now;
        let due: Vec<_> = self.under_way.extract_if(.., |(due, ..)| *due <= now).collect();
        for (_, from, to, bytes) in due {
            if let To::Peer(peer) = to
                && self.nodes.iter().all(|(at, _)| *at != peer)
            {
                self.mail.push((peer, bytes));
                continue;
            }
            for node in 0..self.nodes.len() {
                let (at, discovery) = &mut self.nodes[node];
                if to == To::Group || to == To::Peer(*at) {
                    discovery.received(now, from, &bytes);
                }
                self.collect(node);
            }
        }
    }

    pub(super) fn stop(&mut self, node: usize) {
        self.nodes[node].1.stop();
        self.collect(node);
    }

    /// The responses that went to the group since it was asked last.
    pub(super) fn take_responses(&mut self) -> Vec<(Duration, Vec<ResourceRecord<'static>>)> {
        let mut responses = Vec::new();
        for (when, _, bytes) in self.seen.drain(..) {
            let packet = Packet::parse(&bytes).unwrap();
            if packet.has_flags(simple_dns::PacketFlag::RESPONSE) {
                responses.push((when, answers(&packet)));
            }
        }
        responses
    }
}

/// The answers of a message.
pub(super) fn answers(packet: &Packet<'_>) -> Vec<ResourceRecord<'static>> {
    packet.answers.iter().cloned().map(ResourceRecord::into_owned).collect()
}

/// A question, as bytes.
pub(super) fn question(id: u16, name: &str, kind: QTYPE, unicast: bool) -> Vec<u8> {
    ask(id, name, kind, unicast, &[])
}

/// A question of one who knows something.
pub(super) fn ask(
    id: u16,
    name: &str,
    kind: QTYPE,
    unicast: bool,
    known: &[ResourceRecord<'_>],
) -> Vec<u8> {
    let mut packet = Packet::new_query(id);
    let name = Name::new(name).unwrap();
    packet.questions.push(Question::new(name, kind, QCLASS::CLASS(CLASS::IN), unicast));
    packet.answers = known.to_vec();
    packet.build_bytes_vec().unwrap()
}

/// What records are, in short: `Site._http._tcp.local SRV 120 !`, where `!` is the cache-flush bit.
pub(super) fn short(records: &[ResourceRecord<'_>]) -> Vec<String> {
    let mut all: Vec<String> = records
        .iter()
        .map(|record| {
            let kind = record.rdata.type_code();
            let flush = if record.cache_flush { " !" } else { "" };
            format!("{} {kind:?} {}{flush}", record.name, record.ttl)
        })
        .collect();
    all.sort_unstable();
    all
}

pub(super) const PTR: QTYPE = QTYPE::TYPE(TYPE::PTR);
