//! Into channels, in them, and out.

use torsade_irc::Config;

use crate::world::{World, config};

#[test]
fn who_makes_a_channel_is_its_operator() {
    let mut world = World::new();
    let (alice, bob) = (world.join("alice"), world.join("bob"));
    let told = world.says(alice, "JOIN #a");
    let expected = ":alice!~alice@host.example JOIN #a\n\
        :irc.localhost 353 alice = #a :@alice\n\
        :irc.localhost 366 alice #a :End of /NAMES list\n";
    assert_eq!(told, expected);
    let told = world.says(bob, "JOIN #A");
    assert!(told.starts_with(":bob!~bob@host.example JOIN #a\n"), "{told}");
    assert!(told.contains(" 353 bob = #a :@alice bob\n"), "{told}");
    assert_eq!(world.seen(alice), ":bob!~bob@host.example JOIN #a\n");
    assert_eq!(world.says(bob, "JOIN #a"), "", "it is there already");
}

#[test]
fn a_channel_ends_with_its_last_member() {
    let mut world = World::new();
    let alice = world.join("alice");
    world.send(alice, "JOIN #a");
    world.send(alice, "MODE #a +k key");
    assert_eq!(world.says(alice, "PART #a :bye"), ":alice!~alice@host.example PART #a :bye\n");
    assert!(world.says(alice, "PART #a").contains(" 403 alice #a "));
    assert!(world.says(alice, "JOIN #a").contains(":@alice\n"), "it is a new one, without a key");
}

#[test]
fn join_0_parts_from_all() {
    let mut world = World::new();
    let alice = world.join("alice");
    world.send(alice, "JOIN #a,#b,&c");
    let told = world.says(alice, "JOIN 0");
    assert_eq!(told.matches(" PART ").count(), 3, "{told}");
}

#[test]
fn names_that_no_channel_has_are_refused() {
    let mut world = World::with(Config { channels: 2, channels_total: 3, ..config() });
    let (alice, bob) = (world.join("alice"), world.join("bob"));
    assert!(world.says(alice, "JOIN a").contains(" 403 alice a "));
    assert!(world.says(alice, "JOIN #").contains(" 476 alice # "));
    assert!(world.says(alice, &format!("JOIN #{}", "x".repeat(64))).contains(" 476 "));
    assert!(world.says(alice, "JOIN #a,#b,#c").contains(" 405 alice #c "));
    assert!(world.says(bob, "JOIN #c,#d").contains(" 353 "));
    let carol = world.join("carol");
    assert!(world.says(carol, "JOIN #d").contains(" 405 carol #d "), "the server has three");
}

#[test]
fn a_channel_may_keep_clients_out() {
    let mut world = World::new();
    let (alice, bob) = (world.join("alice"), world.join("bob"));
    world.send(alice, "JOIN #a");
    for (mode, numeric) in
        [("+i", "473"), ("-i+k key", "475"), ("-k+l * 1", "471"), ("-l+b *!*@host.example", "474")]
    {
        world.send(alice, &format!("MODE #a {mode}"));
        let told = world.says(bob, "JOIN #a wrong");
        assert!(told.contains(&format!(" {numeric} bob #a :")), "{mode} {told}");
    }
    world.send(alice, "MODE #a +e bob");
    assert!(world.says(bob, "JOIN #a").contains(" JOIN #a\n"));
    world.send(bob, "PART #a");
    world.send(alice, "MODE #a -e+iI bob bob");
    world.send(alice, "MODE #a -b *!*@host.example");
    assert!(world.says(bob, "JOIN #a").contains(" JOIN #a\n"), "the list invites it");
}

#[test]
fn an_invitation_opens_every_door_once() {
    let mut world = World::new();
    let alice = world.join("alice");
    let bob = world.join("bob");
    let carol = world.join_with("carol", "invite-notify");
    world.send(alice, "JOIN #a");
    world.send(carol, "JOIN #a");
    world.send(alice, "MODE #a +ikl key 1");
    world.seen(carol);
    assert!(world.says(carol, "INVITE bob #a").contains(" 482 carol #a "));
    assert!(world.says(bob, "INVITE carol #a").contains(" 442 bob #a "));
    assert!(world.says(alice, "INVITE nobody #a").contains(" 401 alice nobody "));
    assert!(world.says(alice, "INVITE carol #a").contains(" 443 alice carol #a "));
    assert!(world.says(alice, "INVITE bob").contains(" 461 alice INVITE "));
    assert!(world.says(alice, "INVITE bob #a").ends_with(" 341 alice bob #a\n"));
    let invitation = ":alice!~alice@host.example INVITE bob #a\n";
    assert!(world.seen(bob).ends_with(invitation));
    assert_eq!(world.seen(carol), invitation);
    let own = world.says(bob, "INVITE");
    assert_eq!(own, ":irc.localhost 336 bob #a\n:irc.localhost 337 bob :End of invite list\n");
    assert!(world.says(bob, "JOIN #a").contains(" JOIN #a\n"));
    world.send(bob, "PART #a");
    assert!(world.says(bob, "JOIN #a").contains(" 473 bob #a "));
}

#[test]
fn a_topic_is_set_told_and_taken_away() {
    let mut world = World::new();
    let (alice, bob) = (world.join("alice"), world.join("bob"));
    world.send(alice, "JOIN #a");
    world.send(bob, "JOIN #a");
    assert!(world.says(alice, "TOPIC #a").contains(" 331 alice #a "));
    assert!(world.says(bob, "TOPIC #a :mine").contains(" 482 bob #a "));
    let told = world.says(alice, "TOPIC #a :all about it");
    assert_eq!(told, ":alice!~alice@host.example TOPIC #a :all about it\n");
    assert_eq!(world.seen(bob), told);
    let told = world.says(bob, "TOPIC #a");
    assert!(told.contains(" 332 bob #a :all about it\n"), "{told}");
    assert!(told.contains(" 333 bob #a alice!~alice@host.example 1700000000\n"), "{told}");
    world.send(alice, "MODE #a -t");
    assert!(world.says(bob, "TOPIC #a :").ends_with(" TOPIC #a :\n"));
    assert!(world.says(alice, "TOPIC #a").contains(" 331 "));
    assert!(world.says(alice, "TOPIC #none").contains(" 403 alice #none "));
}

#[test]
fn an_operator_kicks() {
    let mut world = World::new();
    let (alice, bob) = (world.join("alice"), world.join("bob"));
    world.send(alice, "JOIN #a");
    world.send(bob, "JOIN #a");
    assert!(world.says(bob, "KICK #a alice").contains(" 482 bob #a "));
    assert!(world.says(alice, "KICK #a nobody").contains(" 401 alice nobody "));
    assert!(world.says(alice, "KICK #b bob").contains(" 403 alice #b "));
    world.seen(bob);
    world.send(alice, "KICK #a bob :enough");
    assert_eq!(world.seen(bob), ":alice!~alice@host.example KICK #a bob :enough\n");
    assert!(world.says(alice, "KICK #a bob").contains(" 441 alice bob #a "));
    assert!(world.says(bob, "PRIVMSG #a :hey").contains(" 404 bob #a "));
}

#[test]
fn members_see_each_other_join_as_they_like() {
    let mut world = World::new();
    let plain = world.join("plain");
    let rich = world.join_with("rich", "extended-join away-notify userhost-in-names multi-prefix");
    world.send(plain, "JOIN #a");
    let told = world.says(rich, "JOIN #a");
    assert!(told.starts_with(":rich!~rich@host.example JOIN #a * :The real rich\n"), "{told}");
    assert!(told.contains(":@plain!~plain@host.example rich!~rich@host.example\n"), "{told}");
    let alice = world.join("alice");
    world.send(alice, "AWAY :lunch");
    world.seen(plain);
    world.seen(rich);
    world.send(alice, "JOIN #a");
    assert_eq!(world.seen(plain), ":alice!~alice@host.example JOIN #a\n");
    let told = world.seen(rich);
    assert!(told.ends_with(":alice!~alice@host.example AWAY :lunch\n"), "{told}");
    world.send(alice, "AWAY");
    assert_eq!(world.seen(rich), ":alice!~alice@host.example AWAY\n");
    assert_eq!(world.seen(plain), "");
}

#[test]
fn membership_is_the_same_in_all_tables() {
    let mut world = World::new();
    let clients: Vec<_> = ["a", "b", "c", "d"].map(|nick| world.join(nick)).to_vec();
    for (count, client) in clients.iter().enumerate() {
        for channel in 0..=count {
            world.send(*client, &format!("JOIN #{channel}x"));
        }
    }
    world.send(clients[3], "PART #0x,#2x");
    world.send(clients[1], "QUIT");
    let names = |world: &mut World, channel: &str| {
        let told = world.says(clients[0], &format!("NAMES {channel}"));
        told.lines().next().unwrap().rsplit(':').next().unwrap().to_owned()
    };
    assert_eq!(names(&mut world, "#0x"), "@a c");
    for client in [2, 3] {
        let nick = ["c", "d"][client - 2];
        world.send(clients[client], &format!("MODE {nick} -i"));
    }
    assert_eq!(names(&mut world, "#1x"), "c d");
    assert_eq!(names(&mut world, "#2x"), "@c");
    let whois = world.says(clients[0], "WHOIS d");
    assert!(!whois.contains("#0x") && !whois.contains("#2x"), "{whois}");
}

#[test]
fn a_member_who_is_no_operator_opens_no_door() {
    let mut world = World::new();
    let (alice, bob, carol) = (world.join("alice"), world.join("bob"), world.join("carol"));
    world.send(alice, "JOIN #a");
    world.send(bob, "JOIN #a");
    world.send(alice, "MODE #a +b carol");
    assert!(world.says(bob, "INVITE carol #a").contains(" 341 bob carol #a\n"));
    assert!(world.seen(carol).ends_with("INVITE carol #a\n"));
    assert!(world.says(carol, "JOIN #a").contains(" 474 carol #a "));
}

#[test]
fn from_outside_one_sees_no_members_that_are_invisible() {
    let mut world = World::new();
    let (alice, bob, carol) = (world.join("alice"), world.join("bob"), world.join("carol"));
    world.send(alice, "JOIN #a");
    world.send(bob, "JOIN #a");
    world.send(alice, "MODE alice -i");
    assert!(world.says(carol, "NAMES #a").contains(" 353 carol = #a :@alice\n"));
    assert!(world.says(bob, "NAMES #a").contains(" 353 bob = #a :@alice bob\n"));
    world.send(alice, "MODE alice +i");
    let told = world.says(carol, "NAMES #a");
    assert_eq!(told, ":irc.localhost 366 carol #a :End of /NAMES list\n");
}
