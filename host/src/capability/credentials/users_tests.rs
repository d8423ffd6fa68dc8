//! Files of users: what they may have, what is wrong with which line, and what names tell nobody.

use super::*;

/// Of `password`, and of `pencil`.
const HASH: &str =
    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
const KEYS: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
                    WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

fn users(text: &str) -> Users {
    wrong_or(text).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn wrong_or(text: &str) -> Result<Users, String> {
    Users::parse(Path::new("users"), text, [1; 32])
}

fn digits(digit: &str) -> String {
    digit.repeat(64)
}

#[test]
fn a_user_has_what_the_lines_say() {
    let users = users(&format!(
        "# who may come\n\nalice:{HASH}\nbob:{KEYS}\n  carol smith:certificate:{}\n\
         carol smith:certificate:{}\n:decoys:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n",
        digits("a"),
        vec!["B0"; 32].join(":"),
    ));
    assert_eq!(users.check("alice", b"password").as_deref(), Ok("alice"));
    assert_eq!(users.check("bob", b"pencil").as_deref(), Ok("bob"));
    // What looks alike is the same (SASLprep).
    assert_eq!(users.check("b\u{ad}ob", "pen\u{ad}cil".as_bytes()).as_deref(), Ok("bob"));
    assert_eq!(users.owner(&[0xaa; 32]), Some("carol smith"));
    assert_eq!(users.owner(&[0xb0; 32]), Some("carol smith"));
    assert_eq!(users.owner(&[0xab; 32]), None);
    for (name, password) in [
        ("alice", &b"pencil"[..]),
        ("alice", b"password "),
        ("alice", b""),
        ("alice", b"\xff"),
        ("alice", &[b'p'; 5000]),
        ("Alice", b"password"),
        ("bob", b"password"),
        ("carol smith", b"password"),
        ("dave", b"password"),
        ("", b"password"),
        ("a\nb", b"password"),
    ] {
        let failure = users.check(name, password).unwrap_err();
        assert_eq!((&*failure.code, failure.limit), ("denied", None), "{name}");
        assert_eq!(failure.message, denied().message, "{name}");
    }
}

#[test]
fn a_mistake_is_told_with_its_line_and_without_what_is_secret() {
    let long = "a".repeat(256);
    for (line, told) in [
        ("alice", "users:2: it has no NAME: in front"),
        ("alice:s3cret", "users:2: alice: behind the name stands neither $argon2id$…"),
        ("alice:$2y$10$s3cret", "users:2: alice: its hash"),
        ("alice:$argon2id$s3cret", "users:2: alice: its hash is no PHC string"),
        ("alice:SCRAM-SHA-256$s3cret", "users:2: alice: its keys are not SCRAM-SHA-256$"),
        ("alice:certificate:s3cret", "users:2: alice: its certificate is not a SHA-256"),
        ("alice:certificate:abc", "users:2: alice: its certificate is not a SHA-256"),
        (&format!("alice:certificate:{}0", digits("a")), "is not a SHA-256 of 64"),
        ("\u{ad}:s3cret", "users:2: the name before the colon is empty"),
        (&format!("{long}:s3cret"), "users:2: the name before the colon is longer than 255 bytes"),
        (&format!("a\u{ad}b:{HASH}"), "has to be written as \"ab\" (SASLprep, RFC 4013)"),
        (&format!("bob:{HASH}"), "users:2: bob has a hash already, on a line before"),
        (":decoys:s3cret", "users:2: behind :decoys: have to stand 32 bytes in base64"),
    ] {
        let wrong = wrong_or(&format!("bob:{HASH}\n{line}\n")).err().unwrap();
        assert!(wrong.contains(told) && !wrong.contains("s3cret"), "{line}: {wrong}");
    }
    let twice = format!("a:certificate:{0}\nb:certificate:{0}\n", digits("a"));
    assert_eq!(wrong_or(&twice).err().unwrap(), "users:2: the certificate is that of a already");
    let many = wrong_or(&"x\n".repeat(100)).err().unwrap();
    assert!(many.lines().count() == 21 && many.ends_with("… and 80 more lines"), "{many}");
}

#[test]
fn a_name_that_nobody_has_gets_keys_that_stay_and_look_like_others() {
    let text =
        format!(":decoys:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\nbob:{KEYS}\nalice:{HASH}\n");
    let (one, other) = (users(&text), Users::parse(Path::new("users"), &text, [9; 32]).unwrap());
    let (bob, keys) = one.keys("bob");
    assert!(one.has(&bob, &keys));
    // Who has no keys is not told from who isn't there.
    for name in ["nobody", "alice", "a:b"] {
        let ((found, keys), (_, again)) = (one.keys(name), other.keys(name));
        assert!(keys == again && !one.has(&found, &keys), "{name}");
        assert_eq!(keys.cost(), bob_cost(&one), "{name}");
        assert!(keys != one.keys("else").1);
    }
    // Without a key in the file they stay for as long as the host runs.
    let unkeyed = |seed| Users::parse(Path::new("users"), "", seed).unwrap().keys("nobody").1;
    assert!(unkeyed([1; 32]) == unkeyed([1; 32]) && unkeyed([1; 32]) != unkeyed([2; 32]));
}

fn bob_cost(users: &Users) -> (NonZeroU32, usize) {
    users.keys("bob").1.cost()
}

#[test]
fn what_most_users_have_is_what_a_made_up_one_has() {
    let with = |text: &str| users(text).decoys;
    assert!(with("").hash.is_none() && !with("").derives);
    let dear = HASH.replace("m=256", "m=512");
    let decoys = with(&format!("a:{HASH}\nb:{dear}\nc:{HASH}\n"));
    assert_eq!(decoys.hash.map(|hash| hash.params().m_cost()), Some(256));
    let decoys = with(&format!("a:{HASH}\nb:{dear}\nb:{KEYS}\n"));
    assert_eq!(decoys.hash.map(|hash| hash.params().m_cost()), Some(512));
    assert!(!decoys.derives && with(&format!("a:{HASH}\nb:{KEYS}\n")).derives);
}
