//! Channels: whole requests out, whatever the cuts, and one answer after the other.

use torsade_http::channel::{Channel, Factory, Response, Step};
use torsade_http::config::Config;
use torsade_http::status::Status;

/// What is said to this input, cut like this: each request is answered by itself.
fn converse(pieces: &[&[u8]]) -> String {
    let config = Config { max_body: 20, ..Config::default() };
    let mut factory = Factory::new(config.limits(), "");
    factory.set_time(1, super::DATE);
    let mut channel = Channel::new(&factory);
    let mut out = Vec::new();
    for piece in pieces {
        let mut step = channel.received(&factory, piece, &mut out);
        loop {
            step = match step {
                Step::Answer(request) => {
                    let (head, body) = (request.head(), String::from_utf8_lossy(&request.body));
                    let target = String::from_utf8_lossy(head.target()).into_owned();
                    let response = Response::new(Status::Ok, "text/plain", target + " " + &body);
                    channel.answer(&factory, &response, &mut out)
                }
                Step::Close => return String::from_utf8_lossy(&out).into_owned() + "[closed]",
                Step::Resume => channel.resume(&factory, &mut out),
                Step::Wait => break,
            };
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The same, cut at every place and byte by byte.
fn answers(input: &str) -> String {
    let input = input.as_bytes();
    let want = converse(&[input]);
    for cut in 1..input.len() {
        assert_eq!(converse(&[&input[..cut], &input[cut..]]), want, "cut at {cut}");
    }
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(converse(&bytes), want, "byte by byte");
    want.replace("\r\n", "\n").replace("Date: Sun, 06 Nov 1994 08:49:37 GMT\n", "")
}

#[test]
fn requests_are_answered_in_order_with_their_bodies() {
    let said = answers(
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\
         GET /b HTTP/1.1\r\nHost: a\r\n\r\n\
         POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\nyou\r\n2\r\n :\r\n0\r\n\r\n\
         HEAD /d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    let fields = "Content-Type: text/plain\nContent-Length:";
    let want = format!(
        "HTTP/1.1 200 OK\n{fields} 8\n\n/a hello\
         HTTP/1.1 200 OK\n{fields} 3\n\n/b \
         HTTP/1.1 200 OK\n{fields} 8\n\n/c you :\
         HTTP/1.1 200 OK\nConnection: close\n{fields} 3\n\n[closed]"
    );
    assert_eq!(said, want);
}

#[test]
fn a_body_that_is_waited_for_is_asked_for() {
    let said = answers(
        "POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    );
    assert!(said.starts_with("HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\n"), "{said}");
}

#[test]
fn what_is_refused_ends_the_stream() {
    for (input, status) in [
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 21\r\n\r\n", "413"),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n15\r\n", "413"),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", "417"),
        ("HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n", "400"),
    ] {
        let said = answers(input);
        let last = said.rfind("HTTP/1.1 ").map(|at| &said[at + 9..]).unwrap();
        assert!(last.starts_with(status), "{input}: {said}");
        assert!(
            last.contains("Connection: close\n") && last.ends_with("</h1>\n[closed]"),
            "{said}"
        );
    }
}

#[test]
fn a_slow_request_is_told_so_and_an_idle_connection_is_closed() {
    let factory = Factory::new(Config::default().limits(), "");
    for (input, said) in [("GET / HT", "HTTP/1.1 408 "), ("", "")] {
        let (mut channel, mut out) = (Channel::new(&factory), Vec::new());
        assert!(matches!(channel.received(&factory, input.as_bytes(), &mut out), Step::Wait));
        assert!(channel.deadline().is_some());
        assert!(matches!(channel.timed_out(&factory, &mut out), Step::Close));
        assert!(String::from_utf8(out).unwrap().starts_with(said), "{input}");
    }
}

#[test]
fn a_stopping_host_finishes_what_is_going_on() {
    let mut factory = Factory::new(Config::default().limits(), "");
    let (mut idle, mut busy) = (Channel::new(&factory), Channel::new(&factory));
    let mut out = Vec::new();
    let step = busy.received(&factory, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &mut out);
    assert!(matches!(step, Step::Answer(_)));
    factory.stop();
    assert!(matches!(idle.stopping(), Step::Close));
    assert!(matches!(busy.stopping(), Step::Wait));
    let response = Response::error(Status::NotFound);
    assert!(matches!(busy.answer(&factory, &response, &mut out), Step::Close));
    assert!(String::from_utf8(out).unwrap().contains("Connection: close\r\n"));
}
