//! Does all that a plugin may do, and much that it may not, as its peer says: a byte a command.
//!
//! [`Unruly::obey`] lists the commands; any other byte is sent back. What must never come to pass
//! by the contract is told by a `!`, which nothing else writes.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Duration;

use serde::Deserialize;
use torsade_guest::files::{self, File};
use torsade_guest::{Deferred, Failure, Origin, Plugin, Protocol, Reason, Transport, Waiting};
use torsade_guest::{code, random, timers};

/// How unruly it is from the start. Chances are one in so many; 0 is never.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// Milliseconds from the start until it takes connections.
    warm_up: u64,
    /// The chance that it refuses a connection.
    refuses: u64,
    /// The chance that it traps at the start.
    stumbles: u64,
}

struct Server(Config);

impl Plugin for Server {
    type Config = Config;
    type Protocol = Unruly;

    fn start(config: Config) -> Result<Self, String> {
        assert!(!happens(config.stumbles), "it stumbles");
        Ok(Self(config))
    }

    fn ready(&mut self) -> Option<Waiting> {
        let warm_up = self.0.warm_up;
        (warm_up > 0)
            .then(|| timers::after(Duration::from_millis(warm_up)).ok())?
            .map(Waiting::from)
    }

    fn build_protocol(&mut self, transport: Transport<Unruly>, _: Origin) -> Option<Unruly> {
        transport.write(b"hello\n");
        let (rest, kept) = (VecDeque::new(), Vec::new());
        (!happens(self.0.refuses)).then_some(Unruly { transport, rest, kept })
    }
}

/// One connection.
struct Unruly {
    transport: Transport<Self>,
    /// Commands that wait behind one that holds the connection.
    rest: VecDeque<u8>,
    /// What it waits for without holding the connection.
    kept: Vec<Waiting>,
}

impl Protocol for Unruly {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        if !self.rest.is_empty() {
            // It came while the connection was held.
            self.transport.write(b"!");
        }
        self.rest.extend(data);
        self.go_on()
    }

    fn write_drained(&mut self) {
        self.transport.write(b"drained\n");
    }

    fn read_connection_lost(&mut self, transport: &Transport<Self>) {
        transport.write(b"bye\n");
        if random::number().is_multiple_of(2) {
            return transport.lose_connection();
        }
        let closes = |unruly: &mut Self| unruly.transport.lose_connection();
        if !self.later(closes) {
            transport.lose_connection();
        }
    }

    fn connection_lost(&mut self, _reason: Reason) {
        // Nobody can receive it, and it must do no harm.
        self.transport.write(b"!");
        self.transport.resume_producing();
        self.transport.lose_connection();
    }
}

impl Unruly {
    fn go_on(&mut self) -> Option<Waiting> {
        while let Some(command) = self.rest.pop_front() {
            if let Some(waiting) = self.obey(command) {
                return Some(waiting);
            }
        }
        None
    }

    fn obey(&mut self, command: u8) -> Option<Waiting> {
        match command {
            b'a' => self.transport.abort_connection(),
            b'b' => return self.hold_until_cancelled(),
            b'c' => self.cancel_timer(),
            b'd' => drop(timers::after(moment())),
            b'e' => return self.read(files::open("../escape")),
            b'f' => self.flood(),
            b'g' => torsade_guest::info!("{}", "g".repeat(5 << 20)),
            b'h' => return self.hold(Self::go_on),
            b'H' => self.expect(exercise_heap(self.transport.peer_address().port)),
            b'i' => return self.hold(|unruly| unruly.hold(Self::go_on)),
            b'k' => {
                // A second time it fails, or does nothing.
                let _ = self.transport.lose_write_connection();
            }
            b'l' => self.transport.lose_connection(),
            b'L' => return self.list(),
            b'm' => hoard(),
            b'n' => return self.read(files::open("missing")),
            b'N' => self.set_options(),
            b'o' => return self.read(files::open("small.txt")),
            b'O' => return self.read(files::open("large.bin")),
            b'p' => self.pause(),
            // What came in the same chunk is thrown away.
            b'q' => self.rest.clear(),
            b's' => spin(),
            b't' => panic!("it was told to"),
            b'w' => self.transport.write(&[b'w'; 1000]),
            b'W' => self.transport.write(&[b'W'; 40_000]),
            b'X' => self.transport.write(&[b'X'; 300_000]),
            b'z' => self.cancel_open(),
            other => self.transport.write(&[other]),
        }
        None
    }

    /// Holds the connection for a moment.
    fn hold(&mut self, then: fn(&mut Self) -> Option<Waiting>) -> Option<Waiting> {
        let timer = timers::after(moment()).ok()?;
        Some(timer.call_on(&self.transport, move |unruly, fired| {
            unruly.expect(fired.is_ok());
            then(unruly)
        }))
    }

    /// Holds the connection on a timer that only another one ends.
    fn hold_until_cancelled(&mut self) -> Option<Waiting> {
        let timer = timers::after(Duration::from_secs(3600)).ok()?;
        let held = timer.call_on(&self.transport, |unruly, fired| {
            unruly.expect(is_cancelled(&fired));
            unruly.go_on()
        });
        let canceller = held.canceller();
        let canceled = self.later(move |_| {
            canceller.cancel();
            canceller.cancel();
        });
        canceled.then_some(held)
    }

    fn cancel_timer(&mut self) {
        if let Ok(timer) = timers::after(moment()) {
            let timer = timer.call_on(&self.transport, |unruly, fired| {
                unruly.expect(is_cancelled(&fired));
                None
            });
            timer.cancel();
            timer.cancel();
            self.kept.push(timer);
        }
    }

    /// Whether the file is known already or not, what was cancelled must fail.
    fn cancel_open(&mut self) {
        if let Ok(open) = files::open("small.txt") {
            let open = open.call_on(&self.transport, |unruly, opened| {
                unruly.expect(is_cancelled(&opened));
                None
            });
            open.cancel();
            self.kept.push(open);
        }
    }

    /// Sends a file, and holds the connection until it is open.
    fn read(&mut self, open: Result<Deferred<File>, Failure>) -> Option<Waiting> {
        let send = |unruly: &mut Self, file: Result<File, Failure>| {
            match file.map(|file| (file.content(), file)) {
                Ok((Some(content), _)) => unruly.transport.write(&content),
                Ok((None, file)) => {
                    let size = file.metadata().size;
                    let sent = file.send(&unruly.transport, 0, size);
                    unruly.expect(sent.is_ok());
                }
                Err(failure) => unruly.transport.write(failure.code.as_bytes()),
            }
            unruly.go_on()
        };
        Some(open.ok()?.call_on(&self.transport, send))
    }

    fn list(&mut self) -> Option<Waiting> {
        let list = files::list("").ok()?;
        Some(list.call_on(&self.transport, |unruly, entries| {
            for entry in entries.unwrap_or_default() {
                unruly.transport.write(entry.name.as_bytes());
            }
            unruly.go_on()
        }))
    }

    fn pause(&mut self) {
        self.transport.pause_producing();
        if !self.later(|unruly| unruly.transport.resume_producing()) {
            self.transport.resume_producing();
        }
    }

    /// Does something after a moment, and meanwhile goes on. False where it can't wait.
    fn later(&mut self, then: impl FnOnce(&mut Self) + 'static) -> bool {
        let Ok(timer) = timers::after(moment()) else { return false };
        self.kept.push(timer.call_on(&self.transport, |unruly, fired| {
            unruly.expect(fired.is_ok());
            then(unruly);
            None
        }));
        true
    }

    fn set_options(&self) {
        let no_delay = self.transport.set_no_delay(true);
        let keep_alive = self.transport.set_keep_alive(true);
        self.expect(no_delay.is_ok() == keep_alive.is_ok());
    }

    /// More effects than an event may have.
    fn flood(&self) {
        for _ in 0..100_000 {
            self.transport.resume_producing();
        }
    }

    /// Tells the peer whether all is well.
    fn expect(&self, well: bool) {
        self.transport.write(if well { b"." } else { b"!" });
    }
}

/// More memory than a sandbox may have.
/// Takes and gives back pieces of memory of all sizes, in an order that follows from `seed`, and
/// says whether each still held then what was put into it.
fn exercise_heap(seed: u16) -> bool {
    let mut state = u32::from(seed) | 1;
    let mut below = move |end: usize| {
        // xorshift32
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize % end
    };
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    let mut well = true;
    for _ in 0..3000 {
        if pieces.len() > 50 || !pieces.is_empty() && below(2) == 0 {
            let at = below(pieces.len());
            let mut piece = pieces.swap_remove(at);
            let length = piece.len();
            piece.resize(length + below(1000), length as u8);
            well &= piece.iter().all(|byte| *byte == length as u8);
        } else {
            let length = match below(20) {
                0 => below(200_000),
                1..5 => below(10_000),
                _ => below(200),
            };
            pieces.push(vec![length as u8; length]);
        }
    }
    well
}

fn hoard() {
    let mut all = Vec::new();
    loop {
        all.push(black_box(vec![1_u8; 1 << 20]));
    }
}

fn spin() {
    loop {
        black_box(());
    }
}

/// Some milliseconds, or nothing.
fn moment() -> Duration {
    Duration::from_micros(random::number() % 8 * 1000)
}

fn happens(one_in: u64) -> bool {
    one_in > 0 && random::number().is_multiple_of(one_in)
}

fn is_cancelled<T>(result: &Result<T, Failure>) -> bool {
    result.as_ref().is_err_and(|failure| failure.code == code::CANCELLED)
}

torsade_guest::export!(Server);
