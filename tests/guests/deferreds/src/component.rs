//! Runs what its peer names: a line a behaviour, answered by `ok`; one that doesn't hold traps. And
//! commands that need the host, each answered by a line too.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use torsade_guest::{
    Config, Deferred, Failure, Firing, LoopingCall, Origin, Plugin, Protocol, Transport, Waiting,
    cooperate, timers,
};

/// What is to have fired before connections come.
struct Warm {
    /// A timer, whose callback returns the chain; else the chain itself.
    after_a_timer: bool,
}

impl Config for Warm {
    fn parse(json: &str) -> Result<Self, String> {
        Ok(Warm { after_a_timer: json.contains("after-a-timer") })
    }
}

struct Server {
    warm: Warm,
    is_ready: Rc<Cell<bool>>,
}

impl Plugin for Server {
    type Config = Warm;
    type Protocol = Tester;

    fn start(warm: Warm) -> Result<Self, String> {
        Ok(Server { warm, is_ready: Rc::default() })
    }

    /// A chain, which the host knows only by the timer that stands for it.
    fn ready(&mut self) -> Option<Waiting> {
        let is_ready = Rc::clone(&self.is_ready);
        let chain = || soon().then(|()| soon()).map(move |()| is_ready.set(true)).into();
        if self.warm.after_a_timer {
            return Some(soon().call(|_| Some(chain())));
        }
        Some(chain())
    }

    fn build_protocol(&mut self, transport: Transport<Tester>, _: Origin) -> Option<Tester> {
        if !self.is_ready.get() {
            transport.write(b"a connection came before the plugin was ready\n");
        }
        Some(Tester { transport, line: Vec::new(), rest: Vec::new(), waits: 0 })
    }
}

/// Fires in a later turn.
fn soon() -> Deferred<()> {
    timers::after(Duration::from_millis(1)).into()
}

/// Longer than any test.
const HOUR: Duration = Duration::from_secs(3600);

struct Tester {
    transport: Transport<Tester>,
    /// A line that has not ended.
    line: Vec<u8>,
    /// What came behind a line that holds the connection.
    rest: Vec<u8>,
    /// How many chains hold the connection: what comes meanwhile breaks the promise.
    waits: usize,
}

impl Protocol for Tester {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        if self.waits > 0 {
            self.transport.write(b"data came while the connection was held\n");
        }
        self.rest.extend_from_slice(data);
        self.go_on()
    }
}

impl Tester {
    fn go_on(&mut self) -> Option<Waiting> {
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            self.line = self.rest.drain(..=end).collect();
            self.line.pop();
            let name = String::from_utf8_lossy(&self.line).into_owned();
            if let Some(waiting) = self.obey(&name) {
                return Some(waiting);
            }
        }
        None
    }

    fn obey(&mut self, name: &str) -> Option<Waiting> {
        match name {
            "hold by a chain" => Some(self.hold(soon().then(|()| soon()))),
            "hold by a future" => Some(self.hold_by_future()),
            "hold while paused" => Some(self.hold_while_paused()),
            "hold by a chain after a timer" => Some(self.hold_after()),
            "hold by what has fired" => Some(self.hold(Deferred::succeed(()))),
            "cancel behind a chain" => Some(self.cancel_behind_a_chain()),
            "time out" => Some(self.time_out()),
            "work in slices" => {
                Some(self.hold(cooperate((0..3).map(|_| Some(soon()))).when_done()))
            }
            "call in a loop" => Some(self.call_in_a_loop()),
            "hold for ever" => Some(self.hold_for_ever()),
            "move a timer" => Some(self.move_timer()),
            _ => {
                self.run(name);
                None
            }
        }
    }

    fn run(&mut self, name: &str) {
        let all = crate::behaviours();
        match all.iter().find(|(known, _)| *known == name) {
            Some((_, behaviour)) => {
                behaviour();
                self.answer("ok");
            }
            None => self.answer("there is no such behaviour"),
        }
    }

    fn answer(&mut self, line: &str) {
        self.transport.write(format!("{line}\n").as_bytes());
    }

    fn hold(&mut self, until: Deferred<()>) -> Waiting {
        self.waits += 1;
        until.call_on(&self.transport, |tester, result| tester.held(result.is_ok()))
    }

    fn held(&mut self, is_ok: bool) -> Option<Waiting> {
        self.waits -= 1;
        self.answer(if is_ok { "held" } else { "failed" });
        self.go_on()
    }

    /// The same as an `async fn`, which reaches the protocol from its first line on.
    fn hold_by_future(&mut self) -> Waiting {
        async fn handler(transport: Transport<Tester>) -> Result<(), Failure> {
            let was_there = transport.with_protocol(|tester| tester.waits += 1).is_some();
            timers::after(Duration::from_millis(1))?.await?;
            soon().await?;
            transport.with_protocol(|tester| {
                tester.waits -= 1;
                tester.answer(if was_there { "held" } else { "there was no protocol" });
            });
            Ok(())
        }
        self.transport.run(handler)
    }

    /// The protocol pauses and resumes while a chain holds the connection.
    fn hold_while_paused(&mut self) -> Waiting {
        let transport = self.transport.clone();
        transport.pause_producing();
        let until = soon().then(move |()| {
            transport.resume_producing();
            soon()
        });
        self.hold(until)
    }

    /// A question to the host holds it first, and its callback returns a chain.
    fn hold_after(&mut self) -> Waiting {
        self.waits += 1;
        let timer = timers::after(Duration::from_millis(1));
        let then = |tester: &mut Tester, _| {
            tester.waits -= 1;
            Some(tester.hold(soon().then(|()| soon())))
        };
        Deferred::from(timer).call_on(&self.transport, then)
    }

    /// Until the connection is lost: then the deferred is given up, and that is logged.
    fn hold_for_ever(&mut self) -> Waiting {
        struct Tells(#[expect(dead_code, reason = "held for its end")] Firing<()>);
        impl Drop for Tells {
            fn drop(&mut self) {
                torsade_guest::error!("what held for ever was given up");
            }
        }
        let (deferred, firing) = Deferred::<()>::pending();
        let tells = Tells(firing);
        let never = Deferred::from(timers::after(Duration::MAX)).map(move |()| drop(tells));
        self.answer("holding");
        Deferred::gather([deferred, never]).map(drop).into()
    }

    /// The callback of a question to the host learns that the chain before it was cancelled.
    fn cancel_behind_a_chain(&mut self) -> Waiting {
        self.waits += 1;
        let chain = Deferred::succeed(()).call_on(&self.transport, |tester, _| {
            let hour = timers::after(HOUR).ok()?;
            Some(hour.call_on(&tester.transport, |tester, result| {
                let code = result.map_err(|failure| failure.code);
                tester.held(code == Err("cancelled".into()))
            }))
        });
        let canceller = chain.canceller();
        soon().map(move |()| canceller.cancel()).detach();
        chain
    }

    fn time_out(&mut self) -> Waiting {
        let late = Deferred::from(timers::after(HOUR)).timeout(Duration::from_millis(1));
        self.hold(late.catch(|failure| match &*failure.code {
            "timed-out" => Ok(()),
            _ => Err(failure),
        }))
    }

    fn call_in_a_loop(&mut self) -> Waiting {
        let (deferred, firing) = Deferred::pending();
        let (mut firing, mut left) = (Some(firing), 3_u32);
        let looping = LoopingCall::new(move || {
            left = left.saturating_sub(1);
            if let Some(firing) = firing.take_if(|_| left == 0) {
                firing.callback(());
            }
            Ok(())
        });
        looping.start(Duration::from_millis(1), true).detach();
        self.hold(deferred.map(move |()| looping.stop()))
    }

    fn move_timer(&mut self) -> Waiting {
        let (deferred, firing) = Deferred::pending();
        let call = timers::call_later(HOUR, move || firing.callback(()));
        let moved = call.and_then(|call| {
            call.reset(Duration::from_millis(1))?;
            call.detach();
            Ok(deferred)
        });
        self.hold(Deferred::from(moved))
    }
}

torsade_guest::export!(Server);
