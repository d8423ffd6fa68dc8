//! How much of a worker's time a service may take while others want it.
//!
//! An event can't be interrupted, so that what one service takes others wait for. Two things keep
//! that small, on workers that serve several:
//!
//! - Of short events a service may have a slice more than the one that had least of those with
//!   something to do, in proportion to their `cpu`; what is left waits for a later turn.
//! - A long event makes a debt, which time pays back at the rate of the service's `cpu`. Who is in
//!   debt is set aside as long as one who owes less is at work: not only while that one has
//!   something to do, as it will have again in a moment, and would find a long event begun.
//!
//! What is set aside stands in the service's line, and goes on in order. What the host does for a
//! service counts like its events: accepting a connection, making and dropping its sandbox, a
//! handshake, what is read and sent, and what an event asks for.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use super::datagram;
use super::life::Waiter;
use super::{Answer, Reactor};
use crate::arena::Id;
use crate::capability::Outcome;
use crate::net::Net;
use crate::pool::Pool;

/// What a service takes of the worker's time.
#[derive(Default)]
pub(super) struct Share {
    /// The turn in which something was done for it last.
    turn: u64,
    /// What it has taken in that turn.
    taken: Duration,
    /// What it has taken of all turns, in proportion to its `cpu`.
    had: Duration,
    /// How long the worker had waited by then.
    last: Option<Duration>,
    /// When its debt is paid.
    paid: Option<Instant>,
    /// What is set aside, in order.
    aside: VecDeque<Aside>,
    /// The line goes on: what it calls must not line up again.
    goes_on: bool,
}

/// What can be set aside. Connections and sockets are named by number.
pub(super) enum Aside {
    /// The protocol of a connection is built.
    Build(u64),
    /// The protocol of a socket is built, or hears of its end.
    DueSocket(u64),
    /// A result is reported.
    Fired(Waiter, Outcome),
    /// What was queued on a connection is sent, and its protocol hears what follows from that.
    Flush(u64),
    /// A connection that is ready gets an instance.
    Ready(u64),
    /// What a connection has received is delivered.
    Read(u64),
    /// What a socket has received is delivered.
    Receive(u64),
}

impl Share {
    /// How many things are set aside.
    pub(super) fn waiting(&self) -> usize {
        self.aside.len()
    }

    /// What it owes beyond what is tolerated.
    fn owes(&self, now: Instant) -> Option<Instant> {
        self.paid.filter(|paid| *paid > now + TOLERANCE)
    }

    /// For how long it is still at work, if it has no other event: for a moment in which the worker
    /// waits. That others run meanwhile is no sign that it has nothing to do.
    fn at_work_for(&self, waited: Duration) -> Option<Duration> {
        let until = self.last? + MOMENT;
        until.checked_sub(waited).filter(|left| !left.is_zero())
    }
}

/// What a service with such a share may take in one event without more ado.
fn slice(cpu: u32) -> Duration {
    match 100_u32.saturating_sub(cpu) {
        0 => Duration::MAX,
        others => SLICE * cpu / others,
    }
}

/// For how much time of a service of half the time this counts, of one with such a share. One with a
/// small share has that part beside it; one with all of the time has twice as much.
fn in_proportion(took: Duration, cpu: u32) -> Duration {
    took.saturating_mul(100_u32.saturating_sub(cpu).max(50)) / cpu.max(1)
}

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// Charges a service with what its last event took; one that failed counts for more.
    pub(super) fn charge(&mut self, number: usize, failed: bool) {
        let took = mem::take(&mut self.lent().took);
        if !took.is_zero() {
            self.worked += took;
            self.figures(number).times.record(took);
            self.charge_with(number, took, failed);
        }
    }

    /// Looks how much the service has had that had least, of those with something to do: in this turn
    /// others may have a slice more. Where none has, what they had counts no more.
    pub(super) fn look_at_shares(&mut self) {
        let (now, turn) = (self.told, self.turns);
        let shares = || self.services.iter().map(|(_, service)| &service.share);
        let busy = shares().filter(|share| share.turn + 1 >= turn || share.waiting() > 0);
        let least = busy.filter(|share| share.owes(now).is_none()).map(|share| share.had).min();
        let least = least.or_else(|| shares().map(|share| share.had).max());
        self.least = least.unwrap_or_default().max(self.least);
    }

    /// Does a piece of work for a service, and charges it with what that takes beside the events in
    /// it, which are charged by themselves. Nothing else can be done before it is over: it has to be
    /// short.
    pub(super) fn work_for<T>(&mut self, number: usize, work: impl FnOnce(&mut Self) -> T) -> T {
        if self.services.len() < 2 {
            return work(self);
        }
        let (began, before) = (self.net.now(), self.spent);
        let done = work(self);
        let mut took = self.net.now().saturating_duration_since(began);
        // A simulation's clock stands still during events.
        if N::clock().is_some() {
            took = took.saturating_sub(self.spent.saturating_sub(before));
        }
        self.charge_with(number, took, false);
        done
    }

    /// The same for what only waits where the service has to, which is no work.
    pub(super) fn try_for<T>(&mut self, number: usize, work: impl FnOnce(&mut Self) -> T) -> T {
        if self.has_to_wait(number) { work(self) } else { self.work_for(number, work) }
    }

    /// Charges a service with what was done for it.
    fn charge_with(&mut self, number: usize, took: Duration, failed: bool) {
        let began = self.told + self.spent;
        self.spent += took;
        let (turn, waited, least) = (self.turns, self.waited, self.least);
        let service = &mut self.services[number];
        let (cpu, share) = (service.settings.cpu, &mut service.share);
        if mem::replace(&mut share.turn, turn) != turn {
            share.taken = Duration::ZERO;
        }
        share.taken += took;
        // What it had left untaken is gone, and of what it had too much not all is remembered.
        let had = share.had.max(least) + in_proportion(took, cpu);
        share.had = had.min(least + AHEAD);
        share.last = Some(waited);
        if cpu >= 100 || took <= slice(cpu) && !failed {
            return;
        }
        let times = if failed { FAILURE } else { 1 };
        let cost = took.saturating_mul(times).min(DEBT) * 100 / cpu.max(1);
        let paid = share.paid.map_or(began, |paid| paid.max(began)) + cost;
        share.paid = Some(paid.min(began + DEBT));
        let owed = self.is_in_debt(number);
        if owed {
            self.reached(number, "cpu");
        }
    }

    /// Whether what the service has to do waits for others from now on; then it stands in line.
    pub(super) fn sets_aside(&mut self, number: usize, what: impl FnOnce() -> Aside) -> bool {
        if !self.has_to_wait(number) {
            return false;
        }
        self.line_up(number, what());
        true
    }

    /// Sets something aside.
    pub(super) fn line_up(&mut self, number: usize, what: Aside) {
        self.services[number].share.aside.push_back(what);
        self.aside += 1;
    }

    /// Whether the service stands in line, or has to: for what keeps its place by itself.
    pub(super) fn has_to_wait(&self, number: usize) -> bool {
        let share = &self.services[number].share;
        if self.abandoned || self.services.len() < 2 {
            return false;
        }
        !share.aside.is_empty() && !share.goes_on || self.is_set_aside(number)
    }

    /// How long what the service has to do waits for others, where it has to.
    pub(super) fn turn_of(&self, number: usize) -> Option<Duration> {
        let at = self.has_to_wait(number).then(|| self.may_go_on_at(number))?;
        Some(at.saturating_duration_since(self.told))
    }

    /// Whether it owes so much that it is set aside while others are at work.
    pub(super) fn is_in_debt(&self, number: usize) -> bool {
        self.services[number].share.owes(self.told + self.spent).is_some()
    }

    /// Whether others come first: because it has had a slice more, or owes more.
    fn is_set_aside(&self, number: usize) -> bool {
        let now = self.told + self.spent;
        let share = &self.services[number].share;
        let has_had = share.had > self.least + SLICE;
        let owes = share.owes(now);
        if !has_had && owes.is_none() {
            return false;
        }
        // Who is in debt wouldn't go on in the meantime.
        let mut others = self.others_at_work(number);
        has_had && others.any(|other| other.owes(now).is_none())
            || owes.is_some_and(|paid| {
                self.others_at_work(number).any(|other| other.paid < Some(paid))
            })
    }

    fn others_at_work(&self, number: usize) -> impl Iterator<Item = &Share> {
        let others = self.services.iter().filter(move |(other, _)| *other != number);
        others
            .map(|(_, other)| &other.share)
            .filter(move |share| share.at_work_for(self.waited).is_some())
    }

    /// Goes on with what is set aside, as far as it may.
    pub(super) fn go_on_aside(&mut self) {
        if self.aside == 0 {
            return;
        }
        for number in 0..self.services.end() {
            for _ in 0..self.services.get(number).map_or(0, |it| it.share.waiting()) {
                if self.is_set_aside(number) {
                    break;
                }
                let Some(next) = self.services[number].share.aside.pop_front() else { break };
                self.aside -= 1;
                self.services[number].share.goes_on = true;
                self.work_for(number, |reactor| reactor.go_on_with(next));
                self.services[number].share.goes_on = false;
            }
        }
    }

    /// Whether the service has had its time of the last turn, in which all is ended.
    pub(super) fn has_parted(&self, number: usize) -> bool {
        let share = &self.services[number].share;
        share.turn == self.turns && share.taken > PARTING
    }

    /// Forgets what is set aside, since all will be ended.
    pub(super) fn forget_aside(&mut self) {
        self.aside = 0;
        let numbers: Vec<_> = self.services.iter().map(|(number, _)| number).collect();
        for number in numbers {
            for aside in mem::take(&mut self.services[number].share.aside) {
                if let Aside::Flush(conn) = aside
                    && let Some(conn) = self.conns.get_mut(Id::from_u64(conn))
                {
                    conn.is_touched = false;
                }
            }
        }
    }

    fn go_on_with(&mut self, next: Aside) {
        match next {
            Aside::Build(conn) => self.build(Id::from_u64(conn)),
            Aside::DueSocket(socket) => self.on_socket_due(datagram::socket_of(socket)),
            Aside::Fired(waiter, outcome) => self.on_fired(waiter, outcome),
            Aside::Flush(conn) => self.flush(Id::from_u64(conn)),
            Aside::Ready(conn) => self.on_ready_to_build(Id::from_u64(conn)),
            Aside::Read(conn) => {
                let id = Id::from_u64(conn);
                if let Some(conn) = self.conns.get_mut(id) {
                    conn.is_again = false;
                    self.on_readable(id);
                }
            }
            Aside::Receive(socket) => self.receive_on(datagram::socket_of(socket)),
        }
    }

    /// When something that is set aside may go on, if anything is.
    pub(super) fn aside_until(&self) -> Option<Instant> {
        if self.aside == 0 {
            return None;
        }
        let waiting = self.services.iter().filter(|(_, service)| service.share.waiting() > 0);
        waiting.map(|(number, _)| self.may_go_on_at(number)).min()
    }

    fn may_go_on_at(&self, number: usize) -> Instant {
        let now = self.told + self.spent;
        let Some(paid) = self.services[number].share.owes(now) else { return self.told };
        let others = self.others_at_work(number).filter(|other| other.paid < Some(paid));
        let left = others.filter_map(|other| other.at_work_for(self.waited)).max();
        left.map_or(self.told, |left| (now + left).min(paid - TOLERANCE))
    }
}

/// What a service of half the time has in a turn more than others had, and what a longer event of it
/// makes a debt of. Others get the same in proportion to what they leave.
const SLICE: Duration = Duration::from_micros(200);

/// The most that a service is known to have had more than others.
const AHEAD: Duration = Duration::from_millis(20);

/// How much may be owed without being set aside.
const TOLERANCE: Duration = Duration::from_millis(5);

/// The most that is owed: what is beyond is forgiven.
const DEBT: Duration = Duration::from_secs(10);

/// How long a service counts as at work after an event, in time that the worker waits: longer than
/// a long event may take, which would begin in its next pause, and longer than peers pause whose
/// machine is busy.
const MOMENT: Duration = Duration::from_millis(100);

/// How long the events of one service may take in which its connections hear that the host ends
/// them. Those that are left then don't hear it.
const PARTING: Duration = Duration::from_secs(1);

/// What an event that fails counts as many times: it helps nobody, and good plugins have few.
const FAILURE: u32 = 10;
