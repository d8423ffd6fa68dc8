//! A request that has to wait: for its body, or for what the host knows of a file.

use crate::domains::{Domain, Domains};
use crate::encoding::{Coding, Codings};
use crate::refusal::Refusal;
use crate::request::{Expect, Head, Method, Outline};
use crate::status::Status;
use crate::target::{self, Target};

/// A request that has to wait, with its own copy of the head.
#[derive(Debug)]
pub(crate) struct Exchange {
    head: Vec<u8>,
    outline: Outline,
    pub(crate) plan: Plan,
    /// The number of its domain.
    pub(crate) domain: usize,
    /// The path that is asked for.
    pub(crate) path: String,
    /// For a folder, how long its own path is, and how many index files were tried.
    pub(crate) folder: Option<(usize, usize)>,
    /// What stands at the path.
    pub(crate) asked: Asked,
    /// The codings that were asked for, each once.
    pub(crate) tried: Codings,
}

/// What a path that the host is asked for is to this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// What the client wants.
    File,
    /// The page that goes with this.
    Page(Refusal),
    /// What the client wants, in this coding.
    Sibling(Coding),
    /// Nothing yet: the host is asked who the user is, by the rule of this number.
    User(usize),
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
    /// To be sent elsewhere, by the redirect of this number; `bool` says whether the path is that
    /// of a folder.
    Redirect(usize, bool),
}

impl Exchange {
    pub(crate) fn new(head: Head<'_>) -> Self {
        Self {
            head: Vec::new(),
            outline: *head.outline(),
            plan: Plan::Options,
            domain: 0,
            path: String::new(),
            folder: None,
            asked: Asked::File,
            tried: Codings::default(),
        }
    }

    pub(crate) fn fill(&mut self, head: Head<'_>, plan: Plan, domain: usize, path: &str) {
        self.head.clear();
        self.head.extend_from_slice(head.bytes());
        self.outline = *head.outline();
        self.plan = plan;
        self.domain = domain;
        self.path.clear();
        self.path.push_str(path);
        self.folder = None;
        self.asked = Asked::File;
        self.tried = Codings::default();
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

    /// Goes on to the file beside the one of its path.
    pub(crate) fn ask_sibling(&mut self, coding: Coding) {
        self.path.push_str(coding.suffix());
        self.asked = Asked::Sibling(coding);
        self.tried.insert(coding);
    }

    /// Goes back from there.
    pub(crate) fn end_sibling(&mut self, coding: Coding) {
        self.path.truncate(self.path.len() - coding.suffix().len());
        self.asked = Asked::File;
    }
}

/// Appends a name to the path of a folder.
pub(crate) fn push_name(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('/');
    }
    path.push_str(name);
}

/// Decides what a request comes to, and in which domain, by its number. The path of a file is left
/// in `path`, behind the domain's root.
pub(crate) fn plan(head: Head<'_>, domains: &Domains, path: &mut String) -> (Plan, usize) {
    match domains.find(head) {
        Some(number) => (plan_in(domains.at(number), head, path), number),
        None => (Plan::Fail(Status::MisdirectedRequest), domains.common()),
    }
}

fn plan_in(domain: &Domain, head: Head<'_>, path: &mut String) -> Plan {
    let outline = head.outline();
    if outline.expect == Expect::Unknown {
        return Plan::Fail(Status::ExpectationFailed);
    }
    let method = outline.method;
    let found = find(domain, head, path);
    let is_moved = !matches!(method, Method::Options | Method::Unknown);
    if is_moved
        && let Ok(Some(is_folder)) = found
        && let Some(number) = domain.find_redirect(path)
    {
        return Plan::Redirect(number, is_folder);
    }
    match (method, found) {
        (Method::Unknown, _) => Plan::Fail(Status::NotImplemented),
        (Method::Options, Ok(_) | Err(Status::NotFound)) => Plan::Options,
        (Method::Get | Method::Head, Ok(Some(is_folder))) => Plan::Give(is_folder),
        (Method::Get | Method::Head, Ok(None)) => Plan::Fail(Status::BadRequest),
        (Method::Get | Method::Head | Method::Options, Err(status)) => Plan::Fail(status),
        _ => Plan::Fail(Status::MethodNotAllowed),
    }
}

/// Finds the path of a file, and whether it is a folder's; none for the server as a whole.
fn find(domain: &Domain, head: Head<'_>, path: &mut String) -> Result<Option<bool>, Status> {
    let Target::Path(raw, _) = target::split(head.target())? else { return Ok(None) };
    domain.start(path);
    let is_folder = target::decode(raw, path)?;
    if path.ends_with('/') {
        // The root itself: nothing came behind the slash.
        path.pop();
    }
    Ok(Some(is_folder))
}
