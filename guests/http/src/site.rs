//! What all connections of an instance share: the configuration, the time, and memory that is
//! used again.

use crate::config::{Config, Limits};
use crate::domains::{Domain, Domains};
use crate::encoding::Coding;
use crate::exchange::{Exchange, Plan};
use crate::file::{Files, Manner, Metadata};
use crate::request::Head;
use crate::response::Stamp;

/// A site of files, served over any number of connections. `F` is a handle to an open file.
#[derive(Debug)]
pub struct Site<F> {
    pub(crate) limits: Limits,
    pub(crate) domains: Domains,
    pub(crate) has_access_log: bool,
    pub(crate) stamp: Stamp,
    pub(crate) files: Files<F>,
    /// Nanoseconds since an arbitrary moment.
    pub(crate) now: u64,
    pub(crate) is_stopping: bool,
    /// The path of the request that is being decided, which begins with its domain's root.
    pub(crate) path: String,
    /// The number of the domain of the request that is being decided.
    pub(crate) domain: usize,
    #[expect(clippy::vec_box, reason = "a session holds a box, so that it is small without one")]
    spare: Vec<Box<Exchange>>,
    /// What is to be written to the connection whose event runs; whoever writes it clears it.
    pub out: Vec<u8>,
    /// Lines for the access log, each but for the peer's address; whoever logs them clears it.
    pub log: Vec<String>,
}

impl<F> Site<F> {
    /// A site; says what is wrong with its configuration, if anything.
    pub fn new(config: &Config) -> Result<Self, String> {
        config.check()?;
        Ok(Self {
            limits: config.limits(),
            domains: Domains::new(config)?,
            has_access_log: config.access_log,
            stamp: Stamp::new(&config.server),
            files: Files::default(),
            now: 0,
            is_stopping: false,
            path: String::new(),
            domain: 0,
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
        exchange.fill(head, plan, self.domain, &self.path);
        exchange
    }

    /// The domain of the request that is being decided.
    pub(crate) fn domain(&self) -> &Domain {
        self.domains.at(self.domain)
    }

    /// Remembers a file of the domain that was just opened.
    pub(crate) fn remember(&mut self, path: &str, file: F, metadata: Metadata) {
        let manner = manner(self.domains.at(self.domain), path);
        self.files.remember(self.domain, path, manner, metadata, (file, self.now));
    }

    /// Remembers what came of asking for the file beside one of the domain.
    pub(crate) fn remember_sibling(
        &mut self,
        path: &str,
        coding: Coding,
        opened: Option<(F, Metadata)>,
    ) {
        let manner = manner(self.domains.at(self.domain), path);
        self.files.remember_sibling(self.domain, path, coding, manner, opened, self.now);
    }

    /// Takes back the memory of a request that was answered.
    pub(crate) fn recycle(&mut self, exchange: Box<Exchange>) {
        if self.spare.len() < MAX_SPARE && exchange.capacity() <= MAX_SPARE_CAPACITY {
            self.spare.push(exchange);
        }
    }
}

/// What answers say of a file of this path.
fn manner<'a>(domain: &'a Domain, path: &str) -> Manner<'a> {
    let varies = !domain.precompressed.is_empty();
    Manner { cache_control: domain.cache_control(path), varies }
}

/// How many exchanges are kept to be used again.
const MAX_SPARE: usize = 16;

/// The largest exchange that is kept, in bytes.
const MAX_SPARE_CAPACITY: usize = 2048;
