//! The commands: what each is called, what it takes, what it costs, and what runs it.

use crate::client::Client;
use crate::message::Message;
use crate::reply::*;
use crate::server::Server;
use crate::{flood, output};

/// A command.
pub(crate) struct Command {
    /// In upper case.
    pub(crate) name: &'static str,
    /// So many parameters at least, none of them empty where the command has to have it.
    parameters_min: usize,
    /// Lines that it counts as beyond the first, by flood control.
    costs: u64,
    /// Whether it may come before the client is registered.
    is_early: bool,
    run: fn(&mut Server, Client, &Message<'_>),
}

const fn command(
    name: &'static str,
    parameters_min: usize,
    costs: u64,
    run: fn(&mut Server, Client, &Message<'_>),
) -> Command {
    Command { name, parameters_min, costs, is_early: false, run }
}

const fn early(
    name: &'static str,
    parameters_min: usize,
    run: fn(&mut Server, Client, &Message<'_>),
) -> Command {
    Command { name, parameters_min, costs: 0, is_early: true, run }
}

/// All of them, by name.
pub(crate) const COMMANDS: &[Command] = &[
    command("ADMIN", 0, 0, Server::admin),
    early("AUTHENTICATE", 1, Server::authenticate),
    command("AWAY", 0, 1, Server::away),
    early("CAP", 1, Server::cap),
    command("CHATHISTORY", 1, 1, Server::chathistory),
    command("CHGHOST", 2, 0, Server::chghost),
    command("CONNECT", 1, 0, Server::no_servers),
    command("DIE", 0, 0, Server::leave_to_host),
    early("ERROR", 0, Server::pong),
    command("HELP", 0, 1, Server::help),
    command("INFO", 0, 1, Server::info),
    command("INVITE", 0, 1, Server::invite),
    command("ISON", 1, 0, Server::ison),
    command("JOIN", 1, 0, Server::join),
    command("KICK", 2, 0, Server::kick),
    command("KILL", 1, 0, Server::kill),
    command("LINKS", 0, 1, Server::links),
    command("LIST", 0, 2, Server::list),
    command("LUSERS", 0, 0, Server::lusers),
    command("MODE", 1, 0, Server::mode),
    command("MONITOR", 1, 0, Server::monitor),
    command("MOTD", 0, 1, Server::motd),
    command("NAMES", 0, 1, Server::names),
    early("NICK", 0, Server::nick),
    command("NOTICE", 0, 0, Server::notice),
    command("OPER", 2, 2, Server::oper),
    command("PART", 1, 0, Server::part),
    early("PASS", 1, Server::pass),
    early("PING", 1, Server::ping),
    early("PONG", 0, Server::pong),
    command("PRIVMSG", 0, 0, Server::privmsg),
    early("QUIT", 0, Server::quit),
    command("REHASH", 0, 0, Server::leave_to_host),
    command("RESTART", 0, 0, Server::leave_to_host),
    command("SERVLIST", 0, 0, Server::servlist),
    command("SETNAME", 1, 1, Server::setname),
    command("SQUERY", 1, 0, Server::squery),
    command("SQUIT", 1, 0, Server::no_servers),
    early("STARTTLS", 0, Server::starttls),
    command("STATS", 1, 1, Server::stats),
    command("SUMMON", 0, 0, Server::summon),
    command("TAGMSG", 0, 0, Server::tagmsg),
    command("TIME", 0, 0, Server::time),
    command("TOPIC", 1, 0, Server::topic),
    command("TRACE", 0, 0, Server::trace),
    early("USER", 4, Server::user),
    command("USERHOST", 1, 0, Server::userhost),
    command("USERS", 0, 0, Server::users),
    command("VERSION", 0, 1, Server::version),
    command("WALLOPS", 1, 1, Server::wallops),
    command("WHO", 0, 1, Server::who),
    command("WHOIS", 0, 0, Server::whois),
    command("WHOWAS", 0, 0, Server::whowas),
];

impl Server {
    /// Runs the command of a message.
    pub(crate) fn run(&mut self, of: Client, message: &Message<'_>) {
        let is_registered = self.clients[of].is_registered();
        let place = find(message.command);
        let name = shown(message.command);
        let (place, command) = match place {
            Some(place) => (place, &COMMANDS[place]),
            None if is_registered => {
                return self.reply(of, ERR_UNKNOWNCOMMAND, format_args!("{name} :Unknown command"));
            }
            None => return self.not_registered(of),
        };
        if !is_registered && !command.is_early {
            return self.not_registered(of);
        }
        self.usage[place] += 1;
        if message.parameters().len() < command.parameters_min {
            return self.needs_more(of, command.name);
        }
        flood::spend(&mut self.clients[of], &self.config, self.now.monotonic, command.costs);
        (command.run)(self, of, message);
    }

    fn not_registered(&self, of: Client) {
        self.reply(of, ERR_NOTREGISTERED, format_args!(":You have not registered"));
    }

    /// A parameter is missing.
    pub(crate) fn needs_more(&self, of: Client, command: &str) {
        let text = format_args!("{command} :Not enough parameters");
        self.reply(of, ERR_NEEDMOREPARAMS, text);
    }

    /// `PING token`.
    pub(crate) fn ping(&mut self, of: Client, message: &Message<'_>) {
        match message.given(0) {
            Some(token) => {
                let name = &self.config.name;
                self.line(of, format_args!("PONG {name} :{token}"));
            }
            None => self.reply(of, ERR_NOORIGIN, format_args!(":No origin specified")),
        }
    }

    /// `PONG`: that anything came is what counts.
    pub(crate) fn pong(&mut self, _: Client, _: &Message<'_>) {}
}

/// The place of a command in the table, whatever its case.
pub(crate) fn find(name: &str) -> Option<usize> {
    let name = name.to_ascii_uppercase();
    COMMANDS.binary_search_by(|command| command.name.cmp(&name)).ok()
}

/// A word of a client's as a part of a reply: one word, that isn't too long for what follows it. It ends
/// at a NUL, which no line has.
pub(crate) fn shown(word: &str) -> &str {
    let word = word.split([' ', '\0']).next().unwrap_or_default().trim_start_matches(':');
    let word = &word[..output::boundary(word.as_bytes(), SHOWN_BYTES_MAX)];
    if word.is_empty() { "*" } else { word }
}

/// Bytes of a client's word in a reply that refuses it.
const SHOWN_BYTES_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::{COMMANDS, find, shown};

    #[test]
    fn the_commands_are_in_order() {
        assert!(COMMANDS.is_sorted_by(|one, next| one.name < next.name));
        assert!(find("privmsg").is_some() && find("PRIVMSG2").is_none());
    }

    #[test]
    fn a_word_is_one_and_short() {
        assert_eq!((shown("a b"), shown(":x"), shown("a\0b"), shown("")), ("a", "x", "a", "*"));
        assert_eq!(shown(&"é".repeat(80)).len(), 100);
    }
}
