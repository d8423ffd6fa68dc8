//! A process that doesn't outlive its guard, on a core of its own, and what the kernel knows of it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use torsade_tests::holdings::{self, Holdings};

use crate::roles::PINNED;

/// How long a process may take to end after SIGTERM, before SIGKILL.
const GRACE: Duration = Duration::from_secs(3);
/// How much of a server's log is shown when it failed, in bytes.
const LAST_WORDS: usize = 2000;

/// A server whose log is kept in a file. Dropping it ends it.
pub(crate) struct Server {
    process: Guard,
    log: PathBuf,
}

impl Server {
    /// Runs a program on `core`; what it prints goes to `log`.
    pub(crate) fn start<A: AsRef<OsStr>>(
        core: usize,
        log: &Path,
        program: &Path,
        arguments: &[A],
    ) -> Result<Self> {
        let output = File::create(log)?;
        let mut command = pinned(core, program, arguments)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        Ok(Self { process: Guard(command.spawn()?), log: log.to_owned() })
    }

    /// Calls `ask` until it succeeds, the server ends, or `limit` has passed.
    pub(crate) fn wait_until<T>(
        &mut self,
        limit: Duration,
        ask: impl Fn() -> Result<T>,
    ) -> Result<T> {
        let end = Instant::now() + limit;
        loop {
            let error = match ask() {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if let Some(status) = self.process.0.try_wait()? {
                bail!("the server ended ({status}):\n{}", self.last_words());
            }
            if Instant::now() > end {
                let said = self.last_words();
                return Err(error.context(format!("not ready after {limit:?}:\n{said}")));
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// The CPU time that the server and its own children have used, in seconds; the kernel
    /// counts it in ticks of 10 ms.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let mut ticks = 0;
        for id in self.family()? {
            let fields = stat(id)?;
            ticks += fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        }
        Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    /// The CPU time of its threads: see `thread_seconds`.
    pub(crate) fn thread_seconds(&self) -> Result<Vec<(String, f64)>> {
        thread_seconds(&self.process)
    }

    /// The resident memory of the server and its own children, in bytes, less what they share.
    pub(crate) fn resident_bytes(&self) -> Result<f64> {
        let all = self.family()?.into_iter().map(holdings::resident);
        Ok(all.sum::<Result<usize>>()? as f64)
    }

    /// What the server has of its system, without its children.
    pub(crate) fn holdings(&self) -> Result<Holdings> {
        Holdings::of(self.process.0.id())
    }

    fn family(&self) -> Result<Vec<u32>> {
        let own = self.process.0.id();
        let mut family = vec![own];
        for entry in fs::read_dir("/proc")? {
            let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // Processes come and go while the folder is read.
            if stat(id).is_ok_and(|fields| fields[1] == own.to_string()) {
                family.push(id);
            }
        }
        Ok(family)
    }

    fn last_words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let tail = &log[log.len().saturating_sub(LAST_WORDS)..];
        String::from_utf8_lossy(tail).into_owned()
    }
}

/// The CPU time that each thread of a process has used, by the thread's name, which the kernel cuts
/// after 15 bytes; in seconds, and by the kernel's finest count. One that runs is counted up to its
/// last tick only.
fn thread_seconds(process: &Guard) -> Result<Vec<(String, f64)>> {
    let mut threads = Vec::new();
    for entry in fs::read_dir(format!("/proc/{}/task", process.0.id()))? {
        let folder = entry?.path();
        // Threads come and go while the folder is read.
        let Ok(name) = fs::read_to_string(folder.join("comm")) else { continue };
        let line = fs::read_to_string(folder.join("schedstat"));
        let line = line.context("the kernel counts no time of threads in nanoseconds")?;
        let nanoseconds: f64 = line.split(' ').next().unwrap_or_default().parse()?;
        threads.push((name.trim_end().to_owned(), nanoseconds / 1e9));
    }
    Ok(threads)
}

/// The fields of `/proc/ID/stat` behind the program's name, which may hold spaces: state, parent …
fn stat(id: u32) -> Result<Vec<String>> {
    let line = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let (_, fields) = line.rsplit_once(')').ok_or_else(|| anyhow!("odd stat of {id}"))?;
    let fields: Vec<String> = fields.split_whitespace().map(str::to_owned).collect();
    if fields.len() < 13 {
        bail!("short stat of {id}");
    }
    Ok(fields)
}

/// A load: a process that is talked with by lines. Dropping it ends it.
pub(crate) struct Load {
    output: BufReader<ChildStdout>,
    input: ChildStdin,
    process: Guard,
}

impl Load {
    /// Runs a role of this program on `core`.
    pub(crate) fn start(core: usize, role: &str, arguments: &[String]) -> Result<Self> {
        let own = std::env::current_exe()?;
        let mut words = vec![role.to_owned()];
        words.extend_from_slice(arguments);
        Self::start_program(core, &own, &words)
    }

    /// Runs another program on `core`.
    pub(crate) fn start_program(core: usize, program: &Path, words: &[String]) -> Result<Self> {
        let mut command = pinned(core, program, words)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Guard(command.spawn()?);
        let pipes = process.0.stdout.take().zip(process.0.stdin.take());
        let (output, input) = pipes.ok_or_else(|| anyhow!("the load has no pipes"))?;
        Ok(Self { output: BufReader::new(output), input, process })
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("the load ended too early");
        }
        Ok(line.trim_end().to_owned())
    }

    /// All that it prints until it ends.
    pub(crate) fn rest(&mut self) -> Result<String> {
        Ok(std::io::read_to_string(&mut self.output)?)
    }

    /// The CPU time of its threads: see `thread_seconds`.
    pub(crate) fn thread_seconds(&self) -> Result<Vec<(String, f64)>> {
        thread_seconds(&self.process)
    }

    /// Tells it to go on.
    pub(crate) fn go_on(&mut self) -> Result<()> {
        self.input.write_all(b"\n").context("the load is gone")
    }
}

/// Ends its process when it is dropped, so also on an error or a panic.
struct Guard(std::process::Child);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Ok(id) = i32::try_from(self.0.id()).map(Pid::from_raw)
            && let Some(id) = id
            && matches!(self.0.try_wait(), Ok(None))
        {
            // It may end by itself at this moment, which is as good.
            let _ = kill_process(id, Signal::TERM);
        }
        let end = Instant::now() + GRACE;
        while Instant::now() < end {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            sleep(Duration::from_millis(5));
        }
        // Nothing more can be done about a process that even this does not end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn pinned<A: AsRef<OsStr>>(core: usize, program: &Path, arguments: &[A]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(PINNED).arg(core.to_string()).arg(program).args(arguments);
    Ok(command)
}
