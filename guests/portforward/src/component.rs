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
