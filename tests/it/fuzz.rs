//! A short run of each target of `tests/fuzz`, over its corpus and some way beyond.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;
use torsade_tests::guests::repository;
use torsade_tests::programs;

use crate::interop::trial_with;

/// A run for each target.
pub(crate) fn trials() -> Vec<Trial> {
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap_or_default();
    let lines: Vec<&str> = manifest.lines().collect();
    let targets = lines.windows(2).filter(|pair| pair[0] == "[[bin]]");
    let names = targets.filter_map(|pair| pair[1].strip_prefix("name = ")).map(str::to_owned);
    let trial = |name: String| {
        let target = name.trim_matches('"').to_owned();
        trial_with(&format!("fuzz::{target}_finds_nothing"), cargo_fuzz, move |cargo_fuzz| {
            run(&build(&cargo_fuzz)?, &target)
        })
    };
    names.map(trial).collect()
}

/// Runs a target over its corpus, and for some seconds on what it makes of it.
fn run(programs: &Path, target: &str) -> Result<()> {
    let corpus = folder().join("corpus").join(target);
    ensure!(corpus.is_dir(), "{} is missing", corpus.display());
    let found = built().join("found").join(target);
    // What another run has found may be what a fault is for that was mended since.
    let _ = fs::remove_dir_all(&found);
    fs::create_dir_all(&found)?;
    let mut prefix = OsStr::new("-artifact_prefix=").to_owned();
    prefix.push(found.join("fault-"));
    let output = Command::new(programs.join(target))
        .args(["-max_total_time=5", "-seed=1", "-max_len=4096", "-rss_limit_mb=2048"])
        .args(["-timeout=300", "-print_final_stats=1"])
        .arg(prefix)
        .args([&found, &corpus])
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let from = words.floor_char_boundary(words.len().saturating_sub(WORDS_SHOWN));
        bail!("{target} ended with {}:\n{}", output.status, &words[from..]);
    }
    Ok(())
}

/// Builds all targets, once, and says where they are.
fn build(cargo_fuzz: &Path) -> Result<PathBuf> {
    static BUILT: Mutex<Option<Result<PathBuf, String>>> = Mutex::new(None);
    let mut programs = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let programs = programs.get_or_insert_with(|| {
        let build = || -> Result<PathBuf> {
            let mut cargo = Command::new(cargo_fuzz);
            cargo.current_dir(folder()).args(["build", "-O", "-s", "none", "--target-dir"]);
            let output = cargo.arg(built()).stdin(Stdio::null()).output()?;
            let words = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "the targets can't be built:\n{words}");
            let triples = fs::read_dir(built())?.filter_map(Result::ok);
            let mut folders = triples.map(|triple| triple.path().join("release"));
            folders.find(|folder| folder.join("lines").is_file()).context("nothing was built")
        };
        build().map_err(|error| format!("{error:#}"))
    });
    programs.clone().map_err(anyhow::Error::msg)
}

/// The program cargo-fuzz, which is installed below the target folder where it is missing. What it
/// builds takes a compiler for C++.
fn cargo_fuzz() -> Result<PathBuf> {
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _alone = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    programs::program("c++", "g++")?;
    let root = built().join("programs");
    let program = root.join("bin/cargo-fuzz");
    if !program.is_file() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut install = Command::new(cargo);
        install.args(["install", "cargo-fuzz", "--version", "^0.13", "--locked", "--root"]);
        let output = install.arg(root).stdin(Stdio::null()).output()?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "cargo-fuzz can't be installed:\n{words}");
    }
    Ok(program)
}

/// The targets' sources.
fn folder() -> PathBuf {
    repository().join("tests/fuzz")
}

/// Where they are built.
fn built() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("fuzz")
}

/// How much is shown of what a target says before it fails, in bytes.
const WORDS_SHOWN: usize = 8 * 1024;
