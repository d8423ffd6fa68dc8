//! `torsade up --watch`: what is served follows its files.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf, absolute};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::config::{self, Config, FILE_NAME, PluginSource};
use crate::server::{Changes, Control};

use super::build;
use super::progress::Progress;

/// Has a server reload after each change of its configuration and of what its plugins are made of,
/// from a thread of its own, and prints what came of it.
///
/// # Errors
/// Where the system can't watch a folder.
pub(super) fn start(file: &Path, control: Control, progress: Progress) -> Result<()> {
    let (events, changes) = mpsc::channel();
    let watcher = notify::recommended_watcher(events).context("can't watch files")?;
    let file = if file.is_dir() { file.join(FILE_NAME) } else { file.to_owned() };
    let files = Files::default();
    let mut watch = Watch { file: absolute(file)?, watcher, files, folders: BTreeSet::new() };
    watch.look()?;
    let follow = move || watch.follow(&changes, &control, progress);
    let thread = thread::Builder::new().name("torsade-watch".to_owned());
    thread.spawn(follow).context("can't start the thread that watches")?;
    Ok(())
}

struct Watch {
    /// The configuration.
    file: PathBuf,
    watcher: RecommendedWatcher,
    files: Files,
    /// The folders that are watched, each without what is below.
    folders: BTreeSet<PathBuf>,
}

/// What matters, by absolute paths.
#[derive(Default)]
struct Files {
    /// Files by themselves.
    single: BTreeSet<PathBuf>,
    /// Folders with all that is below, but for what tools keep there.
    sources: BTreeSet<PathBuf>,
}

type Changed = notify::Result<Event>;

impl Watch {
    fn follow(mut self, changes: &Receiver<Changed>, control: &Control, progress: Progress) {
        for change in changes {
            if !self.files.matter(&change) {
                continue;
            }
            let noticed = Instant::now();
            self.wait_for_silence(changes, noticed);
            match control.reload() {
                Ok(changes) => {
                    told(&changes, noticed.elapsed()).iter().for_each(|line| progress.line(line));
                }
                Err(error) => complain(&error),
            }
            if let Err(error) = self.look() {
                complain(&error);
            }
        }
    }

    /// An editor, or a checkout, writes more than once.
    fn wait_for_silence(&self, changes: &Receiver<Changed>, noticed: Instant) {
        let mut until = noticed + SILENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match changes.recv_timeout(left) {
                Ok(change) if self.files.matter(&change) => {
                    until = (Instant::now() + SILENCE).min(noticed + PATIENCE);
                }
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => return,
            }
        }
    }

    /// Finds out what matters now. While the configuration has a mistake, what mattered before does.
    fn look(&mut self) -> Result<()> {
        self.files.single.insert(self.file.clone());
        if let Ok(config) = config::load(&self.file) {
            self.files = Files::of(&self.file, &config)?;
        }
        for folder in self.files.folders() {
            if !self.folders.contains(&folder) {
                self.watcher
                    .watch(&folder, RecursiveMode::NonRecursive)
                    .with_context(|| format!("can't watch {}", folder.display()))?;
                self.folders.insert(folder);
            }
        }
        // One that is gone is watched no more; where it comes back it is another one.
        self.folders.retain(|folder| folder.exists());
        Ok(())
    }
}

impl Files {
    fn of(file: &Path, config: &Config) -> io::Result<Self> {
        let mut files = Self { single: [file.to_owned()].into(), sources: BTreeSet::new() };
        for service in &config.services {
            match &service.plugin {
                PluginSource::File(file) => _ = files.single.insert(absolute(file)?),
                PluginSource::Folder(folder) => {
                    files.sources.extend(build::sources(&absolute(folder)?));
                }
            }
        }
        Ok(files)
    }

    /// The folders to watch, at most [`FOLDERS_MAX`].
    fn folders(&self) -> Vec<PathBuf> {
        let parents = self.single.iter().filter_map(|file| file.parent());
        let mut folders: Vec<PathBuf> =
            parents.chain(self.sources.iter().map(PathBuf::as_path)).map(Path::to_owned).collect();
        let mut looked = folders.len() - self.sources.len();
        while looked < folders.len() && folders.len() < FOLDERS_MAX {
            let below = fs::read_dir(&folders[looked]).into_iter().flatten().flatten();
            let below = below.filter(|entry| !is_of_tools(&entry.file_name()));
            let below = below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            folders.extend(below.map(|entry| entry.path()));
            looked += 1;
        }
        folders
    }

    /// Whether something has changed that is served.
    fn matter(&self, change: &Changed) -> bool {
        let Ok(event) = change else { return false };
        let of_tools =
            |part: Component<'_>| matches!(part, Component::Normal(name) if is_of_tools(name));
        let is_source = |path: &Path| {
            let mut below = self.sources.iter().filter_map(|folder| path.strip_prefix(folder).ok());
            below.any(|rest| !rest.components().any(of_tools))
        };
        let matters = |path: &PathBuf| self.single.contains(path) || is_source(path);
        event.need_rescan()
            || !matches!(event.kind, EventKind::Access(_)) && event.paths.iter().any(matters)
    }
}

/// What is wrong is said whatever else is not.
fn complain(error: &anyhow::Error) {
    // Where standard error is closed nobody is watching.
    let _ = writeln!(io::stderr(), "error: {error:#}; nothing has changed");
}

/// Whether a name is of what tools keep beside sources: hidden files, and what cargo has built.
fn is_of_tools(name: &OsStr) -> bool {
    name == "target" || name.as_encoded_bytes().starts_with(b".")
}

/// A line for each service that changed.
fn told(changes: &Changes, took: Duration) -> Vec<String> {
    let took = took.as_secs_f64();
    let all =
        [("added", &changes.added), ("removed", &changes.removed), ("swapped", &changes.swapped)];
    all.iter()
        .flat_map(|(what, names)| names.iter().map(move |name| (what, name)))
        .map(|(what, name)| format!("{name}: {what} in {took:.1} s"))
        .collect()
}

/// How long nothing may change before a change is taken up.
const SILENCE: Duration = Duration::from_millis(100);

/// After so long a change is taken up though there are more.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many folders are watched.
const FOLDERS_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, CreateKind, ModifyKind};

    use super::*;

    #[test]
    fn sources_matter_and_what_tools_keep_beside_them_does_not() {
        let (single, sources) =
            (["/c/torsade.toml".into()].into(), ["/g/target/echo".into()].into());
        let files = Files { single, sources };
        let matters = |kind, path: &str| files.matter(&Ok(Event::new(kind).add_path(path.into())));
        let modified = EventKind::Modify(ModifyKind::Any);
        assert!(matters(modified, "/c/torsade.toml"));
        assert!(matters(EventKind::Create(CreateKind::File), "/g/target/echo/src/lib.rs"));
        assert!(!matters(EventKind::Access(AccessKind::Any), "/g/target/echo/src/lib.rs"));
        for path in ["/c/other.toml", "/g/target/echo/target/x.d", "/g/target/echo/src/.lib.rs.swp"]
        {
            assert!(!matters(modified, path), "{path}");
        }
    }

    #[test]
    fn each_service_has_a_line() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (added, removed, swapped) = (names(&["a"]), names(&[]), names(&["site", "b"]));
        let lines = told(&Changes { added, removed, swapped }, Duration::from_millis(1234));
        assert_eq!(lines, ["a: added in 1.2 s", "site: swapped in 1.2 s", "b: swapped in 1.2 s"]);
    }
}
