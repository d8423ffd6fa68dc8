//! What one may ask about others, and of the server.

use torsade_irc::{Config, Peer};

use crate::world::{World, config};

#[test]
fn whois_tells_what_one_may_know() {
    let mut world = World::new();
    let (alice, bob) = (world.join("alice"), world.join("bob"));
    world.send(alice, "JOIN #open,#secret");
    world.send(alice, "MODE #secret +s");
    world.send(alice, "MODE alice -i");
    world.pass(5_000);
    let told = world.says(bob, "WHOIS ALICE");
    let expected = ":irc.localhost 311 bob alice ~alice host.example * :The real alice\n\
        :irc.localhost 319 bob alice :@#open\n\
        :irc.localhost 312 bob alice irc.localhost :An IRC server on Torsade\n\
        :irc.localhost 317 bob alice 5 1700000000 :seconds idle, signon time\n\
        :irc.localhost 318 bob ALICE :End of /WHOIS list\n";
    assert_eq!(told, expected);
    world.send(alice, "MODE alice +i");
    assert!(!world.says(bob, "WHOIS alice").contains(" 319 "), "who is invisible is in no channel");
    assert!(world.says(alice, "WHOIS x alice").contains(" 379 alice alice :"));
    let told = world.says(bob, "WHOIS nobody");
    assert!(told.contains(" 401 bob nobody ") && told.contains(" 318 bob nobody "), "{told}");
    assert!(world.says(bob, "WHOIS").contains(" 431 bob "));
}

#[test]
fn a_certificate_is_shown_to_its_owner() {
    let mut world = World::new();
    let bob = world.join("bob");
    let fingerprint = Some("ab".repeat(32));
    let alice = world.connect_as(Peer { is_secure: true, fingerprint, ..Peer::default() });
    world.send(alice, "NICK alice\r\nUSER alice 0 * :Alice");
    assert!(world.says(alice, "WHOIS alice").contains(" 276 alice alice :"));
    let told = world.says(bob, "WHOIS alice");
    assert!(told.contains(" 671 bob alice :") && !told.contains(" 276 "), "{told}");
}

#[test]
fn who_tells_of_members_and_of_those_one_may_see() {
    let mut world = World::new();
    let (alice, bob, carol) = (world.join("alice"), world.join("bob"), world.join("carol"));
    world.send(alice, "JOIN #a");
    world.send(bob, "JOIN #a");
    world.send(bob, "AWAY :x");
    let told = world.says(alice, "WHO #a");
    let expected = ":irc.localhost 352 alice #a ~alice host.example irc.localhost alice H@ :0 The real alice\n\
        :irc.localhost 352 alice #a ~bob host.example irc.localhost bob G :0 The real bob\n\
        :irc.localhost 315 alice #a :End of WHO list\n";
    assert_eq!(told, expected);
    let told = world.says(carol, "WHO *");
    assert_eq!(told.matches(" 352 ").count(), 1, "others are invisible: {told}");
    assert!(world.says(carol, "WHO bob").contains(" bob G :0 "), "but not to who knows the name");
    assert_eq!(world.says(carol, "WHO bob o"), ":irc.localhost 315 carol bob :End of WHO list\n");
    world.send(bob, "MODE bob -i");
    assert_eq!(world.says(carol, "WHO b?b").matches(" 352 ").count(), 1);
    world.send(alice, "MODE #a +s");
    assert_eq!(world.says(carol, "WHO #a").matches(" 352 ").count(), 0);
}

#[test]
fn who_tells_the_fields_that_are_asked_for() {
    let mut world = World::new();
    let alice = world.join("alice");
    world.send(alice, "JOIN #a");
    let told = world.says(alice, "WHO #a %tcuhsnfar,42");
    let line = ":irc.localhost 354 alice 42 #a ~alice host.example irc.localhost alice H@ 0 :The real alice\n";
    assert!(told.starts_with(line), "{told}");
    let told = world.says(alice, "WHO alice %ni");
    assert!(told.starts_with(":irc.localhost 354 alice host.example alice\n"), "{told}");
    let told = world.says(alice, "WHO alice %t,12345");
    assert!(told.starts_with(":irc.localhost 354 alice 0\n"), "a token is short: {told}");
}

#[test]
fn who_was_there_is_remembered() {
    let mut world = World::with(Config { whowas: 2, ..config() });
    let alice = world.join("alice");
    for nick in ["bob", "carol", "dave"] {
        let client = world.join(nick);
        world.send(client, "QUIT");
    }
    let told = world.says(alice, "WHOWAS DAVE");
    assert!(told.contains(" 314 alice dave ~dave host.example * :The real dave\n"), "{told}");
    assert!(told.contains(" 312 alice dave irc.localhost :2023-11-14T22:13:20Z\n"), "{told}");
    assert!(world.says(alice, "WHOWAS bob").contains(" 406 alice bob "));
    assert!(world.says(alice, "WHOWAS").contains(" 431 alice "));
    world.send(alice, "NICK eve");
    assert!(world.says(alice, "WHOWAS alice 1").contains(" 314 eve alice "));
}

#[test]
fn channels_are_listed_by_what_they_are_like() {
    let mut world = World::with(Config { ping_interval: 86_400, ..config() });
    let (alice, bob) = (world.join("alice"), world.join("bob"));
    world.send(alice, "JOIN #one,#two,#secret");
    world.send(bob, "JOIN #two");
    world.send(alice, "MODE #secret +s");
    world.send(alice, "TOPIC #two :second");
    let listed = |world: &mut World, what: &str| {
        let told = world.says(bob, what);
        assert!(told.starts_with(":irc.localhost 321 bob Channel :"), "{told}");
        assert!(told.ends_with(" 323 bob :End of /LIST\n"), "{told}");
        let lines = told.lines().filter(|line| line.contains(" 322 "));
        lines.map(|line| line.split(' ').skip(3).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    assert_eq!(listed(&mut world, "LIST"), ["#one 1 :", "#two 2 :second"]);
    assert_eq!(listed(&mut world, "LIST #one,#secret"), ["#one 1 :"]);
    assert_eq!(listed(&mut world, "LIST >1"), ["#two 2 :second"]);
    assert_eq!(listed(&mut world, "LIST *t*"), ["#two 2 :second"]);
    assert_eq!(listed(&mut world, "LIST !*t*"), ["#one 1 :"]);
    assert_eq!(listed(&mut world, "LIST T<5"), ["#two 2 :second"]);
    world.pass(600_000);
    let bob = world.join("bob2");
    world.send(bob, "JOIN #new");
    let told = world.says(bob, "LIST C<5");
    assert!(told.contains(" #new ") && !told.contains(" #one "), "{told}");
}

#[test]
fn the_server_tells_of_itself() {
    let mut world = World::with(Config {
        motd: vec!["Hello".into(), "and welcome".into()],
        admin: vec!["Here".into(), "admin@example.org".into()],
        ..config()
    });
    let alice = world.join("alice");
    for (line, parts) in [
        ("MOTD", vec!["375", "372 alice :- Hello\n", "372 alice :- and welcome\n", "376"]),
        ("MOTD irc.*", vec!["375"]),
        ("MOTD elsewhere.example", vec!["402 alice elsewhere.example "]),
        ("VERSION", vec!["351 alice torsade-irc-", "005 alice "]),
        (
            "ADMIN",
            vec!["256 alice irc.localhost ", "258 alice :Here\n", "259 alice :admin@example.org\n"],
        ),
        ("INFO", vec!["371 alice :", "374 alice "]),
        ("TIME", vec!["391 alice irc.localhost :2023-11-14T22:13:20Z\n"]),
        ("LUSERS", vec!["251 alice :There are 0 users and 1 invisible on 1 servers\n", "266 "]),
        ("STATS u", vec!["242 alice :Server Up 0 days 0:00:00\n", "219 alice u "]),
        ("STATS o", vec!["481 alice ", "219 alice o "]),
        ("STATS", vec!["461 alice STATS "]),
        ("STATS :", vec!["219 alice * "]),
        ("LINKS", vec!["364 alice irc.localhost irc.localhost :0 ", "365 alice * "]),
        ("HELP", vec!["704 alice * ", "705 alice * :ADMIN ", "706 alice * "]),
        ("HELP join", vec!["704 alice join :JOIN\n"]),
        ("HELP nonsense", vec!["524 alice nonsense "]),
        ("USERS", vec!["446 alice "]),
        ("SUMMON", vec!["445 alice "]),
        ("TRACE", vec!["262 alice irc.localhost "]),
        ("SERVLIST", vec!["235 alice "]),
        ("SQUERY x :y", vec!["408 alice x "]),
        ("ISON bob ALICE", vec!["303 alice :alice\n"]),
        ("USERHOST alice bob", vec!["302 alice :alice=+~alice@host.example\n"]),
        ("NAMES", vec!["366 alice * "]),
        ("NAMES #none", vec!["366 alice #none "]),
        ("NOSUCH x", vec!["421 alice NOSUCH "]),
    ] {
        let told = world.says(alice, line);
        for part in parts {
            assert!(told.contains(&format!(":irc.localhost {part}")), "{line}: {told}");
        }
    }
    assert!(world.longest <= 512);
}

#[test]
fn what_is_asked_of_many_is_answered_in_whole_words() {
    let mut world = World::new();
    let nicks: Vec<String> =
        (0..16).map(|number| format!("{}{number:02}", "n".repeat(28))).collect();
    for nick in &nicks {
        world.join(nick);
    }
    let long = "x".repeat(30);
    let alice = world.join(&long);
    let told = world.says(alice, &format!("ISON {}", nicks.join(" ")));
    let (_, there) = told.trim_end().rsplit_once(':').unwrap();
    assert!(there.split(' ').all(|nick| nick.len() == 30), "{told}");
    assert!(told.len() <= 512 && told.lines().count() == 1, "{told}");
    let told = world.says(alice, &format!("USERHOST {}", nicks[..5].join(" ")));
    assert_eq!(told.matches("@host.example").count(), 5, "{told}");
}
