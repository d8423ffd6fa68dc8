//! A request that has to wait: for its body, or for what the host knows of a file.

use crate::request::{Expect, Head, Method, Outline};
use crate::status::Status;
use crate::target::{self, Target};

/// A request that has to wait, with its own copy of the head.
#[derive(Debug)]
pub(crate) struct Exchange {
    head: Vec<u8>,
    outline: Outline,
    pub(crate) plan: Plan,
    /// The path that is asked for.
    pub(crate) path: String,
    /// For a folder, how long its own path is, and how many index files were tried.
    pub(crate) folder: Option<(usize, usize)>,
}

/// What a request comes to, as far as its head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// To be told this.
    Fail(Status),
    /// To be given a file; what stands for a folder if `bool` says so.
    Give(bool),
    /// To be told what can be done.
    Options,
}

impl Exchange {
    pub(crate) fn new(head: Head<'_>) -> Self {
        Self {
            head: Vec::new(),
            outline: *head.outline(),
            plan: Plan::Options,
            path: String::new(),
            folder: None,
        }
    }

    pub(crate) fn fill(&mut self, head: Head<'_>, plan: Plan, path: &str) {
        self.head.clear();
        self.head.extend_from_slice(head.bytes());
        self.outline = *head.outline();
        self.plan = plan;
        self.path.clear();
        self.path.push_str(path);
        self.folder = None;
    }

    pub(crate) fn head(&self) -> Head<'_> {
        Head::new(&self.head, &self.outline)
    }

    pub(crate) fn capacity(&self) -> usize {
        self.head.capacity() + self.path.capacity()
    }

    /// Goes on to the folder's next index file; false where there is none left, and then the
    /// path is the folder's again.
    pub(crate) fn next_index(&mut self, names: &[String]) -> bool {
        let Some((length, tried)) = &mut self.folder else { return false };
        self.path.truncate(*length);
        let Some(name) = names.get(*tried) else { return false };
        *tried += 1;
        push_name(&mut self.path, name);
        true
    }
}

/// Appends a name to the path of a folder.
pub(crate) fn push_name(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('/');
    }
    path.push_str(name);
}

/// Decides what a request comes to. The path of a file is left in `path`.
pub(crate) fn plan(head: Head<'_>, path: &mut String) -> Plan {
    let outline = head.outline();
    if outline.expect == Expect::Unknown {
        return Plan::Fail(Status::ExpectationFailed);
    }
    match outline.method {
        Method::Unknown => return Plan::Fail(Status::NotImplemented),
        Method::Get | Method::Head | Method::Options => {}
        _ => return Plan::Fail(Status::MethodNotAllowed),
    }
    path.clear();
    let is_options = outline.method == Method::Options;
    match target::split(head.target()) {
        Err(status) => Plan::Fail(status),
        Ok(Target::Asterisk) if is_options => Plan::Options,
        Ok(Target::Asterisk) => Plan::Fail(Status::BadRequest),
        Ok(Target::Path(raw, _)) => match target::decode(raw, path) {
            Err(Status::NotFound) if is_options => Plan::Options,
            Err(status) => Plan::Fail(status),
            Ok(_) if is_options => Plan::Options,
            Ok(is_folder) => Plan::Give(is_folder),
        },
    }
}
