//! Files that lie compressed beside their originals (RFC 9110, section 12.5.3).

use crate::{Server, converse, get, statuses};

const ALL: &str = r#"{"precompressed": ["br", "zstd", "gzip"]}"#;

/// The answer to this request for this target: its head, and its content.
fn ask(target: &str, fields: &str) -> (String, String) {
    let said = converse(ALL, &get(target, fields));
    let (head, content) = said.split_once("\n\n").expect("an answer has a head");
    (format!("{head}\n"), content.into())
}

#[test]
fn what_the_client_likes_best_is_sent() {
    for (field, coding, content) in [
        ("", None, "let app"),
        ("Accept-Encoding: gzip, br\r\n", Some("br"), "BROTLI"),
        ("Accept-Encoding: gzip\r\nAccept-Encoding: br;q=0.9\r\n", Some("gzip"), "GZIP"),
        ("Accept-Encoding: zstd\r\n", None, "let app"),
        ("Accept-Encoding: zstd, gzip;q=0.1\r\n", Some("gzip"), "GZIP"),
        ("Accept-Encoding: br;q=0, *;q=0.1\r\n", Some("gzip"), "GZIP"),
        ("Accept-Encoding: br;q=0.5, identity\r\n", None, "let app"),
        ("Accept-Encoding: identity;q=0, br\r\n", Some("br"), "BROTLI"),
    ] {
        let (head, got) = ask("/app.js", field);
        assert_eq!(got, content, "{field}");
        let named = head.lines().find_map(|line| line.strip_prefix("Content-Encoding: "));
        assert_eq!(named, coding, "{field}");
        assert!(head.contains("\nContent-Type: text/javascript; charset=utf-8\n"), "{head}");
        assert!(head.contains("\nVary: Accept-Encoding\n"), "{head}");
        assert!(head.contains(&format!("\nContent-Length: {}\n", content.len())), "{head}");
    }
}

#[test]
fn nothing_is_sent_to_whom_nothing_would_do() {
    for field in ["identity;q=0", "*;q=0", "zstd, *;q=0"] {
        let (head, _) = ask("/app.js", &format!("Accept-Encoding: {field}\r\n"));
        assert!(head.starts_with("HTTP/1.1 406 Not Acceptable\nVary: Accept-Encoding\n"), "{head}");
    }
    // Where nothing is offered, the field means nothing.
    let input = get("/app.js", "Accept-Encoding: identity;q=0, br\r\n");
    let said = converse("{}", &input);
    assert!(said.starts_with("HTTP/1.1 200") && said.ends_with("let app"), "{said}");
    assert!(!said.contains("Vary"), "{said}");
}

#[test]
fn what_is_older_than_its_original_is_not_sent() {
    let (head, content) = ask("/old.js", "Accept-Encoding: br\r\n");
    assert_eq!(content, "let old");
    assert!(!head.contains("Content-Encoding"), "{head}");
}

#[test]
fn validators_and_ranges_are_those_of_what_is_sent() {
    let br = "Accept-Encoding: br\r\n";
    let (plain, _) = ask("/app.js", "");
    let (coded, _) = ask("/app.js", br);
    let tag = |head: &str| {
        head.lines().find_map(|line| line.strip_prefix("ETag: ")).map(str::to_owned).unwrap()
    };
    assert_ne!(tag(&plain), tag(&coded));
    let (head, content) = ask("/app.js", &format!("{br}Range: bytes=1-2\r\n"));
    assert!(head.contains("\nContent-Range: bytes 1-2/6\n"), "{head}");
    assert!(head.contains("\nContent-Encoding: br\n"), "{head}");
    assert_eq!(content, "RO");
    // A coding is of the whole, and several parts can't be told to be parts of it.
    let (head, content) = ask("/app.js", &format!("{br}Range: bytes=0-0,2-2\r\n"));
    assert!(head.starts_with("HTTP/1.1 200 ") && content == "BROTLI", "{head}");
    for (tag, want) in [(tag(&coded), "304"), (tag(&plain), "200")] {
        let input = get("/app.js", &format!("{br}If-None-Match: {tag}\r\n"));
        assert_eq!(statuses(ALL, &input), want);
    }
    let unchanged = format!("{br}If-None-Match: {}\r\n", tag(&coded));
    let (head, _) = ask("/app.js", &unchanged);
    assert!(head.contains("\nVary: Accept-Encoding\n"), "{head}");
    assert!(!head.contains("Content-Encoding"), "{head}");
}

#[test]
fn an_index_is_sent_in_a_coding_too() {
    let (head, content) = ask("/", "Accept-Encoding: br, gzip\r\n");
    assert_eq!(content, "PAGE");
    assert!(head.contains("\nContent-Type: text/html; charset=utf-8\n"), "{head}");
    let head = "HEAD / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n";
    assert!(converse(ALL, head).ends_with("\nContent-Length: 4\n\n"));
}

#[test]
fn what_lies_beside_a_file_is_asked_for_as_rarely_as_the_file() {
    let mut server = Server::new(ALL);
    let request = |field: &str| get("/app.js", &format!("Accept-Encoding: {field}\r\n"));
    for _ in 0..3 {
        server.receive(request("zstd, gzip;q=0.5").as_bytes());
    }
    assert_eq!(server.asked, ["open app.js", "open app.js.zst", "open app.js.gz"]);
    server.receive(request("br").as_bytes());
    assert_eq!(server.asked[3..], ["open app.js.br"]);
    server.receive(get("/app.js", "").as_bytes());
    assert_eq!(server.asked.len(), 4);
    server.advance(0.1);
    server.receive(request("gzip").as_bytes());
    assert_eq!(server.asked[4..], ["open app.js", "open app.js.gz"]);
    server.receive(get("/app.js.gz", "").as_bytes());
    assert_eq!(server.asked[6..], ["open app.js.gz"]);
    let said = server.said();
    assert!(said.ends_with("GZIP") && said.matches("Content-Encoding: gzip\n").count() == 4);
}
