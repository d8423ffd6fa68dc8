//! Has as many timers and connections to be as its peer says: a line a command, each answered by
//! `ok` once it is done, or by why it can't be.
//!
//! [`Timing::obey`] lists the commands.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use torsade_guest::timers::{self, DelayedCall};
use torsade_guest::{
    Failure, NoConfig, Origin, Plugin, Protocol, Reason, Transport, Waiting, code, endpoints,
};

struct Server;

impl Plugin for Server {
    type Config = NoConfig;
    type Protocol = Timing;

    fn start(_config: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn build_protocol(&mut self, transport: Transport<Timing>, _: Origin) -> Option<Timing> {
        let (calls, dials) = (Vec::new(), Vec::new());
        Some(Timing { transport, line: Vec::new(), calls, dials, dice: Dice(1) })
    }
}

/// One connection.
struct Timing {
    transport: Transport<Self>,
    /// A command that has not ended.
    line: Vec<u8>,
    /// The timers that are pending, in the order made; only these are moved and cancelled.
    calls: Vec<DelayedCall>,
    /// The connections to be.
    dials: Vec<Waiting>,
    dice: Dice,
}

impl Protocol for Timing {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        for &byte in data {
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
            let answer = match self.obey(&line) {
                Ok(()) => "ok\n".to_owned(),
                Err(failure) => format!("{failure}\n"),
            };
            self.transport.write(answer.as_bytes());
        }
        None
    }

    fn connection_lost(&mut self, _reason: Reason) {
        self.calls.clear();
        self.dials.clear();
    }
}

impl Timing {
    /// Each number is how many; those that were made last are the first to go.
    fn obey(&mut self, line: &str) -> Result<(), Failure> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["add", count] => self.add(number(count)?),
            ["move", count] => self.reset(number(count)?),
            ["cancel", count] => {
                self.calls.truncate(self.calls.len().saturating_sub(number(count)?));
                Ok(())
            }
            ["fire", count, milliseconds] => self.fire(number(count)?, number(milliseconds)?),
            ["dial", count, port] => self.dial(number(count)?, port),
            ["hang-up", count] => {
                self.dials.truncate(self.dials.len().saturating_sub(number(count)?));
                Ok(())
            }
            _ => Err(Failure::new(code::INVALID, format!("{line:?} is no command"))),
        }
    }

    /// Timers that are due when nobody looks any more.
    fn add(&mut self, count: usize) -> Result<(), Failure> {
        for _ in 0..count {
            let delay = self.dice.hours();
            self.calls.push(timers::call_later(delay, || ())?);
        }
        Ok(())
    }

    fn reset(&mut self, count: usize) -> Result<(), Failure> {
        for _ in 0..count {
            let (place, delay) = (self.dice.below(self.calls.len()), self.dice.hours());
            self.calls[place].reset(delay)?;
        }
        Ok(())
    }

    /// Timers that are due all at once. The last one says so.
    fn fire(&self, count: usize, milliseconds: usize) -> Result<(), Failure> {
        let left = Rc::new(Cell::new(count));
        for _ in 0..count {
            let (left, transport) = (Rc::clone(&left), self.transport.clone());
            let call = move || {
                left.set(left.get() - 1);
                if left.get() == 0 {
                    transport.write(b"fired\n");
                }
            };
            timers::call_later(Duration::from_millis(milliseconds as u64), call)?.detach();
        }
        Ok(())
    }

    /// Connections to a port that doesn't answer, so that they stay in flight. One that fails all
    /// the same is told of.
    fn dial(&mut self, count: usize, port: &str) -> Result<(), Failure> {
        let endpoint = format!("tcp:127.0.0.1:{port}:timeout=3600");
        for _ in 0..count {
            let dial = endpoints::connect(&endpoint)?;
            self.dials.push(dial.call_on(&self.transport, |timing, came| {
                let came = came.map_or_else(|failure| failure.to_string(), |()| "it came".into());
                timing.transport.write(format!("a connection to be: {came}\n").as_bytes());
                None
            }));
        }
        Ok(())
    }
}

fn number(word: &str) -> Result<usize, Failure> {
    word.parse().map_err(|_| Failure::new(code::INVALID, format!("{word:?} is no number")))
}

/// The same numbers in each run (xorshift64), at the cost of no import.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count.max(1) as u64) as usize
    }

    /// One to two hours.
    fn hours(&mut self) -> Duration {
        Duration::from_secs(3600) + Duration::from_micros(self.next() % 3_600_000_000)
    }
}

torsade_guest::export!(Server);
