//! The command `torsade` as a process, as a user runs it.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// The built command: of the same profile as the tests, built at the first call.
pub fn binary() -> Result<PathBuf> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BINARY.get_or_init(|| build().map_err(|e| format!("{e:#}"))).clone().map_err(anyhow::Error::msg)
}

fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // As cargo has built it for its own test already. `cargo build` would take other features of
    // the same crates, and so compile nearly all of them again.
    command.args(["test", "-q", "--no-run", "--workspace", "--test", "command"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let status = command.current_dir(crate::guests::repository()).status()?;
    ensure!(status.success(), "cargo can't build torsade: {status}");
    Ok(profile()?.join("torsade"))
}

/// `target/PROFILE`. The test runs from its `deps`.
fn profile() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.parent().and_then(Path::parent).context("the test has no folder")?.to_owned())
}

/// The command, with nothing to read. What the user's environment says to it is taken away, and
/// compiled plugins and admin sockets are kept below the target folder.
pub fn command() -> Result<Command> {
    let mut command = Command::new(binary()?);
    command.stdin(Stdio::null()).env("XDG_CACHE_HOME", profile()?.join("cache"));
    command.env_remove("TORSADE_LOG").env("RUST_BACKTRACE", "1");
    // Sockets that killed hosts leave behind lie there, too.
    command.env("XDG_RUNTIME_DIR", profile()?.join("run"));
    Ok(command)
}

/// Runs the command to its end.
pub fn run(arguments: &[&str], folder: &Path) -> Result<Output> {
    Ok(command()?.args(arguments).current_dir(folder).output()?)
}

/// `torsade up`, killed when dropped.
pub struct Host {
    child: Child,
    log: Arc<Mutex<Vec<u8>>>,
    /// Keeps the log until its end.
    keeper: JoinHandle<()>,
    /// Service and endpoint of each line that it printed.
    pub endpoints: Vec<(String, String)>,
}

impl Host {
    /// Starts `torsade up FOLDER` and waits until it serves `endpoints` endpoints.
    pub fn up(folder: &Path, endpoints: usize) -> Result<Self> {
        let mut command = command()?;
        command.arg("up").arg(folder);
        Self::start(command, endpoints)
    }

    /// Starts `torsade up`, however it is called, and waits until it serves `endpoints`
    /// endpoints.
    pub fn start(mut command: Command, endpoints: usize) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let lines = lines(child.stdout.take().context("stdout is a pipe")?);
        let stderr = child.stderr.take().context("stderr is a pipe")?;
        let log = Arc::default();
        let kept = Arc::clone(&log);
        // A pipe that nobody reads would stop the host once it is full.
        let keeper = thread::spawn(move || keep(stderr, &kept));
        let mut host = Self { child, log, keeper, endpoints: Vec::new() };
        let mut service = String::new();
        while host.endpoints.len() < endpoints {
            let Ok(line) = lines.recv_timeout(PATIENCE) else {
                let status = host.wait()?;
                bail!("torsade up ended with {status}:\n{}", host.log());
            };
            let mut words: Vec<&str> = line.split_whitespace().collect();
            let endpoint = words.pop().unwrap_or_default().to_owned();
            if let Some(name) = words.pop() {
                service = name.to_owned();
            }
            host.endpoints.push((service.clone(), endpoint));
        }
        Ok(host)
    }

    /// The address of the first `tcp:` endpoint of a service, on this machine.
    pub fn address(&self, service: &str) -> Result<SocketAddr> {
        let mut endpoints = self.endpoints.iter().filter(|(name, _)| name == service);
        let (_, endpoint) = endpoints
            .find(|(_, endpoint)| endpoint.starts_with("tcp:"))
            .with_context(|| format!("{service} listens on no tcp endpoint"))?;
        let port = endpoint.split(':').nth(1).context("an endpoint has a port")?;
        let interface = endpoint.split_once(":interface=").map_or("127.0.0.1", |(_, ip)| ip);
        Ok(SocketAddr::new(interface.trim_matches(['[', ']']).parse()?, port.parse()?))
    }

    /// A connection to a service, with time-outs so that a test can't hang.
    pub fn connect(&self, service: &str) -> Result<TcpStream> {
        let stream = TcpStream::connect(self.address(service)?)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) -> Result<()> {
        let killed = Command::new("kill").args(["-s", name]).arg(self.id().to_string()).status()?;
        ensure!(killed.success(), "kill failed: {killed}");
        Ok(())
    }

    /// Sends SIGTERM, and waits for the end.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal("TERM")?;
        self.wait()
    }

    /// Waits for the end, and that of its log: what it wrote last may still lie in the pipe.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()?
                && self.keeper.is_finished()
            {
                return Ok(status);
            }
            thread::sleep(POLL);
        }
        bail!("torsade did not end within {PATIENCE:?}; its log:\n{}", self.log())
    }

    /// What it has written to its log so far.
    pub fn log(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Its log, once it holds all of `words`.
    pub fn log_with(&self, words: &[&str]) -> Result<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let log = self.log();
            let missing = words.iter().find(|word| !log.contains(**word));
            match missing {
                None => return Ok(log),
                Some(word) if Instant::now() > until => {
                    bail!("the log does not say {word:?}:\n{log}")
                }
                Some(_) => thread::sleep(POLL),
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of the process' output, read whether somebody wants them or not.
fn lines(stdout: ChildStdout) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // The host goes on though nobody waits for more lines.
            let _ = sender.send(line);
        }
    });
    lines
}

fn keep(mut stderr: impl Read, log: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = stderr.read(&mut buffer) {
        log.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..n]);
    }
}

/// How long a test waits for what should take moments.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How often a test looks whether something has happened.
pub const POLL: Duration = Duration::from_millis(5);
