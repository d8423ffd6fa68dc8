//! No path leads the host out of its root, however it is written.

use crate::{Server, get, statuses};

#[test]
fn tricks_are_refused_before_the_host_is_asked() {
    for target in [
        "/..",
        "/../etc/passwd",
        "/docs/../../etc/passwd",
        "/docs/..",
        "/%2e%2e/etc/passwd",
        "/.%2e/etc/passwd",
        "/%2E%2E%2Fetc%2Fpasswd",
        "/..%2fetc/passwd",
        "/docs%2findex.html",
        "/..%5cetc",
        "/..\\etc",
        "/%5c%5chost%5cshare",
        "/digits%00",
        "/digits%00.html",
        "/%c0%ae%c0%ae/etc/passwd",
        "/%c0%af",
        "/%e0%80%af",
        "/%ff",
        "/%",
        "/%4",
        "/%4g",
        "/digits#x",
        "http://a/../x",
        "digits",
        "file:///etc/passwd",
        "a:80",
    ] {
        let mut server = Server::new(r#"{"listing": true}"#);
        server.receive(get(target, "").as_bytes());
        assert_eq!(server.asked, [""; 0], "{target}");
        assert_eq!(statuses("{}", &get(target, "")), "400 closed", "{target}");
    }
}

#[test]
fn honest_paths_are_asked_for_once_decoded() {
    for (target, asked, status) in [
        ("/digits", "open digits", "200"),
        ("//digits", "open digits", "200"),
        ("/./digits", "open digits", "200"),
        ("/%64igits?x=/../y", "open digits", "200"),
        ("/a%20b.txt", "open a b.txt", "200"),
        ("/%C3%A4.txt", "open \u{e4}.txt", "200"),
        ("/", "open index.html", "200"),
        ("/docs//", "open docs/index.html", "200"),
        ("http://a", "open index.html", "200"),
        ("HTTP://A:80/digits", "open digits", "200"),
        ("/%252e%252e/x", "open %2e%2e/x", "404"),
        ("/.../x", "open .../x", "404"),
    ] {
        let mut server = Server::new("{}");
        server.receive(get(target, "").as_bytes());
        assert_eq!(server.asked, [asked], "{target}");
        assert_eq!(statuses("{}", &get(target, "")), status, "{target}");
    }
}

#[test]
fn names_that_no_file_has_are_not_asked_for() {
    for target in [format!("/{}", "a".repeat(300)), "/abcdefgh".repeat(500)] {
        let mut server = Server::new("{}");
        server.receive(get(&target, "").as_bytes());
        assert!(server.asked.is_empty() && server.said().starts_with("HTTP/1.1 404"));
    }
}
