//! The body of a request: its bytes without their framing (RFC 9112, sections 6 and 7).

use crate::request::{Framing, is_token};
use crate::status::Status;

/// Takes the framing off a body.
#[derive(Debug)]
pub enum Decoder {
    /// In chunks, each after its length.
    Chunked(Chunked),
    /// So many bytes are still to come.
    Sized(u64),
}

/// What a decoder found at the start of its input.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Some bytes of the body.
    Data(&'a [u8]),
    /// The body is complete. What is left of the input belongs to the next request.
    End,
    /// All input is taken, and the body is not complete.
    More,
}

impl Decoder {
    /// The decoder for a body that is framed this way; none where there is no body.
    pub fn new(framing: Framing) -> Option<Self> {
        match framing {
            Framing::Chunked => Some(Self::Chunked(Chunked::default())),
            Framing::None | Framing::Sized(0) => None,
            Framing::Sized(length) => Some(Self::Sized(length)),
        }
    }

    /// Takes the next piece off the input, for a body of at most `limit` bytes.
    ///
    /// Fails with the status to answer; nothing of the stream can be trusted then.
    pub fn next<'a>(&mut self, input: &mut &'a [u8], limit: u64) -> Result<Piece<'a>, Status> {
        match self {
            Self::Chunked(chunked) => chunked.next(input, limit),
            Self::Sized(0) => Ok(Piece::End),
            Self::Sized(_) if input.is_empty() => Ok(Piece::More),
            Self::Sized(left) => Ok(Piece::Data(take(input, left))),
        }
    }
}

/// Where a body in chunks has come to.
#[derive(Debug, Default)]
pub struct Chunked {
    state: State,
    /// Of the chunk's length while that is read, and of its data then.
    left: u64,
    /// Bytes of data so far.
    total: u64,
    /// Digits of the chunk's length so far.
    digits: u8,
    /// Bytes of extensions and trailers so far, in the whole body.
    extra: u16,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// The chunk's length: then `Extension` or `SizeEnd`.
    #[default]
    Size,
    /// What follows a length and nobody needs: then `SizeEnd`.
    Extension,
    /// The LF behind a length: then `Data`, or `TrailerStart` after the last chunk.
    SizeEnd,
    /// The chunk's data: then `DataCr`.
    Data,
    /// The CR behind the data: then `DataLf`.
    DataCr,
    /// The LF behind the data: then `Size`.
    DataLf,
    /// The start of a trailer field, or of the last line: then `TrailerName` or `LastLf`.
    TrailerStart,
    /// The name of a trailer field: then `TrailerValue`.
    TrailerName,
    /// Its value: then `TrailerLf`.
    TrailerValue,
    /// The LF behind a trailer field: then `TrailerStart`.
    TrailerLf,
    /// The last LF of all: then `End`.
    LastLf,
    /// Complete.
    End,
}

impl Chunked {
    fn next<'a>(&mut self, input: &mut &'a [u8], limit: u64) -> Result<Piece<'a>, Status> {
        loop {
            match self.state {
                State::End => return Ok(Piece::End),
                State::Data if !input.is_empty() => {
                    let data = take(input, &mut self.left);
                    if self.left == 0 {
                        self.state = State::DataCr;
                    }
                    return Ok(Piece::Data(data));
                }
                _ => {}
            }
            let Some((&byte, rest)) = input.split_first() else { return Ok(Piece::More) };
            *input = rest;
            self.state = self.step(byte, limit)?;
        }
    }

    /// Takes one byte of the framing, and says where that leads.
    fn step(&mut self, byte: u8, limit: u64) -> Result<State, Status> {
        match (self.state, byte) {
            (State::Size, b'\r') if self.digits > 0 => Ok(State::SizeEnd),
            (State::Size, b';') if self.digits > 0 => Ok(State::Extension),
            (State::Size, _) => self.digit(byte),
            (State::Extension, b'\r') => Ok(State::SizeEnd),
            (State::Extension, _) => self.spend(byte, State::Extension),
            (State::SizeEnd, b'\n') => self.sized(limit),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size),
            (State::TrailerStart, b'\r') => Ok(State::LastLf),
            (State::TrailerStart, _) if is_token(byte) => self.spend(byte, State::TrailerName),
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerName, _) if is_token(byte) => self.spend(byte, State::TrailerName),
            (State::TrailerValue, b'\r') => Ok(State::TrailerLf),
            (State::TrailerValue, _) => self.spend(byte, State::TrailerValue),
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            (State::LastLf, b'\n') => Ok(State::End),
            _ => Err(Status::BadRequest),
        }
    }

    fn digit(&mut self, byte: u8) -> Result<State, Status> {
        let digit = char::from(byte).to_digit(16).ok_or(Status::BadRequest)?;
        // Leading zeros count, so that a length has an end.
        if self.digits == MAX_SIZE_DIGITS {
            return Err(Status::BadRequest);
        }
        self.digits += 1;
        self.left = self.left << 4 | u64::from(digit);
        Ok(State::Size)
    }

    fn sized(&mut self, limit: u64) -> Result<State, Status> {
        self.digits = 0;
        self.total = self.total.saturating_add(self.left);
        if self.total > limit {
            return Err(Status::ContentTooLarge);
        }
        Ok(if self.left == 0 { State::TrailerStart } else { State::Data })
    }

    /// Accepts a byte that is read and forgotten.
    fn spend(&mut self, byte: u8, then: State) -> Result<State, Status> {
        if (byte < b' ' && byte != b'\t') || byte == 0x7f {
            return Err(Status::BadRequest);
        }
        self.extra += 1;
        if self.extra > MAX_EXTRA {
            return Err(Status::HeaderFieldsTooLarge);
        }
        Ok(then)
    }
}

fn take<'a>(input: &mut &'a [u8], left: &mut u64) -> &'a [u8] {
    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    let (data, rest) = input.split_at(length);
    *input = rest;
    *left -= length as u64;
    data
}

/// Digits of a chunk's length: as many as a `u64` has.
const MAX_SIZE_DIGITS: u8 = 16;

/// Bytes of chunk extensions and trailer fields in one body.
const MAX_EXTRA: u16 = 4096;

#[cfg(test)]
mod tests {
    use super::{Decoder, Piece};
    use crate::request::Framing;
    use crate::status::Status;

    /// Decodes in pieces of `step` bytes; gives the data and what was left of the input.
    fn decode(text: &str, step: usize) -> Result<(String, String), Status> {
        let mut decoder = Decoder::new(Framing::Chunked).expect("chunks are a body");
        let mut data = Vec::new();
        let mut rest = text.as_bytes();
        let mut piece: &[u8] = &[];
        loop {
            match decoder.next(&mut piece, 20)? {
                Piece::Data(bytes) => data.extend(bytes),
                Piece::End => {
                    let left = [piece, rest].concat();
                    return Ok((
                        String::from_utf8(data).unwrap(),
                        String::from_utf8(left).unwrap(),
                    ));
                }
                Piece::More if rest.is_empty() => return Err(Status::RequestTimeout),
                Piece::More => (piece, rest) = rest.split_at(step.min(rest.len())),
            }
        }
    }

    #[test]
    fn chunks_come_out_whole_however_they_are_cut() {
        for (text, data, left) in [
            ("0\r\n\r\n", "", ""),
            ("5\r\nhello\r\n0\r\n\r\nGET", "hello", "GET"),
            ("5\r\nhello\r\n00A\r\n0123456789\r\n0\r\n\r\n", "hello0123456789", ""),
            ("5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\nA: b\r\nC:\r\n\r\n", "hello", ""),
        ] {
            for step in 1..=text.len() {
                assert_eq!(decode(text, step), Ok((data.into(), left.into())), "{text:?} {step}");
            }
        }
    }

    #[test]
    fn chunks_that_can_be_read_two_ways_are_refused() {
        for text in [
            "\r\n",
            "+5\r\nhello\r\n",
            "-5\r\n",
            "0x5\r\nhello\r\n",
            " 5\r\nhello\r\n",
            "5 \r\nhello\r\n",
            "5\nhello\r\n",
            "5\r\nhello\n",
            "5\r\nhelloo\r\n",
            "5\r\nhell\r\n0",
            "5\r\rhello",
            "g\r\n",
            "5;a\nhello\r\n",
            "5;a\r\rhello",
            "00000000000000005\r\nhello",
            "10000000000000005\r\nhello",
            "0\r\n\n",
            "0\r\nA b: c\r\n\r\n",
            "0\r\n: b\r\n\r\n",
            "0\r\n A: b\r\n\r\n",
            "0\r\nA: \0\r\n\r\n",
            "0\r\nA\r\n\r\n",
            "5;\x01\r\n",
        ] {
            for step in 1..=text.len() {
                assert_eq!(decode(text, step), Err(Status::BadRequest), "{text:?} {step}");
            }
        }
    }

    #[test]
    fn bodies_and_what_surrounds_them_are_bounded() {
        assert_eq!(decode("15\r\n", 1), Err(Status::ContentTooLarge));
        assert_eq!(decode("ffffffffffffffff\r\n", 1), Err(Status::ContentTooLarge));
        let text = format!("a\r\n0123456789\r\n{}", "a\r\n0123456789\r\n".repeat(2));
        assert_eq!(decode(&text, 7), Err(Status::ContentTooLarge));
        let text = format!("5;{}\r\n", "x".repeat(5000));
        assert_eq!(decode(&text, 7), Err(Status::HeaderFieldsTooLarge));
        let text = format!("1;{}\r\nx\r\n", "x".repeat(500)).repeat(10);
        assert_eq!(decode(&text, 7), Err(Status::HeaderFieldsTooLarge));
    }
}
