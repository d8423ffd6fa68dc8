//! What client endpoint strings mean, what is wrong with bad ones, and that no string breaks the
//! parser.

use std::path::Path;
use std::time::Duration;

use super::{ClientEndpoint, TIMEOUT_DEFAULT, Target, UnixName};

fn tcp(target: Target) -> ClientEndpoint {
    ClientEndpoint::Tcp { target, bind_address: None, timeout: TIMEOUT_DEFAULT, tls: None }
}

fn host(address: &str) -> Target {
    Target::Address(address.parse().unwrap())
}

fn name(host: &str, port: u16) -> Target {
    Target::Name { host: host.to_owned(), port }
}

fn from(target: Target, bind_address: &str) -> ClientEndpoint {
    let bind_address = Some(bind_address.parse().unwrap());
    ClientEndpoint::Tcp { target, bind_address, timeout: TIMEOUT_DEFAULT, tls: None }
}

fn within(target: Target, millis: u64) -> ClientEndpoint {
    let timeout = Duration::from_millis(millis);
    ClientEndpoint::Tcp { target, bind_address: None, timeout, tls: None }
}

fn udp(target: Target, from: Option<&str>) -> ClientEndpoint {
    let bind_address = from.map(|ip| ip.parse().unwrap());
    ClientEndpoint::Udp { target, bind_address, timeout: TIMEOUT_DEFAULT }
}

fn unix(path: &str, seconds: u64) -> ClientEndpoint {
    let name = UnixName::Path(path.into());
    ClientEndpoint::Unix { name, timeout: Duration::from_secs(seconds) }
}

#[test]
fn good_endpoints() {
    let site = UnixName::Abstract("site".to_owned());
    // The string, what it means, and the shortest that means the same.
    let table = [
        ("tcp:example.com:80", tcp(name("example.com", 80)), None),
        ("tcp:host=a-b_c.d:port=80", tcp(name("a-b_c.d", 80)), Some("tcp:a-b_c.d:80")),
        (
            "tcp:Example.COM.:port=65535",
            tcp(name("example.com.", 65535)),
            Some("tcp:example.com.:65535"),
        ),
        ("tcp:port=1:host=1a", tcp(name("1a", 1)), Some("tcp:1a:1")),
        ("tcp:192.0.2.1:80:timeout=30", tcp(host("192.0.2.1:80")), Some("tcp:192.0.2.1:80")),
        ("tcp:[2001:db8::1]:80", tcp(host("[2001:db8::1]:80")), None),
        (r"tcp:2001\:db8\:\:1:80", tcp(host("[2001:db8::1]:80")), Some("tcp:[2001:db8::1]:80")),
        ("tcp:host=[::1]:port=80", tcp(host("[::1]:80")), Some("tcp:[::1]:80")),
        ("tcp:[fe80::1%2]:80", tcp(host("[fe80::1%2]:80")), None),
        ("tcp:a:80:timeout=0.5", within(name("a", 80), 500), None),
        ("tcp:a:80:timeout=2.250", within(name("a", 80), 2250), Some("tcp:a:80:timeout=2.25")),
        (
            "tcp:a:80:timeout=3600.0",
            within(name("a", 80), 3_600_000),
            Some("tcp:a:80:timeout=3600"),
        ),
        ("tcp:a:80:bindAddress=10.0.0.5", from(name("a", 80), "10.0.0.5"), None),
        (
            r"tcp:a:80:bindAddress=\:\:1",
            from(name("a", 80), "::1"),
            Some("tcp:a:80:bindAddress=[::1]"),
        ),
        ("tcp:[::2]:80:bindAddress=[::1]", from(host("[::2]:80"), "::1"), None),
        ("unix:/run/a.sock", unix("/run/a.sock", 30), None),
        ("unix:path=a:lockfile=1:timeout=9", unix("a", 9), Some("unix:a:timeout=9")),
        (r"unix:a\:b\=c\\d", unix(r"a:b=c\d", 30), None),
        ("unix:[a", unix("[a", 30), None),
        ("udp:a:53", udp(name("a", 53), None), None),
        ("udp:host=a:port=53:timeout=30", udp(name("a", 53), None), Some("udp:a:53")),
        ("udp:[::1]:53:bindAddress=[::2]", udp(host("[::1]:53"), Some("::2")), None),
        (
            "unix-datagram:/run/a",
            ClientEndpoint::UnixDatagram { name: UnixName::Path("/run/a".into()) },
            None,
        ),
        ("unix:@site", ClientEndpoint::Unix { name: site, timeout: TIMEOUT_DEFAULT }, None),
    ];
    for (text, want, shortest) in table {
        let endpoint: ClientEndpoint = text.parse().unwrap();
        assert_eq!(endpoint, want, "{text}");
        assert_eq!(endpoint.to_string(), shortest.unwrap_or(text));
        assert_eq!(endpoint.to_string().parse(), Ok(want), "{text} shown as {endpoint}");
    }
}

#[test]
fn bad_endpoints() {
    let table = [
        ("", "names no kind; there are tcp:HOST:PORT"),
        ("example.com:80", "it names no kind; write tcp:example.com:80"),
        ("10.0.0.1:80", "it names no kind; write tcp:10.0.0.1:80"),
        (":a:80", "names no kind"),
        ("tcp", "no host; write tcp:example.com:80"),
        ("tcp:", "no host"),
        ("tcp::80", "no host"),
        ("tcp:8080", "no port; write tcp:example.com:80"),
        ("tcp:a:", "no port"),
        ("tcp:a:0", r#"port "0" is not a number from 1 to 65535"#),
        ("tcp:a:65536", r#"port "65536" is not"#),
        ("tcp:a:http", r#"port "http" is not"#),
        ("tcp:a:80:", "a piece of it is empty"),
        ("tcp:a:80:30", r#""30" is not of the form key=value"#),
        ("tcp:host=a:80", r#""80" is not of the form key=value"#),
        ("tcp:a:80:port=81", "port is given twice"),
        ("tcp:::1:80", "an IPv6 address goes in brackets, as tcp:[::1]:80"),
        ("tcp:fe80::1", "as tcp:[::1]:80"),
        ("tcp:host=::1:port=80", "an IPv6 address goes in brackets, as host=[::1]"),
        ("tcp:a:80:bindAddress=::1", "as bindAddress=[::1]"),
        ("tcp:[::1:80", "the bracket [ of host is not closed"),
        ("tcp:[127.0.0.1]:80", r#"host "[127.0.0.1]" is not an IPv6 address, such as [::1]"#),
        ("tcp:[::1]x:80", "is not an IPv6 address"),
        ("tcp:a b:80", r#"host "a b" is neither a name, such as example.com, nor an IP"#),
        ("tcp:a..b:80", "neither a name"),
        ("tcp:.:80", "neither a name"),
        ("tcp:a/b:80", "neither a name"),
        ("tcp:a\0:80", "neither a name"),
        ("tcp:bücher.example:80", "is not ASCII; write it in Punycode (xn--…)"),
        ("tcp:127.1:80", r#"host "127.1" is not an IPv4 address, such as 192.0.2.1"#),
        ("tcp:2130706433:80", "is not an IPv4 address"),
        ("tcp:0X7f000001:80", "is not an IPv4 address"),
        ("tcp:1.2.3.256:80", "is not an IPv4 address"),
        ("tcp:a:80:timeout=0", r#"timeout "0" is not a number of seconds above 0 and up to 3600"#),
        ("tcp:a:80:timeout=0.000", r#"timeout "0.000""#),
        ("tcp:a:80:timeout=3600.1", r#"timeout "3600.1""#),
        ("tcp:a:80:timeout=-1", r#"timeout "-1""#),
        ("tcp:a:80:timeout=1e3", r#"timeout "1e3""#),
        ("tcp:a:80:timeout=.5", r#"timeout ".5""#),
        ("tcp:a:80:timeout=5.", r#"timeout "5.""#),
        ("tcp:a:80:timeout=0.0000000001", "timeout"),
        ("tcp:a:80:timeout=99999999999", "timeout"),
        ("tcp:a:80:timeout=1:timeout=2", "timeout is given twice"),
        ("tcp:a:80:bindAddress=b", r#"bindAddress "b" is not an IP address, such as 127.0.0.1"#),
        ("tcp:[::1]:80:bindAddress=10.0.0.1", "no way leads from bindAddress 10.0.0.1 to ::1"),
        ("tcp:a:80:interface=10.0.0.1", "it takes timeout=SECONDS and bindAddress=IP"),
        ("tcp6:a:80", "tcp6: is for listening; write tcp:HOST:PORT"),
        ("tls:example.com", "no port"),
        ("tls:example.com:443:name=a b", "name \"a b\" is neither a host name nor an IP address"),
        ("tls:example.com:443:alpn=", "alpn: \"\" is not a name of 1 to 255 bytes"),
        ("tls:example.com:443:cert=a", r#""cert" is not known here; it takes name=NAME, alpn=A,B"#),
        ("tpc:a:80", r#""tpc" is no kind of endpoint; there are tcp:HOST:PORT"#),
        ("unix:", "no path"),
        ("unix:@", "abstract name is empty"),
        ("unix:a:mode=660", r#""mode" is not known here; it takes timeout=SECONDS"#),
        ("unix:a:lockfile=2", "neither 0 nor 1"),
        ("unix:a\0b", "NUL"),
        ("unix:a\\", "ends in a backslash"),
    ];
    for (text, want) in table {
        let error = text.parse::<ClientEndpoint>().expect_err(text).to_string();
        assert!(error.starts_with(&format!("{text:?}: ")), "{error}");
        assert!(error.contains(want), "{text}: {error}");
    }
}

#[test]
fn names_have_limits() {
    let label = "x".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "y".repeat(61));
    assert!(format!("tcp:{longest}.:80").parse::<ClientEndpoint>().is_ok());
    let error = format!("tcp:{longest}y:80").parse::<ClientEndpoint>().unwrap_err().to_string();
    assert!(error.contains("254 bytes long; a name has at most 253"), "{error}");
    assert!(format!("tcp:{label}x:80").parse::<ClientEndpoint>().is_err());
    let error = "é".repeat(100_000).parse::<ClientEndpoint>().unwrap_err().to_string();
    assert!(error.len() < 300 && error.contains("200000 bytes long; 1024 are the most"), "{error}");
    let error = format!("unix:/{}", "x".repeat(107)).parse::<ClientEndpoint>().unwrap_err();
    assert!(error.to_string().contains("the system takes at most 107"), "{error}");
}

#[test]
fn relative_paths_go_below_a_folder() {
    let relative = unix("a.sock", 5);
    assert_eq!(relative.clone().below(Path::new("/srv")).unwrap(), unix("/srv/a.sock", 5));
    let other = tcp(name("a", 80));
    assert_eq!(other.clone().below(Path::new("/srv")).unwrap(), other);
    let error = relative.below(Path::new(&"/x".repeat(60))).unwrap_err().to_string();
    assert!(error.contains("at most 107"), "{error}");
}

/// All strings up to a length over the pieces that mean something.
#[test]
fn no_string_breaks_it() {
    const ALPHABET: [&str; 15] = [
        "tcp:",
        "unix:",
        "host=",
        "timeout=",
        "bindAddress=",
        "[",
        "]",
        ":",
        "=",
        "\\",
        "@",
        "1",
        ".",
        "::",
        "é",
    ];
    let mut strings = vec![String::new(), "tcp:a:1:".to_owned()];
    for _ in 0..4 {
        let longer: Vec<String> = strings
            .iter()
            .flat_map(|start| ALPHABET.iter().map(move |end| format!("{start}{end}")))
            .collect();
        for text in &longer {
            if let Ok(endpoint) = text.parse::<ClientEndpoint>() {
                assert_eq!(endpoint.to_string().parse(), Ok(endpoint), "{text}");
            }
        }
        strings = longer;
    }
}
