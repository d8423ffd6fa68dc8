//! Joins the conversation to the host's resolver.

use std::net::IpAddr;

use torsade_guest::resolver::{self, Family};
use torsade_guest::{
    Deferred, Failure, NoConfig, Origin, Plugin, Protocol, Transport, Waiting, code,
};

use crate::conversation::{Conversation, Question};
use crate::{number, quad};

struct Server;

impl Plugin for Server {
    type Config = NoConfig;
    type Protocol = Resolving;

    fn start(_: NoConfig) -> Result<Self, String> {
        Ok(Server)
    }

    fn build_protocol(&mut self, transport: Transport<Resolving>, _: Origin) -> Option<Resolving> {
        let (conversation, lookups) = (Conversation::default(), Vec::new());
        Some(Resolving { transport, conversation, lookups, is_slow: false, is_paused: false })
    }
}

/// The number of a host: a deferred that whoever asks for it may hold, chain on, or give up.
fn host_number(name: &str) -> Deferred<u32> {
    let addresses: Deferred<Vec<IpAddr>> = resolver::lookup(name, Family::Ipv4).into();
    addresses.then(|all| quad(&all).ok_or_else(no_quad)).map(number)
}

fn no_quad() -> Failure {
    Failure::new(code::NOT_FOUND, "the host has no IPv4 address")
}

/// One connection.
struct Resolving {
    transport: Transport<Resolving>,
    conversation: Conversation,
    /// What is being looked up, by the question's number.
    lookups: Vec<(u64, Waiting)>,
    /// The peer doesn't take its answers: no more is asked until it does.
    is_slow: bool,
    is_paused: bool,
}

impl Protocol for Resolving {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        self.conversation.received(data);
        self.go_on();
        None
    }

    fn write_drained(&mut self) {
        self.is_slow = false;
        self.go_on();
    }

    fn read_connection_lost(&mut self, _: &Transport<Self>) {
        self.conversation.ended();
        self.go_on();
    }
}

impl Resolving {
    /// Asks what may be asked, sends what is answered, and slows down a peer that is ahead.
    fn go_on(&mut self) {
        while !self.is_slow {
            while let Some(question) = self.conversation.next_question() {
                self.ask(question);
            }
            let answers = self.conversation.take_answers();
            if answers.is_empty() {
                break;
            }
            self.transport.write(answers.as_bytes());
            self.is_slow = self.transport.room() == 0;
        }
        if self.conversation.is_over() {
            return self.transport.lose_connection();
        }
        let pause = self.is_slow || self.conversation.is_full();
        if pause != std::mem::replace(&mut self.is_paused, pause) {
            match pause {
                true => self.transport.pause_producing(),
                false => self.transport.resume_producing(),
            }
        }
    }

    fn ask(&mut self, question: Question) {
        let Question { number, name } = question;
        let line = host_number(&name)
            .map(|number| number.to_string())
            .catch(|failure| Ok(format!("error: {failure}")));
        let lookup = line.call_on(&self.transport, move |this, line| {
            this.answered(number, line);
            None
        });
        self.lookups.push((number, lookup));
    }

    fn answered(&mut self, number: u64, line: Result<String, Failure>) {
        self.lookups.retain(|(other, _)| *other != number);
        // The chain has made a line of every failure but one of a callback of its own.
        let line = line.unwrap_or_else(|failure| format!("error: {failure}"));
        self.conversation.answered(number, line);
        self.go_on();
    }
}

torsade_guest::export!(Server, serves = ["addresses of names"]);

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::path::Path;

    use torsade_guest::testing::{Bench, Question, conversations};

    use super::Server;

    #[test]
    fn conversations_go_as_told() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conversations");
        conversations::<Server>(&folder).unwrap();
    }

    #[test]
    fn answers_wait_for_those_before_them() {
        let mut bench = Bench::<Server>::start("{}").unwrap();
        let peer = bench.connect();
        bench.send(&peer, b"one.example\ntwo.example\n");
        let mut asked = bench.asked();
        assert_eq!(asked[1].question, Question::Lookup("two.example".to_owned()));
        let addresses = |last| vec![IpAddr::from([192, 0, 2, last])];
        bench.answer(asked.remove(1), addresses(2));
        assert_eq!(peer.take_text(), "");
        bench.answer(asked.remove(0), addresses(1));
        assert_eq!(peer.take_text(), "3221225985\n3221225986\n");
    }

    #[test]
    fn who_has_gone_is_looked_up_nothing() {
        let mut bench = Bench::<Server>::start("{}").unwrap();
        let peer = bench.connect();
        bench.send(&peer, b"one.example\n");
        bench.lose(&peer);
        assert_eq!(bench.asked().len(), 0);
    }

    #[test]
    fn a_peer_that_takes_no_answers_is_asked_no_more() {
        let mut bench = Bench::<Server>::start("{}").unwrap();
        let peer = bench.connect();
        bench.set_reading(&peer, false);
        while !peer.is_paused() {
            bench.send(&peer, b"\n".repeat(1_000).as_slice());
        }
        let unsent = peer.unsent();
        assert!((65_536..70_000).contains(&unsent), "{unsent}");
        bench.set_reading(&peer, true);
        assert!(!peer.is_paused());
    }
}
