//! Ranges of bytes (RFC 9110, section 14).

/// What a `Range` field comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// The field is to be ignored: it is malformed, of another unit, or asks for several parts.
    All,
    /// `length` bytes from `offset`.
    Part {
        /// The place of the first byte.
        offset: u64,
        /// How many bytes, at least 1.
        length: u64,
    },
    /// No byte of the file is asked for.
    Unsatisfiable,
}

/// Reads the value of a `Range` field for a file of `size` bytes.
pub fn read(value: &[u8], size: u64) -> Range {
    let Some((unit, set)) = value.split_at_checked(b"bytes=".len()) else { return Range::All };
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return Range::All;
    }
    let set = set.trim_ascii();
    let Some(dash) = memchr::memchr(b'-', set) else { return Range::All };
    match (number(&set[..dash]), number(&set[dash + 1..])) {
        (Some(Some(first)), Some(last)) => part(first, last, size),
        (Some(None), Some(Some(0))) => Range::Unsatisfiable,
        // The last bytes of an empty file are all of it, and no range can say so.
        (Some(None), Some(Some(_))) if size == 0 => Range::All,
        (Some(None), Some(Some(suffix))) => {
            let length = suffix.min(size);
            Range::Part { offset: size - length, length }
        }
        _ => Range::All,
    }
}

fn part(first: u64, last: Option<u64>, size: u64) -> Range {
    if last.is_some_and(|last| last < first) {
        Range::All
    } else if first >= size {
        Range::Unsatisfiable
    } else {
        let last = last.unwrap_or(u64::MAX).min(size - 1);
        Range::Part { offset: first, length: last - first + 1 }
    }
}

/// A number, or nothing, or (as none) something else. What is too large becomes the largest.
fn number(text: &[u8]) -> Option<Option<u64>> {
    if text.is_empty() {
        return Some(None);
    }
    let digits = text.iter().map(|&byte| byte.is_ascii_digit().then(|| u64::from(byte - b'0')));
    digits
        .into_iter()
        .try_fold(0_u64, |sum, digit| Some(sum.saturating_mul(10).saturating_add(digit?)))
        .map(Some)
}

#[cfg(test)]
mod tests {
    use super::{Range, read};

    #[test]
    fn ranges() {
        let part = |offset, length| Range::Part { offset, length };
        for (value, size, want) in [
            ("bytes=0-0", 10, part(0, 1)),
            ("bytes=0-9", 10, part(0, 10)),
            ("bytes=0-99", 10, part(0, 10)),
            ("bytes=3-", 10, part(3, 7)),
            ("bytes=-3", 10, part(7, 3)),
            ("bytes=-99", 10, part(0, 10)),
            ("Bytes= 2-4 ", 10, part(2, 3)),
            ("bytes=0-99999999999999999999999", 10, part(0, 10)),
            ("bytes=10-", 10, Range::Unsatisfiable),
            ("bytes=10-20", 10, Range::Unsatisfiable),
            ("bytes=99999999999999999999999-", 10, Range::Unsatisfiable),
            ("bytes=0-0", 0, Range::Unsatisfiable),
            ("bytes=-0", 10, Range::Unsatisfiable),
            ("bytes=-5", 0, Range::All),
            ("bytes=5-2", 10, Range::All),
            ("bytes=0-1,4-5", 10, Range::All),
            ("bytes=-", 10, Range::All),
            ("bytes=", 10, Range::All),
            ("bytes=a-b", 10, Range::All),
            ("bytes=+1-2", 10, Range::All),
            ("bytes=1 - 2", 10, Range::All),
            ("bytes=1--2", 10, Range::All),
            ("lines=1-2", 10, Range::All),
            ("", 10, Range::All),
        ] {
            assert_eq!(read(value.as_bytes(), size), want, "{value} of {size}");
        }
    }
}
