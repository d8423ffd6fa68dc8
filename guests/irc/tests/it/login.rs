//! Who somebody is: SASL and `PASS`.

use torsade_irc::{Answer, Peer, Question};

use crate::world::{World, identity};

/// `\0alice\0secret` and `\0alice\0wrong`.
const RIGHT: &str = "AGFsaWNlAHNlY3JldA==";
const WRONG: &str = "AGFsaWNlAHdyb25n";

#[test]
fn a_client_logs_in_by_a_password() {
    let mut world = World::new();
    let client = world.connect();
    world.send(client, "CAP REQ sasl\r\nNICK al\r\nUSER al 0 * :Alice");
    world.seen(client);
    assert_eq!(world.says(client, "AUTHENTICATE plain"), "AUTHENTICATE +\n");
    let told = world.says(client, &format!("AUTHENTICATE {RIGHT}"));
    let expected = ":irc.localhost 900 al al!~al@host.example alice :You are now logged in as alice\n\
        :irc.localhost 903 al :SASL authentication successful\n";
    assert_eq!(told, expected);
    assert!(world.says(client, "AUTHENTICATE PLAIN").contains(" 907 al :"));
    assert!(world.says(client, "CAP END").contains(" 001 al "));
    assert!(world.says(client, "WHOIS al").contains(" 330 al al alice :is logged in as\n"));
    assert!(world.says(client, "MODE al").contains(" 221 al +ir\n"));
}

#[test]
fn a_wrong_password_is_refused_and_ten_are_enough() {
    let mut world = World::new();
    let client = world.connect();
    world.send(client, "CAP REQ sasl");
    for attempt in 1..=10 {
        world.send(client, "AUTHENTICATE PLAIN");
        world.seen(client);
        let told = world.says(client, &format!("AUTHENTICATE {WRONG}"));
        assert!(told.contains(" 904 * :"), "{told}");
        assert_eq!(world.gone.contains_key(&client), attempt == 10);
    }
}

#[test]
fn the_steps_of_an_exchange_are_carried_in_short_lines() {
    let mut world = World::new();
    let client = world.connect();
    world.send(client, "CAP REQ sasl\r\nAUTHENTICATE SCRAM-SHA-256");
    // 306 bytes are 408 in base64.
    let long = [&"QUFB".repeat(100), "AUTHENTICATE QUFBQUFB"];
    assert_eq!(world.says(client, &format!("AUTHENTICATE {}", long[0])), "");
    let told = world.says(client, long[1]);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!((lines.len(), lines[0].len()), (2, "AUTHENTICATE ".len() + 400), "{told}");
    let told = world.says(client, "AUTHENTICATE cmVzcG9uc2U=");
    assert_eq!(told, "AUTHENTICATE dj1wcm9vZg==\n", "the host's last word comes first");
    assert!(world.says(client, "AUTHENTICATE +").contains(" 903 * :"));
}

#[test]
fn an_exchange_may_be_given_up() {
    let mut world = World::new();
    let client = world.connect();
    world.send(
        client,
        "CAP REQ sasl\r\nNICK al\r\nUSER al 0 * :Alice\r\nAUTHENTICATE SCRAM-SHA-256",
    );
    world.send(client, "AUTHENTICATE YQ==");
    assert!(world.says(client, "AUTHENTICATE *").contains(" 906 al :"));
    assert_eq!(world.given_up, 1);
    world.send(client, "AUTHENTICATE SCRAM-SHA-256\r\nAUTHENTICATE YQ==");
    world.seen(client);
    let told = world.says(client, "CAP END");
    assert!(told.starts_with(":irc.localhost 906 al :") && told.contains(" 001 al "), "{told}");
    assert_eq!(world.given_up, 2);
}

#[test]
fn what_is_no_sasl_is_refused() {
    let mut world = World::new();
    let client = world.connect();
    assert!(
        world.says(client, "AUTHENTICATE PLAIN").contains(" 904 * :"),
        "it has not asked for it"
    );
    world.send(client, "CAP REQ sasl");
    world.seen(client);
    let told = world.says(client, "AUTHENTICATE ROT13");
    assert!(told.contains(" 908 * SCRAM-SHA-256,PLAIN :") && told.contains(" 904 * :"), "{told}");
    world.send(client, "AUTHENTICATE PLAIN");
    assert!(world.says(client, "AUTHENTICATE !!!!").contains(" 904 * :"));
    world.send(client, "AUTHENTICATE PLAIN");
    let told = world.says(client, &format!("AUTHENTICATE {}", "A".repeat(401)));
    assert!(told.contains(" 905 * :"), "{told}");
    world.send(client, "AUTHENTICATE PLAIN");
    world.seen(client);
    for _ in 0..20 {
        world.send(client, &format!("AUTHENTICATE {}", "A".repeat(400)));
    }
    assert_eq!(world.seen(client), "");
    let told = world.says(client, &format!("AUTHENTICATE {}", "A".repeat(400)));
    assert!(told.contains(" 905 * :"), "{told}");
    assert!(world.says(client, "AUTHENTICATE").contains(" 461 * AUTHENTICATE "));
}

#[test]
fn lines_wait_for_the_answer() {
    let mut world = World::new();
    let alice = world.join_with("alice", "sasl account-notify");
    let bob = world.join_with("bob", "account-notify extended-join account-tag");
    world.send(alice, "JOIN #a");
    world.send(bob, "JOIN #a");
    world.seen(bob);
    world.by_hand = true;
    world.send(alice, "AUTHENTICATE PLAIN");
    let told =
        world.says(alice, &format!("AUTHENTICATE {RIGHT}\r\nPING 1\r\nPRIVMSG #a :it is me"));
    assert_eq!(told, "");
    assert!(world.paused.contains(&alice));
    let (question, _) = world.asked.pop().unwrap();
    world.answer(question, identity("alice"));
    let told = world.seen(alice);
    assert!(told.contains(" 903 ") && told.ends_with(" PONG irc.localhost :1\n"), "{told}");
    assert!(told.contains(":alice!~alice@host.example ACCOUNT alice\n"), "{told}");
    assert!(world.paused.is_empty());
    let expected = "@account=alice :alice!~alice@host.example ACCOUNT alice\n\
        @account=alice :alice!~alice@host.example PRIVMSG #a :it is me\n";
    assert_eq!(world.seen(bob), expected);
}

#[test]
fn an_answer_for_who_has_gone_changes_nothing() {
    let mut world = World::new();
    let alice = world.join_with("alice", "sasl");
    world.by_hand = true;
    world.send(alice, &format!("AUTHENTICATE PLAIN\r\nAUTHENTICATE {RIGHT}"));
    let (question, what) = world.asked.pop().unwrap();
    assert!(matches!(what, Question::Authenticate { .. }));
    world.server.lost(alice, "gone", world.now);
    world.act();
    assert_eq!(world.given_up, 1, "the host need not go on");
    world.answer(question, identity("alice"));
    world.answer(question, Answer::Kept);
    world.answer(9_999, identity("alice"));
}

#[test]
fn a_name_that_is_no_word_is_nobodys() {
    let mut world = World::new();
    let alice = world.join_with("alice", "sasl");
    world.by_hand = true;
    world.send(alice, &format!("AUTHENTICATE PLAIN\r\nAUTHENTICATE {RIGHT}"));
    let (question, _) = world.asked.pop().unwrap();
    world.answer(question, identity("root x"));
    assert!(world.seen(alice).contains(" 904 alice :"));
}

#[test]
fn a_password_before_registering_is_a_users() {
    let mut world = World::new();
    let client = world.connect();
    world.send(client, "PASS alice:secret\r\nNICK al\r\nUSER al 0 * :Alice");
    let told = world.seen(client);
    assert!(told.contains(" 900 al al!~al@host.example alice :"), "{told}");
    assert!(told.contains(" 001 al "), "{told}");
    let client = world.connect();
    world.send(client, "PASS wrong\r\nNICK bob\r\nUSER bob 0 * :Bob");
    let told = world.seen(client);
    assert!(told.contains(" 464 bob :") && told.contains("ERROR :"), "{told}");
    assert_eq!(world.gone.get(&client), Some(&"closed"));
}

#[test]
fn a_certificate_is_asked_for_without_a_word() {
    let mut world = World::new();
    let mechanisms = vec!["EXTERNAL".to_owned()];
    let client = world.connect_as(Peer { is_secure: true, mechanisms, ..Peer::default() });
    world.by_hand = true;
    world.send(client, "CAP REQ sasl\r\nAUTHENTICATE EXTERNAL\r\nAUTHENTICATE +");
    let (question, what) = world.asked.pop().unwrap();
    let Question::Authenticate { mechanism, initial } = what else { panic!("{what:?}") };
    assert_eq!((&*mechanism, initial), ("EXTERNAL", Some(Vec::new())));
    world.answer(question, identity("alice"));
    assert!(world.seen(client).contains(" 900 * *!*@localhost alice :"));
}
