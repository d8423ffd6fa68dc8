//! What PROXY headers mean, wherever they are cut, and what is wrong with bad ones.

use super::{Address, HEADER_MAX, Header, Route, V1_MAX, V2_PAYLOAD_MAX, V2_SIGNATURE, parse};

fn tcp(source: &str, destination: &str) -> Option<Route> {
    let address = |text: &str| Address::Tcp(text.parse().unwrap());
    Some(Route { source: address(source), destination: address(destination) })
}

fn unix(source: &str, destination: &str) -> Option<Route> {
    let address = |text: &str| Address::Unix(text.into());
    Some(Route { source: address(source), destination: address(destination) })
}

fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [V2_SIGNATURE, &[command, family], &length, payload].concat()
}

fn paths(source: &[u8], destination: &[u8]) -> Vec<u8> {
    let padded = |path: &[u8]| [path, &vec![0; 108 - path.len()]].concat();
    [padded(source), padded(destination)].concat()
}

const V4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0xdb, 0x08, 0, 80];

fn v6() -> Vec<u8> {
    let (one, two) = ("2001:db8::1", "::ffff:192.0.2.7");
    let octets = |ip: &str| ip.parse::<std::net::Ipv6Addr>().unwrap().octets();
    [&octets(one)[..], &octets(two), &[0, 1, 0xff, 0xff]].concat()
}

/// Headers, and what they say.
fn good() -> Vec<(Vec<u8>, Option<Route>)> {
    let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(V1_MAX - 16));
    let vectors = [&V4[..], &[0x04, 0, 3, 1, 2, 3]].concat();
    let largest = [&V4[..], &vec![0xee; V2_PAYLOAD_MAX - 12]].concat();
    vec![
        (
            b"PROXY TCP4 192.0.2.1 198.51.100.2 56072 80\r\n".to_vec(),
            tcp("192.0.2.1:56072", "198.51.100.2:80"),
        ),
        (
            b"PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n".to_vec(),
            tcp("255.255.255.255:65535", "0.0.0.0:0"),
        ),
        (
            b"PROXY TCP6 2001:db8::1 ::ffff:192.0.2.7 1 65535\r\n".to_vec(),
            tcp("[2001:db8::1]:1", "192.0.2.7:65535"),
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (b"PROXY UNKNOWN ffff::1 what ever\r\n".to_vec(), None),
        (longest.into_bytes(), None),
        (v2(0x21, 0x11, &V4), tcp("192.0.2.1:56072", "198.51.100.2:80")),
        (v2(0x21, 0x11, &vectors), tcp("192.0.2.1:56072", "198.51.100.2:80")),
        (v2(0x21, 0x11, &largest), tcp("192.0.2.1:56072", "198.51.100.2:80")),
        (v2(0x21, 0x21, &v6()), tcp("[2001:db8::1]:1", "192.0.2.7:65535")),
        (v2(0x21, 0x31, &paths(b"/run/a", b"\0name")), unix("/run/a", "@name")),
        (v2(0x21, 0x31, &paths(b"", &[b'x'; 108])), unix("", &"x".repeat(108))),
        (v2(0x21, 0x31, &paths(b"/a\n\xff", b"")), unix(r"/a\n\xff", "")),
        (v2(0x21, 0x00, b""), None),
        (v2(0x21, 0x00, b"whatever"), None),
        // Of LOCAL the family and the rest are ignored, whatever they say.
        (v2(0x20, 0x00, b""), None),
        (v2(0x20, 0x21, b"short"), None),
        (v2(0x20, 0xff, &V4), None),
    ]
}

#[test]
fn good_headers_wherever_they_are_cut() {
    for (bytes, route) in good() {
        let shown = bytes[..bytes.len().min(60)].escape_ascii().to_string();
        for cut in 0..bytes.len() {
            assert_eq!(parse(&bytes[..cut]), Ok(None), "{shown} cut at {cut}");
        }
        let want = Ok(Some(Header { length: bytes.len(), route }));
        assert_eq!(parse(&bytes), want, "{shown}");
        // What is behind it is the connection's, though it looks like another header.
        assert_eq!(parse(&[&bytes[..], &bytes].concat()), want, "{shown} and more");
        assert!(bytes.len() <= HEADER_MAX);
    }
}

#[test]
fn bad_headers() {
    let line = |text: &str| text.as_bytes().to_vec();
    let long = format!("PROXY UNKNOWN {}\r\n", "f".repeat(V1_MAX - 15));
    let mut oversize = v2(0x21, 0x11, &V4);
    oversize[14..16].copy_from_slice(&4097_u16.to_be_bytes());
    let table = [
        (line("GET / HTTP/1.1\r\n"), "does not begin with a PROXY header"),
        (line("X"), "does not begin"),
        (line("PROXX"), "does not begin"),
        (line("PROXY\r\n"), "does not begin"),
        (line("\r\n\r\n\0\r\nQUIX"), "does not begin"),
        (vec![0x16, 3, 1], "does not begin"),
        (line("PROXY \r\n"), r#"is of """#),
        (line("PROXY  TCP4 1.1.1.1 1.1.1.1 1 1\r\n"), r#"is of """#),
        (line("PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n"), r#"is of "UDP4""#),
        (line("PROXY UNKNOWN\n"), "no CR before its LF"),
        (line("PROXY TCP4 \u{e9}\r\n"), "for an address"),
        (b"PROXY TCP4 \xff\r\n".to_vec(), "not ASCII"),
        (line("PROXY TCP4\r\n"), r#""" for an address"#),
        (line("PROXY TCP4 ::1 ::1 1 1\r\n"), r#""::1" for an address"#),
        (line("PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n"), r#""1.1.1.1" for an address"#),
        (line("PROXY TCP4 01.1.1.1 1.1.1.1 1 1\r\n"), "for an address"),
        (line("PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n"), r#""" for a port"#),
        (line("PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n"), r#""65536" for a port"#),
        (line("PROXY TCP4 1.1.1.1 1.1.1.1 +1 1\r\n"), r#""+1" for a port"#),
        (line("PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n"), r#""01" for a port"#),
        (line("PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n"), "more than two addresses"),
        (line("PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\r\n"), "for a port"),
        (line(&long), "more than 107 bytes"),
        (v2(0x11, 0x11, &V4), "of version 1"),
        (v2(0x22, 0x11, &V4), "the command 2"),
        (v2(0x21, 0x12, &V4), "the family and transport 0x12"),
        (v2(0x21, 0x10, &V4), "the family and transport 0x10"),
        (v2(0x21, 0x41, &V4), "the family and transport 0x41"),
        (v2(0x21, 0x11, &V4[..11]), "11 bytes where its addresses take 12"),
        (v2(0x21, 0x21, &V4), "12 bytes where its addresses take 36"),
        (v2(0x21, 0x31, &V4), "12 bytes where its addresses take 216"),
        (oversize, "4097 bytes behind its fixed part; 4096 are the most"),
    ];
    for (bytes, want) in table {
        let shown = bytes.escape_ascii().to_string();
        let problem = parse(&bytes).expect_err(&shown);
        assert!(problem.contains(want), "{shown}: {problem}");
        // It stays wrong, whatever comes.
        assert!(parse(&[&bytes[..], b"more\r\n"].concat()).is_err(), "{shown}");
    }
}

#[test]
fn no_bytes_break_it() {
    let mut seed = 5_u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize
    };
    let good = good();
    for _ in 0..50_000 {
        let mut bytes = good[random() % good.len()].0.clone();
        bytes.truncate(300);
        for _ in 0..random() % 4 {
            let place = random() % bytes.len();
            bytes[place] = random() as u8;
        }
        if let Ok(Some(header)) = parse(&bytes) {
            assert!(header.length <= bytes.len() && header.length <= HEADER_MAX);
        }
    }
}
