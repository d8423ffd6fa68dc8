//! What others see of a host agrees with what they did to it: the status, what `torsade top` shows of
//! it, the metrics, and the log.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use tempfile::TempDir;
use torsade::cli::top::shown::{self, Column};
use torsade::figures::Count;
use torsade::observe::status::{ServiceStatus, Status};
use torsade_tests::guests::repository;
use torsade_tests::host::{self, Host, PATIENCE, POLL};

use super::streams::echoes;
use super::{ECHO, folder, program_trial, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("observed::status_top_and_metrics_agree_with_who_counts", all_agree),
        trial("observed::hostile_scrapers_keep_nobody_waiting", hostile_scrapers),
        trial("observed::a_plugin_s_lines_say_whose_they_are", lines_say_whose_they_are),
        trial("observed::a_service_may_have_a_level_of_its_own", a_level_of_its_own),
        trial("observed::one_service_stops_and_the_others_go_on", one_service_stops),
        trial("observed::a_service_that_is_swapped_goes_on_counting", swapped_goes_on_counting),
        trial("observed::who_reloads_hears_what_came_of_it", who_reloads_hears_what_came_of_it),
        trial("observed::a_host_is_asked_where_its_configuration_is", asked_by_configuration),
        trial("observed::the_readme_knows_every_metric", the_readme_knows_every_metric),
        program_trial("observed::top_draws_on_a_terminal", "script", "bsdutils", top_draws),
    ]
}

const CONFIGURATION: &str = r#"
workers = 2
admin = "admin.sock"
metrics = { listen = "127.0.0.1:0" }

[service.echo]
plugin = "@echo"
listen = ["tcp:0:interface=127.0.0.1"]

[service.site]
plugin = "@http"
listen = ["tcp:0:interface=127.0.0.1"]
instances = "per-worker"
grants = { files = { read = "public" } }

[service.closed]
plugin = "@echo"
listen = ["tcp:0:interface=127.0.0.1"]
deny = ["127.0.0.0/8"]
"#;

fn served() -> Result<(TempDir, Host)> {
    let folder = folder(CONFIGURATION)?;
    fs::create_dir(folder.path().join("public"))?;
    fs::write(folder.path().join("public/page.txt"), [b'x'; 3000])?;
    let host = Host::up(folder.path(), 3)?;
    Ok((folder, host))
}

/// What somebody has counted who talked to a service.
#[derive(Debug, Default)]
struct Counted {
    connections: u64,
    sent: u64,
    received: u64,
    open: u64,
}

/// Talks to the echo by so many connections, and keeps the last few.
fn load_echo(host: &Host) -> Result<(Counted, Vec<TcpStream>)> {
    let mut counted = Counted::default();
    let mut open = Vec::new();
    for number in 1..=40 {
        let mut stream = host.connect("echo")?;
        let data = vec![b'a'; number * 997];
        echoes(&mut stream, &data)?;
        counted.connections += 1;
        counted.sent += data.len() as u64;
        counted.received += data.len() as u64;
        if number > 35 {
            counted.open += 1;
            open.push(stream);
        }
    }
    Ok((counted, open))
}

/// Asks the site for a page again and again, over connections that end.
fn load_site(host: &Host) -> Result<Counted> {
    let mut counted = Counted::default();
    for _ in 0..10 {
        let mut stream = host.connect("site")?;
        counted.connections += 1;
        for last in [false, false, true] {
            let close = if last { "Connection: close\r\n" } else { "" };
            let request = format!("GET /page.txt HTTP/1.1\r\nHost: a\r\n{close}\r\n");
            stream.write_all(request.as_bytes())?;
            counted.sent += request.len() as u64;
        }
        let read = stream.read_to_end(&mut Vec::new()).context("the pages")?;
        counted.received += read as u64;
    }
    Ok(counted)
}

fn all_agree() -> Result<()> {
    let (folder, host) = served()?;
    let at = metrics(&host)?;
    let (echo, open) = load_echo(&host)?;
    let site = load_site(&host)?;
    for _ in 0..3 {
        let mut stream = host.connect("closed")?;
        // It may be reset before it is read.
        let _ = stream.read(&mut [0; 1]);
    }
    let status = settled(folder.path(), |status| {
        Some(
            service(status, "echo")?.figures[Count::Open] == echo.open
                && service(status, "site")?.figures[Count::Open] == 0,
        )
    })?;
    let page = scrape(at)?;
    for (name, counted) in [("echo", &echo), ("site", &site)] {
        let service = service(&status, name).context("it is served")?;
        let figures = &service.figures;
        for (count, metric, wanted) in [
            (Count::Accepted, "torsade_connections_accepted_total", counted.connections),
            (Count::Open, "torsade_connections_open", counted.open),
            (Count::BytesReceived, "torsade_bytes_received_total", counted.sent),
            (Count::BytesSent, "torsade_bytes_sent_total", counted.received),
        ] {
            ensure!(figures[count] == wanted, "{name}: {count:?}: {figures:?}, not {counted:?}");
            let scraped = sum(&page, metric, &[("service", name)]);
            ensure!(scraped == wanted as f64, "{metric} of {name}: {scraped}, not {wanted}");
        }
        let cell = Column::Connections.cell(service, None);
        ensure!(cell == counted.open.to_string(), "top shows {cell}, not {counted:?}");
    }
    let echo_status = service(&status, "echo").context("it is served")?;
    let shown = shown::text(&status, &status);
    let row = shown.lines().find(|line| line.starts_with("echo ")).context("it is shown")?;
    let columns: Vec<_> = row.split_whitespace().collect();
    ensure!(columns.get(1) == Some(&&*echo.open.to_string()), "{shown}");
    // Each connection had a sandbox of its own.
    let wanted = [(Count::Sandboxes, echo.open), (Count::SandboxesMade, echo.connections)];
    for (count, wanted) in wanted {
        ensure!(echo_status.figures[count] == wanted, "{count:?}: {:?}", echo_status.figures);
    }
    let built = [("service", "echo"), ("event", "build-protocol")];
    let built = sum(&page, "torsade_events_total", &built);
    ensure!(built == echo.connections as f64, "{built} protocols were built");
    let refused = [("service", "closed"), ("reason", "peers")];
    let refused = sum(&page, "torsade_connections_refused_total", &refused);
    ensure!(refused == 3.0, "{refused} were refused");
    drop(open);
    settled(folder.path(), |status| {
        let figures = &service(status, "echo")?.figures;
        let gone = [Count::Open, Count::Sandboxes, Count::Memory].map(|count| figures[count]);
        Some(gone == [0; 3])
    })?;
    Ok(())
}

fn hostile_scrapers() -> Result<()> {
    let (_folder, host) = served()?;
    let at = metrics(&host)?;
    let mut held = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(at)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        // Who was sent away meanwhile may be told so at any write.
        let _ = match number % 4 {
            0 => stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: "),
            1 => stream.write_all(&[b'a'; 100_000]),
            2 => stream.write_all(b"POST /metrics HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n"),
            _ => stream.write_all("GET /metrics HTTP/1.1\r\n\r\n".repeat(1000).as_bytes()),
        };
        held.push(stream);
        if number % 20 == 0 {
            echoes(&mut host.connect("echo")?, b"still here")?;
        }
    }
    let before = Instant::now();
    let page = scrape(at)?;
    ensure!(page.contains("torsade_info"), "{page}");
    ensure!(before.elapsed() < PATIENCE / 3, "a scrape took {:?}", before.elapsed());
    Ok(())
}

fn lines_say_whose_they_are() -> Result<()> {
    let text = r#"
log-format = "json"
[service.site]
plugin = "@http"
listen = ["tcp:0:interface=127.0.0.1"]
grants = { files = { read = "." } }
config = { access-log = true }
"#;
    let folder = folder(text)?;
    let mut host = Host::up(folder.path(), 1)?;
    let mut stream = host.connect("site")?;
    stream.write_all(b"GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    stream.read_to_end(&mut Vec::new())?;
    ensure!(host.terminate()?.success(), "{}", host.log());
    let log = host.log_with(&["GET /none", "stopping"])?;
    let line = log.lines().find(|line| line.contains("GET /none")).context("it is logged")?;
    let line: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
    ensure!(line["level"] == "INFO" && line["target"] == "plugin", "{line}");
    ensure!(line["service"] == "site" && line["connection"].is_u64(), "{line}");
    let peer = format!("tcp:{}", stream.local_addr()?);
    ensure!(line["peer"] == *peer, "{line} is not about {peer}");
    let plugin = line["plugin"].as_str().unwrap_or_default();
    ensure!(plugin.ends_with(".wasm"), "{line}");
    ensure!(!log.contains(" INFO "), "{log}");
    Ok(())
}

fn a_level_of_its_own() -> Result<()> {
    let service = |name: &str, level: &str| {
        format!(
            "[service.{name}]\nplugin = \"@http\"\nlisten = [\"tcp:0:interface=127.0.0.1\"]\n\
             grants = {{ files = {{ read = \".\" }} }}\nconfig = {{ access-log = true }}\n{level}\n"
        )
    };
    let services = service("quiet", "log = \"error\"") + &service("loud", "log = \"info\"");
    let folder = folder(&format!("log = \"warn\"\n{services}{}", service("other", "")))?;
    let ask = |host: &Host, name: &str| -> Result<()> {
        let mut stream = host.connect(name)?;
        write!(stream, "GET /{name} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
        stream.read_to_end(&mut Vec::new())?;
        Ok(())
    };
    let host = Host::up(folder.path(), 3)?;
    for name in ["quiet", "other", "loud"] {
        ask(&host, name)?;
    }
    let log = host.log_with(&["GET /loud"])?;
    ensure!(!log.contains("GET /quiet") && !log.contains("GET /other"), "{log}");
    // What the command line says goes before it.
    let mut command = host::command()?;
    command.args(["--log", "info", "up"]).arg(folder.path());
    let host = Host::start(command, 3)?;
    for name in ["loud", "other", "quiet"] {
        ask(&host, name)?;
        host.log_with(&[&format!("GET /{name}")])?;
    }
    Ok(())
}

fn one_service_stops() -> Result<()> {
    let (folder, host) = served()?;
    let mode = fs::metadata(folder.path().join("admin.sock"))?.permissions().mode();
    ensure!(mode & 0o777 == 0o600, "the socket's mode is {mode:o}");
    let mut open = host.connect("echo")?;
    echoes(&mut open, b"before")?;
    let at = host.address("echo")?;
    let stopped = host::run(&["stop", "echo"], folder.path())?;
    ensure!(stopped.status.success(), "{stopped:?}");
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(at).map_err(|e| e.kind()).err() != Some(ErrorKind::ConnectionRefused) {
        ensure!(Instant::now() < until, "the service goes on listening");
        thread::sleep(POLL);
    }
    echoes(&mut open, b"for the grace")?;
    load_site(&host)?;
    let refused = host::run(&["stop", "none"], folder.path())?;
    let said = String::from_utf8_lossy(&refused.stderr);
    ensure!(refused.status.code() == Some(1) && said.contains("none"), "{refused:?}");
    Ok(())
}

fn swapped_goes_on_counting() -> Result<()> {
    let folder = folder(ECHO)?;
    let host = Host::up(folder.path(), 1)?;
    let mut stays = host.connect("echo")?;
    echoes(&mut stays, b"before")?;
    let file = folder.path().join("torsade.toml");
    let text = fs::read_to_string(&file)?;
    fs::write(&file, text + "limits = { connections = 7 }\n")?;
    let reloaded = host::run(&["reload"], folder.path())?;
    ensure!(reloaded.status.success(), "{reloaded:?}");
    ensure!(reloaded.stdout == b"reloaded: swapped echo\n", "{reloaded:?}");
    host.log_with(&["reloaded: swapped echo"])?;
    echoes(&mut stays, b"still")?;
    echoes(&mut host.connect("echo")?, b"after")?;
    settled(folder.path(), |status| {
        let figures = &service(status, "echo")?.figures;
        Some(
            figures[Count::Accepted] == 2
                && figures[Count::BytesReceived] == 16
                && figures[Count::Open] == 1,
        )
    })?;
    Ok(())
}

fn who_reloads_hears_what_came_of_it() -> Result<()> {
    let folder = folder(ECHO)?;
    let host = Host::up(folder.path(), 1)?;
    let file = folder.path().join("torsade.toml");
    let text = fs::read_to_string(&file)?;
    fs::write(&file, format!("{text}wrong = 1\n"))?;
    let refused = host::run(&["reload"], folder.path())?;
    let said = String::from_utf8_lossy(&refused.stderr);
    ensure!(refused.status.code() == Some(1), "{refused:?}");
    ensure!(said.contains("torsade.toml:4") && said.contains("wrong"), "{said}");
    fs::write(&file, text)?;
    let same = host::run(&["reload"], folder.path())?;
    ensure!(same.stdout == b"reloaded: nothing has changed\n", "{same:?}");
    echoes(&mut host.connect("echo")?, b"hello")
}

fn asked_by_configuration() -> Result<()> {
    let folder = folder(ECHO)?;
    let nobody = host::run(&["status"], folder.path())?;
    let said = String::from_utf8_lossy(&nobody.stderr);
    ensure!(nobody.status.code() == Some(1) && said.contains("no host answers for ."), "{said}");
    let mut host = Host::up(folder.path(), 1)?;
    echoes(&mut host.connect("echo")?, b"hello")?;
    let words = host::run(&["status"], folder.path())?;
    let words = String::from_utf8(words.stdout)?;
    ensure!(words.contains("1 services") && words.contains("listens on tcp:"), "{words}");
    // What else is wrong by now is no matter.
    fs::write(folder.path().join("torsade.toml"), "[service.echo]\nwrong = true\n")?;
    let json = host::run(&["status", "--json"], folder.path())?;
    let json: Value = serde_json::from_slice(&json.stdout)?;
    ensure!(json["services"][0]["rates"]["accepted"] == 0.0, "{json}");
    ensure!(host.terminate()?.success(), "{}", host.log());
    ensure!(host::run(&["status"], folder.path())?.status.code() == Some(1), "nobody is there");
    Ok(())
}

fn the_readme_knows_every_metric() -> Result<()> {
    let (_folder, host) = served()?;
    let page = scrape(metrics(&host)?)?;
    let families = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let families: BTreeSet<_> = families.filter_map(|line| line.split(' ').next()).collect();
    let readme = fs::read_to_string(repository().join("README.md"))?;
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `torsade_"));
    let known: BTreeSet<_> = rows
        .filter_map(|row| row.split('`').next())
        .map(|name| format!("torsade_{name}"))
        .collect();
    let known: BTreeSet<_> = known.iter().map(String::as_str).collect();
    let differ: Vec<_> = families.symmetric_difference(&known).collect();
    ensure!(differ.is_empty(), "only in README, or only on the page: {differ:?}");
    Ok(())
}

fn top_draws(script: &Path) -> Result<()> {
    let (folder, _host) = served()?;
    let top = format!("stty cols 140 rows 20; exec {} top", host::binary()?.display());
    let mut command = Command::new(script);
    command.args(["-qec", &top, "/dev/null"]).current_dir(folder.path()).env("TERM", "xterm");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut stdout = child.stdout.take().context("it is a pipe")?;
    let (sender, drawn) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = stdout.read(&mut buffer) {
            // The test may have seen enough.
            let _ = sender.send(buffer[..n].to_vec());
        }
    });
    let mut seen = Vec::new();
    while !["(n)ame", "closed", "echo", "site"].iter().all(|word| has(&seen, word)) {
        let more = drawn.recv_timeout(PATIENCE);
        seen.extend(more.with_context(|| String::from_utf8_lossy(&seen).into_owned())?);
    }
    child.stdin.take().context("it is a pipe")?.write_all(b"mrq")?;
    let status = child.wait()?;
    ensure!(status.success(), "{status}: {}", String::from_utf8_lossy(&seen));
    Ok(())
}

fn has(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

/// The status once it is as it should be.
fn settled(folder: &Path, is_so: impl Fn(&Status) -> Option<bool>) -> Result<Status> {
    let until = Instant::now() + PATIENCE;
    loop {
        let output = host::run(&["status", "--json"], folder)?;
        ensure!(output.status.success(), "{output:?}");
        let json: Value = serde_json::from_slice(&output.stdout)?;
        let status = Status::from_json(&json).with_context(|| json.to_string())?;
        if is_so(&status) == Some(true) {
            return Ok(status);
        }
        ensure!(Instant::now() < until, "it stays at {json}");
    }
}

fn service<'a>(status: &'a Status, name: &str) -> Option<&'a ServiceStatus> {
    status.services.iter().find(|service| service.name == name)
}

/// Where the metrics are, as the log says.
fn metrics(host: &Host) -> Result<SocketAddr> {
    const SAID: &str = "metrics are at tcp:";
    let log = host.log_with(&[SAID, ":interface=127.0.0.1"])?;
    let port = log.split(SAID).nth(1).and_then(|rest| rest.split(':').next());
    Ok(SocketAddr::from(([127, 0, 0, 1], port.context("it has a port")?.parse()?)))
}

fn scrape(at: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, page) = answer.split_once("\r\n\r\n").context("the answer has a head")?;
    ensure!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    ensure!(head.contains(&format!("\r\nContent-Length: {}\r\n", page.len())), "{head}");
    Ok(page.to_owned())
}

/// What a metric comes to over all lines with these labels.
fn sum(page: &str, metric: &str, labels: &[(&str, &str)]) -> f64 {
    let values = page.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, has) = series.split_once('{')?;
        let wanted = |(label, value): &(&str, &str)| has.contains(&format!("{label}=\"{value}\""));
        (name == metric && labels.iter().all(wanted)).then(|| value.parse::<f64>().ok())?
    });
    values.sum()
}
