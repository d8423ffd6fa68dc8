//! A network between the reactor and the simulated one that breaks a promise, to see that the
//! checkers notice.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice};
use std::net::IpAddr;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant, SystemTime};

use torsade::net::datagram::{Batch, DatagramOption, Membership, Part, Place, Refusal};
use torsade::net::sim::{SimDatagrams, SimListener, SimNet, SimStream};
use torsade::net::{Address, Net, Ready, Waker};

use super::world::Simulated;

/// What is broken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Breach {
    /// A connection is said to be made when its peer has not taken it yet, or never will.
    Connected,
    /// `lose-connection` closes at once: what was written in the same turn is lost.
    LastWrite,
    /// `lose-connection` does not wait for the peer, and a reset destroys what is under way.
    Linger,
}

/// A simulated network, and what is broken of it.
pub(crate) struct Broken {
    net: SimNet,
    breach: Breach,
    /// By the number of the stream; `None` once it is closed.
    streams: Vec<Option<Late>>,
}

/// The number of a stream.
pub(crate) struct BrokenStream(usize);

/// A stream, with what was written in this turn if that goes out in the next.
struct Late {
    io: SimStream,
    unsent: Vec<u8>,
}

impl Breach {
    /// What a checker says of it.
    pub(crate) fn complaint(self) -> &'static str {
        match self {
            Self::Connected => "a connection is built for an unknown peer",
            Self::LastWrite | Self::Linger => "the peer got",
        }
    }
}

impl Broken {
    /// Breaks `net`.
    pub(crate) fn new(net: SimNet, breach: Breach) -> Self {
        Self { net, breach, streams: Vec::new() }
    }

    /// Sends what the last turn wrote.
    fn send_late(&mut self) {
        for late in self.streams.iter_mut().flatten().filter(|late| !late.unsent.is_empty()) {
            let sent = self.net.write(&mut late.io, &[IoSlice::new(&late.unsent)], false);
            match sent {
                Ok(n) => drop(late.unsent.drain(..n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(_) => late.unsent.clear(),
            }
        }
    }

    fn late(&mut self, stream: &BrokenStream) -> (&mut SimNet, &mut Late) {
        (&mut self.net, self.streams[stream.0].as_mut().expect(OPEN))
    }

    fn io(&mut self, stream: &BrokenStream) -> (&mut SimNet, &mut SimStream) {
        let (net, late) = self.late(stream);
        (net, &mut late.io)
    }

    fn add(&mut self, io: SimStream) -> BrokenStream {
        self.streams.push(Some(Late { io, unsent: Vec::new() }));
        BrokenStream(self.streams.len() - 1)
    }

    fn take(&mut self, stream: &BrokenStream) -> SimStream {
        self.streams[stream.0].take().expect(OPEN).io
    }
}

impl Simulated for Broken {
    fn sim(&mut self) -> &mut SimNet {
        &mut self.net
    }
}

impl Net for Broken {
    type Listener = SimListener;
    type Stream = BrokenStream;
    type Datagrams = SimDatagrams;

    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        self.send_late();
        self.net.poll(timeout, ready)
    }

    fn write(
        &mut self,
        stream: &mut BrokenStream,
        data: &[IoSlice<'_>],
        more: bool,
    ) -> io::Result<usize> {
        if self.breach != Breach::LastWrite {
            let (net, io) = self.io(stream);
            return net.write(io, data, more);
        }
        let (_, late) = self.late(stream);
        late.unsent.extend(data.iter().flat_map(|part| part.iter().copied()));
        Ok(data.iter().map(|part| part.len()).sum())
    }

    fn send_file(
        &mut self,
        stream: &mut BrokenStream,
        file: &File,
        offset: u64,
        length: usize,
    ) -> io::Result<usize> {
        let (net, late) = self.late(stream);
        if !late.unsent.is_empty() {
            // It must not overtake what is late: it goes out the same way.
            let mut data = vec![0; length];
            let n = file.read_at(&mut data, offset)?;
            late.unsent.extend(&data[..n]);
            return Ok(n);
        }
        net.send_file(&mut late.io, file, offset, length)
    }

    fn read_file(&mut self, file: &File, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.net.read_file(file, offset, into)
    }

    fn shutdown_write(&mut self, stream: &mut BrokenStream) -> io::Result<()> {
        if self.breach == Breach::Linger {
            return Err(ErrorKind::NotConnected.into());
        }
        let (net, late) = self.late(stream);
        late.unsent.clear();
        net.shutdown_write(&mut late.io)
    }

    fn accept(&mut self, listener: &mut SimListener) -> io::Result<(BrokenStream, Address)> {
        let (io, peer) = self.net.accept(listener)?;
        Ok((self.add(io), peer))
    }

    fn connect(&mut self, to: &Address, from: Option<IpAddr>) -> io::Result<BrokenStream> {
        let io = Net::connect(&mut self.net, to, from)?;
        Ok(self.add(io))
    }

    fn close(&mut self, stream: BrokenStream) {
        let io = self.take(&stream);
        self.net.close(io);
    }

    fn reset(&mut self, stream: BrokenStream) {
        let io = self.take(&stream);
        Net::reset(&mut self.net, io);
    }

    fn clock() -> Option<fn() -> Instant> {
        SimNet::clock()
    }

    fn now(&self) -> Instant {
        self.net.now()
    }

    fn wall(&self) -> SystemTime {
        self.net.wall()
    }

    fn waker(&self) -> Waker {
        self.net.waker()
    }

    fn listen(&mut self, at: &Address, backlog: u32, mode: Option<u32>) -> io::Result<SimListener> {
        self.net.listen(at, backlog, mode)
    }

    fn listener_address(&self, listener: &SimListener) -> io::Result<Address> {
        self.net.listener_address(listener)
    }

    fn watch_listener(&mut self, listener: &mut SimListener, token: u64) -> io::Result<()> {
        self.net.watch_listener(listener, token)
    }

    fn close_listener(&mut self, listener: SimListener) {
        self.net.close_listener(listener);
    }

    fn connected(&mut self, stream: &mut BrokenStream) -> io::Result<bool> {
        if self.breach == Breach::Connected {
            return Ok(true);
        }
        let (net, io) = self.io(stream);
        net.connected(io)
    }

    fn watch(&mut self, stream: &mut BrokenStream, token: u64) -> io::Result<()> {
        let (net, io) = self.io(stream);
        net.watch(io, token)
    }

    fn local_address(&self, stream: &BrokenStream) -> io::Result<Address> {
        self.net.local_address(&self.streams[stream.0].as_ref().expect(OPEN).io)
    }

    fn read(&mut self, stream: &mut BrokenStream, into: &mut [u8]) -> io::Result<usize> {
        let (net, io) = self.io(stream);
        net.read(io, into)
    }

    fn take_error(&mut self, stream: &mut BrokenStream) -> io::Result<Option<io::Error>> {
        let (net, io) = self.io(stream);
        net.take_error(io)
    }

    fn set_no_delay(&mut self, stream: &mut BrokenStream, on: bool) -> io::Result<()> {
        let (net, io) = self.io(stream);
        net.set_no_delay(io, on)
    }

    fn set_keep_alive(&mut self, stream: &mut BrokenStream, on: bool) -> io::Result<()> {
        let (net, io) = self.io(stream);
        net.set_keep_alive(io, on)
    }

    fn bind(&mut self, place: &Place) -> io::Result<SimDatagrams> {
        self.net.bind(place)
    }

    fn pair_with(&mut self, peer: &Address, from: Option<IpAddr>) -> io::Result<SimDatagrams> {
        self.net.pair_with(peer, from)
    }

    fn watch_datagrams(&mut self, socket: &mut SimDatagrams, token: u64) -> io::Result<()> {
        self.net.watch_datagrams(socket, token)
    }

    fn datagrams_address(&self, socket: &SimDatagrams) -> io::Result<Address> {
        self.net.datagrams_address(socket)
    }

    fn receive(&mut self, socket: &mut SimDatagrams, batch: &mut Batch) -> io::Result<bool> {
        self.net.receive(socket, batch)
    }

    fn send(&mut self, socket: &mut SimDatagrams, data: &[u8], parts: &[Part]) -> usize {
        Net::send(&mut self.net, socket, data, parts)
    }

    fn refusals(&mut self, socket: &mut SimDatagrams, refusals: &mut Vec<Refusal>) {
        self.net.refusals(socket, refusals);
    }

    fn set_datagrams(
        &mut self,
        socket: &mut SimDatagrams,
        option: &DatagramOption,
    ) -> io::Result<()> {
        self.net.set_datagrams(socket, option)
    }

    fn join(&mut self, socket: &mut SimDatagrams, of: &Membership) -> io::Result<()> {
        self.net.join(socket, of)
    }

    fn leave(&mut self, socket: &mut SimDatagrams, of: &Membership) -> io::Result<()> {
        self.net.leave(socket, of)
    }

    fn close_datagrams(&mut self, socket: SimDatagrams) {
        self.net.close_datagrams(socket);
    }
}

/// Why a stream is there.
const OPEN: &str = "the reactor closes a stream once, and then has its number no more";
