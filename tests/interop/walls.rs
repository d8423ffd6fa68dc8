//! The walls of the system: short of them the rest waits, and the log and `torsade doctor` say
//! which wall it is.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;
use torsade_tests::host::{self, Host};

use super::streams::echoes;
use super::{ECHO, folder, trial, trial_with};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("walls::beyond_nofile_connections_wait", beyond_nofile_connections_wait),
        trial("walls::beyond_nofile_no_connection_is_dialled", beyond_nofile_none_is_dialled),
        trial("walls::beyond_the_address_space_they_wait", beyond_the_address_space_they_wait),
        trial_with("walls::beyond_max_map_count_they_wait", MapCount::lower, beyond_max_map_count),
        trial("walls::the_doctor_names_what_is_too_low", the_doctor_names_what_is_too_low),
        trial("walls::the_doctor_finds_room_for_little", the_doctor_finds_room_for_little),
        trial("walls::the_doctor_tells_mistakes_as_check_does", the_doctor_tells_mistakes),
    ]
}

/// The command under a limit of the shell's `ulimit`.
fn under(limit: &str, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new("sh");
    let script = format!("ulimit {limit} && exec \"$@\"");
    command.args(["-c", &script, "sh"]).arg(host::binary()?).args(arguments);
    command.stdin(Stdio::null()).envs(host::command()?.get_envs().filter_map(|(key, value)| {
        // What is taken away there may stay here: it is nothing that this depends on.
        Some((key.to_owned(), value?.to_owned()))
    }));
    Ok(command)
}

/// `torsade up` under a limit of the shell's `ulimit`.
fn up(limit: &str, folder: &TempDir, endpoints: usize) -> Result<Host> {
    let folder = folder.path().to_str().context("the folder's name is UTF-8")?;
    Host::start(under(limit, &["up", folder])?, endpoints)
}

fn descriptors(host: &Host) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{}/fd", host.id()))?.count())
}

/// Asks for a file, over a connection that stays.
fn get(stream: &mut TcpStream, path: &str) -> Result<String> {
    stream.write_all(format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.ends_with(path.as_bytes()) {
        let read = stream.read(&mut buffer)?;
        ensure!(read > 0, "it ended after {}", answer.escape_ascii());
        answer.extend_from_slice(&buffer[..read]);
    }
    Ok(String::from_utf8(answer)?)
}

/// Those inside are served, with files that were not open before; and once some have left, others
/// come in.
fn beyond_nofile_connections_wait() -> Result<()> {
    let folder = folder(
        "workers = 2\n[service.site]\nplugin = \"@http\"\nlisten = [\"tcp:0:interface=127.0.0.1\"]\n\
         grants = { files = { read = \"public\" } }\n",
    )?;
    let public = folder.path().join("public");
    fs::create_dir(&public)?;
    let names: Vec<String> = (0..300).map(|number| format!("file-{number}")).collect();
    for name in &names {
        // Each says its own name.
        fs::write(public.join(name), name)?;
    }
    let mut host = up("-n 256", &folder, 1)?;
    let mut streams: Vec<_> = (0..400).map(|_| host.connect("site")).collect::<Result<_>>()?;
    host.log_with(&["new connections wait: the wall is nofile (256)", "ulimit -n 512"])?;
    for name in &names {
        let answer = get(&mut streams[0], name)?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let open = descriptors(&host)?;
    ensure!(open < 256, "{open} descriptors are open");
    let mut last = streams.pop().context("there are 400")?;
    drop(streams);
    let answer = get(&mut last, &names[0]).context("a connection that waited")?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let log = host.log();
    let told = log.matches("the wall is nofile").count();
    // Of files and of connections when it starts, and once a minute.
    ensure!((2..=6).contains(&told), "it is told {told} times:\n{log}");
    ensure!(!log.contains("ERROR"), "{log}");
    let status = host.terminate()?;
    ensure!(status.success(), "{status}: {log}");
    Ok(())
}

/// Each connection wants another one: of those that come, some are forwarded, and the others told
/// so by their end.
fn beyond_nofile_none_is_dialled() -> Result<()> {
    let echo = folder(ECHO)?;
    let target = Host::up(echo.path(), 1)?;
    let port = target.address("echo")?.port();
    let forward = folder(&format!(
        "workers = 1\n[service.forward]\nplugin = \"@portforward\"\n\
         listen = [\"tcp:0:interface=127.0.0.1\"]\ninstances = \"per-worker\"\n\
         grants = {{ connect = [\"tcp:127.0.0.1:{port}\"] }}\n\
         config = {{ to = \"tcp:127.0.0.1:{port}\" }}\n"
    ))?;
    let mut host = up("-n 128", &forward, 1)?;
    let mut first = host.connect("forward")?;
    echoes(&mut first, b"first")?;
    let streams: Vec<_> = (0..200).map(|_| host.connect("forward")).collect::<Result<_>>()?;
    host.log_with(&["nofile (128)", "ulimit -n 256"])?;
    echoes(&mut first, b"still there")?;
    let open = descriptors(&host)?;
    ensure!(open < 128, "{open} descriptors are open");
    drop(streams);
    comes_in(&host, "forward")?;
    let status = host.terminate()?;
    ensure!(status.success(), "{status}: {}", host.log());
    Ok(())
}

/// Somebody comes in, once the host has heard that others have left.
fn comes_in(host: &Host, service: &str) -> Result<()> {
    let until = Instant::now() + host::PATIENCE;
    loop {
        match echoes(&mut host.connect(service)?, b"later") {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() > until => bail!("nobody comes in: {error:#}"),
            Err(_) => thread::sleep(host::POLL),
        }
    }
}

/// An echo with a sandbox for each connection, and one with a shared one.
fn echoes_of_both_kinds() -> Result<TempDir> {
    folder(
        "workers = 1\n[service.echo]\nplugin = \"@echo\"\nlisten = [\"tcp:0:interface=127.0.0.1\"]\n\
         [service.shared]\nplugin = \"@echo\"\nlisten = [\"tcp:0:interface=127.0.0.1\"]\n\
         instances = \"per-worker\"\n",
    )
}

/// How many sandboxes the log says that there is room for.
fn room(log: &str) -> Result<usize> {
    let (_, rest) = log.split_once("there is room for ").context("the log tells of no room")?;
    Ok(rest.split(':').next().unwrap_or_default().parse()?)
}

/// Of a host with less room for sandboxes than its limits allow: the rest waits until others have
/// left, and shared sandboxes go on.
fn beyond_the_room_they_wait(host: &mut Host, wall: &str) -> Result<()> {
    let room = room(&host.log_with(&["limits.instances", wall])?)?;
    let mut shared = host.connect("shared")?;
    echoes(&mut shared, b"shared")?;
    let mut streams = Vec::new();
    for _ in 0..room - 1 {
        let mut stream = host.connect("echo")?;
        echoes(&mut stream, b"inside")?;
        streams.push(stream);
    }
    let mut more: Vec<_> = (0..20).map(|_| host.connect("echo")).collect::<Result<_>>()?;
    host.log_with(&[&format!("new connections wait: the wall is {wall}")])?;
    echoes(&mut streams[0], b"still there")?;
    echoes(&mut shared, b"still there")?;
    drop(streams);
    for stream in &mut more {
        echoes(stream, b"later").context("a connection that waited")?;
    }
    let log = host.log();
    ensure!(!log.contains("ERROR"), "{log}");
    let status = host.terminate()?;
    ensure!(status.success(), "{status}: {}", host.log());
    Ok(())
}

fn beyond_the_address_space_they_wait() -> Result<()> {
    let folder = echoes_of_both_kinds()?;
    // 4 GiB.
    let mut host = up("-v 4194304", &folder, 2)?;
    host.log_with(&["ulimit -v", "LimitAS="])?;
    beyond_the_room_they_wait(&mut host, "RLIMIT_AS")
}

fn beyond_max_map_count((low, lowered): (u64, MapCount)) -> Result<()> {
    let folder = echoes_of_both_kinds()?;
    let mut host = Host::up(folder.path(), 2)?;
    host.log_with(&["sysctl -w vm.max_map_count="])?;
    beyond_the_room_they_wait(&mut host, &format!("vm.max_map_count ({low})"))?;
    lowered.restore()
}

/// `vm.max_map_count` as it was before: it is set back when this process lets go of the other's
/// input, by whatever end.
struct MapCount(Child);

impl MapCount {
    const FILE: &str = "/proc/sys/vm/max_map_count";

    /// What others of this machine hardly reach.
    const LOW: u64 = 12_000;

    fn lower() -> Result<(u64, Self)> {
        let before: u64 = fs::read_to_string(Self::FILE)?.trim().parse()?;
        ensure!(before > Self::LOW, "vm.max_map_count is {before} already");
        let script = format!("read _; echo {before} > {}", Self::FILE);
        let mut sh = Command::new("sh");
        let child = sh.args(["-c", &script]).stdin(Stdio::piped()).spawn()?;
        let lowered = Self(child);
        fs::write(Self::FILE, Self::LOW.to_string())
            .context("vm.max_map_count can't be written: it takes root")?;
        Ok((Self::LOW, lowered))
    }

    fn restore(mut self) -> Result<()> {
        drop(self.0.stdin.take());
        let status = self.0.wait()?;
        ensure!(status.success(), "vm.max_map_count was not set back: {status}");
        Ok(())
    }
}

impl Drop for MapCount {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It may have ended already.
        let _ = self.0.wait();
    }
}

/// What it prints, with its status.
fn doctor(limit: &str, arguments: &[&str]) -> Result<(String, Option<i32>)> {
    let arguments = [&["doctor"], arguments].concat();
    let Output { status, stdout, stderr } = under(limit, &arguments)?.output()?;
    let text = String::from_utf8([stdout, stderr].concat())?;
    Ok((text, status.code()))
}

fn says(text: &str, words: &[&str]) -> Result<()> {
    match words.iter().find(|word| !text.contains(**word)) {
        Some(word) => bail!("it does not say {word:?}:\n{text}"),
        None => Ok(()),
    }
}

fn the_doctor_names_what_is_too_low() -> Result<()> {
    let (text, status) = doctor("-n 256", &[])?;
    ensure!(status == Some(1), "{status:?}: {text}");
    let map_count = fs::read_to_string(MapCount::FILE)?;
    says(&text, &["nofile", "256", "too low", "ulimit -n 1", "LimitNOFILE=", "not carried"])?;
    says(&text, &["vm.max_map_count", "sysctl -w vm.max_map_count=", "10,000 connections"])?;
    says(&text.replace(',', ""), &[map_count.trim()])?;
    says(&text, &["memory", "cores", "clock", "PAGEMAP_SCAN", "somaxconn", "torsade"])?;
    says(&text, &["The first wall to be hit is nofile."])?;

    let (text, status) = doctor("-v 4194304", &[])?;
    ensure!(status == Some(1), "{status:?}: {text}");
    says(&text, &["RLIMIT_AS", "4.0 GiB", "ulimit -v", "The first wall to be hit is RLIMIT_AS."])
}

fn the_doctor_finds_room_for_little() -> Result<()> {
    let folder = folder(
        "workers = 1\n[service.echo]\nplugin = \"@echo\"\nlisten = [\"tcp:0\", \"unix:a:backlog=7\"]\n\
         limits = { connections = 20, instances = 10 }\n\
         [service.shared]\nplugin = \"@echo\"\nlisten = [\"tcp:0\"]\ninstances = \"per-worker\"\n\
         limits = { connections = 30 }\n",
    )?;
    let file = folder.path().to_str().context("the folder's name is UTF-8")?;
    let (text, status) = doctor("-n 256", &[file])?;
    ensure!(status == Some(0), "{status:?}: {text}");
    says(&text, &["40 connections, 11 sandboxes", "The goal is carried.", "1024 fit"])?;
    ensure!(!text.contains("too low"), "{text}");
    let (text, status) = doctor("-n 256", &["-q", file])?;
    ensure!(status == Some(0) && text.is_empty(), "{status:?}: {text}");
    Ok(())
}

fn the_doctor_tells_mistakes() -> Result<()> {
    let folder = folder("[service.echo]\nplugin = \"@echo\"\nlimits = { connections = 0 }\n")?;
    let file = folder.path().to_str().context("the folder's name is UTF-8")?;
    let (text, status) = doctor("-n 256", &[file])?;
    ensure!(status == Some(2), "{status:?}: {text}");
    says(&text, &["torsade.toml:3", "connections"])
}
