//! What a process has of its system, by which a leak shows.

use std::fs;

use anyhow::{Context, Result};

/// What a process has at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Holdings {
    /// Open descriptors.
    pub descriptors: usize,
    /// Mappings of memory, of which each live sandbox has some.
    pub mappings: usize,
    /// See [`resident`].
    pub resident: usize,
    /// Threads.
    pub threads: usize,
}

impl Holdings {
    /// What a process has now, by its number.
    pub fn of(id: u32) -> Result<Self> {
        let count = |what: &str| -> Result<usize> {
            Ok(fs::read_dir(format!("/proc/{id}/{what}"))?.count())
        };
        Ok(Self {
            descriptors: count("fd")?,
            mappings: fs::read_to_string(format!("/proc/{id}/maps"))?.lines().count(),
            resident: resident(id)?,
            threads: count("task")?,
        })
    }
}

/// The resident memory of a process in bytes, less what is shared: all sandboxes of a plugin map
/// the same pages of its data, of which there is one copy, but which the kernel counts for each.
pub fn resident(id: u32) -> Result<usize> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let field = |name: &str| -> Result<usize> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let line = line.with_context(|| format!("process {id} has no {name}"))?;
        Ok(line.trim_end_matches("kB").trim().parse::<usize>()? * 1024)
    };
    Ok(field("VmRSS:")?.saturating_sub(field("RssShmem:")?))
}
