//! How a connection ends on one side, it ends on the other.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;
use torsade_tests::host::{Host, PATIENCE, POLL};

use super::super::streams::reset;
use super::super::trial;
use super::{INSTANCES, Target, endpoint, hops};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("portforward::each_half_ends_by_itself", each_half_ends_by_itself),
        trial("portforward::a_reset_is_carried_over", a_reset_is_carried_over),
        trial("portforward::a_target_that_refuses_is_told", a_target_that_refuses_is_told),
        trial("portforward::what_has_ended_leaves_nothing", what_has_ended_leaves_nothing),
    ]
}

/// Each side says something after the other one has said all, whichever ends first.
fn each_half_ends_by_itself() -> Result<()> {
    let target = Target::new()?;
    for instances in INSTANCES {
        let (_folder, host) = hops(&target.endpoint()?, instances, "")?;
        for service in ["one", "two"] {
            for client_first in [true, false] {
                let client = host.connect(service)?;
                let far = target.accept()?;
                let (first, last) = if client_first { (client, far) } else { (far, client) };
                talk(first, last).with_context(|| format!("{instances} {service}"))?;
            }
        }
    }
    Ok(())
}

fn talk(mut first: TcpStream, mut last: TcpStream) -> Result<()> {
    first.write_all(b"all that I say")?;
    first.shutdown(Shutdown::Write)?;
    let mut heard = String::new();
    last.read_to_string(&mut heard).context("what was said first")?;
    ensure!(heard == "all that I say", "{heard:?}");
    last.write_all(b"an answer")?;
    let mut answer = [0; 9];
    first.read_exact(&mut answer).context("the answer")?;
    ensure!(&answer == b"an answer", "{:?}", answer.escape_ascii());
    last.write_all(b", and goodbye")?;
    drop(last);
    heard.clear();
    first.read_to_string(&mut heard).context("the goodbye")?;
    ensure!(heard == ", and goodbye", "{heard:?}");
    Ok(())
}

fn a_reset_is_carried_over() -> Result<()> {
    let target = Target::new()?;
    for instances in INSTANCES {
        let (_folder, mut host) = hops(&target.endpoint()?, instances, "")?;
        for service in ["one", "two"] {
            for client_first in [true, false] {
                let client = host.connect(service)?;
                let far = target.accept()?;
                let (mut first, mut last) =
                    if client_first { (client, far) } else { (far, client) };
                first.write_all(b"hello")?;
                last.read_exact(&mut [0; 5])?;
                reset(first)?;
                is_reset(&mut last).with_context(|| format!("{instances} {service}"))?;
            }
        }
        let status = host.terminate()?;
        ensure!(status.success() && !host.log().contains("ERROR"), "{}", host.log());
    }
    Ok(())
}

fn is_reset(stream: &mut TcpStream) -> Result<()> {
    match stream.read(&mut [0; 16]) {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
        other => bail!("instead of a reset: {other:?}"),
    }
}

fn a_target_that_refuses_is_told() -> Result<()> {
    // A port that was free a moment ago.
    let gone = endpoint(TcpListener::bind("127.0.0.1:0")?.local_addr()?);
    for instances in INSTANCES {
        let (_folder, host) = hops(&gone, instances, "")?;
        for service in ["one", "two"] {
            is_reset(&mut host.connect(service)?)
                .with_context(|| format!("{instances} {service}"))?;
        }
        host.log_with(&["can't connect to", &gone, "(refused)"])?;
    }
    Ok(())
}

/// Ends of every kind, in sandboxes of their own.
fn what_has_ended_leaves_nothing() -> Result<()> {
    let target = Target::new()?;
    let (_folder, mut host) = hops(&target.endpoint()?, "per-connection", "")?;
    let idle = descriptors(&host)?;
    for number in 0..80 {
        let client = host.connect(if number % 2 == 0 { "one" } else { "two" })?;
        let far = target.accept()?;
        let (first, last) = if number % 3 == 0 { (client, far) } else { (far, client) };
        match number % 4 {
            0 => reset(first)?,
            1 => first.shutdown(Shutdown::Both)?,
            2 => first.shutdown(Shutdown::Write)?,
            _ => drop(first),
        }
        drop(last);
    }
    // Before the far end is there, or after, or before anything was begun for it: nobody waits for
    // one.
    for number in 0..20 {
        reset(host.connect(if number % 2 == 0 { "one" } else { "two" })?)?;
    }
    // Who comes behind them is served behind them.
    for service in ["one", "two"] {
        host.connect(service)?.write_all(b"!")?;
        while target.accept()?.read(&mut [0]).ok() != Some(1) {}
    }
    let until = Instant::now() + PATIENCE;
    while descriptors(&host)? > idle {
        let left = descriptors(&host)? - idle;
        ensure!(Instant::now() < until, "{left} sockets are left");
        thread::sleep(POLL);
    }
    let status = host.terminate()?;
    ensure!(status.success() && !host.log().contains("ERROR"), "{}", host.log());
    Ok(())
}

fn descriptors(host: &Host) -> Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{}/fd", host.id()))?.count())
}
