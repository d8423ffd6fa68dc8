//! The responder: claims names, announces them, and answers for them (RFC 6762, sections 6 to 10).

mod questions;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use simple_dns::{Packet, ResourceRecord, TYPE};

use crate::browser::Event;
use crate::chance::Chance;
use crate::claim::{ANNOUNCEMENTS, Claim, Own, PROBES, State, TIE_WAIT};
use crate::config::Setup;
use crate::discovery::Mail;
use crate::message::{self, Record};
use crate::names::all_types;

/// Time between two probes, and before a name that was probed for is taken.
const PROBE_GAP: Duration = Duration::from_millis(250);

/// Time between two announcements.
const ANNOUNCEMENT_GAP: Duration = Duration::from_secs(1);

/// A record goes to the group no more often (RFC 6762, section 6).
const RECORD_GAP: Duration = Duration::from_secs(1);

/// A record, by its claim's place and its own.
type Place = (usize, usize);

/// The names of this host, and what is to be answered.
#[derive(Debug)]
pub(crate) struct Responder {
    /// That of the host is the first.
    claims: Vec<Claim>,
    addresses: Vec<IpAddr>,
    /// What is to go to the group. At most one entry for each record.
    pending: BTreeMap<Place, Pending>,
    chance: Chance,
    /// Second, and how many were to be answered alone in it.
    alone: (u64, u32),
}

/// An answer that waits.
#[derive(Debug)]
struct Pending {
    due: Duration,
    /// Who alone asked for it, and may still say that it is known.
    asker: Option<SocketAddr>,
}

impl Responder {
    /// One that begins to probe soon after `now`. One that announces nothing claims nothing.
    pub(crate) fn new(setup: &Setup, now: Duration, mut chance: Chance) -> Self {
        let start = now + chance.between(0, 250);
        let mut claims = Vec::new();
        if !setup.addresses.is_empty() {
            claims.push(Claim::host(&setup.host, &setup.addresses, start));
            let host = claims[0].name.clone();
            claims
                .extend(setup.services.iter().map(|service| Claim::service(service, &host, start)));
        }
        let addresses = setup.addresses.clone();
        Responder { claims, addresses, pending: BTreeMap::new(), chance, alone: (0, 0) }
    }

    /// There is another network, or one again: names are probed for there, too (RFC 6762, section 8).
    pub(crate) fn begin_again(&mut self, now: Duration) {
        let next = now + self.chance.between(0, 250);
        for claim in &mut self.claims {
            claim.state = State::Probing { sent: 0, next };
        }
        self.pending.clear();
    }

    /// When something is to be done.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let claims = self.claims.iter().filter_map(Claim::next);
        claims.chain(self.pending.values().map(|pending| pending.due)).min()
    }

    /// Probes, announces, and answers what is due.
    pub(crate) fn on_time(&mut self, now: Duration, mail: &mut Mail) {
        for at in 0..self.claims.len() {
            self.go_on(at, now, mail);
        }
        let is_due = |pending: &Pending| pending.due <= now;
        let due = self.pending.extract_if(.., |_, pending| is_due(pending));
        let due: Vec<_> = due.map(|(place, _)| place).collect();
        self.send(&due, now, mail);
    }

    /// Takes a claim one step further, where it is time.
    fn go_on(&mut self, at: usize, now: Duration, mail: &mut Mail) {
        let host = self.claims[0].state;
        let claim = &mut self.claims[at];
        match claim.state {
            State::Probing { sent, next } if next <= now => {
                if sent < PROBES {
                    mail.multicast(message::probe(claim.question(), &claim.proposed()));
                    claim.state = State::Probing { sent: sent + 1, next: now + PROBE_GAP };
                } else if let (State::Probing { next, .. }, true) = (host, at > 0) {
                    // What a service points to is to be ours first.
                    let next = next.max(now + Duration::from_millis(1));
                    claim.state = State::Probing { sent, next };
                } else {
                    claim.state = State::Announcing { sent: 0, next: now };
                    self.go_on(at, now, mail);
                }
            }
            State::Announcing { sent, next } if next <= now => {
                if sent + 1 < ANNOUNCEMENTS {
                    claim.state =
                        State::Announcing { sent: sent + 1, next: now + ANNOUNCEMENT_GAP };
                } else {
                    claim.establish();
                }
                let label = claim.label().to_owned();
                let records = 0..claim.records.len();
                let all: Vec<_> = records.map(|record| (at, record)).collect();
                self.send(&all, now, mail);
                if sent == 0 {
                    mail.tell(Event::Claimed(label));
                }
            }
            _ => {}
        }
    }

    /// Sends records to the group, with what a reader will ask for next (RFC 6763, section 12).
    fn send(&mut self, places: &[Place], now: Duration, mail: &mut Mail) {
        let mut answers = Vec::new();
        let mut more: Vec<Place> = Vec::new();
        for place in places {
            let Some(own) = self.own_mut(*place) else { continue };
            own.multicast = Some(now);
            push(&mut answers, &own.record);
            more.extend(self.what_follows(*place));
        }
        let mut additional = Vec::new();
        for place in more {
            let Some(own) = self.own_mut(place) else { continue };
            let is_new = own.multicast.is_none_or(|last| now >= last + RECORD_GAP);
            if is_new && !answers.contains(&own.record) {
                own.multicast = Some(now);
                push(&mut additional, &own.record);
            }
        }
        if !answers.is_empty() {
            mail.multicast(message::response(&answers, &additional));
        }
    }

    /// The records that a reader of one will ask for next.
    fn what_follows(&self, (claim, record): Place) -> Vec<Place> {
        let Some(own) = self.own((claim, record)) else { return Vec::new() };
        let kinds: &[(usize, &[TYPE])] = match own.record.rdata.type_code() {
            TYPE::PTR => &[(claim, &[TYPE::SRV, TYPE::TXT]), (0, &[TYPE::A, TYPE::AAAA])],
            TYPE::SRV | TYPE::A | TYPE::AAAA => &[(0, &[TYPE::A, TYPE::AAAA])],
            _ => &[],
        };
        let mut places = Vec::new();
        for (claim, kinds) in kinds {
            for (at, other) in self.claims[*claim].records.iter().enumerate() {
                if kinds.contains(&other.record.rdata.type_code())
                    && (*claim, at) != (*claim, record)
                {
                    places.push((*claim, at));
                }
            }
        }
        places
    }

    fn own(&self, (claim, record): Place) -> Option<&Own> {
        self.claims.get(claim)?.records.get(record)
    }

    fn own_mut(&mut self, (claim, record): Place) -> Option<&mut Own> {
        self.claims.get_mut(claim)?.records.get_mut(record)
    }

    /// Another probes for a name. Where it is probed for here, too, one of both has to wait
    /// (RFC 6762, section 8.2).
    fn probed(&mut self, now: Duration, query: &Packet<'_>) {
        for claim in &mut self.claims {
            let State::Probing { sent: 1.., .. } = claim.state else { continue };
            let proposed: Vec<_> =
                query.name_servers.iter().filter(|other| other.name == claim.name).collect();
            if !proposed.is_empty() && claim.compare(&proposed) == Ordering::Greater {
                claim.state = State::Probing { sent: 0, next: now + TIE_WAIT };
            }
        }
    }

    /// Records that another has told of.
    pub(crate) fn heard(
        &mut self,
        now: Duration,
        records: &[&ResourceRecord<'_>],
        mail: &mut Mail,
    ) {
        for at in 0..self.claims.len() {
            let claim = &mut self.claims[at];
            if !records.iter().any(|record| claim.is_in_conflict_with(record)) {
                continue;
            }
            if claim.is_ours() {
                // Whoever has it keeps it by answering the probes.
                claim.state = State::Probing { sent: 0, next: now };
            } else {
                let before = claim.label().to_owned();
                claim.rename(now);
                let after = claim.label().to_owned();
                mail.tell(Event::Renamed { before, after });
                self.rewrite(at, now);
            }
            self.pending.retain(|(claim, _), _| *claim != at);
        }
        self.forget_what_was_told(records);
    }

    /// Writes the records of a claim that has a new name, and those that point to it.
    fn rewrite(&mut self, at: usize, now: Duration) {
        let host = self.claims[0].name.clone();
        let all = if at == 0 { 0..self.claims.len() } else { at..at + 1 };
        for other in all {
            let claim = &mut self.claims[other];
            claim.write_records(&host, &self.addresses);
            if claim.is_ours() {
                // Once the host's new name is its own.
                claim.state = State::Probing { sent: PROBES, next: now };
            }
        }
    }

    /// Another has said what waits to be said here (RFC 6762, section 7.4).
    fn forget_what_was_told(&mut self, records: &[&ResourceRecord<'_>]) {
        let claims = &self.claims;
        self.pending.retain(|(claim, record), _| {
            let own = claims.get(*claim).and_then(|claim| claim.records.get(*record));
            own.is_some_and(|own| {
                !records.iter().any(|told| **told == own.record && told.ttl >= own.record.ttl)
            })
        });
    }

    /// Takes back all that was told (RFC 6762, section 10.1).
    pub(crate) fn stop(&mut self, mail: &mut Mail) {
        let mut gone: Vec<Record> = Vec::new();
        for claim in self.claims.iter().filter(|claim| claim.is_ours()) {
            for own in claim.records.iter().filter(|own| !own.is_denial) {
                // Others may have services of the type, too.
                if own.record.name != all_types() {
                    push(&mut gone, &ResourceRecord { ttl: 0, ..own.record.clone() });
                }
            }
        }
        if !gone.is_empty() {
            mail.multicast(message::response(&gone, &[]));
        }
        self.claims.clear();
        self.pending.clear();
    }

    /// The host's name, once it has one.
    #[cfg(test)]
    pub(crate) fn names(&self) -> Vec<simple_dns::Name<'static>> {
        let ours = self.claims.iter().filter(|claim| claim.state == State::Established);
        ours.map(|claim| claim.name.clone()).collect()
    }
}

/// Adds a record that isn't there yet: services of one type tell of it alike.
fn push(records: &mut Vec<Record>, record: &Record) {
    if !records.contains(record) {
        records.push(record.clone());
    }
}
