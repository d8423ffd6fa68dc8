//! What the configuration says of paths and names, seen from outside.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use super::super::trial;
use super::client::Answer;
use super::{Site, large};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("http::a_file_is_sent_as_it_lies_beside_its_original", precompressed),
        trial("http::several_ranges_are_sent_in_one_answer", several_ranges),
        trial("http::hosts_have_roots_and_rules_of_their_own", hosts),
    ]
}

fn ask(site: &Site, target: &str, fields: &str) -> Result<Answer> {
    site.ask(format!("GET {target} HTTP/1.1\r\n{fields}\r\n"))
}

fn precompressed() -> Result<()> {
    let site = Site::new("precompressed = [\"br\", \"gzip\"]", "")?;
    // Larger than what the host hands over with the handle.
    let original = "let a = 1;\n".repeat(5000);
    fs::write(site.root().join("app.js"), &original)?;
    fs::write(site.root().join("app.js.gz"), "stands for gzip")?;
    let fields = "Host: a\r\nAccept-Encoding: gzip, deflate, br\r\n";
    for _ in 0..2 {
        let answer = ask(&site, "/app.js", fields)?.expect(200, false)?;
        ensure!(answer.body == b"stands for gzip", "{}", answer.head);
        for (name, value) in [
            ("content-encoding", "gzip"),
            ("vary", "Accept-Encoding"),
            ("content-type", "text/javascript; charset=utf-8"),
        ] {
            ensure!(answer.field(name) == Some(value), "{name}:\n{}", answer.head);
        }
    }
    let plain = ask(&site, "/app.js", "Host: a\r\n")?.expect(200, false)?;
    ensure!(plain.body == original.as_bytes(), "{}", plain.head);
    // What has become older than its original is not sent any more.
    fs::write(site.root().join("app.js"), "let a = 2;\n")?;
    thread::sleep(Duration::from_millis(2100));
    let answer = ask(&site, "/app.js", fields)?.expect(200, false)?;
    ensure!(answer.body == b"let a = 2;\n", "{}", answer.head);
    Ok(())
}

fn several_ranges() -> Result<()> {
    let site = Site::new("", "")?;
    let fields = "Host: a\r\nRange: bytes=0-9, 1000000-2000000, -5\r\n";
    let answer = ask(&site, "/large.bin", fields)?.expect(206, false)?;
    let kind = answer.field("content-type").context("it has no type")?;
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").context("another type")?;
    let (large, mut want) = (large(), Vec::new());
    let last = large.len();
    for (place, part) in [(0, 0..10), (1, 1_000_000..2_000_001), (2, last - 5..last)] {
        let lead = if place == 0 { "" } else { "\r\n" };
        let (from, to) = (part.start, part.end - 1);
        let head = format!(
            "{lead}--{boundary}\r\nContent-Type: application/octet-stream\r\n\
             Content-Range: bytes {from}-{to}/{last}\r\n\r\n"
        );
        want.extend_from_slice(head.as_bytes());
        want.extend_from_slice(&large[part]);
    }
    want.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    ensure!(answer.body == want, "{} bytes:\n{}", answer.body.len(), answer.head);
    Ok(())
}

fn hosts() -> Result<()> {
    let rules = "error-pages = { 404 = \"lost.html\" }, \
         cache-control = [{ path = \"/**\", value = \"max-age=60\" }], \
         hosts = { \"a.test\" = { root = \"folder/deep\" }, \"b.test\" = {}, \
         \"*.a.test\" = { redirects = [{ from = \"/**\", to = \"//a.test/{rest}\", status = 308 }] } }";
    let site = Site::new(rules, "")?;
    fs::write(site.root().join("lost.html"), "<p>lost</p>")?;
    let deep = ask(&site, "/", "Host: A.test:80\r\n")?.expect(200, false)?;
    ensure!(deep.body == b"<p>deep</p>", "{}", deep.head);
    ensure!(deep.field("cache-control") == Some("max-age=60"), "{}", deep.head);
    let lost = ask(&site, "/none", "Host: b.test\r\n")?.expect(404, false)?;
    ensure!(lost.body == b"<p>lost</p>" && lost.field("cache-control").is_none(), "{}", lost.head);
    let moved = ask(&site, "/x?y", "Host: www.a.test\r\n")?.expect(308, false)?;
    ensure!(moved.field("location") == Some("//a.test/x?y"), "{}", moved.head);
    ask(&site, "/", "Host: c.test\r\n")?.expect(421, false)?;
    Ok(())
}
