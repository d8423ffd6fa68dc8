//! Its jobs, good and bad.

use std::cell::Cell;
use std::hint::black_box;
use std::time::Duration;

use torsade_guest::jobs::{self, Jobs};
use torsade_guest::{Failure, clock, code, endpoints, random, timers};

/// The jobs.
pub(crate) struct Work;

thread_local! {
    /// How many jobs this instance has run.
    static RUN: Cell<usize> = const { Cell::new(0) };
}

impl Jobs for Work {
    fn run(config: &str, name: &str, input: Vec<u8>) -> Result<Vec<u8>, Failure> {
        RUN.set(RUN.get() + 1);
        match name {
            "ask" => Ok(asked().into_bytes()),
            "config" => Ok(config.as_bytes().to_vec()),
            "count" => Ok(RUN.get().to_string().into_bytes()),
            "double" => Ok([&input[..], &input].concat()),
            "facts" => Ok(facts().into_bytes()),
            "fail" => Err(Failure::new("out-of-paper", "the printer said so")),
            "fill" => Ok(vec![b'x'; number(&input)]),
            "hoard" => hoard(),
            "spin" => spin(),
            "trap" => panic!("the job was told to"),
            _ => Err(Failure::new(code::NOT_FOUND, format!("there is no job {name:?}"))),
        }
    }
}

/// The codes of what a job asks the host for.
fn asked() -> String {
    let codes = [
        timers::after(Duration::ZERO).err(),
        timers::call_later(Duration::ZERO, || {}).err(),
        endpoints::connect("tcp:127.0.0.1:1").err(),
        endpoints::listen("tcp:0").err(),
        jobs::run("double", b"").err(),
    ];
    codes.map(|failure| failure.map_or("asked".to_owned(), |f| f.code)).join(" ")
}

/// Whether what needs no grant works, and two random numbers.
fn facts() -> String {
    torsade_guest::info!("a line of the job's");
    let told = clock::monotonic() > Duration::ZERO && clock::now().seconds > 1_700_000_000;
    format!("{told} {} {}", random::number(), random::number())
}

fn number(input: &[u8]) -> usize {
    String::from_utf8_lossy(input).parse().expect("a number of bytes")
}

/// Takes more memory than there is.
fn hoard() -> ! {
    let mut all = Vec::new();
    loop {
        all.push(black_box(vec![1_u8; 1 << 20]));
    }
}

fn spin() -> ! {
    loop {
        black_box(());
    }
}
