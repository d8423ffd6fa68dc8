//! Mistakes in a configuration: collected while it is read, then shown with their lines.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// How many mistakes of a file are shown; the rest is counted.
const SHOWN_MAX: usize = 20;

/// The longest line of the file that is shown below a mistake, in characters.
const LINE_SHOWN_MAX: usize = 120;

/// All that is wrong with a configuration. Shown as a line for each mistake,
/// `FILE:LINE:COLUMN: KEY: what is wrong and what would be right`, with the file's line below it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigError {
    file: PathBuf,
    /// The first [`SHOWN_MAX`].
    mistakes: Vec<(Option<Place>, String)>,
    /// How many there are beyond those.
    more: usize,
}

/// Where in the file, for a person: both numbers count from 1, columns are characters.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Place {
    line: usize,
    column: usize,
    /// The line itself and how many characters of it are meant; empty where it's too long to help.
    source: String,
    width: usize,
}

/// One thing that is wrong.
#[derive(Debug)]
pub(super) struct Mistake {
    /// Which bytes of the file.
    pub(super) at: Range<usize>,
    /// The key, from the root: `service.site.listen`; empty for the whole file.
    pub(super) key: String,
    /// What is wrong, and what would be right.
    pub(super) problem: String,
}

/// The mistakes that were found so far.
#[derive(Debug, Default)]
pub(super) struct Mistakes(Vec<Mistake>);

impl ConfigError {
    pub(super) fn new(file: &Path, text: &str, Mistakes(mut mistakes): Mistakes) -> Self {
        mistakes.sort_by_key(|mistake| mistake.at.start);
        let more = mistakes.len().saturating_sub(SHOWN_MAX);
        let shown = mistakes.into_iter().take(SHOWN_MAX);
        let located = shown.map(|Mistake { at, key, problem }| {
            let message = if key.is_empty() { problem } else { format!("{key}: {problem}") };
            (Some(Place::of(text, at)), message)
        });
        Self { file: file.to_owned(), mistakes: located.collect(), more }
    }

    pub(super) fn whole_file(file: &Path, problem: String) -> Self {
        Self { file: file.to_owned(), mistakes: vec![(None, problem)], more: 0 }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        for (index, (place, message)) in self.mistakes.iter().enumerate() {
            if index > 0 {
                out.write_str("\n")?;
            }
            match place {
                Some(place) => {
                    write!(out, "{file}:{}:{}: {message}{place}", place.line, place.column)?;
                }
                None => write!(out, "{file}: {message}")?,
            }
        }
        match self.more {
            0 => Ok(()),
            more => write!(out, "\n{file}: and {more} more"),
        }
    }
}

impl std::error::Error for ConfigError {}

impl Place {
    fn of(text: &str, at: Range<usize>) -> Self {
        let start = text.floor_char_boundary(at.start.min(text.len()));
        let (before, after) = text.split_at(start);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = after.find('\n').map_or(text.len(), |newline| start + newline);
        let end = text.floor_char_boundary(at.end.clamp(start, line_end));
        let count = |from: usize, to: usize| text.get(from..to).unwrap_or("").chars().count();
        let line = text.get(line_start..line_end).unwrap_or("");
        let shown = line.chars().nth(LINE_SHOWN_MAX).is_none();
        Self {
            line: 1 + before.matches('\n').count(),
            column: 1 + count(line_start, start),
            source: if shown { line.replace(char::is_control, " ") } else { String::new() },
            width: count(start, end).max(1),
        }
    }
}

/// The file's line, and below it a mark under what is meant.
impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.source.trim().is_empty() {
            return Ok(());
        }
        let number = self.line.to_string();
        let (margin, indent) = (" ".repeat(number.len()), " ".repeat(self.column - 1));
        let mark = "^".repeat(self.width);
        write!(out, "\n  {number} | {}\n  {margin} | {indent}{mark}", self.source.trim_end())
    }
}

impl Mistakes {
    pub(super) fn add(&mut self, key: &str, at: Range<usize>, problem: impl Into<String>) {
        self.0.push(Mistake { at, key: key.to_owned(), problem: problem.into() });
    }

    /// The value, or `None` once the mistake is written down.
    pub(super) fn keep<T>(&mut self, result: Result<T, Mistake>) -> Option<T> {
        result.map_err(|mistake| self.0.push(mistake)).ok()
    }

    pub(super) fn push(&mut self, mistake: Mistake) {
        self.0.push(mistake);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
