//! Plugins that misbehave: what it costs, what it doesn't, and what the log says.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;
use torsade_tests::host::Host;

use super::{folder, trial};

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("faults::what_was_queued_before_a_trap_is_sent", what_was_queued_before_is_sent),
        trial("faults::an_abort_is_a_reset", an_abort_is_a_reset),
        trial("faults::a_loss_sends_all_that_is_queued", a_loss_sends_all_that_is_queued),
        trial("faults::the_heap_holds_what_is_put_into_it", the_heap_holds_what_is_put_into_it),
        trial("faults::a_plugin_that_traps_at_its_start_is_tried_again", stumbles),
    ];
    for instances in ["per-connection", "per-worker"] {
        for (what, command, words) in [
            ("a_trap", b't', &["it was told to"][..]),
            ("an_event_without_end", b's', &["limits.deadline"]),
            ("too_much_memory", b'm', &["limits.memory"]),
            ("too_many_effects", b'f', &["limits.effects"]),
            ("too_much_for_the_host", b'g', &["limits.outbox"]),
        ] {
            let name = format!("faults::{what}_ends_one_sandbox::{instances}");
            trials.push(trial(&name, move || a_fault_ends_one_sandbox(instances, command, words)));
        }
    }
    trials
}

fn unruly(instances: &str, config: &str) -> Result<TempDir> {
    limited(instances, config, "")
}

/// The same with limits.
fn limited(instances: &str, config: &str, limits: &str) -> Result<TempDir> {
    folder(&format!(
        "workers = 1\n[service.odd]\nplugin = \"@unruly\"\nlisten = [\"tcp:0:interface=127.0.0.1\"]\n\
         instances = \"{instances}\"\ngrants = {{ files = {{ read = \".\" }} }}\n\
         config = {{ {config} }}\nlimits = {{ {limits} }}\n"
    ))
}

/// A connection that was greeted.
fn greeted(host: &Host) -> Result<TcpStream> {
    let mut stream = host.connect("odd")?;
    let mut hello = [0; 6];
    stream.read_exact(&mut hello).context("the greeting")?;
    ensure!(hello == *b"hello\n", "{:?}", hello.escape_ascii());
    Ok(stream)
}

/// Sends a byte that is no command, which comes back.
fn answers(stream: &mut TcpStream) -> Result<()> {
    super::streams::echoes(stream, b"?")
}

/// Pieces of all sizes come and go, in one sandbox, for longer than its memory would last if
/// anything leaked.
fn the_heap_holds_what_is_put_into_it() -> Result<()> {
    // Thousands of pieces in one event take their time where the host is not optimised.
    let folder = limited("per-worker", "", "deadline = \"5s\"")?;
    let host = Host::up(folder.path(), 1)?;
    for _ in 0..20 {
        let mut stream = greeted(&host)?;
        stream.write_all(b"HH")?;
        let mut answer = [0; 2];
        stream.read_exact(&mut answer)?;
        ensure!(answer == *b"..", "{:?}", answer.escape_ascii());
    }
    Ok(())
}

fn a_fault_ends_one_sandbox(instances: &str, command: u8, words: &[&str]) -> Result<()> {
    let folder = unruly(instances, "")?;
    let mut host = Host::up(folder.path(), 1)?;
    let mut neighbour = greeted(&host)?;
    answers(&mut neighbour)?;
    for _ in 0..2 {
        let mut stream = greeted(&host)?;
        let peer = stream.local_addr()?.to_string();
        stream.write_all(&[command])?;
        ensure!(stream.read(&mut [0; 16])? == 0, "it goes on");
        // Who it was, and where it happened, by the names of the plugin's own functions.
        let log = host.log_with(&[&peer, "odd", "torsade_unruly::Unruly::", "ERROR"])?;
        for word in words {
            ensure!(log.contains(word), "the log does not say {word:?}:\n{log}");
        }
        answers(&mut greeted(&host)?).context("the next connection")?;
    }
    if instances == "per-connection" {
        answers(&mut neighbour).context("a connection that was open all the time")?;
    }
    drop(neighbour);
    let status = host.terminate()?;
    ensure!(status.success(), "{status}: {}", host.log());
    ensure!(!host.log().contains("panicked at host"), "{}", host.log());
    Ok(())
}

fn what_was_queued_before_is_sent() -> Result<()> {
    let folder = unruly("per-connection", "")?;
    let host = Host::up(folder.path(), 1)?;
    // What an event asks for that traps is not done; what others asked for is.
    let mut stream = greeted(&host)?;
    stream.write_all(b"xyt")?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest)?;
    ensure!(rest.is_empty(), "{:?}", rest.escape_ascii().to_string());
    let mut stream = greeted(&host)?;
    for _ in 0..2 {
        stream.write_all(b"X")?;
        // Both are taken before the other end reads, as events of their own.
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    stream.write_all(b"t")?;
    host.log_with(&["it was told to"])?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest)?;
    let count = rest.iter().filter(|&&byte| byte == b'X').count();
    ensure!(count == 600_000, "{count} of 600000 bytes, {} in all", rest.len());
    Ok(())
}

fn an_abort_is_a_reset() -> Result<()> {
    let folder = unruly("per-connection", "")?;
    let host = Host::up(folder.path(), 1)?;
    for commands in [&b"a"[..], b"Xa", b"XXXa"] {
        let mut stream = greeted(&host)?;
        stream.write_all(commands)?;
        let mut rest = Vec::new();
        let error = stream.read_to_end(&mut rest).err().map(|error| error.kind());
        ensure!(error == Some(ErrorKind::ConnectionReset), "{error:?} after {}", rest.len());
    }
    answers(&mut greeted(&host)?)
}

fn a_loss_sends_all_that_is_queued() -> Result<()> {
    // Tens of thousands of commands in one event take their time.
    let folder = limited("per-connection", "", "deadline = \"5s\"")?;
    let mut host = Host::up(folder.path(), 1)?;
    let more = vec![b'?'; 1_000_000];
    for unread in [0, 1, 100_000, more.len()] {
        let mut stream = greeted(&host)?;
        // What it sends after the end must not turn into a reset that destroys the answer.
        stream.write_all(&[b"XXl", &more[..unread]].concat())?;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).with_context(|| format!("{unread} bytes unread"))?;
        ensure!(rest == vec![b'X'; 600_000], "{} bytes with {unread} unread", rest.len());
    }
    let status = host.terminate()?;
    ensure!(status.success(), "{status}: {}", host.log());
    Ok(())
}

fn stumbles() -> Result<()> {
    for instances in ["per-connection", "per-worker"] {
        let folder = unruly(instances, "stumbles = 2")?;
        // It may stumble when it is tried before anything is served: then it is not served.
        let started = (0..64).find_map(|_| Host::up(folder.path(), 1).ok());
        let host = started.context("it never starts")?;
        // One in two connections finds a plugin that starts.
        let served = (0..64).filter(|_| greeted(&host).is_ok()).count();
        ensure!(served > 8, "{instances}: {served} of 64 were served");
    }
    Ok(())
}
