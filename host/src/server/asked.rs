//! What others can ask of this process: what its workers tell, added up, and what its [`Control`]
//! does.

use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use super::control::{Control, Order};
use crate::observe::status::{ServiceStatus, Status, WorkerStatus};
use crate::observe::{Asker, Host};
use crate::pool::Gauge;
use crate::reactor::{Account, Answer, Told};
use crate::worker::{Mailbox, Message};

/// The host that this process is.
pub(super) struct Asked {
    control: Control,
    mailboxes: Vec<Mailbox>,
    pool: Gauge<Answer>,
    /// What each told last.
    told: Vec<Option<Told>>,
}

impl Asked {
    pub(super) fn new(control: Control, mailboxes: Vec<Mailbox>, pool: Gauge<Answer>) -> Self {
        let told = mailboxes.iter().map(|_| None).collect();
        Self { control, mailboxes, pool, told }
    }

    /// Asks all workers, and says which have answered in time: one whose event takes long doesn't.
    fn ask(&mut self) -> Vec<bool> {
        let mut answered = vec![false; self.mailboxes.len()];
        let (to, answers) = mpsc::channel();
        for (number, mailbox) in self.mailboxes.iter().enumerate() {
            mailbox.send(Message::Tell(number, to.clone()));
        }
        drop(to);
        while let Ok((number, told)) = answers.recv_timeout(ASK_TIME) {
            answered[number] = true;
            self.told[number] = Some(told);
        }
        answered
    }
}

impl Host for Asked {
    fn status(&mut self, uptime: Duration) -> Status {
        let answered = self.ask();
        let mut status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime,
            pool: self.pool.read(),
            ..Status::default()
        };
        for (number, told) in self.told.iter().enumerate() {
            let (turns, busy) =
                told.as_ref().map(|told| (told.turns, told.busy)).unwrap_or_default();
            status.workers.push(WorkerStatus { turns, busy, late: !answered[number] });
            for account in told.iter().flat_map(|told| &told.services) {
                add(&mut status.services, number, account);
            }
        }
        status.services.sort_by(|a, b| a.name.cmp(&b.name));
        status
    }

    fn stop(&mut self, service: &str) -> Result<(), String> {
        let grace = self.control.grace();
        grace.and_then(|grace| self.control.stop(service, grace)).map_err(|e| format!("{e:#}"))
    }

    fn reload(&mut self, asker: Asker) {
        self.control.order(Order::Reload(asker));
    }
}

/// Adds what a worker has counted of a service.
fn add(services: &mut Vec<ServiceStatus>, worker: usize, account: &Account) {
    let place = services.iter().position(|service| service.name == *account.name);
    let place = place.unwrap_or_else(|| {
        services.push(told_of(account));
        services.len() - 1
    });
    let service = &mut services[place];
    service.figures.add(&account.figures);
    service.by_worker.push((worker, account.figures.clone()));
}

/// What all workers tell alike of a service.
fn told_of(account: &Account) -> ServiceStatus {
    let limits = account.tally.counts().into_iter().map(|(key, count)| (key.into(), count));
    ServiceStatus {
        name: account.name.to_string(),
        plugin: account.plugin.to_string(),
        endpoints: account.endpoints.iter().map(ToString::to_string).collect(),
        since: account.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
        deadline: account.deadline,
        limits: limits.collect(),
        ..ServiceStatus::default()
    }
}

/// How long a worker may take to answer. An event that takes longer is near its deadline.
const ASK_TIME: Duration = Duration::from_secs(1);
