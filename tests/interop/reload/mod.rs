//! What a host serves changes while it serves: by SIGHUP, and by `--watch`.

mod under_load;
mod watch;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;
use torsade_tests::guests;
use torsade_tests::host::{self, Host, PATIENCE};

use super::endpoints::connect_unix;
use super::stopping::{is_ended, refuses};
use super::streams::echoes;
use super::{ECHO, configure, folder, trial};

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("reload::services_come_go_and_change", services_come_go_and_change),
        trial("reload::a_mistake_changes_nothing", a_mistake_changes_nothing),
        trial("reload::what_is_for_a_new_start_is_refused", what_is_for_a_new_start),
        trial("reload::connections_are_counted_on", connections_are_counted_on),
        trial("reload::endpoints_go_from_one_service_to_another", endpoints_go_on),
        trial("reload::a_parked_service_is_served_again", a_parked_service_is_served_again),
        trial("reload::what_is_kept_in_memory_stays", what_is_kept_in_memory_stays),
        trial("reload::stopping_beside_a_reload_ends_it", stopping_beside_a_reload),
    ];
    trials.extend(under_load::trials());
    trials.extend(watch::trials());
    trials
}

/// What the unruly plugin needs.
const GRANTS: &str = "grants = { files = { read = \".\" } }\n";

/// Has the host read another configuration, and gives what it says to it.
fn reload(host: &Host, folder: &TempDir, configuration: &str) -> Result<String> {
    configure(folder.path(), configuration)?;
    again(host)
}

/// Has the host read its configuration again.
fn again(host: &Host) -> Result<String> {
    let before = host.log().len();
    host.signal("HUP")?;
    let until = Instant::now() + PATIENCE;
    loop {
        let log = host.log();
        let is_said = |line: &&str| line.contains(" reloaded: ") || line.contains(" not reloaded");
        let said = log.get(before..).unwrap_or_default();
        let whole = said.rsplit_once('\n').map_or("", |(lines, _)| lines);
        if let Some(line) = whole.lines().find(is_said) {
            // A message may have more lines.
            let from = whole.find(line).unwrap_or(0);
            return Ok(whole[from..].to_owned());
        }
        ensure!(Instant::now() < until, "the host does not say what it did:\n{log}");
        thread::sleep(host::POLL);
    }
}

fn greets(mut stream: impl Read) -> Result<()> {
    let mut greeting = [0; 6];
    stream.read_exact(&mut greeting)?;
    ensure!(&greeting == b"hello\n", "{greeting:?} is no greeting");
    Ok(())
}

fn services_come_go_and_change() -> Result<()> {
    let service = |name: &str, plugin: &str, listen: &str| {
        format!("[service.{name}]\nplugin = \"{plugin}\"\nlisten = [{listen}]\n{GRANTS}")
    };
    let tcp = "\"tcp:0:interface=127.0.0.1\"";
    for workers in [1, 2] {
        let head = format!("workers = {workers}\ngrace = \"400ms\"\n");
        let same = service("same", "@echo", tcp);
        let before = format!(
            "{head}{same}{}{}",
            service("gone", "@echo", tcp),
            service("talk", "@echo", &format!("{tcp}, \"unix:talk.sock\""))
        );
        let folder = folder(&before)?;
        let mut host = Host::up(folder.path(), 4)?;
        let mut same_conn = host.connect("same")?;
        let (mut gone, mut talk) = (host.connect("gone")?, host.connect("talk")?);
        let mut over_unix = connect_unix(&folder.path().join("talk.sock"))?;
        echoes(&mut over_unix, b"before")?;
        for stream in [&mut same_conn, &mut gone, &mut talk] {
            echoes(stream, b"before")?;
        }
        let after = format!(
            "{head}{}{same}{}",
            service("more", "@echo", "\"unix:more.sock\""),
            service("talk", "@unruly", &format!("\"unix:talk.sock\", {tcp}"))
        );
        let gone_at = host.address("gone")?;
        let said = reload(&host, &folder, &after)?;
        ensure!(said.contains("reloaded: added more; removed gone; swapped talk"), "{said}");
        for stream in [&mut same_conn, &mut talk] {
            echoes(stream, b"?after")?;
        }
        echoes(&mut over_unix, b"?after")?;
        for _ in 0..4 {
            echoes(&mut host.connect("same")?, b"new")?;
            echoes(&mut connect_unix(&folder.path().join("more.sock"))?, b"new")?;
            greets(host.connect("talk")?)?;
            greets(connect_unix(&folder.path().join("talk.sock"))?)?;
        }
        refuses(gone_at)?;
        is_ended(&mut gone)?;
        ensure!(again(&host)?.contains("reloaded: nothing has changed"), "{}", host.log());
        drop((same_conn, talk, over_unix));
        let status = host.terminate()?;
        ensure!(status.code() == Some(0), "{status}: {}", host.log());
    }
    Ok(())
}

fn a_mistake_changes_nothing() -> Result<()> {
    let folder = folder(ECHO)?;
    let host = Host::up(folder.path(), 1)?;
    let mut stream = host.connect("echo")?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let add = |rest: &str| format!("{ECHO}[service.bad]\nplugin = \"@http\"\n{rest}\n");
    let mistakes = [
        ("[service.echo".to_owned(), "not TOML"),
        (format!("{ECHO}lissen = []\n"), "lissen"),
        (add("listen = [\"unix:new.sock\"]"), "grants"),
        (add("grants = { files = { read = \".\" } }\nconfig = { listng = true }"), "listng"),
        (format!("{ECHO}[service.bad]\nplugin = \"bad.wasm\"\n"), "not wasm"),
        (
            format!("{ECHO}[service.bad]\nplugin = \"@echo\"\ntls = {{ cert = \"no.pem\" }}\n"),
            "no.pem",
        ),
    ];
    fs::write(folder.path().join("bad.wasm"), "no wasm")?;
    for (configuration, words) in &mistakes {
        let said = reload(&host, &folder, configuration)?;
        ensure!(said.contains("not reloaded, nothing has changed"), "{words}: {said}");
        ensure!(said.contains(words), "it does not say {words:?}: {said}");
        let checked = host::run(&["check", &folder.path().display().to_string()], folder.path())?;
        let checked = String::from_utf8_lossy(&checked.stderr).into_owned();
        let checked = checked.trim_start_matches("error: ").trim();
        let first = checked.lines().next().unwrap_or_default();
        ensure!(said.contains(first), "check says {checked:?}, and the log {said:?}");
        echoes(&mut stream, b"the old one")?;
        echoes(&mut host.connect("echo")?, b"a new one")?;
    }
    let taken = taken.local_addr()?.port();
    let in_use = format!(
        "{ECHO}[service.bad]\nplugin = \"@echo\"\n\
         listen = [\"unix:bad.sock\", \"tcp:{taken}:interface=127.0.0.1\"]\n"
    );
    let said = reload(&host, &folder, &in_use)?;
    ensure!(said.contains("not reloaded") && said.contains("in use by another program"), "{said}");
    ensure!(!folder.path().join("bad.sock").exists(), "what was bound is left behind");
    ensure!(reload(&host, &folder, ECHO)?.contains("nothing has changed"), "{}", host.log());
    Ok(())
}

fn what_is_for_a_new_start() -> Result<()> {
    let folder = folder(&format!("workers = 1\n{ECHO}"))?;
    let host = Host::up(folder.path(), 1)?;
    for (key, configuration) in [
        ("workers", format!("workers = 2\n{ECHO}")),
        ("state", format!("workers = 1\nstate = \"other\"\n{ECHO}")),
        ("log", format!("workers = 1\nlog = \"debug\"\n{ECHO}")),
        (
            "stdio",
            format!(
                "workers = 1\n{ECHO}[service.one]\nplugin = \"@echo\"\nlisten = [\"stdio:\"]\n"
            ),
        ),
    ] {
        let said = reload(&host, &folder, &configuration)?;
        ensure!(said.contains("not reloaded") && said.contains(key), "{key}: {said}");
        echoes(&mut host.connect("echo")?, b"all the same")?;
    }
    // The grace is for now, and taken up.
    let said = reload(&host, &folder, &format!("workers = 1\ngrace = \"1h\"\n{ECHO}"))?;
    ensure!(said.contains("reloaded: nothing has changed"), "{said}");
    let stream = host.connect("echo")?;
    host.signal("TERM")?;
    host.log_with(&["may go on for 3600s"])?;
    drop(stream);
    Ok(())
}

/// Those of before count against the limits of after.
fn connections_are_counted_on() -> Result<()> {
    let with = |limits: &str| {
        format!("workers = 1\n{ECHO}when-full = \"refuse\"\nlimits = {{ {limits} }}\n")
    };
    let folder = folder(&with("connections = 3"))?;
    let host = Host::up(folder.path(), 1)?;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = host.connect("echo")?;
        echoes(&mut stream, b"in")?;
        streams.push(stream);
    }
    is_ended(&mut host.connect("echo")?)?;
    for (limits, room) in [("connections = 3, idle = \"1h\"", 0), ("connections = 5", 2)] {
        let said = reload(&host, &folder, &with(limits))?;
        ensure!(said.contains("swapped echo"), "{said}");
        for _ in 0..room {
            let mut stream = host.connect("echo")?;
            echoes(&mut stream, b"in")?;
            streams.push(stream);
        }
        is_ended(&mut host.connect("echo")?)?;
    }
    Ok(())
}

/// Whatever has its name, who waits at an endpoint is served.
fn endpoints_go_on() -> Result<()> {
    // A port that the system picks would be another one for another service.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let named = |name: &str, plugin: &str| {
        format!(
            "grace = \"1h\"\n[service.{name}]\nplugin = \"{plugin}\"\n\
             listen = [\"tcp:{port}:interface=127.0.0.1\"]\n{GRANTS}"
        )
    };
    let folder = folder(&named("echo", "@echo"))?;
    let host = Host::up(folder.path(), 1)?;
    let mut old = host.connect("echo")?;
    echoes(&mut old, b"before")?;
    // They wait in the kernel while the host stands still, and it finds the signal beside them.
    host.signal("STOP")?;
    let mut waiting: Vec<_> = (0..50).map(|_| host.connect("echo")).collect::<Result<_>>()?;
    for stream in &mut waiting {
        stream.write_all(b"?")?;
    }
    configure(folder.path(), &named("other", "@unruly"))?;
    host.signal("HUP")?;
    host.signal("CONT")?;
    host.log_with(&["reloaded: added other; removed echo"])?;
    for stream in &mut waiting {
        let mut first = [0; 1];
        stream.read_exact(&mut first)?;
        ensure!(first == *b"?" || first == *b"h", "{first:?}");
    }
    echoes(&mut old, b"after")?;
    greets(host.connect("echo")?)?;
    Ok(())
}

/// A plugin that has failed too often in a row is mended.
fn a_parked_service_is_served_again() -> Result<()> {
    for workers in [1, 2] {
        let with = |plugin: &str| {
            format!(
                "workers = {workers}\n[service.echo]\nplugin = \"{plugin}\"\n\
                 instances = \"per-worker\"\nlimits = {{ restarts = 1 }}\n\
                 listen = [\"tcp:0:interface=127.0.0.1\"]\n{GRANTS}"
            )
        };
        let folder = folder(&with("@unruly"))?;
        let host = Host::up(folder.path(), 1)?;
        let until = Instant::now() + PATIENCE;
        while let Ok(mut stream) = host.connect("echo") {
            ensure!(Instant::now() < until, "it is never parked: {}", host.log());
            let _ = stream.write_all(b"t");
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
        let said = reload(&host, &folder, &with("@echo"))?;
        ensure!(said.contains("swapped echo"), "{said}");
        let until = Instant::now() + PATIENCE;
        loop {
            let Ok(mut stream) = host.connect("echo") else {
                ensure!(Instant::now() < until, "nobody listens: {}", host.log());
                thread::sleep(host::POLL);
                continue;
            };
            break echoes(&mut stream, b"mended")?;
        }
        for _ in 0..20 {
            echoes(&mut host.connect("echo")?, b"mended")?;
        }
    }
    Ok(())
}

/// A database in memory is the service's, whatever becomes of its plugin's instances.
fn what_is_kept_in_memory_stays() -> Result<()> {
    let with = |rows: usize| {
        format!(
            "[service.store]\nplugin = \"@store\"\nlisten = [\"tcp:0:interface=127.0.0.1\"]\n\
             grants = {{ sql = \":memory:\", key-value = \":memory:\" }}\n\
             limits = {{ rows = {rows} }}\n"
        )
    };
    let folder = folder(&with(1000))?;
    let host = Host::up(folder.path(), 1)?;
    let ask = |line: &str| -> Result<String> {
        let mut stream = host.connect("store")?;
        stream.write_all(line.as_bytes())?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer)?;
        Ok(answer)
    };
    ensure!(ask("set\ttext a\ttext kept\n")? == "done\n");
    let said = reload(&host, &folder, &with(500))?;
    ensure!(said.contains("swapped store"), "{said}");
    let answer = ask("get\ttext a\n")?;
    ensure!(answer.contains("kept"), "{answer}");
    Ok(())
}

/// Whichever comes first, the host ends in order.
fn stopping_beside_a_reload() -> Result<()> {
    for signals in [["HUP", "TERM"], ["TERM", "HUP"]] {
        let folder = folder(&format!("grace = \"20s\"\n{ECHO}"))?;
        let mut host = Host::up(folder.path(), 1)?;
        let mut stream = host.connect("echo")?;
        echoes(&mut stream, b"before")?;
        let changed = format!("{}{GRANTS}", ECHO.replace("@echo", "@unruly"));
        configure(folder.path(), &changed)?;
        for signal in signals {
            host.signal(signal)?;
        }
        refuses(host.address("echo")?)?;
        echoes(&mut stream, b"after")?;
        drop(stream);
        let status = host.wait()?;
        ensure!(status.code() == Some(0), "{status}: {}", host.log());
    }
    Ok(())
}

/// The component of a guest, made different by what nobody reads: a section with a number.
fn variant(guest: &str, number: u8, to: &Path) -> Result<()> {
    let mut bytes = fs::read(guests::component(guest)?)?;
    // A custom section of three bytes: a name of one, and the number.
    bytes.extend([0, 3, 1, b'n', number]);
    Ok(fs::write(to, bytes)?)
}

/// How long `what` takes.
fn timed(what: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let began = Instant::now();
    what()?;
    Ok(began.elapsed())
}
