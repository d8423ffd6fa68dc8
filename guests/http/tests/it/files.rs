//! What is sent for files and folders: fields, ranges, conditions, pages.

use crate::{Server, converse, get, statuses};

const TAG: &str = "\"2ebc9685.11-a-5\"";
const MODIFIED: &str = "Sun, 06 Nov 1994 08:40:37 GMT";
const FIELDS: &str = "Last-Modified: Sun, 06 Nov 1994 08:40:37 GMT\n\
    ETag: \"2ebc9685.11-a-5\"\nAccept-Ranges: bytes\nContent-Type: application/octet-stream\n";

#[test]
fn a_file_is_sent_with_what_is_known_of_it() {
    assert_eq!(
        converse("{}", &get("/digits", "")),
        format!("HTTP/1.1 200 OK\n{FIELDS}Content-Length: 10\n\n0123456789")
    );
}

#[test]
fn every_answer_tells_date_and_server() {
    let mut server = Server::new(r#"{"server": "me"}"#);
    server.receive(get("/none", "").as_bytes());
    let out = String::from_utf8(server.out).unwrap();
    let want = "HTTP/1.1 404 Not Found\r\nServer: me\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    assert!(out.starts_with(want), "{out}");
    let mut server = Server::new(r#"{"server": ""}"#);
    server.receive(get("/none", "").as_bytes());
    assert!(server.out.starts_with(b"HTTP/1.1 404 Not Found\r\nDate: Sun"));
}

#[test]
fn head_tells_the_same_without_the_content() {
    let head = |target: &str| format!("HEAD {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    for target in ["/digits", "/nothing.txt", "/", "/none", "/docs", "/docs/"] {
        let whole = converse("{}", &get(target, ""));
        let (fields, _) = whole.split_once("\n\n").unwrap();
        assert_eq!(converse("{}", &head(target)), format!("{fields}\n\n"), "{target}");
    }
    let listed = converse(r#"{"listing": true}"#, &head("/empty/"));
    assert!(listed.starts_with("HTTP/1.1 200") && listed.ends_with("\n\n"), "{listed}");
}

#[test]
fn options_tells_what_can_be_done() {
    let want = "HTTP/1.1 200 OK\nAllow: GET, HEAD, OPTIONS\nContent-Length: 0\n\n";
    for target in ["*", "/", "/none", "http://a/x"] {
        let input = format!("OPTIONS {target} HTTP/1.1\r\nHost: a\r\nIf-Match: \"x\"\r\n\r\n");
        assert_eq!(converse("{}", &input), want, "{target}");
    }
    assert_eq!(statuses("{}", "GET * HTTP/1.1\r\nHost: a\r\n\r\n"), "400 closed");
}

#[test]
fn ranges() {
    let part = |range: &str, content: &str| {
        let length = content.len();
        format!(
            "HTTP/1.1 206 Partial Content\n{FIELDS}Content-Range: bytes {range}/10\n\
             Content-Length: {length}\n\n{content}"
        )
    };
    let ask = |field: &str| converse("{}", &get("/digits", &format!("{field}\r\n")));
    assert_eq!(ask("Range: bytes=2-4"), part("2-4", "234"));
    assert_eq!(ask("Range: bytes=-1"), part("9-9", "9"));
    assert_eq!(ask("range:bytes=0-"), part("0-9", "0123456789"));
    let none = ask("Range: bytes=10-");
    assert!(none.starts_with(
        "HTTP/1.1 416 Range Not Satisfiable\nContent-Range: bytes */10\nContent-Type: text/html"
    ));
    for ignored in ["Range: bytes=9-2", "Range: lines=1-2", "Range: bytes=0-1\r\nRange: bytes=0-1"]
    {
        assert!(ask(ignored).starts_with("HTTP/1.1 200"), "{ignored}");
    }
    let head = "HEAD /digits HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n";
    assert_eq!(statuses("{}", head), "200");
    let old = "GET /digits HTTP/1.0\r\nRange: bytes=0-1\r\n\r\n";
    assert_eq!(statuses("{}", old), "206 closed");
}

#[test]
fn conditions_in_the_order_of_the_rfc() {
    let earlier = "Sun, 06 Nov 1994 08:40:36 GMT";
    let later = "Sunday, 06-Nov-94 08:40:38 GMT";
    for (fields, want) in [
        (format!("If-Match: {TAG}"), "200"),
        ("If-Match: *".into(), "200"),
        (format!("If-Match: \"a\", {TAG}"), "200"),
        (format!("If-Match: \"a\"\r\nIf-Match: {TAG}"), "200"),
        (format!("If-Match: W/{TAG}"), "412"),
        ("If-Match: \"a\"".into(), "412"),
        ("If-Match: ".into(), "412"),
        (format!("If-Unmodified-Since: {MODIFIED}"), "200"),
        (format!("If-Unmodified-Since: {later}"), "200"),
        (format!("If-Unmodified-Since: {earlier}"), "412"),
        ("If-Unmodified-Since: never".into(), "200"),
        (format!("If-None-Match: {TAG}"), "304"),
        (format!("If-None-Match: W/{TAG}"), "304"),
        ("If-None-Match: *".into(), "304"),
        ("If-None-Match: \"a\"".into(), "200"),
        (format!("If-Modified-Since: {MODIFIED}"), "304"),
        (format!("If-Modified-Since: {later}"), "304"),
        (format!("If-Modified-Since: {earlier}"), "200"),
        ("If-Modified-Since: never".into(), "200"),
        (format!("If-Modified-Since: {later}\r\nIf-Modified-Since: {later}"), "200"),
        // Tags come before dates, and what must hold before what must not.
        (format!("If-Match: {TAG}\r\nIf-Unmodified-Since: {earlier}"), "200"),
        (format!("If-None-Match: \"a\"\r\nIf-Modified-Since: {later}"), "200"),
        (format!("If-None-Match: {TAG}\r\nIf-Modified-Since: {earlier}"), "304"),
        (format!("If-None-Match: {TAG}\r\nIf-Match: \"a\""), "412"),
        (format!("If-Modified-Since: {later}\r\nIf-Unmodified-Since: {earlier}"), "412"),
        // And a range comes last.
        (format!("Range: bytes=0-1\r\nIf-None-Match: {TAG}"), "304"),
        ("Range: bytes=99-\r\nIf-Match: \"a\"".into(), "412"),
        (format!("Range: bytes=0-1\r\nIf-Range: {TAG}"), "206"),
        (format!("Range: bytes=0-1\r\nIf-Range: W/{TAG}"), "200"),
        ("Range: bytes=0-1\r\nIf-Range: \"a\"".into(), "200"),
        (format!("Range: bytes=0-1\r\nIf-Range: {MODIFIED}"), "206"),
        (format!("Range: bytes=0-1\r\nIf-Range: {later}"), "200"),
        (format!("Range: bytes=0-1\r\nIf-Range: {earlier}"), "200"),
        (format!("Range: bytes=99-\r\nIf-Range: {TAG}"), "416"),
        ("Range: bytes=99-\r\nIf-Range: \"a\"".into(), "200"),
        (format!("If-Range: {TAG}"), "200"),
    ] {
        let fields = format!("{fields}\r\n");
        assert_eq!(statuses("{}", &get("/digits", &fields)), want, "{fields}");
        if !fields.contains("Range") {
            let head = get("/digits", &fields).replacen("GET", "HEAD", 1);
            assert_eq!(statuses("{}", &head), want, "HEAD {fields}");
        }
    }
}

#[test]
fn what_the_client_has_is_not_sent_again() {
    let input = get("/digits", &format!("If-None-Match: {TAG}\r\n"));
    let want = format!("HTTP/1.1 304 Not Modified\nLast-Modified: {MODIFIED}\nETag: {TAG}\n\n");
    assert_eq!(converse("{}", &input), want);
}

#[test]
fn folders() {
    assert!(converse("{}", &get("/", "")).ends_with("<p>home"));
    assert!(converse("{}", &get("/docs/", "")).ends_with("<p>docs"));
    let config = r#"{"index": ["missing.html", "default.htm", "index.html"]}"#;
    assert!(converse(config, &get("/docs/", "")).ends_with("<p>default"));
    for (config, target, want) in [
        ("{}", "/empty/", "404"),
        ("{}", "/none/", "404"),
        ("{}", "/digits/", "404"),
        // An index that is itself a folder is none.
        ("{}", "/odd/", "404"),
        (r#"{"index": []}"#, "/docs/", "404"),
        (r#"{"index": [], "listing": true}"#, "/docs/", "200"),
        (r#"{"listing": true}"#, "/empty/", "200"),
        (r#"{"listing": true}"#, "/odd/", "200"),
        (r#"{"listing": true}"#, "/none/", "404"),
        (r#"{"listing": true}"#, "/digits/", "404"),
        ("{}", "/busy", "503"),
        ("{}", "/broken", "500"),
    ] {
        assert_eq!(statuses(config, &get(target, "")), want, "{config} {target}");
    }
}

#[test]
fn a_listing_links_what_is_there() {
    let page = converse(r#"{"index": [], "listing": true}"#, &get("/", ""));
    assert!(page.contains("Content-Type: text/html; charset=utf-8\n"));
    assert!(page.contains("<h1>Index of /</h1>"));
    assert!(page.contains("<a href=\"./docs/\">docs/</a>"));
    assert!(page.contains("<a href=\"./a%20b.txt\">a b.txt</a>"));
    assert!(!page.contains("page.html"));
    let page = converse(r#"{"index": [], "listing": true}"#, &get("/docs/", ""));
    assert!(page.contains("<a href=\"../\">") && page.contains("<a href=\"./page.html\">"));
}

#[test]
fn a_folder_without_a_slash_is_sent_on() {
    for (target, location) in [
        ("/docs", "/docs/"),
        ("/docs?a=b&c", "/docs/?a=b&c"),
        ("//docs", "/docs/"),
        ("/%64ocs", "/docs/"),
        ("http://other/docs?x", "/docs/?x"),
        ("/odd/index.html", "/odd/index.html/"),
    ] {
        let said = converse("{}", &get(target, ""));
        let want = format!("HTTP/1.1 301 Moved Permanently\nLocation: {location}\n");
        assert!(said.starts_with(&want), "{target}: {said}");
    }
}

#[test]
fn a_file_that_was_just_opened_is_not_asked_for_again() {
    let mut server = Server::new("{}");
    for _ in 0..3 {
        server.receive(get("/digits", "").as_bytes());
        server.receive(get("/", "").as_bytes());
    }
    assert_eq!(server.asked, ["open digits", "open index.html"]);
    server.advance(0.1);
    server.receive(get("/digits", "").as_bytes());
    assert_eq!(server.asked.len(), 3);
    assert_eq!(server.said().matches("HTTP/1.1 200").count(), 7);
}

#[test]
fn the_access_log_has_a_line_for_each_answer() {
    let mut server = Server::new(r#"{"access-log": true}"#);
    let fields = "User-Agent: \"x\\\t\u{e4}\r\nReferer: http://b/\r\n";
    server.receive(get("/digits?q", fields).as_bytes());
    server.receive(b"HEAD /none HTTP/1.0\r\n\r\n");
    let mut refused = Server::new(r#"{"access-log": true}"#);
    refused.receive(b"nonsense\r\n\r\n");
    let date = "- - [06/Nov/1994:08:49:37 +0000]";
    assert_eq!(
        server.site.log,
        [
            format!(
                "{date} \"GET /digits?q HTTP/1.1\" 200 10 \"http://b/\" \
             \"\\\"x\\\\\\x09\\xc3\\xa4\""
            ),
            format!("{date} \"HEAD /none HTTP/1.0\" 404 0 \"-\" \"-\""),
        ]
    );
    let length = refused.said().split_once("\n\n").unwrap().1.len() - "[closed]".len();
    assert_eq!(refused.site.log, [format!("{date} \"-\" 400 {length} \"-\" \"-\"")]);
    let mut silent = Server::new("{}");
    silent.receive(get("/", "").as_bytes());
    assert!(silent.site.log.is_empty());
}
