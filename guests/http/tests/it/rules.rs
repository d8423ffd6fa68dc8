//! What the configuration says of paths and names: redirects, error pages, `Cache-Control`, hosts.

use crate::{Server, converse, get, statuses};

/// A request for this target at this host.
fn at(host: &str, target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

fn field<'a>(said: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = said.split_once("\n\n")?;
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn the_first_pattern_says_for_how_long_a_file_is_kept() {
    let config = r#"{"listing": true, "cache-control": [
        {"path": "/docs/page.html", "value": "no-store"},
        {"path": "/**/*.html", "value": "no-cache"},
        {"path": "/docs/**", "value": "max-age=60"},
        {"path": "/empty/", "value": "max-age=1"}
    ]}"#;
    for (target, want) in [
        ("/docs/page.html", Some("no-store")),
        ("/docs/%70age.html", Some("no-store")),
        ("/docs/", Some("no-cache")),
        ("/", Some("no-cache")),
        ("/docs/default.htm", Some("max-age=60")),
        ("/empty/", Some("max-age=1")),
        ("/digits", None),
        ("/docs/none", None),
        ("/docs", None),
    ] {
        assert_eq!(field(&converse(config, &get(target, "")), "Cache-Control"), want, "{target}");
    }
    let tag = "If-None-Match: *\r\n";
    let said = converse(config, &get("/docs/page.html", tag));
    assert!(said.starts_with("HTTP/1.1 304 "), "{said}");
    assert_eq!(field(&said, "Cache-Control"), Some("no-store"));
    let part = converse(config, &get("/docs/page.html", "Range: bytes=0-0\r\n"));
    assert_eq!(field(&part, "Cache-Control"), Some("no-store"));
}

const PAGES: &str = r#"{"error-pages": {
    "404": "error.html", "405": "none.html", "416": "error.html", "400": "docs", "501": "busy"
}}"#;

#[test]
fn an_error_has_the_sites_own_page() {
    let said = converse(PAGES, &(get("/none", "") + &get("/none", "")));
    let one = "HTTP/1.1 404 Not Found\nContent-Type: text/html; charset=utf-8\n\
               Content-Length: 8\n\n<p>error";
    assert_eq!(said, one.repeat(2));
    let said = converse(PAGES, &get("/digits", "Range: bytes=10-\r\n"));
    assert!(said.starts_with("HTTP/1.1 416 ") && said.ends_with("<p>error"), "{said}");
    assert_eq!(field(&said, "Content-Range"), Some("bytes */10"));
    let said = converse(PAGES, "HEAD /none HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(said.ends_with("\nContent-Length: 8\n\n"), "{said}");
    // The page by its own name is a file as any other.
    assert_eq!(statuses(PAGES, &get("/error.html", "")), "200");
}

#[test]
fn a_page_that_can_not_be_sent_leaves_the_error_as_it_is() {
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let said = converse(PAGES, post);
    assert!(said.starts_with("HTTP/1.1 405 ") && said.contains("<h1>405 "), "{said}");
    assert_eq!(field(&said, "Allow"), Some("GET, HEAD, OPTIONS"));
    for (input, want) in
        [(get("/..", ""), "400 closed"), (get("/", "").replace("GET", "X"), "501 closed")]
    {
        assert_eq!(statuses(PAGES, &input), want, "{input}");
    }
    let mut server = Server::new(PAGES);
    server.receive(post.as_bytes());
    assert_eq!(server.asked, ["open none.html"]);
}

#[test]
fn a_page_is_sent_although_the_connection_ends() {
    let config = r#"{"error-pages": {"417": "error.html", "404": "error.html"}}"#;
    let promised = "Content-Length: 3\r\nExpect: 100-continue\r\n";
    let long = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: x\r\n\r\nabc";
    let early = format!("GET /{} HTTP/1.1\r\nHost: a\r\n{promised}\r\n", "a".repeat(300));
    for (input, status) in [(long, "417"), (&early, "404")] {
        let said = converse(config, input);
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{said}");
        assert_eq!(field(&said, "Connection"), Some("close"));
        assert!(said.ends_with("<p>error[closed]"), "{said}");
        let mut server = Server::new(config);
        server.receive(input.as_bytes());
        server.advance(1000.0);
        assert_eq!(server.said(), said);
    }
}

#[test]
fn a_page_is_asked_for_as_rarely_as_any_file() {
    let mut server = Server::new(PAGES);
    for _ in 0..3 {
        server.receive(get("/none", "").as_bytes());
    }
    let asked = ["open none", "open error.html", "open none", "open none"];
    assert_eq!(server.asked, asked);
}

const MOVED: &str = r#"{"redirects": [
    {"from": "/old/**", "to": "/new/{rest}", "status": 308},
    {"from": "/*.php", "to": "/"},
    {"from": "/digits", "to": "https://other.test/digits", "status": 301}
]}"#;

#[test]
fn moved_paths_are_sent_on() {
    for (target, status, location) in [
        ("/old/a/b%20c?x=/../y", "308", "/new/a/b%20c?x=/../y"),
        ("/old/a/", "308", "/new/a/"),
        ("/old", "308", "/new/"),
        ("/old//evil.example/", "308", "/new/evil.example/"),
        ("//old/a", "308", "/new/a"),
        ("/x.php", "302", "/"),
        ("/digits", "301", "https://other.test/digits"),
        ("http://a/digits", "301", "https://other.test/digits"),
    ] {
        let said = converse(MOVED, &get(target, ""));
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {said}");
        assert_eq!(field(&said, "Location"), Some(location), "{target}");
        let mut server = Server::new(MOVED);
        server.receive(get(target, "").as_bytes());
        assert_eq!(server.asked, [""; 0], "{target}");
    }
    for (target, want) in [
        ("/OLD/a", "404"),
        ("/a/x.php", "404"),
        ("/old/..", "400 closed"),
        ("/old/%0a", "400 closed"),
    ] {
        assert_eq!(statuses(MOVED, &get(target, "")), want, "{target}");
    }
}

#[test]
fn what_is_sent_to_a_moved_path_is_read_first() {
    let post = "POST /old/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(statuses(MOVED, &(post.to_owned() + &get("/", ""))), "308 200");
    let promised = "PUT /old/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\
                    Expect: 100-continue\r\n\r\n";
    assert_eq!(statuses(MOVED, promised), "308 closed");
    let options = "OPTIONS /old/a HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(statuses(MOVED, options), "200");
    assert_eq!(statuses(MOVED, "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n"), "405");
}

const HOSTS: &str = r#"{
    "listing": true,
    "error-pages": {"404": "lost.txt", "421": "error.html"},
    "cache-control": [{"path": "/index.html", "value": "no-cache"}],
    "hosts": {
        "example.test": {"root": "example"},
        "*.example.test": {"redirects": [{"from": "/**", "to": "//example.test/{rest}"}]},
        "same.test": {"root": "example", "cache-control": [], "error-pages": {}, "index": []}
    }
}"#;

#[test]
fn each_name_has_its_root() {
    for host in ["example.test", "EXAMPLE.test:8080", "example.test."] {
        let said = converse(HOSTS, &at(host, "/"));
        assert!(said.ends_with("<p>example"), "{host}: {said}");
        assert_eq!(field(&said, "Cache-Control"), Some("no-cache"), "{host}");
    }
    let said = converse(HOSTS, &at("example.test", "/digits"));
    assert!(said.starts_with("HTTP/1.1 404 ") && said.ends_with("lost here"), "{said}");
    let said = converse(HOSTS, &at("www.example.test", "/a?b"));
    assert_eq!(field(&said, "Location"), Some("//example.test/a?b"));
    // The same files under other rules.
    let both = at("example.test", "/index.html") + &at("same.test", "/index.html");
    let both = both.clone() + &both;
    assert_eq!(converse(HOSTS, &both).matches("Cache-Control").count(), 2);
    let list = converse(HOSTS, &at("same.test", "/"));
    assert!(list.contains("<h1>Index of /</h1>") && list.contains("./lost.txt"), "{list}");
    assert!(!list.contains("../"), "{list}");
}

#[test]
fn the_target_names_the_host_before_the_field_does() {
    let said = converse(HOSTS, &at("other.test", "http://Example.test:80/"));
    assert!(said.ends_with("<p>example"), "{said}");
    assert_eq!(statuses(HOSTS, &at("example.test", "http://other.test/")), "421");
}

#[test]
fn another_name_is_told_so() {
    for host in ["other.test", "", "notexample.test", "127.0.0.1", "[::1]:80"] {
        let said = converse(HOSTS, &(at(host, "/") + &at("same.test", "/lost.txt")));
        assert!(said.starts_with("HTTP/1.1 421 Misdirected Request\n"), "{host}: {said}");
        assert!(said.contains("<p>errorHTTP/1.1 200 OK\n"), "{host}: {said}");
    }
    assert_eq!(statuses(HOSTS, "GET / HTTP/1.0\r\n\r\n"), "421 closed");
    let any = r#"{"hosts": {"*": {"root": "docs"}, "example.test": {"root": "example"}}}"#;
    assert!(converse(any, &at("other.test", "/")).ends_with("<p>docs"));
    assert!(converse(any, &at("example.test", "/")).ends_with("<p>example"));
    assert!(converse(any, "GET / HTTP/1.0\r\n\r\n").ends_with("<p>docs[closed]"));
}

#[test]
fn no_name_reaches_the_root_of_another() {
    for target in ["/../docs/", "/%2e%2e/docs/", "/..%2fdocs/"] {
        let mut server = Server::new(HOSTS);
        server.receive(at("example.test", target).as_bytes());
        assert!(server.asked.is_empty() && server.said().starts_with("HTTP/1.1 400 "), "{target}");
    }
    let mut server = Server::new(HOSTS);
    server.receive(at("example.test", "/docs").as_bytes());
    assert_eq!(server.asked, ["open example/docs", "open example/lost.txt"]);
    let said = converse(r#"{"hosts": {"*": {"root": "odd"}}}"#, &get("/index.html", ""));
    assert_eq!(field(&said, "Location"), Some("/index.html/"));
}
