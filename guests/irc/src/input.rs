//! Cuts what comes from a client into lines, and hands them on one after the other.

use memchr::memchr2;

use crate::action::Action;
use crate::client::{Client, Hold};
use crate::label::{LABEL_BYTES_MAX, Label};
use crate::message::{LINE_BYTES_MAX, Message, TAGS_BYTES_MAX, is_too_long, unescape};
use crate::reply::*;
use crate::server::{Parting, Server};
use crate::{cap, flood};

/// Bytes of a line that may be one yet.
const UNFINISHED_BYTES_MAX: usize = TAGS_BYTES_MAX + LINE_BYTES_MAX;

/// Bytes that may come from a client after it is to be read no more: they were on their way.
const HELD_BYTES_MAX: usize = 128 * 1024;

/// Actions that may wait to be taken; beyond them lines wait. One line may make as many as there are
/// clients, times the channels or receivers that it names.
const ACTIONS_WAITING_MAX: usize = 1_000;

impl Server {
    /// Handles what came, behind what is left of before.
    pub(crate) fn input(&mut self, of: Client, data: &[u8]) {
        let Some(session) = self.clients.get_mut(of) else { return };
        if session.is_starting_tls {
            return;
        }
        session.heard = self.now.monotonic;
        session.pinged = None;
        if session.input.is_empty() {
            let used = self.lines(of, data);
            if let (Some(session), Some(rest)) = (self.clients.get_mut(of), data.get(used..)) {
                session.input = rest.to_vec();
            }
        } else {
            session.input.extend_from_slice(data);
            self.input_again(of);
        }
        self.after_input(of);
    }

    /// Handles what is left of before: what it waited for may be there.
    pub(crate) fn input_again(&mut self, of: Client) {
        let Some(session) = self.clients.get_mut(of) else { return };
        let mut input = std::mem::take(&mut session.input);
        let used = self.lines(of, &input);
        if let Some(session) = self.clients.get_mut(of) {
            input.drain(..used.min(input.len()));
            if !input.is_empty() {
                session.input = input;
            }
        }
    }

    /// A client whose lines wait is either read no more, or has sent too many of them.
    pub(crate) fn after_input(&mut self, of: Client) {
        let Some(session) = self.clients.get_mut(of) else { return };
        let is_held = session.hold.is_some() || session.is_queued;
        let is_waiting = !session.input.is_empty() && is_held;
        if is_waiting != session.is_paused {
            session.is_paused = is_waiting;
            let action = if is_waiting { Action::Pause { of } } else { Action::Resume { of } };
            self.act(action);
        }
        // Who is read no more has not sent too much, unless the transport doesn't care.
        let most = self.config.recvq + if is_held { HELD_BYTES_MAX } else { 0 };
        if self.clients[of].input.len() > most {
            self.leave(of, "Excess Flood", Parting::Close);
            return;
        }
        self.schedule(of);
    }

    /// Handles the lines of some bytes, and says how many of the bytes are done with.
    fn lines(&mut self, of: Client, data: &[u8]) -> usize {
        let mut used = 0;
        while used < data.len() && self.takes_a_line(of) {
            let rest = &data[used..];
            let Some(end) = memchr2(b'\r', b'\n', rest) else {
                return used + self.unfinished(of, rest);
            };
            // The rest of the end of the line that begins TLS must not come behind it.
            if rest[end] == b'\r' && end + 1 == rest.len() && begins_tls(&rest[..end]) {
                return used;
            }
            used += end + 1;
            self.whole_line(of, &rest[..end]);
        }
        // Of who has gone, or begins TLS, nothing is left to handle.
        let is_there = self.clients.get(of).is_some_and(|session| !session.is_starting_tls);
        if is_there { used } else { data.len() }
    }

    fn takes_a_line(&mut self, of: Client) -> bool {
        if self.waiting() >= ACTIONS_WAITING_MAX {
            if let Some(session) = self.clients.get_mut(of)
                && !std::mem::replace(&mut session.is_queued, true)
            {
                self.queued.push_back(of);
            }
            return false;
        }
        self.clients.get(of).is_some_and(|session| {
            session.hold.is_none()
                && !session.is_starting_tls
                && flood::takes(session, &self.config, self.now.monotonic)
        })
    }

    /// Handles lines that have waited for actions to be taken, one client's at a time.
    pub(crate) fn take_queued(&mut self) {
        while self.waiting() == 0
            && let Some(of) = self.queued.pop_front()
        {
            if let Some(session) = self.clients.get_mut(of) {
                session.is_queued = false;
                self.input_again(of);
                self.after_input(of);
            }
        }
    }

    /// Looks at the beginning of a line. One that is too long already is not kept.
    fn unfinished(&mut self, of: Client, rest: &[u8]) -> usize {
        let Some(session) = self.clients.get_mut(of) else { return rest.len() };
        if session.is_skipping || rest.len() > UNFINISHED_BYTES_MAX {
            session.is_skipping = true;
            return rest.len();
        }
        0
    }

    fn whole_line(&mut self, of: Client, line: &[u8]) {
        let Some(session) = self.clients.get_mut(of) else { return };
        let is_skipped = std::mem::take(&mut session.is_skipping);
        if line.is_empty() && !is_skipped {
            return;
        }
        flood::spend(session, &self.config, self.now.monotonic, 1);
        if is_skipped || is_too_long(line) {
            return self.reply(of, ERR_INPUTTOOLONG, format_args!(":Input line was too long"));
        }
        let Ok(text) = str::from_utf8(line) else { return self.not_unicode(of, line) };
        if text.contains('\0') {
            let command =
                Message::parse(text).map_or("*", |message| crate::command::shown(message.command));
            let text = format_args!("{command} :A line has no NUL");
            return self.reply(of, ERR_UNKNOWNERROR, text);
        }
        if let Some(message) = Message::parse(text) {
            self.respond_to(of, &message);
        }
    }

    /// A line that isn't UTF-8 is refused (`UTF8ONLY`), in the name of its command where that is
    /// legible.
    fn not_unicode(&self, of: Client, line: &[u8]) {
        let legible = line.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let command = match Message::parse(legible) {
            Some(message) if !message.parameters().is_empty() => {
                crate::command::shown(message.command)
            }
            _ => "*",
        };
        self.fail(of, format_args!("{command} INVALID_UTF8 :Message isn't UTF-8, and was dropped"));
    }

    /// Runs a command, so that what answers it bears its label.
    fn respond_to(&mut self, of: Client, message: &Message<'_>) {
        let caps = self.clients[of].caps;
        let label = if caps.has(cap::LABELED_RESPONSE) && caps.has(cap::BATCH) {
            message.tag("label").filter(|label| !label.is_empty())
        } else {
            None
        };
        let label = match label {
            Some(label) if unescape(label).len() <= LABEL_BYTES_MAX => {
                Label::Waiting(label.to_owned())
            }
            _ => Label::None,
        };
        self.out.get_mut().begin_response(of, label);
        self.run(of, message);
        self.responded(of);
    }

    /// What a command was answered is all, though it isn't done.
    pub(crate) fn finish_response(&self, of: Client) {
        self.out.borrow_mut().end_response((of, &self.clients[of]));
    }

    /// What a command does is done, for now: where its answer is complete its label ends.
    pub(crate) fn responded(&mut self, of: Client) {
        match self.clients.get_mut(of) {
            Some(session) => match &mut session.hold {
                Some(hold) => hold.label = self.out.get_mut().suspend_response(),
                None => self.out.get_mut().end_response((of, session)),
            },
            None => drop(self.out.get_mut().suspend_response()),
        }
    }

    /// Takes away what a client's next line waits for, and goes on with what it answers.
    pub(crate) fn resume(&mut self, of: Client) -> Option<Hold> {
        let mut hold = self.clients.get_mut(of)?.hold.take()?;
        let label = std::mem::replace(&mut hold.label, Label::None);
        self.out.get_mut().begin_response(of, label);
        Some(*hold)
    }

    /// What was begun by [`resume`](Self::resume) is done: the next line follows.
    pub(crate) fn resumed(&mut self, of: Client) {
        self.responded(of);
        if self.clients.get(of).is_some_and(|session| session.hold.is_none()) {
            self.input_again(of);
            self.after_input(of);
        }
    }
}

fn begins_tls(line: &[u8]) -> bool {
    let message = str::from_utf8(line).ok().and_then(Message::parse);
    message.is_some_and(|message| message.command.eq_ignore_ascii_case("STARTTLS"))
}
