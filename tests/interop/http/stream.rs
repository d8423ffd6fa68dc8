//! Streams of requests that no well-behaved client sends, and some that few send.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use super::super::endpoints::connect_unix;
use super::super::trial;
use super::client::{Answer, is_over};
use super::{Site, large};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("http::pipelined_requests_are_answered_in_order", pipelined_requests),
        trial("http::requests_may_be_cut_anywhere", requests_may_be_cut_anywhere),
        trial("http::smuggling_is_refused_and_ends_the_connection", smuggling_is_refused),
        trial("http::bodies_are_read_to_their_end", bodies_are_read_to_their_end),
        trial("http::the_end_of_the_client_is_not_the_end_of_the_answer", half_closed),
        trial("http::requests_that_wait_when_the_host_stops_are_answered", waiting_when_stopping),
        trial("http::a_running_answer_is_finished_when_the_host_stops", finished_when_stopping),
    ]
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn pipelined_requests() -> Result<()> {
    let site = Site::new("", "")?;
    let mut stream = site.connect()?;
    let targets = ["/ten.txt", "/large.bin", "/none", "/empty", "/folder/deep/", "/folder"];
    let rounds = 20;
    let sender = {
        let requests: String = targets.map(get).concat().repeat(rounds);
        let mut to = stream.try_clone()?;
        thread::spawn(move || to.write_all(requests.as_bytes()))
    };
    for round in 0..rounds {
        for target in targets {
            let answer = Answer::read(&mut stream).with_context(|| format!("{round}: {target}"))?;
            let (status, body) = match target {
                "/ten.txt" => (200, b"0123456789".to_vec()),
                "/large.bin" => (200, large()),
                "/empty" => (200, Vec::new()),
                "/folder/deep/" => (200, b"<p>deep</p>".to_vec()),
                "/folder" => (301, answer.body.clone()),
                _ => (404, answer.body.clone()),
            };
            ensure!(answer.status == status && answer.body == body, "{target}: {}", answer.head);
        }
    }
    sender.join().expect("writing doesn't panic")?;
    stream.shutdown(Shutdown::Write)?;
    is_over(&mut stream)
}

fn requests_may_be_cut_anywhere() -> Result<()> {
    let site = Site::new("", "")?;
    let request = b"GET /ten.txt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                    3;x=y\r\nabc\r\n0\r\nTrailer: 1\r\n\r\n";
    let mut stream = site.connect()?;
    for size in [1, 2, 3, 7, 50] {
        for piece in request.chunks(size) {
            stream.write_all(piece)?;
            thread::sleep(Duration::from_millis(1));
        }
        let answer = Answer::read(&mut stream)?.expect(200, false)?;
        ensure!(answer.body == b"0123456789", "{answer:?}");
    }
    Ok(())
}

/// Heads that two parties may read differently.
const SMUGGLING: &[&str] = &[
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "Content-Length: 5\r\nContent-Length: 6\r\n",
    "Content-Length: 5, 6\r\n",
    "Content-Length: +5\r\n",
    "Content-Length: -5\r\n",
    "Content-Length: 0x5\r\n",
    "Content-Length: 5 5\r\n",
    "Content-Length: \r\n",
    "Content-Length : 5\r\n",
    "Content-Length\t: 5\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked, chunked\r\n",
    "Transfer-Encoding: \x0bchunked\r\n",
    "X: a\r\n b: c\r\n",
    "X: a\r\n\tb: c\r\n",
    " X: a\r\n",
    "X: a\nContent-Length: 5\r\n",
    "X: a\rContent-Length: 5\r\n",
    "X: a\0b\r\n",
    "X\r\n",
    ": a\r\n",
    "X y: a\r\n",
    "X: a\r\n\nContent-Length: 5\r\n",
    "Host: b\r\n",
];

/// Bodies in chunks that two parties may read differently.
const CHUNKS: &[&str] = &[
    "5\nhello\r\n0\r\n\r\n",
    "5\r\nhello\n0\r\n\r\n",
    "5\r\nhello0\r\n\r\n",
    "5\r\nhelloo\r\n0\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    "+5\r\nhello\r\n0\r\n\r\n",
    "-5\r\nhello\r\n0\r\n\r\n",
    " 5\r\nhello\r\n0\r\n\r\n",
    "\r\n5\r\nhello\r\n0\r\n\r\n",
    "g\r\nhello\r\n0\r\n\r\n",
    "ffffffffffffffff5\r\nhello\r\n0\r\n\r\n",
    "10000000000000005\r\nhello\r\n0\r\n\r\n",
    ";\r\nhello\r\n0\r\n\r\n",
    "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n",
    "5\r\r\nhello\r\n0\r\n\r\n",
    "0\n\r\n",
    "0\r\nX : a\r\n\r\n",
    "0\r\nX: a\n\r\n",
];

fn smuggling_is_refused() -> Result<()> {
    let site = Site::new("", "")?;
    let inner = get("/ten.txt");
    for fields in SMUGGLING {
        let head = format!("GET /empty HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        is_refused(&site, &format!("{head}0\r\n\r\n{inner}{inner}"))?;
    }
    for chunks in CHUNKS {
        let head = "GET /empty HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        is_refused(&site, &format!("{head}{chunks}{inner}{inner}"))?;
    }
    for head in [
        "GET /empty HTTP/1.1\r\n\r\n",
        "GET /empty HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET  /empty HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /empty  HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /empty HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET\t/empty HTTP/1.1\r\nHost: a\r\n\r\n",
        " GET /empty HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /empty HTTP/1.1\nHost: a\n\n",
        "GET /empty HTTP/1.1\r\nHost: a\n\r\n",
        "GET /empty HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET /empty http/1.1\r\nHost: a\r\n\r\n",
        "GET /em\0pty HTTP/1.1\r\nHost: a\r\n\r\n",
        "GE(T /empty HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /empty\r\n\r\n",
        "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03",
    ] {
        is_refused(&site, &format!("{head}{inner}{inner}"))?;
    }
    Ok(())
}

/// One answer comes, which is 400, and nothing after it.
fn is_refused(site: &Site, request: &str) -> Result<()> {
    let name = request.escape_debug().to_string();
    let mut stream = site.connect()?;
    stream.write_all(request.as_bytes())?;
    let answer = Answer::read(&mut stream).with_context(|| name.clone())?;
    answer.expect(400, true).with_context(|| name.clone())?;
    is_over(&mut stream).with_context(|| name)
}

fn bodies_are_read_to_their_end() -> Result<()> {
    let site = Site::new("", "")?;
    let mut stream = site.connect()?;
    // What looks like a request is a body, and the request behind it is one.
    let inner = get("/none");
    let length = inner.len();
    for (fields, body) in [
        (format!("Content-Length: {length}"), inner.clone()),
        (format!("Content-Length: {length}\r\nContent-Type: a/b"), inner.clone()),
        ("Transfer-Encoding: chunked".into(), format!("{length:X}\r\n{inner}\r\n0\r\n\r\n")),
        (
            "transfer-encoding: Chunked".into(),
            format!("{length:x};a\r\n{inner}\r\n000\r\nA: b\r\n\r\n"),
        ),
    ] {
        for (method, status) in [("GET", 200), ("POST", 405)] {
            let request =
                format!("{method} /ten.txt HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}");
            stream.write_all(request.as_bytes())?;
            let answer = Answer::read(&mut stream)?.expect(status, false)?;
            ensure!(status == 405 || answer.body == b"0123456789", "{answer:?}");
        }
    }
    stream.write_all(get("/ten.txt").as_bytes())?;
    Answer::read(&mut stream)?.expect(200, false)?;
    Ok(())
}

fn half_closed() -> Result<()> {
    let site = Site::new("", "")?;
    for target in ["/ten.txt", "/large.bin"] {
        let mut stream = site.connect()?;
        stream.write_all(get(target).repeat(2).as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        for _ in 0..2 {
            let answer = Answer::read(&mut stream)?;
            ensure!(answer.body == std::fs::read(site.root().join(&target[1..]))?, "{target}");
        }
        is_over(&mut stream)?;
    }
    Ok(())
}

/// Connections that nobody has accepted when the signal comes: they are answered, and not kept
/// for another request.
fn waiting_when_stopping() -> Result<()> {
    for instances in ["per-connection", "per-worker"] {
        let mut site = Site::new("", &format!("instances = \"{instances}\""))?;
        site.host.signal("STOP")?;
        let (mut tcp, mut unix) = (Vec::new(), Vec::new());
        for _ in 0..10 {
            tcp.push(site.connect()?);
            unix.push(connect_unix(&site.socket())?);
        }
        for (tcp, unix) in tcp.iter_mut().zip(&mut unix) {
            tcp.write_all(get("/ten.txt").as_bytes())?;
            unix.write_all(get("/ten.txt").as_bytes())?;
        }
        let asked = Instant::now();
        site.host.signal("TERM")?;
        site.host.signal("CONT")?;
        for (tcp, unix) in tcp.iter_mut().zip(&mut unix) {
            ensure!(Answer::read(tcp)?.body == b"0123456789", "{instances}, tcp");
            ensure!(Answer::read(unix)?.body == b"0123456789", "{instances}, unix");
            is_over(tcp)?;
            is_over(unix)?;
        }
        drop((tcp, unix));
        let status = site.host.wait()?;
        ensure!(status.code() == Some(0), "{status}: {}", site.host.log());
        ensure!(asked.elapsed() < Duration::from_secs(10), "{instances}: {:?}", asked.elapsed());
    }
    Ok(())
}

fn finished_when_stopping() -> Result<()> {
    let mut site = Site::new("", "")?;
    let large = large().repeat(20);
    std::fs::write(site.root().join("huge.bin"), &large)?;
    let mut idle = site.connect()?;
    idle.write_all(get("/ten.txt").as_bytes())?;
    Answer::read(&mut idle)?;
    let mut stream = site.connect()?;
    stream.write_all(get("/huge.bin").as_bytes())?;
    let mut head = Answer::read_head(&mut stream)?;
    ensure!(head.status == 200, "{head:?}");
    site.host.signal("TERM")?;
    super::super::stopping::refuses(site.host.address("site")?)?;
    // A connection that waits for its next request has nothing to finish.
    is_over(&mut idle).context("the idle connection")?;
    thread::sleep(Duration::from_millis(200));
    head.body = vec![0; large.len()];
    stream.read_exact(&mut head.body).context("the rest of the answer")?;
    ensure!(head.body == large, "other bytes came");
    is_over(&mut stream)?;
    let status = site.host.wait()?;
    ensure!(status.code() == Some(0), "{status}: {}", site.host.log());
    ensure!(!site.socket().exists(), "the Unix socket is left");
    Ok(())
}
