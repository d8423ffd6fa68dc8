//! Of the server itself: `LUSERS`, `MOTD`, `VERSION`, `ADMIN`, `INFO`, `TIME`, `STATS`, `LINKS`, `HELP`
//! (RFC 2812, section 3.4), and what it supports (`005`).

use crate::client::Client;
use crate::command::{COMMANDS, shown};
use crate::config::USER_BYTES_MAX;
use crate::config::{
    AWAY_BYTES_MAX, HOST_BYTES_MAX, KEY_BYTES_MAX, REAL_BYTES_MAX, REASON_BYTES_MAX,
};
use crate::joining::NAMED_MAX;
use crate::message::Message;
use crate::registration::VERSION;
use crate::reply::*;
use crate::server::Server;

/// Tokens of one line of `005`, which has thirteen parameters at most between nickname and text.
const TOKENS_A_LINE: usize = 13;

impl Server {
    /// Tells a client what the server supports (<https://modern.ircdocs.horse/#rplisupport-005>).
    pub(crate) fn isupport(&self, of: Client) {
        let tokens = self.tokens();
        for line in tokens.chunks(TOKENS_A_LINE) {
            let text = format_args!("{} :are supported by this server", line.join(" "));
            self.reply(of, RPL_ISUPPORT, text);
        }
    }

    fn tokens(&self) -> Vec<String> {
        let config = &self.config;
        let (targets, masks) = (config.targets, config.masks);
        let mut tokens = vec![
            format!("AWAYLEN={AWAY_BYTES_MAX}"),
            "CASEMAPPING=ascii".to_owned(),
            format!("CHANLIMIT=#&:{}", config.channels),
            "CHANMODES=beI,k,l,imnst".to_owned(),
            format!("CHANNELLEN={}", config.channel_length),
            "CHANTYPES=#&".to_owned(),
            "ELIST=CMNTU".to_owned(),
            "EXCEPTS=e".to_owned(),
            format!("HOSTLEN={HOST_BYTES_MAX}"),
            "INVEX=I".to_owned(),
            format!("KEYLEN={KEY_BYTES_MAX}"),
            format!("KICKLEN={REASON_BYTES_MAX}"),
            format!("MAXLIST=beI:{masks}"),
            format!("MAXTARGETS={targets}"),
            format!("MODES={}", config.modes),
            format!("MONITOR={}", config.monitor),
            format!("NAMELEN={REAL_BYTES_MAX}"),
            format!("NETWORK={}", config.network),
            format!("NICKLEN={}", config.nick_length),
            "PREFIX=(ov)@+".to_owned(),
            "SAFELIST".to_owned(),
            "STATUSMSG=@+".to_owned(),
            format!(
                "TARGMAX=JOIN:{NAMED_MAX},KICK:{NAMED_MAX},NAMES:{targets},NOTICE:{targets},\
                 PART:{NAMED_MAX},PRIVMSG:{targets},TAGMSG:{targets},WHOIS:1"
            ),
            format!("TOPICLEN={}", config.topic_length),
            format!("USERLEN={USER_BYTES_MAX}"),
            "UTF8ONLY".to_owned(),
            "WHOX".to_owned(),
        ];
        if config.history {
            tokens.push(format!("CHATHISTORY={}", config.history_replies));
            tokens.push("MSGREFTYPES=msgid,timestamp".to_owned());
        }
        tokens
    }

    /// `LUSERS`.
    pub(crate) fn lusers(&mut self, of: Client, _: &Message<'_>) {
        self.tell_lusers(of);
    }

    pub(crate) fn tell_lusers(&self, of: Client) {
        let counts = self.counts;
        let (users, most) = (counts.registered, counts.registered_most);
        let (seen, invisible) = (users - counts.invisible, counts.invisible);
        let text = format_args!(":There are {seen} users and {invisible} invisible on 1 servers");
        self.reply(of, RPL_LUSERCLIENT, text);
        if counts.operators > 0 {
            let text = format_args!("{} :operator(s) online", counts.operators);
            self.reply(of, RPL_LUSEROP, text);
        }
        let unknown = counts.connected - users;
        if unknown > 0 {
            self.reply(of, RPL_LUSERUNKNOWN, format_args!("{unknown} :unknown connection(s)"));
        }
        if counts.channels > 0 {
            let text = format_args!("{} :channels formed", counts.channels);
            self.reply(of, RPL_LUSERCHANNELS, text);
        }
        self.reply(of, RPL_LUSERME, format_args!(":I have {users} clients and 0 servers"));
        let text = format_args!("{users} {most} :Current local users {users}, max {most}");
        self.reply(of, RPL_LOCALUSERS, text);
        let text = format_args!("{users} {most} :Current global users {users}, max {most}");
        self.reply(of, RPL_GLOBALUSERS, text);
    }

    /// Whether a command that may name a server names this one; where it doesn't, the client is told.
    fn is_here(&self, of: Client, server: &str) -> bool {
        let is_here = server.is_empty()
            || crate::mask::matches(server, &self.config.name)
            || self.find(server).is_some();
        if !is_here {
            self.reply(of, ERR_NOSUCHSERVER, format_args!("{} :No such server", shown(server)));
        }
        is_here
    }

    /// `MOTD [server]`.
    pub(crate) fn motd(&mut self, of: Client, message: &Message<'_>) {
        if self.is_here(of, message.parameter(0)) {
            self.tell_motd(of);
        }
    }

    pub(crate) fn tell_motd(&self, of: Client) {
        if self.config.motd.is_empty() {
            return self.reply(of, ERR_NOMOTD, format_args!(":MOTD File is missing"));
        }
        let name = &self.config.name;
        self.reply(of, RPL_MOTDSTART, format_args!(":- {name} Message of the day - "));
        for line in &self.config.motd {
            self.reply(of, RPL_MOTD, format_args!(":- {line}"));
        }
        self.reply(of, RPL_ENDOFMOTD, format_args!(":End of /MOTD command"));
    }

    /// `VERSION [server]`.
    pub(crate) fn version(&mut self, of: Client, message: &Message<'_>) {
        if self.is_here(of, message.parameter(0)) {
            let (name, description) = (&self.config.name, &self.config.description);
            self.reply(of, RPL_VERSION, format_args!("{VERSION}. {name} :{description}"));
            self.isupport(of);
        }
    }

    /// `ADMIN [server]`.
    pub(crate) fn admin(&mut self, of: Client, message: &Message<'_>) {
        if !self.is_here(of, message.parameter(0)) {
            return;
        }
        let name = &self.config.name;
        let numerics = [RPL_ADMINLOC1, RPL_ADMINLOC2, RPL_ADMINEMAIL];
        if self.config.admin.is_empty() {
            let text = format_args!("{name} :No administrative info available");
            return self.reply(of, ERR_NOADMININFO, text);
        }
        self.reply(of, RPL_ADMINME, format_args!("{name} :Administrative info"));
        // The e-mail address is the last line, however many there are.
        let skipped = numerics.len() - self.config.admin.len().min(numerics.len());
        for (numeric, line) in numerics.iter().skip(skipped).zip(&self.config.admin) {
            self.reply(of, numeric, format_args!(":{line}"));
        }
    }

    /// `INFO [server]`.
    pub(crate) fn info(&mut self, of: Client, message: &Message<'_>) {
        if !self.is_here(of, message.parameter(0)) {
            return;
        }
        let started = crate::date(self.started / 1_000);
        let lines = [
            format!("{VERSION}, an IRC server on Torsade"),
            self.config.description.clone(),
            format!("On-line since {started}"),
        ];
        for line in lines {
            self.reply(of, RPL_INFO, format_args!(":{line}"));
        }
        self.reply(of, RPL_ENDOFINFO, format_args!(":End of INFO list"));
    }

    /// `TIME [server]`.
    pub(crate) fn time(&mut self, of: Client, message: &Message<'_>) {
        if self.is_here(of, message.parameter(0)) {
            let (name, time) = (&self.config.name, crate::date(self.seconds()));
            self.reply(of, RPL_TIME, format_args!("{name} :{time}"));
        }
    }

    /// `STATS letter [server]`. What is said of the server's users is for operators alone.
    pub(crate) fn stats(&mut self, of: Client, message: &Message<'_>) {
        if !self.is_here(of, message.parameter(1)) {
            return;
        }
        let letter = message.parameter(0).chars().next().filter(char::is_ascii_alphabetic);
        let is_operator = self.clients[of].modes.is_operator();
        match letter {
            Some('u') => {
                let seconds = self.now.unix.saturating_sub(self.started) / 1_000;
                let (days, seconds) = (seconds / 86_400, seconds % 86_400);
                let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
                let text = format_args!(":Server Up {days} days {hours}:{minutes:02}:{seconds:02}");
                self.reply(of, RPL_STATSUPTIME, text);
            }
            Some('m' | 'M') if is_operator => {
                let used = COMMANDS.iter().zip(&self.usage).filter(|(_, count)| **count > 0);
                for (command, count) in used {
                    let text = format_args!("{} {count} 0 0", command.name);
                    self.reply(of, RPL_STATSCOMMANDS, text);
                }
            }
            Some('o' | 'O') if is_operator => {
                for name in &self.config.operators {
                    self.reply(of, RPL_STATSOLINE, format_args!("O * * {}", shown(name)));
                }
            }
            Some('m' | 'M' | 'o' | 'O') => self.no_privileges(of),
            _ => {}
        }
        let letter = letter.unwrap_or('*');
        self.reply(of, RPL_ENDOFSTATS, format_args!("{letter} :End of STATS report"));
    }

    /// `LINKS [mask]`: there is one server.
    pub(crate) fn links(&mut self, of: Client, message: &Message<'_>) {
        let mask = message.given(0).unwrap_or("*");
        let (name, description) = (&self.config.name, &self.config.description);
        if crate::mask::matches(mask, name) {
            self.reply(of, RPL_LINKS, format_args!("{name} {name} :0 {description}"));
        }
        self.reply(of, RPL_ENDOFLINKS, format_args!("{} :End of LINKS list", shown(mask)));
    }

    /// `HELP [command]`.
    pub(crate) fn help(&mut self, of: Client, message: &Message<'_>) {
        let topic = shown(message.parameter(0));
        let names: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
        if topic == "*" {
            let text = format_args!("{topic} :These are the commands of this server:");
            self.reply(of, RPL_HELPSTART, text);
            for line in crate::lines(names.into_iter(), " ", 300) {
                self.reply(of, RPL_HELPTXT, format_args!("{topic} :{line}"));
            }
        } else if let Some(place) = crate::command::find(topic) {
            let name = COMMANDS[place].name;
            self.reply(of, RPL_HELPSTART, format_args!("{topic} :{name}"));
            let text = format_args!("{topic} :See https://modern.ircdocs.horse/ for what it does");
            self.reply(of, RPL_HELPTXT, text);
        } else {
            let text = format_args!("{topic} :No help available on this topic");
            return self.reply(of, ERR_HELPNOTFOUND, text);
        }
        self.reply(of, RPL_ENDOFHELP, format_args!("{topic} :End of /HELP"));
    }

    /// `USERS`, which tells of the machine's users, is off (RFC 2812, section 4.6).
    pub(crate) fn users(&mut self, of: Client, _: &Message<'_>) {
        self.reply(of, ERR_USERSDISABLED, format_args!(":USERS has been disabled"));
    }

    /// `SUMMON`, which calls one of them, is off (RFC 2812, section 4.5).
    pub(crate) fn summon(&mut self, of: Client, _: &Message<'_>) {
        self.reply(of, ERR_SUMMONDISABLED, format_args!(":SUMMON has been disabled"));
    }

    /// `TRACE`: there is no way to trace beyond this server.
    pub(crate) fn trace(&mut self, of: Client, message: &Message<'_>) {
        if self.is_here(of, message.parameter(0)) {
            let name = &self.config.name;
            self.reply(of, RPL_TRACEEND, format_args!("{name} {VERSION} :End of TRACE"));
        }
    }

    /// `SERVLIST`: there are no services.
    pub(crate) fn servlist(&mut self, of: Client, _: &Message<'_>) {
        self.reply(of, RPL_SERVLISTEND, format_args!("* * :End of service listing"));
    }

    /// `SQUERY service :text`: there are no services.
    pub(crate) fn squery(&mut self, of: Client, message: &Message<'_>) {
        let service = shown(message.parameter(0));
        self.reply(of, ERR_NOSUCHSERVICE, format_args!("{service} :No such service"));
    }
}
