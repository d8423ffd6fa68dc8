//! Names over a table of a test's, and what the system says of its own.

use super::*;

/// Knows `both.test` and `four.test`; `broken.test` has no server that answers.
fn table() -> LookUp {
    let at = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 99);
    Arc::new(move |name| match name {
        "both.test" => Ok(vec![at("2001:db8::1"), at("192.0.2.1"), at("192.0.2.2")]),
        "four.test" => Ok(vec![at("192.0.2.4")]),
        "long.test" => Ok((0..200).map(|n| at(&format!("192.0.2.{n}"))).collect()),
        "none.test" => Ok(Vec::new()),
        "broken.test" => Err(io::Error::other("no server answers")),
        _ => Err(ErrorKind::NotFound.into()),
    })
}

fn resolver(most: usize) -> (Resolver<u32>, Instant) {
    (Resolver::new(table(), most), Instant::now())
}

/// `ADDRESS ADDRESS …`, or `CODE: MESSAGE`.
fn shown(resolved: &Resolved) -> String {
    match resolved {
        Ok(addresses) => {
            assert!(addresses.iter().all(|address| address.port() == 0));
            let ips: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
            ips.join(" ")
        }
        Err(failure) => failure.to_string(),
    }
}

/// Asks, and does the pool's part where it has one.
fn ask(resolver: &mut Resolver<u32>, name: &str, family: Family, now: Instant) -> String {
    match resolver.lookup(0, name, family, now) {
        Asked::Known(resolved) => shown(&resolved),
        Asked::Todo(work) => {
            let mut outcomes = Vec::new();
            resolver.found(name, Ok(work()), now, &mut outcomes);
            let [(0, resolved)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
            format!("pool: {}", shown(resolved))
        }
        Asked::Waiting => panic!("nobody has asked before"),
    }
}

#[test]
fn one_answer_serves_every_family_until_it_ends() {
    let (mut resolver, now) = resolver(10);
    let both = "2001:db8::1 192.0.2.1 192.0.2.2";
    let mut ask = |name, family, after| ask(&mut resolver, name, family, now + after);
    let soon = VALID - Duration::from_millis(1);
    assert_eq!(ask("both.test", Family::Ipv4, Duration::ZERO), "pool: 192.0.2.1 192.0.2.2");
    assert_eq!(ask("BOTH.test", Family::Any, soon), both);
    assert_eq!(ask("both.test", Family::Ipv6, soon), "2001:db8::1");
    assert_eq!(ask("both.test", Family::Any, VALID), format!("pool: {both}"));
    assert_eq!(ask("four.test", Family::Any, VALID), "pool: 192.0.2.4");
    let none = "not-found: \"four.test\" has no IPv6 address";
    assert_eq!(ask("four.test", Family::Ipv6, VALID), none);
}

#[test]
fn failures_are_told_apart_and_hold_for_a_second() {
    let (mut resolver, now) = resolver(10);
    for (name, want) in [
        ("gone.test", "not-found: \"gone.test\": "),
        ("none.test", "not-found: \"none.test\" has no address"),
        ("broken.test", "io: \"broken.test\": no server answers"),
    ] {
        let first = ask(&mut resolver, name, Family::Any, now);
        assert!(first.starts_with(&format!("pool: {want}")), "{first}");
        let soon = now + VALID_FAILURE - Duration::from_millis(1);
        assert!(ask(&mut resolver, name, Family::Any, soon).starts_with(want));
        let again = ask(&mut resolver, name, Family::Any, now + VALID_FAILURE);
        assert_eq!(again, first);
    }
}

#[test]
fn many_who_ask_for_one_name_cause_one_lookup() {
    let (mut resolver, now) = resolver(10);
    let Asked::Todo(work) = resolver.lookup(0, "both.test", Family::Any, now) else { panic!() };
    for waiter in 1..5 {
        let family = if waiter % 2 == 0 { Family::Ipv4 } else { Family::Ipv6 };
        assert!(matches!(resolver.lookup(waiter, "Both.Test", family, now), Asked::Waiting));
    }
    let mut outcomes = Vec::new();
    resolver.found("both.test", Ok(work()), now, &mut outcomes);
    let outcomes: Vec<_> = outcomes.iter().map(|(waiter, of)| (*waiter, shown(of))).collect();
    let (four, six) = ("192.0.2.1 192.0.2.2", "2001:db8::1");
    let any = format!("{six} {four}");
    let want = [(0, &*any), (1, six), (2, four), (3, six), (4, four)];
    assert_eq!(outcomes, want.map(|(waiter, of)| (waiter, of.to_owned())));
}

#[test]
fn an_address_is_its_own_answer() {
    let (mut resolver, now) = resolver(0);
    for (name, family, want) in [
        ("192.0.2.9", Family::Any, "192.0.2.9"),
        ("::1", Family::Ipv6, "::1"),
        ("[2001:DB8::1]", Family::Any, "2001:db8::1"),
        ("fe80::1%7", Family::Any, "fe80::1"),
        ("::1", Family::Ipv4, "not-found: \"::1\" has no IPv4 address"),
        ("192.0.2.9", Family::Ipv6, "not-found: \"192.0.2.9\" has no IPv6 address"),
    ] {
        assert_eq!(ask(&mut resolver, name, family, now), want, "{name}");
    }
    let Asked::Known(Ok(scoped)) = resolver.lookup(0, "[fe80::1%7]", Family::Any, now) else {
        panic!("it is an address")
    };
    assert_eq!(&*scoped, ["[fe80::1%7]:0".parse().unwrap()]);
}

#[test]
fn what_can_not_be_a_name_is_not_looked_up() {
    let (mut resolver, now) = resolver(10);
    let label = "x".repeat(63);
    let longest = [&*label, &label, &label, &label[..61]].join(".");
    for good in ["a", "a.b.", &longest, &format!("{longest}."), "_dns._tcp.a", "fe80::1%eth0"] {
        assert!(matches!(resolver.lookup(0, good, Family::Any, now), Asked::Todo(_)), "{good}");
    }
    for (name, want) in [
        ("", "it is empty"),
        (".", "it is empty"),
        ("a..b", "each of its labels has to be 1 to 63 bytes long"),
        (".a", "each of its labels"),
        ("a..", "each of its labels"),
        (&format!("{label}x.a"), "each of its labels"),
        (&format!("{longest}x"), "it is 254 bytes long; a name has at most 253"),
        ("a b", "it has a character that no name has"),
        ("a\0", "it has a character"),
        ("a\n", "it has a character"),
        ("[a]", "it has a character"),
        ("[192.0.2.1]", "it has a character"),
        ("fe80::1%a b", "it has a character"),
    ] {
        let answer = ask(&mut resolver, name, Family::Any, now);
        assert!(answer.starts_with("invalid: "), "{name:?}: {answer}");
        assert!(answer.contains(&format!("is no name of a host: {want}")), "{name:?}: {answer}");
    }
}

#[test]
fn no_more_is_remembered_and_asked_than_the_limits() {
    let (mut resolver, now) = resolver(8);
    for n in 0..100 {
        ask(&mut resolver, &format!("{n}.test"), Family::Any, now + Duration::from_millis(n));
        assert!(resolver.names.len() <= 8);
    }
    assert_eq!(resolver.asked, 0);
    let long = ask(&mut resolver, "long.test", Family::Any, now);
    assert_eq!(long.split(' ').count(), 1 + ADDRESSES_MAX);

    let mut resolver = Resolver::new(table(), 0);
    for n in 0..ASKED_MAX {
        let name = format!("{n}.test");
        assert!(matches!(resolver.lookup(n, &name, Family::Any, now), Asked::Todo(_)));
    }
    let Asked::Known(Err(failure)) = resolver.lookup(0, "more.test", Family::Any, now) else {
        panic!("it is one too many")
    };
    assert_eq!(failure.code, "limit");
    assert!(matches!(resolver.lookup(0, "0.test", Family::Any, now), Asked::Waiting));
    // Work that was refused or lost is over, too.
    let mut outcomes = Vec::new();
    resolver.found("0.test", Err(Failure::new("io", "lost")), now, &mut outcomes);
    assert_eq!(outcomes.len(), 2);
    assert!(matches!(resolver.lookup(0, "0.test", Family::Any, now), Asked::Todo(_)));
    resolver.found("0.test", Err(Failure::new("io", "lost")), now, &mut outcomes);
    assert!(matches!(resolver.lookup(0, "more.test", Family::Any, now), Asked::Todo(_)));
}

#[test]
fn those_who_wait_for_names_have_a_limit() {
    let (mut resolver, now) = resolver(8);
    assert!(matches!(resolver.lookup(0, "b.test", Family::Any, now), Asked::Todo(_)));
    assert!(matches!(resolver.lookup(0, "a.test", Family::Any, now), Asked::Todo(_)));
    for n in 2..WAITING_MAX as u32 {
        assert!(matches!(resolver.lookup(n, "a.test", Family::Any, now), Asked::Waiting));
    }
    for name in ["a.test", "b.test", "c.test"] {
        assert_eq!(ask(&mut resolver, name, Family::Any, now).split_once(':').unwrap().0, "limit");
    }
    let Asked::Known(Err(failure)) = resolver.lookup(0, "a.test", Family::Any, now) else {
        panic!("it is one too many")
    };
    assert_eq!(failure.code, "limit");
    let mut outcomes = Vec::new();
    resolver.found("a.test", Err(Failure::new("io", "lost")), now, &mut outcomes);
    assert_eq!(outcomes.len(), WAITING_MAX - 1);
    assert!(matches!(resolver.lookup(0, "b.test", Family::Any, now), Asked::Waiting));
}

/// By `/etc/hosts`, and by the name that RFC 6761, section 6.4, keeps from existing. Without a
/// server to ask, that one is an error of another kind.
#[test]
fn the_system_knows_its_own_name() {
    let look_up = system();
    let localhost = look_up("localhost").unwrap();
    assert!(!localhost.is_empty() && localhost.iter().all(|address| address.ip().is_loopback()));
    assert!(look_up("name.invalid").is_err());
}
