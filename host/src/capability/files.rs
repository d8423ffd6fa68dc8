//! Files below a granted folder: opened and listed on the pool, and remembered by the worker.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::mem;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{Failure, Outcome};
use crate::pool::Work;

/// An open file or folder, as it was when it was opened.
#[derive(Debug)]
pub struct OpenFile {
    /// The descriptor.
    pub file: Arc<File>,
    /// What the system knew about it.
    pub metadata: Metadata,
    /// The content of a file of at most [`SMALL`] bytes.
    pub content: Option<Box<[u8]>>,
}

/// What the system knows about a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Metadata {
    /// A file or a folder.
    pub kind: Kind,
    /// In bytes.
    pub size: u64,
    /// Seconds since 1970-01-01T00:00:00Z, and nanoseconds.
    pub modified: (i64, u32),
    /// The file system's number.
    pub inode: u64,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Folder,
    Regular,
}

/// An entry of a folder.
#[derive(Clone, Debug)]
pub struct Entry {
    /// One part of a path.
    pub name: String,
    /// What stands behind the name.
    pub metadata: Metadata,
}

/// A granted folder, out of which no path leads.
#[derive(Clone, Debug)]
pub struct Root(Arc<Dir>);

impl Root {
    /// Opens the folder; its own path is the configuration's, and trusted.
    pub fn open(path: &Path) -> io::Result<Self> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        // A folder that can't be listed can't be served either: say so now.
        dir.entries()?;
        Ok(Self(Arc::new(dir)))
    }

    /// Opens what `path` names. `known` is what it named before: where it still does, that.
    fn open_file(&self, path: &str, known: Option<Arc<OpenFile>>) -> Opened {
        // Without NONBLOCK, opening a pipe would wait for somebody to write into it.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags);
        let file = self.0.open_with(relative(path), &options).map_err(|e| refused(path, &e))?;
        let metadata = metadata(&file.metadata().map_err(|e| refused(path, &e))?)
            .ok_or_else(|| Failure::new("denied", format!("{path:?} is no file and no folder")))?;
        if let Some(known) = known
            && known.metadata == metadata
        {
            return Ok(known);
        }
        let mut file = file.into_std();
        let content = content(&mut file, &metadata).map_err(|e| refused(path, &e))?;
        Ok(Arc::new(OpenFile { file: Arc::new(file), metadata, content }))
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, Failure> {
        let failed = |e: io::Error| refused(path, &e);
        let mut entries = Vec::new();
        for entry in self.0.read_dir(relative(path)).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // Following a link may lead out of the root, or nowhere: then it's not ours to show.
            let within = relative(path).join(&name);
            let Some(metadata) = self.0.metadata(within).ok().as_ref().and_then(metadata) else {
                continue;
            };
            if entries.len() == LISTED {
                let message = format!("{path:?} has more than {LISTED} entries");
                return Err(Failure::new("limit", message));
            }
            entries.push(Entry { name, metadata });
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }
}

/// What opening a path comes to.
pub type Opened = Result<Arc<OpenFile>, Failure>;

/// The files that a service of a worker has opened, and who waits for which. `W` names who waits.
pub(crate) struct Files<W> {
    root: Root,
    cached: HashMap<Box<str>, Cached<W>>,
    most: usize,
    /// How many questions wait for the pool; at most [`WAITING_MAX`].
    waiting: usize,
}

struct Cached<W> {
    file: Option<Arc<OpenFile>>,
    /// When the system last said that the path names it.
    checked: Option<Instant>,
    /// The pool is asking.
    asking: bool,
    waiting: Vec<W>,
}

/// What a question came to at once.
pub(crate) enum Asked {
    /// The answer is known.
    Known(Outcome),
    /// The pool has to do this.
    Todo(Work<Opened>),
    /// The pool is doing it.
    Waiting,
}

impl<W> Files<W> {
    /// Remembers at most `most` open files.
    pub(crate) fn new(root: Root, most: usize) -> Self {
        Self { root, cached: HashMap::new(), most, waiting: 0 }
    }

    /// Asks for `path`, for `waiter`.
    pub(crate) fn open(&mut self, waiter: W, path: &str, now: Instant) -> Asked {
        if let Some(Cached { file: Some(file), checked: Some(checked), .. }) = self.cached.get(path)
            && now.saturating_duration_since(*checked) < VALID
        {
            return Asked::Known(Outcome::File(Arc::clone(file)));
        }
        if self.waiting == WAITING_MAX {
            let message = format!("{WAITING_MAX} questions wait for paths already");
            return Asked::Known(Outcome::Failed(Failure::new("limit", message)));
        }
        let cached = match self.cached.get_mut(path) {
            Some(cached) => cached,
            None => self.cached.entry(path.into()).or_default(),
        };
        cached.waiting.push(waiter);
        self.waiting += 1;
        if mem::replace(&mut cached.asking, true) {
            return Asked::Waiting;
        }
        let (root, path, known) = (self.root.clone(), Box::<str>::from(path), cached.file.clone());
        Asked::Todo(Box::new(move || root.open_file(&path, known)))
    }

    /// The work that lists `path`.
    pub(crate) fn list(&self, path: &str) -> Work<Result<Vec<Entry>, Failure>> {
        let (root, path) = (self.root.clone(), path.to_owned());
        Box::new(move || root.list(&path))
    }

    /// Takes what the pool found for `path`, and appends what comes of it for whom to `outcomes`.
    pub(crate) fn opened(
        &mut self,
        path: &str,
        result: Opened,
        now: Instant,
        outcomes: &mut Vec<(W, Outcome)>,
    ) {
        let Some(cached) = self.cached.get_mut(path) else { return };
        cached.asking = false;
        cached.checked = Some(now);
        self.waiting -= cached.waiting.len();
        outcomes.extend(cached.waiting.drain(..).map(|waiter| match &result {
            Ok(file) => (waiter, Outcome::File(Arc::clone(file))),
            Err(failure) => (waiter, Outcome::Failed(failure.clone())),
        }));
        match result {
            Ok(file) => cached.file = Some(file),
            Err(_) => drop(self.cached.remove(path)),
        }
        self.make_room();
    }

    /// Forgets an eighth of what was checked first, once there is more than the limit: so seldom
    /// that looking at all of it costs each answer little.
    fn make_room(&mut self) {
        if self.cached.len() <= self.most {
            return;
        }
        let idle = self.cached.values().filter(|cached| !cached.asking);
        let mut checked: Vec<_> = idle.map(|cached| cached.checked).collect();
        if checked.is_empty() {
            return;
        }
        let place = (self.most / 8).min(checked.len() - 1);
        let (_, newest, _) = checked.select_nth_unstable(place);
        let newest = *newest;
        self.cached.retain(|_, cached| cached.asking || cached.checked > newest);
    }
}

impl<W> Default for Cached<W> {
    fn default() -> Self {
        Self { file: None, checked: None, asking: false, waiting: Vec::new() }
    }
}

/// The path below the root: the empty one means the root itself.
fn relative(path: &str) -> &Path {
    Path::new(if path.is_empty() { "." } else { path })
}

/// What is known of a file or a folder; `None` for anything else.
fn metadata(found: &cap_std::fs::Metadata) -> Option<Metadata> {
    let kind = match found.file_type() {
        kind if kind.is_dir() => Kind::Folder,
        kind if kind.is_file() => Kind::Regular,
        _ => return None,
    };
    let nanoseconds = u32::try_from(found.mtime_nsec()).unwrap_or(0);
    Some(Metadata {
        kind,
        size: found.len(),
        modified: (found.mtime(), nanoseconds),
        inode: found.ino(),
    })
}

/// The content, where it is small and did not change while it was read.
fn content(file: &mut File, metadata: &Metadata) -> io::Result<Option<Box<[u8]>>> {
    if metadata.kind == Kind::Folder || metadata.size > SMALL {
        return Ok(None);
    }
    let mut content = Vec::with_capacity(metadata.size as usize + 1);
    file.take(metadata.size + 1).read_to_end(&mut content)?;
    Ok((content.len() as u64 == metadata.size).then(|| content.into()))
}

/// The system's refusal in the contract's words. It names the plugin's path, never the host's.
fn refused(path: &str, error: &io::Error) -> Failure {
    let code = match error.kind() {
        // Links that go round in a circle, and sockets, are there and can't be opened.
        _ if matches!(Errno::from_io_error(error), Some(Errno::LOOP | Errno::NXIO)) => "denied",
        ErrorKind::PermissionDenied => "denied",
        ErrorKind::NotFound
        | ErrorKind::NotADirectory
        | ErrorKind::InvalidInput
        | ErrorKind::InvalidFilename => "not-found",
        _ => "io",
    };
    Failure::new(code, format!("{path:?}: {error}"))
}

/// The largest file whose content is kept in memory, in bytes: `file.content` of the contract.
pub const SMALL: u64 = 16 * 1024;

/// The most entries that a listing has: `files.listed` of the contract.
const LISTED: usize = 10_000;

/// The most questions of a service that wait for paths on one worker. Those that nobody wants any
/// more are among them: a plugin can give up and ask again for as long as the disk takes to answer.
const WAITING_MAX: usize = 100_000;

/// For how long an answer holds: `files.open` of the contract.
const VALID: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_wait_for_paths_have_a_limit() {
        let root = Root::open(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let (mut files, now) = (Files::new(root, 8), Instant::now());
        assert!(matches!(files.open(0, "a", now), Asked::Todo(_)));
        assert!(matches!(files.open(1, "b", now), Asked::Todo(_)));
        for n in 2..WAITING_MAX {
            assert!(matches!(files.open(n, "a", now), Asked::Waiting));
        }
        for path in ["a", "b", "c"] {
            let Asked::Known(Outcome::Failed(failure)) = files.open(0, path, now) else {
                panic!("it is one too many")
            };
            assert_eq!(failure.code, "limit");
        }
        let mut outcomes = Vec::new();
        files.opened("a", Err(Failure::new("io", "lost")), now, &mut outcomes);
        assert_eq!(outcomes.len(), WAITING_MAX - 1);
        assert!(matches!(files.open(0, "b", now), Asked::Waiting));
    }
}
