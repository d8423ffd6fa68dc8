//! Asks the host for all that it can be asked for, as its peers say: a line a command.
//!
//! A command is two letters, what and how, and an argument: `Ck tcp:192.0.2.1:80`. [`Asker::obey`]
//! and [`Asker::wait`] list them. Answers are a `+` or the code of a failure. What must never come
//! to pass by the contract is told by a `!`, which nothing else writes.
#![forbid(unsafe_code)]

pub mod jobs;

use std::cell::{Cell, RefCell};
use std::mem;
use std::rc::Rc;
use std::time::Duration;

use torsade_guest::bindings::torsade::plugin::deferreds;
use torsade_guest::resolver::Family;
use torsade_guest::sql::{self, Statement};
use torsade_guest::timers::{self, DelayedCall};
use torsade_guest::{Deferred, Failure, NoConfig, Origin, Plugin, Protocol, Reason, Transport};
use torsade_guest::{Waiting, clock, code, endpoints, key_value, random, resolver};

struct Server;

thread_local! {
    /// What is done with the next connection that was dialled.
    static NEXT: Cell<u8> = const { Cell::new(0) };
}

impl Plugin for Server {
    type Config = NoConfig;
    type Protocol = Asker;

    fn start(_: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn build_protocol(&mut self, transport: Transport<Asker>, origin: Origin) -> Option<Asker> {
        if let Origin::Dialled(id) = origin {
            match NEXT.replace(0) {
                b'a' => transport.abort_connection(),
                b'c' => deferreds::cancel(id),
                b'l' => transport.lose_connection(),
                b'r' => return None,
                b't' => panic!("it was told to"),
                _ => transport.write(b"hello\n"),
            }
        }
        let kept = Rc::default();
        Some(Asker { transport, rest: Vec::new(), holding: false, kept, calls: Vec::new() })
    }
}

/// One connection.
struct Asker {
    transport: Transport<Self>,
    /// Commands that wait behind one that holds the connection, and what isn't a line yet.
    rest: Vec<u8>,
    holding: bool,
    /// What it waits for, or holds, without holding the connection.
    kept: Rc<RefCell<Vec<Kept>>>,
    calls: Vec<Rc<Call>>,
}

/// Dropping it ends what it stands for.
#[expect(dead_code, reason = "dropping it is what matters")]
enum Kept {
    Listener(endpoints::Listener),
    Waiting(Waiting),
}

/// A call that may be moved.
struct Call {
    due: Cell<Duration>,
    call: RefCell<Option<DelayedCall>>,
}

impl Protocol for Asker {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        self.expect(!self.holding);
        self.rest.extend(data);
        self.go_on()
    }

    fn connection_lost(&mut self, _: Reason) {
        // Nobody can receive it, and it must do no harm.
        self.transport.write(b"!");
    }
}

impl Asker {
    fn go_on(&mut self) -> Option<Waiting> {
        self.holding = false;
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]).into_owned();
            if let (Some(command), Some(argument)) = (line.get(..2), line.get(3..))
                && let Some(waiting) = self.obey(command.as_bytes(), argument)
            {
                self.holding = true;
                return Some(waiting);
            }
        }
        None
    }

    fn obey(&mut self, command: &[u8], argument: &str) -> Option<Waiting> {
        let (how, bytes) = (command[1], argument.as_bytes());
        let statement = Statement::new(argument);
        match command[0] {
            b'A' => self.transport.abort_connection(),
            b'B' => return self.wait(how, sql::batch(&[statement.clone(), statement])),
            b'C' => return self.wait(how, endpoints::connect(argument)),
            b'D' => return self.wait(how, key_value::delete(bytes)),
            b'E' => return self.wait(how, sql::execute(&statement)),
            b'F' => drop(self.kept.take()),
            b'G' => return self.wait(how, key_value::get(bytes)),
            b'J' => return self.wait(how, torsade_guest::jobs::run(argument, b"input")),
            b'K' => self.cancel_all(),
            b'L' => return self.listen(how, argument),
            b'M' => self.call_later(milliseconds(argument)),
            b'N' => return self.wait(how, resolver::lookup(argument, Family::Any)),
            b'O' => {
                let asked = timers::after(milliseconds(argument));
                let waiting = asked.ok()?.call_on(&self.transport, |asker, _| {
                    asker.move_calls(b'm', Duration::from_millis(300));
                    None
                });
                self.keep(Kept::Waiting(waiting));
            }
            b'P' => {
                let asked = key_value::compare_and_set(bytes, None, Some(bytes), None);
                return self.wait(how, asked);
            }
            b'Q' => return self.wait(how, sql::query(&statement)),
            b'R' => NEXT.set(how),
            b'S' => {
                let asked = key_value::set(bytes, bytes, Some(milliseconds(argument)));
                return self.wait(how, asked);
            }
            b'T' => return self.wait(how, timers::after(milliseconds(argument))),
            b'V' => self.move_calls(how, milliseconds(argument)),
            b'W' => self.transport.write(bytes),
            b'X' => panic!("it was told to"),
            b'Y' => self.transport.lose_connection(),
            b'Z' => return self.wait(how, key_value::scan(bytes, None, 10)),
            _ => self.transport.write(b"?"),
        }
        None
    }

    /// Waits for an answer, or gives it up.
    fn wait<T: 'static>(
        &mut self,
        how: u8,
        asked: Result<Deferred<T>, Failure>,
    ) -> Option<Waiting> {
        let deferred = match asked {
            Ok(deferred) => deferred,
            Err(failure) => {
                self.answer::<T>(Err(failure));
                return None;
            }
        };
        if how == b'f' {
            // It goes on when the connection is gone.
            deferred.map(drop).catch(|_| Ok(())).detach();
            return None;
        }
        let cancelled = how == b'c';
        let holds = matches!(how, b'b' | b'h');
        let waiting = deferred.call_on(&self.transport, move |asker, result| {
            let was_cancelled = result.as_ref().is_err_and(|f| f.code == code::CANCELLED);
            asker.expect(was_cancelled || !cancelled);
            asker.answer(result);
            if holds { asker.go_on() } else { None }
        });
        self.give_up(how, waiting)
    }

    /// Does with a deferred what the command says.
    fn give_up(&mut self, how: u8, waiting: Waiting) -> Option<Waiting> {
        match how {
            b'b' => {
                let canceller = waiting.canceller();
                self.later(move || canceller.cancel());
                return Some(waiting);
            }
            b'c' => {
                waiting.cancel();
                waiting.cancel();
                self.keep(Kept::Waiting(waiting));
            }
            b'd' => drop(waiting),
            b'h' => return Some(waiting),
            b'l' => {
                let canceller = waiting.canceller();
                self.keep(Kept::Waiting(waiting));
                self.later(move || canceller.cancel());
            }
            b'x' => {
                let slot = Cell::new(Some(waiting));
                self.later(move || drop(slot.take()));
            }
            _ => self.keep(Kept::Waiting(waiting)),
        }
        None
    }

    /// Listens, and keeps the listener until the connection is lost or `F` comes.
    fn listen(&mut self, how: u8, endpoint: &str) -> Option<Waiting> {
        // Cancelling a chain drops the callback of what it waits for next, which would go on.
        let how = if how == b'b' { b'h' } else { how };
        let kept = Rc::clone(&self.kept);
        let listening = endpoints::listen(endpoint).map(|deferred| {
            if how == b'f' {
                return deferred.map(drop);
            }
            deferred.map(move |listener| kept.borrow_mut().push(Kept::Listener(listener)))
        });
        self.wait(how, listening)
    }

    fn cancel_all(&mut self) {
        for kept in &*self.kept.borrow() {
            if let Kept::Waiting(waiting) = kept {
                waiting.cancel();
            }
        }
    }

    /// Calls something that can be moved: never before the time that was said last.
    fn call_later(&mut self, delay: Duration) {
        let due = Cell::new(clock::monotonic() + delay);
        let call = Rc::new(Call { due, call: RefCell::new(None) });
        let (called, transport) = (Rc::downgrade(&call), self.transport.clone());
        let asked = timers::call_later(delay, move || {
            let early = called.upgrade().is_some_and(|it| clock::monotonic() < it.due.get());
            transport.write(if early { b"!" } else { b"+" });
        });
        if let Ok(asked) = asked {
            call.call.replace(Some(asked));
            self.calls.push(call);
        }
    }

    /// Moves all calls that are yet to come, or cancels them.
    fn move_calls(&mut self, how: u8, delay: Duration) {
        for call in &self.calls {
            let Some(delayed) = &*call.call.borrow() else { continue };
            if how == b'c' {
                // Where it was called already there is nothing to cancel.
                let _ = delayed.cancel();
            } else if delayed.reset(delay).is_ok() {
                call.due.set(clock::monotonic() + delay);
            }
        }
    }

    /// Does something after a moment.
    fn later(&mut self, then: impl FnOnce() + 'static) {
        if let Ok(timer) = timers::after(Duration::from_micros(random::number() % 40 * 1000)) {
            let waiting = timer.call_on(&self.transport, move |_, _| {
                then();
                None
            });
            self.keep(Kept::Waiting(waiting));
        }
    }

    fn keep(&mut self, kept: Kept) {
        self.kept.borrow_mut().push(kept);
    }

    fn answer<T>(&mut self, result: Result<T, Failure>) {
        match result {
            Ok(_) => self.transport.write(b"+"),
            Err(failure) => self.transport.write(failure.code.as_bytes()),
        }
    }

    /// Tells the peer where something is wrong.
    fn expect(&self, well: bool) {
        if !well {
            self.transport.write(b"!");
        }
    }
}

/// What a closed connection kept goes with it, whoever holds the protocol.
impl Drop for Asker {
    fn drop(&mut self) {
        drop(mem::take(&mut self.kept).take());
    }
}

fn milliseconds(text: &str) -> Duration {
    Duration::from_millis(text.parse().unwrap_or(0))
}

torsade_guest::export!(Server);
torsade_guest::export_jobs!(jobs::Work);
