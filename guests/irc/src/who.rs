//! `WHO`, and the extension that lets a client choose what it is told of each
//! (<https://ircv3.net/specs/extensions/whox>).

use crate::cap;
use crate::casemap::fold;
use crate::channel::is_channel;
use crate::client::{Client, Session};
use crate::command::shown;
use crate::listing::{LINES_A_PART, LOOKED_AT_A_PART, Listing};
use crate::mask;
use crate::message::Message;
use crate::modes::Status;
use crate::registration::cut;
use crate::reply::*;
use crate::server::{SECOND, Server};

/// Bytes of the token that a client may give with its fields.
const TOKEN_BYTES_MAX: usize = 3;

/// Who is sought, and how far it has come.
pub(crate) struct Sought {
    /// As it was asked for.
    mask: String,
    among: Among,
    /// Whether only operators are told.
    only_operators: bool,
    /// The fields and the token of WHOX.
    fields: Option<(String, String)>,
}

enum Among {
    /// All clients from this index on.
    All(usize),
    /// A channel's members behind this one.
    Members(u64, Option<Client>),
    /// Nobody, or one that is told of at once.
    Nobody,
}

impl Server {
    /// `WHO mask [o][%fields,token]`.
    pub(crate) fn who(&mut self, of: Client, message: &Message<'_>) {
        let mask = message.given(0).unwrap_or("*");
        let (flags, extended) = match message.parameter(1).split_once('%') {
            Some((flags, fields)) => (flags, Some(fields)),
            None => (message.parameter(1), None),
        };
        let fields = extended.map(|extended| {
            let (fields, token) = extended.split_once(',').unwrap_or((extended, ""));
            let is_token = !token.is_empty() && token.len() <= TOKEN_BYTES_MAX;
            let token = if is_token { shown(token) } else { "0" };
            (fields.to_owned(), token.to_owned())
        });
        let mut sought = Sought {
            mask: mask.to_owned(),
            among: Among::All(0),
            only_operators: flags.contains(['o', 'O']),
            fields,
        };
        if is_channel(mask) {
            let number = self.channel_names.get(fold(mask).as_str()).copied();
            let seen = number.filter(|&number| {
                self.channels.get(number).is_some_and(|channel| self.sees(of, channel))
            });
            sought.among = seen.map_or(Among::Nobody, |number| Among::Members(number, None));
        } else if let Some(client) = self.find(mask) {
            sought.among = Among::Nobody;
            if !sought.only_operators || self.clients[client].modes.is_operator() {
                self.who_line(of, client, None, &sought);
            }
        }
        self.begin_listing(of, Listing::Who(sought));
    }

    /// Tells of some more, and gives what follows.
    pub(crate) fn who_part(&mut self, of: Client, mut sought: Sought) -> Option<Sought> {
        let is_over = match sought.among {
            Among::All(next) => {
                let next = self.who_all(of, &sought, next);
                next.map(|next| sought.among = Among::All(next)).is_none()
            }
            Among::Members(number, last) => {
                let last = self.who_members(of, &sought, number, last);
                last.map(|last| sought.among = Among::Members(number, Some(last))).is_none()
            }
            Among::Nobody => true,
        };
        if is_over {
            let text = format_args!("{} :End of WHO list", shown(&sought.mask));
            self.reply(of, RPL_ENDOFWHO, text);
            return None;
        }
        Some(sought)
    }

    fn who_all(&self, of: Client, sought: &Sought, next: usize) -> Option<usize> {
        let mut lines = 0;
        for (count, (index, client, session)) in self.clients.from(next).enumerate() {
            if lines == LINES_A_PART || count == LOOKED_AT_A_PART {
                return Some(index);
            }
            let is_told = session.is_registered()
                && (!sought.only_operators || session.modes.is_operator())
                && self.is_visible(of, client)
                && sought.matches(session);
            if is_told {
                self.who_line(of, client, None, sought);
                lines += 1;
            }
        }
        None
    }

    /// Whether a client may be found by who doesn't know its nickname.
    pub(crate) fn is_visible(&self, of: Client, client: Client) -> bool {
        let (own, session) = (&self.clients[of], &self.clients[client]);
        client == of
            || !session.modes.is_invisible()
            || own.modes.is_operator()
            || session.channels.iter().any(|channel| own.channels.contains(channel))
    }

    fn who_members(
        &self,
        of: Client,
        sought: &Sought,
        number: u64,
        last: Option<Client>,
    ) -> Option<Client> {
        let channel = self.channels.get(number)?;
        let (mut lines, mut told) = (0, None);
        let is_member = channel.status(of).is_some();
        for (client, status) in channel.members_behind(last) {
            if lines == LINES_A_PART {
                return told;
            }
            told = Some(client);
            let session = &self.clients[client];
            let is_seen = is_member || self.is_visible(of, client);
            if is_seen && (!sought.only_operators || session.modes.is_operator()) {
                self.who_line(of, client, Some((&channel.name, status)), sought);
                lines += 1;
            }
        }
        None
    }

    fn who_line(&self, of: Client, client: Client, place: Option<(&str, Status)>, sought: &Sought) {
        let session = &self.clients[client];
        let (channel, status) = place.unwrap_or(("*", Status::default()));
        let mut flags = String::from(if session.away.is_some() { "G" } else { "H" });
        if session.modes.is_operator() {
            flags.push('*');
        }
        flags.push_str(status.prefixes(self.has(of, cap::MULTI_PREFIX)));
        if let Some((fields, token)) = &sought.fields {
            let line = self.whox(of, client, (channel, status, &flags), (fields, token));
            return self.reply(of, RPL_WHOSPCRPL, format_args!("{line}"));
        }
        let Session { user, host, nick, real, .. } = session;
        let server = &self.config.name;
        let text = format_args!("{channel} {user} {host} {server} {nick} {flags} :0 {real}");
        self.reply(of, RPL_WHOREPLY, text);
    }

    /// The fields of a client, in the order that WHOX has.
    fn whox(
        &self,
        of: Client,
        client: Client,
        (channel, status, flags): (&str, Status, &str),
        (fields, token): (&str, &str),
    ) -> String {
        let session = &self.clients[client];
        let own_or_asked_by_operator = client == of || self.clients[of].modes.is_operator();
        let ip = if own_or_asked_by_operator { &*session.host } else { "255.255.255.255" };
        let idle = self.now.monotonic.saturating_sub(session.spoke) / SECOND;
        let mut line = String::new();
        for field in "tcuihsnfdlao".chars().filter(|&field| fields.contains(field)) {
            let value = match field {
                't' => token,
                'c' => channel,
                'u' => &session.user,
                'i' => ip,
                'h' => &session.host,
                's' => &self.config.name,
                'n' => &session.nick,
                'f' => flags,
                'd' => "0",
                'l' => &idle.to_string(),
                'a' => session.account.as_deref().unwrap_or("0"),
                _ if status.is_operator() => "0",
                _ => "n/a",
            };
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(value);
        }
        if fields.contains('r') {
            line.push_str(if line.is_empty() { ":" } else { " :" });
            line.push_str(cut(&session.real, crate::config::REAL_BYTES_MAX));
        }
        line
    }
}

impl Sought {
    fn matches(&self, session: &Session) -> bool {
        let mask = &*self.mask;
        // `0` is what RFC 1459 says for all.
        mask == "*"
            || mask == "0"
            || mask::matches(mask, &session.nick)
            || mask::matches(mask, &session.user)
            || mask::matches(mask, &session.host)
            || mask::matches(mask, &session.real)
    }
}
