//! What follows from the arguments besides `--help`: completions for shells, and man pages.

use std::fs;
use std::io;
use std::iter;
use std::path::Path;

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::{Arguments, ENVIRONMENT, EXIT_STATUS, print};

/// Prints what a shell reads to complete the command.
pub(super) fn completions(shell: Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "torsade", &mut script);
    print(&String::from_utf8_lossy(&script));
}

/// Writes the man pages into a folder, which is made where there is none, and prints where they are;
/// without a folder prints the first.
pub(super) fn man(folder: Option<&Path>) -> Result<()> {
    let pages = pages().context("the man pages can't be made")?;
    let Some(folder) = folder else {
        print(&pages.into_iter().take(1).map(|(_, page)| page).collect::<String>());
        return Ok(());
    };
    let unwritten = |file: &Path| format!("{} can't be written", file.display());
    fs::create_dir_all(folder).with_context(|| unwritten(folder))?;
    for (name, page) in pages {
        let file = folder.join(name);
        fs::write(&file, page).with_context(|| unwritten(&file))?;
        print(&format!("{}\n", file.display()));
    }
    Ok(())
}

/// A page for the command and for each of its commands, with the names of their files.
fn pages() -> io::Result<Vec<(String, String)>> {
    let mut torsade = Arguments::command().disable_help_subcommand(true);
    torsade.build();
    iter::once(&torsade).chain(torsade.get_subcommands()).map(page).collect()
}

fn page(command: &Command) -> io::Result<(String, String)> {
    let man = Man::new(command.clone())
        .source(concat!("torsade ", env!("CARGO_PKG_VERSION")))
        .manual("Torsade");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    sections(command).to_writer(&mut page)?;
    Ok((man.get_filename(), String::from_utf8_lossy(&page).into_owned()))
}

/// What stands below the options in the help of a command, and what holds for all: a paragraph that
/// has a title is a section, the others are its notes.
fn sections(command: &Command) -> Roff {
    let mut text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    if !text.contains(EXIT_STATUS) {
        text = [&*text, ENVIRONMENT, EXIT_STATUS].join("\n\n");
    }
    let mut roff = Roff::new();
    let (blocks, notes): (Vec<&str>, Vec<&str>) =
        text.split("\n\n").filter(|text| !text.is_empty()).partition(|text| titled(text).is_some());
    if !notes.is_empty() {
        roff.control("SH", ["NOTES"]);
    }
    for note in notes {
        roff.control("PP", []).text([roman(note.replace('\n', " "))]);
    }
    for (title, lines) in blocks.into_iter().filter_map(titled) {
        roff.control("SH", [&*title.to_uppercase()]).control("nf", []);
        for line in lines.lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman("torsade(1), and `torsade check --explain` for the keys of torsade.toml")]);
    roff
}

/// The title of a paragraph, and what is below it.
fn titled(paragraph: &str) -> Option<(&str, &str)> {
    paragraph
        .split_once(":\n")
        .filter(|(title, lines)| !title.contains('\n') && lines.starts_with(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page_that_says_how_it_ends() {
        let pages = pages().unwrap();
        let commands = Arguments::command();
        let names = commands.get_subcommands().map(|of| format!("torsade-{}.1", of.get_name()));
        let names: Vec<String> = iter::once("torsade.1".to_owned()).chain(names).collect();
        assert_eq!(pages.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), names);
        for (name, page) in &pages {
            for section in ["NAME", "SYNOPSIS", "OPTIONS", "ENVIRONMENT", "\"EXIT STATUS\""] {
                let heading = format!("\n.SH {section}\n");
                assert_eq!(page.matches(&heading).count(), 1, "{name}: {section}\n{page}");
            }
        }
    }

    #[test]
    fn sections_keep_their_lines() {
        let (_, page) = &pages().unwrap()[0];
        assert!(page.contains("\n  2  it was asked for what can\\*(Aqt be done:"), "{page}");
    }
}
