//! Sockets that somebody else has opened: handed over as systemd does it, and by systemd's own
//! program.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::host::{self, Host};

use super::super::asking::until;
use super::super::endpoints::connect_unix;
use super::super::network::wait;
use super::super::streams::echoes;
use super::super::{folder, program_trial, trial};
use super::service;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        program_trial(
            "ways_in::systemd_starts_the_host_at_the_first_connection",
            "systemd-socket-activate",
            "systemd",
            systemd_starts_the_host,
        ),
        trial("ways_in::what_is_handed_over_stays_with_the_host", stays_with_the_host),
        trial("ways_in::what_is_handed_over_for_nobody_is_told", nobody_names_it),
        trial("ways_in::each_worker_gets_of_what_is_handed_over", each_worker),
        trial("ways_in::what_is_not_handed_over_is_told", what_is_not_handed_over),
    ]
}

/// The command in a shell that hands `socket` over as descriptor 3, named `web`.
fn handing_over(socket: impl Into<OwnedFd>, folder: &Path) -> Result<Command> {
    let torsade = host::command()?;
    let mut shell = Command::new("sh");
    shell.args(["-c", HAND_OVER]).arg(torsade.get_program()).arg(folder);
    for (name, value) in torsade.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.stdin(Stdio::from(socket.into()));
    Ok(shell)
}

/// The shell's process id stays the same over `exec`.
const HAND_OVER: &str = "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web; \
                         exec \"$0\" up \"$1\"";

/// A host of the folder, which listens on `socket`.
pub(super) fn handed_over(folder: &Path, socket: impl Into<OwnedFd>) -> Result<Host> {
    Host::start(handing_over(socket, folder)?, 1)
}

fn systemd_starts_the_host(program: &Path) -> Result<()> {
    let listen = "systemd:name=two\", \"systemd:index=0";
    let folder = folder(&service("echo", listen))?;
    let paths = ["one", "two"].map(|name| folder.path().join(name));
    let torsade = host::command()?;
    let mut command = Command::new(program);
    for path in &paths {
        command.arg("-l").arg(path);
    }
    command.args(["--fdname=one:two", "-E", "XDG_CACHE_HOME"]).arg(torsade.get_program());
    for (name, value) in torsade.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let log = fs::File::create(folder.path().join("log"))?;
    command.arg("up").arg(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let mut child = command.spawn()?;
    let served = paths.iter().try_for_each(|path| -> Result<()> {
        // It takes connections before the host is there, which wait for it.
        let mut stream = wait("nobody listens", || Ok(connect_unix(path).ok()))?;
        echoes(&mut stream, b"hello").context(path.display().to_string())
    });
    let log = fs::read_to_string(folder.path().join("log"))?;
    // By its process id, which is the host's by now.
    let killed = Command::new("kill").arg(child.id().to_string()).status()?;
    let status = child.wait()?;
    served.context(log)?;
    ensure!(killed.success() && status.success(), "{status}");
    ensure!(paths.iter().all(|path| path.exists()), "the sockets are systemd's to remove");
    Ok(())
}

fn stays_with_the_host() -> Result<()> {
    let folder = folder(&service("echo", "systemd:index=0"))?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let mut host = handed_over(folder.path(), listener)?;
    echoes(&mut TcpStream::connect(address)?, b"hello")?;
    let info = fs::read_to_string(format!("/proc/{}/fdinfo/3", host.id()))?;
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).context("no flags")?;
    let flags = u32::from_str_radix(flags.trim(), 8)?;
    ensure!(flags & CLOSE_ON_EXEC != 0, "what the host runs would have it, too: {flags:o}");
    ensure!(host.terminate()?.success(), "{}", host.log());
    is_free(address)
}

/// Nobody listens any more. What other tests begin to run may have the socket for a moment.
fn is_free(address: SocketAddr) -> Result<()> {
    until(|| Ok(TcpStream::connect(address).is_err()))
}

/// Linux' O_CLOEXEC, as fdinfo shows it.
const CLOSE_ON_EXEC: u32 = 0o2_000_000;

fn nobody_names_it() -> Result<()> {
    let folder = folder(&service("echo", "unix:a.sock"))?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let host = handed_over(folder.path(), listener)?;
    host.log_with(&["WARN", "index=0 (name=web), which no endpoint names"])?;
    is_free(address)
}

fn each_worker() -> Result<()> {
    let folder = folder(&format!("workers = 2\n{}", service("echo", "fd:3")))?;
    let path = folder.path().join("a.sock");
    let host = handed_over(folder.path(), UnixListener::bind(&path)?)?;
    let mut streams: Vec<_> = (0..8).map(|_| connect_unix(&path)).collect::<Result<_>>()?;
    for stream in &mut streams {
        echoes(stream, b"hello")?;
    }
    drop(streams);
    super::Running::Serving(host).ends_well(folder.path())
}

fn what_is_not_handed_over() -> Result<()> {
    let refused = |endpoint: &str, socket: OwnedFd, want: &str| -> Result<()> {
        let folder = folder(&service("echo", endpoint))?;
        let output = handing_over(socket, folder.path())?.output()?;
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(2), "{endpoint}: {}: {message}", output.status);
        ensure!(message.contains(want), "{endpoint}: {want:?} is not in {message:?}");
        let last = endpoint.rsplit('"').next().unwrap_or_default();
        ensure!(message.contains(last), "{endpoint}: {message:?}");
        Ok(())
    };
    let tcp = || TcpListener::bind("127.0.0.1:0").map(OwnedFd::from);
    refused("systemd:index=1", tcp()?, "systemd has handed over index=0 (name=web)")?;
    refused("systemd:name=wed", tcp()?, "systemd has handed over index=0 (name=web)")?;
    refused("fd:60", tcp()?, "no socket was open as descriptor 60 at the start")?;
    refused("fd:60", tcp()?, "open as sockets: fd:3")?;
    refused("fd:3", UdpSocket::bind("127.0.0.1:0")?.into(), "it is a datagram socket")?;
    refused("fd:3", UnixStream::pair()?.0.into(), "it is a connection and doesn't listen")?;
    let file = fs::File::open("/dev/null")?;
    refused("systemd:index=0", file.into(), "descriptor 3 is no socket")?;
    refused("fd:3\", \"systemd:name=web", tcp()?, "or it is taken")
        .context("one descriptor by two names")?;
    // Without systemd, and in its name for another process.
    for environment in [&[][..], &[("LISTEN_FDS", "1"), ("LISTEN_PID", "1")]] {
        let folder = folder(&service("echo", "systemd:index=0"))?;
        let mut command = host::command()?;
        command.envs(environment.iter().copied()).arg("up").arg(folder.path());
        let output = command.output()?;
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(message.contains("systemd has handed nothing over"), "{message}");
    }
    Ok(())
}
