//! A protocol of lines: a peer says `hello NAME`, `count` or `quit`, and is answered.
//!
//! This file is the protocol, as a value that knows no host: bytes in, bytes out, however they are
//! cut. `component.rs` joins it to a host.
#![forbid(unsafe_code)]

pub mod component;

use torsade_guest::{Line, LineReceiver};

/// One connection.
#[derive(Debug)]
pub struct Session {
    lines: LineReceiver,
    greeting: String,
    /// Lines that were answered.
    count: u64,
    is_over: bool,
}

impl Session {
    /// A connection that was made just now.
    pub fn new(greeting: &str) -> Self {
        let lines = LineReceiver::new(LINE_MAX);
        Session { lines, greeting: greeting.to_owned(), count: 0, is_over: false }
    }

    /// Some bytes arrived. Appends what is to be sent to `out`.
    pub fn received(&mut self, data: &[u8], out: &mut Vec<u8>) {
        self.lines.extend(data);
        while !self.is_over
            && let Some(line) = self.lines.next()
        {
            let answer = self.answer(&line);
            out.extend_from_slice(answer.as_bytes());
            out.extend_from_slice(b"\r\n");
            self.count += 1;
        }
    }

    /// Whether the connection is to be closed once what is to be sent is sent.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    fn answer(&mut self, line: &Line) -> String {
        let Line::Whole(line) = line else {
            self.is_over = true;
            return format!("a line has at most {LINE_MAX} bytes");
        };
        let line = String::from_utf8_lossy(line);
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("hello", name) => format!("{}, {name}", self.greeting),
            ("count", "") => self.count.to_string(),
            ("quit", "") => {
                self.is_over = true;
                "bye".to_owned()
            }
            _ => "right is: hello NAME, count, quit".to_owned(),
        }
    }
}

/// The longest line, in bytes, without its end: each connection may hold that much.
const LINE_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::Session;

    fn answers(data: &str) -> String {
        let (mut session, mut out) = (Session::new("hello"), Vec::new());
        session.received(data.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_answered_in_their_order() {
        assert_eq!(answers("hello alice\r\ncount\n"), "hello, alice\r\n1\r\n");
        assert_eq!(answers("hello"), "", "no line yet");
    }

    #[test]
    fn nothing_is_answered_behind_the_end() {
        assert_eq!(answers("quit\r\ncount\r\n"), "bye\r\n");
    }
}
