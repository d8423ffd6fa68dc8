//! Streams of bytes: complete, in order, and no faster than the peer takes them.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::host::{Host, PATIENCE};

use super::endpoints::connect_unix;
use super::{folder, program_trial, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("streams::all_is_echoed_after_a_half_close", all_is_echoed_after_a_half_close),
        trial("streams::a_slow_reader_is_waited_for", a_slow_reader_is_waited_for),
        trial("streams::one_who_never_reads_is_cut_off", one_who_never_reads_is_cut_off),
        trial("streams::a_reset_ends_one_connection", a_reset_ends_one_connection),
        program_trial(
            "streams::netcat_gets_back_what_it_sends",
            "nc.openbsd",
            "netcat-openbsd",
            netcat,
        ),
    ]
}

/// Sends `text`, and waits for it to come back.
pub(super) fn echoes(stream: &mut (impl Read + Write), text: &[u8]) -> Result<()> {
    stream.write_all(text)?;
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).context("the echo")?;
    ensure!(back == text, "{:?} came back for {:?}", back.escape_ascii(), text.escape_ascii());
    Ok(())
}

const ECHO: &str = "[service.echo]\nplugin = \"@echo\"\n\
                    listen = [\"tcp:0:interface=127.0.0.1\", \"unix:a.sock\"]\n";

/// Bytes that repeat after a prime number, so that a piece that is missing shows.
pub(super) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place % 251) as u8).collect()
}

fn all_is_echoed_after_a_half_close() -> Result<()> {
    let folder = folder(ECHO)?;
    let host = Host::up(folder.path(), 2)?;
    let text = pattern(10_000_000);
    let tcp = host.connect("echo")?;
    round_trip(&tcp, &tcp, &text, || tcp.shutdown(Shutdown::Write)).context("tcp")?;
    let unix = connect_unix(&folder.path().join("a.sock"))?;
    round_trip(&unix, &unix, &text, || unix.shutdown(Shutdown::Write)).context("unix")?;
    // Nothing at all is echoed as well.
    let tcp = host.connect("echo")?;
    round_trip(&tcp, &tcp, b"", || tcp.shutdown(Shutdown::Write)).context("nothing")
}

/// Sends all, ends its half, and reads to the end.
fn round_trip(
    mut from: impl Read,
    mut to: impl Write + Send,
    text: &[u8],
    end: impl FnOnce() -> std::io::Result<()> + Send,
) -> Result<()> {
    let mut back = Vec::new();
    thread::scope(|scope| -> Result<()> {
        let sent = scope.spawn(move || to.write_all(text).and_then(|()| end()));
        from.read_to_end(&mut back)?;
        Ok(sent.join().expect("writing doesn't panic")?)
    })?;
    ensure!(back.len() == text.len(), "{} bytes of {} came back", back.len(), text.len());
    ensure!(back == text, "other bytes came back");
    Ok(())
}

/// What a process holds in memory, in bytes.
pub(super) fn resident(id: u32) -> Result<usize> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<usize>()? * 1024)
}

/// 100 MB are sent as fast as the host takes them, and read slowly at first: the host makes the
/// sender wait instead of keeping them.
fn a_slow_reader_is_waited_for() -> Result<()> {
    const LENGTH: usize = 100_000_000;
    for instances in ["per-connection", "per-worker"] {
        let folder = folder(&format!("workers = 1\n{ECHO}instances = \"{instances}\"\n"))?;
        let host = Host::up(folder.path(), 2)?;
        let mut stream = host.connect("echo")?;
        echoes(&mut stream, b"hello")?;
        let before = resident(host.id())?;
        let to = stream.try_clone()?;
        let sender = thread::spawn(move || send(to, LENGTH));
        let (mut got, mut most, mut buffer) = (0, 0, vec![0; 256 * 1024]);
        loop {
            if got < 40 * buffer.len() {
                thread::sleep(Duration::from_millis(10));
            }
            let n = stream.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            let right = buffer[..n].iter().zip(got..).all(|(&byte, at)| byte == (at % 251) as u8);
            ensure!(right, "other bytes came back around {got}");
            got += n;
            most = most.max(resident(host.id())?);
        }
        sender.join().expect("writing doesn't panic")?;
        ensure!(got == LENGTH, "{got} bytes of {LENGTH} came back");
        let more = most.saturating_sub(before);
        ensure!(more < 4 << 20, "{instances}: the host took {more} bytes more than {before}");
    }
    Ok(())
}

fn send(mut to: TcpStream, length: usize) -> std::io::Result<()> {
    let piece = pattern(251 * 1000);
    let mut left = length;
    while left > 0 {
        let n = left.min(piece.len());
        to.write_all(&piece[..n])?;
        left -= n;
    }
    to.shutdown(Shutdown::Write)
}

fn one_who_never_reads_is_cut_off() -> Result<()> {
    let folder = folder(&format!("{ECHO}limits = {{ drain = \"300ms\" }}\n"))?;
    let host = Host::up(folder.path(), 2)?;
    let before = resident(host.id())?;
    let mut stream = host.connect("echo")?;
    let piece = pattern(64 * 1024);
    let mut sent = 0;
    // It ends with a reset, some time after neither side takes anything any more.
    while stream.write(&piece).inspect(|n| sent += n).is_ok() {
        ensure!(sent < 100 << 20, "{sent} bytes were taken for a peer that reads nothing");
    }
    let more = resident(host.id())?.saturating_sub(before);
    ensure!(more < 4 << 20, "the host holds {more} bytes more");
    echoes(&mut host.connect("echo")?, b"others are served")
}

fn a_reset_ends_one_connection() -> Result<()> {
    let folder = folder(&format!("workers = 1\n{ECHO}instances = \"per-worker\"\n"))?;
    let mut host = Host::up(folder.path(), 2)?;
    let mut other = host.connect("echo")?;
    echoes(&mut other, b"before")?;
    for length in [0, 10, 1_000_000] {
        let mut stream = host.connect("echo")?;
        stream.set_nonblocking(true)?;
        // As much of it as goes out without waiting.
        let _ = stream.write(&pattern(length));
        // Closing with unread bytes, or with this option, resets.
        reset(stream)?;
        echoes(&mut other, b"after")?;
    }
    drop(other);
    let status = host.terminate()?;
    ensure!(status.success(), "{status}: {}", host.log());
    ensure!(!host.log().contains("ERROR"), "{}", host.log());
    Ok(())
}

/// Closes a connection with a reset.
pub(super) fn reset(stream: TcpStream) -> Result<()> {
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
    drop(stream);
    Ok(())
}

fn netcat(program: &std::path::Path) -> Result<()> {
    let folder = folder(ECHO)?;
    let host = Host::up(folder.path(), 2)?;
    let address = host.address("echo")?;
    let socket = folder.path().join("a.sock").display().to_string();
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let file = folder.path().join("text");
    fs::write(&file, pattern(3_000_000))?;
    for arguments in [&["-N", &ip, &port][..], &["-N", "-U", &socket]] {
        let wait = PATIENCE.as_secs().to_string();
        let output = Command::new(program)
            .args(["-w", &wait])
            .args(arguments)
            .stdin(Stdio::from(fs::File::open(&file)?))
            .output()?;
        ensure!(output.status.success(), "{arguments:?}: {output:?}");
        ensure!(
            output.stdout == pattern(3_000_000),
            "{arguments:?}: {} bytes",
            output.stdout.len()
        );
    }
    Ok(())
}
