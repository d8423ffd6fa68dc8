//! Files of users that are made and changed.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::capability::credentials::Checker;
use crate::capability::credentials::{Secret, users::Users};

fn set(file: &Path, name: &str, password: &str) -> Result<bool, String> {
    change(file, name, Entry::Password(password.as_bytes(), [3; 32]), [4; 32])
}

/// Whether a password is a user's.
fn lets_in(file: &Path, name: &str, password: &str) -> bool {
    let text = read_text(file).unwrap();
    Users::parse(file, &text, [0; 32]).unwrap().check(name, password.as_bytes()).is_ok()
}

fn lines(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_user_is_set_changed_and_taken_out() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("users");
    assert_eq!(set(&file, "alice", "one"), Ok(false));
    assert_eq!(set(&file, "al", "other"), Ok(false));
    let mode = file.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(lets_in(&file, "alice", "one") && lets_in(&file, "al", "other"));
    assert_eq!(set(&file, "alice", "two"), Ok(true));
    assert!(lets_in(&file, "alice", "two") && !lets_in(&file, "alice", "one"));
    assert_eq!(change(&file, "alice", Entry::Certificate([0xab; 32]), [0; 32]), Ok(true));
    let before = lines(&file);
    let of_alice = before.iter().filter(|line| line.starts_with("alice:"));
    assert_eq!(of_alice.count(), 3, "{before:?}");
    assert_eq!(change(&file, "alice", Entry::Nothing, [0; 32]), Ok(true));
    let after = lines(&file);
    let others = before.into_iter().filter(|line| !line.starts_with("alice:"));
    assert_eq!(others.collect::<Vec<_>>(), after);
    let gone = change(&file, "alice", Entry::Nothing, [0; 32]).unwrap_err();
    assert!(gone.ends_with("users: there is no user alice"), "{gone}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_is_wrong_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("users");
    set(&file, "alice", "one").unwrap();
    let before = lines(&file);
    for (name, password) in [("", "x"), ("a:b", "x"), ("bob", ""), ("bob", "\u{7}")] {
        assert!(set(&file, name, password).is_err(), "{name:?}");
    }
    assert_eq!(change(&file, "alice", Entry::Certificate([1; 32]), [0; 32]), Ok(true));
    let taken = change(&file, "bob", Entry::Certificate([1; 32]), [0; 32]).unwrap_err();
    assert!(taken.contains("the certificate is that of alice already"), "{taken}");
    assert_eq!(lines(&file)[..before.len()], before);
    fs::write(&file, "alice:secret\n").unwrap();
    assert!(set(&file, "bob", "x").unwrap_err().contains("users:1: alice: behind the name"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let open = set(&file, "bob", "x").unwrap_err();
    assert!(open.contains("its mode is 640") && open.contains("chmod 600"), "{open}");
    assert_eq!(lines(&file), ["alice:secret"]);
}

#[test]
fn users_who_are_made_have_passwords_of_their_own() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("state/users");
    let mut seed = 0;
    let random = || {
        seed += 1;
        [seed; 32]
    };
    let users = make(&file, &["alice".to_owned(), "bob".to_owned()], random).unwrap();
    assert_eq!(users.len(), 2);
    assert_ne!(*users[0].password, *users[1].password);
    for user in &users {
        assert_eq!(user.password.len(), 19);
        assert!(lets_in(&file, &user.name, &user.password));
    }
    assert!(!lets_in(&file, "alice", &users[1].password));
}

#[test]
fn a_changed_file_is_read_again_and_a_wrong_one_is_not() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("users");
    set(&file, "alice", "one").unwrap();
    let checker = Checker::open(&file, [0; 32], &Arc::default()).unwrap();
    let start = std::time::Instant::now();
    let lets_in = |password: &str, second: u64| {
        let (name, password) = (Secret::new(b"alice".to_vec()), Secret::new(password.into()));
        checker.verify(&name, &password, start + std::time::Duration::from_secs(second)).is_ok()
    };
    assert!(lets_in("one", 0));
    set(&file, "alice", "two").unwrap();
    // It was looked at in this second.
    assert!(lets_in("one", 0));
    assert!(lets_in("two", 1) && !lets_in("one", 1));
    fs::write(&file, "alice\n").unwrap();
    assert!(lets_in("two", 3));
    fs::remove_file(&file).unwrap();
    assert!(lets_in("two", 5));
    set(&file, "alice", "three").unwrap();
    assert!(lets_in("three", 7) && !lets_in("two", 7));
}
