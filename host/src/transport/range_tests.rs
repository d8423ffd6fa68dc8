//! What ranges allow and refuse, in which order ports are tried, and what is wrong with bad ones.

use super::*;

fn ranges(texts: &[&str]) -> Vec<ListenRange> {
    texts.iter().map(|text| text.parse().unwrap_or_else(|e| panic!("{e}"))).collect()
}

/// The endpoints that are tried.
fn candidates(texts: &[&str], endpoint: &str, seed: u64) -> Vec<String> {
    let tried = ListenRange::candidates(&ranges(texts), endpoint.parse().unwrap(), seed);
    tried.map(|endpoint| endpoint.to_string()).collect()
}

#[test]
fn ranges_are_shown_as_they_are_written() {
    for (text, want) in [
        ("tcp:40000-40100:interface=127.0.0.1", "tcp:40000-40100:interface=127.0.0.1"),
        ("tcp:2121-2121", "tcp:2121"),
        ("tcp:*", "tcp:*"),
        ("tcp6:50000-50010", "tcp:50000-50010:interface=[::]"),
        ("tcp6:1:interface=[::1]", "tcp:1:interface=[::1]"),
        ("tcp:1:interface=[fe80::1%2]", "tcp:1:interface=[fe80::1%2]"),
        ("unix:/run/ftp/x.sock", "unix:/run/ftp/x.sock"),
        (r"unix:a\:b", r"unix:a\:b"),
        ("unix:@ftp", "unix:@ftp"),
        ("udp:53-54", "udp:53-54"),
        ("udp6:*", "udp:*:interface=[::]"),
        ("unix-datagram:/run/x", "unix-datagram:/run/x"),
    ] {
        let [range] = &*ranges(&[text]) else { panic!("one for each") };
        assert_eq!(range.to_string(), want, "{text}");
        assert_eq!(ranges(&[want]).first(), Some(range), "{text}");
    }
}

#[test]
fn an_endpoint_is_allowed_or_not() {
    const LOCAL: &str = "tcp:40000-40100:interface=127.0.0.1";
    for (range, endpoint, want) in [
        (LOCAL, "tcp:40000:interface=127.0.0.1", true),
        (LOCAL, "tcp:40100:interface=127.0.0.1:backlog=7", true),
        (LOCAL, "tcp:40101:interface=127.0.0.1", false),
        (LOCAL, "tcp:39999:interface=127.0.0.1", false),
        (LOCAL, "tcp:40000:interface=127.0.0.2", false),
        (LOCAL, "tcp:40000", false),
        (LOCAL, "tcp6:40000", false),
        ("tcp:80", "tcp:80", true),
        ("tcp:80", "tcp:80:interface=127.0.0.1", true),
        ("tcp:80", "tcp6:80", false),
        ("tcp:80", "tcp:80:interface=[::1]", false),
        ("tcp6:80", "tcp6:80", true),
        ("tcp6:80", "tcp:80:interface=[::1]", true),
        ("tcp6:80", "tcp:80", false),
        ("tcp6:80", "tcp:80:interface=[::ffff:127.0.0.1]", false),
        ("tcp:80:interface=[fe80::1%2]", "tcp:80:interface=[fe80::1%2]", true),
        ("tcp:80:interface=[fe80::1%2]", "tcp:80:interface=[fe80::1%3]", false),
        ("unix:/run/x", "tcp:80", false),
        ("tcp:80", "unix:/run/x", false),
        ("unix:/run/x", "unix:/run/x:mode=600", true),
        ("unix:/run/x", "unix:/run/y", false),
        ("unix:/run/x", "unix:/run/z/../x", false),
        ("unix:@x", "unix:@x", true),
        ("unix:@x", "unix:x", false),
        ("udp:80", "udp:80:interface=127.0.0.1:reuse=yes", true),
        ("udp:80", "tcp:80", false),
        ("tcp:80", "udp:80", false),
        ("udp:80", "udp6:80:dual=yes", false),
        ("udp6:80", "udp6:80:dual=yes", false),
        ("unix:x", "unix-datagram:x", false),
        ("unix-datagram:x", "unix-datagram:x:mode=600", true),
    ] {
        let tried = candidates(&[range], endpoint, 5);
        let wanted =
            if want { vec![endpoint.replace("tcp6:80", "tcp:80:interface=[::]")] } else { vec![] };
        assert_eq!(tried, wanted, "{range} and {endpoint}");
    }
}

#[test]
fn a_socket_for_both_families_needs_both() {
    let tried = |granted: &[&str]| candidates(granted, "udp6:80:dual=yes", 0);
    assert_eq!(tried(&["udp6:80", "udp:*"]), ["udp6:80:dual=yes"]);
    assert!(tried(&["udp6:80", "udp:81"]).is_empty());
    assert!(tried(&["udp6:80", "udp:80:interface=127.0.0.1"]).is_empty());
    assert!(tried(&["udp:80", "tcp6:80"]).is_empty());
}

#[test]
fn port_0_tries_what_is_granted_from_a_place_on() {
    let granted = ["tcp:10-12", "tcp6:50", "tcp:20-21:interface=127.0.0.1", "unix:x"];
    let ports = |endpoint: &str, seed| -> Vec<String> {
        let tried = candidates(&granted, endpoint, seed);
        tried.iter().map(|endpoint| endpoint.split(':').nth(1).unwrap().to_owned()).collect()
    };
    assert_eq!(ports("tcp:0", 0), ["10", "11", "12"]);
    assert_eq!(ports("tcp:0", 4), ["11", "12", "10"]);
    assert_eq!(ports("tcp:0:interface=127.0.0.1", 3), ["20", "21", "10", "11", "12"]);
    assert_eq!(ports("tcp6:0", u64::MAX), ["50"]);
    assert!(candidates(&granted[1..2], "tcp:0", 0).is_empty());
    assert!(candidates(&[], "tcp:0", 0).is_empty());

    let some = candidates(&["tcp:*"], "tcp:0", 65_534);
    assert_eq!((some.len(), &*some[0], &*some[1]), (CANDIDATES_MAX, "tcp:65535", "tcp:1"));
}

#[test]
fn a_unix_socket_is_bound_below_the_folder() {
    let [range] = &*ranges(&["unix:run/x"]) else { panic!("it is one") };
    let granted = [range.clone().below(Path::new("/srv")).unwrap()];
    let tried = |endpoint: &str| -> Vec<String> {
        let tried = ListenRange::candidates(&granted, endpoint.parse().unwrap(), 0);
        tried.map(|endpoint| endpoint.to_string()).collect()
    };
    assert_eq!(tried("unix:run/x:mode=660"), ["unix:/srv/run/x:mode=660"]);
    assert_eq!(tried("unix:/srv/run/x"), ["unix:/srv/run/x"]);
    assert!(tried("unix:/run/x").is_empty());
    assert_eq!(granted[0].to_string(), "unix:run/x");
}

#[test]
fn bad_ranges() {
    for (text, want) in [
        ("", "\"\" is no kind of range; there are tcp:FIRST-LAST[:interface=IP]"),
        ("80", "is no kind of range"),
        ("sctp:53", "is no kind of range"),
        ("udp:0", "is neither a port from 1 to 65535"),
        ("unix-datagram:x:mode=600", "\"mode\" is not known here; it takes a path alone"),
        ("tcp", "it has no ports; write tcp:40000-40100"),
        ("tcp:0", "is neither a port from 1 to 65535"),
        ("tcp:2-1", "is neither a port"),
        ("tcp:80:interface=localhost", "is not an IP address"),
        ("tcp:80:interface=::1", "an IPv6 address goes in brackets"),
        ("tcp6:80:interface=127.0.0.1", "is not an IPv6 address"),
        ("tcp:80:backlog=5", "\"backlog\" is not known here; it takes interface=IP"),
        ("unix:", "it has no path"),
        ("unix:x:mode=600", "\"mode\" is not known here; it takes a path alone"),
    ] {
        let problem = text.parse::<ListenRange>().unwrap_err().to_string();
        assert!(problem.contains(want), "{text}: {problem}");
    }
}
