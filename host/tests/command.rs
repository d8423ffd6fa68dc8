//! The command as a process. For this test cargo builds it with what all tests are built with, and
//! `torsade_tests::host` runs the same one.

use std::process::Command;

#[test]
fn the_command_tells_its_version() {
    let told = Command::new(env!("CARGO_BIN_EXE_torsade")).arg("--version").output();
    let told = told.expect("cargo has built it");
    assert!(told.status.success(), "{told:?}");
    let version = String::from_utf8_lossy(&told.stdout);
    let start = concat!("torsade ", env!("CARGO_PKG_VERSION"), " (torsade:plugin@");
    assert!(version.starts_with(start) && version.lines().count() == 1, "{version}");
}
