//! How clients go, and how it is noticed that they have.

use crate::action::{Action, Question};
use crate::casemap::fold;
use crate::channel::Channel;
use crate::client::{Client, Held};
use crate::config::REASON_BYTES_MAX;
use crate::flood;
use crate::message::Message;
use crate::output::Tags;
use crate::registration::cut;
use crate::server::{Parting, SECOND, Server};

/// Clients that are looked at in one event; the others are due still.
const LOOKED_AT_MAX: usize = 1_000;

impl Server {
    /// `QUIT [:reason]`.
    pub(crate) fn quit(&mut self, of: Client, message: &Message<'_>) {
        let reason = match message.given(0) {
            Some(reason) => format!("Quit: {}", cut(reason, REASON_BYTES_MAX)),
            None => "Client quit".to_owned(),
        };
        self.leave(of, &reason, Parting::Close);
    }

    /// A client goes. Those who are in a channel with it are told.
    pub(crate) fn leave(&mut self, of: Client, reason: &str, how: Parting) {
        let Some(session) = self.clients.get(of) else { return };
        if matches!(how, Parting::Close | Parting::Stop) {
            let host = &session.host;
            let body = format_args!("ERROR :Closing Link: {host} ({reason})");
            self.send(of, &Tags::default(), body);
        }
        match how {
            Parting::Abort => self.act(Action::Abort { of }),
            Parting::Close | Parting::Stop => {
                // What it has been told bears no label of an answer that never ends.
                let mut out = self.out.borrow_mut();
                if out.is_labelled(of) {
                    out.end_response((of, session));
                }
                out.act(Action::Close { of });
            }
            Parting::Lost => {}
        }
        if session.is_registered() && how != Parting::Stop {
            self.tell_of_leaving(of, reason);
        }
        self.forget_client(of);
    }

    fn tell_of_leaving(&mut self, of: Client, reason: &str) {
        // It may watch itself, and is to be told nothing more.
        self.unwatch_all(of);
        let neighbours = self.neighbours(of);
        let session = &self.clients[of];
        let tags = Tags { account: session.account.as_deref(), ..Tags::default() };
        self.relay(neighbours.into_iter(), &tags, format_args!(":{session} QUIT :{reason}"));
        self.tell_watchers(&session.nick, None);
        self.remember(of);
    }

    /// Takes a client out of all tables.
    fn forget_client(&mut self, of: Client) {
        for channel in std::mem::take(&mut self.clients[of].channels) {
            self.remove_member(channel, of);
        }
        self.unwatch_all(of);
        let Some(session) = self.clients.remove(of) else { return };
        self.dues.remove(&(session.due, of));
        if !session.nick.is_empty() {
            self.nicks.remove(fold(&session.nick).as_str());
        }
        self.counts.connected -= 1;
        if session.is_registered() {
            self.counts.registered -= 1;
            self.counts.invisible -= usize::from(session.modes.is_invisible());
            self.counts.operators -= usize::from(session.modes.is_operator());
        }
        if let Some(hold) = session.hold
            && let Held::Question(question, _) = hold.held
        {
            self.forget(question);
        }
        if session.sasl.is_some() {
            self.tell(Some(of), Question::GiveUp);
        }
    }

    /// Takes a client out of a channel, which ends with its last member.
    pub(crate) fn remove_member(&mut self, number: u64, of: Client) {
        let Some(channel) = self.channels.get_mut(number) else { return };
        channel.remove(of);
        if channel.len() == 0 {
            let name = fold(&channel.name);
            self.channels.remove(number);
            self.channel_names.remove(name.as_str());
            self.counts.channels -= 1;
        }
    }

    /// The other clients that are in a channel with this one, each once.
    pub(crate) fn neighbours(&mut self, of: Client) -> Vec<Client> {
        self.walk += 1;
        let session = &self.clients[of];
        session.visited.set(self.walk);
        let channels = session.channels.iter().filter_map(|&number| self.channels.get(number));
        let members = channels.flat_map(Channel::members).map(|(client, _)| client);
        let walk = self.walk;
        members.filter(|&client| self.clients[client].visited.replace(walk) != walk).collect()
    }

    /// Sees to it that a client is looked at in time.
    pub(crate) fn schedule(&mut self, of: Client) {
        let Some(session) = self.clients.get(of) else { return };
        let mut due = match session.pinged {
            _ if !session.is_registered() => {
                let connected = session.registration_began();
                connected + u64::from(self.config.registration_timeout) * SECOND
            }
            Some(pinged) => pinged + u64::from(self.config.ping_timeout) * SECOND,
            None => session.heard + u64::from(self.config.ping_interval) * SECOND,
        };
        if !session.input.is_empty() && session.hold.is_none() {
            let takes_at = flood::takes_at(session, &self.config);
            // What isn't a whole line waits for the client, not for the clock.
            if takes_at > self.now.monotonic {
                due = due.min(takes_at);
            }
        }
        // A client that is heard is due later: that is found out when it is looked at.
        if due < session.due || session.due <= self.now.monotonic {
            self.dues.remove(&(session.due, of));
            self.clients[of].due = due;
            self.dues.insert((due, of));
        }
    }

    /// Looks at those who are due.
    pub(crate) fn look_at_due(&mut self) {
        for _ in 0..LOOKED_AT_MAX {
            match self.dues.first() {
                Some(&(due, of)) if due <= self.now.monotonic => self.look_at(of),
                _ => return,
            }
        }
    }

    fn look_at(&mut self, of: Client) {
        let now = self.now.monotonic;
        let (interval, timeout) = (self.config.ping_interval, self.config.ping_timeout);
        let session = &mut self.clients[of];
        if !session.is_registered() {
            let began = session.registration_began();
            if now >= began + u64::from(self.config.registration_timeout) * SECOND {
                return self.leave(of, "Registration timed out", Parting::Close);
            }
        } else if let Some(pinged) = session.pinged {
            if now >= pinged + u64::from(timeout) * SECOND {
                let reason = format!("Ping timeout: {} seconds", interval + timeout);
                return self.leave(of, &reason, Parting::Close);
            }
        } else if now >= session.heard + u64::from(interval) * SECOND {
            session.pinged = Some(now);
            let name = &self.config.name;
            self.send(of, &Tags::default(), format_args!("PING :{name}"));
        }
        let session = &self.clients[of];
        if session.hold.is_none() && !session.input.is_empty() {
            self.input_again(of);
            self.after_input(of);
        }
        self.schedule(of);
    }
}
