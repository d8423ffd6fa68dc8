//! The host as another user: everything is bound as root, and nothing is left of root when it serves.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;
use torsade_tests::host::{self, Host};

use super::bad_configuration::{message, one_message};
use super::endpoints::connect_unix;
use super::http::client::Answer;
use super::streams::echoes;
use super::{configure, trial, trial_with};

pub(super) fn trials() -> Vec<Trial> {
    let by_root = |name: &str, test: fn() -> Result<()>| {
        trial_with(&format!("privileges::{name}"), root, move |()| test())
    };
    vec![
        by_root("nothing_is_left_of_root", nothing_is_left_of_root),
        by_root("what_the_user_can_not_read_is_told", what_the_user_can_not_read_is_told),
        by_root("users_are_made_for_who_serves", users_are_made_for_who_serves),
        by_root("a_group_is_entered", a_group_is_entered),
        by_root("only_root_becomes_another", only_root_becomes_another),
        by_root("a_user_that_it_is_already_is_right", a_user_that_it_is_already_is_right),
        trial("privileges::new_ones_are_never_gained", new_ones_are_never_gained),
        trial("privileges::an_unknown_user_is_named", an_unknown_user_is_named),
    ]
}

pub(super) fn root() -> Result<()> {
    ensure!(fs::metadata("/proc/self")?.uid() == 0, "only root can become another user");
    Ok(())
}

/// A user that every Linux has: its name and its number.
const NOBODY: (&str, u32) = ("nobody", 65534);

/// A folder that everybody can reach.
fn open_folder(configuration: &str) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    configure(folder.path(), configuration)?;
    Ok(folder)
}

/// What the kernel says of each thread of a process: a line of its status, without the key.
fn of_threads(host: &Host, key: &str) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for thread in fs::read_dir(format!("/proc/{}/task", host.id()))? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        let line = line.with_context(|| format!("{key} is not in {status}"))?;
        lines.push(line.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    ensure!(lines.len() >= 3, "there are only {} threads", lines.len());
    Ok(lines)
}

fn all_threads(host: &Host, key: &str, wanted: &str) -> Result<()> {
    let found = of_threads(host, key)?;
    ensure!(found.iter().all(|line| line == wanted), "{key} is not {wanted} but {found:?}");
    Ok(())
}

/// A port that only root can bind, and that nobody has.
fn low_port() -> Result<u16> {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (600..1024).rev().find(free).context("all ports below 1024 are in use")
}

fn nothing_is_left_of_root() -> Result<()> {
    let port = low_port()?;
    let folder = open_folder(&format!(
        "workers = 2\nuser = \"{}\"\nstate = \"var/state\"\n\
         [service.echo]\nplugin = \"@echo\"\n\
         listen = [\"tcp:{port}:interface=127.0.0.1\", \"unix:echo.sock:mode=600\"]\n\
         [service.site]\nplugin = \"@http\"\nlisten = [\"tcp:0:interface=127.0.0.1\"]\n\
         grants = {{ files = {{ read = \"public\" }} }}\n\
         [service.store]\nplugin = \"@store\"\nlisten = [\"tcp:0:interface=127.0.0.1\"]\n\
         grants = {{ sql = \"file\", key-value = \"file\" }}\n",
        NOBODY.0
    ))?;
    let public = folder.path().join("public");
    fs::create_dir(&public)?;
    for (name, mode) in [("open.txt", 0o644), ("secret.txt", 0o600)] {
        fs::write(public.join(name), "what is in it")?;
        fs::set_permissions(public.join(name), Permissions::from_mode(mode))?;
    }
    fs::set_permissions(&public, Permissions::from_mode(0o755))?;

    for start in ["the first", "a second"] {
        let mut host = Host::up(folder.path(), 4)?;
        let id = NOBODY.1;
        let primary = fs::read_to_string("/etc/passwd")?;
        let primary = primary.lines().find(|line| line.starts_with("nobody:"));
        let gid = primary.and_then(|line| line.split(':').nth(3)).context("nobody has a group")?;
        all_threads(&host, "Uid", &format!("{id} {id} {id} {id}"))?;
        all_threads(&host, "Gid", &format!("{gid} {gid} {gid} {gid}"))?;
        all_threads(&host, "Groups", gid)?;
        for capabilities in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            all_threads(&host, capabilities, "0000000000000000")?;
        }
        all_threads(&host, "NoNewPrivs", "1")?;

        echoes(&mut host.connect("echo")?, b"by a low port")?;
        let socket = folder.path().join("echo.sock");
        echoes(&mut connect_unix(&socket)?, b"by a Unix socket")?;
        let owner = fs::metadata(&socket)?;
        ensure!((owner.uid(), owner.mode() & 0o777) == (id, 0o600), "{owner:?}");

        for (name, may) in [("open.txt", true), ("secret.txt", false)] {
            let mut stream = host.connect("site")?;
            write!(stream, "GET /{name} HTTP/1.1\r\nHost: a\r\n\r\n")?;
            let answer = Answer::read(&mut stream)?;
            ensure!((answer.status == 200) == may, "{name}: {}", answer.head);
            ensure!((answer.body == b"what is in it") == may, "{name}: {:?}", answer.body);
        }

        let mut stream = BufReader::new(host.connect("store")?);
        let mut ask = |line: &str| -> Result<String> {
            writeln!(stream.get_mut(), "{line}")?;
            let mut answer = String::new();
            stream.read_line(&mut answer)?;
            Ok(answer.trim_end().to_owned())
        };
        ask("execute\tCREATE TABLE IF NOT EXISTS kept (a)")?;
        ask("execute\tINSERT INTO kept VALUES (1)")?;
        let count = if start == "the first" { 1 } else { 2 };
        let answer = ask("query\tSELECT count(*) AS n FROM kept")?;
        ensure!(answer == format!("rows\tn | integer {count}"), "{start}: {answer}");
        let state = fs::metadata(folder.path().join("var/state"))?;
        ensure!((state.uid(), state.mode() & 0o777) == (id, 0o700), "{state:?}");
        ensure!(fs::metadata(folder.path().join("var"))?.uid() == 0, "its parent was given away");

        let status = host.terminate()?;
        ensure!(status.success(), "{status}: {}", host.log());
    }
    Ok(())
}

fn users_are_made_for_who_serves() -> Result<()> {
    let folder = open_folder(
        "user = \"nobody\"\ngrace = \"0s\"\n[service.login]\nplugin = \"@login\"\n\
         instances = \"per-worker\"\nlisten = [\"tcp:0:interface=127.0.0.1\"]\n\
         grants = { credentials = { users = \"state/users\", create = [\"alice\"] } }\n",
    )?;
    let users = folder.path().join("state/users");
    let mut host = Host::up(folder.path(), 1)?;
    host.log_with(&["this is said once:", "  alice  "])?;
    let made = fs::metadata(&users)?;
    ensure!((made.uid(), made.mode() & 0o777) == (NOBODY.1, 0o600), "{made:?}");
    ensure!(host.terminate()?.success());
    let mut again = Host::up(folder.path(), 1)?;
    ensure!(again.terminate()?.success() && !again.log().contains("said once"), "{}", again.log());
    Ok(())
}

fn what_the_user_can_not_read_is_told() -> Result<()> {
    let folder = open_folder(
        "user = \"nobody\"\n[service.site]\nplugin = \"@http\"\nlisten = [\"tcp:0\"]\n\
         grants = { files = { read = \"public\" } }\n",
    )?;
    let public = folder.path().join("public");
    fs::create_dir(&public)?;
    fs::set_permissions(&public, Permissions::from_mode(0o700))?;
    let said = message("up", folder.path())?;
    let words = ["service.site", "grants.files", "public", "Permission denied"];
    ensure!(words.iter().all(|word| said.contains(word)), "{said}");

    let folder = open_folder(
        "user = \"nobody\"\n[service.store]\nplugin = \"@store\"\nlisten = [\"tcp:0\"]\n\
         grants = { sql = \"file\", key-value = \"file\" }\n",
    )?;
    fs::create_dir(folder.path().join("state"))?;
    fs::set_permissions(folder.path().join("state"), Permissions::from_mode(0o755))?;
    let said = message("up", folder.path())?;
    let words = ["service.store", "store.sqlite as the user nobody", "Permission denied"];
    ensure!(words.iter().all(|word| said.contains(word)), "{said}");
    Ok(())
}

fn a_group_is_entered() -> Result<()> {
    let folder = open_folder(
        "workers = 1\nuser = \"nobody\"\ngroup = \"tty\"\n\
         [service.echo]\nplugin = \"@echo\"\nlisten = [\"unix:echo.sock:mode=660\"]\n",
    )?;
    let host = Host::up(folder.path(), 1)?;
    let tty = fs::read_to_string("/etc/group")?;
    let tty = tty.lines().find(|line| line.starts_with("tty:"));
    let gid = tty.and_then(|line| line.split(':').nth(2)).context("there is a group tty")?;
    all_threads(&host, "Gid", &format!("{gid} {gid} {gid} {gid}"))?;
    let socket = fs::metadata(folder.path().join("echo.sock"))?;
    ensure!((socket.uid(), socket.gid().to_string()) == (NOBODY.1, gid.to_owned()), "{socket:?}");
    echoes(&mut connect_unix(&folder.path().join("echo.sock"))?, b"hello")
}

/// The command as nobody runs it. It is copied to where nobody can reach it.
fn as_nobody(folder: &Path) -> Result<Command> {
    let program = folder.join("torsade-program");
    let binary = host::binary()?;
    fs::hard_link(&binary, &program).or_else(|_| fs::copy(&binary, &program).map(drop))?;
    let mut command = Command::new(program);
    command.arg("up").arg(folder).env("XDG_CACHE_HOME", "/nowhere").env_remove("TORSADE_LOG");
    command.uid(NOBODY.1).gid(NOBODY.1).current_dir("/");
    Ok(command)
}

/// A folder with an echo that nobody can read.
fn echo_for_nobody(lines: &str) -> Result<TempDir> {
    let echo = "[service.echo]\nplugin = \"echo.wasm\"\nlisten = [\"tcp:0:interface=127.0.0.1\"]\n";
    let folder = open_folder(&format!("{lines}{echo}"))?;
    fs::copy(torsade_tests::guests::component("guests/echo")?, folder.path().join("echo.wasm"))?;
    fs::set_permissions(folder.path().join("echo.wasm"), Permissions::from_mode(0o644))?;
    Ok(folder)
}

fn only_root_becomes_another() -> Result<()> {
    let folder = echo_for_nobody("user = \"daemon\"\n")?;
    let output = as_nobody(folder.path())?.output()?;
    let said = one_message(&output)?;
    let wanted = "only root can become daemon, and this process runs as nobody; start it as root \
                  or as daemon, or leave `user` out";
    ensure!(said.contains(wanted), "{said}");
    Ok(())
}

fn a_user_that_it_is_already_is_right() -> Result<()> {
    let folder = echo_for_nobody("workers = 1\nuser = \"nobody\"\n")?;
    let host = Host::start(as_nobody(folder.path())?, 1)?;
    let id = NOBODY.1;
    all_threads(&host, "Uid", &format!("{id} {id} {id} {id}"))?;
    all_threads(&host, "NoNewPrivs", "1")?;
    echoes(&mut host.connect("echo")?, b"hello")
}

fn new_ones_are_never_gained() -> Result<()> {
    let folder = super::folder(
        "workers = 2\n[service.echo]\nplugin = \"@echo\"\nlisten = [\"tcp:0:interface=127.0.0.1\"]\n",
    )?;
    let host = Host::up(folder.path(), 1)?;
    all_threads(&host, "NoNewPrivs", "1")?;
    let own = fs::metadata("/proc/self")?.uid();
    all_threads(&host, "Uid", &format!("{own} {own} {own} {own}"))?;
    echoes(&mut host.connect("echo")?, b"hello")
}

fn an_unknown_user_is_named() -> Result<()> {
    let folder = open_folder("user = \"nobody-here\"\n[service.echo]\nplugin = \"@echo\"\n")?;
    for command in ["check", "up"] {
        let said = message(command, folder.path())?;
        let wanted = "torsade.toml:1:8: user: this machine has no user \"nobody-here\"";
        if !said.contains(wanted) {
            bail!("{command}: {said}");
        }
    }
    Ok(())
}
