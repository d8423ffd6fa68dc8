//! The row of timers: what one costs while so many others are pending.
//!
//! The plugin `tests/guests/timing` adds timers, moves and cancels them and lets them fire, in
//! bursts. What is counted is the CPU time of the whole server, by the kernel's finest count: so
//! it has the host's part and the plugin's, and other programs don't disturb it much.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::net::{AddressFamily, SocketAddrAny, SocketFlags, SocketType};
use rustix::net::{bind, getsockname, listen, socket_with};

use crate::arguments::Arguments;
use crate::load::dial;
use crate::peers::Peer;
use crate::rows::Row;
use crate::runs::{self, Pair, Sample};
use crate::table::median;
use crate::workplace::Workplace;

/// How many timers are pending.
const CURVE: [usize; 5] = [100, 1_000, 10_000, 100_000, 1_000_000];
/// With so many timers pending, connections to be are in flight too.
const WITH_DIALS: usize = 100_000;
/// How many.
const DIALS: [usize; 3] = [100, 1_000, 10_000];
/// Operations of one command: it is one event of the plugin, whose effects are limited.
const BURST: usize = 1_000;
/// How often all is done at one point, at least. With many timers pending it is done as often as
/// it takes to move each of them once, so that what the host does now and then to all of them is
/// counted, too.
const ROUNDS_MIN: usize = 20;
/// Connections to be are made in smaller bursts, since each is a socket.
const DIAL_BURST: usize = 100;
/// How long the worker may take to go to sleep after it has answered: then all is counted.
const SETTLE: Duration = Duration::from_micros(200);

/// The service's limits.
pub(crate) const LIMITS: &str = "deferreds = 2000000, handles = 2000000, memory = \"4GiB\", \
                                 outgoing = 20000, deadline = \"10s\"";
/// What the service may connect to.
pub(crate) const TARGETS: &str = "tcp:127.0.0.1:*";

/// What one of each costs, in nanoseconds.
struct Point {
    pending: usize,
    dials: usize,
    /// Adding a timer, moving one, cancelling one, and adding one that fires at once.
    timer: [f64; 4],
    /// A connection to be, begun and given up.
    dial: Option<f64>,
}

/// Measures the row and prints the curve.
pub(crate) fn measure(row: &Row, place: &Workplace, arguments: &Arguments) -> Result<Vec<Pair>> {
    let (mut pairs, mut curves) = (Vec::new(), Vec::new());
    for run in 1..=arguments.runs() {
        let curve = curve(&Peer::start(row.ours, place)?)
            .with_context(|| format!("{}, run {run}", row.name))?;
        let few = curve.first().map_or(f64::NAN, Point::sum);
        let many = if arguments.noise { few } else { curve.last().map_or(f64::NAN, Point::sum) };
        let pair = [many, few].map(|value| Sample { value, cost: None });
        runs::tell(row, run, arguments, &pair);
        pairs.push(pair);
        curves.push(curve);
    }
    print(&curves);
    Ok(pairs)
}

/// All points, in one server that never has fewer timers than before.
fn curve(peer: &Peer) -> Result<Vec<Point>> {
    let mut talk = Talk::begin(peer.port)?;
    let (mut points, mut there) = (Vec::new(), 0);
    for pending in CURVE {
        talk.repeat("add", pending - there, "")?;
        there = pending;
        points.push(point(&mut talk, peer, pending, 0)?);
        if pending == WITH_DIALS {
            with_dials(&mut talk, peer, pending, &mut points)?;
        }
    }
    Ok(points)
}

fn with_dials(talk: &mut Talk, peer: &Peer, pending: usize, points: &mut Vec<Point>) -> Result<()> {
    let silent = Silent::listen()?;
    let port = format!(" {}", silent.port);
    let mut there = 0;
    for dials in DIALS {
        talk.repeat("dial", dials - there, &port)?;
        there = dials;
        let mut point = point(talk, peer, pending, dials)?;
        let mut seconds = 0.0;
        for _ in 0..ROUNDS_MIN {
            seconds += talk.timed(peer, &format!("dial {DIAL_BURST}{port}"), &["ok"])?;
            seconds += talk.timed(peer, &format!("hang-up {DIAL_BURST}"), &["ok"])?;
        }
        point.dial = Some(seconds * 1e9 / (ROUNDS_MIN * DIAL_BURST) as f64);
        points.push(point);
    }
    talk.repeat("hang-up", there, "")
}

fn point(talk: &mut Talk, peer: &Peer, pending: usize, dials: usize) -> Result<Point> {
    let rounds = ROUNDS_MIN.max(pending / BURST);
    let mut seconds = [0.0; 4];
    for _ in 0..rounds {
        seconds[0] += talk.timed(peer, &format!("add {BURST}"), &["ok"])?;
        seconds[1] += talk.timed(peer, &format!("move {BURST}"), &["ok"])?;
        seconds[2] += talk.timed(peer, &format!("cancel {BURST}"), &["ok"])?;
        seconds[3] += talk.timed(peer, &format!("fire {BURST} 0"), &["ok", "fired"])?;
    }
    let timer = seconds.map(|all| all * 1e9 / (rounds * BURST) as f64);
    Ok(Point { pending, dials, timer, dial: None })
}

impl Point {
    /// One of each.
    fn sum(&self) -> f64 {
        self.timer.iter().sum()
    }
}

/// The medians of all runs.
fn print(curves: &[Vec<Point>]) {
    println!("the server's CPU time for one, in ns, with so many timers and connections to be:\n");
    println!("|    timers | to be |   add |  move | cancel | add and fire | connect and hang up |");
    println!("| --------- | ----- | ----- | ----- | ------ | ------------ | ------------------- |");
    for (nth, Point { pending, dials, .. }) in curves.first().into_iter().flatten().enumerate() {
        let all = || curves.iter().filter_map(|curve| curve.get(nth));
        let timer = |kind: usize| median(all().map(|point| point.timer[kind]));
        let [add, reset, cancel, fire] = [0, 1, 2, 3].map(timer);
        let dial = median(all().filter_map(|point| point.dial));
        let dial = if dial.is_nan() { String::new() } else { format!("{dial:.0}") };
        println!(
            "| {pending:9} | {dials:5} | {add:5.0} | {reset:5.0} | {cancel:6.0} | {fire:12.0} | {dial:>19} |"
        );
    }
    println!();
}

/// A connection to the plugin.
pub(crate) struct Talk {
    lines: BufReader<TcpStream>,
}

impl Talk {
    /// Connects, and sees whether the plugin answers.
    pub(crate) fn begin(port: u16) -> Result<Self> {
        let mut talk = Self { lines: BufReader::new(dial(port, 0)?) };
        talk.say("add 0", &["ok"])?;
        Ok(talk)
    }

    /// A command, and the answers that it must have.
    fn say(&mut self, command: &str, answers: &[&str]) -> Result<()> {
        writeln!(self.lines.get_mut(), "{command}")?;
        for wanted in answers {
            let mut line = String::new();
            self.lines.read_line(&mut line)?;
            ensure!(line.trim_end() == *wanted, "{command:?} was answered by {line:?}");
        }
        Ok(())
    }

    /// Says it in bursts, until it was done `count` times.
    fn repeat(&mut self, command: &str, count: usize, rest: &str) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let burst = left.min(BURST);
            self.say(&format!("{command} {burst}{rest}"), &["ok"])?;
            left -= burst;
        }
        Ok(())
    }

    /// Says it, and returns the seconds of CPU time that it has cost the server.
    fn timed(&mut self, peer: &Peer, command: &str, answers: &[&str]) -> Result<f64> {
        let before = cpu_seconds(peer)?;
        self.say(command, answers)?;
        sleep(SETTLE);
        Ok(cpu_seconds(peer)? - before)
    }
}

fn cpu_seconds(peer: &Peer) -> Result<f64> {
    Ok(peer.server.thread_seconds()?.iter().map(|(_, seconds)| seconds).sum())
}

/// A port whose backlog is full: the kernel drops who else wants to connect, and they go on
/// trying.
struct Silent {
    port: u16,
    _listener: OwnedFd,
    _queued: Vec<OwnedFd>,
}

impl Silent {
    fn listen() -> Result<Self> {
        let here = "127.0.0.1:0".parse::<std::net::SocketAddr>()?;
        let listener = socket(SocketFlags::CLOEXEC)?;
        bind(&listener, &here)?;
        listen(&listener, 0)?;
        let bound: SocketAddrAny = getsockname(&listener)?;
        let address = std::net::SocketAddr::try_from(bound)?;
        let mut queued = Vec::new();
        for _ in 0..FILL {
            let socket = socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
            // It is under way, or stays so: either is as good.
            let _ = rustix::net::connect(&socket, &address);
            queued.push(socket);
        }
        sleep(SETTLE);
        Ok(Self { port: address.port(), _listener: listener, _queued: queued })
    }
}

/// More than a backlog of 0 holds, which is one.
const FILL: usize = 4;

fn socket(flags: SocketFlags) -> Result<OwnedFd> {
    Ok(socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?)
}
