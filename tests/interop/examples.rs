//! The examples are what `torsade up` can serve.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::{guests, host};

use super::trial;

pub(super) fn trials() -> Vec<Trial> {
    vec![trial("examples::each_can_be_served", each_can_be_served)]
}

fn each_can_be_served() -> Result<()> {
    let readme = fs::read_to_string(guests::repository().join("README.md"))?;
    for example in fs::read_dir(guests::repository().join("examples"))? {
        let folder = example?.path();
        let name = format!("examples/{}", folder.file_name().unwrap_or_default().display());
        can_be_served(&folder)?;
        ensure!(readme.contains(&format!("[`{name}`]({name})")), "README.md doesn't name {name}");
    }
    Ok(())
}

/// `check` does all that `up` does before it serves.
fn can_be_served(folder: &Path) -> Result<()> {
    let output = host::run(&["check", "."], folder)?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {words}", folder.display());
    Ok(())
}
