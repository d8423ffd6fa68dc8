//! The bare loop that echo is measured against: one thread, level-triggered epoll, one buffer,
//! a read and a write for each message, and nothing else. The floor of what a server can cost.

use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Result, bail};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with, sockopt::set_tcp_nodelay};

/// The largest read, in bytes: the same as torsade's.
const CHUNK: usize = 64 * 1024;
/// How many events one wait takes.
const EVENTS: usize = 256;
/// The listener's token; no file descriptor is as large.
const LISTENER: u64 = u64::MAX;

/// Echoes on 127.0.0.1 until it is killed.
pub(crate) fn serve(port: u16) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    let mut server = Echo {
        epoll: epoll::create(CreateFlags::CLOEXEC)?,
        listener,
        connections: Vec::new(),
        buffer: vec![0; CHUNK],
    };
    epoll::add(&server.epoll, &server.listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
    loop {
        match epoll::wait(&server.epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => bail!("epoll: {error}"),
        }
        for event in events.drain(..) {
            match event.data.u64() {
                LISTENER => server.accept()?,
                token => server.serve(token as usize),
            }
        }
    }
}

struct Echo {
    epoll: OwnedFd,
    listener: TcpListener,
    /// By file descriptor, as such loops do.
    connections: Vec<Option<Connection>>,
    buffer: Vec<u8>,
}

struct Connection {
    socket: OwnedFd,
    /// What the peer has not taken yet. Nothing more is read until it has.
    unsent: Vec<u8>,
}

impl Echo {
    fn accept(&mut self) -> Result<()> {
        loop {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let socket = match accept_with(&self.listener, flags) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNABORTED | Errno::INTR) => continue,
                Err(error) => bail!("accept: {error}"),
            };
            set_tcp_nodelay(&socket, true)?;
            let token = usize::try_from(socket.as_raw_fd())?;
            epoll::add(&self.epoll, &socket, EventData::new_u64(token as u64), EventFlags::IN)?;
            if self.connections.len() <= token {
                self.connections.resize_with(token + 1, || None);
            }
            self.connections[token] = Some(Connection { socket, unsent: Vec::new() });
        }
    }

    fn serve(&mut self, token: usize) {
        let Some(connection) = self.connections.get_mut(token).and_then(Option::as_mut) else {
            return;
        };
        let had_unsent = !connection.unsent.is_empty();
        let served = match had_unsent {
            true => connection.send_rest(),
            false => connection.echo(&mut self.buffer),
        };
        let has_unsent = !connection.unsent.is_empty();
        let watched = match served {
            Ok(true) if has_unsent == had_unsent => return,
            Ok(true) => {
                let flags = if has_unsent { EventFlags::OUT } else { EventFlags::IN };
                let data = EventData::new_u64(token as u64);
                epoll::modify(&self.epoll, &connection.socket, data, flags)
            }
            Ok(false) => Err(Errno::CONNRESET),
            Err(error) => Err(error),
        };
        if watched.is_err() {
            // Closing takes it out of the epoll set.
            self.connections[token] = None;
        }
    }
}

impl Connection {
    /// Reads once and writes that back; false at the end of the stream.
    fn echo(&mut self, buffer: &mut [u8]) -> Result<bool, Errno> {
        let read = match rustix::io::read(&self.socket, &mut *buffer) {
            Ok(0) => return Ok(false),
            Ok(read) => read,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(true),
            Err(error) => return Err(error),
        };
        let sent = send(&self.socket, &buffer[..read])?;
        self.unsent.extend_from_slice(&buffer[sent..read]);
        Ok(true)
    }

    fn send_rest(&mut self) -> Result<bool, Errno> {
        let sent = send(&self.socket, &self.unsent)?;
        self.unsent.drain(..sent);
        Ok(true)
    }
}

/// Writes once; 0 where the peer takes nothing now.
pub(crate) fn send(socket: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    match rustix::io::write(socket, bytes) {
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        sent => sent,
    }
}
