//! Text files of the repository, read as code and as Markdown.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use torsade_tests::guests::repository;

/// A text file, by its path from the top folder.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
}

/// A row of a table in Markdown.
pub(super) struct Row {
    pub(super) number: usize,
    cells: Vec<String>,
}

impl Source {
    pub(super) fn lines_numbered(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    /// The lines without comments, and without the tests at the end of a file.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test = self.path.ends_with("tests.rs") || self.path.contains("/tests/");
        let tests = self.text.find("\n#[cfg(test)]\n").filter(|_| !is_test);
        let code = self.text.get(..tests.unwrap_or(self.text.len())).unwrap_or_default();
        let code = if is_test && self.path.starts_with("host/") { "" } else { code };
        (1..).zip(code.lines().map(|line| line.split("//").next().unwrap_or_default()))
    }

    pub(super) fn lines_with(&self, word: &str) -> impl Iterator<Item = usize> {
        let part = |c: char| c.is_alphanumeric() || c == '_';
        let holds = move |line: &str| {
            line.match_indices(word).any(|(at, _)| {
                let after = line.get(at + word.len()..).unwrap_or_default();
                !line.get(..at).unwrap_or_default().ends_with(part) && !after.starts_with('_')
            })
        };
        self.code().filter(move |(_, line)| holds(line)).map(|(number, _)| number)
    }

    /// The first names of all `crate::` paths, and whatever else stands in their braces.
    pub(super) fn uses_of_the_crate(&self) -> Vec<(usize, String)> {
        let code = self.code().fold(String::new(), |code, (_, line)| code + line + "\n");
        let mut uses = Vec::new();
        for (at, path) in code.match_indices("crate::") {
            let number = 1 + code.split_at(at).0.matches('\n').count();
            let rest = code.split_at(at + path.len()).1;
            let list = rest.strip_prefix('{').and_then(|list| list.split("};").next());
            let names = list.unwrap_or(rest).split(',').take(list.map_or(1, str::len));
            let first = |name: &str| {
                let part = |c: char| c.is_alphanumeric() || c == '_';
                name.trim_start().split(|c| !part(c)).next().unwrap_or_default().to_owned()
            };
            uses.extend(names.map(|name| (number, first(name))));
        }
        uses
    }

    /// What stands below a heading.
    pub(super) fn section(&self, heading: &str) -> Result<Self> {
        let (_, rest) = self
            .text
            .split_once(&format!("\n{heading}\n"))
            .with_context(|| format!("{}: there is no {heading}", self.path))?;
        let text = rest.split("\n#").next().unwrap_or_default().to_owned();
        Ok(Self { path: self.path.clone(), text })
    }

    /// The rows of the first table whose head begins so.
    pub(super) fn table(&self, head: &str) -> Result<Vec<Row>> {
        let mut lines = self.lines_numbered().skip_while(|(_, line)| !line.starts_with(head));
        lines.next().with_context(|| format!("{}: there is no table {head}", self.path))?;
        let rows = lines.skip(1).take_while(|(_, line)| line.starts_with('|'));
        let cells = |line: &str| line.split('|').skip(1).map(str::to_owned).collect();
        Ok(rows.map(|(number, line)| Row { number, cells: cells(line) }).collect())
    }
}

impl Row {
    /// What stands between backticks in a cell.
    pub(super) fn code(&self, cell: usize) -> Vec<&str> {
        let cell = self.cells.get(cell).map_or("", String::as_str);
        cell.split('`').skip(1).step_by(2).collect()
    }
}

/// The file at a path from the top folder.
pub(super) fn document(path: &str) -> Result<Source> {
    let text = fs::read_to_string(repository().join(path)).with_context(|| path.to_owned())?;
    Ok(Source { path: path.to_owned(), text })
}

/// The files below a folder that end so, without what was built.
pub(super) fn sources(folder: &str, endings: &[&str]) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(repository().join(folder))? {
        let name = entry?.file_name().display().to_string();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        let ending = Path::new(&name).extension().map_or(&*name, |it| it.to_str().unwrap_or(""));
        let whole = repository().join(&path);
        if whole.is_dir() && name != "target" && name != ".git" {
            found.extend(sources(&path, endings)?);
        } else if whole.is_file() && endings.contains(&ending) {
            found.push(document(&path)?);
        }
    }
    Ok(found)
}
