//! The kinds of limits: how each is written, read and shown.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::error::Mistake;
use super::super::field::Field;
use super::super::form::Form;
use super::super::{keys, units};

/// How a limit is written.
pub(super) trait Kind {
    /// What is read from it.
    type Value: Copy;

    fn read(field: &Field<'_>, range: RangeInclusive<Self::Value>) -> Result<Self::Value, Mistake>;

    /// In words, and for an editor.
    fn form(range: RangeInclusive<Self::Value>) -> Form;

    /// As the file may have it, without quotes.
    fn show(value: Self::Value) -> String;

    /// As the file may have it.
    fn toml(value: Self::Value) -> String {
        keys::quoted(&Self::show(value))
    }

    /// One that is within any range of a limit that there may not be.
    const EXAMPLE: &'static str;
}

/// Bytes: `"16MiB"`.
pub(super) enum Size {}

/// A number.
pub(super) enum Count {}

/// A time: `"50ms"`.
pub(super) enum Time {}

/// A part of a whole: `"50%"`.
pub(super) enum Part {}

impl Kind for Size {
    type Value = usize;

    fn read(field: &Field<'_>, range: RangeInclusive<usize>) -> Result<usize, Mistake> {
        field.size(range)
    }

    fn form(range: RangeInclusive<usize>) -> Form {
        Form::Size(range)
    }

    fn show(value: usize) -> String {
        units::show_size(value)
    }

    const EXAMPLE: &'static str = "\"1MiB\"";
}

impl Kind for Count {
    type Value = usize;

    fn read(field: &Field<'_>, range: RangeInclusive<usize>) -> Result<usize, Mistake> {
        field.count(range)
    }

    fn form(range: RangeInclusive<usize>) -> Form {
        Form::Count(range)
    }

    fn show(value: usize) -> String {
        value.to_string()
    }

    fn toml(value: usize) -> String {
        Self::show(value)
    }

    const EXAMPLE: &'static str = "20";
}

impl Kind for Time {
    type Value = Duration;

    fn read(field: &Field<'_>, range: RangeInclusive<Duration>) -> Result<Duration, Mistake> {
        field.time(range)
    }

    fn form(range: RangeInclusive<Duration>) -> Form {
        Form::Time(range)
    }

    fn show(value: Duration) -> String {
        units::show_time(value)
    }

    const EXAMPLE: &'static str = "\"2min\"";
}

impl Kind for Part {
    type Value = units::Share;

    fn read(
        field: &Field<'_>,
        range: RangeInclusive<units::Share>,
    ) -> Result<units::Share, Mistake> {
        field.share(range)
    }

    fn form(range: RangeInclusive<units::Share>) -> Form {
        Form::Part(range)
    }

    fn show(value: units::Share) -> String {
        value.to_string()
    }

    const EXAMPLE: &'static str = "\"50%\"";
}
