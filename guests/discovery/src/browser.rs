//! The browser: asks for services of some types, and keeps what it is told (RFC 6762, section 5;
//! RFC 6763, sections 4 to 6).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, QCLASS, Question, ResourceRecord, TYPE};

use crate::cache::{Cache, Key};
use crate::chance::Chance;
use crate::discovery::Mail;
use crate::message;
use crate::names::{ServiceType, first_label, key};

/// So many instances are known at most.
const INSTANCES_MAX: usize = 256;

/// The first time between two of the same question, which doubles (RFC 6762, section 5.2).
const FIRST_INTERVAL: Duration = Duration::from_secs(1);

/// The longest.
const LAST_INTERVAL: Duration = Duration::from_secs(3600);

/// How long is waited for what usually comes with the news of an instance, before it is asked for.
const COURTESY: Duration = Duration::from_millis(100);

/// What an operator wants to know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// An instance is there, and can be reached.
    Appeared(Found),
    /// What was known of an instance has changed.
    Changed(Found),
    /// An instance is there no longer.
    Disappeared(Found),
    /// A name is this host's, and announced.
    Claimed(String),
    /// Another has a name; the next one is tried.
    Renamed {
        /// The name that was tried.
        before: String,
        /// The one that is tried now.
        after: String,
    },
}

/// An instance of a service, as others announce it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// Its name, for people.
    pub name: String,
    /// Its type.
    pub kind: ServiceType,
    /// The host that it runs on.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The host's addresses, sorted.
    pub addresses: Vec<IpAddr>,
    /// The pairs of its text, as `key=value`.
    pub text: Vec<String>,
}

/// The types that are browsed, and what is known of their instances.
#[derive(Debug)]
pub(crate) struct Browser {
    types: Vec<(ServiceType, Vec<u8>)>,
    questions: BTreeMap<Key, Asking>,
    cache: Cache,
    instances: BTreeMap<Vec<u8>, Instance>,
}

/// A question that is asked for as long as its answer is wanted.
#[derive(Debug)]
struct Asking {
    name: Name<'static>,
    next: Duration,
    interval: Duration,
}

#[derive(Debug)]
struct Instance {
    name: Name<'static>,
    kind: ServiceType,
    /// What was told last.
    known: Option<Found>,
}

impl Browser {
    /// One that asks for types soon after `now`.
    pub(crate) fn new(types: &[ServiceType], now: Duration, chance: &mut Chance) -> Self {
        let mut questions = BTreeMap::new();
        let next = now + chance.between(20, 120);
        for kind in types {
            let asking = Asking { name: kind.name(), next, interval: FIRST_INTERVAL };
            questions.insert((key(&kind.name()), TYPE::PTR.into()), asking);
        }
        let types = types.iter().map(|kind| (kind.clone(), key(&kind.name()))).collect();
        Browser { types, questions, cache: Cache::default(), instances: BTreeMap::new() }
    }

    /// There is another network, or one again: all is asked for there, too.
    pub(crate) fn begin_again(&mut self, now: Duration) {
        for asking in self.questions.values_mut() {
            asking.next = asking.next.min(now + COURTESY);
            asking.interval = FIRST_INTERVAL;
        }
    }

    /// When something is to be done.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.questions.values().map(|asking| asking.next).chain(self.cache.deadline()).min()
    }

    /// Asks what is due, and forgets what no longer holds.
    pub(crate) fn on_time(&mut self, now: Duration, mail: &mut Mail) {
        if self.cache.deadline().is_some_and(|deadline| deadline <= now) {
            self.cache.expire(now);
            self.look_again(now, mail);
        }
        let (mut questions, mut known) = (Vec::new(), Vec::new());
        for (key, asking) in &mut self.questions {
            if asking.next > now {
                continue;
            }
            let qtype = TYPE::from(key.1).into();
            let qclass = QCLASS::CLASS(CLASS::IN);
            questions.push(Question::new(asking.name.clone(), qtype, qclass, false));
            known.extend(self.cache.find(key).filter_map(|cached| cached.as_known(now)));
            asking.next = now + asking.interval;
            asking.interval = (asking.interval * 2).min(LAST_INTERVAL);
            asking.settle(key, &self.cache, now);
        }
        if !questions.is_empty() {
            mail.multicast(message::query(&questions, &known));
        }
    }

    /// Records that others have told of.
    pub(crate) fn heard(
        &mut self,
        now: Duration,
        records: &[&ResourceRecord<'_>],
        mail: &mut Mail,
    ) {
        if self.types.is_empty() {
            return;
        }
        // What points to others comes first, as only what is pointed to is wanted.
        let mut is_news = false;
        let passes: [&[TYPE]; 3] = [&[TYPE::PTR], &[TYPE::SRV, TYPE::TXT], &[TYPE::A, TYPE::AAAA]];
        for types in passes {
            for record in records {
                if record.class == CLASS::IN && types.contains(&record.rdata.type_code()) {
                    is_news |= self.take(now, record);
                }
            }
        }
        if is_news {
            self.look_again(now, mail);
        }
    }

    /// Takes in a record that somebody wants.
    fn take(&mut self, now: Duration, record: &ResourceRecord<'_>) -> bool {
        let key = (key(&record.name), message::type_of(record));
        if !self.questions.contains_key(&key) {
            return false;
        }
        if let RData::PTR(entry) = &record.rdata
            && record.ttl > 0
            && !self.add_instance(now, &key.0, &entry.0)
        {
            return false;
        }
        self.cache.take(now, record);
        match &record.rdata {
            RData::SRV(service) => {
                let host = service.target.clone().into_owned();
                self.ask(now + COURTESY, &host, &[TYPE::A, TYPE::AAAA]);
            }
            RData::A(_) | RData::AAAA(_) | RData::PTR(_) | RData::TXT(_) => {}
            _ => return false,
        }
        let cache = &self.cache;
        if let Some(asking) = self.questions.get_mut(&key) {
            asking.settle(&key, cache, now);
        }
        true
    }

    /// Says whether the instance is known now.
    fn add_instance(&mut self, now: Duration, type_key: &[u8], name: &Name<'_>) -> bool {
        let instance = key(name);
        if self.instances.contains_key(&instance) {
            return true;
        }
        let kind = self.types.iter().find(|(_, key)| key == type_key);
        let (Some((kind, _)), true) = (kind, self.instances.len() < INSTANCES_MAX) else {
            return false;
        };
        // An instance is one label before its type, or else it is none of it.
        if !instance.ends_with(type_key) || name.get_labels().len() != 4 {
            return false;
        }
        let (name, kind) = (name.clone().into_owned(), kind.clone());
        self.ask(now + COURTESY, &name, &[TYPE::SRV, TYPE::TXT]);
        self.instances.insert(instance, Instance { name, kind, known: None });
        true
    }

    /// Begins to ask for records of a name, where that isn't done already.
    fn ask(&mut self, next: Duration, name: &Name<'static>, types: &[TYPE]) {
        for kind in types {
            let asking = Asking { name: name.clone(), next, interval: FIRST_INTERVAL };
            self.questions.entry((key(name), (*kind).into())).or_insert(asking);
        }
    }

    /// Compares what is known of each instance with what was told.
    fn look_again(&mut self, now: Duration, mail: &mut Mail) {
        let listed: BTreeSet<_> = self.listed().collect();
        let cache = &self.cache;
        self.instances.retain(|instance, state| {
            if !listed.contains(instance) {
                if let Some(found) = state.known.take() {
                    mail.tell(Event::Disappeared(found));
                }
                return false;
            }
            let Some(found) = resolve(cache, instance, state) else { return true };
            if state.known.as_ref() != Some(&found) {
                let is_new = state.known.replace(found.clone()).is_none();
                mail.tell(if is_new { Event::Appeared(found) } else { Event::Changed(found) });
            }
            true
        });
        self.drop_questions();
        for (key, asking) in &mut self.questions {
            asking.settle(key, &self.cache, now);
        }
    }

    /// The instances that the types list.
    fn listed(&self) -> impl Iterator<Item = Vec<u8>> {
        let types = self.types.iter();
        let entries = types.flat_map(|(_, of)| self.cache.find(&(of.clone(), TYPE::PTR.into())));
        entries.filter_map(|cached| match &cached.record.rdata {
            RData::PTR(entry) => Some(key(&entry.0)),
            _ => None,
        })
    }

    /// Asks no more for what belongs to no instance, and keeps none of it.
    fn drop_questions(&mut self) {
        let mut wanted: BTreeSet<Vec<u8>> = self.types.iter().map(|(_, key)| key.clone()).collect();
        for instance in self.instances.keys() {
            for cached in self.cache.find(&(instance.clone(), TYPE::SRV.into())) {
                if let RData::SRV(service) = &cached.record.rdata {
                    wanted.insert(key(&service.target));
                }
            }
            wanted.insert(instance.clone());
        }
        self.questions.retain(|(name, _), _| wanted.contains(name));
        self.cache.retain(|(name, _)| wanted.contains(name));
    }

    /// The instances of a type that are known; none where the type isn't browsed.
    pub(crate) fn instances(&self, kind: &ServiceType) -> Option<Vec<Found>> {
        let of = key(&kind.name());
        self.types.iter().find(|(_, key)| *key == of)?;
        let known = self.instances.values().filter_map(|instance| instance.known.clone());
        Some(known.filter(|found| key(&found.kind.name()) == of).collect())
    }

    /// Forgets all.
    pub(crate) fn stop(&mut self) {
        *self = Browser {
            types: Vec::new(),
            questions: BTreeMap::new(),
            cache: Cache::default(),
            instances: BTreeMap::new(),
        };
    }
}

impl Asking {
    /// Sets the time of the next question by what is known. What lists others is asked for all the
    /// same: there may be more of them.
    fn settle(&mut self, key: &Key, cache: &Cache, now: Duration) {
        let refresh = cache.refresh_after(key, now);
        let is_known = cache.find(key).next().is_some();
        self.next = match refresh {
            Some(refresh) if key.1 == u16::from(TYPE::PTR) => self.next.min(refresh),
            Some(refresh) => {
                self.interval = FIRST_INTERVAL;
                refresh
            }
            // Its time is nearly over, and then it is asked for anew.
            None if is_known => self.next.max(now + FIRST_INTERVAL),
            None => self.next,
        };
    }
}

/// What is known of an instance, where it is enough to reach it.
fn resolve(cache: &Cache, instance: &[u8], state: &Instance) -> Option<Found> {
    let find = |kind: TYPE| cache.find(&(instance.to_vec(), kind.into())).last();
    let RData::SRV(service) = &find(TYPE::SRV)?.record.rdata else { return None };
    let RData::TXT(text) = &find(TYPE::TXT)?.record.rdata else { return None };
    let host = key(&service.target);
    let mut addresses = Vec::new();
    for kind in [TYPE::A, TYPE::AAAA] {
        for cached in cache.find(&(host.clone(), kind.into())) {
            match &cached.record.rdata {
                RData::A(ip) => addresses.push(Ipv4Addr::from(ip.clone()).into()),
                RData::AAAA(ip) => addresses.push(Ipv6Addr::from(ip.clone()).into()),
                _ => {}
            }
        }
    }
    addresses.sort_unstable();
    let pair = |(key, value): (&[u8], Option<&[u8]>)| {
        let key = String::from_utf8_lossy(key);
        value.map_or_else(
            || key.to_string(),
            |value| format!("{key}={}", String::from_utf8_lossy(value)),
        )
    };
    let text = text.iter_raw().map(pair).filter(|pair| !pair.is_empty()).collect();
    let (name, kind) = (first_label(&state.name), state.kind.clone());
    let (host, port) = (service.target.to_string(), service.port);
    (!addresses.is_empty()).then_some(Found { name, kind, host, port, addresses, text })
}

/// A line: what there is, where, and its text, with nothing in it that would end the line.
impl Display for Found {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Found { name, kind, host, port, addresses, text } = self;
        write!(f, "{name:?} {kind} {}:{port}", host.escape_debug())?;
        addresses.iter().try_for_each(|ip| write!(f, " {ip}"))?;
        text.iter().try_for_each(|pair| write!(f, " {pair:?}"))
    }
}

impl Display for Event {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Event::Appeared(found) => write!(f, "appeared: {found}"),
            Event::Changed(found) => write!(f, "changed: {found}"),
            Event::Disappeared(found) => write!(f, "disappeared: {found}"),
            Event::Claimed(name) => write!(f, "announced: {name:?}"),
            Event::Renamed { before, after } => {
                write!(f, "another has the name {before:?}: trying {after:?}")
            }
        }
    }
}
