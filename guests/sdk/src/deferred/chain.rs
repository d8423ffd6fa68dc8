//! The chain of callbacks behind a deferred. Knows nothing of the host, and no types: a value is a
//! `Box<dyn Any>`, and the typed side in `deferred/mod.rs` sees to it that each link gets what the
//! one before it gave.
//!
//! Ownership goes one way, from the handle down: a handle owns its chain, a chain owns the chain
//! that it waits for and what cancels its source. Whoever fires a chain, and a chain that is waited
//! for, know the other side weakly. So nothing has to be untied, and dropping a handle gives up all
//! that stands behind it.

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem;
use std::panic::Location;
use std::rc::{Rc, Weak};
use std::task::Waker;

use super::grave::bury;
use crate::types::{Failure, code};

/// A value on its way between two links.
pub(crate) type Value = Box<dyn Any>;

/// What a link gets.
pub(crate) type Outcome = Result<Value, Failure>;

/// What a link gives.
pub(crate) enum Step {
    /// The next link's input.
    Done(Outcome),
    /// The next link's input is what this chain comes to.
    Wait(Chain),
}

/// A callback of either side.
pub(crate) type Link = Box<dyn FnOnce(Outcome) -> Step>;

/// Gives up what would fire a chain.
pub(crate) type GiveUp = Box<dyn FnOnce() -> GivenUp>;

/// What comes of giving up.
pub(crate) enum GivenUp {
    /// Nothing will fire the chain: where nothing has, it fails `cancelled`.
    Now,
    /// A failure will fire it in an event to come; this is what gives it up until then.
    Later(GiveUp),
}

/// The handle of a chain. Dropping it gives the chain up.
///
/// All goes through a table of functions, so that a plugin that makes no chain has none of the
/// code.
pub(crate) struct Chain(Rc<dyn Links>);

/// What a chain can be asked.
trait Links {
    fn push(self: Rc<Self>, link: Link);
    fn pause(&self);
    fn unpause(self: Rc<Self>);
    fn keep(self: Rc<Self>);
    fn is_done(&self) -> bool;
    fn poll(&self, waker: &Waker) -> Option<Outcome>;
    fn core(self: Rc<Self>) -> Rc<Core>;
}

impl Chain {
    /// A chain that was not fired, and what fires it.
    pub(crate) fn pending(made: &'static Location<'static>) -> (Self, Weak<Core>) {
        let core = Rc::new(Core { made, state: RefCell::default() });
        let weak = Rc::downgrade(&core);
        (Chain(core), weak)
    }

    /// Adds a link at the end, and calls it at once where the chain has come that far.
    pub(crate) fn push(&self, link: Link) {
        Rc::clone(&self.0).push(link);
    }

    /// Calls something once all links there are were called. Not where it is dropped before.
    pub(crate) fn at_the_end(&self, call: impl FnOnce() + 'static) {
        self.push(Box::new(move |outcome| {
            call();
            Step::Done(outcome)
        }));
    }

    /// Calls no more links, until it was unpaused as often.
    pub(crate) fn pause(&self) {
        self.0.pause();
    }

    /// Undoes one pause. One too many does nothing.
    pub(crate) fn unpause(&self) {
        Rc::clone(&self.0).unpause();
    }

    /// Lets the chain live until it is done, without a handle.
    pub(crate) fn keep(self) {
        self.0.keep();
    }

    /// Whether all links were called.
    pub(crate) fn is_done(&self) -> bool {
        self.0.is_done()
    }

    /// Takes the result, or has the task woken once there is one.
    pub(crate) fn poll(&self, waker: &Waker) -> Option<Outcome> {
        self.0.poll(waker)
    }

    /// What cancels the chain.
    pub(crate) fn weak(&self) -> Weak<Core> {
        Rc::downgrade(&Rc::clone(&self.0).core())
    }
}

/// A chain's place in memory.
pub(crate) struct Core {
    /// Where it was made, for the log.
    made: &'static Location<'static>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    phase: Phase,
    /// Those that were not called.
    links: VecDeque<Link>,
    pauses: usize,
    /// The chain that waits for this one.
    outer: Weak<Core>,
    /// Gives up the source. Gone once the chain is fired.
    canceller: Option<GiveUp>,
    waker: Option<Waker>,
    /// Itself, where it lives without a handle.
    kept: Option<Rc<Core>>,
}

#[derive(Default)]
enum Phase {
    /// Not fired yet. Next: `Fired`.
    #[default]
    Pending,
    /// The input of the next link, or the result. Next: `Running`, or `Taken`.
    Fired(Outcome),
    /// A link is being called. Next: `Fired`, `Waiting`, or `Taken`.
    Running,
    /// A link gave this chain. Next: `Fired`, or `Waiting` for what that one waits for.
    Waiting(Rc<Core>),
    /// The result went to who waited for it.
    Taken,
}

impl Links for Core {
    fn push(self: Rc<Self>, link: Link) {
        self.state.borrow_mut().links.push_back(link);
        run(self);
    }

    fn pause(&self) {
        self.state.borrow_mut().pauses += 1;
    }

    fn unpause(self: Rc<Self>) {
        let pauses = self.state.borrow().pauses.saturating_sub(1);
        self.state.borrow_mut().pauses = pauses;
        run(self);
    }

    fn keep(self: Rc<Self>) {
        if !self.is_done() {
            let itself = Rc::clone(&self);
            self.state.borrow_mut().kept = Some(itself);
        }
    }

    fn is_done(&self) -> bool {
        self.state.borrow().is_done()
    }

    fn poll(&self, waker: &Waker) -> Option<Outcome> {
        let mut state = self.state.borrow_mut();
        if let Some(outcome) = state.take_result() {
            return Some(outcome);
        }
        state.waker = Some(waker.clone());
        None
    }

    fn core(self: Rc<Self>) -> Rc<Core> {
        self
    }
}

impl State {
    fn is_done(&self) -> bool {
        let has_come_to_rest = matches!(self.phase, Phase::Fired(_) | Phase::Taken);
        has_come_to_rest && self.links.is_empty() && self.pauses == 0
    }

    /// Takes the result of a chain that is done.
    fn take_result(&mut self) -> Option<Outcome> {
        if !self.is_done() {
            return None;
        }
        match mem::replace(&mut self.phase, Phase::Taken) {
            Phase::Fired(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// The next link and its input, where there is something to do.
    fn next_call(&mut self) -> Option<(Link, Outcome)> {
        if self.pauses > 0 || !matches!(self.phase, Phase::Fired(_)) {
            return None;
        }
        let link = self.links.pop_front()?;
        match mem::replace(&mut self.phase, Phase::Running) {
            Phase::Fired(outcome) => Some((link, outcome)),
            _ => None,
        }
    }
}

impl Core {
    /// Says what gives up the source.
    pub(crate) fn set_canceller(&self, canceller: GiveUp) {
        self.state.borrow_mut().canceller = Some(canceller);
    }

    /// The same for a source that is given up by dropping it.
    pub(crate) fn set_source(&self, source: impl Sized + 'static) {
        self.set_canceller(Box::new(move || {
            drop(source);
            GivenUp::Now
        }));
    }

    /// Whether somebody waits for it to be fired.
    pub(crate) fn is_pending(&self) -> bool {
        matches!(self.state.borrow().phase, Phase::Pending)
    }

    /// Where it was made.
    pub(crate) fn made(&self) -> &'static Location<'static> {
        self.made
    }

    /// Calls links as far as it goes. Returns the chain that waited for the result.
    fn proceed(self: &Rc<Self>) -> Option<Rc<Core>> {
        loop {
            let call = self.state.borrow_mut().next_call();
            let Some((link, outcome)) = call else { return self.settle() };
            let step = link(outcome);
            if Rc::strong_count(self) == 1 {
                // The link dropped the handle of its own chain.
                self.state.borrow_mut().phase = Phase::Taken;
                return None;
            }
            match step {
                Step::Done(outcome) => self.state.borrow_mut().phase = Phase::Fired(outcome),
                Step::Wait(inner) => self.wait_for(inner.0.core()),
            }
        }
    }

    /// Waits for a chain that a link gave. Where this one has nothing left to do but to hand the
    /// result on, and nobody can cancel it by name, whoever waits for it waits for that one in its
    /// stead: so a loop of chains is never more than one chain long.
    fn wait_for(self: &Rc<Self>, inner: Rc<Core>) {
        let result = inner.state.borrow_mut().take_result();
        let mut state = self.state.borrow_mut();
        if let Some(outcome) = result {
            state.phase = Phase::Fired(outcome);
            return;
        }
        let outer = state.outer.upgrade();
        let is_last = state.links.is_empty() && state.pauses == 0 && Rc::weak_count(self) == 0;
        if let (Some(outer), true) = (outer, is_last) {
            state.phase = Phase::Taken;
            drop(state);
            inner.state.borrow_mut().outer = Rc::downgrade(&outer);
            let before = mem::replace(&mut outer.state.borrow_mut().phase, Phase::Waiting(inner));
            drop(before);
        } else {
            inner.state.borrow_mut().outer = Rc::downgrade(self);
            state.phase = Phase::Waiting(inner);
        }
    }

    /// Hands the result on where the chain is done.
    fn settle(self: &Rc<Self>) -> Option<Rc<Core>> {
        let mut state = self.state.borrow_mut();
        if !state.is_done() {
            return None;
        }
        let (kept, waker) = (state.kept.take(), state.waker.take());
        let outer = state.outer.upgrade();
        let result = if outer.is_some() { state.take_result() } else { None };
        drop(state);
        if let (Some(outer), Some(outcome)) = (&outer, result) {
            let before = mem::replace(&mut outer.state.borrow_mut().phase, Phase::Fired(outcome));
            drop(before);
        }
        drop(kept);
        if let Some(waker) = waker {
            waker.wake();
        }
        outer
    }
}

/// Fires a chain. One that was fired or cancelled before swallows it.
pub(crate) fn fire(core: Rc<Core>, outcome: Outcome) {
    let mut state = core.state.borrow_mut();
    if !matches!(state.phase, Phase::Pending) {
        return;
    }
    state.phase = Phase::Fired(outcome);
    let canceller = state.canceller.take();
    drop(state);
    drop(canceller);
    run(core);
}

/// Cancels what a chain waits for. Does nothing to one that is done, or whose link is running.
pub(crate) fn cancel(mut core: Rc<Core>) {
    loop {
        let inner = match &core.state.borrow().phase {
            Phase::Pending => break,
            Phase::Waiting(inner) => Rc::clone(inner),
            Phase::Fired(_) | Phase::Running | Phase::Taken => return,
        };
        core = inner;
    }
    let canceller = core.state.borrow_mut().canceller.take();
    if let Some(GivenUp::Later(canceller)) = canceller.map(|canceller| canceller()) {
        core.set_canceller(canceller);
        return;
    }
    fire(core, Err(cancelled("the deferred was cancelled")));
}

/// A failure `cancelled`.
pub(crate) fn cancelled(message: &str) -> Failure {
    Failure { code: code::CANCELLED.into(), message: message.into() }
}

/// Writes into the log that nobody handled a failure.
pub(crate) fn log_unhandled(failure: &Failure, made: &Location<'_>) {
    crate::error!("unhandled failure in a deferred that was made at {made}: {failure}");
}

/// Runs a chain, then the one that waited for it, and so on: a loop, so that no chain is too long
/// for the stack.
fn run(core: Rc<Core>) {
    let mut next = Some(core);
    while let Some(core) = next {
        next = core.proceed();
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        let state = mem::take(self.state.get_mut());
        if let Phase::Fired(Err(failure)) = &state.phase {
            log_unhandled(failure, self.made);
        }
        let is_waiting = matches!(state.phase, Phase::Waiting(_));
        if is_waiting || !state.links.is_empty() || state.canceller.is_some() {
            bury(Box::new(state));
        }
    }
}
