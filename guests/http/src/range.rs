//! Ranges of bytes (RFC 9110, section 14).

/// What a `Range` field comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Range {
    /// The field is to be ignored: it is malformed, of another unit, or asks for too many parts.
    All,
    /// A part of the file.
    Part(Part),
    /// Several parts that neither overlap nor touch each other, in the order in which they are to
    /// be sent; at least two, at most [`MAX_RANGES`].
    Parts(Vec<Part>),
    /// No byte of the file is asked for.
    Unsatisfiable,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The place of the first byte.
    pub offset: u64,
    /// How many bytes, at least 1.
    pub length: u64,
}

impl Part {
    /// The place behind the last byte. No file is so large that there is none.
    fn end(self) -> u64 {
        self.offset + self.length
    }

    fn touches(self, other: Self) -> bool {
        self.offset <= other.end() && other.offset <= self.end()
    }

    fn joined(self, other: Self) -> Self {
        let offset = self.offset.min(other.offset);
        Self { offset, length: self.end().max(other.end()) - offset }
    }
}

/// Reads the value of a `Range` field for a file of `size` bytes.
pub fn read(value: &[u8], size: u64) -> Range {
    let Some((unit, set)) = value.split_at_checked(b"bytes=".len()) else { return Range::All };
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return Range::All;
    }
    if memchr::memchr(b',', set).is_none() {
        return read_one(set.trim_ascii(), size);
    }
    let mut parts = Vec::new();
    let asked = set.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let mut count = 0;
    // Elements that are empty are nothing (section 5.6.1).
    for one in asked.filter(|one| !one.is_empty()) {
        count += 1;
        match read_one(one, size) {
            Range::Part(part) if count <= MAX_RANGES => add(&mut parts, part),
            Range::Unsatisfiable if count <= MAX_RANGES => {}
            _ => return Range::All,
        }
    }
    match parts[..] {
        [] if count == 0 => Range::All,
        [] => Range::Unsatisfiable,
        [part] => Range::Part(part),
        _ => Range::Parts(parts),
    }
}

/// Adds a part to others. It is joined with those that it touches, where the first of them stands,
/// so that no byte is sent twice (section 15.3.7.2).
fn add(parts: &mut Vec<Part>, mut part: Part) {
    let mut place = parts.len();
    while let Some(at) = parts.iter().position(|other| other.touches(part)) {
        part = part.joined(parts.remove(at));
        place = place.min(at);
    }
    parts.insert(place, part);
}

fn read_one(text: &[u8], size: u64) -> Range {
    let Some(dash) = memchr::memchr(b'-', text) else { return Range::All };
    match (number(&text[..dash]), number(&text[dash + 1..])) {
        (Some(Some(first)), Some(last)) => part(first, last, size),
        (Some(None), Some(Some(0))) => Range::Unsatisfiable,
        // The last bytes of an empty file are all of it, and no range can say so.
        (Some(None), Some(Some(_))) if size == 0 => Range::All,
        (Some(None), Some(Some(suffix))) => {
            let length = suffix.min(size);
            Range::Part(Part { offset: size - length, length })
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
        Range::Part(Part { offset: first, length: last - first + 1 })
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

/// How many ranges one request may ask for. Who asks for more is given the whole file (section
/// 14.2): each costs a head of its own.
pub const MAX_RANGES: usize = 16;

#[cfg(test)]
mod tests {
    use super::{MAX_RANGES, Part, Range, read};

    fn part(offset: u64, length: u64) -> Range {
        Range::Part(Part { offset, length })
    }

    #[test]
    fn ranges() {
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

    #[test]
    fn several_ranges_keep_their_order_and_are_joined_where_they_touch() {
        let parts = |parts: &[(u64, u64)]| {
            let part = |&(offset, length)| Part { offset, length };
            Range::Parts(parts.iter().map(part).collect())
        };
        for (value, size, want) in [
            ("bytes=0-1,4-5", 10, parts(&[(0, 2), (4, 2)])),
            ("bytes=-1,0-0", 10, parts(&[(9, 1), (0, 1)])),
            ("bytes= 0-0 ,\t4-4 , 8-", 10, parts(&[(0, 1), (4, 1), (8, 2)])),
            ("bytes=,0-0,,4-4,", 10, parts(&[(0, 1), (4, 1)])),
            // What can't be satisfied is left out where anything else can.
            ("bytes=0-0,20-30,4-4", 10, parts(&[(0, 1), (4, 1)])),
            ("bytes=20-30,4-4", 10, part(4, 1)),
            ("bytes=20-30,40-,-0", 10, Range::Unsatisfiable),
            // Overlapping, touching, and bridged by a later one.
            ("bytes=0-4,2-6", 10, part(0, 7)),
            ("bytes=0-4,5-6", 10, part(0, 7)),
            ("bytes=0-0,2-2,1-1", 10, part(0, 3)),
            ("bytes=8-9,0-0,4-4,1-3", 10, parts(&[(8, 2), (0, 5)])),
            ("bytes=5-5,0-9,-3", 10, part(0, 10)),
            ("bytes=0-,0-,0-,0-,0-", 10, part(0, 10)),
            // One mistake spoils all.
            ("bytes=0-1,x", 10, Range::All),
            ("bytes=0-1,5-4", 10, Range::All),
            ("bytes=0-1;4-5,7-8", 10, Range::All),
            ("bytes=,", 10, Range::All),
            ("bytes=0-1,-5", 0, Range::All),
        ] {
            assert_eq!(read(value.as_bytes(), size), want, "{value} of {size}");
        }
    }

    #[test]
    fn whoever_asks_for_too_many_gets_all() {
        let value = |count: usize| {
            let ranges: Vec<_> = (0..count).map(|at| format!("{0}-{0}", 2 * at)).collect();
            format!("bytes={}", ranges.join(","))
        };
        let most = read(value(MAX_RANGES).as_bytes(), 1000);
        assert!(matches!(most, Range::Parts(parts) if parts.len() == MAX_RANGES));
        assert_eq!(read(value(MAX_RANGES + 1).as_bytes(), 1000), Range::All);
        // Those that can't be satisfied count, too.
        let beyond = format!("bytes=0-0{}", ",2000-".repeat(MAX_RANGES));
        assert_eq!(read(beyond.as_bytes(), 1000), Range::All);
    }
}
