//! Messages, and who gets them.

use crate::world::World;

#[test]
fn a_message_goes_to_all_members_but_its_sender() {
    let mut world = World::new();
    let (alice, bob, carol) = (world.join("alice"), world.join("bob"), world.join("carol"));
    for client in [alice, bob] {
        world.send(client, "JOIN #a");
    }
    world.seen(bob);
    assert_eq!(world.says(alice, "PRIVMSG #A :hello there"), "");
    assert_eq!(world.seen(bob), ":alice!~alice@host.example PRIVMSG #a :hello there\n");
    assert_eq!(world.says(carol, "NOTICE #a :psst"), "", "to a notice nothing is answered");
    assert!(world.says(carol, "PRIVMSG #a :psst").contains(" 404 carol #a "));
    assert_eq!(world.seen(bob), "");
}

#[test]
fn each_receiver_gets_the_tags_that_it_has_asked_for() {
    let mut world = World::new();
    let alice = world.join_with("alice", "message-tags echo-message");
    let plain = world.join("plain");
    let timed = world.join_with("timed", "server-time");
    let tagged = world.join_with("tagged", "message-tags server-time account-tag");
    for client in [alice, plain, timed, tagged] {
        world.send(client, "JOIN #a");
    }
    for client in [plain, timed, tagged] {
        world.seen(client);
    }
    let echo = world.says(alice, "@+reply=x;secret=1;+y PRIVMSG #a :hi");
    let body = ":alice!~alice@host.example PRIVMSG #a :hi\n";
    assert_eq!(world.seen(plain), body);
    assert_eq!(world.seen(timed), format!("@time=2023-11-14T22:13:20.000Z {body}"));
    let (tags, rest) = echo.split_once(' ').unwrap();
    assert!(tags.starts_with("@msgid=") && tags.ends_with(";+reply=x;+y"), "{tags}");
    assert_eq!(rest, body);
    let seen = world.seen(tagged);
    assert_eq!(seen, echo.replace("@msgid", "@time=2023-11-14T22:13:20.000Z;msgid"));
}

#[test]
fn tags_alone_go_to_those_who_understand_them() {
    let mut world = World::new();
    let alice = world.join_with("alice", "message-tags");
    let bob = world.join_with("bob", "message-tags");
    let plain = world.join("plain");
    for client in [alice, bob, plain] {
        world.send(client, "JOIN #a");
    }
    world.seen(plain);
    world.seen(bob);
    world.send(alice, "@+typing=active TAGMSG #a");
    assert!(world.seen(bob).ends_with(";+typing=active :alice!~alice@host.example TAGMSG #a\n"));
    assert_eq!(world.seen(plain), "");
    assert_eq!(world.says(alice, "TAGMSG #a"), "");
    assert_eq!(world.seen(bob), "");
}

#[test]
fn no_message_has_an_id_that_another_has() {
    let mut world = World::new();
    let alice = world.join_with("alice", "message-tags echo-message");
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..100 {
        // To oneself it comes twice, and is the same.
        let seen = world.says(alice, "PRIVMSG alice :x");
        let (one, other) = seen.split_at(seen.len() / 2);
        assert_eq!(one, other);
        assert!(ids.insert(one.split(' ').next().unwrap().to_owned()));
    }
}

#[test]
fn a_message_to_many_has_a_limit() {
    let mut world = World::new();
    let alice = world.join("alice");
    let others = ["bob", "carol", "dave", "eve", "frank"].map(|nick| world.join(nick));
    let told = world.says(alice, "PRIVMSG bob,carol,dave,eve,frank :spam");
    assert!(told.contains(" 407 alice frank "), "{told}");
    assert_eq!(others.map(|other| world.seen(other).lines().count()), [1, 1, 1, 1, 0]);
}

#[test]
fn what_is_missing_or_wrong_is_told() {
    let mut world = World::new();
    let alice = world.join("alice");
    for (line, numeric) in [
        ("PRIVMSG", "411 alice :No recipient given (PRIVMSG)"),
        ("PRIVMSG bob", "412 alice :"),
        ("PRIVMSG bob :", "412 alice :"),
        ("PRIVMSG bob :x", "401 alice bob :"),
        ("PRIVMSG #a :x", "403 alice #a :"),
        ("TAGMSG", "411 alice :No recipient given (TAGMSG)"),
    ] {
        let told = world.says(alice, line);
        assert!(told.starts_with(&format!(":irc.localhost {numeric}")), "{line}: {told}");
    }
    for line in ["NOTICE", "NOTICE bob", "NOTICE bob :x", "NOTICE #a :x"] {
        assert_eq!(world.says(alice, line), "", "{line}");
    }
}

#[test]
fn who_is_away_says_so_to_who_writes() {
    let mut world = World::new();
    let (alice, bob) = (world.join("alice"), world.join("bob"));
    assert!(world.says(bob, "AWAY :at lunch").contains(" 306 bob "));
    assert_eq!(world.says(alice, "PRIVMSG bob :hi"), ":irc.localhost 301 alice bob :at lunch\n");
    assert_eq!(world.says(alice, "NOTICE bob :hi"), "");
    assert!(world.says(bob, "AWAY").contains(" 305 bob "));
    assert_eq!(world.says(alice, "PRIVMSG bob :hi"), "");
}

#[test]
fn a_moderated_channel_hears_those_with_a_voice() {
    let mut world = World::new();
    let (alice, bob) = (world.join("alice"), world.join("bob"));
    for client in [alice, bob] {
        world.send(client, "JOIN #a");
    }
    world.send(alice, "MODE #a +m");
    assert!(world.says(bob, "PRIVMSG #a :me?").contains(" 404 bob #a "));
    world.send(alice, "MODE #a +v bob");
    world.seen(alice);
    world.says(bob, "PRIVMSG #a :me!");
    assert!(world.seen(alice).ends_with("PRIVMSG #a :me!\n"));
    world.send(alice, "MODE #a -mv bob");
    world.send(alice, "MODE #a +b bob!*@*");
    assert!(world.says(bob, "PRIVMSG #a :banned").contains(" 404 bob #a "));
}

#[test]
fn a_message_may_be_for_members_of_some_status() {
    let mut world = World::new();
    let (op, voiced, plain) = (world.join("op"), world.join("voiced"), world.join("plain"));
    for client in [op, voiced, plain] {
        world.send(client, "JOIN #a");
    }
    world.send(op, "MODE #a +v voiced");
    for client in [op, voiced, plain] {
        world.seen(client);
    }
    world.send(plain, "PRIVMSG @#a :ops");
    world.send(plain, "PRIVMSG +#a :voices");
    assert_eq!(world.seen(op).matches(" PRIVMSG ").count(), 2);
    assert_eq!(world.seen(voiced), ":plain!~plain@host.example PRIVMSG +#a :voices\n");
    assert_eq!(world.history.messages("#a", &torsade_irc::history::Selection::Latest(None), 9), []);
}

#[test]
fn names_are_changed_before_the_eyes_of_those_who_want_to_know() {
    let mut world = World::new();
    let alice = world.join_with("alice", "setname");
    let bob = world.join_with("bob", "setname");
    let plain = world.join("plain");
    for client in [alice, bob, plain] {
        world.send(client, "JOIN #a");
        world.seen(plain);
    }
    world.seen(bob);
    let told = world.says(alice, "SETNAME :Alice the second");
    assert_eq!(told, ":alice!~alice@host.example SETNAME :Alice the second\n");
    assert_eq!((world.seen(bob), world.seen(plain).contains("SETNAME")), (told, false));
    assert!(
        world
            .says(plain, "WHOIS alice")
            .contains(" 311 plain alice ~alice host.example * :Alice the second\n")
    );
    let told = world.says(alice, &format!("SETNAME :{}", "x".repeat(151)));
    assert!(told.starts_with(":irc.localhost FAIL SETNAME INVALID_REALNAME :"), "{told}");
}

#[test]
fn watchers_are_told_who_comes_and_goes() {
    let mut world = World::new();
    let alice = world.join("alice");
    let told = world.says(alice, "MONITOR + Bob,carol,alice");
    assert!(told.contains(" 730 alice :alice!~alice@host.example\n"), "{told}");
    assert!(told.contains(" 731 alice :Bob,carol\n"), "{told}");
    let bob = world.join("bob");
    assert_eq!(world.seen(alice), ":irc.localhost 730 alice :bob!~bob@host.example\n");
    world.send(bob, "NICK carol");
    let told = ":irc.localhost 731 alice :bob\n:irc.localhost 730 alice :carol!~bob@host.example\n";
    assert_eq!(world.seen(alice), told);
    assert!(world.says(alice, "MONITOR L").contains(" 732 alice :Bob,carol,alice\n"));
    assert!(world.says(alice, "MONITOR S").contains(" 731 alice :Bob\n"));
    world.send(alice, "MONITOR - CAROL");
    world.send(bob, "QUIT");
    assert_eq!(world.seen(alice), "");
    world.send(alice, "MONITOR C");
    assert_eq!(world.says(alice, "MONITOR L"), ":irc.localhost 733 alice :End of MONITOR list\n");
    let many: Vec<String> = (0..101).map(|number| format!("n{number}")).collect();
    let told = world.says(alice, &format!("MONITOR + {}", many[..60].join(",")));
    assert!(told.contains(" 731 "), "{told}");
    let told = world.says(alice, &format!("MONITOR + {}", many[60..].join(",")));
    assert!(told.contains(" 734 alice 100 n100 :"), "{told}");
}

#[test]
fn who_watches_itself_hears_nothing_of_its_end() {
    let mut world = World::new();
    let alice = world.join("alice");
    world.says(alice, "MONITOR + alice");
    let told = world.says(alice, "QUIT");
    assert!(told.starts_with("ERROR ") && told.lines().count() == 1, "{told}");
}
