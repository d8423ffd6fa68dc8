//! Reads walls from `/proc`, `/sys` and the process's own limits.

use std::fs;
use std::path::{Component, Path, PathBuf};

use rustix::process::{Resource, getrlimit};

use super::{Height, Kind, Wall, Walls, nearest};

/// The limits of a process that concern us.
#[derive(Clone, Copy, Debug)]
pub struct Rlimits {
    /// `RLIMIT_AS`.
    pub address_space: Height,
    /// `RLIMIT_DATA`.
    pub data: Height,
    /// `RLIMIT_NOFILE`, the hard limit.
    pub descriptors: Height,
    /// `RLIMIT_NOFILE`, the soft limit.
    pub descriptors_soft: Height,
}

impl Rlimits {
    /// This process's.
    pub fn own() -> Self {
        let height = |limit: Option<u64>| limit.map_or(Height::Endless, Height::At);
        let descriptors = getrlimit(Resource::Nofile);
        Self {
            address_space: height(getrlimit(Resource::As).current),
            data: height(getrlimit(Resource::Data).current),
            descriptors: height(descriptors.maximum),
            descriptors_soft: height(descriptors.current),
        }
    }
}

pub(super) fn walls(root: &Path, limits: &Rlimits) -> Walls {
    let own = |file: &str| fs::read_to_string(root.join("proc/self").join(file)).ok();
    let mappings = fs::read_to_string(root.join("proc/sys/vm/max_map_count")).ok();
    let maps = fs::read(root.join("proc/self/maps")).ok();
    let lines = maps.map(|maps| maps.iter().filter(|byte| **byte == b'\n').count() as u64);
    let size = own("status").and_then(|text| kibibytes(&text, "VmSize"));
    Walls {
        descriptors: wall(Kind::Descriptors, limits.descriptors, descriptors(root)),
        descriptors_soft: limits.descriptors_soft,
        mappings: wall(Kind::Mappings, mappings.as_deref().map_or(Height::Unknown, height), lines),
        address_space: wall(Kind::AddressSpace, limits.address_space, size),
        memory: memory(root, limits),
    }
}

/// The walls of memory.
pub(super) fn memory(root: &Path, limits: &Rlimits) -> [Wall; 3] {
    let data = match limits.data {
        Height::At(_) => fs::read_to_string(root.join("proc/self/status")).ok(),
        Height::Endless | Height::Unknown => None,
    };
    let data = data.and_then(|text| kibibytes(&text, "VmData"));
    [machine(root), cgroup(root), wall(Kind::Data, limits.data, data)]
}

/// How many descriptors are open, as their folder's entries tell.
pub(super) fn descriptors(root: &Path) -> Option<u64> {
    Some(fs::read_dir(own_descriptors(root)).ok()?.count() as u64)
}

/// How many descriptors are open, as their folder's size tells, from Linux 6.2 on.
pub(super) fn descriptors_at_once(root: &Path) -> Option<u64> {
    Some(fs::metadata(own_descriptors(root)).ok()?.len())
}

fn own_descriptors(root: &Path) -> PathBuf {
    root.join("proc/self/fd")
}

fn machine(root: &Path) -> Wall {
    let text = fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default();
    let total = kibibytes(&text, "MemTotal");
    let available = kibibytes(&text, "MemAvailable").or_else(|| kibibytes(&text, "MemFree"));
    let used = total.zip(available).map(|(total, available)| total.saturating_sub(available));
    wall(Kind::Machine, total.map_or(Height::Unknown, Height::At), used)
}

/// The wall of the control group that is nearest, of this process's own and those around it.
fn cgroup(root: &Path) -> Wall {
    let listed = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let found: Vec<Wall> = listed.lines().flat_map(|line| groups(root, line)).collect();
    let any = |height| found.iter().find(|wall| wall.height == height);
    let least = nearest(&found).or_else(|| any(Height::Unknown)).or_else(|| any(Height::Endless));
    least.cloned().unwrap_or_else(|| wall(Kind::Cgroup, Height::Unknown, None))
}

/// The walls of the groups that a line of `/proc/self/cgroup` names.
fn groups(root: &Path, line: &str) -> Vec<Wall> {
    let mut words = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (words.next(), words.next()) else { return Vec::new() };
    let (base, version): (&[&str], _) = match controllers {
        "" => (&["sys/fs/cgroup", "sys/fs/cgroup/unified"], &V2),
        _ if controllers.split(',').any(|name| name == "memory") => {
            (&["sys/fs/cgroup/memory"], &V1)
        }
        _ => return Vec::new(),
    };
    let mut walls = Vec::new();
    for base in base {
        // In a container the path may be the host's, and not be there: what is, counts.
        let parts = Path::new(path).components();
        let mut folder = root.join(base);
        walls.extend(version.walls(&folder));
        for part in parts.filter(|part| matches!(part, Component::Normal(_))) {
            folder.push(part);
            walls.extend(version.walls(&folder));
        }
    }
    walls
}

/// The files of one version of control groups.
struct Version {
    limits: &'static [&'static str],
    used: &'static str,
    /// What of the used memory the kernel can take back at once, in `memory.stat`.
    spare: &'static str,
}

const V1: Version = Version {
    limits: &["memory.limit_in_bytes"],
    used: "memory.usage_in_bytes",
    spare: "total_inactive_file",
};

const V2: Version = Version {
    limits: &["memory.max", "memory.high"],
    used: "memory.current",
    spare: "inactive_file",
};

impl Version {
    fn walls(&self, folder: &Path) -> Vec<Wall> {
        let of = |file: &&str| {
            let path = folder.join(file);
            let height = height(&fs::read_to_string(&path).ok()?);
            // How much is used is asked only where it matters.
            let used = matches!(height, Height::At(_)).then(|| self.used(folder)).flatten();
            Some(Wall { kind: Kind::Cgroup, height, used, file: Some(path) })
        };
        self.limits.iter().filter_map(of).collect()
    }

    fn used(&self, folder: &Path) -> Option<u64> {
        let used = fs::read_to_string(folder.join(self.used)).ok()?.trim().parse::<u64>().ok()?;
        let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let spare = stat.lines().find_map(|line| line.strip_prefix(self.spare)?.strip_prefix(' '));
        Some(used.saturating_sub(spare.and_then(|spare| spare.trim().parse().ok()).unwrap_or(0)))
    }
}

fn wall(kind: Kind, height: Height, used: Option<u64>) -> Wall {
    Wall { kind, height, used, file: None }
}

/// A file that holds one number, or the word for none.
fn height(text: &str) -> Height {
    match text.trim() {
        "max" => Height::Endless,
        number => match number.parse() {
            Ok(number) if number >= NO_LIMIT => Height::Endless,
            Ok(number) => Height::At(number),
            Err(_) => Height::Unknown,
        },
    }
}

/// The value of a line such as `VmSize:  1234 kB`, in bytes.
fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// From here on a number of version 1 stands for no limit: it is the largest that the kernel rounds
/// down to whole pages, and those differ.
const NO_LIMIT: u64 = 1 << 60;
