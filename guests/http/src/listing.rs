//! The page that lists a folder.

use std::fmt::Write;

use crate::date;
use crate::file::{Kind, Metadata};
use crate::target::reference;

/// A name in a folder.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// What is known about it.
    pub metadata: Metadata,
}

/// The page for a folder; `path` is its path from the root, without slashes at its ends. Folders
/// come first, each kind sorted by name.
pub fn html(path: &str, mut entries: Vec<Entry>) -> String {
    // Names differ, so their order before makes no difference.
    entries.sort_unstable_by(|a, b| {
        let key = |entry: &Entry| entry.metadata.kind != Kind::Folder;
        key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
    });
    let mut page = String::with_capacity(PAGE + ROW * entries.len());
    page.push_str(START);
    let mut title = String::from("Index of /");
    escape(path, &mut title);
    // Writing to a String can't fail.
    let _ = write!(page, "<title>{title}</title>\n{STYLE}<h1>{title}</h1>\n<table>\n");
    if !path.is_empty() {
        page.push_str("<tr><td><a href=\"../\">../</a><td><td>\n");
    }
    for entry in &entries {
        row(entry, &mut page);
    }
    page.push_str("</table>\n");
    page
}

fn row(entry: &Entry, page: &mut String) {
    let is_folder = entry.metadata.kind == Kind::Folder;
    let slash = if is_folder { "/" } else { "" };
    page.push_str("<tr><td><a href=\"");
    page.extend(reference(&entry.name));
    let _ = write!(page, "{slash}\">");
    escape(&entry.name, page);
    let modified = date::format(entry.metadata.seconds);
    // Of `Sun, 06 Nov 1994 08:49:37 GMT` the day and the minute.
    let _ = write!(page, "{slash}</a><td>{}<td>", modified.get(5..22).unwrap_or(&modified));
    if !is_folder {
        size(entry.metadata.size, page);
    }
    page.push('\n');
}

/// Writes a size as a person reads it: `1.2 KiB`.
fn size(bytes: u64, page: &mut String) {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        let _ = write!(page, "{bytes} B");
        return;
    }
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10 * 1024 {
        tenths /= 1024;
        unit += 1;
    }
    let _ = write!(page, "{}.{} {}", tenths / 10, tenths % 10, units[unit]);
}

/// Appends a text to a page of HTML, as text or as the value of an attribute in quotes.
pub fn escape(text: &str, page: &mut String) {
    for character in text.chars() {
        match character {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            _ => page.push(character),
        }
    }
}

const START: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width\">\n";

const STYLE: &str = "<style>body{font:16px/1.5 system-ui,sans-serif;margin:2em auto;\
    max-width:60em;padding:0 1em}td{padding:0 2em 0 0}td:nth-child(n+2){white-space:nowrap}\
    td:nth-child(3){text-align:right}</style>\n";

/// What a page needs beside its rows, in bytes.
const PAGE: usize = 1024;

/// What most rows need, in bytes.
const ROW: usize = 128;

#[cfg(test)]
mod tests {
    use super::{Entry, html, size};
    use crate::file::{Kind, Metadata};

    fn entry(name: &str, kind: Kind) -> Entry {
        let (size, seconds) = (1536, 784_111_777);
        let metadata = Metadata { kind, size, seconds, nanoseconds: 0, inode: 1 };
        Entry { name: name.into(), metadata }
    }

    #[test]
    fn folders_come_first_and_each_kind_is_sorted() {
        let page = html(
            "",
            vec![
                entry("b", Kind::Regular),
                entry("z", Kind::Folder),
                entry("a", Kind::Regular),
                entry("c", Kind::Folder),
            ],
        );
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("<tr>")).collect();
        assert_eq!(
            rows,
            [
                "<tr><td><a href=\"./c/\">c/</a><td>06 Nov 1994 08:49<td>",
                "<tr><td><a href=\"./z/\">z/</a><td>06 Nov 1994 08:49<td>",
                "<tr><td><a href=\"./a\">a</a><td>06 Nov 1994 08:49<td>1.5 KiB",
                "<tr><td><a href=\"./b\">b</a><td>06 Nov 1994 08:49<td>1.5 KiB",
            ]
        );
        assert!(page.contains("<h1>Index of /</h1>"));
    }

    #[test]
    fn names_can_neither_leave_their_link_nor_their_cell() {
        let page = html(
            "<b>",
            vec![
                entry("javascript:alert(1)", Kind::Regular),
                entry("\"><script>&'", Kind::Regular),
                entry("\u{e4} ?#%", Kind::Regular),
            ],
        );
        assert!(page.contains("<title>Index of /&lt;b&gt;</title>"));
        assert!(page.contains("<a href=\"../\">"));
        assert!(page.contains("href=\"./javascript%3Aalert%281%29\">javascript:alert(1)<"));
        assert!(page.contains("href=\"./%22%3E%3Cscript%3E%26%27\">&quot;&gt;&lt;script"));
        assert!(page.contains("href=\"./%C3%A4%20%3F%23%25\">\u{e4} ?#%<"));
        assert!(!page.contains("<script"));
    }

    #[test]
    fn sizes_are_for_people() {
        for (bytes, want) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1024 * 1024 - 1, "1023.9 KiB"),
            (5 * 1024 * 1024, "5.0 MiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            let mut text = String::new();
            size(bytes, &mut text);
            assert_eq!(text, want);
        }
    }
}
