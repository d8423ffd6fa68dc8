//! A name that this responder wants for its own, with its records: probed for, announced, and given
//! up for the next where another has it (RFC 6762, sections 8 and 9).

use std::cmp::Ordering;
use std::net::IpAddr;
use std::time::Duration;

use simple_dns::rdata::{A, AAAA, NSEC, PTR, RData, SRV, TXT};
use simple_dns::{CLASS, CharacterString, Name, QCLASS, QTYPE, Question, ResourceRecord, TYPE};

use crate::config::Service;
use crate::message::{Asked, Record, raw_data, type_of};
use crate::names::{all_types, host, next_host, next_instance};

/// How long records may be kept that have to do with a host's name, in seconds (RFC 6762, section
/// 10).
const HOST_TTL: u32 = 120;

/// How long others may be kept, in seconds.
const OTHER_TTL: u32 = 4500;

/// So many probes are sent, and then the name is ours (RFC 6762, section 8.1).
pub(crate) const PROBES: u8 = 3;

/// So many times a name is announced (RFC 6762, section 8.3).
pub(crate) const ANNOUNCEMENTS: u8 = 2;

/// After so many conflicts the next name is tried only after [`PATIENCE`].
const CONFLICTS_MAX: u8 = 15;

/// How long is waited then (RFC 6762, section 8.1).
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the loser of a tie waits (RFC 6762, section 8.2).
pub(crate) const TIE_WAIT: Duration = Duration::from_secs(1);

/// A name and its records.
#[derive(Debug)]
pub(crate) struct Claim {
    /// What is claimed: a service; none for the host itself.
    service: Option<Service>,
    base: String,
    label: String,
    /// The last number that was put behind `base`.
    number: u32,
    pub(crate) name: Name<'static>,
    pub(crate) state: State,
    conflicts: u8,
    pub(crate) records: Vec<Own>,
}

/// How far a claim is: from the first to the last in this order, and back to probing by a conflict.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// Others are asked whether they have the name.
    Probing { sent: u8, next: Duration },
    /// The name is ours, and others are told.
    Announcing { sent: u8, next: Duration },
    /// The name is ours, and was told.
    Established,
}

/// A record of this responder.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) record: Record,
    /// When it was sent to the group last.
    pub(crate) multicast: Option<Duration>,
    /// It says that there is nothing else: only asked for by what isn't there.
    pub(crate) is_denial: bool,
}

impl Own {
    /// Whether no other host has records of its name and type.
    pub(crate) fn is_unique(&self) -> bool {
        self.record.cache_flush
    }
}

impl Claim {
    /// The claim of this host's own name.
    pub(crate) fn host(label: &str, addresses: &[IpAddr], next: Duration) -> Self {
        let mut claim = Claim::new(None, label, next);
        claim.write_records(&claim.name.clone(), addresses);
        claim
    }

    /// The claim of a service's name.
    pub(crate) fn service(service: &Service, host: &Name<'static>, next: Duration) -> Self {
        let mut claim = Claim::new(Some(service.clone()), &service.name, next);
        claim.write_records(host, &[]);
        claim
    }

    fn new(service: Option<Service>, base: &str, next: Duration) -> Self {
        let name = name_of(service.as_ref(), base);
        let state = State::Probing { sent: 0, next };
        let (base, label) = (base.to_owned(), base.to_owned());
        Claim { service, base, label, number: 1, name, state, conflicts: 0, records: Vec::new() }
    }

    /// The name as people see it.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Whether it is answered for.
    pub(crate) fn is_ours(&self) -> bool {
        !matches!(self.state, State::Probing { .. })
    }

    /// When something is to be done for it.
    pub(crate) fn next(&self) -> Option<Duration> {
        match self.state {
            State::Probing { next, .. } | State::Announcing { next, .. } => Some(next),
            State::Established => None,
        }
    }

    /// Takes the next name, and probes for it. The records are to be written anew.
    pub(crate) fn rename(&mut self, now: Duration) {
        self.number = self.number.saturating_add(1);
        let next = if self.service.is_some() { next_instance } else { next_host };
        self.label = next(&self.base, self.number);
        self.name = name_of(self.service.as_ref(), &self.label);
        self.conflicts = self.conflicts.saturating_add(1);
        let is_hopeless = self.conflicts > CONFLICTS_MAX;
        let wait = if is_hopeless { PATIENCE } else { Duration::ZERO };
        self.state = State::Probing { sent: 0, next: now + wait };
    }

    /// The name is ours, and known to be.
    pub(crate) fn establish(&mut self) {
        self.state = State::Established;
        self.conflicts = 0;
    }

    /// Writes the records, for the name of a host and its addresses.
    pub(crate) fn write_records(&mut self, host: &Name<'static>, addresses: &[IpAddr]) {
        self.records.clear();
        let mut types = Vec::new();
        match self.service.clone() {
            None => {
                for ip in addresses {
                    let (kind, data) = match ip {
                        IpAddr::V4(ip) => (TYPE::A, RData::A(A::from(*ip))),
                        IpAddr::V6(ip) => (TYPE::AAAA, RData::AAAA(AAAA::from(*ip))),
                    };
                    types.push(kind);
                    self.unique(HOST_TTL, data);
                }
                types.dedup();
            }
            Some(service) => {
                let (port, target) = (service.port, host.clone());
                self.unique(HOST_TTL, RData::SRV(SRV { priority: 0, weight: 0, port, target }));
                self.unique(OTHER_TTL, RData::TXT(text(&service.text)));
                types.extend([TYPE::SRV, TYPE::TXT]);
                let kind = service.kind.name();
                let mut lists = vec![(kind.clone(), self.name.clone()), (all_types(), kind)];
                for subtype in &service.subtypes {
                    lists.push((service.kind.subtype(subtype), self.name.clone()));
                }
                for (name, entry) in lists {
                    let data = RData::PTR(PTR(entry));
                    self.add(ResourceRecord::new(name, CLASS::IN, OTHER_TTL, data), false);
                }
            }
        }
        let data = RData::NSEC(NSEC::from_types(self.name.clone(), &types));
        let record = ResourceRecord::new(self.name.clone(), CLASS::IN, HOST_TTL, data);
        self.add(record.with_cache_flush(true), true);
    }

    fn unique(&mut self, ttl: u32, data: RData<'static>) {
        let record = ResourceRecord::new(self.name.clone(), CLASS::IN, ttl, data);
        self.add(record.with_cache_flush(true), false);
    }

    fn add(&mut self, record: Record, is_denial: bool) {
        self.records.push(Own { record, multicast: None, is_denial });
    }

    /// The question that probes for the name. It asks for answers to the group: the port may be
    /// shared with other programs, and then only those reach all of them (RFC 6762, section 15.1).
    pub(crate) fn question(&self) -> Asked {
        Question::new(self.name.clone(), QTYPE::ANY, QCLASS::CLASS(CLASS::IN), false)
    }

    /// The records that are to have the name, without the bit that only answers have.
    pub(crate) fn proposed(&self) -> Vec<Record> {
        let proposed = self.records.iter().filter(|own| own.is_unique() && !own.is_denial);
        proposed.map(|own| own.record.clone().with_cache_flush(false)).collect()
    }

    /// Whether a record that another has told of says that the name is not ours (RFC 6762, sections
    /// 8.1 and 9).
    pub(crate) fn is_in_conflict_with(&self, other: &ResourceRecord<'_>) -> bool {
        if other.class != CLASS::IN || other.ttl == 0 || other.name != self.name {
            return false;
        }
        let kind = type_of(other);
        let of_kind = || self.records.iter().filter(|own| type_of(&own.record) == kind);
        let mut of_name = of_kind().filter(|own| own.record.name == self.name);
        let is_known = of_name.clone().any(|own| own.record.rdata == other.rdata);
        let is_denial = other.rdata.type_code() == TYPE::NSEC;
        match self.state {
            State::Probing { .. } => !is_known,
            _ => !is_known && !is_denial && of_name.next().is_some(),
        }
    }

    /// How what another proposes for the same name compares with what is proposed here: the greater
    /// wins (RFC 6762, section 8.2).
    pub(crate) fn compare(&self, others: &[&ResourceRecord<'_>]) -> Ordering {
        let sorted = |records: &mut dyn Iterator<Item = &ResourceRecord<'_>>| {
            let parts = |record: &ResourceRecord<'_>| {
                (record.class as u16, type_of(record), raw_data(record))
            };
            let mut all: Vec<_> = records.map(parts).collect();
            all.sort_unstable();
            all
        };
        let ours = self.proposed();
        sorted(&mut others.iter().copied()).cmp(&sorted(&mut ours.iter()))
    }
}

fn name_of(service: Option<&Service>, label: &str) -> Name<'static> {
    service.map_or_else(|| host(label), |service| service.kind.instance(label))
}

/// The text of a service. One without any is an empty string (RFC 6763, section 6.1).
fn text(pairs: &[Vec<u8>]) -> TXT<'static> {
    let mut text = TXT::new();
    let none = [Vec::new()];
    let pairs = if pairs.is_empty() { &none } else { pairs };
    for pair in pairs {
        // Those that are too long were refused with the configuration.
        if let Ok(string) = CharacterString::new(pair) {
            text.add_char_string(string.into_owned());
        }
    }
    text
}
