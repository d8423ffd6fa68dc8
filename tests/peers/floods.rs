//! Connections for their own sake.

use anyhow::Result;

use super::attack::{Attack, reset};

/// More connections than the attacked service takes.
const HELD: usize = 600;
/// How many say nothing.
const SILENT: usize = 2_000;

/// Connects and goes, in every way there is to go.
pub(super) fn connect_close(attack: &Attack<'_>) -> Result<u64> {
    attack.repeat(2_000, |nth| {
        let Some(stream) = attack.connect(nth)? else { return Ok(false) };
        match nth % 2 {
            0 => drop(stream),
            _ => reset(stream)?,
        }
        Ok(true)
    })
}

/// Takes what there is, and keeps it.
pub(super) fn connect_hold(attack: &Attack<'_>) -> Result<u64> {
    attack.crowd(HELD, |nth| attack.connect(nth), |_| Ok(()))
}

/// Half of a conversation, by the thousand.
pub(super) fn silent(attack: &Attack<'_>) -> Result<u64> {
    attack.crowd(SILENT, |nth| attack.connect(nth), |_| Ok(()))
}
