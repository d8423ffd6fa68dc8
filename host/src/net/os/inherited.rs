//! The descriptors that the process was started with: sockets that systemd, or whoever started it,
//! has opened.
#![expect(unsafe_code, reason = "a descriptor's owner is known by a convention, not by a type")]

use std::env;
use std::fs;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::process;
use std::sync::OnceLock;

use rustix::io::FdFlags;

use super::stdio::Stdio;

/// What the process was started with. Each descriptor is given out once.
#[derive(Default)]
pub struct Inherited {
    /// Sockets, by number, above standard input, output and error.
    sockets: Vec<(u32, OwnedFd)>,
    /// Open descriptors that are no sockets.
    others: Vec<u32>,
    /// The names of those that systemd handed over, which begin at [`FIRST`].
    names: Vec<String>,
    stdio: Option<Stdio>,
}

impl Inherited {
    /// Takes the sockets that the process was started with, and takes what speaks of them out of its
    /// environment (sd_listen_fds(3)). Empty where they were taken before.
    ///
    /// To be called by the command itself, before it has opened a descriptor or started a thread.
    pub(crate) fn take() -> Self {
        static TAKEN: OnceLock<()> = OnceLock::new();
        if TAKEN.set(()).is_err() {
            return Self::default();
        }
        let mut inherited = Self { names: names(), ..Self::default() };
        for (number, is_socket) in open_descriptors() {
            let Ok(raw) = RawFd::try_from(number) else { continue };
            if !is_socket {
                inherited.others.push(number);
                continue;
            }
            // SAFETY: the descriptor was open when the process began, and is no standard stream.
            // Nothing in the process has opened one yet, so nothing else owns this one; and as this
            // is done once, nothing else will.
            let socket = unsafe { OwnedFd::from_raw_fd(raw) };
            // What the command runs has no use for it. It can't fail for an open descriptor.
            let _ = rustix::io::fcntl_setfd(&socket, FdFlags::CLOEXEC);
            inherited.sockets.push((number, socket));
        }
        inherited
    }

    /// Takes standard input and output, and leaves `/dev/null` in their place, so that nobody else
    /// reads or writes there.
    pub(crate) fn take_stdio(&mut self) -> io::Result<()> {
        self.stdio = Some(Stdio::take()?);
        Ok(())
    }

    /// The descriptor with this number.
    pub(crate) fn descriptor(&mut self, number: u32) -> io::Result<OwnedFd> {
        match self.sockets.iter().position(|(other, _)| *other == number) {
            Some(place) => Ok(self.sockets.swap_remove(place).1),
            None if self.others.contains(&number) => {
                Err(io::Error::other(format!("descriptor {number} is no socket")))
            }
            None => {
                let there: Vec<_> =
                    self.sockets.iter().map(|(number, _)| format!("fd:{number}")).collect();
                let there = if there.is_empty() { "none is".to_owned() } else { there.join(", ") };
                Err(io::Error::other(format!(
                    "no socket was open as descriptor {number} at the start, or it is taken; \
                     open as sockets: {there}"
                )))
            }
        }
    }

    /// The `index`-th descriptor that systemd handed over.
    pub(crate) fn index(&mut self, index: u32) -> io::Result<OwnedFd> {
        match usize::try_from(index) {
            Ok(place) if place < self.names.len() => self.descriptor(FIRST + index),
            _ => Err(self.not_handed_over()),
        }
    }

    /// The descriptor that systemd handed over with this name.
    pub(crate) fn named(&mut self, name: &str) -> io::Result<OwnedFd> {
        let mut found = (0..).zip(&self.names).filter(|(_, other)| *other == name);
        match (found.next(), found.count()) {
            (Some((index, _)), 0) => self.index(index),
            (Some((index, _)), more) => Err(io::Error::other(format!(
                "{} have this name; the first is systemd:index={index}",
                more + 1
            ))),
            (None, _) => Err(self.not_handed_over()),
        }
    }

    /// What systemd handed over and nobody has taken, as endpoints.
    pub(crate) fn unused(&self) -> Vec<String> {
        let is_left = |index: u32| self.sockets.iter().any(|(number, _)| *number == FIRST + index);
        let handed_over = (0..).zip(&self.names).filter(|(index, _)| is_left(*index));
        handed_over.map(|(index, name)| show(index, name)).collect()
    }

    /// Standard input and output, where they were taken.
    pub(crate) fn stdio(&mut self) -> io::Result<Stdio> {
        self.stdio.take().ok_or_else(|| io::Error::other("they are not this program's to take"))
    }

    fn not_handed_over(&self) -> io::Error {
        if self.names.is_empty() {
            return io::Error::other(
                "systemd has handed nothing over (LISTEN_FDS, LISTEN_PID); \
                 is this started by a socket unit?",
            );
        }
        let there: Vec<_> = (0..).zip(&self.names).map(|(index, name)| show(index, name)).collect();
        io::Error::other(format!("systemd has handed over {}", there.join(", ")))
    }
}

fn show(index: u32, name: &str) -> String {
    match name {
        "" => format!("index={index}"),
        name => format!("index={index} (name={name})"),
    }
}

/// The name of each descriptor that was handed over to this very process, empty where it has none.
fn names() -> Vec<String> {
    let [pid, count, names] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"].map(env::var);
    for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"] {
        // SAFETY: no other thread runs yet that could read the environment meanwhile.
        unsafe { env::remove_var(name) };
    }
    if pid.ok().and_then(|pid| pid.parse().ok()) != Some(process::id()) {
        return Vec::new();
    }
    let count = count.ok().and_then(|count| count.parse().ok()).unwrap_or(0);
    let names = names.unwrap_or_default();
    let named = names.split(':').map(str::to_owned);
    named.chain(std::iter::repeat(String::new())).take(count.min(HANDED_OVER_MAX)).collect()
}

/// The numbers of what is open besides the standard streams, and whether each is a socket.
fn open_descriptors() -> Vec<(u32, bool)> {
    let Ok(entries) = fs::read_dir(DESCRIPTORS) else { return Vec::new() };
    let listed: Vec<_> = entries.flatten().collect();
    let numbered = listed.iter().filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok().filter(|number| *number >= FIRST)?;
        // The folder's own descriptor was open while it was read, and is no longer.
        let target = fs::read_link(entry.path()).ok()?;
        Some((number, target.to_str().is_some_and(|target| target.starts_with("socket:"))))
    });
    numbered.collect()
}

/// The first descriptor that a process is handed besides the standard streams.
const FIRST: u32 = 3;

/// So many descriptors at most are taken to be handed over, whatever the environment says.
const HANDED_OVER_MAX: usize = 65_536;

/// Where Linux tells which descriptors a process has.
const DESCRIPTORS: &str = "/proc/self/fd";
