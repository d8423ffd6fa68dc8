//! Several parts of one file in one answer: `multipart/byteranges` (RFC 9110, section 14.6).

use crate::range::Part;
use crate::response;

/// A part of a file, and what is to be written before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// A delimiter and the fields of the part.
    pub head: Vec<u8>,
    /// The part, whose bytes follow.
    pub part: Part,
}

/// The content of an answer that sends several parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multipart {
    /// The parts in their order.
    pub pieces: Vec<Piece>,
    /// What is to be written behind the last.
    pub end: Vec<u8>,
}

impl Multipart {
    /// These parts of a file of `size` bytes, whose field `Content-Type` is `kind`, with its line
    /// end. No line of the file may be the boundary.
    pub fn new(parts: &[Part], size: u64, kind: &[u8], boundary: &str) -> Self {
        let mut pieces: Vec<Piece> = Vec::with_capacity(parts.len());
        for &part in parts {
            let mut head = Vec::with_capacity(HEAD_CAPACITY);
            // The line end before a delimiter belongs to it.
            let lead = if pieces.is_empty() { "--" } else { "\r\n--" };
            for text in [lead.as_bytes(), boundary.as_bytes(), b"\r\n", kind] {
                head.extend_from_slice(text);
            }
            response::content_range(&mut head, Some((part.offset, part.length)), size);
            head.extend_from_slice(b"\r\n");
            pieces.push(Piece { head, part });
        }
        Self { pieces, end: format!("\r\n--{boundary}--\r\n").into_bytes() }
    }

    /// How many bytes it has, with all that is written between the parts.
    pub fn length(&self) -> u64 {
        let lengths = self.pieces.iter().map(|piece| piece.head.len() as u64 + piece.part.length);
        lengths.sum::<u64>() + self.end.len() as u64
    }
}

/// A boundary that whoever wrote the file could not have foreseen: it follows from what tells this
/// state of the file from others, and from the time of the answer in nanoseconds.
pub fn boundary(tag: &[u8], now: u64) -> String {
    // FNV-1a and the end of splitmix64, so that neighbours in time have nothing in common.
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let mut hash = tag.iter().chain(&now.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325, mix);
    hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    format!("torsade-{:016x}", hash ^ hash >> 31)
}

/// What the head of most parts needs, in bytes.
const HEAD_CAPACITY: usize = 160;

#[cfg(test)]
mod tests {
    use super::{Multipart, boundary};
    use crate::range::Part;

    #[test]
    fn parts_are_set_apart_as_the_rfc_shows() {
        let parts = [Part { offset: 0, length: 2 }, Part { offset: 7, length: 3 }];
        let content = Multipart::new(&parts, 10, b"Content-Type: text/plain\r\n", "SIGN");
        let mut text = Vec::new();
        for piece in &content.pieces {
            text.extend_from_slice(&piece.head);
            let start = piece.part.offset as usize;
            text.extend_from_slice(&b"0123456789"[start..start + piece.part.length as usize]);
        }
        text.extend_from_slice(&content.end);
        assert_eq!(
            String::from_utf8_lossy(&text).replace("\r\n", "\n"),
            "--SIGN\nContent-Type: text/plain\nContent-Range: bytes 0-1/10\n\n01\n\
             --SIGN\nContent-Type: text/plain\nContent-Range: bytes 7-9/10\n\n789\n\
             --SIGN--\n"
        );
        assert_eq!(content.length(), text.len() as u64);
    }

    #[test]
    fn boundaries_differ_by_file_and_by_time() {
        let names = [boundary(b"a", 1), boundary(b"b", 1), boundary(b"a", 2)];
        assert!(names[0] != names[1] && names[0] != names[2] && names[1] != names[2]);
        assert!(names.iter().all(|name| name.len() == 24), "{names:?}");
    }
}
