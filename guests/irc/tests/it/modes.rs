//! `MODE`, with every mode.

use torsade_irc::Config;

use crate::world::{World, config};

#[test]
fn a_channel_tells_its_modes() {
    let mut world = World::new();
    let (alice, bob) = (world.join("alice"), world.join("bob"));
    world.send(alice, "JOIN #a");
    world.send(alice, "MODE #a +sklim key 7");
    let told = world.says(alice, "MODE #a");
    let expected =
        ":irc.localhost 324 alice #a +imnstkl key 7\n:irc.localhost 329 alice #a 1700000000\n";
    assert_eq!(told, expected);
    assert!(
        world.says(bob, "MODE #a").contains(" 324 bob #a +imnstkl\n"),
        "the key is for members"
    );
}

#[test]
fn changes_are_told_together_to_all_members() {
    let mut world = World::new();
    let (alice, bob) = (world.join("alice"), world.join("bob"));
    for client in [alice, bob] {
        world.send(client, "JOIN #a");
    }
    world.seen(bob);
    let told = world.says(alice, "MODE #a +mo-t+vb bob bob evil");
    assert_eq!(told, ":alice!~alice@host.example MODE #a +mo-t+vb bob bob evil!*@*\n");
    assert_eq!(world.seen(bob), told);
    assert_eq!(world.says(alice, "MODE #a +mo-t bob"), "", "nothing of it changes anything");
    assert!(world.says(bob, "MODE #a -o alice").ends_with("MODE #a -o alice\n"));
    assert!(world.says(alice, "MODE #a -m+n").matches(" 482 ").count() == 1);
}

#[test]
fn mistakes_get_their_numerics() {
    let mut world = World::new();
    let (alice, bob) = (world.join("alice"), world.join("bob"));
    world.send(alice, "JOIN #a");
    for (line, numeric) in [
        ("MODE", "461 alice MODE "),
        ("MODE #none +n", "403 alice #none "),
        ("MODE #a +x", "472 alice x "),
        ("MODE #a +o", "461 alice MODE "),
        ("MODE #a +o nobody", "401 alice nobody "),
        ("MODE #a +o bob", "441 alice bob #a "),
        ("MODE #a +k", "461 alice MODE "),
        ("MODE #a +k a,b", "525 alice #a "),
        ("MODE #a +l", "461 alice MODE "),
        ("MODE #a +l many", "696 alice #a l many "),
        ("MODE #a +l 0", "696 alice #a l 0 "),
        ("MODE bob +i", "502 alice "),
        ("MODE nobody +i", "401 alice nobody "),
        ("MODE alice +y", "501 alice "),
    ] {
        let told = world.says(alice, line);
        assert!(told.starts_with(&format!(":irc.localhost {numeric}")), "{line}: {told}");
    }
    assert!(world.says(bob, "MODE #a +n").contains(" 482 bob #a "));
    assert!(world.says(bob, "MODE #a b").contains(" 368 bob #a "));
}

#[test]
fn lists_of_masks_are_kept_told_and_full() {
    let mut world = World::with(Config { masks: 3, ..config() });
    let alice = world.join("alice");
    world.send(alice, "JOIN #a");
    for (letter, entry, end) in [('b', "367", "368"), ('e', "348", "349"), ('I', "346", "347")] {
        let told = world.says(alice, &format!("MODE #a +{letter} x@y"));
        assert!(told.ends_with(&format!("MODE #a +{letter} *!x@y\n")), "{told}");
        assert_eq!(world.says(alice, &format!("MODE #a +{letter} X@Y")), "");
        let told = world.says(alice, &format!("MODE #a {letter}"));
        let line = format!(" {entry} alice #a *!x@y alice!~alice@host.example 1700000000\n");
        assert!(told.contains(&line) && told.contains(&format!(" {end} alice #a ")), "{told}");
    }
    assert!(world.says(alice, "MODE #a +b z").contains(" 478 alice #a z!*@* "));
    assert!(world.says(alice, "MODE #a -bbe x@y q x@y").ends_with("MODE #a -be *!x@y *!x@y\n"));
}

#[test]
fn only_so_many_changes_have_a_parameter() {
    let mut world = World::new();
    let alice = world.join("alice");
    world.send(alice, "JOIN #a");
    let told = world.says(alice, "MODE #a +bbbbbbbbm 1 2 3 4 5 6 7 8");
    assert!(told.ends_with("+bbbbbbm 1!*@* 2!*@* 3!*@* 4!*@* 5!*@* 6!*@*\n"), "{told}");
}

#[test]
fn changes_that_are_long_are_told_in_several_lines() {
    let mut world = World::new();
    let alice = world.join("alice");
    world.send(alice, "JOIN #a");
    let masks: Vec<String> = (0..6).map(|number| format!("{number}{}", "x".repeat(74))).collect();
    let told = world.says(alice, &format!("MODE #a +bbbbbb {}", masks.join(" ")));
    assert_eq!((told.lines().count(), told.matches("!*@*").count()), (2, 6), "{told}");
    assert!(world.longest <= 512);
}

#[test]
fn a_user_changes_its_own_modes() {
    let mut world = World::new();
    let alice = world.join("alice");
    assert_eq!(world.says(alice, "MODE alice"), ":irc.localhost 221 alice +i\n");
    assert!(world.says(alice, "MODE ALICE -i+w").ends_with("MODE alice :-i+w\n"));
    assert_eq!(world.says(alice, "MODE alice +orZ-rZ"), "", "those are not for the user to set");
    assert_eq!(world.says(alice, "MODE alice"), ":irc.localhost 221 alice +w\n");
    assert!(world.says(alice, "LUSERS").contains("There are 1 users and 0 invisible"));
}
