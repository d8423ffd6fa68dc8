//! How a server is told what to do while it runs: by signals, and by whoever has its [`Control`].

use std::fmt;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use super::MadeUsers;
use super::reload::{Staged, State};
use super::run::Ended;
use crate::config::Config;
use crate::observe::Asker;
use crate::worker::Number;

/// Tells a running server what to do, from any thread. Clones tell the same server.
#[derive(Clone)]
pub struct Control {
    orders: Sender<Order>,
    source: Arc<Mutex<Option<Source>>>,
}

/// How the configuration is read anew.
pub trait Reload: Send {
    /// Reads the configuration, and brings the bytes of its plugins, in the order of its services. It
    /// may take as long as building them does.
    ///
    /// # Errors
    /// Says what is wrong; then nothing changes.
    fn load(&mut self) -> Result<(Config, Vec<Vec<u8>>)>;

    /// Users were made, whose passwords nobody can tell later.
    fn made(&mut self, users: &[MadeUsers]);
}

/// What a reload has changed: services by their names, in the order of the configuration.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changes {
    /// Those that are served from now on.
    pub added: Vec<String>,
    /// Those that stop.
    pub removed: Vec<String>,
    /// Those that new connections find changed.
    pub swapped: Vec<String>,
}

/// What a server is told.
pub(super) enum Order {
    /// To serve what was staged.
    Apply(Box<Staged>, Sender<Result<Applying>>),
    /// All workers have ended.
    Ended(Ended),
    /// To read the configuration anew, and tell what came of it.
    Reload(Asker),
    /// All workers serve what was applied.
    Settled(Vec<Number>, Vec<Missing>),
    /// A signal has come.
    Signal(i32),
    /// To tell what it serves.
    State(Sender<State>),
    /// To stop a service.
    Stop(String, Duration, Sender<Result<Applying>>),
}

/// What comes to a server.
pub(super) type Orders = Receiver<Order>;

/// An endpoint whose socket a worker should have given on, and had closed: the worker, and the
/// service that is without it.
pub(super) type Missing = (usize, Number, u32);

/// The workers are about to serve something else.
pub(super) struct Applying {
    /// The services that leave.
    pub(super) leaving: Vec<Number>,
    /// Each worker's answer; it ends with the last.
    pub(super) answers: Receiver<Vec<Missing>>,
}

pub(super) struct Source(Box<dyn Reload>);

impl Source {
    pub(super) fn new(source: impl Reload + 'static) -> Self {
        Self(Box::new(source))
    }
}

impl Control {
    pub(super) fn new() -> (Self, Orders) {
        let (orders, coming) = mpsc::channel();
        (Self { orders, source: Arc::default() }, coming)
    }

    pub(super) fn read_from(&self, source: Source) {
        *self.source.lock().unwrap_or_else(PoisonError::into_inner) = Some(source);
    }

    /// Reads the configuration anew, checks all of it, and has new connections find what has changed.
    /// Connections that are open stay with what they have; those of services that are gone are closed
    /// after the `grace` of the new configuration. Services that are the same notice nothing. Blocks
    /// until all workers have changed; one reload waits for another.
    ///
    /// # Errors
    /// Says what is wrong, in the words of a start. Then nothing has changed.
    pub fn reload(&self) -> Result<Changes> {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let Source(source) = source.as_mut().context("nothing says how to read it anew")?;
        let (config, plugins) = source.load()?;
        let mut made = Vec::new();
        let staged =
            self.ask(Order::State).and_then(|state| state.stage(&config, plugins, &mut made));
        if !made.is_empty() {
            source.made(&made);
        }
        let staged = Box::new(staged?);
        let changes = staged.changes.clone();
        let applying = self.ask(|answer| Order::Apply(staged, answer))??;
        self.settle(applying);
        Ok(changes)
    }

    /// Stops a service: its endpoints are closed, its plugin hears of it, and connections that are
    /// open go on for `grace`. A reload brings it back, if the configuration still has it.
    ///
    /// # Errors
    /// Where no service has this name.
    pub fn stop(&self, service: &str, grace: Duration) -> Result<()> {
        let stop = |answer| Order::Stop(service.to_owned(), grace, answer);
        let applying = self.ask(stop)??;
        self.settle(applying);
        Ok(())
    }

    /// How long connections may go on after a stop, as the configuration says now.
    pub(super) fn grace(&self) -> Result<Duration> {
        Ok(self.ask(Order::State)?.config.grace)
    }

    pub(super) fn order(&self, order: Order) {
        // Who has ended has nothing left to do.
        let _ = self.orders.send(order);
    }

    /// Waits until all workers have changed.
    fn settle(&self, Applying { leaving, answers }: Applying) {
        let missing = answers.iter().flatten().collect();
        self.order(Order::Settled(leaving, missing));
    }

    fn ask<T>(&self, order: impl FnOnce(Sender<T>) -> Order) -> Result<T> {
        let (answer, answered) = mpsc::channel();
        self.order(order(answer));
        answered.recv().context("the host has stopped")
    }
}

impl Changes {
    /// Whether nothing has changed that is served.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.swapped.is_empty()
    }
}

/// In one line.
impl fmt::Display for Changes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [("added", &self.added), ("removed", &self.removed), ("swapped", &self.swapped)];
        let parts = all.iter().filter(|(_, names)| !names.is_empty());
        let parts: Vec<_> =
            parts.map(|(what, names)| format!("{what} {}", names.join(", "))).collect();
        match parts.is_empty() {
            true => out.write_str("nothing has changed"),
            false => out.write_str(&parts.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn who_stops_a_service_waits_until_all_workers_have_changed() {
        let (control, orders) = Control::new();
        let stops = thread::spawn(move || control.stop("site", Duration::from_secs(7)));
        let Ok(Order::Stop(service, grace, answer)) = orders.recv() else { panic!("no order") };
        assert_eq!((&*service, grace), ("site", Duration::from_secs(7)));
        let (done, answers) = mpsc::channel();
        assert!(answer.send(Ok(Applying { leaving: vec![3], answers })).is_ok());
        for missing in [Vec::new(), vec![(1, 4, 0)]] {
            assert!(!stops.is_finished());
            done.send(missing).unwrap();
        }
        drop(done);
        let Ok(Order::Settled(leaving, missing)) = orders.recv() else { panic!("no order") };
        assert_eq!((leaving, missing), (vec![3], vec![(1, 4, 0)]));
        assert!(stops.join().unwrap().is_ok());
    }

    #[test]
    fn who_orders_hears_why_not() {
        let (control, orders) = Control::new();
        let no_way = control.reload().unwrap_err().to_string();
        assert!(no_way.contains("how to read it anew"), "{no_way}");
        drop(orders);
        let ended = control.stop("site", Duration::ZERO).unwrap_err().to_string();
        assert!(ended.contains("has stopped"), "{ended}");
    }

    #[test]
    fn changes_are_told_in_one_line() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let changes =
            Changes { added: names(&["a", "b"]), removed: names(&[]), swapped: names(&["c"]) };
        assert_eq!(changes.to_string(), "added a, b; swapped c");
        assert_eq!(Changes::default().to_string(), "nothing has changed");
    }
}
