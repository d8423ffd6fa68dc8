//! Capabilities of IRCv3: what a client has asked for beyond RFC 2812
//! (<https://ircv3.net/specs/extensions/capability-negotiation>).

use std::fmt::Write;

use crate::client::{Client, Session};
use crate::message::Message;
use crate::output::Tags;
use crate::reply::*;
use crate::server::Server;

/// What a client has switched on, a bit each.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Caps(u32);

/// A capability.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Cap(u8);

// The first four decide which tags a line has: see `variant`.
pub(crate) const SERVER_TIME: Cap = Cap(0);
pub(crate) const MESSAGE_TAGS: Cap = Cap(1);
pub(crate) const ACCOUNT_TAG: Cap = Cap(2);
pub(crate) const BATCH: Cap = Cap(3);
pub(crate) const ACCOUNT_NOTIFY: Cap = Cap(4);
pub(crate) const AWAY_NOTIFY: Cap = Cap(5);
pub(crate) const CAP_NOTIFY: Cap = Cap(6);
pub(crate) const CHGHOST: Cap = Cap(7);
pub(crate) const ECHO_MESSAGE: Cap = Cap(8);
pub(crate) const EXTENDED_JOIN: Cap = Cap(9);
pub(crate) const INVITE_NOTIFY: Cap = Cap(10);
pub(crate) const LABELED_RESPONSE: Cap = Cap(11);
pub(crate) const MULTI_PREFIX: Cap = Cap(12);
pub(crate) const SASL: Cap = Cap(13);
pub(crate) const SETNAME: Cap = Cap(14);
pub(crate) const STANDARD_REPLIES: Cap = Cap(15);
pub(crate) const USERHOST_IN_NAMES: Cap = Cap(16);
pub(crate) const CHATHISTORY: Cap = Cap(17);
pub(crate) const TLS: Cap = Cap(18);
/// Not a capability: the client has asked by `CAP LS 302`.
const VERSION_302: Cap = Cap(31);

/// How many different sets of tags a line can have.
pub(crate) const VARIANTS: usize = 16;

/// The capabilities by name.
const NAMES: &[(&str, Cap)] = &[
    ("account-notify", ACCOUNT_NOTIFY),
    ("account-tag", ACCOUNT_TAG),
    ("away-notify", AWAY_NOTIFY),
    ("batch", BATCH),
    ("cap-notify", CAP_NOTIFY),
    ("chghost", CHGHOST),
    ("draft/chathistory", CHATHISTORY),
    ("echo-message", ECHO_MESSAGE),
    ("extended-join", EXTENDED_JOIN),
    ("invite-notify", INVITE_NOTIFY),
    ("labeled-response", LABELED_RESPONSE),
    ("message-tags", MESSAGE_TAGS),
    ("multi-prefix", MULTI_PREFIX),
    ("sasl", SASL),
    ("server-time", SERVER_TIME),
    ("setname", SETNAME),
    ("standard-replies", STANDARD_REPLIES),
    ("tls", TLS),
    ("userhost-in-names", USERHOST_IN_NAMES),
];

impl Caps {
    pub(crate) fn has(self, cap: Cap) -> bool {
        self.0 & 1 << cap.0 != 0
    }

    fn set(&mut self, cap: Cap, is_on: bool) {
        if is_on {
            self.0 |= 1 << cap.0;
        } else {
            self.0 &= !(1 << cap.0);
        }
    }

    /// The same for clients whose lines have the same tags; less than [`VARIANTS`].
    pub(crate) fn variant(self) -> usize {
        self.0 as usize % VARIANTS
    }
}

impl Server {
    /// `CAP LS|LIST|REQ|END`.
    pub(crate) fn cap(&mut self, of: Client, message: &Message<'_>) {
        match &*message.parameter(0).to_ascii_uppercase() {
            "LS" => self.cap_ls(of, message),
            "LIST" => {
                let caps = self.clients[of].caps;
                let on = NAMES.iter().filter(|(_, cap)| caps.has(*cap));
                let on: Vec<String> = on.map(|(name, _)| (*name).to_owned()).collect();
                self.cap_lines(of, "LIST", &on);
            }
            "REQ" => self.cap_req(of, message.parameter(1)),
            "END" => {
                if let Some(registration) = &mut self.clients[of].registration {
                    registration.is_negotiating = false;
                    self.abort_sasl(of);
                    self.register(of);
                }
            }
            _ => {
                let subcommand = crate::command::shown(message.parameter(0));
                let text = format_args!("{subcommand} :Invalid CAP command");
                self.reply(of, ERR_INVALIDCAPCMD, text);
            }
        }
    }

    fn cap_ls(&mut self, of: Client, message: &Message<'_>) {
        let session = &mut self.clients[of];
        if message.parameter(1).parse().is_ok_and(|version: u32| version >= 302) {
            session.caps.set(VERSION_302, true);
            session.caps.set(CAP_NOTIFY, true);
        }
        if let Some(registration) = &mut session.registration {
            registration.is_negotiating = true;
        }
        let offered = self.offered(&self.clients[of]);
        self.cap_lines(of, "LS", &offered);
    }

    /// The capabilities that a client may ask for, with their values where it understands them.
    fn offered(&self, session: &Session) -> Vec<String> {
        let with_values = session.caps.has(VERSION_302);
        let mut offered = Vec::new();
        for &(name, cap) in NAMES.iter().filter(|(_, cap)| self.is_offered(session, *cap)) {
            match cap {
                SASL if with_values => {
                    offered.push(format!("sasl={}", session.mechanisms.join(",")));
                }
                _ => offered.push(name.to_owned()),
            }
        }
        // Nobody listens in on a Unix socket.
        let sts = self.config.sts.as_ref().filter(|_| with_values && !session.is_local);
        if let Some(sts) = sts {
            offered.push(sts.value(session.is_secure));
        }
        offered
    }

    fn is_offered(&self, session: &Session, cap: Cap) -> bool {
        match cap {
            CHATHISTORY => self.config.history,
            SASL => !session.mechanisms.is_empty(),
            TLS => self.config.starttls && !session.is_secure && !session.is_local,
            _ => true,
        }
    }

    /// Sends a list of capabilities, in several lines where it is long and the client can tell that
    /// more follow.
    fn cap_lines(&self, of: Client, subcommand: &str, caps: &[String]) {
        let session = &self.clients[of];
        let nick = session.addressed();
        let overhead = format!(":{} CAP {nick} {subcommand} * :\r\n", self.config.name).len();
        let room = crate::message::LINE_BYTES_MAX.saturating_sub(overhead);
        let mut line = String::new();
        for cap in caps {
            if !line.is_empty()
                && line.len() + 1 + cap.len() > room
                && session.caps.has(VERSION_302)
            {
                self.line(of, format_args!("CAP {nick} {subcommand} * :{line}"));
                line.clear();
            }
            let between = if line.is_empty() { "" } else { " " };
            // Writing to a string doesn't fail.
            let _ = write!(line, "{between}{cap}");
        }
        self.line(of, format_args!("CAP {nick} {subcommand} :{line}"));
    }

    /// All that is asked for, or nothing of it.
    fn cap_req(&mut self, of: Client, asked: &str) {
        let session = &self.clients[of];
        let mut caps = session.caps;
        let mut is_known = true;
        for word in asked.split(' ').filter(|word| !word.is_empty()) {
            let (name, is_on) = word.strip_prefix('-').map_or((word, true), |name| (name, false));
            let found = NAMES.iter().find(|(known, _)| *known == name).map(|&(_, cap)| cap);
            match found.filter(|&cap| !is_on || self.is_offered(session, cap)) {
                // Who understands 302 can't be without it.
                Some(CAP_NOTIFY) if !is_on && caps.has(VERSION_302) => is_known = false,
                Some(cap) => caps.set(cap, is_on),
                None => is_known = false,
            }
        }
        let nick = session.addressed();
        let answer = if is_known { "ACK" } else { "NAK" };
        // Tags that are being switched on by the answer are not yet in it.
        self.line(of, format_args!("CAP {nick} {answer} :{asked}"));
        let session = &mut self.clients[of];
        if is_known {
            session.caps = caps;
        }
        if let Some(registration) = &mut session.registration {
            registration.is_negotiating = true;
        }
    }

    /// What a client may ask for has changed: it tells those who want to know.
    pub(crate) fn offer_sasl_again(&mut self, of: Client) {
        let session = &self.clients[of];
        if session.caps.has(CAP_NOTIFY) && !session.mechanisms.is_empty() {
            let nick = session.addressed();
            let mechanisms = session.mechanisms.join(",");
            self.line(of, format_args!("CAP {nick} NEW :sasl={mechanisms}"));
        }
    }

    /// Tells a client something by a line of the server's own.
    pub(crate) fn line(&self, to: Client, body: std::fmt::Arguments<'_>) {
        let name = &self.config.name;
        self.send(to, &Tags::default(), format_args!(":{name} {body}"));
    }
}
