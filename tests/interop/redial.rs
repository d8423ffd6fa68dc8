//! A plugin that is a client: it connects again whenever it has to, and shares connections.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use libtest_mimic::Trial;
use rustix::net::sockopt::set_socket_linger;
use tempfile::TempDir;
use torsade_tests::host::{Host, PATIENCE, POLL};

use super::streams::echoes;
use super::{folder, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("redial::a_connection_is_kept_up", a_connection_is_kept_up),
        trial("redial::a_stopped_host_closes_it", a_stopped_host_closes_it),
        trial("redial::questions_share_a_connection", questions_share_a_connection),
    ]
}

/// The client, which keeps a connection to one address and asks another.
fn client(kept: SocketAddr, asked: SocketAddr, instances: &str) -> Result<TempDir> {
    folder(&format!(
        "workers = 1\n[service.redial]\nplugin = \"@redial\"\n{instances}\
         grants = {{ connect = [\"tcp:127.0.0.1:*\"] }}\n\
         config = {{ kept = \"tcp:{kept}\", asked = \"tcp:{asked}\", initial-delay = 5, \
         max-delay = 100 }}\n"
    ))
}

const FRONT: &str = "listen = [\"tcp:0:interface=127.0.0.1\"]\ninstances = \"per-worker\"\n";

/// An address where nobody listens.
fn nowhere() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// The next connection, with time-outs.
fn accept(listener: &TcpListener) -> Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => std::thread::sleep(POLL),
            Err(e) => return Err(e.into()),
        }
    }
    bail!("nobody connects")
}

/// The next connection, which greets and sends back what it gets.
fn greeted(listener: &TcpListener) -> Result<TcpStream> {
    let mut stream = accept(listener)?;
    let mut greeting = [0; 6];
    stream.read_exact(&mut greeting)?;
    ensure!(&greeting == b"hello\n", "{}", greeting.escape_ascii());
    echoes(&mut stream, b"are you there?")?;
    Ok(stream)
}

/// The peer refuses, accepts, ends, resets and stays away; the client comes back each time.
fn a_connection_is_kept_up() -> Result<()> {
    let at = nowhere()?;
    let folder = client(at, at, "")?;
    let mut command = torsade_tests::host::command()?;
    command.env("TORSADE_LOG", "debug").arg("up").arg(folder.path());
    // Refused, as nobody listens yet, until it is known to have tried more than once.
    let host = Host::start(command, 0)?;
    host.log_with(&["retry 1 in", "retry 2 in", "(refused)"])?;
    let listener = TcpListener::bind(at)?;
    drop(greeted(&listener)?);
    let reset = greeted(&listener)?;
    set_socket_linger(&reset, Some(Duration::ZERO))?;
    drop(reset);
    drop(greeted(&listener)?);
    // What comes into a backlog that nobody accepts is reset with it.
    drop(listener);
    host.log_with(&["retry 3 in"])?;
    let listener = TcpListener::bind(at)?;
    let mut last = greeted(&listener)?;
    echoes(&mut last, b"still there?")
}

fn a_stopped_host_closes_it() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let at = listener.local_addr()?;
    let folder = client(at, at, "")?;
    let mut command = torsade_tests::host::command()?;
    command.arg("up").arg(folder.path());
    let mut host = Host::start(command, 0)?;
    let mut stream = greeted(&listener)?;
    host.signal("TERM")?;
    ensure!(stream.read(&mut [0; 16])? == 0, "it sends more");
    let status = host.wait()?;
    ensure!(status.success(), "{status}: {}", host.log());
    Ok(())
}

fn questions_share_a_connection() -> Result<()> {
    let asked = TcpListener::bind("127.0.0.1:0")?;
    let folder = client(nowhere()?, asked.local_addr()?, FRONT)?;
    let host = Host::up(folder.path(), 1)?;
    let (mut first, mut second) = (host.connect("redial")?, host.connect("redial")?);
    first.write_all(b"one")?;
    let mut back = accept(&asked)?;
    answers(&mut back, &mut first, b"one", b"1")?;
    // Both want the one connection that there may be.
    first.write_all(b"two")?;
    answers(&mut back, &mut first, b"two", b"2")?;
    second.write_all(b"three")?;
    answers(&mut back, &mut second, b"three", b"3")?;
    // One that is lost is made again; who asked over it learns of it.
    first.write_all(b"four")?;
    let mut question = [0; 4];
    back.read_exact(&mut question)?;
    drop(back);
    let mut failure = [0; 5];
    first.read_exact(&mut failure)?;
    ensure!(&failure == b"lost\n", "{}", failure.escape_ascii());
    first.write_all(b"five")?;
    let mut back = accept(&asked)?;
    answers(&mut back, &mut first, b"five", b"5")
}

/// The question reaches the one who is asked, and the answer the one who asks.
fn answers(
    back: &mut TcpStream,
    front: &mut TcpStream,
    question: &[u8],
    answer: &[u8],
) -> Result<()> {
    let mut got = vec![0; question.len()];
    back.read_exact(&mut got)?;
    ensure!(got == question, "{}", got.escape_ascii());
    back.write_all(answer)?;
    let mut got = vec![0; answer.len()];
    front.read_exact(&mut got)?;
    ensure!(got == answer, "{}", got.escape_ascii());
    Ok(())
}
