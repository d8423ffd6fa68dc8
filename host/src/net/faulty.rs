//! Any network, with one call that fails: for the tests that let each of them fail once.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice};
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use rustix::io::Errno;

use super::datagram::{Batch, DatagramOption, Membership, Part, Place, Refusal};
use super::{Address, Net, Ready, Waker};

/// Counts the calls that can fail, and lets one of them fail as the kernel might.
///
/// The call that fails doesn't reach the network behind.
pub struct Faulty<N> {
    net: N,
    calls: Cell<u64>,
    fail_at: Option<u64>,
    failed: Cell<Option<&'static str>>,
}

impl<N: Net> Faulty<N> {
    /// Wraps `net`; nothing fails yet.
    pub fn new(net: N) -> Self {
        Self { net, calls: Cell::new(0), fail_at: None, failed: Cell::new(None) }
    }

    /// Lets the `n`-th call fail, counted from 1 at the start. It fails once.
    pub fn fail_at(&mut self, n: u64) {
        self.fail_at = Some(n);
    }

    /// How many calls there were that can fail.
    pub fn calls(&self) -> u64 {
        self.calls.get()
    }

    /// The name of the call that failed, once it has.
    pub fn what_failed(&self) -> Option<&'static str> {
        self.failed.get()
    }

    /// The network behind.
    pub fn net(&mut self) -> &mut N {
        &mut self.net
    }

    fn call(&self, name: &'static str, error: impl Into<io::Error>) -> io::Result<()> {
        self.calls.update(|calls| calls + 1);
        if self.fail_at != Some(self.calls()) {
            return Ok(());
        }
        self.failed.set(Some(name));
        Err(error.into())
    }
}

impl<N: Net> Net for Faulty<N> {
    type Listener = N::Listener;
    type Stream = N::Stream;
    type Datagrams = N::Datagrams;

    fn clock() -> Option<fn() -> Instant> {
        N::clock()
    }

    fn now(&self) -> Instant {
        self.net.now()
    }

    fn wall(&self) -> SystemTime {
        self.net.wall()
    }

    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        self.call("poll", ErrorKind::Interrupted)?;
        self.net.poll(timeout, ready)
    }

    fn waker(&self) -> Waker {
        self.net.waker()
    }

    fn listen(&mut self, at: &Address, backlog: u32, mode: Option<u32>) -> io::Result<N::Listener> {
        self.call("listen", Errno::ADDRINUSE)?;
        self.net.listen(at, backlog, mode)
    }

    fn listener_address(&self, listener: &N::Listener) -> io::Result<Address> {
        self.call("listener_address", Errno::NOBUFS)?;
        self.net.listener_address(listener)
    }

    fn watch_listener(&mut self, listener: &mut N::Listener, token: u64) -> io::Result<()> {
        self.call("watch_listener", Errno::NOSPC)?;
        self.net.watch_listener(listener, token)
    }

    fn accept(&mut self, listener: &mut N::Listener) -> io::Result<(N::Stream, Address)> {
        self.call("accept", Errno::MFILE)?;
        self.net.accept(listener)
    }

    fn close_listener(&mut self, listener: N::Listener) {
        self.net.close_listener(listener);
    }

    fn connect(&mut self, to: &Address, from: Option<IpAddr>) -> io::Result<N::Stream> {
        self.call("connect", Errno::ADDRNOTAVAIL)?;
        self.net.connect(to, from)
    }

    fn connected(&mut self, stream: &mut N::Stream) -> io::Result<bool> {
        self.call("connected", ErrorKind::ConnectionRefused)?;
        self.net.connected(stream)
    }

    fn watch(&mut self, stream: &mut N::Stream, token: u64) -> io::Result<()> {
        self.call("watch", Errno::NOSPC)?;
        self.net.watch(stream, token)
    }

    fn local_address(&self, stream: &N::Stream) -> io::Result<Address> {
        self.call("local_address", ErrorKind::NotConnected)?;
        self.net.local_address(stream)
    }

    fn read(&mut self, stream: &mut N::Stream, into: &mut [u8]) -> io::Result<usize> {
        self.call("read", ErrorKind::ConnectionReset)?;
        self.net.read(stream, into)
    }

    fn write(
        &mut self,
        stream: &mut N::Stream,
        data: &[IoSlice<'_>],
        more: bool,
    ) -> io::Result<usize> {
        self.call("write", ErrorKind::BrokenPipe)?;
        self.net.write(stream, data, more)
    }

    fn send_file(
        &mut self,
        stream: &mut N::Stream,
        file: &File,
        offset: u64,
        length: usize,
    ) -> io::Result<usize> {
        self.call("send_file", Errno::IO)?;
        self.net.send_file(stream, file, offset, length)
    }

    fn read_file(&mut self, file: &File, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.call("read_file", ErrorKind::WouldBlock)?;
        self.net.read_file(file, offset, into)
    }

    fn shutdown_write(&mut self, stream: &mut N::Stream) -> io::Result<()> {
        self.call("shutdown_write", ErrorKind::NotConnected)?;
        self.net.shutdown_write(stream)
    }

    fn take_error(&mut self, stream: &mut N::Stream) -> io::Result<Option<io::Error>> {
        self.call("take_error", Errno::NOBUFS)?;
        self.net.take_error(stream)
    }

    fn set_no_delay(&mut self, stream: &mut N::Stream, on: bool) -> io::Result<()> {
        self.call("set_no_delay", ErrorKind::InvalidInput)?;
        self.net.set_no_delay(stream, on)
    }

    fn set_keep_alive(&mut self, stream: &mut N::Stream, on: bool) -> io::Result<()> {
        self.call("set_keep_alive", ErrorKind::InvalidInput)?;
        self.net.set_keep_alive(stream, on)
    }

    fn close(&mut self, stream: N::Stream) {
        self.net.close(stream);
    }

    fn reset(&mut self, stream: N::Stream) {
        self.net.reset(stream);
    }

    fn bind(&mut self, place: &Place) -> io::Result<N::Datagrams> {
        self.call("bind", Errno::ADDRINUSE)?;
        self.net.bind(place)
    }

    fn pair_with(&mut self, peer: &Address, from: Option<IpAddr>) -> io::Result<N::Datagrams> {
        self.call("pair_with", Errno::ADDRNOTAVAIL)?;
        self.net.pair_with(peer, from)
    }

    fn watch_datagrams(&mut self, socket: &mut N::Datagrams, token: u64) -> io::Result<()> {
        self.call("watch_datagrams", Errno::NOSPC)?;
        self.net.watch_datagrams(socket, token)
    }

    fn datagrams_address(&self, socket: &N::Datagrams) -> io::Result<Address> {
        self.call("datagrams_address", Errno::NOBUFS)?;
        self.net.datagrams_address(socket)
    }

    fn receive(&mut self, socket: &mut N::Datagrams, batch: &mut Batch) -> io::Result<bool> {
        self.call("receive", Errno::NOMEM)?;
        self.net.receive(socket, batch)
    }

    fn send(&mut self, socket: &mut N::Datagrams, data: &[u8], parts: &[Part]) -> usize {
        match self.call("send", Errno::NOBUFS) {
            Ok(()) => self.net.send(socket, data, parts),
            Err(_) => 0,
        }
    }

    fn refusals(&mut self, socket: &mut N::Datagrams, refusals: &mut Vec<Refusal>) {
        self.net.refusals(socket, refusals);
    }

    fn set_datagrams(
        &mut self,
        socket: &mut N::Datagrams,
        option: &DatagramOption,
    ) -> io::Result<()> {
        self.call("set_datagrams", ErrorKind::InvalidInput)?;
        self.net.set_datagrams(socket, option)
    }

    fn join(&mut self, socket: &mut N::Datagrams, of: &Membership) -> io::Result<()> {
        self.call("join", Errno::NOBUFS)?;
        self.net.join(socket, of)
    }

    fn leave(&mut self, socket: &mut N::Datagrams, of: &Membership) -> io::Result<()> {
        self.call("leave", Errno::ADDRNOTAVAIL)?;
        self.net.leave(socket, of)
    }

    fn close_datagrams(&mut self, socket: N::Datagrams) {
        self.net.close_datagrams(socket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::sim::{Behind, SimNet};

    /// Connects, and listens; every call may fail.
    fn begin(net: &mut Faulty<SimNet>) -> io::Result<()> {
        let at = Address::Tcp(([192, 0, 2, 7], 80).into());
        net.net().stand(at.clone(), Behind::Open);
        let mut stream = net.connect(&at, None)?;
        net.connected(&mut stream)?;
        net.close(stream);
        let listener = net.listen(&at, 5, None)?;
        net.listener_address(&listener)?;
        net.close_listener(listener);
        Ok(())
    }

    /// Accepts a connection, reads and answers; every call may fail.
    fn session(net: &mut Faulty<SimNet>) -> io::Result<()> {
        begin(net)?;
        let mut listener = net.net().listener();
        net.watch_listener(&mut listener, 1)?;
        let index = listener.index();
        net.net().connect(index);
        while net.net().open_streams() == 0 {
            net.poll(None, &mut Vec::new())?;
            match net.accept(&mut listener) {
                Ok((mut stream, _)) => {
                    net.watch(&mut stream, 2)?;
                    net.write(&mut stream, &[IoSlice::new(b"hello")], false)?;
                    net.shutdown_write(&mut stream)?;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    #[test]
    fn each_call_fails_once_and_then_the_loop_ends() {
        let mut failed = Vec::new();
        for n in 1.. {
            let mut net = Faulty::new(SimNet::new(7));
            net.fail_at(n);
            if session(&mut net).is_ok() {
                assert!(net.calls() < n && net.what_failed().is_none());
                break;
            }
            assert_eq!(net.calls(), n);
            failed.push(net.what_failed().expect("a call has failed"));
        }
        let begun = ["connect", "connected", "listen", "listener_address", "watch_listener"];
        let served = ["poll", "accept", "watch", "write", "shutdown_write"];
        for call in begun.into_iter().chain(served) {
            assert!(failed.contains(&call), "{call} is not in {failed:?}");
        }
    }
}
