//! Somebody with a program for IRC, who does things and reads what it writes down.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use torsade_tests::host::{PATIENCE, POLL};

use super::server::{PASSWORD, Server};

/// Whom a person is, and where it goes.
pub(super) struct Settings {
    nick: &'static str,
    port: u16,
    /// Trusted where TLS is spoken.
    authority: Option<PathBuf>,
    /// irssi leaves a server where it can't log in if it is told to.
    logs_in: bool,
}

impl Settings {
    pub(super) fn new(nick: &'static str, server: &Server, tls: bool) -> Self {
        let (port, authority) =
            if tls { (server.tls_port, Some(server.authority())) } else { (server.port, None) };
        Self { nick, port, authority, logs_in: server.has_accounts() }
    }
}

/// What one does; in the channel `#room`, where it has to be in one.
#[derive(Clone, Copy)]
pub(super) enum Deed {
    Away(&'static str),
    Join,
    Kick(&'static str, &'static str),
    Mode(&'static str),
    Nick(&'static str),
    Part(&'static str),
    Quit(&'static str),
    Raw(&'static str),
    Reconnect,
    Say(&'static str, &'static str),
    Topic(&'static str),
}

/// A person with a running program, which is killed when it is dropped.
pub(super) struct Person {
    program: Program,
    child: Child,
    folder: TempDir,
}

enum Program {
    /// Keys that are pressed.
    Irssi(ChildStdin),
    WeeChat,
    Ii,
}

impl Person {
    /// irssi, in a terminal that `script` makes.
    pub(super) fn irssi(settings: &Settings) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let home = folder.path().display();
        let (nick, port) = (settings.nick, settings.port);
        let tls = settings.authority.as_deref().map_or(String::new(), |authority| {
            format!(
                "use_tls = \"yes\"; tls_verify = \"yes\"; tls_cafile = \"{}\";",
                authority.display()
            )
        });
        let login = format!(
            "sasl_mechanism = \"PLAIN\"; sasl_username = \"{nick}\"; \
             sasl_password = \"{PASSWORD}\";"
        );
        let login = if settings.logs_in { &*login } else { "" };
        fs::write(
            folder.path().join("config"),
            format!(
                "servers = ({{ address = \"localhost\"; family = \"inet\"; chatnet = \"test\"; \
                 port = \"{port}\"; autoconnect = \"yes\"; {tls} }});\n\
                 chatnets = {{ test = {{ type = \"IRC\"; nick = \"{nick}\"; {login} }}; }};\n\
                 settings = {{ core = {{ real_name = \"{nick}\"; user_name = \"{nick}\"; }}; \
                 \"irc/core\" = {{ cmd_queue_speed = \"1msec\"; cmds_max_at_once = \"100\"; }}; }};\n\
                 logs = {{ \"{home}/all.log\" = {{ auto_open = \"yes\"; level = \"ALL\"; }}; }};\n"
            ),
        )?;
        let mut command = Command::new("script");
        command.args(["-qefc", &format!("irssi --home={home}"), "/dev/null"]).env("TERM", "xterm");
        let mut child = started(command.stdin(Stdio::piped()))?;
        let keys = child.stdin.take().context("stdin is a pipe")?;
        Ok(Self { program: Program::Irssi(keys), child, folder })
    }

    /// WeeChat without a terminal, which reads commands from a pipe.
    pub(super) fn weechat(settings: &Settings) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let home = folder.path().display();
        let (nick, port) = (settings.nick, settings.port);
        // Before WeeChat 4 the option of TLS was called otherwise; the other one does nothing.
        let tls = settings.authority.as_deref().map_or(String::new(), |authority| {
            let authority = authority.display();
            format!(
                "/set weechat.network.gnutls_ca_user {authority};\
                 /set irc.server.test.ssl on;/set irc.server.test.tls on;"
            )
        });
        let setup = format!(
            "/set logger.file.flush_delay 0;/set logger.level.irc 9;/set fifo.file.path {home}/fifo;\
             /fifo enable;/server add test localhost/{port} -nicks={nick} -username={nick};\
             /set irc.server.test.ipv6 off;/set irc.server.test.anti_flood_prio_high 0;\
             /set irc.server.test.sasl_mechanism scram-sha-256;\
             /set irc.server.test.sasl_username {nick};\
             /set irc.server.test.sasl_password {PASSWORD};\
             /set irc.server.test.sasl_fail continue;/set irc.server.test.autoreconnect off;\
             {tls}/connect test"
        );
        let mut command = Command::new("weechat-headless");
        command.arg("-d").arg(folder.path()).args(["-r", &setup]).stdin(Stdio::null());
        Ok(Self { program: Program::WeeChat, child: started(&mut command)?, folder })
    }

    /// ii, which is a folder of pipes and files.
    pub(super) fn ii(settings: &Settings) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = settings.port.to_string();
        let mut command = Command::new("ii");
        command.args(["-s", "127.0.0.1", "-p", &port, "-n", settings.nick, "-f", settings.nick]);
        command.arg("-i").arg(folder.path()).stdin(Stdio::null());
        Ok(Self { program: Program::Ii, child: started(&mut command)?, folder })
    }

    /// Does something, as one does it with this program.
    pub(super) fn does(&mut self, deed: Deed) -> Result<()> {
        match &mut self.program {
            Program::Irssi(keys) => {
                writeln!(keys, "{}", slashed(deed))?;
                Ok(keys.flush()?)
            }
            Program::WeeChat => {
                let line = format!("irc.server.test *{}", slashed(deed));
                into_pipe(&self.folder.path().join("fifo"), &line)
            }
            Program::Ii => {
                let (place, line) = of_ii(deed);
                let server = self.folder.path().join("127.0.0.1");
                into_pipe(&server.join(place).join("in"), &line)
            }
        }
    }

    /// Waits until a line that the program has written down has all of `words`.
    pub(super) fn sees(&self, words: &[&str]) -> Result<()> {
        self.sees_again(words, 1)
    }

    /// The same for as many lines.
    pub(super) fn sees_again(&self, words: &[&str], times: usize) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            let log = self.log()?;
            let has = |line: &&str| words.iter().all(|word| line.contains(word));
            if log.lines().filter(has).count() >= times {
                return Ok(());
            }
            if Instant::now() > until {
                let from = log.floor_char_boundary(log.len().saturating_sub(SHOWN_BYTES));
                bail!("{words:?} isn't there {times} times:\n{}", &log[from..]);
            }
            thread::sleep(POLL);
        }
    }

    /// All that the program has written down.
    pub(super) fn log(&self) -> Result<String> {
        let mut log = String::new();
        read_all(self.folder.path(), &mut log)?;
        Ok(log)
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // The program is a child of `script`; it is its own group, and may have ended.
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

fn started(command: &mut Command) -> Result<Child> {
    let command = command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let name = command.get_program().display().to_string();
    command.spawn().with_context(|| format!("{name} can't be started"))
}

/// As irssi and WeeChat are told.
fn slashed(deed: Deed) -> String {
    match deed {
        Deed::Away(why) => format!("/away {why}"),
        Deed::Join => "/join #room".to_owned(),
        Deed::Kick(who, why) => format!("/kick #room {who} {why}"),
        Deed::Mode(change) => format!("/mode #room {change}"),
        Deed::Nick(nick) => format!("/nick {nick}"),
        Deed::Part(why) => format!("/part #room {why}"),
        // To WeeChat quitting is leaving the program.
        Deed::Quit(why) => format!("/disconnect test {why}"),
        Deed::Raw(line) => format!("/quote {line}"),
        Deed::Reconnect => "/connect test".to_owned(),
        Deed::Say(to, text) => format!("/msg {to} {text}"),
        Deed::Topic(text) => format!("/topic #room {text}"),
    }
}

/// As ii is told: which pipe, and what.
fn of_ii(deed: Deed) -> (&'static str, String) {
    match deed {
        Deed::Away(why) => ("", format!("/a {why}")),
        Deed::Join => ("", "/j #room".to_owned()),
        Deed::Kick(who, why) => ("", format!("/KICK #room {who} :{why}")),
        Deed::Mode(change) => ("", format!("/MODE #room {change}")),
        Deed::Nick(nick) => ("", format!("/n {nick}")),
        Deed::Part(why) => ("#room", format!("/l {why}")),
        Deed::Quit(why) => ("", format!("/q {why}")),
        Deed::Raw(line) => ("", format!("/{line}")),
        Deed::Reconnect => unreachable!("it ends with its connection"),
        Deed::Say(to, text) => (to, text.to_owned()),
        Deed::Topic(text) => ("#room", format!("/t {text}")),
    }
}

/// Writes a line into a pipe that a program makes, and reads.
fn into_pipe(pipe: &Path, line: &str) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        // Without waiting: where nobody reads, opening it would wait for ever.
        let open = File::options().write(true).custom_flags(NONBLOCK).open(pipe);
        match open {
            // In one write: ii takes what it finds for all there is.
            Ok(mut pipe) => return Ok(pipe.write_all(format!("{line}\n").as_bytes())?),
            Err(error) if Instant::now() > until => {
                return Err(error).context(format!("nobody reads {}", pipe.display()));
            }
            Err(_) => thread::sleep(POLL),
        }
    }
}

/// Appends all logs below a folder.
fn read_all(folder: &Path, log: &mut String) -> Result<()> {
    let mut paths: Vec<_> =
        fs::read_dir(folder)?.filter_map(Result::ok).map(|it| it.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            read_all(&path, log)?;
        } else if name == "out" || name == "all.log" || name.ends_with(".weechatlog") {
            log.push_str(&String::from_utf8_lossy(&fs::read(&path)?));
        }
    }
    Ok(())
}

/// `O_NONBLOCK`, as the standard library wants it.
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits() as i32;

/// How much is shown of a log that doesn't have what it should.
const SHOWN_BYTES: usize = 4096;
