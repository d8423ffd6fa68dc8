//! A plugin on a bench: driven natively, by a test in the host's stead.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::question::{fail_next, set_on_the_bench, take_asked};
use super::{Asked, Clock, Question, Random, StringTransport, is_on_the_bench};
use crate::bindings::exports::torsade::plugin::stopping::Guest as _;
use crate::component::{self, Component, Exported};
use crate::handle::Handle;
use crate::plugin::Plugin;
use crate::stream_bindings::exports::torsade::plugin::protocols::GuestProtocol;
use crate::turn::event;
use crate::types::{Address, Origin, Reason, code};

/// A plugin as it is, and in the host's stead a test: it connects, sends, ends and breaks, lets time
/// pass, and answers what the plugin asks, or fails it.
///
/// All is done before a call returns, but for what takes time or waits for an answer. There is one
/// bench at a time on a thread. What the plugin writes is taken by its peers at once, unless they
/// stop reading; its clock and its random numbers are the bench's.
///
/// ```
/// use torsade_guest::testing::{Bench, Question};
/// use torsade_guest::{Failure, NoConfig, Origin, Plugin, Protocol, Transport, Waiting, key_value};
///
/// /// Tells the value of a key.
/// struct Teller;
///
/// impl Plugin for Teller {
///     type Config = NoConfig;
///     type Protocol = Telling;
///
///     fn start(_: NoConfig) -> Result<Self, String> {
///         Ok(Teller)
///     }
///
///     fn build_protocol(&mut self, transport: Transport<Telling>, _: Origin) -> Option<Telling> {
///         Some(Telling(transport))
///     }
/// }
///
/// struct Telling(Transport<Telling>);
///
/// impl Protocol for Telling {
///     fn data_received(&mut self, key: &[u8]) -> Option<Waiting> {
///         let value = key_value::get(key).ok()?;
///         Some(value.call_on(&self.0, Telling::tell))
///     }
/// }
///
/// impl Telling {
///     fn tell(&mut self, value: Result<Option<Vec<u8>>, Failure>) -> Option<Waiting> {
///         match value {
///             Ok(value) => self.0.write(&value.unwrap_or_default()),
///             Err(failure) => self.0.write(failure.code.as_bytes()),
///         }
///         None
///     }
/// }
///
/// let mut bench = Bench::<Teller>::start("{}").unwrap();
/// let alice = bench.connect();
/// bench.send(&alice, b"colour");
/// let asked = bench.asked().pop().unwrap();
/// assert_eq!(asked.question, Question::Get(b"colour".to_vec()));
/// assert!(alice.is_paused(), "it waits for the answer");
/// bench.answer(asked, Some(b"blue".to_vec()));
/// assert_eq!(alice.take(), b"blue");
///
/// bench.send(&alice, b"size");
/// let asked = bench.asked().pop().unwrap();
/// bench.fail(asked, "timed-out", "the disk is slow");
/// assert_eq!(alice.take(), b"timed-out");
///
/// bench.lose(&alice);
/// assert_eq!(alice.reason().unwrap().code, "lost");
/// ```
pub struct Bench<P: Plugin> {
    connections: Vec<Connected<P>>,
    /// Peers that have come before the plugin was ready.
    waiting: VecDeque<Rc<StringTransport>>,
    is_ready: Rc<Cell<bool>>,
    asked: Vec<Asked>,
    /// How many transports were made.
    made: u16,
    clock: Clock,
    _random: Random,
}

struct Connected<P: Plugin> {
    transport: Rc<StringTransport>,
    protocol: Exported<P::Protocol>,
}

impl<P: Plugin> Bench<P> {
    /// Starts the plugin, with a `config` table as JSON.
    ///
    /// # Errors
    /// What the plugin says of its configuration; or that there is a bench on this thread already.
    pub fn start(config: &str) -> Result<Self, String> {
        if is_on_the_bench() {
            return Err("there is a bench on this thread already: drop it before".to_owned());
        }
        set_on_the_bench(true);
        let mut bench = Self {
            connections: Vec::new(),
            waiting: VecDeque::new(),
            is_ready: Rc::default(),
            asked: Vec::new(),
            made: 0,
            clock: Clock::install(),
            _random: Random::seeded(0),
        };
        match event(|| component::begin::<P>(config))? {
            None => bench.is_ready.set(true),
            Some(waiting) => {
                let (chain, is_ready) = (waiting.into_chain(), Rc::clone(&bench.is_ready));
                chain.at_the_end(move || is_ready.set(true));
                chain.keep();
            }
        }
        bench.settle();
        Ok(bench)
    }

    /// A new peer connects, from an address of its own. Its protocol is built at once, or when the
    /// plugin is ready.
    pub fn connect(&mut self) -> Rc<StringTransport> {
        let from = format!("10.0.0.{}", 2 + self.made % 250);
        self.connect_from(&from)
    }

    /// A new peer connects from this address.
    pub fn connect_from(&mut self, host: &str) -> Rc<StringTransport> {
        let transport = self.transport(host);
        self.waiting.push_back(Rc::clone(&transport));
        self.settle();
        transport
    }

    /// The peer sends these bytes, as one piece. They are delivered once the protocol takes data.
    pub fn send(&mut self, transport: &StringTransport, data: &[u8]) {
        let pieces = data.chunks(PIECE).map(<[u8]>::to_vec);
        transport.state_mut().input.extend(pieces);
        self.settle();
    }

    /// The peer ends its half of the stream, behind all that it has sent.
    pub fn end(&mut self, transport: &StringTransport) {
        transport.state_mut().has_ended = true;
        self.settle();
    }

    /// The connection breaks: what was not delivered is lost.
    pub fn lose(&mut self, transport: &StringTransport) {
        self.finish(transport, code::LOST);
        self.settle();
    }

    /// The peer stops reading what the protocol writes, so that its room comes to an end; or it
    /// reads on.
    pub fn set_reading(&mut self, transport: &StringTransport, is_reading: bool) {
        transport.state_mut().is_reading = is_reading;
        self.settle();
    }

    /// Lets time pass: all that falls due is done at its own time.
    pub fn advance(&mut self, time: Duration) {
        let until = self.clock.now() + time;
        for _ in 0..ROUNDS {
            let due = self.clock.first_due().filter(|due| *due <= until);
            let now = self.clock.now();
            self.clock.advance(due.unwrap_or(until).saturating_sub(now));
            self.settle();
            if due.is_none() {
                return;
            }
        }
        panic!("the plugin sets timers without end");
    }

    /// The bench's clock, as the plugin sees it.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Takes the questions that the plugin waits for, in the order asked.
    pub fn asked(&mut self) -> Vec<Asked> {
        self.asked.extend(take_asked());
        self.asked.retain(Asked::is_wanted);
        std::mem::take(&mut self.asked)
    }

    /// Answers a question, with a value of the type that [`Question`] says.
    #[track_caller]
    pub fn answer<T: 'static>(&mut self, asked: Asked, value: T) {
        asked.answer(value);
        self.settle();
    }

    /// Fails a question.
    pub fn fail(&mut self, asked: Asked, code: &str, message: &str) {
        asked.fail(code, message);
        self.settle();
    }

    /// Has the next question fail at once, with [`LIMIT`](crate::code::LIMIT), as
    /// where too much is asked at once.
    pub fn fail_next(&mut self) {
        fail_next();
    }

    /// Takes a connection that the plugin asked for: its protocol is built, and then the question is
    /// answered. None where the plugin refuses it, or waits for it no more.
    ///
    /// # Panics
    /// Where something else was asked.
    #[track_caller]
    pub fn accept(&mut self, asked: Asked) -> Option<Rc<StringTransport>> {
        let is_connect = matches!(asked.question, Question::Connect(_));
        assert!(is_connect, "{:?} asks for no connection", asked.question);
        if !asked.is_wanted() {
            return None;
        }
        let transport = self.transport("10.0.0.1");
        if self.build(&transport, Origin::Dialled(asked.number())) {
            self.answer(asked, ());
            return Some(transport);
        }
        self.fail(asked, code::REFUSED, "the plugin has refused it");
        None
    }

    /// The host is stopping.
    pub fn stop(&mut self) {
        Component::<P>::stopping();
        self.settle();
    }

    fn transport(&mut self, host: &str) -> Rc<StringTransport> {
        let port = 40_000 + self.made % 20_000;
        self.made = self.made.wrapping_add(1);
        let peer = Address { kind: "tcp".to_owned(), host: host.to_owned(), port };
        Rc::new(StringTransport::new(peer))
    }

    /// Has a protocol built; says whether there is one.
    fn build(&mut self, transport: &Rc<StringTransport>, origin: Origin) -> bool {
        match component::connect::<P>(Handle::Bench(Rc::clone(transport)), origin) {
            Some(protocol) => {
                let transport = Rc::clone(transport);
                self.connections.push(Connected { transport, protocol });
                true
            }
            None => {
                transport.state_mut().reason = Some(reason(code::DONE));
                false
            }
        }
    }

    /// Does what follows from what was done, until nothing does.
    fn settle(&mut self) {
        for _ in 0..ROUNDS {
            if self.is_ready.get()
                && let Some(transport) = self.waiting.pop_front()
            {
                self.build(&transport, Origin::Accepted(0));
                continue;
            }
            let next = self.connections.iter().find_map(Connected::attend);
            let Some((transport, code)) = next else { return };
            if let Some(code) = code {
                self.finish(&transport, code);
            }
        }
        panic!("the plugin doesn't come to rest");
    }

    /// Tells a protocol that its connection is lost, and drops it.
    fn finish(&mut self, transport: &StringTransport, code: &str) {
        let is_it = |connected: &Connected<P>| std::ptr::eq(&*connected.transport, transport);
        if let Some(at) = self.connections.iter().position(is_it) {
            let Connected { transport, protocol } = self.connections.remove(at);
            transport.flush();
            transport.state_mut().reason = Some(reason(code));
            protocol.connection_lost(reason(code));
        } else if !transport.is_lost() {
            // It has come before the plugin was ready.
            self.waiting.retain(|other| !std::ptr::eq(&**other, transport));
            transport.state_mut().reason = Some(reason(code));
        }
    }
}

impl<P: Plugin> Connected<P> {
    /// Does the next thing that is to be done: an event of the protocol; or gives the code with
    /// which its connection has ended. None where there is nothing to do.
    fn attend(&self) -> Option<(Rc<StringTransport>, Option<&'static str>)> {
        let ended = |code| Some((Rc::clone(&self.transport), Some(code)));
        if self.transport.state().is_aborted {
            return ended(code::ABORTED);
        }
        if self.transport.flush() {
            self.protocol.write_drained();
        } else if self.transport.is_done() {
            return ended(code::DONE);
        } else if let Some(data) = self.next_piece() {
            // On a bench nothing is the host's to hold: what the protocol waits for has paused it.
            drop(self.protocol.data_received(data));
        } else if self.hears_of_the_end() {
            self.protocol.read_connection_lost();
        } else {
            return None;
        }
        Some((Rc::clone(&self.transport), None))
    }

    fn next_piece(&self) -> Option<Vec<u8>> {
        let state = &mut *self.transport.state_mut();
        let takes = !state.is_paused && !state.is_closing;
        if takes { state.input.pop_front() } else { None }
    }

    fn hears_of_the_end(&self) -> bool {
        let state = &mut *self.transport.state_mut();
        let hears = state.has_ended && !state.knows_of_end && !state.is_paused && !state.is_closing;
        state.knows_of_end |= hears;
        hears
    }
}

impl<P: Plugin> Drop for Bench<P> {
    fn drop(&mut self) {
        self.connections.clear();
        component::end();
        self.asked.clear();
        set_on_the_bench(false);
    }
}

fn reason(code: &str) -> Reason {
    Reason { code: code.to_owned(), message: "on the bench".to_owned() }
}

/// The largest piece that a protocol gets, in bytes, as from the host.
const PIECE: usize = 68 * 1024;

/// More things than follow from one that a test does, and more timers than fall due in one
/// [`Bench::advance`].
const ROUNDS: usize = 1_000_000;
