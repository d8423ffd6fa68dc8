//! The responder and the browser as one: what arrives goes to both, and what both send goes out.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use simple_dns::{PacketFlag, ResourceRecord};

use crate::Found;
use crate::browser::{Browser, Event};
use crate::chance::Chance;
use crate::config::Setup;
use crate::message;
use crate::names::ServiceType;
use crate::responder::Responder;

/// The port of mDNS (RFC 6762, section 3).
pub(crate) const PORT: u16 = 5353;

/// So many events wait to be taken at most; later ones are lost.
const EVENTS_MAX: usize = 256;

/// A responder and a browser. Time is what its caller says, since any moment, and never goes back.
#[derive(Debug)]
pub struct Discovery {
    responder: Responder,
    browser: Browser,
    mail: Mail,
}

/// To whom a message goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum To {
    /// To all on the network.
    Group,
    /// To one.
    Peer(SocketAddr),
}

/// What goes out: messages, and what an operator wants to know.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    messages: VecDeque<(To, Vec<u8>)>,
    events: VecDeque<Event>,
}

impl Mail {
    pub(crate) fn multicast(&mut self, messages: Vec<Vec<u8>>) {
        self.messages.extend(messages.into_iter().map(|message| (To::Group, message)));
    }

    pub(crate) fn unicast(&mut self, peer: SocketAddr, messages: Vec<Vec<u8>>) {
        self.messages.extend(messages.into_iter().map(|message| (To::Peer(peer), message)));
    }

    pub(crate) fn tell(&mut self, event: Event) {
        if self.events.len() < EVENTS_MAX {
            self.events.push_back(event);
        }
    }
}

impl Discovery {
    /// One that begins to probe and to ask soon after `now`. The seed is for delays.
    pub fn new(setup: &Setup, now: Duration, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let browser = Browser::new(&setup.browsed, now, &mut chance);
        let responder = Responder::new(setup, now, chance);
        Discovery { responder, browser, mail: Mail::default() }
    }

    /// What is sent reaches another network from now on, or one again.
    pub fn begin_again(&mut self, now: Duration) {
        self.responder.begin_again(now);
        self.browser.begin_again(now);
    }

    /// A message arrived.
    pub fn received(&mut self, now: Duration, from: SocketAddr, bytes: &[u8]) {
        let Some(packet) = message::parse(bytes) else { return };
        if !packet.has_flags(PacketFlag::RESPONSE) {
            return self.responder.asked(now, from, &packet, &mut self.mail);
        }
        // RFC 6762, section 6: it would be from someone who may not use the port.
        if from.port() != PORT {
            return;
        }
        let records = packet.answers.iter().chain(&packet.additional_records);
        let records: Vec<&ResourceRecord<'_>> = records.collect();
        self.responder.heard(now, &records, &mut self.mail);
        self.browser.heard(now, &records, &mut self.mail);
    }

    /// When [`on_time`](Self::on_time) is to be called, unless something happens before.
    pub fn deadline(&self) -> Option<Duration> {
        self.responder.deadline().into_iter().chain(self.browser.deadline()).min()
    }

    /// Does what is due.
    pub fn on_time(&mut self, now: Duration) {
        self.responder.on_time(now, &mut self.mail);
        self.browser.on_time(now, &mut self.mail);
    }

    /// Takes back what was announced. Nothing is answered or asked any more.
    pub fn stop(&mut self) {
        self.responder.stop(&mut self.mail);
        self.browser.stop();
    }

    /// The next message that is to be sent.
    pub fn take_message(&mut self) -> Option<(To, Vec<u8>)> {
        self.mail.messages.pop_front()
    }

    /// The next thing that has happened.
    pub fn take_event(&mut self) -> Option<Event> {
        self.mail.events.pop_front()
    }

    /// The instances of a type that are known; none where the type isn't browsed.
    pub fn browse(&self, kind: &ServiceType) -> Option<Vec<Found>> {
        self.browser.instances(kind)
    }

    #[cfg(test)]
    pub(crate) fn names(&self) -> Vec<simple_dns::Name<'static>> {
        self.responder.names()
    }
}
