//! Two network namespaces that a cable joins, as two machines on a network of their own.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use torsade_tests::host::{self, Host, PATIENCE, POLL};
use torsade_tests::programs;

/// Two machines, `here` at 10.77.0.1 and fd77::1, `there` at 10.77.0.2, 10.77.0.3, fd77::2 and fd77::3. Each
/// has one interface, called `cable`. Both are gone when it is dropped.
pub(super) struct Network {
    pub(super) here: Machine,
    pub(super) there: Machine,
}

/// One of the two.
pub(super) struct Machine {
    namespace: String,
}

/// What a test needs besides, by its program and its package.
pub(super) type Program = (&'static str, &'static str);

/// Makes both, where this machine can, and all programs are there.
pub(super) fn network(needed: &[Program]) -> Result<Network> {
    for (program, package) in [("ip", "iproute2")].iter().chain(needed) {
        programs::program(program, package)?;
    }
    Network::new()
}

impl Network {
    fn new() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let machine = |side: &str| {
            let namespace = format!("torsade-{}-{number}-{side}", std::process::id());
            ip(&["netns", "add", &namespace]).context("this user can make no networks")?;
            anyhow::Ok(Machine { namespace })
        };
        let network = Network { here: machine("here")?, there: machine("there")? };
        let (here, there) = (&network.here.namespace, &network.there.namespace);
        let cable = ["link", "add", "cable", "netns", here, "type", "veth"];
        ip(&[&cable[..], &["peer", "name", "cable", "netns", there]].concat())?;
        network.here.set_up(&["10.77.0.1/24", "fd77::1/64"])?;
        network.there.set_up(&["10.77.0.2/24", "10.77.0.3/24", "fd77::3/64", "fd77::2/64"])?;
        network.here.wait_for_addresses()?;
        network.there.wait_for_addresses()?;
        Ok(network)
    }
}

impl Machine {
    fn set_up(&self, addresses: &[&str]) -> Result<()> {
        let own = ["-n", self.namespace.as_str()];
        for address in addresses {
            let more: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
            ip(&[&own[..], &["addr", "add", address, "dev", "cable"], more].concat())?;
        }
        ip(&[&own[..], &["link", "set", "lo", "up"]].concat())?;
        ip(&[&own[..], &["link", "set", "cable", "up"]].concat())?;
        ip(&[&own[..], &["route", "add", "224.0.0.0/4", "dev", "cable"]].concat())
    }

    /// An address of IPv6 can be used once the kernel has looked whether another has it.
    fn wait_for_addresses(&self) -> Result<()> {
        wait("its addresses can't be used", || {
            let output =
                self.command("ip").args(["-6", "addr", "show", "dev", "cable"]).output()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            Ok((text.contains("fe80") && !text.contains("tentative")).then_some(()))
        })
    }

    /// A program on this machine, with nothing to read.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace, program]).stdin(Stdio::null());
        command
    }

    /// What a program says, which ends by itself.
    pub(super) fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = self.command(program).args(arguments).output()?;
        check(program, &output)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What a program says to some input.
    pub(super) fn say(&self, words: &str, program: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.command(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let mut input = child.stdin.take().context("stdin is a pipe")?;
        std::io::Write::write_all(&mut input, words.as_bytes())?;
        drop(input);
        let output = child.wait_with_output()?;
        check(program, &output)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A program that runs until it is dropped.
    pub(super) fn spawn(&self, mut command: Command) -> Result<Running> {
        let log = tempfile::NamedTempFile::new()?;
        command.stdout(log.reopen()?).stderr(log.reopen()?);
        Ok(Running { child: command.spawn()?, log })
    }

    /// What a thread of this process does on this machine. Sockets that it makes stay there.
    pub(super) fn within<T: Send>(&self, act: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let namespace = File::open(format!("/run/netns/{}", self.namespace))?;
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(namespace.as_fd(), kind)?;
                act()
            });
            inside.join().expect("a thread of a test doesn't panic")
        })
    }

    /// `torsade up` on this machine.
    pub(super) fn up(&self, folder: &std::path::Path, endpoints: usize) -> Result<Host> {
        let binary = host::binary()?;
        let mut command = host::command()?;
        let mut wrapped = self.command(&binary.display().to_string());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(name, value),
                None => wrapped.env_remove(name),
            };
        }
        wrapped.arg("up").arg(folder);
        command = wrapped;
        Host::start(command, endpoints)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // What can't be removed was never made.
        let _ = Command::new("ip").args(["netns", "del", &self.namespace]).status();
    }
}

/// A program that runs; killed when dropped.
pub(super) struct Running {
    child: Child,
    log: tempfile::NamedTempFile,
}

impl Running {
    /// What it has said so far.
    pub(super) fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(self.log.path())?).into_owned())
    }

    /// What it has said, once that has all of `words`.
    pub(super) fn log_with(&self, words: &[&str]) -> Result<String> {
        let said = wait(&format!("it doesn't say {words:?}"), || {
            let log = self.log()?;
            Ok(words.iter().all(|word| log.contains(word)).then_some(log))
        });
        said.with_context(|| self.log().unwrap_or_default())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks until there is something.
pub(super) fn wait<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Some(found) = look()? {
            return Ok(found);
        }
        thread::sleep(POLL.max(Duration::from_millis(20)));
    }
    bail!("{what} within {PATIENCE:?}")
}

fn ip(arguments: &[&str]) -> Result<()> {
    check(&format!("ip {}", arguments.join(" ")), &Command::new("ip").args(arguments).output()?)
}

fn check(program: &str, output: &Output) -> Result<()> {
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program}: {} {words}", output.status);
    Ok(())
}
