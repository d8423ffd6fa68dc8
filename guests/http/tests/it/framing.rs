//! Where a request ends: what two parties could read differently is refused.

use crate::{Server, converse, get, statuses};

#[test]
fn shapes_that_smuggle_are_refused_and_the_connection_closed() {
    for fields in [
        // Both lengths, doubled lengths, lengths that aren't numbers.
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: \r\n",
        "Content-Length: 5;\r\n",
        // Transfer codings other than a sole, final `chunked`.
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: chunked,\r\n",
        "Transfer-Encoding: \r\n",
        "Transfer-Encoding: ,chunked\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        // Line ends, folds, names.
        "X: a\nY: b\r\n",
        "X: a\n",
        "X: a\rY: b\r\n",
        "X: a\r\r\n",
        "X: a\r\n folded\r\n",
        "X: a\r\n\tfolded\r\n",
        " X: a\r\n",
        "X : a\r\n",
        "Content-Length : 5\r\n",
        "Transfer-Encoding\t: chunked\r\n",
        "X\r\n",
        ": a\r\n",
        "X@: a\r\n",
        "X: a\0b\r\n",
        "X: a\x01b\r\n",
        "X: a\x7fb\r\n",
        // Host, in 1.1: once, and a host.
        "Host: b\r\n",
        "Host: a\r\n",
    ] {
        assert_eq!(statuses("{}", &get("/", fields)), "400 closed", "{fields:?}");
    }
    for head in [
        "GET / HTTP/1.1\n\n",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / http/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/11\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.10\r\nHost: a\r\n\r\n",
        "GET /\u{e4} HTTP/1.1\r\nHost: a\r\n\r\n",
        "G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\x16\x03\x01\x02",
        // No host, or what can't be one.
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a,b:80:80\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: \u{e4}\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n",
        // Codings came with 1.1.
        "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        assert_eq!(statuses("{}", head), "400 closed", "{head:?}");
    }
}

#[test]
fn what_is_only_odd_is_served() {
    for head in [
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nhOST:a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a_b.c-d:8080 \t\r\n\r\n",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX:\r\nY: \t \r\nZ: \u{e4}\tb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 000\r\n\r\n",
    ] {
        assert_eq!(statuses("{}", head), "200", "{head:?}");
    }
}

#[test]
fn what_is_not_known_is_told_apart_from_what_is_wrong() {
    for (input, want) in [
        ("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "501 closed"),
        ("get / HTTP/1.1\r\nHost: a\r\n\r\n", "501 closed"),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "501 closed"),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", "501 closed"),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", "501 closed"),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505 closed"),
        ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", "505 closed"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 closed"),
        ("POST / HTTP/1.0\r\n\r\n", "411 closed"),
        ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", "405"),
        ("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", "405"),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "405"),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "405"),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: fish\r\n\r\n", "417 closed"),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, fish\r\n\r\n", "417 closed"),
        ("GET / HTTP/1.0\r\nHost: a\r\nExpect: fish\r\n\r\n", "200 closed"),
    ] {
        assert_eq!(statuses("{}", input), want, "{input:?}");
    }
    let said = converse("{}", "PUT / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(said.starts_with("HTTP/1.1 405 Method Not Allowed\nAllow: GET, HEAD, OPTIONS\n"));
}

#[test]
fn bodies_are_read_and_the_next_request_found_behind_them() {
    let next = get("/digits", "");
    for (fields, body) in [
        ("Content-Length: 5\r\n", "hello"),
        ("Content-Length: 4\r\n", "\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: Chunked\r\n", "5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nA: b\r\n\r\n"),
    ] {
        let input = get("/", fields) + body + &next;
        assert_eq!(statuses("{}", &input), "200 200", "{input:?}");
        let input = input.replacen("GET", "POST", 1);
        assert_eq!(statuses("{}", &input), "405 200", "{input:?}");
        let input = input.replacen("POST", "OPTIONS", 1);
        assert_eq!(statuses("{}", &input), "200 200", "{input:?}");
    }
    for body in ["x\r\n\r\n", "5\r\nhello", "5\r\nhello!\r\n", "5 \r\nhello", "5\nhello"] {
        let input = get("/", "Transfer-Encoding: chunked\r\n") + body + "\r\n\r\n";
        assert_eq!(statuses("{}", &input), "400 closed", "{body:?}");
    }
}

#[test]
fn whoever_asks_before_sending_a_body_is_told() {
    let ask = "Expect: 100-continue\r\n";
    let input = get("/", &format!("{ask}Content-Length: 2\r\n")) + "xx";
    let said = converse("{}", &input);
    assert!(said.starts_with("HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\n"), "{said}");
    let mut server = Server::new("{}");
    server.receive(&input.as_bytes()[..input.len() - 2]);
    assert_eq!(server.said(), "HTTP/1.1 100 Continue\n\n");
    for (input, want) in [
        (get("/", ask), "200"),
        (get("/", &format!("{ask}Content-Length: 0\r\n")), "200"),
        (get("/%", &format!("{ask}Content-Length: 2\r\n")), "400 closed"),
        (get("/", &format!("{ask}Content-Length: 2\r\n")).replace("GET", "PUT"), "405 closed"),
        (get("/", &format!("{ask}Content-Length: 99999999\r\n")), "413 closed"),
        (
            "GET / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n".into(),
            "200 closed",
        ),
    ] {
        assert_eq!(statuses("{}", &input), want, "{input:?}");
    }
}

#[test]
fn what_is_too_large_is_told_by_its_own_status() {
    let config = r#"{"max-head": 400, "max-target": 100, "max-headers": 4, "max-body": 10}"#;
    let too_long = format!("/{}", "a".repeat(100));
    let many = |count: usize| get("/", &"X: y\r\n".repeat(count - 1));
    let long = |length: usize| {
        let bare = get("/", "X: \r\n").len();
        get("/", &format!("X: {}\r\n", "y".repeat(length - bare)))
    };
    let sized = |length: usize| get("/", &format!("Content-Length: {length}\r\n"));
    let chunked = |body: &str| get("/", "Transfer-Encoding: chunked\r\n") + body;
    for (input, want) in [
        (get(&format!("/{}", "a".repeat(99)), ""), "404"),
        (get(&too_long, ""), "414 closed"),
        (get(&format!("/{}", "a".repeat(1000)), ""), "414 closed"),
        (format!("GET /{}", "a".repeat(200)), "414 closed"),
        ("A".repeat(200), "414 closed"),
        // Its beginning is wrong already before its length is.
        (format!("\r\n\n{}", "A".repeat(200)), "400 closed"),
        (format!("\r\n\n{}", get(&too_long, "")), "400 closed"),
        // Its line has room for a target of that length, and ends with a lone LF.
        (get(&too_long, "").replacen("\r\n", "\n", 1), "400 closed"),
        (get("/", "").replace("GET", &"A".repeat(153)), "501 closed"),
        (get("/", "").replace("GET", &"A".repeat(154)), "414 closed"),
        (many(4), "200"),
        (many(5), "431 closed"),
        (long(400), "200"),
        (long(401), "431 closed"),
        (long(4000), "431 closed"),
        (get("/", "X: ")[..].trim_end().to_owned() + &"y".repeat(400), "431 closed"),
        (sized(10) + "0123456789", "200"),
        (sized(11), "413 closed"),
        (get("/", "Content-Length: 99999999999999999999999\r\n"), "413 closed"),
        (chunked("a\r\n0123456789\r\n0\r\n\r\n"), "200"),
        (chunked("a\r\n0123456789\r\n1\r\n"), "413 closed"),
        (chunked("ffffffffffffffff\r\n"), "413 closed"),
    ] {
        assert_eq!(statuses(config, &input), want, "{input:?}");
    }
}
