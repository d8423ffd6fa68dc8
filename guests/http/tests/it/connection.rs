//! Whether a connection goes on behind an answer, and what it costs while it waits.

use crate::{Server, converse, get, statuses};

#[test]
fn connections_persist_as_their_version_says() {
    for (version, field, persists, says) in [
        ("1.1", "", true, None),
        ("1.1", "Connection: keep-alive\r\n", true, None),
        ("1.1", "Connection: close\r\n", false, Some("close")),
        ("1.1", "Connection: x, CLOSE ,y\r\n", false, Some("close")),
        ("1.1", "Connection: x\r\nConnection: close\r\n", false, Some("close")),
        ("1.1", "Connection: keep-alive, close\r\n", false, Some("close")),
        ("1.0", "", false, Some("close")),
        ("1.0", "Connection: close\r\n", false, Some("close")),
        ("1.0", "Connection: Keep-Alive\r\n", true, Some("keep-alive")),
    ] {
        for target in ["/digits", "/none", "/nothing.txt"] {
            let input = format!("GET {target} HTTP/{version}\r\nHost: a\r\n{field}\r\n");
            let said = converse("{}", &input);
            let found = said.lines().find_map(|line| line.strip_prefix("Connection: "));
            assert_eq!(found, says, "{input:?}");
            assert_eq!(said.ends_with("[closed]"), !persists, "{input:?}");
        }
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let input = get("/digits", "")
        + &get("/none", "")
        + &get("/docs/page.html", "")
        + &get("/digits", "Range: bytes=0-0\r\n")
        + "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
        + &get("/", "Content-Length: 3\r\n")
        + "abc"
        + "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        + &get("/digits", "");
    assert_eq!(statuses("{}", &input), "200 404 200 206 200 200 200 closed");
    let said = converse("{}", &input);
    let places = ["0123456789", "404 Not", "<p>page", "bytes 0-0/10", "home"];
    let places: Vec<usize> = places.iter().map(|text| said.find(text).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn a_connection_has_so_many_requests_and_no_more() {
    let config = r#"{"keep-alive-requests": 2}"#;
    let said = converse(config, &get("/", "").repeat(3));
    assert_eq!(said.matches("HTTP/1.1 200").count(), 2);
    assert_eq!(said.matches("Connection: close").count(), 1);
    assert!(said.ends_with("[closed]"));
}

#[test]
fn an_idle_connection_holds_no_memory() {
    assert!(size_of::<torsade_http::session::Session>() <= 128);
    let mut server = Server::new("{}");
    let input = get("/digits", "X: y\r\n");
    for half in [&input[..30], &input[30..]] {
        server.receive(half.as_bytes());
    }
    let session = format!("{:?}", server.session);
    assert!(session.contains("bytes: []") && session.contains("exchange: None"), "{session}");
}

#[test]
fn stopping_closes_what_is_idle_and_finishes_what_is_not() {
    let mut idle = Server::new("{}");
    idle.receive(get("/digits", "").as_bytes());
    idle.stop();
    assert!(idle.is_closed);

    let mut busy = Server::new("{}");
    let input = get("/digits", "");
    busy.receive(&input.as_bytes()[..10]);
    busy.stop();
    assert!(!busy.is_closed);
    busy.receive(&input.as_bytes()[10..]);
    let said = busy.said();
    assert!(said.contains("\nConnection: close\n") && said.ends_with("0123456789[closed]"));

    let mut reading = Server::new("{}");
    reading.receive(get("/digits", "Content-Length: 3\r\n").as_bytes());
    reading.stop();
    reading.receive(b"abc");
    assert!(reading.said().contains("\nConnection: close\n") && reading.is_closed);
}

#[test]
fn a_head_that_trickles_in_is_read_once() {
    // Quadratic work would take minutes here.
    let config = r#"{"max-head": 1048576, "max-target": 1048576}"#;
    let mut server = Server::new(config);
    let input = get("/", &format!("X: {}\r\n", "y".repeat(500_000)));
    for byte in input.as_bytes() {
        server.receive(&[*byte]);
    }
    assert!(server.said().ends_with("<p>home"));
    let mut server = Server::new("{}");
    server.receive(get("/", "").repeat(20_000).as_bytes());
    assert_eq!(server.said().matches("<p>home").count(), 20_000);
}
