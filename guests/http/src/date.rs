//! Moments as HTTP writes them (RFC 9110, section 5.6.7), in seconds since 1970.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

/// A moment as `Sun, 06 Nov 1994 08:49:37 GMT`. Moments that HTTP can't write become the nearest
/// that it can.
pub fn format(seconds: i64) -> String {
    let seconds = u64::try_from(seconds).unwrap_or(0).min(LAST_SECOND);
    HttpDate::from(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

/// The moment that any of HTTP's three formats names; none where it is none of them.
pub fn parse(text: &[u8]) -> Option<i64> {
    let time: SystemTime = httpdate::parse_http_date(str::from_utf8(text).ok()?).ok()?;
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// The last second of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::{format, parse};

    #[test]
    fn formats_and_clamps() {
        assert_eq!(format(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(format(i64::MIN), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(format(i64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn reads_all_three_formats_and_nothing_else() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse(text.as_bytes()), Some(784_111_777), "{text}");
        }
        for text in ["", "yesterday", "Sun, 06 Nov 1994 08:49:37 CET", "\u{fffd}"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
