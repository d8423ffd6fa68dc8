//! What this program does when it runs as a child of itself: serve, load, or pin another program.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, anyhow};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::load::channel::Talk;
use crate::{blocking, datagrams, epoll, hostile, load};

/// Becomes another program on one core: `PINNED CORE PROGRAM ARGUMENT…`.
pub(crate) const PINNED: &str = "--pinned";
/// The bare epoll loop: `SERVE_EPOLL PORT`.
pub(crate) const SERVE_EPOLL: &str = "--serve-epoll";
/// The load of the echo rows: `LOAD_ECHO PORT CONNECTIONS SIZE SECONDS`.
pub(crate) const LOAD_ECHO: &str = "--load-echo";
/// The bare loop over datagrams: `SERVE_DATAGRAMS PORT`.
pub(crate) const SERVE_DATAGRAMS: &str = "--serve-datagrams";
/// The load of the row of datagrams: `LOAD_DATAGRAMS PORT SOCKETS SIZE SECONDS`.
pub(crate) const LOAD_DATAGRAMS: &str = "--load-datagrams";
/// The load of a channel: `LOAD_CHANNEL PORT MEMBERS TALKERS LENGTH SECONDS SLOW`.
pub(crate) const LOAD_CHANNEL: &str = "--load-channel";
/// The load of the row of silent clients: `LOAD_MEMBERS PORT WARM COUNT`.
pub(crate) const LOAD_MEMBERS: &str = "--load-members";
/// The load of the rows of new connections: `LOAD_CONNECT PORT SECONDS BESIDE`.
pub(crate) const LOAD_CONNECT: &str = "--load-connect";
/// The load of the row of handshakes: `LOAD_HANDSHAKES PORT CONNECTIONS SECONDS PATH`.
pub(crate) const LOAD_HANDSHAKES: &str = "--load-handshakes";
/// The load of the idle rows: `LOAD_IDLE PORT WARM COUNT PATH [AUTHORITY]`.
pub(crate) const LOAD_IDLE: &str = "--load-idle";
/// Outside work: `BURN THREADS NICENESS`.
pub(crate) const BURN: &str = "--burn";
/// Whoever is hostile: `ATTACK NAME PORT`.
pub(crate) const ATTACK: &str = "--attack";
/// The load of the row of traps: `LOAD_TENTH PORT WARM COUNT TRAPS`.
pub(crate) const LOAD_TENTH: &str = "--load-tenth";
/// The load of the row with a slow reader: `LOAD_SLOW PORT LENGTH`.
pub(crate) const LOAD_SLOW: &str = "--load-slow";

/// Plays the role that the first word names; `None` where it names none.
pub(crate) fn play(words: &[String]) -> Option<Result<ExitCode>> {
    let (role, rest) = words.split_first()?;
    let played = match role.as_str() {
        PINNED => become_pinned(rest),
        SERVE_DATAGRAMS => number(rest, 0).and_then(datagrams::serve),
        SERVE_EPOLL => number(rest, 0).and_then(epoll::serve),
        ATTACK => attack(rest),
        BURN => burn(rest),
        LOAD_CHANNEL => load_channel(rest),
        LOAD_DATAGRAMS => load_datagrams(rest),
        LOAD_ECHO => load_echo(rest),
        LOAD_CONNECT => load_connect(rest),
        LOAD_HANDSHAKES => load_handshakes(rest),
        LOAD_IDLE => load_idle(rest),
        LOAD_MEMBERS => load_members(rest),
        LOAD_SLOW => load_slow(rest),
        LOAD_TENTH => load_tenth(rest),
        _ => return None,
    };
    Some(played.map(|()| ExitCode::SUCCESS).context(format!("as {role}")))
}

fn attack(rest: &[String]) -> Result<()> {
    hostile::attack::run(rest.first().ok_or_else(|| anyhow!("no name"))?, number(rest, 1)?)
}

fn burn(rest: &[String]) -> Result<()> {
    blocking::burn(number(rest, 0)?, number(rest, 1)?)
}

fn load_channel(rest: &[String]) -> Result<()> {
    let talk = Talk {
        members: number(rest, 1)?,
        talkers: number(rest, 2)?,
        length: number(rest, 3)?,
        is_one_slow: number(rest, 5)?,
    };
    load::channel::run(number(rest, 0)?, talk, number(rest, 4)?)
}

fn load_datagrams(rest: &[String]) -> Result<()> {
    load::datagrams::run(number(rest, 0)?, number(rest, 1)?, number(rest, 2)?, number(rest, 3)?)
}

fn load_echo(rest: &[String]) -> Result<()> {
    load::echo::run(number(rest, 0)?, number(rest, 1)?, number(rest, 2)?, number(rest, 3)?)
}

fn load_connect(rest: &[String]) -> Result<()> {
    load::connect::run(number(rest, 0)?, number(rest, 1)?, number(rest, 2)?)
}

fn load_handshakes(rest: &[String]) -> Result<()> {
    let path = rest.get(3).ok_or_else(|| anyhow!("no path"))?;
    load::handshakes::run(number(rest, 0)?, number(rest, 1)?, number(rest, 2)?, path)
}

fn load_idle(rest: &[String]) -> Result<()> {
    let path = rest.get(3).ok_or_else(|| anyhow!("no path"))?;
    let authority = rest.get(4).map(Path::new);
    load::idle::run(number(rest, 0)?, number(rest, 1)?, number(rest, 2)?, path, authority)
}

fn load_members(rest: &[String]) -> Result<()> {
    load::members::run(number(rest, 0)?, number(rest, 1)?, number(rest, 2)?)
}

fn load_slow(rest: &[String]) -> Result<()> {
    load::slow::run(number(rest, 0)?, number(rest, 1)?)
}

fn load_tenth(rest: &[String]) -> Result<()> {
    load::tenth::run(number(rest, 0)?, number(rest, 1)?, number(rest, 2)?, number(rest, 3)?)
}

fn number<T: std::str::FromStr>(words: &[String], nth: usize) -> Result<T> {
    let word = words.get(nth).ok_or_else(|| anyhow!("argument {} is missing", nth + 1))?;
    word.parse().map_err(|_| anyhow!("{word:?} is no such number"))
}

/// Does by itself what `taskset` and `ulimit` do, and asks the kernel to end the program with
/// the benchmark, however that ends.
fn become_pinned(rest: &[String]) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(number(rest, 0)?);
    sched_setaffinity(None, &cores)?;
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most })?;
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
    let program = rest.get(1).ok_or_else(|| anyhow!("no program"))?;
    let error = Command::new(program).args(&rest[2..]).exec();
    Err(anyhow!(error).context(format!("cannot run {program}")))
}
