//! Sizes, times and shares as people write them: `16MiB`, `50ms`, `50%`.

use std::fmt;
use std::time::Duration;

const SIZES: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// In nanoseconds.
const TIMES: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// A part of a whole, in whole percent.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Share(u32);

/// The longest number that is read, in digits; longer ones would be rounded.
const DIGITS_MAX: usize = 15;

/// The units of sizes.
pub(super) fn sizes() -> impl Iterator<Item = &'static str> {
    SIZES.iter().map(|(unit, _)| *unit)
}

/// The units of times.
pub(super) fn times() -> impl Iterator<Item = &'static str> {
    TIMES.iter().map(|(unit, _)| *unit)
}

/// A size in bytes.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let bytes = quantity(text, &SIZES, "16MiB")?;
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// A time.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    quantity(text, &TIMES, "50ms").map(Duration::from_nanos)
}

/// A share.
pub(super) fn share(text: &str) -> Result<Share, String> {
    let percent = text
        .strip_suffix('%')
        .map(str::trim_end)
        .filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
    let wrong = || format!("{text:?} is not a whole number of percent; write \"50%\"");
    Ok(Share(percent.ok_or_else(wrong)?.parse().unwrap_or(u32::MAX)))
}

/// A size in the largest unit that holds it without a rest.
pub(crate) fn show_size(bytes: usize) -> String {
    show(bytes as u64, SIZES.get(..4).unwrap_or(&SIZES))
}

/// A time in the largest unit that holds it without a rest.
pub(super) fn show_time(time: Duration) -> String {
    match u64::try_from(time.as_nanos()) {
        Ok(0) => "0s".to_owned(),
        Ok(nanoseconds) => show(nanoseconds, &TIMES),
        Err(_) => format!("{}s", time.as_secs()),
    }
}

/// `units` in the order of their factors, of which the first is 1.
fn show(number: u64, units: &[(&str, u64)]) -> String {
    let whole = |(_, factor): &&(&str, u64)| *factor <= number && number.is_multiple_of(*factor);
    let (unit, factor) =
        units.iter().rev().find(whole).or(units.first()).copied().unwrap_or(("", 1));
    format!("{}{unit}", number / factor)
}

impl Share {
    /// So many hundredths.
    pub const fn percent(percent: u32) -> Self {
        Self(percent)
    }

    /// In hundredths.
    pub const fn as_percent(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

fn quantity(text: &str, units: &[(&str, u64)], example: &str) -> Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let unit = unit.trim();
    let number: f64 = Some(digits)
        .filter(|digits| digits.len() <= DIGITS_MAX)
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| format!("{text:?} doesn't begin with a number; write {example:?}"))?;
    let factor = units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let names = || units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    match factor {
        // A cast from a float saturates; what is too large is then out of every range.
        Some(factor) => Ok((number * factor as f64).round() as u64),
        None if unit.is_empty() => {
            Err(format!("{text:?} has no unit; write {example:?} (there are {})", names()))
        }
        None => Err(format!("{unit:?} is no unit; there are {}", names())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_quantities() {
        let mib = 1024 * 1024;
        for (text, want) in [
            ("0B", 0),
            ("16MiB", 16 * mib),
            ("16 MiB", 16 * mib),
            ("1.5MiB", 3 * mib / 2),
            ("64KiB", 65_536),
            ("4GiB", 4 << 30),
            ("10kB", 10_000),
        ] {
            assert_eq!(size(text), Ok(want), "{text}");
        }
        for (text, want) in [("50ms", 50), ("0.5s", 500), ("10s", 10_000), ("2min", 120_000)] {
            assert_eq!(time(text), Ok(Duration::from_millis(want)), "{text}");
        }
        assert_eq!(time("999999999999999h"), Ok(Duration::from_nanos(u64::MAX)));
    }

    #[test]
    fn bad_quantities() {
        for (text, want) in [
            ("", "doesn't begin with a number"),
            ("MiB", "doesn't begin with a number; write \"16MiB\""),
            ("-1MiB", "doesn't begin with a number"),
            ("1.2.3MiB", "doesn't begin with a number"),
            ("nanMiB", "doesn't begin with a number"),
            ("16", "has no unit; write \"16MiB\" (there are B, KiB, MiB,"),
            ("16M", "\"M\" is no unit; there are B, KiB"),
            ("16mib", "\"mib\" is no unit"),
            ("1e5MiB", "\"e5MiB\" is no unit"),
        ] {
            let problem = size(text).unwrap_err();
            assert!(problem.contains(want), "{text}: {problem}");
        }
    }

    #[test]
    fn shares_are_whole_percents() {
        for (text, want) in [("50%", 50), ("1 %", 1), ("0%", 0), ("100%", 100)] {
            assert_eq!(share(text), Ok(Share::percent(want)), "{text}");
        }
        assert_eq!(share("99999999999%").unwrap().as_percent(), u32::MAX);
        for text in ["", "%", "50", "0.5", "12.5%", "-1%", "+1%", "half", "5%%"] {
            let problem = share(text).unwrap_err();
            assert!(problem.ends_with("is not a whole number of percent; write \"50%\""), "{text}");
        }
    }

    #[test]
    fn what_is_shown_has_whole_units() {
        for (bytes, want) in
            [(0, "0B"), (1, "1B"), (1024, "1KiB"), (1025, "1025B"), (16 << 20, "16MiB")]
        {
            assert_eq!(show_size(bytes), want);
        }
        for (nanoseconds, want) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500_000_000, "1500ms"),
            (90_000_000_000, "90s"),
            (60_000_000_000, "1min"),
            (30 * 24 * 3_600_000_000_000, "720h"),
        ] {
            assert_eq!(show_time(Duration::from_nanos(nanoseconds)), want);
        }
        assert_eq!(show_time(Duration::MAX), format!("{}s", u64::MAX));
        assert_eq!(Share::percent(7).to_string(), "7%");
    }
}
