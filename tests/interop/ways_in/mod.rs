//! The ways to a plugin: the same file, unchanged, over each of them, and what is particular to each.

mod awaited;
mod descriptors;
mod encrypted;
mod proxied;
mod stdio;

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::thread;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::host::{Host, PATIENCE};

use super::endpoints::connect_unix;
use super::streams::pattern;
use super::{folder, trial};

pub(super) fn trials() -> Vec<Trial> {
    let same = WAYS.iter().map(|way| {
        let name = format!("ways_in::the_same_plugins_over_{}", way.name);
        trial(&name, || the_same_plugins(way))
    });
    let parts = [
        awaited::trials(),
        descriptors::trials(),
        encrypted::trials(),
        proxied::trials(),
        stdio::trials(),
    ];
    same.chain(parts.into_iter().flatten()).collect()
}

/// A way to a plugin.
struct Way {
    name: &'static str,
    /// Where the service listens.
    endpoint: &'static str,
    /// Starts a host of the folder, and comes to its service.
    call: fn(&Path) -> Result<Call>,
}

/// Each way. What a plugin is told of its transport has to be what `call` says.
const WAYS: [Way; 13] = [
    Way { name: "tcp", endpoint: "tcp:0:interface=127.0.0.1", call: tcp },
    Way { name: "tls", endpoint: "tls:0:interface=127.0.0.1", call: encrypted::tls },
    Way { name: "unix", endpoint: "unix:a.sock", call: unix },
    Way { name: "proxied_tcp", endpoint: "haproxy:tcp:0:interface=127.0.0.1", call: proxied_tcp },
    Way {
        name: "proxied_tls",
        endpoint: "haproxy:tls:0:interface=127.0.0.1",
        call: encrypted::proxied_tls,
    },
    Way { name: "proxied_unix", endpoint: "haproxy:unix:a.sock", call: proxied_unix },
    Way { name: "systemd_tcp", endpoint: "systemd:domain=INET:index=0", call: systemd_tcp },
    Way { name: "systemd_tls", endpoint: "systemd:index=0:tls=yes", call: encrypted::systemd_tls },
    Way { name: "systemd_unix", endpoint: "systemd:name=web", call: systemd_unix },
    Way { name: "a_descriptor", endpoint: "fd:3", call: systemd_tcp },
    Way { name: "pipes", endpoint: "stdio:", call: pipes },
    Way { name: "a_socketpair", endpoint: "stdio:", call: socketpair },
    Way { name: "inetd", endpoint: "stdio:", call: inetd },
];

/// A connection to a plugin, however it came there.
struct Call {
    host: Running,
    from: Box<dyn Read + Send>,
    to: Box<dyn Half>,
    /// The addresses that the plugin is to see: the peer's, and the host's.
    addresses: [String; 2],
    /// What it is to hear of TLS, where there is one: the version, the protocol and the server's
    /// name.
    agreed: Option<&'static str>,
}

impl Call {
    /// One that is not encrypted.
    fn clear(
        host: Running,
        from: impl Read + Send + 'static,
        to: impl Half + 'static,
        addresses: [String; 2],
    ) -> Self {
        Self { host, from: Box::new(from), to: Box::new(to), addresses, agreed: None }
    }
}

/// What a host is to be ended by.
enum Running {
    /// It ends with the connection.
    Alone(Child),
    Serving(Host),
}

/// This side's half of a connection.
trait Half: Write + Send {
    fn end(self: Box<Self>) -> io::Result<()>;
}

impl Half for ChildStdin {
    fn end(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

impl Half for TcpStream {
    fn end(self: Box<Self>) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Half for UnixStream {
    fn end(self: Box<Self>) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Running {
    fn ends_well(self, folder: &Path) -> Result<()> {
        let (status, log) = match self {
            Self::Alone(child) => {
                let output = child.wait_with_output()?;
                (output.status, fs::read_to_string(folder.join("log"))?)
            }
            Self::Serving(mut host) => (host.terminate()?, host.log()),
        };
        ensure!(status.success(), "{status}: {log}");
        ensure!(!log.contains("ERROR") && !super::warns(&log), "{log}");
        Ok(())
    }
}

fn the_same_plugins(way: &Way) -> Result<()> {
    // Bytes, and the end of each half.
    let tls = if way.endpoint.contains("tls") { encrypted::TABLE } else { "" };
    let echo = folder(&(service("echo", way.endpoint) + tls))?;
    let call = (way.call)(echo.path())?;
    echoes_to_the_end(call.from, call.to).context("the echo")?;
    call.host.ends_well(echo.path())?;
    // What the plugin can tell of its transport.
    let inquirer = folder(&(service("inquirer", way.endpoint) + tls + GRANTS))?;
    let Call { host, from, mut to, addresses: [peer, local], agreed } =
        (way.call)(inquirer.path())?;
    let mut lines = BufReader::new(from).lines();
    let mut next = || lines.next().context("the connection has ended")?.context("the next line");
    ensure!(next()? == "hello", "it isn't greeted");
    to.write_all(b"a addresses\n")?;
    let (told, wanted) = (next()?, format!("a ok {peer} {local}"));
    ensure!(told == wanted, "{told:?} instead of {wanted:?}");
    to.write_all(b"b tls\n")?;
    let told = next()?;
    match agreed {
        None => ensure!(told.starts_with("b unsupported "), "{told:?}"),
        Some(facts) => ensure!(told == format!("b ok {facts}"), "{told:?} is not {facts}"),
    }
    to.end()?;
    ensure!(lines.next().is_none(), "it goes on after the end");
    host.ends_well(inquirer.path())
}

fn service(name: &str, endpoint: &str) -> String {
    format!("[service.{name}]\nplugin = \"@{name}\"\nlisten = [\"{endpoint}\"]\n")
}

/// The inquirer has to be granted all that it imports.
const GRANTS: &str = "grants = { connect = [\"tcp:192.0.2.1:1\"], jobs = true, \
                      listen = [\"tcp:1:interface=127.0.0.1\"] }\n";

/// Sends bytes, ends this side's half, and reads all of them back, and the end.
fn echoes_to_the_end(mut from: impl Read, mut to: Box<dyn Half>) -> Result<()> {
    let text = pattern(3_000_000);
    let mut back = Vec::new();
    thread::scope(|scope| -> Result<()> {
        let sent = scope.spawn(|| to.write_all(&text).and_then(|()| to.end()));
        from.read_to_end(&mut back)?;
        Ok(sent.join().expect("writing doesn't panic")?)
    })?;
    ensure!(back == text, "{} bytes of {} came back, or others", back.len(), text.len());
    Ok(())
}

fn tcp(folder: &Path) -> Result<Call> {
    let host = Host::up(folder, 1)?;
    let name = host.endpoints[0].0.clone();
    let stream = host.connect(&name)?;
    over_tcp(Running::Serving(host), stream)
}

fn unix(folder: &Path) -> Result<Call> {
    let host = Running::Serving(Host::up(folder, 1)?);
    let path = folder.join("a.sock");
    let stream = connect_unix(&path)?;
    let addresses = ["unix[]0".to_owned(), format!("unix[{}]0", path.display())];
    Ok(Call::clear(host, stream.try_clone()?, stream, addresses))
}

fn proxied_tcp(folder: &Path) -> Result<Call> {
    let host = Host::up(folder, 1)?;
    let port = host.endpoints[0].1.split(':').nth(2).context("a port")?.parse()?;
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"PROXY TCP4 192.0.2.1 198.51.100.2 56072 80\r\n")?;
    let call = over_tcp(Running::Serving(host), stream)?;
    Ok(Call {
        addresses: ["tcp[192.0.2.1]56072", "tcp[198.51.100.2]80"].map(str::to_owned),
        ..call
    })
}

fn proxied_unix(folder: &Path) -> Result<Call> {
    let call = unix(folder)?;
    let mut to = call.to;
    to.write_all(&proxied::v2_of_ipv6())?;
    Ok(Call { to, addresses: proxied::V2_OF_IPV6.map(str::to_owned), ..call })
}

fn systemd_tcp(folder: &Path) -> Result<Call> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let host = descriptors::handed_over(folder, listener)?;
    over_tcp(Running::Serving(host), TcpStream::connect(address)?)
}

fn systemd_unix(folder: &Path) -> Result<Call> {
    let path = folder.join("a.sock");
    let host = Running::Serving(descriptors::handed_over(folder, UnixListener::bind(&path)?)?);
    let stream = connect_unix(&path)?;
    let addresses = ["unix[]0".to_owned(), format!("unix[{}]0", path.display())];
    Ok(Call::clear(host, stream.try_clone()?, stream, addresses))
}

fn pipes(folder: &Path) -> Result<Call> {
    let mut child = stdio::up(folder)?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let from = child.stdout.take().context("it is a pipe")?;
    let to = child.stdin.take().context("it is a pipe")?;
    let addresses = ["stdio[]0".to_owned(), "stdio[]0".to_owned()];
    Ok(Call::clear(Running::Alone(child), from, to, addresses))
}

fn socketpair(folder: &Path) -> Result<Call> {
    let (near, far) = UnixStream::pair()?;
    near.set_read_timeout(Some(PATIENCE))?;
    let child = stdio::on_socket(folder, far)?;
    let addresses = ["unix[]0".to_owned(), "unix[]0".to_owned()];
    Ok(Call::clear(Running::Alone(child), near.try_clone()?, near, addresses))
}

fn inetd(folder: &Path) -> Result<Call> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let child = stdio::on_socket(folder, listener.accept()?.0)?;
    over_tcp(Running::Alone(child), near)
}

fn over_tcp(host: Running, stream: TcpStream) -> Result<Call> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let addresses = [stream.local_addr()?, stream.peer_addr()?]
        .map(|address| format!("tcp[{}]{}", address.ip(), address.port()));
    Ok(Call::clear(host, stream.try_clone()?, stream, addresses))
}
