//! Has services use no more than the walls of the system carry, and says where that is less than
//! their limits.

use super::goal::Goal;
use crate::config::Limits;
use crate::net::os;
use crate::reactor::ServiceSettings;
use crate::walls::{Carried, Height, Room, Walls};

/// How many of the sandboxes are carried that the services may have.
pub(super) fn carried(goal: &Goal, walls: &Walls) -> Carried {
    let carried = walls.carry(&goal.pooled, &goal.on_demand);
    let wall = carried.held_by.and_then(|kind| walls.wall(kind));
    if let Some(wall) = wall {
        let (wanted, there) = (goal.sandboxes().count, carried.pooled + carried.on_demand);
        let enough = wall.enough_for(goal.takes(wall.kind).unwrap_or(0));
        tell(goal, there, || {
            format!(
                "of the {wanted} sandboxes that limits.instances allows there is room for {there}: \
                 the wall is {}",
                wall.explain(enough)
            )
        });
    }
    carried
}

/// Has caches of files keep no more than a quarter of the descriptors, and says how many that is.
pub(super) fn share_files<'a>(
    goal: &Goal,
    walls: &Walls,
    settings: impl Iterator<Item = &'a mut ServiceSettings>,
) -> u64 {
    let wall = &walls.descriptors;
    let Height::At(height) = wall.height else { return goal.files };
    let most = height / FILES_SHARE;
    if goal.files <= most {
        return goal.files;
    }
    for settings in settings {
        let share = settings.cached_files as u128 * u128::from(most) / u128::from(goal.files);
        settings.cached_files = usize::try_from(share).unwrap_or(usize::MAX);
    }
    let enough = goal.files.saturating_mul(FILES_SHARE);
    tell(goal, usize::try_from(most).unwrap_or(usize::MAX), || {
        format!(
            "of the {} files that limits.cached-files allows workers keep {most} open: the wall is \
             {}",
            goal.files,
            wall.explain(enough)
        )
    });
    most
}

/// The room of connections and sandboxes, once all is there that the host begins with. Caches will
/// hold so many `files`.
pub(super) fn room(goal: &Goal, carried: Carried, files: u64) -> Room {
    let walls = Walls::read();
    let wall = &walls.descriptors;
    let wanted = goal.connections as u64;
    if let Some(free) = wall.free().map(|free| free.saturating_sub(files))
        && free < wanted
    {
        let enough = wall.enough_for(wanted.saturating_add(files));
        tell(goal, usize::try_from(free).unwrap_or(usize::MAX), || {
            format!(
                "of the {wanted} connections that limits.connections allows there is room for \
                 {free}: the wall is {}",
                wall.explain(enough)
            )
        });
    }
    Room::within(walls, files, carried)
}

/// Warns where there is less than was asked for. That the defaults of several services add up to more
/// than there is says little, where there is enough for one.
fn tell(goal: &Goal, there: usize, words: impl FnOnce() -> String) {
    if goal.is_said || there < Limits::default().instances {
        tracing::warn!("{}", words());
    } else {
        tracing::debug!("{}", words());
    }
}

/// Allows as many descriptors as may be, and reads the walls then.
pub(super) fn raised_walls() -> Walls {
    os::raise_descriptor_limit();
    Walls::read()
}

/// Caches of files may have one of so many descriptors.
const FILES_SHARE: u64 = 4;
