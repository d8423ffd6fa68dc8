//! What endpoint strings mean, what is wrong with bad ones, and that no string breaks the parser.

use std::path::Path;

use super::{BACKLOG_DEFAULT, Endpoint, Identity, Inherited, Socket, UnixName};

fn tcp(address: &str, backlog: u32) -> Endpoint {
    Socket::Tcp { address: address.parse().unwrap(), backlog }.into()
}

fn unix(path: &str, mode: Option<u32>, backlog: u32) -> Endpoint {
    Socket::Unix { name: UnixName::Path(path.into()), mode, backlog }.into()
}

fn tls(address: &str, cert: Option<&str>, key: Option<&str>) -> Endpoint {
    let identity = Identity { cert: cert.map(Into::into), key: key.map(Into::into) };
    Endpoint { tls: Some(identity), ..tcp(address, BACKLOG_DEFAULT) }
}

fn inherited(inherited: Inherited, cert: Option<&str>, key: Option<&str>) -> Endpoint {
    let tls = tls("0.0.0.0:1", cert, key).tls;
    Endpoint { tls, ..Socket::Inherited(inherited).into() }
}

fn proxied(endpoint: Endpoint) -> Endpoint {
    Endpoint { proxied: true, ..endpoint }
}

/// A UDP socket, with `d` for dual, `r` for reuse and `b` for broadcast.
fn udp(address: &str, flags: &str) -> Endpoint {
    let [dual, reuse, broadcast] = ["d", "r", "b"].map(|flag| flags.contains(flag));
    Socket::Udp { address: address.parse().unwrap(), dual, reuse, broadcast }.into()
}

fn unix_datagram(path: &str, mode: Option<u32>) -> Endpoint {
    Socket::UnixDatagram { name: UnixName::Path(path.into()), mode }.into()
}

#[test]
fn good_endpoints() {
    let name = UnixName::Abstract("site".to_owned());
    let table = [
        ("tcp:8080", tcp("0.0.0.0:8080", BACKLOG_DEFAULT)),
        ("tcp:port=8080", tcp("0.0.0.0:8080", BACKLOG_DEFAULT)),
        ("tcp:0", tcp("0.0.0.0:0", BACKLOG_DEFAULT)),
        ("tcp:65535:backlog=5", tcp("0.0.0.0:65535", 5)),
        ("tcp:80:interface=127.0.0.1", tcp("127.0.0.1:80", BACKLOG_DEFAULT)),
        (r"tcp:80:interface=\:\:1", tcp("[::1]:80", BACKLOG_DEFAULT)),
        ("tcp:80:interface=[::1]", tcp("[::1]:80", BACKLOG_DEFAULT)),
        ("tcp:80:interface=[::1]:backlog=7", tcp("[::1]:80", 7)),
        ("tcp:80:backlog=7:interface=[fe80::1%2]", tcp("[fe80::1%2]:80", 7)),
        ("tcp6:80", tcp("[::]:80", BACKLOG_DEFAULT)),
        ("tcp6:80:interface=[::1]", tcp("[::1]:80", BACKLOG_DEFAULT)),
        ("unix:/run/a.sock", unix("/run/a.sock", None, BACKLOG_DEFAULT)),
        ("unix:a.sock:mode=660", unix("a.sock", Some(0o660), BACKLOG_DEFAULT)),
        ("unix:address=a:mode=0600:lockfile=0", unix("a", Some(0o600), BACKLOG_DEFAULT)),
        (r"unix:a\:b\=c\\d:backlog=9", unix(r"a:b=c\d", None, 9)),
        ("unix:@site", Socket::Unix { name, mode: None, backlog: BACKLOG_DEFAULT }.into()),
        ("udp:53", udp("0.0.0.0:53", "")),
        ("udp:0:interface=[::1]:broadcast=no", udp("[::1]:0", "")),
        ("udp:5353:reuse=yes", udp("0.0.0.0:5353", "r")),
        ("udp:9:broadcast=yes:reuse=yes:interface=10.0.0.1", udp("10.0.0.1:9", "rb")),
        ("udp6:53", udp("[::]:53", "")),
        ("udp6:53:dual=yes:reuse=yes", udp("[::]:53", "dr")),
        ("udp6:53:interface=[fe80::1%2]:dual=no", udp("[fe80::1%2]:53", "")),
        ("unix-datagram:/run/log.sock:mode=660", unix_datagram("/run/log.sock", Some(0o660))),
        (r"unix-datagram:a\:b", unix_datagram("a:b", None)),
        ("tls:443", tls("0.0.0.0:443", None, None)),
        ("tls:443:cert=a.pem", tls("0.0.0.0:443", Some("a.pem"), None)),
        (
            r"tls:443:cert=a\:b.pem:key=k.pem:interface=[::1]",
            tls("[::1]:443", Some("a:b.pem"), Some("k.pem")),
        ),
        (
            "ssl:443:privateKey=k.pem:certKey=a.pem",
            tls("0.0.0.0:443", Some("a.pem"), Some("k.pem")),
        ),
        ("systemd:index=0", Socket::Inherited(Inherited::Index(0)).into()),
        ("systemd:domain=INET:index=65532", Socket::Inherited(Inherited::Index(65532)).into()),
        (r"systemd:name=a\=b", Socket::Inherited(Inherited::Name("a=b".to_owned())).into()),
        ("systemd:index=1:tls=no", Socket::Inherited(Inherited::Index(1)).into()),
        ("systemd:index=1:tls=yes", inherited(Inherited::Index(1), None, None)),
        ("fd:3", Socket::Inherited(Inherited::Descriptor(3)).into()),
        (
            "fd:65535:cert=a.pem:key=k.pem",
            inherited(Inherited::Descriptor(65535), Some("a.pem"), Some("k.pem")),
        ),
        ("stdio:", Socket::Stdio.into()),
        ("stdio", Socket::Stdio.into()),
        ("haproxy:tcp:8080", proxied(tcp("0.0.0.0:8080", BACKLOG_DEFAULT))),
        ("haproxy:tcp:port=80:backlog=3", proxied(tcp("0.0.0.0:80", 3))),
        ("haproxy:tls:443:cert=a.pem", proxied(tls("0.0.0.0:443", Some("a.pem"), None))),
        (r"haproxy:unix:a\:b", proxied(unix("a:b", None, BACKLOG_DEFAULT))),
        ("haproxy:fd:3:tls=yes", proxied(inherited(Inherited::Descriptor(3), None, None))),
    ];
    for (text, want) in table {
        let endpoint: Endpoint = text.parse().unwrap();
        assert_eq!(endpoint, want, "{text}");
        assert_eq!(endpoint.to_string().parse(), Ok(want), "{text} shown as {endpoint}");
    }
}

#[test]
fn bad_endpoints() {
    let table = [
        ("", "names no kind"),
        ("8080", "write tcp:8080"),
        (":8080", "names no kind"),
        ("tcp", "no port"),
        ("tcp:", "no port"),
        ("tcp:80x80", r#"port "80x80" is not a number from 0 to 65535"#),
        ("tcp:65536", r#"port "65536" is not"#),
        ("tcp:-1", r#"port "-1" is not"#),
        ("tcp:+80", r#"port "+80" is not"#),
        ("tcp:80:", "a piece of it is empty"),
        ("tcp:80:127.0.0.1", r#""127.0.0.1" is not of the form key=value"#),
        ("tcp:80:interface=localhost", r#"interface "localhost" is not an IP address, such as"#),
        ("tcp:80:interface=::1", "an IPv6 address goes in brackets, as interface=[::1]"),
        ("tcp:80:interface=[::1", "bracket"),
        ("tcp:80:interface=[127.0.0.1]", "is not an IP address"),
        ("tcp6:80:interface=127.0.0.1", "is not an IPv6 address, such as ::1"),
        ("tcp:80:backlog=0", r#"backlog "0" is not a number from 1 to 2147483647"#),
        ("tcp:80:backlog=5:backlog=6", "backlog is given twice"),
        ("tcp:80:port=81", "port is given twice"),
        ("tcp:80:mode=660", r#""mode" is not known here; it takes interface=IP and backlog=N"#),
        ("tls:443:key=k.pem", "key is given without cert, whose key it is"),
        ("tls:443:cert=", "cert is empty; it takes a PEM file"),
        ("tls:443:mode=600", r#""mode" is not known here; it takes cert=FILE, key=FILE"#),
        ("haproxy:udp:53", "no header of the PROXY protocol is before datagrams"),
        ("systemd:", "a piece of it is empty"),
        ("systemd:tls=yes", "it has no index; write systemd:index=0"),
        ("systemd:0", r#""0" is not of the form key=value"#),
        ("systemd:index=x", r#"index "x" is not a number from 0 to 65532"#),
        ("systemd:index=0:name=a", "an index and a name; one is enough"),
        ("systemd:name=", r#"name "" is not 1 to 255 of ASCII"#),
        ("systemd:domain=AX25:index=0", r#"domain "AX25" is neither INET, INET6 nor UNIX"#),
        ("systemd:index=0:backlog=3", r#""backlog" is not known here; it takes tls=yes, cert"#),
        ("systemd:index=0:tls=maybe", r#"tls "maybe" is neither yes nor no"#),
        ("systemd:index=0:tls=no:cert=a", "it has a certificate, and tls=no"),
        ("fd:", "it has no number; write fd:3"),
        ("fd:2", r#"fd "2" is not a number from 3 to 65535"#),
        ("fd:65536", "is not a number from 3 to 65535"),
        ("fd:3:key=a", "key is given without cert"),
        ("stdio:x", r#"stdio: takes nothing, and has "x" behind it"#),
        ("haproxy", "it has nothing behind it; write haproxy:tcp:8080"),
        ("haproxy:", "it has nothing behind it"),
        ("haproxy:8080", "it names no kind; write tcp:8080"),
        ("haproxy:haproxy:tcp:80", "it says haproxy: twice"),
        ("haproxy:stdio:", "no proxy is before standard input"),
        ("udp:", "it has no port; write udp:5353"),
        ("udp:53:backlog=5", r#""backlog" is not known here; it takes interface=IP, reuse=yes"#),
        ("udp:53:reuse=1", r#"reuse "1" is neither yes nor no"#),
        ("udp:53:dual=yes", "write udp6:5353:dual=yes"),
        ("udp6:53:interface=[::1]:dual=yes", "dual=yes is for all interfaces"),
        ("udp6:53:broadcast=yes", "IPv6 has groups instead"),
        ("udp6:53:interface=10.0.0.1", "is not an IPv6 address"),
        ("unix-datagram:", "no path"),
        ("unix-datagram:a:backlog=5", r#""backlog" is not known here; it takes mode=660"#),
        ("tpc:80", r#""tpc" is no kind of endpoint; there are tcp:PORT"#),
        ("unix:", "no path"),
        ("unix:@", "abstract name is empty"),
        ("unix:@a:mode=660", "takes no mode"),
        ("unix:a:mode=888", r#"mode "888" is not an octal number from 0 to 777, such as 660"#),
        ("unix:a:mode=1777", r#"mode "1777""#),
        ("unix:a:mode=", r#"mode """#),
        ("unix:a:lockfile=yes", r#"lockfile "yes" is neither 0 nor 1"#),
        ("unix:a\0b", "NUL"),
        ("unix:a\\", "ends in a backslash"),
    ];
    for (text, want) in table {
        let error = text.parse::<Endpoint>().unwrap_err().to_string();
        assert!(error.starts_with(&format!("{text:?}: ")), "{error}");
        assert!(error.contains(want), "{text}: {error}");
    }
    let long = format!("unix:/{}", "x".repeat(107)).parse::<Endpoint>().unwrap_err();
    assert!(long.to_string().contains("108 bytes long; the system takes at most 107"), "{long}");
}

#[test]
fn relative_paths_go_below_a_folder() {
    let relative: Endpoint = "unix:a.sock".parse().unwrap();
    let below = relative.clone().below(Path::new("/srv/site")).unwrap();
    assert_eq!(below, unix("/srv/site/a.sock", None, BACKLOG_DEFAULT));
    let absolute: Endpoint = "unix:/run/a".parse().unwrap();
    assert_eq!(absolute.clone().below(Path::new("/srv")).unwrap(), absolute);
    let error = relative.below(Path::new(&"/x".repeat(60))).unwrap_err().to_string();
    assert!(error.contains("at most 107"), "{error}");
}

#[test]
fn collisions() {
    let table = [
        ("tcp:80", "tcp:80", true),
        ("tcp:80", "tcp:81", false),
        ("tcp:0", "tcp:0", false),
        ("tcp:80", "tcp:80:interface=127.0.0.1:backlog=1", true),
        ("tcp:80:interface=127.0.0.2", "tcp:80:interface=127.0.0.1", false),
        ("tcp6:80", "tcp:80:interface=127.0.0.1", false),
        ("unix:a", "unix:a:mode=600", true),
        ("unix:a", "unix:@a", false),
        ("haproxy:tcp:80", "tcp:80", true),
        ("tls:80", "tcp:80", true),
        ("stdio:", "stdio:", true),
        ("systemd:index=0", "fd:3:tls=yes", true),
        ("systemd:index=0", "fd:4", false),
        ("systemd:name=a", "systemd:name=a", true),
        ("systemd:name=a", "systemd:name=b", false),
        ("systemd:name=a", "systemd:index=0", false),
        ("udp:53", "tcp:53", false),
        ("udp:53", "udp:53:interface=127.0.0.1", true),
        ("udp:53:reuse=yes", "udp:53", true),
        ("udp:53:reuse=yes", "udp:53:reuse=yes", false),
        ("udp6:53", "udp:53", false),
        ("udp6:53:dual=yes", "udp:53:interface=127.0.0.1", true),
        ("udp6:0:dual=yes", "udp6:0:dual=yes", false),
        ("unix:a", "unix-datagram:a", true),
        ("unix:@a", "unix-datagram:@a", false),
    ];
    for (one, two, want) in table {
        let (one, two): (Endpoint, Endpoint) = (one.parse().unwrap(), two.parse().unwrap());
        assert_eq!(one.collides_with(&two), want, "{one} {two}");
        assert_eq!(two.collides_with(&one), want, "{two} {one}");
    }
}

/// All strings up to a length over the characters that mean something.
#[test]
fn no_string_breaks_it() {
    const ALPHABET: [&str; 18] = [
        "tcp:",
        "haproxy:",
        "systemd:",
        "fd:",
        "name=",
        "unix:",
        "interface=",
        "mode=",
        "[",
        "]",
        ":",
        "=",
        "\\",
        "@",
        "1",
        "::",
        "%",
        "é",
    ];
    let mut strings = vec![String::new()];
    for _ in 0..4 {
        let longer: Vec<String> = strings
            .iter()
            .flat_map(|start| ALPHABET.iter().map(move |end| format!("{start}{end}")))
            .collect();
        for text in &longer {
            if let Ok(endpoint) = text.parse::<Endpoint>() {
                assert_eq!(endpoint.to_string().parse(), Ok(endpoint), "{text}");
            }
        }
        strings = longer;
    }
}
