//! Ping-pong over many connections: each has one message on its way, always.

use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use super::{GO, Report, dial};
use crate::epoll::send;

/// How long the load runs before it measures; answers are compared byte by byte meanwhile.
const WARM_UP: Duration = Duration::from_millis(300);
/// The largest read, in bytes.
const CHUNK: usize = 64 * 1024;
/// How many events one wait takes.
const EVENTS: usize = 256;

/// Loads a port of 127.0.0.1 and prints `GO` when it begins to measure, a report when it ends.
pub(crate) fn run(port: u16, connections: usize, size: usize, seconds: u64) -> Result<()> {
    ensure!(connections > 0 && size > 0, "no connections, or no message");
    let mut load = Load::dial(port, connections, size)?;
    load.checking = true;
    load.run_for(WARM_UP)?;
    load.checking = false;
    load.latencies.clear();
    println!("{GO}");
    let took = load.run_for(Duration::from_secs(seconds))?;
    println!("{}", Report::new(&mut load.latencies, took));
    Ok(())
}

struct Load {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    message: Vec<u8>,
    buffer: Vec<u8>,
    checking: bool,
    /// Of each message and its answer, in nanoseconds.
    latencies: Vec<u32>,
}

struct Connection {
    socket: OwnedFd,
    unsent: usize,
    unread: usize,
    asked: Instant,
    /// Whether the epoll set reports room to write.
    watches_room: bool,
}

impl Load {
    fn dial(port: u16, count: usize, size: usize) -> Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(count);
        for nth in 0..count {
            let stream: TcpStream = dial(port, nth)?;
            stream.set_nonblocking(true)?;
            epoll::add(&epoll, &stream, EventData::new_u64(nth as u64), EventFlags::IN)?;
            connections.push(Connection {
                socket: stream.into(),
                unsent: size,
                unread: size,
                asked: Instant::now(),
                watches_room: false,
            });
        }
        let mut load = Self {
            epoll,
            connections,
            message: (0..size).map(|place| (place % 251) as u8).collect(),
            buffer: vec![0; CHUNK],
            checking: false,
            latencies: Vec::with_capacity(1 << 20),
        };
        for nth in 0..count {
            load.send(nth)?;
        }
        Ok(load)
    }

    fn run_for(&mut self, time: Duration) -> Result<Duration> {
        let begin = Instant::now();
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
        loop {
            let elapsed = begin.elapsed();
            let Some(left) = time.checked_sub(elapsed).filter(|left| !left.is_zero()) else {
                return Ok(elapsed);
            };
            let left = Timespec::try_from(left)?;
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&left)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => bail!("epoll: {error}"),
            }
            for event in events.drain(..) {
                self.serve(event.data.u64() as usize, event.flags)?;
            }
        }
    }

    fn serve(&mut self, nth: usize, flags: EventFlags) -> Result<()> {
        if flags.contains(EventFlags::OUT) {
            self.send(nth)?;
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            self.receive(nth)?;
        }
        Ok(())
    }

    fn receive(&mut self, nth: usize) -> Result<()> {
        let connection = &mut self.connections[nth];
        let read = match rustix::io::read(&connection.socket, self.buffer.as_mut_slice()) {
            Ok(0) => bail!("the server closed connection {nth}"),
            Ok(read) => read,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            Err(error) => bail!("read on connection {nth}: {error}"),
        };
        ensure!(read <= connection.unread, "connection {nth} got more than it sent");
        if self.checking {
            let place = self.message.len() - connection.unread;
            let wanted = &self.message[place..place + read];
            ensure!(&self.buffer[..read] == wanted, "connection {nth} got other bytes than sent");
        }
        connection.unread -= read;
        if connection.unread > 0 {
            return Ok(());
        }
        let now = Instant::now();
        let took = now.duration_since(connection.asked).as_nanos();
        self.latencies.push(u32::try_from(took).unwrap_or(u32::MAX));
        connection.asked = now;
        connection.unsent = self.message.len();
        connection.unread = self.message.len();
        self.send(nth)
    }

    fn send(&mut self, nth: usize) -> Result<()> {
        let connection = &mut self.connections[nth];
        let place = self.message.len() - connection.unsent;
        connection.unsent -= send(&connection.socket, &self.message[place..])?;
        let needs_room = connection.unsent > 0;
        if needs_room != connection.watches_room {
            connection.watches_room = needs_room;
            let room = if needs_room { EventFlags::OUT } else { EventFlags::empty() };
            let data = EventData::new_u64(nth as u64);
            epoll::modify(&self.epoll, &connection.socket, data, EventFlags::IN | room)?;
        }
        Ok(())
    }
}
