//! How the host ends: what is running is finished, and the status is 0.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::host::{Host, PATIENCE};

use super::endpoints::connect_unix;
use super::streams::echoes;
use super::{folder, trial};

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for signal in ["TERM", "INT"] {
        trials
            .push(trial(&format!("stopping::sig{signal}_ends_an_idle_host_at_once"), move || {
                an_idle_host_ends_at_once(signal)
            }));
        trials.push(trial(
            &format!("stopping::sig{signal}_lets_open_connections_go_on"),
            move || open_connections_go_on(signal),
        ));
    }
    trials.push(trial("stopping::the_grace_ends", the_grace_ends));
    trials.push(trial("stopping::a_second_signal_ends_the_grace", a_second_signal_ends_the_grace));
    trials.push(trial("stopping::what_was_sent_before_is_echoed", what_was_sent_before_is_echoed));
    trials
}

fn echo(grace: &str, workers: usize) -> Result<tempfile::TempDir> {
    folder(&format!(
        "workers = {workers}\ngrace = \"{grace}\"\n\
         [service.echo]\nplugin = \"@echo\"\nlisten = [\"tcp:0:interface=127.0.0.1\"]\n"
    ))
}

fn an_idle_host_ends_at_once(signal: &str) -> Result<()> {
    let folder = echo("60s", 2)?;
    let mut host = Host::up(folder.path(), 1)?;
    drop(host.connect("echo")?);
    host.signal(signal)?;
    let status = host.wait()?;
    ensure!(status.code() == Some(0), "{status}: {}", host.log());
    Ok(())
}

fn open_connections_go_on(signal: &str) -> Result<()> {
    for workers in [1, 2] {
        let folder = echo("60s", workers)?;
        let mut host = Host::up(folder.path(), 1)?;
        let address = host.address("echo")?;
        let mut streams: Vec<_> = (0..4).map(|_| host.connect("echo")).collect::<Result<_>>()?;
        for stream in &mut streams {
            echoes(stream, b"before")?;
        }
        host.signal(signal)?;
        refuses(address)?;
        for stream in &mut streams {
            echoes(stream, b"after")?;
        }
        for stream in &mut streams {
            stream.shutdown(Shutdown::Write)?;
            ensure!(stream.read(&mut [0; 16])? == 0, "bytes from nowhere");
        }
        let status = host.wait()?;
        ensure!(status.code() == Some(0), "{status}: {}", host.log());
    }
    Ok(())
}

/// Waits until nobody accepts there any more.
pub(super) fn refuses(address: std::net::SocketAddr) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    while let Ok(stream) = TcpStream::connect(address) {
        ensure!(Instant::now() < until, "it still accepts");
        drop(stream);
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn the_grace_ends() -> Result<()> {
    let folder = echo("300ms", 2)?;
    let mut host = Host::up(folder.path(), 1)?;
    let mut stream = host.connect("echo")?;
    echoes(&mut stream, b"hello")?;
    let asked = Instant::now();
    host.signal("TERM")?;
    is_ended(&mut stream)?;
    ensure!(asked.elapsed() >= Duration::from_millis(300), "{:?} of grace", asked.elapsed());
    let status = host.wait()?;
    ensure!(status.code() == Some(0), "{status}: {}", host.log());
    Ok(())
}

/// The peer has closed the connection, in order or not.
pub(super) fn is_ended(stream: &mut TcpStream) -> Result<()> {
    match stream.read(&mut [0; 16]) {
        Ok(0) => Ok(()),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
        other => anyhow::bail!("the connection has not ended: {other:?}"),
    }
}

fn a_second_signal_ends_the_grace() -> Result<()> {
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("INT", "TERM")] {
        let folder = echo("60s", 2)?;
        let mut host = Host::up(folder.path(), 1)?;
        let mut stream = host.connect("echo")?;
        echoes(&mut stream, b"hello")?;
        host.signal(first)?;
        // Two signals of a kind may become one, as long as the first isn't handled.
        refuses(host.address("echo")?)?;
        host.signal(second)?;
        is_ended(&mut stream)?;
        let status = host.wait()?;
        ensure!(status.code() == Some(0), "{status}: {}", host.log());
    }
    Ok(())
}

/// Connections that wait to be accepted when the signal comes, with bytes in them and their end.
fn what_was_sent_before_is_echoed() -> Result<()> {
    for workers in [1, 2] {
        let folder = folder(&format!(
            "workers = {workers}\ngrace = \"20s\"\n[service.echo]\nplugin = \"@echo\"\n\
             listen = [\"tcp:0:interface=127.0.0.1\", \"unix:a.sock\"]\n"
        ))?;
        let mut host = Host::up(folder.path(), 2)?;
        // While it stands still, connections wait in the kernel.
        host.signal("STOP")?;
        let mut tcp = Vec::new();
        let mut unix = Vec::new();
        for number in 0..50 {
            let text = format!("number {number}");
            let mut stream = host.connect("echo")?;
            stream.write_all(text.as_bytes())?;
            stream.shutdown(Shutdown::Write)?;
            tcp.push(stream);
            let mut stream = connect_unix(&folder.path().join("a.sock"))?;
            stream.write_all(text.as_bytes())?;
            stream.shutdown(Shutdown::Write)?;
            unix.push(stream);
        }
        host.signal("TERM")?;
        host.signal("CONT")?;
        for (number, (mut tcp, mut unix)) in tcp.into_iter().zip(unix).enumerate() {
            let (mut over_tcp, mut over_unix) = (String::new(), String::new());
            tcp.read_to_string(&mut over_tcp).context("tcp")?;
            unix.read_to_string(&mut over_unix).context("unix")?;
            let want = format!("number {number}");
            ensure!(over_tcp == want, "{workers} workers, tcp: {over_tcp:?} for {want:?}");
            ensure!(over_unix == want, "{workers} workers, unix: {over_unix:?} for {want:?}");
        }
        let status = host.wait()?;
        ensure!(status.code() == Some(0), "{status}: {}", host.log());
    }
    Ok(())
}
