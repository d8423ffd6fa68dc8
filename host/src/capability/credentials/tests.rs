//! Files that can't be read, and what is said of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;

#[test]
fn a_file_that_others_may_read_is_refused() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("users");
    fs::write(&file, "# nobody\n").unwrap();
    for (mode, told) in [(0o644, "its mode is 644"), (0o660, "its mode is 660")] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let wrong = Checker::open(&file, [0; 32], &Arc::default()).unwrap_err();
        assert!(wrong.contains(told) && wrong.contains("chmod 600"), "{wrong}");
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    assert!(Checker::open(&file, [0; 32], &Arc::default()).is_ok());
}

#[test]
fn a_file_that_is_none_is_told_apart() {
    let folder = TempDir::new().unwrap();
    let wrong = |name: &str| {
        Checker::open(&folder.path().join(name), [0; 32], &Arc::default()).unwrap_err()
    };
    let missing = wrong("users");
    assert!(missing.contains("there is no such file") && missing.contains("torsade passwd"));
    assert!(wrong("").contains("is not a file"));
    let file = folder.path().join("bytes");
    fs::write(&file, b"\xff\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(wrong("bytes").contains("is not UTF-8"));
}
