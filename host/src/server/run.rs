//! A server while it runs: it does what it is told, and waits for nobody meanwhile.

use std::io::{self, IsTerminal};
use std::iter;
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use signal_hook::consts::SIGHUP;

use super::control::{Applying, Control, Missing, Order};
use super::crew::crew;
use super::plan::{Plan, Running};
use super::reload::Staged;
use super::{NO_WATCH, Server};
use crate::observe::Asker;
use crate::transport::listener;
use crate::worker::{Change, Message, Number};

/// How each worker has ended.
pub(super) type Ended = Vec<thread::Result<io::Result<()>>>;

impl Server {
    /// Serves until SIGTERM or SIGINT, and then until the connections are done or the grace is
    /// over. A second signal ends the grace. SIGHUP has it reload ([`Control::reload`]), or stop where
    /// it comes because its terminal is gone.
    ///
    /// # Errors
    /// Where a worker failed.
    pub fn run(mut self) -> Result<()> {
        let workers = std::mem::take(&mut self.workers);
        let control = self.control.clone();
        thread::spawn(move || {
            control.order(Order::Ended(workers.into_iter().map(JoinHandle::join).collect()));
        });
        let reloading = self.reload_on_request()?;
        let had_terminal = io::stderr().is_terminal();
        let mut stopping = false;
        let ended = loop {
            match self.orders.recv().context("this side can give orders, too")? {
                Order::Apply(_, answer) | Order::Stop(.., answer) if stopping => {
                    let _ = answer.send(Err(anyhow!("the host is stopping")));
                }
                Order::Apply(staged, answer) => {
                    let _ = answer.send(self.apply(*staged));
                }
                Order::Ended(ended) => break ended,
                Order::Reload(asker) if stopping => {
                    asker.tell(Err("the host is stopping".to_owned()));
                }
                Order::Reload(asker) => {
                    if let Err(TrySendError::Full(Some(asker))) = reloading.try_send(Some(asker)) {
                        asker.tell(Err("too many wait for a reload; try again".to_owned()));
                    }
                }
                Order::Settled(leaving, missing) => self.settle(&leaving, &missing),
                Order::Signal(SIGHUP) if !had_terminal || io::stderr().is_terminal() => {
                    // Where so many are asked for already, the last will read what is there now.
                    let _ = reloading.try_send(None);
                }
                Order::Signal(_) => {
                    self.stop(if stopping { Duration::ZERO } else { self.state.config.grace });
                    stopping = true;
                }
                Order::State(answer) => {
                    let _ = answer.send(self.state.clone());
                }
                Order::Stop(service, grace, answer) => {
                    let _ = answer.send(self.stop_service(&service, grace));
                }
            }
        };
        self.signals.close();
        self.end(ended)
    }

    /// A thread that reloads, as that may take long: once for all who have asked by then, and of whom
    /// some wait for the outcome.
    fn reload_on_request(&self) -> Result<SyncSender<Option<Asker>>> {
        let (ask, asked) = mpsc::sync_channel(RELOADS);
        let control = self.control.clone();
        let run = move || {
            while let Ok(first) = asked.recv() {
                let all: Vec<_> = iter::once(first).chain(asked.try_iter()).collect();
                let outcome = reload(&control);
                all.into_iter().flatten().for_each(|asker: Asker| asker.tell(outcome.clone()));
            }
        };
        thread::Builder::new()
            .name("torsade-reload".to_owned())
            .spawn(run)
            .context("can't start the thread that reloads")?;
        Ok(ask)
    }

    fn stop(&self, grace: Duration) {
        tracing::info!("stopping: open connections may go on for {grace:?}");
        for mailbox in &self.mailboxes {
            mailbox.send(Message::Stop(grace));
        }
    }

    /// Has the workers serve what was staged, which nothing has overtaken.
    fn apply(&mut self, staged: Staged) -> Result<Applying> {
        let Staged { mut state, plans, leaving, watches, .. } = staged;
        ensure!(
            state.version == self.state.version,
            "a service was stopped meanwhile; reload again"
        );
        self.pool.grow(|lane| crew(&state.config, lane)).context("can't start threads")?;
        for (number, watch) in watches {
            self.certificates.look_after(number, watch).context(NO_WATCH)?;
        }
        for Plan { running, .. } in &plans {
            running.settings.census.begin();
        }
        state.version += 1;
        self.state = state;
        self.keep_tallies();
        Ok(self.change(plans, leaving))
    }

    fn stop_service(&mut self, name: &str, grace: Duration) -> Result<Applying> {
        let running = &mut self.state.running;
        let Some(place) = running.iter().position(|running| running.service.name == name) else {
            let names: Vec<_> = running.iter().map(|it| it.service.name.as_str()).collect();
            bail!("there is no service {name}; there are: {}", names.join(", "));
        };
        tracing::info!(service = name, "stopping: open connections may go on for {grace:?}");
        let Running { number, .. } = running.remove(place);
        self.state.config.services.retain(|service| service.name != name);
        self.state.version += 1;
        Ok(self.change(Vec::new(), vec![(number, Some(grace))]))
    }

    fn change(&self, mut plans: Vec<Plan>, leaving: Vec<(Number, Option<Duration>)>) -> Applying {
        let (done, answers) = mpsc::channel();
        let config = &self.state.config;
        for (worker, mailbox) in self.mailboxes.iter().enumerate() {
            let serves = self.state.running.iter().any(|it| it.workers.contains(&worker));
            mailbox.send(Message::Change(Change {
                worker,
                added: plans.iter_mut().filter_map(|plan| plan.for_worker(worker)).collect(),
                leaving: leaving.clone(),
                stops_with_connection: (serves && config.is_only_stdio()).then_some(config.grace),
                done: done.clone(),
            }));
        }
        Applying { leaving: leaving.into_iter().map(|(number, _)| number).collect(), answers }
    }

    /// All workers have changed: what has left is forgotten, and what was missing is bound anew.
    fn settle(&self, leaving: &[Number], missing: &[Missing]) {
        for number in leaving {
            self.certificates.forget(*number);
        }
        for mailbox in &self.mailboxes {
            mailbox.send(Message::Forget(leaving.to_vec()));
        }
        for (worker, number, endpoint) in missing {
            let found = self.state.running.iter().find(|running| running.number == *number);
            let Some(running) = found else { continue };
            let at = &running.endpoints[*endpoint as usize];
            match listener::bind_again(at, running.workers.len() > 1) {
                Ok(Some(socket)) => {
                    self.mailboxes[*worker].send(Message::Listen(*number, *endpoint, socket));
                }
                // A connection that comes once has come.
                Ok(None) => {}
                Err(e) => {
                    let service = &*running.service.name;
                    tracing::error!(service, "can't listen on {at} again: {e}");
                }
            }
        }
    }

    /// Remembers what counts how often the limits of services are reached.
    pub(super) fn keep_tallies(&mut self) {
        for Running { settings, .. } in &self.state.running {
            if !self.tallies.iter().any(|(_, tally)| Arc::ptr_eq(tally, &settings.tally)) {
                self.tallies.push((settings.name.clone(), settings.tally.clone()));
            }
        }
    }

    fn end(self, ended: Ended) -> Result<()> {
        // Who asks waits for answers that nobody gives any more.
        drop(self.orders);
        drop(self.observing);
        // In this order: jobs end at a tick.
        drop(self.certificates);
        drop(self.pool);
        drop(self.ticker);
        for (service, tally) in &self.tallies {
            tell_reached(service, &tally.counts());
        }
        for result in ended {
            result
                .map_err(|_| anyhow!("a worker panicked"))?
                .context("a worker's network failed")?;
        }
        Ok(())
    }
}

fn reload(control: &Control) -> Result<String, String> {
    let outcome = control.reload();
    let outcome = outcome.map(|changes| changes.to_string()).map_err(|error| format!("{error:#}"));
    match &outcome {
        Ok(changes) => tracing::info!("reloaded: {changes}"),
        Err(why) => tracing::error!("not reloaded, nothing has changed: {why}"),
    }
    outcome
}

/// How many reloads may be asked for while one goes on.
const RELOADS: usize = 64;

/// Says which limits a service has reached since the start.
fn tell_reached(service: &str, counts: &[(&str, u64)]) {
    if !counts.is_empty() {
        let counts: Vec<_> = counts.iter().map(|(key, n)| format!("limits.{key} {n}")).collect();
        tracing::info!(service, "limits that were reached, and how often: {}", counts.join(", "));
    }
}
