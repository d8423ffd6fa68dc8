//! One connection's questions and answers: lines in, lines out, in the same order, whatever order
//! the answers come in.

use std::collections::VecDeque;

/// The longest line in bytes, without the newline: a name has at most 253 (RFC 1035, section 2.3.4),
/// and more than that is for the resolver to refuse.
pub const LINE_MAX: usize = 1000;

/// How many questions of one connection are asked at once. The next ones wait, and then so does
/// the peer.
pub const PIPELINE_MAX: usize = 16;

/// The names that a peer asks for, and the answers that it has not got yet.
///
/// Feed it with [`received`](Self::received) and [`ended`](Self::ended), ask what
/// [`next_question`](Self::next_question) gives until there is none, tell the answers by
/// [`answered`](Self::answered), and send what [`take_answers`](Self::take_answers) gives. While
/// [`is_full`](Self::is_full), the peer is to be paused; once it [`is_over`](Self::is_over), the
/// connection is to be closed.
#[derive(Debug, Default)]
pub struct Conversation {
    /// What arrived and was not asked yet: at most a chunk, and a line that isn't whole.
    input: Vec<u8>,
    /// Where in `input` the first line begins that was not asked.
    start: usize,
    /// The answers that are to be sent, the oldest first; none where it isn't there yet.
    answers: VecDeque<Option<String>>,
    /// The number of the oldest one.
    first: u64,
    /// Nothing more will arrive, or what does is not listened to.
    has_ended: bool,
}

/// A name that the peer asks for.
#[derive(Debug, Eq, PartialEq)]
pub struct Question {
    /// What [`Conversation::answered`] is told.
    pub number: u64,
    /// The name, which may be no name at all.
    pub name: String,
}

impl Conversation {
    /// Bytes arrived.
    pub fn received(&mut self, data: &[u8]) {
        if !self.has_ended {
            self.input.drain(..std::mem::take(&mut self.start));
            self.input.extend_from_slice(data);
        }
    }

    /// The peer has ended its half of the stream. A last line may lack its end.
    pub fn ended(&mut self) {
        if !self.has_ended && self.start < self.input.len() {
            self.input.push(b'\n');
        }
        self.has_ended = true;
    }

    /// The next name to look up. None where there is none, or where enough are looked up already.
    pub fn next_question(&mut self) -> Option<Question> {
        while self.answers.len() < PIPELINE_MAX {
            let rest = &self.input[self.start..];
            let end = rest.iter().take(LINE_MAX + 1).position(|&byte| byte == b'\n');
            let Some(line) = end.map(|end| &rest[..end]) else {
                if rest.len() > LINE_MAX {
                    self.give_up(format!("error: a line has more than {LINE_MAX} bytes"));
                }
                return None;
            };
            let name = line.trim_ascii();
            let name = (!name.is_empty()).then(|| String::from_utf8_lossy(name).into_owned());
            self.start += line.len() + 1;
            let number = self.first + self.answers.len() as u64;
            match name {
                Some(name) => {
                    self.answers.push_back(None);
                    return Some(Question { number, name });
                }
                None => self.answers.push_back(Some("error: an empty line is no name".to_owned())),
            }
        }
        None
    }

    /// Answers once more and listens no longer.
    fn give_up(&mut self, answer: String) {
        self.answers.push_back(Some(answer));
        self.has_ended = true;
        self.input = Vec::new();
        self.start = 0;
    }

    /// The answer to a question, as a line without its end. Another number than that of an open
    /// question is ignored.
    pub fn answered(&mut self, number: u64, answer: String) {
        let place = number.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        if let Some(open @ None) = place.and_then(|place| self.answers.get_mut(place)) {
            *open = Some(answer);
        }
    }

    /// The answers that may be sent now, as lines: up to the first that isn't there yet.
    pub fn take_answers(&mut self) -> String {
        let mut lines = String::new();
        while let Some(Some(answer)) = self.answers.front() {
            // One answer is one line, whatever the name has in it.
            lines.extend(answer.chars().map(|char| if char.is_control() { ' ' } else { char }));
            lines.push('\n');
            self.answers.pop_front();
            self.first += 1;
        }
        lines
    }

    /// Whether the peer has asked for more than is looked up at once.
    pub fn is_full(&self) -> bool {
        self.answers.len() >= PIPELINE_MAX
    }

    /// Whether all that will ever be asked was answered.
    pub fn is_over(&self) -> bool {
        self.has_ended && self.answers.is_empty() && self.start == self.input.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{Conversation, LINE_MAX, PIPELINE_MAX, Question};

    /// All that is to be looked up now.
    fn names(conversation: &mut Conversation) -> Vec<String> {
        let ask = || conversation.next_question().map(|question| question.name);
        std::iter::from_fn(ask).collect()
    }

    fn question(number: u64, name: &str) -> Option<Question> {
        Some(Question { number, name: name.to_owned() })
    }

    #[test]
    fn a_line_is_a_question_wherever_it_is_cut() {
        let text = b"localhost\r\n  127.0.0.1\n";
        for cut in 0..=text.len() {
            let mut conversation = Conversation::default();
            let mut all = Vec::new();
            for piece in [&text[..cut], &text[cut..]] {
                conversation.received(piece);
                all.extend(names(&mut conversation));
            }
            assert_eq!(all, ["localhost", "127.0.0.1"], "cut at {cut}");
        }
    }

    #[test]
    fn answers_keep_the_order_of_the_questions() {
        let mut conversation = Conversation::default();
        conversation.received(b"a\nb\nc\n");
        assert_eq!(conversation.next_question(), question(0, "a"));
        assert_eq!(conversation.next_question(), question(1, "b"));
        assert_eq!(conversation.next_question(), question(2, "c"));
        assert_eq!(conversation.next_question(), None);
        conversation.answered(1, "2".to_owned());
        assert_eq!(conversation.take_answers(), "");
        conversation.answered(0, "1".to_owned());
        assert_eq!(conversation.take_answers(), "1\n2\n");
        conversation.answered(0, "late".to_owned());
        conversation.answered(9, "early".to_owned());
        conversation.answered(2, "3".to_owned());
        conversation.answered(2, "again".to_owned());
        assert_eq!(conversation.take_answers(), "3\n");
        conversation.received(b"d\n");
        assert_eq!(conversation.next_question(), question(3, "d"));
    }

    #[test]
    fn only_so_many_are_asked_at_once() {
        let mut conversation = Conversation::default();
        conversation.received("name\n".repeat(PIPELINE_MAX + 1).as_bytes());
        assert_eq!(names(&mut conversation).len(), PIPELINE_MAX);
        assert!(conversation.is_full());
        conversation.answered(0, "1".to_owned());
        assert_eq!(conversation.take_answers(), "1\n");
        assert!(!conversation.is_full());
        assert_eq!(conversation.next_question(), question(PIPELINE_MAX as u64, "name"));
        assert_eq!(conversation.next_question(), None);
    }

    #[test]
    fn an_empty_line_has_an_answer_in_its_place() {
        let mut conversation = Conversation::default();
        conversation.received(b"\na\n \r\n");
        assert_eq!(names(&mut conversation), ["a"]);
        assert_eq!(conversation.take_answers(), "error: an empty line is no name\n");
        conversation.answered(1, "1".to_owned());
        assert_eq!(conversation.take_answers(), "1\nerror: an empty line is no name\n");
    }

    #[test]
    fn a_line_that_is_too_long_is_the_last() {
        for more in [0, 1, 70_000] {
            let mut conversation = Conversation::default();
            conversation.received(b"a\n");
            conversation.received(&vec![b'x'; LINE_MAX + more]);
            assert_eq!(names(&mut conversation), ["a"]);
            conversation.received(b"\nb\n");
            let asked = names(&mut conversation);
            conversation.answered(0, "1".to_owned());
            let answers = conversation.take_answers();
            if more == 0 {
                assert_eq!(asked.len(), 2);
                continue;
            }
            assert_eq!(asked.len(), 0);
            assert_eq!(answers, "1\nerror: a line has more than 1000 bytes\n");
            assert!(conversation.is_over());
        }
    }

    #[test]
    fn the_last_line_may_lack_its_end() {
        let mut conversation = Conversation::default();
        conversation.received(b"a\nb");
        assert_eq!(names(&mut conversation), ["a"]);
        conversation.ended();
        assert_eq!(names(&mut conversation), ["b"]);
        assert!(!conversation.is_over());
        conversation.answered(0, "1".to_owned());
        conversation.answered(1, "2".to_owned());
        assert!(!conversation.is_over(), "the answers are not sent yet");
        assert_eq!(conversation.take_answers(), "1\n2\n");
        assert!(conversation.is_over());
    }

    #[test]
    fn who_asks_nothing_gets_nothing() {
        let mut conversation = Conversation::default();
        conversation.ended();
        assert_eq!(conversation.next_question(), None);
        assert!(conversation.is_over());
    }

    #[test]
    fn an_answer_stays_one_line() {
        let mut conversation = Conversation::default();
        conversation.received(b"a\0b\n\xff\n");
        assert_eq!(names(&mut conversation), ["a\0b", "\u{fffd}"]);
        conversation.answered(0, "error: \"a\0b\"\nno".to_owned());
        assert_eq!(conversation.take_answers(), "error: \"a b\" no\n");
    }
}
