//! The walls of the system: what the kernel lets this process have of descriptors, mappings,
//! address space and memory; how many connections and sandboxes that carries; and who has taken how
//! much of it.
//!
//! It knows no socket and no plugin. What it can't read is unknown, and no wall to anybody.

mod carried;
mod read;
mod room;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

pub use carried::{Carried, Demand};
pub use read::Rlimits;
pub use room::{Claim, Full, Room, Sandbox};

/// All walls, as they were when they were read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Walls {
    /// Descriptors of this process, up to the hard limit, to which the host raises the soft one.
    pub descriptors: Wall,
    /// The soft limit of descriptors.
    pub descriptors_soft: Height,
    /// Mappings of this process.
    pub mappings: Wall,
    /// Its address space.
    pub address_space: Wall,
    /// What its memory comes up against: the machine's, a control group's, and its own limit.
    pub memory: [Wall; 3],
}

/// A wall, and how far away it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wall {
    /// Which it is.
    pub kind: Kind,
    /// Where it stands.
    pub height: Height,
    /// How much of it is used; `None` where that can't be read.
    pub used: Option<u64>,
    /// The file that has the number, where it isn't always the same.
    pub file: Option<PathBuf>,
}

/// Which wall.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// `RLIMIT_AS`, in bytes.
    AddressSpace,
    /// The memory of a control group, in bytes.
    Cgroup,
    /// `RLIMIT_DATA`, in bytes.
    Data,
    /// `RLIMIT_NOFILE`.
    Descriptors,
    /// The machine's memory, in bytes.
    Machine,
    /// `vm.max_map_count`.
    Mappings,
    /// `fs.file-max`: descriptors of all processes together.
    SystemDescriptors,
}

/// Where a wall stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Height {
    /// At so many, or so many bytes.
    At(u64),
    /// There is none.
    Endless,
    /// It could not be read.
    Unknown,
}

impl Walls {
    /// Reads this machine's.
    pub fn read() -> Self {
        Self::read_below(Path::new("/"), &Rlimits::own())
    }

    /// Reads `proc` and `sys` below a folder.
    pub fn read_below(root: &Path, limits: &Rlimits) -> Self {
        read::walls(root, limits)
    }

    /// Each of them, those of memory last.
    pub fn all(&self) -> impl Iterator<Item = &Wall> {
        [&self.descriptors, &self.mappings, &self.address_space].into_iter().chain(&self.memory)
    }

    /// Of the walls of memory the one that is nearest.
    pub fn nearest_memory(&self) -> Option<&Wall> {
        nearest(&self.memory)
    }
}

fn nearest(walls: &[Wall]) -> Option<&Wall> {
    walls.iter().filter(|wall| wall.left().is_some()).min_by_key(|wall| wall.left())
}

impl Wall {
    /// What is left up to it; `None` where there is no such wall, or it isn't known.
    pub fn left(&self) -> Option<u64> {
        match self.height {
            Height::At(height) => Some(height.saturating_sub(self.used.unwrap_or(0))),
            Height::Endless | Height::Unknown => None,
        }
    }

    /// What is left of it beside the reserve, which is for what nobody counts.
    pub fn free(&self) -> Option<u64> {
        let Height::At(height) = self.height else { return None };
        self.left().map(|left| left.saturating_sub(self.kind.reserve(height)))
    }

    /// How high it has to be for so much more, beside what is used and the reserve.
    pub fn enough_for(&self, more: u64) -> u64 {
        let all = self.used.unwrap_or(0).saturating_add(more);
        // The largest reserve that it may have.
        let needed = all.saturating_add(self.kind.reserve(u64::MAX));
        let step = if self.kind.is_bytes() { 1 << 20 } else { 1 << 10 };
        needed.checked_next_multiple_of(step).unwrap_or(u64::MAX)
    }

    /// Its name, its number, and how it is made to stand at `number`.
    pub fn explain(&self, number: u64) -> String {
        let (kind, remedy) = (self.kind, self.remedy(number));
        match self.height {
            Height::At(height) if kind.is_bytes() => {
                format!("{kind} ({}); to raise it: {remedy}", bytes(height))
            }
            Height::At(height) => format!("{kind} ({height}); to raise it: {remedy}"),
            Height::Endless | Height::Unknown => format!("{kind}; to raise it: {remedy}"),
        }
    }

    /// What to do so that it stands at `number`.
    pub fn remedy(&self, number: u64) -> String {
        let kibibytes = number.div_ceil(1024);
        match self.kind {
            Kind::AddressSpace => {
                format!("ulimit -v {kibibytes}, or LimitAS={number} in systemd's unit")
            }
            Kind::Cgroup => {
                let file = self.file.as_deref().unwrap_or(Path::new("memory.max")).display();
                format!("echo {number} > {file}, or MemoryMax={number} in systemd's unit")
            }
            Kind::Data => format!("ulimit -d {kibibytes}, or LimitDATA={number} in systemd's unit"),
            Kind::Descriptors => {
                format!("ulimit -n {number}, or LimitNOFILE={number} in systemd's unit")
            }
            Kind::Machine => "give the machine more memory, or swap: swapon FILE".to_owned(),
            Kind::Mappings | Kind::SystemDescriptors => {
                format!("sysctl -w {}={number}", self.kind)
            }
        }
    }
}

impl Kind {
    /// How much of a wall at `height` is left to what nobody counts.
    pub fn reserve(self, height: u64) -> u64 {
        match self {
            Self::AddressSpace => ADDRESS_SPACE_RESERVE.min(height / 2),
            Self::Cgroup | Self::Data | Self::Machine => MEMORY_RESERVE.min(height / 8),
            Self::Descriptors | Self::SystemDescriptors => DESCRIPTORS_RESERVE.min(height / 4),
            Self::Mappings => MAPPINGS_RESERVE.min(height / 4),
        }
    }

    /// Whether it is counted in bytes.
    pub fn is_bytes(self) -> bool {
        match self {
            Self::AddressSpace | Self::Cgroup | Self::Data | Self::Machine => true,
            Self::Descriptors | Self::Mappings | Self::SystemDescriptors => false,
        }
    }

    /// The wall that a system call has come up against, if it was one.
    pub fn of(error: &io::Error) -> Option<Self> {
        match Errno::from_io_error(error)? {
            Errno::MFILE => Some(Self::Descriptors),
            Errno::NFILE => Some(Self::SystemDescriptors),
            Errno::NOMEM | Errno::NOBUFS => Some(Self::Machine),
            _ => None,
        }
    }
}

/// As the system calls it.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AddressSpace => "RLIMIT_AS",
            Self::Cgroup => "memory cgroup",
            Self::Data => "RLIMIT_DATA",
            Self::Descriptors => "nofile",
            Self::Machine => "memory",
            Self::Mappings => "vm.max_map_count",
            Self::SystemDescriptors => "fs.file-max",
        })
    }
}

/// A number of bytes as one reads it.
pub fn bytes(number: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let unit = (number.max(1).ilog2() / 10) as usize;
    let tenths = (u128::from(number) * 10) >> (10 * unit);
    match unit {
        0 => format!("{number} B"),
        _ => format!("{}.{} {}", tenths / 10, tenths % 10, units[unit]),
    }
}

/// A number with its thousands apart.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Descriptors for what is opened beside connections: files, databases, jobs.
const DESCRIPTORS_RESERVE: u64 = 64;

/// Mappings for compiled code, threads, and what the allocator maps one by one.
const MAPPINGS_RESERVE: u64 = 2_000;

/// Address space for compiled code, threads, and the allocator's arenas, in bytes.
const ADDRESS_SPACE_RESERVE: u64 = 1 << 30;

/// Memory for what sandboxes and connections that are there already will still want, in bytes.
const MEMORY_RESERVE: u64 = 128 << 20;

#[cfg(test)]
mod tests;
