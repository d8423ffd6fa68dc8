//! The servers that people connect to.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use torsade_tests::certificates::Authority;
use torsade_tests::host::{self, Host, PATIENCE, POLL};
use torsade_tests::programs;

use super::super::configure;

/// A server that runs.
pub(super) struct Server {
    running: Running,
    folder: TempDir,
    /// Where it speaks in clear.
    pub(super) port: u16,
    /// Where it speaks TLS.
    pub(super) tls_port: u16,
}

enum Running {
    Ngircd(Child),
    Torsade { _host: Host },
}

impl Server {
    /// The plugin, with a user for each of irssi and WeeChat.
    pub(super) fn torsade() -> Result<Self> {
        let folder = folder()?;
        for name in ["irs", "wee"] {
            make_user(folder.path(), name)?;
        }
        configure(
            folder.path(),
            "grace = \"0s\"\n[service.irc]\nplugin = \"@irc\"\ninstances = \"per-worker\"\nworkers = 1\n\
             listen = [\"tcp:0:interface=127.0.0.1\", \
             \"tls:0:interface=127.0.0.1:cert=own.pem:key=own-key.pem\"]\n\
             grants = { sql = \":memory:\", credentials = { users = \"users\", plain = \"loopback\" } }\n",
        )?;
        let host = Host::up(folder.path(), 2)?;
        let port = |scheme: &str| -> Result<u16> {
            let mut endpoints = host.endpoints.iter().map(|(_, endpoint)| endpoint.split(':'));
            let endpoint =
                endpoints.find_map(|mut parts| (parts.next() == Some(scheme)).then_some(parts));
            let mut parts = endpoint.with_context(|| format!("there is no {scheme} endpoint"))?;
            Ok(parts.next().context("an endpoint has a port")?.parse()?)
        };
        let (port, tls_port) = (port("tcp")?, port("tls")?);
        Ok(Self { running: Running::Torsade { _host: host }, folder, port, tls_port })
    }

    /// ngircd, without its penalties: the people here are quick.
    pub(super) fn ngircd() -> Result<Self> {
        let folder = folder()?;
        let (port, tls_port) = free_ports()?;
        let at = folder.path().display();
        fs::write(
            folder.path().join("ngircd.conf"),
            format!(
                "[Global]\nName = irc.test\nInfo = Test\nListen = 127.0.0.1\nPorts = {port}\n\
                 ServerUID = root\nServerGID = root\nMotdPhrase = hello\n\
                 [Limits]\nMaxConnectionsIP = 0\nMaxNickLength = 30\nMaxPenaltyTime = 0\n\
                 [Options]\nDNS = no\nIdent = no\nPAM = no\n\
                 [SSL]\nCertFile = {at}/own.pem\nKeyFile = {at}/own-key.pem\nPorts = {tls_port}\n"
            ),
        )?;
        let child = Command::new(programs::program("ngircd", "ngircd")?)
            .arg("-n")
            .arg("-f")
            .arg(folder.path().join("ngircd.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut server = Self { running: Running::Ngircd(child), folder, port, tls_port };
        server.wait_for(port)?;
        server.wait_for(tls_port)?;
        Ok(server)
    }

    /// Waits until somebody listens.
    fn wait_for(&mut self, port: u16) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Running::Ngircd(child) = &mut self.running
                && let Some(status) = child.try_wait()?
            {
                bail!("ngircd ended with {status}");
            }
            ensure!(Instant::now() < until, "nobody listens on {port}");
            thread::sleep(POLL);
        }
        Ok(())
    }

    pub(super) fn name(&self) -> &'static str {
        if self.has_accounts() { "torsade" } else { "ngircd" }
    }

    /// Who signs its certificate.
    pub(super) fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Whether one can log in: ngircd knows no SASL.
    pub(super) fn has_accounts(&self) -> bool {
        matches!(self.running, Running::Torsade { .. })
    }

    /// Whether it keeps what is said: ngircd doesn't.
    pub(super) fn has_history(&self) -> bool {
        self.has_accounts()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Running::Ngircd(child) = &mut self.running {
            // It may have ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A folder with a certificate and who has signed it.
fn folder() -> Result<TempDir> {
    let (folder, authority) = (tempfile::tempdir()?, Authority::new("tests")?);
    authority.sign(&["localhost", "127.0.0.1"])?.write(folder.path(), "own")?;
    fs::write(folder.path().join("ca.pem"), authority.pem())?;
    Ok(folder)
}

/// Adds a user, as an operator does.
fn make_user(folder: &Path, name: &str) -> Result<()> {
    let mut command = host::command()?;
    command.args(["passwd", "users", name]).current_dir(folder);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let mut input = child.stdin.take().context("stdin is a pipe")?;
    writeln!(input, "{PASSWORD}")?;
    drop(input);
    let status = child.wait()?;
    ensure!(status.success(), "torsade passwd: {status}");
    Ok(())
}

/// Two ports that nobody uses now.
fn free_ports() -> Result<(u16, u16)> {
    let (one, other) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok((one.local_addr()?.port(), other.local_addr()?.port()))
}

/// Everybody's password.
pub(super) const PASSWORD: &str = "a-long-password";
