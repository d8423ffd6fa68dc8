//! What all connections of an instance share: the configuration, the time, and memory that is
//! used again.

use crate::config::{Config, Limits};
use crate::exchange::{Exchange, Plan};
use crate::file::Files;
use crate::request::Head;
use crate::response::Stamp;

/// A site of files, served over any number of connections. `F` is a handle to an open file.
#[derive(Debug)]
pub struct Site<F> {
    pub(crate) config: Config,
    pub(crate) limits: Limits,
    pub(crate) stamp: Stamp,
    pub(crate) files: Files<F>,
    /// Nanoseconds since an arbitrary moment.
    pub(crate) now: u64,
    pub(crate) is_stopping: bool,
    /// The path of the request that is being decided.
    pub(crate) path: String,
    #[expect(clippy::vec_box, reason = "a session holds a box, so that it is small without one")]
    spare: Vec<Box<Exchange>>,
    /// What is to be written to the connection whose event runs; whoever writes it clears it.
    pub out: Vec<u8>,
    /// Lines for the access log, each but for the peer's address; whoever logs them clears it.
    pub log: Vec<String>,
}

impl<F> Site<F> {
    /// A site; says what is wrong with its configuration, if anything.
    pub fn new(config: Config) -> Result<Self, String> {
        config.check()?;
        Ok(Self {
            limits: config.limits(),
            stamp: Stamp::new(&config.server),
            config,
            files: Files::default(),
            now: 0,
            is_stopping: false,
            path: String::new(),
            spare: Vec::new(),
            out: Vec::new(),
            log: Vec::new(),
        })
    }

    /// Sets the time; to be called before each event. `now` is in nanoseconds since an
    /// arbitrary moment, `date` in seconds since 1970.
    pub fn set_time(&mut self, now: u64, date: i64) {
        self.now = now;
        self.stamp.set(date);
    }

    /// The time that was set, in nanoseconds.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// No request that comes from now on is followed by another.
    pub fn stop(&mut self) {
        self.is_stopping = true;
    }

    /// Gives up open files that are too old to be used.
    pub fn expire(&mut self) {
        self.files.expire(self.now);
    }

    /// Keeps a request, whose path is in `path`, until it can go on.
    pub(crate) fn hold(&mut self, head: Head<'_>, plan: Plan) -> Box<Exchange> {
        let mut exchange = self.spare.pop().unwrap_or_else(|| Box::new(Exchange::new(head)));
        exchange.fill(head, plan, &self.path);
        exchange
    }

    /// Takes back the memory of a request that was answered.
    pub(crate) fn recycle(&mut self, exchange: Box<Exchange>) {
        if self.spare.len() < MAX_SPARE && exchange.capacity() <= MAX_SPARE_CAPACITY {
            self.spare.push(exchange);
        }
    }
}

/// How many exchanges are kept to be used again.
const MAX_SPARE: usize = 16;

/// The largest exchange that is kept, in bytes.
const MAX_SPARE_CAPACITY: usize = 2048;
