//! Labelled responses (IRCv3's labeled-response): what a client is answered bears the label that it
//! has given its command. A response of several lines is a batch.

use std::fmt::Arguments;

use crate::client::{Client, Session};
use crate::output::{Output, Tags};

/// Bytes of a label.
pub(crate) const LABEL_BYTES_MAX: usize = 64;

/// The label of a command, and how far its response has come. `Waiting` → `One` → `Batch`.
pub(crate) enum Label {
    /// There is none, or a batch of another type has it.
    None,
    /// Nothing was sent so far.
    Waiting(String),
    /// One line. Its tags depend on whether another one follows.
    One(String, Line),
    /// The response is this batch.
    Batch(String),
}

/// A line that waits for what follows.
pub(crate) struct Line {
    tags: String,
    body: String,
}

impl Output {
    /// From now on a command of this client is answered.
    pub(crate) fn begin_response(&mut self, of: Client, label: Label) {
        self.responding = Some((of, label));
    }

    /// The command is run, but its answer isn't complete: what follows bears this label.
    pub(crate) fn suspend_response(&mut self) -> Label {
        self.responding.take().map_or(Label::None, |(_, label)| label)
    }

    /// The command is answered.
    pub(crate) fn end_response(&mut self, to: (Client, &Session)) {
        let name = self.name.clone();
        match self.suspend_response() {
            Label::None => {}
            Label::Waiting(label) => {
                let tags = self.own_tags(to.1);
                self.compose(to, &format!("label={label}"), &tags, format_args!(":{name} ACK"));
            }
            Label::One(label, line) => {
                let label = format!("label={label}");
                self.compose(to, &label, &line.tags, format_args!("{}", line.body));
            }
            Label::Batch(batch) => {
                let tags = self.own_tags(to.1);
                self.compose(to, "", &tags, format_args!(":{name} BATCH -{batch}"));
            }
        }
    }

    /// Begins a batch, which has the label where nothing else has it so far.
    pub(crate) fn begin_batch(&mut self, to: (Client, &Session), what: Arguments<'_>) -> String {
        let batch = self.batch();
        let name = self.name.clone();
        let label = match &mut self.responding {
            Some((of, label @ Label::Waiting(_))) if *of == to.0 => {
                std::mem::replace(label, Label::None)
            }
            _ => Label::None,
        };
        let body = format_args!(":{name} BATCH +{batch} {what}");
        if let Label::Waiting(label) = label {
            let tags = self.own_tags(to.1);
            self.compose(to, &format!("label={label}"), &tags, body);
        } else {
            self.send(to, &Tags::default(), body);
        }
        batch
    }

    /// Ends a batch.
    pub(crate) fn end_batch(&mut self, to: (Client, &Session), batch: &str) {
        let name = self.name.clone();
        self.send(to, &Tags::default(), format_args!(":{name} BATCH -{batch}"));
    }

    /// Whether what this client is sent has a label.
    pub(crate) fn is_labelled(&self, client: Client) -> bool {
        match &self.responding {
            None | Some((_, Label::None)) => false,
            Some((of, _)) => *of == client,
        }
    }

    /// Sends a line of a response that has a label.
    pub(crate) fn respond(&mut self, to: (Client, &Session), tags: &Tags<'_>, body: Arguments<'_>) {
        let mut text = String::new();
        self.write_tags(&mut text, to.1.caps, tags);
        let line = Line { tags: text, body: body.to_string() };
        let label = match self.suspend_response() {
            Label::None => Label::None,
            Label::Waiting(label) => Label::One(label, line),
            Label::One(label, first) => {
                let batch = self.batch();
                let (name, tags) = (self.name.clone(), self.own_tags(to.1));
                let begin = format_args!(":{name} BATCH +{batch} labeled-response");
                self.compose(to, &format!("label={label}"), &tags, begin);
                self.in_batch(to, &batch, &first);
                self.in_batch(to, &batch, &line);
                Label::Batch(batch)
            }
            Label::Batch(batch) => {
                self.in_batch(to, &batch, &line);
                Label::Batch(batch)
            }
        };
        self.begin_response(to.0, label);
    }

    fn in_batch(&mut self, to: (Client, &Session), batch: &str, line: &Line) {
        let Line { tags, body } = line;
        self.compose(to, &format!("batch={batch}"), tags, format_args!("{body}"));
    }

    /// Sends a line with one tag more.
    fn compose(&mut self, to: (Client, &Session), tag: &str, tags: &str, body: Arguments<'_>) {
        let between = if tag.is_empty() || tags.is_empty() { "" } else { ";" };
        let range = self.write_line(&format!("{tag}{between}{tags}"), body);
        self.push(to, range);
    }

    /// The tags of a line that the server sends for itself.
    fn own_tags(&self, session: &Session) -> String {
        let mut text = String::new();
        self.write_tags(&mut text, session.caps, &Tags::default());
        text
    }
}
