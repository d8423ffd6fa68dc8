//! Standard input and output as a connection: files, what others start, and what is left behind.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::host::{self, PATIENCE};

use super::super::streams::{echoes, pattern};
use super::super::{folder, program_trial, trial};
use super::service;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("ways_in::files_are_read_and_written", files_are_read_and_written),
        trial("ways_in::a_file_is_sent_to_a_file_and_to_a_pipe", a_file_is_sent),
        trial("ways_in::each_half_of_pipes_ends_alone", each_half_ends_alone),
        trial("ways_in::nothing_to_read_is_an_end", nothing_to_read_is_an_end),
        trial("ways_in::a_reader_who_is_gone_ends_it", a_reader_who_is_gone_ends_it),
        trial("ways_in::what_others_share_blocks_again_afterwards", blocks_again_afterwards),
        trial("ways_in::a_host_with_more_to_serve_goes_on", goes_on_with_more_to_serve),
        program_trial("ways_in::socat_starts_a_host", "socat", "socat", socat),
    ]
}

/// `torsade up` in the folder, which writes its log there.
pub(super) fn up(folder: &Path) -> Result<Command> {
    let mut command = host::command()?;
    command.arg("up").arg(folder).stderr(File::create(folder.join("log"))?);
    Ok(command)
}

/// The same with one socket for input and output, as inetd starts it.
pub(super) fn on_socket(folder: &Path, socket: impl Into<OwnedFd>) -> Result<Child> {
    let input: OwnedFd = socket.into();
    let output = input.try_clone()?;
    Ok(up(folder)?.stdin(input).stdout(output).spawn()?)
}

fn files_are_read_and_written() -> Result<()> {
    let folder = folder(&service("echo", "stdio:"))?;
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    let text = pattern(1_000_000);
    fs::write(&input, &text)?;
    let status =
        up(folder.path())?.stdin(File::open(&input)?).stdout(File::create(&output)?).status()?;
    ensure!(status.success(), "{}", fs::read_to_string(folder.path().join("log"))?);
    // And nothing of the host's own.
    ensure!(fs::read(&output)? == text, "{} bytes", fs::read(&output)?.len());
    let appended = File::options().append(true).open(&output)?;
    let status = up(folder.path())?.stdin(File::open(&input)?).stdout(appended).status()?;
    ensure!(status.success() && fs::read(&output)?.len() == 2 * text.len(), "{status}");
    Ok(())
}

/// The protocol ends it, while there may be more to read.
fn a_file_is_sent() -> Result<()> {
    let public = tempfile::tempdir()?;
    let text = pattern(5_000_000);
    fs::write(public.path().join("large.bin"), &text)?;
    let grants = format!("grants = {{ files = {{ read = {:?} }} }}\n", public.path());
    let folder = folder(&(service("http", "stdio:") + &grants))?;
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    let request = b"GET /large.bin HTTP/1.0\r\n\r\n";
    fs::write(&input, request)?;
    for appends in [false, true] {
        let out = File::options().create(true).write(true).append(appends).open(&output)?;
        out.set_len(0)?;
        let status = up(folder.path())?.stdin(File::open(&input)?).stdout(out).status()?;
        ensure!(status.success(), "{}", fs::read_to_string(folder.path().join("log"))?);
        ensure!(fs::read(&output)?.ends_with(&text), "{} bytes", fs::read(&output)?.len());
    }
    let mut child = up(folder.path())?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut to = child.stdin.take().context("it is a pipe")?;
    to.write_all(request)?;
    let mut answer = Vec::new();
    child.stdout.take().context("it is a pipe")?.read_to_end(&mut answer)?;
    ensure!(answer.ends_with(&text), "{} bytes", answer.len());
    // It ends though its input does not.
    ensure!(child.wait()?.success(), "{}", fs::read_to_string(folder.path().join("log"))?);
    drop(to);
    Ok(())
}

/// A plugin that tells the ends of both halves apart: it forwards them.
fn each_half_ends_alone() -> Result<()> {
    let target = TcpListener::bind("127.0.0.1:0")?;
    let to = format!("tcp:127.0.0.1:{}", target.local_addr()?.port());
    let more = format!("grants = {{ connect = [\"{to}\"] }}\nconfig = {{ to = \"{to}\" }}\n");
    let folder = folder(&(service("portforward", "stdio:") + &more))?;
    let mut child = up(folder.path())?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (mut near, _) = target.accept()?;
    near.set_read_timeout(Some(PATIENCE))?;
    near.write_all(b"all that there is")?;
    near.shutdown(Shutdown::Write)?;
    let mut said = Vec::new();
    child.stdout.take().context("it is a pipe")?.read_to_end(&mut said)?;
    ensure!(said == b"all that there is", "{}", said.escape_ascii());
    // The input goes on, and its end too is told.
    let mut input = child.stdin.take().context("it is a pipe")?;
    input.write_all(b"and more")?;
    let mut heard = [0; 8];
    near.read_exact(&mut heard)?;
    ensure!(&heard == b"and more", "{}", heard.escape_ascii());
    drop(input);
    ensure!(near.read(&mut heard)? == 0, "it goes on");
    ensure!(child.wait()?.success(), "{}", fs::read_to_string(folder.path().join("log"))?);
    Ok(())
}

fn nothing_to_read_is_an_end() -> Result<()> {
    let folder = folder(&service("echo", "stdio:"))?;
    let output = up(folder.path())?.stdin(Stdio::null()).stdout(Stdio::null()).output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(())
}

fn a_reader_who_is_gone_ends_it() -> Result<()> {
    let folder = folder(&service("echo", "stdio:"))?;
    let mut child = up(folder.path())?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut to = child.stdin.take().context("it is a pipe")?;
    to.write_all(b"hello")?;
    let mut from = child.stdout.take().context("it is a pipe")?;
    from.read_exact(&mut [0; 5])?;
    drop(from);
    to.write_all(b"hello")?;
    ensure!(child.wait()?.success(), "{}", fs::read_to_string(folder.path().join("log"))?);
    Ok(())
}

/// The test keeps the descriptor that the host is lent, as a shell does.
fn blocks_again_afterwards() -> Result<()> {
    let folder = folder(&service("echo", "stdio:"))?;
    let (mut near, far) = UnixStream::pair()?;
    near.set_read_timeout(Some(PATIENCE))?;
    let kept = far.try_clone()?;
    let blocks = || -> Result<bool> {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", kept.as_raw_fd()))?;
        let flags =
            info.lines().find_map(|line| line.strip_prefix("flags:")).context("no flags")?;
        Ok(u32::from_str_radix(flags.trim(), 8)? & NONBLOCK == 0)
    };
    ensure!(blocks()?, "it doesn't block from the start");
    let mut child = on_socket(folder.path(), far)?;
    echoes(&mut near, b"hello")?;
    ensure!(!blocks()?, "the host would block");
    near.shutdown(Shutdown::Write)?;
    ensure!(child.wait()?.success(), "{}", fs::read_to_string(folder.path().join("log"))?);
    ensure!(blocks()?, "it doesn't block any more");
    Ok(())
}

/// Linux' O_NONBLOCK, as fdinfo shows it.
const NONBLOCK: u32 = 0o4000;

fn goes_on_with_more_to_serve() -> Result<()> {
    let folder = folder(&service("echo", "stdio:\", \"unix:a.sock"))?;
    let mut child = up(folder.path())?.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    // The connection is over once its output ends.
    let mut said = Vec::new();
    child.stdout.take().context("it is a pipe")?.read_to_end(&mut said)?;
    let mut stream = super::connect_unix(&folder.path().join("a.sock"))?;
    echoes(&mut stream, b"hello")?;
    drop(stream);
    ensure!(said.is_empty(), "{}", said.escape_ascii());
    let killed = Command::new("kill").arg(child.id().to_string()).status()?;
    ensure!(killed.success() && child.wait()?.success(), "it does not end well");
    Ok(())
}

fn socat(program: &Path) -> Result<()> {
    let folder = folder(&service("echo", "stdio:"))?;
    let text = pattern(1_000_000);
    let input = folder.path().join("in");
    fs::write(&input, &text)?;
    let torsade = host::command()?;
    let words = format!("{} -q up {}", torsade.get_program().display(), folder.path().display());
    for kind in ["EXEC", "SYSTEM"] {
        for more in ["", ",pipes"] {
            let mut command = Command::new(program);
            for (name, value) in torsade.get_envs() {
                if let Some(value) = value {
                    command.env(name, value);
                }
            }
            let output = command
                .args(["-t", "30", "-", &format!("{kind}:{words}{more}")])
                .stdin(File::open(&input)?)
                .output()?;
            let shown = String::from_utf8_lossy(&output.stderr);
            ensure!(output.stdout == text, "{kind}{more}: {} bytes: {shown}", output.stdout.len());
        }
    }
    Ok(())
}
