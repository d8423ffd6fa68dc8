//! Datagrams in windows: many sockets, each with so many on their way. Each window leaves by one
//! system call (UDP_SEGMENT), so that the load costs less than what it loads.

use std::array;
use std::io::IoSliceMut;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, setsockopt, sockopt};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use super::{GO, Report};

/// How long the load runs before it measures.
const WARM_UP: Duration = Duration::from_millis(300);
/// Datagrams of one socket on their way.
const WINDOW: usize = 32;
/// After so long what has not come back is lost, and the next window goes out.
const LOST: Duration = Duration::from_millis(50);
/// How many events one wait takes.
const EVENTS: usize = 256;

/// Loads a port of 127.0.0.1 and prints `GO` when it begins to measure, a report when it ends.
pub(crate) fn run(port: u16, sockets: usize, size: usize, seconds: u64) -> Result<()> {
    ensure!(sockets > 0 && size > 0, "no sockets, or no datagram");
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut load = Load {
        epoll,
        sockets: Vec::new(),
        window: (0..WINDOW * size).map(|place| (place % 251) as u8).collect(),
        buffers: vec![vec![0; size + 1]; WINDOW],
        size,
        latencies: Vec::with_capacity(1 << 22),
    };
    for nth in 0..sockets {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect((Ipv4Addr::LOCALHOST, port))?;
        socket.set_nonblocking(true)?;
        setsockopt(&socket, sockopt::UdpGsoSegment, &i32::try_from(size)?)?;
        epoll::add(&load.epoll, &socket, EventData::new_u64(nth as u64), EventFlags::IN)?;
        load.sockets.push(Socket { socket, missing: 0, asked: Instant::now() });
        load.send(nth)?;
    }
    load.run_for(WARM_UP)?;
    load.latencies.clear();
    println!("{GO}");
    let took = load.run_for(Duration::from_secs(seconds))?;
    println!("{}", Report::new(&mut load.latencies, took));
    Ok(())
}

struct Load {
    epoll: OwnedFd,
    sockets: Vec<Socket>,
    /// What one window holds.
    window: Vec<u8>,
    buffers: Vec<Vec<u8>>,
    size: usize,
    /// Of each datagram and its answer, in nanoseconds.
    latencies: Vec<u32>,
}

struct Socket {
    socket: UdpSocket,
    /// How many of the window have not come back.
    missing: usize,
    asked: Instant,
}

impl Load {
    fn run_for(&mut self, time: Duration) -> Result<Duration> {
        let begin = Instant::now();
        let mut headers = MultiHeaders::<SockaddrIn>::preallocate(WINDOW, None);
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
        loop {
            let elapsed = begin.elapsed();
            let Some(left) = time.checked_sub(elapsed).filter(|left| !left.is_zero()) else {
                return Ok(elapsed);
            };
            let left = Timespec::try_from(left.min(LOST))?;
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&left)) {
                Ok(0) => self.give_up()?,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => bail!("epoll: {error}"),
            }
            for event in events.drain(..) {
                self.receive(event.data.u64() as usize, &mut headers)?;
            }
        }
    }

    fn receive(&mut self, nth: usize, headers: &mut MultiHeaders<SockaddrIn>) -> Result<()> {
        let Socket { socket, missing, asked } = &mut self.sockets[nth];
        let mut buffers = self.buffers.iter_mut();
        let mut slices: [_; WINDOW] =
            array::from_fn(|_| [IoSliceMut::new(buffers.next().map_or(&mut [][..], |it| it))]);
        let flags = MsgFlags::MSG_DONTWAIT;
        let fd = socket.as_raw_fd();
        let now = Instant::now();
        let took = u32::try_from(now.duration_since(*asked).as_nanos()).unwrap_or(u32::MAX);
        match recvmmsg(fd, headers, slices.iter_mut(), flags, None) {
            Ok(all) => {
                for got in all {
                    ensure!(got.bytes == self.size, "{} bytes came back", got.bytes);
                    *missing = missing.saturating_sub(1);
                    self.latencies.push(took);
                }
            }
            Err(nix::errno::Errno::EAGAIN) => return Ok(()),
            Err(error) => bail!("recvmmsg: {error}"),
        }
        if *missing == 0 { self.send(nth) } else { Ok(()) }
    }

    fn send(&mut self, nth: usize) -> Result<()> {
        let socket = &mut self.sockets[nth];
        socket.socket.send(&self.window)?;
        (socket.missing, socket.asked) = (WINDOW, Instant::now());
        Ok(())
    }

    /// Nothing comes: what is missing is lost.
    fn give_up(&mut self) -> Result<()> {
        for nth in 0..self.sockets.len() {
            self.send(nth)?;
        }
        Ok(())
    }
}
