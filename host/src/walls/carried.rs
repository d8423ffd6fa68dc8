//! How many sandboxes the walls carry.

use super::{Kind, Wall, Walls};

/// What sandboxes of one kind take when all that are wanted are there.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Demand {
    /// How many there may be.
    pub count: usize,
    /// Mappings.
    pub mappings: u64,
    /// Address space in bytes.
    pub address_space: u64,
    /// Of that, what counts as data from the start.
    pub data: u64,
}

/// How many sandboxes are carried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Carried {
    /// In pooled slots.
    pub pooled: usize,
    /// With memory on demand.
    pub on_demand: usize,
    /// The wall that carries no more, where that is fewer than were wanted.
    pub held_by: Option<Kind>,
}

impl Demand {
    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            mappings: self.mappings.saturating_add(other.mappings),
            address_space: self.address_space.saturating_add(other.address_space),
            data: self.data.saturating_add(other.data),
        }
    }

    /// So many times this.
    pub fn times(self, count: usize) -> Self {
        let all = |each: u64| each.saturating_mul(count as u64);
        Self {
            count: self.count.saturating_mul(count),
            mappings: all(self.mappings),
            address_space: all(self.address_space),
            data: all(self.data),
        }
    }

    /// What of it comes up against a wall of this kind.
    pub fn of(&self, kind: Kind) -> Option<u64> {
        match kind {
            Kind::AddressSpace => Some(self.address_space),
            Kind::Data => Some(self.data),
            Kind::Mappings => Some(self.mappings),
            Kind::Cgroup | Kind::Descriptors | Kind::Machine | Kind::SystemDescriptors => None,
        }
    }
}

impl Walls {
    /// How many of the wanted sandboxes are carried. Where not all are, each kind gets what it wants
    /// up to half, and what the other leaves: the many of one service, each for a connection, take
    /// none from the few that others share.
    pub fn carry(&self, pooled: &Demand, on_demand: &Demand) -> Carried {
        let mut carried =
            Carried { pooled: pooled.count, on_demand: on_demand.count, held_by: None };
        let wanted = pooled.and(*on_demand);
        for wall in self.all() {
            let (Some(wanted), Some(free)) = (wanted.of(wall.kind), wall.free()) else { continue };
            if wanted <= free {
                continue;
            }
            let [of_slots, of_others] = [pooled, on_demand].map(|it| it.of(wall.kind).unwrap_or(0));
            let for_others = of_others.min(free.saturating_sub(of_slots).max(free / 2));
            let slots = share(pooled.count, free - for_others, of_slots);
            let others = share(on_demand.count, for_others, of_others);
            if slots < carried.pooled || others < carried.on_demand {
                carried.held_by = Some(wall.kind);
            }
            carried.pooled = carried.pooled.min(slots);
            carried.on_demand = carried.on_demand.min(others);
        }
        carried
    }

    /// The wall of this kind.
    pub fn wall(&self, kind: Kind) -> Option<&Wall> {
        self.all().find(|wall| wall.kind == kind)
    }
}

/// `count` in the proportion of `free` to `wanted`, but one at least: where even that doesn't fit,
/// making it fails, with the system's own words.
fn share(count: usize, free: u64, wanted: u64) -> usize {
    let share = count as u128 * u128::from(free) / u128::from(wanted.max(1));
    usize::try_from(share).unwrap_or(usize::MAX).max(count.min(1))
}
