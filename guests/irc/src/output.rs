//! What goes out: lines with the tags that each client has asked for, in one buffer that all
//! recipients share.

use std::collections::VecDeque;
use std::fmt::{Arguments, Write as _};
use std::io::Write as _;
use std::ops::Range;
use std::time::{Duration, UNIX_EPOCH};

use crate::action::Action;
use crate::cap::{self, Caps};
use crate::client::{Client, Clients, Session};
use crate::label::Label;
use crate::message::LINE_BYTES_MAX;

/// What a buffer may keep for the next event.
const SPARE_BYTES_MAX: usize = 256 * 1024;

/// Actions and the bytes that they name.
pub(crate) struct Output {
    buffer: Vec<u8>,
    actions: VecDeque<Action>,
    /// Clients that don't take what is sent to them, and have to go.
    pub(crate) overflowing: Vec<Client>,
    /// Whose command is being run, and the label of what it is answered.
    pub(crate) responding: Option<(Client, Label)>,
    /// The time in milliseconds since 1970, and as `server-time` writes it.
    stamp: (u64, String),
    /// The server's name.
    pub(crate) name: Box<str>,
    /// Bytes that may be queued for a client that takes none.
    sendq: usize,
    /// How many batches were begun.
    batches: u64,
}

/// The tags of a line, of which each client gets those that it has asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tags<'a> {
    /// In milliseconds since 1970; none for now.
    pub(crate) time: Option<u64>,
    pub(crate) account: Option<&'a str>,
    pub(crate) batch: Option<&'a str>,
    pub(crate) msgid: Option<&'a str>,
    /// Tags of another client, as it has written them, with `;` between them.
    pub(crate) client: &'a str,
}

impl Output {
    pub(crate) fn new(name: &str, sendq: usize) -> Self {
        Output {
            buffer: Vec::new(),
            actions: VecDeque::new(),
            overflowing: Vec::new(),
            responding: None,
            stamp: (0, String::new()),
            name: name.into(),
            sendq,
            batches: 0,
        }
    }

    /// Says what time it is, in milliseconds since 1970.
    pub(crate) fn set_time(&mut self, time: u64) {
        if self.stamp.0 != time || self.stamp.1.is_empty() {
            self.stamp = (time, timestamp(time));
        }
    }

    pub(crate) fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }

    /// How many actions wait.
    pub(crate) fn len(&self) -> usize {
        self.actions.len()
    }

    pub(crate) fn next(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.buffer.get(range).unwrap_or(&[])
    }

    /// Takes over actions and bytes of another output, in the stead of its own, which were all taken.
    pub(crate) fn take_over(&mut self, other: &mut Output) {
        std::mem::swap(&mut self.buffer, &mut other.buffer);
        std::mem::swap(&mut self.actions, &mut other.actions);
        other.buffer.clear();
        other.actions.clear();
        if other.buffer.capacity() > SPARE_BYTES_MAX {
            other.buffer = Vec::new();
        }
        if other.actions.capacity() * size_of::<Action>() > SPARE_BYTES_MAX {
            other.actions = VecDeque::new();
        }
    }

    /// A name for a batch.
    pub(crate) fn batch(&mut self) -> String {
        self.batches += 1;
        format!("{:x}", self.batches)
    }

    /// Sends a line to one client.
    pub(crate) fn send(&mut self, to: (Client, &Session), tags: &Tags<'_>, body: Arguments<'_>) {
        // What is in a batch of its own has nothing to do with the label.
        if tags.batch.is_none() && self.is_labelled(to.0) {
            return self.respond(to, tags, body);
        }
        let range = self.write(to.1.caps, tags, body);
        self.push(to, range);
    }

    /// Sends a line to many clients. It is written once for each set of tags.
    pub(crate) fn relay(
        &mut self,
        clients: &Clients,
        recipients: impl Iterator<Item = Client>,
        tags: &Tags<'_>,
        body: Arguments<'_>,
    ) {
        let mut variants = [const { None }; cap::VARIANTS];
        for client in recipients {
            let Some(session) = clients.get(client) else { continue };
            if self.is_labelled(client) {
                self.respond((client, session), tags, body);
                continue;
            }
            let variant: &mut Option<Range<usize>> = &mut variants[session.caps.variant()];
            let range = match variant {
                Some(range) => range.clone(),
                None => variant.insert(self.write(session.caps, tags, body)).clone(),
            };
            self.push((client, session), range);
        }
    }

    /// Writes a line with those of the tags that a client with these capabilities gets.
    fn write(&mut self, caps: Caps, tags: &Tags<'_>, body: Arguments<'_>) -> Range<usize> {
        let mut text = String::new();
        self.write_tags(&mut text, caps, tags);
        self.write_line(&text, body)
    }

    /// Writes the part of a line that everybody gets, no longer than a line may be.
    pub(crate) fn write_body(&mut self, body: Arguments<'_>) {
        let start = self.buffer.len();
        // Writing to a vector doesn't fail.
        let _ = self.buffer.write_fmt(body);
        let end = boundary(&self.buffer[start..], LINE_BYTES_MAX - 2);
        self.buffer.truncate(start + end);
        self.buffer.extend_from_slice(b"\r\n");
    }

    /// Writes a line whose tags are written already.
    pub(crate) fn write_line(&mut self, tags: &str, body: Arguments<'_>) -> Range<usize> {
        let start = self.buffer.len();
        if !tags.is_empty() {
            self.buffer.push(b'@');
            self.buffer.extend_from_slice(tags.as_bytes());
            self.buffer.push(b' ');
        }
        self.write_body(body);
        start..self.buffer.len()
    }

    /// Writes tags, without their `@`.
    pub(crate) fn write_tags(&self, text: &mut String, caps: Caps, tags: &Tags<'_>) {
        let mut tag = |key: &str, value: &str| {
            let between = if text.is_empty() { "" } else { ";" };
            // Writing to a string doesn't fail.
            let _ = write!(text, "{between}{key}={value}");
        };
        if let Some(batch) = tags.batch.filter(|_| caps.has(cap::BATCH)) {
            tag("batch", batch);
        }
        if caps.has(cap::SERVER_TIME) {
            match tags.time {
                Some(time) if time != self.stamp.0 => tag("time", &timestamp(time)),
                _ => tag("time", &self.stamp.1),
            }
        }
        if let Some(msgid) = tags.msgid.filter(|_| caps.has(cap::MESSAGE_TAGS)) {
            tag("msgid", msgid);
        }
        if let Some(account) = tags.account.filter(|_| caps.has(cap::ACCOUNT_TAG)) {
            tag("account", account);
        }
        if caps.has(cap::MESSAGE_TAGS) && !tags.client.is_empty() {
            let between = if text.is_empty() { "" } else { ";" };
            let _ = write!(text, "{between}{}", tags.client);
        }
    }

    /// Sends what was written, unless the client doesn't take what is sent to it.
    pub(crate) fn push(&mut self, (to, session): (Client, &Session), bytes: Range<usize>) {
        if let Some(queued) = session.queued.get() {
            let is_over = queued > self.sendq;
            let queued = queued.saturating_add(bytes.len());
            session.queued.set(Some(queued));
            if is_over {
                return;
            }
            if queued > self.sendq {
                self.overflowing.push(to);
                return;
            }
        }
        // Lines that follow each other, to the same client, are one.
        if let Some(Action::Send { to: last, bytes: before }) = self.actions.back_mut()
            && *last == to
            && before.end == bytes.start
        {
            before.end = bytes.end;
            return;
        }
        self.actions.push_back(Action::Send { to, bytes });
    }
}

/// Where to cut a text of UTF-8, so that it has no more bytes than this.
pub(crate) fn boundary(text: &[u8], bytes_max: usize) -> usize {
    if text.len() <= bytes_max {
        return text.len();
    }
    // The bytes of a character behind its first are 10xxxxxx.
    (0..=bytes_max).rev().find(|&at| text[at] & 0xc0 != 0x80).unwrap_or(0)
}

/// A moment as `2011-10-19T16:40:51.620Z`.
pub(crate) fn timestamp(milliseconds: u64) -> String {
    // Year 9999 is the last that the format has.
    let moment = UNIX_EPOCH + Duration::from_millis(milliseconds.min(253_402_300_799_999));
    humantime::format_rfc3339_millis(moment).to_string()
}

#[cfg(test)]
mod tests {
    use super::{boundary, timestamp};

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(boundary("aé".as_bytes(), 3), 3);
        assert_eq!(boundary("aé".as_bytes(), 2), 1);
        assert_eq!(boundary("😀".as_bytes(), 3), 0);
        assert_eq!(boundary("abc".as_bytes(), 2), 2);
    }

    #[test]
    fn times_are_written_to_the_millisecond() {
        assert_eq!(timestamp(1_319_042_451_620), "2011-10-19T16:40:51.620Z");
        assert_eq!(timestamp(u64::MAX), "9999-12-31T23:59:59.999Z");
    }
}
