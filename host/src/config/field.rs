//! Tables and values of TOML with the places and the names that messages need.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Mistake, Mistakes};
use super::form::either;
use super::keys::{self, Key};
use super::kind;
use super::units::{self, Share};
use crate::suggest::nearest;

/// A table. It remembers which keys were asked for: those are the known ones.
pub(super) struct Section<'a> {
    path: String,
    span: Range<usize>,
    table: &'a DeTable<'a>,
    known: Vec<&'static str>,
    lines: &'a Lines,
}

/// A value and its full key.
#[derive(Clone)]
pub(super) struct Field<'a> {
    path: String,
    value: &'a Spanned<DeValue<'a>>,
    lines: &'a Lines,
}

/// Where the lines of the file end.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// On which line a byte of the file is, counted from 1.
    fn at(&self, byte: usize) -> usize {
        1 + self.0.partition_point(|end| *end < byte)
    }
}

impl<'a> Section<'a> {
    pub(super) fn root(table: &'a DeTable<'a>, lines: &'a Lines) -> Self {
        Self { path: String::new(), span: 0..0, table, known: Vec::new(), lines }
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// What the table has under a key of fixed name.
    pub(super) fn field(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.known.push(key);
        let (path, value) = (join(&self.path, key), self.table.get(key)?);
        Some(Field { path, value, lines: self.lines })
    }

    /// The same, for a key that must be there.
    pub(super) fn required(
        &mut self,
        key: &'static str,
        example: &str,
        mistakes: &mut Mistakes,
    ) -> Option<Field<'a>> {
        let field = self.field(key);
        if field.is_none() {
            mistakes.add(&self.path, self.span(), format!("{key} is missing; write {example}"));
        }
        field
    }

    /// All entries, for a table whose keys are free, in the order of the file.
    pub(super) fn entries(&self) -> Vec<(&'a Spanned<std::borrow::Cow<'a, str>>, Field<'a>)> {
        let field = |key: &str, value| {
            let path = join(&self.path, key);
            Field { path, value, lines: self.lines }
        };
        let entries = self.table.iter().map(|(key, value)| (key, field(key.get_ref(), value)));
        let mut entries: Vec<_> = entries.collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries
    }

    pub(super) fn time(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
        default: Duration,
        mistakes: &mut Mistakes,
    ) -> Duration {
        self.field(key).and_then(|field| mistakes.keep(field.time(range))).unwrap_or(default)
    }

    pub(super) fn optional_count(
        &mut self,
        key: &'static str,
        range: RangeInclusive<usize>,
        mistakes: &mut Mistakes,
    ) -> Option<usize> {
        self.field(key).and_then(|field| mistakes.keep(field.count(range)))
    }

    /// `true` or `false`; without the key `false`.
    pub(super) fn flag(&mut self, key: &'static str, mistakes: &mut Mistakes) -> bool {
        self.field(key).and_then(|field| mistakes.keep(field.boolean())).unwrap_or(false)
    }

    /// Writes down every key that was never asked for.
    pub(super) fn finish(self, mistakes: &mut Mistakes) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if !self.known.contains(&name) {
                let problem = unknown(&self.path, name, &self.known);
                mistakes.add(&self.path, key.span(), problem);
            }
        }
    }
}

impl<'a> Field<'a> {
    pub(super) fn mistake(&self, problem: impl Into<String>) -> Mistake {
        Mistake { at: self.value.span(), key: self.path.clone(), problem: problem.into() }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn value(&self) -> &'a Spanned<DeValue<'a>> {
        self.value
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.value.span()
    }

    /// The line of the file on which it begins, counted from 1.
    pub(super) fn line(&self) -> usize {
        self.lines.at(self.value.span().start)
    }

    /// The value below a table's key, if this is a table and has it.
    pub(super) fn below(&self, key: &str) -> Option<Self> {
        let value = self.value.get_ref().as_table()?.get(key)?;
        Some(Self { path: join(&self.path, key), value, lines: self.lines })
    }

    /// The value below a table's key, or at a place of a list, if this is such and has it.
    pub(super) fn inside(&self, step: &str) -> Option<Self> {
        let DeValue::Array(list) = self.value.get_ref() else { return self.below(step) };
        let value = list.get(step.parse::<usize>().ok()?)?;
        Some(Self { path: format!("{}[{step}]", self.path), value, lines: self.lines })
    }

    /// Where a table's key stands, if this is a table and has it.
    pub(super) fn key_span(&self, key: &str) -> Option<Range<usize>> {
        let mut keys = self.value.get_ref().as_table()?.keys();
        keys.find(|known| *known.get_ref() == key).map(Spanned::span)
    }

    pub(super) fn table(&self) -> Result<Section<'a>, Mistake> {
        self.table_as("a table")
    }

    /// `wanted` completes "must be …".
    pub(super) fn table_as(&self, wanted: &str) -> Result<Section<'a>, Mistake> {
        let table = self.value.get_ref().as_table().ok_or_else(|| self.wanted(wanted))?;
        let (path, span) = (self.path.clone(), self.value.span());
        Ok(Section { path, span, table, known: Vec::new(), lines: self.lines })
    }

    /// `wanted` completes "must be …".
    pub(super) fn string(&self, wanted: &str) -> Result<&'a str, Mistake> {
        self.value.get_ref().as_str().ok_or_else(|| self.wanted(wanted))
    }

    pub(super) fn list(&self, wanted: &str) -> Result<Vec<Field<'a>>, Mistake> {
        let list = self.value.get_ref().as_array().ok_or_else(|| self.wanted(wanted))?;
        let item = |value| Self { path: self.path.clone(), value, lines: self.lines };
        Ok(list.iter().map(item).collect())
    }

    /// What the word stands for that it is.
    pub(super) fn one_of<T: Copy>(&self, words: &[(&'static str, T)]) -> Result<T, Mistake> {
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let wanted = either(&names);
        let said = self.string(&wanted)?;
        let found = words.iter().find(|(name, _)| *name == said).map(|(_, meant)| *meant);
        found.ok_or_else(|| self.mistake(format!("must be {wanted}, not {said:?}")))
    }

    fn boolean(&self) -> Result<bool, Mistake> {
        self.value.get_ref().as_bool().ok_or_else(|| self.wanted("true or false"))
    }

    pub(super) fn count(&self, range: RangeInclusive<usize>) -> Result<usize, Mistake> {
        let (min, max) = (range.start(), range.end());
        let wanted = format!("a number from {min} to {max}");
        let number = self.value.get_ref().as_integer().ok_or_else(|| self.wanted(&wanted))?;
        usize::from_str_radix(number.as_str(), number.radix())
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| self.mistake(format!("must be {wanted}, not {number}")))
    }

    pub(super) fn size(&self, range: RangeInclusive<usize>) -> Result<usize, Mistake> {
        let text = self.string("a size such as \"16MiB\"")?;
        let size = units::size(text).map_err(|problem| self.mistake(problem))?;
        self.within(text, size, &range, units::show_size)
    }

    pub(super) fn time(&self, range: RangeInclusive<Duration>) -> Result<Duration, Mistake> {
        let text = self.string("a time such as \"50ms\" or \"10s\"")?;
        let time = units::time(text).map_err(|problem| self.mistake(problem))?;
        self.within(text, time, &range, units::show_time)
    }

    pub(super) fn share(&self, range: RangeInclusive<Share>) -> Result<Share, Mistake> {
        let text = self.string("a share such as \"50%\"")?;
        let share = units::share(text).map_err(|problem| self.mistake(problem))?;
        self.within(text, share, &range, |share| share.to_string())
    }

    fn within<T: Copy + PartialOrd>(
        &self,
        text: &str,
        value: T,
        range: &RangeInclusive<T>,
        show: impl Fn(T) -> String,
    ) -> Result<T, Mistake> {
        if range.contains(&value) {
            return Ok(value);
        }
        let (min, max) = (show(*range.start()), show(*range.end()));
        Err(self.mistake(format!("must be from {min} to {max}, not {text}")))
    }

    fn wanted(&self, wanted: &str) -> Mistake {
        self.mistake(format!("must be {wanted}, not {}", kind(self.value.get_ref())))
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// How many characters of a name that is wrong are shown.
const SHOWN_MAX: usize = 64;

/// How many keys of a table are listed in a message.
const LISTED_MAX: usize = 16;

/// Where a key of this name belongs, for one that stands where it doesn't.
fn tables_with(name: &str) -> Vec<String> {
    let of_the_name = keys::ALL.iter().filter(|key| key.name() == name);
    let place = |key: &Key| match key.table() {
        "" => "before the first [table]".to_owned(),
        table => format!("into [{table}]"),
    };
    of_the_name.map(place).collect()
}

fn unknown(table: &str, name: &str, known: &[&'static str]) -> String {
    let elsewhere = tables_with(name);
    let right = match nearest(name, known.iter().copied()) {
        _ if !elsewhere.is_empty() => format!("it belongs {}", elsewhere.join(", or ")),
        Some(key) => format!("did you mean {key}?"),
        None if known.len() > LISTED_MAX => {
            format!("`torsade check --explain {table}` lists those that are known")
        }
        None => format!("known here: {}", known.join(", ")),
    };
    let shown: String = name.chars().take(SHOWN_MAX).collect();
    format!("unknown key {shown:?}; {right}")
}
