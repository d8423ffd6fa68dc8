//! Conversations with the server of files: bytes in, bytes out, over a file system that is a
//! table. Each is repeated with its input cut at every place, and must come out the same.

mod channel;
mod codings;
mod connection;
mod files;
mod framing;
mod parts;
mod paths;
mod rules;
mod server;
mod slow;
mod time;
mod users;

pub(crate) use server::{DATE, Server, metadata, open};

/// Sends the input, cut at every place, byte by byte and whole; gives what was answered, each
/// time the same.
fn converse(config: &str, input: &str) -> String {
    let input = input.as_bytes();
    let mut whole = Server::new(config);
    whole.receive(input);
    let want = whole.said();
    for cut in 1..input.len() {
        let mut server = Server::new(config);
        server.receive(&input[..cut]);
        server.receive(&input[cut..]);
        let (before, after) = (&input[..cut], &input[cut..]);
        let (before, after) = (String::from_utf8_lossy(before), String::from_utf8_lossy(after));
        assert_eq!(server.said(), want, "cut between {before:?} and {after:?}");
    }
    let mut server = Server::new(config);
    for byte in input {
        server.receive(&[*byte]);
    }
    assert_eq!(server.said(), want, "byte by byte: {:?}", String::from_utf8_lossy(input));
    want
}

/// The statuses in an answer, and whether the connection was closed: `200 404 closed`.
fn statuses(config: &str, input: &str) -> String {
    let said = converse(config, input);
    let mut words: Vec<&str> = said
        .lines()
        .filter_map(|line| line.split_once("HTTP/1.1 "))
        .filter_map(|(_, rest)| rest.get(..3))
        .collect();
    if said.ends_with("[closed]") {
        words.push("closed");
    }
    words.join(" ")
}

/// A request for this target with these fields.
fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}
