//! What the walls leave to connections and sandboxes, and who has taken it: shared by all workers.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::{Carried, Height, Kind, Rlimits, Wall, Walls, nearest, read};

/// Counts what all workers have taken. It is asked when a connection is accepted or dialled, and
/// when a sandbox is made, never for a byte.
#[derive(Clone)]
pub struct Room(Arc<Shared>);

/// Something taken from a [`Room`]; dropping it gives it back.
pub struct Claim {
    room: Arc<Shared>,
    of: Of,
}

/// Where a sandbox lies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sandbox {
    /// Its memory is mapped for it.
    OnDemand,
    /// In a pooled slot.
    Pooled,
}

/// There is no room: the wall that would be hit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Full(pub Kind);

#[derive(Clone, Copy)]
enum Of {
    Descriptors,
    Sandboxes(Sandbox),
}

struct Shared {
    /// `None` where there are no walls.
    ground: Option<Ground>,
    descriptors: Counter,
    on_demand: Counter,
    pooled: Counter,
    /// The wall of memory that is too near, by its place, and one more; 0 where none is.
    short_of: AtomicUsize,
    /// When it was first asked: what the moments below are counted from.
    started: OnceLock<Instant>,
    looked: AtomicU64,
    /// When the log was last told, by the kind of wall.
    told: [AtomicU64; KINDS],
}

/// What the walls were when all that the host begins with was there.
struct Ground {
    root: PathBuf,
    limits: Rlimits,
    walls: Walls,
    /// The wall that keeps sandboxes from being more.
    held_by: Kind,
    /// Descriptors that are open beside connections, with those that are expected.
    expected: u64,
    /// Whether the kernel tells at once how many are open.
    tells_at_once: bool,
}

struct Counter {
    taken: AtomicUsize,
    most: AtomicUsize,
}

impl Room {
    /// Without walls.
    pub fn endless() -> Self {
        Self(Arc::new(Shared::new(None, usize::MAX, [usize::MAX; 2])))
    }

    /// What these walls leave: `descriptors` are expected to be opened beside connections.
    pub fn within(walls: Walls, descriptors: u64, carried: Carried) -> Self {
        Self::within_below(Path::new("/"), Rlimits::own(), walls, descriptors, carried)
    }

    /// The same for walls that were read below a folder.
    pub(super) fn within_below(
        root: &Path,
        limits: Rlimits,
        walls: Walls,
        descriptors: u64,
        carried: Carried,
    ) -> Self {
        let used = walls.descriptors.used.unwrap_or(0);
        // A folder's size tells how many there are, or nothing: by kernels before 6.2.
        let now = (read::descriptors(root), read::descriptors_at_once(root));
        let tells_at_once =
            matches!(now, (Some(counted), Some(told)) if told.abs_diff(counted) <= 1);
        let most = match walls.descriptors.height {
            Height::At(height) => {
                let reserve = walls.descriptors.kind.reserve(height);
                let expected = used.saturating_add(reserve).saturating_add(descriptors);
                (expected, height.saturating_sub(expected))
            }
            Height::Endless | Height::Unknown => (0, u64::MAX),
        };
        let (expected, most) = (most.0, usize::try_from(most.1).unwrap_or(usize::MAX));
        let sandboxes = match carried.held_by {
            Some(_) => [carried.on_demand, carried.pooled],
            None => [usize::MAX; 2],
        };
        let held_by = carried.held_by.unwrap_or(Kind::Mappings);
        let root = root.to_owned();
        let ground = Ground { root, limits, walls, held_by, expected, tells_at_once };
        Self(Arc::new(Shared::new(Some(ground), most, sandboxes)))
    }

    /// Takes a descriptor, for a connection.
    ///
    /// # Errors
    /// Names the wall.
    pub fn take_descriptor(&self, now: Instant) -> Result<Claim, Full> {
        self.0.look(now);
        self.take(Of::Descriptors, Kind::Descriptors)
    }

    /// Takes the room that a sandbox needs.
    ///
    /// # Errors
    /// Names the wall.
    pub fn take_sandbox(&self, sandbox: Sandbox, now: Instant) -> Result<Claim, Full> {
        self.has_memory(now)?;
        self.take(Of::Sandboxes(sandbox), self.0.held_by())
    }

    /// Whether there is room for a sandbox.
    ///
    /// # Errors
    /// Names the wall.
    pub fn has_sandbox(&self, sandbox: Sandbox, now: Instant) -> Result<(), Full> {
        self.has_memory(now)?;
        let has = self.0.counter(Of::Sandboxes(sandbox)).has();
        if has { Ok(()) } else { Err(Full(self.0.held_by())) }
    }

    /// What the log is to be told of a wall that is reached: once a minute, however many workers
    /// come up against it.
    pub fn tell(&self, full: Full, now: Instant) -> Option<String> {
        let told = &self.0.told[full.0 as usize];
        self.0.is_time(told, QUIET, now).then(|| self.explain(full))
    }

    /// The wall, its number, and what raises it.
    pub fn explain(&self, full: Full) -> String {
        let Full(kind) = full;
        let wall = self.0.ground.as_ref().and_then(|ground| ground.wall(kind));
        match wall.as_ref().map(|wall| (wall, wall.height)) {
            Some((wall, Height::At(height))) => {
                format!("the wall is {}", wall.explain(height.saturating_mul(2)))
            }
            _ => format!("the wall is {kind}"),
        }
    }

    fn take(&self, of: Of, wall: Kind) -> Result<Claim, Full> {
        let taken = self.0.counter(of).take();
        if taken { Ok(Claim { room: Arc::clone(&self.0), of }) } else { Err(Full(wall)) }
    }

    fn has_memory(&self, now: Instant) -> Result<(), Full> {
        self.0.look(now);
        match self.0.short_of.load(Ordering::Relaxed) {
            0 => Ok(()),
            place => Err(Full(MEMORY[(place - 1) % MEMORY.len()])),
        }
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::endless()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.room.counter(self.of).give_back();
    }
}

impl Shared {
    fn new(ground: Option<Ground>, descriptors: usize, [on_demand, pooled]: [usize; 2]) -> Self {
        Self {
            ground,
            descriptors: Counter::new(descriptors),
            on_demand: Counter::new(on_demand),
            pooled: Counter::new(pooled),
            short_of: AtomicUsize::new(0),
            started: OnceLock::new(),
            looked: AtomicU64::new(0),
            told: Default::default(),
        }
    }

    fn counter(&self, of: Of) -> &Counter {
        match of {
            Of::Descriptors => &self.descriptors,
            Of::Sandboxes(Sandbox::OnDemand) => &self.on_demand,
            Of::Sandboxes(Sandbox::Pooled) => &self.pooled,
        }
    }

    fn held_by(&self) -> Kind {
        self.ground.as_ref().map_or(Kind::Mappings, |ground| ground.held_by)
    }

    /// Looks at what changes without us: other descriptors, and memory.
    fn look(&self, now: Instant) {
        let Some(ground) = &self.ground else { return };
        if !self.is_time(&self.looked, LOOK, now) {
            return;
        }
        if let Some(most) = ground.descriptors_left(self.descriptors.taken()) {
            self.descriptors.most.store(most, Ordering::Relaxed);
        }
        self.short_of.store(ground.short_of(), Ordering::Relaxed);
    }

    /// Whether the time since the moment in `last` is over; then that is now.
    fn is_time(&self, last: &AtomicU64, time: Duration, now: Instant) -> bool {
        let start = *self.started.get_or_init(|| now);
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        // Nothing was ever at 0.
        let now = millis(now.saturating_duration_since(start)).saturating_add(1);
        let before = last.load(Ordering::Relaxed);
        let over = before == 0 || now >= before.saturating_add(millis(time));
        let order = Ordering::Relaxed;
        over && last.compare_exchange(before, now, order, order).is_ok()
    }
}

impl Ground {
    /// How many descriptors connections may have, of which there are so many now.
    fn descriptors_left(&self, taken: usize) -> Option<usize> {
        let Height::At(height) = self.walls.descriptors.height else { return None };
        let open = read::descriptors_at_once(&self.root).filter(|_| self.tells_at_once)?;
        let others = open.saturating_sub(taken as u64);
        // What workers open between two looks.
        let margin = DESCRIPTORS_MARGIN.min(height / 8);
        let used = self.expected.max(others.saturating_add(margin));
        usize::try_from(height.saturating_sub(used)).ok()
    }

    /// The place of the wall of memory that is too near, and one more.
    fn short_of(&self) -> usize {
        let walls = read::memory(&self.root, &self.limits);
        let short = |wall: &Wall| wall.used.is_some() && wall.free() == Some(0);
        walls.iter().position(short).map_or(0, |place| place + 1)
    }

    /// A wall as it is now.
    fn wall(&self, kind: Kind) -> Option<Wall> {
        match kind {
            Kind::Cgroup | Kind::Data | Kind::Machine => {
                let walls = read::memory(&self.root, &self.limits);
                let wall = walls.iter().find(|wall| wall.kind == kind && wall.left().is_some());
                wall.or_else(|| nearest(&walls)).cloned()
            }
            Kind::SystemDescriptors => {
                let text = fs::read_to_string(self.root.join("proc/sys/fs/file-max")).ok()?;
                let height = Height::At(text.trim().parse().ok()?);
                Some(Wall { kind, height, used: None, file: None })
            }
            Kind::AddressSpace | Kind::Descriptors | Kind::Mappings => {
                self.walls.wall(kind).cloned()
            }
        }
    }
}

impl Counter {
    fn new(most: usize) -> Self {
        Self { taken: AtomicUsize::new(0), most: AtomicUsize::new(most) }
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    fn has(&self) -> bool {
        self.taken() < self.most.load(Ordering::Relaxed)
    }

    fn take(&self) -> bool {
        let most = self.most.load(Ordering::Relaxed);
        let below = |taken| (taken < most).then_some(taken + 1);
        let order = Ordering::Relaxed;
        self.taken.fetch_update(order, order, below).is_ok()
    }

    fn give_back(&self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The walls of memory in the order in which they are read.
const MEMORY: [Kind; 3] = [Kind::Machine, Kind::Cgroup, Kind::Data];

/// How many kinds of walls there are.
const KINDS: usize = Kind::SystemDescriptors as usize + 1;

/// How often it is looked at what changes without us, at most.
const LOOK: Duration = Duration::from_millis(100);

/// How long nothing more is said of a wall.
const QUIET: Duration = Duration::from_secs(60);

/// Descriptors that may be opened beside connections between two looks, where that was not
/// expected.
const DESCRIPTORS_MARGIN: u64 = 32;
