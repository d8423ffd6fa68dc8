//! What a reactor may rely on, and what a test may.

use std::io::{self, ErrorKind, IoSlice, Write};
use std::time::Duration;

use super::*;
use crate::net::Net;

/// No cuts, no delays, nothing spurious.
pub(crate) const CALM: Conditions = Conditions {
    cut: 0,
    delay: Duration::ZERO,
    doubled: 0,
    lost: 0,
    spurious: 0,
    refusals: 0,
    window: 64 * 1024,
};

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// A network with one accepted connection, watched as 2.
pub(crate) fn pair(seed: u64, conditions: Conditions) -> (SimNet, Far, SimStream) {
    let mut net = SimNet::with(seed, conditions);
    let mut listener = net.listener();
    net.watch_listener(&mut listener, 1).unwrap();
    let far = net.connect(0);
    let mut stream = loop {
        turn(&mut net);
        match net.accept(&mut listener) {
            Ok((stream, peer)) => {
                assert_eq!(peer, SimNet::far_address(far));
                break stream;
            }
            Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock),
        }
    };
    net.watch(&mut stream, 2).unwrap();
    (net, far, stream)
}

pub(super) fn turn(net: &mut SimNet) -> Vec<Ready> {
    let mut ready = Vec::new();
    net.poll(None, &mut ready).unwrap();
    ready
}

/// Lets all arrive; what is reported meanwhile is lost.
pub(super) fn settle(net: &mut SimNet) {
    while !net.idle() {
        turn(net);
    }
}

pub(super) fn write(net: &mut SimNet, stream: &mut SimStream, data: &[u8]) -> io::Result<usize> {
    net.write(stream, &[IoSlice::new(data)], false)
}

pub(super) fn read(net: &mut SimNet, stream: &mut SimStream, most: usize) -> io::Result<Vec<u8>> {
    let mut into = vec![0; most];
    net.read(stream, &mut into).map(|length| into[..length].to_vec())
}

pub(super) fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

/// Echoes by edges alone, with the reactor's rules.
struct Echo {
    stream: Option<SimStream>,
    queue: Vec<u8>,
    ended: bool,
}

impl Echo {
    fn run(&mut self, net: &mut SimNet) {
        while !net.idle() {
            for event in turn(net) {
                if event.readable && event.token == 2 {
                    self.pull(net, event.read_closed);
                }
                self.push(net);
                if self.ended && self.queue.is_empty() {
                    self.stream.take().into_iter().for_each(|stream| net.close(stream));
                }
            }
        }
    }

    /// Reads until `WouldBlock`, the end, or a short read that isn't followed by the end.
    fn pull(&mut self, net: &mut SimNet, read_closed: bool) {
        let Some(stream) = &mut self.stream else { return };
        loop {
            match read(net, stream, 1000) {
                Ok(data) => {
                    self.queue.extend(&data);
                    self.ended |= data.is_empty();
                    if self.ended || (data.len() < 1000 && !read_closed) {
                        return;
                    }
                }
                Err(e) => return assert_eq!(e.kind(), ErrorKind::WouldBlock),
            }
        }
    }

    /// Writes until `WouldBlock` or a short write.
    fn push(&mut self, net: &mut SimNet) {
        let Some(stream) = self.stream.as_mut().filter(|_| !self.queue.is_empty()) else { return };
        match write(net, stream, &self.queue) {
            Ok(length) => drop(self.queue.drain(..length)),
            Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock),
        }
    }
}

/// Sends `data` to an echo, and says what came back, and the trace.
fn echo(seed: u64, conditions: Conditions, data: &[u8]) -> (Vec<u8>, u64) {
    let (mut net, far, stream) = pair(seed, conditions);
    let mut echo = Echo { stream: Some(stream), queue: Vec::new(), ended: false };
    for (number, part) in data.chunks(data.len().div_ceil(5)).enumerate() {
        net.send(far, part);
        net.set_reading(far, number % 2 == 0);
        echo.run(&mut net);
    }
    net.shut_down(far);
    net.set_reading(far, true);
    echo.run(&mut net);
    assert!(echo.stream.is_none(), "seed {seed}");
    assert!(net.far_saw_end(far) && !net.far_saw_reset(far), "seed {seed}");
    assert_eq!(net.written(far), data.len() as u64);
    (net.received(far), net.trace())
}

#[test]
fn edges_alone_carry_every_byte_whatever_the_seed() {
    let data = (0..150_000u32).map(|n| (n * 7 % 251) as u8).collect::<Vec<_>>();
    for seed in 0..100 {
        let window = [64 * 1024, 100, 1][seed as usize % 3];
        let data = &data[..data.len().min(window * 3)];
        let conditions = Conditions { window, ..Conditions::default() };
        assert!(echo(seed, conditions, data).0 == data, "seed {seed}");
    }
}

#[test]
fn a_seed_gives_one_trace() {
    let data = [b'x'; 5000];
    let trace = |seed| echo(seed, Conditions::default(), &data).1;
    assert_eq!(trace(3), trace(3));
    assert_ne!(trace(3), trace(4));
}

#[test]
fn an_edge_comes_once_for_each_change() {
    let (mut net, far, mut stream) = pair(1, CALM);
    let writable = Ready { token: 2, writable: true, ..Ready::default() };
    assert_eq!(turn(&mut net), [writable], "at the start");
    assert_eq!(turn(&mut net), []);
    net.send(far, b"abc");
    let readable = Ready { readable: true, ..writable };
    assert_eq!(turn(&mut net), [readable]);
    assert_eq!(turn(&mut net), [], "nobody has read, and nothing is new");
    net.send(far, b"d");
    assert_eq!(turn(&mut net), [readable]);
    assert_eq!(read(&mut net, &mut stream, 9).unwrap(), b"abcd");
    assert_eq!(kind(read(&mut net, &mut stream, 9)), ErrorKind::WouldBlock);
    net.shut_down(far);
    assert_eq!(turn(&mut net), [Ready { read_closed: true, ..readable }]);
    assert_eq!(read(&mut net, &mut stream, 9).unwrap(), b"");
}

#[test]
fn a_read_that_was_cut_short_gets_another_edge() {
    let (mut net, far, mut stream) = pair(1, Conditions { cut: 255, ..CALM });
    net.send(far, &[b'x'; 100]);
    settle(&mut net);
    let mut rest = 100;
    loop {
        let length = read(&mut net, &mut stream, 100).unwrap().len();
        assert!((1..=rest).contains(&length));
        rest -= length;
        let edge = turn(&mut net).first().is_some_and(|ready| ready.readable);
        assert_eq!(edge, rest > 0);
        if rest == 0 {
            break;
        }
    }
}

#[test]
fn a_full_window_blocks_until_the_far_end_reads() {
    let (mut net, far, mut stream) = pair(1, Conditions { window: 10, ..CALM });
    net.set_reading(far, false);
    turn(&mut net);
    assert_eq!(write(&mut net, &mut stream, &[b'x'; 25]).unwrap(), 10);
    assert_eq!(kind(write(&mut net, &mut stream, b"y")), ErrorKind::WouldBlock);
    settle(&mut net);
    assert_eq!((turn(&mut net), net.received(far)), (vec![], vec![]));
    net.set_reading(far, true);
    assert!(turn(&mut net)[0].writable);
    assert_eq!(net.received(far), [b'x'; 10]);
    assert_eq!(write(&mut net, &mut stream, b"y").unwrap(), 1);
}

#[test]
fn a_near_end_that_does_not_read_slows_the_far_one_down() {
    let (mut net, far, mut stream) = pair(1, Conditions { window: 10, ..CALM });
    net.send(far, &[b'x'; 25]);
    settle(&mut net);
    assert_eq!(net.unsent(far), 15);
    assert_eq!(read(&mut net, &mut stream, 99).unwrap().len(), 10);
    settle(&mut net);
    assert_eq!(net.unsent(far), 5);
}

#[test]
fn the_clock_moves_to_the_next_arrival_or_the_timeout() {
    let (mut net, far, _stream) = pair(5, Conditions { delay: SECOND, ..CALM });
    settle(&mut net);
    let (before, wall) = (net.now(), net.wall());
    net.poll(Some(SECOND), &mut Vec::new()).unwrap();
    assert_eq!(net.now() - before, SECOND);
    assert_eq!(net.wall().duration_since(wall).unwrap(), SECOND);
    net.send(far, b"x");
    let mut ready = Vec::new();
    net.poll(Some(SECOND * 100), &mut ready).unwrap();
    assert!(ready[0].readable && net.now() - before < SECOND * 2);
    let before = net.now();
    net.poll(None, &mut ready).unwrap();
    assert_eq!(net.now(), before, "nothing will ever come");
}

#[test]
fn a_wake_ends_a_poll_early() {
    let (mut net, _, _stream) = pair(5, CALM);
    settle(&mut net);
    net.waker().wake();
    assert!(!net.idle());
    let before = net.elapsed();
    net.poll(Some(SECOND), &mut Vec::new()).unwrap();
    assert!(net.idle() && net.elapsed() - before < SECOND / 10);
}

#[test]
fn a_reset_fails_once_and_then_all_is_over() {
    let (mut net, far, mut stream) = pair(1, CALM);
    turn(&mut net);
    net.reset(far);
    let all = Ready { token: 2, readable: true, writable: true, read_closed: true, failed: true };
    assert_eq!(turn(&mut net), [all]);
    assert_eq!(net.take_error(&mut stream).unwrap().map(|e| e.kind()), Some(ConnectionReset));
    assert!(net.take_error(&mut stream).unwrap().is_none());
    assert_eq!(read(&mut net, &mut stream, 9).unwrap(), b"");
    assert_eq!(kind(write(&mut net, &mut stream, b"x")), BrokenPipe);
    assert_eq!(kind(net.shutdown_write(&mut stream)), ErrorKind::NotConnected);
    net.close(stream);
    assert!(net.open_streams() == 0 && !net.far_saw_end(far));
}

#[test]
fn writing_to_one_who_has_hung_up_brings_a_reset() {
    let (mut net, far, mut stream) = pair(1, CALM);
    net.send(far, b"bye");
    net.hang_up(far);
    settle(&mut net);
    assert_eq!(read(&mut net, &mut stream, 3).unwrap(), b"bye");
    assert_eq!(read(&mut net, &mut stream, 3).unwrap(), b"");
    assert_eq!(write(&mut net, &mut stream, b"are you there?").unwrap(), 14);
    settle(&mut net);
    assert_eq!(kind(write(&mut net, &mut stream, b"?")), BrokenPipe);
    assert_eq!(net.received(far), b"");
}

/// Writes an answer while the far end still sends, and closes: in order, or all at once.
fn answer_and_close(seed: u64, linger: bool) -> bool {
    let (mut net, far, mut stream) = pair(seed, Conditions::default());
    net.send(far, b"a question");
    settle(&mut net);
    net.conditions().cut = 0;
    write(&mut net, &mut stream, b"the answer").unwrap();
    if linger {
        net.shutdown_write(&mut stream).unwrap();
        settle(&mut net);
        while read(&mut net, &mut stream, 99).is_ok() {}
    }
    net.close(stream);
    settle(&mut net);
    assert_eq!(net.far_saw_reset(far), !linger);
    net.received(far) == b"the answer"
}

#[test]
fn closing_with_input_unread_may_cost_the_last_answer() {
    assert!((0..50).all(|seed| answer_and_close(seed, true)));
    let kept = (0..50).filter(|seed| answer_and_close(*seed, false)).count();
    assert!((1..50).contains(&kept), "{kept} of 50 answers survived the reset");
}

#[test]
fn input_for_a_closed_stream_is_answered_by_a_reset() {
    let (mut net, far, stream) = pair(1, CALM);
    net.close(stream);
    settle(&mut net);
    assert!(net.far_saw_end(far) && !net.far_saw_reset(far));
    net.send(far, b"too late");
    settle(&mut net);
    assert!(net.far_saw_reset(far));
}

#[test]
fn the_near_end_resets() {
    let (mut net, far, stream) = pair(1, CALM);
    Net::reset(&mut net, stream);
    settle(&mut net);
    assert!(net.far_saw_reset(far) && !net.far_saw_end(far) && net.open_streams() == 0);
}

#[test]
fn refused_accepts_lose_the_connection_or_wait_without_an_edge() {
    let mut net = SimNet::with(2, Conditions { refusals: 128, ..CALM });
    let mut listener = net.listener();
    net.watch_listener(&mut listener, 1).unwrap();
    let fars = (0..50).map(|_| net.connect(0)).collect::<Vec<_>>();
    assert_eq!(turn(&mut net), [Ready { token: 1, readable: true, ..Ready::default() }]);
    let mut errors = 0;
    loop {
        match net.accept(&mut listener) {
            Ok((stream, _)) => net.close(stream),
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            Err(_) => errors += 1,
        }
        assert!(turn(&mut net).is_empty());
    }
    settle(&mut net);
    let count = |f: &dyn Fn(&Far) -> bool| fars.iter().filter(|far| f(far)).count();
    let (accepted, lost) =
        (count(&|far| net.accepted(*far)), count(&|far| net.far_saw_reset(*far)));
    assert!(accepted > 0 && lost > 0 && accepted + lost == 50 && errors > lost);
}

#[test]
fn a_closed_listener_resets_who_waits_and_who_comes() {
    let mut net = SimNet::with(2, CALM);
    let listener = net.listener();
    let waiting = net.connect(listener.index());
    settle(&mut net);
    net.close_listener(listener);
    let late = net.connect(0);
    settle(&mut net);
    assert!(net.far_saw_reset(waiting) && net.far_saw_reset(late) && net.open_listeners() == 0);
}

#[test]
fn edges_for_nothing_and_for_what_is_closed_happen() {
    let (mut net, _, stream) = pair(1, Conditions { spurious: 128, ..CALM });
    settle(&mut net);
    net.close(stream);
    settle(&mut net);
    assert!((0..50).any(|_| turn(&mut net).iter().any(|ready| ready.token == 2)));
}

#[test]
fn a_file_is_sent_up_to_its_end() {
    let path = std::env::temp_dir().join(format!("torsade-sim-{}", std::process::id()));
    let mut file = std::fs::File::options()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    file.write_all(b"0123456789").unwrap();
    let (mut net, far, mut stream) = pair(1, CALM);
    assert_eq!(net.send_file(&mut stream, &file, 2, 5).unwrap(), 5);
    assert_eq!(net.send_file(&mut stream, &file, 7, 5).unwrap(), 3);
    assert_eq!(net.send_file(&mut stream, &file, 10, 5).unwrap(), 0);
    settle(&mut net);
    assert_eq!(net.received(far), b"23456789");
}
