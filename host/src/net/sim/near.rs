//! The near side of the simulated network: what the reactor sees of it.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice};
use std::mem;
use std::net::IpAddr;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use rustix::io::Errno;

use super::wire::{Near, Packet, Wire};
use super::{Far, SimDatagrams, SimListener, SimNet, SimStream, Source, To, amount};
use crate::net::datagram::{Batch, DatagramOption, Membership, Part, Place, Refusal};
use crate::net::{Address, Net, Ready, Waker};

impl Net for SimNet {
    type Listener = SimListener;
    type Stream = SimStream;
    type Datagrams = SimDatagrams;

    fn clock() -> Option<fn() -> Instant> {
        None
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + WALL_AT_START + self.elapsed()
    }

    /// Never sleeps: with nothing ready, the clock moves to the next arrival or by `timeout`,
    /// whichever is earlier. Where nothing is under way and `timeout` is `None`, returns at once.
    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        self.arrive();
        let woken = self.woken.swap(false, Ordering::AcqRel);
        if self.edges.is_empty() {
            let wait = self.wait(timeout, woken);
            self.now += wait;
            self.arrive();
        }
        let first = ready.len();
        self.report(ready);
        for event in &ready[first..] {
            let Ready { token, readable, writable, read_closed, failed } = *event;
            self.note(b'p', token, &[readable, writable, read_closed, failed].map(u8::from));
        }
        Ok(())
    }

    fn waker(&self) -> Waker {
        let woken = Arc::clone(&self.woken);
        Waker::new(move || woken.store(true, Ordering::Release))
    }

    fn listen(
        &mut self,
        at: &Address,
        _backlog: u32,
        _mode: Option<u32>,
    ) -> io::Result<SimListener> {
        self.tick();
        self.bind(at)
    }

    fn listener_address(&self, listener: &SimListener) -> io::Result<Address> {
        Ok(self.listeners[listener.0].address.clone())
    }

    fn watch_listener(&mut self, listener: &mut SimListener, token: u64) -> io::Result<()> {
        self.listeners[listener.0].token = Some(token);
        self.edge(Source::Listener(listener.0));
        Ok(())
    }

    fn accept(&mut self, listener: &mut SimListener) -> io::Result<(SimStream, Address)> {
        self.tick();
        let waiting = &mut self.listeners[listener.0].waiting;
        let Some(&wire) = waiting.front() else {
            return Err(ErrorKind::WouldBlock.into());
        };
        if self.seed.chance(self.conditions.refusals) {
            return Err(self.refuse(listener.0, wire));
        }
        waiting.pop_front();
        self.wires[wire].near.accepted = true;
        self.note(b'a', wire as u64, &[]);
        let peer = match &self.listeners[listener.0].address {
            Address::Tcp(_) => match (Self::far_address(Far(wire)), self.wires[wire].from) {
                (Address::Tcp(at), Some(ip)) => Address::Tcp((ip, at.port()).into()),
                (address, _) => address,
            },
            Address::Stdio | Address::Udp(_) | Address::Unix(_) => Address::Unix("".into()),
        };
        Ok((SimStream(wire), peer))
    }

    fn close_listener(&mut self, listener: SimListener) {
        let backlog = &mut self.listeners[listener.0];
        backlog.closed = true;
        backlog.token = None;
        for wire in mem::take(&mut backlog.waiting) {
            self.reset_by_near(wire);
        }
    }

    fn connect(&mut self, to: &Address, from: Option<IpAddr>) -> io::Result<SimStream> {
        self.tick();
        self.dial(to, from)
    }

    fn connected(&mut self, stream: &mut SimStream) -> io::Result<bool> {
        self.tick();
        match self.take_error(stream)? {
            Some(e) => Err(e),
            None => {
                let Near { connecting, reset, .. } = self.wires[stream.0].near;
                Ok(!connecting && !reset)
            }
        }
    }

    fn watch(&mut self, stream: &mut SimStream, token: u64) -> io::Result<()> {
        self.wires[stream.0].near.token = Some(token);
        self.edge(Source::Wire(stream.0));
        Ok(())
    }

    fn local_address(&self, stream: &SimStream) -> io::Result<Address> {
        Ok(self.wires[stream.0].local.clone())
    }

    fn read(&mut self, stream: &mut SimStream, into: &mut [u8]) -> io::Result<usize> {
        self.tick();
        let Wire { near, to_near, .. } = &mut self.wires[stream.0];
        let most = into.len().min(to_near.arrived.len());
        if most == 0 && !into.is_empty() {
            return match near.error.take() {
                Some(kind) => Err(kind.into()),
                None if near.reset || to_near.ended => Ok(0),
                None => Err(ErrorKind::WouldBlock.into()),
            };
        }
        let length = amount(&mut self.seed, self.conditions.cut, most);
        for (to, from) in into.iter_mut().zip(to_near.arrived.drain(..length)) {
            *to = from;
        }
        // The reader takes a short read for the last, and would wait for the rest in vain.
        if length < into.len() && !to_near.arrived.is_empty() {
            self.edge(Source::Wire(stream.0));
        }
        self.note(b'r', stream.0 as u64, &into[..length]);
        self.pump(stream.0);
        Ok(length)
    }

    fn write(
        &mut self,
        stream: &mut SimStream,
        data: &[IoSlice<'_>],
        _more: bool,
    ) -> io::Result<usize> {
        let most = data.iter().map(|part| part.len()).sum();
        let length = self.allow(stream.0, most)?;
        let sent = data.iter().flat_map(|part| part.iter().copied()).take(length).collect();
        self.send_near(stream.0, sent);
        Ok(length)
    }

    fn send_file(
        &mut self,
        stream: &mut SimStream,
        file: &File,
        offset: u64,
        length: usize,
    ) -> io::Result<usize> {
        let mut data = vec![0; self.allow(stream.0, length)?];
        let length = file.read_at(&mut data, offset)?;
        data.truncate(length);
        self.send_near(stream.0, data);
        Ok(length)
    }

    fn read_file(&mut self, file: &File, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        file.read_at(into, offset)
    }

    fn shutdown_write(&mut self, stream: &mut SimStream) -> io::Result<()> {
        self.tick();
        let Wire { near, to_far, .. } = &self.wires[stream.0];
        if near.reset || near.connecting {
            return Err(ErrorKind::NotConnected.into());
        }
        if !to_far.fin_sent {
            self.launch(stream.0, To::Far, Packet::Fin);
        }
        self.note(b's', stream.0 as u64, &[]);
        Ok(())
    }

    fn take_error(&mut self, stream: &mut SimStream) -> io::Result<Option<io::Error>> {
        Ok(self.wires[stream.0].near.error.take().map(io::Error::from))
    }

    fn set_no_delay(&mut self, _stream: &mut SimStream, _on: bool) -> io::Result<()> {
        Ok(())
    }

    fn set_keep_alive(&mut self, _stream: &mut SimStream, _on: bool) -> io::Result<()> {
        Ok(())
    }

    /// Where bytes wait unread, the far end sees a reset, and may lose what is under way to it.
    fn close(&mut self, stream: SimStream) {
        self.note(b'c', stream.0 as u64, &[]);
        let Wire { near, to_near, to_far, .. } = &mut self.wires[stream.0];
        let unread = !to_near.arrived.is_empty();
        if !near.reset && (unread || near.connecting) {
            return self.reset_by_near(stream.0);
        }
        near.closed = true;
        if !near.reset && !to_far.fin_sent {
            self.launch(stream.0, To::Far, Packet::Fin);
        }
    }

    fn reset(&mut self, stream: SimStream) {
        self.note(b'x', stream.0 as u64, &[]);
        if self.wires[stream.0].near.reset {
            self.wires[stream.0].near.closed = true;
        } else {
            self.reset_by_near(stream.0);
        }
    }

    fn bind(&mut self, place: &Place) -> io::Result<SimDatagrams> {
        self.tick();
        self.bind_datagrams(place)
    }

    fn pair_with(&mut self, peer: &Address, from: Option<IpAddr>) -> io::Result<SimDatagrams> {
        self.tick();
        self.pair(peer, from)
    }

    fn watch_datagrams(&mut self, socket: &mut SimDatagrams, token: u64) -> io::Result<()> {
        self.post.sockets[socket.0].token = Some(token);
        self.edge(Source::Datagrams(socket.0));
        Ok(())
    }

    fn datagrams_address(&self, socket: &SimDatagrams) -> io::Result<Address> {
        Ok(self.datagrams_local(socket))
    }

    fn receive(&mut self, socket: &mut SimDatagrams, batch: &mut Batch) -> io::Result<bool> {
        self.receive_datagrams(socket.0, batch)
    }

    fn send(&mut self, socket: &mut SimDatagrams, data: &[u8], parts: &[Part]) -> usize {
        self.send_datagrams(socket.0, data, parts)
    }

    fn refusals(&mut self, socket: &mut SimDatagrams, refusals: &mut Vec<Refusal>) {
        self.take_refusals(socket.0, refusals);
    }

    fn set_datagrams(
        &mut self,
        socket: &mut SimDatagrams,
        option: &DatagramOption,
    ) -> io::Result<()> {
        self.set_option(socket.0, option)
    }

    fn join(&mut self, socket: &mut SimDatagrams, of: &Membership) -> io::Result<()> {
        self.tick();
        self.join_group(socket.0, of)
    }

    fn leave(&mut self, socket: &mut SimDatagrams, of: &Membership) -> io::Result<()> {
        self.leave_group(socket.0, of)
    }

    fn close_datagrams(&mut self, socket: SimDatagrams) {
        self.close_socket(socket.0);
    }
}

impl SimNet {
    /// A call into the kernel takes a moment, and something may arrive meanwhile.
    pub(super) fn tick(&mut self) {
        self.now += self.seed.up_to(CALL);
        self.arrive();
    }

    /// How long a poll waits that has nothing to report.
    fn wait(&mut self, timeout: Option<Duration>, woken: bool) -> Duration {
        let arrival = self.schedule.first().map(|(at, _)| *at);
        let arrival = arrival.into_iter().chain(self.next_letter()).min();
        let arrival = arrival.map(|at| at.saturating_duration_since(self.now));
        let Some(wait) = arrival.into_iter().chain(timeout).min() else {
            return Duration::ZERO;
        };
        if woken {
            self.seed.up_to(wait.min(WAKE))
        } else if self.seed.chance(self.conditions.spurious) {
            self.seed.up_to(wait)
        } else {
            wait
        }
    }

    /// How many bytes of `most` a write may take.
    fn allow(&mut self, wire: usize, most: usize) -> io::Result<usize> {
        self.tick();
        let Wire { near, to_far, .. } = &mut self.wires[wire];
        if let Some(kind) = near.error.take() {
            return Err(kind.into());
        }
        if near.reset || to_far.fin_sent {
            return Err(ErrorKind::BrokenPipe.into());
        }
        // The edge that tells of the connection tells of room as well.
        let window = if near.connecting { 0 } else { self.conditions.window };
        let room = to_far.room(window);
        near.blocked = room < most;
        if room == 0 && most > 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let most_now = room.min(most);
        let length = amount(&mut self.seed, self.conditions.cut, most_now);
        // A writer takes a short write for a full buffer, and would wait for an edge in vain.
        if length < most_now {
            near.blocked = false;
            self.edge(Source::Wire(wire));
        }
        Ok(length)
    }

    fn send_near(&mut self, wire: usize, data: Vec<u8>) {
        self.note(b'w', wire as u64, &data);
        if !data.is_empty() {
            self.launch(wire, To::Far, Packet::Data(data));
        }
    }

    fn refuse(&mut self, listener: usize, wire: usize) -> io::Error {
        self.note(b'e', wire as u64, &[]);
        match self.seed.below(3) {
            0 => Errno::MFILE.into(),
            1 => Errno::NFILE.into(),
            _ => {
                self.listeners[listener].waiting.pop_front();
                self.reset_by_near(wire);
                Errno::CONNABORTED.into()
            }
        }
    }

    /// Adds a call to the trace (FNV-1a).
    pub(super) fn note(&mut self, call: u8, on: u64, data: &[u8]) {
        let nanos = self.elapsed().as_nanos() as u64;
        let head = [call].into_iter().chain(on.to_le_bytes()).chain(nanos.to_le_bytes());
        for byte in head.chain(data.iter().copied()) {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// The time of day at which a simulation begins: 2023-11-14T22:13:20Z.
const WALL_AT_START: Duration = Duration::from_secs(1_700_000_000);

/// The longest time that a call takes.
const CALL: Duration = Duration::from_micros(20);

/// The longest time until a poll sees that it was woken.
const WAKE: Duration = Duration::from_millis(1);
