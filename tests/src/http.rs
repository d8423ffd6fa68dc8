//! One HTTP/1.1 request and its answer: enough to know that a server serves what it should.

use std::io::{Read, Write};

use anyhow::{Context, Result, anyhow, bail, ensure};

/// The longest head of an answer, in bytes.
const HEAD_MAX: usize = 8 * 1024;
/// The longest body of an answer, in bytes.
const BODY_MAX: usize = 4 * 1024 * 1024;

/// What came back.
pub struct Answer {
    /// Whether the connection stays open for a next request.
    pub keeps_alive: bool,
    /// What the path stands for.
    pub body: Vec<u8>,
}

/// Asks for a path. Anything but a 200 with a `Content-Length` is an error.
pub fn ask(stream: &mut (impl Read + Write), path: &str) -> Result<Answer> {
    ask_with(stream, path, "")
}

/// The same, on a connection that is for this one request.
pub fn ask_once(stream: &mut (impl Read + Write), path: &str) -> Result<Answer> {
    ask_with(stream, path, "Connection: close\r\n")
}

fn ask_with(stream: &mut (impl Read + Write), path: &str, fields: &str) -> Result<Answer> {
    let question = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}\r\n");
    stream.write_all(question.as_bytes())?;
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
            break end;
        }
        ensure!(bytes.len() < HEAD_MAX, "the answer's head is longer than {HEAD_MAX} bytes");
        receive(stream, &mut bytes)?;
    };
    let mut body = bytes.split_off(end + 4);
    let head = String::from_utf8(bytes).context("the answer's head")?.to_ascii_lowercase();
    ensure!(head.starts_with("http/1.1 200 "), "{path} was answered with {head}");
    let length: usize = field(&head, "content-length")
        .ok_or_else(|| anyhow!("an answer without Content-Length: {head}"))?
        .parse()?;
    ensure!(length <= BODY_MAX, "an answer of {length} bytes");
    while body.len() < length {
        receive(stream, &mut body)?;
    }
    ensure!(body.len() == length, "{} bytes behind the answer", body.len() - length);
    Ok(Answer { keeps_alive: field(&head, "connection") != Some("close"), body })
}

fn receive(stream: &mut impl Read, bytes: &mut Vec<u8>) -> Result<()> {
    let mut chunk = [0; 16 * 1024];
    match stream.read(&mut chunk).context("no answer")? {
        0 => bail!("the answer ends after {} bytes", bytes.len()),
        read => bytes.extend_from_slice(&chunk[..read]),
    }
    Ok(())
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
}
