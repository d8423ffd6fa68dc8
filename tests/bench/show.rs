//! Values in words, and targets: what a result is and when it is enough.

use crate::rows::{File, Kind, Row, Target, Unit};

impl Row {
    /// Ours and theirs; theirs on both sides to see the machine's noise.
    pub(crate) fn sides(&self, noise: bool) -> [Kind; 2] {
        match noise {
            true => [self.theirs; 2],
            false => [self.ours, self.theirs],
        }
    }
}

impl File {
    /// Where it is served.
    pub(crate) fn path(&self) -> String {
        format!("/{}", self.name)
    }

    /// What it holds: lines, so that a wrong range would show.
    pub(crate) fn content(&self) -> Vec<u8> {
        (0..self.size / 16).flat_map(|line| format!("line {line:10}\n").into_bytes()).collect()
    }
}

impl Unit {
    /// A value with its unit.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Bytes => format!("{} B", grouped(value)),
            Self::Megabytes(_) => format!("{} MB/s", grouped(value)),
            Self::Microseconds | Self::Slowest => format!("{value:.1} µs"),
            Self::Nanoseconds => format!("{} ns", grouped(value)),
            Self::Operations => format!("{}/s", grouped(value)),
        }
    }
}

impl Target {
    /// What the two sides come to.
    pub(crate) fn result(self, ours: f64, theirs: f64) -> f64 {
        match self {
            Self::Factor(_) | Self::Ratio(_) => ours / theirs,
            Self::Value(_) => ours,
            Self::Difference(_) => ours - theirs,
        }
    }

    /// Whether a result is enough.
    pub(crate) fn reached(self, result: f64) -> bool {
        match self {
            Self::Ratio(least) => result >= least,
            Self::Factor(most) | Self::Value(most) | Self::Difference(most) => result <= most,
        }
    }

    /// A result in words.
    pub(crate) fn show(self, unit: Unit, result: f64) -> String {
        match self {
            Self::Factor(_) | Self::Ratio(_) => format!("{result:.3} ×"),
            Self::Value(_) => unit.show(result),
            Self::Difference(_) => {
                let sign = if result > 0.0 { "+" } else { "" };
                format!("{sign}{}", unit.show(result))
            }
        }
    }

    /// What must be reached, in words.
    pub(crate) fn words(self, unit: Unit) -> String {
        match self {
            Self::Ratio(least) => format!("≥ {}", self.show(unit, least)),
            Self::Factor(most) | Self::Value(most) | Self::Difference(most) => {
                format!("≤ {}", self.show(unit, most))
            }
        }
    }
}

/// A whole number with commas.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 { "-" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
