//! Tables and values of TOML with the places and the names that messages need.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Mistake, Mistakes};
use super::{kind, units};

/// A table. It remembers which keys were asked for: those are the known ones.
pub(super) struct Section<'a> {
    path: String,
    span: Range<usize>,
    table: &'a DeTable<'a>,
    known: Vec<&'static str>,
}

/// A value and its full key.
#[derive(Clone)]
pub(super) struct Field<'a> {
    path: String,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Section<'a> {
    pub(super) fn root(table: &'a DeTable<'a>) -> Self {
        Self { path: String::new(), span: 0..0, table, known: Vec::new() }
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// What the table has under a key of fixed name.
    pub(super) fn field(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.known.push(key);
        Some(Field { path: join(&self.path, key), value: self.table.get(key)? })
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
        let mut entries: Vec<_> = self
            .table
            .iter()
            .map(|(key, value)| (key, Field { path: join(&self.path, key.get_ref()), value }))
            .collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries
    }

    pub(super) fn size(
        &mut self,
        key: &'static str,
        range: RangeInclusive<usize>,
        default: usize,
        mistakes: &mut Mistakes,
    ) -> usize {
        self.optional_size(key, range, mistakes).unwrap_or(default)
    }

    pub(super) fn optional_size(
        &mut self,
        key: &'static str,
        range: RangeInclusive<usize>,
        mistakes: &mut Mistakes,
    ) -> Option<usize> {
        self.field(key).and_then(|field| mistakes.keep(field.size(range)))
    }

    pub(super) fn time(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
        default: Duration,
        mistakes: &mut Mistakes,
    ) -> Duration {
        self.optional_time(key, range, mistakes).unwrap_or(default)
    }

    pub(super) fn optional_time(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
        mistakes: &mut Mistakes,
    ) -> Option<Duration> {
        self.field(key).and_then(|field| mistakes.keep(field.time(range)))
    }

    pub(super) fn count(
        &mut self,
        key: &'static str,
        range: RangeInclusive<usize>,
        default: usize,
        mistakes: &mut Mistakes,
    ) -> usize {
        self.optional_count(key, range, mistakes).unwrap_or(default)
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
                let problem = unknown(name, &self.known);
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

    /// The value below a table's key, if this is a table and has it.
    pub(super) fn below(&self, key: &str) -> Option<Self> {
        let value = self.value.get_ref().as_table()?.get(key)?;
        Some(Self { path: join(&self.path, key), value })
    }

    pub(super) fn table(&self) -> Result<Section<'a>, Mistake> {
        let table = self.value.get_ref().as_table().ok_or_else(|| self.wanted("a table"))?;
        Ok(Section { path: self.path.clone(), span: self.value.span(), table, known: Vec::new() })
    }

    /// `wanted` completes "must be …".
    pub(super) fn string(&self, wanted: &str) -> Result<&'a str, Mistake> {
        self.value.get_ref().as_str().ok_or_else(|| self.wanted(wanted))
    }

    pub(super) fn list(&self, wanted: &str) -> Result<Vec<Field<'a>>, Mistake> {
        let list = self.value.get_ref().as_array().ok_or_else(|| self.wanted(wanted))?;
        Ok(list.iter().map(|value| Self { path: self.path.clone(), value }).collect())
    }

    fn boolean(&self) -> Result<bool, Mistake> {
        self.value.get_ref().as_bool().ok_or_else(|| self.wanted("true or false"))
    }

    fn count(&self, range: RangeInclusive<usize>) -> Result<usize, Mistake> {
        let (min, max) = (range.start(), range.end());
        let wanted = format!("a number from {min} to {max}");
        let number = self.value.get_ref().as_integer().ok_or_else(|| self.wanted(&wanted))?;
        usize::from_str_radix(number.as_str(), number.radix())
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| self.mistake(format!("must be {wanted}, not {number}")))
    }

    fn size(&self, range: RangeInclusive<usize>) -> Result<usize, Mistake> {
        let text = self.string("a size such as \"16MiB\"")?;
        let size = units::size(text).map_err(|problem| self.mistake(problem))?;
        let (min, max) = (units::show(*range.start()), units::show(*range.end()));
        self.within(text, range.contains(&size), &format!("from {min} to {max}"))?;
        Ok(size)
    }

    fn time(&self, range: RangeInclusive<Duration>) -> Result<Duration, Mistake> {
        let text = self.string("a time such as \"50ms\" or \"10s\"")?;
        let time = units::time(text).map_err(|problem| self.mistake(problem))?;
        let bounds = format!("from {:?} to {:?}", range.start(), range.end());
        self.within(text, range.contains(&time), &bounds)?;
        Ok(time)
    }

    fn within(&self, text: &str, inside: bool, bounds: &str) -> Result<(), Mistake> {
        match inside {
            true => Ok(()),
            false => Err(self.mistake(format!("must be {bounds}, not {text}"))),
        }
    }

    fn wanted(&self, wanted: &str) -> Mistake {
        self.mistake(format!("must be {wanted}, not {}", kind(self.value.get_ref())))
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// How many single letters may be wrong in a key for another to be what was meant.
const TYPOS_MAX: usize = 3;

fn unknown(name: &str, known: &[&str]) -> String {
    let close = |key: &&&str| {
        let typos = strsim::damerau_levenshtein(name, key);
        (typos <= TYPOS_MAX.min(key.len() / 2)).then_some(typos)
    };
    // Longer names can't be close to any key, and comparing takes their length squared.
    let similar = known.iter().filter(|_| name.len() <= 64);
    let nearest = similar.filter(|key| close(key).is_some()).min_by_key(|key| close(key));
    let suggestion = nearest.map_or(String::new(), |key| format!("did you mean {key}? "));
    let shown: String = name.chars().take(64).collect();
    format!("unknown key {shown:?}; {suggestion}known here: {}", known.join(", "))
}
