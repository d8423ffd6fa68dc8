//! SASL (<https://ircv3.net/specs/extensions/sasl-3.2>): the server carries an exchange between the
//! client and the host, and learns who the client is. It looks at none of what it carries.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::action::{Answer, Question};
use crate::client::Client;
use crate::message::Message;
use crate::output::Tags;
use crate::question::Asked;
use crate::reply::*;
use crate::server::{Parting, Server};
use crate::{cap, casemap};

/// Bytes of a response in one line; a line that is shorter is the last.
const CHUNK_BYTES: usize = 400;

/// Bytes of a whole response, in base64.
const RESPONSE_BYTES_MAX: usize = 8 * 1024;

/// Exchanges of one client that may fail.
const FAILURES_MAX: u8 = 10;

/// An exchange that is going on. `Begun` → `Going` → `Ending`; `Going` may come again and again.
pub(crate) struct Exchange {
    /// What has come of the client's response, in base64; a secret.
    response: String,
    state: State,
}

enum State {
    /// The client has named its mechanism.
    Begun(String),
    /// The host has answered, and the client is to respond.
    Going,
    /// The host knows who the client is, who has one word more to say.
    Ending(String),
}

impl Server {
    /// `AUTHENTICATE mechanism|response|*`.
    pub(crate) fn authenticate(&mut self, of: Client, message: &Message<'_>) {
        let given = message.parameter(0);
        let session = &self.clients[of];
        if given == "*" {
            self.give_up(of);
            return self.sasl_aborted(of);
        }
        if given.len() > CHUNK_BYTES {
            self.give_up(of);
            return self.reply(of, ERR_SASLTOOLONG, format_args!(":SASL message too long"));
        }
        if session.sasl.is_some() {
            self.take_response(of, given);
        } else if session.account.is_some() {
            let text = format_args!(":You have already authenticated using SASL");
            self.reply(of, ERR_SASLALREADY, text);
        } else {
            self.begin_sasl(of, given);
        }
    }

    fn begin_sasl(&mut self, of: Client, mechanism: &str) {
        let session = &self.clients[of];
        let known =
            session.mechanisms.iter().find(|known| casemap::same(known, mechanism)).cloned();
        match known.filter(|_| session.caps.has(cap::SASL)) {
            Some(mechanism) => {
                let exchange = Exchange { response: String::new(), state: State::Begun(mechanism) };
                self.clients[of].sasl = Some(Box::new(exchange));
                // All mechanisms that the host has begin with the client.
                self.send(of, &Tags::default(), format_args!("AUTHENTICATE +"));
            }
            None => {
                let mechanisms = session.mechanisms.join(",");
                if !mechanisms.is_empty() {
                    let text = format_args!("{mechanisms} :are available SASL mechanisms");
                    self.reply(of, RPL_SASLMECHS, text);
                }
                self.sasl_failed(of);
            }
        }
    }

    /// Gathers a response, and hands it on once it is whole.
    fn take_response(&mut self, of: Client, part: &str) {
        let Some(exchange) = &mut self.clients[of].sasl else { return };
        if part != "+" {
            exchange.response.push_str(part);
        }
        if exchange.response.len() > RESPONSE_BYTES_MAX {
            self.give_up(of);
            return self.reply(of, ERR_SASLTOOLONG, format_args!(":SASL message too long"));
        }
        if part.len() == CHUNK_BYTES {
            return;
        }
        let response = STANDARD.decode(std::mem::take(&mut exchange.response));
        match (response, std::mem::replace(&mut exchange.state, State::Going)) {
            (Err(_), _) => {
                self.give_up(of);
                self.sasl_failed(of);
            }
            (Ok(data), State::Begun(mechanism)) => {
                let initial = Some(data);
                let what = Question::Authenticate { mechanism, initial };
                self.ask(of, Asked::Authenticate, what);
            }
            (Ok(data), State::Going) => {
                self.ask(of, Asked::Authenticate, Question::Respond { data });
            }
            (Ok(_), State::Ending(name)) => {
                self.clients[of].sasl = None;
                self.log_in(of, &name);
                self.sasl_succeeded(of);
            }
        }
    }

    /// What the host says of an exchange.
    pub(crate) fn authenticated(&mut self, of: Client, answer: Answer) {
        let Some(exchange) = &mut self.clients[of].sasl else { return };
        match answer {
            Answer::Challenge(data) => self.challenge(of, &data),
            Answer::Identity { name, data: Some(data) } => {
                exchange.state = State::Ending(name);
                self.challenge(of, &data);
            }
            Answer::Identity { name, data: None } => {
                self.clients[of].sasl = None;
                self.log_in(of, &name);
                self.sasl_succeeded(of);
            }
            _ => {
                self.clients[of].sasl = None;
                self.sasl_failed(of);
                let session = &mut self.clients[of];
                session.sasl_failures += 1;
                if session.sasl_failures >= FAILURES_MAX {
                    self.leave(of, "Too many failed logins", Parting::Close);
                }
            }
        }
    }

    /// Sends a challenge in lines of which the last one is short.
    fn challenge(&self, of: Client, data: &[u8]) {
        let text = STANDARD.encode(data);
        let mut rest = &*text;
        while rest.len() >= CHUNK_BYTES {
            let (part, behind) = rest.split_at(CHUNK_BYTES);
            self.send(of, &Tags::default(), format_args!("AUTHENTICATE {part}"));
            rest = behind;
        }
        let last = if rest.is_empty() { "+" } else { rest };
        self.send(of, &Tags::default(), format_args!("AUTHENTICATE {last}"));
    }

    /// A client goes on without the exchange that it has begun.
    pub(crate) fn abort_sasl(&mut self, of: Client) {
        if self.give_up(of) {
            self.sasl_aborted(of);
        }
    }

    fn sasl_aborted(&self, of: Client) {
        self.reply(of, ERR_SASLABORTED, format_args!(":SASL authentication aborted"));
    }

    /// Ends an exchange, and says whether there was one.
    fn give_up(&mut self, of: Client) -> bool {
        let Some(exchange) = self.clients[of].sasl.take() else { return false };
        // Before the first response the host knows of nothing.
        if !matches!(exchange.state, State::Begun(_)) {
            self.tell(Some(of), Question::GiveUp);
        }
        true
    }

    fn sasl_succeeded(&mut self, of: Client) {
        self.reply(of, RPL_SASLSUCCESS, format_args!(":SASL authentication successful"));
    }

    fn sasl_failed(&self, of: Client) {
        self.reply(of, ERR_SASLFAIL, format_args!(":SASL authentication failed"));
    }

    /// A client is a user now. Those who want to know are told.
    pub(crate) fn log_in(&mut self, of: Client, name: &str) {
        let session = &mut self.clients[of];
        session.account = Some(name.into());
        session.modes.set('r', true);
        let session = &self.clients[of];
        let (nick, user, host) = (session.addressed(), or_star(&session.user), &session.host);
        let text = format_args!("{nick}!{user}@{host} {name} :You are now logged in as {name}");
        self.reply(of, RPL_LOGGEDIN, text);
        if self.clients[of].is_registered() {
            let neighbours = self.neighbours(of).into_iter().chain([of]);
            let informed = neighbours.filter(|&client| self.has(client, cap::ACCOUNT_NOTIFY));
            let informed: Vec<Client> = informed.collect();
            let session = &self.clients[of];
            let tags = Tags { account: Some(name), ..Tags::default() };
            self.relay(informed.into_iter(), &tags, format_args!(":{session} ACCOUNT {name}"));
        }
    }

    /// Whether a client has a capability on.
    pub(crate) fn has(&self, client: Client, cap: cap::Cap) -> bool {
        self.clients.get(client).is_some_and(|session| session.caps.has(cap))
    }
}

fn or_star(text: &str) -> &str {
    if text.is_empty() { "*" } else { text }
}
