//! The host as others see it from outside: a status, as metrics over HTTP and through the admin
//! socket.
//!
//! One thread answers both, with a loop and a network of its own, so that nobody who asks can keep a
//! connection of a service waiting. It knows no plugin, and of workers only what they tell.

pub mod admin;
mod caller;
pub mod client;
mod http;
pub mod metrics;
pub mod status;

use std::io::{self, ErrorKind};
use std::mem;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::net::os::{OsListener, OsNet};
use crate::net::{Net, Ready, Waker};
use admin::{Answer, Request};
use caller::{Caller, Next};
use status::Status;

pub(crate) use caller::Speaks;

/// What can be asked of a host.
pub(crate) trait Host {
    /// What it serves, and what it has counted; it has served for so long.
    fn status(&mut self, uptime: Duration) -> Status;

    /// Stops one service.
    ///
    /// # Errors
    /// Why it can't be, for a person.
    fn stop(&mut self, service: &str) -> Result<(), String>;

    /// Reads the configuration anew, which takes as long as building plugins does, and tells `asker`
    /// what came of it. One that is dropped means that nobody will.
    fn reload(&mut self, asker: Asker);
}

/// What a caller is answered who has waited for it.
type Outcome = (u64, Answer);

/// A caller who waits until a reload is over.
pub(crate) struct Asker {
    caller: u64,
    outcomes: Sender<Outcome>,
    waker: Waker,
}

impl Asker {
    /// What has changed, or why nothing has, for a person.
    pub(crate) fn tell(self, outcome: Result<String, String>) {
        let answer = outcome.map_or_else(Answer::Failed, Answer::Reloaded);
        // Who observes no more has no callers either.
        let _ = self.outcomes.send((self.caller, answer));
        self.waker.wake();
    }
}

/// A socket that callers come to, and what they speak.
pub(crate) struct Door<L> {
    pub(crate) socket: L,
    pub(crate) speaks: Speaks,
}

/// A thread that answers until it is dropped.
pub(crate) struct Observing {
    thread: Option<JoinHandle<()>>,
    /// Dropping it tells the thread to end.
    stop: Option<Sender<()>>,
    waker: Waker,
}

impl Observing {
    /// Answers all who come to the doors, on a thread named `torsade-admin`.
    pub(crate) fn start(
        doors: Vec<Door<OsListener>>,
        host: impl Host + Send + 'static,
    ) -> io::Result<Self> {
        let net = OsNet::new()?;
        let waker = net.waker();
        let mut observer = Observer::new(net, doors, host)?;
        let (stop, stopped) = mpsc::channel();
        let run = move || {
            if let Err(error) = observer.run(&stopped) {
                tracing::error!("nobody answers to metrics and the admin socket: {error}");
            }
        };
        let thread = thread::Builder::new().name("torsade-admin".to_owned()).spawn(run)?;
        Ok(Self { thread: Some(thread), stop: Some(stop), waker })
    }
}

impl Drop for Observing {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.waker.wake();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread for metrics and the admin socket has panicked");
        }
    }
}

/// Answers callers.
struct Observer<N: Net, H> {
    net: N,
    host: H,
    doors: Vec<Door<N::Listener>>,
    /// [`CALLERS`] places for each door; their tokens follow those of the doors.
    callers: Vec<Option<Caller<N::Stream>>>,
    /// How many have called.
    called: u64,
    /// What reloads come to.
    outcomes: Receiver<Outcome>,
    /// Where that is told.
    outcomes_to: Sender<Outcome>,
    started: Instant,
    /// The last status, and when it was told.
    last: Option<(Instant, Status)>,
    /// A door could not be opened to somebody who waits there.
    waits: bool,
    ready: Vec<Ready>,
}

impl<N: Net, H: Host> Observer<N, H> {
    fn new(mut net: N, mut doors: Vec<Door<N::Listener>>, host: H) -> io::Result<Self> {
        for (token, door) in doors.iter_mut().enumerate() {
            net.watch_listener(&mut door.socket, token as u64)?;
        }
        let callers = (0..doors.len() * CALLERS).map(|_| None).collect();
        let (outcomes_to, outcomes) = mpsc::channel();
        Ok(Self {
            started: net.now(),
            net,
            host,
            doors,
            callers,
            called: 0,
            outcomes,
            outcomes_to,
            last: None,
            waits: false,
            ready: Vec::new(),
        })
    }

    /// Runs until the sender of `stopped` is gone.
    fn run(&mut self, stopped: &Receiver<()>) -> io::Result<()> {
        while stopped.try_recv() != Err(TryRecvError::Disconnected) {
            self.turn()?;
        }
        for door in self.doors.drain(..) {
            self.net.close_listener(door.socket);
        }
        Ok(())
    }

    /// Waits until something is to be done, and does it.
    fn turn(&mut self) -> io::Result<()> {
        let until = self.callers.iter().flatten().map(|caller| caller.until).min();
        let left = until.map(|until| until.saturating_duration_since(self.net.now()));
        let retry = self.waits.then_some(RETRY);
        let timeout = left.into_iter().chain(retry).min();
        let mut ready = mem::take(&mut self.ready);
        self.net.poll(timeout, &mut ready)?;
        if mem::take(&mut self.waits) {
            (0..self.doors.len()).for_each(|door| self.open(door));
        }
        for edge in ready.drain(..) {
            match (edge.token as usize).checked_sub(self.doors.len()) {
                None => self.open(edge.token as usize),
                Some(place) => self.go_on(place),
            }
        }
        self.ready = ready;
        while let Ok((caller, answer)) = self.outcomes.try_recv() {
            self.tell(caller, &answer);
        }
        let now = self.net.now();
        for place in 0..self.callers.len() {
            if self.callers[place].as_ref().is_some_and(|caller| caller.until <= now) {
                self.end(place);
            }
        }
        Ok(())
    }

    /// Lets in who waits at a door.
    fn open(&mut self, door: usize) {
        for _ in 0..CALLERS_A_TURN {
            match self.net.accept(&mut self.doors[door].socket) {
                Ok((stream, _)) => self.let_in(door, stream),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == ErrorKind::ConnectionAborted => {}
                Err(_) => break,
            }
        }
        self.waits = true;
    }

    /// Gives somebody a place of the door: where all are taken, that of the one who would be sent away
    /// next, so that those who take their time keep nobody out.
    fn let_in(&mut self, door: usize, mut stream: N::Stream) {
        let places = door * CALLERS..(door + 1) * CALLERS;
        let until = |place: &usize| self.callers[*place].as_ref().map(|caller| caller.until);
        let place = places.min_by_key(until).unwrap_or_default();
        self.end(place);
        let token = (self.doors.len() + place) as u64;
        if self.net.watch(&mut stream, token).is_err() {
            return self.net.reset(stream);
        }
        self.called += 1;
        let caller = Caller::new(self.called, stream, self.doors[door].speaks, self.net.now());
        self.callers[place] = Some(caller);
        self.go_on(place);
    }

    /// Goes on with a caller, as far as it goes now.
    fn go_on(&mut self, place: usize) {
        for _ in 0..STEPS {
            let Some(caller) = &mut self.callers[place] else { return };
            let answer = match caller.next(&mut self.net) {
                Next::Wait => return,
                Next::End => return self.end(place),
                Next::Page { head_only } => {
                    let page = metrics::page(self.status());
                    http::with_page(&page, head_only)
                }
                Next::Ask(request) => {
                    let answer = match request {
                        Ok(Request::Reload) => {
                            caller.waits(self.net.now());
                            let (outcomes, waker) = (self.outcomes_to.clone(), self.net.waker());
                            self.host.reload(Asker { caller: caller.number, outcomes, waker });
                            return;
                        }
                        Ok(Request::Status) => Ok(Answer::Status(Box::new(self.status().clone()))),
                        Ok(Request::Stop(name)) => self.host.stop(&name).map(|()| Answer::Done),
                        Err(why) => Err(why),
                    };
                    answer.unwrap_or_else(Answer::Failed).to_line().into_bytes()
                }
            };
            let now = self.net.now();
            if let Some(caller) = &mut self.callers[place] {
                caller.answer(answer, now);
            }
        }
        // One who asks and asks has had its share.
        self.end(place);
    }

    /// Tells a caller what its reload came to, if it still waits.
    fn tell(&mut self, number: u64, answer: &Answer) {
        let now = self.net.now();
        let waits = |caller: &Caller<_>| caller.number == number;
        let found = self.callers.iter().position(|place| place.as_ref().is_some_and(waits));
        if let Some(place) = found
            && let Some(caller) = &mut self.callers[place]
        {
            caller.answer(answer.to_line().into_bytes(), now);
            self.go_on(place);
        }
    }

    /// The status, which is asked for again unless that was done a moment ago: many who ask cost the
    /// workers no more than a few.
    fn status(&mut self) -> &Status {
        let now = self.net.now();
        let since = |at| now.saturating_duration_since(at);
        let last = self.last.take().filter(|(at, _)| since(*at) < FRESH);
        let last = last.unwrap_or_else(|| (now, self.host.status(since(self.started))));
        &self.last.insert(last).1
    }

    fn end(&mut self, place: usize) {
        if let Some(caller) = self.callers[place].take() {
            caller.end(&mut self.net);
        }
    }
}

/// How many may be answered at once at one door.
const CALLERS: usize = 16;

/// How many are let in at one door in one turn.
const CALLERS_A_TURN: usize = 64;

/// How many requests of one caller are answered in one turn.
const STEPS: usize = 16;

/// How soon a door is tried again where the system could not let somebody in.
const RETRY: Duration = Duration::from_millis(100);

/// For how long a status is told again.
const FRESH: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests;
