//! Labelled responses.

use crate::world::World;

const CAPS: &str = "labeled-response batch echo-message message-tags";

#[test]
fn a_response_of_one_line_has_the_label() {
    let mut world = World::new();
    let alice = world.join_with("alice", CAPS);
    let told = world.says(alice, "@label=a1 PING x");
    assert_eq!(told, "@label=a1 :irc.localhost PONG irc.localhost :x\n");
    assert_eq!(world.says(alice, "@label=a2 PONG x"), "@label=a2 :irc.localhost ACK\n");
    assert!(world.says(alice, "PING x").starts_with(':'), "the next command has none");
    let told = world.says(alice, "@label=a3 NO-SUCH");
    assert_eq!(told, "@label=a3 :irc.localhost 421 alice NO-SUCH :Unknown command\n");
}

#[test]
fn a_response_of_several_lines_is_a_batch() {
    let mut world = World::new();
    let alice = world.join_with("alice", CAPS);
    let told = world.says(alice, "@label=x JOIN #a");
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0], "@label=x :irc.localhost BATCH +1 labeled-response");
    assert_eq!(lines[1], "@batch=1 :alice!~alice@host.example JOIN #a");
    assert!(lines[2..4].iter().all(|line| line.starts_with("@batch=1 :")), "{told}");
    assert_eq!((lines[4], lines.len()), (":irc.localhost BATCH -1", 5));
}

#[test]
fn a_response_that_comes_in_parts_is_one_batch() {
    let mut world = World::new();
    let alice = world.join_with("alice", CAPS);
    let bob = world.join("bob");
    world.send(alice, "JOIN #a,#b");
    world.server.full(alice);
    assert!(world.says(alice, "@label=l LIST").is_empty());
    world.send(bob, "PRIVMSG alice :meanwhile");
    let seen = world.seen(alice);
    assert!(seen.ends_with("PRIVMSG alice :meanwhile\n") && !seen.contains("label"), "{seen}");
    world.server.drained(alice, world.now);
    world.act();
    let told = world.seen(alice);
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("@label=l ") && lines[0].contains(" BATCH +"), "{told}");
    assert!(lines[1..5].iter().all(|line| line.starts_with("@batch=1 ")), "{told}");
    assert_eq!(lines[5..], [":irc.localhost BATCH -1"]);
}

#[test]
fn an_echo_has_the_label_and_what_is_delivered_has_not() {
    let mut world = World::new();
    let alice = world.join_with("alice", CAPS);
    let told = world.says(alice, "@label=e PRIVMSG alice :me");
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("@msgid=") && lines[1].starts_with("@label=e;msgid="), "{told}");
    assert_eq!(lines.len(), 2);
}

#[test]
fn a_label_that_is_none_is_ignored() {
    let mut world = World::new();
    let alice = world.join_with("alice", CAPS);
    assert!(world.says(alice, "@label= PING x").starts_with(":irc"));
    assert!(world.says(alice, &format!("@label={} PING x", "x".repeat(65))).starts_with(":irc"));
    let plain = world.join_with("plain", "labeled-response");
    assert!(world.says(plain, "@label=x PING x").starts_with(":irc"), "it knows no batches");
}
