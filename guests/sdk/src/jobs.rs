//! Work that takes long, on another thread: Twisted's `deferToThread`.
//!
//! A plugin that has jobs implements [`Jobs`] and says [`export_jobs!`](crate::export_jobs) beside
//! [`export!`](crate::export); a service grants them with `jobs = true`.
//!
//! ```no_run
//! use torsade_guest::{Failure, code, jobs::Jobs};
//!
//! struct Counting;
//!
//! impl Jobs for Counting {
//!     fn run(_config: &str, name: &str, input: Vec<u8>) -> Result<Vec<u8>, Failure> {
//!         match name {
//!             "count" => Ok(input.len().to_string().into_bytes()),
//!             _ => Err(Failure::new(code::NOT_FOUND, format!("there is no job {name:?}"))),
//!         }
//!     }
//! }
//!
//! torsade_guest::export_jobs!(Counting);
//! ```

use std::marker::PhantomData;

use crate::bindings::torsade::plugin::jobs as host;
use crate::deferred::Deferred;
use crate::job_bindings::exports::torsade::plugin::job;
use crate::log;
use crate::testing::Question;
use crate::types::Failure;

/// The jobs of a plugin.
pub trait Jobs: 'static {
    /// Runs a job, in an instance that was made for it and ends with it. `config` is the service's
    /// `config` table as JSON.
    ///
    /// Facts and the log work; every question to the host fails
    /// [`UNSUPPORTED`](crate::code::UNSUPPORTED).
    ///
    /// # Errors
    /// What the deferred of the job fails with: [`NOT_FOUND`](crate::code::NOT_FOUND) for a name
    /// that is no job.
    fn run(config: &str, name: &str, input: Vec<u8>) -> Result<Vec<u8>, Failure>;
}

/// The type of [`Jobs::run`].
#[doc(hidden)]
pub type Run = fn(&str, &str, Vec<u8>) -> Result<Vec<u8>, Failure>;

/// Has [`Jobs::run`] run in a fresh instance, which shares nothing with this one, on another
/// thread. Cancelling or dropping the deferred ends the job.
///
/// The deferred fails with what the job failed with, with [`TRAPPED`](crate::code::TRAPPED),
/// [`LIMIT`](crate::code::LIMIT), [`IO`](crate::code::IO), or, where the plugin has no jobs,
/// [`UNSUPPORTED`](crate::code::UNSUPPORTED).
///
/// ```no_run
/// use torsade_guest::{Failure, jobs};
///
/// async fn count(text: &[u8]) -> Result<String, Failure> {
///     let count = jobs::run("count", text)?.await?;
///     Ok(String::from_utf8_lossy(&count).into_owned())
/// }
/// ```
///
/// # Errors
/// [`LIMIT`](crate::code::LIMIT) where the service's `deferreds` are all in flight.
pub fn run(name: &str, input: &[u8]) -> Result<Deferred<Vec<u8>>, Failure> {
    let question = || Question::Job { name: name.to_owned(), input: input.to_vec() };
    Deferred::ask(question, || host::run(name, input), host::output)
}

/// The component's side of [`Jobs`].
#[doc(hidden)]
pub struct Component<J>(PhantomData<J>);

impl<J: Jobs> job::Guest for Component<J> {
    fn run(config: String, name: String, input: Vec<u8>) -> Result<Vec<u8>, Failure> {
        log::log_panics();
        J::run(&config, &name, input)
    }
}
