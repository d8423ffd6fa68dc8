//! Those who look after the server.

use torsade_irc::{Config, Question};

use crate::world::{World, config};

fn world() -> World {
    World::with(Config { operators: vec!["root".into()], ..config() })
}

#[test]
fn an_operator_is_a_user_of_the_list_with_its_password() {
    let mut world = world();
    let alice = world.join("alice");
    assert!(world.says(alice, "OPER root wrong").contains(" 464 alice "));
    assert!(world.says(alice, "OPER bob secret").contains(" 464 alice "), "bob is no operator");
    assert!(world.says(alice, "OPER root").contains(" 461 alice OPER "));
    let told = world.says(alice, "OPER root secret");
    assert!(told.contains(" 381 alice ") && told.ends_with("MODE alice :+o\n"), "{told}");
    assert_eq!(world.says(alice, "OPER root secret").lines().count(), 1);
    assert!(world.says(alice, "LUSERS").contains(" 252 alice 1 "));
    assert!(world.says(alice, "MODE alice -o").ends_with("MODE alice :-o\n"));
    assert!(!world.says(alice, "LUSERS").contains(" 252 "));
    assert!(world.logged.iter().all(|line| !line.contains("secret")), "{:?}", world.logged);
}

#[test]
fn without_operators_nobody_is_asked_for_a_password() {
    let mut world = World::new();
    let alice = world.join("alice");
    assert!(world.says(alice, "OPER root secret").contains(" 491 alice "));
}

#[test]
fn no_secret_is_in_what_is_shown_of_a_question() {
    let (name, password) = ("alice".to_owned(), b"secret".to_vec());
    let questions = [
        Question::Verify { name, password },
        Question::Respond { data: b"secret".to_vec() },
        Question::Authenticate { mechanism: "PLAIN".into(), initial: Some(b"secret".to_vec()) },
    ];
    let shown = format!("{questions:?}");
    assert!(shown.contains("alice") && shown.contains("PLAIN"), "{shown}");
    assert!(!shown.contains("secret") && !shown.contains("115, 101"), "{shown}");
}

#[test]
fn what_is_for_operators_is_for_them_alone() {
    let mut world = world();
    let (alice, bob) = (world.join("alice"), world.join("bob"));
    for line in [
        "KILL bob :x",
        "WALLOPS :x",
        "REHASH",
        "DIE",
        "RESTART",
        "CHGHOST bob x",
        "SQUIT x",
        "CONNECT x",
    ] {
        assert!(world.says(alice, line).starts_with(":irc.localhost 481 alice :"), "{line}");
    }
    world.send(alice, "OPER root secret");
    for line in ["REHASH", "DIE", "RESTART"] {
        let told = world.says(alice, line);
        assert!(told.starts_with(&format!(":irc.localhost FAIL {line} NOT_HERE :")), "{told}");
    }
    assert!(world.says(alice, "CONNECT x").contains(" 402 alice x "));
    world.send(bob, "MODE bob +w");
    world.seen(bob);
    assert!(world.says(alice, "WALLOPS :hear me").ends_with(" WALLOPS :hear me\n"));
    assert_eq!(world.seen(bob), ":alice!~alice@host.example WALLOPS :hear me\n");
    let told = world.says(alice, "STATS m");
    assert!(told.contains(" 212 alice WALLOPS 2 0 0\n"), "{told}");
    assert!(world.says(alice, "STATS o").contains(" 243 alice O * * root\n"));
}

#[test]
fn who_is_killed_is_told_by_whom() {
    let mut world = world();
    let (alice, bob, carol) = (world.join("alice"), world.join("bob"), world.join("carol"));
    world.send(bob, "JOIN #a");
    world.send(carol, "JOIN #a");
    world.send(alice, "OPER root secret");
    world.seen(bob);
    world.seen(carol);
    assert!(world.says(alice, "KILL nobody :x").contains(" 401 alice nobody "));
    assert!(world.says(alice, "KILL irc.localhost :x").contains(" 483 alice "));
    assert_eq!(world.says(alice, "KILL bob :spam"), "");
    let expected = ":alice!~alice@host.example KILL bob :spam\n\
        ERROR :Closing Link: host.example (Killed (alice (spam)))\n";
    assert_eq!(world.seen(bob), expected);
    assert_eq!(world.seen(carol), ":bob!~bob@host.example QUIT :Killed (alice (spam))\n");
    let told = world.says(alice, "KILL alice :enough");
    assert!(told.contains(" KILL alice ") && told.contains("ERROR :"), "{told}");
}

#[test]
fn a_host_is_changed_before_the_eyes_of_those_who_understand() {
    let mut world = world();
    let alice = world.join("alice");
    let bob = world.join_with("bob", "chghost");
    let carol = world.join("carol");
    for client in [alice, bob, carol] {
        world.send(client, "JOIN #a");
    }
    world.send(alice, "OPER root secret");
    world.seen(bob);
    world.seen(carol);
    world.send(alice, "CHGHOST carol new.example");
    assert_eq!(world.seen(bob), ":carol!~carol@host.example CHGHOST ~carol new.example\n");
    assert!(world.seen(carol).contains(" 396 carol new.example "));
    world.send(carol, "PRIVMSG bob :hi");
    assert_eq!(world.seen(bob), ":carol!~carol@new.example PRIVMSG bob :hi\n");
}
