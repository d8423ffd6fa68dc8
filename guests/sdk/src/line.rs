//! Lines out of a stream: Twisted's `LineReceiver`, as a value that a protocol owns.

use std::collections::VecDeque;

/// Cuts a stream into lines that end with LF or CR LF, of which it takes both away.
///
/// It is a framer: it knows no transport. Where TLS begins in mid-stream
/// [`Transport::start_tls`](crate::Transport::start_tls) clears it, so that nothing that came in
/// clear is taken for what comes encrypted.
///
/// ```
/// use torsade_guest::{Line, LineReceiver};
///
/// let mut lines = LineReceiver::new(512);
/// lines.extend(b"HELO there\r\nSTART");
/// assert_eq!(lines.next(), Some(Line::Whole(b"HELO there".to_vec())));
/// assert_eq!(lines.next(), None);
/// lines.extend(b"TLS\r\nMAIL FROM:<injected>\r\n");
/// assert_eq!(lines.next(), Some(Line::Whole(b"STARTTLS".to_vec())));
/// lines.clear();
/// assert_eq!(lines.next(), None);
/// ```
#[derive(Clone, Debug)]
pub struct LineReceiver {
    bytes: VecDeque<u8>,
    /// So many bytes were looked at, and are no LF.
    seen: usize,
    most: usize,
    /// The rest of a line that was too long is thrown away.
    skipping: bool,
}

/// What a [`LineReceiver`] found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Line {
    /// A line, without its end.
    Whole(Vec<u8>),
    /// The beginning of a line that is longer than it may be. The rest of it is thrown away.
    TooLong(Vec<u8>),
}

impl LineReceiver {
    /// A receiver of lines of at most so many bytes, their end not counted.
    pub fn new(most: usize) -> Self {
        LineReceiver { bytes: VecDeque::new(), seen: 0, most, skipping: false }
    }

    /// Takes what arrived.
    pub fn extend(&mut self, data: &[u8]) {
        self.bytes.extend(data);
    }

    /// Forgets what it holds, the begun line too: for the moment when TLS begins (RFC 3207,
    /// section 4.2).
    pub fn clear(&mut self) {
        self.bytes.clear();
        (self.seen, self.skipping) = (0, false);
    }

    /// How many bytes it holds.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes all that it holds, for a protocol that goes on without lines (SMTP's `BDAT`).
    pub fn take_rest(&mut self) -> Vec<u8> {
        self.seen = 0;
        self.bytes.drain(..).collect()
    }

    fn end(&mut self) -> Option<usize> {
        let found = self.bytes.range(self.seen..).position(|&byte| byte == b'\n');
        let at = found.map(|n| n + self.seen);
        self.seen = if at.is_some() { 0 } else { self.bytes.len() };
        at
    }
}

impl Iterator for LineReceiver {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        loop {
            let end = self.end();
            if self.skipping {
                let Some(at) = end else {
                    self.clear();
                    self.skipping = true;
                    return None;
                };
                self.bytes.drain(..=at);
                self.skipping = false;
                continue;
            }
            let Some(at) = end else {
                // A CR that may belong to the end doesn't count.
                let held = self.bytes.len() - usize::from(self.bytes.back() == Some(&b'\r'));
                if held <= self.most {
                    return None;
                }
                let line = self.bytes.drain(..self.most).collect();
                self.clear();
                self.skipping = true;
                return Some(Line::TooLong(line));
            };
            let mut line: Vec<u8> = self.bytes.drain(..=at).collect();
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            return Some(match line.len() > self.most {
                true => {
                    line.truncate(self.most);
                    Line::TooLong(line)
                }
                false => Line::Whole(line),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, LineReceiver};

    /// What comes out where the stream is cut into chunks of a length.
    fn lines(stream: &[u8], chunk: usize) -> Vec<Line> {
        let mut receiver = LineReceiver::new(4);
        let mut all = Vec::new();
        for data in stream.chunks(chunk) {
            receiver.extend(data);
            all.extend(&mut receiver);
        }
        all
    }

    #[test]
    fn lines_are_the_same_wherever_the_stream_is_cut() {
        let whole = |line: &[u8]| Line::Whole(line.to_vec());
        let long = |line: &[u8]| Line::TooLong(line.to_vec());
        let stream = b"a\r\nbcde\nbcde\r\nbcdef\r\n\r\n\n12345678901234\nx\rz\r\nend";
        let want = [
            whole(b"a"),
            whole(b"bcde"),
            whole(b"bcde"),
            long(b"bcde"),
            whole(b""),
            whole(b""),
            long(b"1234"),
            whole(b"x\rz"),
        ];
        for chunk in 1..=stream.len() {
            assert_eq!(lines(stream, chunk), want, "in chunks of {chunk}");
        }
    }

    #[test]
    fn a_line_without_end_takes_no_more_memory_than_it_may() {
        let mut receiver = LineReceiver::new(100);
        let mut found = Vec::new();
        for _ in 0..1000 {
            receiver.extend(&[b'x'; 1000]);
            found.extend(&mut receiver);
            assert!(receiver.len() <= 101);
        }
        assert_eq!(found, [Line::TooLong(vec![b'x'; 100])]);
    }

    #[test]
    fn what_was_cleared_never_comes() {
        let mut receiver = LineReceiver::new(100);
        receiver.extend(b"STARTTLS\r\nRCPT TO:<a>\r\nRC");
        assert_eq!(receiver.next(), Some(Line::Whole(b"STARTTLS".to_vec())));
        receiver.clear();
        receiver.extend(b"EHLO\r\n");
        assert_eq!(receiver.next(), Some(Line::Whole(b"EHLO".to_vec())));
        assert_eq!(receiver.next(), None);
    }
}
