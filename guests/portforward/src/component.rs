//! Joins port forwarding to the host.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use torsade_guest::{
    Failure, Origin, Plugin, Protocol, Reason, Transport, Waiting, code, endpoints, warn,
};

use crate::config::Config;
use crate::pair::{Pair, Peer, Side};

/// An instance: all the pairs of connections that it has.
struct Forwarder {
    to: Rc<str>,
    dialling: Dialling,
}

/// The pairs that wait for their other side, by the number of the deferred that reports it.
type Dialling = Rc<RefCell<BTreeMap<u64, Shared>>>;

/// A pair, which both of its connections reach.
type Shared = Rc<RefCell<Pair<Transport<Forwarding>>>>;

impl Plugin for Forwarder {
    type Config = Config;
    type Protocol = Forwarding;

    fn start(config: Config) -> Result<Self, String> {
        config.check()?;
        Ok(Forwarder { to: config.to.into(), dialling: Dialling::default() })
    }

    fn build_protocol(
        &mut self,
        transport: Transport<Forwarding>,
        origin: Origin,
    ) -> Option<Forwarding> {
        match origin {
            Origin::Accepted(_) => self.accepted(&transport),
            Origin::Dialled(number) => self.dialled(number, transport),
            // It listens nowhere itself.
            Origin::Arrived(_) => None,
        }
    }
}

impl Forwarder {
    /// Begins to connect; the new connection is paused until that has come to something.
    fn accepted(&mut self, transport: &Transport<Forwarding>) -> Option<Forwarding> {
        let asked = match endpoints::connect(&self.to) {
            Ok(asked) => asked,
            Err(failure) => {
                refused(&self.to, &failure);
                transport.abort_connection();
                return None;
            }
        };
        let number = asked.number()?;
        let pair = Rc::new(RefCell::new(Pair::new(transport.clone())));
        self.dialling.borrow_mut().insert(number, Rc::clone(&pair));
        let to = Rc::clone(&self.to);
        let connecting = Connecting {
            number,
            dialling: Rc::clone(&self.dialling),
            _deferred: asked.call_on(transport, move |this, result| {
                this.connected(&to, result);
                None
            }),
        };
        Some(Forwarding { side: Side::Accepted, pair, connecting: Some(Box::new(connecting)) })
    }

    /// The other side of a pair is there; unless nobody waits for it any more.
    fn dialled(&mut self, number: u64, transport: Transport<Forwarding>) -> Option<Forwarding> {
        let pair = self.dialling.borrow_mut().remove(&number)?;
        pair.borrow_mut().joined(transport);
        Some(Forwarding { side: Side::Dialled, pair, connecting: None })
    }
}

/// One of the two connections of a pair.
struct Forwarding {
    side: Side,
    pair: Shared,
    /// What an accepted connection waits for.
    connecting: Option<Box<Connecting>>,
}

impl Forwarding {
    /// What became of the other side.
    fn connected(&mut self, to: &str, result: Result<(), Failure>) {
        self.connecting = None;
        if let Err(failure) = result {
            refused(to, &failure);
            self.pair.borrow_mut().refused();
        }
    }
}

impl Protocol for Forwarding {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        self.pair.borrow_mut().received(self.side, data);
        None
    }

    fn write_drained(&mut self) {
        self.pair.borrow_mut().drained(self.side);
    }

    fn read_connection_lost(&mut self, _: &Transport<Self>) {
        self.pair.borrow_mut().ended(self.side);
    }

    fn connection_lost(&mut self, reason: Reason) {
        self.pair.borrow_mut().lost(self.side, reason.code == code::DONE);
    }
}

/// A side that is being dialled. Dropping it gives that up.
struct Connecting {
    number: u64,
    dialling: Dialling,
    _deferred: Waiting,
}

impl Drop for Connecting {
    fn drop(&mut self) {
        self.dialling.borrow_mut().remove(&self.number);
    }
}

fn refused(to: &str, failure: &Failure) {
    warn!("can't connect to {to}: {failure}");
}

impl Peer for Transport<Forwarding> {
    fn write(&self, data: &[u8]) {
        self.write(data);
    }

    fn room(&self) -> u64 {
        self.room()
    }

    fn pause_producing(&self) {
        self.pause_producing();
    }

    fn resume_producing(&self) {
        self.resume_producing();
    }

    fn lose_write_connection(&self) {
        // It fails where the connection is closing, and then there is nothing left to end.
        let _ = self.lose_write_connection();
    }

    fn lose_connection(&self) {
        self.lose_connection();
    }

    fn abort_connection(&self) {
        self.abort_connection();
    }
}

torsade_guest::export!(
    Forwarder,
    serves = ["port forwarding"],
    schema = include_str!("../config.schema.json"),
);

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::rc::Rc;

    use torsade_guest::testing::{Bench, Lines, Question, StringTransport, conversations};

    use super::Forwarder;

    const TO: &str = "tcp:192.0.2.1:80";

    /// A bench with a connection that waits for its other side.
    fn waiting() -> (Bench<Forwarder>, Rc<StringTransport>) {
        let mut bench = Bench::start(&format!(r#"{{"to": "{TO}"}}"#)).unwrap();
        let accepted = bench.connect();
        (bench, accepted)
    }

    /// A bench with two connections that are joined.
    fn joined() -> (Bench<Forwarder>, [Rc<StringTransport>; 2]) {
        let (mut bench, accepted) = waiting();
        let asked = bench.asked().pop().unwrap();
        let dialled = bench.accept(asked).unwrap();
        (bench, [accepted, dialled])
    }

    fn reason(transport: &StringTransport) -> String {
        transport.reason().map(|reason| reason.code).unwrap_or_default()
    }

    #[test]
    fn conversations_go_as_told() {
        let _lines = Lines::keep();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conversations");
        conversations::<Forwarder>(&folder).unwrap();
    }

    #[test]
    fn the_accepted_side_waits_for_the_other() {
        let (mut bench, accepted) = waiting();
        bench.send(&accepted, b"early");
        assert!(accepted.is_paused());
        let asked = bench.asked().pop().unwrap();
        assert_eq!(asked.question, Question::Connect(TO.to_owned()));
        let dialled = bench.accept(asked).unwrap();
        assert!(!accepted.is_paused());
        assert_eq!(dialled.take(), b"early");
    }

    #[test]
    fn a_pair_that_is_refused_is_aborted() {
        let (lines, (mut bench, accepted)) = (Lines::keep(), waiting());
        let asked = bench.asked().pop().unwrap();
        bench.fail(asked, "refused", "nobody is there");
        assert_eq!(reason(&accepted), "aborted");
        assert_eq!(
            lines.take(),
            ["Level::Warn: can't connect to tcp:192.0.2.1:80: nobody is there (refused)"]
        );
    }

    #[test]
    fn nothing_is_dialled_for_one_who_has_gone() {
        let (mut bench, accepted) = waiting();
        bench.lose(&accepted);
        assert_eq!(bench.asked().len(), 0);
    }

    #[test]
    fn bytes_go_to_the_other_side_once() {
        let (mut bench, [accepted, dialled]) = joined();
        bench.send(&accepted, b"there");
        bench.send(&accepted, b" and again");
        bench.send(&dialled, b"and back");
        assert_eq!(dialled.take(), b"there and again");
        assert_eq!(accepted.take(), b"and back");
    }

    #[test]
    fn a_slow_side_pauses_the_other_until_it_reads_on() {
        for (slow, fast) in [(0, 1), (1, 0)] {
            let (mut bench, sides) = joined();
            bench.set_reading(&sides[slow], false);
            bench.send(&sides[fast], &[b'x'; 65_536]);
            assert!(sides[fast].is_paused());
            bench.send(&sides[fast], b"later");
            assert_eq!(sides[slow].unsent(), 65_536);
            bench.send(&sides[slow], b"the other way goes on");
            assert_eq!(sides[fast].take(), b"the other way goes on");
            bench.set_reading(&sides[slow], true);
            assert!(!sides[fast].is_paused());
            assert!(sides[slow].take().ends_with(b"xlater"));
        }
    }

    #[test]
    fn each_half_ends_by_itself() {
        for (first, last) in [(0, 1), (1, 0)] {
            let (mut bench, sides) = joined();
            bench.end(&sides[first]);
            assert!(sides[last].has_lost_write() && !sides[first].has_lost_write());
            bench.send(&sides[last], b"the rest");
            assert_eq!(sides[first].take(), b"the rest");
            bench.end(&sides[last]);
            assert_eq!(sides.each_ref().map(|side| reason(side)), ["done", "done"]);
        }
    }

    #[test]
    fn an_end_that_came_early_is_carried_over() {
        let (mut bench, accepted) = waiting();
        bench.end(&accepted);
        let asked = bench.asked().pop().unwrap();
        let dialled = bench.accept(asked).unwrap();
        assert!(dialled.has_lost_write() && !accepted.is_lost());
        bench.end(&dialled);
        assert!(dialled.is_lost() && accepted.is_lost());
    }

    #[test]
    fn a_side_that_is_lost_aborts_the_other() {
        for (lost, other) in [(0, 1), (1, 0)] {
            let (mut bench, sides) = joined();
            bench.lose(&sides[lost]);
            assert_eq!(reason(&sides[other]), "aborted");
        }
    }
}
