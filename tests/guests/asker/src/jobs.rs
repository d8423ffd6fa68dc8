//! The asker's jobs.

use std::hint::black_box;

use torsade_guest::jobs::Jobs;
use torsade_guest::{Failure, code};

/// What it can do: `echo`, `spin` and `trap`.
pub struct Work;

impl Jobs for Work {
    fn run(_: &str, name: &str, input: Vec<u8>) -> Result<Vec<u8>, Failure> {
        match name {
            "echo" => Ok(input),
            "spin" => loop {
                black_box(());
            },
            "trap" => panic!("it was told to"),
            other => Err(Failure::new(code::NOT_FOUND, format!("there is no job {other:?}"))),
        }
    }
}
