//! Jobs: a plugin's own function, run to its end in an instance that was made for it.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Store, UpdateDeadline};

use super::bindings::exports::torsade::plugin::job;
use super::bindings::torsade::plugin::types;
use super::component::Plugin;
use super::engine::{Compiler, Metering};
use super::instance::{Allowed, arm, fault, new_store, past_deadline};
use super::limits::Limits;
use super::outbox::{Guest, LogLine, Outbox};
use crate::capability::Failure;
use crate::pool::Stopped;

/// A job that is ready to run, on any thread.
pub struct Job {
    pub(super) code: JobCode,
    /// What it may use; `deadline` is that of the job as a whole.
    pub(super) limits: Arc<Limits>,
    pub(super) outbox: Box<Outbox>,
    pub(super) config: Arc<str>,
    pub(super) name: String,
    pub(super) input: Vec<u8>,
}

/// The code of a plugin's jobs. Their instances live on the heap of the engine that makes room on
/// demand, so that they take no slot from a connection.
#[derive(Clone)]
pub(super) struct JobCode {
    pub(super) compiler: Compiler,
    pub(super) pre: wasmtime::component::InstancePre<Guest>,
    pub(super) export: job::GuestIndices,
}

impl Plugin {
    /// A job of the plugin's. `outbox` gives the facts that it sees. `None` where the plugin has no
    /// jobs, or may not run them.
    pub fn job(
        &self,
        limits: Arc<Limits>,
        mut outbox: Box<Outbox>,
        config: Arc<str>,
        name: String,
        input: Vec<u8>,
    ) -> Option<Job> {
        let code = self.jobs.clone()?;
        outbox.log_level = self.log_level.unwrap_or(outbox.log_level);
        Some(Job { code, limits, outbox, config, name, input })
    }
}

impl Job {
    /// Runs it: what it came to, and what it wrote. Once nobody waits for it, it isn't begun.
    pub fn run(self, stopped: Stopped) -> (Result<Vec<u8>, Failure>, Vec<LogLine>) {
        if stopped.is_stopped() {
            return (Err(Failure::cancelled()), Vec::new());
        }
        let Self { code, limits, outbox, config, name, input } = self;
        let (deadline, most) = (limits.deadline, limits.outbox);
        let mut store = new_store(&code.compiler, &limits);
        store.data_mut().is_job = true;
        store.data_mut().outbox = Some(outbox);
        let result = code.call(&mut store, deadline, stopped, (&config, &name, &input));
        let log = store.data_mut().outbox.take().map(|outbox| outbox.log).unwrap_or_default();
        let result = match result {
            Ok(Ok(output)) if output.len() > most => Err(too_large(&name, output.len(), most)),
            Ok(Ok(output)) => Ok(output),
            Ok(Err(failure)) => {
                let types::Failure { code, message } = failure;
                match code.len().saturating_add(message.len()) {
                    length if length > most => Err(too_large(&name, length, most)),
                    _ => Err(Failure { code: code.into(), message, limit: None }),
                }
            }
            Err(error) => {
                let fault = fault(&store, store.data().usage.reached, &error);
                let code = if fault.limit.is_some() { "limit" } else { "trapped" };
                let failure = Failure::new(code, format!("job {name:?}: {fault}"));
                Err(Failure { limit: fault.limit, ..failure })
            }
        };
        (result, log)
    }
}

impl JobCode {
    fn call(
        &self,
        store: &mut Store<Guest>,
        deadline: Duration,
        stopped: Stopped,
        (config, name, input): (&str, &str, &[u8]),
    ) -> wasmtime::Result<Result<Vec<u8>, types::Failure>> {
        let metering = self.compiler.metering;
        if let Metering::Time(cpu_time) = metering {
            store.epoch_deadline_callback(move |guest| match stopped.is_stopped() {
                true => Ok(UpdateDeadline::Interrupt),
                false => past_deadline(guest, cpu_time),
            });
        }
        // What it returns is checked once it is there: a failure is better than a trap.
        store.set_hostcall_fuel(store.data().limits.memory);
        arm(store, metering, Allowed { time: deadline, key: "job-deadline" });
        let instance = self.pre.instantiate(&mut *store)?;
        self.export.load(&mut *store, &instance)?.call_run(store, config, name, input)
    }
}

/// What a job leaves counts as what its plugin writes, which takes it.
fn too_large(name: &str, length: usize, most: usize) -> Failure {
    let what = format_args!("job {name:?} returned {length} bytes, not {most} or less");
    Failure::limit("outbox", what)
}
