//! How a client becomes known: `PASS`, `NICK`, `USER`, and the welcome (RFC 2812, section 3.1).

use crate::action::{Answer, Question};
use crate::casemap::{fold, same};
use crate::client::{Client, Peer, Session};
use crate::command::shown;
use crate::config::{HOST_BYTES_MAX, REAL_BYTES_MAX, USER_BYTES_MAX};
use crate::message::Message;
use crate::modes::{USER_LETTERS, UserModes};
use crate::output::{Tags, boundary};
use crate::question::Asked;
use crate::reply::*;
use crate::server::{Parting, Server};

/// What a client has said before it is known.
#[derive(Default)]
pub(crate) struct Registration {
    /// Whether it negotiates capabilities, and is not to be welcomed before `CAP END`.
    pub(crate) is_negotiating: bool,
    /// What it gave as its password; a secret.
    password: Option<String>,
}

/// The software, as `VERSION` tells it.
pub(crate) const VERSION: &str = concat!("torsade-irc-", env!("CARGO_PKG_VERSION"));

impl Server {
    /// Makes a client of who has connected.
    pub(crate) fn welcome(&mut self, peer: Peer) -> Client {
        let mechanisms = self.shared_mechanisms(peer.mechanisms);
        let mut modes = UserModes::default();
        modes.set('Z', peer.is_secure);
        let session = Session {
            host: shown_host(&peer.host),
            is_secure: peer.is_secure,
            is_local: peer.local,
            fingerprint: peer.fingerprint.map(String::into_boxed_str),
            mechanisms,
            nick: "".into(),
            user: "".into(),
            real: "".into(),
            account: None,
            away: None,
            caps: crate::cap::Caps::default(),
            modes,
            registration: Some(Box::default()),
            channels: Vec::new(),
            invitations: Vec::new(),
            monitored: Vec::new(),
            input: Vec::new(),
            is_skipping: false,
            is_starting_tls: false,
            is_queued: false,
            hold: None,
            is_paused: false,
            spent: 0,
            heard: self.now.monotonic,
            pinged: None,
            due: u64::MAX,
            spoke: self.now.monotonic,
            since: self.seconds(),
            queued: std::cell::Cell::new(None),
            visited: std::cell::Cell::new(0),
            sasl: None,
            sasl_failures: 0,
        };
        self.counts.connected += 1;
        let client = self.clients.insert(session);
        self.schedule(client);
        client
    }

    /// Clients that may use the same mechanisms share their names.
    fn shared_mechanisms(&mut self, mechanisms: Vec<String>) -> std::rc::Rc<[String]> {
        if let Some(known) = self.mechanisms.iter().find(|known| ***known == *mechanisms) {
            return known.clone();
        }
        // There are as many sets as there are kinds of transports.
        self.mechanisms.retain(|known| std::rc::Rc::strong_count(known) > 1);
        let new: std::rc::Rc<[String]> = mechanisms.into();
        self.mechanisms.push(new.clone());
        new
    }

    /// The handshake of STARTTLS is over.
    pub(crate) fn encrypted(&mut self, of: Client, peer: Peer) {
        let mechanisms = self.shared_mechanisms(peer.mechanisms);
        let Some(session) = self.clients.get_mut(of) else { return };
        session.is_secure = peer.is_secure;
        session.is_starting_tls = false;
        session.modes.set('Z', peer.is_secure);
        session.fingerprint = peer.fingerprint.map(String::into_boxed_str);
        let are_new = session.mechanisms != mechanisms;
        session.mechanisms = mechanisms;
        if are_new {
            self.offer_sasl_again(of);
        }
    }

    /// `PASS password`, or `PASS account:password`: a user logs in without SASL.
    pub(crate) fn pass(&mut self, of: Client, message: &Message<'_>) {
        match &mut self.clients[of].registration {
            Some(registration) => registration.password = Some(message.parameter(0).to_owned()),
            None => self.already_registered(of),
        }
    }

    /// `USER user mode unused :real name`.
    pub(crate) fn user(&mut self, of: Client, message: &Message<'_>) {
        let session = &self.clients[of];
        if session.is_registered() || !session.user.is_empty() {
            return self.already_registered(of);
        }
        let given = message.parameter(0);
        let user: String = given.chars().filter(|&part| is_user_character(part)).collect();
        if user.is_empty() {
            let text = format_args!("{} :Your user name is not valid", shown(given));
            return self.reply(of, ERR_INVALIDUSERNAME, text);
        }
        let real = match message.parameter(3) {
            "" => given,
            real => real,
        };
        let session = &mut self.clients[of];
        // Nobody vouches for the name: that is what the tilde says.
        session.user = format!("~{}", cut(&user, USER_BYTES_MAX - 1)).into();
        session.real = cut(real, REAL_BYTES_MAX).into();
        self.register(of);
    }

    fn already_registered(&self, of: Client) {
        self.reply(of, ERR_ALREADYREGISTERED, format_args!(":You may not reregister"));
    }

    /// `NICK nickname`.
    pub(crate) fn nick(&mut self, of: Client, message: &Message<'_>) {
        let Some(nick) = message.given(0) else {
            return self.reply(of, ERR_NONICKNAMEGIVEN, format_args!(":No nickname given"));
        };
        if !is_nick(nick, self.config.nick_length) {
            let text = format_args!("{} :Erroneous nickname", shown(nick));
            return self.reply(of, ERR_ERRONEUSNICKNAME, text);
        }
        if self.nicks.get(fold(nick).as_str()).is_some_and(|&holder| holder != of) {
            let text = format_args!("{nick} :Nickname is already in use");
            return self.reply(of, ERR_NICKNAMEINUSE, text);
        }
        if *self.clients[of].nick == *nick {
            return;
        }
        if self.clients[of].is_registered() {
            self.change_nick(of, nick);
        } else {
            let before = std::mem::replace(&mut self.clients[of].nick, nick.into());
            self.nicks.remove(fold(&before).as_str());
            self.nicks.insert(fold(nick), of);
            self.register(of);
        }
    }

    /// Tells everybody who sees it. The name is sent as a last parameter with its colon, since some
    /// clients (ii) look for that.
    fn change_nick(&mut self, of: Client, nick: &str) {
        self.remember(of);
        let source = self.clients[of].to_string();
        let neighbours = self.neighbours(of);
        let account = self.clients[of].account.clone();
        let tags = Tags { account: account.as_deref(), ..Tags::default() };
        let all = neighbours.into_iter().chain([of]);
        self.relay(all, &tags, format_args!(":{source} NICK :{nick}"));
        let before = std::mem::replace(&mut self.clients[of].nick, nick.into());
        self.nicks.remove(fold(&before).as_str());
        self.nicks.insert(fold(nick), of);
        if !same(&before, nick) {
            self.tell_watchers(&before, None);
            let source = self.clients[of].to_string();
            self.tell_watchers(nick, Some(&source));
        }
    }

    /// Welcomes a client that has said all that is needed.
    pub(crate) fn register(&mut self, of: Client) {
        let session = &mut self.clients[of];
        let Some(registration) = &mut session.registration else { return };
        if registration.is_negotiating || session.nick.is_empty() || session.user.is_empty() {
            return;
        }
        if let Some(given) = registration.password.take().filter(|_| session.account.is_none()) {
            let (name, password) = given.split_once(':').unwrap_or((&session.nick, &given));
            let (name, password) = (name.to_owned(), password.as_bytes().to_vec());
            return self.ask(of, Asked::Pass, Question::Verify { name, password });
        }
        if self.config.require_account && session.account.is_none() {
            let text = format_args!("* ACCOUNT_REQUIRED :You need to log in before you may come");
            self.fail(of, text);
            return self.leave(of, "An account is needed", Parting::Close);
        }
        session.registration = None;
        session.modes = session.modes.with(&self.config.user_modes);
        self.counts.registered += 1;
        self.counts.registered_most = self.counts.registered_most.max(self.counts.registered);
        self.counts.invisible += usize::from(session.modes.is_invisible());
        self.greet(of);
        let session = &self.clients[of];
        self.tell_watchers(&session.nick, Some(&session.to_string()));
    }

    /// Whether the password of a `PASS` is right.
    pub(crate) fn pass_verified(&mut self, of: Client, answer: Answer) {
        match answer {
            Answer::Identity { name, .. } => {
                self.log_in(of, &name);
                self.register(of);
            }
            _ => {
                self.reply(of, ERR_PASSWDMISMATCH, format_args!(":Password incorrect"));
                self.leave(of, "Password incorrect", Parting::Close);
            }
        }
    }

    /// What a client is told once it is registered.
    fn greet(&self, of: Client) {
        let session = &self.clients[of];
        let (name, network) = (&self.config.name, &self.config.network);
        self.reply(of, RPL_WELCOME, format_args!(":Welcome to the {network} network, {session}"));
        let text = format_args!(":Your host is {name}, running version {VERSION}");
        self.reply(of, RPL_YOURHOST, text);
        let created = crate::date(self.started / 1_000);
        self.reply(of, RPL_CREATED, format_args!(":This server was started {created}"));
        let text = format_args!("{name} {VERSION} {USER_LETTERS} beIiklmnostv beIklov");
        self.reply(of, RPL_MYINFO, text);
        self.isupport(of);
        self.tell_lusers(of);
        self.tell_motd(of);
        let letters = session.modes.letters();
        if !letters.is_empty() {
            let nick = &session.nick;
            let body = format_args!(":{session} MODE {nick} :+{letters}");
            self.send(of, &Tags::default(), body);
        }
    }

    /// The registered client with a nickname.
    pub(crate) fn find(&self, nick: &str) -> Option<Client> {
        let client = *self.nicks.get(fold(nick).as_str())?;
        Some(client).filter(|&client| self.clients[client].is_registered())
    }
}

/// Whether a client may have this nickname (RFC 2812, section 2.3.1).
pub(crate) fn is_nick(nick: &str, length: usize) -> bool {
    let is_special = |byte: u8| matches!(byte, b'['..=b'`' | b'{'..=b'}');
    let mut bytes = nick.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || is_special(first))
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || is_special(byte) || byte == b'-')
        && nick.len() <= length
}

fn is_user_character(part: char) -> bool {
    part.is_ascii_alphanumeric() || matches!(part, '-' | '_' | '.')
}

/// A text, or as much of it as has no more bytes than this.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..boundary(text.as_bytes(), bytes_max)]
}

/// A host's name as a part of lines: one word, that doesn't begin with a colon as `::1` does.
pub(crate) fn shown_host(host: &str) -> Box<str> {
    let mut shown: String =
        host.chars().filter(|part| part.is_ascii_graphic() && !matches!(part, '!' | '@')).collect();
    if shown.is_empty() {
        shown.push_str("localhost");
    }
    if shown.starts_with(':') {
        shown.insert(0, '0');
    }
    cut(&shown, HOST_BYTES_MAX).into()
}

#[cfg(test)]
mod tests {
    use super::{cut, is_nick, shown_host};

    #[test]
    fn nicknames_are_of_the_letters_of_the_rfc() {
        for nick in ["a", "[x]\\`_^{|}", "alice-7", "_"] {
            assert!(is_nick(nick, 20), "{nick}");
        }
        for nick in ["", "7a", "-a", "a b", "a.b", "ä", "a!b", "#a", "~a", "a\x7f"] {
            assert!(!is_nick(nick, 20), "{nick}");
        }
        assert!(!is_nick("abc", 2));
    }

    #[test]
    fn a_host_is_one_word_that_begins_without_a_colon() {
        assert_eq!(&*shown_host("::1"), "0::1");
        assert_eq!(&*shown_host("a b@c"), "abc");
        assert_eq!(&*shown_host(""), "localhost");
        assert_eq!(cut("aé", 2), "a");
    }
}
