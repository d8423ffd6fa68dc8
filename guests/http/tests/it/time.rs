//! How long a peer may take.

use crate::{Server, get};

const CONFIG: &str = r#"{"head-timeout": 10, "body-timeout": 30, "keep-alive-timeout": 60}"#;

#[test]
fn a_silent_connection_is_closed_silently() {
    let mut server = Server::new(CONFIG);
    server.advance(59.9);
    assert!(!server.is_closed);
    server.advance(0.1);
    assert_eq!(server.said(), "[closed]");
}

#[test]
fn so_is_one_between_requests() {
    let mut server = Server::new(CONFIG);
    server.advance(50.0);
    server.receive(get("/digits", "").as_bytes());
    let said = server.said();
    server.advance(59.0);
    assert_eq!(server.said(), said);
    server.advance(1.0);
    assert_eq!(server.said(), said + "[closed]");
}

#[test]
fn a_head_has_its_time_from_its_first_byte() {
    let mut server = Server::new(CONFIG);
    server.advance(50.0);
    server.receive(b"GET / HT");
    server.advance(9.0);
    server.receive(b"TP/1.1\r\n");
    server.advance(0.9);
    assert_eq!(server.said(), "");
    server.advance(0.1);
    let said = server.said();
    assert!(said.starts_with("HTTP/1.1 408 Request Timeout\nConnection: close\n"), "{said}");
    assert!(said.ends_with("[closed]"));
}

#[test]
fn a_body_has_its_time_from_the_end_of_the_head() {
    let mut server = Server::new(CONFIG);
    server.receive(get("/digits", "Content-Length: 3\r\n").as_bytes());
    server.advance(20.0);
    server.receive(b"ab");
    server.advance(9.9);
    assert_eq!(server.said(), "");
    server.advance(0.1);
    assert!(server.said().starts_with("HTTP/1.1 408 "));
    assert!(server.is_closed);
}

#[test]
fn nothing_is_due_behind_the_end() {
    let mut server = Server::new(CONFIG);
    server.receive(b"GET / HTTP/1.0\r\n\r\n");
    let said = server.said();
    server.advance(1000.0);
    server.receive(get("/", "").as_bytes());
    assert_eq!(server.said(), said);
    assert_eq!(server.session.deadline(), None);
}
