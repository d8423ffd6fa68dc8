//! More than the host can take: the rest waits, or is told no, and afterwards all is well.

use std::io::{ErrorKind, Read};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::holdings::Holdings;
use torsade_tests::host::{self, Host};
use torsade_tests::tenth;

use super::asking::until;
use super::streams::{echoes, reset, resident};
use super::{folder, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("pressure::connections_beyond_the_limit_wait", connections_beyond_the_limit_wait),
        trial("pressure::connections_beyond_the_limit_are_refused", beyond_the_limit_refused),
        trial("pressure::a_peer_has_so_many_connections", a_peer_has_so_many_connections),
        trial("pressure::without_descriptors_connections_wait", without_descriptors_they_wait),
        trial("pressure::connections_that_come_and_go_leave_nothing", they_leave_nothing),
        trial("pressure::each_tenth_traps_and_no_other_fails", each_tenth_traps),
    ]
}

fn echo(limits: &str) -> Result<tempfile::TempDir> {
    echo_with(limits, "")
}

fn echo_with(limits: &str, more: &str) -> Result<tempfile::TempDir> {
    folder(&format!(
        "workers = 1\n[service.echo]\nplugin = \"@echo\"\n\
         listen = [\"tcp:0:interface=127.0.0.1\"]\nlimits = {{ {limits} }}\n{more}"
    ))
}

fn connections_beyond_the_limit_wait() -> Result<()> {
    // Each of them counts the connections, sandboxes of which there is one for each too.
    for limit in ["connections", "instances"] {
        let folder = echo(&format!("{limit} = 2"))?;
        let host = Host::up(folder.path(), 1)?;
        let (mut one, mut two) = (host.connect("echo")?, host.connect("echo")?);
        echoes(&mut one, b"one")?;
        echoes(&mut two, b"two")?;
        let mut three = host.connect("echo")?;
        host.log_with(&[&format!("limits.{limit} is reached")])?;
        echoes(&mut one, b"still there")?;
        drop(two);
        echoes(&mut three, b"three").context("a connection that waited")?;
    }
    Ok(())
}

fn beyond_the_limit_refused() -> Result<()> {
    for limit in ["connections", "instances"] {
        let folder = echo_with(&format!("{limit} = 2"), "when-full = \"refuse\"\n")?;
        let host = Host::up(folder.path(), 1)?;
        let (mut one, mut two) = (host.connect("echo")?, host.connect("echo")?);
        echoes(&mut one, b"one")?;
        echoes(&mut two, b"two")?;
        for _ in 0..300 {
            is_closed(&mut host.connect("echo")?)?;
        }
        host.log_with(&[&format!("limits.{limit} is reached"), "turned away"])?;
        echoes(&mut one, b"still there")?;
        drop(two);
        somebody_is_served(&host)?;
        echoes(&mut one, b"still there")?;
    }
    Ok(())
}

fn a_peer_has_so_many_connections() -> Result<()> {
    let folder = echo("connections-per-peer = 2")?;
    let host = Host::up(folder.path(), 1)?;
    let (mut one, mut two) = (host.connect("echo")?, host.connect("echo")?);
    echoes(&mut one, b"one")?;
    echoes(&mut two, b"two")?;
    is_closed(&mut host.connect("echo")?)?;
    host.log_with(&["limits.connections-per-peer", "127.0.0.1"])?;
    drop(two);
    somebody_is_served(&host)?;
    echoes(&mut one, b"still there")
}

/// The host has closed the connection, and said nothing.
fn is_closed(stream: &mut std::net::TcpStream) -> Result<()> {
    match stream.read(&mut [0; 16]) {
        Ok(0) => Ok(()),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
        other => anyhow::bail!("one too many is served: {other:?}"),
    }
}

/// Soon there is a place for another one: the host hears of an end in its own time.
fn somebody_is_served(host: &Host) -> Result<()> {
    for _ in 0..100 {
        thread::sleep(Duration::from_millis(10));
        if echoes(&mut host.connect("echo")?, b"another").is_ok() {
            return Ok(());
        }
    }
    anyhow::bail!("nobody is served in the place of one that has gone")
}

fn without_descriptors_they_wait() -> Result<()> {
    let folder = echo("connections = 1000")?;
    let shell = format!(
        "ulimit -n 64; exec {:?} up {:?}",
        host::binary()?.display().to_string(),
        folder.path().display().to_string()
    );
    let mut command = Command::new("sh");
    command.args(["-c", &shell]).envs(host::command()?.get_envs().filter_map(|(key, value)| {
        // What is taken away there may stay here: it is nothing that this depends on.
        Some((key.to_owned(), value?.to_owned()))
    }));
    let mut host = Host::start(command, 1)?;
    let mut streams: Vec<_> = (0..100).map(|_| host.connect("echo")).collect::<Result<_>>()?;
    host.log_with(&["new connections wait", "nofile (64)", "ulimit -n 128"])?;
    echoes(&mut streams[0], b"the first is served")?;
    let mut last = streams.pop().context("there are 100")?;
    drop(streams);
    echoes(&mut last, b"the last is served").context("a connection that waited")?;
    drop(last);
    let lines = host.log().matches("new connections wait").count();
    ensure!(lines < 5, "the log has {lines} lines about it");
    let status = host.terminate()?;
    ensure!(status.success(), "{status}: {}", host.log());
    Ok(())
}

/// Ends of every kind, in sandboxes of their own.
fn they_leave_nothing() -> Result<()> {
    let folder = echo("connections = 1000")?;
    let mut host = Host::up(folder.path(), 1)?;
    let descriptors = |host: &Host| -> Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", host.id()))?.count())
    };
    let round = || -> Result<()> {
        for number in 0..200 {
            let mut stream = host.connect("echo")?;
            match number % 4 {
                0 => echoes(&mut stream, b"hello")?,
                1 => reset(stream)?,
                2 => stream.shutdown(std::net::Shutdown::Both)?,
                _ => drop(stream),
            }
        }
        Ok(())
    };
    let idle = descriptors(&host)?;
    round()?;
    let before = resident(host.id())?;
    for _ in 0..5 {
        round()?;
    }
    let until = std::time::Instant::now() + host::PATIENCE;
    while descriptors(&host)? > idle {
        ensure!(
            std::time::Instant::now() < until,
            "{} sockets are left",
            descriptors(&host)? - idle
        );
        thread::sleep(host::POLL);
    }
    let more = resident(host.id())?.saturating_sub(before);
    ensure!(more < 2 << 20, "the host holds {more} bytes more than {before}");
    let status = host.terminate()?;
    ensure!(status.success(), "{status}: {}", host.log());
    ensure!(!host.log().contains("ERROR"), "{}", host.log());
    Ok(())
}

/// In few sandboxes, of which none may be lost.
fn each_tenth_traps() -> Result<()> {
    const VISITS: usize = 5_000;
    let folder = folder(
        "workers = 1\n[service.tenth]\nplugin = \"@tenth\"\n\
         listen = [\"tcp:0:interface=127.0.0.1\"]\nlimits = { instances = 20 }\n",
    )?;
    let mut host = Host::up(folder.path(), 1)?;
    let address = host.address("tenth")?;
    let failed = |visits| -> Result<usize> {
        let mut failed = 0;
        for nth in 0..visits {
            failed += usize::from(!tenth::visit(address, nth)?);
        }
        Ok(failed)
    };
    failed(VISITS / 10)?;
    let before = Holdings::of(host.id())?;
    ensure!(failed(VISITS)? == VISITS / 10, "others have failed");
    let now = || Holdings::of(host.id());
    until(|| Ok(now()?.descriptors <= before.descriptors))?;
    let now = now()?;
    let same = now.threads == before.threads && now.mappings <= before.mappings + 20;
    let little = now.resident <= before.resident + (2 << 20);
    ensure!(same && little, "it has {now:?}, and had {before:?}");
    let status = host.terminate()?;
    ensure!(status.success(), "{status}: {}", host.log());
    ensure!(!host.log().contains("panicked at host"), "{}", host.log());
    Ok(())
}
