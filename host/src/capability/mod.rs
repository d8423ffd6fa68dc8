//! What stands behind the grants: each capability's types, and what answers its questions.

use std::fmt;
use std::sync::Arc;

pub mod files;
pub mod resolver;

use files::{Entry, OpenFile};

/// What a deferred came to. The interface that was asked takes it.
#[derive(Debug)]
pub enum Outcome {
    /// A timer's time has passed.
    Elapsed,
    /// A folder was listed.
    Entries(Vec<Entry>),
    /// Any of them went wrong.
    Failed(Failure),
    /// A file or a folder was opened.
    File(Arc<OpenFile>),
}

/// Why a question has no answer: `types.failure` of the contract, which lists the codes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// A code of the contract.
    pub code: &'static str,
    /// What, where and what would be right.
    pub message: String,
}

impl Failure {
    /// A failure with one of the contract's codes.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// What a cancelled deferred fires with.
    pub fn cancelled() -> Self {
        Self::new("cancelled", "it was cancelled")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}
