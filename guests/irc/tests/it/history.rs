//! What was said before.

use torsade_irc::{Answer, Client, Config};

use crate::world::{World, config, refused};

const CAPS: &str = "batch message-tags server-time draft/chathistory";

/// The texts of the messages that a client is told.
fn texts(told: &str) -> Vec<&str> {
    let messages = told.lines().filter(|line| line.contains(" PRIVMSG "));
    messages.map(|line| line.rsplit(':').next().unwrap()).collect()
}

/// A channel in which ten messages were sent, a second apart.
fn world() -> (World, Client) {
    let mut world = World::new();
    let alice = world.join_with("alice", CAPS);
    let bob = world.join("bob");
    world.send(alice, "JOIN #a");
    world.send(bob, "JOIN #a");
    for number in 0..10 {
        world.send(bob, &format!("PRIVMSG #A :{number}"));
        world.pass(1_000);
    }
    world.seen(alice);
    (world, alice)
}

#[test]
fn history_is_a_batch_with_the_times_and_ids_of_then() {
    let (mut world, alice) = world();
    let told = world.says(alice, "CHATHISTORY LATEST #a * 2");
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 4, "{told}");
    let begin = "@time=2023-11-14T22:13:30.000Z :irc.localhost BATCH +1 chathistory #a";
    assert_eq!(lines[0], begin);
    assert!(lines[1].starts_with("@batch=1;time=2023-11-14T22:13:28.000Z;msgid="), "{told}");
    assert!(lines[1].ends_with(" :bob!~bob@host.example PRIVMSG #a :8"), "{told}");
    assert!(lines[3].ends_with(" :irc.localhost BATCH -1"), "{told}");
}

#[test]
fn every_subcommand_selects_what_it_says() {
    let (mut world, alice) = world();
    let told = world.says(alice, "CHATHISTORY LATEST #a * 100");
    let ids: Vec<&str> = told
        .lines()
        .filter_map(|line| line.split_once("msgid=")?.1.split([';', ' ']).next())
        .collect();
    for (what, expected) in [
        (format!("LATEST #a msgid={} 100", ids[7]), "89"),
        (format!("BEFORE #a msgid={} 2", ids[5]), "34"),
        ("BEFORE #A timestamp=2023-11-14T22:13:22.000Z 9".into(), "01"),
        (format!("AFTER #a msgid={} 2", ids[5]), "67"),
        (format!("AROUND #a msgid={} 3", ids[5]), "456"),
        (format!("BETWEEN #a msgid={} msgid={} 9", ids[2], ids[5]), "34"),
        (format!("BETWEEN #a msgid={} timestamp=2023-11-14T22:13:20.000Z 2", ids[5]), "34"),
    ] {
        let told = world.says(alice, &format!("CHATHISTORY {what}"));
        assert_eq!(texts(&told).concat(), expected, "{what}: {told}");
    }
}

#[test]
fn mistakes_are_told_by_their_codes() {
    let (mut world, alice) = world();
    world.send(alice, "JOIN #b\r\nPART #b");
    for (what, code) in [
        ("LATEST", "NEED_MORE_PARAMS LATEST"),
        ("LATEST #a", "NEED_MORE_PARAMS LATEST"),
        ("LATEST #a *", "NEED_MORE_PARAMS LATEST"),
        ("BEFORE #a * 5", "INVALID_PARAMS BEFORE *"),
        ("AFTER #a timestamp=now 5", "INVALID_PARAMS AFTER timestamp=now"),
        ("AFTER #a id=7 5", "INVALID_MSGREFTYPE AFTER id=7"),
        ("LATEST #a * many", "INVALID_PARAMS LATEST many"),
        ("LATEST #a * 0", "INVALID_PARAMS LATEST 0"),
        ("LATEST #b * 5", "INVALID_TARGET LATEST #b"),
        ("LATEST bob * 5", "INVALID_TARGET LATEST bob"),
        ("TARGETS", "NEED_MORE_PARAMS TARGETS"),
        ("EARLIEST #a * 5", "UNKNOWN_COMMAND EARLIEST"),
    ] {
        let told = world.says(alice, &format!("CHATHISTORY {what}"));
        assert!(told.contains(&format!(":irc.localhost FAIL CHATHISTORY {code} :")), "{told}");
    }
    assert!(world.says(alice, "CHATHISTORY").contains(" 461 alice CHATHISTORY "));
    world.by_hand = true;
    world.send(alice, "CHATHISTORY LATEST #a * 5\r\nPING 1");
    let (question, _) = world.asked.pop().unwrap();
    world.answer(question, refused());
    let told = world.seen(alice);
    assert!(told.contains(" FAIL CHATHISTORY MESSAGE_ERROR LATEST #a :"), "{told}");
    assert!(told.ends_with(" PONG irc.localhost :1\n"), "{told}");
}

#[test]
fn only_who_is_in_a_channel_may_know_what_was_said() {
    let (mut world, _) = world();
    let carol = world.join_with("carol", CAPS);
    let told = world.says(carol, "CHATHISTORY LATEST #a * 5");
    assert!(told.contains(" INVALID_TARGET ") && texts(&told).is_empty(), "{told}");
}

#[test]
fn users_find_their_private_conversations_again() {
    let mut world = World::new();
    let log_in = |world: &mut World, nick: &str, password: &str| {
        let client = world.connect();
        world.send(client, &format!("CAP REQ :sasl {CAPS}\r\nAUTHENTICATE PLAIN"));
        world.send(client, &format!("AUTHENTICATE {password}"));
        world.send(client, &format!("NICK {nick}\r\nUSER x 0 * :x\r\nCAP END"));
        world.seen(client);
        client
    };
    let alice = log_in(&mut world, "al", "AGFsaWNlAHNlY3JldA==");
    let bob = log_in(&mut world, "bobby", "AGJvYgBzZWNyZXQ=");
    let carol = world.join_with("carol", CAPS);
    world.send(alice, "PRIVMSG bobby :hello");
    world.send(carol, "PRIVMSG bobby :I am nobody");
    world.pass(10);
    for target in ["al", "alice"] {
        let told = world.says(bob, &format!("CHATHISTORY LATEST {target} * 5"));
        if target == "al" {
            assert_eq!(texts(&told), ["hello"], "{told}");
            world.send(alice, "QUIT");
        } else {
            assert_eq!(texts(&told), ["hello"], "who has gone is known by its account: {told}");
        }
    }
    let times = "timestamp=2000-01-01T00:00:00Z timestamp=2100-01-01T00:00:00Z";
    let told = world.says(bob, &format!("CHATHISTORY TARGETS {times} 10"));
    assert!(told.contains(" BATCH +") && told.contains(" draft/chathistory-targets\n"), "{told}");
    assert!(told.contains(" CHATHISTORY TARGETS alice 2023-11-14T22:13:20.000Z\n"), "{told}");
    let told = world.says(carol, &format!("CHATHISTORY TARGETS {times} 10"));
    assert!(!told.contains(" TARGETS "), "{told}");
}

#[test]
fn a_long_history_comes_in_parts_that_a_slow_client_waits_for() {
    let mut world = World::new();
    let alice = world.join_with("alice", CAPS);
    world.send(alice, "JOIN #a");
    for number in 0..100 {
        world.send(alice, &format!("PRIVMSG #a :{number}"));
    }
    world.by_hand = true;
    world.send(alice, "CHATHISTORY LATEST #a * 100");
    let (question, _) = world.asked.pop().unwrap();
    let all = world.history.messages("#a", &torsade_irc::history::Selection::Latest(None), 100);
    world.server.full(alice);
    world.answer(question, Answer::Messages(all));
    world.seen(alice);
    world.server.drained(alice, world.now);
    // Its transport is full again after the first part.
    let mut parts = 0;
    while let Some(action) = world.server.next_action() {
        if let torsade_irc::Action::Send { to, .. } = action {
            world.server.full(to);
            parts += 1;
            break;
        }
    }
    while world.server.next_action().is_some() {}
    assert_eq!(parts, 1);
    world.server.drained(alice, world.now);
    world.act();
    let told = world.seen(alice);
    assert!(texts(&told).len() == 50 && told.contains("BATCH -"), "{told}");
}

#[test]
fn without_a_history_nothing_is_kept_or_told() {
    let mut world = World::with(Config { history: false, ..config() });
    let alice = world.join_with("alice", "batch");
    world.send(alice, "JOIN #a\r\nPRIVMSG #a :x");
    assert!(world.says(alice, "VERSION").contains(" 005 "));
    assert!(!world.says(alice, "VERSION").contains("CHATHISTORY"));
    assert!(!world.says(alice, "CAP LS 302").contains("chathistory"));
    let told = world.says(alice, "CHATHISTORY LATEST #a * 5");
    assert!(told.contains(" MESSAGE_ERROR LATEST :"), "{told}");
    assert_eq!(world.history.messages("#a", &torsade_irc::history::Selection::Latest(None), 9), []);
}
