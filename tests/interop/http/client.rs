//! The least client that takes an answer apart.

use std::io::Read;

use anyhow::{Context, Result, bail, ensure};

/// An answer.
#[derive(Debug)]
pub(in super::super) struct Answer {
    pub(in super::super) status: u16,
    /// Status line and fields, as they came.
    pub(in super::super) head: String,
    pub(in super::super) body: Vec<u8>,
}

impl Answer {
    /// Reads one answer to a request that was not HEAD, and no more.
    pub(in super::super) fn read(from: &mut impl Read) -> Result<Self> {
        let mut answer = Self::read_head(from)?;
        let length = answer.field("content-length").map(str::parse).transpose()?.unwrap_or(0);
        answer.body = vec![0; length];
        from.read_exact(&mut answer.body).context("the body of the answer")?;
        Ok(answer)
    }

    /// Reads an answer without a body.
    pub(in super::super) fn read_head(from: &mut impl Read) -> Result<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if from.read(&mut byte).context("the head of the answer")? == 0 {
                bail!("the connection ended in the head: {:?}", head.escape_ascii().to_string());
            }
            head.push(byte[0]);
            ensure!(head.len() < 1 << 16, "the head has no end");
        }
        let head = String::from_utf8(head)?;
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        let status = status.with_context(|| format!("{head:?} is no answer"))?.parse()?;
        Ok(Self { status, head, body: Vec::new() })
    }

    /// The only value of a field.
    pub(in super::super) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.head.lines().skip(1).filter_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        });
        let value = values.next()?;
        assert_eq!(values.next(), None, "{name} is there twice:\n{}", self.head);
        Some(value)
    }

    /// The answer has this status, and says that nothing follows if `closes`.
    pub(in super::super) fn expect(self, status: u16, closes: bool) -> Result<Self> {
        let says = self.field("connection").is_some_and(|value| value.contains("close"));
        ensure!(self.status == status, "not {status}, but:\n{}", self.head);
        ensure!(says == closes, "it says that the connection ends: {says}\n{}", self.head);
        Ok(self)
    }
}

/// The connection has nothing more to give.
pub(in super::super) fn is_over(from: &mut impl Read) -> Result<()> {
    let mut rest = Vec::new();
    from.read_to_end(&mut rest).context("the end of the connection")?;
    ensure!(rest.is_empty(), "more was answered: {}", rest.escape_ascii());
    Ok(())
}
