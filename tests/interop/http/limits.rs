//! What is too large, too long or too slow, and what is not done at all.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use super::super::trial;
use super::Site;
use super::client::{Answer, is_over};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("http::each_limit_has_its_status", each_limit_has_its_status),
        trial("http::a_slow_request_gets_408", a_slow_request_gets_408),
        trial("http::a_slow_body_gets_408", a_slow_body_gets_408),
        trial("http::an_idle_connection_is_closed", an_idle_connection_is_closed),
        trial("http::a_client_may_send_so_many_requests", so_many_requests),
        trial("http::an_expectation_is_met_before_the_body", an_expectation_is_met),
    ]
}

/// Small limits, so that each is reached soon.
const SMALL: &str = "max-head = 1000, max-target = 200, max-headers = 10, max-body = 100";

fn each_limit_has_its_status() -> Result<()> {
    let site = Site::new(SMALL, "")?;
    let many = "A: b\r\n".repeat(10);
    let long = "a".repeat(1000);
    let path = "a".repeat(200);
    let host = "Host: a\r\n";
    for (status, closes, request) in [
        (200, false, format!("GET /ten.txt HTTP/1.1\r\n{host}\r\n")),
        (404, false, format!("GET /none HTTP/1.1\r\n{host}\r\n")),
        (405, false, format!("DELETE /ten.txt HTTP/1.1\r\n{host}\r\n")),
        (405, false, format!("POST /ten.txt HTTP/1.1\r\n{host}Content-Length: 1\r\n\r\na")),
        (413, true, format!("GET / HTTP/1.1\r\n{host}Content-Length: {}0\r\n\r\n", u64::MAX)),
        (413, true, format!("POST / HTTP/1.1\r\n{host}Content-Length: 101\r\n\r\n")),
        (413, true, format!("GET / HTTP/1.1\r\n{host}Content-Length: 101\r\n\r\n")),
        (
            413,
            true,
            format!("GET / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n65\r\n{long}"),
        ),
        (414, true, format!("GET /{path} HTTP/1.1\r\n{host}\r\n")),
        (414, true, format!("GET /{path}{long}")),
        (416, false, format!("GET /ten.txt HTTP/1.1\r\n{host}Range: bytes=10-\r\n\r\n")),
        (417, true, format!("GET /ten.txt HTTP/1.1\r\n{host}Expect: tea\r\n\r\n")),
        (431, true, format!("GET / HTTP/1.1\r\n{host}{many}\r\n")),
        (431, true, format!("GET / HTTP/1.1\r\n{host}A: {long}\r\n\r\n")),
        (431, true, format!("GET / HTTP/1.1\r\n{host}A: {long}{long}")),
        (501, true, format!("GET / HTTP/1.1\r\n{host}Transfer-Encoding: gzip, chunked\r\n\r\n")),
        (505, true, format!("GET / HTTP/2.0\r\n{host}\r\n")),
    ] {
        let start: String = request.chars().take(120).collect();
        let answer = site.ask(&request).with_context(|| start.clone())?;
        answer.expect(status, closes).with_context(|| start)?;
    }
    // A method that nobody knows.
    let answer = site.ask(format!("BREW / HTTP/1.1\r\n{host}\r\n"))?;
    ensure!([405, 501].contains(&answer.status), "{answer:?}");
    Ok(())
}

fn a_slow_request_gets_408() -> Result<()> {
    let site = Site::new("head-timeout = 1", "")?;
    let mut stream = site.connect()?;
    let started = Instant::now();
    let trickle = {
        let mut to = stream.try_clone()?;
        // A byte now and then doesn't buy it more time.
        let request = b"GET /ten.txt HTTP/1.1\r\nHost: a\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        thread::spawn(move || {
            for byte in request.chunks(1) {
                if to.write_all(byte).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(100));
            }
        })
    };
    Answer::read(&mut stream)?.expect(408, true)?;
    ensure!(started.elapsed() >= Duration::from_millis(900), "after {:?}", started.elapsed());
    ensure!(started.elapsed() < Duration::from_secs(5), "after {:?}", started.elapsed());
    is_over(&mut stream)?;
    trickle.join().expect("writing doesn't panic");
    Ok(())
}

fn a_slow_body_gets_408() -> Result<()> {
    let site = Site::new("body-timeout = 1", "")?;
    for framing in ["Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nab"] {
        let mut stream = site.connect()?;
        stream.write_all(format!("GET /ten.txt HTTP/1.1\r\nHost: a\r\n{framing}").as_bytes())?;
        Answer::read(&mut stream)?.expect(408, true).context(framing)?;
        is_over(&mut stream)?;
    }
    Ok(())
}

fn an_idle_connection_is_closed() -> Result<()> {
    let site = Site::new("keep-alive-timeout = 1", "")?;
    let mut silent = site.connect()?;
    let mut spoken = site.connect()?;
    for _ in 0..3 {
        // Each request begins the time anew.
        thread::sleep(Duration::from_millis(500));
        spoken.write_all(b"GET /ten.txt HTTP/1.1\r\nHost: a\r\n\r\n")?;
        Answer::read(&mut spoken)?.expect(200, false)?;
    }
    is_over(&mut silent).context("one that never asked")?;
    is_over(&mut spoken).context("one that asked")
}

fn so_many_requests() -> Result<()> {
    let site = Site::new("keep-alive-requests = 3", "")?;
    let mut stream = site.connect()?;
    stream.write_all("GET /ten.txt HTTP/1.1\r\nHost: a\r\n\r\n".repeat(5).as_bytes())?;
    for number in 1..=3 {
        Answer::read(&mut stream)?.expect(200, number == 3)?;
    }
    is_over(&mut stream)
}

fn an_expectation_is_met() -> Result<()> {
    let site = Site::new(SMALL, "")?;
    let head = |length: u32| {
        format!(
            "GET /ten.txt HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
             Content-Length: {length}\r\n\r\n"
        )
    };
    let mut stream = site.connect()?;
    stream.write_all(head(5).as_bytes())?;
    let goes_on = Answer::read_head(&mut stream)?;
    ensure!(goes_on.status == 100 && goes_on.head.ends_with("\r\n\r\n"), "{goes_on:?}");
    stream.write_all(b"hello")?;
    let answer = Answer::read(&mut stream)?.expect(200, false)?;
    ensure!(answer.body == b"0123456789", "{answer:?}");
    // A body that would be refused isn't asked for.
    stream.write_all(head(101).as_bytes())?;
    Answer::read(&mut stream)?.expect(413, true)?;
    is_over(&mut stream)
}
