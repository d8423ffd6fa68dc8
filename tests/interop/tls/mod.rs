//! Encrypted endpoints, with programs that others wrote.

mod bad_certificates;
mod peers;
mod programs;
mod renewal;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;
use torsade_tests::host::{self, Host};

pub(super) fn trials() -> Vec<Trial> {
    let parts =
        [bad_certificates::trials(), peers::trials(), programs::trials(), renewal::trials()];
    parts.into_iter().flatten().collect()
}

/// A web site that is served encrypted, by certificates that `torsade cert` made.
struct Site {
    host: Host,
    folder: TempDir,
}

impl Site {
    /// `certificates` are the arguments of `torsade cert` for each; `tls` is the service's table.
    fn new(certificates: &[&[&str]], tls: &str) -> Result<Self> {
        Self::with("", certificates, tls)
    }

    /// The same; `head` stands before the service.
    fn with(head: &str, certificates: &[&[&str]], tls: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        // Whoever serves it has to reach it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        for arguments in certificates {
            certificate(folder.path(), arguments)?;
        }
        let text = format!(
            "workers = 2\n{head}[service.site]\nplugin = \"@http\"\ninstances = \"per-worker\"\n\
             listen = [\"tls:0:interface=127.0.0.1\"]\ntls = {{ {tls} }}\n\
             grants = {{ files = {{ read = \"root\" }} }}\n"
        );
        fs::create_dir(folder.path().join("root"))?;
        fs::write(folder.path().join("root/index.html"), "<p>index</p>")?;
        super::configure(folder.path(), &text)?;
        let host = Host::up(folder.path(), 1)?;
        Ok(Self { host, folder })
    }

    fn port(&self) -> Result<u16> {
        let (_, endpoint) = self.host.endpoints.first().context("it has an endpoint")?;
        Ok(endpoint.split(':').nth(1).context("an endpoint has a port")?.parse()?)
    }

    /// What a program says when it is run in the folder of the certificates, with this input.
    /// `PORT` in the arguments is the site's.
    fn run(&self, program: &Path, arguments: &str, input: &str) -> Result<Said> {
        let port = self.port()?.to_string();
        let arguments = arguments.split_whitespace().map(|word| word.replace("PORT", &port));
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // A program that was refused has stopped reading.
        let _ = child.stdin.take().context("stdin is a pipe")?.write_all(input.as_bytes());
        let output = child.wait_with_output()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok(Said { text, success: output.status.success() })
    }
}

/// What a program has said, on whichever of its streams, and whether it was content.
struct Said {
    text: String,
    success: bool,
}

impl Said {
    fn has(&self, words: &str) -> Result<()> {
        ensure!(self.text.contains(words), "{words:?} is missing in:\n{}", self.text);
        Ok(())
    }

    fn has_not(&self, words: &str) -> Result<()> {
        ensure!(!self.text.contains(words), "{words:?} is in:\n{}", self.text);
        Ok(())
    }
}

/// Runs `torsade cert` in a folder.
fn certificate(folder: &Path, arguments: &[&str]) -> Result<()> {
    let output = host::run(&[&["-q", "cert"], arguments].concat(), folder)?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "torsade cert {arguments:?}: {words}");
    Ok(())
}

/// A request whose answer ends the connection.
const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
