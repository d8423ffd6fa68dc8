//! What targets allow and refuse, what is wrong with bad ones, and that no string breaks the parser.

use super::*;
use crate::transport::endpoint::Carries;

fn target(text: &str) -> Target {
    text.parse().unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn targets_are_shown_as_they_are_written() {
    for (text, want) in [
        ("tcp:10.0.0.0/8:5432", "tcp:10.0.0.0/8:5432"),
        ("tcp:0.0.0.0/0:*", "tcp:0.0.0.0/0:*"),
        ("tcp:192.0.2.1/32:25-26", "tcp:192.0.2.1:25-26"),
        ("tcp:[FD00::/8]:*", "tcp:[fd00::/8]:*"),
        ("tcp:[::1]:80", "tcp:[::1]:80"),
        (r"tcp:fd00\:\:/8:1-65535", "tcp:[fd00::/8]:*"),
        ("tcp:[::ffff:10.0.0.0/104]:80", "tcp:10.0.0.0/8:80"),
        ("tcp:DB.example.org.:5432", "tcp:db.example.org:5432"),
        ("tcp:*.Example.org:443", "tcp:*.example.org:443"),
        ("tcp:*:25-25", "tcp:*:25"),
        ("tcp:localhost:8000-8100", "tcp:localhost:8000-8100"),
        ("unix:/run/db.sock", "unix:/run/db.sock"),
        (r"unix:/run/a\:b\=c", r"unix:/run/a\:b\=c"),
        ("unix:@name", "unix:@name"),
    ] {
        let read = target(text);
        assert_eq!(read.to_string(), want, "{text}");
        assert_eq!(target(want), read, "{text}");
    }
}

#[test]
fn names_are_compared_with_names() {
    for (text, host, port, want) in [
        ("tcp:db.example.org:5432", "db.example.org", 5432, true),
        ("tcp:db.example.org:5432", "DB.Example.ORG.", 5432, true),
        ("tcp:db.example.org:5432", "db.example.org", 5433, false),
        ("tcp:db.example.org:5432", "db.example.org..", 5432, false),
        ("tcp:db.example.org:5432", "xdb.example.org", 5432, false),
        ("tcp:db.example.org:5432", "example.org", 5432, false),
        ("tcp:*.example.org:443", "a.example.org", 443, true),
        ("tcp:*.example.org:443", "A.b.EXAMPLE.org.", 443, true),
        ("tcp:*.example.org:443", "example.org", 443, false),
        ("tcp:*.example.org:443", ".example.org", 443, false),
        ("tcp:*.example.org:443", "badexample.org", 443, false),
        ("tcp:*.example.org:443", "a.example.org.evil.test", 443, false),
        ("tcp:*:443", "a.example.org", 443, false),
        ("tcp:127.0.0.1:443", "127.0.0.1", 443, false),
        ("unix:a", "a", 443, false),
    ] {
        assert_eq!(
            target(text).allows_name(Carries::Streams, host, port),
            want,
            "{text} and {host}:{port}"
        );
    }
}

#[test]
fn networks_are_compared_with_addresses() {
    for (text, ip, port, want) in [
        ("tcp:10.0.0.0/8:5432", "10.255.255.255", 5432, true),
        ("tcp:10.0.0.0/8:5432", "::ffff:10.1.2.3", 5432, true),
        ("tcp:10.0.0.0/8:5432", "11.0.0.0", 5432, false),
        ("tcp:10.0.0.0/8:5432", "9.255.255.255", 5432, false),
        ("tcp:10.0.0.0/8:5432", "::a00:1", 5432, false),
        ("tcp:10.0.0.0/8:5432", "10.0.0.1", 5431, false),
        ("tcp:10.128.0.0/9:1-2", "10.127.0.0", 1, false),
        ("tcp:10.128.0.0/9:1-2", "10.129.0.0", 2, true),
        ("tcp:192.0.2.1:80", "192.0.2.1", 80, true),
        ("tcp:192.0.2.1:80", "192.0.2.0", 80, false),
        ("tcp:0.0.0.0/0:80", "203.0.113.5", 80, true),
        ("tcp:0.0.0.0/0:80", "2001:db8::1", 80, false),
        ("tcp:[::/0]:80", "2001:db8::1", 80, true),
        ("tcp:[::/0]:80", "203.0.113.5", 80, false),
        ("tcp:[::/0]:80", "::ffff:203.0.113.5", 80, false),
        ("tcp:[fd00::/8]:*", "fdff::1", 1, true),
        ("tcp:[fd00::/8]:*", "fdff::1", 0, false),
        ("tcp:[fd00::/8]:*", "fc00::1", 1, false),
        ("tcp:[::ffff:10.0.0.0/104]:80", "10.9.9.9", 80, true),
        ("tcp:*:25-26", "203.0.113.5", 26, true),
        ("tcp:*:25-26", "2001:db8::1", 25, true),
        ("tcp:*:25-26", "203.0.113.5", 27, false),
        ("tcp:localhost:80", "127.0.0.1", 80, false),
        ("unix:a", "127.0.0.1", 80, false),
    ] {
        assert_eq!(
            target(text).allows_address(Carries::Streams, ip.parse().unwrap(), port),
            want,
            "{text} and {ip}"
        );
    }
}

#[test]
fn a_name_is_worth_looking_up_where_addresses_are_granted() {
    for (text, port, want) in [
        ("tcp:10.0.0.0/8:80", 80, true),
        ("tcp:*:80", 80, true),
        ("tcp:*:80", 81, false),
        ("tcp:a.test:80", 80, false),
        ("tcp:*.test:80", 80, false),
        ("unix:a", 80, false),
    ] {
        assert_eq!(target(text).allows_addresses_at(Carries::Streams, port), want, "{text}");
    }
}

#[test]
fn a_unix_socket_is_named_as_in_the_grant_and_opened_below_the_folder() {
    let path = |path: &str| UnixName::Path(path.into());
    let relative = target("unix:run/db.sock").below(Path::new("/srv")).unwrap();
    assert_eq!(
        relative.unix(Carries::Streams, &path("run/db.sock")),
        Some(&path("/srv/run/db.sock"))
    );
    assert_eq!(
        relative.unix(Carries::Streams, &path("/srv/run/db.sock")),
        Some(&path("/srv/run/db.sock"))
    );
    assert_eq!(relative.unix(Carries::Streams, &path("/run/db.sock")), None);
    assert_eq!(relative.unix(Carries::Streams, &path("run/../run/db.sock")), None);
    let name = UnixName::Abstract("db".to_owned());
    let abstracted = target("unix:@db").below(Path::new("/srv")).unwrap();
    assert_eq!(abstracted.unix(Carries::Streams, &name), Some(&name));
    assert_eq!(abstracted.unix(Carries::Streams, &path("db")), None);
    assert_eq!(target("tcp:*:*").unix(Carries::Streams, &name), None);
    let long = target("unix:db").below(Path::new(&"x".repeat(200))).unwrap_err().to_string();
    assert!(long.contains("its path is 203 bytes long"), "{long}");
}

#[test]
fn bad_targets() {
    for (text, want) in [
        ("", "no kind of target"),
        ("sctp:*:53", "\"sctp\" is no kind of target; there are tcp:HOST:PORTS, unix:PATH, udp:"),
        ("tcp", "it is tcp:HOST:PORTS"),
        ("tcp:a", "it is tcp:HOST:PORTS, such as tcp:10.0.0.0/8:5432"),
        ("tcp:a:80:timeout=3", "\"timeout\" is not known here"),
        ("tcp:::1:80", "an IPv6 address goes in brackets, as tcp:[::1]:80"),
        ("tcp:[::1:80", "the bracket [ is not closed"),
        ("tcp:[::1]80", "it is tcp:HOST:PORTS"),
        ("tcp:[::1]", "it is tcp:HOST:PORTS"),
        ("tcp:[127.0.0.1]:80", "[127.0.0.1] is no IPv6 address"),
        ("tcp:[a]:80", "[a] is no IPv6 address and no network of them"),
        ("tcp:[fe80::1%2]:80", "is no IPv6 address"),
        ("tcp:10.0.0.0/33:80", "a network has 0 to 32 bits behind its /"),
        ("tcp:10.0.0.0/+8:80", "a network has 0 to 32 bits behind its /"),
        ("tcp:[fd00::/129]:80", "a network has 0 to 128 bits behind its /"),
        ("tcp:10.0.0.1/8:80", "is not the first address of its network, 10.0.0.0/8"),
        ("tcp:a/8:80", "\"a/8\" is no network, such as 10.0.0.0/8"),
        ("tcp::80", "is no IP address, no network of them and no name of a host"),
        ("tcp:a b:80", "no name of a host"),
        ("tcp:a..b:80", "no name of a host"),
        ("tcp:*.*.a:80", "no name of a host"),
        ("tcp:*a:80", "no name of a host"),
        ("tcp:127.1:80", "no name of a host"),
        ("tcp:*.1:80", "no name of a host"),
        ("tcp:0x7f000001:80", "no name of a host"),
        (
            "tcp:a:0",
            "\"0\" is neither a port from 1 to 65535, nor a range such as 8000-8100, nor *",
        ),
        ("tcp:a:65536", "is neither a port"),
        ("tcp:a:", "is neither a port"),
        ("tcp:a:9-8", "is neither a port"),
        ("tcp:a:1-2-3", "is neither a port"),
        ("tcp:a:-5", "is neither a port"),
        ("unix:", "it has no path"),
        ("unix:a:b", "it is unix:PATH"),
        ("unix:a:mode=660", "\"mode\" is not known here"),
        ("unix:a\0", "NUL"),
        ("tcp:a\\", "ends in a backslash"),
    ] {
        let problem = text.parse::<Target>().unwrap_err().to_string();
        assert!(problem.contains(want), "{text}: {problem}");
        assert!(problem.starts_with(&format!("{text:?}: ")), "{problem}");
    }
}

#[test]
fn no_string_breaks_the_parsers() {
    use crate::transport::range::ListenRange;
    let mut seed = 7_u64;
    for _ in 0..50_000 {
        let mut text = String::from(if seed.is_multiple_of(2) { "tcp:" } else { "unix:" });
        for _ in 0..seed >> 60 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let letters = ['0', '1', '9', '.', ':', '/', '-', '*', '[', ']', '\\', '=', 'f', 'é'];
            text.push(letters[(seed >> 40) as usize % letters.len()]);
        }
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if let Ok(target) = text.parse::<Target>() {
            assert_eq!(target.to_string().parse().as_ref(), Ok(&target), "{text}");
        }
        if let Ok(range) = text.parse::<ListenRange>() {
            assert_eq!(range.to_string().parse().as_ref(), Ok(&range), "{text}");
        }
    }
}

#[test]
fn streams_and_datagrams_are_granted_apart() {
    let ip = "10.0.0.1".parse().unwrap();
    for (text, what, want) in [
        ("udp:10.0.0.0/8:53", Carries::Datagrams, true),
        ("udp:10.0.0.0/8:53", Carries::Streams, false),
        ("tcp:10.0.0.0/8:53", Carries::Datagrams, false),
    ] {
        assert_eq!(target(text).allows_address(what, ip, 53), want, "{text}");
        assert_eq!(target(text).allows_addresses_at(what, 53), want, "{text}");
        assert_eq!(target(text).to_string(), text);
    }
    assert!(target("udp:a.test:53").allows_name(Carries::Datagrams, "a.test", 53));
    assert!(!target("udp:a.test:53").allows_name(Carries::Streams, "a.test", 53));
    let name = UnixName::Abstract("x".to_owned());
    assert_eq!(target("unix-datagram:@x").unix(Carries::Datagrams, &name), Some(&name));
    assert_eq!(target("unix-datagram:@x").unix(Carries::Streams, &name), None);
    assert_eq!(target("unix:@x").unix(Carries::Datagrams, &name), None);
}
