//! What comes, however it is cut and whatever is wrong with it.

use torsade_irc::{Client, Config};

use crate::world::{World, config};

/// All that two clients see of a dialogue, whose first client's bytes are cut so.
fn replay(bytes: &[u8], cuts: &[usize]) -> (String, String) {
    let mut world = World::new();
    let alice = world.join_with("alice", "message-tags labeled-response batch sasl");
    let bob = world.join("bob");
    world.send(bob, "JOIN #a");
    world.seen(bob);
    let mut start = 0;
    for &end in cuts.iter().chain([&bytes.len()]) {
        world.bytes(alice, &bytes[start..end]);
        start = end;
    }
    (world.seen(alice), world.seen(bob))
}

fn dialogue() -> Vec<u8> {
    let mut bytes = Vec::new();
    let long = "x".repeat(600);
    for line in [
        "JOIN #a\r\n",
        "\r\n\n",
        "PRIVMSG #a :one\r",
        "PRIVMSG #a :two\n",
        "@label=7;+x=y PRIVMSG #a :tagged é\r\n",
        &format!("PRIVMSG #a :{long}\r\n"),
        &format!("@{} PING 5\r\n", "t".repeat(5_000)),
        "AUTHENTICATE PLAIN\r\nAUTHENTICATE AGFsaWNlAHNlY3JldA==\r\n",
        "@label=l LIST\r\nNAMES #a\r\nWHO #a\r\nPING :1\r\n",
        "CHATHISTORY LATEST #a * 3\r\n",
        "QUIT :bye\r\nPRIVMSG #a :ghost\r\n",
    ] {
        bytes.extend_from_slice(line.as_bytes());
    }
    bytes
}

#[test]
fn how_the_bytes_are_cut_means_nothing() {
    let bytes = dialogue();
    let whole = replay(&bytes, &[]);
    assert!(whole.0.contains(" 417 alice ") && whole.1.contains("QUIT :Quit: bye\n"), "{whole:?}");
    assert!(!whole.1.contains("ghost"));
    let all: Vec<usize> = (1..bytes.len()).collect();
    assert_eq!(replay(&bytes, &all), whole, "cut everywhere");
    for cut in (1..bytes.len()).step_by(7) {
        assert_eq!(replay(&bytes, &[cut]), whole, "cut at {cut}");
    }
}

#[test]
fn a_line_that_is_too_long_is_refused_and_the_next_is_not() {
    let mut world = World::new();
    let alice = world.join("alice");
    let line = |length: usize| format!("PING :{}", "x".repeat(length - "PING :".len()));
    assert!(world.says(alice, &line(510)).contains(" PONG "));
    assert!(world.says(alice, &line(511)).contains(" 417 alice :"));
    let tagged = |length: usize| format!("@{} PING 1", "t".repeat(length - 2));
    assert!(world.says(alice, &tagged(4_096)).contains(" PONG "));
    assert!(world.says(alice, &tagged(4_097)).contains(" 417 alice :"));
    for _ in 0..100 {
        world.bytes(alice, &[b'x'; 10_000]);
    }
    assert_eq!(world.seen(alice), "");
    world.bytes(alice, b"x\nPING 2\n");
    let told = world.seen(alice);
    assert!(told.contains(" 417 ") && told.ends_with(" PONG irc.localhost :2\n"), "{told}");
    assert!(world.longest <= 512);
}

#[test]
fn what_is_not_unicode_is_refused() {
    let mut world = World::new();
    let alice = world.join("alice");
    world.send(alice, "JOIN #a");
    world.seen(alice);
    world.bytes(alice, b"PRIVMSG #a :caf\xe9\r\n");
    assert!(world.seen(alice).starts_with(":irc.localhost FAIL PRIVMSG INVALID_UTF8 :"));
    world.bytes(alice, b"\xff\xfe\r\n");
    assert!(world.seen(alice).starts_with(":irc.localhost FAIL * INVALID_UTF8 :"));
    world.bytes(alice, b"PRIVMSG #a :a\0b\r\n");
    assert!(world.seen(alice).starts_with(":irc.localhost 400 alice PRIVMSG :"));
    world.bytes(alice, b"NICK\0bob\r\n");
    assert_eq!(world.seen(alice), ":irc.localhost 400 alice NICK :A line has no NUL\n");
    assert!(world.says(alice, "PING 1").contains(" PONG "));
}

/// What is given to every command.
const ARGUMENTS: [&str; 16] = [
    "",
    " :",
    " *",
    " ,",
    " : : :",
    " #a",
    " #a :",
    " nobody",
    " alice",
    " #none #none #none #none",
    " alice,alice,,#a,#none x",
    " + + + +",
    " -1 -1 -1",
    " #a +ovbklIe",
    " \u{1f600}\u{1f600} \u{fffd} é",
    " a b c d e f g h i j k l m n o p",
];

#[test]
fn no_argument_of_any_command_ends_a_session() {
    let mut world = World::with(Config { operators: vec!["root".into()], ..config() });
    let alice = world.join("alice");
    let help = world.says(alice, "HELP");
    let names = help.lines().filter(|line| line.contains(" 705 "));
    let names: Vec<String> = names
        .flat_map(|line| line.rsplit(':').next().unwrap().split(' ').map(str::to_owned))
        .collect();
    assert!(names.len() > 50, "{names:?}");
    world.send(alice, "JOIN #a");
    let tried = |world: &mut World, client: Client, line: &str| {
        world.send(client, line);
        world.send(client, "AUTHENTICATE *");
        assert!(!world.gone.contains_key(&client), "{line}");
        let told = world.says(client, "PING alive");
        assert!(told.ends_with(" PONG irc.localhost :alive\n"), "{line}: {told}");
    };
    for name in names.iter().filter(|name| *name != "QUIT") {
        for arguments in ARGUMENTS {
            tried(&mut world, alice, &format!("{name}{arguments}"));
            tried(&mut world, alice, &format!("{} {}", name.to_lowercase(), "y".repeat(480)));
            world.send(alice, "NICK alice\r\nJOIN #a");
        }
    }
    world.send(alice, "OPER root secret");
    for name in names.iter().filter(|name| !matches!(&***name, "KILL" | "QUIT")) {
        for arguments in ARGUMENTS {
            tried(&mut world, alice, &format!("{name}{arguments}"));
        }
    }
    assert!(world.longest <= 512, "{}", world.longest);
}

#[test]
fn a_command_without_what_it_needs_says_so() {
    let mut world = World::new();
    let alice = world.join("alice");
    for name in [
        "JOIN",
        "PART",
        "KICK #a",
        "TOPIC",
        "MODE",
        "OPER x",
        "ISON",
        "USERHOST",
        "STATS",
        "PING",
        "SETNAME",
        "CHATHISTORY",
        "MONITOR",
        "CAP",
        "AUTHENTICATE",
        "KILL",
        "WALLOPS",
        "SQUERY",
    ] {
        let told = world.says(alice, name);
        let command = name.split(' ').next().unwrap();
        assert!(told.starts_with(&format!(":irc.localhost 461 alice {command} :")), "{told}");
    }
}
