//! Connections that have come and are not ready: while the host stops, and beside others.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use torsade_tests::certificates::Authority;
use torsade_tests::host::{Host, PATIENCE};

use super::super::stopping::refuses;
use super::super::{configure, folder, trial};
use super::service;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("ways_in::who_is_ready_while_the_host_stops_is_told", told_of_the_stop),
        trial("ways_in::who_waits_for_a_header_counts_as_a_handshake", counts_as_a_handshake),
        trial("ways_in::a_header_and_tls_may_be_cut_anywhere", cut_anywhere),
        trial("ways_in::who_is_not_trusted_does_not_fill_the_log", not_trusted_often),
    ]
}

const HEADER: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n";

fn connect(host: &Host) -> Result<TcpStream> {
    let port = host.endpoints[0].1.split(':').nth(2).context("a port")?.parse()?;
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Its instance starts when all others were told already.
fn told_of_the_stop() -> Result<()> {
    let config = service("http", "haproxy:tcp:0:interface=127.0.0.1")
        + "grants = { files = { read = \"root\" } }\ninstances = \"per-connection\"\n";
    let folder = folder(&format!("workers = 1\ngrace = \"60s\"\n{config}"))?;
    fs::create_dir_all(folder.path().join("root"))?;
    fs::write(folder.path().join("root/index.html"), "<p>index</p>")?;
    let mut host = Host::up(folder.path(), 1)?;
    let mut stream = connect(&host)?;
    let address = stream.peer_addr()?;
    host.signal("TERM")?;
    refuses(address)?;
    stream.write_all(HEADER)?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")?;
    // Else it would stay open for the next request.
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    ensure!(answer.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{answer}");
    let status = host.wait()?;
    ensure!(status.success(), "{status}: {}", host.log());
    Ok(())
}

/// A host that serves the echo encrypted, behind a proxy, and whom to trust for it.
fn encrypted(more: &str) -> Result<(tempfile::TempDir, Host, Authority)> {
    let (folder, authority) = (tempfile::tempdir()?, Authority::new("tests")?);
    authority.sign(&["a.test"])?.write(folder.path(), "own")?;
    let config = service("echo", "haproxy:tls:0:interface=127.0.0.1")
        + "tls = { cert = \"own.pem\", key = \"own-key.pem\" }\n";
    configure(folder.path(), &format!("workers = 1\n{config}{more}"))?;
    let host = Host::up(folder.path(), 1)?;
    Ok((folder, host, authority))
}

fn client(authority: &Authority) -> Result<ClientConnection> {
    let config = Arc::new(authority.client(None)?);
    Ok(ClientConnection::new(config, ServerName::try_from("a.test")?)?)
}

fn counts_as_a_handshake() -> Result<()> {
    let limits = "limits = { handshakes = 1, handshake = \"500ms\" }\n";
    let (_folder, host, authority) = encrypted(limits)?;
    let mut silent = connect(&host)?;
    let mut stream = connect(&host)?;
    stream.write_all(HEADER)?;
    let mut stream = StreamOwned::new(client(&authority)?, stream);
    stream.write_all(b"hello")?;
    stream.read_exact(&mut [0; 5])?;
    // It had the one place, and has left it.
    silent.set_nonblocking(true)?;
    let left = silent.read(&mut [0; 1]);
    let would_wait = left.as_ref().is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock);
    ensure!(!would_wait, "two are under way at once");
    Ok(())
}

fn cut_anywhere() -> Result<()> {
    let (_folder, host, authority) = encrypted("")?;
    for cut in 0..HEADER.len() + 10 {
        let mut plain = connect(&host)?;
        let mut side = client(&authority)?;
        let mut first = HEADER.to_vec();
        side.write_tls(&mut first)?;
        let (one, two) = first.split_at(cut);
        plain.write_all(one)?;
        // Half of what follows the header comes with its end.
        let (two, three) = two.split_at(two.len() / 2);
        plain.write_all(two)?;
        plain.write_all(three)?;
        let mut stream = StreamOwned::new(side, plain);
        stream.write_all(b"hello")?;
        let mut back = [0; 5];
        stream.read_exact(&mut back).with_context(|| format!("cut at {cut}"))?;
        ensure!(&back == b"hello", "{back:?}");
    }
    Ok(())
}

fn not_trusted_often() -> Result<()> {
    let config = service("echo", "haproxy:tcp:0:interface=127.0.0.1")
        + "trusted-proxies = [\"192.0.2.0/24\"]\n";
    let folder = folder(&format!("workers = 1\n{config}"))?;
    let mut host = Host::up(folder.path(), 1)?;
    for _ in 0..5 {
        let _ = connect(&host)?.read(&mut [0; 1]);
    }
    host.terminate()?;
    let log = host.log();
    let told = log.matches("trusted-proxies").count();
    ensure!(told == 1, "told {told} times: {log}");
    Ok(())
}
