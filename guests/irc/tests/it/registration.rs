//! How clients become known, and what they are told of the server.

use torsade_irc::{Config, Peer, Sts};

use crate::world::{World, config};

#[test]
fn a_client_is_welcomed_once_it_has_a_nickname_and_a_name() {
    let mut world = World::new();
    let alice = world.connect();
    assert_eq!(world.says(alice, "NICK alice"), "");
    let told = world.says(alice, "USER al 0 * :Alice A");
    for numeric in ["001", "002", "003", "004", "005", "251", "255", "265", "266", "422"] {
        assert!(told.contains(&format!(":irc.localhost {numeric} alice ")), "{numeric} {told}");
    }
    assert!(told.contains("Torsade network, alice!~al@host.example\n"), "{told}");
    assert!(told.ends_with(":alice!~al@host.example MODE alice :+i\n"), "{told}");
    assert!(told.contains(" CASEMAPPING=ascii ") && told.contains(" PREFIX=(ov)@+ "), "{told}");
    assert!(world.says(alice, "USER al 0 * :Alice").contains(" 462 alice "));
    assert!(world.says(alice, "PASS x").contains(" 462 alice "));
}

#[test]
fn nothing_but_registering_is_possible_before() {
    let mut world = World::new();
    let client = world.connect();
    for line in ["JOIN #a", "PRIVMSG bob :hi", "WHO", "NO-SUCH", "OPER a b"] {
        assert!(world.says(client, line).starts_with(":irc.localhost 451 * :"), "{line}");
    }
    assert_eq!(world.says(client, "PING 7"), ":irc.localhost PONG irc.localhost :7\n");
    assert!(world.says(client, "USER a").contains(" 461 * USER "));
    assert!(world.says(client, "NICK").contains(" 431 * "));
    assert!(world.says(client, "NICK 7up").contains(" 432 * 7up "));
    assert!(world.says(client, "USER !!! 0 * :x").contains(" 468 * "));
}

#[test]
fn a_nickname_is_one_clients_whatever_its_case() {
    let mut world = World::new();
    let (alice, bob) = (world.join("alice"), world.join("bob"));
    assert!(world.says(bob, "NICK ALICE").contains(" 433 bob ALICE :"));
    let early = world.connect();
    assert!(world.says(early, "NICK Alice").contains(" 433 * Alice :"));
    assert_eq!(world.says(alice, "NICK ALICE"), ":alice!~alice@host.example NICK :ALICE\n");
    assert_eq!(world.says(bob, "NICK carol"), ":bob!~bob@host.example NICK :carol\n");
    // Who is not registered yet has its nickname, too.
    assert_eq!(world.says(early, "NICK bob"), "");
    assert!(world.says(alice, "NICK bob").contains(" 433 "));
    assert!(world.says(alice, "PRIVMSG bob :are you there?").contains(" 401 ALICE bob "));
}

#[test]
fn who_takes_too_long_to_register_has_to_go() {
    let mut world = World::new();
    let client = world.connect();
    world.send(client, "NICK slow");
    world.pass(59_999);
    assert_eq!(world.seen(client), "");
    world.pass(1);
    let told = world.seen(client);
    assert_eq!(told, "ERROR :Closing Link: host.example (Registration timed out)\n");
    assert_eq!(world.gone.get(&client), Some(&"closed"));
    assert_eq!(world.server.deadline(), None);
}

#[test]
fn an_idle_client_is_asked_for_a_word() {
    let mut world = World::new();
    let (alice, bob) = (world.join("alice"), world.join("bob"));
    for client in [alice, bob] {
        world.send(client, "JOIN #a");
    }
    world.pass(100_000);
    world.send(alice, "PING x");
    world.seen(alice);
    world.pass(20_000);
    assert_eq!(world.seen(alice), "");
    assert!(world.seen(bob).ends_with("PING :irc.localhost\n"));
    world.pass(60_000);
    let quit = ":bob!~bob@host.example QUIT :Ping timeout: 180 seconds\n";
    assert_eq!(world.seen(alice), ["", quit].concat());
    world.pass(40_000);
    assert_eq!(world.seen(alice), "PING :irc.localhost\n");
    world.send(alice, "PONG irc.localhost");
    world.pass(100_000);
    assert_eq!((world.seen(alice), world.gone.contains_key(&alice)), (String::new(), false));
}

#[test]
fn capabilities_are_negotiated_before_the_welcome() {
    let mut world = World::new();
    let client = world.connect();
    let offered = world.says(client, "CAP LS 302");
    assert!(offered.starts_with(":irc.localhost CAP * LS :account-notify "), "{offered}");
    assert!(offered.contains(" sasl=SCRAM-SHA-256,PLAIN "), "{offered}");
    world.send(client, "NICK alice\r\nUSER alice 0 * :Alice");
    assert_eq!(world.seen(client), "");
    let answer = world.says(client, "CAP REQ :server-time multi-prefix");
    assert_eq!(answer, ":irc.localhost CAP alice ACK :server-time multi-prefix\n");
    let answer = world.says(client, "CAP REQ :batch no-such");
    assert!(answer.ends_with(":irc.localhost CAP alice NAK :batch no-such\n"), "{answer}");
    let list = world.says(client, "CAP LIST");
    assert!(list.ends_with("CAP alice LIST :cap-notify multi-prefix server-time\n"), "{list}");
    assert!(world.says(client, "CAP REQ :-cap-notify").contains(" NAK "));
    assert!(world.says(client, "CAP FLY").contains(" 410 alice FLY :"));
    assert!(world.says(client, "CAP").contains(" 461 alice CAP "));
    let told = world.says(client, "CAP END");
    assert!(told.starts_with("@time=2023-11-14T22:13:20.000Z :irc.localhost 001 alice "), "{told}");
    let answer = world.says(client, "CAP REQ -server-time");
    assert!(answer.ends_with(" CAP alice ACK :-server-time\n"), "{answer}");
    assert!(world.says(client, "PING 1").starts_with(":irc"));
}

#[test]
fn a_client_that_knows_no_values_gets_none() {
    let mut world = World::with(Config {
        sts: Some(Sts { port: 6697, duration: 60, preload: false }),
        starttls: true,
        ..config()
    });
    let client = world.connect();
    let offered = world.says(client, "CAP LS");
    assert!(offered.contains(" sasl ") && offered.contains(" tls ") && !offered.contains("sts"));
    let offered = world.says(client, "CAP LS 302");
    assert!(offered.ends_with(" sts=port=6697\n"), "{offered}");
    let secure = world.connect_as(Peer { is_secure: true, ..Peer::default() });
    let offered = world.says(secure, "CAP LS 302");
    assert!(offered.ends_with(" sts=duration=60\n") && !offered.contains(" tls "), "{offered}");
    assert!(!offered.contains("sasl"), "it may use no mechanism: {offered}");
}

#[test]
fn starttls_forgets_what_came_in_clear() {
    let mut world = World::with(Config { starttls: true, ..config() });
    let client = world.connect();
    world.bytes(client, b"STARTTLS\r\nNICK mallory\r\nUS");
    assert!(world.seen(client).starts_with(":irc.localhost 670 * :"));
    assert!(world.starting_tls.contains(&client));
    let peer = Peer { is_secure: true, mechanisms: vec!["EXTERNAL".into()], ..Peer::default() };
    world.server.secured(client, peer, world.now);
    world.send(client, "NICK alice\r\nUSER alice 0 * :Alice");
    let told = world.seen(client);
    assert!(told.contains(" 001 alice ") && told.ends_with("MODE alice :+iZ\n"), "{told}");
    assert!(world.says(client, "STARTTLS").contains(" 462 alice "));
}

#[test]
fn starttls_is_refused_where_it_is_off() {
    let mut world = World::new();
    let client = world.connect();
    assert!(world.says(client, "STARTTLS").contains(" 691 * :"));
    assert!(world.starting_tls.is_empty());
}

#[test]
fn who_quits_is_told_good_bye_and_missed() {
    let mut world = World::new();
    let (alice, bob) = (world.join("alice"), world.join("bob"));
    for client in [alice, bob] {
        world.send(client, "JOIN #a");
    }
    world.seen(bob);
    let told = world.says(alice, "QUIT :see you");
    assert_eq!(told, "ERROR :Closing Link: host.example (Quit: see you)\n");
    assert_eq!(world.seen(bob), ":alice!~alice@host.example QUIT :Quit: see you\n");
    world.send(alice, "PRIVMSG bob :ghost");
    world.server.lost(alice, "late", world.now);
    world.act();
    assert_eq!(world.seen(bob), "");
    world.server.lost(bob, "Connection reset by peer", world.now);
    world.act();
    assert_eq!((world.seen(bob), world.server.deadline()), (String::new(), None));
}

#[test]
fn everybody_has_to_go_when_the_host_stops() {
    let mut world = World::new();
    let (alice, bob) = (world.join("alice"), world.join("bob"));
    for client in [alice, bob] {
        world.send(client, "JOIN #a");
    }
    world.seen(alice);
    world.server.stopping(world.now);
    world.act();
    let told = world.seen(alice);
    assert_eq!(told, "ERROR :Closing Link: host.example (Server is stopping)\n".to_owned());
    assert_eq!(world.gone.len(), 2);
    let late = world.connect();
    assert_eq!(world.gone.get(&late), Some(&"closed"));
}

#[test]
fn a_server_for_users_alone_refuses_others() {
    let mut world = World::with(Config { require_account: true, ..config() });
    let client = world.connect();
    world.send(client, "NICK alice\r\nUSER alice 0 * :Alice");
    let told = world.seen(client);
    assert!(told.contains("FAIL * ACCOUNT_REQUIRED :") && told.contains("ERROR :"), "{told}");
    let client = world.connect();
    world.send(client, "PASS alice:secret\r\nNICK alice\r\nUSER alice 0 * :Alice");
    assert!(world.seen(client).contains(" 001 alice "));
}
