//! Questions to the responder: what is answered, when, and to whom (RFC 6762, sections 5 to 7).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use simple_dns::{Packet, PacketFlag, QCLASS, QTYPE, Question};

use super::{PROBE_GAP, Pending, Place, RECORD_GAP, Responder, push};
use crate::claim::Own;
use crate::discovery::{Mail, PORT};
use crate::message;

/// A record goes to the group no more often in answer to probes (RFC 6762, section 6).
const PROBED_RECORD_GAP: Duration = PROBE_GAP;

/// What is known to one who asks as DNS does may be kept for so many seconds (RFC 6762, section
/// 6.7).
const LEGACY_TTL_MAX: u32 = 10;

/// So many are answered alone in a second: their addresses may be forged.
const ANSWERS_ALONE_MAX: u32 = 50;

/// So many questions of a message are answered.
const QUESTIONS_MAX: usize = 64;

impl Responder {
    /// A question arrived, or a probe.
    pub(crate) fn asked(
        &mut self,
        now: Duration,
        from: SocketAddr,
        query: &Packet<'_>,
        mail: &mut Mail,
    ) {
        let is_probe = !query.name_servers.is_empty();
        if is_probe {
            self.probed(now, query);
        }
        if query.questions.is_empty() {
            return self.is_known_to(from, query);
        }
        let mut found: BTreeMap<Place, bool> = BTreeMap::new();
        for question in query.questions.iter().take(QUESTIONS_MAX) {
            for place in self.matching(question) {
                let wants_multicast = found.entry(place).or_default();
                *wants_multicast |= !question.unicast_response;
            }
        }
        // Each record once, as the same may be asked for and said to be known often.
        found.retain(|place, _| !self.own(*place).is_some_and(|own| is_known(own, query)));
        if found.is_empty() {
            return;
        }
        if from.port() != PORT {
            return self.answer_legacy(now, from, query, found.into_keys(), mail);
        }
        let wait = self.wait(query, found.keys().copied(), is_probe);
        let wants_alone = found.values().any(|wants_multicast| !wants_multicast);
        let may_alone = wants_alone && self.may_answer_alone(now);
        let mut back = Vec::new();
        for (place, wants_multicast) in found {
            let Some(own) = self.own(place) else { continue };
            // One who asks for himself alone is answered alone, unless the others are to be
            // reminded, too (RFC 6762, section 5.4), or too many do.
            let quarter = Duration::from_secs(u64::from(own.record.ttl) / 4);
            let is_recent = own.multicast.is_some_and(|last| now < last + quarter);
            if !wants_multicast && is_recent && may_alone {
                push(&mut back, &own.record);
                continue;
            }
            let gap = if is_probe { PROBED_RECORD_GAP } else { RECORD_GAP };
            let due = own.multicast.map_or(now + wait, |last| (last + gap).max(now + wait));
            let pending = self.pending.entry(place);
            let mut is_new = false;
            let pending = pending.or_insert_with(|| {
                is_new = true;
                Pending { due, asker: Some(from) }
            });
            pending.due = pending.due.min(due);
            if !is_new && pending.asker != Some(from) {
                pending.asker = None;
            }
        }
        if !back.is_empty() {
            mail.unicast(from, message::response(&back, &[]));
        }
    }

    /// How long an answer waits: not at all where no other can answer, and else so that others are
    /// not answering in the same moment; longer where the question goes on in another message
    /// (RFC 6762, sections 6 and 7.2).
    fn wait(
        &mut self,
        query: &Packet<'_>,
        mut places: impl Iterator<Item = Place>,
        is_probe: bool,
    ) -> Duration {
        if query.has_flags(PacketFlag::TRUNCATION) {
            return self.chance.between(400, 500);
        }
        if is_probe || places.all(|place| self.own(place).is_some_and(Own::is_unique)) {
            return Duration::ZERO;
        }
        self.chance.between(20, 120)
    }

    /// The records that a question asks for. For a name of ours that has none of the type it is the
    /// one that says so (RFC 6762, section 6.1).
    fn matching(&self, question: &Question<'_>) -> Vec<Place> {
        let mut places = Vec::new();
        if !matches!(question.qclass, QCLASS::ANY | QCLASS::CLASS(simple_dns::CLASS::IN)) {
            return places;
        }
        for (at, claim) in self.claims.iter().enumerate().filter(|(_, claim)| claim.is_ours()) {
            let before = places.len();
            let mut denial = None;
            for (number, own) in claim.records.iter().enumerate() {
                if own.record.name != question.qname {
                    continue;
                }
                if own.is_denial {
                    denial = Some((at, number));
                } else if own.record.match_qtype(question.qtype) {
                    places.push((at, number));
                }
            }
            let is_for_type = matches!(question.qtype, QTYPE::TYPE(_));
            if places.len() == before && is_for_type {
                places.extend(denial);
            }
        }
        places
    }

    /// Answers one who asked as DNS does, from a port of its own (RFC 6762, section 6.7).
    fn answer_legacy(
        &mut self,
        now: Duration,
        from: SocketAddr,
        query: &Packet<'_>,
        places: impl Iterator<Item = Place>,
        mail: &mut Mail,
    ) {
        if !self.may_answer_alone(now) {
            return;
        }
        let mut answers = Vec::new();
        for place in places {
            let Some(own) = self.own(place) else { continue };
            let mut record = own.record.clone().with_cache_flush(false);
            record.ttl = record.ttl.min(LEGACY_TTL_MAX);
            push(&mut answers, &record);
        }
        mail.unicast(from, message::legacy_response(query, &answers).into_iter().collect());
    }

    /// Whether one more may be answered alone in this second.
    fn may_answer_alone(&mut self, now: Duration) -> bool {
        if self.alone.0 != now.as_secs() {
            self.alone = (now.as_secs(), 0);
        }
        self.alone.1 = self.alone.1.saturating_add(1);
        self.alone.1 <= ANSWERS_ALONE_MAX
    }

    /// More of what an asker knows already (RFC 6762, section 7.2): it isn't told again.
    fn is_known_to(&mut self, from: SocketAddr, query: &Packet<'_>) {
        let claims = &self.claims;
        self.pending.retain(|(claim, record), pending| {
            let own = claims.get(*claim).and_then(|claim| claim.records.get(*record));
            let is_known = own.is_some_and(|own| is_known(own, query));
            !(is_known && pending.asker == Some(from))
        });
    }
}

/// Whether one who asks knows a record well enough (RFC 6762, section 7.1).
fn is_known(own: &Own, query: &Packet<'_>) -> bool {
    query.answers.iter().any(|known| *known == own.record && known.ttl >= own.record.ttl / 2)
}
