//! Datagrams over real sockets: every kind of endpoint, and what a plugin can do with its socket.

use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::host::{self, Host, PATIENCE};

use super::bad_configuration::one_message;
use super::{folder, program_trial, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("datagrams::every_endpoint_echoes", every_endpoint_echoes),
        trial("datagrams::every_size_echoes", every_size_echoes),
        trial("datagrams::a_unix_socket_answers_a_name", a_unix_socket_answers_a_name),
        trial("datagrams::a_batch_is_answered_in_order", a_batch_is_answered_in_order),
        trial("datagrams::workers_share_a_port", workers_share_a_port),
        trial("datagrams::a_port_in_use_is_refused", a_port_in_use_is_refused),
        trial("datagrams::a_reused_port_has_several_owners", a_reused_port_has_several_owners),
        trial("datagrams::a_trap_costs_one_event", a_trap_costs_one_event),
        trial("datagrams::a_refusal_is_told", a_refusal_is_told),
        trial("datagrams::a_plugin_connects_and_listens", a_plugin_connects_and_listens),
        trial("datagrams::groups_are_joined", groups_are_joined),
        trial("datagrams::strangers_get_nothing", strangers_get_nothing),
        trial("datagrams::what_a_plugin_lacks_is_named", what_a_plugin_lacks_is_named),
        trial("datagrams::a_stopped_host_tells_it", a_stopped_host_tells_it),
        program_trial("datagrams::socat_gets_an_echo", "socat", "socat", socat),
    ]
}

/// The port of the endpoint with this place among those that the host has printed.
fn port(host: &Host, place: usize) -> Result<u16> {
    let (_, endpoint) = host.endpoints.get(place).context("the host has so many endpoints")?;
    Ok(endpoint.split(':').nth(1).context("it has a port")?.parse()?)
}

/// A socket for one peer, with time-outs.
fn to(address: &str) -> Result<UdpSocket> {
    let to: SocketAddr = address.parse()?;
    let socket = UdpSocket::bind(if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" })?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn ask(socket: &UdpSocket, text: &str) -> Result<String> {
    socket.send(text.as_bytes())?;
    answer(socket).with_context(|| format!("the answer to {text:?}"))
}

fn answer(socket: &UdpSocket) -> Result<String> {
    let mut buffer = vec![0; 70_000];
    let length = socket.recv(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

fn every_endpoint_echoes() -> Result<()> {
    let folder = folder(
        "workers = 2\n[service.echo]\nplugin = \"@echo\"\nlisten = [\
         \"udp:0:interface=127.0.0.1\", \"udp6:0:interface=[::1]\", \"udp6:0:dual=yes\", \
         \"udp:0:reuse=yes:broadcast=yes\", \"unix-datagram:a.sock:mode=600\", \"udp6:0\"]\n",
    )?;
    let mut host = Host::up(folder.path(), 6)?;
    for (place, ip) in [
        (0, "127.0.0.1"),
        (1, "[::1]"),
        (2, "127.0.0.1"),
        (2, "[::1]"),
        (3, "127.0.0.1"),
        (5, "[::1]"),
    ] {
        let socket = to(&format!("{ip}:{}", port(&host, place)?))?;
        ensure!(ask(&socket, "hello")? == "hello", "{:?}", host.endpoints[place]);
        ensure!(ask(&socket, "")?.is_empty(), "an empty datagram");
    }
    let alone = to(&format!("127.0.0.1:{}", port(&host, 5)?))?;
    alone.send(b"hello")?;
    ensure!(alone.recv(&mut [0; 10]).is_err(), "udp6: is for IPv6 alone");
    let file = folder.path().join("a.sock");
    let metadata = file.metadata()?;
    ensure!(metadata.file_type().is_socket() && metadata.permissions().mode() & 0o777 == 0o600);
    ensure!(host.terminate()?.success(), "{}", host.log());
    ensure!(!file.exists(), "the socket is left behind");
    Ok(())
}

fn every_size_echoes() -> Result<()> {
    let folder = echo("\"udp:0:interface=127.0.0.1\"")?;
    let host = Host::up(folder.path(), 1)?;
    let socket = to(&format!("127.0.0.1:{}", port(&host, 0)?))?;
    for size in [0, 1, 64, 1472, 1473, 9000, 65_506, 65_507] {
        let text = "x".repeat(size);
        ensure!(ask(&socket, &text)? == text, "{size} bytes");
    }
    Ok(())
}

fn echo(listen: &str) -> Result<tempfile::TempDir> {
    folder(&format!("workers = 2\n[service.echo]\nplugin = \"@echo\"\nlisten = [{listen}]\n"))
}

fn a_unix_socket_answers_a_name() -> Result<()> {
    let folder = echo("\"unix-datagram:a.sock\"")?;
    // A dead process' socket is replaced.
    drop(UnixDatagram::bind(folder.path().join("a.sock"))?);
    let _host = Host::up(folder.path(), 1)?;
    let own = folder.path().join("own.sock");
    let socket = UnixDatagram::bind(&own)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(folder.path().join("a.sock"))?;
    for text in ["one", "two", ""] {
        socket.send(text.as_bytes())?;
        let mut buffer = [0; 100];
        let length = socket.recv(&mut buffer)?;
        ensure!(&buffer[..length] == text.as_bytes());
    }
    // Who has no name can't be answered, and harms nobody.
    let nameless = UnixDatagram::unbound()?;
    nameless.connect(folder.path().join("a.sock"))?;
    nameless.send(b"hello")?;
    socket.send(b"still there")?;
    let mut buffer = [0; 100];
    ensure!(socket.recv(&mut buffer)? == b"still there".len());
    let again = host::run(&["up"], folder.path())?;
    ensure!(one_message(&again)?.contains("a.sock"), "it is in use");
    Ok(())
}

fn a_batch_is_answered_in_order() -> Result<()> {
    let folder = folder(
        "workers = 1\n[service.echo]\nplugin = \"@echo\"\nlisten = [\"udp:0:interface=127.0.0.1\"]\n",
    )?;
    let host = Host::up(folder.path(), 1)?;
    let socket = to(&format!("127.0.0.1:{}", port(&host, 0)?))?;
    for round in 0..50 {
        for n in 0..60 {
            socket.send(format!("{round}-{n}").as_bytes())?;
        }
        for n in 0..60 {
            let text = answer(&socket)?;
            ensure!(text == format!("{round}-{n}"), "{text} is not {round}-{n}");
        }
    }
    Ok(())
}

fn workers_share_a_port() -> Result<()> {
    let folder = folder(
        "workers = 3\n[service.test]\nplugin = \"@datagrams\"\n\
         grants = { connect = [\"udp:127.0.0.1:9\"], listen = [\"udp:1-2\"], multicast = [\"224.0.0.251\"] }\n\
         listen = [\"udp:0:interface=127.0.0.1\"]\n",
    )?;
    let host = Host::up(folder.path(), 1)?;
    let at = format!("127.0.0.1:{}", port(&host, 0)?);
    // One sender's datagrams come to one worker.
    let mut counts = Vec::new();
    for _ in 0..40 {
        let socket = to(&at)?;
        let first: u64 = ask(&socket, "heard")?.parse()?;
        let second: u64 = ask(&socket, "heard")?.parse()?;
        ensure!(second > first);
        counts.push(second);
    }
    let most = counts.iter().max().context("some")?;
    ensure!(*most < 80, "one worker got all of them");
    Ok(())
}

fn a_port_in_use_is_refused() -> Result<()> {
    let taken = UdpSocket::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port();
    let folder = echo(&format!("\"udp:{port}:interface=127.0.0.1\""))?;
    let message = one_message(&host::run(&["up"], folder.path())?)?;
    ensure!(message.contains(&format!("port {port} is in use by another program")), "{message}");
    Ok(())
}

fn a_reused_port_has_several_owners() -> Result<()> {
    let folder = echo("\"udp:0:reuse=yes\"")?;
    let first = Host::up(folder.path(), 1)?;
    let port = port(&first, 0)?;
    let other = echo(&format!("\"udp:{port}:reuse=yes\""))?;
    let second = Host::up(other.path(), 1)?;
    let socket = to(&format!("127.0.0.1:{port}"))?;
    ensure!(ask(&socket, "hello")? == "hello");
    drop((first, second));
    Ok(())
}

/// A service of the plugin that does what it is told.
fn obeying(grants: &str) -> Result<(tempfile::TempDir, Host, UdpSocket)> {
    let folder = folder(&format!(
        "workers = 1\n[service.test]\nplugin = \"@datagrams\"\n\
         limits = {{ correspondents = 4, groups = 2 }}\ngrants = {{ {grants} }}\n\
         listen = [\"udp:0\"]\n"
    ))?;
    let host = Host::up(folder.path(), 1)?;
    let socket = to(&format!("127.0.0.1:{}", port(&host, 0)?))?;
    Ok((folder, host, socket))
}

const SOME: &str = "connect = [\"udp:127.0.0.1:*\", \"unix-datagram:@torsade-test-none\"], \
                    listen = [\"udp:1-65535\"], multicast = [\"239.0.0.0/8\"]";

fn a_trap_costs_one_event() -> Result<()> {
    let (_folder, host, socket) = obeying(SOME)?;
    ensure!(ask(&socket, "heard")? == "1" && ask(&socket, "heard")? == "2");
    socket.send(b"trap")?;
    host.log_with(&["as it was told"])?;
    ensure!(ask(&socket, "heard")? == "1", "a new instance");
    Ok(())
}

fn a_refusal_is_told() -> Result<()> {
    let (_folder, _host, socket) = obeying(SOME)?;
    let gone = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
    socket.send(format!("to {gone} hello").as_bytes())?;
    let answers = [answer(&socket)?, answer(&socket)?];
    ensure!(answers.contains(&format!("refused {gone} refused")), "{answers:?}");
    // And the socket goes on.
    ensure!(ask(&socket, "hello")? == "hello");
    Ok(())
}

fn a_plugin_connects_and_listens() -> Result<()> {
    let (_folder, _host, socket) = obeying(SOME)?;
    let other = UdpSocket::bind("127.0.0.1:0")?;
    other.set_read_timeout(Some(PATIENCE))?;
    ensure!(ask(&socket, &format!("connect udp:{}", other.local_addr()?))? == "ok");
    let mut buffer = [0; 100];
    let (length, from) = other.recv_from(&mut buffer)?;
    ensure!(&buffer[..length] == b"hello", "the dialled socket greets");
    other.send_to(b"heard", from)?;
    let (length, _) = other.recv_from(&mut buffer)?;
    ensure!(&buffer[..length] == b"1");
    ensure!(ask(&socket, "connect unix-datagram:@torsade-test-none")? == "refused");
    ensure!(ask(&socket, "connect udp:192.0.2.1:53")? == "denied");
    ensure!(ask(&socket, "connect tcp:127.0.0.1:53")? == "unsupported");
    let port: u16 = ask(&socket, "listen udp:0:interface=127.0.0.1")?.parse()?;
    let there = to(&format!("127.0.0.1:{port}"))?;
    ensure!(ask(&there, "where")? == format!("udp 127.0.0.1 {port}"));
    there.send(b"close")?;
    for _ in 0..1000 {
        // Until it is closed, something comes back; from then on a refusal.
        if ask(&there, "hello").is_err() {
            return Ok(());
        }
    }
    anyhow::bail!("it is never closed")
}

fn groups_are_joined() -> Result<()> {
    let (_folder, host, socket) = obeying(SOME)?;
    ensure!(ask(&socket, "join 239.255.7.7 lo")? == "ok");
    ensure!(ask(&socket, "join 239.255.7.7 lo")? == "in-use");
    ensure!(ask(&socket, "join 224.0.0.251")? == "denied");
    ensure!(ask(&socket, "join 239.255.7.8 no-such-one")? == "invalid");
    ensure!(ask(&socket, "join 239.255.7.9 lo 127.0.0.1")? == "ok", "of one source");
    ensure!(ask(&socket, "join 239.255.7.8 lo")? == "limit");
    let sender = UdpSocket::bind("127.0.0.1:0")?;
    sender.set_read_timeout(Some(PATIENCE))?;
    for group in ["239.255.7.7", "239.255.7.9"] {
        // By way of `lo`, whose address the socket has.
        sender.send_to(b"where", format!("{group}:{}", port(&host, 0)?))?;
        let mut buffer = [0; 100];
        let (length, _) = sender.recv_from(&mut buffer).with_context(|| group.to_owned())?;
        ensure!(buffer[..length].starts_with(b"udp 0.0.0.0"));
    }
    ensure!(ask(&socket, "leave 239.255.7.7 lo")? == "left");
    ensure!(ask(&socket, "join 239.255.7.8 lo")? == "ok");
    Ok(())
}

fn strangers_get_nothing() -> Result<()> {
    let granted = UdpSocket::bind("127.0.0.1:0")?;
    let stranger = UdpSocket::bind("127.0.0.1:0")?;
    let grants = format!(
        "connect = [\"udp:{}\"], listen = [\"udp:1-2\"], multicast = [\"239.0.0.0/8\"]",
        granted.local_addr()?
    );
    let (_folder, host, socket) = obeying(&grants)?;
    granted.set_read_timeout(Some(PATIENCE))?;
    stranger.set_nonblocking(true)?;
    for to in [&stranger, &granted] {
        ensure!(ask(&socket, &format!("to {} hello", to.local_addr()?))? == "sent");
    }
    ensure!(granted.recv(&mut [0; 10])? == 5);
    ensure!(stranger.recv(&mut [0; 10]).is_err());
    host.log_with(&["is dropped: grants.connect does not cover it"])?;
    Ok(())
}

fn what_a_plugin_lacks_is_named() -> Result<()> {
    for (service, wanted) in [
        (
            "plugin = \"@http\"\nlisten = [\"udp:0\"]\n",
            "exports no datagram-protocols, which udp:0 needs",
        ),
        (
            "plugin = \"@datagrams\"\nlisten = [\"tcp:0\"]\ngrants = { connect = [\"tcp:*:1\"], listen = [\"udp:1\"], multicast = [\"224.0.0.1\"] }\n",
            "exports no protocols, which tcp:0 needs",
        ),
        (
            "plugin = \"@echo\"\nlisten = [\"udp:0\", \"tcp:0\"]\n",
            "write instances = \"per-worker\"",
        ),
        (
            "plugin = \"@echo\"\ninstances = \"per-connection\"\nlisten = [\"udp:0\"]\n",
            "write instances = \"per-worker\"",
        ),
        (
            "plugin = \"@datagrams\"\nlisten = [\"udp:0\"]\n",
            "add multicast, connect, listen to `grants`",
        ),
        ("plugin = \"@echo\"\ngrants = { multicast = [\"10.0.0.0/8\"] }\n", "no groups"),
    ] {
        let grants =
            if service.contains("@http") { "grants = { files = { read = \".\" } }\n" } else { "" };
        let folder = folder(&format!("[service.a]\n{service}{grants}"))?;
        let output = host::run(&["check"], folder.path())?;
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(!output.status.success() && message.contains(wanted), "{service}: {message}");
    }
    Ok(())
}

fn a_stopped_host_tells_it() -> Result<()> {
    let (_folder, mut host, socket) = obeying(SOME)?;
    ensure!(ask(&socket, "hello")? == "hello");
    ensure!(host.terminate()?.success(), "{}", host.log());
    let log = host.log_with(&["closed: stopped"])?;
    ensure!(log.matches("closed: stopped").count() == 1, "{log}");
    Ok(())
}

fn socat(program: &Path) -> Result<()> {
    let folder = echo("\"udp:0:interface=127.0.0.1\", \"unix-datagram:a.sock\"")?;
    let host = Host::up(folder.path(), 2)?;
    let own = folder.path().join("own.sock");
    for to in [
        format!("UDP4:127.0.0.1:{}", port(&host, 0)?),
        format!("UNIX-SENDTO:{},bind={}", folder.path().join("a.sock").display(), own.display()),
    ] {
        let script = format!("printf hello | {} -t2 - {to}", program.display());
        let output = Command::new("sh").args(["-c", &script]).output()?;
        ensure!(output.stdout == b"hello", "{to}: {output:?}");
    }
    Ok(())
}
