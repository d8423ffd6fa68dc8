//! A plugin on a bench as the other side of conversations.

use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::conversation::{Conversation, Fault, Talker, Way, chunked};
use super::{Asked, Bench, Question, StringTransport};
use crate::plugin::Plugin;
use crate::types::code;

/// Replays each conversation of a folder, uncut and cut at every place, against a plugin that is
/// driven natively: see [`conversation`](super::conversation). Gives their number.
///
/// What the plugin asks of a resolver or connects to is what the conversation says; a plugin that
/// asks for more is tested by a [`Bench`], or by `torsade test`.
///
/// # Errors
/// Says in which line of which file it went otherwise, and how; or that the folder has none.
pub fn conversations<P: Plugin>(folder: &Path) -> Result<usize, Fault> {
    let all = Conversation::folder(folder)?;
    for conversation in &all {
        chunked(conversation, || Speaker::<P>::start(conversation))?;
    }
    if all.is_empty() {
        let place = folder.display().to_string();
        return Err(Fault { place, what: "there is no conversation, no file *.txt".to_owned() });
    }
    Ok(all.len())
}

/// A plugin on a [`Bench`], as the other side of one conversation.
pub struct Speaker<P: Plugin> {
    bench: Bench<P>,
    peers: Vec<Option<Rc<StringTransport>>>,
    hosts: Vec<(String, Vec<IpAddr>)>,
    /// Who listens where.
    listeners: Vec<(usize, String)>,
    /// Connections to those who listen that they were not told of.
    reached: Vec<(usize, Rc<StringTransport>)>,
}

impl<P: Plugin> Speaker<P> {
    /// Starts the plugin as a conversation wants it.
    ///
    /// # Errors
    /// As [`Bench::start`].
    pub fn start(conversation: &Conversation) -> Result<Self, String> {
        let config = if conversation.config.is_empty() { "{}" } else { &conversation.config };
        let mut speaker = Self {
            bench: Bench::start(config)?,
            peers: conversation.names().iter().map(|_| None).collect(),
            hosts: conversation.hosts.clone(),
            listeners: conversation.listeners.clone(),
            reached: Vec::new(),
        };
        speaker.answer_all();
        Ok(speaker)
    }

    fn peer(&self, peer: usize) -> Rc<StringTransport> {
        let transport = self.peers.get(peer).and_then(Clone::clone);
        transport.expect("the runner names who has connected")
    }

    /// Who listens at an endpoint, whatever arguments it has; a name is one of its addresses.
    fn listener(&self, endpoint: &str) -> Option<usize> {
        let is_it = |listener: &str| {
            endpoint
                .strip_prefix(listener)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        };
        let by_name = |listener: &str| {
            self.hosts.iter().any(|(host, addresses)| {
                addresses.iter().any(|address| is_it(&listener.replace(&address.to_string(), host)))
            })
        };
        let mut listeners = self.listeners.iter();
        let found = listeners.find(|(_, listener)| is_it(listener) || by_name(listener));
        found.map(|(peer, _)| *peer)
    }

    /// Answers what is asked until nothing is.
    fn answer_all(&mut self) {
        loop {
            let asked = self.bench.asked();
            if asked.is_empty() {
                return;
            }
            asked.into_iter().for_each(|asked| self.answer(asked));
        }
    }

    fn answer(&mut self, asked: Asked) {
        match &asked.question {
            Question::Connect(endpoint) => match self.listener(endpoint) {
                Some(peer) => {
                    let accepted = self.bench.accept(asked);
                    self.reached.extend(accepted.map(|transport| (peer, transport)));
                }
                None => self.bench.fail(asked, code::REFUSED, "nobody listens there"),
            },
            Question::Lookup(name) => {
                let found = self.hosts.iter().find(|(host, _)| host == name);
                let address = || name.parse().ok().map(|address| vec![address]);
                match found.map(|(_, addresses)| addresses.clone()).or_else(address) {
                    Some(addresses) => self.bench.answer(asked, addresses),
                    None => self.bench.fail(asked, code::NOT_FOUND, "there is no such name"),
                }
            }
            _ => self.bench.fail(asked, code::UNSUPPORTED, "a conversation can't answer this"),
        }
    }
}

impl<P: Plugin> Talker for Speaker<P> {
    fn connect(&mut self, peer: usize, way: &Way) -> Result<(), String> {
        if way.over != "plain" {
            return Err(format!("there is no way over {} on a bench", way.over));
        }
        self.peers[peer] = Some(match &way.from {
            Some(from) => self.bench.connect_from(from),
            None => self.bench.connect(),
        });
        self.answer_all();
        Ok(())
    }

    fn reach(&mut self, peer: usize) -> Result<(), String> {
        let at = self.reached.iter().position(|(other, _)| *other == peer);
        let (_, transport) = self.reached.remove(at.ok_or("nobody has connected there")?);
        self.peers[peer] = Some(transport);
        Ok(())
    }

    fn fail_next(&mut self) -> Result<(), String> {
        self.bench.fail_next();
        Ok(())
    }

    fn send(&mut self, peer: usize, data: &[u8]) {
        self.bench.send(&self.peer(peer), data);
        self.answer_all();
    }

    fn pass(&mut self, time: Duration) {
        self.bench.advance(time);
        self.answer_all();
    }

    fn end(&mut self, peer: usize) {
        self.bench.end(&self.peer(peer));
        self.answer_all();
    }

    fn lose(&mut self, peer: usize) {
        self.bench.lose(&self.peer(peer));
        self.answer_all();
    }

    fn take(&mut self, peer: usize) -> Vec<u8> {
        self.peer(peer).take()
    }

    fn is_cut_off(&mut self, peer: usize) -> bool {
        let peer = self.peer(peer);
        peer.is_lost() || peer.has_lost_write()
    }

    fn set_reading(&mut self, peer: usize, reading: bool) -> Result<(), String> {
        self.bench.set_reading(&self.peer(peer), reading);
        self.answer_all();
        Ok(())
    }
}
