//! Every kind of endpoint, bound and used.

use std::fs;
use std::io::ErrorKind;
use std::net::{Shutdown, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::host::{self, Host, PATIENCE};

use super::bad_configuration::one_message;
use super::streams::echoes;
use super::{folder, trial, trial_with};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("endpoints::port_0_is_printed", port_0_is_printed),
        trial("endpoints::an_ipv6_address_wants_brackets", an_ipv6_address_wants_brackets),
        trial_with("endpoints::ipv6_serves_ipv6_alone", ipv6, |()| ipv6_serves_ipv6_alone()),
        trial("endpoints::a_unix_socket_lives_as_long_as_the_host", a_unix_socket),
        trial("endpoints::a_stale_unix_socket_is_replaced", a_stale_unix_socket_is_replaced),
        trial("endpoints::a_live_unix_socket_is_left_alone", a_live_unix_socket_is_left_alone),
        trial("endpoints::a_file_in_the_place_of_a_socket_is_kept", a_file_is_kept),
        trial("endpoints::an_abstract_name_needs_no_file", an_abstract_name_needs_no_file),
        trial("endpoints::each_worker_and_each_sandbox_serves", each_worker_serves),
    ]
}

fn echo(listen: &str) -> Result<tempfile::TempDir> {
    folder(&format!("workers = 2\n[service.echo]\nplugin = \"@echo\"\nlisten = [{listen}]\n"))
}

/// A connection with time-outs.
pub(super) fn connect_unix(path: &Path) -> Result<UnixStream> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn port_0_is_printed() -> Result<()> {
    let folder = echo("\"tcp:0\", \"tcp:0:interface=127.0.0.1\"")?;
    let host = Host::up(folder.path(), 2)?;
    for (service, endpoint) in &host.endpoints {
        ensure!(service == "echo" && !endpoint.starts_with("tcp:0"), "{endpoint}");
        let port = endpoint.split(':').nth(1).context("a port")?;
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port.parse()?))?;
        echoes(&mut stream, b"hello")?;
    }
    ensure!(host.endpoints[0].1 != host.endpoints[1].1, "{:?}", host.endpoints);
    Ok(())
}

fn an_ipv6_address_wants_brackets() -> Result<()> {
    let folder = echo("\"tcp6:0:interface=::1\"")?;
    let message = one_message(&host::run(&["up"], folder.path())?)?;
    ensure!(message.contains("brackets"), "{message}");
    Ok(())
}

fn ipv6() -> Result<()> {
    TcpListener::bind("[::1]:0").map(drop).context("this machine has no IPv6")
}

fn ipv6_serves_ipv6_alone() -> Result<()> {
    for endpoint in ["tcp:0:interface=[::1]", "tcp:0:interface=\\\\:\\\\:1"] {
        let folder = echo(&format!("\"{endpoint}\""))?;
        let host = Host::up(folder.path(), 1)?;
        ensure!(host.endpoints[0].1.ends_with(":interface=[::1]"), "{:?}", host.endpoints);
        echoes(&mut host.connect("echo")?, b"hello")?;
    }
    // Both families have the same port, each for itself.
    let folder = echo("\"tcp6:0\"")?;
    let host = Host::up(folder.path(), 1)?;
    let port = host.endpoints[0].1.split(':').nth(1).context("a port")?.to_owned();
    let v4: u16 = port.parse()?;
    ensure!(std::net::TcpStream::connect(("127.0.0.1", v4)).is_err(), "tcp6 serves IPv4");
    echoes(&mut std::net::TcpStream::connect(("::1", v4))?, b"hello")?;
    Ok(())
}

fn a_unix_socket() -> Result<()> {
    let folder = echo("\"unix:a.sock:mode=660\", \"unix:b.sock:mode=600\"")?;
    let mut host = Host::up(folder.path(), 2)?;
    for (name, mode) in [("a.sock", 0o660), ("b.sock", 0o600)] {
        let path = folder.path().join(name);
        let metadata = fs::metadata(&path)?;
        ensure!(metadata.file_type().is_socket(), "{name} is no socket");
        ensure!(
            metadata.permissions().mode() & 0o777 == mode,
            "{:o}",
            metadata.permissions().mode()
        );
        // With two workers: each of them is dealt some.
        for _ in 0..4 {
            echoes(&mut connect_unix(&path)?, b"hello")?;
        }
        let mut stream = connect_unix(&path)?;
        echoes(&mut stream, b"hello")?;
        stream.shutdown(Shutdown::Write)?;
    }
    let status = host.terminate()?;
    ensure!(status.success(), "{status}: {}", host.log());
    for name in ["a.sock", "b.sock"] {
        ensure!(!folder.path().join(name).exists(), "{name} is left");
    }
    Ok(())
}

fn a_stale_unix_socket_is_replaced() -> Result<()> {
    let folder = echo("\"unix:a.sock\"")?;
    let path = folder.path().join("a.sock");
    // One that nobody listens on is left by this, and by a host that is killed.
    drop(UnixListener::bind(&path)?);
    ensure!(path.exists(), "std removes sockets now");
    for _ in 0..2 {
        let host = Host::up(folder.path(), 1)?;
        echoes(&mut connect_unix(&path)?, b"hello")?;
        drop(host);
        ensure!(path.exists(), "a killed host can't remove its socket");
    }
    Ok(())
}

fn a_live_unix_socket_is_left_alone() -> Result<()> {
    let folder = echo("\"unix:a.sock\"")?;
    let path = folder.path().join("a.sock");
    let first = Host::up(folder.path(), 1)?;
    let message = one_message(&host::run(&["up"], folder.path())?)?;
    ensure!(message.contains("a.sock") && message.contains("in use"), "{message}");
    echoes(&mut connect_unix(&path)?, b"hello").context("the first host's socket")?;
    drop(first);
    Ok(())
}

fn a_file_is_kept() -> Result<()> {
    let folder = echo("\"unix:a.sock\"")?;
    let path = folder.path().join("a.sock");
    fs::write(&path, "precious")?;
    let message = one_message(&host::run(&["up"], folder.path())?)?;
    ensure!(message.contains("a.sock") && message.contains("no socket"), "{message}");
    ensure!(fs::read(&path)? == b"precious", "it was overwritten");
    fs::remove_file(&path)?;
    fs::create_dir(&path)?;
    let message = one_message(&host::run(&["up"], folder.path())?)?;
    ensure!(message.contains("a.sock") && path.is_dir(), "{message}");
    let folder = echo("\"unix:none/a.sock\"")?;
    let message = one_message(&host::run(&["up"], folder.path())?)?;
    ensure!(message.contains("folder does not exist"), "{message}");
    Ok(())
}

fn an_abstract_name_needs_no_file() -> Result<()> {
    let name = format!("torsade-test-{}", std::process::id());
    let folder = echo(&format!("\"unix:@{name}\""))?;
    let mut host = Host::up(folder.path(), 1)?;
    ensure!(host.endpoints[0].1 == format!("unix:@{name}"), "{:?}", host.endpoints);
    let address = SocketAddr::from_abstract_name(&name)?;
    echoes(&mut UnixStream::connect_addr(&address)?, b"hello")?;
    let message = one_message(&host::run(&["up"], folder.path())?)?;
    ensure!(message.contains(&name) && message.contains("in use"), "{message}");
    ensure!(host.terminate()?.success(), "{}", host.log());
    let gone = UnixStream::connect_addr(&address).map_err(|error| error.kind());
    ensure!(matches!(gone, Err(ErrorKind::ConnectionRefused)), "{gone:?}");
    Ok(())
}

fn each_worker_serves() -> Result<()> {
    for workers in [1, 2] {
        for instances in ["per-connection", "per-worker"] {
            let folder = folder(&format!(
                "workers = {workers}\n[service.echo]\nplugin = \"@echo\"\n\
                 listen = [\"tcp:0:interface=127.0.0.1\", \"unix:a.sock\"]\n\
                 instances = \"{instances}\"\n"
            ))?;
            let mut host = Host::up(folder.path(), 2)?;
            let mut tcp: Vec<_> = (0..16).map(|_| host.connect("echo")).collect::<Result<_>>()?;
            let path = folder.path().join("a.sock");
            let mut unix: Vec<_> = (0..16).map(|_| connect_unix(&path)).collect::<Result<_>>()?;
            for round in 0..3_u8 {
                for (number, (tcp, unix)) in tcp.iter_mut().zip(&mut unix).enumerate() {
                    let text = format!("{instances} {workers} {round} {number}");
                    echoes(tcp, text.as_bytes())?;
                    echoes(unix, text.as_bytes())?;
                }
            }
            drop((tcp, unix));
            let status = host.terminate()?;
            ensure!(status.success(), "{status}: {}", host.log());
        }
    }
    Ok(())
}
