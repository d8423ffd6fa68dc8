//! The examples, which a new user tries first.

use std::fs;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::guests::repository;
use torsade_tests::host;

use super::trial;

pub(super) fn trials() -> Vec<Trial> {
    vec![trial("examples::each_can_be_served", each_can_be_served)]
}

/// `check` does all that `up` does but to bind: their ports may be somebody's.
fn each_can_be_served() -> Result<()> {
    let mut seen = 0;
    for example in fs::read_dir(repository().join("examples"))? {
        let example = example?.path();
        let output = host::run(&["check", &example.display().to_string()], repository())?;
        ensure!(output.status.success(), "{}: {output:?}", example.display());
        seen += 1;
    }
    ensure!(seen >= 3, "only {seen} examples were found");
    Ok(())
}
