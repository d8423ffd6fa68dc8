//! `torsade version`: what the command is made of.

use std::env::consts::{ARCH, OS};
use std::sync::LazyLock;

use crate::capability::sql;

/// The versions of all crates that it is made of.
const LOCK: &str = include_str!("../../../Cargo.lock");

/// A file of the contract, whose first line names it.
const CONTRACT: &str = include_str!("../../../wit/worlds.wit");

/// Which C library it is linked with.
const LIBC: &str = if cfg!(target_env = "musl") { "musl" } else { "gnu" };

/// What `--version` prints behind the name.
pub(super) fn line() -> &'static str {
    static LINE: LazyLock<String> = LazyLock::new(|| {
        let (wasmtime, rustls) = (locked("wasmtime"), locked("rustls"));
        let own = env!("CARGO_PKG_VERSION");
        format!("{own} ({}, wasmtime {wasmtime}, rustls {rustls})", contract())
    });
    &LINE
}

/// A line for each part that has a version.
pub(super) fn parts() -> String {
    let target = format!("{ARCH}-{OS}-{LIBC}");
    let parts = [
        ("torsade", env!("CARGO_PKG_VERSION")),
        ("contract", contract()),
        ("wasmtime", locked("wasmtime")),
        ("rustls", locked("rustls")),
        ("aws-lc-rs", locked("aws-lc-rs")),
        ("SQLite", sql::version()),
        ("target", &target),
    ];
    parts.map(|(name, version)| format!("{name:10}{version}\n")).concat()
}

fn contract() -> &'static str {
    let first = CONTRACT.lines().next().unwrap_or_default();
    first.trim_start_matches("package ").trim_end_matches(';')
}

/// The version of a crate.
fn locked(name: &str) -> &'static str {
    let entry = LOCK.split_once(&format!("\nname = \"{name}\"\nversion = \""));
    entry.and_then(|(_, entry)| entry.split('"').next()).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_has_a_version() {
        for line in parts().lines().filter(|line| !line.starts_with("target")) {
            let version = line.split_whitespace().nth(1).unwrap();
            assert!(version.contains('.') && !version.contains('"'), "{line}");
        }
        assert!(contract().starts_with("torsade:plugin@"), "{}", contract());
        assert_eq!(line().lines().count(), 1);
    }
}
