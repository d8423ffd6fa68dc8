//! A channel of an IRC server: some of its members talk, and all others hear them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::TcpMaxSeg;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt;

use super::{GO, Report, address, dial};

/// How long the load runs before it measures.
const WARM_UP: Duration = Duration::from_secs(1);
/// How long a member may take to be in the channel, or a message to reach everybody.
const PATIENCE: Duration = Duration::from_secs(20);
/// The largest read, in bytes.
const CHUNK: usize = 64 * 1024;
/// How many events one wait takes.
const EVENTS: usize = 1024;
/// The names of the members that read begin so; a number follows.
const MEMBER: char = 'm';
/// The number, in the epoll set, of the member that doesn't read.
const SLOW: u64 = u64::MAX;
/// What a member that doesn't read lets the system keep for it, in bytes.
const SLOW_BUFFER: usize = 4096;
/// The largest segment that it takes, in bytes: that of a path without a larger one (RFC 9293, section
/// 3.7.1).
const SLOW_SEGMENT: u32 = 536;

/// How many are in the channel, and what they say.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Talk {
    /// Members that read.
    pub(crate) members: usize,
    /// How many of them talk. Each says the next thing once all others have heard the last.
    pub(crate) talkers: usize,
    /// How long a message is, in bytes.
    pub(crate) length: usize,
    /// Whether one more member is there who doesn't read; when it is dropped the next one comes.
    pub(crate) is_one_slow: bool,
}

/// Loads a port of 127.0.0.1, prints `GO` when it begins to measure, and a report when it ends: an
/// operation is a message that came to one member, and its latency is from when it was sent. A slow
/// member that the server has not dropped by then is an error.
pub(crate) fn run(port: u16, talk: Talk, seconds: u64) -> Result<()> {
    ensure!(talk.talkers > 0 && talk.members > talk.talkers, "too few members");
    let mut load = Load::join(port, talk)?;
    load.run_for(WARM_UP)?;
    (load.latencies, load.dropped) = (Vec::with_capacity(1 << 22), 0);
    println!("{GO}");
    let took = load.run_for(Duration::from_secs(seconds))?;
    if talk.is_one_slow {
        eprintln!("bench: {} slow readers were dropped", load.dropped);
        ensure!(load.dropped > 0, "no slow reader was dropped");
    }
    println!("{}", Report::new(&mut load.latencies, took));
    Ok(())
}

/// Registers as `nick`, and waits until the server has said all that it says then.
pub(crate) fn register(port: u16, nth: usize, nick: &str) -> Result<TcpStream> {
    let mut stream = dial(port, nth)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("NICK {nick}\r\nUSER {nick} 0 * :{nick}\r\n").as_bytes())?;
    let (mut said, mut buffer) = (Vec::new(), [0; 4096]);
    // The end of the message of the day, or that there is none.
    while !has_numeric(&said, "376") && !has_numeric(&said, "422") {
        let read = stream.read(&mut buffer).with_context(|| format!("{nick} registers"))?;
        ensure!(read > 0, "the server closed: {}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&buffer[..read]);
    }
    Ok(stream)
}

fn has_numeric(said: &[u8], numeric: &str) -> bool {
    let Ok(text) = std::str::from_utf8(said) else { return false };
    text.split_inclusive("\r\n")
        .any(|line| line.ends_with("\r\n") && line.split(' ').nth(1) == Some(numeric))
}

struct Load {
    talk: Talk,
    port: u16,
    epoll: OwnedFd,
    members: Vec<Member>,
    talkers: Vec<Talker>,
    /// The member that doesn't read, and how many there were.
    slow: Option<TcpStream>,
    slow_ones: usize,
    dropped: usize,
    buffer: Vec<u8>,
    text: String,
    /// Of each message to each member, in nanoseconds.
    latencies: Vec<u32>,
}

struct Member {
    socket: OwnedFd,
    /// A line that is not whole yet.
    begun: Vec<u8>,
    has_joined: bool,
}

#[derive(Clone, Copy)]
struct Talker {
    said: Instant,
    /// How many have heard it.
    heard: usize,
}

impl Load {
    fn join(port: u16, talk: Talk) -> Result<Self> {
        let now = Instant::now();
        let mut load = Self {
            talk,
            port,
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            members: Vec::with_capacity(talk.members),
            talkers: vec![Talker { said: now, heard: 0 }; talk.talkers],
            slow: None,
            slow_ones: 0,
            dropped: 0,
            buffer: vec![0; CHUNK],
            text: "x".repeat(talk.length),
            latencies: Vec::new(),
        };
        for nth in 0..talk.members {
            load.add(nth)?;
        }
        if talk.is_one_slow {
            load.add_slow()?;
        }
        for nth in 0..talk.talkers {
            load.say(nth)?;
        }
        Ok(load)
    }

    fn add(&mut self, nth: usize) -> Result<()> {
        let mut stream = register(self.port, nth, &format!("{MEMBER}{nth}"))?;
        stream.write_all(b"JOIN #bench\r\n")?;
        stream.set_nonblocking(true)?;
        epoll::add(&self.epoll, &stream, EventData::new_u64(nth as u64), EventFlags::IN)?;
        self.members.push(Member { socket: stream.into(), begun: Vec::new(), has_joined: false });
        let until = Instant::now() + PATIENCE;
        while !self.members[nth].has_joined {
            ensure!(Instant::now() < until, "member {nth} isn't let in");
            self.wait(Duration::from_millis(100))?;
        }
        Ok(())
    }

    /// A member that never reads. It is there at once, or never: nobody waits for it.
    fn add_slow(&mut self) -> Result<()> {
        let nick = format!("s{}", self.slow_ones);
        self.slow_ones += 1;
        let domain = rustix::net::AddressFamily::INET;
        let socket = rustix::net::socket(domain, rustix::net::SocketType::STREAM, None)?;
        sockopt::set_socket_recv_buffer_size(&socket, SLOW_BUFFER)?;
        // With the loopback's own the system keeps some megabytes for it on the server's side.
        setsockopt(&socket, TcpMaxSeg, &SLOW_SEGMENT)?;
        rustix::net::connect(&socket, &address(self.port))?;
        let mut stream = TcpStream::from(socket);
        let words = format!("NICK {nick}\r\nUSER {nick} 0 * :{nick}\r\nJOIN #bench\r\n");
        stream.write_all(words.as_bytes())?;
        stream.set_nonblocking(true)?;
        // What comes to be read is no event.
        epoll::add(&self.epoll, &stream, EventData::new_u64(SLOW), EventFlags::RDHUP)?;
        self.slow = Some(stream);
        Ok(())
    }

    fn run_for(&mut self, time: Duration) -> Result<Duration> {
        let begin = Instant::now();
        loop {
            let elapsed = begin.elapsed();
            let Some(left) = time.checked_sub(elapsed).filter(|left| !left.is_zero()) else {
                return Ok(elapsed);
            };
            self.wait(left)?;
            if let Some(nth) = self.talkers.iter().position(|one| one.said.elapsed() > PATIENCE) {
                bail!("{} have heard member {nth}, and all should", self.talkers[nth].heard);
            }
        }
    }

    fn wait(&mut self, time: Duration) -> Result<()> {
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
        let time = Timespec::try_from(time)?;
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&time)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => bail!("epoll: {error}"),
        }
        for event in events {
            match event.data.u64() {
                SLOW => {
                    self.slow = None;
                    self.dropped += 1;
                    self.add_slow()?;
                }
                nth => self.receive(nth as usize)?,
            }
        }
        Ok(())
    }

    fn receive(&mut self, nth: usize) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let read = match rustix::io::read(&self.members[nth].socket, buffer.as_mut_slice()) {
            Ok(0) => bail!("the server closed member {nth}"),
            Ok(read) => read,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(error) => bail!("read of member {nth}: {error}"),
        };
        let mut rest = &buffer[..read];
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, behind) = rest.split_at(end + 1);
            rest = behind;
            let mut begun = std::mem::take(&mut self.members[nth].begun);
            if begun.is_empty() {
                self.on_line(nth, line)?;
            } else {
                begun.extend_from_slice(line);
                self.on_line(nth, &begun)?;
                begun.clear();
            }
            self.members[nth].begun = begun;
        }
        self.members[nth].begun.extend_from_slice(rest);
        self.buffer = buffer;
        Ok(())
    }

    /// `:m7!m7@127.0.0.1 PRIVMSG #bench :…`, and all else that a server says.
    fn on_line(&mut self, nth: usize, line: &[u8]) -> Result<()> {
        let text = std::str::from_utf8(line).context("a line is no text")?.trim_end();
        let (origin, rest) = text.split_once(' ').unwrap_or((text, ""));
        if origin == "PING" {
            return self.send(nth, &format!("PONG {rest}\r\n"));
        }
        if rest.starts_with("366 ") {
            self.members[nth].has_joined = true;
        }
        ensure!(origin != "ERROR", "member {nth}: {text}");
        let Some(said) = rest.strip_prefix("PRIVMSG #bench :") else { return Ok(()) };
        ensure!(said == self.text, "member {nth} has heard {text:?}");
        let who = origin.trim_start_matches([':', MEMBER]).split('!').next().unwrap_or_default();
        let who: usize = who.parse().with_context(|| format!("nobody said {text:?}"))?;
        let talker = self.talkers.get_mut(who).with_context(|| format!("{who} doesn't talk"))?;
        let took = talker.said.elapsed().as_nanos();
        self.latencies.push(u32::try_from(took).unwrap_or(u32::MAX));
        talker.heard += 1;
        if talker.heard == self.talk.members - 1 {
            self.say(who)?;
        }
        Ok(())
    }

    fn say(&mut self, nth: usize) -> Result<()> {
        self.talkers[nth] = Talker { said: Instant::now(), heard: 0 };
        let line = format!("PRIVMSG #bench :{}\r\n", self.text);
        self.send(nth, &line)
    }

    /// What a member says is short, and the server has read what it said before.
    fn send(&mut self, nth: usize, line: &str) -> Result<()> {
        let sent = rustix::io::write(&self.members[nth].socket, line.as_bytes())?;
        ensure!(sent == line.len(), "the server doesn't read what member {nth} says");
        Ok(())
    }
}
