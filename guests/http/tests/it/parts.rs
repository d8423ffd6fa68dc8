//! Several ranges of one file in one answer (RFC 9110, section 14).

use crate::{Server, converse, get, statuses};

/// The answer to these ranges of `digits`: its head, and its content with the boundary as `SIGN`.
fn ask(fields: &str) -> (String, String) {
    let said = converse("{}", &get("/digits", &format!("{fields}\r\n")));
    let (head, content) = said.split_once("\n\n").expect("an answer has a head");
    let boundary = head.split_once("; boundary=").and_then(|(_, rest)| rest.lines().next());
    let boundary = boundary.unwrap_or("no boundary");
    assert_eq!(head.matches("Content-Length").count(), 1, "{head}");
    (head.replace(boundary, "SIGN"), content.replace(boundary, "SIGN"))
}

fn parts(parts: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (range, content) in parts {
        text += "--SIGN\nContent-Type: application/octet-stream\n";
        text += &format!("Content-Range: bytes {range}/10\n\n{content}\n");
    }
    text + "--SIGN--\n"
}

#[test]
fn each_part_is_sent_with_its_place() {
    let (head, content) = ask("Range: bytes=0-1,-2");
    assert!(head.starts_with("HTTP/1.1 206 Partial Content\nLast-Modified: "), "{head}");
    assert!(head.contains("\nContent-Type: multipart/byteranges; boundary=SIGN\n"), "{head}");
    assert!(head.contains("\nAccept-Ranges: bytes\n") && head.contains("\nETag: "), "{head}");
    assert!(!head.contains("Content-Range") && !head.contains("octet-stream"), "{head}");
    assert_eq!(content, parts(&[("0-1", "01"), ("8-9", "89")]));
    let (_, content) = ask("Range: bytes=8-,0-0 , 20-,4-5,5-6");
    assert_eq!(content, parts(&[("8-9", "89"), ("0-0", "0"), ("4-6", "456")]));
}

#[test]
fn the_length_counts_what_stands_between_the_parts() {
    let mut server = Server::new("{}");
    server.receive(get("/digits", "Range: bytes=0-1,-2\r\n").as_bytes());
    let out = String::from_utf8(server.out).unwrap();
    let (head, content) = out.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    assert_eq!(length.parse(), Ok(content.len()));
}

#[test]
fn one_part_that_is_left_is_sent_as_one() {
    for ranges in ["0-1,2-4", "0-4,1-2", "0-4,30-", "0-0,3-4,1-2"] {
        let (head, content) = ask(&format!("Range: bytes={ranges}"));
        assert!(head.contains("\nContent-Range: bytes 0-4/10\n"), "{ranges}: {head}");
        assert_eq!(content, "01234", "{ranges}");
    }
}

#[test]
fn what_can_not_be_understood_or_is_too_much_is_answered_with_all() {
    let many: Vec<_> = (0..17).map(|_| "0-0").collect();
    for ranges in ["0-1,x", "0-1,4-3", &many.join(",")] {
        let (head, content) = ask(&format!("Range: bytes={ranges}"));
        assert!(head.starts_with("HTTP/1.1 200 OK\n"), "{ranges}: {head}");
        assert_eq!(content, "0123456789", "{ranges}");
    }
    let none = get("/digits", "Range: bytes=10-,20-30,-0\r\n");
    assert_eq!(statuses("{}", &none), "416");
}

#[test]
fn several_ranges_are_conditional_as_one_is() {
    let tag = "\"2ebc9685.11-a-5\"";
    let ranges = "Range: bytes=0-1,4-5\r\n";
    for (fields, want) in [
        (format!("If-Range: {tag}\r\n"), "206"),
        ("If-Range: \"a\"\r\n".into(), "200"),
        (format!("If-None-Match: {tag}\r\n"), "304"),
        ("If-Match: \"a\"\r\n".into(), "412"),
    ] {
        let input = get("/digits", &format!("{ranges}{fields}"));
        assert_eq!(statuses("{}", &input), want, "{fields}");
    }
    let head = format!("HEAD /digits HTTP/1.1\r\nHost: a\r\n{ranges}\r\n");
    assert_eq!(statuses("{}", &head), "200");
}

#[test]
fn the_next_answer_follows_the_last_part() {
    let input = get("/digits", "Range: bytes=0-1,4-5\r\n") + &get("/docs/page.html", "");
    let said = converse("{}", &input);
    assert!(said.contains("--\nHTTP/1.1 200 OK\n") && said.ends_with("<p>page"), "{said}");
    let last = "GET /digits HTTP/1.0\r\nRange: bytes=0-1,4-5\r\n\r\n";
    assert!(converse("{}", last).ends_with("--\n[closed]"));
}
