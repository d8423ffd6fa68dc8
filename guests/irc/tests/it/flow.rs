//! Who sends too much, who takes too little, and who only waits.

use torsade_irc::{Client, Config};

use crate::world::{World, config};

fn flood() -> World {
    World::with(Config { burst: 10, rate: 2, ..config() })
}

fn pongs(told: &str) -> usize {
    told.matches(" PONG ").count()
}

#[test]
fn lines_beyond_a_burst_wait_for_the_clock() {
    let mut world = flood();
    let alice = world.join("alice");
    world.pass(10_000);
    world.send(alice, &vec!["PING 1"; 15].join("\r\n"));
    assert_eq!(pongs(&world.seen(alice)), 10);
    world.pass(499);
    assert_eq!(pongs(&world.seen(alice)), 0);
    world.pass(1);
    assert_eq!(pongs(&world.seen(alice)), 1);
    world.pass(10_000);
    assert_eq!(pongs(&world.seen(alice)), 4);
    world.send(alice, "PING 1");
    assert_eq!(pongs(&world.seen(alice)), 1);
}

#[test]
fn who_floods_has_to_go() {
    let mut world = flood();
    let (alice, bob) = (world.join("alice"), world.join("bob"));
    world.send(alice, "JOIN #a");
    world.send(bob, "JOIN #a");
    world.seen(bob);
    world.bytes(alice, "PRIVMSG #a :spam\r\n".repeat(2_000).as_bytes());
    let told = world.seen(bob);
    assert!(told.ends_with(":alice!~alice@host.example QUIT :Excess Flood\n"), "{told}");
    assert!(told.matches(" PRIVMSG ").count() <= 10, "{told}");
    assert!(world.seen(alice).ends_with("ERROR :Closing Link: host.example (Excess Flood)\n"));
}

#[test]
fn one_who_floods_delays_nobody_else() {
    let mut world = flood();
    let (alice, bob) = (world.join("alice"), world.join("bob"));
    world.pass(10_000);
    world.send(alice, &vec!["PING 1"; 100].join("\r\n"));
    world.send(bob, "PING 1");
    assert_eq!(pongs(&world.seen(bob)), 1);
}

#[test]
fn a_slow_reader_is_dropped_with_the_reason() {
    let mut world = World::with(Config { sendq: 8_192, ..config() });
    let (alice, bob, slow) = (world.join("alice"), world.join("bob"), world.join("slow"));
    for client in [alice, bob, slow] {
        world.send(client, "JOIN #a");
    }
    world.server.full(slow);
    world.seen(bob);
    let text = "x".repeat(400);
    for _ in 0..18 {
        world.send(alice, &format!("PRIVMSG #a :{text}"));
    }
    assert!(world.gone.is_empty());
    world.server.drained(slow, world.now);
    world.server.full(slow);
    for _ in 0..19 {
        world.send(alice, &format!("PRIVMSG #a :{text}"));
    }
    assert_eq!(world.gone.get(&slow), Some(&"aborted"));
    let told = world.seen(bob);
    assert!(told.ends_with(":slow!~slow@host.example QUIT :Max SendQ exceeded\n"), "{told}");
    assert_eq!(told.matches(" PRIVMSG ").count(), 37, "others have got all");
}

#[test]
fn a_thousand_slow_readers_are_dropped_at_once() {
    let mut world = World::with(Config { sendq: 8_192, ..config() });
    let alice = world.join("alice");
    world.send(alice, "JOIN #a");
    let slow: Vec<Client> = (0..1_000).map(|number| world.join(&format!("s{number}"))).collect();
    for &client in &slow {
        world.send(client, "JOIN #a");
    }
    world.seen(alice);
    for &client in &slow {
        world.server.full(client);
    }
    for _ in 0..20 {
        world.send(alice, &format!("PRIVMSG #a :{}", "x".repeat(450)));
    }
    assert_eq!(world.gone.len(), 1_000);
    assert_eq!(world.seen(alice).matches(" QUIT :Max SendQ exceeded\n").count(), 1_000);
    assert!(world.says(alice, "NAMES #a").contains(":@alice\n"));
}

#[test]
fn a_long_list_is_nobodys_flood() {
    let mut world = World::with(Config { sendq: 8_192, channels: 10_000, ..config() });
    let (alice, reader) = (world.join("alice"), world.join("reader"));
    for number in 0..500 {
        world.send(alice, &format!("JOIN #channel-{number}"));
    }
    world.seen(alice);
    // Its transport is full after every part, and takes it later.
    world.server.received(reader, b"LIST\r\nPING 1\r\n", world.now);
    let (mut listed, mut parts) = (String::new(), 0);
    while !listed.contains(" PONG ") {
        while let Some(action) = world.server.next_action() {
            if let torsade_irc::Action::Send { to, bytes } = action {
                assert_eq!(to, reader);
                listed.push_str(str::from_utf8(world.server.bytes(bytes)).unwrap());
                world.server.full(reader);
                parts += 1;
            }
        }
        world.server.drained(reader, world.now);
    }
    assert_eq!(listed.matches(" 322 ").count(), 500);
    assert!(parts >= 10, "{parts}");
    assert!(listed.find(" 323 ") < listed.find(" PONG "), "its next line has waited");
}

#[test]
fn all_members_of_a_large_channel_are_named_once() {
    let mut world = World::new();
    let clients: Vec<Client> = (0..700).map(|number| world.join(&format!("n{number}"))).collect();
    for &client in &clients {
        world.send(client, "JOIN #a,#b");
    }
    let told = world.says(clients[0], "NAMES #a");
    let mut named: Vec<&str> = told
        .lines()
        .filter(|line| line.contains(" 353 "))
        .flat_map(|line| line.rsplit(':').next().unwrap().split(' '))
        .collect();
    named.sort_unstable();
    named.dedup();
    assert_eq!(named.len(), 700);
    let who = world.says(clients[0], "WHO #a");
    assert_eq!(who.matches(" 352 ").count(), 700);
    let late = world.join("late");
    let told = world.says(late, "JOIN #a,#b");
    assert_eq!(told.matches(" 366 ").count(), 2, "both channels are named");
    assert!(world.longest <= 512);
}

#[test]
fn a_message_to_many_is_written_once_for_each_set_of_tags() {
    let mut world = World::new();
    let clients: Vec<Client> = (0..100)
        .map(|number| {
            let caps = ["", "server-time", "message-tags", "account-tag"][number % 4];
            world.join_with(&format!("n{number}"), caps)
        })
        .collect();
    for &client in &clients {
        world.send(client, "JOIN #a");
    }
    world.server.received(clients[0], b"PRIVMSG #a :hello\r\n", world.now);
    let mut ranges = std::collections::BTreeSet::new();
    let mut sends = 0;
    while let Some(action) = world.server.next_action() {
        if let torsade_irc::Action::Send { bytes, .. } = action {
            ranges.insert((bytes.start, bytes.end));
            sends += 1;
        }
    }
    assert_eq!((sends, ranges.len()), (99, 4));
}

#[test]
fn lines_wait_while_much_is_to_be_done() {
    let mut world = World::new();
    let clients: Vec<Client> = (0..300).map(|number| world.join(&format!("n{number}"))).collect();
    for &client in &clients {
        world.send(client, "JOIN #a");
        world.seen(client);
    }
    for &client in &clients {
        world.seen(client);
    }
    let lines: String = (0..50).map(|number| format!("PRIVMSG #a :{number}.\r\n")).collect();
    world.server.received(clients[0], lines.as_bytes(), world.now);
    world.server.received(clients[1], b"PRIVMSG #a :other.\r\n", world.now);
    world.take(1_250);
    assert!(world.paused.contains(&clients[0]), "what waits isn't read on");
    let told = world.seen(clients[299]);
    assert!(!told.contains("49."), "{told}");
    world.act();
    let told = told + &world.seen(clients[299]);
    let heard: Vec<&str> = told.lines().map(|line| line.rsplit(':').next().unwrap()).collect();
    let first: Vec<&str> = heard.iter().copied().filter(|text| *text != "other.").collect();
    let expected: Vec<String> = (0..50).map(|number| format!("{number}.")).collect();
    assert!(first == expected && heard.contains(&"other."), "{heard:?}");
    assert!(world.paused.is_empty());
    assert!(world.gone.is_empty());
}
